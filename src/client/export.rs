//! What leaves for other programs.
//!
//! Job: the forms that spreadsheets and other programs read. Boundary: bytes are appended to a buffer; nothing is
//! fetched or opened here. Failure mode: none.

pub mod csv;

use std::borrow::Cow;

/// JSON that steers no terminal either: of the control characters, JSON itself asks only for those below U+0020 to be
/// escaped.
#[must_use]
pub fn harmless(json: &str) -> Cow<'_, str> {
    if !json.contains(is_late_control) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        if is_late_control(c) {
            // they stand in strings only, where this means the same
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn is_late_control(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}')
}
