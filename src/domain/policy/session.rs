//! Policy, prepared for one principal on one target.
//!
//! Job: everything that does not change from statement to statement is done once: which rules can
//! bind at all, the principal, its groups, the target. Boundary: pure. Failure mode: what Cedar cannot
//! hold or evaluate is denied.

use std::sync::Arc;

use cedar_policy::{AuthorizationError, Authorizer, Context, Decision, EntityUid, PolicyId, PolicySet};

use super::compile::Rule;
use super::entities::{self, Pair, Words};
use super::permit::Permit;
use super::{Denial, Policy, Verdict};
use crate::domain::action::Action;
use crate::domain::name::{Digest, RuleName, TargetName};
use crate::domain::principal::Principal;
use crate::domain::target::Target;

/// Policy, prepared for one principal (with the groups it has now) on one target.
#[derive(Debug)]
pub struct SessionPolicy {
    digest: Digest,
    target: TargetName,
    rules: Arc<[Rule]>,
    /// Absent when Cedar cannot hold the pair: then everything is denied.
    pair: Option<Pair>,
    slices: Vec<Slice>,
}

impl SessionPolicy {
    pub(super) fn new(policy: &Policy, who: &Principal, target: &Target, actions: &[&'static str]) -> Self {
        let pair = Pair::new(&policy.words, who, target);
        let slices = actions
            .iter()
            .filter_map(|name| Slice::new(&policy.words, &policy.rules, pair.as_ref()?, name))
            .collect();
        Self {
            digest: policy.digest.clone(),
            target: target.name.clone(),
            rules: Arc::clone(&policy.rules),
            pair,
            slices,
        }
    }

    /// The digest of the policy that it was made from; make a new one when that changes.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Judges one action.
    #[must_use]
    pub fn judge(&self, action: &Action<'_>) -> Verdict {
        let Some(answer) = self.ask(action) else {
            return Verdict::Deny(Denial {
                rule: RuleName::default_deny(),
                reason: "what was attempted could not be put to policy".into(),
                hint: None,
            });
        };
        match (answer.decision, answer.reasons.first(), answer.errors.first()) {
            (Decision::Allow, Some(rule), None) => {
                Verdict::Allow(Permit::new(self.target.clone(), action.name(), rule.name.clone()))
            }
            (Decision::Deny, Some(rule), _) => Verdict::Deny(Denial {
                rule: rule.name.clone(),
                reason: rule.reason.clone(),
                hint: rule.hint.clone(),
            }),
            // the error's own text may hold values of the statement
            (_, _, Some(rule)) => Verdict::Deny(Denial {
                rule: rule.name.clone(),
                reason: "the rule could not be evaluated, so nothing is allowed".into(),
                hint: Some(format!("ask whoever keeps the policy to mend the rule {}", rule.name)),
            }),
            (_, None, None) => Verdict::Deny(Denial {
                rule: RuleName::default_deny(),
                reason: "no rule allows it".into(),
                hint: Some(format!("see what is allowed: hoopctl explain {}", self.target)),
            }),
        }
    }

    /// The rules that decide an action, in source order; none when it is denied by default.
    #[must_use]
    pub fn why(&self, action: &Action<'_>) -> Vec<RuleName> {
        let Some(answer) = self.ask(action) else { return Vec::new() };
        answer.errors.iter().chain(&answer.reasons).map(|rule| rule.name.clone()).collect()
    }

    fn ask(&self, action: &Action<'_>) -> Option<Answer<'_>> {
        let pair = self.pair.as_ref()?;
        let slice = self.slices.iter().find(|slice| slice.action_name == action.name())?;
        let context: Context = entities::context(action)?;
        let request = pair.request(slice.action.clone(), context)?;
        let response = Authorizer::new().is_authorized(&request, &slice.policies, pair.entities());
        let diagnostics = response.diagnostics();
        Some(Answer {
            decision: response.decision(),
            reasons: self.in_order(diagnostics.reason()),
            errors: self.in_order(diagnostics.errors().map(|error| match error {
                AuthorizationError::PolicyEvaluationError(error) => error.policy_id(),
            })),
        })
    }

    fn in_order<'a>(&self, ids: impl Iterator<Item = &'a PolicyId>) -> Vec<&Rule> {
        let mut places: Vec<usize> = ids.filter_map(|id| AsRef::<str>::as_ref(id).parse().ok()).collect();
        places.sort_unstable();
        places.into_iter().filter_map(|place| self.rules.get(place)).collect()
    }
}

/// The rules that can bind the pair for one action.
#[derive(Debug)]
struct Slice {
    action_name: &'static str,
    action: EntityUid,
    policies: PolicySet,
}

impl Slice {
    /// `None`, and so a denial, when one rule cannot be taken along.
    fn new(words: &Words, rules: &[Rule], pair: &Pair, action_name: &'static str) -> Option<Self> {
        let action = words.action(action_name);
        let mut policies = PolicySet::new();
        for rule in rules {
            let policy = &rule.policy;
            if entities::covers(&policy.action_constraint(), &action)
                && pair.is_in_scope(&policy.principal_constraint(), &policy.resource_constraint())
            {
                policies.add(policy.clone()).ok()?;
            }
        }
        Some(Self { action_name, action, policies })
    }
}

struct Answer<'a> {
    decision: Decision,
    reasons: Vec<&'a Rule>,
    errors: Vec<&'a Rule>,
}
