//! Cedar policies turned into verdicts.
//!
//! Job: `(principal, action, target) → Verdict`, pure. Boundary: no I/O; policy texts come in as
//! strings. Failure mode: an evaluation error is a denial that says so; nothing is allowed by
//! accident.

mod compile;
mod entities;
mod permit;
mod presets;
mod session;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

pub use entities::Role;
pub use permit::Permit;
pub use presets::{preset, preset_names};
pub use session::SessionPolicy;

use self::compile::Rule;
use self::entities::{Pair, Words};
use self::session::{Bench, Reviews, Slice, Stage};
use super::action::{Action, Petition};
use super::approval::Threshold;
use super::caps::Caps;
use super::name::{Digest, RuleName, TargetName};
use super::principal::Principal;
use super::target::Target;

/// The machine's answer.
#[derive(Debug)]
pub enum Verdict {
    /// Go ahead; the permit is the proof.
    Allow(Permit),
    /// Only after a review.
    Hold(Hold),
    /// No.
    Deny(Denial),
}

/// A no that a human can act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The rule that said no; `default` when no rule said yes.
    pub rule: RuleName,
    /// Why, in the policy author's words (`@reason`) or ours.
    pub reason: String,
    /// What to do next.
    pub hint: Option<String>,
}

/// What it takes to let through what rules with `@review` hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The rules that demand a review, in source order; never empty.
    pub rules: Vec<RuleName>,
    /// Why, in the words of the first.
    pub reason: String,
    /// What all of them together demand; `owner` is not resolved.
    pub threshold: Threshold,
    /// For how long a standing decision may be made, in seconds: the shortest of theirs; 0 for not at all.
    pub standing: u64,
    /// Whether one of them demands that people answer.
    pub people_only: bool,
}

impl Hold {
    /// What both take together.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        let Self { mut rules, reason, threshold, standing, people_only } = self;
        for rule in &other.rules {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
        Self {
            rules,
            reason,
            threshold: threshold.and(&other.threshold),
            standing: standing.min(other.standing),
            people_only: people_only || other.people_only,
        }
    }
}

/// A policy text and the name it is known by: a file's name or `preset:read-only`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySource {
    /// The name, for error messages.
    pub name: String,
    /// Cedar.
    pub text: String,
}

/// The compiled policy.
#[derive(Debug)]
pub struct Policy {
    digest: Digest,
    words: Words,
    /// In source order, which decides between rules of the same effect.
    rules: Arc<[Rule]>,
    /// For each action, the rules that can bind anybody.
    slices: Vec<Slice>,
    /// For each action, the permits alone.
    permits: Vec<Slice>,
    references: Vec<Reference>,
}

/// One problem of a policy text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{source_name}:{line}: {message}")]
pub struct PolicyFault {
    /// The source's name.
    pub source_name: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

/// A rule as `explain` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSummary {
    /// Its `@id`.
    pub name: RuleName,
    /// Its `@reason`.
    pub reason: String,
}

/// A group, principal or target that a policy names, so that a name that nobody can have is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// What it is.
    pub role: Role,
    /// Its id, as the policy spells it.
    pub id: String,
    /// The source's name.
    pub source_name: String,
    /// The line that the policy begins on, counted from 1.
    pub line: usize,
}

impl Policy {
    /// Compiles and validates policy texts.
    ///
    /// # Errors
    /// All problems of all texts.
    pub fn compile(sources: &[PolicySource]) -> Result<Self, Vec<PolicyFault>> {
        let unusable = |message: &str| {
            vec![PolicyFault { source_name: "hoop.cedarschema".into(), line: 1, message: message.into() }]
        };
        let words = Words::new().ok_or_else(|| unusable("the schema's names cannot be read"))?;
        let (rules, references) = compile::compile(&words, sources)?;
        let slices = Action::NAMES
            .iter()
            .map(|name| Slice::new(&words, &rules, name, |_| true))
            .collect::<Option<_>>()
            .ok_or_else(|| unusable("the rules cannot be put together"))?;
        let permits = Action::NAMES.iter();
        let permits =
            permits.filter_map(|name| Slice::new(&words, &rules, name, |rule| !rule.forbids())).collect();
        Ok(Self { digest: digest(sources), words, rules: rules.into(), slices, permits, references })
    }

    /// SHA-256 over the texts and their names, in order.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The groups, principals and targets that the policies name.
    #[must_use]
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// Prepares policy for a session, whose actions are then judged without further preparation.
    #[must_use]
    pub fn session(&self, who: &Principal, target: &Target) -> SessionPolicy {
        SessionPolicy::new(self, who, target)
    }

    /// Judges one action of one principal on one target, as if no review had been given.
    #[must_use]
    pub fn judge(&self, who: &Principal, target: &Target, action: &Action<'_>) -> Verdict {
        self.bench(&target.name, self.pair(who, target).as_ref()).judge(action, Reviews::Missing)
    }

    /// Judges an action whose review was given: `Allow` or `Deny`, never `Hold`.
    #[must_use]
    pub fn judge_reviewed(&self, who: &Principal, target: &Target, action: &Action<'_>) -> Verdict {
        self.bench(&target.name, self.pair(who, target).as_ref()).judge(action, Reviews::Given)
    }

    /// The denial of what a permit covers and another rule forbids whatever reviewers say; none where no
    /// permit would allow it anyway. Whom a permit covers may know what it is about.
    #[must_use]
    pub fn withheld(&self, who: &Principal, target: &Target, action: &Action<'_>) -> Option<Denial> {
        let pair = self.pair(who, target);
        let Verdict::Deny(denial) = self.bench(&target.name, pair.as_ref()).judge(action, Reviews::Missing)
        else {
            return None;
        };
        let permits = Bench { slices: &self.permits, ..self.bench(&target.name, pair.as_ref()) };
        let permitted = permits.judge(action, Reviews::Given);
        matches!(permitted, Verdict::Allow(_)).then_some(denial)
    }

    /// The rule that answers a request for approval instead of people; no rule does by default. `who` is
    /// the requester. Each rule that demands the review is asked about alone, and all must be answered; the
    /// rule that answers the first is given back. Only a permit whose scope names the action `approve` counts, and none does where a
    /// rule that demands the review wants people.
    #[must_use]
    pub fn answers(&self, who: &Principal, target: &Target, petition: &Petition<'_>) -> Option<RuleName> {
        let pair = self.pair(who, target);
        self.bench(&target.name, pair.as_ref()).answers(petition).map(|rule| rule.name.clone())
    }

    /// The rules that decide an action, in source order; none when it is denied by default.
    #[must_use]
    pub fn why(&self, who: &Principal, target: &Target, action: &Action<'_>) -> Vec<RuleName> {
        let pair = self.pair(who, target);
        let asked = self.bench(&target.name, pair.as_ref()).ask(action, Stage::Unreviewed);
        let Some(answer) = asked else { return Vec::new() };
        answer.errors.iter().chain(&answer.reasons).map(|rule| rule.name.clone()).collect()
    }

    /// The rules that can deny this principal something on this target, whoever reviews it: those whose
    /// scope covers both. What their conditions say is left open.
    #[must_use]
    pub fn forbidding(&self, who: &Principal, target: &Target) -> Vec<RuleSummary> {
        let pair = self.pair(who, target);
        let binds = |rule: &&Rule| {
            let (principal, resource) = rule.scope();
            let denies = rule.forbids() && rule.review.is_none() && self.is_about(rule, target);
            denies && pair.as_ref().is_none_or(|pair| pair.is_in_scope(&principal, &resource))
        };
        let summary = |rule: &Rule| RuleSummary { name: rule.name.clone(), reason: rule.reason.clone() };
        self.rules.iter().filter(binds).map(summary).collect()
    }

    /// The rules that go by full names of columns and can bind on this target, which resolves no names.
    #[must_use]
    pub fn blind(&self, target: &Target) -> Vec<&RuleName> {
        let resolves = target
            .kind
            .postgres()
            .is_none_or(|own| !own.masks.is_empty() || !own.filters.is_empty() || !own.fields.is_empty());
        let binds = |rule: &&Rule| {
            !resolves && rule.columns && entities::reaches(&self.words, &rule.scope().1, target)
        };
        self.rules.iter().filter(binds).map(|rule| &rule.name).collect()
    }

    /// The rules that can demand a review of this principal on this target, and what they take.
    #[must_use]
    pub fn holding(&self, who: &Principal, target: &Target) -> Vec<(RuleSummary, Threshold)> {
        let pair = self.pair(who, target);
        let binds = |rule: &&Rule| {
            let (principal, resource) = rule.scope();
            self.is_about(rule, target)
                && pair.as_ref().is_none_or(|pair| pair.is_in_scope(&principal, &resource))
        };
        let rules = self.rules.iter().filter(binds);
        let held = rules.filter_map(|rule| {
            let summary = RuleSummary { name: rule.name.clone(), reason: rule.reason.clone() };
            Some((summary, rule.review.as_ref()?.threshold.clone()))
        });
        held.collect()
    }

    /// The rules that can cap what this principal's statements on this target give out, and their caps.
    #[must_use]
    pub fn capping(&self, who: &Principal, target: &Target) -> Vec<(&RuleName, &Caps)> {
        let pair = self.pair(who, target);
        let binds = |rule: &&Rule| {
            let (principal, resource) = rule.scope();
            !rule.caps.is_empty()
                && target.kind.postgres().is_some()
                && pair.as_ref().is_none_or(|pair| pair.is_in_scope(&principal, &resource))
        };
        self.rules.iter().filter(binds).map(|rule| (&rule.name, &rule.caps)).collect()
    }

    /// The rules that can demand a review of anybody on a target, and what they take.
    pub fn reviewing(&self, target: &Target) -> impl Iterator<Item = (&RuleName, &Threshold)> {
        let reaches = |rule: &&Rule| {
            self.is_about(rule, target) && entities::reaches(&self.words, &rule.scope().1, target)
        };
        let rules = self.rules.iter().filter(reaches);
        rules.filter_map(|rule| Some((&rule.name, &rule.review.as_ref()?.threshold)))
    }

    /// Whether a rule is about something that can be done on a target of this protocol.
    fn is_about(&self, rule: &Rule, target: &Target) -> bool {
        let about = rule.policy.action_constraint();
        target.kind.actions().any(|name| entities::covers(&about, &self.words.action(name)))
    }

    fn bench<'a>(&'a self, target: &'a TargetName, pair: Option<&'a Pair>) -> Bench<'a> {
        Bench { rules: &self.rules, slices: &self.slices, pair, target }
    }

    fn pair(&self, who: &Principal, target: &Target) -> Option<Pair> {
        Pair::new(&self.words, who, target)
    }
}

fn digest(sources: &[PolicySource]) -> Digest {
    let mut hash = Sha256::new();
    for part in sources.iter().flat_map(|source| [&source.name, &source.text]) {
        // a length before each part, so that no byte can move from one part to the next unseen
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    Digest::from_bytes(&hash.finalize().into())
}
