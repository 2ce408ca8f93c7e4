//! What came of inspecting one text, for all texts that differ from it in their free literals.

use super::{Kind, Pattern};

/// What came of inspecting a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding<R> {
    /// The texts in it, in which literals of the inspected text may stand.
    pub texts: Vec<Option<String>>,
    /// Everything else.
    pub rest: R,
}

/// The texts of a finding with places for literals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    texts: Vec<Option<Vec<Piece>>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// The free literal of this number.
    Literal(usize),
    Text(String),
}

impl Template {
    /// Learns from two texts of the same pattern with literals of our own, and checks what was learned on
    /// `text`, whose finding is `found`, and on the second of ours. `None` when it is of no use.
    pub fn learn<R: PartialEq>(
        text: &str,
        pattern: &Pattern,
        free: &[bool],
        found: &Finding<R>,
        mut inspect: impl FnMut(&str) -> Option<Finding<R>>,
    ) -> Option<Self> {
        let probe = |series: usize| {
            let number =
                |number: usize, kind| free.get(number).copied()?.then(|| stand_in(series, number, kind));
            let other = pattern.replaced(text, |at, literal| number(at, literal.kind));
            let kinds = pattern.literals.iter().map(|literal| literal.kind);
            let values: Vec<String> = kinds.enumerate().filter_map(|(at, kind)| number(at, kind)).collect();
            (other, values)
        };
        let (first, marks) = probe(0);
        let (second, values) = probe(1);
        // a mark that was there before would be taken for a place
        if marks.is_empty() || marks.iter().any(|mark| text.contains(bare(mark))) {
            return None;
        }
        let learned = inspect(&first)?;
        let template = Self {
            texts: learned.texts.iter().map(|text| cut(text.as_deref(), &marks)).collect::<Option<_>>()?,
        };
        let borrowed: Vec<&str> = values.iter().map(String::as_str).collect();
        let right = |values: &[&str], whole: &Finding<R>| {
            whole.rest == learned.rest && template.fill(values).as_ref() == Some(&whole.texts)
        };
        let sure = right(&pattern.values(text, free), found) && right(&borrowed, &inspect(&second)?);
        sure.then_some(template)
    }

    /// The texts with these literals, in order, as they are written; `None` when one is missing.
    #[must_use]
    pub fn fill(&self, values: &[&str]) -> Option<Vec<Option<String>>> {
        let fill = |pieces: &Vec<Piece>| {
            pieces.iter().try_fold(String::new(), |whole, piece| match piece {
                Piece::Literal(number) => Some(whole + values.get(*number)?),
                Piece::Text(text) => Some(whole + text),
            })
        };
        let texts = self.texts.iter().map(|text| match text {
            Some(pieces) => fill(pieces).map(Some),
            None => Some(None),
        });
        texts.collect()
    }
}

/// A text at the marks in it, each of which may be there once.
fn cut(text: Option<&str>, marks: &[String]) -> Option<Option<Vec<Piece>>> {
    let Some(text) = text else { return Some(None) };
    let mut places: Vec<(usize, usize, usize)> = Vec::new();
    for (number, mark) in marks.iter().enumerate() {
        let mut found = text.match_indices(mark.as_str());
        match (found.next(), found.next()) {
            (None, _) => {}
            (Some((at, _)), None) => places.push((at, mark.len(), number)),
            _ => return None,
        }
    }
    places.sort_unstable();
    let (mut pieces, mut at) = (Vec::new(), 0);
    for (start, length, number) in places {
        pieces.push(Piece::Text(text.get(at..start)?.to_owned()));
        pieces.push(Piece::Literal(number));
        at = start + length;
    }
    pieces.push(Piece::Text(text.get(at..)?.to_owned()));
    Some(Some(pieces))
}

/// A literal that stands for another; none is part of another of its series.
fn stand_in(series: usize, number: usize, kind: Kind) -> String {
    match kind {
        Kind::Number => (NUMBERS + series * SERIES + number).to_string(),
        Kind::String => format!("'hoopctl-{}'", NUMBERS + series * SERIES + number),
    }
}

fn bare(literal: &str) -> &str {
    literal.trim_matches('\'')
}

/// Ten digits, and an `int4`.
const NUMBERS: usize = 1_847_390_000;
const SERIES: usize = 1000;
