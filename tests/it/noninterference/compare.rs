//! Whether two sides said the same, but for what the design leaves open (its section 3.2).

use super::conversation::Step;
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
pub(super) fn compare(steps: &[Step], one: &[Answer], other: &[Answer]) -> Likeness {
    let mut reordered = false;
    for (at, step) in steps.iter().enumerate().take(one.len().max(other.len())) {
        let (Some(a), Some(b)) = (one.get(at), other.get(at)) else {
            return Likeness::Different(at, "one side closed the connection".into());
        };
        let (a, b) = (normal(a), normal(b));
        if a == b {
            continue;
        }
        if is_ordered(step.sql(), &a) || sorted(&a) != sorted(&b) {
            return Likeness::Different(at, told(&a, &b));
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

/// Whether a statement orders its rows by all of its columns, so that rows which change places are alike.
fn is_ordered(sql: &str, answer: &Answer) -> bool {
    let columns =
        answer.iter().find(|(tag, _)| *tag == b'T').map(|(_, body)| u16::from_be_bytes([body[0], body[1]]));
    let Some((_, order)) = sql.rsplit_once(" ORDER BY ") else { return false };
    let all: Vec<String> = (1..=columns.unwrap_or_default()).map(|place| place.to_string()).collect();
    columns.is_some() && order == all.join(", ")
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
fn shown(message: Option<&(u8, Vec<u8>)>) -> String {
    let Some((tag, body)) = message else { return "nothing".into() };
    let text: String =
        String::from_utf8_lossy(body).chars().map(|c| if c.is_control() { '·' } else { c }).collect();
    format!("{} {text}", char::from(*tag))
}
