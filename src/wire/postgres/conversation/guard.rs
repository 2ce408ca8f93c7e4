//! Guards: what must still be true in the database when a message runs there.
//!
//! Job: send a guard's checks in front of a message, in the same pipeline and so in the same transaction; swallow
//! their answers; and when one fails, see to it that the message never ran: as any failed message of a pipeline,
//! PostgreSQL skips what follows up to the next Sync, a Query as well. If the client has been told nothing since the
//! database was last ready, and no transaction was open, its messages are taken again from the first, to be judged
//! anew; else it is told to run them again. Boundary: what is checked is the caller's business. Failure mode: a
//! check that cannot be made fails like one that fails.

use bytes::{Bytes, BytesMut};

use super::capping::is_clocked;
use super::meter::Meters;
use super::pending::{Op, OpKind};
use crate::wire::postgres::backend::TransactionStatus;
use crate::wire::postgres::conversation::{Conversation, Observation, Piece, QuestionId};
use crate::wire::postgres::error::{ErrorFields, Severity};
use crate::wire::postgres::frame::Frame;
use crate::wire::postgres::frontend::{Bind, ClientMessage, Parse, Subject};

/// What must still be true when a message runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Guard {
    /// Which check: a prepared statement that fails when something has changed. Its name is made of this.
    pub number: u64,
    /// Checks that are not needed any more.
    pub forget: Vec<u64>,
    /// The check's text, where it is to be prepared first. It takes a stamp, and yields one row, with a new stamp or NULL.
    pub prepare: Option<String>,
    /// Texts of SQL that name relations. They are parsed and never run: parsing locks the relations until the
    /// transaction ends, and asks for no privilege on them.
    pub locks: Vec<String>,
    /// The stamp that the check was last seen to have.
    pub stamp: Option<Stamp>,
    /// Whether the message waits until the check has passed, instead of following it at once. Then somebody can look
    /// from elsewhere where the check itself proves nothing.
    pub alone: bool,
}

/// A message that waits for its guard.
#[derive(Debug)]
pub(super) struct Parked {
    op: Op,
    bytes: Bytes,
    /// The client's own.
    frame: Frame,
    check: Check,
}

/// How the check of a message that waits stands.
#[derive(Debug)]
enum Check {
    /// It is under way.
    Runs,
    /// This is what it has said, which proves nothing.
    ProvesNothing { number: u64, stamp: Stamp },
    /// Somebody looks from elsewhere.
    LookedAt,
    /// The message may go.
    Passed,
}

/// When the database last worked out what a check means: a `timestamptz`, in binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(pub [u8; 8]);

/// The client's messages since a guard, for as long as they can be taken again.
#[derive(Debug, Default)]
pub(super) struct Replay {
    bytes: BytesMut,
    /// A Sync or Query was the last.
    closed: bool,
}

impl Conversation {
    /// Sends a guard's checks. `frame` is the message that they are for.
    pub(super) fn send_guard(&mut self, guard: &Guard, frame: &Frame, id: QuestionId, meters: &Meters) {
        let fresh = self.settled && self.status == TransactionStatus::Idle;
        let again = fresh && self.replays < MOST_REPLAYS && frame.bytes.len() <= LONGEST_REPLAY;
        self.replay = again.then(|| Replay {
            bytes: BytesMut::from(frame.bytes.as_ref()),
            closed: matches!(frame.tag, b'Q' | b'F'),
        });
        let name = |number: u64| format!("hoopctl_{number}").into_bytes();
        let forget: Vec<Vec<u8>> = guard.forget.iter().copied().map(name).collect();
        let statement = name(guard.number);
        let mut messages = Vec::new();
        fn close(name: &[u8]) -> ClientMessage<'_> {
            ClientMessage::Close(Subject::Statement(name))
        }
        fn parse<'a>(statement: &'a [u8], text: &'a str) -> ClientMessage<'a> {
            ClientMessage::Parse(Parse { statement, text: text.as_bytes(), types: Vec::new() })
        }
        messages.extend(forget.iter().map(|name| close(name)));
        if let Some(text) = &guard.prepare {
            messages.extend([close(&statement), parse(&statement, text)]);
        }
        for lock in &guard.locks {
            messages.extend([close(LOCK), parse(LOCK, lock)]);
        }
        let seen_to = guard.alone.then_some(SEEN_TO.as_slice());
        let bind = Bind {
            portal: LOCK,
            statement: &statement,
            formats: vec![BINARY],
            values: vec![guard.stamp.as_ref().map(|stamp| stamp.0.as_slice()).or(seen_to)],
            result_formats: vec![BINARY],
        };
        messages.push(ClientMessage::Bind(bind));
        messages.push(ClientMessage::Execute { portal: LOCK, max_rows: 0 });
        messages.push(ClientMessage::Close(Subject::Portal(LOCK)));
        let count = messages.len();
        let mut bytes = BytesMut::new();
        for (at, message) in messages.iter().enumerate() {
            bytes.clear();
            message.encode(&mut bytes);
            let kind = OpKind::Guard { number: guard.number, last: at + 1 == count };
            // what waits for a lock takes the time of the statement that wants it
            self.send(Op { of: Some(id), meters: meters.clone(), ..Op::new(kind, None) }, &bytes);
        }
        if guard.alone {
            ClientMessage::Flush.encode(&mut self.upstream);
        }
    }

    /// Whether the message was sent last that stands before this one, which goes with it.
    pub(super) fn is_of_guard(&self, op: &Op) -> bool {
        self.pending.back().is_some_and(|last| {
            matches!(last.kind, OpKind::Guard { .. })
                && matches!(op.kind, OpKind::Guard { .. })
                && last.of == op.of
        })
    }

    /// Keeps a message until its guard has passed.
    pub(super) fn park(&mut self, op: Op, bytes: Bytes, frame: Frame) {
        self.parked = Some(Box::new(Parked { op, bytes, frame, check: Check::Runs }));
    }

    /// The oldest pending message has failed. If the database skips the guard of a message that waits, that message goes
    /// the way of what is skipped.
    ///
    /// INVARIANT: nothing is taken for sent that was not, and will not be skipped. Behind a Sync, or behind a Query that
    /// fails, the database goes on with the guard.
    pub(super) fn unpark(&mut self) {
        let goes_on = |op: &Op| matches!(op.kind, OpKind::Query | OpKind::Call | OpKind::Sync);
        let oldest = self.pending.iter().next();
        if oldest.is_none_or(goes_on) || self.pending.iter().any(|op| matches!(op.kind, OpKind::Sync)) {
            return;
        }
        if let Some(parked) = self.parked.take() {
            self.note_sent(parked.op);
        }
    }

    /// The question whose message waits for its guard, and then for [`Self::handle_proof`].
    #[must_use]
    pub fn waits_for_proof(&self) -> Option<QuestionId> {
        self.parked.as_ref()?.op.question
    }

    /// The same, if its guard has passed and there is nothing to look at.
    #[must_use]
    pub fn is_proven(&self) -> Option<QuestionId> {
        let parked = self.parked.as_ref().filter(|parked| matches!(parked.check, Check::Passed))?;
        parked.op.question
    }

    /// What waits because of this question goes, or is refused: it [is proven](Self::is_proven), or was looked at from
    /// elsewhere after [`Observation::Unproven`]. Does nothing before that, and where that message does not wait any more.
    pub fn handle_proof(&mut self, of: QuestionId, refusal: Option<Box<ErrorFields>>) {
        let is_due = |parked: &mut Box<Parked>| {
            parked.op.question == Some(of) && matches!(parked.check, Check::LookedAt | Check::Passed)
        };
        let Some(parked) = self.parked.take_if(is_due) else { return };
        let Parked { op, bytes, frame, .. } = *parked;
        match (refusal, op.question) {
            (Some(fields), Some(id)) => self.refuse(op.kind, id, &frame, fields),
            _ => self.forward(op, &bytes),
        }
    }

    /// Keeps a message that the client sent behind a guard.
    pub(super) fn keep_for_replay(&mut self, frame: &Frame) {
        let Some(replay) = &mut self.replay else { return };
        if replay.closed || replay.bytes.len() + frame.bytes.len() > LONGEST_REPLAY {
            // the client has gone on
            self.replay = None;
            return;
        }
        replay.bytes.extend_from_slice(&frame.bytes);
        replay.closed = matches!(frame.tag, b'S' | b'Q' | b'F');
    }

    /// The check of this question's guard has given this row.
    pub(super) fn guard_row(&mut self, of: Option<QuestionId>, number: u64, row: &[Option<&[u8]>]) {
        let stamp = row.first().copied().flatten().and_then(|value| Some(Stamp(value.try_into().ok()?)));
        let is_proven = stamp.is_none() || row.get(1).copied().flatten() == Some(&[1]);
        if let (false, Some(parked), Some(stamp)) = (is_proven, self.parked_for(of), stamp) {
            parked.check = Check::ProvesNothing { number, stamp };
            return;
        }
        let stamp = stamp.filter(|_| is_proven);
        self.observations.push_back(Observation::Guarded { number, stamp });
    }

    /// The time that limits a guard's message is over, and the guard was done before it could be cancelled.
    pub(super) fn guard_overdue(&mut self, of: Option<QuestionId>) {
        if let Some(parked) = self.parked_for(of) {
            parked.op.overdue = is_clocked(&parked.op);
        }
    }

    /// What waits, if it is for the guard of this question: another guard can be under way in front of that.
    fn parked_for(&mut self, of: Option<QuestionId>) -> Option<&mut Parked> {
        self.parked.as_deref_mut().filter(|parked| of.is_some() && parked.op.question == of)
    }

    /// Whether the oldest pending message is one of a guard.
    pub(super) fn is_guarding(&mut self) -> bool {
        self.pending.front().is_some_and(|op| matches!(op.kind, OpKind::Guard { .. }))
    }

    /// The checks of this question's guard have passed.
    pub(super) fn guard_passed(&mut self, of: Option<QuestionId>) {
        self.replay = None;
        self.replays = 0;
        if let Some(op) = self.pending.front() {
            op.guarded = false;
        }
        let Some(parked) = self.parked_for(of) else { return };
        parked.op.guarded = false;
        let check = std::mem::replace(&mut parked.check, Check::Passed);
        if let Check::ProvesNothing { number, stamp } = check {
            parked.check = Check::LookedAt;
            let unproven = of.map(|question| Observation::Unproven { question, number, stamp });
            self.observations.extend(unproven);
        }
    }

    /// A check has failed with this SQLSTATE. What the client is to be told, if anything: then the message that was
    /// guarded is the oldest pending one, and fails with it.
    pub(super) fn guard_failed(&mut self, sqlstate: &str) -> GuardFailed {
        let mut overdue = false;
        while let Some(op) = self.pending.front().filter(|op| matches!(op.kind, OpKind::Guard { .. })) {
            overdue |= op.overdue;
            self.pending.pop();
        }
        if let Some(op) = self.pending.front() {
            op.overdue |= overdue;
        }
        if PASSED_ON.contains(&sqlstate) || sqlstate.starts_with("57P") || sqlstate.starts_with("53") {
            self.replay = None;
            self.observations.push_back(Observation::GuardCutShort);
            self.resume_behind_guard();
            return GuardFailed::AsItIs;
        }
        self.observations.push_back(Observation::Drifted);
        let replay = self.replay.take().filter(|_| self.client_piece == Piece::None);
        let Some(replay) = replay else {
            self.resume_behind_guard();
            return GuardFailed::Told(Box::new(drifted()));
        };
        self.replays += 1;
        if let Some(open) = &mut self.question {
            open.dropped = true;
        }
        let synced = self.pending.take_to_sync();
        let has_sync = synced.last().is_some_and(|op| matches!(op.kind, OpKind::Sync));
        let kind = synced.first().map_or(OpKind::Sync, |op| op.kind.clone());
        let gone = self.names.failed(&kind, self.pending.iter());
        self.observations.extend(gone.into_iter().map(Observation::Gone));
        for op in &synced {
            if let (Some(id), false) = (op.question, matches!(op.kind, OpKind::Describe(_))) {
                self.skip(&op.kind, id);
            }
        }
        if !has_sync {
            ClientMessage::Sync.encode(&mut self.upstream);
        }
        self.skipping = false;
        self.settled = false;
        self.pending.push_front(Op::new(OpKind::Again { bytes: replay.bytes }, None));
        GuardFailed::Replays
    }

    /// A Query has no Sync behind it that could end the skipping.
    fn resume_behind_guard(&mut self) {
        if let Some(op) = self.pending.front()
            && std::mem::take(&mut op.guarded)
        {
            ClientMessage::Sync.encode(&mut self.upstream);
        }
    }

    /// The database is ready after a guard that failed: the client's messages are taken again.
    pub(super) fn take_again(&mut self, bytes: BytesMut) {
        self.again = bytes;
    }

    /// Puts messages that are taken again in front of those that were not taken yet.
    pub(super) fn put_back(&mut self, input: &mut BytesMut) {
        if !self.again.is_empty() {
            let mut again = std::mem::take(&mut self.again);
            again.extend_from_slice(input);
            *input = again;
        }
    }

    /// Whether messages that were taken are to be taken again.
    #[must_use]
    pub fn takes_again(&self) -> bool {
        !self.again.is_empty()
    }
}

/// What comes of a check that has failed.
pub(super) enum GuardFailed {
    /// The client is told what the database said.
    AsItIs,
    /// The client's messages will be taken again; it is told nothing.
    Replays,
    /// The client is told this.
    Told(Box<ErrorFields>),
}

/// What a client is told whose transaction cannot go on.
#[must_use]
pub fn drifted() -> ErrorFields {
    let message = "a relation of this statement was changed since the statement was judged";
    ErrorFields::new(Severity::Error, "40001", message).with_hint("run the transaction again")
}

/// Stands in front of what a Query says, and does nothing. Behind a guard a Query goes on with the guard's transaction, and
/// from PostgreSQL 18 on ends it only if it is a string of several statements. The answer is swallowed.
pub(super) const BEFORE: &str = "UNLISTEN hoopctl_guard; ";
/// Whether a name is one of what guards prepare and bind. With one of a client's in its place a guard would guard nothing,
/// and described by somebody else, a check would be worked out anew without being compared.
#[must_use]
pub fn is_reserved(name: &[u8]) -> bool {
    name.starts_with(b"hoopctl_")
}

/// The name of what a guard parses, and of its portal.
const LOCK: &[u8] = b"hoopctl_guard";
const BINARY: i16 = 1;
/// The stamp `-infinity`: what it proves is seen to from elsewhere.
const SEEN_TO: [u8; 8] = [0x80, 0, 0, 0, 0, 0, 0, 0];
/// What has nothing to do with what is checked: cancelled, timed out, a deadlock, a transaction that has failed.
const PASSED_ON: &[&str] = &["25P02", "40P01", "55P03", "57014"];
/// Changes that follow each other faster than they can be read are the client's to wait out.
const MOST_REPLAYS: u32 = 3;
const LONGEST_REPLAY: usize = 256 * 1024;
