//! Writes the ledger.
//!
//! Job: entries into an append log before `enter` returns, one fsync for many waiters, and about
//! once a second, after an fsync, tiles and a signed checkpoint. Boundary: formats are
//! `crate::ledger`'s; this is the I/O around them. Failure mode: any write error poisons the writer
//! until it is opened again: every later `enter` fails, and nothing that was acknowledged is lost.
//! At opening, whatever does not fit together is refused, never repaired, except a last record that
//! was torn before it could be acknowledged.
//!
//! The directory holds `checkpoint`, `key` and `tile/…` as C2SP `tlog-tiles` names them, to be
//! served as they are, and `pending/`, the append log, which is not served.

mod commit;
mod files;
mod head;
mod key;
mod log;
mod publish;
mod recover;
mod rotate;
mod signers;
mod witnesses;

use std::cell::Cell;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::BoxFuture;
use thiserror::Error;

pub use self::files::DirectoryFiles;
pub use self::head::HeadError;
pub(in crate::broker) use self::head::{shown_head, signed_head};
pub(in crate::broker) use self::publish::{make_private_dir, replace, sync_dir};
pub use self::rotate::{Occasion, Rotated, rotate};
pub use self::signers::{KeyPlace, LedgerKeys};
pub use self::witnesses::{Unwitnessed, Witnesses};

use self::commit::{Core, Progress};
use self::log::{Disk, RealDisk};
use self::publish::Publisher;
use crate::domain::event::Event;
use crate::gateway::journal::{JournalError, Ticket};
use crate::ledger::builder::EdgeError;
use crate::ledger::checkpoint::CheckpointError;
use crate::ledger::entry::encode;
use crate::ledger::note::{NoteError, SignError, VerifierKey};
use crate::ledger::rotation::RotationError;
use crate::ledger::tree::Hash;

/// The ledger of a broker, open for writing.
pub struct LedgerWriter {
    core: Arc<Core>,
    key: VerifierKey,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for LedgerWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LedgerWriter").field("key", &self.key).finish_non_exhaustive()
    }
}

/// What of the ledger is not signed, because whoever has the key does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsigned {
    /// How many entries no checkpoint covers.
    pub entries: u64,
    /// Since when none could be signed.
    pub age: Duration,
}

/// Why the ledger cannot be opened.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// An acknowledged entry of the append log is not what was written.
    #[error(
        "the ledger has been altered: `{path}` is damaged at byte {offset}, before its end; restore it from a backup"
    )]
    Altered {
        /// The file.
        path: String,
        /// Where.
        offset: u64,
    },
    /// The checkpoint cannot be believed.
    #[error("the ledger's checkpoint cannot be believed: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// There are entries, but no checkpoint.
    #[error("the ledger has entries, but its checkpoint is missing; restore it from a backup")]
    CheckpointMissing,
    /// The tiles do not carry the checkpoint.
    #[error("the ledger has been altered or cut: {0}; restore it from a backup")]
    Edge(String),
    /// The ledger is signed by a key that the configuration does not name.
    #[error("the ledger is signed by the key {wanted}, which is not the configured one")]
    ForeignKey {
        /// That key.
        wanted: String,
    },
    /// Entries between the checkpoint and the append log are missing.
    #[error("the ledger has been cut: entry {expected} is missing; restore it from a backup")]
    Gap {
        /// The first entry that is missing.
        expected: u64,
    },
    /// Another process has it open.
    #[error("the ledger is in use by another broker")]
    InUse,
    /// A file could not be read or written.
    #[error("`{path}`: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The signing key is unusable.
    #[error("the ledger's signing key: {0}")]
    Key(#[from] NoteError),
    /// The new key has another name than the ledger.
    #[error("the new key must be called as the ledger is, `{log}`")]
    KeyName {
        /// The ledger's name.
        log: String,
    },
    /// There is a ledger, but not the key that signs it.
    #[error("the ledger's signing key is missing; restore it from a backup")]
    KeyMissing,
    /// Others may read the signing key.
    #[error("the ledger's signing key is readable by others; make its mode 0600")]
    KeyReadable,
    /// The system's keyring cannot be used.
    #[error("the ledger's signing key: the system's keyring does not work: {0}")]
    Keyring(String),
    /// There is no key before.
    #[error("nothing is to be changed: `ledger.previous_key` does not name the key that the ledger has")]
    NoPreviousKey,
    /// The configuration names a new key, and the ledger does not say so yet.
    #[error("the ledger still has its previous key: type `hoopctl broker key rotate` to give it the new one")]
    NotRotated,
    /// The entries do not match the signed root.
    #[error("the ledger has been altered: its tiles do not match the signed root; restore it from a backup")]
    Root,
    /// How its keys followed each other cannot be believed.
    #[error("how the ledger's keys followed each other cannot be believed: {0}")]
    Rotation(#[from] RotationError),
    /// Both keys are the same.
    #[error("the new key of the ledger is the one that it has")]
    SameKey,
    /// Whoever has the key did not sign.
    #[error("the ledger's signing key: {0}")]
    Signing(#[from] SignError),
    /// A later version wrote it.
    #[error("`{path}` was written by a later version of hoopctl, or has been altered at its beginning")]
    UnknownVersion {
        /// The file.
        path: String,
    },
}

impl LedgerError {
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { path, source }
    }
}

impl<E: std::fmt::Display> From<EdgeError<E>> for LedgerError {
    fn from(error: EdgeError<E>) -> Self {
        Self::Edge(error.to_string())
    }
}

impl LedgerWriter {
    /// Opens the ledger in `dir`, or makes one that is called `origin`.
    ///
    /// The signing key is read from `key`, or made there with mode 0600. A ledger keeps the name
    /// that it was made with.
    ///
    /// # Errors
    /// [`LedgerError`]: the ledger cannot be used, or has been tampered with.
    pub fn open(dir: &Path, origin: &str, key: &Path) -> Result<Arc<Self>, LedgerError> {
        Self::open_with(dir, origin, &key.to_owned().into())
    }

    /// The same with keys of any kind.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn open_with(dir: &Path, origin: &str, keys: &LedgerKeys) -> Result<Arc<Self>, LedgerError> {
        Self::open_on(dir, origin, keys, Arc::new(RealDisk))
    }

    fn open_on(
        dir: &Path,
        origin: &str,
        keys: &LedgerKeys,
        disk: Arc<dyn Disk>,
    ) -> Result<Arc<Self>, LedgerError> {
        let recovered = recover::recover(dir, origin, keys, disk.as_ref(), recover::Mode::Serves)?;
        let verifier = recovered.signers.main.verifier().clone();
        let size = recovered.builder.size();
        let core = Arc::new(Core::new(dir, disk, recovered.segment, size));
        let publisher = Publisher::new(dir, recovered.builder, recovered.signers, recovered.lock);
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let spawned = std::thread::Builder::new().name(name.into()).spawn(work);
            spawned.map_err(LedgerError::io(dir))
        };
        let syncing = Arc::clone(&core);
        let publishing = Arc::clone(&core);
        let mut threads = vec![spawn("ledger-sync", Box::new(move || syncing.run_sync()))?];
        // whoever stops first stops the other, so that a failed start leaves no thread behind
        match spawn("ledger-checkpoint", Box::new(move || publisher.run(&publishing))) {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                core.fail("it was never opened");
                return Err(error);
            }
        }
        Ok(Arc::new(Self { core, key: verifier, threads: Mutex::new(threads) }))
    }

    /// Writes an entry. When this returns, the entry survives the death of the process.
    ///
    /// It costs one write(2), shared with whoever enters at the same time.
    ///
    /// # Errors
    /// [`JournalError`]: nothing may be forwarded on the strength of this entry.
    pub fn enter(&self, event: &Event) -> Result<Ticket, JournalError> {
        let mut entry = SCRATCH.take();
        entry.clear();
        let entered = match encode(event, &mut entry) {
            Ok(()) => self.core.append(&entry, Hash::leaf(&entry)).map(Ticket),
            Err(_) => Err(JournalError::TooLarge),
        };
        SCRATCH.set(entry);
        entered
    }

    /// Waits until the entry is on the disk. Many waiters share one fsync.
    ///
    /// # Errors
    /// [`JournalError::Unwritable`].
    pub fn synced(&self, ticket: Ticket) -> BoxFuture<'_, Result<(), JournalError>> {
        let after = ticket.0.saturating_add(1);
        if let Some(done) = self.core.reached(|progress| progress.synced >= after) {
            return Box::pin(std::future::ready(done));
        }
        self.core.want_sync(after);
        self.core.wait(move |progress| progress.synced >= after)
    }

    /// Signs a checkpoint over everything that was entered so far and waits until it is on the disk.
    ///
    /// # Errors
    /// [`JournalError::Unwritable`]; [`JournalError::Unsigned`] when it could not be signed.
    pub fn checkpoint_now(&self) -> BoxFuture<'_, Result<(), JournalError>> {
        let (size, refusals) = self.core.want_checkpoint();
        let is_published = move |progress: &Progress| progress.published >= size;
        let ended = self.core.wait(move |progress| is_published(progress) || progress.refusals > refusals);
        Box::pin(async move {
            ended.await?;
            let published = self.core.reached(is_published);
            published.unwrap_or(Err(JournalError::Unsigned))
        })
    }

    /// What waits for a signature; `None` while checkpoints are signed.
    #[must_use]
    pub fn unsigned(&self) -> Option<Unsigned> {
        self.core.waits().map(|(entries, age)| Unsigned { entries, age })
    }

    /// How many entries there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.core.size()
    }

    /// Whether entries can be written. Once they cannot, they cannot until the next opening.
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.core.failure().is_none()
    }

    /// Returns once entries cannot be written any more, with the reason.
    pub async fn failed(&self) -> JournalError {
        match self.core.wait(|_| false).await {
            Err(error) => error,
            // a goal that is never reached
            Ok(()) => JournalError::Unwritable("it ended".into()),
        }
    }

    /// The key that verifies the ledger's checkpoints.
    #[must_use]
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// What is published of it.
    #[must_use]
    pub fn files(&self) -> DirectoryFiles {
        DirectoryFiles::new(self.core.dir())
    }

    /// Signs a last checkpoint and closes the ledger; entering fails from here on.
    ///
    /// Blocks for as long as the disk takes. Dropping does the same.
    pub fn close(&self) {
        self.core.stop();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // a thread that panicked has said so; there is nothing left to wait for
            drop(thread.join());
        }
    }
}

impl Drop for LedgerWriter {
    fn drop(&mut self) {
        self.close();
    }
}

thread_local! {
    /// An entry's bytes, kept from entry to entry so that entering allocates nothing.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

#[cfg(test)]
mod tests;
