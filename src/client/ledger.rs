//! What a client believes of a broker's ledger.
//!
//! Job: heads that are signed by the key that is remembered and do not go back behind the one that
//! is remembered, and what such a head proves of a recording. Boundary: who remembers a key or a
//! head is `audit verify`; where nobody did, the key is the broker's own word. Failure mode:
//! [`LedgerError`]; what is not proven is not believed.

use thiserror::Error;

use super::api::{Api, ApiError};
use super::home::{BrokerHome, HomeError};
use crate::domain::event::What;
use crate::domain::name::{Digest, SessionId};
use crate::ledger::checkpoint::{Checkpoint, CheckpointError};
use crate::ledger::note::{NoteError, VerifierKey};
use crate::ledger::proof::{MAX_PROOF, proven};
use crate::ledger::tile::KEY;
use crate::ledger::tree::Hash;
use crate::ledger::verify::{Broken, Reason};
use crate::wire::control::EntryProof;

/// The file in a broker's place with the head that was found good.
pub const CHECKPOINT_MEMORY: &str = "ledger-checkpoint";
/// The file in a broker's place with the key that was found good.
pub const KEY_MEMORY: &str = "ledger-key";

/// The key, and the head that the ledger must not go back behind.
#[derive(Debug)]
pub struct Trust {
    key: VerifierKey,
    kept: Option<Checkpoint>,
}

/// Why the ledger is not believed.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// The broker did not answer.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// It is broken.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// What is remembered cannot be read.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The key is none.
    #[error("the ledger's key cannot be read: {0}")]
    Key(#[from] NoteError),
}

/// What the ledger holds of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnteredChunk {
    /// The index of its entry.
    pub index: u64,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// How many bytes.
    pub bytes: u64,
}

impl Trust {
    /// What is remembered in `place`, and else the key that the broker gives.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn read(api: &Api, place: Option<&BrokerHome>) -> Result<Self, LedgerError> {
        let remembered = |name| place.map_or(Ok(None), |place| place.read(name));
        let key = match remembered(KEY_MEMORY)? {
            Some(key) => key,
            None => api.ledger_file(KEY).await?,
        };
        let key = VerifierKey::parse(String::from_utf8_lossy(&key).trim())?;
        let kept = remembered(CHECKPOINT_MEMORY)?
            .map(|note| Checkpoint::open(&String::from_utf8_lossy(&note), &key))
            .transpose()
            .map_err(|error| nowhere(Reason::Kept(error)))?;
        Ok(Self { key, kept })
    }

    /// The head that is remembered.
    #[must_use]
    pub fn kept(&self) -> Option<&Checkpoint> {
        self.kept.as_ref()
    }

    /// Reads a head.
    ///
    /// # Errors
    /// It is not signed by the key, or contradicts what is remembered as far as that shows without
    /// the tiles.
    pub fn head(&self, note: &[u8]) -> Result<Checkpoint, Broken> {
        let note =
            std::str::from_utf8(note).map_err(|_| nowhere(Reason::Checkpoint(CheckpointError::Text)))?;
        let head = Checkpoint::open(note, &self.key).map_err(|error| nowhere(Reason::Checkpoint(error)))?;
        match &self.kept {
            Some(kept) if kept.size > head.size => {
                let reason = Reason::RolledBack { kept: kept.size, found: head.size };
                Err(Broken { index: Some(head.size), reason })
            }
            Some(kept) if kept.size == head.size && kept.root != head.root => {
                Err(nowhere(Reason::Forked { kept: kept.size }))
            }
            _ => Ok(head),
        }
    }

    /// What a proof shows of a chunk.
    ///
    /// # Errors
    /// It shows nothing, or something else.
    pub fn chunk(
        &self,
        proof: &EntryProof,
        session: &SessionId,
        connection: u32,
        chunk: u32,
    ) -> Result<EnteredChunk, Broken> {
        let index = proof.index;
        let broken = |reason| Broken { index: Some(index), reason };
        let head = self.head(proof.checkpoint.as_bytes())?;
        let hashes: Option<Vec<Hash>> =
            proof.proof.iter().take(MAX_PROOF + 1).map(|hash| Hash::parse(hash)).collect();
        let hashes = hashes.ok_or_else(|| broken(Reason::Unproven))?;
        match proven(index, proof.entry.as_bytes(), &hashes, &head)?.what {
            What::ChunkClosed { session: of, connection: number, chunk: found, digest, bytes }
                if of == *session && number == connection && found == chunk =>
            {
                Ok(EnteredChunk { index, digest, bytes })
            }
            _ => Err(broken(Reason::OutOfPlace("it is not about this chunk"))),
        }
    }
}

fn nowhere(reason: Reason) -> Broken {
    Broken { index: None, reason }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use jiff::Timestamp;

    use super::Trust;
    use crate::domain::event::{Event, What};
    use crate::domain::name::{Digest, SessionId};
    use crate::ledger::checkpoint::Checkpoint;
    use crate::ledger::entry::encode;
    use crate::ledger::note::Signer;
    use crate::ledger::tree::{Hash, Tree, inclusion_proof};
    use crate::ledger::verify::Reason;
    use crate::wire::control::EntryProof;

    fn session() -> SessionId {
        SessionId::from_random([3; 16])
    }

    fn entry(chunk: u32) -> Vec<u8> {
        let digest = Digest::from_bytes(&[u8::try_from(chunk).unwrap(); 32]);
        let what = What::ChunkClosed { session: session(), connection: 1, chunk, digest, bytes: 9 };
        let policy = Digest::from_bytes(&[0; 32]);
        let mut bytes = Vec::new();
        encode(&Event { at: Timestamp::UNIX_EPOCH, actor: None, policy, what }, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_chunk_is_believed_only_for_a_proof_of_its_own_under_a_head_of_the_log() {
        let signer = Signer::new("log", &[1; 32]).unwrap();
        let mut tree = Tree::default();
        (0..5).for_each(|chunk| tree.push(Hash::leaf(&entry(chunk))));
        let head = Checkpoint { size: 5, root: tree.root() };
        let proof = |chunk: u32| EntryProof {
            index: u64::from(chunk),
            entry: String::from_utf8(entry(chunk)).unwrap(),
            proof: inclusion_proof(&tree, u64::from(chunk), 5).unwrap().iter().map(Hash::to_string).collect(),
            checkpoint: head.sign(&signer),
        };
        let trust = |kept| Trust { key: signer.verifier().clone(), kept };
        let refused =
            |trust: &Trust, proof: &EntryProof| trust.chunk(proof, &session(), 1, 2).unwrap_err().reason;
        let good = trust(None).chunk(&proof(2), &session(), 1, 2).unwrap();
        assert_eq!((good.index, good.bytes, good.digest), (2, 9, Digest::from_bytes(&[2; 32])));
        assert!(trust(Some(head)).chunk(&proof(2), &session(), 1, 2).is_ok());

        assert!(matches!(refused(&trust(None), &proof(3)), Reason::OutOfPlace(_)));
        let other = SessionId::from_random([4; 16]);
        assert!(matches!(
            trust(None).chunk(&proof(2), &other, 1, 2).unwrap_err().reason,
            Reason::OutOfPlace(_)
        ));
        let forged = EntryProof { entry: proof(2).entry.replace("0202", "0203"), ..proof(2) };
        assert_eq!(refused(&trust(None), &forged), Reason::Unproven);
        let long = EntryProof { proof: vec![Hash::empty().to_string(); 1000], ..proof(2) };
        assert_eq!(refused(&trust(None), &long), Reason::Unproven);
        let rubbish = EntryProof { proof: vec!["x".into()], ..proof(2) };
        assert_eq!(refused(&trust(None), &rubbish), Reason::Unproven);
        let elsewhere = Signer::new("log", &[2; 32]).unwrap();
        let swapped = EntryProof { checkpoint: head.sign(&elsewhere), ..proof(2) };
        assert!(matches!(refused(&trust(None), &swapped), Reason::Checkpoint(_)));
        let later = Checkpoint { size: 6, ..head };
        assert_eq!(refused(&trust(Some(later)), &proof(2)), Reason::RolledBack { kept: 6, found: 5 });
        let forked = Checkpoint { root: Hash::empty(), ..head };
        assert_eq!(refused(&trust(Some(forked)), &proof(2)), Reason::Forked { kept: 5 });
    }
}
