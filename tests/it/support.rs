//! What the stories share: real servers, private homes.
#![allow(dead_code, reason = "each story uses its own part of it")]

pub(crate) mod api;
pub(crate) mod broker;
pub(crate) mod client;
pub(crate) mod demo_api;
pub(crate) mod env;
pub(crate) mod postgres;
pub(crate) mod provider;
pub(crate) mod sshd;
pub(crate) mod terminal;

pub(crate) mod gateway;
pub(crate) mod house;
pub(crate) mod reviewer;
pub(crate) mod world;
