//! What the client is told while it waits.

use jiff::Timestamp;

use super::{first, shown};
use crate::domain::name::RequestId;
use crate::domain::policy::Hold;

/// That something is held, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::gateway) struct Notice {
    /// What and why.
    pub(in crate::gateway) message: String,
    /// Who can let it through, and until when.
    pub(in crate::gateway) detail: String,
    /// What a reviewer types.
    pub(in crate::gateway) hint: String,
}

impl Notice {
    pub(super) fn new(request: &RequestId, hold: &Hold, needs: &str, expires: Timestamp) -> Self {
        Self {
            message: format!("held for review: {} (rule {})", hold.reason, first(hold)),
            detail: format!("Request {request} needs {needs}, until {}.", shown(expires)),
            hint: format!("a reviewer runs: hoopctl request show {request}"),
        }
    }
}
