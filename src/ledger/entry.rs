//! The canonical bytes of one entry. Frozen as version 1.
//!
//! An entry is canonical JSON (RFC 8785: sorted keys, no whitespace) in OCSF terms:
//!
//! ```json
//! {"activity_id":4,"actor":{"device":{"hostname":…,"ip":…,"uid":…},"user":{"domain":…,"uid":…}},
//!  "class_uid":6005,"policy":…,"time":…,"type":"statement-judged","unmapped":{…},"v":1}
//! ```
//!
//! | OCSF attribute | What of an [`Event`] |
//! |---|---|
//! | `class_uid`, `activity_id` | from the table in `class`; OCSF's category, type and severity follow from them |
//! | `time` | when, in milliseconds since 1970; finer parts of the time are not kept |
//! | `actor.user.domain`, `actor.user.uid` | provider and subject of the principal |
//! | `actor.device.uid`, `.ip`, `.hostname` | device key, address the broker saw, name the client gave |
//! | `unmapped` | the members of [`What`] under their own names; absent options are left out |
//!
//! `type` is [`What`]'s own tag, `policy` the digest in force, `v` the version. `actor` is left out
//! when nobody acted. Integers beyond ±(2^53 - 1), which JSON cannot carry exactly, are written as
//! that bound. An entry does not hold its own index: its place in the tree is its index.
//!
//! Failure mode: an entry longer than [`MAX_ENTRY`] bytes is an error, never cut here.

mod approval;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

use super::json::Writer;
use crate::domain::action::Deed;
use crate::domain::event::{Actor, Event, VerdictWord, What};
use crate::domain::facts::{CopyDirection, Facts};
use crate::domain::name::{DeviceId, Digest, ProviderName};
use crate::domain::principal::{PrincipalId, Subject};
use crate::domain::session::CloseReason;

/// The version that is written.
pub const VERSION: u64 = 1;

/// The longest entry: bundles of `tlog-tiles` give an entry's length in two bytes.
pub const MAX_ENTRY: usize = 65_535;

/// Why bytes are not an entry, or an event cannot become one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EntryError {
    /// The bytes are not JSON of the shape of an entry.
    #[error("it is not an entry: {0}")]
    Malformed(String),
    /// They are, but not in the one way that an entry may be written.
    #[error("it is not in canonical form")]
    NotCanonical,
    /// The event is longer than an entry may be.
    #[error("it is {0} bytes long, more than an entry may be")]
    TooLarge(usize),
    /// It speaks of something that has no name here.
    #[error("it is of the kind `{0}`, which this version does not know")]
    UnknownKind(String),
    /// A later version wrote it.
    #[error("it has version {0}, which this version does not know")]
    UnknownVersion(u64),
}

/// Appends the entry's bytes to `out`.
///
/// # Errors
/// [`EntryError::TooLarge`]; `out` is as before then.
pub fn encode(event: &Event, out: &mut Vec<u8>) -> Result<(), EntryError> {
    let before = out.len();
    let (class_uid, activity_id, name) = class(&event.what);
    let mut json = Writer::new(out);
    json.open();
    json.number("activity_id", activity_id);
    if let Some(actor) = &event.actor {
        write_actor(&mut json, actor);
    }
    json.number("class_uid", class_uid);
    json.text("policy", event.policy.as_str());
    json.signed("time", event.at.as_millisecond());
    json.text("type", name);
    json.object("unmapped");
    write_what(&mut json, &event.what);
    json.close();
    json.number("v", VERSION);
    json.close();
    let length = out.len().saturating_sub(before);
    if length > MAX_ENTRY {
        out.truncate(before);
        return Err(EntryError::TooLarge(length));
    }
    Ok(())
}

/// Reads an entry back.
///
/// # Errors
/// [`EntryError`]: every byte must be as [`encode`] writes it.
pub fn decode(bytes: &[u8]) -> Result<Event, EntryError> {
    if bytes.len() > MAX_ENTRY {
        return Err(EntryError::TooLarge(bytes.len()));
    }
    let malformed = |error: serde_json::Error| EntryError::Malformed(error.to_string());
    // a later version may have other members, so its number is looked for first
    if let Ok(Version { v }) = serde_json::from_slice(bytes)
        && v != VERSION
    {
        return Err(EntryError::UnknownVersion(v));
    }
    let envelope: Envelope = serde_json::from_slice(bytes).map_err(malformed)?;
    let at = Timestamp::from_millisecond(envelope.time)
        .map_err(|error| EntryError::Malformed(error.to_string()))?;
    let mut members = envelope.unmapped;
    members.insert("type".into(), Value::String(envelope.kind.clone()));
    let kind = envelope.kind;
    let what: What = serde_json::from_value(Value::Object(members)).map_err(|error| {
        // serde's own message goes on with all the kinds that there are
        if error.to_string().starts_with(&format!("unknown variant `{kind}`")) {
            return EntryError::UnknownKind(kind.escape_default().take(LONGEST_KIND).collect());
        }
        malformed(error)
    })?;
    let actor = envelope.actor.map(Actor::from);
    let event = Event { at, actor, policy: envelope.policy, what };
    let mut again = Vec::with_capacity(bytes.len());
    encode(&event, &mut again)?;
    if again == bytes { Ok(event) } else { Err(EntryError::NotCanonical) }
}

#[derive(Deserialize)]
struct Version {
    v: u64,
}

#[derive(Deserialize)]
struct Envelope {
    actor: Option<WireActor>,
    policy: Digest,
    time: i64,
    #[serde(rename = "type")]
    kind: String,
    unmapped: Map<String, Value>,
}

#[derive(Deserialize)]
struct WireActor {
    device: WireDevice,
    user: WireUser,
}

#[derive(Deserialize)]
struct WireDevice {
    hostname: String,
    ip: String,
    uid: Option<DeviceId>,
}

#[derive(Deserialize)]
struct WireUser {
    domain: ProviderName,
    uid: Subject,
}

impl From<WireActor> for Actor {
    fn from(wire: WireActor) -> Self {
        Self {
            principal: PrincipalId { provider: wire.user.domain, subject: wire.user.uid },
            device: wire.device.uid,
            address: wire.device.ip,
            host: wire.device.hostname,
        }
    }
}

/// OCSF class, OCSF activity, and the tag of [`What`].
pub(super) fn class(what: &What) -> (u64, u64, &'static str) {
    match what {
        // Application Lifecycle: Start, Stop
        What::BrokerStarted { .. } => (6002, 3, "broker-started"),
        What::BrokerStopped => (6002, 4, "broker-stopped"),
        // File System Activity: Create
        What::ChunkClosed { .. } => (1001, 1, "chunk-closed"),
        // Network Activity: Close, Open
        What::ConnectionClosed { .. } => (4001, 2, "connection-closed"),
        What::ConnectionOpened { .. } => (4001, 1, "connection-opened"),
        What::DeedJudged { facts, .. } => {
            let (class_uid, activity_id) = deed_class(facts.as_deref());
            (class_uid, activity_id, "deed-judged")
        }
        // Entity Management: Create, Other, Delete
        What::DeviceEnrolled { .. } => (3004, 1, "device-enrolled"),
        What::DevicePending { .. } => (3004, 99, "device-pending"),
        What::DeviceRevoked { .. } => (3004, 4, "device-revoked"),
        // User Access Management: Assign Privileges, Revoke Privileges, Other
        What::GrantExtended { .. } => (3005, 99, "grant-extended"),
        What::GrantIssued { .. } => (3005, 1, "grant-issued"),
        What::GrantRevoked { .. } => (3005, 2, "grant-revoked"),
        What::GrantUsed { .. } => (3005, 99, "grant-used"),
        What::RequestAnswered { .. } => (3005, 99, "request-answered"),
        What::RequestEnded { .. } => (3005, 99, "request-ended"),
        What::RequestFiled { .. } => (3005, 99, "request-filed"),
        What::RequestReleased { .. } => (3005, 99, "request-released"),
        What::ReviewGiven { .. } => (3005, 99, "review-given"),
        What::StandingRevoked { .. } => (3005, 2, "standing-revoked"),
        // Detection Finding: Create
        What::ReviewRejected { .. } => (2004, 1, "review-rejected"),
        // Entity Management: Update
        What::KeyRotated { .. } => (3004, 3, "key-rotated"),
        // Account Change: Create, Delete
        What::LeaseIssued { .. } => (3001, 1, "lease-issued"),
        What::LeaseRevoked { .. } => (3001, 6, "lease-revoked"),
        // Authentication: Logon, Logoff
        What::LoggedIn { .. } => (3002, 1, "logged-in"),
        What::LoggedOut => (3002, 2, "logged-out"),
        // Entity Management: Update
        What::PolicyLoaded => (3004, 3, "policy-loaded"),
        // Detection Finding: Create
        What::PolicyTampered { .. } => (2004, 1, "policy-tampered"),
        // API Activity: Other
        What::Refused { .. } => (6003, 99, "refused"),
        // Authorize Session: Other, Assign Privileges
        What::SessionClosed { .. } => (3003, 99, "session-closed"),
        What::SessionOpened { .. } => (3003, 1, "session-opened"),
        // Detection Finding: Create
        What::StatementCapped { .. } => (2004, 1, "statement-capped"),
        // Datastore Activity: Query
        What::StatementJudged { .. } => (6005, 4, "statement-judged"),
    }
}

/// OCSF class and activity of an action that is no statement.
fn deed_class(deed: Option<&Deed>) -> (u64, u64) {
    match deed {
        // HTTP Activity: Other
        Some(Deed::Call(_)) => (4002, 99),
        // File System Activity: Other
        Some(Deed::File(_)) => (1001, 99),
        // SSH Activity: Other
        _ => (4007, 99),
    }
}

fn write_actor(json: &mut Writer<'_>, actor: &Actor) {
    json.object("actor");
    json.object("device");
    json.text("hostname", &actor.host);
    json.text("ip", &actor.address);
    if let Some(device) = &actor.device {
        json.text("uid", device.as_str());
    }
    json.close();
    json.object("user");
    json.text("domain", actor.principal.provider.as_str());
    json.text("uid", actor.principal.subject.as_str());
    json.close();
    json.close();
}

/// Members in sorted order. The patterns name every member, so that a new one cannot be forgotten.
fn write_what(json: &mut Writer<'_>, what: &What) {
    match what {
        What::BrokerStarted { version } => json.text("version", version),
        What::BrokerStopped | What::LoggedOut | What::PolicyLoaded => {}
        What::ChunkClosed { session, connection, chunk, digest, bytes } => {
            json.number("bytes", *bytes);
            json.number("chunk", u64::from(*chunk));
            json.number("connection", u64::from(*connection));
            json.text("digest", digest.as_str());
            json.text("session", session.as_str());
        }
        What::ConnectionClosed { session, connection, statements, rows, chunks } => {
            json.number("chunks", u64::from(*chunks));
            json.number("connection", u64::from(*connection));
            json.number("rows", *rows);
            json.text("session", session.as_str());
            json.number("statements", *statements);
        }
        What::ConnectionOpened { session, connection, login, database } => {
            json.number("connection", u64::from(*connection));
            json.text("database", database);
            json.text("login", login);
            json.text("session", session.as_str());
        }
        What::DeedJudged { session, connection, statement, verdict, rule, text, digest, sent, facts } => {
            json.number("connection", u64::from(*connection));
            json.text("digest", digest.as_str());
            if let Some(deed) = facts {
                json.value("facts", &serde_json::to_value(deed).unwrap_or_default());
            }
            json.text("rule", rule.as_str());
            if let Some(sent) = sent {
                json.text("sent", sent);
            }
            json.text("session", session.as_str());
            json.number("statement", *statement);
            json.text("text", text);
            json.text("verdict", verdict_word(*verdict));
        }
        What::DeviceEnrolled { device } | What::DevicePending { device } | What::DeviceRevoked { device } => {
            json.text("device", device.as_str());
        }
        What::GrantExtended { .. }
        | What::GrantIssued { .. }
        | What::GrantRevoked { .. }
        | What::GrantUsed { .. }
        | What::RequestAnswered { .. }
        | What::RequestEnded { .. }
        | What::RequestFiled { .. }
        | What::RequestReleased { .. }
        | What::ReviewGiven { .. }
        | What::ReviewRejected { .. }
        | What::StandingRevoked { .. } => approval::write(json, what),
        What::KeyRotated { old, new, proof } => {
            json.text("new", new);
            json.text("old", old);
            json.text("proof", proof);
        }
        What::LeaseIssued { session, login, expires } => {
            json.text("expires", &expires.to_string());
            json.text("login", login);
            json.text("session", session.as_str());
        }
        What::LeaseRevoked { session, login, clean, note } => {
            json.flag("clean", *clean);
            json.text("login", login);
            json.text("note", note);
            json.text("session", session.as_str());
        }
        What::LoggedIn { refresh } => json.flag("refresh", *refresh),
        What::PolicyTampered { session, attempt } => {
            json.text("attempt", attempt);
            json.text("session", session.as_str());
        }
        What::Refused { action, target, rule } => {
            json.text("action", action);
            json.text("rule", rule.as_str());
            json.text("target", target);
        }
        What::SessionClosed { session, reason, statements, connections } => {
            json.number("connections", u64::from(*connections));
            json.text("reason", reason_word(*reason));
            json.text("session", session.as_str());
            json.number("statements", *statements);
        }
        What::SessionOpened { session, target, expires } => {
            json.text("expires", &expires.to_string());
            json.text("session", session.as_str());
            json.text("target", target.as_str());
        }
        What::StatementCapped { session, connection, statement, rule, cap, most, rows, bytes } => {
            json.number("bytes", *bytes);
            json.text("cap", cap.as_str());
            json.number("connection", u64::from(*connection));
            json.number("most", *most);
            json.number("rows", *rows);
            json.text("rule", rule.as_str());
            json.text("session", session.as_str());
            json.number("statement", *statement);
        }
        What::StatementJudged {
            session,
            connection,
            statement,
            verdict,
            rule,
            verb,
            text,
            digest,
            sent,
            facts,
            facts_of,
        } => {
            json.number("connection", u64::from(*connection));
            json.text("digest", digest.as_str());
            if let Some(facts) = facts {
                write_facts(json, facts);
            }
            // came later: written only when it is there, so that older entries stay canonical
            if let Some(statement) = facts_of {
                json.number("facts_of", *statement);
            }
            json.text("rule", rule.as_str());
            if let Some(sent) = sent {
                json.text("sent", sent);
            }
            json.text("session", session.as_str());
            json.number("statement", *statement);
            json.text("text", text);
            json.text("verb", verb);
            json.text("verdict", verdict_word(*verdict));
        }
    }
}

fn write_facts(json: &mut Writer<'_>, facts: &Facts) {
    let Facts {
        verb,
        kind,
        read_only,
        relations_read,
        relations_written,
        columns_read,
        columns_written,
        columns_resolved,
        functions,
        has_where,
        changes,
        without_where,
        joins,
        has_cross_join,
        limit,
        copy,
        copy_target,
        ddl,
        object,
        setting,
        set_value,
        at_most_one_row,
        labels,
        estimate,
        summary,
        touches_masked,
    } = facts;
    json.object("facts");
    // facts that came later are written only when they say something, so that older entries stay canonical
    if *at_most_one_row {
        json.flag("at_most_one_row", true);
    }
    if !changes.is_empty() {
        json.texts("changes", changes.iter());
    }
    json.texts("columns_read", columns_read.iter());
    if *columns_resolved {
        json.flag("columns_resolved", true);
    }
    if !columns_written.is_empty() {
        json.texts("columns_written", columns_written.iter());
    }
    if let Some(copy) = copy {
        json.text("copy", copy_word(*copy));
    }
    if let Some(target) = copy_target {
        json.text("copy_target", target);
    }
    if let Some(ddl) = ddl {
        json.text("ddl", ddl);
    }
    if let Some(estimate) = estimate {
        json.number("estimate", *estimate);
    }
    json.texts("functions", functions.iter());
    if *has_cross_join {
        json.flag("has_cross_join", true);
    }
    json.flag("has_where", *has_where);
    if *joins > 0 {
        json.number("joins", u64::from(*joins));
    }
    json.text("kind", kind.as_str());
    if !labels.is_empty() {
        json.texts("labels", labels.iter());
    }
    if let Some(limit) = limit {
        json.signed("limit", *limit);
    }
    if let Some(object) = object {
        json.text("object", object);
    }
    json.flag("read_only", *read_only);
    json.texts("relations_read", relations_read.iter());
    json.texts("relations_written", relations_written.iter());
    if let Some(value) = set_value {
        json.text("set_value", value);
    }
    if let Some(setting) = setting {
        json.text("setting", setting);
    }
    json.flag("summary", *summary);
    json.flag("touches_masked", *touches_masked);
    json.text("verb", verb);
    if !without_where.is_empty() {
        json.texts("without_where", without_where.iter());
    }
    json.close();
}

fn verdict_word(verdict: VerdictWord) -> &'static str {
    match verdict {
        VerdictWord::Allow => "allow",
        VerdictWord::Deny => "deny",
        VerdictWord::Hold => "hold",
    }
}

fn copy_word(copy: CopyDirection) -> &'static str {
    match copy {
        CopyDirection::In => "in",
        CopyDirection::Out => "out",
    }
}

fn reason_word(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::BrokerRestarted => "broker-restarted",
        CloseReason::ClientEnded => "client-ended",
        CloseReason::DeviceRevoked => "device-revoked",
        CloseReason::Expired => "expired",
        CloseReason::GrantEnded => "grant-ended",
        CloseReason::GrantRevoked => "grant-revoked",
        CloseReason::Killed => "killed",
        CloseReason::LedgerUnwritable => "ledger-unwritable",
        CloseReason::LoginEnded => "login-ended",
        CloseReason::PolicyChanged => "policy-changed",
        CloseReason::Tampering => "tampering",
        CloseReason::UpstreamLost => "upstream-lost",
    }
}

/// So much is said of a kind that is not known.
const LONGEST_KIND: usize = 64;

#[cfg(test)]
mod tests;
