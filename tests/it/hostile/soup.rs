//! Random statements of quotes, escapes, comments and letters, of which a good part is SQL.

use rand::{Rng as _, RngExt as _, SeedableRng as _};

/// A source of statements.
pub(super) struct Soup {
    dice: rand_pcg::Pcg64Mcg,
    /// Letters beyond ASCII in the encoding of whoever reads, and letters within.
    letters: Vec<Vec<u8>>,
}

impl Soup {
    pub(super) fn new(seed: u64, letters: Vec<Vec<u8>>) -> Self {
        Self { dice: rand_pcg::Pcg64Mcg::seed_from_u64(seed), letters }
    }

    /// The next statement.
    pub(super) fn text(&mut self) -> Vec<u8> {
        let mut text = b"SELECT ".to_vec();
        for item in 0..self.dice.random_range(1..4) {
            if item > 0 {
                text.push(b',');
            }
            self.gap(&mut text);
            self.item(&mut text);
            self.gap(&mut text);
        }
        text.extend_from_slice(b" FROM people p");
        self.gap(&mut text);
        text.extend_from_slice(b" ORDER BY p.id");
        self.gap(&mut text);
        for _ in 0..[0, 0, 0, 1, 1, 2][self.below(6)] {
            self.spoil(&mut text);
        }
        match self.below(4) {
            0 => text.extend_from_slice(b"; DELETE FROM precious"),
            1 => text.extend_from_slice(b"; DELETE FROM precious; --'"),
            _ => {}
        }
        text.retain(|byte| *byte != 0);
        text
    }

    fn item(&mut self, text: &mut Vec<u8>) {
        if self.below(3) == 0 {
            return text.extend_from_slice(COLUMNS[self.below(COLUMNS.len())]);
        }
        let (open, close) = LITERALS[self.below(LITERALS.len())];
        text.extend_from_slice(open);
        for _ in 0..self.below(5) {
            // what ends a literal of this kind stands in it less often than the rest
            let inside: &[&[u8]] = if self.below(4) == 0 { ENDS } else { INSIDE };
            match self.below(inside.len() + 2) {
                at if at < inside.len() => text.extend_from_slice(inside[at]),
                _ => self.letter(text),
            }
        }
        text.extend_from_slice(close);
    }

    fn gap(&mut self, text: &mut Vec<u8>) {
        if self.below(3) == 0 {
            let (open, close) = COMMENTS[self.below(COMMENTS.len())];
            text.extend_from_slice(open);
            self.letter(text);
            text.extend_from_slice(close);
        }
        text.push(b' ');
    }

    fn letter(&mut self, text: &mut Vec<u8>) {
        if !self.letters.is_empty() {
            let at = self.below(self.letters.len());
            text.extend_from_slice(&self.letters[at].clone());
        }
    }

    /// Puts a piece where it does not belong, or takes a byte away.
    fn spoil(&mut self, text: &mut Vec<u8>) {
        let at = self.below(text.len());
        if self.below(3) == 0 {
            text.remove(at);
            return;
        }
        let pieces = if self.below(2) == 0 { ENDS } else { INSIDE };
        let piece = pieces[self.below(pieces.len())];
        text.splice(at..at, piece.iter().copied());
    }

    fn below(&mut self, end: usize) -> usize {
        self.dice.next_u32() as usize % end
    }
}

const COLUMNS: &[&[u8]] = &[
    b"ssn",
    b"\"ssn\"",
    b"p.ssn",
    b"p . /* x */ ssn",
    b"U&\"s\\0073n\"",
    b"U&\"s!0073n\" UESCAPE '!'",
    b"SSN",
    b"name",
    b"p",
    b"(p).ssn",
    b"p.*",
    b"(SELECT ssn)",
    b"id::text",
    b"ssn || 'x'",
    b"length(ssn)",
    b"E'\\x73sn'",
    b"1",
    b"$$x$$ || ssn",
];

const LITERALS: &[(&[u8], &[u8])] = &[
    (b"'", b"'"),
    (b"'", b"'"),
    (b"E'", b"'"),
    (b"e'", b"'"),
    (b"U&'", b"'"),
    (b"$$", b"$$"),
    (b"$a$", b"$a$"),
    (b"N'", b"'"),
    (b"'x'\n'", b"'"),
    (b"E'x'\n--c\n'", b"'"),
    (b"1 AS \"", b"\""),
    (b"1 AS U&\"", b"\""),
    (b"E'\\'", b"'"),
    (b"'\\'", b"'"),
];

const INSIDE: &[&[u8]] = &[
    b"\\\\",
    b"\\n",
    b"\\0061",
    b"\\u0061",
    b"\\x41",
    b"\\xc3\\xa4",
    b"\\303\\244",
    b"\\101",
    b"--",
    b"/*",
    b"*/",
    b"$b$",
    b"''",
    b"\\''",
    b"ssn",
    b" ",
    b"\n",
    b"\"\"",
    b"\\+01F600",
    b"x",
    b"; DELETE FROM precious; ",
    b"%",
    b"\\",
];

const ENDS: &[&[u8]] =
    &[b"'", b"\\'", b"\"", b"$$", b"$a$", b"$", b"/*", b"*/", b"--", b"\n", b"\\", b"E'", b"' || '", b"''"];

const COMMENTS: &[(&[u8], &[u8])] = &[
    (b"/*", b"*/"),
    (b"/* /* ' */", b"*/"),
    (b"--", b"\n"),
    (b"-- '\\", b"\n"),
    (b"/*\\", b"*/"),
    (b"/*$$", b"*/"),
    (b"--", b"\r"),
];
