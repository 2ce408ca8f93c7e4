//! How much a text is before it is read.
//!
//! Job: an upper bound on the tokens of a text, in one pass and no memory. The scanner and the parser take some
//! hundreds of bytes for each token, so a text of many small ones costs a hundred times its length; what is too much
//! has to be known before they see it. Boundary: `standard_conforming_strings` on; no meaning. Failure mode: a text
//! that cannot be scanned counts as what it is up to there, or more.

/// No fewer than the tokens of this text, comments among them, as PostgreSQL's scanner counts them.
pub(super) fn weight(text: &str) -> usize {
    let mut rest = Rest::of(text);
    let mut tokens = 0_usize;
    while let Some(byte) = rest.next() {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => continue,
            b'-' if rest.peek() == Some(b'-') => rest.skip_line(),
            b'/' if rest.peek() == Some(b'*') => rest.skip_comment(),
            b'\'' => rest.skip_quoted(b'\''),
            b'"' => rest.skip_quoted(b'"'),
            b'e' | b'E' if rest.peek() == Some(b'\'') => {
                rest.at += 1;
                rest.skip_escaping();
            }
            b'$' => rest.skip_dollars(),
            _ if is_name_start(byte) => rest.skip_while(is_name),
            b'0'..=b'9' => rest.skip_while(|byte| is_name(byte) && byte != b'$'),
            _ => {}
        }
        tokens = tokens.saturating_add(1);
    }
    tokens
}

/// What is left of a text.
pub(super) struct Rest<'a> {
    bytes: &'a [u8],
    /// How much of it was read.
    pub(super) at: usize,
}

impl<'a> Rest<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), at: 0 }
    }

    /// Where the text ends.
    pub(super) fn end(&self) -> usize {
        self.bytes.len()
    }

    /// What was read from there on.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        self.between(start, self.at)
    }

    pub(super) fn between(&self, start: usize, end: usize) -> &'a [u8] {
        self.bytes.get(start..end.min(self.bytes.len())).unwrap_or_default()
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn left(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(super) fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&wanted) {
            self.at += 1;
        }
    }

    pub(super) fn skip_line(&mut self) {
        self.skip_while(|byte| byte != b'\n' && byte != b'\r');
    }

    /// From the star of `/*` to the end of the comment, with those in it.
    pub(super) fn skip_comment(&mut self) {
        let mut depth = 0_usize;
        self.at = self.at.saturating_sub(1);
        while let Some(byte) = self.next() {
            match (byte, self.peek()) {
                (b'/', Some(b'*')) => depth += 1,
                (b'*', Some(b'/')) => depth -= 1,
                _ => continue,
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }

    /// Behind an opening quote, to behind the closing one. Two quotes are one token and a second, which is no less.
    fn skip_quoted(&mut self, quote: u8) {
        self.skip_while(|byte| byte != quote);
        self.at += 1;
    }

    /// The same where a backslash takes the next byte along, and where the text goes on after a line break.
    fn skip_escaping(&mut self) {
        while let Some(byte) = self.next() {
            match byte {
                b'\\' => self.at += 1,
                b'\'' if self.peek() == Some(b'\'') => self.at += 1,
                b'\'' if !self.goes_on() => return,
                _ => {}
            }
        }
    }

    /// Whether a string literal goes on behind blanks and comments with a line break among them; then it is there that
    /// one stands.
    pub(super) fn goes_on(&mut self) -> bool {
        let began = self.at;
        let mut broken = false;
        loop {
            match self.peek() {
                Some(b'\n' | b'\r') => broken = true,
                Some(b' ' | b'\t' | 0x0b | 0x0c) => {}
                Some(b'-') if self.left().starts_with(b"--") => {
                    self.skip_line();
                    continue;
                }
                Some(b'\'') if broken => {
                    self.at += 1;
                    return true;
                }
                _ => break,
            }
            self.at += 1;
        }
        self.at = began;
        false
    }

    /// Behind a dollar: a text in dollar quotes whole, else nothing or the digits of a parameter.
    pub(super) fn skip_dollars(&mut self) {
        let began = self.at;
        if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return self.skip_while(|byte| byte.is_ascii_digit());
        }
        self.skip_while(|byte| is_name(byte) && byte != b'$');
        if self.peek() != Some(b'$') {
            self.at = began;
            return;
        }
        self.at += 1;
        let tag = self.bytes.get(began.saturating_sub(1)..self.at).unwrap_or_default();
        // linear: there is a dollar at the ends of a tag and nowhere in it, so no two places overlap
        let end = self.left().windows(tag.len()).position(|window| window == tag);
        self.at = end.map_or(self.bytes.len(), |end| self.at + end + tag.len());
    }
}

pub(super) fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

pub(super) fn is_name(byte: u8) -> bool {
    is_name_start(byte) || byte.is_ascii_digit() || byte == b'$'
}
