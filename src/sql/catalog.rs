//! A snapshot of what names mean in one database.
//!
//! Job: rows of catalog queries → look-ups. Boundary: it runs no query; the caller runs
//! [`Builtins::QUERIES`] once per server version and [`Catalog::QUERIES`] per connection, as the session's role and
//! in order, and hands the rows in. Failure mode: rows that do not have the expected shape are a
//! [`CatalogError`], and the connection must not open.

use std::sync::Arc;

use thiserror::Error;

/// The rows of one query: text form, NULL as `None`.
pub type Rows = Vec<Vec<Option<String>>>;

/// What comes with the server (OIDs below 16384); the same for every database of a version.
#[derive(Debug, Clone, Default)]
pub struct Builtins {}

/// What names mean in one database, for one role.
#[derive(Debug, Clone, Default)]
pub struct Catalog {}

/// Rows that do not have the expected shape.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the database's catalog could not be understood: query {query}: {message}")]
pub struct CatalogError {
    /// Which query, counted from 0.
    pub query: usize,
    /// What is wrong with it.
    pub message: String,
}

impl Builtins {
    /// The queries whose rows [`Builtins::from_rows`] takes. Cacheable per `server_version`.
    pub const QUERIES: &'static [&'static str] = &[];

    /// Reads the rows of [`Builtins::QUERIES`], one element per query.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn from_rows(_rows: &[Rows]) -> Result<Self, CatalogError> {
        Ok(Self {})
    }
}

impl Catalog {
    /// The statements whose rows [`Catalog::from_rows`] takes; some give no rows (they open and close a
    /// read-only transaction). Run them in order with the simple protocol, outside a transaction.
    pub const QUERIES: &'static [&'static str] = &[];

    /// Reads the rows of [`Catalog::QUERIES`], one element per statement.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn from_rows(_builtins: Arc<Builtins>, _rows: &[Rows]) -> Result<Self, CatalogError> {
        Ok(Self {})
    }
}
