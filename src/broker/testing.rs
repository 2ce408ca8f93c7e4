//! What the broker's tests stand on: a clock to move, an issuer to forge with, a journal to break.

mod bench;
mod configuration;
mod hand;
mod issuer;
mod stand_ins;
mod user;

pub(crate) use self::bench::{Bench, exchange_request};
pub(crate) use self::configuration::{config, target};
pub(crate) use self::hand::Hand;
pub(crate) use self::issuer::{CLIENT, ISSUER, Issuer, USERINFO_TOKEN, Wire};
pub(crate) use self::stand_ins::{Echo, Lender, Memory, Shelf};
pub(crate) use self::user::{Answer, User};

/// What webhooks are signed with.
pub(crate) const HOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// A policy that permits everything.
pub(crate) const PERMIT_ALL: &str = "@id(\"all\") permit(principal, action, resource);";
