//! How a log changes its key.
//!
//! Job: the note by which one key hands over to the next, the chain of such notes, and a head that is signed by whatever
//! key followed the one that somebody trusts. The note (C2SP `signed-note`) has this text, and the signatures of both keys
//! and no others:
//!
//! ```text
//! hoopctl-key-rotation/1
//! ORIGIN                   the log's name, which is that of all its keys
//! INDEX                    the place of the entry `key-rotated` that holds the note
//! OLD                      the verifier key before
//! NEW                      the verifier key from here on
//! planned                  or `compromised`, when the old one may be known to others
//! ```
//!
//! The file `keys` of a log has all notes, the oldest first, with a blank line between. It is only a copy: a note counts once
//! the entry that it names has been seen to hold it. Boundary: text and files through [`Files`]. Failure mode:
//! [`RotationError`]; whoever cannot be led from a trusted key to the one that signs must not believe the head.

use std::fmt;

use thiserror::Error;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::note::{NoteError, Sign, SignError, VerifierKey, signature_lines, split};
use super::proof::{Prover, bundle, entries, proven};
use super::tile::{CHECKPOINT, KEYS};
use super::verify::{Broken, Files, Reason, VerifyError};
use crate::domain::event::What;

/// One key that takes the place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The place of the entry that holds the note.
    pub index: u64,
    /// The key before.
    pub old: VerifierKey,
    /// The key from here on.
    pub new: VerifierKey,
    /// Why.
    pub cause: Cause,
}

/// Why a key was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Others may know the old one: it signs nothing any more.
    Compromised,
    /// It was time. The old one may sign beside the new one for a while.
    Planned,
}

/// What is wrong with a rotation, or with a chain of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RotationError {
    /// A key that the log had before.
    #[error("it takes up a key that the log had before")]
    Again,
    /// Too many.
    #[error("a log has at most {MOST} keys")]
    Crowded,
    /// It is not about the key before.
    #[error("it does not follow the key before")]
    Loose,
    /// It is not written as one.
    #[error("it is not the note of a key's rotation")]
    Malformed,
    /// One of the two keys has not signed it, or somebody else has.
    #[error("it is not signed by the old and the new key: {0}")]
    Note(NoteError),
}

impl Rotation {
    /// The note, signed by both keys.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign(&self, old: &dyn Sign, new: &dyn Sign) -> Result<String, SignError> {
        let text = self.to_string();
        let lines = signature_lines(&text, &[old, new])?;
        Ok(format!("{text}\n{lines}"))
    }

    /// Opens a note.
    ///
    /// INVARIANT: what is opened was signed by both keys.
    ///
    /// # Errors
    /// [`RotationError`].
    pub fn open(note: &str) -> Result<Self, RotationError> {
        if note.len() > LONGEST_NOTE {
            return Err(RotationError::Malformed);
        }
        let (text, lines) = split(note).map_err(RotationError::Note)?;
        // more than the two would be room for anything
        if lines.count() != 2 {
            return Err(RotationError::Malformed);
        }
        let rotation = Self::read(text).ok_or(RotationError::Malformed)?;
        for key in [&rotation.old, &rotation.new] {
            key.open(note).map_err(RotationError::Note)?;
        }
        Ok(rotation)
    }

    /// What an entry says, whose place is `index`; `None` when it is about something else.
    ///
    /// # Errors
    /// It is a rotation whose note does not fit it.
    pub fn entered(index: u64, what: &What) -> Result<Option<Self>, RotationError> {
        let What::KeyRotated { old, new, proof } = what else { return Ok(None) };
        let rotation = Self::open(proof)?;
        let fits =
            rotation.index == index && rotation.old.to_string() == *old && rotation.new.to_string() == *new;
        if fits { Ok(Some(rotation)) } else { Err(RotationError::Loose) }
    }

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        if lines.next()? != MAGIC {
            return None;
        }
        let origin = lines.next()?;
        let index = lines.next()?.parse().ok()?;
        let old = VerifierKey::parse(lines.next()?).ok()?;
        let new = VerifierKey::parse(lines.next()?).ok()?;
        let cause = match lines.next()? {
            COMPROMISED => Cause::Compromised,
            PLANNED => Cause::Planned,
            _ => return None,
        };
        let rotation = Self { index, old, new, cause };
        let fits = rotation.new.name() == origin
            && rotation.old.name() == origin
            && rotation.old.as_bytes() != rotation.new.as_bytes()
            // there is one way to write it
            && rotation.to_string() == text;
        fits.then_some(rotation)
    }
}

/// The text that is signed.
impl fmt::Display for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = match self.cause {
            Cause::Compromised => COMPROMISED,
            Cause::Planned => PLANNED,
        };
        let Self { index, old, new, .. } = self;
        write!(f, "{MAGIC}\n{}\n{index}\n{old}\n{new}\n{cause}\n", old.name())
    }
}

/// The rotations of a log, the oldest first, each with its note. Each goes on from the one before, and no key comes twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain(Vec<(Rotation, String)>);

impl Chain {
    /// Parses the file.
    ///
    /// # Errors
    /// [`RotationError`].
    pub fn parse(file: &str) -> Result<Self, RotationError> {
        let mut chain = Self::default();
        if file.is_empty() {
            return Ok(chain);
        }
        if file.len() > LONGEST_FILE {
            return Err(RotationError::Crowded);
        }
        let mut parts = file.strip_suffix('\n').ok_or(RotationError::Malformed)?.split("\n\n");
        while let Some(text) = parts.next() {
            let lines = parts.next().ok_or(RotationError::Malformed)?;
            chain.push(format!("{text}\n\n{lines}\n"))?;
        }
        Ok(chain)
    }

    /// Reads the file of a log; the empty chain where there is none.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn of(files: &dyn Files) -> Result<Self, VerifyError> {
        let Some(file) = files.read(KEYS)? else { return Ok(Self::default()) };
        let file = std::str::from_utf8(&file).map_err(|_| RotationError::Malformed);
        Ok(file.and_then(Self::parse).map_err(|error| Broken { index: None, reason: Reason::Keys(error) })?)
    }

    /// Adds a note.
    ///
    /// # Errors
    /// It is none, or does not follow.
    pub fn push(&mut self, note: String) -> Result<(), RotationError> {
        let next = Rotation::open(&note)?;
        if self.0.len() >= MOST {
            return Err(RotationError::Crowded);
        }
        if let Some((last, _)) = self.0.last()
            && (last.new != next.old || last.index >= next.index)
        {
            return Err(RotationError::Loose);
        }
        if self.keys().any(|key| *key == next.new) {
            return Err(RotationError::Again);
        }
        self.0.push((next, note));
        Ok(())
    }

    /// The rotations, the oldest first.
    pub fn rotations(&self) -> impl DoubleEndedIterator<Item = &Rotation> {
        self.0.iter().map(|(rotation, _)| rotation)
    }

    /// The keys that the log had, the oldest first; none that are known of one whose key was never changed.
    pub fn keys(&self) -> impl Iterator<Item = &VerifierKey> {
        let first = self.0.first().map(|(rotation, _)| &rotation.old);
        first.into_iter().chain(self.rotations().map(|rotation| &rotation.new))
    }

    /// The last rotation.
    #[must_use]
    pub fn last(&self) -> Option<&Rotation> {
        self.rotations().next_back()
    }

    /// The key that signs what goes on from `key`: the last one, or `key` itself where the chain does not know it.
    #[must_use]
    pub fn in_force<'a>(&'a self, key: &'a VerifierKey) -> &'a VerifierKey {
        self.last().map(|last| &last.new).filter(|last| self.joins(key, last)).unwrap_or(key)
    }

    /// The key that was in force for the first `size` entries; `None` when it is not known.
    #[must_use]
    pub fn at(&self, size: u64) -> Option<&VerifierKey> {
        let before = self.rotations().take_while(|rotation| rotation.index < size).last();
        before.map(|rotation| &rotation.new).or_else(|| self.keys().next())
    }

    /// The key, and all others of the chain if it is one of them.
    pub fn family<'a>(&'a self, key: &'a VerifierKey) -> impl Iterator<Item = &'a VerifierKey> {
        let knows = self.keys().any(|known| known == key);
        std::iter::once(key).chain(self.keys().filter(move |other| knows && *other != key))
    }

    /// Whether both are keys of this chain, or the same.
    #[must_use]
    pub fn joins(&self, one: &VerifierKey, other: &VerifierKey) -> bool {
        self.family(one).any(|key| key == other)
    }

    /// That each note is the entry that it names, under a head.
    ///
    /// # Errors
    /// One is not, or a file that shows it cannot be read.
    pub fn prove(&self, files: &dyn Files, head: &Checkpoint) -> Result<(), VerifyError> {
        let prover = Prover::new(files, head.size);
        for rotation in self.rotations() {
            let index = rotation.index;
            let broken = |reason| Broken { index: Some(index), reason };
            if index >= head.size {
                return Err(broken(Reason::KeyUnentered).into());
            }
            let bundle = bundle(files, index, head.size)?.ok_or_else(|| broken(Reason::Missing))?;
            let entry = entries(&bundle, index).find(|(at, _)| *at == index);
            let (_, entry) = entry.ok_or_else(|| broken(Reason::Missing))?;
            let proof = prover.inclusion(index)?.ok_or_else(|| broken(Reason::Unproven))?;
            let event = proven(index, entry, &proof, head)?;
            if Rotation::entered(index, &event.what) != Ok(Some(rotation.clone())) {
                return Err(broken(Reason::KeyUnentered).into());
            }
        }
        Ok(())
    }
}

/// As the file.
impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (_, note)) in self.0.iter().enumerate() {
            let gap = if place == 0 { "" } else { "\n" };
            write!(f, "{gap}{note}")?;
        }
        Ok(())
    }
}

/// A head that a trusted key has signed, or one that followed it by the log's own word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    /// Size and root.
    pub checkpoint: Checkpoint,
    /// The head as a note.
    pub note: String,
    /// The key in force, which has signed it.
    pub key: VerifierKey,
    /// How keys followed each other. That the log holds the notes has not been seen yet.
    pub chain: Chain,
}

impl SignedHead {
    /// Reads the head of a log of which somebody trusts this key.
    ///
    /// # Errors
    /// There is none, it is not signed so, or a file cannot be read.
    pub fn read(files: &dyn Files, trusted: &VerifierKey) -> Result<Self, VerifyError> {
        let broken = |reason| Broken { index: None, reason };
        let note = files.read(CHECKPOINT)?.ok_or_else(|| broken(Reason::CheckpointMissing))?;
        let note = String::from_utf8(note).map_err(|_| broken(Reason::Checkpoint(CheckpointError::Text)))?;
        let chain = Chain::of(files)?;
        let key = chain.in_force(trusted).clone();
        let checkpoint = Checkpoint::open(&note, &key).map_err(|error| broken(Reason::Checkpoint(error)))?;
        Ok(Self { checkpoint, note, key, chain })
    }
}

/// Opens an older head, which any key of the chain may have signed, or `key` itself.
///
/// # Errors
/// None has: what `key` makes of it.
pub fn open_with_any(note: &str, key: &VerifierKey, chain: &Chain) -> Result<Checkpoint, CheckpointError> {
    let first = Checkpoint::open(note, key);
    if !matches!(first, Err(CheckpointError::Note(NoteError::Unsigned))) {
        return first;
    }
    let older = chain.family(key).find_map(|other| Checkpoint::open(note, other).ok());
    older.map_or(first, Ok)
}

/// How many keys a log may have had.
pub const MOST: usize = 256;
/// A name of 253 characters, two keys and two signatures.
const LONGEST_NOTE: usize = 4096;
const LONGEST_FILE: usize = MOST * LONGEST_NOTE;
const MAGIC: &str = "hoopctl-key-rotation/1";
const COMPROMISED: &str = "compromised";
const PLANNED: &str = "planned";

#[cfg(test)]
mod tests;
