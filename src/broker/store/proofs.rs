//! The proofs that were used, in a database of their own.
//!
//! Job: outlive the process, so that a proof cannot be used again after a restart. Boundary: knows
//! digests only. Every call of the API writes here, so nothing waits for the disk: what is written
//! survives the death of the process. A machine that dies may lose the last writes: one that is back
//! within the minute that a proof is good for would take such a proof a second time. Failure mode: an error; the caller refuses the call.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::convert::name;
use super::{StoreError, patiently};
use crate::domain::name::DeviceId;

/// A used proof: whose, the digest of its id, and the second until which it would be acceptable.
pub(crate) type Used = (DeviceId, [u8; 32], i64);

/// The used proofs.
pub(super) struct Proofs(Mutex<Connection>);

impl Proofs {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        Self::prepare(Connection::open(path)?)
    }

    pub(super) fn in_memory() -> Result<Self, StoreError> {
        Self::prepare(Connection::open_in_memory()?)
    }

    pub(super) fn add(&self, (device, digest, until): &Used) -> Result<(), StoreError> {
        patiently(|| {
            let connection = self.connection();
            let mut statement = connection.prepare_cached(
                "INSERT INTO proofs (device, digest, until) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET until = excluded.until",
            )?;
            statement.execute(params![device.as_str(), digest, until])?;
            Ok(())
        })
    }

    pub(super) fn all(&self) -> Result<Vec<Used>, StoreError> {
        let connection = self.connection();
        let mut statement = connection.prepare("SELECT device, digest, until FROM proofs")?;
        let rows = statement.query_map([], |row| Ok((name(row.get(0)?)?, row.get(1)?, row.get(2)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub(super) fn prune(&self, now: Timestamp) -> Result<(), StoreError> {
        patiently(|| {
            self.connection().execute("DELETE FROM proofs WHERE until < ?1", [now.as_second()])?;
            Ok(())
        })
    }

    fn prepare(connection: Connection) -> Result<Self, StoreError> {
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS proofs (
                 device TEXT NOT NULL,
                 digest BLOB NOT NULL,
                 until  INTEGER NOT NULL,
                 PRIMARY KEY (device, digest)
             ) STRICT, WITHOUT ROWID;",
        )?;
        Ok(Self(Mutex::new(connection)))
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
