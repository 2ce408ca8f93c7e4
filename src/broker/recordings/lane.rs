//! One connection's way from items to chunks that are entered.
//!
//! INVARIANT: chunks of a lane are written, synced and entered in their order: a lane is in the
//! hands of one writing thread at a time, and one thread syncs and enters.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::notes::Notes;
use super::{Shared, name, sync_dir};
use crate::domain::event::{Actor, Event, What};
use crate::domain::name::{Digest, SessionId};
use crate::gateway::journal::{ItemKind, JournalError, Recorder};
use crate::recording::chunk::{ChunkWriter, MAX_PLAIN, Place};

/// One connection's recording.
pub(super) struct Lane {
    session: SessionId,
    connection: u32,
    actor: Actor,
    dir: PathBuf,
    notes: Notes,
    state: Mutex<State>,
    progress: watch::Sender<Progress>,
}

#[derive(Default)]
struct State {
    writer: ChunkWriter,
    /// How often the writer was found with something in it.
    ticks: u32,
    /// Chunks that are closed and not yet written.
    queue: VecDeque<(u32, ChunkWriter)>,
    /// How many chunks were closed.
    closed: u32,
    /// Whether the lane is with the writing threads.
    scheduled: bool,
}

#[derive(Debug, Clone, Default)]
struct Progress {
    /// How many chunks are on the disk and entered.
    done: u32,
    failed: Option<Arc<str>>,
}

/// A chunk that is written, but not on the disk.
pub(super) struct Written {
    lane: Arc<Lane>,
    chunk: u32,
    file: File,
    new: PathBuf,
    path: PathBuf,
    what: What,
}

impl Lane {
    pub(super) fn new(session: SessionId, connection: u32, actor: Actor, dir: PathBuf) -> Arc<Self> {
        let progress = watch::Sender::new(Progress::default());
        let notes = Notes::new(&dir, connection);
        Arc::new(Self { session, connection, actor, dir, notes, state: Mutex::default(), progress })
    }

    /// Compresses and writes the next chunk. `None` when that failed, and the lane with it.
    pub(super) fn write_next(self: &Arc<Self>) -> Option<Written> {
        let (chunk, writer) = self.lock().queue.pop_front()?;
        if self.failure().is_some() {
            return None;
        }
        self.write(chunk, &writer).map_err(|error| self.fail(&error.to_string())).ok()
    }

    /// Whether the lane has more to write; else it leaves the writing threads.
    pub(super) fn goes_on(&self) -> bool {
        let mut state = self.lock();
        state.scheduled = !state.queue.is_empty();
        state.scheduled
    }

    /// Closes the chunk when it is old, or at `once`; whether the lane must be scheduled.
    pub(super) fn tick(&self, once: bool) -> bool {
        let mut state = self.lock();
        if state.writer.is_empty() {
            return false;
        }
        state.ticks += 1;
        (once || state.ticks >= TICKS) && state.close()
    }

    fn write(self: &Arc<Self>, chunk: u32, writer: &ChunkWriter) -> std::io::Result<Written> {
        let place = Place { session: self.session.clone(), connection: self.connection, chunk };
        let bytes = writer.seal(&place)?;
        let path = self.dir.join(name(self.connection, chunk));
        let new = path.with_extension("new");
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&bytes)?;
        let what = What::ChunkClosed {
            session: place.session,
            connection: self.connection,
            chunk,
            digest: Digest::from_bytes(&Sha256::digest(&bytes).into()),
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        };
        Ok(Written { lane: Arc::clone(self), chunk, file, new, path, what })
    }

    pub(super) fn fail(&self, why: &str) {
        self.progress.send_modify(|progress| {
            progress.failed.get_or_insert_with(|| why.into());
        });
    }

    fn failure(&self) -> Option<JournalError> {
        self.progress.borrow().failed.as_ref().map(|why| JournalError::Unwritable(why.to_string()))
    }

    /// Waits until so many chunks are entered, or never will be.
    async fn entered(&self, chunks: u32) -> Result<(), JournalError> {
        let mut progress = self.progress.subscribe();
        let reached =
            progress.wait_for(|progress| progress.done >= chunks || progress.failed.is_some()).await;
        match reached {
            Ok(progress) => match &progress.failed {
                None => Ok(()),
                Some(why) => Err(JournalError::Unwritable(why.to_string())),
            },
            Err(_) => Err(JournalError::Unwritable("the recordings are closed".into())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Closes the chunk; whether the lane must be scheduled.
    fn close(&mut self) -> bool {
        self.ticks = 0;
        self.queue.push_back((self.closed, std::mem::take(&mut self.writer)));
        self.closed = self.closed.saturating_add(1);
        !std::mem::replace(&mut self.scheduled, true)
    }
}

/// The thread that brings chunks to the disk and enters them, many with one turn of the disk.
pub(super) fn sync_and_enter(shared: &Shared, written: &Receiver<Written>) {
    while let Ok(first) = written.recv() {
        let mut group = vec![first];
        group.extend(written.try_iter().take(GROUP));
        for chunk in &group {
            let synced = chunk.file.sync_data().and_then(|()| std::fs::rename(&chunk.new, &chunk.path));
            if let Err(error) = synced {
                chunk.lane.fail(&error.to_string());
            }
        }
        let dirs: BTreeSet<_> = group.iter().map(|chunk| &chunk.lane.dir).collect();
        let failed: Vec<_> =
            dirs.into_iter().filter_map(|dir| sync_dir(dir).err().map(|error| (dir, error))).collect();
        for chunk in &group {
            if let Some((_, error)) = failed.iter().find(|(dir, _)| *dir == &chunk.lane.dir) {
                chunk.lane.fail(&error.to_string());
            }
        }
        for Written { lane, chunk, what, .. } in group {
            // after one that failed, the next would be out of order
            if lane.failure().is_some() {
                continue;
            }
            let actor = Some(lane.actor.clone());
            let event = Event { at: shared.stamp.now(), actor, policy: shared.stamp.policy(), what };
            match shared.ledger.enter(&event) {
                Ok(ticket) => {
                    lane.notes.note(chunk, ticket.0);
                    lane.progress.send_modify(|progress| progress.done += 1);
                }
                Err(error) => lane.fail(&error.to_string()),
            }
        }
    }
}

/// The gateway's end of a lane.
pub(super) struct LaneRecorder {
    lane: Arc<Lane>,
    shared: Arc<Shared>,
}

impl LaneRecorder {
    pub(super) fn new(lane: Arc<Lane>, shared: Arc<Shared>) -> Self {
        Self { lane, shared }
    }

    /// Closes the chunk if there is anything in it; returns how many chunks there are.
    fn close(&self) -> u32 {
        let mut state = self.lane.lock();
        let schedule = !state.writer.is_empty() && state.close();
        let closed = state.closed;
        drop(state);
        if schedule {
            self.shared.schedule(Arc::clone(&self.lane));
        }
        closed
    }
}

impl Recorder for LaneRecorder {
    fn record(&mut self, kind: ItemKind, bytes: &[u8]) -> Result<(), JournalError> {
        let progress = self.lane.progress.borrow();
        if let Some(why) = &progress.failed {
            return Err(JournalError::Unwritable(why.to_string()));
        }
        let done = progress.done;
        drop(progress);
        let at = self.shared.stamp.now();
        let mut state = self.lane.lock();
        if state.closed.saturating_sub(done) >= QUEUE {
            return Err(JournalError::Full);
        }
        let (mut rest, mut schedule) = (Some(bytes), false);
        while let Some(bytes) = rest {
            rest = state.writer.push(at, kind, bytes, CHUNK);
            if rest.is_some() {
                schedule |= state.close();
            }
        }
        drop(state);
        if schedule {
            self.shared.schedule(Arc::clone(&self.lane));
        }
        Ok(())
    }

    fn ready(&mut self) -> BoxFuture<'_, Result<(), JournalError>> {
        Box::pin(async move {
            let closed = self.lane.lock().closed;
            self.lane.entered(closed.saturating_sub(QUEUE - 1)).await
        })
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<u32, JournalError>> {
        let chunks = self.close();
        let lane = Arc::clone(&self.lane);
        Box::pin(async move { lane.entered(chunks).await.map(|()| chunks) })
    }
}

impl Drop for LaneRecorder {
    fn drop(&mut self) {
        self.close();
    }
}

/// A chunk is closed when it has so many bytes: as many as it may. Each is a file that is made, synced, renamed and
/// entered, which costs more than what is in it where a file system is slow to make files.
const CHUNK: usize = MAX_PLAIN;
/// A chunk is closed when it was found so often with something in it: after about one second.
const TICKS: u32 = 4;
/// How many chunks of one connection may wait.
const QUEUE: u32 = 4;
/// How many chunks share a turn of the disk.
const GROUP: usize = 63;
