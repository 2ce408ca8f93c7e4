//! How much of the reviewers' attention, and of the broker's, one principal may take.
//!
//! Job: counts open requests, requests within an hour, and calls that wait. Boundary: what is counted in
//! the store is counted in the transaction of the insert, so that no two calls slip through together; an
//! attempt that is refused is not counted, and neither is a repeat under the same key. What a rule or a
//! standing decision lets through needs no reviewer, and its statement is not counted.

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

use super::{ApprovalError, Approvals};
use crate::broker::crowd::Place;
use crate::broker::store::requests::{self as table, Stored};
use crate::domain::principal::PrincipalId;

/// What one more request is, as far as limits go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// How many requests somebody may file within an hour.
    pub(super) most: u32,
    /// Whether a rule or a standing decision has answered it.
    pub(super) answered: bool,
}

impl Approvals {
    /// Whether this request may be filed now, before anything is entered about it.
    pub(super) fn admits(&self, new: &Stored, load: Load) -> Result<(), ApprovalError> {
        let now = self.clock.now();
        self.store.read(|on| admit(on, new, load, now))?
    }

    /// Stores a new request, and that it was filed for whoever should know.
    pub(super) fn insert(&self, new: &Stored, load: Load) -> Result<(), ApprovalError> {
        self.store.write(|on| {
            let admitted = admit(on, new, load, self.clock.now())?;
            if admitted.is_ok() {
                table::insert(on, new)?;
                if !load.answered {
                    self.webhooks.note(on, new, &new.life)?;
                }
            }
            Ok(admitted)
        })?
    }

    /// A place to wait for an answer at.
    pub(super) fn place(&self, whose: &PrincipalId) -> Result<Place<PrincipalId>, ApprovalError> {
        self.waiting.admit(whose.clone(), MAX_WAITING).ok_or(ApprovalError::TooManyWait)
    }
}

fn admit(
    on: &Connection,
    new: &Stored,
    load: Load,
    now: Timestamp,
) -> rusqlite::Result<Result<(), ApprovalError>> {
    let whose = &new.request.requester;
    if table::count_open(on, whose)? >= MAX_OPEN {
        return Ok(Err(ApprovalError::TooMany));
    }
    if new.session.is_some() && load.answered {
        return Ok(Ok(()));
    }
    let since = now.checked_sub(HOUR).unwrap_or(Timestamp::MIN);
    let Some(full) = table::filed_since(on, whose, since, load.most)? else { return Ok(Ok(())) };
    let again = full.checked_add(HOUR).unwrap_or(Timestamp::MAX).duration_since(now).as_secs();
    // a clock that was set back makes nobody wait for longer than that
    let wait = u64::try_from(again).unwrap_or_default().clamp(1, 3600);
    Ok(Err(ApprovalError::TooOften { most: load.most, wait }))
}

/// How many requests of one principal may be open at a time.
pub(super) const MAX_OPEN: u32 = 64;
/// How many calls of one principal may wait for an answer at a time: one for each request.
pub(super) const MAX_WAITING: u32 = MAX_OPEN;
const HOUR: SignedDuration = SignedDuration::from_hours(1);
