//! AWS, as far as it is bytes and heads: what stands between an SDK and a service.
//!
//! Job: [`sigv4`] reads, verifies and makes signatures of requests, [`chunks`] those of bodies that are sent in pieces;
//! [`call`] says what a call does, [`protected`] what masks forbid of it, [`cap`] asks for fewer entries, and [`listing`]
//! counts those that come. Boundary: heads and bytes in and out; the time is an argument. Failure mode: each module has an
//! error; what can be read in two ways is refused.

pub mod call;
pub mod cap;
pub mod chunks;
mod dynamodb;
mod generic;
mod json;
pub mod listing;
pub mod protected;
mod s3;
pub mod sigv4;
pub mod uri;
mod xml;

#[doc(hidden)]
pub mod fuzz;
