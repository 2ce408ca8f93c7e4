//! What a client believes of a broker's ledger.
//!
//! Job: remembers the key and the last head (`memory`), looks whether the ledger goes on from there at each visit
//! (`lookout`), and reads what is proven under such a head of sessions and recordings. Boundary: who is told, and what
//! happens then, is decided above. Failure mode: [`LedgerError`]; what is not proven is not believed.

pub mod lookout;
pub mod memory;

use thiserror::Error;

use self::lookout::Contradiction;
use self::memory::Evidence;
use super::api::ApiError;
use super::home::HomeError;
use super::link::LinkError;
use super::login::LoginError;
use crate::domain::event::What;
use crate::domain::name::{Digest, SessionId};
use crate::domain::session::CloseReason;
use crate::ledger::checkpoint::{Checkpoint, CheckpointError};
use crate::ledger::note::{NoteError, VerifierKey};
use crate::ledger::proof::{MAX_PROOF, proven};
use crate::ledger::tree::Hash;
use crate::ledger::verify::{Broken, Reason};
use crate::wire::control::EntryProof;

/// A head that the key has signed and that extends what was remembered when it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    key: VerifierKey,
    /// Keys that it had before, as far as the log leads back; in any order.
    older: Vec<VerifierKey>,
    checkpoint: Checkpoint,
    note: String,
}

/// Why the ledger is not believed.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// The broker did not answer.
    #[error(transparent)]
    Api(ApiError),
    /// It is broken.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// It is not the one that is remembered. Where both are kept.
    #[error("{0}")]
    Contradicted(Contradiction, Evidence),
    /// Other commands of the same user changed the memory again and again.
    #[error("other commands remember new heads of the ledger all the time; try again")]
    Crowded,
    /// A head is remembered, and not its key.
    #[error("what is remembered of the broker's ledger is not whole: its key is missing")]
    Half,
    /// What is remembered cannot be read or written.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The remembered head is not signed by the remembered key.
    #[error("what is remembered of the broker's ledger cannot be believed: {0}")]
    Kept(CheckpointError),
    /// The remembered key is none.
    #[error("the key that is remembered of the broker's ledger cannot be read: {0}")]
    Key(NoteError),
    /// The key that somebody named is not the one that is remembered.
    #[error("the key that was named is not the one that is remembered of this broker's ledger")]
    NamedKey,
}

impl From<ApiError> for LedgerError {
    /// A ledger that was not believed when the login was renewed for the call is that, and no mere failure of the call.
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Login(LoginError::Ledger(error)) => *error,
            other => Self::Api(other),
        }
    }
}

impl From<LinkError> for LedgerError {
    fn from(error: LinkError) -> Self {
        Self::Api(error.into())
    }
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

/// What the ledger holds of a session's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnteredEnd {
    /// Why it ended.
    pub reason: CloseReason,
    /// How many connections it had; nobody could count them when the broker was killed.
    pub connections: u32,
}

impl Head {
    /// A head out of a log that was found good, with the key that has signed it.
    ///
    /// # Errors
    /// It has not.
    pub fn open(key: &VerifierKey, note: &[u8]) -> Result<Self, Broken> {
        let believed = |note: &str| Checkpoint::open(note, key);
        let note = std::str::from_utf8(note).map_err(|_| CheckpointError::Text);
        let opened = note.and_then(|note| Ok((note, believed(note)?)));
        let (note, checkpoint) =
            opened.map_err(|error| Broken { index: None, reason: Reason::Checkpoint(error) })?;
        Ok(Self { key: key.clone(), older: Vec::new(), checkpoint, note: note.into() })
    }

    /// The same of a log whose keys were seen to follow each other in it, the last of them this head's own: whoever
    /// remembers another of them is led here.
    #[must_use]
    pub fn with_keys<'k>(self, keys: impl IntoIterator<Item = &'k VerifierKey>) -> Self {
        let older = keys.into_iter().filter(|key| **key != self.key).cloned().collect();
        Self { older, ..self }
    }

    /// Whether this is its key, or one that it had before.
    #[must_use]
    pub fn has_key(&self, key: &VerifierKey) -> bool {
        self.key == *key || self.older.contains(key)
    }

    /// Size and root.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The key that signed it.
    #[must_use]
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// As a signed note.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
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
        match self.entry(proof)? {
            What::ChunkClosed { session: of, connection: number, chunk: found, digest, bytes }
                if of == *session && number == connection && found == chunk =>
            {
                Ok(EnteredChunk { index: proof.index, digest, bytes })
            }
            _ => Err(misplaced(proof, "it is not about this chunk")),
        }
    }

    /// What a proof shows of the end of a connection: how many chunks it has.
    ///
    /// # Errors
    /// It shows nothing, or something else.
    pub fn connection_end(
        &self,
        proof: &EntryProof,
        session: &SessionId,
        connection: u32,
    ) -> Result<u32, Broken> {
        match self.entry(proof)? {
            What::ConnectionClosed { session: of, connection: number, chunks, .. }
                if of == *session && number == connection =>
            {
                Ok(chunks)
            }
            _ => Err(misplaced(proof, "it is not about the end of this connection")),
        }
    }

    /// What a proof shows of the end of a session.
    ///
    /// # Errors
    /// It shows nothing, or something else.
    pub fn session_end(&self, proof: &EntryProof, session: &SessionId) -> Result<EnteredEnd, Broken> {
        match self.entry(proof)? {
            What::SessionClosed { session: of, reason, connections, .. } if of == *session => {
                Ok(EnteredEnd { reason, connections })
            }
            _ => Err(misplaced(proof, "it is not about the end of this session")),
        }
    }

    fn entry(&self, proof: &EntryProof) -> Result<What, Broken> {
        let hashes: Option<Vec<Hash>> =
            proof.proof.iter().take(MAX_PROOF + 1).map(|hash| Hash::parse(hash)).collect();
        let unproven = || Broken { index: Some(proof.index), reason: Reason::Unproven };
        let hashes = hashes.ok_or_else(unproven)?;
        Ok(proven(proof.index, proof.entry.as_bytes(), &hashes, &self.checkpoint)?.what)
    }
}

fn misplaced(proof: &EntryProof, why: &'static str) -> Broken {
    Broken { index: Some(proof.index), reason: Reason::OutOfPlace(why) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use jiff::Timestamp;

    use super::{EnteredEnd, Head};
    use crate::domain::event::{Event, What};
    use crate::domain::name::{Digest, SessionId};
    use crate::domain::session::CloseReason;
    use crate::ledger::checkpoint::Checkpoint;
    use crate::ledger::entry::encode;
    use crate::ledger::note::Signer;
    use crate::ledger::tree::{Hash, Tree, inclusion_proof};
    use crate::ledger::verify::Reason;
    use crate::wire::control::EntryProof;

    fn session(number: u8) -> SessionId {
        SessionId::from_random([number; 16])
    }

    fn entry(number: u32) -> Vec<u8> {
        let what = match number {
            5 => What::ConnectionClosed {
                session: session(3),
                connection: 1,
                statements: 0,
                rows: 0,
                chunks: 5,
            },
            6 => What::SessionClosed {
                session: session(3),
                reason: CloseReason::ClientEnded,
                statements: 0,
                connections: 1,
            },
            chunk => {
                let digest = Digest::from_bytes(&[u8::try_from(chunk).unwrap(); 32]);
                What::ChunkClosed { session: session(3), connection: 1, chunk, digest, bytes: 9 }
            }
        };
        let policy = Digest::from_bytes(&[0; 32]);
        let mut bytes = Vec::new();
        encode(&Event { at: Timestamp::UNIX_EPOCH, actor: None, policy, what }, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_said_of_a_session_is_believed_only_for_a_proof_of_its_own_under_the_one_head() {
        let signer = Signer::new("log", &[1; 32]).unwrap();
        let mut tree = Tree::default();
        (0..7).for_each(|number| tree.push(Hash::leaf(&entry(number))));
        let signed = |checkpoint: Checkpoint| {
            Head::open(signer.verifier(), checkpoint.sign(&signer).as_bytes()).unwrap()
        };
        let head = signed(Checkpoint { size: 7, root: tree.root() });
        let proof = |number: u32| EntryProof {
            index: u64::from(number),
            entry: String::from_utf8(entry(number)).unwrap(),
            proof: inclusion_proof(&tree, u64::from(number), 7)
                .unwrap()
                .iter()
                .map(Hash::to_string)
                .collect(),
            checkpoint: String::new(),
        };
        let good = head.chunk(&proof(2), &session(3), 1, 2).unwrap();
        assert_eq!((good.index, good.bytes, good.digest), (2, 9, Digest::from_bytes(&[2; 32])));
        assert_eq!(head.connection_end(&proof(5), &session(3), 1), Ok(5));
        let end = EnteredEnd { reason: CloseReason::ClientEnded, connections: 1 };
        assert_eq!(head.session_end(&proof(6), &session(3)), Ok(end));

        let refused = |proof: &EntryProof| head.chunk(proof, &session(3), 1, 2).unwrap_err().reason;
        for wrong in [3, 5, 6] {
            assert!(matches!(refused(&proof(wrong)), Reason::OutOfPlace(_)), "{wrong}");
        }
        let elsewhere = [
            head.chunk(&proof(2), &session(4), 1, 2).map(drop),
            head.chunk(&proof(2), &session(3), 2, 2).map(drop),
            head.connection_end(&proof(5), &session(4), 1).map(drop),
            head.connection_end(&proof(5), &session(3), 2).map(drop),
            head.connection_end(&proof(6), &session(3), 1).map(drop),
            head.session_end(&proof(6), &session(4)).map(drop),
            head.session_end(&proof(5), &session(3)).map(drop),
        ];
        for (number, refused) in elsewhere.into_iter().enumerate() {
            assert!(matches!(refused.unwrap_err().reason, Reason::OutOfPlace(_)), "{number}");
        }
        let forged = EntryProof { entry: proof(2).entry.replace("0202", "0203"), ..proof(2) };
        assert_eq!(refused(&forged), Reason::Unproven);
        let long = EntryProof { proof: vec![Hash::empty().to_string(); 1000], ..proof(2) };
        assert_eq!(refused(&long), Reason::Unproven);
        let rubbish = EntryProof { proof: vec!["x".into()], ..proof(2) };
        assert_eq!(refused(&rubbish), Reason::Unproven);
        // what another head proves is not what this one does
        for other in [Checkpoint { size: 7, root: Hash::empty() }, Checkpoint { size: 2, root: tree.root() }]
        {
            let refused = signed(other).chunk(&proof(2), &session(3), 1, 2).unwrap_err().reason;
            assert_eq!(refused, Reason::Unproven);
        }
    }
}
