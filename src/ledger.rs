//! Floor 1: the tamper-evident audit log as pure functions.
//!
//! Job: an event's canonical bytes, the Merkle tree over them (RFC 6962), its tiles (C2SP
//! `tlog-tiles`), its signed heads (C2SP `signed-note`, `tlog-checkpoint`), their cosignatures by
//! witnesses and what a witness and those who trust some do (`tlog-cosignature`, `tlog-witness`,
//! `tlog-policy`), and the verifier that finds the first broken entry. Boundary: no I/O and no clock; files come in through
//! [`verify::Files`], the writer lives in `broker::ledger`. Failure mode: whatever is not exactly
//! well formed is an error with a reason; nothing is repaired here.

pub mod builder;
pub mod checkpoint;
pub mod cosignature;
pub mod entry;
mod json;
pub mod note;
pub mod ocsf;
pub mod policy;
pub mod proof;
pub mod rotation;
pub mod tile;
pub mod tree;
pub mod verify;
pub mod witness;
