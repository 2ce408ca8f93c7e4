//! Methods that a request asks for beside its own.
//!
//! Job: know the fields with which frameworks let a form be another method (`_method` of Rails, Laravel and others,
//! `$httpMethod` of Google's APIs), in queries, in forms, and in the parts of a multipart body that passes by. Boundary:
//! headers of that kind are `head`'s. Failure mode: such a request is refused, whatever the server makes of it.

use super::target::folded;

#[cfg(test)]
mod tests;

/// Whether a field of this name asks for another method.
#[must_use]
pub fn is_override(name: &str) -> bool {
    OVERRIDES.contains(&folded(name.trim()).replace('-', "_").as_str())
}

/// Looks for such fields among the names of parts (RFC 7578 §4.2).
#[derive(Debug, Default)]
pub struct Parts {
    /// The line at hand, and what it continues, as far as it may say a name.
    line: Vec<u8>,
    /// Whether the line at hand has begun.
    is_begun: bool,
    found: bool,
}

impl Parts {
    /// Reads the next piece; whether a part so far asks for another method.
    pub fn feed(&mut self, piece: &[u8]) -> bool {
        for byte in piece {
            if matches!(byte, b'\r' | b'\n') {
                self.is_begun = false;
                continue;
            }
            // a line that begins with white space goes on with the one before (RFC 5322 §2.2.3)
            if !self.is_begun && !matches!(byte, b' ' | b'\t') {
                self.look();
                self.line.clear();
            }
            self.is_begun = true;
            if self.line.len() < LONGEST_LINE {
                self.line.push(byte.to_ascii_lowercase());
            }
        }
        self.found
    }

    /// The body ends; whether some part asked for another method.
    pub fn finish(&mut self) -> bool {
        self.look();
        self.found
    }

    fn look(&mut self) {
        if !self.line.starts_with(b"content-disposition") {
            return;
        }
        // without quotes, backslashes and percent-encoding, in whatever way the name is written
        let line: Vec<u8> = self.line.iter().copied().filter(|byte| !b"\\\"' \t".contains(byte)).collect();
        let line = percent_encoding::percent_decode(&line).decode_utf8_lossy().to_lowercase();
        let names = line.split([';', '=']).map(str::trim);
        self.found |= names.clone().any(is_override)
            || names.clone().any(|name| is_override(name.trim_start_matches("utf-8")));
    }
}

const OVERRIDES: &[&str] = &[
    "$httpmethod",
    "_http_method",
    "_method",
    "http_method_override",
    "x_http_method",
    "x_http_method_override",
    "x_method_override",
];
/// Longer lines than this are no names that a framework looks for.
const LONGEST_LINE: usize = 4096;
