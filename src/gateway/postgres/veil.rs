//! The detectors of a target, as results are searched with them.
//!
//! Job: find things in texts and in documents for the conversation. Boundary: which values there are, and what stands
//! for what is found, is `wire`'s to say. Failure mode: JSON that cannot be read strictly is hidden whole.

use std::ops::Range;
use std::sync::Arc;

use bytes::BytesMut;

use crate::mask::document::{
    Detector, Detectors, DocumentPlan, Framing, JsonMasker, KeyCase, Named, PlanError,
};
use crate::wire::postgres::veil::{Finder, Found, Hint, Veil};

/// A veil that hides what these detectors find.
pub(super) fn veil(detectors: Arc<Detectors>) -> Result<Veil, PlanError> {
    let plan = DocumentPlan::new(&[], KeyCase::Exact)?.with_detectors(Arc::clone(&detectors));
    Ok(Veil::new(Arc::new(Searching { detectors, plan: Arc::new(plan) })))
}

#[derive(Debug)]
struct Searching {
    detectors: Arc<Detectors>,
    /// Of documents: what is found in texts and numbers, wherever they are.
    plan: Arc<DocumentPlan>,
}

impl Finder for Searching {
    fn find(&self, text: &[u8], hint: Hint) -> Vec<Range<usize>> {
        self.detectors.find_value(text, Named::from_bits(hint.0))
    }

    fn hint(&self, name: &str) -> Hint {
        Hint(self.detectors.named_by(name).bits())
    }

    fn is_whole(&self, text: &[u8]) -> bool {
        self.detectors.is_whole(text, Named::default())
    }

    fn json(&self, text: &[u8]) -> Found {
        // what is in a document is also in its text, but for what escapes hide and what only a whole value is
        let needs_names = self.detectors.has(Detector::Ssn) || self.detectors.has(Detector::Phone);
        let is_plain = !text.contains(&b'\\') && !needs_names;
        if is_plain && self.detectors.find_value(text, Named::default()).is_empty() {
            return Found::Nothing;
        }
        let mut masker = JsonMasker::new(Arc::clone(&self.plan), Framing::Document);
        let mut out = BytesMut::new();
        match masker.feed(text, &mut out).and_then(|()| masker.finish(&mut out)) {
            Ok(()) if masker.masked() == 0 => Found::Nothing,
            Ok(()) => Found::Instead(out.to_vec()),
            Err(_) => Found::Instead(b"\"[masked]\"".to_vec()),
        }
    }

    fn hides_addresses(&self) -> bool {
        self.detectors.has(Detector::Ip)
    }
}
