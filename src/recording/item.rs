//! What a recording holds.
//!
//! An item is a time, a kind and bytes. `Statement` and `Outcome` are the JSON of the types here;
//! `Answer` is protocol frames as the client was sent them. The field names are part of the frozen
//! chunk format: add to them, never change them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::event::VerdictWord;
use crate::domain::name::RuleName;

/// What an item of a recording is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ItemKind {
    /// JSON of a [`Statement`].
    Statement,
    /// Protocol frames as the client was sent them, after masking.
    Answer,
    /// JSON of an [`Outcome`].
    Outcome,
}

impl ItemKind {
    /// The kind's number in a chunk.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Statement => 1,
            Self::Answer => 2,
            Self::Outcome => 3,
        }
    }

    /// The kind with this number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Statement),
            2 => Some(Self::Answer),
            3 => Some(Self::Outcome),
            _ => None,
        }
    }
}

/// A statement that was judged, already redacted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Which statement of the connection, counted from 1; as in the ledger.
    pub number: u64,
    /// Its text, redacted, not cut.
    pub text: String,
    /// Its bind values as text, redacted; `None` for NULL.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Option<String>>,
    /// The answer.
    pub verdict: VerdictWord,
    /// The rule behind it.
    pub rule: RuleName,
    /// What was sent to the database, when it differs; redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<String>,
    /// When it was judged.
    pub at: Timestamp,
}

/// How a statement ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which statement of the connection, counted from 1.
    pub number: u64,
    /// How many rows the client was sent.
    pub rows: u64,
    /// The command tag, when it succeeded: `SELECT 20`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The error as the client was shown it, when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
