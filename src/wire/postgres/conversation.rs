//! Everything after start-up: statements, answers, COPY, until somebody leaves.
//!
//! Job: carry messages between a client and its database, and ask before a statement moves. The two
//! directions are independent, so a pipeline of any length cannot deadlock. Boundary: bytes in,
//! bytes, questions and observations out. Failure mode: a fault of the client or of the database;
//! after a fault the machine must not be used again.
//!
//! Order of calls: [`handle_client`](Conversation::handle_client) with what the client sent;
//! [`poll_question`](Conversation::poll_question) and, once it is judged and entered,
//! [`handle_answer`](Conversation::handle_answer), then `handle_client` again with what is left of
//! the input, until there is no question; write [`upstream_output`](Conversation::upstream_output).
//! [`handle_upstream`](Conversation::handle_upstream) with what the database sent;
//! [`poll_observation`](Conversation::poll_observation) until empty *before* writing
//! [`client_output`](Conversation::client_output), so that an origin check comes before the rows; then
//! `handle_client` again, because an answer can release what was held. Also call each again after its
//! output was drained.
//!
//! A refusal is exact because PostgreSQL itself carries it out: the refused message is replaced by a
//! text that cannot be parsed (`hoopctl: denied`), and the error that comes back for it is swapped for
//! ours. The database then skips to Sync, aborts the transaction and reports the status as it does
//! for any syntax error; if something earlier in the pipeline fails, ours never surfaces.

mod capping;
mod client;
mod guard;
mod meter;
mod names;
mod pending;
mod upstream;
mod veiled;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use self::guard::{Parked, Replay};
use self::meter::Due;
use self::names::Names;
use self::pending::{Copy, OpKind, Pending};
use self::veiled::Veiled;
use super::backend::{Column, TransactionStatus};
use super::error::ErrorFields;
use super::fault::{ClientFault, UpstreamFault};
use super::frame::{Frame, FrameLimits};
use super::scrub::Scrub;
use super::veil::{CopyLayout, Veil};

pub use self::capping::Clocked;
pub use self::guard::{Guard, Stamp, drifted, is_reserved};
pub use self::meter::{Meter, Meters, Overrun};
pub use crate::wire::output::Output;

/// The machine between a client and its database.
#[derive(Debug)]
pub struct Conversation {
    options: ConversationOptions,
    /// Written by the client side and by answers.
    upstream: BytesMut,
    /// Written by the upstream side, and by notices of ours.
    client: Output,
    /// Notices of ours that wait until the client's stream is between two messages.
    notices: BytesMut,
    pending: Pending,
    names: Names,
    copy: Copy,
    /// The database ignores everything up to the next Sync.
    skipping: bool,
    /// A Sync that came during COPY in, before any data: see `client`.
    deferred_sync: bool,
    /// The database has said that it is ready, and was sent nothing since.
    settled: bool,
    /// The client's next text is held until the database is ready: see `client`.
    unsettled: bool,
    question: Option<Open>,
    /// What the answers to the open question will count against.
    meters: Meters,
    /// The strictest limit on time of what was sent since no transaction was open: its end has it, too.
    due: Option<Due>,
    /// What waits for its guard.
    parked: Option<Box<Parked>>,
    /// How the open question's answer copies rows out.
    layout: Option<CopyLayout>,
    last_question: u64,
    observations: VecDeque<Observation>,
    /// What is left of a client's CopyData that passes in pieces.
    client_piece: Piece,
    /// What is left of a database's DataRow or CopyData that passes in pieces.
    upstream_piece: usize,
    /// What is left of one that is thrown away in pieces.
    upstream_drop: usize,
    /// What is known of results, where they are looked into.
    veiled: Option<Box<Veiled>>,
    terminated: bool,
    /// The database has said that it hangs up, and why.
    dying: bool,
    /// The transaction's status when the database was last ready.
    status: TransactionStatus,
    /// How many messages were sent that end a transaction which no BEGIN has begun.
    batch: u64,
    /// What can be taken again if the guard that was sent last fails.
    replay: Option<Replay>,
    /// How often messages were taken again since a guard last passed.
    replays: u32,
    /// What is to be taken again now.
    again: BytesMut,
}

impl Conversation {
    /// A conversation that has just become ready: start-up is over on both sides.
    #[must_use]
    pub fn new(options: ConversationOptions) -> Self {
        Self {
            options,
            upstream: BytesMut::new(),
            client: Output::default(),
            notices: BytesMut::new(),
            pending: Pending::default(),
            names: Names::default(),
            copy: Copy::None,
            skipping: false,
            deferred_sync: false,
            settled: true,
            unsettled: false,
            question: None,
            meters: Meters::default(),
            due: None,
            parked: None,
            layout: None,
            last_question: 0,
            observations: VecDeque::new(),
            client_piece: Piece::None,
            upstream_piece: 0,
            upstream_drop: 0,
            veiled: None,
            terminated: false,
            dying: false,
            status: TransactionStatus::Idle,
            batch: 0,
            replay: None,
            replays: 0,
            again: BytesMut::new(),
        }
    }

    /// The same, with results that are looked into: every statement is described, and what the veil hides is not shown.
    #[must_use]
    pub fn with_veil(mut self, veil: Veil) -> Self {
        self.options.inspect = true;
        self.veiled = Some(Box::new(Veiled::new(veil)));
        self
    }

    /// Takes what the client sent. Consumes whole messages until a question is open, the output is
    /// above its cap, an earlier statement must be answered first (COPY in), or input is short.
    ///
    /// # Errors
    /// [`ClientFault`]: tell it to the client and close.
    pub fn handle_client(&mut self, input: &mut BytesMut) -> Result<(), ClientFault> {
        self.take_client(input)
    }

    /// The open question, once. Nothing behind it is consumed until it is answered.
    pub fn poll_question(&mut self) -> Option<Question> {
        self.question.as_mut()?.question.take()
    }

    /// Answers the open question. Without one, does nothing.
    pub fn handle_answer(&mut self, answer: Answer) {
        self.take_answer(answer, None);
    }

    /// Answers the open question with something that may run only if the guard passes. Returns whether the guard
    /// was sent: not where nothing was, or a refusal.
    pub fn handle_guarded_answer(&mut self, guard: &Guard, answer: Answer) -> bool {
        self.take_answer(answer, Some(guard))
    }

    /// Bytes for the database. The driver drains it.
    pub fn upstream_output(&mut self) -> &mut BytesMut {
        &mut self.upstream
    }

    /// Takes what the database sent. Consumes until the output is above its cap or input is short.
    ///
    /// # Errors
    /// [`UpstreamFault`]: close both sides. What is in the client's output by then was answered
    /// before the fault, and may be sent.
    pub fn handle_upstream(&mut self, input: &mut BytesMut) -> Result<(), UpstreamFault> {
        self.take_upstream(input)
    }

    /// Bytes for the client. The driver drains it.
    pub fn client_output(&mut self) -> &mut Output {
        &mut self.client
    }

    /// What was seen, oldest first.
    pub fn poll_observation(&mut self) -> Option<Observation> {
        let observation = self.observations.pop_front();
        if let (Some(Observation::Gone(id)), Some(veiled)) = (&observation, &mut self.veiled) {
            veiled.gone(*id);
        }
        observation
    }

    /// Whether reading from the client makes sense now.
    #[must_use]
    pub fn wants_client_input(&self) -> bool {
        self.question.is_none()
            && self.parked.is_none()
            && !self.terminated
            && self.upstream.len() < self.options.output_cap
            && !self.holds_client()
    }

    /// Whether reading from the database makes sense now.
    #[must_use]
    pub fn wants_upstream_input(&self) -> bool {
        self.client.len() < self.options.output_cap
    }

    /// Sends the client a notice of ours between two messages, at once if that is where it is.
    pub fn send_notice(&mut self, notice: &ErrorFields) {
        notice.encode_notice(&mut self.notices);
        self.flush_notices();
    }

    /// Ends the conversation with a FATAL error for the client, if its stream is between two messages and
    /// the database has not said itself why it ends; returns whether that is so. Write what is in the
    /// output, then close.
    pub fn send_fatal(&mut self, error: &ErrorFields) -> bool {
        self.terminated = true;
        // drivers report the last error that they hear
        if self.upstream_piece > 0 || self.dying {
            return false;
        }
        let mut out = BytesMut::new();
        error.encode_error(&mut out);
        self.client.push(out.freeze());
        true
    }

    /// Whether the client said goodbye: write what is left to the database and close.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        self.terminated
    }

    /// How many answers of the database are outstanding.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.pending.len()
    }

    fn flush_notices(&mut self) {
        if self.upstream_piece == 0 && !self.notices.is_empty() {
            self.client.push(self.notices.split().freeze());
        }
    }
}

/// How a conversation is to be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationOptions {
    /// The longest messages.
    pub limits: FrameLimits,
    /// Describe every statement ourselves (a masked target).
    pub inspect: bool,
    /// What to hide in errors, notices and notifications.
    pub scrub: Scrub,
    /// Whether this is a replication connection, where COPY goes both ways.
    pub replication: bool,
    /// How many bytes may wait in each output before its input is left alone.
    pub output_cap: usize,
}

impl Default for ConversationOptions {
    fn default() -> Self {
        Self {
            limits: FrameLimits::default(),
            inspect: false,
            scrub: Scrub::None,
            replication: false,
            output_cap: 256 * 1024,
        }
    }
}

/// Counts the questions of a conversation, from 1. It names the statement that a Parse made and the
/// portal that a Bind made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuestionId(pub u64);

/// May this go to the database?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its number.
    pub id: QuestionId,
    /// What the client wants.
    pub ask: Ask,
    /// Whether the database reads this with the settings that it has reported: it was ready, and was sent
    /// nothing since that could change them.
    pub settled: bool,
    /// Which batch it is in: outside of BEGIN and COMMIT, what is in one batch is in one transaction.
    pub batch: u64,
}

/// What the client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// To bind values to a prepared statement.
    Bind {
        /// The portal to make.
        portal: Text,
        /// The statement's name.
        statement: Text,
        /// The Parse that made the statement, unless it was made in another way (SQL `PREPARE`), is
        /// not there, or the client made it unclear.
        parsed: Option<QuestionId>,
        /// Formats of the values: none (all text), one for all, or one each.
        formats: Vec<i16>,
        /// The values; `None` is NULL.
        values: Vec<Option<Bytes>>,
        /// Formats of the result columns, likewise.
        result_formats: Vec<i16>,
    },
    /// To call a function by its OID.
    Call {
        /// The function.
        oid: u32,
        /// Formats of the arguments: none (all text), one for all, or one each.
        formats: Vec<i16>,
        /// The arguments; `None` is NULL.
        arguments: Vec<Option<Bytes>>,
    },
    /// To run a portal, or to go on with it.
    Execute {
        /// The portal's name.
        portal: Text,
        /// The Bind that made the portal, unless it was made in another way (SQL `DECLARE`), is not
        /// there, or the client made it unclear.
        bound: Option<QuestionId>,
        /// How many rows at most; 0 for all.
        max_rows: i32,
    },
    /// To prepare a statement.
    Parse {
        /// The statement's name; empty for the unnamed one.
        statement: Text,
        /// The SQL.
        text: Text,
        /// OIDs of the parameter types; 0 lets the database choose.
        types: Vec<u32>,
    },
    /// To run a string of statements.
    Query {
        /// The SQL.
        text: Text,
    },
}

/// Text in the client's encoding, which need not be UTF-8.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Text(pub Bytes);

impl Text {
    /// The text, when it is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The text for a person; what is not UTF-8 is replaced.
    #[must_use]
    pub fn to_lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.to_lossy())
    }
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Send it as it came.
    Forward(Expect),
    /// Refuse it, as PostgreSQL would refuse a syntax error in it.
    Refuse(Box<ErrorFields>),
    /// Send this SQL instead. Only for Parse and Query; in answer to anything else, or with a NUL in
    /// it, it refuses.
    Replace {
        /// The SQL.
        text: String,
        /// What it can be answered with.
        expect: Expect,
    },
}

/// What a judged statement can be answered with, beyond rows and completion. For Parse and Bind it
/// does not matter. An answer that is not expected ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expect {
    /// COPY from the client. The client's next messages are held until it has begun or is out.
    pub copy_in: bool,
    /// COPY to the client.
    pub copy_out: bool,
    /// Afterwards names of statements, portals and tables may stand for others. The client's next messages are
    /// held until it is answered.
    pub renames: bool,
    /// Which columns come of it is decided when it runs, and not when it is parsed: FETCH, EXECUTE.
    pub shifts: bool,
}

impl Expect {
    /// For text that could not be judged.
    pub const ANYTHING: Self = Self { copy_in: true, copy_out: true, renames: true, shifts: true };
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// A cap is reached: from here on nothing of this message's answer goes to the client's output, and what
    /// the client is told comes once the database has stopped.
    Capped {
        /// Whose.
        question: QuestionId,
        /// Which cap, and what was sent until then.
        overrun: Box<Overrun>,
    },
    /// A statement is done.
    Completed {
        /// Whose.
        question: QuestionId,
        /// The command tag; empty for an empty statement.
        tag: String,
        /// The rows that the tag speaks of.
        rows: Option<u64>,
    },
    /// A COPY began.
    Copy {
        /// Whose.
        question: QuestionId,
        /// Which way.
        direction: CopyWay,
    },
    /// The columns of a result, or of a statement's future results.
    Described {
        /// Whose: of a Query, or of the Parse or Bind that made what was described.
        question: Option<QuestionId>,
        /// OIDs of the parameter types, for a statement.
        parameters: Vec<u32>,
        /// The columns; empty when it yields no rows.
        columns: Vec<Column>,
    },
    /// A guard has failed: what its relations are is not what they were judged to be.
    Drifted,
    /// A guard was cancelled, or could not be run: nothing was compared.
    GuardCutShort,
    /// A guard's check has passed.
    Guarded {
        /// Which.
        number: u64,
        /// Its stamp, if that is another one now.
        stamp: Option<Stamp>,
    },
    /// A guard has passed in a transaction that sees the catalog as it was when it began: what was guarded waits for
    /// [`Conversation::handle_proof`].
    Unproven {
        /// Whose.
        question: QuestionId,
        /// Which.
        number: u64,
        /// Its stamp.
        stamp: Stamp,
    },
    /// Something failed.
    Failed {
        /// Whose; `None` for an error out of the blue, which is FATAL.
        question: Option<QuestionId>,
        /// What the client was told.
        sqlstate: String,
        /// What the database said, which the client may not have been told.
        upstream: Box<ErrorFields>,
        /// Whether this is the arrival of our own refusal.
        refused: bool,
    },
    /// The statement that a Parse made or the portal that a Bind made is gone for good, or was never
    /// made: what is kept of it can be dropped.
    Gone(QuestionId),
    /// A message whose answer had reached its cap was carried out before it could be stopped: the client is
    /// told so, as an error.
    Kept {
        /// Whose.
        question: QuestionId,
        /// What the client was told.
        told: Box<ErrorFields>,
    },
    /// A setting has a new value.
    Parameter {
        /// The setting.
        name: String,
        /// Its value.
        value: String,
    },
    /// This Parse has succeeded: its name stands for its statement.
    Parsed(QuestionId),
    /// The database waits for the next query.
    Ready(TransactionStatus),
    /// Rows went to the client's output; several runs of one statement are reported one by one.
    Rows {
        /// Whose.
        question: QuestionId,
        /// How many in this run.
        count: u64,
    },
    /// An Execute, Query or Call never ran, because an earlier message of its pipeline failed.
    Skipped(QuestionId),
    /// A portal's row limit is reached; it can be executed again.
    Suspended {
        /// Whose.
        question: QuestionId,
    },
}

/// Which way a COPY goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyWay {
    /// Both ways (replication).
    Both,
    /// To the database.
    In,
    /// To the client.
    Out,
}

/// A question that is not answered.
#[derive(Debug)]
struct Open {
    id: QuestionId,
    /// Taken by `poll_question`.
    question: Option<Question>,
    kind: OpKind,
    frame: Frame,
    /// It will be asked again: whatever the answer, it is not sent.
    dropped: bool,
}

/// A message that passes in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// So many bytes are still to be thrown away.
    Drop(usize),
    /// So many bytes are still to be forwarded.
    Forward(usize),
    None,
}
