//! Bodies for fuzzing: each takes any bytes and must return.
//!
//! Job: [`calls`] is what calls do and answers hold, [`signatures`] is heads and chunks. Boundary: not part of the
//! library's interface. Failure mode: a panic is a bug.

pub mod calls;
pub mod signatures;
