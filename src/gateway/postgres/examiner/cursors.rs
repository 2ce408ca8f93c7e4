//! What SQL's FETCH and MOVE read.
//!
//! Job: know what each cursor of SQL was declared for, so that going on with it after policy has changed is
//! judged by that. Boundary: what was declared since the change was judged then. Failure mode: a cursor of
//! which nobody knows what it reads (code has opened it, or may have put another in its place) is refused
//! after a change, where rules could bind.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::names::NAMES;
use super::{Examiner, Part, rule, unseen};
use crate::domain::action::Action;
use crate::domain::facts::{Facts, StatementKind};
use crate::domain::policy::Denial;
use crate::gateway::gate::Opinion;
use crate::gateway::hold;
use crate::gateway::postgres::inspected::Era;
use crate::sql::Effect;
use crate::wire::postgres::conversation::{Meter, QuestionId, Text};

/// The cursors of a connection.
#[derive(Default)]
pub(super) struct Cursors {
    open: HashMap<String, Cursor>,
    /// What is about to be open, once the database says so: a DECLARE that fails leaves what had the name.
    declaring: VecDeque<(QuestionId, String, Cursor)>,
}

pub(super) struct Cursor {
    pub(super) facts: Arc<Facts>,
    /// When it was judged.
    pub(super) era: Era,
    /// Whether it is there after its transaction.
    outlives: bool,
    /// Whether nothing ran since that could have put another one in its place.
    pub(super) sure: bool,
    /// What is fetched from it counts against this.
    pub(super) meter: Arc<Meter>,
}

impl Cursors {
    fn declare(&mut self, question: QuestionId, name: &str, cursor: Cursor) {
        // in another client encoding the same bytes are another name
        if name.is_ascii() {
            self.declaring.push_back((question, name.to_owned(), cursor));
        }
    }

    fn close(&mut self, name: Option<&str>) {
        match name {
            Some(name) => drop(self.open.remove(name)),
            None => self.open.clear(),
        }
    }

    fn doubt(&mut self) {
        let all = self.open.values_mut().chain(self.declaring.iter_mut().map(|(_, _, cursor)| cursor));
        all.for_each(|cursor| cursor.sure = false);
    }

    /// The cursor of this name.
    pub(super) fn open(&mut self, name: &str) -> Option<&mut Cursor> {
        self.open.get_mut(name)
    }

    /// The meters of cursors that will have this name, if they are declared.
    pub(super) fn declaring(&self, name: &str) -> impl Iterator<Item = Arc<Meter>> {
        let named = self.declaring.iter().filter(move |(_, declared, _)| declared == name);
        named.map(|(_, _, cursor)| Arc::clone(&cursor.meter))
    }

    /// The oldest cursor that this question declares is there.
    pub(super) fn declared(&mut self, question: QuestionId) {
        let at = self.declaring.iter().position(|(of, ..)| *of == question);
        let Some((_, name, cursor)) = at.and_then(|at| self.declaring.remove(at)) else { return };
        if self.open.len() >= NAMES {
            self.open.clear();
        }
        self.open.insert(name, cursor);
    }

    /// This question declares none any more.
    pub(super) fn failed(&mut self, question: QuestionId) {
        self.declaring.retain(|(of, ..)| *of != question);
    }

    /// A Bind makes a portal of this name, which FETCH finds like a cursor.
    pub(super) fn bound(&mut self, portal: &Text) {
        // of a name the database keeps 63 bytes
        let name = portal.0.get(..63).unwrap_or(&portal.0);
        match std::str::from_utf8(name) {
            Ok(name) => self.close(Some(name)),
            Err(_) => self.doubt(),
        }
    }

    /// No transaction is open.
    pub(super) fn transaction_over(&mut self) {
        self.open.retain(|_, cursor| cursor.outlives);
    }
}

impl Examiner {
    /// Statements that declare, close or could confuse cursors are on their way.
    pub(super) fn follow_cursors(&mut self, question: QuestionId, parts: &[Part]) {
        for part in parts {
            let facts = self.facts_of(part);
            let mut harmless = is_harmless(&facts);
            match &part.effect {
                Effect::Declare { name, outlives } => {
                    let (era, outlives) = (self.era, *outlives);
                    let meter = self.metering.of_declared(name);
                    self.cursors.declare(question, name, Cursor { facts, era, outlives, sure: true, meter });
                }
                Effect::Close { name } => {
                    self.cursors.close(name.as_deref());
                    if let Some(name) = name {
                        self.metering.closes(question, name);
                    }
                }
                // what it was declared for runs now
                Effect::Fetch { name } => {
                    harmless = self.cursors.open.get(name).is_some_and(|cursor| is_harmless(&cursor.facts));
                }
                _ => {}
            }
            if !harmless {
                self.cursors.doubt();
            }
        }
    }

    /// Why these may not fetch from their cursors any more.
    pub(super) fn outdated_cursors(&self, parts: &[Part]) -> Option<Denial> {
        let mut declared = BTreeSet::new();
        for part in parts {
            match &part.effect {
                Effect::Declare { name, .. } => drop(declared.insert(name)),
                Effect::Fetch { name } if !declared.contains(name) => {
                    if let Some(denial) = self.outdated_cursor(name) {
                        return Some(denial);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// Why nothing may be fetched from this cursor any more: policy has changed since it was declared, and
    /// would not let it go by itself now.
    fn outdated_cursor(&self, name: &str) -> Option<Denial> {
        if self.era == Era::default() || !self.rules() {
            return None;
        }
        let Some(cursor) = self.cursors.open.get(name) else { return Some(unknown()) };
        if cursor.era == self.era {
            return None;
        }
        if !cursor.sure {
            return Some(unknown());
        }
        match self.gate.opinion(&Action::Statement(&cursor.facts)) {
            Opinion::Allow(_) | Opinion::Reviewed(_) => None,
            Opinion::Deny(denial) => Some(Denial {
                reason: format!(
                    "policy has changed, and denies what this cursor was declared for: {}",
                    denial.reason
                ),
                ..denial
            }),
            // INVARIANT: a review is of a whole statement, before any of it has run
            Opinion::Hold(held) => Some(Denial {
                rule: hold::first(&held).clone(),
                reason: "policy has changed, and holds what this cursor was declared for".into(),
                hint: Some("close the cursor and declare it again: that will be reviewed".into()),
            }),
        }
    }
}

fn unknown() -> Denial {
    let hint =
        Some("policy has changed since this connection began: open the cursor on a new connection".into());
    Denial { rule: rule("unjudged"), hint, ..unseen("cursor") }
}

/// Whether nothing runs in it that could open or close cursors by itself.
fn is_harmless(facts: &Facts) -> bool {
    facts.read_only || matches!(facts.kind, StatementKind::Transaction | StatementKind::Session)
}
