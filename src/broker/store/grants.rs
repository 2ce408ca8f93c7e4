//! The tables `grants`, `extensions` and `standing`.
//!
//! INVARIANT: a grant changes by one conditional UPDATE on what was read, and its caller looks at the
//! row count.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::convert::{from_json, name, seconds, time, to_count, to_json};
use crate::domain::approval::{Grant, GrantState};
use crate::domain::name::{Digest, GrantId, RequestId, RuleName, TargetName};
use crate::domain::principal::{PrincipalId, Subject};
use std::collections::BTreeSet;

/// Stores a grant that nobody may use until [`issue`].
pub(crate) fn insert(on: &Connection, grant: &Grant) -> rusqlite::Result<()> {
    on.execute(
        "INSERT INTO grants (id, request, principal, target, reason, starts, ends, once, state)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'issuing')",
        params![
            grant.id.as_str(),
            grant.request.as_str(),
            grant.principal.to_string(),
            grant.target.as_str(),
            grant.reason,
            seconds(grant.starts),
            seconds(grant.ends),
            grant.once
        ],
    )?;
    Ok(())
}

/// From now on the grant may be used: it is in the ledger.
pub(crate) fn issue(on: &Connection, id: &GrantId) -> rusqlite::Result<bool> {
    Ok(on.execute("UPDATE grants SET state = 'active' WHERE id = ?1 AND state = 'issuing'", [id.as_str()])?
        == 1)
}

/// The grants that a former process did not get into the ledger.
pub(crate) fn unissued(on: &Connection) -> rusqlite::Result<Vec<Grant>> {
    on.prepare(&select("state = 'issuing'"))?.query_map([], read)?.collect()
}

/// Stores what became of a grant; false when it is no longer what `old` says.
pub(crate) fn advance(on: &Connection, old: &Grant, next: &Grant) -> rusqlite::Result<bool> {
    let changed = on.execute(
        "UPDATE grants SET state = ?4, ends = ?5 WHERE id = ?1 AND state = ?2 AND ends = ?3",
        params![old.id.as_str(), word(old.state), seconds(old.ends), word(next.state), seconds(next.ends)],
    )?;
    Ok(changed == 1)
}

/// An extension that was approved, and is not in force before its entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extension {
    /// The request that was approved.
    pub(crate) request: RequestId,
    /// Until when the grant is to last.
    pub(crate) ends: Timestamp,
}

/// Writes down that a grant is to last longer. It does not yet.
pub(crate) fn promise(on: &Connection, grant: &GrantId, extension: &Extension) -> rusqlite::Result<()> {
    on.execute(
        "INSERT INTO extensions (request, grant_id, ends) VALUES (?1, ?2, ?3)",
        params![extension.request.as_str(), grant.as_str(), seconds(extension.ends)],
    )?;
    Ok(())
}

/// What a grant was promised, in the order of the approvals.
pub(crate) fn promised(on: &Connection, grant: &GrantId) -> rusqlite::Result<Vec<Extension>> {
    on.prepare_cached("SELECT request, ends FROM extensions WHERE grant_id = ?1 ORDER BY ends")?
        .query_map([grant.as_str()], |row| {
            Ok(Extension { request: name(row.get(0)?)?, ends: time(row.get(1)?)? })
        })?
        .collect()
}

/// The grants that were promised an extension.
pub(crate) fn with_promises(on: &Connection) -> rusqlite::Result<Vec<GrantId>> {
    on.prepare("SELECT DISTINCT grant_id FROM extensions")?.query_map([], |row| name(row.get(0)?))?.collect()
}

/// Forgets a promise that was kept, or cannot be.
pub(crate) fn settle(on: &Connection, extension: &Extension) -> rusqlite::Result<()> {
    on.execute("DELETE FROM extensions WHERE request = ?1", [extension.request.as_str()])?;
    Ok(())
}

pub(crate) fn find(on: &Connection, id: &GrantId) -> rusqlite::Result<Option<Grant>> {
    on.prepare_cached(&select("id = ?1 AND state <> 'issuing'"))?.query_row([id.as_str()], read).optional()
}

/// The grants that let somebody open a session on a target now, the one that lasts longest first.
pub(crate) fn live(
    on: &Connection,
    whose: &PrincipalId,
    target: &TargetName,
    now: Timestamp,
) -> rusqlite::Result<Vec<Grant>> {
    // one for a single session is kept for when there is no other
    on.prepare_cached(&select(
        "principal = ?1 AND target = ?2 AND state = 'active' AND starts <= ?3 AND ends > ?3
         ORDER BY once, ends DESC, id",
    ))?
    .query_map(params![whose.to_string(), target.as_str(), seconds(now)], read)?
    .collect()
}

/// Grants that have not ended, and those that ended last, by their end.
pub(crate) fn recent(on: &Connection, limit: u32) -> rusqlite::Result<Vec<Grant>> {
    on.prepare_cached(&select("state <> 'issuing' ORDER BY ends DESC, id LIMIT ?1"))?
        .query_map([limit], read)?
        .collect()
}

/// Somebody's own grants, likewise.
pub(crate) fn of(on: &Connection, whose: &PrincipalId, limit: u32) -> rusqlite::Result<Vec<Grant>> {
    on.prepare_cached(&select("principal = ?1 AND state <> 'issuing' ORDER BY ends DESC, id LIMIT ?2"))?
        .query_map(params![whose.to_string(), limit], read)?
        .collect()
}

/// Forgets what ended before a time.
pub(crate) fn prune(on: &Connection, ended_before: Timestamp) -> rusqlite::Result<()> {
    on.execute("DELETE FROM grants WHERE ends < ?1", [seconds(ended_before)])?;
    on.execute("DELETE FROM standing WHERE ends < ?1", [seconds(ended_before)])?;
    Ok(())
}

/// A standing decision as it is stored; the rest is in its request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StandingRow {
    pub(crate) request: RequestId,
    pub(crate) principal: String,
    pub(crate) target: TargetName,
    pub(crate) rules: Vec<RuleName>,
    pub(crate) tree: Digest,
    pub(crate) free: BTreeSet<u16>,
    pub(crate) ends: Timestamp,
    pub(crate) revoked: bool,
    pub(crate) uses: u64,
}

pub(crate) fn insert_standing(on: &Connection, row: &StandingRow) -> rusqlite::Result<()> {
    on.execute(
        "INSERT INTO standing (request, principal, target, rules, tree, free, ends) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            row.request.as_str(),
            row.principal,
            row.target.as_str(),
            to_json(&row.rules)?,
            row.tree.as_str(),
            to_json(&row.free)?,
            seconds(row.ends)
        ],
    )?;
    Ok(())
}

/// The standing decisions that could answer for an action of this shape now.
pub(crate) fn standing_for(
    on: &Connection,
    whose: &PrincipalId,
    target: &TargetName,
    tree: &Digest,
    now: Timestamp,
) -> rusqlite::Result<Vec<StandingRow>> {
    on.prepare_cached(&select_standing(
        "principal = ?1 AND target = ?2 AND tree = ?3 AND revoked = 0 AND ends > ?4 ORDER BY ends DESC LIMIT 16",
    ))?
    .query_map(params![whose.to_string(), target.as_str(), tree.as_str(), seconds(now)], read_standing)?
    .collect()
}

/// Counts a use; false when the decision is no longer in force.
pub(crate) fn use_standing(on: &Connection, id: &RequestId, now: Timestamp) -> rusqlite::Result<bool> {
    let changed = on.execute(
        "UPDATE standing SET uses = uses + 1 WHERE request = ?1 AND revoked = 0 AND ends > ?2",
        params![id.as_str(), seconds(now)],
    )?;
    Ok(changed == 1)
}

/// Takes a standing decision back; false when it is not in force.
pub(crate) fn revoke_standing(on: &Connection, id: &RequestId, now: Timestamp) -> rusqlite::Result<bool> {
    let changed = on.execute(
        "UPDATE standing SET revoked = 1 WHERE request = ?1 AND revoked = 0 AND ends > ?2",
        params![id.as_str(), seconds(now)],
    )?;
    Ok(changed == 1)
}

pub(crate) fn find_standing(on: &Connection, id: &RequestId) -> rusqlite::Result<Option<StandingRow>> {
    on.prepare_cached(&select_standing("request = ?1"))?.query_row([id.as_str()], read_standing).optional()
}

/// The standing decisions that a device's review is part of, as far as they are in force.
pub(crate) fn standing_by(
    on: &Connection,
    device: &crate::domain::name::DeviceId,
    now: Timestamp,
) -> rusqlite::Result<Vec<RequestId>> {
    on.prepare_cached(
        "SELECT DISTINCT standing.request FROM standing JOIN reviews ON reviews.request = standing.request
         WHERE reviews.device = ?1 AND revoked = 0 AND ends > ?2",
    )?
    .query_map(params![device.as_str(), seconds(now)], |row| name(row.get(0)?))?
    .collect()
}

/// Standing decisions, those that end last first.
pub(crate) fn recent_standing(on: &Connection, limit: u32) -> rusqlite::Result<Vec<StandingRow>> {
    on.prepare_cached(&select_standing("true ORDER BY ends DESC, request LIMIT ?1"))?
        .query_map([limit], read_standing)?
        .collect()
}

fn select(condition: &str) -> String {
    format!(
        "SELECT id, request, principal, target, reason, starts, ends, once, state FROM grants WHERE {condition}"
    )
}

fn select_standing(condition: &str) -> String {
    format!(
        "SELECT request, principal, target, rules, tree, free, ends, revoked, uses FROM standing WHERE {condition}"
    )
}

fn read(row: &Row<'_>) -> rusqlite::Result<Grant> {
    Ok(Grant {
        id: name(row.get(0)?)?,
        request: name(row.get(1)?)?,
        principal: principal(&row.get::<_, String>(2)?)?,
        target: name(row.get(3)?)?,
        reason: row.get(4)?,
        starts: time(row.get(5)?)?,
        ends: time(row.get(6)?)?,
        once: row.get(7)?,
        state: match row.get::<_, String>(8)?.as_str() {
            "active" | "issuing" => GrantState::Active,
            "used" => GrantState::Used,
            _ => GrantState::Revoked,
        },
    })
}

fn read_standing(row: &Row<'_>) -> rusqlite::Result<StandingRow> {
    Ok(StandingRow {
        request: name(row.get(0)?)?,
        principal: row.get(1)?,
        target: name(row.get(2)?)?,
        rules: from_json(&row.get::<_, String>(3)?)?,
        tree: name(row.get(4)?)?,
        free: from_json(&row.get::<_, String>(5)?)?,
        ends: time(row.get(6)?)?,
        revoked: row.get(7)?,
        uses: to_count(row.get(8)?)?,
    })
}

/// `PROVIDER:SUBJECT`; a provider's name holds no colon.
pub(crate) fn principal(text: &str) -> rusqlite::Result<PrincipalId> {
    let (provider, subject) = text.split_once(':').unwrap_or((text, ""));
    Ok(PrincipalId { provider: name(provider.to_owned())?, subject: name::<Subject>(subject.to_owned())? })
}

fn word(state: GrantState) -> &'static str {
    match state {
        GrantState::Active => "active",
        GrantState::Revoked => "revoked",
        GrantState::Used => "used",
    }
}
