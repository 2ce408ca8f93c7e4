//! Device keys that wait for the confirmation of another device.
//!
//! Job: a short code for each, found by nobody but the same principal. Boundary: memory only; who may
//! confirm, and what that does, is `app`'s business. Failure mode: a restart, five wrong codes and ten
//! minutes all void what waits, and the new device asks again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::domain::name::DeviceId;
use crate::domain::principal::{Principal, PrincipalId};
use crate::wire::control::{Confirmation, PendingDevice};

/// All keys that wait.
#[derive(Default)]
pub(crate) struct Pending {
    state: Mutex<HashMap<PrincipalId, Waiting>>,
}

/// What became of a key that came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It waits already.
    Known(Confirmation),
    /// It waits from now on.
    New(Confirmation),
    /// Too many wait.
    TooMany,
}

/// What became of a code that somebody typed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Guess {
    /// This key waits with it.
    Right(PendingDevice),
    /// It was wrong once too often: nothing waits any more.
    Voided,
    /// Nothing waits with it.
    Wrong,
}

/// What waits for one principal.
#[derive(Default)]
struct Waiting {
    keys: Vec<(String, PendingDevice)>,
    wrong: u32,
}

impl Pending {
    /// Lets a key wait.
    pub(crate) fn ask(&self, whose: &Principal, key: PendingDevice) -> Asked {
        let mut state = self.state(key.asked);
        let full = state.len() >= MOST_PRINCIPALS && !state.contains_key(&whose.id);
        if full {
            return Asked::TooMany;
        }
        let waiting = state.entry(whose.id.clone()).or_default();
        if let Some((code, known)) = waiting.keys.iter().find(|(_, known)| known.device == key.device) {
            return Asked::Known(Confirmation { code: code.clone(), expires: known.expires });
        }
        if waiting.keys.len() >= MOST_KEYS {
            return Asked::TooMany;
        }
        let confirmation = Confirmation { code: random_code(), expires: key.expires };
        waiting.keys.push((confirmation.code.clone(), key));
        Asked::New(confirmation)
    }

    /// What waits for a principal, oldest first.
    pub(crate) fn of(&self, whose: &PrincipalId, now: Timestamp) -> Vec<PendingDevice> {
        let state = self.state(now);
        let keys = state.get(whose).map(|waiting| waiting.keys.iter().map(|(_, key)| key.clone()));
        keys.into_iter().flatten().collect()
    }

    /// The key of a principal that waits with this code.
    pub(crate) fn find(&self, whose: &PrincipalId, typed: &str, now: Timestamp) -> Guess {
        self.guess(whose, typed, now, |waiting, at| waiting.keys.get(at).map(|(_, key)| key.clone()))
    }

    /// The same, and it waits no longer. The key must be the one that is meant.
    pub(crate) fn take(&self, whose: &PrincipalId, typed: &str, meant: &DeviceId, now: Timestamp) -> Guess {
        self.guess(whose, typed, now, |waiting, at| {
            waiting.keys.get(at).filter(|(_, key)| key.device == *meant)?;
            Some(waiting.keys.remove(at).1)
        })
    }

    fn guess(
        &self,
        whose: &PrincipalId,
        typed: &str,
        now: Timestamp,
        pick: impl FnOnce(&mut Waiting, usize) -> Option<PendingDevice>,
    ) -> Guess {
        let mut state = self.state(now);
        let Some(waiting) = state.get_mut(whose) else { return Guess::Wrong };
        let typed = letters(typed);
        let found = waiting.keys.iter().position(|(code, _)| letters(code) == typed);
        if let Some(key) = found.and_then(|at| pick(waiting, at)) {
            return Guess::Right(key);
        }
        waiting.wrong += 1;
        if waiting.wrong < MOST_WRONG {
            return Guess::Wrong;
        }
        // INVARIANT: a code is guessed at five times at the most
        state.remove(whose);
        Guess::Voided
    }

    /// What waits still.
    fn state(&self, now: Timestamp) -> MutexGuard<'_, HashMap<PrincipalId, Waiting>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.retain(|_, waiting| {
            waiting.keys.retain(|(_, key)| now < key.expires);
            !waiting.keys.is_empty()
        });
        state
    }
}

/// Eight of twenty letters that spell no word: 34 bits.
fn random_code() -> String {
    let mut code = String::with_capacity(9);
    for place in 0..8 {
        if place == 4 {
            code.push('-');
        }
        code.extend(LETTERS.get(rand::random_range(0..LETTERS.len())).map(|letter| char::from(*letter)));
    }
    code
}

/// A code as people type it: in any case, with any separators.
fn letters(typed: &str) -> String {
    typed.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).take(16).collect()
}

const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const MOST_KEYS: usize = 4;
const MOST_PRINCIPALS: usize = 4096;
const MOST_WRONG: u32 = 5;
