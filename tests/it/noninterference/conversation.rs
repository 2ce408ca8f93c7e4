//! What a client says from its first statement to its last, as messages of the protocol.

use bytes::BytesMut;
use hoopctl::wire::postgres::frontend::{Bind, ClientMessage, Parse, Subject};

use super::dice::Dice;
use super::query::Queries;
use super::schema::World;

/// One thing that is said, up to the answer's ReadyForQuery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A Query message.
    Simple(String),
    /// A Query message that may be answered with CopyInResponse, and what is copied then.
    CopyIn(String, String),
    /// Parse, Bind, Describe, Execute of each, and one Sync.
    Extended(Vec<Extended>),
    /// A FunctionCall of `version()`, and Sync.
    Call,
}

/// A statement of the extended protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Extended {
    pub(super) sql: String,
    /// The statement's name; the unnamed one when empty.
    pub(super) name: String,
    /// Values of `$1`…, as text.
    pub(super) values: Vec<String>,
    /// Results in binary.
    pub(super) binary: bool,
    /// How many rows each Execute asks for; all when 0.
    pub(super) rows: i32,
    /// Bound and executed so many times.
    pub(super) times: u8,
    /// The portal's name; the unnamed one when empty.
    pub(super) portal: &'static str,
    /// Whether it is parsed; otherwise it was before.
    pub(super) parsed: bool,
}

/// Everything that one client says.
pub(super) type Conversation = Vec<Step>;

/// The conversation of a seed.
pub(super) fn conversation(world: &World, seed: u64) -> Conversation {
    let mut dice = Dice::new(seed, 2);
    let mut steps = Vec::new();
    let transaction = dice.chance(15);
    if transaction {
        steps.push(Step::Simple("BEGIN".into()));
    }
    for _ in 0..1 + dice.below(4) {
        piece(world, &mut dice, &mut steps);
    }
    // what was read once is kept
    if dice.chance(12) {
        let again = steps[dice.below(steps.len())].clone();
        if !matches!(again, Step::Extended(_)) {
            steps.push(again);
        }
    }
    if transaction {
        if dice.chance(30) {
            let at = 1 + dice.below(steps.len());
            steps.insert(at, Step::Simple("SAVEPOINT here".into()));
            steps.push(Step::Simple("ROLLBACK TO here".into()));
        }
        steps.push(Step::Simple((*dice.pick(&["COMMIT", "ROLLBACK"])).into()));
    }
    steps
}

fn piece(world: &World, dice: &mut Dice, steps: &mut Vec<Step>) {
    let kind = dice.weighted(&[
        (54, 0),
        (17, 1),
        (5, 2),
        (5, 3),
        (2, 4),
        (4, 5),
        (5, 6),
        (2, 7),
        (6, 8),
        (1, 9),
        (4, 10),
        (2, 11),
    ]);
    let sent = |dice: &mut Dice, sql: String| {
        if dice.chance(45) { Step::Extended(vec![extended(dice, sql)]) } else { Step::Simple(sql) }
    };
    let sql = match kind {
        0 => Queries::new(world, dice).any(),
        1 => Queries::new(world, dice).change(),
        2 => Queries::new(world, dice).explained(),
        3 => Queries::new(world, dice).copy_out(),
        4 => {
            let (sql, data) = Queries::new(world, dice).copy_in();
            return steps.push(Step::CopyIn(sql, data));
        }
        5 => return steps.extend(Queries::new(world, dice).cursor().into_iter().map(Step::Simple)),
        6 => return steps.extend(Queries::new(world, dice).prepared().into_iter().map(Step::Simple)),
        7 => return steps.extend(Queries::new(world, dice).objects().into_iter().map(Step::Simple)),
        9 => return steps.extend(Queries::new(world, dice).statistics().into_iter().map(Step::Simple)),
        10 => {
            let count = 2 + dice.below(3);
            let some = (0..count).map(|_| {
                let sql = match dice.below(4) {
                    0 => Queries::new(world, dice).change(),
                    1 => Queries::new(world, dice).utility(),
                    _ => Queries::new(world, dice).any(),
                };
                extended(dice, sql)
            });
            return steps.push(Step::Extended(some.collect()));
        }
        11 if dice.chance(5) => return steps.push(Step::Call),
        11 => return steps.extend(rebound(dice)),
        _ => Queries::new(world, dice).utility(),
    };
    let step = sent(dice, sql);
    steps.push(step);
}

/// A statement of the protocol about one of two tables of a name, executed when the name leads to the other.
fn rebound(dice: &mut Dice) -> Vec<Step> {
    let path = |path: &str| Step::Simple(format!("SET search_path = {path}"));
    let sql = "SELECT * FROM accounts AS x ORDER BY x.id".to_owned();
    let name = format!("r{}", dice.below(1_000_000));
    let first = Extended { name, values: Vec::new(), rows: 0, times: 1, ..extended(dice, sql) };
    let again = Extended { parsed: false, ..first.clone() };
    let said = |extended| Step::Extended(vec![extended]);
    let mut steps = vec![
        path("aside, s"),
        said(first),
        path("s, aside"),
        said(again),
        Step::Simple("RESET search_path".into()),
    ];
    if dice.chance(50) {
        steps.swap(0, 2);
    }
    steps
}

fn extended(dice: &mut Dice, sql: String) -> Extended {
    // a literal becomes a parameter
    let (sql, values) = match sql.find("'red'") {
        Some(at) if dice.chance(60) => {
            (format!("{}$1::text{}", &sql[..at], &sql[at + 5..]), vec!["red".to_owned()])
        }
        _ => (sql, Vec::new()),
    };
    let name = if dice.chance(30) { format!("s{}", dice.below(1_000_000)) } else { String::new() };
    let times = if name.is_empty() { 1 } else { 2 };
    Extended {
        sql,
        name,
        values,
        binary: dice.chance(40),
        rows: if dice.chance(15) { 2 } else { 0 },
        times,
        portal: if times == 1 && dice.chance(15) { "door" } else { "" },
        parsed: true,
    }
}

impl Step {
    /// The statements.
    pub(super) fn sql(&self) -> String {
        match self {
            Self::Simple(sql) | Self::CopyIn(sql, _) => sql.clone(),
            Self::Extended(several) => {
                several.iter().map(|one| one.sql.as_str()).collect::<Vec<&str>>().join("; ")
            }
            Self::Call => String::new(),
        }
    }

    /// What is copied when the server asks for it.
    pub(super) fn copied(&self) -> &[u8] {
        match self {
            Self::CopyIn(_, data) => data.as_bytes(),
            _ => b"",
        }
    }

    /// What is sent, but for what is copied.
    pub(super) fn bytes(&self) -> BytesMut {
        let mut bytes = BytesMut::new();
        match self {
            Self::Simple(sql) | Self::CopyIn(sql, _) => {
                ClientMessage::Query(sql.as_bytes()).encode(&mut bytes);
            }
            Self::Extended(several) => {
                several.iter().for_each(|one| one.encode(&mut bytes));
                ClientMessage::Sync.encode(&mut bytes);
            }
            // no formats, no arguments, the answer as text
            Self::Call => bytes.extend_from_slice(b"F\0\0\0\x0e\0\0\0\x59\0\0\0\0\0\0"),
        }
        bytes
    }
}

impl Extended {
    fn encode(&self, bytes: &mut BytesMut) {
        let name = self.name.as_bytes();
        if self.parsed {
            ClientMessage::Parse(Parse { statement: name, text: self.sql.as_bytes(), types: Vec::new() })
                .encode(bytes);
            ClientMessage::Describe(Subject::Statement(name)).encode(bytes);
        }
        let portal = self.portal.as_bytes();
        for _ in 0..self.times {
            ClientMessage::Bind(Bind {
                portal,
                statement: name,
                // the one parameter there is, is text, whose binary form is the same
                formats: if self.binary { vec![1] } else { Vec::new() },
                values: self.values.iter().map(|value| Some(value.as_bytes())).collect(),
                result_formats: vec![i16::from(self.binary)],
            })
            .encode(bytes);
            ClientMessage::Describe(Subject::Portal(portal)).encode(bytes);
            ClientMessage::Execute { portal, max_rows: self.rows }.encode(bytes);
            if self.rows > 0 {
                ClientMessage::Execute { portal, max_rows: 0 }.encode(bytes);
            }
        }
    }
}
