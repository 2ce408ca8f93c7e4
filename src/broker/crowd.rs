//! How many places each of many may hold at a time.
//!
//! Job: count them. Boundary: who is one, and how many places that one may hold, is the caller's to say.
//! Failure mode: beyond the limit there is no place.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Everybody who holds a place.
#[derive(Debug)]
pub(crate) struct Crowd<K: Eq + Hash>(Arc<Mutex<HashMap<K, u32>>>);

/// A place, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place<K: Eq + Hash> {
    crowd: Crowd<K>,
    whose: K,
}

impl<K: Eq + Hash + Clone> Crowd<K> {
    /// A place, unless they hold as many as they may.
    pub(crate) fn admit(&self, whose: K, limit: u32) -> Option<Place<K>> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match held.get_mut(&whose) {
            Some(mine) if *mine >= limit => return None,
            Some(mine) => *mine += 1,
            None if limit == 0 => return None,
            None => drop(held.insert(whose.clone(), 1)),
        }
        Some(Place { crowd: Self(Arc::clone(&self.0)), whose })
    }
}

impl<K: Eq + Hash> Default for Crowd<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Eq + Hash> Clone for Crowd<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut held = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mine) = held.get_mut(&self.whose) {
            *mine = mine.saturating_sub(1);
            if *mine == 0 {
                held.remove(&self.whose);
            }
        }
    }
}
