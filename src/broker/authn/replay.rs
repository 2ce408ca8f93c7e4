//! Which proofs were used.
//!
//! Job: each `jti` of a device is good once while a proof with it could still be in the window.
//! Failure mode: a device that signs more proofs than can be remembered is refused, so that
//! forgetting never makes a replay possible. Memory only: a proof can be replayed across a restart
//! of the broker within its minute.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::domain::name::DeviceId;
use crate::wire::dpop::{MAX_AGE, Proof};

/// What a proof's use was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Again,
    First,
    TooMany,
}

#[derive(Default)]
pub(super) struct Replays {
    seen: Mutex<HashMap<DeviceId, HashMap<[u8; 32], i64>>>,
}

impl Replays {
    pub(super) fn note(&self, proof: &Proof, now: Timestamp) -> Use {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = seen.entry(proof.device.clone()).or_default();
        let key: [u8; 32] = Sha256::digest(&proof.jti).into();
        // acceptable until it is too old
        let until = proof.issued.as_second().saturating_add(MAX_AGE);
        if mine.get(&key).is_some_and(|until| now.as_second() <= *until) {
            return Use::Again;
        }
        if mine.len() >= MAX_PER_DEVICE {
            mine.retain(|_, until| now.as_second() <= *until);
        }
        if mine.len() >= MAX_PER_DEVICE {
            return Use::TooMany;
        }
        mine.insert(key, until);
        Use::First
    }

    pub(super) fn prune(&self, now: Timestamp) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, mine| {
            mine.retain(|_, until| now.as_second() <= *until);
            !mine.is_empty()
        });
    }
}

/// Calls of one device within the window, about 500 in a second; a tunnel is one call.
const MAX_PER_DEVICE: usize = 32_768;
