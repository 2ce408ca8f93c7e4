//! What policy holds.
//!
//! Job: tell a reviewer what a message would do, let it wait, and let exactly that message go on. It is
//! taken up again from its beginning, under the policy, the catalog and the settings of that moment, and
//! goes on only if what it would do then is what was reviewed. Boundary: waiting and proofs are
//! [`hold`](crate::gateway::hold)'s business. Failure mode: a refusal.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use super::{Answer, Examiner, Inspected, Part, Resume, Step};
use crate::domain::action::{Action, Deed};
use crate::domain::approval::{Literal, Shape};
use crate::domain::facts::Facts;
use crate::domain::policy::{Denial, Hold};
use crate::gateway::gate::{Opinion, Ruling};
use crate::gateway::hold::{Account, Notice, Pending, Stopped};
use crate::gateway::journal::JournalError;
use crate::gateway::postgres::lens::Lens;
use crate::sql::{Effect, Literals};
use crate::wire::postgres::conversation::{Ask, Question};
use crate::wire::postgres::error::{ErrorFields, Severity};

/// What comes of weighing a message.
pub(super) enum Weighed {
    /// It can be ruled over.
    Stage(Stage),
    /// It is denied, or waits.
    Step(Step),
}

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing holds it.
    Free,
    /// It is only prepared, which executes nothing; its Bind will be held.
    Prepare,
    /// It was held, and its review was given.
    Reviewed,
}

impl Examiner {
    /// Asks policy about every statement of a message, before any is entered.
    pub(super) fn weigh(
        &mut self,
        question: &Question,
        inspected: &Inspected,
        text: &str,
        exact: &[&[u8]],
        shown: &[Option<String>],
    ) -> Result<Weighed, JournalError> {
        let cleared = match self.review.take() {
            Some(Ok(cleared)) => Some(cleared),
            // INVARIANT: what was denied or cancelled does not go, whatever policy says by now
            Some(Err(Stopped { denial, cancelled })) => {
                let code = if cancelled { "57014" } else { "42501" };
                self.deny_whole(inspected, exact, shown, &denial)?;
                return Ok(Weighed::Step(refuse_as(code, &denial)));
            }
            None => None,
        };
        let mut held: Option<(Hold, Facts)> = None;
        for part in &inspected.parts {
            match part
                .ruled
                .opinion
                .get_or_init(|| self.gate.opinion(&Action::Statement(&self.facts_of(part))))
            {
                Opinion::Allow(_) | Opinion::Reviewed(_) => {}
                Opinion::Deny(denial) => {
                    let denied = Part::denied(part, denial.clone());
                    // a refusal waits for nothing: no bytes move on the strength of it
                    let _denied = self.ruling(&denied, exact, shown)?;
                    return Ok(Weighed::Step(refuse(denial)));
                }
                Opinion::Hold(hold) => {
                    let facts = Facts::clone(&self.facts_of(part));
                    held = Some(match held {
                        None => (Hold::clone(hold), facts),
                        Some((holds, all)) => (holds.and(hold), all.and(&facts)),
                    });
                }
            }
        }
        let Some((mut hold, facts)) = held else { return Ok(Weighed::Stage(Stage::Free)) };
        if matches!(question.ask, Ask::Parse { .. }) {
            return Ok(Weighed::Stage(Stage::Prepare));
        }
        if let Some(wait) = self.plan(question, inspected) {
            return Ok(Weighed::Step(wait));
        }
        let shown_facts = self.shown_facts(&facts);
        // INVARIANT: what was redacted is no ground for a rule to answer on
        hold.people_only |= shown_facts.is_some();
        let account = self.account(question, inspected, text, exact, shown, shown_facts.unwrap_or(facts));
        let desk = self.gate.desk();
        if let Some(cleared) = cleared {
            return Ok(match cleared.fits(&desk, &hold, account) {
                Ok(()) => Weighed::Stage(Stage::Reviewed),
                Err(denial) => {
                    self.deny_whole(inspected, exact, shown, &denial)?;
                    Weighed::Step(refuse(&denial))
                }
            });
        }
        let mut entered = None;
        for part in
            inspected.parts.iter().filter(|part| matches!(part.ruled.opinion.get(), Some(Opinion::Hold(_))))
        {
            if let Ruling::Hold(held) = self.ruling(part, exact, shown)? {
                entered = held.wait.max(entered);
            }
        }
        let (pending, subject) = match Pending::new(&desk, hold, account) {
            Ok(written) => written,
            Err(denial) => {
                self.deny_whole(inspected, exact, shown, &denial)?;
                return Ok(Weighed::Step(refuse(&denial)));
            }
        };
        let interrupted = self.interrupt.arm();
        let notices = Arc::clone(&self.notices);
        let tell = move |notice| notices.lock().unwrap_or_else(PoisonError::into_inner).push(fields(notice));
        let question = question.clone();
        Ok(Weighed::Step(Step::Wait(Box::pin(async move {
            let end = pending.wait(desk, subject, entered, interrupted, tell).await?;
            Ok(Resume::Reviewed(question, end))
        }))))
    }

    /// Takes note of whether the database owes answers to what was let through.
    pub(in crate::gateway::postgres) fn note_busy(&self, busy: bool) {
        self.interrupt.note(busy);
    }

    /// Takes note of whether a message waits for its verdict or its entry.
    pub(in crate::gateway::postgres) fn note_judging(&self, judging: bool) {
        self.interrupt.note_judging(judging);
    }

    /// What the client is to be told at once.
    pub(in crate::gateway::postgres) fn take_notices(&mut self) -> Vec<ErrorFields> {
        std::mem::take(&mut *self.notices.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn deny_whole(
        &mut self,
        inspected: &Inspected,
        exact: &[&[u8]],
        shown: &[Option<String>],
        denial: &Denial,
    ) -> Result<(), JournalError> {
        if let Some(part) = inspected.parts.first() {
            // a refusal waits for nothing: no bytes move on the strength of it
            let _denied = self.ruling(&Part::denied(part, denial.clone()), exact, shown)?;
        }
        Ok(())
    }

    /// What a reviewer is told.
    fn account(
        &self,
        question: &Question,
        inspected: &Inspected,
        text: &str,
        exact: &[&[u8]],
        shown: &[Option<String>],
        facts: Facts,
    ) -> Account {
        let parts = &inspected.parts;
        let join = |texts: Vec<&str>| texts.join("; ");
        let executed = |part: &Part| match &part.effect {
            // what EXECUTE does stands in what was prepared
            Effect::Execute { name } => {
                let inner = self.named.get(name).and_then(|prepared| prepared.inspected.parts.first());
                inner.map(|inner| inner.sent.as_ref().unwrap_or(&inner.text).clone())
            }
            _ => part.sent.clone(),
        };
        let sent: Vec<Option<String>> = parts.iter().map(executed).collect();
        let is_same = sent.iter().all(Option::is_none);
        let sent =
            parts.iter().zip(&sent).map(|(part, sent)| sent.as_deref().unwrap_or(&part.text)).collect();
        let settings = self.circumstances.now(&self.lens);
        let settings = settings.into_iter().map(|(name, value)| (name, self.redacted(value))).collect();
        let mut covered = exact.to_vec();
        covered.extend(inspected.sent.as_ref().map(String::as_bytes));
        Account {
            protocol: "postgres",
            text: join(parts.iter().map(|part| part.text.as_str()).collect()),
            sent: (!is_same).then(|| join(sent)),
            values: shown.iter().map(|value| value.clone().unwrap_or_else(|| "NULL".into())).collect(),
            exact: self.gate.digests().in_session(&covered),
            deed: Deed::Statement(facts),
            settings,
            shape: self.shape(question, inspected, text, shown),
        }
    }

    /// Only what is sent resolved has a shape: other names can mean anything tomorrow.
    fn shape(
        &self,
        question: &Question,
        inspected: &Inspected,
        text: &str,
        shown: &[Option<String>],
    ) -> Option<Shape> {
        let (Lens::Masked(masked), Some(sent)) = (&*self.lens, &inspected.sent) else { return None };
        let executes = |part: &Part| matches!(part.effect, Effect::Execute { .. });
        if inspected.parts.iter().any(executes) || !crate::sql::fits_small_stack(text, &SHALLOW) {
            return None;
        }
        let resolved = masked.resolved(text, sent)?;
        let hidden = inspected.parts.iter().any(|part| part.secret_values || part.facts.touches_masked);
        let literals = if hidden { Literals::Hidden } else { Literals::Shown };
        let digests = self.gate.digests();
        let mut shape = crate::sql::shape(&resolved, literals, &|parts| digests.of_requester(parts))?;
        // which words stood before them is not known here
        shape.literals.iter_mut().for_each(|literal| self.redact_literal(&resolved, &mut literal.shown));
        if let Ask::Bind { formats, values, .. } = &question.ask {
            let bound = super::values::exact(b"value", values, formats);
            // each value is its kind and, unless it is NULL, its bytes
            let mut rest = bound.get(1..).unwrap_or_default();
            for shown in shown {
                let length = if rest.first().is_some_and(|kind| *kind == b"n") { 1 } else { 2 };
                let (value, behind) = rest.split_at_checked(length)?;
                let mut parts = vec![b"value".as_slice()];
                parts.extend(value);
                let shown = shown.clone().unwrap_or_else(|| "NULL".into());
                shape.literals.push(Literal { shown, digest: digests.of_requester(&parts) });
                rest = behind;
            }
        }
        Some(shape)
    }
}

/// The settings that could change what a statement means.
#[derive(Debug, Default)]
pub(super) struct Circumstances {
    pub(super) reported: BTreeMap<String, String>,
    pub(super) asked: BTreeMap<String, String>,
}

impl Circumstances {
    pub(super) fn new(reported: &[(String, String)]) -> Self {
        let mut circumstances = Self::default();
        reported.iter().for_each(|(name, value)| circumstances.reported(name, value));
        circumstances
    }

    /// The database reports a setting.
    pub(super) fn reported(&mut self, name: &str, value: &str) {
        if REPORTED.contains(&name) {
            self.reported.insert(name.to_owned(), value.to_owned());
        }
    }

    /// A statement was let through that may change a setting which no server reports, or not all do: the
    /// last such statement is what a reviewer can be shown.
    pub(super) fn asked(&mut self, facts: &Facts, text: &str) {
        if let Some(setting) = facts.setting.as_ref().filter(|setting| ASKED.contains(&setting.as_str()))
            && facts.verb != "show"
        {
            self.asked.insert(setting.clone(), text.to_owned());
        }
    }

    fn now(&self, lens: &Lens) -> BTreeMap<String, String> {
        let mut all = self.reported.clone();
        all.extend(self.asked.iter().map(|(name, text)| (name.clone(), text.clone())));
        if let Lens::Masked(masked) = lens {
            all.insert("search_path".into(), masked.path.current().join(", "));
        }
        all
    }
}

/// Refuses a message as denied.
pub(super) fn refuse(denial: &Denial) -> Step {
    refuse_as("42501", denial)
}

fn refuse_as(sqlstate: &str, denial: &Denial) -> Step {
    let message = format!("{} (rule {})", denial.reason, denial.rule);
    let fields = ErrorFields::new(Severity::Error, sqlstate, message);
    let fields = match &denial.hint {
        Some(hint) => fields.with_hint(hint.clone()),
        None => fields,
    };
    Step::Answer(Answer::Refuse(Box::new(fields)))
}

fn fields(notice: Notice) -> ErrorFields {
    let Notice { message, detail, hint } = notice;
    ErrorFields::new(Severity::Notice, HELD, message).with_detail(detail).with_hint(hint)
}

/// A warning class (01) with a subclass of ours.
const HELD: &str = "01HC1";

/// What the server reports by itself (`search_path` from version 18 on).
const REPORTED: &[&str] = &[
    "DateStyle",
    "IntervalStyle",
    "TimeZone",
    "client_encoding",
    "search_path",
    "session_authorization",
    "standard_conforming_strings",
];
const ASKED: &[&str] = &["role", "search_path", "session_authorization"];

/// Texts beyond this are read on another stack; they get no shape.
const SHALLOW: crate::sql::ParseLimits =
    crate::sql::ParseLimits { bytes: 64 << 10, statements: 100, tokens: 64 << 10, depth: 1000, inline: 4096 };
