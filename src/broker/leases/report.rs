//! What the keeper of leases is told, and tells, of a moment.

use jiff::Timestamp;

use crate::domain::name::{Digest, TargetName};

/// What every entry in the ledger carries, as of now.
#[derive(Debug, Clone)]
pub struct Stamp {
    /// The time.
    pub at: Timestamp,
    /// The digest of the policy in force.
    pub policy: Digest,
}

/// What a round of the reaper found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReapReport {
    /// Leases that are gone now.
    pub clean: usize,
    /// Leases of which something is left; they cannot be used and are tried again.
    pub stuck: Vec<StuckLease>,
}

/// A lease of which something is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StuckLease {
    /// The target.
    pub target: TargetName,
    /// The role at the database.
    pub login: String,
    /// What is left, and why.
    pub note: String,
}
