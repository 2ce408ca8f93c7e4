//! Cedar policies turned into verdicts.
//!
//! Job: `(principal, action, target) → Verdict`, pure. Boundary: no I/O; policy texts come in as
//! strings. Failure mode: an evaluation error is a denial that says so; nothing is allowed by
//! accident.

mod entities;
mod permit;
mod presets;

pub use permit::Permit;
pub use presets::{PRESETS, preset};

use std::collections::BTreeMap;
use std::str::FromStr as _;

use cedar_policy::{Authorizer, Decision, Effect, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use sha2::{Digest as _, Sha256};

use super::action::Action;
use super::name::{Digest, RuleName};
use super::principal::Principal;
use super::target::Target;

/// The machine's answer.
#[derive(Debug)]
pub enum Verdict {
    /// Go ahead; the permit is the proof.
    Allow(Permit),
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
    set: PolicySet,
    rules: BTreeMap<String, Rule>,
}

#[derive(Debug)]
struct Rule {
    name: RuleName,
    order: usize,
    reason: String,
    hint: Option<String>,
    forbids: bool,
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

impl Policy {
    /// Compiles and validates policy texts.
    ///
    /// # Errors
    /// All problems of all texts.
    pub fn compile(sources: &[PolicySource]) -> Result<Self, Vec<PolicyFault>> {
        let mut set = PolicySet::new();
        let mut rules = BTreeMap::new();
        let mut faults = Vec::new();
        let mut hash = Sha256::new();
        for source in sources {
            hash.update(source.name.len().to_be_bytes());
            hash.update(&source.name);
            hash.update(source.text.len().to_be_bytes());
            hash.update(&source.text);
            let mut fault = |line: usize, message: String| {
                faults.push(PolicyFault { source_name: source.name.clone(), line, message });
            };
            let parsed = match PolicySet::from_str(&source.text) {
                Ok(parsed) => parsed,
                Err(errors) => {
                    fault(1, errors.to_string());
                    continue;
                }
            };
            for policy in parsed.policies() {
                let Some(Ok(name)) = policy.annotation("id").map(RuleName::new) else {
                    fault(1, "every policy needs an @id that is a rule name".into());
                    continue;
                };
                let rule = Rule {
                    name: name.clone(),
                    order: rules.len(),
                    reason: policy.annotation("reason").unwrap_or_default().to_owned(),
                    hint: policy.annotation("hint").map(str::to_owned),
                    forbids: policy.effect() == Effect::Forbid,
                };
                if set.add(policy.new_id(PolicyId::new(name.as_str()))).is_err() {
                    fault(1, format!("the rule name {name} is used twice"));
                    continue;
                }
                rules.insert(name.as_str().to_owned(), rule);
            }
        }
        if faults.is_empty() {
            faults.extend(invalid(&set, sources));
        }
        if faults.is_empty() {
            let digest = Digest::from_bytes(&hash.finalize().into());
            Ok(Self { digest, set, rules })
        } else {
            Err(faults)
        }
    }

    /// A policy without rules: nothing is allowed.
    #[must_use]
    pub fn empty() -> Self {
        Self { digest: Digest::from_bytes(&[0; 32]), set: PolicySet::new(), rules: BTreeMap::new() }
    }

    /// SHA-256 over the texts and their names.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Judges one action of one principal on one target.
    #[must_use]
    pub fn judge(&self, who: &Principal, target: &Target, action: &Action<'_>) -> Verdict {
        let Some((request, entities)) = entities::ask(who, target, action) else {
            return deny(RuleName::default_deny(), "the request cannot be put to policy", None);
        };
        let answer = Authorizer::new().is_authorized(&request, &self.set, &entities);
        let mut reasons: Vec<&Rule> =
            answer.diagnostics().reason().filter_map(|id| self.rules.get(&id.to_string())).collect();
        reasons.sort_by_key(|rule| rule.order);
        if let Some(error) = answer.diagnostics().errors().next() {
            return deny(
                RuleName::default_deny(),
                &format!("a policy could not be evaluated: {error}"),
                None,
            );
        }
        match (answer.decision(), reasons.first()) {
            (Decision::Allow, Some(rule)) => {
                Verdict::Allow(Permit::new(target.name.clone(), action.name(), rule.name.clone()))
            }
            (_, Some(rule)) => deny(rule.name.clone(), &rule.reason, rule.hint.clone()),
            (_, None) => deny(
                RuleName::default_deny(),
                "no rule allows it",
                Some(format!("see what is allowed: hoopctl explain {}", target.name)),
            ),
        }
    }

    /// The forbidding rules that can bind this principal on this target.
    #[must_use]
    pub fn forbidding(&self, _who: &Principal, _target: &Target) -> Vec<RuleSummary> {
        let forbids = self.rules.values().filter(|rule| rule.forbids);
        forbids.map(|rule| RuleSummary { name: rule.name.clone(), reason: rule.reason.clone() }).collect()
    }
}

fn deny(rule: RuleName, reason: &str, hint: Option<String>) -> Verdict {
    Verdict::Deny(Denial { rule, reason: reason.to_owned(), hint })
}

/// What the schema has against the policies: misspelt attributes, types that do not fit.
fn invalid(set: &PolicySet, sources: &[PolicySource]) -> Vec<PolicyFault> {
    let schema = match Schema::from_cedarschema_str(SCHEMA) {
        Ok((schema, _)) => schema,
        Err(error) => {
            let source_name = "schema.cedarschema".to_owned();
            return vec![PolicyFault { source_name, line: 1, message: error.to_string() }];
        }
    };
    let result = Validator::new(schema).validate(set, ValidationMode::Strict);
    let fault = |error: &cedar_policy::ValidationError| {
        let rule = error.policy_id().to_string();
        let (source_name, line) = place(sources, &rule);
        PolicyFault { source_name, line, message: error.to_string() }
    };
    result.validation_errors().map(fault).collect()
}

/// Where a rule stands: the source and line of its `@id`.
fn place(sources: &[PolicySource], rule: &str) -> (String, usize) {
    let id = format!("@id(\"{rule}\")");
    let line = |source: &PolicySource| source.text.lines().position(|line| line.contains(&id));
    let found = sources.iter().find_map(|source| Some((source.name.clone(), line(source)? + 1)));
    found.unwrap_or_else(|| ("policy".into(), 1))
}

/// What policies may speak of.
const SCHEMA: &str = include_str!("../../policies/schema.cedarschema");
