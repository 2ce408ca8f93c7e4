//! How requests end without being let through.

use std::sync::PoisonError;

use jiff::{SignedDuration, Timestamp};

use super::file::answerable;
use super::{ApprovalError, Approvals};
use crate::broker::config::Config;
use crate::broker::store::requests as table;
use crate::broker::store::{StoreError, grants};
use crate::domain::action::Action;
use crate::domain::approval::{Grant, RequestState, Step};
use crate::domain::event::Actor;
use crate::domain::name::{DeviceId, RequestId, SessionId};
use crate::domain::policy::Verdict;
use crate::domain::principal::PrincipalId;

impl Approvals {
    /// Takes a request back for its requester.
    pub(crate) async fn withdraw(
        &self,
        actor: Option<Actor>,
        whose: &PrincipalId,
        id: &RequestId,
    ) -> Result<(), ApprovalError> {
        let stored = self.find(id)?.filter(|stored| stored.request.requester == *whose);
        stored.ok_or(ApprovalError::Unknown("request"))?;
        self.end(actor, id, &Step::Withdraw).await
    }

    /// What is due by now. Returns the grants that turn out to be longer.
    pub(crate) async fn tick(&self) -> Vec<Grant> {
        let abandoned: Vec<RequestId> =
            std::mem::take(&mut *self.abandoned.lock().unwrap_or_else(PoisonError::into_inner));
        self.end_all(Ok(abandoned), &Step::Withdraw).await;
        let now = self.clock.now();
        self.end_all(self.store.read(|on| table::due(on, now)), &Step::Expire).await;
        if let Err(error) = self.tell_again().await {
            tracing::debug!(%error, "an end is not in the ledger yet");
        }
        self.enter_again().await
    }

    /// Enters the grants again whose entries could not be written. Returns those made longer.
    async fn enter_again(&self) -> Vec<Grant> {
        let requests = std::mem::take(&mut *self.unentered.lock().unwrap_or_else(PoisonError::into_inner));
        let mut longer = Vec::new();
        for id in requests {
            let stored = match self.find(&id) {
                Ok(Some(stored)) => stored,
                Ok(None) => continue,
                Err(_) => {
                    self.unentered.lock().unwrap_or_else(PoisonError::into_inner).push(id);
                    continue;
                }
            };
            let RequestState::Granted { grant } = &stored.life.state else { continue };
            match self.enter_grant(None, &id, grant).await {
                Ok(grant) => longer.extend(grant),
                Err(error) => tracing::warn!(%grant, %error, "a grant is not in the ledger yet"),
            }
        }
        longer
    }

    /// A session is over, and what it waited for with it.
    pub(crate) async fn void_session(&self, session: &SessionId) {
        self.end_all(self.store.read(|on| table::of_session(on, session)), &Step::Void).await;
    }

    /// A device was revoked: what was asked from it is void, what was reviewed with it does not count,
    /// standing decisions made with it are over. Grants that people issued with it stay until revoked.
    /// What fails does not keep the rest from ending, and must be tried again.
    pub(crate) async fn void_device(&self, device: &DeviceId) -> Result<(), StoreError> {
        // first, while it can be told whose reviews they were made of
        let mut voided = self.void_standing(device).await;
        let step = Step::VoidDevice(device.clone());
        for id in &self.store.read(|on| table::of_device(on, device))? {
            let made = self.advance(None, id, &step, |on, _, _| table::forget_reviews(on, id, device));
            match made {
                Ok(made) => self.ended(&made).await,
                Err(ApprovalError::Store(error)) => voided = Err(error),
                // it came to an end meanwhile, or to another step: what a revoked device said counts for none
                Err(error) => tracing::debug!(request = %id, %error, "a request was not voided"),
            }
        }
        voided
    }

    /// After a restart: the connections that waited are gone, and ends and grants get their entries.
    pub(crate) async fn recover(&self) -> Result<(), ApprovalError> {
        self.end_all(self.store.read(table::deeds), &Step::Void).await;
        self.tell_again().await?;
        self.issue_left_behind().await
    }

    /// Policy has changed: what the new one would not hold in the same way is void.
    pub(crate) async fn reconsider(&self, config: &Config) {
        // what an action meant was judged under the old policy
        self.end_all(self.store.read(table::deeds), &Step::Void).await;
        let ids = match self.store.read(table::for_sessions) {
            Ok(ids) => ids,
            Err(error) => return tracing::error!(%error, "open requests could not be looked up"),
        };
        let mut over = Vec::new();
        for id in ids {
            if !matches!(self.find(&id), Ok(Some(stored)) if stands(config, &stored)) {
                over.push(id);
            }
        }
        self.end_all(Ok(over), &Step::Void).await;
    }

    /// Forgets what has been over for long.
    pub(crate) fn prune(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let old = now.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
        self.store.write(|on| {
            grants::prune(on, old)?;
            table::prune(on, old, now)
        })
    }

    pub(super) async fn end_all(&self, ids: Result<Vec<RequestId>, StoreError>, step: &Step) {
        let ids = match ids {
            Ok(ids) => ids,
            Err(error) => return tracing::error!(%error, "requests that are over could not be looked up"),
        };
        for id in &ids {
            match self.end(None, id, step).await {
                // it came to another end meanwhile
                Ok(()) | Err(ApprovalError::Conflict(_)) => {}
                Err(error) => tracing::error!(request = %id, %error, "a request could not be ended"),
            }
        }
    }

    async fn end(&self, actor: Option<Actor>, id: &RequestId, step: &Step) -> Result<(), ApprovalError> {
        let made = self.advance(actor.as_ref(), id, step, |_, _, _| Ok(()))?;
        self.ended(&made).await;
        Ok(())
    }
}

/// Whether policy still demands for a session what its request says.
fn stands(config: &Config, stored: &table::Stored) -> bool {
    let Some(target) = config.targets.get(&stored.request.target) else { return false };
    match config.policy.judge(&stored.who, target, &Action::Connect) {
        Verdict::Hold(hold) => {
            hold.people_only == stored.life.people_only
                && answerable(config, target, &hold).is_ok_and(|now| now == stored.life.threshold)
        }
        Verdict::Allow(_) | Verdict::Deny(_) => false,
    }
}

/// How long requests and grants that are over are shown.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);
