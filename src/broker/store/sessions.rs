//! The table `sessions`: a session's public face as JSON.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::convert::{from_json, seconds, to_json};
use crate::domain::name::SessionId;
use crate::domain::session::{Session, SessionState};

pub(crate) fn put(on: &Connection, session: &Session) -> rusqlite::Result<()> {
    let closed = match session.state {
        SessionState::Closed { at, .. } => Some(seconds(at)),
        _ => None,
    };
    on.execute(
        "INSERT INTO sessions (id, body, opened, closed) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET body = excluded.body, closed = excluded.closed",
        params![session.id.as_str(), to_json(session)?, seconds(session.opened), closed],
    )?;
    Ok(())
}

pub(crate) fn remove(on: &Connection, id: &SessionId) -> rusqlite::Result<()> {
    on.execute("DELETE FROM sessions WHERE id = ?1", [id.as_str()])?;
    Ok(())
}

pub(crate) fn find(on: &Connection, id: &SessionId) -> rusqlite::Result<Option<Session>> {
    on.query_row("SELECT body FROM sessions WHERE id = ?1", [id.as_str()], |row| {
        from_json(&row.get::<_, String>(0)?)
    })
    .optional()
}

/// The latest `limit` sessions that are over, newest first.
pub(crate) fn closed(on: &Connection, limit: u32) -> rusqlite::Result<Vec<Session>> {
    let mut statement = on
        .prepare_cached("SELECT body FROM sessions WHERE closed IS NOT NULL ORDER BY opened DESC LIMIT ?1")?;
    statement.query_map([limit], |row| from_json(&row.get::<_, String>(0)?))?.collect()
}

/// Sessions that nobody closed: those of a former process.
pub(crate) fn unclosed(on: &Connection) -> rusqlite::Result<Vec<Session>> {
    let mut statement = on.prepare("SELECT body FROM sessions WHERE closed IS NULL")?;
    statement.query_map([], |row| from_json(&row.get::<_, String>(0)?))?.collect()
}
