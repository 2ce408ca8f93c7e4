//! Floor 1: the session recording format.
//!
//! Job: items with their times into compressed, bounded chunks and back, and a replay cursor over
//! them. Boundary: bytes in, bytes out; no I/O, no clock. What goes in is already masked and
//! redacted. Failure mode: a chunk that is not exactly well formed is refused with a reason, and
//! costs no more memory than [`chunk::MAX_PLAIN`].

pub mod chunk;
pub mod item;
pub mod replay;
