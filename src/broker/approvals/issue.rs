//! How a grant comes to be, and how it is made longer.
//!
//! INVARIANT: no session opens on a grant, or goes on for longer, that the ledger does not tell of. The
//! transaction of an approval writes a grant down as `issuing`, or an extension beside its grant: neither
//! is in force. Then it is entered, and then it is put in force. What a process leaves between two of
//! these the tick does again, and the next process when it starts.

use std::sync::PoisonError;

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

use super::file::later;
use super::{ApprovalError, Approvals, Made};
use crate::broker::config::Config;
use crate::broker::store::StoreError;
use crate::broker::store::grants::{self, Extension};
use crate::broker::store::requests::Stored;
use crate::domain::approval::{Grant, GrantState, Life, RequestState, What as Matter};
use crate::domain::event::{Actor, Durability, What};
use crate::domain::name::{GrantId, RequestId, TargetName};

impl Approvals {
    /// Enters what an approval brought about, so that it may be used. What fails, or is given up by
    /// its caller, is done again by the next tick.
    pub(super) async fn granted(&self, actor: Option<Actor>, made: &Made) -> Result<(), ApprovalError> {
        match &made.after.state {
            RequestState::Granted { grant } => {
                self.enter_grant(actor, &made.before.request.id, grant).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Enters the grant that a request became, or made longer; then it is returned.
    pub(super) async fn enter_grant(
        &self,
        actor: Option<Actor>,
        request: &RequestId,
        id: &GrantId,
    ) -> Result<Option<Grant>, ApprovalError> {
        let mut unentered = Unentered { approvals: self, request: Some(request) };
        let unissued = self.store.read(grants::unissued)?;
        if let Some(grant) = unissued.iter().find(|grant| grant.id == *id) {
            self.issue(actor.clone(), grant).await?;
        }
        let longer = self.lengthen(actor.map(|actor| (actor, request)), id).await?;
        unentered.request = None;
        Ok(longer)
    }

    /// After a restart: what the former process approved and did not get into the ledger.
    pub(super) async fn issue_left_behind(&self) -> Result<(), ApprovalError> {
        for grant in self.store.read(grants::unissued)? {
            self.issue(None, &grant).await?;
        }
        for grant in self.store.read(grants::with_promises)? {
            self.lengthen(None, &grant).await?;
        }
        Ok(())
    }

    /// Enters a grant, and then lets it be used.
    async fn issue(&self, actor: Option<Actor>, grant: &Grant) -> Result<(), ApprovalError> {
        let what = What::GrantIssued {
            grant: grant.id.clone(),
            request: grant.request.clone(),
            principal: grant.principal.clone(),
            target: grant.target.clone(),
            starts: grant.starts,
            ends: grant.ends,
            once: grant.once,
        };
        // INVARIANT: no session on a grant that is not in the ledger
        self.scribe.enter(actor, what, Durability::Synced).await?;
        self.store.write(|on| grants::issue(on, &grant.id))?;
        Ok(())
    }

    /// Enters the extensions that a grant was promised, and then lets it last so long. Who acts does so
    /// for one of them.
    async fn lengthen(
        &self,
        acts: Option<(Actor, &RequestId)>,
        id: &GrantId,
    ) -> Result<Option<Grant>, ApprovalError> {
        // one after the other: each adds to the end that the one before it told
        let _turn = self.lengthening.lock().await;
        let mut longer = None;
        for extension in self.store.read(|on| grants::promised(on, id))? {
            if self.carries(id) {
                let actor = acts.as_ref().filter(|(_, request)| extension.request == **request);
                let what = What::GrantExtended {
                    grant: id.clone(),
                    request: extension.request.clone(),
                    ends: extension.ends,
                };
                // INVARIANT: nothing goes on for longer than the ledger tells
                self.scribe.enter(actor.map(|(actor, _)| actor.clone()), what, Durability::Synced).await?;
            } else {
                tracing::warn!(grant = %id, request = %extension.request, "an approved extension came too late");
            }
            longer = self.put_in_force(id, &extension)?.or(longer);
        }
        Ok(longer)
    }

    /// Lets a grant last until its new end, unless it is over by now.
    fn put_in_force(&self, id: &GrantId, extension: &Extension) -> Result<Option<Grant>, StoreError> {
        let now = self.clock.now();
        self.store.write(|on| {
            grants::settle(on, extension)?;
            let Some(grant) = grants::find(on, id)? else { return Ok(None) };
            let Ok(longer) = grant.clone().extend(extension.ends, now) else { return Ok(None) };
            Ok(grants::advance(on, &grant, &longer)?.then_some(longer))
        })
    }
}

/// Leaves a request to the next tick, unless its grant came to be entered.
struct Unentered<'a> {
    approvals: &'a Approvals,
    request: Option<&'a RequestId>,
}

impl Drop for Unentered<'_> {
    fn drop(&mut self) {
        if let Some(request) = self.request {
            let mut all = self.approvals.unentered.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(request.clone());
        }
    }
}

/// Writes down the grant that an approval means, or the longer life of one, in the transaction of the
/// approval.
pub(super) fn turn_into_grant(
    on: &Connection,
    before: &Stored,
    after: &Life,
    now: Timestamp,
    most: SignedDuration,
) -> rusqlite::Result<()> {
    let RequestState::Granted { grant: id } = &after.state else { return Ok(()) };
    let subject = before.subject.subject();
    let Matter::Session(session) = &subject.what else { return Ok(()) };
    let length = SignedDuration::from_secs(i64::try_from(session.seconds).unwrap_or(i64::MAX));
    let request = before.request.id.clone();
    if session.extends.is_some() {
        let promised = grants::promised(on, id)?.last().map(|extension| extension.ends);
        let ends = grants::find(on, id)?.and_then(|grant| grant.lengthened(promised, length, now).ok());
        // others may have made it longer since this was asked for
        return match ends.filter(|ends| *ends <= later(now, most)) {
            Some(ends) => grants::promise(on, id, &Extension { request, ends }),
            // nothing of the approval is kept then
            None => Err(rusqlite::Error::QueryReturnedNoRows),
        };
    }
    let starts = session.starts.map_or(now, |starts| starts.max(now));
    let ends = later(session.starts.unwrap_or(now), length);
    grants::insert(
        on,
        &Grant {
            id: id.clone(),
            request,
            principal: before.request.requester.clone(),
            target: before.request.target.clone(),
            reason: subject.reason.clone().unwrap_or_default(),
            starts,
            ends,
            once: session.once,
            state: GrantState::Active,
        },
    )
}

/// How long a grant on a target may last from now on.
pub(super) fn longest(config: &Config, target: &TargetName) -> SignedDuration {
    SignedDuration::try_from(config.reviews.grant_max(target)).unwrap_or_default()
}

/// Whether an error only says that what an approval would change is gone.
pub(super) fn is_gone(error: &StoreError) -> bool {
    matches!(error, StoreError::Sqlite(rusqlite::Error::QueryReturnedNoRows))
}
