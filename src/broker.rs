//! Floor 3: who decides.
//!
//! Job: identity, policy, sessions, leases, the ledger's writer, and the API that serves them.
//! Boundary: it moves no bytes of a target; that is the gateway's. Failure mode: what cannot be
//! decided, stored or entered is refused.

pub mod api;
pub mod app;
mod approvals;
pub mod assembly;
pub mod authn;
mod aws;
mod certificates;
pub mod config;
mod crowd;
mod devices;
pub mod embedded;
mod explain;
mod issued;
pub mod leases;
pub mod ledger;
mod logins;
mod metrics;
pub mod pki;
pub mod recordings;
mod scribe;
pub mod secrets;
mod sessions;
pub mod store;
#[cfg(test)]
mod testing;
mod tokens;
mod webhooks;
pub mod witness;
