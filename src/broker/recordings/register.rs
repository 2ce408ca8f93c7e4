//! Where the ledger speaks of sessions.
//!
//! Job: finds the entries about chunks, and about the ends of connections and sessions, by the notes that were made
//! when they were entered (`notes`). Boundary: a note is never believed: what is handed out is what the entry there
//! says, with the proof that the entry is under the signed head. Failure mode: notes that are missing, torn or wrong
//! are found anew by reading the ledger, each part of it once for a session for as long as the broker runs, whoever
//! asks how often; what was never entered is not handed out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::notes::{self, Mark};
use super::{MAX_CONNECTIONS, RecordingsError};
use crate::broker::ledger::{DirectoryFiles, HeadError, signed_head};
use crate::domain::event::What;
use crate::domain::name::{Digest, SessionId};
use crate::domain::session::CloseReason;
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::note::VerifierKey;
use crate::ledger::proof::{Prover, bundle, entries};
use crate::ledger::tile::WIDTH;
use crate::wire::control::EntryProof;

/// Finds entries about sessions.
#[derive(Debug)]
pub(super) struct Register {
    ledger: DirectoryFiles,
    key: VerifierKey,
    /// The ledger is searched by one at a time.
    pub(super) searching: Mutex<()>,
    searched: Mutex<HashMap<SessionId, Arc<Searched>>>,
    /// How many bundles were read in searches.
    #[cfg(test)]
    pub(super) bundles: std::sync::atomic::AtomicU64,
}

/// What a search has found of a session: kept, so that the ledger is read once for it.
#[derive(Debug, Clone, Default)]
struct Searched {
    /// Up to which entry.
    upto: u64,
    found: BTreeMap<Mark, u64>,
}

impl Register {
    pub(super) fn new(ledger: DirectoryFiles, key: VerifierKey) -> Self {
        Self {
            ledger,
            key,
            searching: Mutex::new(()),
            searched: Mutex::default(),
            #[cfg(test)]
            bundles: std::sync::atomic::AtomicU64::default(),
        }
    }

    /// Whether the signed head covers everything that is noted in a session's directory.
    pub(super) fn is_covered(&self, dir: &Path) -> Result<bool, RecordingsError> {
        let size = self.head()?.1.size;
        Ok(notes::all(dir)?.0.into_values().all(|index| index < size || index >= UNSEEN))
    }

    /// For each connection of the session in `dir`, from 1, the digests of its chunks that the ledger holds, from 0.
    /// Of a session that `has_closed`, the ledger says how many there are.
    pub(super) fn index(
        &self,
        dir: &Path,
        session: &SessionId,
        has_closed: bool,
    ) -> Result<Vec<Vec<Digest>>, RecordingsError> {
        let (_, head) = self.head()?;
        let mut known = self.gather(dir, session, &head)?;
        if !known.is_whole(has_closed) && self.search(session, head.size)? {
            known = self.gather(dir, session, &head)?;
        }
        let mut connections: Vec<Vec<Digest>> = Vec::new();
        for ((connection, chunk), digest) in known.chunks {
            while connections.len() < usize::try_from(connection).unwrap_or(usize::MAX) {
                connections.push(Vec::new());
            }
            let Some(chunks) = connections.last_mut() else { continue };
            let expected = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
            if chunk != expected {
                return Err(RecordingsError::Missing { connection, chunk: expected });
            }
            chunks.push(digest);
        }
        Ok(connections)
    }

    /// The entry about something of the session in `dir`, proven under the head of `size` entries, else under the
    /// newest.
    pub(super) fn proof(
        &self,
        dir: &Path,
        session: &SessionId,
        mark: Mark,
        size: Option<u64>,
    ) -> Result<Option<EntryProof>, RecordingsError> {
        let (checkpoint, head) = self.head()?;
        if size.is_some_and(|size| size > head.size) {
            return Ok(None);
        }
        let mut kept = Kept::default();
        let mut found = self.find(dir, session, mark, &mut kept, &head)?;
        if found.is_none() && self.search(session, head.size)? {
            found = self.find(dir, session, mark, &mut kept, &head)?;
        }
        let Some(Entered { index, entry, .. }) = found else { return Ok(None) };
        let proof = Prover::new(&self.ledger, head.size)
            .inclusion_under(index, size.unwrap_or(head.size))
            .map_err(|error| RecordingsError::ledger(&error))?;
        let (Some(proof), Ok(entry)) = (proof, String::from_utf8(entry)) else { return Ok(None) };
        let proof = proof.iter().map(ToString::to_string).collect();
        let checkpoint = if size.is_some() { String::new() } else { checkpoint };
        Ok(Some(EntryProof { index, entry, proof, checkpoint }))
    }

    /// What is known of a session without searching for it.
    fn gather(&self, dir: &Path, session: &SessionId, head: &Checkpoint) -> Result<Known, RecordingsError> {
        let (noted, stored) = notes::all(dir)?;
        let searched = self.searched(session);
        let marks: BTreeSet<Mark> = noted.into_keys().chain(searched.found.keys().copied()).collect();
        let mut known = Known { stored, ..Known::default() };
        let mut kept = Kept::default();
        for mark in marks {
            let Some(Entered { what, .. }) = self.find(dir, session, mark, &mut kept, head)? else {
                continue;
            };
            match (mark, what) {
                (Mark::Chunk(connection, chunk), What::ChunkClosed { digest, .. }) => {
                    known.chunks.insert((connection, chunk), digest);
                }
                (Mark::Connection(connection), What::ConnectionClosed { chunks, .. }) => {
                    known.ends.insert(connection, chunks);
                }
                // whoever found it left behind could not count
                (Mark::Session, What::SessionClosed { connections, reason, .. })
                    if reason != CloseReason::BrokerRestarted =>
                {
                    known.end = Some(connections);
                }
                _ => {}
            }
        }
        Ok(known)
    }

    /// The entry, by its note, else by what a search has found.
    fn find(
        &self,
        dir: &Path,
        session: &SessionId,
        mark: Mark,
        kept: &mut Kept,
        head: &Checkpoint,
    ) -> Result<Option<Entered>, RecordingsError> {
        let noted = self.entry(kept, notes::noted(dir, mark), session, mark, head)?;
        if noted.is_some() {
            return Ok(noted);
        }
        let Some(index) = self.searched(session).found.get(&mark).copied() else { return Ok(None) };
        let found = self.entry(kept, index, session, mark, head)?;
        if found.is_some() {
            notes::note(dir, mark, index);
        }
        Ok(found)
    }

    /// Reads what was not yet read of the ledger for what the notes do not say; whether anything was read.
    ///
    /// INVARIANT: no entry is looked at twice for one session, and for one session at a time.
    fn search(&self, session: &SessionId, size: u64) -> Result<bool, RecordingsError> {
        if self.searched(session).upto >= size {
            return Ok(false);
        }
        let Ok(_searching) = self.searching.try_lock() else { return Err(RecordingsError::Busy) };
        let before = self.searched(session);
        let mut searched = Searched::clone(&before);
        let read = self.read_on(session, size, &mut searched);
        let mut all = self.all_searched();
        if all.len() >= MOST_SEARCHED {
            all.clear();
        }
        // also what was read before something could not be
        all.insert(session.clone(), Arc::new(searched));
        drop(all);
        read.map(|()| before.upto < size)
    }

    fn read_on(
        &self,
        session: &SessionId,
        size: u64,
        searched: &mut Searched,
    ) -> Result<(), RecordingsError> {
        while searched.upto < size {
            let from = searched.upto;
            let bytes = bundle(&self.ledger, from, size).map_err(|error| RecordingsError::ledger(&error))?;
            #[cfg(test)]
            self.bundles.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            for (index, entry) in entries(&bytes.unwrap_or_default(), from) {
                if (from..size).contains(&index)
                    && let Some((mark, _)) = Mark::about(entry, session)
                {
                    searched.found.entry(mark).or_insert(index);
                }
            }
            searched.upto = (from / WIDTH * WIDTH).saturating_add(WIDTH).min(size);
        }
        Ok(())
    }

    /// The entry at `index`, if it is under the head and about this.
    fn entry(
        &self,
        kept: &mut Kept,
        index: u64,
        session: &SessionId,
        mark: Mark,
        head: &Checkpoint,
    ) -> Result<Option<Entered>, RecordingsError> {
        if index >= head.size {
            return Ok(None);
        }
        if kept.0 != Some(index / WIDTH) {
            let bytes =
                bundle(&self.ledger, index, head.size).map_err(|error| RecordingsError::ledger(&error))?;
            *kept = Kept(Some(index / WIDTH), bytes.unwrap_or_default());
        }
        let entry = entries(&kept.1, index).find(|(at, _)| *at == index).map(|(_, entry)| entry);
        let about = entry.and_then(|entry| Some((entry, Mark::about(entry, session)?)));
        Ok(about.filter(|(_, (found, _))| *found == mark).map(|(entry, (_, what))| Entered {
            index,
            entry: entry.to_vec(),
            what,
        }))
    }

    fn head(&self) -> Result<(String, Checkpoint), RecordingsError> {
        signed_head(&self.ledger, &self.key)
            .map_err(|error: HeadError| RecordingsError::Ledger(error.to_string()))
    }

    fn searched(&self, session: &SessionId) -> Arc<Searched> {
        self.all_searched().get(session).cloned().unwrap_or_default()
    }

    fn all_searched(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Searched>>> {
        self.searched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An entry about something of a session.
struct Entered {
    index: u64,
    entry: Vec<u8>,
    what: What,
}

/// The bundle that was read last, by its number.
#[derive(Default)]
struct Kept(Option<u64>, Vec<u8>);

/// What the ledger is known to hold of a session.
#[derive(Default)]
struct Known {
    /// Chunks, by connection and number.
    chunks: BTreeMap<(u32, u32), Digest>,
    /// How many chunks a connection that has ended has.
    ends: BTreeMap<u32, u32>,
    /// How many connections the session had, once it has ended and they were counted.
    end: Option<u32>,
    /// Chunks that are files.
    stored: BTreeSet<Mark>,
}

impl Known {
    /// Whether nothing can be missing of what was entered.
    fn is_whole(&self, has_closed: bool) -> bool {
        // of each connection, how many chunks are known, and the number after the last of them
        let mut counts: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
        for (connection, chunk) in self.chunks.keys() {
            let (count, end) = counts.entry(*connection).or_default();
            (*count, *end) = (count.saturating_add(1), chunk.saturating_add(1));
        }
        let all_ended = |connections: u32| {
            let most = connections.min(MAX_CONNECTIONS);
            (1..=most).all(|connection| self.ends.contains_key(&connection))
        };
        let is_known = |mark: &Mark| match mark {
            Mark::Chunk(connection, chunk) => self.chunks.contains_key(&(*connection, *chunk)),
            _ => true,
        };
        self.end.map_or(!has_closed, all_ended)
            && self.ends.iter().all(|(connection, chunks)| {
                counts.get(connection).map_or(*chunks == 0, |(count, _)| count == chunks)
            })
            && self.stored.iter().all(is_known)
            && counts.values().all(|(count, end)| count == end)
    }
}

/// No ledger gets so far: a note beyond it is rubbish.
const UNSEEN: u64 = 1 << 48;
/// What was found is kept for so many sessions, and then looked for again.
const MOST_SEARCHED: usize = 10_000;
