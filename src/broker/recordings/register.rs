//! Where the ledger speaks of chunks.
//!
//! Job: for each chunk the index of its entry, noted beside the recording when it was entered, as
//! `SESSION/CONNECTION.entries` (eight bytes for each chunk). Boundary: a note is never believed, it
//! only says where to look: what is handed out is what the entry there says, with the proof that the
//! entry is under the signed head. Failure mode: notes that are missing, torn or wrong are found anew
//! by reading the ledger once; what was never entered is not handed out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::{MAX_CONNECTIONS, RecordingsError, io, place};
use crate::broker::ledger::DirectoryFiles;
use crate::domain::event::What;
use crate::domain::name::{Digest, SessionId};
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::entry::decode;
use crate::ledger::note::VerifierKey;
use crate::ledger::proof::{Prover, bundle, entries};
use crate::ledger::tile::{CHECKPOINT, WIDTH};
use crate::ledger::verify::Files as _;
use crate::wire::control::ChunkProof;

/// The notes about one connection's chunks, as they are made.
#[derive(Debug)]
pub(super) struct Notes(Option<File>);

impl Notes {
    pub(super) fn new(dir: &Path, connection: u32) -> Self {
        Self(open(dir, connection).ok())
    }

    /// Notes where a chunk was entered. What cannot be noted is looked for when it is asked for.
    pub(super) fn note(&self, chunk: u32, index: u64) {
        if let Some(file) = &self.0 {
            drop(file.write_all_at(&index.to_be_bytes(), u64::from(chunk) * NOTE));
        }
    }
}

/// Finds entries about chunks.
#[derive(Debug)]
pub(super) struct Register {
    ledger: DirectoryFiles,
    key: VerifierKey,
    /// The ledger is read as a whole by one at a time.
    reading: Mutex<()>,
}

/// An entry about a chunk.
struct Entered {
    index: u64,
    entry: Vec<u8>,
    digest: Digest,
}

/// Connection and chunk.
type At = (u32, u32);

impl Register {
    pub(super) fn new(ledger: DirectoryFiles, key: VerifierKey) -> Self {
        Self { ledger, key, reading: Mutex::new(()) }
    }

    /// Whether the signed head covers everything that is noted in a session's directory.
    pub(super) fn is_covered(&self, dir: &Path) -> Result<bool, RecordingsError> {
        let size = self.head()?.map_or(0, |(_, head)| head.size);
        Ok(Noted::read(dir)?.0.into_values().all(|index| index < size))
    }

    /// For each connection of the session in `dir`, from 1, the digests of its chunks that the ledger holds, from 0.
    pub(super) fn index(&self, dir: &Path, session: &SessionId) -> Result<Vec<Vec<Digest>>, RecordingsError> {
        let mut connections: Vec<Vec<Digest>> = Vec::new();
        for ((connection, chunk), entered) in self.find(dir, session, None)? {
            while connections.len() < usize::try_from(connection).unwrap_or(usize::MAX) {
                connections.push(Vec::new());
            }
            let Some(chunks) = connections.last_mut() else { continue };
            let expected = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
            if chunk != expected {
                return Err(RecordingsError::Missing { connection, chunk: expected });
            }
            chunks.push(entered.digest);
        }
        Ok(connections)
    }

    /// The entry about one chunk, proven under the signed head.
    pub(super) fn proof(
        &self,
        dir: &Path,
        session: &SessionId,
        at: At,
    ) -> Result<Option<ChunkProof>, RecordingsError> {
        let Some((checkpoint, head)) = self.head()? else { return Ok(None) };
        let Some(Entered { index, entry, .. }) = self.find(dir, session, Some(at))?.remove(&at) else {
            return Ok(None);
        };
        let proof = Prover::new(&self.ledger, head.size)
            .inclusion(index)
            .map_err(|error| RecordingsError::ledger(&error))?;
        let (Some(proof), Ok(entry)) = (proof, String::from_utf8(entry)) else { return Ok(None) };
        let proof = proof.iter().map(ToString::to_string).collect();
        Ok(Some(ChunkProof { index, entry, proof, checkpoint }))
    }

    /// What the ledger holds of the chunks of a session, or of this one.
    fn find(
        &self,
        dir: &Path,
        session: &SessionId,
        only: Option<At>,
    ) -> Result<BTreeMap<At, Entered>, RecordingsError> {
        let Some((_, head)) = self.head()? else { return Ok(BTreeMap::new()) };
        let Noted(mut noted, stored) = Noted::read(dir)?;
        let mut wanted: BTreeSet<At> = noted.keys().copied().chain(stored).collect();
        if let Some(only) = only {
            noted.retain(|at, _| *at == only);
            wanted.retain(|at| *at == only);
        }
        let mut found = BTreeMap::new();
        let mut kept = Kept::default();
        for (at, index) in noted {
            // what came after the head is none of it yet
            if index >= head.size && index < UNSEEN {
                wanted.remove(&at);
            } else if let Some(entered) = self.entry(&mut kept, index, head.size)?
                && let Some((_, digest)) = about(&entered, session).filter(|(found, _)| *found == at)
            {
                wanted.remove(&at);
                found.insert(at, Entered { index, entry: entered, digest });
            }
        }
        if !wanted.is_empty() {
            self.search(dir, session, &wanted, &head, &mut found)?;
        }
        Ok(found)
    }

    /// Reads the whole ledger for what the notes do not say.
    fn search(
        &self,
        dir: &Path,
        session: &SessionId,
        wanted: &BTreeSet<At>,
        head: &Checkpoint,
        found: &mut BTreeMap<At, Entered>,
    ) -> Result<(), RecordingsError> {
        let Ok(_reading) = self.reading.try_lock() else { return Err(RecordingsError::Busy) };
        let mut missing = wanted.clone();
        let mut start = 0;
        while start < head.size && !missing.is_empty() {
            let bundle =
                bundle(&self.ledger, start, head.size).map_err(|error| RecordingsError::ledger(&error))?;
            for (index, entry) in entries(&bundle.unwrap_or_default(), start) {
                // most entries are about something else, and reading them costs more
                let text = std::str::from_utf8(entry).unwrap_or_default();
                if index >= head.size || !text.contains(session.as_str()) || !text.contains(KIND) {
                    continue;
                }
                if let Some((at, digest)) = about(entry, session)
                    && missing.remove(&at)
                {
                    Notes::new(dir, at.0).note(at.1, index);
                    found.insert(at, Entered { index, entry: entry.to_vec(), digest });
                }
            }
            start += WIDTH;
        }
        Ok(())
    }

    fn entry(&self, kept: &mut Kept, index: u64, size: u64) -> Result<Option<Vec<u8>>, RecordingsError> {
        if index >= size {
            return Ok(None);
        }
        if kept.0 != Some(index / WIDTH) {
            let bytes = bundle(&self.ledger, index, size).map_err(|error| RecordingsError::ledger(&error))?;
            *kept = Kept(Some(index / WIDTH), bytes.unwrap_or_default());
        }
        Ok(entries(&kept.1, index).find(|(at, _)| *at == index).map(|(_, entry)| entry.to_vec()))
    }

    fn head(&self) -> Result<Option<(String, Checkpoint)>, RecordingsError> {
        let Some(note) = self.ledger.read(CHECKPOINT).map_err(|error| RecordingsError::ledger(&error))?
        else {
            return Ok(None);
        };
        let note = String::from_utf8_lossy(&note).into_owned();
        let head = Checkpoint::open(&note, &self.key).map_err(|error| {
            RecordingsError::Ledger(format!("the checkpoint cannot be believed: {error}"))
        })?;
        Ok(Some((note, head)))
    }
}

/// The bundle that was read last, by its number.
#[derive(Default)]
struct Kept(Option<u64>, Vec<u8>);

/// What a session's directory says: notes, and chunks that are files.
struct Noted(BTreeMap<At, u64>, BTreeSet<At>);

impl Noted {
    fn read(dir: &Path) -> Result<Self, RecordingsError> {
        let (mut noted, mut stored) = (BTreeMap::new(), BTreeSet::new());
        let found = match std::fs::read_dir(dir) {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self(noted, stored)),
            Err(error) => return Err(io(dir)(error)),
        };
        for entry in found {
            let name = entry.map_err(io(dir))?.file_name();
            let Some(name) = name.to_str() else { continue };
            stored.extend(place(name));
            let connection = name.strip_suffix(SUFFIX).and_then(|number| number.parse::<u32>().ok());
            let Some(connection) = connection.filter(|number| (1..=MAX_CONNECTIONS).contains(number)) else {
                continue;
            };
            let file = File::open(dir.join(name)).map_err(io(dir))?;
            let mut bytes = Vec::new();
            file.take(MOST_NOTES).read_to_end(&mut bytes).map_err(io(dir))?;
            let indices = bytes.as_chunks::<8>().0.iter().copied().map(u64::from_be_bytes);
            noted.extend((0_u32..).zip(indices).map(|(chunk, index)| ((connection, chunk), index)));
        }
        Ok(Self(noted, stored))
    }
}

/// The chunk of the session that the entry is about, with its digest.
fn about(entry: &[u8], session: &SessionId) -> Option<(At, Digest)> {
    match decode(entry).ok()?.what {
        What::ChunkClosed { session: of, connection, chunk, digest, .. } if of == *session => {
            Some(((connection, chunk), digest))
        }
        _ => None,
    }
}

fn open(dir: &Path, connection: u32) -> std::io::Result<File> {
    let path: PathBuf = dir.join(format!("{connection}{SUFFIX}"));
    OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(path)
}

/// What the entry about a chunk has in it.
const KIND: &str = "\"type\":\"chunk-closed\"";
const SUFFIX: &str = ".entries";
/// The length of a note.
const NOTE: u64 = 8;
/// A connection's notes are no longer, in bytes: a million chunks.
const MOST_NOTES: u64 = NOTE << 20;
/// No ledger gets so far: a note beyond it is rubbish.
const UNSEEN: u64 = 1 << 48;
