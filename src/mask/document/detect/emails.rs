//! E-mail addresses.
//!
//! Job: find them by their `@`. A pattern that begins with any number of letters would have to run through them once
//! for each place that something else may begin at, and a hostile text is nothing but such places. Boundary: what an
//! address looks like, and not whether it is one. Failure mode: none.

use super::{Candidate, More};

/// The first that begins at or after `from`. It takes time in proportion to what it passes over.
pub(super) fn find(text: &[u8], from: usize) -> Option<Candidate> {
    let mut passed = from;
    loop {
        let at = passed + memchr::memchr(b'@', text.get(passed..)?)?;
        let local = text.get(passed..at)?.iter().rev().take_while(|byte| is_local(**byte)).count();
        if local > 0 {
            let rest = text.get(at + 1..)?;
            if let (length @ 1.., reach) = domain(rest) {
                let (start, end, reach) = (at - local, at + 1 + length, at + 1 + reach);
                return Some(Candidate { start, end: Some(end), reach, more: More::Nothing });
            }
        }
        passed = at + 1;
    }
}

/// How long the domain is that stands here, 0 if none does, and how far was looked. Its last label begins with a letter
/// and has more than one: what follows the `@` of `name@1.2.3` is a version.
fn domain(rest: &[u8]) -> (usize, usize) {
    let is_label = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    let (mut longest, mut at) = (0, 0);
    loop {
        let label = rest.get(at..).unwrap_or_default();
        let length = label.iter().take_while(|byte| is_label(byte)).count();
        if length == 0 {
            return (longest, at);
        }
        if at > 0 && length > 1 && label.first().is_some_and(u8::is_ascii_alphabetic) {
            longest = at + length;
        }
        at += length;
        if rest.get(at) != Some(&b'.') {
            return (longest, at);
        }
        at += 1;
    }
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte)
}
