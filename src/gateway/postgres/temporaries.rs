//! Which temporary tables a connection has, as far as a relay can know it.
//!
//! Job: follow the statements that make, alter and drop them, and the transactions that undo it. Boundary: what a
//! statement does to them is found out where it is judged. Failure mode: soundness does not rest on it, because such a table
//! is named by its schema in all that is sent: one that is not there is an error of the database's.
//!
//! The client's next messages are held until a statement with such an effect is answered
//! ([`Expect`](crate::wire::postgres::conversation::Expect)), so each is judged by what has become of those before it.

use std::collections::VecDeque;

use super::inspected::Part;
use crate::sql::{Effect, Temporary, TemporaryChange, TransactionStep};
use crate::wire::postgres::backend::TransactionStatus;
use crate::wire::postgres::conversation::QuestionId;

/// The tables: as a rollback would leave them, and as they are now.
#[derive(Debug, Default)]
pub(super) struct Temporaries {
    committed: Temporary,
    current: Temporary,
    /// What each savepoint would go back to, outermost first.
    savepoints: Vec<(String, Temporary)>,
    /// What statements that are on their way will do, by the question that they are of.
    awaited: VecDeque<(QuestionId, VecDeque<Option<Step>>)>,
}

#[derive(Debug, Clone)]
enum Step {
    Change(TemporaryChange),
    Transaction(TransactionStep),
}

impl Temporaries {
    /// The tables that are there now.
    pub(super) fn current(&self) -> &Temporary {
        &self.current
    }

    /// These are on their way.
    pub(super) fn asked(&mut self, question: QuestionId, parts: &[Part]) {
        let steps: VecDeque<Option<Step>> = parts.iter().map(|part| step(&part.effect)).collect();
        if steps.iter().any(Option::is_some) {
            self.awaited.push_back((question, steps));
        }
    }

    /// The next statement of this question has ended with this command tag.
    pub(super) fn completed(&mut self, question: QuestionId, tag: &str) {
        let Some(at) = self.awaited.iter().position(|(of, _)| *of == question) else { return };
        let Some((_, steps)) = self.awaited.get_mut(at) else { return };
        let step = steps.pop_front().flatten();
        if steps.is_empty() {
            self.awaited.remove(at);
        }
        match step {
            Some(Step::Change(change)) => self.current.change(&change),
            Some(Step::Transaction(step)) => self.follow(&step, tag),
            None => {}
        }
    }

    /// A statement of this question has failed. Whatever transaction it was in is undone, or can only be ended or taken back
    /// to a savepoint; the client may go on before the database says that it is ready.
    pub(super) fn failed(&mut self, question: QuestionId) {
        self.undone();
        self.skipped(question);
    }

    /// Something failed that no question stands for, the end of a batch for example.
    pub(super) fn undone(&mut self) {
        self.current = self.committed.clone();
    }

    /// Nothing of this question will run: what stood before it has failed, or its guard has, and it is asked again.
    pub(super) fn skipped(&mut self, question: QuestionId) {
        self.awaited.retain(|(of, _)| *of != question);
    }

    /// The database is ready.
    pub(super) fn ready(&mut self, status: TransactionStatus) {
        if status == TransactionStatus::Idle {
            self.commit();
        }
    }

    fn follow(&mut self, step: &TransactionStep, tag: &str) {
        let place = |name: &String| self.savepoints.iter().rposition(|(known, _)| known == name);
        match step {
            TransactionStep::Begin => {}
            TransactionStep::Commit if tag == "COMMIT" => self.commit(),
            TransactionStep::Commit | TransactionStep::Rollback => self.roll_back(),
            TransactionStep::Savepoint(name) => self.savepoints.push((name.clone(), self.current.clone())),
            TransactionStep::Release(name) => {
                if let Some(at) = place(name) {
                    self.savepoints.truncate(at);
                }
            }
            TransactionStep::RollbackTo(name) => {
                let before = place(name).and_then(|at| {
                    self.savepoints.truncate(at + 1);
                    self.savepoints.last().map(|(_, before)| before.clone())
                });
                // of one that was forgotten nothing is known: names mean what they mean without temporary tables
                self.current = before.unwrap_or_default();
            }
        }
        // a loop can make millions
        if self.savepoints.len() > SAVEPOINTS {
            self.savepoints.clear();
        }
    }

    fn commit(&mut self) {
        self.savepoints.clear();
        self.current.commit();
        self.committed = self.current.clone();
    }

    fn roll_back(&mut self) {
        self.savepoints.clear();
        self.current = self.committed.clone();
    }
}

fn step(effect: &Effect) -> Option<Step> {
    match effect {
        Effect::Temporary(change) => Some(Step::Change(change.clone())),
        Effect::DiscardAll => Some(Step::Change(TemporaryChange::Cleared)),
        Effect::Transaction(step) => Some(Step::Transaction(step.clone())),
        _ => None,
    }
}

const SAVEPOINTS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::facts::{Facts, StatementKind};
    use crate::sql::TemporaryTable;

    /// A connection on which each statement is a question of its own.
    #[derive(Default)]
    struct Connection {
        tables: Temporaries,
        asked: u64,
    }

    impl Connection {
        fn runs(&mut self, effect: Effect, tag: Option<&str>, status: TransactionStatus) {
            self.asked += 1;
            let question = QuestionId(self.asked);
            let part = Part { effect, ..Part::new(Facts::new("x", StatementKind::Session), "") };
            self.tables.asked(question, &[part]);
            match tag {
                Some(tag) => self.tables.completed(question, tag),
                None => self.tables.failed(question),
            }
            self.tables.ready(status);
        }

        fn makes(&mut self, name: &str, status: TransactionStatus) {
            let table = TemporaryTable {
                name: name.into(),
                columns: None,
                keeps: false,
                goes_with_transaction: name.starts_with("short"),
            };
            self.runs(Effect::Temporary(TemporaryChange::Made(table)), Some("CREATE TABLE"), status);
        }

        fn step(&mut self, step: TransactionStep, tag: &str, status: TransactionStatus) {
            self.runs(Effect::Transaction(step), Some(tag), status);
        }

        fn has(&self, name: &str) -> bool {
            self.tables.current().has(name)
        }
    }

    use TransactionStatus::{Failed, Idle, InTransaction};
    use TransactionStep::{Begin, Commit, Release, Rollback, RollbackTo, Savepoint};

    #[test]
    fn what_a_transaction_made_goes_with_its_rollback() {
        let mut connection = Connection::default();
        connection.makes("before", Idle);
        connection.step(Begin, "BEGIN", InTransaction);
        connection.makes("within", InTransaction);
        connection.makes("short", InTransaction);
        assert!(connection.has("within") && connection.has("short"));
        connection.step(Rollback, "ROLLBACK", Idle);
        assert!(connection.has("before") && !connection.has("within") && !connection.has("short"));

        connection.step(Begin, "BEGIN", InTransaction);
        connection.makes("within", InTransaction);
        connection.makes("short", InTransaction);
        connection.step(Commit, "COMMIT", Idle);
        assert!(connection.has("within") && !connection.has("short"));
    }

    #[test]
    fn a_savepoint_keeps_what_was_there() {
        let mut connection = Connection::default();
        connection.step(Begin, "BEGIN", InTransaction);
        connection.makes("one", InTransaction);
        connection.step(Savepoint("s".into()), "SAVEPOINT", InTransaction);
        connection.makes("two", InTransaction);
        connection.runs(Effect::None, None, Failed);
        connection.step(RollbackTo("s".into()), "ROLLBACK", InTransaction);
        assert!(connection.has("one") && !connection.has("two"));
        connection.makes("three", InTransaction);
        connection.step(Release("s".into()), "RELEASE", InTransaction);
        connection.step(Commit, "COMMIT", Idle);
        assert!(connection.has("one") && connection.has("three") && !connection.has("two"));
    }

    #[test]
    fn a_failed_batch_leaves_what_was_there_before_it() {
        let mut connection = Connection::default();
        let question = QuestionId(1);
        let made =
            TemporaryTable { name: "gone".into(), columns: None, keeps: false, goes_with_transaction: false };
        let effects = [Effect::Temporary(TemporaryChange::Made(made)), Effect::None];
        let parts =
            effects.map(|effect| Part { effect, ..Part::new(Facts::new("x", StatementKind::Session), "") });
        connection.tables.asked(question, &parts);
        connection.tables.completed(question, "CREATE TABLE");
        assert!(connection.has("gone"));
        // drivers go on before the database is ready
        connection.tables.failed(question);
        assert!(!connection.has("gone"));
        connection.tables.ready(Idle);
        connection.asked = 1;
        connection.makes("next", Idle);
        assert!(connection.has("next"));
    }
}
