//! Who writes, who waits, and how far the ledger is.
//!
//! Whoever enters first leads: it writes its own record and those that came in while the last write
//! was under way, in one call; the others wait for it. One thread syncs, for everybody who waits.
//!
//! INVARIANT: records lie in the log in the order of their indices, and `written`, `synced` and
//! `published` never go back.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::log::{Disk, Segment, frame};
use super::publish::sync_dir;
use crate::gateway::journal::JournalError;
use crate::ledger::tree::Hash;

/// How far the ledger is.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// How many entries are on the disk.
    pub(super) synced: u64,
    /// How many entries the last checkpoint covers.
    pub(super) published: u64,
    /// Why nothing can be written any more.
    pub(super) failed: Option<Arc<str>>,
    /// How many checkpoints could not be signed.
    pub(super) refusals: u64,
    /// Since when the checkpoints are not signed.
    pub(super) unsigned: Option<Instant>,
}

/// What all callers and both threads share.
pub(super) struct Core {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    queue: Mutex<Queue>,
    /// A batch was written: for those whose record was in it.
    wrote: Condvar,
    /// A sync is wanted: for the thread that syncs.
    sync: Condvar,
    /// A checkpoint is wanted: for the thread that publishes.
    publish: Condvar,
    /// A sync was made: for the thread that publishes.
    synced: Condvar,
    progress: watch::Sender<Progress>,
}

struct Queue {
    /// Records that nobody has begun to write.
    batch: Vec<u8>,
    /// The buffer of the last batch, to be used again.
    spare: Vec<u8>,
    /// Leaf hashes of entries that are not in tiles yet.
    leaves: Vec<Hash>,
    next: u64,
    written: u64,
    writing: bool,
    followers: usize,
    segment: Arc<Segment>,
    segment_bytes: u64,
    /// Segments that are full, with the index after their last entry; `true` once synced.
    retired: Vec<(Arc<Segment>, u64, bool)>,
    sync_wanted: u64,
    /// A checkpoint is wanted at once.
    asked: bool,
    failed: Option<Arc<str>>,
    stopping: bool,
    /// The last checkpoint is made: nobody will want a sync any more.
    stopped: bool,
}

impl Core {
    pub(super) fn new(dir: &Path, disk: Arc<dyn Disk>, segment: Segment, size: u64) -> Self {
        let queue = Queue {
            batch: Vec::new(),
            spare: Vec::new(),
            leaves: Vec::new(),
            next: size,
            written: size,
            writing: false,
            followers: 0,
            segment: Arc::new(segment),
            segment_bytes: 0,
            retired: Vec::new(),
            sync_wanted: size,
            asked: false,
            failed: None,
            stopping: false,
            stopped: false,
        };
        Self {
            dir: dir.to_owned(),
            disk,
            queue: Mutex::new(queue),
            wrote: Condvar::new(),
            sync: Condvar::new(),
            publish: Condvar::new(),
            synced: Condvar::new(),
            progress: watch::Sender::new(Progress { synced: size, published: size, ..Progress::default() }),
        }
    }

    /// Appends a record and returns its index once it is written.
    pub(super) fn append(&self, entry: &[u8], leaf: Hash) -> Result<u64, JournalError> {
        let mut queue = self.lock();
        if queue.stopping {
            return Err(JournalError::Unwritable("it is closed".into()));
        }
        if let Some(failed) = &queue.failed {
            return Err(unwritable(failed));
        }
        let index = queue.next;
        queue.next += 1;
        frame(&mut queue.batch, entry, &leaf);
        queue.leaves.push(leaf);
        let mut patience = PATIENCE;
        while queue.written <= index {
            if let Some(failed) = &queue.failed {
                return Err(unwritable(failed));
            }
            if queue.writing && patience > 0 {
                // a write into the system's memory is over sooner than a sleeping thread wakes up
                patience -= 1;
                drop(queue);
                (0..MOMENT).for_each(|_| std::hint::spin_loop());
                queue = self.lock();
            } else if queue.writing {
                queue.followers += 1;
                queue = self.wrote.wait(queue).unwrap_or_else(PoisonError::into_inner);
                queue.followers -= 1;
            } else {
                queue = self.lead(queue);
            }
        }
        Ok(index)
    }

    /// Writes everything that is queued.
    fn lead<'q>(&'q self, mut queue: MutexGuard<'q, Queue>) -> MutexGuard<'q, Queue> {
        queue.writing = true;
        let spare = std::mem::take(&mut queue.spare);
        let mut batch = std::mem::replace(&mut queue.batch, spare);
        let (first, upto) = (queue.written, queue.next);
        let mut segment = Arc::clone(&queue.segment);
        let full = queue.segment_bytes >= SEGMENT_BYTES;
        drop(queue);

        let mut result = Ok(());
        if full {
            result =
                Segment::create(self.disk.as_ref(), &self.dir, first).map(|next| segment = Arc::new(next));
        }
        let result = result.and_then(|()| segment.sink.append(&batch));

        let mut queue = self.lock();
        queue.writing = false;
        match result {
            Ok(()) => {
                if full {
                    let old = std::mem::replace(&mut queue.segment, segment);
                    queue.retired.push((old, first, false));
                    queue.segment_bytes = 0;
                }
                queue.written = upto;
                queue.segment_bytes += u64::try_from(batch.len()).unwrap_or(u64::MAX);
            }
            Err(error) => self.fail_locked(&mut queue, &error.to_string()),
        }
        batch.clear();
        if batch.capacity() <= SPARE_BYTES {
            queue.spare = batch;
        }
        if queue.followers > 0 {
            self.wrote.notify_all();
        }
        queue
    }

    /// The thread that syncs.
    pub(super) fn run_sync(&self) {
        let mut synced = self.progress.borrow().synced;
        loop {
            let mut queue = self.lock();
            while queue.sync_wanted <= synced && queue.failed.is_none() && !queue.stopped {
                queue = self.sync.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            if queue.failed.is_some() || queue.stopped {
                return;
            }
            let upto = queue.written;
            let mut segments: Vec<_> =
                queue.retired.iter().filter(|(_, _, done)| !done).map(|(old, ..)| Arc::clone(old)).collect();
            let rotated = !segments.is_empty();
            segments.push(Arc::clone(&queue.segment));
            drop(queue);

            let result = segments.iter().try_for_each(|segment| segment.sink.sync());
            let result = result
                .and_then(|()| if rotated { sync_dir(&super::log::pending(&self.dir)) } else { Ok(()) });

            let mut queue = self.lock();
            if let Err(error) = result {
                self.fail_locked(&mut queue, &error.to_string());
                return;
            }
            for (old, _, done) in &mut queue.retired {
                *done |= segments.iter().any(|segment| segment.start == old.start);
            }
            synced = upto;
            self.progress.send_modify(|progress| progress.synced = upto);
            self.synced.notify_all();
        }
    }

    /// Waits until a checkpoint is due, `period` at the most; returns how many entries it is to cover, all of them on the
    /// disk, with the leaf hashes since `taken`. `None` when there is nothing more to do.
    pub(super) fn due(&self, taken: u64, period: Duration) -> Option<(u64, Vec<Hash>)> {
        let mut queue = self.lock();
        let is_unsigned = self.progress.borrow().unsigned.is_some();
        while !queue.asked && !queue.stopping && queue.failed.is_none() {
            let waited = self.publish.wait_timeout(queue, period).unwrap_or_else(PoisonError::into_inner);
            queue = waited.0;
            if waited.1.timed_out() && (queue.written > taken || is_unsigned) {
                break;
            }
        }
        queue.asked = false;
        let upto = queue.written;
        queue.sync_wanted = queue.sync_wanted.max(upto);
        self.sync.notify_one();
        while queue.failed.is_none() && self.progress.borrow().synced < upto {
            queue = self.synced.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if queue.failed.is_some() || (queue.stopping && upto == taken && !is_unsigned) {
            return None;
        }
        let count = usize::try_from(upto - taken).unwrap_or(usize::MAX).min(queue.leaves.len());
        let leaves = queue.leaves.drain(..count).collect();
        Some((upto, leaves))
    }

    /// A checkpoint over `size` entries is on the disk; returns the segments that nobody needs now.
    pub(super) fn published(&self, size: u64) -> Vec<u64> {
        let mut queue = self.lock();
        let mut gone = Vec::new();
        queue.retired.retain(|(segment, end, done)| {
            let needed = *end > size || !done;
            if !needed {
                gone.push(segment.start);
            }
            needed
        });
        self.progress.send_modify(|progress| {
            progress.published = size;
            progress.unsigned = None;
        });
        gone
    }

    /// The checkpoint that was due could not be signed; whether there will be no other attempt.
    pub(super) fn unsigned(&self) -> bool {
        self.progress.send_modify(|progress| {
            progress.refusals += 1;
            progress.unsigned.get_or_insert_with(Instant::now);
        });
        self.lock().stopping
    }

    /// How many entries wait for a signature, and for how long; `None` while checkpoints are signed.
    pub(super) fn waits(&self) -> Option<(u64, Duration)> {
        let (published, since) = {
            let progress = self.progress.borrow();
            (progress.published, progress.unsigned?)
        };
        Some((self.size().saturating_sub(published), since.elapsed()))
    }

    /// Nothing can be written from here on.
    pub(super) fn fail(&self, why: &str) {
        self.fail_locked(&mut self.lock(), why);
    }

    /// Stops taking entries; the threads finish what there is.
    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.publish.notify_all();
    }

    /// The last checkpoint is made.
    pub(super) fn stopped(&self) {
        self.lock().stopped = true;
        self.sync.notify_all();
    }

    pub(super) fn want_sync(&self, upto: u64) {
        let mut queue = self.lock();
        queue.sync_wanted = queue.sync_wanted.max(upto.min(queue.written));
        self.sync.notify_one();
    }

    /// Wants a checkpoint over everything that is written; how much that is, and how many could not be signed so far.
    pub(super) fn want_checkpoint(&self) -> (u64, u64) {
        let mut queue = self.lock();
        let (published, refusals) = {
            let progress = self.progress.borrow();
            (progress.published, progress.refusals)
        };
        queue.asked |= queue.written > published;
        self.publish.notify_all();
        (queue.written, refusals)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn size(&self) -> u64 {
        self.lock().written
    }

    pub(super) fn failure(&self) -> Option<Arc<str>> {
        self.lock().failed.clone()
    }

    /// Whether this is reached already, or never will be.
    pub(super) fn reached(&self, goal: impl Fn(&Progress) -> bool) -> Option<Result<(), JournalError>> {
        let progress = self.progress.borrow();
        if goal(&progress) {
            return Some(Ok(()));
        }
        progress.failed.as_ref().map(|failed| Err(unwritable(failed)))
    }

    /// Waits until this is reached, or never will be.
    pub(super) fn wait(
        &self,
        goal: impl Fn(&Progress) -> bool + Send + Sync + 'static,
    ) -> BoxFuture<'static, Result<(), JournalError>> {
        let mut progress = self.progress.subscribe();
        Box::pin(async move {
            let reached = progress.wait_for(|progress| goal(progress) || progress.failed.is_some()).await;
            match reached {
                Ok(progress) if goal(&progress) => Ok(()),
                Ok(progress) => Err(progress.failed.as_ref().map_or_else(closed, unwritable)),
                Err(_) => Err(closed()),
            }
        })
    }

    fn fail_locked(&self, queue: &mut Queue, why: &str) {
        let why: Arc<str> = Arc::clone(queue.failed.get_or_insert_with(|| why.into()));
        self.progress.send_modify(|progress| progress.failed = Some(why));
        self.wrote.notify_all();
        self.sync.notify_all();
        self.publish.notify_all();
        self.synced.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unwritable(why: &Arc<str>) -> JournalError {
    JournalError::Unwritable(why.to_string())
}

fn closed() -> JournalError {
    JournalError::Unwritable("it is closed".into())
}

/// How many moments to look again before sleeping, and how long a moment is: some microseconds in all.
const PATIENCE: usize = 16;
const MOMENT: usize = 32;
/// A segment that is longer than this is followed by a new one.
const SEGMENT_BYTES: u64 = 16 << 20;
/// A buffer larger than this is given back.
const SPARE_BYTES: usize = 1 << 20;
