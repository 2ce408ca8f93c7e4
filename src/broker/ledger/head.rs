//! The signed head, and what shows that it goes on from an older one.
//!
//! Made from the published files alone: nothing of the writer's is held meanwhile, and a proof takes a few tiles
//! however long the log is.

use thiserror::Error;

use super::DirectoryFiles;
use crate::ledger::checkpoint::{Checkpoint, CheckpointError};
use crate::ledger::note::VerifierKey;
use crate::ledger::proof::{Prover, bundle, entries};
use crate::ledger::rotation::Chain;
use crate::ledger::tile::CHECKPOINT;
use crate::ledger::tree::Hash;
use crate::ledger::verify::{Files as _, FilesError, VerifyError};
use crate::wire::control::{LedgerHead, ShownRotation};

/// Why there is no head to show.
#[derive(Debug, Error)]
pub enum HeadError {
    /// The checkpoint is not one of ours.
    #[error("the checkpoint cannot be believed: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// A file cannot be read.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// What is beside the log about its keys is not right.
    #[error("{0}")]
    Keys(String),
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

/// The signed head, that the log goes on from its first `from` entries, and how the key followed the one with the id `since`.
///
/// # Errors
/// [`HeadError`].
pub(in crate::broker) fn shown_head(
    files: &DirectoryFiles,
    key: &VerifierKey,
    from: u64,
    since: Option<&str>,
) -> Result<LedgerHead, HeadError> {
    let (checkpoint, head) = signed_head(files, key)?;
    let prover = Prover::new(files, head.size);
    let proof = prover.consistency(from, &head)?.ok_or(HeadError::Tiles)?;
    let mut rotations = Vec::new();
    if let Some(since) = since.filter(|since| *since != key.id()) {
        let chain = chain(files)?;
        let later = chain.rotations().skip_while(|rotation| rotation.old.id() != since);
        for index in later.map(|rotation| rotation.index) {
            rotations.push(rotated(files, &prover, index, head.size)?);
        }
    }
    Ok(LedgerHead { key: key.to_string(), checkpoint, proof: texts(&proof), rotations })
}

/// The entry of a rotation, with its proof.
fn rotated(
    files: &DirectoryFiles,
    prover: &Prover<'_>,
    index: u64,
    size: u64,
) -> Result<ShownRotation, HeadError> {
    let bundle = bundle(files, index, size)?.ok_or(HeadError::Tiles)?;
    let entry = entries(&bundle, index).find(|(at, _)| *at == index).ok_or(HeadError::Tiles)?;
    let entry = String::from_utf8(entry.1.to_vec()).map_err(|_| HeadError::Tiles)?;
    let proof = prover.inclusion(index)?.ok_or(HeadError::Tiles)?;
    Ok(ShownRotation { index, entry, proof: texts(&proof) })
}

fn chain(files: &DirectoryFiles) -> Result<Chain, HeadError> {
    Chain::of(files).map_err(|error| match error {
        VerifyError::Broken(broken) => HeadError::Keys(broken.to_string()),
        VerifyError::Files(error) => HeadError::Files(error),
    })
}

fn texts(proof: &[Hash]) -> Vec<String> {
    proof.iter().map(ToString::to_string).collect()
}
