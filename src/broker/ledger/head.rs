//! The signed head, and what shows that it goes on from an older one.
//!
//! Made from the published files alone: nothing of the writer's is held meanwhile, and a proof takes a few tiles
//! however long the log is.

use thiserror::Error;

use super::DirectoryFiles;
use crate::ledger::checkpoint::{Checkpoint, CheckpointError};
use crate::ledger::note::VerifierKey;
use crate::ledger::proof::Prover;
use crate::ledger::tile::CHECKPOINT;
use crate::ledger::verify::{Files as _, FilesError};
use crate::wire::control::LedgerHead;

/// Why there is no head to show.
#[derive(Debug, Error)]
pub enum HeadError {
    /// The checkpoint is not one of ours.
    #[error("the checkpoint cannot be believed: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// A file cannot be read.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// There is no checkpoint.
    #[error("there is no checkpoint")]
    Missing,
    /// The tiles do not lead to the signed root.
    #[error("tiles are missing, or are not those of the signed checkpoint")]
    Tiles,
}

/// The signed head, as a note and read.
///
/// # Errors
/// [`HeadError`].
pub(in crate::broker) fn signed_head(
    files: &DirectoryFiles,
    key: &VerifierKey,
) -> Result<(String, Checkpoint), HeadError> {
    let note = files.read(CHECKPOINT)?.ok_or(HeadError::Missing)?;
    let note = String::from_utf8_lossy(&note).into_owned();
    let head = Checkpoint::open(&note, key)?;
    Ok((note, head))
}

/// The signed head, and that the log goes on from its first `from` entries.
///
/// # Errors
/// [`HeadError`].
pub(in crate::broker) fn shown_head(
    files: &DirectoryFiles,
    key: &VerifierKey,
    from: u64,
) -> Result<LedgerHead, HeadError> {
    let (checkpoint, head) = signed_head(files, key)?;
    let proof = Prover::new(files, head.size).consistency(from, &head)?.ok_or(HeadError::Tiles)?;
    Ok(LedgerHead {
        key: key.to_string(),
        checkpoint,
        proof: proof.iter().map(ToString::to_string).collect(),
    })
}
