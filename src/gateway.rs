//! Floor 2: where bytes move.
//!
//! Job: sockets, TLS, relays, timers; the one ordering of inspect, judge, enter, forward.
//! Boundary: it asks an [`authority::Authority`] and writes to a [`journal::Journal`], both
//! implemented upstairs. Failure mode: whatever cannot be judged or entered is not forwarded.

pub mod authority;
pub mod aws;
mod cache;
pub mod clock;
mod deps;
mod detecting;
pub(crate) mod dial;
mod digests;
mod entrance;
mod gate;
mod hold;
pub mod http;
pub mod journal;
mod judge;
mod leg;
pub mod parser;
mod postgres;
mod reel;
mod ssh;
pub mod tls;
pub mod tunnel;
