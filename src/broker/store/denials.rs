//! The table `aws_denials`: sessions whose tokens of AWS are denied when they end.

use jiff::Timestamp;
use rusqlite::{Row, params};

use super::{Store, StoreError};
use crate::domain::name::{SessionId, TargetName};

/// A session's tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DenialRow {
    pub(crate) session: SessionId,
    pub(crate) target: TargetName,
    /// The role, an ARN.
    pub(crate) role: String,
    /// By what AWS knows them.
    pub(crate) mark: String,
    /// When the last of them has expired.
    pub(crate) until: Timestamp,
    /// Whether the session has ended.
    pub(crate) is_over: bool,
    /// Where the role is and by whom it is changed, as JSON.
    pub(crate) place: String,
}

impl Store {
    /// Notes that tokens are about to be made, or that newer ones last longer.
    ///
    /// # Errors
    /// When SQLite fails.
    pub(crate) fn begin_denial(&self, row: &DenialRow) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute(
                "INSERT INTO aws_denials (session, target, role, mark, until, is_over, place)
                 VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6)
                 ON CONFLICT (session) DO UPDATE SET until = max(until, excluded.until)",
                params![
                    row.session.as_str(),
                    row.target.as_str(),
                    row.role,
                    row.mark,
                    row.until.as_second(),
                    row.place
                ],
            )
            .map(drop)
        })
    }

    /// Notes that a session has ended; its row, if it has one.
    ///
    /// # Errors
    /// When SQLite fails.
    pub(crate) fn end_denial(&self, session: &SessionId) -> Result<Option<DenialRow>, StoreError> {
        self.write(|tx| {
            tx.execute("UPDATE aws_denials SET is_over = 1 WHERE session = ?1", [session.as_str()])?;
            let mut found = tx.prepare_cached(&format!("{SELECT} WHERE session = ?1"))?;
            found.query_map([session.as_str()], read)?.next().transpose()
        })
    }

    /// All rows.
    ///
    /// # Errors
    /// When SQLite fails or a row is not ours.
    pub(crate) fn denials(&self) -> Result<Vec<DenialRow>, StoreError> {
        self.read(|connection| {
            let mut all = connection.prepare_cached(&format!("{SELECT} ORDER BY role, until, session"))?;
            all.query_map([], read)?.collect()
        })
    }

    /// Forgets a session that got no tokens.
    ///
    /// # Errors
    /// When SQLite fails.
    pub(crate) fn drop_denial(&self, session: &SessionId) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute("DELETE FROM aws_denials WHERE session = ?1", [session.as_str()])?;
            Ok(())
        })
    }

    /// Forgets the ended sessions of a role whose tokens have expired.
    ///
    /// # Errors
    /// When SQLite fails.
    pub(crate) fn forget_denials(&self, role: &str, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute(
                "DELETE FROM aws_denials WHERE role = ?1 AND is_over = 1 AND until <= ?2",
                params![role, now.as_second()],
            )
            .map(drop)
        })
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<DenialRow> {
    let foreign = |error: crate::domain::name::NameError| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
    };
    Ok(DenialRow {
        session: SessionId::new(row.get::<_, String>(0)?).map_err(foreign)?,
        target: TargetName::new(row.get::<_, String>(1)?).map_err(foreign)?,
        role: row.get(2)?,
        mark: row.get(3)?,
        until: Timestamp::from_second(row.get(4)?).unwrap_or(Timestamp::MAX),
        is_over: row.get(5)?,
        place: row.get(6)?,
    })
}

const SELECT: &str = "SELECT session, target, role, mark, until, is_over, place FROM aws_denials";
