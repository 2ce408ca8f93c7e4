//! Floor 0: what is true.
//!
//! Job: the words of the system as types that cannot be wrong. Boundary: no I/O, no clock, no
//! randomness, no async, no logging; time and identifiers come in as arguments. Failure mode: a
//! constructor returns an error; nothing here panics.

pub mod action;
pub mod approval;
pub mod caps;
pub mod device;
pub mod event;
pub mod facts;
pub mod filter;
pub mod item;
pub mod mask;
pub mod name;
pub mod pattern;
pub mod planted;
pub mod policy;
pub mod principal;
pub mod session;
pub mod target;
pub mod text;
