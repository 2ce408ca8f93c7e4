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
    /// JSON of a [`Statement`]; of any deed, the text is what was judged.
    Statement,
    /// Protocol frames as the client was sent them, after masking.
    Answer,
    /// JSON of an [`Outcome`].
    Outcome,
    /// What a terminal or a command showed, after masking: the number of the deed (8 bytes, big-endian), a
    /// byte that is 1 for standard output and 2 for standard error, then the bytes.
    Screen,
    /// JSON of a [`Resize`].
    Resize,
    /// JSON of a [`Head`]: an HTTP message up to its body, redacted.
    Head,
    /// A piece of an HTTP body, after masking: the number of the deed (8 bytes, big-endian), a byte that is 1
    /// for the request's and 2 for the response's, then the bytes.
    Body,
}

impl ItemKind {
    /// The kind's number in a chunk.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Statement => 1,
            Self::Answer => 2,
            Self::Outcome => 3,
            Self::Screen => 4,
            Self::Resize => 5,
            Self::Head => 6,
            Self::Body => 7,
        }
    }

    /// The kind with this number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Statement),
            2 => Some(Self::Answer),
            3 => Some(Self::Outcome),
            4 => Some(Self::Screen),
            5 => Some(Self::Resize),
            6 => Some(Self::Head),
            7 => Some(Self::Body),
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

/// A terminal got another size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resize {
    /// The deed whose terminal it is, counted from 1.
    pub number: u64,
    /// Columns.
    pub columns: u32,
    /// Rows.
    pub rows: u32,
}

/// An HTTP message up to its body; values that are credentials are redacted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The deed, counted from 1.
    pub number: u64,
    /// The request line or the status line, without the version: `GET /v1/traces/7`, `200`.
    pub line: String,
    /// Names and values in order.
    pub headers: Vec<(String, String)>,
}

/// How a statement or another deed ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which statement of the connection, counted from 1.
    pub number: u64,
    /// How many rows the client was sent; of an HTTP answer its items, where the target counts them; bytes, of what has
    /// neither.
    pub rows: u64,
    /// The command tag, when it succeeded: `SELECT 20`; of other deeds `exit 0`, `200`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The error as the client was shown it, when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
