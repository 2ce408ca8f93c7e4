//! The PostgreSQL protocol, version 3, for a gateway that is server to the client and client to the
//! database.
//!
//! Job: [`startup`] greets and authenticates the client, [`login`] logs in at the database,
//! [`conversation`] carries everything after that and asks before a statement moves, [`veil`] hides parts of
//! results, [`cancel`] maps cancel keys, [`transcript`] turns recorded answers into rows of text. Boundary: bytes in,
//! bytes and events out; no sockets, no clock, no randomness except inside the client's SCRAM nonce.
//! Failure mode: a [`ClientFault`](fault::ClientFault) or an [`UpstreamFault`](fault::UpstreamFault);
//! both end the connection, and both can be told to the client in its own frame.

pub mod backend;
pub mod cancel;
pub mod conversation;
pub mod error;
pub mod fault;
pub mod frame;
pub mod frontend;
pub mod login;
pub mod scram;
pub mod scrub;
pub mod startup;
pub mod transcript;
pub mod veil;

#[doc(hidden)]
pub mod fuzz;
