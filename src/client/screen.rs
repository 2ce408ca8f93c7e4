//! What a terminal showed, made safe for another terminal.
//!
//! Job: let through what draws, and nothing that makes a terminal answer, remember, write to the clipboard or to
//! a file, or change what keys and mouse do: whoever looks at a recording must not be steered by it. Boundary:
//! knows the forms of ECMA-48 and a list of what draws; anything else is left out. Failure mode: a picture that
//! is not quite the one that was seen.

/// Goes through the bytes of one terminal, in pieces as they come.
#[derive(Debug, Default)]
pub struct Screen {
    state: State,
    /// The sequence that has begun, from its ESC on.
    begun: Vec<u8>,
    /// A character whose bytes are not all there.
    character: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    Escape,
    Control,
    /// Inside a string for the terminal itself: a title, a clipboard, a function key.
    Text,
    /// An ESC inside such a string, which may end it.
    TextEscape,
}

impl Screen {
    /// Takes a piece; returns what may be shown of it.
    #[must_use]
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = Vec::with_capacity(bytes.len());
        for byte in bytes {
            self.byte(*byte, &mut shown);
        }
        shown
    }

    fn byte(&mut self, byte: u8, shown: &mut Vec<u8>) {
        match (self.state, byte) {
            // these two end whatever has begun
            (State::Escape | State::Control | State::Text | State::TextEscape, 0x18 | 0x1a) => {
                self.state = State::Ground;
            }
            (State::Text, 0x07) => self.state = State::Ground,
            (State::Text, ESC) => self.state = State::TextEscape,
            (State::Text, _) => {}
            (State::TextEscape, b'\\') => self.state = State::Ground,
            (State::Ground | State::Escape | State::Control, ESC) | (State::TextEscape, _) => {
                self.character.clear();
                self.begun = vec![ESC];
                self.state = State::Escape;
                if byte != ESC {
                    self.byte(byte, shown);
                }
            }
            (State::Ground, _) => self.plain(byte, shown),
            (State::Escape, b'[') => self.go_on(byte, State::Control),
            (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => self.state = State::Text,
            (State::Escape, 0x20..=0x2f) => self.go_on(byte, State::Escape),
            (State::Escape, 0x30..=0x7e) => {
                self.go_on(byte, State::Ground);
                if escape_draws(self.begun.get(1..).unwrap_or_default()) {
                    shown.append(&mut self.begun);
                }
            }
            (State::Control, 0x20..=0x3f) => self.go_on(byte, State::Control),
            (State::Control, 0x40..=0x7e) => {
                self.go_on(byte, State::Ground);
                if control_draws(self.begun.get(2..).unwrap_or_default()) {
                    shown.append(&mut self.begun);
                }
            }
            // a control character inside a sequence counts as if it stood before it
            (State::Escape | State::Control, 0..0x20) => self.plain(byte, shown),
            (State::Escape | State::Control, _) => self.state = State::Ground,
        }
    }

    fn go_on(&mut self, byte: u8, state: State) {
        self.begun.push(byte);
        self.state = state;
        // no sequence that draws is so long
        if self.begun.len() > LONGEST {
            self.state = State::Ground;
        }
    }

    fn plain(&mut self, byte: u8, shown: &mut Vec<u8>) {
        match byte {
            0x07..=0x0f => shown.push(byte),
            0..0x20 | 0x7f => {}
            0x20..0x7f => {
                self.character.clear();
                shown.push(byte);
            }
            0x80.. => {
                self.character.push(byte);
                match std::str::from_utf8(&self.character) {
                    Ok(text) => {
                        // U+0080 to U+009F are control characters too, some as powerful as ESC
                        if !text.contains(char::is_control) {
                            shown.extend_from_slice(text.as_bytes());
                        }
                        self.character.clear();
                    }
                    Err(error) if error.error_len().is_some() => {
                        self.character.clear();
                        shown.push(b'?');
                    }
                    Err(_) => {}
                }
            }
        }
    }
}

/// Of `ESC …`: cursor, scrolling, tabs, keypads, character sets.
fn escape_draws(rest: &[u8]) -> bool {
    matches!(
        rest,
        [b'7' | b'8' | b'D' | b'E' | b'H' | b'M' | b'=' | b'>']
            | [b'(' | b')' | b'*' | b'+', b'0' | b'A' | b'B']
    )
}

/// Of `ESC [ …`: cursor, erasing, colours, regions, and the modes that only draw.
fn control_draws(rest: &[u8]) -> bool {
    let Some((end, parameters)) = rest.split_last() else { return false };
    let numbers = parameters.iter().all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':'));
    match end {
        b'@'
        | b'A'..=b'M'
        | b'P'
        | b'S'
        | b'T'
        | b'X'
        | b'Z'
        | b'`'
        | b'a'
        | b'b'
        | b'd'..=b'g'
        | b'm'
        | b'r'
        | b's'
        | b'u' => numbers,
        b'h' | b'l' => match parameters {
            [b'?', modes @ ..] => modes.split(|byte| *byte == b';').all(|mode| DRAWING.contains(&mode)),
            [b'4'] => true,
            _ => false,
        },
        _ => false,
    }
}

/// Columns, origin, wrapping, the cursor, the other screen.
const DRAWING: [&[u8]; 9] = [b"3", b"5", b"6", b"7", b"12", b"25", b"47", b"1047", b"1049"];
const ESC: u8 = 0x1b;
const LONGEST: usize = 64;

/// Puts a terminal back into order: attributes, margins, wrapping, the cursor, the first screen.
pub const RESET: &[u8] = b"\x1b[?1049l\x1b[r\x1b[?6l\x1b[?7h\x1b[?25h\x1b(B\x0f\x1b[0m\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Vec<u8> {
        let at_once = Screen::default().feed(bytes);
        let mut by_bytes = Screen::default();
        let pieces: Vec<u8> = bytes.iter().flat_map(|byte| by_bytes.feed(&[*byte])).collect();
        assert_eq!(at_once, pieces, "pieces change nothing");
        at_once
    }

    #[test]
    fn what_draws_passes() {
        let drawn = "ls\r\n\x1b[1;31mrot\x1b[0m\x1b[2J\x1b[H\x1b[?1049h\x1b7\x1b(0x\x1b(B\x1b[?25l grün ✓ 🦀\x08\t\x07";
        assert_eq!(whole(drawn.as_bytes()), drawn.as_bytes());
    }

    #[test]
    fn what_steers_a_terminal_does_not() {
        for hostile in [
            "\x1b[c",
            "\x1b[6n",
            "\x1b[?1000h",
            "\x1b[?2004h",
            "\x1b[21t",
            "\x1b[5i",
            "\x1b[?25;1003h",
            "\x1bZ",
            "\x1bc",
            "\x1b]52;c;cm0gLXJm\x07",
            "\x1b]0;title\x1b\\",
            "\x1bP$q\"p\x1b\\",
            "\x1b_G\x1b\\",
            "\x1b^x\x1b\\",
            "\x05",
            "\u{9b}6n",
            "\u{9d}52;c;x\u{9c}",
            "\x1b[>c",
            "\x1b[=c",
            "\x1b[?6n",
            "\x1b[!p",
            "\x1b[4$p",
            "\x1b[>4;2m",
            "\x1b[?u",
        ] {
            let text = format!("a{hostile}b");
            let shown = String::from_utf8(whole(text.as_bytes())).unwrap_or_default();
            assert!(!shown.contains(['\x1b', '\x05', '\u{9b}', '\u{9d}']), "{text:?} shows {shown:?}");
            assert!(shown.starts_with('a') && shown.ends_with('b'), "{text:?} shows {shown:?}");
        }
    }

    #[test]
    fn a_string_that_never_ends_swallows_no_escape_that_ends_it() {
        assert_eq!(whole(b"a\x1b]0;x\x1b[31mb"), b"a\x1b[31mb");
        assert_eq!(whole(b"a\x1b]0;x\x18b"), b"ab");
        assert_eq!(whole(b"a\xff\xfeb\xc3"), b"a??b");
        let long = [b"a\x1b[".as_slice(), &[b'1'; 500], b"mb"].concat();
        assert!(!whole(&long).contains(&ESC));
    }
}
