//! Requests, reviews, grants and standing decisions.
//!
//! Job: what `domain::approval` says may happen, made durable, entered, and told to whoever waits.
//! Boundary: callers are already recognised; what policy demands comes in as a `Hold` or is asked of
//! the configuration in force; sessions are closed by `app`. Failure mode: what could not be stored
//! or entered did not happen, so nothing is let through; what ends, ends regardless.
//!
//! Each transition reads, steps and writes in one transaction whose UPDATE is conditional on the
//! version that was read. Nothing of a request is kept in memory but a place to be woken at, so a
//! thousand held statements cost a thousand rows.

mod end;
mod file;
mod grants;
mod hold;
mod issue;
mod limits;
mod review;
mod standing;
mod view;
mod words;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rusqlite::Connection;
use thiserror::Error;
use tokio::sync::watch;

use self::limits::{MAX_OPEN, MAX_WAITING};
pub(crate) use self::words::needs;
use super::crowd::Crowd;
use super::scribe::Scribe;
use super::store::requests::{self as table, Stored};
use super::store::{Store, StoreError, devices, untold};
use super::webhooks::Webhooks;
use crate::domain::approval::{Life, Misstep, RequestState, Step};
use crate::domain::event::{Actor, Durability, What};
use crate::domain::name::{Digest, RequestId};
use crate::domain::principal::PrincipalId;
use crate::gateway::clock::Clock;
use crate::gateway::journal::JournalError;

/// All requests, grants and standing decisions.
pub(crate) struct Approvals {
    store: Arc<Store>,
    scribe: Arc<Scribe>,
    clock: Clock,
    webhooks: Arc<Webhooks>,
    watchers: Mutex<HashMap<RequestId, watch::Sender<()>>>,
    /// Requests whose waiter is gone; the next tick withdraws them.
    abandoned: Mutex<Vec<RequestId>>,
    /// Requests that became a grant whose entry was not written; the next tick writes it.
    unentered: Mutex<Vec<RequestId>>,
    /// Held while what was taken away is entered, so that nothing is entered twice.
    telling: tokio::sync::Mutex<()>,
    /// Held while grants are made longer.
    lengthening: tokio::sync::Mutex<()>,
    /// The calls that wait for an answer.
    waiting: Crowd<PrincipalId>,
}

/// Why a call about approvals was not done.
#[derive(Debug, Error)]
pub(crate) enum ApprovalError {
    /// The call itself is wrong.
    #[error("{0}")]
    Bad(String),
    /// It came too late, or somebody else was faster.
    #[error("{0}")]
    Conflict(String),
    /// They may not.
    #[error("{0}")]
    Denied(String),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("no such target")]
    NoTarget,
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is none, or they may not know that there is: the two read the same.
    #[error("no such {0}")]
    Unknown(&'static str),
    #[error("{MAX_OPEN} of your requests wait for a review already")]
    TooMany,
    #[error("{MAX_WAITING} of your calls wait for an answer already")]
    TooManyWait,
    #[error("you have filed {most} requests within an hour, and may file the next in {} min", wait.div_ceil(60))]
    TooOften {
        /// How many may be filed within an hour.
        most: u32,
        /// How long until the next one may be, in seconds.
        wait: u64,
    },
}

impl From<Misstep> for ApprovalError {
    fn from(misstep: Misstep) -> Self {
        let text = misstep.to_string();
        match misstep {
            Misstep::NotReviewer | Misstep::Own | Misstep::PeopleOnly => Self::Denied(text),
            Misstep::Ended(_)
            | Misstep::Expired
            | Misstep::NotApproved
            | Misstep::NotYet
            | Misstep::Twice => Self::Conflict(text),
        }
    }
}

/// A transition that was made: what was, and what is.
struct Made {
    before: Stored,
    after: Life,
    /// Where its end waits to be told, if it came to one.
    untold: Option<i64>,
}

impl Approvals {
    pub(crate) fn new(store: Arc<Store>, scribe: Arc<Scribe>, clock: Clock, webhooks: Arc<Webhooks>) -> Self {
        Self {
            store,
            scribe,
            clock,
            webhooks,
            watchers: Mutex::default(),
            abandoned: Mutex::default(),
            unentered: Mutex::default(),
            telling: tokio::sync::Mutex::default(),
            lengthening: tokio::sync::Mutex::default(),
            waiting: Crowd::default(),
        }
    }

    /// Waits until a request may have changed.
    fn watch(&self, id: &RequestId) -> watch::Receiver<()> {
        let mut watchers = self.watchers();
        watchers.entry(id.clone()).or_insert_with(|| watch::Sender::new(())).subscribe()
    }

    /// Wakes whoever waits for a request, and forgets places where nobody waits any more.
    fn wake(&self, id: &RequestId) {
        let mut watchers = self.watchers();
        if let Some(watcher) = watchers.get(id) {
            watcher.send_replace(());
        }
        watchers.retain(|_, watcher| watcher.receiver_count() > 0);
    }

    fn watchers(&self) -> MutexGuard<'_, HashMap<RequestId, watch::Sender<()>>> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: &RequestId) -> Result<Option<Stored>, StoreError> {
        self.store.read(|on| table::find(on, id))
    }

    /// Takes one step of a request, and whatever goes with it in the same transaction.
    fn advance(
        &self,
        actor: Option<&Actor>,
        id: &RequestId,
        step: &Step,
        also: impl Fn(&Connection, &Stored, &Life) -> rusqlite::Result<()>,
    ) -> Result<Made, ApprovalError> {
        self.advance_if(actor, id, step, |_, _| Ok(true), also)
    }

    /// Takes one step of a request, if something else is so in the same transaction.
    fn advance_if(
        &self,
        actor: Option<&Actor>,
        id: &RequestId,
        step: &Step,
        may: impl Fn(&Connection, &Stored) -> rusqlite::Result<bool>,
        also: impl Fn(&Connection, &Stored, &Life) -> rusqlite::Result<()>,
    ) -> Result<Made, ApprovalError> {
        let written = self.store.write(|on| {
            // not before the store is ours: waiting for it must not let a late step through
            let now = self.clock.now();
            let Some(before) = table::find(on, id)? else {
                return Ok(Err(ApprovalError::Unknown("request")));
            };
            if !may(on, &before)? {
                return Ok(Err(ApprovalError::Conflict("what it was for is gone".into())));
            }
            if let Step::Review(voice) = step {
                // it was entered meanwhile, and the key may have been called lost
                if devices::is_revoked(on, &voice.device)? {
                    return Ok(Err(ApprovalError::Conflict(
                        "the device that signed the review was revoked".into(),
                    )));
                }
            }
            let after = match before.life.clone().step(step, now) {
                Ok(after) => after,
                Err(misstep) => return Ok(Err(misstep.into())),
            };
            // INVARIANT: of two who read the same version one writes
            if !table::advance(on, &before, &after)? {
                return Ok(Err(ApprovalError::Conflict("somebody else was faster".into())));
            }
            also(on, &before, &after)?;
            if before.life.state != after.state {
                self.webhooks.note(on, &before, &after)?;
            }
            let end = before.life.state != after.state && is_end(&after.state);
            let untold = end.then(|| untold::put(on, actor, &ended(id, &after))).transpose()?;
            Ok(Ok(Made { before, after, untold }))
        });
        match written {
            Err(error) if issue::is_gone(&error) => Err(ApprovalError::Conflict(
                "the grant that it would make longer is no longer in force, or would last too long".into(),
            )),
            written => written?,
        }
    }

    /// Enters that a request ended without being let through, if it did, and wakes who waits for it.
    async fn ended(&self, made: &Made) {
        let id = &made.before.request.id;
        if let Some(place) = made.untold
            && let Err(error) = self.tell(place, Durability::Written).await
        {
            tracing::error!(request = %id, %error, "the end of a request could not be entered yet");
        }
        self.wake(id);
    }

    /// Enters that something was taken away. That has happened already, whatever becomes of the entry: an end
    /// does not wait for the ledger. What could not be entered is entered by a later tick, or by the next
    /// process when it starts: a ledger that broke takes entries again only then. One that dies between
    /// the entry and the note that it was made enters it twice, never not at all.
    async fn tell(&self, place: i64, durability: Durability) -> Result<(), ApprovalError> {
        let _telling = self.telling.lock().await;
        // somebody else was faster
        let Some(end) = self.store.read(|on| untold::find(on, place))? else { return Ok(()) };
        self.scribe.enter(end.actor, end.what, durability).await?;
        self.store.write(|on| untold::told(on, place))?;
        Ok(())
    }

    /// Enters what could not be entered before, oldest first.
    async fn tell_again(&self) -> Result<(), ApprovalError> {
        for place in self.store.read(untold::oldest)? {
            self.tell(place, Durability::Synced).await?;
        }
        Ok(())
    }

    fn policy(&self) -> Digest {
        self.scribe.policy()
    }

    /// The time, in whole seconds, as the store keeps it.
    fn now(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }
}

/// Whether a request came to its end without being let through.
fn is_end(state: &RequestState) -> bool {
    match state {
        RequestState::Denied | RequestState::Expired | RequestState::Void | RequestState::Withdrawn => true,
        RequestState::Approved
        | RequestState::Granted { .. }
        | RequestState::Pending
        | RequestState::Released { .. } => false,
    }
}

/// What the ledger is told of an end.
fn ended(id: &RequestId, after: &Life) -> What {
    What::RequestEnded { request: id.clone(), outcome: after.state.word().into() }
}

#[cfg(test)]
mod measure;
#[cfg(test)]
pub(crate) mod stage;
#[cfg(test)]
mod tests;
