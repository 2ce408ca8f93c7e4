//! A text as its escapes are read, and where each of its bytes is written.
//!
//! The escapes are those of JSON and of COPY: `\u0040`, `\n` and their like, with any number of backslashes, as texts
//! within texts have them.

use std::ops::Range;

/// A text whose escapes are read.
pub(super) struct View {
    text: Vec<u8>,
    /// Where each byte is written; at last, the end.
    starts: Vec<usize>,
}

impl View {
    /// The text; `None` where it has no escapes.
    pub(super) fn of(written: &[u8]) -> Option<Self> {
        let first = written.iter().position(|byte| *byte == b'\\')?;
        let (head, rest) = written.split_at_checked(first)?;
        let mut view = Self { text: head.to_vec(), starts: (0..first).collect() };
        view.text.reserve(rest.len());
        let mut at = first;
        while let Some(byte) = written.get(at) {
            let (read, length) = match byte {
                b'\\' => escape(written.get(at..).unwrap_or_default()),
                byte => (*byte, 1),
            };
            view.text.push(read);
            view.starts.push(at);
            at += length;
        }
        view.starts.push(written.len());
        Some(view)
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Where a part of the view is written.
    pub(super) fn place(&self, range: Range<usize>) -> Range<usize> {
        let start =
            |at: usize| self.starts.get(at).or_else(|| self.starts.last()).copied().unwrap_or_default();
        start(range.start)..start(range.end)
    }
}

/// What an escape at the beginning of this stands for, and how long it is.
fn escape(written: &[u8]) -> (u8, usize) {
    let slashes = written.iter().take(MOST_SLASHES).take_while(|byte| **byte == b'\\').count();
    let (_, rest) = written.split_at_checked(slashes).unwrap_or_default();
    let read = match rest {
        [b'u', digits @ ..] => {
            let digits = digits.get(..4).and_then(|digits| std::str::from_utf8(digits).ok());
            match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
                Some(unit) => return (u8::try_from(unit).unwrap_or(OTHER), slashes + 5),
                None => None,
            }
        }
        [b'b' | b'f' | b'r' | b't' | b'v', ..] => Some(b' '),
        [b'n', ..] => Some(b'\n'),
        [byte @ (b'"' | b'/'), ..] => Some(*byte),
        _ => None,
    };
    // what stands for nothing is what it is
    read.map_or((b'\\', 1), |byte| (byte, slashes + 1))
}

/// Texts within texts within texts.
const MOST_SLASHES: usize = 16;
/// What stands for characters that no detector looks for.
const OTHER: u8 = 0x80;
