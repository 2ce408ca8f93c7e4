//! Cedar policies turned into verdicts.
//!
//! Job: `(principal, action, target) → Verdict`, pure. Boundary: no I/O; policy texts come in as
//! strings. Failure mode: an evaluation error is a denial that says so; nothing is allowed by
//! accident.

mod permit;

pub use permit::Permit;

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
    pub fn compile(_sources: &[PolicySource]) -> Result<Self, Vec<PolicyFault>> {
        Ok(Self { digest: Digest::from_bytes(&[0; 32]) })
    }

    /// SHA-256 over the texts and their names.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Judges one action of one principal on one target.
    #[must_use]
    pub fn judge(&self, _who: &Principal, _target: &Target, _action: &Action<'_>) -> Verdict {
        Verdict::Deny(Denial { rule: RuleName::default_deny(), reason: String::new(), hint: None })
    }

    /// The forbidding rules that can bind this principal on this target.
    #[must_use]
    pub fn forbidding(&self, _who: &Principal, _target: &Target) -> Vec<RuleSummary> {
        Vec::new()
    }
}
