//! What an operator is told once of a provider.
//!
//! Job: remembers what was said, so that every sign-in does not say it again. Failure mode: after a restart
//! it is said again.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::domain::name::ProviderName;

/// What can be said. Providers come from the configuration, so there are few.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Notice {
    /// Its ID tokens do not say when somebody signed in.
    NoAuthTime,
    /// Nothing of it says somebody's e-mail address.
    NoEmail,
    /// Nothing of it says who is in which group.
    NoGroups,
    /// It names groups, and none that is configured.
    StrangeGroups,
}

#[derive(Default)]
pub(super) struct Notices(Mutex<BTreeSet<(ProviderName, Notice)>>);

impl Notices {
    /// Whether it is to be said now.
    pub(super) fn first(&self, provider: &ProviderName, notice: Notice) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.insert((provider.clone(), notice))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn each_notice_is_given_once_for_each_provider() {
        let notices = Notices::default();
        let (corp, lab) = (ProviderName::new("corp").unwrap(), ProviderName::new("lab").unwrap());
        for provider in [&corp, &lab] {
            for notice in [Notice::NoAuthTime, Notice::NoEmail, Notice::NoGroups, Notice::StrangeGroups] {
                assert!(notices.first(provider, notice));
                assert!(!notices.first(provider, notice));
            }
        }
    }
}
