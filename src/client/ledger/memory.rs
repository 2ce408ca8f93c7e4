//! The key and the head that are remembered of a broker's ledger.
//!
//! Job: two files in the broker's place, which change together under a lock of their own; what contradicts them, kept
//! beside them. Boundary: compares nothing; whoever remembers a head has seen it to extend the one before. Failure
//! mode: what cannot be read is an error, never a first visit.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{Head, LedgerError};
use crate::client::home::{BrokerHome, HomeError, HomeLock};
use crate::ledger::checkpoint::{Checkpoint, CheckpointError};
use crate::ledger::note::{NoteError, VerifierKey};
use crate::ledger::rotation::MOST;

/// What is remembered of one broker's ledger.
#[derive(Debug, Clone)]
pub struct Memory {
    /// None where nothing can be kept: for as long as this process then.
    place: Option<BrokerHome>,
    own: Arc<Mutex<Option<Remembered>>>,
}

/// A key, and the head that the ledger must not go back behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The key.
    pub key: VerifierKey,
    /// Keys that it had before, as they were seen to follow each other.
    pub older: Vec<VerifierKey>,
    /// The head as a signed note, and read; none when only the key is known.
    pub head: Option<(String, Checkpoint)>,
}

impl Remembered {
    /// The head, read.
    #[must_use]
    pub fn kept(&self) -> Option<Checkpoint> {
        self.head.as_ref().map(|(_, kept)| *kept)
    }

    /// Whether this is its key, or one that it had before.
    #[must_use]
    pub fn has_key(&self, key: &VerifierKey) -> bool {
        self.key == *key || self.older.contains(key)
    }
}

/// Where what contradicted the memory is kept.
pub type Evidence = Option<PathBuf>;

impl Memory {
    /// What is remembered in `place`.
    #[must_use]
    pub fn new(place: Option<BrokerHome>) -> Self {
        Self { place, own: Arc::default() }
    }

    /// Whether it outlives this process.
    #[must_use]
    pub fn lasts(&self) -> bool {
        self.place.is_some()
    }

    /// What is remembered; nothing before the first visit.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self) -> Result<Option<Remembered>, LedgerError> {
        let Some(place) = &self.place else {
            return Ok(self.own.lock().unwrap_or_else(PoisonError::into_inner).clone());
        };
        let Some(key) = text(place, KEY)? else {
            // a head is worth nothing without the key that signed it, and is not written before it
            return if text(place, HEAD)?.is_some() { Err(LedgerError::Half) } else { Ok(None) };
        };
        let mut keys = key.lines().take(MOST + 1).map(VerifierKey::parse);
        let key = keys.next().unwrap_or(Err(NoteError::Key)).map_err(LedgerError::Key)?;
        let older = keys.collect::<Result<Vec<_>, _>>().map_err(LedgerError::Key)?;
        let head = match text(place, HEAD)? {
            Some(note) => {
                // whoever died while the key was changed has left the head that the key before had signed
                let opened = std::iter::once(&key).chain(&older).map(|key| Checkpoint::open(&note, key));
                let kept = opened.reduce(|first, next| if first.is_ok() { first } else { next.or(first) });
                let kept = kept.unwrap_or(Err(CheckpointError::Text)).map_err(LedgerError::Kept)?;
                Some((note, kept))
            }
            None => None,
        };
        Ok(Some(Remembered { key, older, head }))
    }

    /// Remembers a head that was found to extend what was remembered `before`; false, and nothing is written, when
    /// another command has remembered something else meanwhile.
    ///
    /// INVARIANT: a head is replaced only by a longer one that was held against that very head, and the key only by one
    /// that followed it in that log.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn advance(&self, before: Option<&Remembered>, head: &Head) -> Result<bool, LedgerError> {
        if before.is_some_and(|before| !head.has_key(&before.key)) {
            return Err(LedgerError::NamedKey);
        }
        let known = before.and_then(Remembered::kept);
        if known.is_some_and(|known| known.size >= head.checkpoint.size) {
            return Ok(true);
        }
        let next = Remembered {
            key: head.key.clone(),
            older: older(before, head),
            head: Some((head.note.clone(), head.checkpoint)),
        };
        let keys = keys_text(&next);
        let Some(place) = &self.place else {
            *self.own.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
            return Ok(true);
        };
        let _lock = lock(place)?;
        let now = self.read()?;
        if now.as_ref() != before {
            return Ok(false);
        }
        if now.is_none_or(|now| now.key != next.key) {
            // the key first: under it and those before it, either head can be read
            place.write(KEY, keys.as_bytes())?;
            place.write(HEAD, head.note.as_bytes())?;
            return Ok(true);
        }
        // one of a few seconds ago is nearly as good, should the machine go down
        place.write_for_now(HEAD, head.note.as_bytes())?;
        Ok(true)
    }

    /// Gives up what is remembered, and keeps it as evidence; where.
    ///
    /// # Errors
    /// When it cannot be kept or removed.
    pub fn forget(&self) -> Result<Evidence, LedgerError> {
        let Some(place) = &self.place else {
            self.own.lock().unwrap_or_else(PoisonError::into_inner).take();
            return Ok(None);
        };
        let _lock = lock(place)?;
        let mut files = Vec::new();
        for name in [KEY, HEAD] {
            files.extend(text(place, name)?.map(|text| (name, text)));
        }
        let kept = if files.is_empty() { None } else { keep(place, &files)? };
        // the head first: a key alone is a memory too
        for name in [HEAD, SHOWN, KEY] {
            place.remove(name)?;
        }
        Ok(kept)
    }

    /// Keeps what is remembered and what contradicts it; where. What cannot be kept changes nothing of the
    /// contradiction.
    #[must_use]
    pub fn witness(&self, before: Option<&Remembered>, shown: &[(&str, String)]) -> Evidence {
        let place = self.place.as_ref()?;
        let mut files = Vec::new();
        if let Some(before) = before {
            files.push((KEY, keys_text(before)));
            files.extend(before.head.as_ref().map(|(note, _)| (HEAD, note.clone())));
        }
        files.extend(shown.iter().cloned());
        keep(place, &files).unwrap_or_else(|error| {
            tracing::warn!(%error, "what contradicts the memory of the ledger cannot be kept");
            None
        })
    }

    /// When the broker last showed a head at all.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn shown(&self) -> Result<Option<Timestamp>, LedgerError> {
        let Some(place) = &self.place else { return Ok(None) };
        // whatever is in it, it was shown
        Ok(text(place, SHOWN)?.map(|text| text.trim().parse().unwrap_or(Timestamp::MIN)))
    }

    /// Remembers that the broker showed a head.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note_shown(&self, now: Timestamp) -> Result<(), LedgerError> {
        let Some(place) = &self.place else { return Ok(()) };
        Ok(place.write_for_now(SHOWN, now.to_string().as_bytes())?)
    }
}

/// The keys that come before that of a new head.
fn older(before: Option<&Remembered>, head: &Head) -> Vec<VerifierKey> {
    let Some(before) = before else { return Vec::new() };
    let step = (before.key != head.key).then_some(&before.key);
    step.into_iter().chain(&before.older).filter(|key| **key != head.key).take(MOST).cloned().collect()
}

/// As they are kept: the newest first.
fn keys_text(remembered: &Remembered) -> String {
    std::iter::once(&remembered.key).chain(&remembered.older).map(|key| format!("{key}\n")).collect()
}

/// Files in a folder that is named for what is in them, so that the same is kept once.
fn keep(place: &BrokerHome, files: &[(&str, String)]) -> Result<Evidence, HomeError> {
    let mut hasher = Sha256::new();
    for (name, text) in files {
        hasher.update(format!("{name} {}\n{text}", text.len()));
    }
    let name: String = hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let all = place.folder(&[EVIDENCE])?;
    let is_new = !all.join(&name).exists();
    let most = || std::fs::read_dir(&all).map_or(0, Iterator::count) >= MOST_EVIDENCE;
    // a broker that invents a new one for each visit fills no disk
    if is_new && most() {
        return Ok(Some(all));
    }
    let folder = place.folder(&[EVIDENCE, &name])?;
    for (name, text) in files {
        crate::client::home::write_private(&folder.join(name), text.as_bytes())?;
    }
    Ok(Some(folder))
}

/// A file that is there and not empty: one that is was lost when the machine went down.
fn text(place: &BrokerHome, name: &str) -> Result<Option<String>, HomeError> {
    let bytes = place.read(name)?.filter(|bytes| !bytes.is_empty());
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

fn lock(place: &BrokerHome) -> Result<HomeLock, HomeError> {
    // the credential's own is held for minutes while somebody signs in
    place.lock_of("ledger-lock")
}

/// The file in a broker's place with the key, and those before it.
const KEY: &str = "ledger-key";
/// The file in a broker's place with the head.
const HEAD: &str = "ledger-checkpoint";
/// The file in a broker's place with the time at which a head was shown.
const SHOWN: &str = "ledger-shown";
const EVIDENCE: &str = "evidence";
const MOST_EVIDENCE: usize = 100;

#[cfg(test)]
mod tests;
