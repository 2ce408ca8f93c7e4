//! What entries say about the log's keys.
//!
//! Job: each entry that changes the key does so with a note of both, goes on from the key before, and leads to the key
//! that has signed the head; and each rotation that is claimed beside the log is one of its entries. Boundary: entries
//! whose bytes are already trusted, in order.

use super::{Broken, Reason};
use crate::domain::event::What;
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::note::VerifierKey;
use crate::ledger::rotation::{Rotation, RotationError, SignedHead};

/// The keys that were met so far.
pub(super) struct Keys {
    head: SignedHead,
    /// The key that somebody trusts.
    trusted: VerifierKey,
    met: Vec<Rotation>,
}

impl Keys {
    pub(super) fn new(head: SignedHead, trusted: &VerifierKey) -> Self {
        Self { head, trusted: trusted.clone(), met: Vec::new() }
    }

    /// Takes the next entry.
    pub(super) fn tell(&mut self, index: u64, what: &What) -> Result<(), Reason> {
        let found = Rotation::entered(index, what).map_err(Reason::KeyRotation)?;
        let claimed = self.head.chain.rotations().find(|rotation| rotation.index == index);
        if claimed.is_some() && found.as_ref() != claimed {
            return Err(Reason::KeyUnentered);
        }
        let Some(found) = found else { return Ok(()) };
        if self.met.last().is_some_and(|last| last.new != found.old) {
            return Err(Reason::KeyRotation(RotationError::Loose));
        }
        if self.met.iter().any(|before| before.old == found.new) {
            return Err(Reason::KeyRotation(RotationError::Again));
        }
        self.met.push(found);
        Ok(())
    }

    /// The key in force, and where it was changed.
    ///
    /// INVARIANT: from the key that is trusted to the one that has signed the head, every step is an entry of the log.
    pub(super) fn end(&mut self) -> Result<(VerifierKey, Vec<Rotation>), Broken> {
        let beyond = self.head.chain.rotations().find(|rotation| rotation.index >= self.head.checkpoint.size);
        if let Some(beyond) = beyond {
            return Err(Broken { index: Some(beyond.index), reason: Reason::KeyUnentered });
        }
        let met = std::mem::take(&mut self.met);
        let Some(last) = met.last() else { return Ok((self.head.key.clone(), met)) };
        let is_known =
            met.iter().any(|rotation| rotation.old == self.trusted || rotation.new == self.trusted);
        let has_signed = last.new == self.head.key || Checkpoint::open(&self.head.note, &last.new).is_ok();
        if is_known && has_signed {
            return Ok((last.new.clone(), met));
        }
        Err(Broken { index: Some(last.index), reason: Reason::KeyForeign })
    }
}
