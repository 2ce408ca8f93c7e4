//! Recordings, and what the ledger holds of them.

use serde::{Deserialize, Serialize};

use crate::domain::name::Digest;
use crate::domain::session::Session;

/// What there is of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingIndex {
    /// The session.
    pub session: Session,
    /// For each connection, in order, the digests of its chunks, in order: those that the ledger holds.
    pub connections: Vec<Vec<Digest>>,
}

/// An entry of the ledger about a session, and what shows that it is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryProof {
    /// The entry's place in the ledger.
    pub index: u64,
    /// The entry as it was entered.
    pub entry: String,
    /// The inclusion proof of RFC 6962, hashes in base64.
    pub proof: Vec<String>,
    /// The signed head that it is proven under; empty where the caller has named the size of one that it holds.
    pub checkpoint: String,
}
