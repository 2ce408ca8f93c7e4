//! The table `leases`: what was minted and is not gone yet.
//!
//! Failure mode: an error; a lease that cannot be stored is not minted.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};

use crate::domain::name::{SessionId, TargetName};
use crate::domain::target::{SecretSource, UpstreamTls};

use super::{Store, StoreError};

/// A lease as it is stored. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRow {
    /// The target that it opens.
    pub target: TargetName,
    /// The role at the database.
    pub login: String,
    /// The session it was minted for.
    pub session: SessionId,
    /// Who makes such leases.
    pub issuer: IssuerWord,
    /// Where the role is, for `postgres-role`; older rows have none.
    pub place: Option<Place>,
    /// How far it got.
    pub state: LeaseState,
    /// Until when it opens connections, RFC 3339.
    pub expires: String,
    /// How often revoking it was tried in vain.
    pub attempts: u32,
    /// What could not be removed, and why.
    pub note: String,
}

/// Where the role of a lease is and by whom it is dropped, as configured when it was minted: what the
/// reaper needs when its target is not configured any more, or has moved. It holds no secret, only
/// where the secret is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The database in which the role is made.
    pub database: String,
    /// Further databases in which the broker wrote down what the session's login says; older rows have none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub also_databases: BTreeSet<String>,
    /// How the server proves itself.
    pub tls: UpstreamTls,
    /// The administrator's role.
    pub admin: String,
    /// Where its password is.
    pub admin_password: SecretSource,
}

/// The kinds of issuers, as the table spells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuerWord {
    /// `postgres-role`.
    PostgresRole,
    /// `static`.
    Static,
}

/// How far a lease got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseState {
    /// The role may or may not exist.
    Minting,
    /// Handed out.
    Live,
    /// Something of it could not be removed.
    Stuck,
}

impl Store {
    /// Notes that a lease is about to be minted.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn begin_lease(&self, row: &LeaseRow) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute(
                "INSERT INTO leases (target, login, session, issuer, state, expires, place)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    row.target.as_str(),
                    row.login,
                    row.session.as_str(),
                    row.issuer.as_str(),
                    row.state.as_str(),
                    row.expires,
                    row.place.as_ref().map(Place::to_json).unwrap_or_default(),
                ],
            )
            .map(drop)
        })
    }

    /// Notes that a lease is handed out.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn lease_is_live(&self, session: &SessionId, login: &str) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute(
                "UPDATE leases SET state = 'live' WHERE session = ?1 AND login = ?2",
                [session.as_str(), login],
            )
            .map(drop)
        })
    }

    /// Notes that a lease lasts until another time.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn lease_lasts(&self, session: &SessionId, login: &str, until: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute(
                "UPDATE leases SET expires = ?3 WHERE session = ?1 AND login = ?2",
                [session.as_str(), login, &until.to_string()],
            )
            .map(drop)
        })
    }

    /// Notes that something of a lease is left, to be tried again.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn lease_is_stuck(&self, session: &SessionId, login: &str, note: &str) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute(
                "UPDATE leases SET state = 'stuck', attempts = attempts + 1, note = ?3
                 WHERE session = ?1 AND login = ?2",
                [session.as_str(), login, note],
            )
            .map(drop)
        })
    }

    /// Forgets a lease of which nothing is left.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn lease_is_gone(&self, session: &SessionId, login: &str) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute("DELETE FROM leases WHERE session = ?1 AND login = ?2", [session.as_str(), login])
                .map(drop)
        })
    }

    /// All leases of which something may be left.
    ///
    /// # Errors
    /// When SQLite fails or a row is not ours.
    pub fn leases(&self) -> Result<Vec<LeaseRow>, StoreError> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT target, login, session, issuer, state, expires, attempts, note, place
                     FROM leases ORDER BY target, session, login",
                )?
                .query_map([], LeaseRow::from_row)?
                .collect()
        })
    }
}

impl LeaseRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let issuer: String = row.get(3)?;
        let state: String = row.get(4)?;
        Ok(Self {
            target: TargetName::new(row.get::<_, String>(0)?).map_err(foreign)?,
            login: row.get(1)?,
            session: SessionId::new(row.get::<_, String>(2)?).map_err(foreign)?,
            issuer: if issuer == "static" { IssuerWord::Static } else { IssuerWord::PostgresRole },
            state: match state.as_str() {
                "minting" => LeaseState::Minting,
                "live" => LeaseState::Live,
                _ => LeaseState::Stuck,
            },
            expires: row.get(5)?,
            attempts: row.get(6)?,
            note: row.get(7)?,
            // one that cannot be read is like none: the reaper says that the target is unknown
            place: serde_json::from_str(&row.get::<_, String>(8)?).ok(),
        })
    }
}

impl Place {
    fn to_json(&self) -> String {
        // paths that are not UTF-8 are the only ones that cannot be written
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl IssuerWord {
    /// The name in configuration and table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PostgresRole => "postgres-role",
            Self::Static => "static",
        }
    }
}

impl LeaseState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Minting => "minting",
            Self::Live => "live",
            Self::Stuck => "stuck",
        }
    }
}

fn foreign(error: crate::domain::name::NameError) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
}
