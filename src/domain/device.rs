//! A device: a key that a principal enrolled, and that every token is bound to.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::name::DeviceId;
use super::principal::PrincipalId;

/// An enrolled device key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The thumbprint of its key.
    pub id: DeviceId,
    /// Whose it is.
    pub principal: PrincipalId,
    /// The host name it gave at enrolment; shown, never trusted.
    pub host: String,
    /// When it was enrolled.
    pub enrolled: Timestamp,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// The key of the same principal that let it in, where no fresh sign-in did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_by: Option<DeviceId>,
}
