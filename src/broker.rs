//! Floor 3: who decides.
//!
//! Job: identity, policy, sessions, leases, the ledger's writer, and the API that serves them.
//! Boundary: it moves no bytes of a target; that is the gateway's. Failure mode: what cannot be
//! decided, stored or entered is refused.

pub mod config;
pub mod embedded;
pub mod leases;
pub mod secrets;
pub mod store;
