//! The ledger's head, for everybody who is logged in.

use serde::{Deserialize, Serialize};

/// `GET` with the query [`FROM`]: [`LedgerHead`]. For every login: it tells of no entry, only hashes.
pub const LEDGER_HEAD: &str = "/v1/ledger/head";
/// The query that names how many entries the ledger had when the caller last saw it.
pub const FROM: &str = "from";
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
}
