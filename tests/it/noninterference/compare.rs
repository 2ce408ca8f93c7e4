//! Whether two sides said the same, but for what the design leaves open (its section 3.2).

use super::conversation::Step;
use super::schema::World;
use super::talk::Answer;

/// How two conversations relate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Likeness {
    /// Byte for byte.
    Same,
    /// Not the same, and only as is excused.
    Excused(Excuse),
    /// A leak: the step that it shows in, and how.
    Different(usize, String),
}

/// An exception that was made use of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Excuse {
    /// The same rows in another order, where SQL leaves it open.
    Order,
    /// Another plan, which follows statistics of protected columns; where there are some.
    Plan,
    /// Something was judged on one side only, since it was sent together with what failed before it.
    Time,
    /// A write succeeded on one side only, since a constraint reads a protected column. What is said after it is not
    /// compared.
    Write,
}

/// Compares what two sides said.
pub(super) fn compare(world: &World, steps: &[Step], one: &[Answer], other: &[Answer]) -> Likeness {
    let mut excuse = None;
    for (at, step) in steps.iter().enumerate().take(one.len().max(other.len())) {
        let (Some(a), Some(b)) = (one.get(at), other.get(at)) else {
            return Likeness::Different(at, "one side closed the connection".into());
        };
        let (a, b) = (normal(a), normal(b));
        if a == b {
            continue;
        }
        if world.may_tell(&step.sql()) && is_success_alone(&a, &b) {
            return Likeness::Excused(Excuse::Write);
        }
        if world.analyzed && is_plan(step) && tags(&a) == tags(&b) {
            excuse = Some(Excuse::Plan);
            continue;
        }
        if is_ordered(step, &a) || sorted(&a) != sorted(&b) {
            return Likeness::Different(at, told(&a, &b));
        }
        excuse = excuse.or(Some(Excuse::Order));
    }
    excuse.map_or(Likeness::Same, Likeness::Excused)
}

/// Whether one side violates a constraint, says so in the words that are always the same, and nothing else but what comes
/// of it differs: what the other side says after its success is not compared. A row that conflicts and is left out is the
/// same said in another way.
fn is_success_alone(one: &Answer, other: &Answer) -> bool {
    let same = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    // a violation is what differs first, unless rows were returned before it
    let first = |answer: &Answer| answer[same..].iter().find(|(tag, _)| *tag != b'D').cloned();
    let fails = |message: &Option<(u8, Vec<u8>)>| message.as_ref().is_some_and(|(tag, _)| *tag == b'E');
    let left_out = |answer: &Answer| answer.iter().any(|(tag, body)| *tag == b'C' && body == b"INSERT 0 0\0");
    let (a, b) = (first(one), first(other));
    match (fails(&a), fails(&b)) {
        (true, false) => a.as_ref().is_some_and(is_withheld),
        (false, true) => b.as_ref().is_some_and(is_withheld),
        (true, true) => false,
        (false, false) => left_out(one) != left_out(other),
    }
}

/// Whether an error is one of integrity, without any word that depends on values.
fn is_withheld((_, body): &(u8, Vec<u8>)) -> bool {
    let fields: Vec<&[u8]> = body.split(|byte| *byte == 0).filter(|field| !field.is_empty()).collect();
    let of = |code: u8| fields.iter().find(|field| field[0] == code).map_or("", |field| text(&field[1..]));
    let words = of(b'M').strip_prefix("the database reported error 23");
    of(b'C').starts_with("23")
        && words.is_some_and(|words| words.ends_with("; details are withheld on a masked target"))
        && fields.iter().all(|field| b"SVCM".contains(&field[0]))
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

fn is_plan(step: &Step) -> bool {
    step.sql().starts_with("EXPLAIN ")
}

fn tags(answer: &Answer) -> Vec<u8> {
    let mut tags: Vec<u8> = answer.iter().map(|(tag, _)| *tag).collect();
    tags.dedup();
    tags
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
fn is_ordered(step: &Step, answer: &Answer) -> bool {
    let sql = match step {
        Step::Simple(sql) => sql,
        Step::Extended(several) if several.len() == 1 => &several[0].sql,
        Step::Extended(_) | Step::CopyIn(..) | Step::Call => return false,
    };
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

#[test]
fn only_the_success_of_a_write_is_excused() {
    let error =
        |fields: &[&str]| (b'E', fields.iter().flat_map(|field| format!("{field}\0").into_bytes()).collect());
    let withheld =
        "Mthe database reported error 23505 (unique violation); details are withheld on a masked target";
    let failed = vec![error(&["SERROR", "VERROR", "C23505", withheld]), (b'Z', b"I".to_vec())];
    let worked = vec![(b'C', b"INSERT 0 1\0".to_vec()), (b'Z', b"I".to_vec())];
    assert!(is_success_alone(&failed, &worked) && is_success_alone(&worked, &failed));
    let tells =
        vec![error(&["SERROR", "VERROR", "C23505", withheld, "DKey (code)=(x)"]), (b'Z', b"I".to_vec())];
    assert!(!is_success_alone(&tells, &worked), "an error with details");
    assert!(!is_success_alone(&failed, &tells), "two errors that differ");
    let cast = vec![error(&["SERROR", "VERROR", "C22P02", withheld]), (b'Z', b"I".to_vec())];
    assert!(!is_success_alone(&cast, &worked), "an error of another kind");
    let later =
        vec![worked[0].clone(), error(&["SERROR", "VERROR", "C55000", withheld]), (b'Z', b"I".to_vec())];
    assert!(is_success_alone(&failed, &later), "a portal that has nothing left fails behind its success");
    let more = vec![(b'C', b"INSERT 0 2\0".to_vec()), (b'Z', b"I".to_vec())];
    assert!(!is_success_alone(&more, &worked), "a count");
}
