//! Rows of text with what is personal or secret in them marked: log lines, messages, JSON, fields of tables, addresses,
//! code. They are made from a seed, so that everybody has the same.
//!
//! Nobody's data: names and numbers are drawn. Half of the shapes hold nothing that is to be found, but what looks like it:
//! order numbers whose check digit is wrong, versions, times, hashes, placeholders.

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64;

// with their paths, since the benchmark takes this file from elsewhere
#[path = "corpus/noise.rs"]
mod noise;
#[path = "corpus/shapes.rs"]
mod shapes;
#[path = "corpus/values.rs"]
mod values;

/// The seed of figures that are told. Detectors were worked on with others.
pub(crate) const REPORTED: u64 = 20_261_122;

/// A text, and what is to be found in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sample {
    /// The column, where the text is a field of a table.
    pub(crate) column: Option<String>,
    pub(crate) text: String,
    pub(crate) labels: Vec<Label>,
}

/// A place in a text, in bytes; texts are ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    /// The detector's name.
    pub(crate) kind: &'static str,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// As many samples: of four, one is a field of a table, and two hold nothing to be found.
pub(crate) fn samples(seed: u64, count: usize) -> Vec<Sample> {
    let mut dice = Dice(Pcg64::seed_from_u64(seed));
    let mut sample = || {
        let shapes = match (dice.below(4), dice.below(2)) {
            (0, 0) => shapes::FIELDS,
            (0, _) => shapes::PLAIN_FIELDS,
            (_, 0) => shapes::ROWS,
            _ => shapes::PLAIN_ROWS,
        };
        sample(shapes, &mut dice)
    };
    (0..count).map(|_| sample()).collect()
}

/// As many samples of shapes that nobody looked at while detectors were made.
pub(crate) fn unseen(seed: u64, count: usize) -> Vec<Sample> {
    let mut dice = Dice(Pcg64::seed_from_u64(seed));
    (0..count).map(|_| sample(shapes::UNSEEN, &mut dice)).collect()
}

fn sample(shapes: &[&str], dice: &mut Dice) -> Sample {
    let shape = dice.of(shapes);
    let (column, shape) = match shape.split_once("=>") {
        Some((column, shape)) => (Some(column.to_owned()), shape),
        None => (None, *shape),
    };
    let mut sample = Sample { column, text: String::new(), labels: Vec::new() };
    let mut rest = shape;
    while let Some((before, after)) = rest.split_once('<') {
        let (name, after) = after.split_once('>').expect("a shape closes what it opens");
        sample.text.push_str(before);
        fill(&mut sample, name, dice);
        rest = after;
    }
    sample.text.push_str(rest);
    assert!(sample.text.is_ascii(), "offsets in bytes are those in characters: {}", sample.text);
    sample
}

fn fill(sample: &mut Sample, name: &str, dice: &mut Dice) {
    let start = sample.text.len();
    match values::value(name, dice) {
        Some((kind, value)) => {
            sample.text.push_str(&value);
            sample.labels.push(Label { kind, start, end: sample.text.len() });
        }
        None => sample.text.push_str(&noise::noise(name, dice)),
    }
}

/// What the samples are drawn with.
#[derive(Debug)]
struct Dice(Pcg64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end)
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        all.get(self.below(all.len())).expect("something to choose from")
    }

    /// As many characters of these.
    fn word(&mut self, of: &str, length: usize) -> String {
        (0..length).map(|_| char::from(*self.of(of.as_bytes()))).collect()
    }

    fn digits(&mut self, length: usize) -> String {
        self.word("0123456789", length)
    }

    /// A text in which each `#` is a digit, and each `%` one from 2 on.
    fn shaped(&mut self, shape: &str) -> String {
        let mut digit =
            |from: usize| char::from_digit(u32::try_from(from + self.below(10 - from)).unwrap_or(0), 10);
        shape
            .chars()
            .map(|mark| match mark {
                '#' => digit(0).unwrap_or('0'),
                '%' => digit(2).unwrap_or('2'),
                other => other,
            })
            .collect()
    }
}
