//! Signatures of requests (AWS Signature Version 4).
//!
//! Job: [`Presented`] reads what a request presents, and verifies it with the keys of a session
//! ([`session_keys`]); [`Verified::release`] takes the signature out again, and [`sign()`] makes one for the real
//! service. Boundary: heads only; whoever has the body says its SHA-256, or watches it with [`BodyWatch`] or
//! [`super::chunks`]. Failure mode: a [`SignatureFault`]; nothing is believed before the signature holds.

mod canonical;
mod fault;
mod keys;
mod presented;
mod query;
mod release;
mod scope;
mod sign;
mod verify;

pub use fault::SignatureFault;
pub(super) use keys::SigningKey;
pub use keys::{AccessKeyId, SessionKeys, session_keys};
pub use presented::{Payload, Placement, Presented};
pub(super) use presented::{hex, unhex};
pub use query::Query;
pub use scope::Scope;
pub use sign::{SignedUpstream, Upstream, UpstreamFault, sign};
pub use verify::{BodyHash, BodyWatch, Expected, MAX_SKEW, Verified};

#[cfg(test)]
mod tests;
