//! Which cancel key of ours stands for which of the database's.
//!
//! Job: map the keys that clients were given. A key works only in a tunnel of the session and the
//! device that it was given to, so guessing one is not enough. Boundary: sends nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::name::{DeviceId, SessionId};
use crate::domain::target::Target;
use crate::gateway::hold::Interrupt;
use crate::wire::postgres::cancel::CancelKey;

/// All keys of the gateway.
#[derive(Debug, Clone, Default)]
pub(in crate::gateway) struct Cancels(Arc<Mutex<HashMap<CancelKey, Cancellable>>>);

/// What a key cancels.
#[derive(Debug, Clone)]
pub(super) struct Cancellable {
    /// The session it was given to.
    pub(super) session: SessionId,
    /// The device of that session.
    pub(super) device: DeviceId,
    /// Where the statement runs.
    pub(super) target: Arc<Target>,
    /// The database's own key.
    pub(super) key: CancelKey,
    /// Ends what is held on the connection.
    pub(super) interrupt: Interrupt,
}

/// Forgets a key when dropped.
#[derive(Debug)]
pub(super) struct Listed {
    cancels: Cancels,
    key: CancelKey,
}

impl Cancels {
    /// Lists a key for as long as the returned guard lives.
    pub(super) fn list(&self, key: &CancelKey, what: Cancellable) -> Listed {
        self.lock().insert(key.clone(), what);
        Listed { cancels: self.clone(), key: key.clone() }
    }

    /// What a key cancels for this session on this device.
    pub(super) fn find(
        &self,
        key: &CancelKey,
        session: &SessionId,
        device: &DeviceId,
    ) -> Option<Cancellable> {
        self.lock().get(key).filter(|what| what.session == *session && what.device == *device).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<CancelKey, Cancellable>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.cancels.lock().remove(&self.key);
    }
}
