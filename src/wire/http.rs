//! HTTP, as far as it is bytes and heads: what a gateway between a client and an API must understand.
//!
//! Job: [`target`] makes one path out of its many spellings, [`openapi`] and [`graphql`] say what a call
//! does, [`framing`] where requests end, [`head`] what of a head may pass, [`encoding`] takes content codings
//! off and puts them on again, [`grpc`] finds its messages, [`redact`] keeps an injected secret from coming back.
//! Boundary: bytes and header maps in and out; the connection itself is hyper's. Failure mode: each module has an
//! error; what cannot be judged is refused.

pub mod encoding;
pub mod framing;
pub mod graphql;
pub mod grpc;
pub mod head;
pub mod members;
pub mod openapi;
pub mod overrides;
pub mod pages;
pub mod redact;
pub mod target;

#[doc(hidden)]
pub mod fuzz;
