//! A grant: the time-boxed result of an approved request.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::name::{GrantId, RequestId, TargetName};
use crate::domain::principal::PrincipalId;

/// Sessions on one target for one principal, until it ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// The request it came from.
    pub request: RequestId,
    /// For whom.
    pub principal: PrincipalId,
    /// On which target.
    pub target: TargetName,
    /// Why, in the requester's words.
    pub reason: String,
    /// From when on.
    pub starts: Timestamp,
    /// Until when; its sessions end then, too.
    pub ends: Timestamp,
    /// For one session only.
    pub once: bool,
    /// Where it is in its life.
    pub state: GrantState,
}

/// Where a grant is in its life. That it has expired is told by the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantState {
    /// Sessions may be opened.
    Active,
    /// Its one session was opened.
    Used,
    /// Somebody took it back.
    Revoked,
}

impl Grant {
    /// Whether a session may be opened with it now.
    #[must_use]
    pub fn admits(&self, now: Timestamp) -> bool {
        self.state == GrantState::Active && self.starts <= now && now < self.ends
    }
}
