//! Keys let in and shut out.
//!
//! Job: one device of a person confirms another; a revocation reaches whatever the key still has, and
//! the keys that it let in. Boundary: which keys there are is `devices`' business. Failure mode: a key is
//! let in after its entry; it is shut out before its entry, which is written later where it failed.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use super::core::{Core, OpenError};
use crate::broker::authn::Caller;
use crate::broker::devices::{Guess, Reach, Standing};
use crate::broker::store::StoreError;
use crate::domain::device::Device;
use crate::domain::event::{Durability, What};
use crate::domain::name::{DeviceId, RuleName};
use crate::domain::session::CloseReason;
use crate::gateway::journal::JournalError;
use crate::wire::control::{ConfirmDevice, PendingDevice};

/// Why no device was confirmed.
#[derive(Debug, Error)]
pub(crate) enum ConfirmError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("only a device that is enrolled can confirm another")]
    NotEnrolled,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no device of yours waits with this code")]
    Unknown,
    #[error("too many wrong codes: the devices that waited must ask again")]
    Voided,
}

impl Core {
    /// Revokes a device of the caller, and what it let in; returns the further ones. `None` when it is not
    /// theirs.
    pub(crate) async fn revoke_device(
        self: &Arc<Self>,
        caller: &Caller,
        device: &DeviceId,
        reach: Reach,
    ) -> Result<Option<Vec<Device>>, OpenError> {
        let whose = &caller.principal().id;
        if !self.devices.belongs(device, whose)? {
            return Ok(None);
        }
        let mut further = self.devices.revoke(device, whose, reach, self.clock.now())?;
        further.retain(|revoked| revoked.id != *device);
        // a task of its own: whoever hangs up does not keep what is revoked from being shut out
        let (core, caller, device) = (Arc::clone(self), caller.clone(), device.clone());
        let shut =
            tokio::spawn(async move { core.shut_out(Some(&caller), Some(&device), Timestamp::MAX).await });
        // it ends early only when the runtime does
        shut.await.map_err(|_| OpenError::Draining)??;
        Ok(Some(further))
    }

    /// Goes on with the revocations that were not brought to their end, as far as nobody is about it.
    pub(crate) async fn shut_out_again(&self) {
        let before = self.clock.now().checked_sub(UNFINISHED).unwrap_or(Timestamp::MIN);
        if let Err(error) = self.shut_out(None, None, before).await {
            tracing::warn!(%error, "a revoked device is not told of yet");
        }
    }

    /// Ends what revoked keys still have, and enters each revocation that has no entry yet: also one of an
    /// earlier call, or of a former process, whose entry failed. Those of the caller, else everybody's, that were
    /// revoked by a time.
    pub(super) async fn shut_out(
        &self,
        caller: Option<&Caller>,
        also: Option<&DeviceId>,
        by: Timestamp,
    ) -> Result<(), OpenError> {
        let whose = caller.map(|caller| &caller.principal().id);
        let mut keys = self.devices.untold(whose, by)?;
        // what failed the last time is tried again
        if let Some(also) = also.filter(|also| !keys.contains(also)) {
            keys.push(also.clone());
        }
        let mut ended = Ok(());
        for key in &keys {
            self.close_device(key, CloseReason::DeviceRevoked);
            let end = self.logins.end(key).map(drop);
            ended = ended.and(end);
            // a session that was opened while the login was being ended
            self.close_device(key, CloseReason::DeviceRevoked);
        }
        for key in &keys {
            let voided = self.approvals.void_device(key).await;
            ended = ended.and(voided);
        }
        // INVARIANT: a revocation counts as told only when nothing of it is left to be done
        ended?;
        let _telling = self.devices.telling.lock().await;
        for device in self.devices.untold(whose, by)? {
            // it was revoked since: whoever did that ends what it has
            if !keys.contains(&device) {
                continue;
            }
            let what = What::DeviceRevoked { device: device.clone() };
            self.scribe.enter(caller.map(Caller::actor), what, Durability::Synced).await?;
            self.devices.told(&device)?;
        }
        Ok(())
    }

    /// Looks up the key that waits with this code for a device of the caller; confirms it when the
    /// caller names the key as well, having compared it.
    pub(crate) async fn confirm_device(
        &self,
        caller: &Caller,
        ask: &ConfirmDevice,
    ) -> Result<PendingDevice, ConfirmError> {
        let (whose, now) = (caller.principal(), self.clock.now());
        let Standing::Enrolled(_) = self.devices.standing(&caller.device.id, &whose.id)? else {
            return Err(ConfirmError::NotEnrolled);
        };
        let pending = &self.devices.pending;
        let guess = match &ask.device {
            None => pending.find(&whose.id, &ask.code, now),
            Some(device) => pending.take(&whose.id, &ask.code, device, now),
        };
        let waits = match guess {
            Guess::Right(waits) => waits,
            wrong => {
                let rule = RuleName::device_code();
                let what = What::Refused { action: "confirm-device".into(), target: String::new(), rule };
                self.scribe.enter(Some(caller.actor()), what, Durability::Written).await?;
                let voided = matches!(wrong, Guess::Voided);
                return Err(if voided { ConfirmError::Voided } else { ConfirmError::Unknown });
            }
        };
        if ask.device.is_some() {
            if self.devices.is_revoked(&waits.device)? {
                return Err(ConfirmError::Unknown);
            }
            let what = What::DeviceEnrolled { device: waits.device.clone() };
            self.scribe.enter(Some(caller.actor()), what, Durability::Synced).await?;
            // INVARIANT: a key that was revoked while the entry was written lets nobody in
            if !self.devices.enrol_by(&caller.device.id, &waits, whose, now)? {
                let what = What::DeviceRevoked { device: waits.device };
                self.scribe.enter(Some(caller.actor()), what, Durability::Synced).await?;
                return Err(ConfirmError::NotEnrolled);
            }
        }
        Ok(waits)
    }
}

/// How long whoever revokes a device has to bring that to its end before the clockwork does.
const UNFINISHED: SignedDuration = SignedDuration::from_secs(10);
