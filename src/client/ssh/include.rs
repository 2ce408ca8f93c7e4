//! The line in the user's own configuration of ssh.
//!
//! Job: put one `Include` at the top of a file that belongs to the user, and take it out again, leaving every
//! other byte as it is. Boundary: reads no other line; the file is `userfile`'s. Failure mode: a directory whose name
//! ssh would read as something else is refused.

use std::path::Path;

use crate::client::home::HomeError;
use crate::client::protocol::FormError;
use crate::client::userfile::UserFile;

/// Includes this in a configuration of ssh; returns whether anything had to be changed.
///
/// # Errors
/// When the file cannot be read or written, or is somebody else's.
pub fn include(file: &UserFile, line: &str) -> Result<bool, HomeError> {
    file.change(|text| Ok(with(text, line)))
}

/// Includes this no more; returns whether anything had to be changed.
///
/// # Errors
/// When the file cannot be read or written, or is somebody else's.
pub fn exclude(file: &UserFile, line: &str) -> Result<bool, HomeError> {
    file.change(|text| Ok(without(text, line)))
}

/// The line that includes these files, which may be a pattern of names.
///
/// # Errors
/// When ssh could read the directory's name as something else.
pub fn include_line(dir: &Path, pattern: &str) -> Result<String, FormError> {
    let text = super::path(dir)?;
    // some versions of ssh know tokens here and some do not, and all know patterns
    if text.contains(['%', '*', '?', '[']) {
        return Err(FormError::Path(dir.into()));
    }
    Ok(format!("Include {}/{pattern}\"", text.trim_end_matches('"')))
}

/// The text with the line at its top: below a `Host` it would count for that host only.
fn with(text: &[u8], line: &str) -> Vec<u8> {
    let top = format!("{COMMENT}\n{line}\n\n");
    if text.starts_with(top.as_bytes()) {
        return text.to_vec();
    }
    [top.as_bytes(), &without(text, line)].concat()
}

/// The text without the line, its comment, and the empty line behind it.
fn without(text: &[u8], line: &str) -> Vec<u8> {
    let mut kept = Vec::with_capacity(text.len());
    let mut after = false;
    for piece in text.split_inclusive(|byte| *byte == b'\n') {
        let bare = piece.trim_ascii();
        let ours = bare == line.as_bytes() || bare == COMMENT.as_bytes();
        if !(ours || after && bare.is_empty()) {
            kept.extend_from_slice(piece);
        }
        after = bare == line.as_bytes();
    }
    kept
}

const COMMENT: &str =
    "# the next line is of `hoopctl ssh-config`; `hoopctl ssh-config --remove` takes it out";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    const LINE: &str = "Include \"/s/brokers/*/ssh/config\"";

    #[test]
    fn what_is_put_in_comes_out_and_nothing_else_changes() {
        for text in ["", "Host a\n  User b\n", "\n\n# x\n\nHost *", "caf\u{e9}\r\nHost x\r\n"] {
            let once = with(text.as_bytes(), LINE);
            assert_eq!(with(&once, LINE), once);
            assert_eq!(without(&once, LINE), text.as_bytes());
            assert_eq!(without(text.as_bytes(), LINE), text.as_bytes());
        }
        let bytes = b"Host \xff\n".to_vec();
        assert_eq!(without(&with(&bytes, LINE), LINE), bytes);
    }

    #[test]
    fn a_line_that_was_moved_below_a_host_goes_back_to_the_top() {
        let moved = format!("Host a\n{LINE}\n");
        let text = String::from_utf8(with(moved.as_bytes(), LINE)).unwrap();
        assert_eq!(text, format!("{COMMENT}\n{LINE}\n\nHost a\n"));
    }

    #[test]
    fn a_directory_that_ssh_would_take_for_a_pattern_is_refused() {
        assert_eq!(include_line(Path::new("/s/brokers"), "*/ssh/config").unwrap(), LINE);
        for wrong in ["/a*", "/a?", "/a[b]", "/a%h", "/a\"b"] {
            assert!(include_line(Path::new(wrong), "x").is_err(), "{wrong}");
        }
    }
}
