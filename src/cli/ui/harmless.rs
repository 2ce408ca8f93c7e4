//! Text from elsewhere, shown so that it can neither steer a terminal nor deceive the eye.
//!
//! Job: lays it out in lines, blocks and columns; what deceives is written out by `domain::text`.
//! Boundary: letters that look alike are left as they are.

pub use crate::domain::text::{deceives, line};

use crate::domain::text::push;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Several lines, each broken at `width` and numbered, behind a bar that no text can leave:
///
/// ```text
///    1 │ SELECT *
///    2 │ FROM users
/// ```
#[must_use]
pub fn block(text: &str, width: usize) -> Vec<String> {
    let room = width.saturating_sub(GUTTER).max(8);
    let mut lines = Vec::new();
    for (number, text) in (1_usize..).zip(text.split('\n')) {
        let mut shown = String::new();
        let mut length = 0;
        let mut label = format!("{number:>4} │ ");
        for c in text.strip_suffix('\r').unwrap_or(text).chars() {
            let mut piece = String::new();
            // indentation is part of how a statement is read
            if c == '\t' {
                piece.push_str("    ");
            } else {
                push(&mut piece, c);
            }
            let wide = piece.width();
            if length + wide > room {
                lines.push(format!("{label}{shown}").trim_end().to_owned());
                label = "     │ ".into();
                shown.clear();
                length = 0;
            }
            shown.push_str(&piece);
            length += wide;
        }
        lines.push(format!("{label}{shown}").trim_end().to_owned());
    }
    lines
}

/// Breaks text for people at spaces, and a word that is too long wherever it must, the following lines
/// behind `indent` spaces.
#[must_use]
pub fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let room = width.saturating_sub(indent).max(8);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_inclusive(' ') {
        let wide = word.trim_end().width();
        if used > 0 && used + wide > room {
            lines.push(String::new());
            used = 0;
        }
        for c in word.chars() {
            let wide = c.width().unwrap_or_default();
            // a space at the end of a line needs no room
            if used + wide > room && c != ' ' {
                lines.push(String::new());
                used = 0;
            }
            if let Some(line) = lines.last_mut() {
                line.push(c);
            }
            used += wide;
        }
    }
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end_matches(' ')).collect();
    lines.join(&format!("\n{}", " ".repeat(indent)))
}

/// At most `width` wide; what is cut is marked.
#[must_use]
pub fn short(text: &str, width: usize) -> String {
    let text = line(text);
    if text.width() <= width {
        return text;
    }
    let mut cut = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or_default();
        if used > width {
            break;
        }
        cut.push(c);
    }
    cut.push('…');
    cut
}

/// A number, a space, the bar, a space.
const GUTTER: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_block_can_pass_for_one_of_ours() {
        let wide = block(&"表".repeat(40), 40);
        assert!(wide.iter().all(|line| line.width() <= 40), "{wide:#?}");
        let text = format!("select 1;\ndigest     0000\rstate      approved\n{}x", " ".repeat(100));
        let lines = block(&text, 40);
        assert!(lines.iter().all(|line| line.chars().nth(5) == Some('│')), "{lines:#?}");
        assert!(lines.iter().all(|line| line.chars().count() <= 40), "{lines:#?}");
        assert_eq!(
            lines.last().map(String::as_str),
            Some("     │  x"),
            "what was moved out of sight is seen"
        );
        assert_eq!(lines.get(1).map(String::as_str), Some("   2 │ digest     0000\\u{d}state      ap"));
    }

    #[test]
    fn words_are_kept_whole() {
        assert_eq!(wrapped("one two three four", 10, 2), "one two\n  three\n  four");
        assert_eq!(
            wrapped("a 0123456789abcdef", 10, 2),
            "a\n  01234567\n  89abcdef",
            "unless they are too long"
        );
        // an ideograph takes two columns: a terminal would break the line where it likes
        let wide = wrapped(&"表".repeat(20), 20, 2);
        assert!(wide.lines().all(|line| line.width() <= 20), "{wide}");
        assert_eq!(short("0123456789", 5), "0123…");
    }
}
