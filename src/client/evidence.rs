//! One session's record in one file, which anybody can verify: no network, no login, nothing but the ledger's key.
//!
//! JSON Lines, each of at most [`MAX_LINE`] bytes and written in one way only:
//!
//! ```text
//! {"header":{"proof":"hoopctl-proof/1","session":ID,"key":VERIFIER KEY,"checkpoint":SIGNED NOTE}}
//! {"entry":{"index":7,"bytes":THE ENTRY,"proof":[HASH, …]}}      one for each entry, in order
//! {"chunk":{"bytes":BASE64}}                                     behind the entry that holds its digest
//! {"end":{"lines":9,"sha256":HEX}}                               of all lines before it
//! ```
//!
//! Job: which entries a session's story takes (`choice`), writing the file and verifying it as it is read. Boundary:
//! files and words come from above; which witnesses must have signed the checkpoint is asked there as well. Failure mode:
//! [`EvidenceError`] with the first line that is wrong. `end` finds accidents; everything else is proven under the
//! checkpoint. A kind of line or a member that is not known here is refused: what selected columns would
//! take (commitments to cells, which no chunk has yet) comes with a new number behind `hoopctl-proof/`.

mod choice;
mod reader;
mod writer;

use std::io;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use choice::Choice;
pub use reader::{ProofFile, Shown};
pub use writer::ProofWriter;

use crate::domain::name::{Digest, SessionId};
use crate::ledger::checkpoint::CheckpointError;
use crate::ledger::note::NoteError;
use crate::ledger::verify::Broken;
use crate::recording::chunk::ChunkError;

/// How long a line may be, in bytes, without its end.
pub const MAX_LINE: usize = 4 << 20;

/// A file that is not believed.
#[derive(Debug, Error)]
#[error("line {line}: {fault}")]
pub struct EvidenceError {
    /// The first line that is wrong, counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What can be wrong with a line.
#[derive(Debug, Error)]
pub enum Fault {
    /// The lines before it are not those that were written.
    #[error("the lines before it are not those that were written")]
    Altered,
    /// The entry is not in the ledger, or does not fit those before it.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The checkpoint is not believed.
    #[error("the checkpoint cannot be believed: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The chunk's bytes are not those that were entered.
    #[error("the chunk is not what entry {0} holds")]
    Chunk(u64),
    /// The chunk is what was entered, and cannot be read.
    #[error(transparent)]
    ChunkUnread(#[from] ChunkError),
    /// Lines before it are missing, or there are more.
    #[error("it counts {said} lines before it, and there are {found}")]
    Count {
        /// How many it counts.
        said: u64,
        /// How many there are.
        found: u64,
    },
    /// It should be there.
    #[error("it is missing: the file was cut")]
    Cut,
    /// The file goes on after its end.
    #[error("it stands behind the end of the file")]
    Excess,
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Io(io::Error),
    /// The key in the header is none.
    #[error("the ledger's key: {0}")]
    Key(NoteError),
    /// It is not JSON of the shape of its kind.
    #[error("it is not a line of a proof: {0}")]
    Malformed(String),
    /// It does not stand where it may.
    #[error("it does not belong there: {0}")]
    Misplaced(&'static str),
    /// It says what it says in another way than the one.
    #[error("it is not written as hoopctl writes it")]
    NotCanonical,
    /// An entry stands before one that comes earlier in the ledger.
    #[error("entry {index} does not come after entry {before}")]
    Order {
        /// Its index.
        index: u64,
        /// That of the entry before.
        before: u64,
    },
    /// It is too long.
    #[error("it is longer than {MAX_LINE} bytes")]
    TooLong,
    /// It ends in the middle.
    #[error("it ends in the middle: the file was cut")]
    Torn,
    /// The story has no beginning.
    #[error("nothing before it shows how the session was opened")]
    Unopened,
    /// A later version wrote the file.
    #[error("the file has the form `{0}`, which this version does not know")]
    UnknownVersion(String),
}

/// A line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    Chunk(ChunkLine),
    End(EndLine),
    Entry(EntryLine),
    Header(HeaderLine),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderLine {
    proof: String,
    session: SessionId,
    /// As [`crate::ledger::note::VerifierKey`] is written.
    key: String,
    /// The signed head, with the cosignatures that there are.
    checkpoint: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryLine {
    index: u64,
    bytes: String,
    /// From the leaf up, in base64.
    proof: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChunkLine {
    /// In base64.
    bytes: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndLine {
    /// How many there are before this one.
    lines: u64,
    /// Of their bytes.
    sha256: Digest,
}

const FORM: &str = "hoopctl-proof/1";
