//! Leases that end by themselves, as they were given to sessions.
//!
//! Job: keep the lease of each session, say whether it lasts long enough, and enter its beginning and its end.
//! Boundary: what a lease is made of is the caller's, as is what its end means, which is said when it begins. Failure
//! mode: what cannot be entered is not kept, and not used.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::leases::Stamp;
use crate::domain::event::{Actor, Event, What};
use crate::domain::name::SessionId;
use crate::gateway::authority::{Lease, LeaseError, SessionContext};
use crate::gateway::journal::Journal;

/// The leases of one protocol.
pub(super) struct Issued {
    journal: Arc<dyn Journal>,
    stamp: Box<dyn Fn() -> Stamp + Send + Sync>,
    known: Mutex<HashMap<SessionId, Entry>>,
}

struct Entry {
    lease: Lease,
    actor: Actor,
    /// What its end leaves behind.
    note: String,
}

/// A lease that ends sooner is replaced before it is used.
const SPARE: SignedDuration = SignedDuration::from_secs(30);

impl Issued {
    /// None yet.
    pub(super) fn new(journal: Arc<dyn Journal>, stamp: impl Fn() -> Stamp + Send + Sync + 'static) -> Self {
        Self { journal, stamp: Box::new(stamp), known: Mutex::default() }
    }

    /// What time it is.
    pub(super) fn now(&self) -> Timestamp {
        (self.stamp)().at
    }

    /// The session's lease, unless it is about to end before the session does.
    pub(super) fn lasting(&self, context: &SessionContext) -> Option<Lease> {
        let now = self.now();
        let known = self.known().get(&context.id).map(|entry| entry.lease.clone());
        // a session that is about to end gets no lease that lasts longer
        known.filter(|lease| lease.expires.duration_since(now) > SPARE || lease.expires >= context.expires)
    }

    /// Gives a session a lease; `note` is what will be said of its end.
    ///
    /// # Errors
    /// [`LeaseError::Journal`].
    pub(super) fn give(
        &self,
        context: &SessionContext,
        lease: Lease,
        note: String,
    ) -> Result<Lease, LeaseError> {
        // INVARIANT: entered before it can be used
        let (session, login, expires) = (context.id.clone(), lease.user.clone(), lease.expires);
        self.enter(&context.actor, What::LeaseIssued { session, login, expires })?;
        let entry = Entry { lease: lease.clone(), actor: context.actor.clone(), note };
        self.known().insert(context.id.clone(), entry);
        Ok(lease)
    }

    /// Forgets the session's lease.
    pub(super) fn end(&self, session: &SessionId) {
        let Some(Entry { lease, actor, note }) = self.known().remove(session) else { return };
        let what = What::LeaseRevoked { session: session.clone(), login: lease.user, clean: true, note };
        if let Err(error) = self.enter(&actor, what) {
            tracing::error!(%session, %error, "the end of a lease could not be entered");
        }
    }

    fn enter(&self, actor: &Actor, what: What) -> Result<(), LeaseError> {
        let Stamp { at, policy } = (self.stamp)();
        let event = Event { at, actor: Some(actor.clone()), policy, what };
        self.journal.enter(&event).map(|_| ()).map_err(|error| LeaseError::Journal(error.to_string()))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<SessionId, Entry>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
