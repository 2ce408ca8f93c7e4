//! Standing decisions: an approval that also holds for what has the same shape, for a while.
//!
//! It is made only when everybody whose approval counted made one: what is free is what all of them
//! left free, and it lasts as long as the shortest. It is used only for the same principal on the
//! same target, held by the same rules, which still allow standing decisions of that length.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

use super::file::later;
use super::view::sees;
use super::{ApprovalError, Approvals};
use crate::broker::authn::Caller;
use crate::broker::config::Config;
use crate::broker::store::grants::{self as table, StandingRow};
use crate::broker::store::requests::{self, Stored};
use crate::broker::store::{StoreError, untold};
use crate::domain::approval::{
    Decision, Life, ReleasedBy, RequestState, Review, Shape, Threshold, What as Matter,
};
use crate::domain::event::{Actor, Durability, What};
use crate::domain::name::{DeviceId, RequestId};
use crate::domain::principal::PrincipalKind;
use crate::wire::control::StandingView;

impl Approvals {
    /// The standing decision that answers a new request, if there is one; it counts as used.
    pub(super) fn standing_answer(&self, new: &Stored) -> Result<Option<ReleasedBy>, StoreError> {
        let Some(wanted) = shape(new).filter(|_| new.request.standing_max > 0) else { return Ok(None) };
        let now = self.now();
        let rules = &new.subject.subject().rules;
        self.store.write(|on| {
            let rows =
                table::standing_for(on, &new.request.requester, &new.request.target, &wanted.tree, now)?;
            for row in rows.iter().filter(|row| row.rules == *rules) {
                let Some(earlier) = requests::find(on, &row.request)? else { continue };
                let made = earlier.request.reviews.iter().map(|review| review.at).max();
                let allowed = SignedDuration::from_secs(i64::try_from(new.request.standing_max).unwrap_or(0));
                // the rules of today may allow less than those that it was made under
                let lasts = made.is_some_and(|made| now < later(made, allowed));
                let covers = shape(&earlier).is_some_and(|known| known.covers(&row.free, wanted));
                let fits = covers
                    && same_ground(&earlier, new)
                    && meets(&earlier.life, &new.life.threshold, new.life.people_only);
                if lasts && fits && table::use_standing(on, &row.request, now)? {
                    return Ok(Some(ReleasedBy::Standing(row.request.clone())));
                }
            }
            Ok(None)
        })
    }

    /// The standing decisions that the caller may see: their own, and those that they could revoke.
    pub(crate) fn standing_views(
        &self,
        config: &Config,
        caller: &Caller,
    ) -> Result<Vec<StandingView>, ApprovalError> {
        let rows = self.store.read(|on| table::recent_standing(on, LISTED))?;
        let mut views = Vec::new();
        for row in rows {
            let Some(made_in) = self.find(&row.request)? else { continue };
            if made_in.request.requester == caller.principal().id || self.may_revoke(config, caller, &made_in)
            {
                views.push(view(row, &made_in, sees(config, caller, &made_in)));
            }
        }
        Ok(views)
    }

    /// Takes a standing decision back.
    pub(crate) async fn revoke_standing(
        &self,
        config: &Config,
        caller: &Caller,
        id: &RequestId,
    ) -> Result<(), ApprovalError> {
        let unknown = ApprovalError::Unknown("standing decision");
        let Some(made_in) = self.find(id)? else { return Err(unknown) };
        if self.store.read(|on| table::find_standing(on, id))?.is_none() {
            return Err(unknown);
        }
        if made_in.request.requester != caller.principal().id && !self.may_revoke(config, caller, &made_in) {
            return Err(unknown);
        }
        let now = self.now();
        let actor = caller.actor();
        let revoked = self.store.write(|on| end(on, Some(&actor), id, "revoked by hand", now))?;
        let over = || ApprovalError::Conflict("the standing decision is no longer in force".into());
        self.tell(revoked.ok_or_else(over)?, Durability::Synced).await
    }

    /// Ends the standing decisions that a device's review is part of.
    pub(super) async fn void_standing(&self, device: &DeviceId) -> Result<(), StoreError> {
        let now = self.now();
        let voided = self.store.write(|on| {
            let ids = table::standing_by(on, device, now)?;
            let reason = "a reviewer's device was revoked";
            let ends = ids.iter().map(|id| end(on, None, id, reason, now));
            ends.filter_map(rusqlite::Result::transpose).collect::<rusqlite::Result<Vec<_>>>()
        })?;
        for place in voided {
            if let Err(error) = self.tell(place, Durability::Written).await {
                tracing::error!(%error, "the end of a standing decision could not be entered yet");
            }
        }
        Ok(())
    }
}

/// Ends a standing decision, if it is in force; returns where that waits to be told.
fn end(
    on: &Connection,
    actor: Option<&Actor>,
    id: &RequestId,
    reason: &str,
    now: Timestamp,
) -> rusqlite::Result<Option<i64>> {
    if !table::revoke_standing(on, id, now)? {
        return Ok(None);
    }
    let what = What::StandingRevoked { request: id.clone(), reason: reason.to_owned() };
    untold::put(on, actor, &what).map(Some)
}

/// Stores the standing decision that an approval brings with it, in its transaction.
pub(super) fn keep(
    on: &Connection,
    before: &Stored,
    after: &Life,
    last: &Review,
    now: Timestamp,
) -> rusqlite::Result<()> {
    if after.state != RequestState::Approved {
        return Ok(());
    }
    let Some(shape) = shape(before) else { return Ok(()) };
    let approvals = before.request.reviews.iter().chain([last]);
    let approvals = approvals.filter(|review| review.decision == Decision::Approve);
    let made: Option<Vec<_>> = approvals.map(|review| review.standing.as_ref()).collect();
    let Some(made) = made else { return Ok(()) };
    let Some(seconds) = made.iter().map(|standing| standing.seconds).min() else { return Ok(()) };
    let free = made
        .iter()
        .map(|standing| standing.free.clone())
        .reduce(|all, one| all.intersection(&one).copied().collect::<BTreeSet<u16>>())
        .unwrap_or_default();
    table::insert_standing(
        on,
        &StandingRow {
            request: before.request.id.clone(),
            principal: before.request.requester.to_string(),
            target: before.request.target.clone(),
            rules: before.subject.subject().rules.clone(),
            tree: shape.tree.clone(),
            free,
            ends: later(now, SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(0))),
            revoked: false,
            uses: 0,
        },
    )
}

/// Who may revoke it without seeing the request that it was made in learns nothing of the statement.
fn view(row: StandingRow, made_in: &Stored, seen: bool) -> StandingView {
    let text = match &made_in.subject.subject().what {
        Matter::Deed(deed) if seen => deed.text.clone(),
        Matter::Deed(_) | Matter::Session(_) => String::new(),
    };
    StandingView {
        request: row.request,
        principal: made_in.request.requester.clone(),
        target: row.target,
        rules: row.rules,
        text,
        free: row.free,
        by: made_in.request.reviews.iter().map(|review| review.reviewer.clone()).collect(),
        ends: row.ends,
        revoked: row.revoked,
        uses: row.uses,
    }
}

/// Whether what was said then is enough for what is demanded now.
pub(super) fn meets(then: &Life, threshold: &Threshold, people_only: bool) -> bool {
    if matches!(then.answer, Some(ReleasedBy::Rule(_))) {
        return !people_only;
    }
    let mut now = Life { threshold: threshold.clone(), ..then.clone() };
    now.voices.retain(|voice| !people_only || voice.kind == PrincipalKind::Human);
    !threshold.is_empty() && now.missing().is_empty()
}

fn shape(stored: &Stored) -> Option<&Shape> {
    match &stored.subject.subject().what {
        Matter::Deed(deed) => deed.shape.as_ref(),
        Matter::Session(_) => None,
    }
}

/// Whether both would run in the same place under the same circumstances. The gateway asks the same, so
/// that what it would refuse is held for a review instead.
fn same_ground(earlier: &Stored, new: &Stored) -> bool {
    match (&earlier.subject.subject().what, &new.subject.subject().what) {
        (Matter::Deed(earlier), Matter::Deed(new)) => earlier.ground() == new.ground(),
        _ => false,
    }
}

const LISTED: u32 = 500;
