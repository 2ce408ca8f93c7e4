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
    /// Parse, Bind, Describe, Execute, Sync.
    Extended(Extended),
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
    let kind =
        dice.weighted(&[(54, 0), (13, 1), (5, 2), (5, 3), (2, 4), (4, 5), (4, 6), (2, 7), (6, 8), (1, 9)]);
    let sent = |dice: &mut Dice, sql: String| {
        if dice.chance(45) { extended(dice, sql) } else { Step::Simple(sql) }
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
        _ => Queries::new(world, dice).utility(),
    };
    let step = sent(dice, sql);
    steps.push(step);
}

fn extended(dice: &mut Dice, sql: String) -> Step {
    // a literal becomes a parameter
    let (sql, values) = match sql.find("'red'") {
        Some(at) if dice.chance(60) => {
            (format!("{}$1::text{}", &sql[..at], &sql[at + 5..]), vec!["red".to_owned()])
        }
        _ => (sql, Vec::new()),
    };
    let name = if dice.chance(30) { format!("s{}", dice.below(1_000_000)) } else { String::new() };
    let times = if name.is_empty() { 1 } else { 2 };
    Step::Extended(Extended {
        sql,
        name,
        values,
        binary: dice.chance(40),
        rows: if dice.chance(15) { 2 } else { 0 },
        times,
    })
}

impl Step {
    /// The statement.
    pub(super) fn sql(&self) -> &str {
        match self {
            Self::Simple(sql) | Self::CopyIn(sql, _) => sql,
            Self::Extended(extended) => &extended.sql,
        }
    }

    /// What is sent, but for what is copied.
    pub(super) fn bytes(&self) -> BytesMut {
        let mut bytes = BytesMut::new();
        match self {
            Self::Simple(sql) | Self::CopyIn(sql, _) => {
                ClientMessage::Query(sql.as_bytes()).encode(&mut bytes);
            }
            Self::Extended(extended) => extended.encode(&mut bytes),
        }
        bytes
    }
}

impl Extended {
    fn encode(&self, bytes: &mut BytesMut) {
        let name = self.name.as_bytes();
        ClientMessage::Parse(Parse { statement: name, text: self.sql.as_bytes(), types: Vec::new() })
            .encode(bytes);
        ClientMessage::Describe(Subject::Statement(name)).encode(bytes);
        for _ in 0..self.times {
            ClientMessage::Bind(Bind {
                portal: b"",
                statement: name,
                formats: Vec::new(),
                values: self.values.iter().map(|value| Some(value.as_bytes())).collect(),
                result_formats: vec![i16::from(self.binary)],
            })
            .encode(bytes);
            ClientMessage::Describe(Subject::Portal(b"")).encode(bytes);
            ClientMessage::Execute { portal: b"", max_rows: self.rows }.encode(bytes);
            if self.rows > 0 {
                ClientMessage::Execute { portal: b"", max_rows: 0 }.encode(bytes);
            }
        }
        ClientMessage::Sync.encode(bytes);
    }
}
