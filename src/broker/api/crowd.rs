//! How many connections strangers from one address may hold.
//!
//! Job: count them, and let go of those that turn out to be somebody's who is logged in. Boundary:
//! the address is what `caller` says it is; behind a trusted proxy one connection serves many, so there
//! each request counts by itself while it is answered. Failure mode: beyond the limit a connection is
//! closed before anything is read from it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::broker::authn::network;

/// All strangers, by address.
#[derive(Clone, Default)]
pub(super) struct Crowd(Arc<Mutex<HashMap<IpAddr, u32>>>);

/// A stranger's place, given back when it is dropped.
pub(super) struct Place {
    crowd: Crowd,
    address: IpAddr,
}

/// The place that a connection or a request holds until somebody is recognised on it.
#[derive(Clone)]
pub(super) struct Stranger(Arc<Mutex<Option<Place>>>);

impl Crowd {
    /// A place for this address, unless it holds as many as it may.
    pub(super) fn admit(&self, address: IpAddr, limit: u32) -> Option<Stranger> {
        let address = network(address);
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = held.entry(address).or_default();
        if *mine >= limit {
            return None;
        }
        *mine += 1;
        let place = Place { crowd: self.clone(), address };
        Some(Stranger(Arc::new(Mutex::new(Some(place)))))
    }
}

impl Stranger {
    /// It is no stranger.
    pub(super) fn is_known(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mine) = held.get_mut(&self.address) {
            *mine = mine.saturating_sub(1);
            if *mine == 0 {
                held.remove(&self.address);
            }
        }
    }
}
