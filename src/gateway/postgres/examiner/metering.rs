//! What the answers to a message count against.
//!
//! Job: give each statement that is let through a meter with the caps of its verdict, and give the pieces
//! of one result the same meter: the executions of a portal, and what is fetched from a cursor. Boundary:
//! counting is the conversation's. Failure mode: a cursor of which nobody knows what it reads counts
//! against the smallest caps that any rule could put on a statement, all its pieces together.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::names::NAMES;
use super::{Examiner, Part};
use crate::domain::action::Action;
use crate::domain::caps::Caps;
use crate::gateway::gate::{Entered, Opinion};
use crate::sql::Effect;
use crate::wire::postgres::conversation::{Meter, Meters, QuestionId};

/// The meters of a connection that are not kept with what they measure.
#[derive(Default)]
pub(super) struct Metering {
    /// For the message that is being answered.
    answered: Meters,
    /// Of the cursors that this message declares.
    declared: HashMap<String, Arc<Meter>>,
    /// Of cursors that nobody saw being declared, by name.
    unknown: HashMap<String, Arc<Meter>>,
    /// What is about to be closed, once the database says so: of a cursor that is still there no counting begins anew.
    closing: VecDeque<(QuestionId, String)>,
}

impl Metering {
    /// The meter of a cursor that the message declares.
    pub(super) fn of_declared(&self, name: &str) -> Arc<Meter> {
        self.declared.get(name).map_or_else(|| Arc::new(Meter::new(0, Arc::default())), Arc::clone)
    }

    /// A message that only prepares a result takes its time.
    pub(super) fn answer(&mut self, meter: &Arc<Meter>) {
        self.answered = Meters::new(vec![vec![Arc::clone(meter)]]);
    }

    /// A message that is on its way closes this cursor.
    pub(super) fn closes(&mut self, question: QuestionId, name: &str) {
        if self.unknown.contains_key(name) {
            self.closing.push_back((question, name.to_owned()));
        }
    }

    /// A statement of this question has closed cursors, as its command tag says.
    pub(super) fn closed(&mut self, question: QuestionId, tag: &str) {
        if tag != "CLOSE CURSOR" {
            return self.unknown.clear();
        }
        let at = self.closing.iter().position(|(of, _)| *of == question);
        if let Some((_, name)) = at.and_then(|at| self.closing.remove(at)) {
            self.unknown.remove(&name);
        }
    }

    /// This question closes none any more.
    pub(super) fn failed(&mut self, question: QuestionId) {
        self.closing.retain(|(of, _)| *of != question);
    }

    fn of_unknown(&mut self, name: &str, statement: u64, strictest: &Arc<Caps>) -> Arc<Meter> {
        // names beyond number share one
        let name = if self.unknown.len() < NAMES { name } else { "" };
        let meter = self.unknown.entry(name.to_owned());
        let meter = meter.or_insert_with(|| Arc::new(Meter::new(statement, Arc::clone(strictest))));
        if meter.caps() != &**strictest {
            *meter = Arc::new(meter.under(Arc::clone(strictest)));
        }
        Arc::clone(meter)
    }
}

impl Examiner {
    /// What the answers to the message that was just let through count against.
    pub(in crate::gateway::postgres) fn take_meters(&mut self) -> Meters {
        std::mem::take(&mut self.metering.answered)
    }

    /// Statements are let through; to be said before their effects are followed.
    pub(super) fn meter(&mut self, parts: &[Part], meters: Vec<Arc<Meter>>) {
        self.metering.declared.clear();
        let mut all = Vec::with_capacity(meters.len());
        for (part, meter) in parts.iter().zip(meters) {
            let mut counts = vec![Arc::clone(&meter)];
            match &part.effect {
                Effect::Declare { name, .. } => drop(self.metering.declared.insert(name.clone(), meter)),
                Effect::Fetch { name } => self.add_cursor(name, &meter, &mut counts),
                _ => {}
            }
            all.push(counts);
        }
        let ends = |part: &Part| ENDS.contains(&self.facts_of(part).verb.as_str());
        let ending =
            parts.iter().enumerate().filter(|(_, part)| ends(part)).map(|(place, _)| place).collect();
        self.metering.answered = Meters::new(all).ending(ending);
    }

    /// What is fetched from a cursor counts against the caps of what it was declared for, as of now.
    fn add_cursor(&mut self, name: &str, fetch: &Meter, counts: &mut Vec<Arc<Meter>>) {
        if let Some(meter) = self.metering.declared.get(name) {
            return counts.push(Arc::clone(meter));
        }
        let (era, strictest) = (self.era, self.gate.strictest_caps());
        // a DECLARE that is not answered yet may fail, and leave what had the name
        let declaring = counts.len();
        counts.extend(self.cursors.declaring(name));
        let Some(cursor) = self.cursors.open(name) else {
            if declaring == counts.len() && !strictest.is_empty() {
                counts.push(self.metering.of_unknown(name, fetch.statement(), strictest));
            }
            return;
        };
        let mut caps = cursor.meter.caps().clone();
        if cursor.era != era
            && let Opinion::Allow(allowed) | Opinion::Reviewed(allowed) =
                self.gate.opinion(&Action::Statement(&cursor.facts))
        {
            caps = Caps::clone(&allowed.caps);
        }
        if !cursor.sure {
            caps = caps.and(strictest);
        }
        if caps != *cursor.meter.caps() {
            cursor.meter = Arc::new(cursor.meter.under(Arc::new(caps)));
        }
        counts.push(Arc::clone(&cursor.meter));
    }
}

/// The meter of a statement that was let through.
pub(super) fn of(entered: &Entered) -> Arc<Meter> {
    Arc::new(Meter::new(entered.number, Arc::clone(&entered.caps)))
}

/// What runs what earlier statements of the transaction have put off: deferred triggers and constraints.
const ENDS: &[&str] = &["commit", "prepare transaction", "set constraints"];
