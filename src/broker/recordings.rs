//! Writes recordings, and finds them again.
//!
//! Job: items into chunks of 1 MiB or one second, compressed and written by threads of its own,
//! each chunk's digest entered into the ledger once the chunk is on the disk. A chunk is
//! `SESSION/CONNECTION-CHUNK.zst`. Boundary: the format is `crate::recording`'s; what is recorded of
//! a session is the gateway's business. Failure mode: a recording that cannot be written or entered
//! fails its recorder for good, and with it the connection. A recorder that is dropped is closed in
//! the background; `kill -9` loses what was not yet in a chunk, at most its last second.

mod lane;
mod notes;
mod register;
mod trail;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;

pub use self::trail::AuditTrail;

use self::lane::{Lane, LaneRecorder, Written};
use self::notes::Mark;
use self::register::Register;
use super::ledger::{DirectoryFiles, LedgerWriter, make_private_dir, sync_dir};
use crate::domain::event::{Actor, What};
use crate::domain::name::{Digest, SessionId};
use crate::gateway::journal::{JournalError, Recorder};
use crate::ledger::verify::{Files as _, FilesError};
use crate::wire::control::EntryProof;

/// What every entry needs and a recording cannot know: the policy in force and the time.
#[derive(Clone)]
pub struct Stamp {
    policy: Arc<dyn Fn() -> Digest + Send + Sync>,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl Stamp {
    /// A stamp that asks these.
    pub fn new(
        policy: impl Fn() -> Digest + Send + Sync + 'static,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        Self { policy: Arc::new(policy), clock: Arc::new(clock) }
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    fn policy(&self) -> Digest {
        (self.policy)()
    }
}

/// Why a recording cannot be found.
#[derive(Debug, Error)]
pub enum RecordingsError {
    /// Somebody else's recording is being looked for in the whole ledger.
    #[error("the ledger is being read for another recording; try again")]
    Busy,
    /// A file could not be read or made.
    #[error("`{path}`: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The ledger could not be read.
    #[error("the ledger: {0}")]
    Ledger(String),
    /// A recording is none of ours, or could not be read.
    #[error("the recordings: {0}")]
    Recording(String),
    /// The ledger holds no entry about a chunk that is between others.
    #[error("chunk {chunk} of connection {connection} was never entered")]
    Missing {
        /// The connection.
        connection: u32,
        /// The chunk.
        chunk: u32,
    },
}

impl RecordingsError {
    fn ledger(error: &FilesError) -> Self {
        Self::Ledger(error.to_string())
    }
}

/// The recordings of a broker.
pub struct Recordings {
    shared: Arc<Shared>,
    register: Register,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What the recordings, their recorders and their threads share.
struct Shared {
    dir: PathBuf,
    ledger: Arc<LedgerWriter>,
    stamp: Stamp,
    work: Mutex<Work>,
    more: Condvar,
}

#[derive(Default)]
struct Work {
    /// Lanes with chunks to be written; a lane is in it once.
    due: VecDeque<Arc<Lane>>,
    lanes: Vec<Weak<Lane>>,
    stopping: bool,
}

impl Recordings {
    /// Opens the recordings in `dir`, or makes the directory.
    ///
    /// # Errors
    /// When the directory cannot be made or no thread can be started.
    pub fn open(dir: &Path, ledger: Arc<LedgerWriter>, stamp: Stamp) -> Result<Arc<Self>, RecordingsError> {
        std::fs::create_dir_all(dir).map_err(io(dir))?;
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            ledger,
            stamp,
            work: Mutex::default(),
            more: Condvar::new(),
        });
        let register = Register::new(shared.ledger.files(), shared.ledger.key().clone());
        let recordings = Arc::new(Self { shared, register, threads: Mutex::default() });
        let (written, to_sync) = sync_channel(WRITTEN);
        let shared = Arc::clone(&recordings.shared);
        recordings.spawn("record-sync", move || lane::sync_and_enter(&shared, &to_sync))?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..cores.min(WRITERS) {
            let (shared, written) = (Arc::clone(&recordings.shared), written.clone());
            recordings.spawn("record-write", move || shared.write_chunks(&written))?;
        }
        let shared = Arc::clone(&recordings.shared);
        recordings.spawn("record-tick", move || shared.close_old_chunks())?;
        Ok(recordings)
    }

    /// Opens the recording of one connection; its chunks are entered in the name of `actor`.
    ///
    /// # Errors
    /// [`JournalError::Unwritable`]: the connection must not go on.
    pub fn recorder(
        &self,
        session: &SessionId,
        connection: u32,
        actor: &Actor,
    ) -> Result<Box<dyn Recorder>, JournalError> {
        let dir = self.session_dir(session);
        let made = make_private_dir(&dir).map_err(|error| error.to_string());
        let made = made.and_then(|()| sync_dir(&self.shared.dir).map_err(|error| error.to_string()));
        made.map_err(JournalError::Unwritable)?;
        if dir.join(name(connection, 0)).exists() {
            return Err(JournalError::Unwritable("the connection has a recording already".into()));
        }
        let lane = Lane::new(session.clone(), connection, actor.clone(), dir);
        let mut work = self.shared.lock();
        if work.stopping {
            return Err(JournalError::Unwritable("the recordings are closed".into()));
        }
        work.lanes.retain(|lane| lane.strong_count() > 0);
        work.lanes.push(Arc::downgrade(&lane));
        Ok(Box::new(LaneRecorder::new(lane, Arc::clone(&self.shared))))
    }

    /// Notes where the end of a session or of a connection was entered.
    pub(super) fn note(&self, what: &What, index: u64) {
        // chunks are noted by whoever enters them
        if let Some((session, mark @ (Mark::Connection(_) | Mark::Session))) = Mark::of(what) {
            notes::note(&self.session_dir(session), mark, index);
        }
    }

    /// Waits until the signed head covers what was entered of a session.
    ///
    /// # Errors
    /// When the ledger cannot be read or written.
    pub async fn covered(self: &Arc<Self>, session: &SessionId) -> Result<(), RecordingsError> {
        let (own, session) = (Arc::clone(self), session.clone());
        let looked = move || own.register.is_covered(&own.session_dir(&session));
        // the files of a long session are many
        let looked = tokio::task::spawn_blocking(looked).await;
        if !looked.map_err(|error| RecordingsError::Ledger(error.to_string()))?? {
            let signed = self.shared.ledger.checkpoint_now().await;
            signed.map_err(|error| RecordingsError::Ledger(error.to_string()))?;
        }
        Ok(())
    }

    /// For each connection of a session, from 1, the digests of its chunks, from 0, as the ledger holds
    /// them under its signed head. Of a session that `has_closed`, none is missed.
    ///
    /// # Errors
    /// When a file cannot be read, the ledger holds no entry about a chunk between others, or it is being searched for
    /// somebody else.
    pub fn index(&self, session: &SessionId, has_closed: bool) -> Result<Vec<Vec<Digest>>, RecordingsError> {
        self.register.index(&self.session_dir(session), session, has_closed)
    }

    /// What the ledger holds of a chunk, proven under its head of `size` entries, else the newest; `None` when it
    /// holds nothing of it.
    ///
    /// # Errors
    /// When a file cannot be read, or the ledger is being searched for somebody else.
    pub fn proof(
        &self,
        session: &SessionId,
        connection: u32,
        chunk: u32,
        size: Option<u64>,
    ) -> Result<Option<EntryProof>, RecordingsError> {
        self.register.proof(&self.session_dir(session), session, Mark::Chunk(connection, chunk), size)
    }

    /// What the ledger holds of the end of a connection, or of the session, proven under its head of `size` entries;
    /// `None` when it holds nothing of it.
    ///
    /// # Errors
    /// When a file cannot be read, or the ledger is being searched for somebody else.
    pub fn end(
        &self,
        session: &SessionId,
        connection: Option<u32>,
        size: u64,
    ) -> Result<Option<EntryProof>, RecordingsError> {
        let mark = connection.map_or(Mark::Session, Mark::Connection);
        self.register.proof(&self.session_dir(session), session, mark, Some(size))
    }

    /// The bytes of a chunk; `None` when there is none.
    ///
    /// # Errors
    /// When the file cannot be read, or is none of ours: a link, or longer than a chunk can be.
    pub fn chunk(
        &self,
        session: &SessionId,
        connection: u32,
        chunk: u32,
    ) -> Result<Option<Vec<u8>>, RecordingsError> {
        let path = format!("{}/{}", session.as_str(), name(connection, chunk));
        let read = DirectoryFiles::new(&self.shared.dir).read(&path);
        read.map_err(|error| RecordingsError::Recording(error.to_string()))
    }

    /// Closes every recording that is still open and waits until all of them are entered.
    ///
    /// Blocks for as long as the disk takes. Dropping does the same. To be called before the
    /// ledger is closed.
    pub fn close(&self) {
        self.shared.lock().stopping = true;
        self.shared.more.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // a thread that panicked has said so; there is nothing left to wait for
            drop(thread.join());
        }
    }

    fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), RecordingsError> {
        let thread =
            std::thread::Builder::new().name(name.into()).spawn(work).map_err(io(&self.shared.dir))?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    fn session_dir(&self, session: &SessionId) -> PathBuf {
        // a session id cannot hold anything that a path could stumble over
        self.shared.dir.join(session.as_str())
    }
}

impl Drop for Recordings {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    /// Hands a lane with a finished chunk to the threads that write.
    fn schedule(&self, lane: Arc<Lane>) {
        let mut work = self.lock();
        if work.stopping && work.lanes.is_empty() {
            lane.fail("the recordings are closed");
            return;
        }
        work.due.push_back(lane);
        drop(work);
        self.more.notify_all();
    }

    /// A thread that compresses and writes.
    fn write_chunks(&self, written: &SyncSender<Written>) {
        loop {
            let mut work = self.lock();
            let lane = loop {
                if let Some(lane) = work.due.pop_front() {
                    break lane;
                }
                // the last lanes are closed by the thread that ticks, before it ends
                if work.stopping && work.lanes.is_empty() {
                    return;
                }
                work = self.more.wait(work).unwrap_or_else(PoisonError::into_inner);
            };
            drop(work);
            if let Some(chunk) = lane.write_next() {
                // the other side ends only after this one
                drop(written.send(chunk));
            }
            if lane.goes_on() {
                // this thread will come back for it, even when all others have ended
                self.lock().due.push_back(lane);
            }
        }
    }

    /// The thread that closes chunks whose second is over, and all of them at the end.
    fn close_old_chunks(&self) {
        loop {
            let work = self.lock();
            let (mut work, _) = self
                .more
                .wait_timeout_while(work, TICK, |work| !work.stopping)
                .unwrap_or_else(PoisonError::into_inner);
            let stopping = work.stopping;
            let lanes: Vec<_> = work.lanes.iter().filter_map(Weak::upgrade).collect();
            for lane in lanes {
                if lane.tick(stopping) {
                    work.due.push_back(lane);
                }
            }
            if stopping {
                work.lanes.clear();
            }
            drop(work);
            self.more.notify_all();
            if stopping {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file of a chunk in its session's directory.
fn name(connection: u32, chunk: u32) -> String {
    format!("{connection}-{chunk}.zst")
}

fn place(file: &str) -> Option<(u32, u32)> {
    let (connection, chunk) = file.strip_suffix(".zst")?.split_once('-')?;
    let place = (connection.parse().ok()?, chunk.parse().ok()?);
    // connections are numbered as they come, so that a stray file cannot make a long list
    (name(place.0, place.1) == file && (1..=MAX_CONNECTIONS).contains(&place.0)).then_some(place)
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> RecordingsError {
    let path = path.display().to_string();
    move |source| RecordingsError::Io { path, source }
}

/// How often chunks are looked at for their age.
const TICK: Duration = Duration::from_millis(250);
/// How many chunks may be written and not yet on the disk.
const WRITTEN: usize = 64;
/// How many threads compress, at the most.
const WRITERS: usize = 4;
const MAX_CONNECTIONS: u32 = 1 << 20;

#[cfg(test)]
mod tests;
