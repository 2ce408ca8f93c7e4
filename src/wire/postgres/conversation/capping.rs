//! A result that reaches its cap.
//!
//! Job: from the row on that would be one too many nothing more of the message's answer is forwarded; its
//! statement is to be cancelled, and the error that comes of that is told in our words. Boundary: time
//! comes in from outside, and so does the cancelling. Failure mode: where the cancel comes too late the
//! statement is made to fail: what follows in the extended protocol is held until a capped statement is
//! answered, so its pipeline rolls back, and so does an open transaction. Only of a Query that had
//! committed by then the error says so.

use std::sync::Arc;
use std::time::Duration;

use super::client::{DENIED, denied_parse};
use super::meter::{Meter, Meters, Overrun};
use super::pending::{Copy, Op, OpKind};
use super::upstream::{Fate, unexpected};
use crate::domain::caps::CapKind;
use crate::wire::postgres::backend::{ServerMessage, TransactionStatus};
use crate::wire::postgres::conversation::{Conversation, Observation, QuestionId};
use crate::wire::postgres::error::{ErrorFields, Severity};
use crate::wire::postgres::fault::UpstreamFault;
use crate::wire::postgres::frontend::ClientMessage;

impl Conversation {
    /// What the answers to the open question will count against. To be said before the answer.
    pub fn handle_meters(&mut self, meters: Meters) {
        self.meters = meters;
    }

    /// What the database works on now, where the time for that is limited.
    #[must_use]
    pub fn clocked(&self) -> Option<Clocked> {
        let op = self.pending.iter().next()?;
        let meters: Vec<_> = op.meters.clocked().map(Arc::clone).collect();
        let question = op.question.or(op.of).filter(|_| !meters.is_empty() && !op.failed)?;
        let is_end = matches!(op.kind, OpKind::Sync);
        Some(Clocked { question, at: op.meters.at(), is_end, meters })
    }

    /// The time for what the database works on is over: whoever says so cancels it. If it is done before
    /// that arrives, it was in time.
    pub fn handle_overdue(&mut self) {
        if let Some(op) = self.pending.front()
            && op.stopped.is_none()
        {
            op.overdue = op.meters.overdue().is_some();
        }
    }

    /// Whether the statement that the database works on should be cancelled.
    #[must_use]
    pub fn wants_cancel(&self) -> bool {
        self.pending.iter().next().is_some_and(|op| op.stopped.is_some() || op.overdue)
    }

    /// Whether what comes of the database now is thrown away, so that nothing of it waits for the client.
    #[must_use]
    pub fn throws_away(&self) -> bool {
        self.pending.iter().next().is_some_and(|op| op.stopped.is_some())
    }

    /// Whether the database waits for COPY data: it hears of a cancel when the next comes.
    #[must_use]
    pub fn copies_in(&self) -> bool {
        self.copy == Copy::In
    }

    /// Counts a row, or a piece of COPY data; whether it may go to the client.
    pub(super) fn count(&mut self, size: usize) -> bool {
        let Some(op) = self.pending.front() else { return true };
        if op.stopped.is_some() {
            return false;
        }
        let Err(overrun) = op.meters.take(u64::try_from(size).unwrap_or(u64::MAX)) else { return true };
        op.stopped = Some(Box::new(told(&overrun)));
        op.overdue = false;
        if let Some(question) = op.question {
            self.report_rows();
            self.observations.push_back(Observation::Capped { question, overrun: Box::new(overrun) });
        }
        false
    }

    /// What the client is told instead of this error of the oldest pending message.
    pub(super) fn error_of_cap(&mut self, sqlstate: &str) -> Option<Box<ErrorFields>> {
        let op = self.pending.front()?;
        let is_overdue = std::mem::take(&mut op.overdue) && sqlstate == CANCELED;
        let stopped = op.stopped.take();
        if stopped.is_some() {
            return stopped;
        }
        let (question, overrun) = (op.question.or(op.of)?, op.meters.overdue().filter(|_| is_overdue)?);
        let told = told(&overrun);
        self.observations.push_back(Observation::Capped { question, overrun: Box::new(overrun) });
        Some(Box::new(told))
    }

    /// An answer, other than rows and errors, to a message whose answer has reached its cap.
    pub(super) fn take_of_capped(
        &mut self,
        tag: u8,
        message: &ServerMessage<'_>,
    ) -> Result<Fate, UpstreamFault> {
        let Some(op) = self.pending.front() else { return Err(unexpected(tag, "nothing")) };
        match (&op.kind, message) {
            (OpKind::Query | OpKind::Call | OpKind::Execute, ServerMessage::CopyInResponse(_)) => {
                ClientMessage::CopyFail(DENIED).encode(&mut self.upstream);
            }
            (OpKind::Query | OpKind::Execute, ServerMessage::CopyOutResponse(_)) => self.copy = Copy::Out,
            (OpKind::Query | OpKind::Execute, ServerMessage::CopyDone) => self.copy = Copy::None,
            (OpKind::Execute, ServerMessage::CommandComplete(_) | ServerMessage::PortalSuspended) => {
                // named, because a Parse of the unnamed statement would drop the client's
                denied_parse(b"hoopctl_denied").encode(&mut self.upstream);
                ClientMessage::Flush.encode(&mut self.upstream);
                op.kind = OpKind::Denied;
                op.refused = op.stopped.clone();
            }
            // of later statements of the text
            (OpKind::Query, ServerMessage::RowDescription(_)) => {}
            (OpKind::Query, ServerMessage::CommandComplete(_) | ServerMessage::EmptyQueryResponse)
            | (OpKind::Call, ServerMessage::FunctionCallResponse(_)) => {}
            _ => return Err(unexpected(tag, "the answer to an earlier message")),
        }
        if let ServerMessage::CommandComplete(command) = message {
            // it was done all the same: what it changed about the connection holds
            self.copy = Copy::None;
            self.note_completed(&String::from_utf8_lossy(command));
        }
        Ok(Fate::Swallow)
    }

    /// The database is done with a Query or Call whose answer has reached its cap, and was not stopped.
    /// What the client is told before that; `None` when it hears nothing before the transaction has failed.
    pub(super) fn ready_of_capped(&mut self, status: TransactionStatus) -> Option<Box<ErrorFields>> {
        let op = self.pending.front()?;
        if status == TransactionStatus::InTransaction {
            ClientMessage::Query(DENIED).encode(&mut self.upstream);
            op.kind = OpKind::Query;
            op.refused = op.stopped.clone();
            return None;
        }
        let (question, stopped) = (op.question, op.stopped.take()?);
        let detail = "The database had done all of it before it could be stopped: what it changed is kept.";
        let told = Box::new(stopped.with_detail(detail));
        let kept = question.map(|question| Observation::Kept { question, told: told.clone() });
        self.observations.extend(kept);
        Some(told)
    }

    pub(super) fn failed_by_cap(&mut self, question: Option<QuestionId>, told: &ErrorFields) {
        self.observations.push_back(Observation::Failed {
            question,
            sqlstate: told.sqlstate.clone(),
            upstream: Box::new(told.clone()),
            refused: true,
        });
    }

    /// Whether the oldest pending message's answer has reached its cap.
    pub(super) fn is_capped(&mut self) -> bool {
        self.pending.front().is_some_and(|op| op.stopped.is_some())
    }
}

/// What the database works on, and what limits the time for it.
#[derive(Debug)]
pub struct Clocked {
    question: QuestionId,
    at: usize,
    /// It is the Sync behind it.
    is_end: bool,
    meters: Vec<Arc<Meter>>,
}

impl Clocked {
    /// Whether it is the same statement of the same message.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        (self.question, self.at, self.is_end) == (other.question, other.at, other.is_end)
    }

    /// How long it may still take.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.meters.iter().filter_map(|meter| meter.left()).min().unwrap_or(Duration::MAX)
    }

    /// It has taken so long.
    pub fn spend(&self, time: Duration) {
        self.meters.iter().for_each(|meter| meter.spend(time));
    }
}

/// Whether what a client sends behind this must wait for its answer: a message that is refused after it was
/// answered would have taken along what follows, and a cancel that comes too late for it would meet that.
pub(super) fn holds_what_follows(op: &Op) -> bool {
    // what is prepared and bound is given out by what executes it
    let answers = matches!(op.kind, OpKind::Call | OpKind::Denied | OpKind::Execute | OpKind::Query);
    answers && op.meters.limit_anything()
}

/// Whether the time that the database works on it is limited.
pub(super) fn is_clocked(op: &Op) -> bool {
    op.meters.clocked().next().is_some()
}

fn told(overrun: &Overrun) -> ErrorFields {
    let Overrun { kind, cap, rows, bytes, .. } = overrun;
    let most = kind.told(cap.most);
    let rule = &cap.rule;
    let (sqlstate, message, hint) = match kind {
        CapKind::Bytes | CapKind::Rows => (
            LIMIT_EXCEEDED,
            format!(
                "the answer is longer than {most}, which is all that one statement may give out (rule {rule})"
            ),
            "ask for less (WHERE, LIMIT, fewer columns), or ask whoever keeps the policy for more",
        ),
        CapKind::Time => (
            CANCELED,
            format!("the statement took longer than {most}, which is all that one may take (rule {rule})"),
            "make it do less, or ask whoever keeps the policy for more time",
        ),
    };
    let sent = CapKind::Rows.told(*rows);
    ErrorFields::new(Severity::Error, sqlstate, message)
        .with_detail(format!("What was sent before this, {sent} in {bytes} bytes, is not the whole answer."))
        .with_hint(cap.hint.clone().unwrap_or_else(|| hint.to_owned()))
}

/// `program_limit_exceeded`: drivers do not try again, as they do in class 53.
const LIMIT_EXCEEDED: &str = "54000";
/// `query_canceled`, as of PostgreSQL's own `statement_timeout`.
const CANCELED: &str = "57014";
