//! What is attempted on a target.

use super::facts::Facts;

/// What is attempted. Each becomes a Cedar action of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
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
    pub const NAMES: [&'static str; 4] = ["connect", "audit", "kill", "statement"];

    /// The action's name in policies and records.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Audit => "audit",
            Self::Kill => "kill",
            Self::Statement(_) => "statement",
        }
    }
}
