//! What is attempted on a target.

use super::facts::Facts;
use super::name::RuleName;

/// What is attempted. Each becomes a Cedar action of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    /// Answer a request for approval instead of people.
    Approve(&'a Petition<'a>),
    /// Open a session.
    Connect,
    /// See the record of other people's sessions on the target, and the ledger.
    Audit,
    /// Close other people's sessions on the target.
    Kill,
    /// Run one SQL statement.
    Statement(&'a Facts),
}

impl Action<'_> {
    /// The names of all actions.
    pub const NAMES: [&'static str; 5] = ["connect", "audit", "kill", "statement", "approve"];

    /// The action's name in policies and records.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Approve(_) => "approve",
            Self::Connect => "connect",
            Self::Audit => "audit",
            Self::Kill => "kill",
            Self::Statement(_) => "statement",
        }
    }
}

/// A request for approval, as rules that may answer it see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Petition<'a> {
    /// The rules that demand the review.
    pub rules: &'a [RuleName],
    /// What is asked for.
    pub kind: PetitionKind,
    /// For how long, of a session; in seconds.
    pub seconds: Option<u64>,
    /// What it does, of a statement.
    pub facts: Option<&'a Facts>,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PetitionKind {
    /// Sessions on the target.
    Session,
    /// One statement.
    Statement,
}

impl PetitionKind {
    /// The word that policies use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Statement => "statement",
        }
    }
}
