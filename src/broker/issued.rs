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
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    leases: HashMap<SessionId, Entry>,
    /// Sessions for which leases are being made: how many, and whether the session has ended meanwhile.
    making: HashMap<SessionId, (usize, bool)>,
}

/// A lease in the making.
pub(super) struct Turn<'a> {
    issued: &'a Issued,
    session: SessionId,
}

struct Entry {
    lease: Lease,
    actor: Actor,
    /// What its end leaves behind.
    note: String,
}

/// A lease that ends sooner is replaced before it is used.
const SPARE: SignedDuration = SignedDuration::from_secs(30);
/// How long a lease may be for a session that should have ended: its context tells its end, if nobody knows another.
const LONGER: SignedDuration = SignedDuration::from_hours(1);

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
        self.lasting_for(context, SPARE)
    }

    /// The same, unless it ends before this long.
    pub(super) fn lasting_for(&self, context: &SessionContext, spare: SignedDuration) -> Option<Lease> {
        let now = self.now();
        let known = self.known().leases.get(&context.id).map(|entry| entry.lease.clone());
        known.filter(|lease| {
            // a session that is about to end gets no lease that lasts longer
            let is_last = lease.expires >= context.expires && lease.expires > now;
            lease.expires.duration_since(now) > spare || is_last
        })
    }

    /// When a lease that is made now ends at the latest.
    pub(super) fn limit(context: &SessionContext, now: Timestamp) -> Timestamp {
        match context.expires > now {
            true => context.expires,
            false => now.checked_add(LONGER).unwrap_or(Timestamp::MAX),
        }
    }

    /// Begins a lease; whatever takes time comes after this.
    pub(super) fn begin(&self, session: &SessionId) -> Turn<'_> {
        self.known().making.entry(session.clone()).or_default().0 += 1;
        Turn { issued: self, session: session.clone() }
    }

    /// Gives a session a lease; `note` is what will be said of its end.
    ///
    /// # Errors
    /// [`LeaseError::Journal`], and [`LeaseError::Upstream`] when the session has ended meanwhile.
    pub(super) fn give(
        &self,
        turn: Turn<'_>,
        context: &SessionContext,
        lease: Lease,
        note: String,
    ) -> Result<Lease, LeaseError> {
        let mut known = self.known();
        // INVARIANT: a session that has ended gets no lease, however long one took to make
        if known.making.get(&context.id).is_none_or(|(_, is_over)| *is_over) {
            drop(known);
            drop(turn);
            return Err(LeaseError::Upstream("it has ended".into()));
        }
        // INVARIANT: entered before it can be used
        let (session, login, expires) = (context.id.clone(), lease.user.clone(), lease.expires);
        let entered = self.enter(&context.actor, What::LeaseIssued { session, login, expires });
        if entered.is_ok() {
            let entry = Entry { lease: lease.clone(), actor: context.actor.clone(), note };
            known.leases.insert(context.id.clone(), entry);
        }
        drop(known);
        drop(turn);
        entered.map(|()| lease)
    }

    /// Forgets the session's lease.
    pub(super) fn end(&self, session: &SessionId) {
        self.end_with(session, |note| (true, note));
    }

    /// The same; what is said of its end is told whether it is clean, and how it is to be said.
    pub(super) fn end_with(&self, session: &SessionId, told: impl FnOnce(String) -> (bool, String)) {
        let ended = {
            let mut known = self.known();
            if let Some((_, is_over)) = known.making.get_mut(session) {
                *is_over = true;
            }
            known.leases.remove(session)
        };
        let Some(Entry { lease, actor, note }) = ended else { return };
        let (clean, note) = told(note);
        let what = What::LeaseRevoked { session: session.clone(), login: lease.user, clean, note };
        if let Err(error) = self.enter(&actor, what) {
            tracing::error!(%session, %error, "the end of a lease could not be entered");
        }
    }

    fn enter(&self, actor: &Actor, what: What) -> Result<(), LeaseError> {
        let Stamp { at, policy } = (self.stamp)();
        let event = Event { at, actor: Some(actor.clone()), policy, what };
        self.journal.enter(&event).map(|_| ()).map_err(|error| LeaseError::Journal(error.to_string()))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut known = self.issued.known();
        if let Some((count, _)) = known.making.get_mut(&self.session) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                known.making.remove(&self.session);
            }
        }
    }
}
