//! Statements as they may be stored on a target with detectors.
//!
//! Job: take out of a statement, and out of what is bound to it, what detectors would find in a result. Boundary: what they
//! find is theirs to know, what is a value in a text is the scanner's. Failure mode: a text of which nobody knows how
//! the server reads it is hidden as a whole when something is found in it.
//!
//! INVARIANT: what is hidden of a text that a server may run is what is said in it, one literal, number, quoted name or
//! comment at a time, each up to its own end: a finding must hide no SQL from whoever reviews or reads it.

use std::sync::Arc;

use super::inspected::Inspected;
use super::lens::Reading;
use crate::domain::facts::Facts;
use crate::sql::{Piece, PieceKind, pieces};
use crate::wire::postgres::veil::{Hint, Veil};

/// The same without what is found in its texts, and with what the names before its parameters give away.
pub(super) fn redacted(mut inspected: Inspected, veil: &Veil, reading: Reading) -> Inspected {
    for part in &mut inspected.parts {
        let is_read = !part.facts.is_unparsed();
        part.hints = if is_read { hints(veil, &part.text) } else { Arc::default() };
        if let Some(shown) = text(veil, &part.text, reading, is_read) {
            part.text = shown;
        }
        // that is ours
        let sent = part.sent.as_deref().and_then(|sent| text(veil, sent, Reading::Standard, true));
        part.sent = sent.or_else(|| part.sent.take());
    }
    inspected
}

/// A value, if something is found in it.
pub(super) fn value(veil: &Veil, value: &str) -> Option<String> {
    veil.literal(value.as_bytes(), Hint::default(), usize::MAX).map(lossy)
}

/// What a statement does, as it may be stored, if something is found in the names and values that it is known by: what is
/// judged is what it does.
pub(super) fn facts(veil: &Veil, facts: &Facts) -> Option<Facts> {
    let mut shown = facts.clone();
    let names = [
        &mut shown.relations_read,
        &mut shown.relations_written,
        &mut shown.columns_read,
        &mut shown.columns_written,
        &mut shown.functions,
        &mut shown.changes,
        &mut shown.without_where,
    ];
    for names in names {
        if names.iter().any(|name| value(veil, name).is_some()) {
            *names = names.iter().map(|name| value(veil, name).unwrap_or_else(|| name.clone())).collect();
        }
    }
    let setting = facts.setting.as_deref().map_or_else(Hint::default, |name| veil.hint(name));
    for (said, hint) in [
        (&mut shown.object, Hint::default()),
        (&mut shown.setting, Hint::default()),
        (&mut shown.set_value, setting),
    ] {
        if let Some(text) = said {
            *text =
                veil.literal(text.as_bytes(), hint, usize::MAX).map_or_else(|| std::mem::take(text), lossy);
        }
    }
    (shown != *facts).then_some(shown)
}

/// A literal of a text, if something is found in it by whatever the text says.
pub(super) fn literal(veil: &Veil, text: &str, literal: &str) -> Option<String> {
    veil.literal(literal.as_bytes(), veil.hint(text), usize::MAX).map(lossy)
}

fn text(veil: &Veil, text: &str, reading: Reading, is_read: bool) -> Option<String> {
    let escaping = match reading {
        Reading::Escaping => true,
        Reading::Foreign { .. } | Reading::Standard => false,
        Reading::Unknown | Reading::Unsure => return value(veil, text).map(|_| MASKED.to_owned()),
    };
    statement(veil, text, escaping, is_read, 0)
}

/// A text without what is found in it; `None` when nothing is.
fn statement(veil: &Veil, text: &str, escaping: bool, is_read: bool, depth: usize) -> Option<String> {
    let (mut shown, mut at) = (String::new(), 0);
    for piece in pieces(text, escaping) {
        // where nobody could read it, a number may be a part of a word
        if piece.kind == PieceKind::Number && !is_read {
            continue;
        }
        let Some(instead) = said(veil, text, &piece, escaping, depth) else { continue };
        let before = text.get(at..piece.place.start).unwrap_or_default();
        push_words(veil, &mut shown, before, is_read);
        shown.push_str(&instead);
        at = piece.place.end;
    }
    let rest = text.get(at..).unwrap_or_default();
    if at == 0 && is_read {
        return None;
    }
    push_words(veil, &mut shown, rest, is_read);
    (shown != text).then_some(shown)
}

/// What is to be shown for a piece; `None` when it may be shown as it is.
fn said(veil: &Veil, text: &str, piece: &Piece, escaping: bool, depth: usize) -> Option<String> {
    let written = text.get(piece.place.clone()).unwrap_or_default();
    let inner = text.get(piece.inner.clone()).unwrap_or_default();
    let find = |bytes: &[u8], hint| veil.literal(bytes, hint, usize::MAX).map(lossy);
    let quote = match piece.kind {
        PieceKind::Parameter(_) => return None,
        PieceKind::Number => return find(inner.as_bytes(), hint(veil, text, piece)),
        PieceKind::Comments => return find(inner.as_bytes(), Hint::default()).map(|_| COMMENT.to_owned()),
        PieceKind::Comment => {
            let found = find(inner.as_bytes(), Hint::default())?;
            return Some(around(text, piece, &found));
        }
        PieceKind::Name => '"',
        PieceKind::Code | PieceKind::Literal => '\'',
    };
    let is_code = piece.kind == PieceKind::Code && depth < DEEPEST;
    let find = |read: &str| {
        if is_code {
            statement(veil, read, escaping, true, depth + 1)
        } else {
            find(read.as_bytes(), hint(veil, text, piece))
        }
    };
    let Some(read) = &piece.read else {
        return find(inner).map(|found| around(text, piece, &found));
    };
    if let Some(found) = find(&String::from_utf8_lossy(read)) {
        let twice: String = [quote; 2].iter().collect();
        return Some(format!("{quote}{}{quote}", found.replace(quote, &twice)));
    }
    // also what only seems to stand there, as in a comment between its pieces
    let is_found = !is_code && veil.literal(written.as_bytes(), Hint::default(), usize::MAX).is_some();
    is_found.then(|| format!("{quote}{MASKED}{quote}"))
}

/// Something else between the same quotes.
fn around(text: &str, piece: &Piece, found: &str) -> String {
    let before = text.get(piece.place.start..piece.inner.start).unwrap_or_default();
    let behind = text.get(piece.inner.end..piece.place.end).unwrap_or_default();
    format!("{before}{found}{behind}")
}

/// What stands between pieces: of a text that nobody could read, word by word.
fn push_words(veil: &Veil, shown: &mut String, between: &str, is_read: bool) {
    if is_read {
        return shown.push_str(between);
    }
    for word in between.split_inclusive(|c: char| c.is_ascii_whitespace()) {
        match value(veil, word) {
            Some(found) => shown.push_str(&found),
            None => shown.push_str(word),
        }
    }
}

/// What the words before a piece give away of it, if it could be a number that needs one.
fn hint(veil: &Veil, text: &str, piece: &Piece) -> Hint {
    let inner = text.get(piece.inner.clone()).unwrap_or_default();
    let digits = inner.bytes().take(LONGEST_NUMBER).filter(u8::is_ascii_digit).count();
    if inner.len() > LONGEST_NUMBER || digits < FEWEST_DIGITS {
        return Hint::default();
    }
    before(veil, text, piece.place.start)
}

fn before(veil: &Veil, text: &str, end: usize) -> Hint {
    let mut start = end.saturating_sub(CONTEXT);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    veil.hint(text.get(start..end).unwrap_or_default())
}

/// What the words before each parameter give away of it.
fn hints(veil: &Veil, text: &str) -> Arc<[Hint]> {
    let mut hints: Vec<Hint> = Vec::new();
    for piece in pieces(text, false) {
        let PieceKind::Parameter(number) = piece.kind else { continue };
        let Some(at) = usize::from(number).checked_sub(1) else { continue };
        let hint = before(veil, text, piece.place.start);
        if hint == Hint::default() {
            continue;
        }
        if hints.len() <= at {
            hints.resize(at + 1, Hint::default());
        }
        if let Some(known) = hints.get_mut(at) {
            known.0 |= hint.0;
        }
    }
    hints.into()
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

const MASKED: &str = "[masked]";
const COMMENT: &str = "/* [masked] */";
/// How far before a number a word may stand that says what it is; as within a text.
const CONTEXT: usize = 64;
/// No number that needs such a word is longer, or has fewer digits.
const LONGEST_NUMBER: usize = 64;
const FEWEST_DIGITS: usize = 7;
/// Code in code in code is looked at as a text.
const DEEPEST: usize = 4;

#[cfg(test)]
mod tests;
