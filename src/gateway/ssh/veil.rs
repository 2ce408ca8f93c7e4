//! What a terminal or a command shows, without what detectors find in it.
//!
//! Job: one mask for each of the two streams, and the moment at which what is held back is shown after all: on a
//! terminal after a pause, since what somebody types is echoed letter by letter; elsewhere only when it is decided or
//! the stream ends.
//! Boundary: what a secret looks like is the detectors' to know. Failure mode: none; a target that names no
//! detectors has no veil.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::mask::document::Detectors;
use crate::wire::ssh::terminal::{Detector, Mask};

/// The masks of one channel.
pub(super) struct Veil {
    finder: Finder,
    patience: Option<Duration>,
    out: Mask,
    err: Mask,
}

/// The detectors, as a terminal's mask asks them.
struct Finder(Arc<Detectors>);

impl Detector for Finder {
    fn find(&self, text: &str) -> Vec<std::ops::Range<usize>> {
        self.0.find(text)
    }

    fn undecided(&self, text: &str) -> usize {
        self.0.undecided(text)
    }
}

impl Veil {
    pub(super) fn new(detectors: Arc<Detectors>, is_terminal: bool) -> Self {
        let patience = is_terminal.then_some(PAUSE);
        Self { finder: Finder(detectors), patience, out: Mask::new(HOLD), err: Mask::new(HOLD) }
    }

    /// What may be shown once this has come on a stream.
    pub(super) fn cover(&mut self, is_error: bool, bytes: &[u8]) -> Bytes {
        let mut shown = BytesMut::with_capacity(bytes.len());
        let mask = if is_error { &mut self.err } else { &mut self.out };
        mask.handle(bytes, &self.finder, &mut shown);
        shown.freeze()
    }

    /// What was held back of a stream.
    pub(super) fn rest(&mut self, is_error: bool) -> Bytes {
        let mut shown = BytesMut::new();
        let mask = if is_error { &mut self.err } else { &mut self.out };
        mask.flush(&self.finder, &mut shown);
        shown.freeze()
    }

    /// Whether something is held back.
    pub(super) fn holds(&self) -> bool {
        self.out.held() > 0 || self.err.held() > 0
    }

    /// After which silence what is held back is shown; `None` when nothing is, or silence changes nothing.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.patience.filter(|_| self.holds())
    }
}

/// How much text is held back and remembered: a private key in PEM and more.
const HOLD: usize = 8 * 1024;
/// After that long without more, what is held back is shown on a terminal.
const PAUSE: Duration = Duration::from_millis(20);
