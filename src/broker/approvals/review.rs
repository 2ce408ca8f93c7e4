//! Reviews.
//!
//! INVARIANT: nobody reviews their own request; a review counts only when the key of an enrolled,
//! unrevoked device of the reviewer signed exactly what the request is for, a moment ago. Groups are
//! those of the reviewer's login now. A machine may review like anybody in the group, unless the rule
//! demands people.

use super::file::MAX_REASON;
use super::issue::{longest, turn_into_grant};
use super::{ApprovalError, Approvals};
use crate::broker::authn::Caller;
use crate::broker::config::Config;
use crate::broker::devices::{self, Devices};
use crate::broker::store::requests::{self as table, Stored};
use crate::broker::store::{StoreError, emails};
use crate::domain::approval::{Decision, Marks, Review, Standing, Step, Voice, What as Matter};
use crate::domain::event::{Durability, What};
use crate::domain::name::RequestId;
use crate::wire::review::{self as signed, Claims};

impl Approvals {
    /// Takes a review.
    pub(crate) async fn review(
        &self,
        config: &Config,
        devices: &Devices,
        caller: &Caller,
        id: &RequestId,
        proof: &str,
    ) -> Result<(), ApprovalError> {
        let stored = self.visible(config, caller, id)?;
        let claims = self.verify(devices, caller, &stored, proof)?;
        let now = self.now();
        let voice = self.voice(caller, claims.decision)?;
        stored.life.admits(&voice, now)?;
        let standing = standing(&stored, &claims)?;
        let review = Review {
            reviewer: voice.person.id.clone(),
            display: caller.principal().display.clone(),
            device: voice.device.clone(),
            groups: voice.groups.clone(),
            decision: claims.decision,
            reason: claims.reason,
            standing,
            at: now,
            proof: proof.to_owned(),
        };
        let what = What::ReviewGiven {
            request: id.clone(),
            decision: word(review.decision).into(),
            groups: voice.groups.iter().map(ToString::to_string).collect(),
            kin: Marks::beside(id, &voice.person),
            proof: proof.to_owned(),
        };
        // INVARIANT: nothing is let through by a review that is not in the ledger. One that comes too
        // late by an instant is entered too; it was given.
        self.scribe.enter(Some(caller.actor()), what, Durability::Synced).await?;
        let most = longest(config, &stored.request.target);
        let made =
            self.advance(Some(&caller.actor()), id, &Step::Review(voice.clone()), |on, before, after| {
                table::add_review(on, id, &review, &voice)?;
                turn_into_grant(on, before, after, now, most)?;
                super::standing::keep(on, before, after, &review, now)
            })?;
        self.granted(Some(caller.actor()), &made).await?;
        self.ended(&made).await;
        Ok(())
    }

    /// The claims of a review, if they are the caller's own, about this request, and fresh.
    fn verify(
        &self,
        devices: &Devices,
        caller: &Caller,
        stored: &Stored,
        proof: &str,
    ) -> Result<Claims, ApprovalError> {
        let bad = |text: &str| ApprovalError::Bad(text.to_owned());
        let opened =
            signed::open(proof).map_err(|error| ApprovalError::Bad(format!("the signed review: {error}")))?;
        let claims = opened.claims;
        if opened.device != caller.device.id {
            return Err(bad("the review is signed with another key than this call"));
        }
        if !matches!(
            devices.standing(&opened.device, &caller.principal().id)?,
            devices::Standing::Enrolled(_)
        ) {
            return Err(bad("the review is signed with a key that is not enrolled"));
        }
        if claims.reviewer != caller.principal().id {
            return Err(bad("the review is signed in another name"));
        }
        if claims.request != stored.request.id || claims.subject != stored.request.subject {
            return Err(bad("the review is signed over something else"));
        }
        let age = self.clock.now().as_second().abs_diff(claims.iat);
        if age > FRESH {
            return Err(bad("the review was not signed just now; is the clock of this machine right?"));
        }
        let fits =
            |reason: &String| reason.chars().count() <= MAX_REASON && !reason.chars().any(char::is_control);
        if !claims.reason.as_ref().is_none_or(fits) {
            return Err(ApprovalError::Bad(format!(
                "a reason is at most {MAX_REASON} characters on one line"
            )));
        }
        Ok(claims)
    }

    /// Somebody's voice, with the groups they are in now, and whoever is known by now to be the same
    /// person.
    pub(super) fn voice(&self, caller: &Caller, decision: Decision) -> Result<Voice, StoreError> {
        let who = caller.principal();
        let mut person = who.person();
        self.store.read(|on| emails::complete(on, &person.id, &mut person.kin))?;
        Ok(Voice {
            person,
            kind: who.kind,
            device: caller.device.id.clone(),
            groups: who.groups.clone(),
            decision,
        })
    }
}

/// The standing decision that goes with a review, if the rules allow it.
fn standing(stored: &Stored, claims: &Claims) -> Result<Option<Standing>, ApprovalError> {
    let Some(standing) = &claims.standing else { return Ok(None) };
    let bad = |text: &str| Err(ApprovalError::Bad(text.to_owned()));
    if claims.decision != Decision::Approve {
        return bad("a standing decision goes with an approval");
    }
    let shape = match &stored.subject.subject().what {
        Matter::Deed(deed) => deed.shape.as_ref(),
        Matter::Session(_) => None,
    };
    let Some(shape) = shape.filter(|_| stored.request.standing_max > 0) else {
        return bad("the rule allows no standing decision about this");
    };
    if standing.seconds == 0 || standing.seconds > stored.request.standing_max {
        return Err(ApprovalError::Bad(format!(
            "the rule allows standing decisions of at most {} seconds",
            stored.request.standing_max
        )));
    }
    if standing.free.iter().any(|place| usize::from(*place) >= shape.literals.len()) {
        return bad("the statement has no such literal");
    }
    Ok(Some(standing.clone()))
}

pub(super) fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Approve => "approve",
        Decision::Deny => "deny",
    }
}

/// Seconds by which the reviewer's clock may differ from ours.
const FRESH: u64 = 300;
