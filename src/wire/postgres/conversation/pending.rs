//! What the database still owes an answer to.
//!
//! Job: keep the messages that were sent, in order, and throw away what the database skips after an
//! error. Boundary: names and bytes are elsewhere. Failure mode: none; it is bounded because the
//! client is held above [`MAX_PENDING`].

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::capping::holds_what_follows;
use super::meter::{Due, Meters};
use crate::wire::postgres::conversation::{Expect, QuestionId};
use crate::wire::postgres::error::ErrorFields;
use crate::wire::postgres::veil::CopyLayout;

/// Messages that are not answered, oldest first.
#[derive(Debug, Default)]
pub(super) struct Pending(VecDeque<Op>);

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What the next answer of the database belongs to.
    pub(super) fn front(&mut self) -> Option<&mut Op> {
        self.0.front_mut()
    }

    pub(super) fn push(&mut self, op: Op) {
        self.0.push_back(op);
    }

    pub(super) fn push_front(&mut self, op: Op) {
        self.0.push_front(op);
    }

    pub(super) fn pop(&mut self) -> Option<Op> {
        self.0.pop_front()
    }

    /// What was sent last.
    pub(super) fn back(&self) -> Option<&Op> {
        self.0.back()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Op> {
        self.0.iter()
    }

    /// Whether the message that was sent last may yet be answered by COPY in, or change what names stand
    /// for. Then the next client messages mean different things depending on that answer, so they are held.
    pub(super) fn decides_what_follows(&self) -> bool {
        self.0.back().is_some_and(|op| {
            (op.expect.copy_in || op.expect.renames || op.guarded || holds_what_follows(op)) && !op.failed
                || matches!(op.kind, OpKind::Again { .. })
        })
    }

    /// The strictest limit on the time of what was sent.
    pub(super) fn strictest(&self) -> Option<Due> {
        self.0.iter().filter_map(|op| op.meters.strictest()).reduce(Due::stricter)
    }

    /// Takes off everything up to the next Sync, and that as well.
    pub(super) fn take_to_sync(&mut self) -> Vec<Op> {
        let sync = self.0.iter().position(|op| matches!(op.kind, OpKind::Sync));
        let count = sync.map_or(self.0.len(), |sync| sync + 1);
        self.0.drain(..count).collect()
    }

    /// Whether the database will say that it is ready without hearing more from the client.
    pub(super) fn will_be_ready(&self) -> bool {
        self.0.back().is_some_and(|op| matches!(op.kind, OpKind::Query | OpKind::Call | OpKind::Sync))
    }

    /// Takes off what the database skips after an error, and says whether it goes on skipping: it
    /// does while no Sync has been sent. A Query does not stop it.
    pub(super) fn skip_to_sync(&mut self) -> (Vec<Op>, bool) {
        match self.0.iter().position(|op| matches!(op.kind, OpKind::Sync)) {
            Some(sync) => (self.0.drain(..sync).collect(), false),
            None => (self.0.drain(..).collect(), true),
        }
    }
}

/// A message that was sent.
#[derive(Debug)]
pub(super) struct Op {
    pub(super) kind: OpKind,
    /// The question that it came from.
    pub(super) question: Option<QuestionId>,
    /// The question whose time it takes, where it came from none: what guards it, and the end of its transaction.
    pub(super) of: Option<QuestionId>,
    /// What the client is told when this fails, as it must.
    pub(super) refused: Option<Box<ErrorFields>>,
    pub(super) expect: Expect,
    /// An error has come; only ReadyForQuery is still to come.
    pub(super) failed: bool,
    /// The text was rewritten, so positions in it mean nothing to the client.
    pub(super) replaced: bool,
    /// Rows that have not been reported.
    pub(super) rows: u64,
    /// What its answers count against.
    pub(super) meters: Meters,
    /// How it copies rows out, where that is looked into.
    pub(super) layout: Option<CopyLayout>,
    /// A cap is reached, and this is what the client is told once the database has stopped.
    pub(super) stopped: Option<Box<ErrorFields>>,
    /// Its time is over.
    pub(super) overdue: bool,
    /// A Query whose guard has not passed yet: what follows is held.
    pub(super) guarded: bool,
    /// A Query with a statement of ours in front, which was not answered yet.
    pub(super) preceded: bool,
}

impl Op {
    pub(super) fn new(kind: OpKind, question: Option<QuestionId>) -> Self {
        Self {
            kind,
            question,
            of: None,
            refused: None,
            expect: Expect::default(),
            failed: false,
            replaced: false,
            rows: 0,
            meters: Meters::default(),
            layout: None,
            stopped: None,
            overdue: false,
            guarded: false,
            preceded: false,
        }
    }
}

/// Which message.
#[derive(Debug, Clone)]
pub(super) enum OpKind {
    /// A guard has failed; once the database is ready, these messages of the client are taken again.
    Again {
        bytes: BytesMut,
    },
    Bind {
        portal: Bytes,
    },
    Call,
    ClosePortal {
        portal: Bytes,
    },
    CloseStatement {
        statement: Bytes,
    },
    /// Stands where a Bind or Execute was refused.
    Denied,
    Describe(Describe),
    Execute,
    /// Ours: the client must not see the answers.
    Guard {
        /// Which.
        number: u64,
        last: bool,
    },
    Parse {
        statement: Bytes,
    },
    Query,
    Sync,
}

/// A Describe, the client's or ours.
#[derive(Debug, Clone)]
pub(super) struct Describe {
    /// The Parse or Bind that made what is described.
    pub(super) of: Option<QuestionId>,
    /// Ours: the client must not see the answers.
    pub(super) injected: bool,
    /// The parameter types, once they have come.
    pub(super) parameters: Vec<u32>,
}

/// Where a COPY stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copy {
    /// Both ways.
    Both,
    /// The client sends.
    In,
    /// The client has sent everything; the database has yet to say how it went.
    InDone,
    None,
    /// The database sends.
    Out,
}

/// More unanswered messages than any client needs; above it the client is held.
pub(super) const MAX_PENDING: usize = 8_192;
