//! Which proofs were used.
//!
//! Job: each `jti` of a device is good once while a proof with it could still be in the window.
//! Failure mode: a device that signs more proofs than can be remembered is refused, so that
//! forgetting never makes a replay possible. The store keeps them too, for the broker's next process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::broker::store::{Store, StoreError, Used};
use crate::domain::name::DeviceId;
use crate::wire::dpop::{MAX_AGE, Proof};

/// What a proof's use was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Again,
    First,
    TooMany,
}

pub(super) struct Replays {
    store: Arc<Store>,
    seen: Mutex<HashMap<DeviceId, HashMap<[u8; 32], i64>>>,
}

impl Replays {
    /// Takes up what the former process saw.
    pub(super) fn load(store: Arc<Store>) -> Result<Self, StoreError> {
        let mut seen: HashMap<DeviceId, HashMap<[u8; 32], i64>> = HashMap::new();
        for (device, digest, until) in store.proofs_used()? {
            seen.entry(device).or_default().insert(digest, until);
        }
        Ok(Self { store, seen: Mutex::new(seen) })
    }

    pub(super) fn note(&self, proof: &Proof, now: Timestamp) -> Result<Use, StoreError> {
        let digest: [u8; 32] = Sha256::digest(&proof.jti).into();
        // acceptable until it is too old
        let until = proof.issued.as_second().saturating_add(MAX_AGE);
        let used: Used = (proof.device.clone(), digest, until);
        let what = self.remember(&used, now);
        if what == Use::First {
            // stored before the call is answered: a replay to the next process meets it
            self.store.proof_used(&used)?;
        }
        Ok(what)
    }

    fn remember(&self, (device, digest, until): &Used, now: Timestamp) -> Use {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = seen.entry(device.clone()).or_default();
        if mine.get(digest).is_some_and(|until| now.as_second() <= *until) {
            return Use::Again;
        }
        if mine.len() >= MAX_PER_DEVICE {
            mine.retain(|_, until| now.as_second() <= *until);
        }
        if mine.len() >= MAX_PER_DEVICE {
            return Use::TooMany;
        }
        mine.insert(*digest, *until);
        Use::First
    }

    pub(super) fn prune(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, mine| {
            mine.retain(|_, until| now.as_second() <= *until);
            !mine.is_empty()
        });
        drop(seen);
        self.store.prune_proofs(now)
    }
}

/// Calls of one device within the window, about 500 in a second; a tunnel is one call.
const MAX_PER_DEVICE: usize = 32_768;
