//! Policy, prepared for one principal on one target.
//!
//! Job: everything that does not change from statement to statement is done once: which rules can
//! bind at all, the principal, its groups, the target. Boundary: pure. Failure mode: what Cedar cannot
//! hold or evaluate is denied.

use std::sync::Arc;

use cedar_policy::{AuthorizationError, Authorizer, Decision, EntityUid, PolicyId, PolicySet};

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
    pub(super) fn new(policy: &Policy, who: &Principal, target: &Target) -> Self {
        let pair = policy.pair(who, target);
        let slices = Action::NAMES
            .iter()
            .filter_map(|name| {
                Slice::new(&policy.words, &policy.rules, name, |rule| {
                    pair.as_ref().is_some_and(|pair| {
                        let (principal, resource) = rule.scope();
                        pair.is_in_scope(&principal, &resource)
                    })
                })
            })
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
        verdict(&self.target, action, ask(&self.rules, &self.slices, self.pair.as_ref(), action))
    }
}

/// The rules that can bind for one action.
#[derive(Debug)]
pub(super) struct Slice {
    action_name: &'static str,
    action: EntityUid,
    policies: PolicySet,
}

impl Slice {
    /// `None`, and so a denial, when one rule cannot be taken along.
    pub(super) fn new(
        words: &Words,
        rules: &[Rule],
        action_name: &'static str,
        can_bind: impl Fn(&Rule) -> bool,
    ) -> Option<Self> {
        let action = words.action(action_name);
        let mut policies = PolicySet::new();
        for rule in rules {
            if entities::covers(&rule.policy.action_constraint(), &action) && can_bind(rule) {
                policies.add(rule.policy.clone()).ok()?;
            }
        }
        Some(Self { action_name, action, policies })
    }
}

/// What Cedar says, with the rules behind it in source order.
pub(super) struct Answer<'a> {
    pub(super) decision: Decision,
    pub(super) reasons: Vec<&'a Rule>,
    pub(super) errors: Vec<&'a Rule>,
}

/// Asks Cedar; `None` when it cannot be asked.
pub(super) fn ask<'a>(
    rules: &'a [Rule],
    slices: &[Slice],
    pair: Option<&Pair>,
    action: &Action<'_>,
) -> Option<Answer<'a>> {
    let pair = pair?;
    let slice = slices.iter().find(|slice| slice.action_name == action.name())?;
    let request = pair.request(slice.action.clone(), entities::context(action)?)?;
    let response = Authorizer::new().is_authorized(&request, &slice.policies, pair.entities());
    let diagnostics = response.diagnostics();
    let errors = diagnostics.errors().map(|error| match error {
        AuthorizationError::PolicyEvaluationError(error) => error.policy_id(),
    });
    Some(Answer {
        decision: response.decision(),
        reasons: in_order(rules, diagnostics.reason()),
        errors: in_order(rules, errors),
    })
}

/// Turns an answer into a verdict. An error in any rule is a denial, whatever the others say.
pub(super) fn verdict(target: &TargetName, action: &Action<'_>, answer: Option<Answer<'_>>) -> Verdict {
    let Some(answer) = answer else {
        return Verdict::Deny(Denial {
            rule: RuleName::default_deny(),
            reason: "what was attempted could not be put to policy".into(),
            hint: None,
        });
    };
    match (answer.decision, answer.reasons.first(), answer.errors.first()) {
        (Decision::Allow, Some(rule), None) => {
            Verdict::Allow(Permit::new(target.clone(), action.name(), rule.name.clone()))
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
            hint: Some(format!("see what is allowed: hoopctl explain {target}")),
        }),
    }
}

fn in_order<'r, 'i>(rules: &'r [Rule], ids: impl Iterator<Item = &'i PolicyId>) -> Vec<&'r Rule> {
    let mut places: Vec<usize> = ids.filter_map(|id| AsRef::<str>::as_ref(id).parse().ok()).collect();
    places.sort_unstable();
    places.into_iter().filter_map(|place| rules.get(place)).collect()
}
