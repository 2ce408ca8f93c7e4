//! Floor 2: where bytes move.
//!
//! Job: sockets, TLS, relays, timers; the one ordering of inspect, judge, enter, forward.
//! Boundary: it asks an [`authority::Authority`] and writes to a [`journal::Journal`], both
//! implemented upstairs. Failure mode: whatever cannot be judged or entered is not forwarded.

pub mod authority;
pub mod clock;
pub mod journal;
