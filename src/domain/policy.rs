//! Cedar policies turned into verdicts.
//!
//! Job: `(principal, action, target) → Verdict`, pure. Boundary: no I/O; policy texts come in as
//! strings. Failure mode: an evaluation error is a denial that says so; nothing is allowed by
//! accident.

mod permit;

pub use permit::Permit;

use super::name::RuleName;

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
