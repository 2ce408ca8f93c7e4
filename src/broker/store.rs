//! Durable state in SQLite.
//!
//! Job: one connection in WAL mode with `synchronous=FULL`, migrations in order, short calls; beside
//! it the used proofs, which do not wait for the disk.
//! Boundary: each table's queries live in a submodule named after it. Failure mode: an error; the
//! caller refuses what it could not store.

pub(crate) mod convert;
pub(crate) mod denials;
pub(crate) mod devices;
pub(crate) mod emails;
pub(crate) mod grants;
pub mod leases;
pub(crate) mod logins;
pub(crate) mod outbox;
mod proofs;
pub(crate) mod requests;
pub(crate) mod sessions;
pub(crate) mod untold;

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use rusqlite::Connection;
use thiserror::Error;
use tokio::runtime::{Handle, RuntimeFlavor};

use self::proofs::Proofs;
pub(crate) use self::proofs::Used;

/// The broker's database.
pub struct Store {
    connection: Mutex<Connection>,
    proofs: Proofs,
}

/// Why state could not be read or written.
#[derive(Debug, Error)]
pub enum StoreError {
    /// SQLite said no.
    #[error("the broker's database failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The database was written by a newer version.
    #[error("the broker's database has schema version {found}, newer than this version's {known}")]
    TooNew {
        /// The version found.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
}

impl Store {
    /// Opens or creates the database and brings its schema up to date.
    ///
    /// # Errors
    /// When the file cannot be used, or a newer version wrote it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::prepare(Connection::open(path)?, Proofs::open(&path.with_extension("proofs.sqlite"))?)
    }

    /// A database that lives in memory only.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn in_memory() -> Result<Self, StoreError> {
        Self::prepare(Connection::open_in_memory()?, Proofs::in_memory()?)
    }

    /// Runs a short piece of work in one transaction.
    ///
    /// # Errors
    /// When SQLite fails; nothing of the work is kept then.
    pub fn write<T>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        patiently(|| {
            let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = connection.transaction()?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        })
    }

    /// Runs a short query.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(work(&connection)?)
    }

    /// Remembers a proof that was used, across the death of this process.
    pub(crate) fn proof_used(&self, used: &Used) -> Result<(), StoreError> {
        self.proofs.add(used)
    }

    /// Every proof that is remembered.
    pub(crate) fn proofs_used(&self) -> Result<Vec<Used>, StoreError> {
        self.proofs.all()
    }

    /// Forgets the proofs that are too old by now.
    pub(crate) fn prune_proofs(&self, now: Timestamp) -> Result<(), StoreError> {
        self.proofs.prune(now)
    }

    fn prepare(mut connection: Connection, proofs: Proofs) -> Result<Self, StoreError> {
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
        if found > known {
            return Err(StoreError::TooNew { found, known });
        }
        for (version, migration) in (1_u32..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
            let transaction = connection.transaction()?;
            transaction.execute_batch(migration)?;
            transaction.pragma_update(None, "user_version", version)?;
            transaction.commit()?;
        }
        Ok(Self { connection: Mutex::new(connection), proofs })
    }
}

/// Waits for the disk without keeping other tasks of this thread waiting, where there are any.
fn patiently<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// The schema's history, oldest first. Entries are never edited, only added.
const MIGRATIONS: &[&str] = &[
    include_str!("store/0001-identity.sql"),
    include_str!("store/0002-leases.sql"),
    include_str!("store/0003-lease-place.sql"),
    include_str!("store/0004-approvals.sql"),
    include_str!("store/0005-kin.sql"),
    include_str!("store/0006-confirmers.sql"),
    include_str!("store/0007-groupless.sql"),
    include_str!("store/0008-extensions.sql"),
    include_str!("store/0009-untold.sql"),
    include_str!("store/0010-indices.sql"),
    include_str!("store/0011-aws-denials.sql"),
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use crate::domain::name::DeviceId;

    #[test]
    fn a_used_proof_outlives_a_process_that_was_killed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broker.sqlite");
        let used: Used = (DeviceId::from_digest(&[1; 32]), [2; 32], 100);
        let store = Store::open(&path).unwrap();
        store.proof_used(&used).unwrap();
        // as after SIGKILL: nothing is closed
        std::mem::forget(store);
        let store = Store::open(&path).unwrap();
        assert_eq!(store.proofs_used().unwrap(), [used]);
        store.prune_proofs(Timestamp::from_second(101).unwrap()).unwrap();
        assert!(store.proofs_used().unwrap().is_empty());
    }
}
