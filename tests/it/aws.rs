//! Accounts of AWS: credentials that are handed out, and calls that are signed anew.

mod account;
mod credentials;
