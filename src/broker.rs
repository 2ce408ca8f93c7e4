//! Floor 3: who decides.
//!
//! Job: identity, policy, sessions, leases, the ledger's writer, and the API that serves them.
//! Boundary: it moves no bytes of a target; that is the gateway's. Failure mode: what cannot be
//! decided, stored or entered is refused.

pub mod api;
pub mod app;
pub mod authn;
pub mod config;
mod devices;
mod explain;
mod logins;
mod metrics;
pub mod pki;
mod scribe;
mod sessions;
pub mod store;
#[cfg(test)]
mod testing;
