//! The `[reviews]` table.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::reader::Section;
use super::targets::known_group;
use crate::domain::name::{GroupName, TargetName};

/// How long reviews and what comes of them last, and how many may be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewsConfig {
    /// How long a request for a session waits for its reviews.
    pub request_expires: Duration,
    /// How long a held statement waits for its reviews.
    pub statement_wait: Duration,
    /// How long a grant may last.
    pub grant_max: Duration,
    /// How many requests one principal may file within an hour.
    pub requests_per_hour: u32,
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
            requests_per_hour: 120,
            grant_max_of: BTreeMap::new(),
        }
    }
}

/// Reads the table, and the group that owns each project.
pub(super) fn read(
    root: &Section<'_, '_>,
    groups: &BTreeSet<GroupName>,
) -> (ReviewsConfig, BTreeMap<String, GroupName>) {
    let mut config = ReviewsConfig::default();
    let mut owners = BTreeMap::new();
    let Some(section) = root.section("reviews") else { return (config, owners) };
    let set = |place: &mut Duration, key| *place = section.duration(key).unwrap_or(*place);
    set(&mut config.request_expires, "request_expires");
    set(&mut config.statement_wait, "statement_wait");
    set(&mut config.grant_max, "grant_max");
    if let Some(most) = section.number("requests_per_hour", 1..100_001) {
        config.requests_per_hour = u32::try_from(most).unwrap_or(config.requests_per_hour);
    }
    for (project, group) in section.pairs("owners") {
        match known_group(&group, groups) {
            Ok(group) => drop(owners.insert(project, group)),
            Err(problem) => section.fault("owners", format!("`{project}`: {problem}")),
        }
    }
    section.finish();
    (config, owners)
}
