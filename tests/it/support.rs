//! What the stories share: real servers, private homes.
#![expect(clippy::allow_attributes, reason = "which helpers are unused changes with each story")]
#![allow(dead_code, reason = "each story uses its own part of it")]

pub(crate) mod postgres;
