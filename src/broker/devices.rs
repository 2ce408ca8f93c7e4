//! Enrolled device keys.
//!
//! Job: which keys belong to whom, and which were revoked. Boundary: what a revocation ends is
//! `app`'s business. Failure mode: a store that cannot be read enrols and admits nobody.

mod pending;

use std::sync::Arc;

use jiff::Timestamp;

use crate::broker::store::{Store, StoreError, devices as table};
use crate::domain::device::Device;
use crate::domain::name::DeviceId;
use crate::domain::principal::{Principal, PrincipalId, PrincipalKind};
use crate::wire::control::PendingDevice;

pub(crate) use pending::{Asked, Guess, Pending};

/// All devices.
pub(crate) struct Devices {
    store: Arc<Store>,
    /// Those that wait to be confirmed.
    pub(crate) pending: Pending,
    /// Held by whoever enters revocations, so that none is entered twice.
    pub(crate) telling: tokio::sync::Mutex<()>,
}

/// What is known of a key when somebody comes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// They have enrolled it.
    Enrolled(Device),
    /// They have not enrolled it.
    New,
    /// It was revoked, by them or by somebody else who had enrolled it.
    Revoked,
}

/// How far a revocation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The key, those that it let in, and those that they let in.
    LetIn,
    /// The key alone.
    Only,
}

impl Devices {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self { store, pending: Pending::default(), telling: tokio::sync::Mutex::default() }
    }

    /// What is known of this key.
    pub(crate) fn standing(&self, id: &DeviceId, whose: &PrincipalId) -> Result<Standing, StoreError> {
        self.store.read(|on| {
            if table::is_revoked(on, id)? {
                return Ok(Standing::Revoked);
            }
            Ok(table::find(on, id, whose)?.map_or(Standing::New, Standing::Enrolled))
        })
    }

    /// Whether anybody revoked this key.
    pub(crate) fn is_revoked(&self, id: &DeviceId) -> Result<bool, StoreError> {
        self.store.read(|on| table::is_revoked(on, id))
    }

    /// Enrols a key.
    pub(crate) fn enrol(
        &self,
        id: &DeviceId,
        whose: &Principal,
        host: &str,
        now: Timestamp,
    ) -> Result<Device, StoreError> {
        let device = Device {
            id: id.clone(),
            principal: whose.id.clone(),
            host: host.into(),
            enrolled: now,
            revoked: None,
            confirmed_by: None,
        };
        self.store.write(|on| table::insert(on, &device, whose.kind == PrincipalKind::Machine))?;
        Ok(device)
    }

    /// Enrols a key that another of the same person confirmed; false, and nothing, when that one is
    /// not enrolled any more, or either was revoked.
    pub(crate) fn enrol_by(
        &self,
        confirmer: &DeviceId,
        waits: &PendingDevice,
        whose: &Principal,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let device = Device {
            id: waits.device.clone(),
            principal: whose.id.clone(),
            host: waits.host.clone(),
            enrolled: now,
            revoked: None,
            confirmed_by: Some(confirmer.clone()),
        };
        self.store.write(|on| {
            if table::is_revoked(on, confirmer)?
                || table::is_revoked(on, &device.id)?
                || table::find(on, confirmer, &whose.id)?.is_none()
            {
                return Ok(false);
            }
            table::insert(on, &device, whose.kind == PrincipalKind::Machine)?;
            Ok(true)
        })
    }

    /// The keys of a principal, oldest first.
    pub(crate) fn list(&self, whose: &PrincipalId) -> Result<Vec<Device>, StoreError> {
        self.store.read(|on| table::of(on, whose))
    }

    /// Whether the key is enrolled by this principal, revoked or not.
    pub(crate) fn belongs(&self, id: &DeviceId, whose: &PrincipalId) -> Result<bool, StoreError> {
        Ok(self.store.read(|on| table::find(on, id, whose))?.is_some())
    }

    /// Revokes a key of this principal, and with it what it let in; returns what was revoked now.
    pub(crate) fn revoke(
        &self,
        id: &DeviceId,
        whose: &PrincipalId,
        reach: Reach,
        now: Timestamp,
    ) -> Result<Vec<Device>, StoreError> {
        self.store.write(|on| table::revoke(on, id, whose, reach, now))
    }

    /// The keys that were revoked by a time and whose revocation has no entry yet: everybody's, or those of one
    /// principal.
    pub(crate) fn untold(
        &self,
        whose: Option<&PrincipalId>,
        by: Timestamp,
    ) -> Result<Vec<DeviceId>, StoreError> {
        self.store.read(|on| table::untold(on, whose, by))
    }

    /// Notes that the revocation of a key has its entry.
    pub(crate) fn told(&self, id: &DeviceId) -> Result<(), StoreError> {
        self.store.write(|on| table::told(on, id))
    }

    /// Forgets the keys of machines that are no longer logged in.
    pub(crate) fn forget_idle_machines(&self) -> Result<usize, StoreError> {
        self.store.write(|on| table::forget_idle_machines(on))
    }
}

#[cfg(test)]
mod tests;
