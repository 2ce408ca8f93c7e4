//! The tables `logins`, `tokens` and `spent`.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::convert::{from_json, name, seconds, time, to_json};
use super::emails;
use crate::broker::logins::{Access, Login, TokenDigest};
use crate::domain::name::DeviceId;

/// What a spent subject token says about another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spending {
    /// It had not been exchanged.
    First,
    /// It was exchanged with the same device key.
    SameDevice,
    /// It was exchanged with another device key.
    OtherDevice,
}

/// Marks a subject token as exchanged. One statement decides, so that of any number of callers
/// exactly one is the first.
pub(crate) fn spend(
    on: &Connection,
    digest: &TokenDigest,
    device: &DeviceId,
    expires: Timestamp,
) -> rusqlite::Result<Spending> {
    let inserted = on.execute(
        "INSERT INTO spent (digest, device, expires) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![digest, device.as_str(), seconds(expires)],
    )?;
    if inserted == 1 {
        return Ok(Spending::First);
    }
    let holder: String =
        on.query_row("SELECT device FROM spent WHERE digest = ?1", [digest], |row| row.get(0))?;
    Ok(if holder == device.as_str() { Spending::SameDevice } else { Spending::OtherDevice })
}

pub(crate) fn put(on: &Connection, device: &DeviceId, login: &Login) -> rusqlite::Result<()> {
    on.execute(
        "INSERT INTO logins (device, principal, host, exchanged, idle, session_cap, groupless)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (device) DO UPDATE SET principal = excluded.principal, host = excluded.host,
         exchanged = excluded.exchanged, idle = excluded.idle, session_cap = excluded.session_cap,
         groupless = excluded.groupless",
        params![
            device.as_str(),
            to_json(&login.principal)?,
            login.host,
            seconds(login.exchanged),
            login.idle.as_secs(),
            login.session_cap.map(|cap| cap.as_secs()),
            login.groupless
        ],
    )?;
    emails::remember(on, &login.principal)
}

pub(crate) fn put_token(on: &Connection, digest: &TokenDigest, access: &Access) -> rusqlite::Result<()> {
    on.execute(
        "INSERT INTO tokens (digest, device, expires) VALUES (?1, ?2, ?3)",
        params![digest, access.device.as_str(), seconds(access.expires)],
    )?;
    Ok(())
}

pub(crate) fn remove(on: &Connection, device: &DeviceId) -> rusqlite::Result<()> {
    on.execute("DELETE FROM tokens WHERE device = ?1", [device.as_str()])?;
    on.execute("DELETE FROM logins WHERE device = ?1", [device.as_str()])?;
    Ok(())
}

/// Forgets what has expired.
pub(crate) fn prune(on: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    on.execute("DELETE FROM tokens WHERE expires <= ?1", [seconds(now)])?;
    on.execute("DELETE FROM spent WHERE expires <= ?1", [seconds(now)])?;
    Ok(())
}

pub(crate) fn all(on: &Connection) -> rusqlite::Result<Vec<(DeviceId, Login)>> {
    let mut statement =
        on.prepare("SELECT device, principal, host, exchanged, idle, session_cap, groupless FROM logins")?;
    let rows = statement.query_map([], |row| {
        let login = Login {
            principal: from_json(&row.get::<_, String>(1)?)?,
            host: row.get(2)?,
            exchanged: time(row.get(3)?)?,
            idle: jiff::SignedDuration::from_secs(row.get(4)?),
            session_cap: row.get::<_, Option<i64>>(5)?.map(jiff::SignedDuration::from_secs),
            groupless: row.get(6)?,
        };
        Ok((name(row.get(0)?)?, login))
    })?;
    rows.collect()
}

pub(crate) fn all_tokens(on: &Connection) -> rusqlite::Result<Vec<(TokenDigest, Access)>> {
    let mut statement = on.prepare("SELECT digest, device, expires FROM tokens")?;
    let rows = statement.query_map([], |row| {
        Ok((row.get(0)?, Access { device: name(row.get(1)?)?, expires: time(row.get(2)?)? }))
    })?;
    rows.collect()
}
