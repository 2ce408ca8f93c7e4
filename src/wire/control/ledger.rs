//! The ledger's head, for everybody who is logged in.

use serde::{Deserialize, Serialize};

/// `GET` with the query [`FROM`]: [`LedgerHead`]. For every login: it tells of no entry, only hashes.
pub const LEDGER_HEAD: &str = "/v1/ledger/head";
/// The query that names how many entries the ledger had when the caller last saw it.
pub const FROM: &str = "from";
/// The query that names the key that the caller remembers, by its id in hexadecimal digits: [`LedgerHead::rotations`] is
/// asked for.
pub const SINCE: &str = "since";
/// The query that names the size of the head under which an entry is to be proven.
pub const SIZE: &str = "size";

/// The ledger's head, and what shows that it goes on from an older one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerHead {
    /// The verifier key (C2SP `signed-note`).
    pub key: String,
    /// The signed head (C2SP `tlog-checkpoint`).
    pub checkpoint: String,
    /// The consistency proof of RFC 6962 from the size that was asked for, hashes in base64; empty from 0, and where
    /// the head has no more entries than that.
    pub proof: Vec<String>,
    /// How the key followed the one that was named, step by step; empty where none was named, or it is the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rotations: Vec<ShownRotation>,
}

/// An entry that changes the ledger's key, and what shows that it is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownRotation {
    /// The entry's place in the ledger.
    pub index: u64,
    /// The entry as it was entered.
    pub entry: String,
    /// The inclusion proof of RFC 6962 under the head, hashes in base64.
    pub proof: Vec<String>,
}
