//! What credentials that are handed out would be good for.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// The facts of one issue of credentials.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssueFacts {
    /// Whose they are: the ARN of the role.
    pub role: String,
    /// For how long, in seconds.
    pub seconds: u64,
    /// What they allow at the most, as IAM names it; `*` when the role alone limits them.
    pub actions: BTreeSet<String>,
    /// On what, as ARNs; `*` for anything.
    pub resources: BTreeSet<String>,
}
