//! Statements that differ in nothing but some of their literals.
//!
//! Job: take the literals out of a text ([`Pattern`]), tell which of them may be any other without the
//! statement becoming another ([`free_literals`]), and put others into what came of inspecting it
//! ([`Template`]), so that it need not be parsed, judged, written and compared again. Boundary: it
//! inspects nothing itself and keeps nothing. Failure mode: `None`; the text is then inspected as a whole.
//!
//! Why this is sound: the scanner is run over every text, and PostgreSQL's grammar sees nothing of a literal
//! but its kind, so two texts with the same tokens but for some literals have the same tree but for
//! those literals. What such a literal can still decide is kept out by an allow-list of places: it is compared
//! with a column, assigned to one that is not protected, or part of such a VALUES, and it is a plain
//! string or a whole number that stays an `int4`. A literal anywhere else (LIMIT, a type's modifier, an argument,
//! a cast, a position in ORDER BY) belongs to the pattern. And a template is believed only after it was right
//! about two more texts than the one it was cut from.

mod places;
mod template;

use std::ops::Range;

use pg_query::protobuf::Token;

use super::parse::tokens;
use super::protect::Protection;
use super::walk::PLACE;

pub use places::free_literals;
pub use template::{Finding, Template};

/// A text with its plain literals taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    literals: Vec<Literal>,
}

/// A plain literal: a whole number as PostgreSQL writes an `int4`, or a string without quotes and escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Literal {
    place: Range<usize>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    String,
}

impl Pattern {
    /// The pattern of a text; `None` when it has no plain literal, too many of them, or cannot be read.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        // the key marks places with NUL, which no statement can hold
        if text.len() > LONGEST || text.contains('\0') {
            return None;
        }
        let mut literals = Vec::new();
        for token in tokens(text).ok()? {
            let place = usize::try_from(token.start).ok()?..usize::try_from(token.end).ok()?;
            let kind = match Token::try_from(token.token) {
                Ok(Token::Iconst) if is_plain_number(text.get(place.clone())?) => Kind::Number,
                Ok(Token::Sconst) if is_plain_string(text.get(place.clone())?) => Kind::String,
                _ => continue,
            };
            literals.push(Literal { place, kind });
        }
        (1..=MOST).contains(&literals.len()).then_some(Self { literals })
    }

    /// What texts of this pattern have in common.
    #[must_use]
    pub fn key(&self, text: &str) -> String {
        self.without(text, |_| true)
    }

    /// What texts have in common that differ in nothing but their free literals.
    #[must_use]
    pub fn key_but(&self, text: &str, free: &[bool]) -> String {
        self.without(text, |number| free.get(number) == Some(&true))
    }

    /// The free literals as they are written.
    #[must_use]
    pub fn values<'t>(&self, text: &'t str, free: &[bool]) -> Vec<&'t str> {
        let chosen = self.literals.iter().zip(free).filter(|(_, free)| **free);
        chosen.filter_map(|(literal, _)| text.get(literal.place.clone())).collect()
    }

    fn without(&self, text: &str, out: impl Fn(usize) -> bool) -> String {
        self.replaced(text, |number, literal| {
            out(number).then(|| match literal.kind {
                Kind::Number => "\0n".into(),
                Kind::String => "\0s".into(),
            })
        })
    }

    /// The text with other literals in the place of some.
    fn replaced(&self, text: &str, instead: impl Fn(usize, &Literal) -> Option<String>) -> String {
        let mut whole = String::with_capacity(text.len());
        let mut at = 0;
        for (number, literal) in self.literals.iter().enumerate() {
            let Some(instead) = instead(number, literal) else { continue };
            whole.push_str(text.get(at..literal.place.start).unwrap_or_default());
            whole.push_str(&instead);
            at = literal.place.end;
        }
        whole.push_str(text.get(at..).unwrap_or_default());
        whole
    }
}

/// As an `int4` is written, and small enough to stay one whatever its sign. Nought is none: it has no sign.
fn is_plain_number(literal: &str) -> bool {
    let digits = literal.bytes().all(|byte| byte.is_ascii_digit());
    digits && !literal.starts_with('0') && literal.parse::<i32>().is_ok()
}

/// A quoted string that every reader and writer of SQL spells the same, and that no check of ours looks for.
fn is_plain_string(literal: &str) -> bool {
    let inner = literal.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    inner.is_some_and(|inner| {
        !inner.is_empty()
            && inner.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'\'' && byte != b'\\')
            && !inner.contains(PLACE)
            && !Protection::is_mask_output(inner)
    })
}

/// Longer texts are inspected as a whole.
const LONGEST: usize = 2048;
/// As are those with more literals.
const MOST: usize = 64;

#[cfg(test)]
mod tests;
