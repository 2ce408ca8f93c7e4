//! Grants: what sessions stand on.

use jiff::Timestamp;
use rusqlite::Connection;

use super::standing::meets;
use super::{ApprovalError, Approvals};
use crate::broker::authn::Caller;
use crate::broker::config::Config;
use crate::broker::store::grants as table;
use crate::broker::store::{StoreError, requests, untold};
use crate::domain::approval::{Grant, RequestState};
use crate::domain::event::{Durability, What};
use crate::domain::name::{GrantId, RequestId};
use crate::domain::policy::Hold;
use crate::domain::principal::PrincipalId;
use crate::domain::target::Target;

/// That a grant was taken back, which is yet to be entered.
#[must_use]
pub(crate) struct Revoked(i64);

impl Approvals {
    /// Opens a session with a grant: the one that lasts longest, and one for a single session only when
    /// there is no other. `None` when there is none; whoever gets a grant for one session gets it alone.
    pub(crate) fn use_grant(
        &self,
        whose: &PrincipalId,
        target: &Target,
        hold: &Hold,
    ) -> Result<Option<Grant>, StoreError> {
        let now = self.clock.now();
        self.store.write(|on| {
            first_of(on, whose, target, hold, now, |grant| {
                let Ok(next) = grant.clone().open(now) else { return Ok(None) };
                // INVARIANT: one conditional UPDATE decides, and its row count tells
                Ok(table::advance(on, &grant, &next)?.then_some(next))
            })
        })
    }

    /// The grant that would let somebody open a session now.
    pub(crate) fn live_grant(
        &self,
        whose: &PrincipalId,
        target: &Target,
        hold: &Hold,
    ) -> Result<Option<Grant>, StoreError> {
        let now = self.clock.now();
        self.store.read(|on| first_of(on, whose, target, hold, now, |grant| Ok(Some(grant))))
    }

    /// Whether a session may go on standing on a grant. What cannot be read carries nothing.
    pub(crate) fn carries(&self, id: &GrantId) -> bool {
        let now = self.clock.now();
        matches!(self.store.read(|on| table::find(on, id)), Ok(Some(grant)) if grant.carries(now))
    }

    /// A grant.
    pub(crate) fn grant(&self, id: &GrantId) -> Result<Option<Grant>, StoreError> {
        self.store.read(|on| table::find(on, id))
    }

    /// The grants that the caller may see: their own, and those that they could revoke.
    pub(crate) fn grants(&self, config: &Config, caller: &Caller) -> Result<Vec<Grant>, ApprovalError> {
        let whose = &caller.principal().id;
        let mut all = self.store.read(|on| table::of(on, whose, LISTED))?;
        for grant in self.store.read(|on| table::recent(on, LISTED))? {
            if grant.principal == *whose {
                continue;
            }
            if self.find(&grant.request)?.is_some_and(|made_in| self.may_revoke(config, caller, &made_in)) {
                all.push(grant);
            }
        }
        all.sort_by(|a, b| b.ends.cmp(&a.ends).then_with(|| a.id.cmp(&b.id)));
        Ok(all)
    }

    /// Takes a grant back. The caller closes its sessions, at once.
    pub(crate) fn revoke_grant(
        &self,
        config: &Config,
        caller: &Caller,
        id: &GrantId,
    ) -> Result<Revoked, ApprovalError> {
        let unknown = || ApprovalError::Unknown("grant");
        let grant = self.grant(id)?.ok_or_else(unknown)?;
        let is_own = grant.principal == caller.principal().id;
        let may = is_own
            || self.find(&grant.request)?.is_some_and(|made_in| self.may_revoke(config, caller, &made_in));
        if !may {
            return Err(unknown());
        }
        let now = self.clock.now();
        let reason = if is_own { "given up" } else { "revoked by hand" };
        let what = What::GrantRevoked { grant: grant.id, reason: reason.into() };
        self.store.write(|on| {
            // what it is now, in case it was used or made longer since
            let Some(grant) = table::find(on, id)? else { return Ok(Err(unknown())) };
            let over = || ApprovalError::Conflict("the grant is no longer in force".into());
            let Ok(revoked) = grant.clone().revoke(now) else { return Ok(Err(over())) };
            if !table::advance(on, &grant, &revoked)? {
                return Ok(Err(over()));
            }
            let made_in = requests::find(on, &revoked.request)?;
            self.webhooks.note_revoked(on, &revoked, made_in.as_ref(), &caller.principal().display)?;
            Ok(Ok(Revoked(untold::put(on, Some(&caller.actor()), &what)?)))
        })?
    }

    /// Enters that a grant was taken back.
    pub(crate) async fn grant_revoked(&self, revoked: Revoked) -> Result<(), ApprovalError> {
        self.tell(revoked.0, Durability::Synced).await
    }

    /// The grant that a request has made longer.
    pub(crate) fn extended_by(&self, id: &RequestId) -> Result<Option<Grant>, ApprovalError> {
        let Some(stored) = self.find(id)? else { return Ok(None) };
        let RequestState::Granted { grant } = &stored.life.state else { return Ok(None) };
        Ok(self.grant(grant)?.filter(|grant| grant.request != *id))
    }
}

/// The first of somebody's grants that is enough for what policy demands and can be taken.
fn first_of(
    on: &Connection,
    whose: &PrincipalId,
    target: &Target,
    hold: &Hold,
    now: Timestamp,
    take: impl Fn(Grant) -> rusqlite::Result<Option<Grant>>,
) -> rusqlite::Result<Option<Grant>> {
    for grant in table::live(on, whose, &target.name, now)? {
        if is_enough(on, &grant, target, hold)?
            && let Some(taken) = take(grant)?
        {
            return Ok(Some(taken));
        }
    }
    Ok(None)
}

/// Whether the reviews that a grant came from are enough for what policy demands today.
fn is_enough(on: &Connection, grant: &Grant, target: &Target, hold: &Hold) -> rusqlite::Result<bool> {
    let Some(threshold) = hold.threshold.resolve(target.owner.as_ref()) else { return Ok(false) };
    let made_in = requests::find(on, &grant.request)?;
    Ok(made_in.is_some_and(|made_in| meets(&made_in.life, &threshold, hold.people_only)))
}

const LISTED: u32 = 500;
