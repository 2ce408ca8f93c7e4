//! The `[reviews]` table.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::name::TargetName;

/// How long reviews and what comes of them last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewsConfig {
    /// How long a request for a session waits for its reviews.
    pub request_expires: Duration,
    /// How long a held statement waits for its reviews.
    pub statement_wait: Duration,
    /// How long a grant may last.
    pub grant_max: Duration,
    /// How long a grant may last on targets that say so themselves.
    pub grant_max_of: BTreeMap<TargetName, Duration>,
}

impl ReviewsConfig {
    /// How long a grant on a target may last.
    #[must_use]
    pub fn grant_max(&self, target: &TargetName) -> Duration {
        self.grant_max_of.get(target).copied().unwrap_or(self.grant_max)
    }
}

impl Default for ReviewsConfig {
    fn default() -> Self {
        Self {
            request_expires: Duration::from_secs(24 * 3600),
            statement_wait: Duration::from_secs(600),
            grant_max: Duration::from_secs(8 * 3600),
            grant_max_of: BTreeMap::new(),
        }
    }
}
