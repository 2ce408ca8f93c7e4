//! The table `devices`.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::convert::{name, seconds, time};
use crate::domain::device::Device;
use crate::domain::name::DeviceId;
use crate::domain::principal::{PrincipalId, Subject};

pub(crate) fn find(on: &Connection, id: &DeviceId, whose: &PrincipalId) -> rusqlite::Result<Option<Device>> {
    on.query_row(
        "SELECT id, provider, subject, host, enrolled, revoked FROM devices
         WHERE id = ?1 AND provider = ?2 AND subject = ?3",
        params![id.as_str(), whose.provider.as_str(), whose.subject.as_str()],
        read,
    )
    .optional()
}

/// Whether the key was revoked, by whomever: a key that one of its owners calls lost is lost.
pub(crate) fn is_revoked(on: &Connection, id: &DeviceId) -> rusqlite::Result<bool> {
    on.query_row(
        "SELECT EXISTS (SELECT 1 FROM devices WHERE id = ?1 AND revoked IS NOT NULL)",
        [id.as_str()],
        |row| row.get(0),
    )
}

pub(crate) fn insert(on: &Connection, device: &Device, is_machine: bool) -> rusqlite::Result<()> {
    on.execute(
        "INSERT INTO devices (id, provider, subject, host, machine, enrolled) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO NOTHING",
        params![
            device.id.as_str(),
            device.principal.provider.as_str(),
            device.principal.subject.as_str(),
            device.host,
            is_machine,
            seconds(device.enrolled)
        ],
    )?;
    Ok(())
}

pub(crate) fn of(on: &Connection, whose: &PrincipalId) -> rusqlite::Result<Vec<Device>> {
    let mut statement = on.prepare_cached(
        "SELECT id, provider, subject, host, enrolled, revoked FROM devices
         WHERE provider = ?1 AND subject = ?2 ORDER BY enrolled, id",
    )?;
    statement.query_map([whose.provider.as_str(), whose.subject.as_str()], read)?.collect()
}

/// Revokes the key; false when it was not theirs or already revoked.
pub(crate) fn revoke(
    on: &Connection,
    id: &DeviceId,
    whose: &PrincipalId,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let changed = on.execute(
        "UPDATE devices SET revoked = ?4 WHERE id = ?1 AND provider = ?2 AND subject = ?3 AND revoked IS NULL",
        params![id.as_str(), whose.provider.as_str(), whose.subject.as_str(), seconds(now)],
    )?;
    Ok(changed == 1)
}

/// Forgets the keys of machines whose login has ended: each CI job brings a new one.
pub(crate) fn forget_idle_machines(on: &Connection) -> rusqlite::Result<usize> {
    on.execute(
        "DELETE FROM devices WHERE machine AND revoked IS NULL AND id NOT IN (SELECT device FROM logins)",
        [],
    )
}

fn read(row: &Row<'_>) -> rusqlite::Result<Device> {
    Ok(Device {
        id: name(row.get(0)?)?,
        principal: PrincipalId { provider: name(row.get(1)?)?, subject: name::<Subject>(row.get(2)?)? },
        host: row.get(3)?,
        enrolled: time(row.get(4)?)?,
        revoked: row.get::<_, Option<i64>>(5)?.map(time).transpose()?,
    })
}
