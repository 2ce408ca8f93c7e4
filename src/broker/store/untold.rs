//! The table `untold`: what was taken away and is not in the ledger yet.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::convert::{from_json, to_json};
use crate::domain::event::{Actor, What};

/// An end that has happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Untold {
    pub(crate) actor: Option<Actor>,
    pub(crate) what: What,
}

/// Notes an end in the transaction that brings it about; returns its place.
pub(crate) fn put(on: &Connection, actor: Option<&Actor>, what: &What) -> rusqlite::Result<i64> {
    on.prepare_cached("INSERT INTO untold (actor, what) VALUES (?1, ?2)")?
        .execute(params![actor.map(to_json).transpose()?, to_json(what)?])?;
    Ok(on.last_insert_rowid())
}

/// The end at a place, unless it was told.
pub(crate) fn find(on: &Connection, place: i64) -> rusqlite::Result<Option<Untold>> {
    on.prepare_cached("SELECT actor, what FROM untold WHERE place = ?1")?.query_row([place], read).optional()
}

/// The places of the oldest ends.
pub(crate) fn oldest(on: &Connection) -> rusqlite::Result<Vec<i64>> {
    on.prepare_cached("SELECT place FROM untold ORDER BY place LIMIT 1000")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Notes that an end is in the ledger.
pub(crate) fn told(on: &Connection, place: i64) -> rusqlite::Result<()> {
    on.prepare_cached("DELETE FROM untold WHERE place = ?1")?.execute([place]).map(drop)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Untold> {
    let actor = row.get::<_, Option<String>>(0)?.map(|text| from_json(&text)).transpose()?;
    Ok(Untold { actor, what: from_json(&row.get::<_, String>(1)?)? })
}
