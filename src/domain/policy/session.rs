//! Policy, prepared for one principal on one target.
//!
//! Job: everything that does not change from statement to statement is done once: which rules can
//! bind at all, the principal, its groups, the target. Boundary: pure. Failure mode: what Cedar cannot
//! hold or evaluate is denied.

use std::sync::Arc;

use cedar_policy::{AuthorizationError, Authorizer, Decision, Effect, EntityUid, PolicyId, PolicySet};

use super::compile::Rule;
use super::entities::{self, Pair, Words};
use super::permit::Permit;
use super::{Denial, Hold, Policy, Verdict};
use crate::domain::action::{Action, Petition};
use crate::domain::approval::Threshold;
use crate::domain::caps::Caps;
use crate::domain::facts::{self, Facts};
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
    /// For statements that are only prepared.
    preparing: Vec<Slice>,
    /// The caps of all rules that can bind a statement.
    strictest: Arc<Caps>,
}

impl SessionPolicy {
    pub(super) fn new(policy: &Policy, who: &Principal, target: &Target) -> Self {
        let pair = policy.pair(who, target);
        let in_scope = |rule: &Rule| {
            let (principal, resource) = rule.scope();
            pair.as_ref().is_some_and(|pair| pair.is_in_scope(&principal, &resource))
        };
        let slice = |name, can_bind: &dyn Fn(&Rule) -> bool| {
            Slice::new(&policy.words, &policy.rules, name, |rule| can_bind(rule) && in_scope(rule))
        };
        let slices = Action::NAMES.iter().filter_map(|name| slice(name, &|_| true)).collect();
        let waits = |rule: &Rule| rule.estimates && rule.forbids();
        let preparing = slice(STATEMENT, &|rule| !waits(rule)).into_iter().collect();
        let statement = policy.words.action(STATEMENT);
        let binding = policy
            .rules
            .iter()
            .filter(|rule| entities::covers(&rule.policy.action_constraint(), &statement) && in_scope(rule));
        let strictest = Arc::new(binding.fold(Caps::default(), |all, rule| all.and(&rule.caps)));
        Self {
            digest: policy.digest.clone(),
            target: target.name.clone(),
            rules: Arc::clone(&policy.rules),
            pair,
            slices,
            preparing,
            strictest,
        }
    }

    /// The digest of the policy that it was made from; make a new one when that changes.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Whether a rule that can bind a statement speaks of the planner's estimate.
    #[must_use]
    pub fn speaks_of_estimates(&self) -> bool {
        self.slices.iter().any(|slice| slice.action_name == STATEMENT && slice.estimates)
    }

    /// The smallest caps that any rule could put on a statement: they hold for what nobody can tell apart.
    #[must_use]
    pub fn strictest_caps(&self) -> &Arc<Caps> {
        &self.strictest
    }

    /// Whether every statement is allowed, whatever it does: there are no rules about statements but permits,
    /// and one of them has no conditions and needs no review.
    #[must_use]
    pub fn allows_every_statement(&self) -> bool {
        let slice = self.slices.iter().find(|slice| slice.action_name == STATEMENT);
        self.pair.is_some() && slice.is_some_and(Slice::is_open)
    }

    /// Whether some rule permits actions of this kind, whatever others say of them.
    #[must_use]
    pub fn could_allow(&self, action: &Action<'_>) -> bool {
        let slice = self.slices.iter().find(|slice| slice.action_name == action.name());
        let permits = |policy: &cedar_policy::Policy| policy.effect() == Effect::Permit;
        self.pair.is_some() && slice.is_some_and(|slice| slice.reviewed.policies().any(permits))
    }

    /// Judges one action, as if no review had been given.
    #[must_use]
    pub fn judge(&self, action: &Action<'_>) -> Verdict {
        self.bench(&self.slices).judge(action, Reviews::Missing)
    }

    /// Judges an action whose review was given: `Allow` or `Deny`, never `Hold`.
    #[must_use]
    pub fn judge_reviewed(&self, action: &Action<'_>) -> Verdict {
        self.bench(&self.slices).judge(action, Reviews::Given)
    }

    /// Judges a statement that is only prepared, which executes nothing: the forbids that speak of the
    /// planner's estimate wait for the values that it will run with, and a permit that does counts if it
    /// would for the smallest.
    #[must_use]
    pub fn judge_prepared(&self, facts: &Facts) -> Verdict {
        let facts = Facts { estimate: Some(0), ..facts.clone() };
        self.bench(&self.preparing).judge(&Action::Statement(&facts), Reviews::Missing)
    }

    /// The rule that answers a request for approval instead of people; see [`Policy::answers`].
    #[must_use]
    pub fn answers(&self, petition: &Petition<'_>) -> Option<RuleName> {
        self.bench(&self.slices).answers(petition).map(|rule| rule.name.clone())
    }

    fn bench<'a>(&'a self, slices: &'a [Slice]) -> Bench<'a> {
        Bench { rules: &self.rules, slices, pair: self.pair.as_ref(), target: &self.target }
    }
}

/// What the actions of a principal on a target are judged with.
#[derive(Clone, Copy)]
pub(super) struct Bench<'a> {
    pub(super) rules: &'a [Rule],
    pub(super) slices: &'a [Slice],
    pub(super) pair: Option<&'a Pair>,
    pub(super) target: &'a TargetName,
}

/// Whether the reviews that rules demand were given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reviews {
    /// All that any rule demands.
    Given,
    /// None.
    Missing,
}

impl<'a> Bench<'a> {
    /// Without reviews first; where that does not allow and reviews would, it is a hold, unless they were given.
    pub(super) fn judge(self, action: &Action<'_>, reviews: Reviews) -> Verdict {
        let unread = |stage| move || self.is_unread(action, stage);
        let first = self.ask(action, Stage::Unreviewed);
        let is_settled = |answer: &Answer<'_>| {
            // a rule that cannot be evaluated denies, also one that a review would lift
            !answer.errors.is_empty() || (answer.decision == Decision::Allow && reviews == Reviews::Missing)
        };
        let Some(unreviewed) = first.as_ref().filter(|answer| !is_settled(answer)) else {
            return self.verdict(action, first).unless(unread(Stage::Unreviewed));
        };
        let second = self.ask(action, Stage::Reviewed);
        if reviews == Reviews::Missing
            && let Some(hold) = second.as_ref().and_then(|reviewed| hold(unreviewed, reviewed))
        {
            return Verdict::Hold(hold).unless(unread(Stage::Reviewed));
        }
        // what denies even with reviews is the rule to name
        self.verdict(action, second).unless(unread(Stage::Reviewed))
    }

    /// The rule that answers a review instead of people, if each rule that demands it is answered when it is
    /// asked about alone; the one that answers the first. Neither an error nor a permit that
    /// would need a review itself answers.
    pub(super) fn answers(self, petition: &Petition<'_>) -> Option<&'a Rule> {
        let demands_people = |rule: &Rule| rule.review.as_ref().is_some_and(|review| review.people_only);
        if self.rules.iter().any(|rule| demands_people(rule) && petition.rules.contains(&rule.name)) {
            return None;
        }
        let answer = |petition: &Petition<'_>| {
            let answer = self.ask(&Action::Approve(petition), Stage::Unreviewed)?;
            match (answer.decision, answer.errors.is_empty()) {
                (Decision::Allow, true) => answer.reasons.first().copied(),
                _ => None,
            }
        };
        let Some((first, others)) = petition.rules.split_first() else { return answer(petition) };
        // INVARIANT: a permit that answers one rule's reviews does not answer another's along with them
        let alone = |rule| answer(&Petition { rules: std::slice::from_ref(rule), ..*petition });
        let answered = alone(first)?;
        others.iter().all(|rule| alone(rule).is_some()).then_some(answered)
    }

    /// Asks Cedar; `None` when it cannot be asked.
    pub(super) fn ask(self, action: &Action<'_>, stage: Stage) -> Option<Answer<'a>> {
        let pair = self.pair?;
        let slice = self.slices.iter().find(|slice| slice.action_name == action.name())?;
        let request = pair.request(slice.action.clone(), entities::context(action)?)?;
        let policies = match stage {
            Stage::Unreviewed => &slice.unreviewed,
            Stage::Reviewed => &slice.reviewed,
        };
        let response = Authorizer::new().is_authorized(&request, policies, pair.entities());
        let diagnostics = response.diagnostics();
        let errors = diagnostics.errors().map(|error| match error {
            AuthorizationError::PolicyEvaluationError(error) => error.policy_id(),
        });
        Some(Answer {
            decision: response.decision(),
            reasons: in_order(self.rules, diagnostics.reason()),
            errors: in_order(self.rules, errors),
        })
    }

    /// Whether this is something that could not be read, where a rule denies or holds some actions of its kind of
    /// this principal on this target: nobody can tell whether it is one of them. A reviewer can read a command
    /// line that no grammar decides, but not a statement that no parser reads.
    fn is_unread(self, action: &Action<'_>, stage: Stage) -> bool {
        let unread = match action {
            Action::Exec(of) => stage == Stage::Unreviewed && of.effects.contains(&facts::Effect::Unjudged),
            Action::Statement(facts) => facts.is_unparsed(),
            _ => false,
        };
        let slice = self.slices.iter().find(|slice| slice.action_name == action.name());
        let binds = |rule: &Rule| {
            let (principal, resource) = rule.scope();
            (rule.forbids() || rule.review.is_some())
                && slice.is_none_or(|slice| entities::covers(&rule.policy.action_constraint(), &slice.action))
                && self.pair.is_none_or(|pair| pair.is_in_scope(&principal, &resource))
        };
        unread && self.rules.iter().any(binds)
    }

    /// Turns an answer into a verdict. An error in any rule is a denial, whatever the others say.
    fn verdict(self, action: &Action<'_>, answer: Option<Answer<'_>>) -> Verdict {
        let Some(answer) = answer else {
            return Verdict::Deny(Denial {
                rule: RuleName::default_deny(),
                reason: "what was attempted could not be put to policy".into(),
                hint: None,
            });
        };
        // where a rule cannot be evaluated, the others' reviews would not help
        let reason = answer.reasons.iter().find(|rule| answer.errors.is_empty() || rule.review.is_none());
        match (answer.decision, reason, answer.errors.first()) {
            (Decision::Allow, Some(rule), None) => {
                // not of the first alone: which permits come first says nothing about what they cap
                let caps = answer.reasons.iter().fold(Caps::default(), |all, rule| all.and(&rule.caps));
                Verdict::Allow(Permit::new(self.target.clone(), action.name(), rule.name.clone(), caps))
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
}

impl Verdict {
    /// INVARIANT: what our parser rejects goes on only where no rule denies or holds statements. A review
    /// does not help: nobody could say what it is that was reviewed.
    fn unless(self, unread: impl FnOnce() -> bool) -> Self {
        if matches!(self, Self::Deny(_)) || !unread() {
            return self;
        }
        Self::Deny(Denial {
            rule: RuleName::new("unjudged").unwrap_or_else(|_| RuleName::default_deny()),
            reason: "it cannot be read, so the rules about its like cannot be applied to it".into(),
            hint: Some("make it simpler: each statement or command spelled out, in UTF-8".into()),
        })
    }
}

/// What a review would have to answer: the forbids that it would lift, or else the permits that it
/// would make count. `None` when no review helps.
fn hold(unreviewed: &Answer<'_>, reviewed: &Answer<'_>) -> Option<Hold> {
    if reviewed.decision != Decision::Allow || !reviewed.errors.is_empty() {
        return None;
    }
    let lifted = unreviewed.reasons.iter().filter(|rule| rule.forbids());
    let with_review = |rule: &&&Rule| rule.review.is_some();
    let mut demanding: Vec<&Rule> = lifted.filter(with_review).copied().collect();
    let by_plain_permit = reviewed.reasons.iter().any(|rule| rule.review.is_none());
    if !by_plain_permit {
        // several permits may each do: the first in source order is the one that is asked for
        demanding.extend(reviewed.reasons.iter().find(with_review).copied());
    }
    let reviews: Vec<_> = demanding.iter().filter_map(|rule| rule.review.as_ref()).collect();
    Some(Hold {
        rules: demanding.iter().map(|rule| rule.name.clone()).collect(),
        reason: demanding.first()?.reason.clone(),
        threshold: reviews.iter().fold(Threshold::default(), |all, review| all.and(&review.threshold)),
        standing: reviews.iter().map(|review| review.standing).min().unwrap_or_default(),
        people_only: reviews.iter().any(|review| review.people_only),
    })
}

/// With which rules an action is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Every forbid binds; a permit that needs a review does not count.
    Unreviewed,
    /// A forbid that a review lifts does not bind; every permit counts.
    Reviewed,
}

const APPROVE: &str = "approve";
const STATEMENT: &str = "statement";

/// The rules that can bind for one action.
#[derive(Debug)]
pub(super) struct Slice {
    action_name: &'static str,
    action: EntityUid,
    unreviewed: PolicySet,
    reviewed: PolicySet,
    estimates: bool,
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
        let (mut unreviewed, mut reviewed) = (PolicySet::new(), PolicySet::new());
        let mut estimates = false;
        for rule in rules {
            if !(entities::covers(&rule.policy.action_constraint(), &action) && can_bind(rule)) {
                continue;
            }
            // INVARIANT: a permit for everything does not answer reviews; one that does was meant to
            if action_name == APPROVE && !rule.forbids() && !rule.names_its_action() {
                continue;
            }
            estimates |= rule.estimates;
            if rule.forbids() || rule.review.is_none() {
                unreviewed.add(rule.policy.clone()).ok()?;
            }
            if !rule.forbids() || rule.review.is_none() {
                reviewed.add(rule.policy.clone()).ok()?;
            }
        }
        Some(Self { action_name, action, unreviewed, reviewed, estimates })
    }

    /// Whether nothing can be denied or held. A permit with conditions could fail, which is a denial.
    fn is_open(&self) -> bool {
        let is_plain = |policy: &cedar_policy::Policy| {
            policy.effect() == Effect::Permit && !policy.has_non_scope_constraint()
        };
        !self.unreviewed.is_empty()
            && self.unreviewed.policies().chain(self.reviewed.policies()).all(is_plain)
    }
}

/// What Cedar says, with the rules behind it in source order.
pub(super) struct Answer<'a> {
    pub(super) decision: Decision,
    pub(super) reasons: Vec<&'a Rule>,
    pub(super) errors: Vec<&'a Rule>,
}

fn in_order<'r, 'i>(rules: &'r [Rule], ids: impl Iterator<Item = &'i PolicyId>) -> Vec<&'r Rule> {
    let mut places: Vec<usize> = ids.filter_map(|id| AsRef::<str>::as_ref(id).parse().ok()).collect();
    places.sort_unstable();
    places.into_iter().filter_map(|place| rules.get(place)).collect()
}
