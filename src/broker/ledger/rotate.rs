//! Gives a ledger another key.
//!
//! Job: enters, with the old key's and the new key's signatures, that the new one signs from here on. Boundary: the ledger
//! is opened for this alone; no broker runs meanwhile. Failure mode: what is entered counts, and nothing else does. Whoever
//! dies before has changed nothing, and whoever dies after is finished by the next opening.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::log::{Disk, RealDisk, frame};
use super::recover::{Mode, recover};
use super::signers::LedgerKeys;
use super::{LedgerError, publish::sync_dir};
use crate::domain::event::{Event, What};
use crate::domain::name::Digest;
use crate::ledger::entry::encode;
use crate::ledger::rotation::{Cause, Chain, Rotation};
use crate::ledger::tile::CHECKPOINT;
use crate::ledger::tree::Hash;

/// When and why a key is changed, and under which policy.
#[derive(Debug, Clone)]
pub struct Occasion {
    /// When.
    pub at: Timestamp,
    /// The digest of the policy in force.
    pub policy: Digest,
    /// Why.
    pub cause: Cause,
}

/// What became of the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The last rotation.
    pub rotation: Rotation,
    /// Whether it was this call that entered it.
    pub is_new: bool,
}

/// Makes `keys.key` the key of the ledger in `dir`, whose key is `keys.previous`. The new key is made when it is not there.
/// A ledger that has it already stays as it is.
///
/// # Errors
/// [`LedgerError`].
pub fn rotate(dir: &Path, keys: &LedgerKeys, occasion: &Occasion) -> Result<Rotated, LedgerError> {
    rotate_on(dir, keys, occasion, &(Arc::new(RealDisk) as Arc<dyn Disk>))
}

pub(super) fn rotate_on(
    dir: &Path,
    keys: &LedgerKeys,
    occasion: &Occasion,
    disk: &Arc<dyn Disk>,
) -> Result<Rotated, LedgerError> {
    let previous = keys.previous.as_ref().ok_or(LedgerError::NoPreviousKey)?;
    // a rotation makes no ledger
    if !dir.join(CHECKPOINT).exists() {
        return Err(LedgerError::CheckpointMissing);
    }
    // nobody else writes, or makes a key, for as long as this lives
    let recovered = recover(dir, "", keys, disk.as_ref(), Mode::Rotates)?;
    let (old, new) = (previous.load(None)?, keys.key.load(None)?);
    if recovered.signers.main.verifier() == new.verifier() {
        let rotation = recovered.chain.last().cloned().ok_or(LedgerError::SameKey)?;
        return Ok(Rotated { rotation, is_new: false });
    }
    if new.verifier().name() != old.verifier().name() {
        return Err(LedgerError::KeyName { log: old.verifier().name().to_owned() });
    }
    let rotation = Rotation {
        index: recovered.builder.size(),
        old: old.verifier().clone(),
        new: new.verifier().clone(),
        cause: occasion.cause,
    };
    let note = rotation.sign(old.as_ref(), new.as_ref())?;
    // whatever the chain would refuse must not be entered
    let mut chain: Chain = recovered.chain.clone();
    chain.push(note.clone())?;
    let what = What::KeyRotated { old: rotation.old.to_string(), new: rotation.new.to_string(), proof: note };
    let event = Event { at: occasion.at, actor: None, policy: occasion.policy.clone(), what };
    let (mut entry, mut batch) = (Vec::new(), Vec::new());
    encode(&event, &mut entry).map_err(|error| LedgerError::Edge(error.to_string()))?;
    frame(&mut batch, &entry, &Hash::leaf(&entry));
    let pending = super::log::pending(dir);
    let sink = &recovered.segment.sink;
    // from this write on the new key is the ledger's
    sink.append(&batch).and_then(|()| sink.sync()).map_err(LedgerError::io(&pending))?;
    sync_dir(&pending).map_err(LedgerError::io(&pending))?;
    drop(recovered);
    drop(recover(dir, "", keys, disk.as_ref(), Mode::Serves)?);
    Ok(Rotated { rotation, is_new: true })
}

#[cfg(test)]
mod tests;
