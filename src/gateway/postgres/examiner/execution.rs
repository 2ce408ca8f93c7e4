//! Executing what was prepared and bound.
//!
//! Job: let a portal run as it was judged when it was bound, and know which statement has ended and what a name
//! stands for, so that SQL's EXECUTE is judged by what it runs. PostgreSQL looks names, role and path up when a utility
//! statement runs, not when it is bound. Boundary: messages of other kinds are the parent's. Failure mode: a refusal
//! where what would run need not be what was judged.

use std::sync::Arc;

use super::drift::{declares, outdated};
use super::holding::{Weighed, refuse};
use super::metering;
use super::{Examiner, Inspected, Part, Portal, Prepared, Running, Step, rule, unclear, unseen};
use crate::domain::action::Action;
use crate::domain::facts::{Facts, StatementKind};
use crate::domain::policy::Denial;
use crate::gateway::gate::{Entered, Opinion};
use crate::gateway::journal::JournalError;
use crate::sql::Effect;
use crate::wire::postgres::conversation::{Answer, Ask, Meter, Question, QuestionId, Text};

impl Examiner {
    /// A statement of this question has ended; its number. Questions before it were skipped, since
    /// answers come in order.
    pub(in crate::gateway::postgres) fn ended(&mut self, question: QuestionId, last: bool) -> Option<u64> {
        self.interrupt.note_done();
        self.running = self.running.split_off(&question);
        let running = self.running.get_mut(&question)?;
        let number = running.next;
        running.next += 1;
        if last || running.next > running.last {
            self.running.remove(&question);
        }
        Some(number)
    }

    /// Whether anything could be refused, held or masked here. Elsewhere PostgreSQL has the last word.
    pub(super) fn rules(&self) -> bool {
        self.lens.is_masked() || !self.gate.allows_every_statement()
    }

    pub(super) fn execute(&mut self, question: &Question) -> Result<Step, JournalError> {
        let Ask::Execute { portal, bound, .. } = &question.ask else { return Ok(refuse(&unclear())) };
        let Some((id, portal)) = bound.as_ref().and_then(|id| Some((id, self.portals.get(id)?))) else {
            // a cursor of SQL's DECLARE, which was judged when it was declared
            let prepared = Prepared::fetching(portal.to_lossy().into_owned(), self.era);
            if let Some(denial) = self.outdated_cursors(&prepared.inspected.parts) {
                return self.deny(prepared.inspected.parts.first(), &exactly(&prepared), &denial);
            }
            return self.execute_anew(question, &prepared, false, None);
        };
        let Portal { prepared, number, has_values, reviewed, meter } = portal;
        let (prepared, number, has_values) = (prepared.clone(), *number, *has_values);
        let (meter, reviewed) = (Arc::clone(meter), *reviewed);
        self.follow_transaction(&prepared.inspected.parts);
        // INVARIANT: between its review and its execution nothing may change what it means
        if reviewed.is_some_and(|then| then != self.let_through) {
            let denial = again("other statements ran after this one was approved and before it was executed");
            return self.deny(prepared.inspected.parts.first(), &exactly(&prepared), &denial);
        }
        if let Some(denial) = self.outdated_cursors(&prepared.inspected.parts) {
            return self.deny(prepared.inspected.parts.first(), &exactly(&prepared), &denial);
        }
        // INVARIANT: what had no guard when it was bound has one here, by the catalog that it was judged with
        let prepared = if prepared.inspected.parts.iter().any(declares) {
            let Some(prepared) = self.with_this_catalog(prepared) else { return Ok(outdated()) };
            if let Some(denial) = self.guard(question, &prepared.inspected.parts) {
                return self.deny(prepared.inspected.parts.first(), &exactly(&prepared), &denial);
            }
            prepared
        } else {
            prepared
        };
        if prepared.era != self.era {
            let prepared = self.judge_again(prepared);
            return self.execute_anew(question, &prepared, has_values, Some((*id, meter)));
        }
        if let Some(portal) = self.portals.get_mut(id) {
            // from here on it only goes on
            portal.reviewed = None;
        }
        self.runs();
        self.meter(&prepared.inspected.parts, vec![meter]);
        self.note_layout(&prepared.inspected);
        self.lose_sight(question.id, &prepared.inspected.parts);
        self.foresee_names(question.id, &prepared);
        self.running.insert(question.id, Running { next: number, last: number });
        Ok(Step::Answer(Answer::Forward(prepared.inspected.expect)))
    }

    fn execute_anew(
        &mut self,
        question: &Question,
        prepared: &Prepared,
        has_values: bool,
        portal: Option<(QuestionId, Arc<Meter>)>,
    ) -> Result<Step, JournalError> {
        let Some(part) = prepared.inspected.parts.first() else { return Ok(refuse(&unclear())) };
        if let Some(denial) = self.unsettled_names(&prepared.inspected, true) {
            return self.deny(Some(part), &exactly(prepared), &denial);
        }
        let opinion =
            part.ruled.opinion.get_or_init(|| self.gate.opinion(&Action::Statement(&self.facts_of(part))));
        if has_values && matches!(opinion, Opinion::Hold(_)) {
            // INVARIANT: nobody is asked to review a statement without the values it runs with
            let denial = again("policy has changed since this was bound, and holds it now");
            return self.deny(Some(part), &exactly(prepared), &denial);
        }
        let exact = [prepared.text.as_bytes()];
        let stage = match self.weigh(question, &prepared.inspected, &prepared.text, &exact, &[])? {
            Weighed::Stage(stage) => stage,
            Weighed::Step(step) => return Ok(step),
        };
        match self.rule(part, &exact, &[], stage)? {
            Ok(entered) => {
                let number = entered.number;
                self.runs();
                let meter = self.anew(&entered, portal);
                self.meter(&prepared.inspected.parts, vec![meter]);
                self.note_layout(&prepared.inspected);
                self.lose_sight(question.id, &prepared.inspected.parts);
                self.foresee_names(question.id, prepared);
                self.running.insert(question.id, Running { next: number, last: number });
                Ok(self.when_durable(entered.wait, Answer::Forward(prepared.inspected.expect)))
            }
            Err(denial) => Ok(refuse(&denial)),
        }
    }

    /// What a portal has given out by now counts against the caps of now.
    fn anew(&mut self, entered: &Entered, portal: Option<(QuestionId, Arc<Meter>)>) -> Arc<Meter> {
        let Some((id, spent)) = portal else { return metering::of(entered) };
        let meter = Arc::new(spent.under(Arc::clone(&entered.caps)));
        if let Some(portal) = self.portals.get_mut(&id) {
            portal.meter = Arc::clone(&meter);
        }
        meter
    }

    /// Why it cannot be told what an EXECUTE in here will run, where that matters: it is only prepared, and
    /// the name is looked up when it runs; or the name is being given right now; or nobody saw it given.
    pub(super) fn unsettled_names(&self, inspected: &Inspected, is_prepared: bool) -> Option<Denial> {
        let runs = |part: &Part| matches!(part.effect, Effect::Execute { .. });
        if !inspected.parts.iter().any(runs) || !self.rules() {
            return None;
        }
        if is_prepared {
            let told = "EXECUTE in a statement that is itself prepared cannot be judged";
            return Some(unsettled(told, "bind the prepared statement by its own name, without EXECUTE"));
        }
        let mut unsure = false;
        for part in &inspected.parts {
            match &part.effect {
                Effect::Execute { .. } if part.facts.verb != "execute" => {
                    let told = "EXECUTE inside another statement cannot be judged";
                    return Some(unsettled(told, "write out what was prepared"));
                }
                Effect::Execute { name } => {
                    if unsure || self.naming.iter().any(|naming| naming.name == *name) {
                        let told = format!("what {name} stands for is not settled when this is judged");
                        return Some(unsettled(
                            &told,
                            "send EXECUTE on its own, after PREPARE has succeeded",
                        ));
                    }
                    if !self.named.contains_key(name) {
                        return Some(unseen("prepared statement"));
                    }
                }
                Effect::Prepare { .. } => unsure = true,
                _ => unsure |= matches!(part.facts.kind, StatementKind::Code | StatementKind::Unknown),
            }
        }
        None
    }

    /// EXECUTE does what the prepared statement does.
    pub(super) fn facts_of(&self, part: &Part) -> Arc<Facts> {
        let Effect::Execute { name } = &part.effect else { return Arc::clone(&part.facts) };
        if part.facts.verb != "execute" {
            return Arc::clone(&part.facts);
        }
        let inner = self.named.get(name).and_then(|prepared| prepared.inspected.parts.first());
        Arc::clone(&inner.unwrap_or(part).facts)
    }
}

/// Whether it is SQL's EXECUTE.
pub(super) fn executes(prepared: &Prepared) -> bool {
    prepared.inspected.parts.iter().any(|part| matches!(part.effect, Effect::Execute { .. }))
}

fn exactly(prepared: &Prepared) -> Text {
    Text(prepared.text.as_bytes().to_vec().into())
}

fn again(reason: &str) -> Denial {
    unsettled(reason, "bind it again, and execute it at once")
}

fn unsettled(reason: &str, hint: &str) -> Denial {
    Denial { rule: rule("unjudged"), reason: reason.into(), hint: Some(hint.into()) }
}
