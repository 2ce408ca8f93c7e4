//! The tables `requests`, `inbox` and `reviews`.
//!
//! INVARIANT: whatever changes a request is one conditional UPDATE on its version, and its caller
//! looks at the row count.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::convert::{count, from_json, name, seconds, time, to_count, to_json};
use super::emails;
use crate::domain::approval::threshold::Reviewers;
use crate::domain::approval::{
    Decision, Life, Purpose, Request, RequestState, Review, SubjectText, Voice, digest_of,
};
use crate::domain::name::{DeviceId, GroupName, RequestId, SessionId};
use crate::domain::principal::{Person, Principal, PrincipalId, PrincipalKind};

/// A request as it is stored; in lists with the text of its subject only.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored<S = SubjectText> {
    /// Counted up by every transition.
    pub(crate) version: i64,
    /// Who asked, as they were then.
    pub(crate) who: Principal,
    /// What transitions go by.
    pub(crate) life: Life,
    /// Its public face.
    pub(crate) request: Request,
    /// What is reviewed.
    pub(crate) subject: S,
    /// The session of a deed.
    pub(crate) session: Option<SessionId>,
    /// The requester's own key.
    pub(crate) key: Option<String>,
}

/// Which of somebody's requests a list begins after: when it was filed, and its id.
pub(crate) type Cursor = (i64, String);

pub(crate) fn insert(on: &Connection, new: &Stored) -> rusqlite::Result<()> {
    let (request, life) = (&new.request, &new.life);
    let grant = match &life.purpose {
        Purpose::Deed => None,
        Purpose::Session(grant) => Some(grant.as_str()),
    };
    on.execute(
        "INSERT INTO requests (id, version, state, principal, who, display, device, target, session, grant_id,
         subject, threshold, people, standing, answer, filed, expires, key)
         VALUES (?1, 0, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
        params![
            request.id.as_str(),
            life.state.word(),
            request.requester.to_string(),
            to_json(&new.who)?,
            request.display,
            request.device.as_str(),
            request.target.as_str(),
            new.session.as_ref().map(SessionId::as_str),
            grant,
            new.subject.text(),
            life.threshold.to_string(),
            life.people_only,
            count(request.standing_max),
            life.answer.as_ref().map(to_json).transpose()?,
            seconds(request.filed),
            seconds(life.expires),
            new.key
        ],
    )?;
    if life.state == RequestState::Pending {
        for need in life.threshold.needs() {
            if let Reviewers::Group(group) = &need.from {
                on.prepare_cached("INSERT INTO inbox (grp, filed, request) VALUES (?1, ?2, ?3)")?
                    .execute(params![group.as_str(), seconds(request.filed), request.id.as_str()])?;
            }
        }
    }
    Ok(())
}

/// Forgets a request that did not come to be.
pub(crate) fn remove(on: &Connection, id: &RequestId) -> rusqlite::Result<()> {
    on.execute("DELETE FROM inbox WHERE request = ?1", [id.as_str()])?;
    on.execute("DELETE FROM reviews WHERE request = ?1", [id.as_str()])?;
    on.execute("DELETE FROM requests WHERE id = ?1", [id.as_str()])?;
    Ok(())
}

/// Stores a transition; false when somebody else made one since `old` was read.
pub(crate) fn advance(on: &Connection, old: &Stored, next: &Life) -> rusqlite::Result<bool> {
    let changed = on.execute(
        "UPDATE requests SET version = version + 1, state = ?3, answer = ?4
         WHERE id = ?1 AND version = ?2 AND state IN ('pending', 'approved')",
        params![
            old.request.id.as_str(),
            old.version,
            next.state.word(),
            next.answer.as_ref().map(to_json).transpose()?
        ],
    )?;
    if changed == 1 && next.state != RequestState::Pending {
        on.execute("DELETE FROM inbox WHERE request = ?1", [old.request.id.as_str()])?;
    }
    Ok(changed == 1)
}

pub(crate) fn find(on: &Connection, id: &RequestId) -> rusqlite::Result<Option<Stored>> {
    let stored = on.prepare_cached(&select("WHERE id = ?1"))?.query_row([id.as_str()], read).optional()?;
    stored.map(|stored| with_reviews(on, stored)).transpose()
}

pub(crate) fn by_key(on: &Connection, whose: &PrincipalId, key: &str) -> rusqlite::Result<Option<Stored>> {
    let stored = on
        .prepare_cached(&select("WHERE principal = ?1 AND key = ?2"))?
        .query_row([whose.to_string().as_str(), key], read)
        .optional()?;
    stored.map(|stored| with_reviews(on, stored)).transpose()
}

/// Somebody's own requests, newest first.
pub(crate) fn of(
    on: &Connection,
    whose: &PrincipalId,
    before: &Cursor,
    limit: u32,
) -> rusqlite::Result<Vec<Stored<String>>> {
    let mut statement = on.prepare_cached(&select(
        "WHERE principal = ?1 AND (filed, id) < (?2, ?3) ORDER BY filed DESC, id DESC LIMIT ?4",
    ))?;
    let rows = statement.query_map(params![whose.to_string(), before.0, before.1, limit], read_listed)?;
    with_all_reviews(on, rows.collect::<rusqlite::Result<_>>()?)
}

/// Pending requests that members of any of these groups may review, newest first. The end of each
/// group's inbox is read from its index, and then all requests, and all reviews, at once.
pub(crate) fn inbox<'a>(
    on: &Connection,
    groups: impl Iterator<Item = &'a GroupName>,
    before: &Cursor,
    limit: u32,
) -> rusqlite::Result<Vec<Stored<String>>> {
    let mut ends = on.prepare_cached(INBOX)?;
    let mut all: BTreeSet<Cursor> = BTreeSet::new();
    for group in groups {
        let rows = ends.query_map(params![group.as_str(), before.0, before.1, limit], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        for cursor in rows {
            all.insert(cursor?);
        }
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let ids: Vec<&str> = all.iter().rev().take(limit).map(|(_, id)| id.as_str()).collect();
    let mut statement = on.prepare_cached(&select(
        "WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY filed DESC, id DESC",
    ))?;
    let rows = statement.query_map([to_json(&ids)?], read_listed)?;
    with_all_reviews(on, rows.collect::<rusqlite::Result<_>>()?)
}

/// How many of somebody's requests are open.
pub(crate) fn count_open(on: &Connection, whose: &PrincipalId) -> rusqlite::Result<u32> {
    on.prepare_cached(
        "SELECT count(*) FROM requests WHERE principal = ?1 AND state IN ('pending', 'approved')",
    )?
    .query_row([whose.to_string()], |row| row.get(0))
}

/// When the request was filed that makes it `most` of somebody's since a time, newest first; `None` when there
/// are fewer. Statements that a rule or a standing decision answered do not count.
pub(crate) fn filed_since(
    on: &Connection,
    whose: &PrincipalId,
    since: Timestamp,
    most: u32,
) -> rusqlite::Result<Option<Timestamp>> {
    let filed: Option<i64> = on
        .prepare_cached(FILED_SINCE)?
        .query_row(params![whose.to_string(), seconds(since), most.saturating_sub(1)], |row| row.get(0))
        .optional()?;
    filed.map(time).transpose()
}

/// The open requests whose time is over.
pub(crate) fn due(on: &Connection, now: Timestamp) -> rusqlite::Result<Vec<RequestId>> {
    ids(
        on,
        "SELECT id FROM requests WHERE expires <= ?1 AND state IN ('pending', 'approved')",
        [seconds(now)],
    )
}

/// The open requests of a session.
pub(crate) fn of_session(on: &Connection, session: &SessionId) -> rusqlite::Result<Vec<RequestId>> {
    let query = "SELECT id FROM requests WHERE session = ?1 AND state IN ('pending', 'approved')";
    ids(on, query, [session.as_str()])
}

/// The open requests for actions: those of all sessions.
pub(crate) fn deeds(on: &Connection) -> rusqlite::Result<Vec<RequestId>> {
    ids(on, "SELECT id FROM requests WHERE session IS NOT NULL AND state IN ('pending', 'approved')", [])
}

/// The open requests for sessions.
pub(crate) fn for_sessions(on: &Connection) -> rusqlite::Result<Vec<RequestId>> {
    ids(on, "SELECT id FROM requests WHERE session IS NULL AND state IN ('pending', 'approved')", [])
}

/// The open requests that a device asked for or reviewed.
pub(crate) fn of_device(on: &Connection, device: &DeviceId) -> rusqlite::Result<Vec<RequestId>> {
    let query = "SELECT id FROM requests WHERE device = ?1 AND state IN ('pending', 'approved')
         UNION SELECT request FROM reviews JOIN requests ON id = request
         WHERE reviews.device = ?1 AND state IN ('pending', 'approved')";
    ids(on, query, [device.as_str()])
}

/// Forgets requests that are over and were filed before a time, unless a standing decision that may
/// still be used was made in them.
pub(crate) fn prune(on: &Connection, filed_before: Timestamp, now: Timestamp) -> rusqlite::Result<()> {
    let over = ids(
        on,
        "SELECT id FROM requests WHERE filed < ?1 AND state NOT IN ('pending', 'approved')
         AND id NOT IN (SELECT request FROM standing WHERE ends > ?2)
         AND id NOT IN (SELECT request FROM grants WHERE ends > ?2) LIMIT 1000",
        [seconds(filed_before), seconds(now)],
    )?;
    over.iter().try_for_each(|id| remove(on, id))
}

pub(crate) fn add_review(
    on: &Connection,
    id: &RequestId,
    review: &Review,
    voice: &Voice,
) -> rusqlite::Result<()> {
    on.execute(
        "INSERT INTO reviews (request, place, person, machine, display, device, groups, decision, reason, standing, at, proof)
         VALUES (?1, (SELECT coalesce(max(place) + 1, 0) FROM reviews WHERE request = ?1),
                 ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        params![
            id.as_str(),
            to_json(&voice.person)?,
            voice.kind == PrincipalKind::Machine,
            review.display,
            review.device.as_str(),
            to_json(&review.groups)?,
            match review.decision {
                Decision::Approve => "approve",
                Decision::Deny => "deny",
            },
            review.reason,
            review.standing.as_ref().map(to_json).transpose()?,
            seconds(review.at),
            review.proof
        ],
    )?;
    Ok(())
}

/// Forgets the reviews of a device on a request.
pub(crate) fn forget_reviews(on: &Connection, id: &RequestId, device: &DeviceId) -> rusqlite::Result<()> {
    on.execute("DELETE FROM reviews WHERE request = ?1 AND device = ?2", [id.as_str(), device.as_str()])?;
    Ok(())
}

fn ids<P: rusqlite::Params>(on: &Connection, query: &str, values: P) -> rusqlite::Result<Vec<RequestId>> {
    on.prepare_cached(query)?.query_map(values, |row| name(row.get(0)?))?.collect()
}

fn select(rest: &str) -> String {
    format!(
        "SELECT id, version, state, who, display, device, target, session, grant_id, subject, threshold, people,
         standing, answer, filed, expires, key FROM requests {rest}"
    )
}

fn read(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let Stored { version, who, life, request, subject, session, key } = read_listed(row)?;
    let subject = SubjectText::read(subject).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(9, rusqlite::types::Type::Text, Box::new(error))
    })?;
    Ok(Stored { version, who, life, request, subject, session, key })
}

fn read_listed(row: &Row<'_>) -> rusqlite::Result<Stored<String>> {
    let who: Principal = from_json(&row.get::<_, String>(3)?)?;
    let session = row.get::<_, Option<String>>(7)?.map(name).transpose()?;
    let grant = row.get::<_, Option<String>>(8)?.map(name).transpose()?;
    let purpose = grant.clone().map_or(Purpose::Deed, Purpose::Session);
    let answer = row.get::<_, Option<String>>(13)?.map(|text| from_json(&text)).transpose()?;
    let state = match row.get::<_, String>(2)?.as_str() {
        "pending" => RequestState::Pending,
        "approved" => RequestState::Approved,
        "released" => RequestState::Released { by: answer.clone() },
        "denied" => RequestState::Denied,
        "withdrawn" => RequestState::Withdrawn,
        "expired" => RequestState::Expired,
        "granted" => match grant {
            Some(grant) => RequestState::Granted { grant },
            None => RequestState::Void,
        },
        // the table takes no other word
        _ => RequestState::Void,
    };
    let subject: String = row.get(9)?;
    let threshold = row.get::<_, String>(10)?.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(10, rusqlite::types::Type::Text, Box::new(error))
    })?;
    let device: DeviceId = name(row.get(5)?)?;
    let life = Life {
        purpose,
        state,
        device: device.clone(),
        threshold,
        people_only: row.get(11)?,
        voices: Vec::new(),
        answer,
        expires: time(row.get(15)?)?,
        requester: who.person(),
    };
    let request = Request {
        id: name(row.get(0)?)?,
        requester: life.requester.id.clone(),
        display: row.get(4)?,
        device,
        target: name(row.get(6)?)?,
        subject: digest_of(&subject),
        threshold: life.threshold.clone(),
        people_only: life.people_only,
        standing_max: to_count(row.get(12)?)?,
        filed: time(row.get(14)?)?,
        expires: life.expires,
        state: life.state.clone(),
        reviews: Vec::new(),
    };
    Ok(Stored { version: row.get(1)?, who, life, request, subject, session, key: row.get(16)? })
}

fn with_reviews(on: &Connection, mut stored: Stored) -> rusqlite::Result<Stored> {
    // who owns a machine may have signed in for the first time since it asked
    let requester = &mut stored.life.requester;
    emails::complete(on, &requester.id, &mut requester.kin)?;
    let mut statement = on.prepare_cached(&select_reviews("request = ?1"))?;
    for row in statement.query_map([stored.request.id.as_str()], read_review)? {
        stored.add(row?.1);
    }
    for voice in &mut stored.life.voices {
        emails::complete(on, &voice.person.id, &mut voice.person.kin)?;
    }
    Ok(stored)
}

fn with_all_reviews<S>(on: &Connection, mut requests: Vec<Stored<S>>) -> rusqlite::Result<Vec<Stored<S>>> {
    let ids: Vec<&str> = requests.iter().map(|stored| stored.request.id.as_str()).collect();
    let mut statement = on.prepare_cached(&select_reviews("request IN (SELECT value FROM json_each(?1))"))?;
    let mut reviews: HashMap<String, Vec<(Voice, Review)>> = HashMap::new();
    for row in statement.query_map([to_json(&ids)?], read_review)? {
        let (request, review) = row?;
        reviews.entry(request).or_default().push(review);
    }
    for stored in &mut requests {
        for review in reviews.remove(stored.request.id.as_str()).unwrap_or_default() {
            stored.add(review);
        }
    }
    Ok(requests)
}

fn select_reviews(condition: &str) -> String {
    format!(
        "SELECT request, person, machine, display, device, groups, decision, reason, standing, at, proof
         FROM reviews WHERE {condition} ORDER BY request, place"
    )
}

fn read_review(row: &Row<'_>) -> rusqlite::Result<(String, (Voice, Review))> {
    let person: Person = from_json(&row.get::<_, String>(1)?)?;
    let kind = if row.get(2)? { PrincipalKind::Machine } else { PrincipalKind::Human };
    let review = Review {
        reviewer: person.id.clone(),
        display: row.get(3)?,
        device: name(row.get(4)?)?,
        groups: from_json(&row.get::<_, String>(5)?)?,
        decision: match row.get::<_, String>(6)?.as_str() {
            "approve" => Decision::Approve,
            _ => Decision::Deny,
        },
        reason: row.get(7)?,
        standing: row.get::<_, Option<String>>(8)?.map(|text| from_json(&text)).transpose()?,
        at: time(row.get(9)?)?,
        proof: row.get(10)?,
    };
    let voice = Voice {
        person,
        kind,
        device: review.device.clone(),
        groups: review.groups.clone(),
        decision: review.decision,
    };
    Ok((row.get(0)?, (voice, review)))
}

impl<S> Stored<S> {
    fn add(&mut self, (voice, review): (Voice, Review)) {
        self.life.voices.push(voice);
        self.request.reviews.push(review);
    }
}

const FILED_SINCE: &str = "SELECT filed FROM requests WHERE principal = ?1 AND filed > ?2
     AND (session IS NULL OR answer IS NULL) ORDER BY filed DESC LIMIT 1 OFFSET ?3";
const INBOX: &str = "SELECT filed, request FROM inbox WHERE grp = ?1 AND (filed, request) < (?2, ?3)
     ORDER BY filed DESC, request DESC LIMIT ?4";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use crate::broker::store::Store;

    fn plan(query: &str, values: impl rusqlite::Params) -> Vec<String> {
        Store::in_memory()
            .unwrap()
            .read(|on| {
                let mut statement = on.prepare(&format!("EXPLAIN QUERY PLAN {query}"))?;
                statement.query_map(values, |row| row.get(3))?.collect()
            })
            .unwrap()
    }

    #[test]
    fn an_inbox_is_read_from_the_end_of_its_index() {
        let plan = plan(INBOX, params!["corp/dba", i64::MAX, "", 100]);
        assert_eq!(plan, ["SEARCH inbox USING PRIMARY KEY (grp=? AND (filed,request)<(?,?))"]);
    }

    #[test]
    fn the_requests_of_an_hour_are_read_from_the_end_of_their_index() {
        let plan = plan(FILED_SINCE, params!["corp:alice", 0, 119]);
        assert_eq!(plan, ["SEARCH requests USING INDEX requests_counted (principal=? AND filed>?)"]);
    }
}
