//! Whether two sides said the same, but for what the design leaves open (its section 3.2).

use super::talk::Answer;

/// How two conversations relate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Likeness {
    /// Byte for byte.
    Same,
    /// The same rows in another order, where SQL leaves it open.
    Reordered,
    /// A leak: the step that it shows in, and how.
    Different(usize, String),
}

/// Compares what two sides said.
pub(super) fn compare(one: &[Answer], other: &[Answer]) -> Likeness {
    let mut reordered = false;
    for step in 0..one.len().max(other.len()) {
        let (Some(a), Some(b)) = (one.get(step), other.get(step)) else {
            return Likeness::Different(step, "one side closed the connection".into());
        };
        let (a, b) = (normal(a), normal(b));
        if a == b {
            continue;
        }
        if sorted(&a) != sorted(&b) {
            return Likeness::Different(step, told(&a, &b));
        }
        reordered = true;
    }
    if reordered { Likeness::Reordered } else { Likeness::Same }
}

/// Without the process that a notification names.
fn normal(answer: &Answer) -> Answer {
    let whole = |(tag, body): &(u8, Vec<u8>)| match tag {
        b'A' => (*tag, body[4..].to_vec()),
        _ => (*tag, body.clone()),
    };
    answer.iter().map(whole).collect()
}

/// With rows that follow each other in an order of ours.
fn sorted(answer: &Answer) -> Answer {
    let mut sorted = answer.clone();
    for run in sorted.chunk_by_mut(|(a, _), (b, _)| a == b && matches!(a, b'D' | b'd')) {
        run.sort();
    }
    sorted
}

fn told(one: &Answer, other: &Answer) -> String {
    let at = one.iter().zip(other).position(|(a, b)| a != b).unwrap_or_else(|| one.len().min(other.len()));
    format!("message {at}:\n    {}\n    {}", shown(one.get(at)), shown(other.get(at)))
}

/// A message, readable.
pub(super) fn shown(message: Option<&(u8, Vec<u8>)>) -> String {
    let Some((tag, body)) = message else { return "nothing".into() };
    let text: String =
        String::from_utf8_lossy(body).chars().map(|c| if c.is_control() { '·' } else { c }).collect();
    format!("{} {text}", char::from(*tag))
}
