//! Which Parse made which statement, which Bind made which portal.
//!
//! Job: resolve names as the database will when it gets there, although answers lag behind. Boundary:
//! what it does not know is unknown, never guessed. Failure mode: none; a name that it resolves
//! wrongly would make the gateway judge the wrong text, so doubt means `None`.
//!
//! Two views are kept. `confirmed` is what the database has acknowledged. `expected` is what will be
//! there once everything that was sent has succeeded; a client's next message is resolved with it.
//! After an error it is made anew from `confirmed` and what is still pending.

use std::collections::HashMap;

use bytes::Bytes;

use super::pending::{Op, OpKind};
use crate::wire::postgres::conversation::QuestionId;

/// The names of statements and portals.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) statements: Space,
    pub(super) portals: Space,
    /// SQL has removed statements behind our back, so a later SQL `PREPARE` may reuse a name.
    deallocated: bool,
}

impl Names {
    /// Takes note of a message on its way.
    pub(super) fn sent(&mut self, op: &Op) {
        match (&op.kind, op.question) {
            (OpKind::Parse { statement }, _) if op.refused.is_some() && statement.is_empty() => {
                // like any Parse, a failing one first drops the unnamed statement
                self.statements.expected.remove(statement);
            }
            (OpKind::Parse { .. }, _) if op.refused.is_some() => {}
            (OpKind::Parse { statement }, Some(id)) => self.statements.expect(statement, id),
            (OpKind::Bind { portal }, Some(id)) => self.portals.expect(portal, id),
            (OpKind::CloseStatement { statement }, _) => {
                self.statements.expected.remove(statement);
            }
            (OpKind::ClosePortal { portal }, _) => {
                self.portals.expected.remove(portal);
            }
            (OpKind::Query, _) => {
                // a Query drops the unnamed statement and portal
                self.statements.expected.remove(&Bytes::new());
                self.portals.expected.remove(&Bytes::new());
            }
            _ => {}
        }
    }

    /// Takes note that a message has succeeded. Returns what is gone by it.
    pub(super) fn done(&mut self, kind: &OpKind, question: Option<QuestionId>) -> Vec<QuestionId> {
        let gone = match (kind, question) {
            (OpKind::Parse { statement }, Some(id)) => [self.statements.confirm(statement, id), None],
            (OpKind::Bind { portal }, Some(id)) => [self.portals.confirm(portal, id), None],
            (OpKind::CloseStatement { statement }, _) => [self.statements.forget(statement), None],
            (OpKind::ClosePortal { portal }, _) => [self.portals.forget(portal), None],
            (OpKind::Query, _) => [self.statements.forget(&Bytes::new()), self.portals.forget(&Bytes::new())],
            _ => [None, None],
        };
        gone.into_iter().flatten().collect()
    }

    /// Takes note that a message has failed, and that only these are still on their way.
    pub(super) fn failed<'a>(
        &mut self,
        kind: &OpKind,
        pending: impl Iterator<Item = &'a Op>,
    ) -> Vec<QuestionId> {
        let mut gone = Vec::new();
        if let OpKind::Parse { statement } = kind
            && statement.is_empty()
        {
            gone.extend(self.statements.forget(statement));
        }
        self.statements.expected.clone_from(&self.statements.confirmed);
        self.portals.expected.clone_from(&self.portals.confirmed);
        for op in pending {
            self.sent(op);
        }
        gone
    }

    /// Takes note that no transaction is open: every portal is gone.
    pub(super) fn transaction_over(&mut self) -> Vec<QuestionId> {
        self.portals.clear()
    }

    /// Takes note of a command tag. SQL shares these names, and can change them.
    pub(super) fn completed(&mut self, tag: &str) -> Vec<QuestionId> {
        match tag {
            // only removes, and what is not there fails at the database
            "DEALLOCATE" | "DEALLOCATE ALL" | "DISCARD ALL" => self.deallocated = true,
            "PREPARE" if self.deallocated => return self.statements.clear(),
            "DECLARE CURSOR" => return self.portals.clear(),
            _ => {}
        }
        Vec::new()
    }

    pub(super) fn len(&self) -> usize {
        let largest = |space: &Space| space.confirmed.len().max(space.expected.len());
        largest(&self.statements).max(largest(&self.portals))
    }
}

/// The names of one kind.
#[derive(Debug, Default)]
pub(super) struct Space {
    confirmed: HashMap<Bytes, QuestionId>,
    expected: HashMap<Bytes, QuestionId>,
}

impl Space {
    /// What a client's next message means by this name.
    pub(super) fn resolve(&self, name: &[u8]) -> Option<QuestionId> {
        self.expected.get(cut(name)).copied()
    }

    fn expect(&mut self, name: &Bytes, id: QuestionId) {
        self.expected.insert(name.clone(), id);
    }

    fn confirm(&mut self, name: &Bytes, id: QuestionId) -> Option<QuestionId> {
        self.confirmed.insert(name.clone(), id)
    }

    fn forget(&mut self, name: &Bytes) -> Option<QuestionId> {
        let id = self.confirmed.remove(name)?;
        self.unexpect(name, id);
        Some(id)
    }

    fn clear(&mut self) -> Vec<QuestionId> {
        let confirmed = std::mem::take(&mut self.confirmed);
        for (name, id) in &confirmed {
            self.unexpect(name, *id);
        }
        confirmed.into_values().collect()
    }

    fn unexpect(&mut self, name: &Bytes, id: QuestionId) {
        if self.expected.get(name) == Some(&id) {
            self.expected.remove(name);
        }
    }
}

/// A name as a key. PostgreSQL keeps 63 bytes of a name and compares only those, so two names that
/// differ later are one.
pub(super) fn key(name: &[u8]) -> Bytes {
    Bytes::copy_from_slice(cut(name))
}

fn cut(name: &[u8]) -> &[u8] {
    name.get(..63).unwrap_or(name)
}

/// More named statements or portals than any client needs.
pub(super) const MAX_NAMES: usize = 32_768;
