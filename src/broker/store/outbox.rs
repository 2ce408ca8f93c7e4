//! The table `outbox`: what webhooks are still to be told.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::convert::{seconds, time};

/// A message for one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) id: String,
    pub(crate) hook: String,
    pub(crate) body: String,
    pub(crate) created: Timestamp,
    pub(crate) attempts: u32,
}

/// Puts a message in, unless too many wait for the same webhook already.
pub(crate) fn put(on: &Connection, letter: &Letter, most: u32) -> rusqlite::Result<bool> {
    let waiting: u32 = on
        .prepare_cached("SELECT count(*) FROM outbox WHERE hook = ?1")?
        .query_row([&letter.hook], |row| row.get(0))?;
    if waiting >= most {
        return Ok(false);
    }
    on.prepare_cached("INSERT INTO outbox (id, hook, body, created, due) VALUES (?1, ?2, ?3, ?4, ?4)")?
        .execute(params![letter.id, letter.hook, letter.body, seconds(letter.created)])?;
    Ok(true)
}

/// The messages that one webhook is due, oldest first.
pub(crate) fn due(on: &Connection, hook: &str, now: Timestamp) -> rusqlite::Result<Vec<Letter>> {
    on.prepare_cached(
        "SELECT id, hook, body, created, attempts FROM outbox WHERE hook = ?1 AND due <= ?2
         ORDER BY created, id LIMIT 32",
    )?
    .query_map(params![hook, seconds(now)], |row| {
        Ok(Letter {
            id: row.get(0)?,
            hook: row.get(1)?,
            body: row.get(2)?,
            created: time(row.get(3)?)?,
            attempts: row.get(4)?,
        })
    })?
    .collect()
}

pub(crate) fn delivered(on: &Connection, id: &str) -> rusqlite::Result<()> {
    on.execute("DELETE FROM outbox WHERE id = ?1", [id]).map(drop)
}

/// A webhook did not take a message: all of its messages wait.
pub(crate) fn postpone(on: &Connection, letter: &Letter, until: Timestamp) -> rusqlite::Result<()> {
    on.execute("UPDATE outbox SET attempts = attempts + 1 WHERE id = ?1", [&letter.id])?;
    on.execute("UPDATE outbox SET due = max(due, ?2) WHERE hook = ?1", params![letter.hook, seconds(until)])?;
    Ok(())
}

/// A webhook does not want this message: it waits, and no other does.
pub(crate) fn postpone_one(on: &Connection, letter: &Letter, until: Timestamp) -> rusqlite::Result<()> {
    on.execute(
        "UPDATE outbox SET attempts = attempts + 1, due = max(due, ?2) WHERE id = ?1",
        params![letter.id, seconds(until)],
    )
    .map(drop)
}

/// Forgets what is older than anybody waits for; how much that was.
pub(crate) fn prune(on: &Connection, created_before: Timestamp) -> rusqlite::Result<usize> {
    on.execute("DELETE FROM outbox WHERE created < ?1", [seconds(created_before)])
}
