//! Exit codes: our own failures never look like the child's by accident.
//!
//! Scripts depend on these; they are those of `sysexits.h` where that has one.

/// The command line is wrong.
pub const USAGE: u8 = 64;
/// Verification failed: an altered ledger or recording, a certificate or key that is not the pinned
/// one.
pub const BAD_DATA: u8 = 65;
/// The broker or the identity provider cannot be reached.
pub const UNREACHABLE: u8 = 69;
/// A fault of ours.
pub const INTERNAL: u8 = 70;
/// Held for review, or a request is pending.
pub const HELD: u8 = 75;
/// Denied by a reviewer.
pub const REVIEW_DENIED: u8 = 76;
/// Denied by policy, or there is no such thing for you.
pub const DENIED: u8 = 77;
/// This machine or a configuration file is not set up for what was asked.
pub const CONFIGURATION: u8 = 78;
/// A login is needed.
pub const LOGIN_NEEDED: u8 = 79;
/// The session, login or device was revoked or has expired.
pub const REVOKED: u8 = 80;
/// A signal ended it: this and the signal's number.
pub const SIGNAL: u8 = 128;
/// Nobody reads what would go on for ever: what SIGPIPE ends with.
pub const UNHEARD: u8 = SIGNAL + 13;
