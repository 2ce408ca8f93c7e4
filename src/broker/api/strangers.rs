//! How many connections strangers from one address may hold.
//!
//! Job: let go of those that turn out to be somebody's who is logged in. Boundary:
//! the address is what `caller` says it is; behind a trusted proxy one connection serves many, so there
//! each request counts by itself while it is answered. Failure mode: beyond the limit a connection is
//! closed before anything is read from it.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::broker::authn::network;
use crate::broker::crowd::{Crowd, Place};

/// All strangers, by address.
#[derive(Clone, Default)]
pub(super) struct Strangers(Crowd<IpAddr>);

/// The place that a connection or a request holds until somebody is recognised on it.
#[derive(Clone)]
pub(super) struct Stranger(Arc<Mutex<Option<Place<IpAddr>>>>);

impl Strangers {
    /// A place for this address, unless it holds as many as it may.
    pub(super) fn admit(&self, address: IpAddr, limit: u32) -> Option<Stranger> {
        let place = self.0.admit(network(address), limit)?;
        Some(Stranger(Arc::new(Mutex::new(Some(place)))))
    }
}

impl Stranger {
    /// It is no stranger.
    pub(super) fn is_known(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
