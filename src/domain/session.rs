//! A session: one use of a target by a principal.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::name::{DeviceId, GrantId, SessionId, TargetName};
use super::principal::PrincipalId;

/// A session as everybody may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Who opened it.
    pub principal: PrincipalId,
    /// What people call the principal.
    pub display: String,
    /// The target.
    pub target: TargetName,
    /// The device it was opened from.
    pub device: DeviceId,
    /// The address the broker saw.
    pub client_address: String,
    /// The host name the client gave; shown, never trusted.
    pub client_host: String,
    /// When it was opened.
    pub opened: Timestamp,
    /// When it ends at the latest.
    pub expires: Timestamp,
    /// Where it is in its life.
    pub state: SessionState,
    /// How many statements were judged so far.
    pub statements: u64,
    /// The grant it stands on, when policy demanded one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantId>,
}

/// Where a session is in its life. The order is the order of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum SessionState {
    /// Opened; no connection has come yet.
    Pending,
    /// Connections may come and go.
    Active,
    /// No new connections; its lease is being revoked.
    Closing {
        /// Why.
        reason: CloseReason,
    },
    /// Over; its lease is gone.
    Closed {
        /// Why.
        reason: CloseReason,
        /// When.
        at: Timestamp,
    },
}

/// Why a session ended: said once, precisely. The list is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CloseReason {
    /// The broker was restarted or killed; found at the next start.
    BrokerRestarted,
    /// The client ended it.
    ClientEnded,
    /// Its device was revoked.
    DeviceRevoked,
    /// It reached its expiry.
    Expired,
    /// The grant it stands on ended.
    GrantEnded,
    /// The grant it stands on was taken back.
    GrantRevoked,
    /// Somebody closed it with `session kill`.
    Killed,
    /// The ledger or the recording could not be written.
    LedgerUnwritable,
    /// The login behind it is gone.
    LoginEnded,
    /// Policy no longer allows it.
    PolicyChanged,
    /// Three attempts to touch policy or protected objects.
    Tampering,
    /// The database could not be reached or went away.
    UpstreamLost,
}

impl CloseReason {
    /// The reason in words, as the client shows it.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::BrokerRestarted => "the broker was restarted",
            Self::ClientEnded => "the client ended it",
            Self::DeviceRevoked => "the device was revoked",
            Self::Expired => "it reached its expiry",
            Self::GrantEnded => "its approval has ended",
            Self::GrantRevoked => "its approval was revoked",
            Self::Killed => "it was killed by an operator",
            Self::LedgerUnwritable => "the audit ledger or the recording could not be written",
            Self::LoginEnded => "the login behind it has ended",
            Self::PolicyChanged => "policy no longer allows it",
            Self::Tampering => "of repeated attempts to change policy or protected objects",
            Self::UpstreamLost => "the database went away",
        }
    }
}
