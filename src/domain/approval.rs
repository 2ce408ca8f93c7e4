//! Requests, reviews, grants: how people let through what policy holds.
//!
//! A held action becomes a [`Request`]. People answer it with [`Review`]s until its [`Threshold`] is
//! met. An approved request for a session becomes a [`Grant`]; an approved request for one action (a
//! statement, later an exec or an HTTP call) releases exactly that action, once.
//!
//! What reviewers see and sign is the [`Subject`]: one JSON text, made once and never encoded again,
//! so that everybody who checks hashes the very same bytes.

pub mod grant;
pub mod kinship;
pub mod machine;
pub mod request;
pub mod review;
pub mod shape;
pub mod subject;
pub mod threshold;

pub use grant::{Grant, GrantState};
pub use kinship::Marks;
pub use machine::{Life, Misstep, Purpose, Step, Voice};
pub use request::{ReleasedBy, Request, RequestState};
pub use review::{Decision, Review, Standing};
pub use shape::{Literal, Shape};
pub use subject::{DeedSubject, Ground, SessionSubject, Subject, SubjectError, SubjectText, What, digest_of};
pub use threshold::{Need, Reviewers, Threshold, ThresholdError};
