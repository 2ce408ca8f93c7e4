//! When the planner is asked, and where its answer goes.
//!
//! Job: a statement that a rule on estimates could bind, or that is held, is judged with the planner's
//! estimate of that very text and those values; so what is only prepared waits for its Bind. Boundary: the
//! asking is `Planner`'s. Failure mode: no estimate, which rules see as `!(context has estimate)`.
//!
//! INVARIANT: an estimate is put into a copy of what was found out about a text. What is remembered of a
//! text, and of all that differ in their literals, has none.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::holding::Circumstances;
use super::{Examiner, Inspected, Resume, Step};
use crate::gateway::postgres::lens::Lens;
use crate::gateway::postgres::planner::Plan;
use crate::wire::postgres::conversation::{Ask, Question};

impl Examiner {
    /// Waits for an estimate where some rule wants one.
    pub(super) fn plan_for_policy(&self, question: &Question, inspected: &Inspected) -> Option<Step> {
        if self.gate.wants_estimates() { self.plan(question, inspected) } else { None }
    }

    /// Waits for an estimate, unless it was waited for already or there can be none.
    pub(super) fn plan(&self, question: &Question, inspected: &Inspected) -> Option<Step> {
        let [part] = inspected.parts.as_slice() else { return None };
        if self.planned.is_some() || !PLANNED.contains(&part.facts.verb.as_str()) {
            return None;
        }
        if self.lens.meets_filtered(&part.facts) {
            return None;
        }
        let settings = self.circumstances.to_restate(&self.lens)?;
        let (text, types, formats, values) = match &question.ask {
            Ask::Query { text } => (text.as_str()?, Vec::new(), Vec::new(), Vec::new()),
            Ask::Bind { parsed, formats, values, .. } => {
                let prepared = self.prepared.get(parsed.as_ref()?)?;
                (&*prepared.text, prepared.types.to_vec(), formats.clone(), values.clone())
            }
            Ask::Call { .. } | Ask::Execute { .. } | Ask::Parse { .. } => return None,
        };
        let text = inspected.sent.as_deref().unwrap_or(text).to_owned();
        let asked = self.planner.estimate(
            self.gate.another_connection(),
            Plan { text, types, formats, values, settings: settings.into_iter().collect() },
        );
        let question = question.clone();
        Some(Step::Wait(Box::pin(async move { Ok(Resume::Planned(question, asked.await)) })))
    }

    /// What was found out about a text that is only prepared. What a rule says of estimates waits for its
    /// Bind: without the values there is none that would be true of them.
    pub(super) fn unvalued(&self, inspected: &Arc<Inspected>) -> Arc<Inspected> {
        if !self.gate.wants_estimates() {
            return Arc::clone(inspected);
        }
        let mut unvalued = inspected.without_opinions();
        for part in &mut unvalued.parts {
            // INVARIANT: what is said here is kept for nothing but this Parse
            *part = part.with_opinion(self.gate.opinion_prepared(&self.facts_of(part)));
        }
        Arc::new(unvalued)
    }

    /// What was found out, and the estimate that was made for this question.
    pub(super) fn with_estimate(&self, inspected: &Arc<Inspected>) -> Arc<Inspected> {
        let Some(Some(rows)) = self.planned else { return Arc::clone(inspected) };
        let mut estimated = inspected.without_opinions();
        for part in &mut estimated.parts {
            Arc::make_mut(&mut part.facts).estimate = Some(rows);
        }
        Arc::new(estimated)
    }
}

impl Circumstances {
    /// The client's settings, to be set for another connection; `None` where they are not known.
    fn to_restate(&self, lens: &Lens) -> Option<BTreeMap<String, String>> {
        let mut all = self.reported.clone();
        all.remove("session_authorization");
        if let Lens::Masked(masked) = lens {
            let path: Vec<_> = masked.path.current().iter().map(|name| crate::sql::quoted(name)).collect();
            all.insert("search_path".into(), path.join(", "));
        }
        let known = |name: &String| name == "search_path" && all.contains_key(name);
        let all_known = self.asked.keys().all(known);
        all_known.then_some(all)
    }
}

/// What EXPLAIN explains.
const PLANNED: &[&str] = &["delete", "insert", "merge", "select", "update"];
