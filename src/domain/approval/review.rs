//! What a reviewer says.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::name::{DeviceId, GroupName};
use crate::domain::principal::PrincipalId;

/// A review of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Whose.
    pub reviewer: PrincipalId,
    /// What people call them.
    pub display: String,
    /// The device whose key signed it.
    pub device: DeviceId,
    /// The groups they were in when they gave it.
    pub groups: BTreeSet<GroupName>,
    /// What they said.
    pub decision: Decision,
    /// Why, in their words.
    pub reason: Option<String>,
    /// The standing decision that they made with it.
    pub standing: Option<Standing>,
    /// When the broker took it.
    pub at: Timestamp,
    /// The signed form (JWS, compact), for everybody to check.
    pub proof: String,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Let it through.
    Approve,
    /// Do not.
    Deny,
}

/// "And whatever has this shape, for this principal, for a while."
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// Which literals of the shape may differ, counted from 0.
    pub free: BTreeSet<u16>,
    /// For how long after the review, in seconds.
    pub seconds: u64,
}
