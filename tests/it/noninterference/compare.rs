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
    /// Types and tables with other OIDs: each value that is stored out of line takes one, and so do others' later.
    Number,
    /// Another plan, which follows statistics of protected columns; where there are some.
    Plan,
    /// Something was judged on one side only, since it was sent together with what failed before it, or since the session was
    /// ended meanwhile for what was tried in it.
    Time,
    /// A write succeeded on one side only, since a constraint reads a protected column. What is said after it is not
    /// compared.
    Write,
}

impl Excuse {
    /// Whether the same was done on both sides.
    pub(super) fn leaves_the_same(self) -> bool {
        !matches!(self, Self::Time | Self::Write)
    }
}

/// Compares what two sides said. `chooses_plans` when sizes or statistics of tables may have the planner choose otherwise.
pub(super) fn compare(
    world: &World,
    chooses_plans: bool,
    steps: &[Step],
    one: &[Answer],
    other: &[Answer],
) -> Likeness {
    let mut excuse = None;
    for (at, step) in steps.iter().enumerate().take(one.len().max(other.len())) {
        let (Some(a), Some(b)) = (one.get(at), other.get(at)) else {
            return Likeness::Different(at, "one side closed the connection".into());
        };
        let (a, b) = (normal(a), normal(b));
        if a == b {
            continue;
        }
        // the end of a session that was tampered with comes from beside, before or after this answer
        if is_ended(&a) || is_ended(&b) {
            return Likeness::Excused(Excuse::Time);
        }
        if world.may_tell(&step.sql()) && is_success_alone(&a, &b) {
            return Likeness::Excused(Excuse::Write);
        }
        if chooses_plans && is_plan(step) && tags(&a) == tags(&b) {
            excuse = Some(Excuse::Plan);
            continue;
        }
        if numbered(&a) == numbered(&b) {
            excuse = excuse.or(Some(Excuse::Number));
            continue;
        }
        if is_ordered(step, &a) || sorted(&a) != sorted(&b) {
            return Likeness::Different(at, told(&a, &b));
        }
        excuse = excuse.or(Some(Excuse::Order));
    }
    excuse.map_or(Likeness::Same, Likeness::Excused)
}

/// Whether the session was ended for what was tried in it.
fn is_ended(answer: &Answer) -> bool {
    let told = b"has closed: of repeated attempts";
    answer.iter().any(|(tag, body)| *tag == b'E' && body.windows(told.len()).any(|part| part == told))
}

/// Whether one side violates a constraint, says so in the words that are always the same, and nothing else but what comes
/// of it differs: what the other side says after its success is not compared, but the rows before the violation are. A row
/// that conflicts and is left out is the same said in another way.
fn is_success_alone(one: &Answer, other: &Answer) -> bool {
    let same = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let rows = |answer: &Answer| -> Answer {
        answer[same..].iter().take_while(|(tag, _)| *tag == b'D').cloned().collect()
    };
    let (rows_of_one, rows_of_other) = (rows(one), rows(other));
    let first = |answer: &Answer, rows: &Answer| answer.get(same + rows.len()).cloned();
    let fails = |message: &Option<(u8, Vec<u8>)>| message.as_ref().is_some_and(|(tag, _)| *tag == b'E');
    let left_out =
        |message: &Option<(u8, Vec<u8>)>| message.as_ref().is_some_and(|(_, body)| body == b"INSERT 0 0\0");
    let (a, b) = (first(one, &rows_of_one), first(other, &rows_of_other));
    match (fails(&a), fails(&b)) {
        (true, false) => a.as_ref().is_some_and(is_withheld) && are_among(&rows_of_one, &rows_of_other),
        (false, true) => b.as_ref().is_some_and(is_withheld) && are_among(&rows_of_other, &rows_of_one),
        // of several rows, or of the constraints of one, another is the first that fails
        (true, true) => {
            let errors = [a.as_ref(), b.as_ref()].into_iter().flatten();
            let (withheld, violations) = (
                errors.clone().filter(|error| says_nothing(error)),
                errors.filter(|error| is_withheld(error)),
            );
            rows_of_one == rows_of_other && withheld.count() == 2 && violations.count() > 0
        }
        (false, false) => left_out(&a) != left_out(&b),
    }
}

/// Whether there is each of these rows among others, as often.
fn are_among(rows: &Answer, others: &Answer) -> bool {
    let mut left = others.clone();
    rows.iter().all(|row| {
        let found = left.iter().position(|other| other == row);
        found.map(|at| left.swap_remove(at)).is_some()
    })
}

/// Whether an error is one of integrity, without any word that depends on values.
fn is_withheld(error: &(u8, Vec<u8>)) -> bool {
    says_nothing(error) && code(error).starts_with("23")
}

/// Whether an error has its code, and no word that depends on values.
fn says_nothing(error: &(u8, Vec<u8>)) -> bool {
    let words = field(error, b'M').strip_prefix(&format!("the database reported error {} ", code(error)));
    words.is_some_and(|words| words.ends_with("; details are withheld on a masked target"))
        && fields(error).all(|field| b"SVCM".contains(&field[0]))
}

fn code(error: &(u8, Vec<u8>)) -> &str {
    field(error, b'C')
}

fn field(error: &(u8, Vec<u8>), wanted: u8) -> &str {
    fields(error).find(|field| field[0] == wanted).map_or("", |field| text(&field[1..]))
}

fn fields((_, body): &(u8, Vec<u8>)) -> impl Iterator<Item = &[u8]> {
    body.split(|byte| *byte == 0).filter(|field| !field.is_empty())
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

/// With the OIDs of what users made, in the descriptions of rows, replaced by which one it is.
fn numbered(answer: &Answer) -> Answer {
    let mut known: Vec<[u8; 4]> = Vec::new();
    let mut number = |oid: &mut [u8]| {
        let Ok(found) = <[u8; 4]>::try_from(&*oid) else { return };
        if u32::from_be_bytes(found) >= FIRST_OF_USERS {
            let which = known.iter().position(|oid| *oid == found).unwrap_or(known.len());
            known.resize(known.len().max(which + 1), found);
            oid.copy_from_slice(&(FIRST_OF_USERS + u32::try_from(which).expect("few")).to_be_bytes());
        }
    };
    let mut numbered = answer.clone();
    for (_, body) in numbered.iter_mut().filter(|(tag, _)| *tag == b'T') {
        let mut at = 2;
        while let Some(name) = body.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == 0)) {
            let fields = at + name + 1;
            let Some(table) = body.get_mut(fields..fields + 4) else { break };
            number(table);
            let Some(of) = body.get_mut(fields + 6..fields + 10) else { break };
            number(of);
            at = fields + 18;
        }
    }
    numbered
}

/// `FirstNormalObjectId`.
const FIRST_OF_USERS: u32 = 16384;

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

/// With rows that follow each other, also in portions, in an order of ours. What COPY in binary begins with is in its first row's message.
fn sorted(answer: &Answer) -> Answer {
    let parts = |(tag, body): &(u8, Vec<u8>)| match body.split_at_checked(COPY_HEADER) {
        Some((header, row)) if *tag == b'd' && header.starts_with(b"PGCOPY\n\xff\r\n\0") => {
            vec![(*tag, header.to_vec()), (b'd', row.to_vec())]
        }
        _ => vec![(*tag, body.clone())],
    };
    let mut sorted: Answer = answer.iter().flat_map(parts).collect();
    for run in sorted.chunk_by_mut(|(a, _), (b, _)| [a, b].iter().all(|tag| b"Dds".contains(tag))) {
        run.sort();
    }
    sorted
}

/// A signature, flags, and the length of an extension (`COPY`, "Binary Format").
const COPY_HEADER: usize = 19;

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
fn what_users_made_has_numbers_of_its_own() {
    let described = |table: u32, of: u32| {
        let fields =
            [&table.to_be_bytes()[..], &[0, 1], &of.to_be_bytes(), &[0, 4, 255, 255, 255, 255, 0, 0]];
        let column = [b"c\0", &fields.concat()[..]].concat();
        vec![(b'T', [&[0, 2], &column[..], &column[..]].concat()), (b'D', b"16390".to_vec())]
    };
    assert_eq!(numbered(&described(16390, 16400)), numbered(&described(16391, 16401)));
    assert_ne!(numbered(&described(16390, 16390)), numbered(&described(16391, 16401)), "one, not two");
    assert_ne!(numbered(&described(0, 25)), numbered(&described(0, 23)), "a type of the server's");
    assert_ne!(numbered(&described(0, 25)), numbered(&described(16390, 25)), "a column of none");
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
    let cast = vec![
        error(&["SERROR", "VERROR", "C22P02", &withheld.replace("23505", "22P02")]),
        (b'Z', b"I".to_vec()),
    ];
    assert!(is_success_alone(&failed, &cast), "another row is the first that fails");
    assert!(!is_success_alone(&cast, &worked) && !is_success_alone(&cast, &cast), "none that violates");
    let later =
        vec![worked[0].clone(), error(&["SERROR", "VERROR", "C55000", withheld]), (b'Z', b"I".to_vec())];
    assert!(is_success_alone(&failed, &later), "a portal that has nothing left fails behind its success");
    let row = |text: &[u8]| (b'D', text.to_vec());
    let among = [&[row(b"a")], &failed[..]].concat();
    let all = [&[row(b"b"), row(b"a")], &worked[..]].concat();
    assert!(is_success_alone(&among, &all), "what was returned before it");
    let others = [&[row(b"c")], &failed[..]].concat();
    assert!(!is_success_alone(&others, &all), "another row than the other side's before it");
    let more = vec![(b'C', b"INSERT 0 2\0".to_vec()), (b'Z', b"I".to_vec())];
    assert!(!is_success_alone(&more, &worked), "a count");
}
