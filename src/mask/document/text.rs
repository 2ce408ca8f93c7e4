//! Masks on text that streams by, by detectors.
//!
//! Job: what a detector recognises is replaced, wherever the pieces are cut. Boundary: text is held back
//! only as long as it could still turn out to be something: the word at hand, or a hundred bytes.
//! Failure mode: text that is not UTF-8, or holds NUL (so it is no text, or UTF-16), is refused. A private
//! key that does not end is masked to the end of the text.

use std::sync::Arc;

use bytes::BytesMut;

use super::Unmaskable;
use super::detect::{CONTEXT, Detectors, LONGEST, LONGEST_WITH_BLANKS, More, Scan};
use super::hidden::MASKED;
use super::utf8::Utf8;

/// Masks one text.
#[derive(Debug)]
pub struct TextMasker {
    detectors: Arc<Detectors>,
    state: State,
    utf8: Utf8,
    /// What was not given out yet, after what was given out last (what is found depends on what stands before it).
    window: Vec<u8>,
    /// How many bytes of the window were given out.
    given: usize,
    before: u64,
    masked: u64,
}

/// What the window is being read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Broken,
    /// The inside of a private key.
    Key,
    Text,
    /// The rest of a word that was too long to be held, and is masked.
    Word,
}

impl TextMasker {
    /// A masker for one text.
    #[must_use]
    pub fn new(detectors: Arc<Detectors>) -> Self {
        Self {
            detectors,
            state: State::Text,
            utf8: Utf8::default(),
            window: Vec::new(),
            given: 0,
            before: 0,
            masked: 0,
        }
    }

    /// Masks the next piece; what can be given out is appended to `out`.
    ///
    /// # Errors
    /// When it is not UTF-8 text. Every later call fails as well.
    pub fn feed(&mut self, input: &[u8], out: &mut BytesMut) -> Result<(), Unmaskable> {
        if self.state == State::Broken {
            return Err(Unmaskable::Broken);
        }
        if !self.utf8.feed(input) || input.contains(&0) {
            self.state = State::Broken;
            return Err(Unmaskable::Malformed { format: "text", at: self.before });
        }
        for piece in input.chunks(LARGEST_PIECE) {
            self.window.extend_from_slice(piece);
            let undecided = self.detectors.undecided_from(&self.window);
            self.read(undecided, false, out);
        }
        self.before += input.len() as u64;
        Ok(())
    }

    /// Ends the text.
    ///
    /// # Errors
    /// When it ends in the middle of a character.
    pub fn finish(&mut self, out: &mut BytesMut) -> Result<(), Unmaskable> {
        if self.state == State::Broken {
            return Err(Unmaskable::Broken);
        }
        self.read(self.window.len(), true, out);
        self.state = State::Broken;
        if self.utf8.is_whole() { Ok(()) } else { Err(Unmaskable::Truncated) }
    }

    /// How many places were replaced so far.
    #[must_use]
    pub fn masked(&self) -> u64 {
        self.masked
    }

    /// Gives out everything that begins before `undecided`.
    fn read(&mut self, undecided: usize, is_last: bool, out: &mut BytesMut) {
        let mut at = self.given;
        let mut scan = Scan::default();
        loop {
            match self.state {
                State::Broken => break,
                State::Key => {
                    let Some(end) = self.detectors.end_of_key(&self.window, at) else {
                        at = at.max(self.window.len().saturating_sub(LONGEST_WITH_BLANKS));
                        break;
                    };
                    at = end;
                    self.state = State::Text;
                }
                State::Word => {
                    let rest = self.window.get(at..).unwrap_or_default();
                    match rest.iter().position(|byte| !is_word(*byte)) {
                        Some(length) => at += length,
                        None => {
                            at = self.window.len();
                            break;
                        }
                    }
                    self.state = State::Text;
                }
                State::Text => {
                    let found = self.detectors.candidate(&self.window, at, &mut scan);
                    let Some(found) = found.filter(|found| found.start < undecided) else {
                        at = self.give(at, undecided, out);
                        break;
                    };
                    let touches_end = found.reach == self.window.len() && !is_last;
                    if touches_end && found.reach - found.start < LONGEST - 1 {
                        at = self.give(at, found.start, out);
                        break;
                    }
                    let Some(end) = found.end else {
                        at = self.give(at, found.start + 1, out);
                        continue;
                    };
                    self.give(at, found.start, out);
                    out.extend_from_slice(MASKED.as_bytes());
                    self.masked += 1;
                    at = end;
                    if found.more == More::Key {
                        self.state = State::Key;
                    } else if touches_end {
                        self.state = State::Word;
                    }
                }
            }
        }
        // what stands before a place can decide what it is
        let kept = at.saturating_sub(CONTEXT + 1);
        self.window.drain(..kept);
        self.given = at - kept;
    }

    fn give(&self, from: usize, to: usize, out: &mut BytesMut) -> usize {
        out.extend_from_slice(self.window.get(from..to).unwrap_or_default());
        to.max(from)
    }
}

/// What the long things are made of that detectors recognise by their beginning.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~+/=@%".contains(&byte)
}

const LARGEST_PIECE: usize = 64 * 1024;
