//! What leaves for other programs.
//!
//! Job: the forms that players, spreadsheets and browsers read, written as it comes in. Boundary: items come in
//! proven ([`super::playback`]), bytes go to a writer; nothing is fetched or opened here but the files that hold
//! bodies of calls which have not ended. Failure mode: the writer's error.

pub mod asciicast;
pub mod csv;
pub mod har;
mod plain;
pub mod results;
#[cfg(test)]
mod stage;
pub mod transcript;

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

#[cfg(test)]
mod tests;
