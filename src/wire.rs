//! Floor 1: bytes to meaning and back.
//!
//! Job: one sans-IO machine per protocol, and the client–broker API as plain types. Boundary: takes
//! bytes and the time, returns events and bytes; no sockets, no clock. Failure mode: an error that
//! says whose fault it was; every buffer is bounded.

pub mod aws;
pub mod buffer;
pub mod control;
pub mod dpop;
pub mod http;
pub mod jws;
pub mod output;
pub mod postgres;
pub mod review;
pub mod ssh;
