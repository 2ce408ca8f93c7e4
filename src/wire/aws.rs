//! AWS, as far as it is bytes and heads: what stands between an SDK and a service.
//!
//! Job: [`sigv4`] reads, verifies and makes signatures of requests, [`chunks`] those of bodies that are sent in
//! pieces. Boundary: heads and bytes in and out; the time is an argument. Failure mode: each module has an error
//! with AWS's own code; what can be read in two ways is refused.

pub mod chunks;
pub mod sigv4;

#[doc(hidden)]
pub mod fuzz;
