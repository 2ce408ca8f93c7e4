//! The table `devices`.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::convert::{name, seconds, time};
use crate::broker::devices::Reach;
use crate::domain::device::Device;
use crate::domain::name::DeviceId;
use crate::domain::principal::{PrincipalId, Subject};

pub(crate) fn find(on: &Connection, id: &DeviceId, whose: &PrincipalId) -> rusqlite::Result<Option<Device>> {
    on.query_row(
        "SELECT id, provider, subject, host, enrolled, revoked, confirmed_by FROM devices
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
        "INSERT INTO devices (id, provider, subject, host, machine, enrolled, confirmed_by)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
        params![
            device.id.as_str(),
            device.principal.provider.as_str(),
            device.principal.subject.as_str(),
            device.host,
            is_machine,
            seconds(device.enrolled),
            device.confirmed_by.as_ref().map(DeviceId::as_str)
        ],
    )?;
    Ok(())
}

pub(crate) fn of(on: &Connection, whose: &PrincipalId) -> rusqlite::Result<Vec<Device>> {
    let mut statement = on.prepare_cached(
        "SELECT id, provider, subject, host, enrolled, revoked, confirmed_by FROM devices
         WHERE provider = ?1 AND subject = ?2 ORDER BY enrolled, id",
    )?;
    statement.query_map([whose.provider.as_str(), whose.subject.as_str()], read)?.collect()
}

/// Revokes a key of theirs, and as far as `reach` says those that it let in, and theirs. Returns what was
/// revoked by this: nothing that had been before.
pub(crate) fn revoke(
    on: &Connection,
    id: &DeviceId,
    whose: &PrincipalId,
    reach: Reach,
    now: Timestamp,
) -> rusqlite::Result<Vec<Device>> {
    // through keys that were revoked alone, to those that they had let in
    let mut statement = on.prepare_cached(
        "WITH RECURSIVE gone (id) AS (
             SELECT ?1
             UNION
             SELECT devices.id FROM devices JOIN gone ON devices.confirmed_by = gone.id
             WHERE ?5 AND devices.provider = ?2 AND devices.subject = ?3
         )
         UPDATE devices SET revoked = ?4, told = 0
         WHERE id IN (SELECT id FROM gone) AND provider = ?2 AND subject = ?3 AND revoked IS NULL
         RETURNING id, provider, subject, host, enrolled, revoked, confirmed_by",
    )?;
    let (provider, subject) = (whose.provider.as_str(), whose.subject.as_str());
    let parameters = params![id.as_str(), provider, subject, seconds(now), reach == Reach::LetIn];
    let mut revoked: Vec<Device> = statement.query_map(parameters, read)?.collect::<Result<_, _>>()?;
    revoked.sort_by(|one, other| (one.enrolled, &one.id).cmp(&(other.enrolled, &other.id)));
    Ok(revoked)
}

/// The keys that were revoked by a time and whose revocation is not known to be in the ledger: everybody's, or
/// those of one principal.
pub(crate) fn untold(
    on: &Connection,
    whose: Option<&PrincipalId>,
    by: Timestamp,
) -> rusqlite::Result<Vec<DeviceId>> {
    let mut statement = on.prepare_cached(
        "SELECT id FROM devices WHERE revoked <= ?3 AND NOT told
         AND (?1 IS NULL OR provider = ?1 AND subject = ?2) ORDER BY enrolled, id",
    )?;
    let provider = whose.map(|whose| whose.provider.as_str());
    let subject = whose.map(|whose| whose.subject.as_str());
    statement.query_map(params![provider, subject, seconds(by)], |row| name(row.get(0)?))?.collect()
}

/// Notes that the revocation of a key is in the ledger.
pub(crate) fn told(on: &Connection, id: &DeviceId) -> rusqlite::Result<()> {
    on.execute("UPDATE devices SET told = 1 WHERE id = ?1 AND revoked IS NOT NULL", [id.as_str()])?;
    Ok(())
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
        confirmed_by: row.get::<_, Option<String>>(6)?.map(name).transpose()?,
    })
}
