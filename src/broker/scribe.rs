//! The broker's own entries.
//!
//! Job: one way to enter what the broker itself did, with the time and the policy in force.
//! Failure mode: the journal's error; the caller does not do what it could not enter.

use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::event::{Actor, Durability, Event, What};
use crate::domain::name::Digest;
use crate::gateway::clock::Clock;
use crate::gateway::journal::{Journal, JournalError};

/// Enters events.
pub(crate) struct Scribe {
    journal: Arc<dyn Journal>,
    clock: Clock,
    policy: RwLock<Digest>,
}

impl Scribe {
    pub(crate) fn new(journal: Arc<dyn Journal>, clock: Clock, policy: Digest) -> Self {
        Self { journal, clock, policy: RwLock::new(policy) }
    }

    /// The digest of the policy in force, as every entry carries it.
    pub(crate) fn policy(&self) -> Digest {
        self.policy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on entries carry this policy.
    pub(crate) fn adopt(&self, policy: Digest) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }

    /// Enters that a policy is about to be in force, under that policy's own digest.
    pub(crate) async fn announce(&self, policy: Digest) -> Result<(), JournalError> {
        let event = Event { at: self.clock.now(), actor: None, policy, what: What::PolicyLoaded };
        let ticket = self.journal.enter(&event)?;
        self.journal.synced(ticket).await
    }

    /// Enters an event and waits as long as its durability demands.
    pub(crate) async fn enter(
        &self,
        actor: Option<Actor>,
        what: What,
        durability: Durability,
    ) -> Result<(), JournalError> {
        let ticket =
            self.journal.enter(&Event { at: self.clock.now(), actor, policy: self.policy(), what })?;
        match durability {
            Durability::Written => Ok(()),
            Durability::Synced => self.journal.synced(ticket).await,
        }
    }
}
