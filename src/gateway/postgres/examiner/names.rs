//! What SQL's EXECUTE knows prepared statements by.
//!
//! Job: give a name to what was prepared once the database has said that it has it. Boundary: what was
//! prepared is kept as it was found to be. Failure mode: a name that is not known is refused or judged
//! as unseen.

use std::sync::Arc;

use super::{Examiner, Inspected, MOST_HELD, Part};
use crate::gateway::postgres::inspected::{Prepared, Sight};
use crate::sql::Effect;
use crate::wire::postgres::conversation::{Ask, Question, QuestionId, Text};

/// A name that a statement gets if it succeeds.
pub(super) struct Naming {
    pub(super) question: QuestionId,
    pub(super) name: String,
    pub(super) prepared: Prepared,
}

impl Examiner {
    /// Keeps what a text was found to be, by what it prepares.
    pub(super) fn remember(
        &mut self,
        question: &Question,
        text: &Text,
        inspected: &Arc<Inspected>,
        is_parse: bool,
    ) {
        for part in &inspected.parts {
            self.follow_path(&part.effect);
            self.circumstances.asked(&part.facts, &part.text);
        }
        // the names that a string with such code gives are not known either
        let hidden = !is_parse && self.lose_sight(question.id, &inspected.parts);
        let names = inspected.parts.iter().any(|part| matches!(part.effect, Effect::Prepare { .. }));
        if !is_parse && (!names || hidden) {
            return;
        }
        let types = match &question.ask {
            Ask::Parse { types, .. } => types.as_slice().into(),
            _ => Arc::default(),
        };
        let inspected = Arc::clone(inspected);
        let (era, edition) = (self.era, self.drift.edition);
        let prepared = Prepared { text: text.to_lossy().into(), types, inspected, era, edition };
        if !is_parse {
            return self.foresee_names(question.id, &prepared);
        }
        if let Ask::Parse { statement, .. } = &question.ask
            && let Some(name) = statement.as_str()
            && !name.is_empty()
        {
            let (name, prepared) = (name.to_owned(), prepared.clone());
            self.naming.push_back(Naming { question: question.id, name, prepared });
        }
        self.held += prepared.bytes();
        self.prepared.insert(question.id, prepared);
    }

    /// A statement of this question has succeeded; SQL's PREPARE gives a name.
    pub(in crate::gateway::postgres) fn completed(&mut self, question: QuestionId, tag: &str) {
        self.temporaries.completed(question, tag);
        self.follow_temporaries();
        match tag {
            "PREPARE" => self.parsed(question),
            "DECLARE CURSOR" => self.cursors.declared(question),
            "CLOSE CURSOR" | "CLOSE CURSOR ALL" | "DISCARD ALL" => self.metering.closed(question, tag),
            _ => {}
        }
    }

    /// This question was carried out, although the client is told otherwise.
    pub(in crate::gateway::postgres) fn kept(&mut self, question: QuestionId) {
        self.temporaries.completed(question, "");
        self.follow_temporaries();
    }

    /// The oldest name that this question is about to give is given.
    pub(in crate::gateway::postgres) fn parsed(&mut self, question: QuestionId) {
        let at = self.naming.iter().position(|naming| naming.question == question);
        let Some(Naming { name, prepared, .. }) = at.and_then(|at| self.naming.remove(at)) else { return };
        // those that SQL's PREPARE made have no other end
        if self.named.len() >= NAMES || self.named_bytes > MOST_HELD {
            self.named.clear();
            self.named_bytes = 0;
        }
        self.named_bytes += prepared.bytes();
        let before = self.named.insert(name, prepared);
        self.named_bytes = self.named_bytes.saturating_sub(before.map_or(0, |before| before.bytes()));
    }

    /// A statement of this question has failed.
    pub(in crate::gateway::postgres) fn undone(&mut self, question: QuestionId) {
        self.failed(question);
        self.temporaries.failed(question);
        self.follow_temporaries();
    }

    /// What was done since no transaction was open is undone.
    pub(in crate::gateway::postgres) fn batch_undone(&mut self) {
        self.temporaries.undone();
        self.follow_temporaries();
    }

    /// Nothing of this question ran.
    pub(in crate::gateway::postgres) fn skipped(&mut self, question: QuestionId) {
        self.failed(question);
        self.temporaries.skipped(question);
    }

    /// This question gives no names any more.
    pub(super) fn failed(&mut self, question: QuestionId) {
        self.naming.retain(|naming| naming.question != question);
        self.cursors.failed(question);
        self.metering.failed(question);
    }

    /// No transaction is open.
    pub(in crate::gateway::postgres) fn transaction_over(&mut self) {
        self.cursors.transaction_over();
    }

    /// Names hold once the database says so: a PREPARE that fails leaves the name to what had it.
    pub(super) fn foresee_names(&mut self, question: QuestionId, text: &Prepared) {
        for part in &text.inspected.parts {
            if let Effect::Prepare { name } = &part.effect {
                let inspected = Arc::new(text.inspected.only(&inside(part)));
                let prepared = Prepared { inspected, ..text.clone() };
                self.naming.push_back(Naming { question, name: name.clone(), prepared });
            }
        }
    }

    /// Code that runs out of our sight can DEALLOCATE and PREPARE: what has a name by then is not what it
    /// was. Whether there is such code.
    pub(super) fn lose_sight(&mut self, question: QuestionId, parts: &[Part]) -> bool {
        self.follow_cursors(question, parts);
        self.temporaries.asked(question, parts);
        let sight = parts.iter().map(|part| Sight::of(&self.facts_of(part))).max().unwrap_or(Sight::Clear);
        if sight == Sight::Clear || self.lens.is_masked() {
            return false;
        }
        self.named.clear();
        self.named_bytes = 0;
        self.naming.clear();
        if sight == Sight::Hidden {
            self.hidden = Some(question);
        }
        true
    }
}

/// What a PREPARE prepares. By whatever way it runs, a rule about DELETE is about a DELETE.
fn inside(prepare: &Part) -> Part {
    let mut inner = prepare.without_opinion();
    let facts = Arc::make_mut(&mut inner.facts);
    if let Some(verb) = facts.object.take() {
        facts.verb = verb;
    }
    inner.effect = Effect::None;
    inner
}

/// How many names of prepared statements are remembered for SQL's EXECUTE, and of cursors for FETCH.
pub(super) const NAMES: usize = 10_000;
