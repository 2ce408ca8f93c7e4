//! Requests for one action of a session: filed, awaited, released.

use std::sync::{Arc, PoisonError};

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use tokio::sync::watch;

use super::file::{answerable, filed, later};
use super::issue::longest;
use super::limits::Load;
use super::{ApprovalError, Approvals, needs};
use crate::broker::config::Config;
use crate::broker::sessions::Sessions;
use crate::broker::store::requests::{self, Stored};
use crate::broker::store::{StoreError, devices, emails, grants};
use crate::domain::action::Petition;
use crate::domain::approval::{
    Decision, Life, Purpose, ReleasedBy, Request, RequestState, Review, Step, What as Matter,
};
use crate::domain::event::{Durability, What};
use crate::domain::name::{DeviceId, RequestId};
use crate::domain::text;
use crate::gateway::authority::{Filed, Held, HoldError, Outcome, SessionContext};

impl Approvals {
    /// Files a request for an action that policy holds, in a session that lasts until a time.
    pub(crate) async fn hold(
        self: Arc<Self>,
        config: Arc<Config>,
        context: Arc<SessionContext>,
        until: Timestamp,
        held: Held,
    ) -> Result<Filed, HoldError> {
        let new = self.deed(&config, &context, until, held)?;
        // whatever answers it, nobody has more open than that
        let most = config.reviews.requests_per_hour;
        self.admits(&new, Load { most, answered: true }).map_err(unfiled)?;
        let answer = self.standing_answer(&new).map_err(|error| unstored(&error))?;
        let answer = answer.or_else(|| rule_answer(&config, &context, &new));
        let load = Load { most, answered: answer.is_some() };
        self.admits(&new, load).map_err(unfiled)?;
        let id = new.request.id.clone();
        // INVARIANT: nobody can review what is not in the ledger
        self.scribe
            .enter(Some(context.actor.clone()), filed(&new), Durability::Synced)
            .await
            .map_err(|error| HoldError::Journal(error.to_string()))?;
        // before it can change, so that no change is missed
        let changed = self.watch(&id);
        if let Err(error) = self.insert(&new, load) {
            self.came_to_nothing(&new).await;
            return Err(unfiled(error));
        }
        let waiter = Waiter { changed, approvals: Arc::clone(&self), id: id.clone(), waits: true };
        if let Some(by) = answer {
            let most = longest(&config, &context.target.name);
            self.answer(Some(context.actor.clone()), &id, by, most).await.map_err(unfiled)?;
        }
        Ok(Filed {
            needs: needs(&new.life.threshold),
            expires: new.life.expires,
            outcome: Box::pin(waiter.outcome()) as BoxFuture<'static, Outcome>,
        })
    }

    /// Uses the approval of an action up, if its session is open and the grant under it still carries.
    pub(crate) async fn release(&self, id: &RequestId, sessions: &Sessions) -> Result<(), HoldError> {
        let may = |on: &Connection, stored: &Stored| {
            let Some(session) = stored.session.as_ref().filter(|session| sessions.is_open(session)) else {
                return Ok(false);
            };
            // INVARIANT: nothing is let through by what a revoked device said, however far its end has come
            if speaks_revoked(on, stored)? {
                return Ok(false);
            }
            // INVARIANT: whoever took the grant back before this transaction has stopped the release
            let Some(grant) = sessions.grant_of(session) else { return Ok(true) };
            Ok(grants::find(on, &grant)?.is_some_and(|grant| grant.carries(self.clock.now())))
        };
        let made = match self.advance_if(None, id, &Step::Release, may, |_, _, _| Ok(())) {
            Ok(made) => made,
            Err(ApprovalError::Store(error)) => return Err(unstored(&error)),
            Err(_) => return Err(HoldError::NotApproved),
        };
        let session = made.before.session.ok_or(HoldError::NotApproved)?;
        // INVARIANT: used up first and entered second: what cannot be entered is lost, never let through
        let what = What::RequestReleased { request: id.clone(), session };
        self.scribe
            .enter(None, what, Durability::Synced)
            .await
            .map_err(|error| HoldError::Journal(error.to_string()))?;
        self.wake(id);
        Ok(())
    }

    fn deed(
        &self,
        config: &Config,
        context: &SessionContext,
        until: Timestamp,
        held: Held,
    ) -> Result<Stored, HoldError> {
        let refused = |text: &str| HoldError::Refused(text.to_owned());
        let subject = held.subject.subject();
        let Matter::Deed(deed) = &subject.what else { return Err(refused("it is not an action")) };
        let fits = deed.session == context.id
            && subject.requester == context.principal.id
            && subject.target == context.target.name;
        if !fits {
            return Err(refused("it belongs to another session"));
        }
        let threshold = answerable(config, &context.target, &held.hold).map_err(HoldError::Refused)?;
        let device: DeviceId =
            context.actor.device.clone().ok_or_else(|| refused("its device is not known"))?;
        let mut who = context.principal.clone();
        self.store
            .read(|on| emails::complete(on, &who.id, &mut who.kin))
            .map_err(|error| unstored(&error))?;
        let now = self.now();
        let wait = SignedDuration::try_from(config.reviews.statement_wait).unwrap_or_default();
        let expires = later(now, wait).min(until);
        let life = Life {
            purpose: Purpose::Deed,
            state: RequestState::Pending,
            requester: who.person(),
            device: device.clone(),
            threshold,
            people_only: held.hold.people_only,
            voices: Vec::new(),
            answer: None,
            expires,
        };
        let request = Request {
            id: subject.request.clone(),
            requester: context.principal.id.clone(),
            display: context.principal.display.clone(),
            device,
            target: subject.target.clone(),
            subject: held.subject.digest(),
            threshold: life.threshold.clone(),
            people_only: life.people_only,
            standing_max: if deed.shape.is_some() { held.hold.standing } else { 0 },
            filed: now,
            expires,
            state: RequestState::Pending,
            reviews: Vec::new(),
        };
        let session = Some(context.id.clone());
        Ok(Stored { version: 0, who, life, request, subject: held.subject, session, key: None })
    }

    fn outcome(&self, id: &RequestId) -> Option<Outcome> {
        // what cannot be read is not approved
        let Ok(Some(stored)) = self.find(id) else { return Some(Outcome::Void) };
        match &stored.life.state {
            RequestState::Pending => None,
            RequestState::Approved => Some(match stored.life.answer {
                None => Outcome::Approved(approvals(stored.request.reviews)),
                Some(ReleasedBy::Rule(rule)) => Outcome::Rule(rule),
                Some(ReleasedBy::Standing(earlier)) => match self.find(&earlier) {
                    Ok(Some(earlier)) => Outcome::Standing {
                        subject: Box::new(earlier.subject),
                        reviews: approvals(earlier.request.reviews),
                    },
                    Ok(None) | Err(_) => Outcome::Void,
                },
            }),
            RequestState::Denied => {
                let no = stored.request.reviews.into_iter().rfind(|review| review.decision == Decision::Deny);
                // a reason is kept as it was signed; this goes into an error
                Some(Outcome::Denied {
                    by: no.as_ref().map(|no| text::line(&no.display)).unwrap_or_default(),
                    reason: no.and_then(|no| no.reason).map(|reason| text::line(&reason)),
                })
            }
            RequestState::Expired => Some(Outcome::Expired),
            RequestState::Withdrawn => Some(Outcome::Withdrawn),
            RequestState::Granted { .. } | RequestState::Released { .. } | RequestState::Void => {
                Some(Outcome::Void)
            }
        }
    }
}

/// Whether one of the reviews that approved an action is of a device that was revoked.
fn speaks_revoked(on: &Connection, stored: &Stored) -> rusqlite::Result<bool> {
    let earlier = match &stored.life.answer {
        Some(ReleasedBy::Standing(earlier)) => requests::find(on, earlier)?,
        Some(ReleasedBy::Rule(_)) | None => None,
    };
    let earlier = earlier.iter().flat_map(|earlier| &earlier.request.reviews);
    for review in stored.request.reviews.iter().chain(earlier) {
        if devices::is_revoked(on, &review.device)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The rule that answers for people, if policy has one.
fn rule_answer(config: &Config, context: &SessionContext, new: &Stored) -> Option<ReleasedBy> {
    if new.life.people_only {
        return None;
    }
    let subject = new.subject.subject();
    let Matter::Deed(deed) = &subject.what else { return None };
    let action = Some(deed.facts.action());
    let petition = Petition { rules: &subject.rules, seconds: None, action };
    config.policy.answers(&context.principal, &context.target, &petition).map(ReleasedBy::Rule)
}

/// Awaits what comes of a request. Dropped before that, it withdraws the request.
struct Waiter {
    approvals: Arc<Approvals>,
    id: RequestId,
    changed: watch::Receiver<()>,
    waits: bool,
}

impl Waiter {
    async fn outcome(mut self) -> Outcome {
        loop {
            if let Some(outcome) = self.approvals.outcome(&self.id) {
                self.waits = false;
                return outcome;
            }
            if self.changed.changed().await.is_err() {
                return Outcome::Void;
            }
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if self.waits {
            // the tick does it: nothing may wait for the disk here
            let mut abandoned = self.approvals.abandoned.lock().unwrap_or_else(PoisonError::into_inner);
            abandoned.push(self.id.clone());
        }
    }
}

fn approvals(reviews: Vec<Review>) -> Vec<Review> {
    reviews.into_iter().filter(|review| review.decision == Decision::Approve).collect()
}

fn unfiled(error: ApprovalError) -> HoldError {
    match error {
        ApprovalError::Journal(error) => HoldError::Journal(error.to_string()),
        ApprovalError::Store(error) => unstored(&error),
        error => HoldError::Refused(error.to_string()),
    }
}

fn unstored(error: &StoreError) -> HoldError {
    HoldError::Journal(error.to_string())
}
