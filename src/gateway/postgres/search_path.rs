//! The session's `search_path` as far as a relay can know it.
//!
//! Job: follow SET, COMMIT and ROLLBACK, so that unqualified names are looked up where the database
//! would. Boundary: soundness does not rest on it, because every name that is sent is qualified; a
//! wrong path resolves a name to another table than the client meant, masked just the same.

use crate::sql::Effect;
use crate::wire::postgres::backend::TransactionStatus;

/// The path: as the session began, as it is outside the transaction, and as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SearchPath {
    initial: Vec<String>,
    committed: Vec<String>,
    uncommitted: Option<Vec<String>>,
    current: Vec<String>,
}

impl SearchPath {
    /// The path that a session begins with.
    pub(super) fn new(initial: Vec<String>) -> Self {
        Self { committed: initial.clone(), uncommitted: None, current: initial.clone(), initial }
    }

    /// The path in force.
    pub(super) fn current(&self) -> &[String] {
        &self.current
    }

    /// A statement with this effect is on its way.
    pub(super) fn foresee(&mut self, effect: &Effect) {
        let (path, local) = match effect {
            Effect::SetSearchPath { path: Some(path), local } => (path.clone(), *local),
            Effect::SetSearchPath { path: None, local } => (self.initial.clone(), *local),
            Effect::DiscardAll | Effect::ResetAll => (self.initial.clone(), false),
            _ => return,
        };
        self.current.clone_from(&path);
        if !local {
            self.uncommitted = Some(path);
        }
    }

    /// A statement ended with this command tag.
    pub(super) fn completed(&mut self, tag: &str) {
        if tag == "ROLLBACK" {
            self.uncommitted = None;
            self.current.clone_from(&self.committed);
        }
    }

    /// A statement failed.
    pub(super) fn failed(&mut self) {
        self.completed("ROLLBACK");
    }

    /// The database is ready again.
    pub(super) fn ready(&mut self, status: TransactionStatus) {
        if status == TransactionStatus::Idle {
            if let Some(path) = self.uncommitted.take() {
                self.committed = path;
            }
            self.current.clone_from(&self.committed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(path: &[&str], local: bool) -> Effect {
        Effect::SetSearchPath { path: Some(path.iter().map(ToString::to_string).collect()), local }
    }

    #[test]
    fn it_follows_transactions() {
        let mut path = SearchPath::new(vec!["public".into()]);
        path.foresee(&set(&["a"], false));
        path.completed("ROLLBACK");
        path.ready(TransactionStatus::Idle);
        assert_eq!(path.current(), ["public"]);

        path.foresee(&set(&["b"], true));
        assert_eq!(path.current(), ["b"]);
        path.completed("COMMIT");
        path.ready(TransactionStatus::Idle);
        assert_eq!(path.current(), ["public"]);

        path.foresee(&set(&["c"], false));
        path.completed("SET");
        path.ready(TransactionStatus::Idle);
        assert_eq!(path.current(), ["c"]);

        path.foresee(&Effect::ResetAll);
        path.ready(TransactionStatus::Idle);
        assert_eq!(path.current(), ["public"]);
    }
}
