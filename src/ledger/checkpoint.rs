//! The signed head of a log (C2SP `tlog-checkpoint`).
//!
//! Job: origin, size and root as a signed note and back. Boundary: text only. Failure mode: a
//! checkpoint that is not signed by the log's key, or speaks of another log, is an error.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use super::note::{NoteError, Signer, VerifierKey};
use super::tree::Hash;

/// How many entries the log has, and the root over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// How many entries.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
}

/// What is wrong with a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// The note is wrong.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// It speaks of another log.
    #[error("it is of the log `{0}`")]
    Origin(String),
    /// The text is not a checkpoint.
    #[error("its text is not a checkpoint")]
    Text,
}

impl Checkpoint {
    /// The checkpoint as a note, signed in the name of the log.
    #[must_use]
    pub fn sign(&self, signer: &Signer) -> String {
        signer.sign(&self.text(signer.verifier().name()))
    }

    /// What is signed of it: the text of its note, with the final newline.
    #[must_use]
    pub fn text(&self, origin: &str) -> String {
        format!("{origin}\n{}\n{}\n", self.size, self.root)
    }

    /// Opens a note.
    ///
    /// # Errors
    /// [`CheckpointError`]: it must not be believed then.
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, CheckpointError> {
        let (origin, checkpoint) = Self::read(key.open(note)?)?;
        if origin != key.name() {
            return Err(CheckpointError::Origin(origin.chars().take(200).collect()));
        }
        Ok(checkpoint)
    }

    /// Reads the text of a checkpoint that nobody has vouched for yet: the log's origin, and what it says.
    ///
    /// # Errors
    /// [`CheckpointError::Text`].
    pub fn read(text: &str) -> Result<(&str, Self), CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::Text)?.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(CheckpointError::Text);
        };
        let parsed: u64 = size.parse().map_err(|_| CheckpointError::Text)?;
        if origin.is_empty() || parsed.to_string() != size || lines.any(str::is_empty) {
            return Err(CheckpointError::Text);
        }
        let root = STANDARD.decode(root).map_err(|_| CheckpointError::Text)?;
        let root = <[u8; 32]>::try_from(root).map_err(|_| CheckpointError::Text)?;
        Ok((origin, Self { size: parsed, root: Hash::new(root) }))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::{Checkpoint, CheckpointError};
    use crate::ledger::note::Signer;
    use crate::ledger::tree::Hash;

    #[test]
    fn a_checkpoint_has_the_three_lines_and_opens_again() {
        let signer = Signer::new("example.org/log", &[1; 32]).unwrap();
        let checkpoint = Checkpoint { size: 0, root: Hash::empty() };
        let note = checkpoint.sign(&signer);
        let text = "example.org/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n";
        assert!(note.starts_with(text), "{note}");
        assert_eq!(Checkpoint::open(&note, signer.verifier()), Ok(checkpoint));
    }

    #[test]
    fn texts_that_are_not_checkpoints_are_refused_although_signed() {
        let signer = Signer::new("log", &[1; 32]).unwrap();
        let open = |text: &str| Checkpoint::open(&signer.sign(text), signer.verifier());
        let root = Hash::empty();
        assert_eq!(open(&format!("other\n1\n{root}\n")), Err(CheckpointError::Origin("other".into())));
        for text in [
            format!("log\n01\n{root}\n"),
            format!("log\n+1\n{root}\n"),
            "log\n1\n".to_owned(),
            "log\n1\nAAAA\n".to_owned(),
        ] {
            assert_eq!(open(&text), Err(CheckpointError::Text), "{text}");
        }
    }
}
