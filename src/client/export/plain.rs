//! What was shown, as text alone: without colours, positions and whatever else a terminal obeys.

use crate::client::screen::Screen;
use crate::domain::text;

/// Takes the bytes of one stream, in pieces as they come.
#[derive(Debug, Default)]
pub(super) struct Plain {
    screen: Screen,
    /// Whether the last byte was a carriage return.
    returned: bool,
}

impl Plain {
    /// The text of a piece. Lines end with a line feed alone.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> String {
        let safe = self.screen.feed(bytes);
        let mut shown = String::with_capacity(safe.len());
        let whole = String::from_utf8_lossy(&safe);
        let mut characters = whole.chars();
        while let Some(c) = characters.next() {
            let returned = std::mem::replace(&mut self.returned, c == '\r');
            // what overwrites a line is another one here
            if returned && c != '\n' {
                shown.push('\n');
            }
            match c {
                // a sequence is whole, or not there
                '\u{1b}' => pass(&mut characters),
                '\n' | '\t' => shown.push(c),
                '\r' => {}
                c if c.is_control() => {}
                c => text::push(&mut shown, c),
            }
        }
        shown
    }
}

/// Passes over the rest of a sequence.
fn pass(characters: &mut std::str::Chars<'_>) {
    match characters.next() {
        Some('[') => drop(characters.find(|c| matches!(c, '@'..='~'))),
        Some('(' | ')' | '*' | '+') => drop(characters.next()),
        _ => {}
    }
}

/// Lines of a text as it was typed, with nothing in them that a terminal obeys.
pub(super) fn lines(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => shown.push(c),
            c => text::push(&mut shown, c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::{Plain, lines};

    #[test]
    fn text_alone_is_left() {
        let hostile = b"\x1b[1;31mred\x1b[0m\x1b]0;title\x07\x1b]52;c;eA==\x1b\\\r\nnext\r50%\r100%\r\n\xe2\x80\xaex\x08\x07\x1b(0q\x1b(B\xc2\x9b6n\xff.";
        let expected = "red\nnext\n50%\n100%\n\\u{202e}xq6n?.";
        assert_eq!(Plain::default().feed(hostile), expected);
        let mut plain = Plain::default();
        let pieces: String = hostile.iter().map(|byte| plain.feed(&[*byte])).collect();
        assert_eq!(pieces, expected);
        assert_eq!(lines("a\tb\n\u{1b}[2J\r"), "a\tb\n\\u{1b}[2J\\u{d}");
    }
}
