//! What flows inside the channels of an SSH connection, for a gateway that stands between a client
//! and a host.
//!
//! Job: [`sftp`] and [`scp`] turn file transfers into questions and hold each request until it is
//! answered; [`terminal`] masks what a host prints and asks about each line that is typed in a
//! supervised shell. Boundary: bytes in, bytes, questions and events out; the transport, the channels
//! and exec requests are the gateway's. Failure mode: a fault that says whose it is and ends the
//! channel; a refusal goes to the client in the protocol's own form.

pub mod path;
pub mod refusal;
pub mod scp;
pub mod sftp;
pub mod terminal;

#[doc(hidden)]
pub mod fuzz;
