//! E-mail addresses.
//!
//! Job: find them by their `@`. A pattern that begins with any number of letters would have to run through them once
//! for each place that something else may begin at, and a hostile text is nothing but such places. Boundary: what an
//! address looks like, and not whether it is one. Failure mode: none.

use std::ops::Range;

use regex_automata::meta::Regex;
use regex_automata::{Anchored, Input};

use super::{Detector, DetectorError, compile};

/// Finds addresses.
#[derive(Debug)]
pub(super) struct Emails {
    /// From the `@` on.
    domain: Regex,
}

impl Emails {
    pub(super) fn new() -> Result<Self, DetectorError> {
        Ok(Self { domain: compile(&[Detector::Email.pattern()])? })
    }

    /// The first that begins at or after `from`. It takes time in proportion to what it passes over.
    pub(super) fn find(&self, text: &[u8], from: usize) -> Option<Range<usize>> {
        let mut passed = from;
        loop {
            let before = text.get(passed..)?.iter().position(|byte| *byte == b'@')?;
            let at = passed + before;
            let local = text.get(passed..at)?.iter().rev().take_while(|byte| is_local(**byte)).count();
            if local > 0 {
                let input = Input::new(text).range(at..).anchored(Anchored::Yes);
                if let Some(found) = self.domain.find(input) {
                    return Some(at - local..found.end());
                }
            }
            passed = at + 1;
        }
    }
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte)
}
