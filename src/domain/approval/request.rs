//! A request for approval.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::review::Review;
use super::threshold::Threshold;
use crate::domain::name::{DeviceId, Digest, GrantId, RequestId, RuleName, TargetName};
use crate::domain::principal::PrincipalId;

/// A request for approval. What it is for stands in its [`super::Subject`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// Who asks.
    pub requester: PrincipalId,
    /// What people call them.
    pub display: String,
    /// The device they ask from.
    pub device: DeviceId,
    /// Of which target.
    pub target: TargetName,
    /// SHA-256 of the subject's text.
    pub subject: Digest,
    /// What it takes; `owner` is resolved.
    pub threshold: Threshold,
    /// Whether only signed reviews of people count, so that no rule may answer.
    pub people_only: bool,
    /// For how long a reviewer may make a standing decision with it, in seconds; 0 for not at all.
    pub standing_max: u64,
    /// When it was filed.
    pub filed: Timestamp,
    /// Until when it can be reviewed.
    pub expires: Timestamp,
    /// Where it is in its life.
    pub state: RequestState,
    /// The reviews so far, in order.
    pub reviews: Vec<Review>,
}

/// Where a request is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum RequestState {
    /// Reviews are awaited.
    Pending,
    /// The threshold is met; the action is not released yet.
    Approved,
    /// Approved, and turned into this grant.
    Granted {
        /// The grant.
        grant: GrantId,
    },
    /// The action was let through: by people, by a rule, or by an earlier standing decision.
    Released {
        /// The rule or the request that answered instead of people.
        by: Option<ReleasedBy>,
    },
    /// A reviewer said no.
    Denied,
    /// The requester took it back, or left.
    Withdrawn,
    /// Nobody answered in time.
    Expired,
    /// What it was for is gone: its session closed, its device or policy was revoked.
    Void,
}

/// What answered instead of people.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReleasedBy {
    /// A rule that permits the action `approve`.
    Rule(RuleName),
    /// A standing decision, made in the review of this request.
    Standing(RequestId),
}

impl RequestState {
    /// The state in a word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Granted { .. } => "granted",
            Self::Pending => "pending",
            Self::Released { .. } => "released",
            Self::Void => "void",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Whether nothing can happen to it any more.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Pending | Self::Approved)
    }
}
