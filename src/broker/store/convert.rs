//! Between SQLite's values and ours.
//!
//! Failure mode: a value that does not have its type's shape is a conversion error of SQLite's, so
//! that a damaged database reads as damaged and never as something else.

use jiff::Timestamp;
use rusqlite::types::Type;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) fn seconds(at: Timestamp) -> i64 {
    at.as_second()
}

pub(crate) fn time(second: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_second(second).map_err(|error| damaged(Type::Integer, error))
}

pub(crate) fn name<T>(text: String) -> rusqlite::Result<T>
where
    T: TryFrom<String>,
    T::Error: std::error::Error + Send + Sync + 'static,
{
    T::try_from(text).map_err(|error| damaged(Type::Text, error))
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| damaged(Type::Text, error))
}

/// A count as SQLite holds it.
pub(crate) fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count from SQLite.
pub(crate) fn to_count(count: i64) -> rusqlite::Result<u64> {
    u64::try_from(count).map_err(|error| damaged(Type::Integer, error))
}

fn damaged(kind: Type, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, kind, Box::new(error))
}
