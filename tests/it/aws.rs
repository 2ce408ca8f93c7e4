//! Accounts of AWS: credentials that are handed out, and calls that the gateway signs.

pub(crate) mod account;
mod credentials;
mod gateway;
mod on_ceph;
