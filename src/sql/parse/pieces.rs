//! What of a text is said rather than done: its values, quoted names and comments.
//!
//! Job: tell where they are written and what they are read as, so that something can be hidden in one of them and nothing
//! beside it. Boundary: one pass without memory of its own, for texts of any length and for those that no parser takes.
//! Failure mode: none; what is not closed goes to the end of the text.

use std::ops::Range;

use super::weight::{Rest, is_name, is_name_start};

/// Something that is said in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// What it is.
    pub kind: PieceKind,
    /// Where it is written, with its quotes.
    pub place: Range<usize>,
    /// Where it is written without them.
    pub inner: Range<usize>,
    /// What it is read as, where that is something else than what is written there.
    pub read: Option<Vec<u8>>,
}

/// What is said in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    /// A literal that is itself statements: the body of DO, or of a function.
    Code,
    /// A comment.
    Comment,
    /// Several comments with nothing but blanks between.
    Comments,
    /// A literal in quotes of any kind.
    Literal,
    /// A name in quotes.
    Name,
    /// Numbers without names, with the signs and points between them.
    Number,
    /// `$1` is 1.
    Parameter(u16),
}

/// What is said in a text, in order. `escaping`: as a server reads it with `standard_conforming_strings = off`.
pub fn pieces(text: &str, escaping: bool) -> impl Iterator<Item = Piece> {
    Pieces { rest: Rest::of(text), escaping, statement: Statement::default() }
}

struct Pieces<'a> {
    rest: Rest<'a>,
    escaping: bool,
    statement: Statement,
}

/// What is known of the statement that is gone through.
#[derive(Debug, Default)]
struct Statement {
    words: usize,
    /// Its first word is CREATE.
    creates: bool,
    /// Its literals are code: those behind AS, or all of them.
    code: Option<Behind>,
    /// The last word is AS.
    is_as: bool,
}

/// What a quote says in a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quoting {
    /// It ends, as in `B'01'`.
    Bare,
    /// Two of them are one.
    Doubled,
    /// And a backslash takes the next byte along.
    Escaping,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behind {
    Anything,
    As,
}

impl Statement {
    fn word(&mut self, word: &[u8]) {
        let is = |wanted: &str| word.eq_ignore_ascii_case(wanted.as_bytes());
        self.is_as = is("as");
        self.creates |= self.words == 0 && is("create");
        // CREATE OR REPLACE FUNCTION
        let defines = self.creates && self.words <= 3 && (is("function") || is("procedure"));
        if self.words == 0 && is("do") {
            self.code = Some(Behind::Anything);
        } else if defines {
            self.code = Some(Behind::As);
        }
        self.words += 1;
    }

    fn literal(&self) -> PieceKind {
        match self.code {
            Some(Behind::Anything) => PieceKind::Code,
            Some(Behind::As) if self.is_as => PieceKind::Code,
            _ => PieceKind::Literal,
        }
    }
}

impl Iterator for Pieces<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        loop {
            let start = self.rest.at;
            let byte = self.rest.next()?;
            let next = self.rest.peek();
            match (byte, next) {
                (b'-', Some(b'-')) | (b'/', Some(b'*')) => return Some(self.comments(start)),
                (b'\'', _) => {
                    return Some(
                        self.quoted(start, if self.escaping { Quoting::Escaping } else { Quoting::Doubled }),
                    );
                }
                (b'e' | b'E', Some(b'\'')) => {
                    self.rest.at += 1;
                    return Some(self.quoted(start, Quoting::Escaping));
                }
                (b'n' | b'N', Some(b'\'')) => {
                    self.rest.at += 1;
                    return Some(self.quoted(start, Quoting::Doubled));
                }
                (b'b' | b'B' | b'x' | b'X', Some(b'\'')) => {
                    self.rest.at += 1;
                    return Some(self.quoted(start, Quoting::Bare));
                }
                (b'u' | b'U', Some(b'&')) if self.rest.left().starts_with(b"&'") => {
                    self.rest.at += 2;
                    let piece = self.quoted(start, Quoting::Doubled);
                    return Some(self.with_numbers_read(piece));
                }
                (b'u' | b'U', Some(b'&')) if self.rest.left().starts_with(b"&\"") => {
                    self.rest.at += 2;
                    let piece = self.name(start);
                    return Some(self.with_numbers_read(piece));
                }
                (b'"', _) => return Some(self.name(start)),
                (b'$', _) => {
                    if let Some(piece) = self.dollars(start) {
                        return Some(piece);
                    }
                }
                (b'0'..=b'9', _) | (b'.' | b'+', Some(b'0'..=b'9')) => return Some(self.number(start)),
                (b';', _) => self.statement = Statement::default(),
                (byte, _) if is_name_start(byte) => {
                    self.rest.skip_while(is_name);
                    let word = self.rest.since(start);
                    self.statement.word(word);
                }
                _ => {}
            }
        }
    }
}

impl Pieces<'_> {
    /// From the second byte of a comment on, with all that follow it at once.
    fn comments(&mut self, start: usize) -> Piece {
        let (mut kind, mut inner, mut end);
        kind = PieceKind::Comment;
        inner = start..start;
        loop {
            let began = self.rest.at - 1;
            let is_line = self.rest.peek() == Some(b'-');
            if is_line {
                self.rest.skip_line();
            } else {
                self.rest.skip_comment();
            }
            end = self.rest.at;
            let closed = !is_line && self.rest.since(began).ends_with(b"*/") && end - began >= 4;
            if kind == PieceKind::Comment {
                inner = began + 2..if closed { end - 2 } else { end };
            }
            self.rest.skip_while(|byte| byte.is_ascii_whitespace() || byte == 0x0b);
            if !self.rest.left().starts_with(b"--") && !self.rest.left().starts_with(b"/*") {
                break;
            }
            self.rest.at += 1;
            kind = PieceKind::Comments;
        }
        if kind == PieceKind::Comments {
            inner = start..end;
        }
        Piece { kind, place: start..end, inner, read: None }
    }

    /// Behind the opening quote of a literal.
    fn quoted(&mut self, start: usize, quoting: Quoting) -> Piece {
        let from = self.rest.at;
        let mut read: Option<Vec<u8>> = None;
        let mut end = self.rest.end();
        while let Some(byte) = self.rest.next() {
            let at = self.rest.at - 1;
            let other = |read: Option<Vec<u8>>, rest: &Rest<'_>| {
                read.unwrap_or_else(|| rest.between(from, at).to_vec())
            };
            match byte {
                b'\\' if quoting == Quoting::Escaping => {
                    let mut known = other(read.take(), &self.rest);
                    self.escape(&mut known);
                    read = Some(known);
                }
                b'\'' if quoting != Quoting::Bare && self.rest.peek() == Some(b'\'') => {
                    let mut known = other(read.take(), &self.rest);
                    self.rest.at += 1;
                    known.push(b'\'');
                    read = Some(known);
                }
                b'\'' => {
                    if self.rest.goes_on() {
                        read = Some(other(read.take(), &self.rest));
                        continue;
                    }
                    end = at;
                    break;
                }
                byte => {
                    if let Some(read) = &mut read {
                        read.push(byte);
                    }
                }
            }
        }
        let kind = self.statement.literal();
        Piece { kind, place: start..self.rest.at.min(self.rest.end()), inner: from..end.max(from), read }
    }

    /// Behind a backslash: what it says of what follows.
    fn escape(&mut self, read: &mut Vec<u8>) {
        let Some(byte) = self.rest.next() else { return };
        let number = |rest: &mut Rest<'_>, most: usize, radix: u32| {
            let digits = rest.left().iter().take(most).take_while(|byte| char::from(**byte).is_digit(radix));
            let length = digits.count();
            let digits = rest.left().get(..length).and_then(|digits| std::str::from_utf8(digits).ok());
            let number = digits.and_then(|digits| u32::from_str_radix(digits, radix).ok());
            rest.at += if number.is_some() { length } else { 0 };
            number
        };
        match byte {
            b'b' => read.push(8),
            b'f' => read.push(12),
            b'n' => read.push(b'\n'),
            b'r' => read.push(b'\r'),
            b't' => read.push(b'\t'),
            b'0'..=b'7' => {
                self.rest.at -= 1;
                // three digits say more than a byte holds, of which PostgreSQL takes the lower part
                let byte = number(&mut self.rest, 3, 8).unwrap_or_default() & 0xff;
                read.push(u8::try_from(byte).unwrap_or_default());
            }
            b'x' => match number(&mut self.rest, 2, 16) {
                Some(byte) => read.push(u8::try_from(byte).unwrap_or_default()),
                None => read.push(b'x'),
            },
            b'u' | b'U' => {
                let unit = number(&mut self.rest, if byte == b'u' { 4 } else { 8 }, 16);
                push(read, unit);
            }
            other => read.push(other),
        }
    }

    /// Behind the opening quote of a name.
    fn name(&mut self, start: usize) -> Piece {
        let from = self.rest.at;
        let (mut end, mut doubled) = (self.rest.end(), false);
        while let Some(byte) = self.rest.next() {
            if byte != b'"' {
                continue;
            }
            if self.rest.peek() == Some(b'"') {
                self.rest.at += 1;
                doubled = true;
                continue;
            }
            end = self.rest.at - 1;
            break;
        }
        let written = self.rest.between(from, end);
        let read = doubled.then(|| {
            let mut read = Vec::with_capacity(written.len());
            let mut bytes = written.iter();
            while let Some(byte) = bytes.next() {
                read.push(*byte);
                if *byte == b'"' {
                    bytes.next();
                }
            }
            read
        });
        self.statement.word(b"\"");
        Piece { kind: PieceKind::Name, place: start..self.rest.at, inner: from..end.max(from), read }
    }

    /// `U&'…'` with the character that UESCAPE names behind it.
    fn with_numbers_read(&mut self, piece: Piece) -> Piece {
        let began = self.rest.at;
        let mut escape = b'\\';
        self.rest.skip_while(|byte| byte.is_ascii_whitespace() || byte == 0x0b);
        let keyword = self.rest.left().get(..UESCAPE.len());
        if keyword.is_some_and(|word| word.eq_ignore_ascii_case(UESCAPE)) {
            self.rest.at += UESCAPE.len();
            self.rest.skip_while(|byte| byte.is_ascii_whitespace() || byte == 0x0b);
            if let [b'\'', named, b'\'', ..] = self.rest.left() {
                escape = *named;
            }
        }
        self.rest.at = began;
        let written = match &piece.read {
            Some(read) => read.as_slice(),
            None => self.rest.between(piece.inner.start, piece.inner.end),
        };
        if !written.contains(&escape) {
            return piece;
        }
        let (mut read, mut left) = (Vec::with_capacity(written.len()), written);
        while let Some((byte, rest)) = left.split_first() {
            left = rest;
            if *byte != escape {
                read.push(*byte);
                continue;
            }
            let (skipped, length) = match rest.first() {
                Some(b'+') => (1, 6),
                _ => (0, 4),
            };
            let digits =
                rest.get(skipped..skipped + length).and_then(|digits| std::str::from_utf8(digits).ok());
            match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
                Some(unit) => {
                    push(&mut read, Some(unit));
                    left = rest.get(skipped + length..).unwrap_or_default();
                }
                // twice it is itself
                None => {
                    read.push(escape);
                    left = rest.strip_prefix(&[escape]).unwrap_or(rest);
                }
            }
        }
        Piece { read: Some(read), ..piece }
    }

    /// Behind a dollar: a literal in dollar quotes, or a parameter.
    fn dollars(&mut self, start: usize) -> Option<Piece> {
        let is_digit = self.rest.peek().is_some_and(|byte| byte.is_ascii_digit());
        self.rest.skip_dollars();
        let end = self.rest.at;
        let written = self.rest.since(start);
        if is_digit {
            let number = written.get(1..).and_then(|digits| std::str::from_utf8(digits).ok());
            let kind = PieceKind::Parameter(number?.parse().ok()?);
            return Some(Piece { kind, place: start..end, inner: start + 1..end, read: None });
        }
        // a dollar alone is nothing
        let tag = written.iter().skip(1).position(|byte| *byte == b'$')? + 2;
        let is_closed = written.len() >= 2 * tag && written.get(written.len() - tag..) == written.get(..tag);
        let inner = start + tag..if is_closed { end - tag } else { end };
        Some(Piece { kind: self.statement.literal(), place: start..end, inner, read: None })
    }

    fn number(&mut self, start: usize) -> Piece {
        while let [byte, rest @ ..] = self.rest.left() {
            let goes_on = match byte {
                b'0'..=b'9' | b'_' => true,
                b'.' | b'+' | b'-' => rest.first().is_some_and(u8::is_ascii_digit),
                _ => false,
            };
            if !goes_on {
                break;
            }
            self.rest.at += 1;
        }
        let place = start..self.rest.at;
        Piece { kind: PieceKind::Number, place: place.clone(), inner: place, read: None }
    }
}

/// A character by its number. Halves of one are no character, and nothing that anybody looks for.
fn push(read: &mut Vec<u8>, unit: Option<u32>) {
    let character = unit.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
    read.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

const UESCAPE: &[u8] = b"uescape";

#[cfg(test)]
mod tests;
