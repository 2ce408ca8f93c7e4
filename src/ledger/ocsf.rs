//! Entries as events of the Open Cybersecurity Schema Framework, version 1.5.0 (<https://schema.ocsf.io/1.5.0>).
//!
//! Job: one event for each entry, of the class and activity that the entry itself names, so that whatever reads
//! OCSF takes it as it is. Boundary: pure, and says nothing that is not in the entry or in one that stands before
//! it ([`Known`]). Failure mode: what an entry does not say and the schema demands is named `unknown`.
//!
//! | Member | What |
//! |---|---|
//! | `metadata.uid` | origin of the log, `#`, index of the entry: unique, and the way back to the entry |
//! | `metadata.sequence` | the index |
//! | `actor`, `device`, `src_endpoint` | who acted, from where |
//! | `action_id`, `disposition_id`, `policy` | verdict and rule, where something was judged |
//! | `unmapped` | `type`, `policy` and the members of the entry, as they were entered |
//!
//! Severity: 5 for attempts on policy or approvals, 4 for a role that could not be removed, 3 for what was denied
//! or capped, 2 for what was held, else 1.

mod known;
mod words;

use std::net::IpAddr;

use serde_json::{Map, Value, json};

pub use self::known::{Known, Subject};

use super::entry::{class, encode};
use crate::domain::action::Deed;
use crate::domain::event::{Actor, Event, VerdictWord, What};
use crate::domain::facts::FileFacts;
use crate::domain::name::{Digest, RuleName};
use crate::domain::principal::PrincipalId;

/// The version of the schema.
pub const VERSION: &str = "1.5.0";

/// The event of entry `index` of the log `origin`; `known` has followed the entries before it, and this one.
#[must_use]
pub fn event(index: u64, origin: &str, event: &Event, known: &Known) -> Value {
    let (class_uid, activity_id, kind) = class(&event.what);
    let (category, name) = (words::category(class_uid), words::class(class_uid));
    let activity = words::activity(class_uid, activity_id);
    let severity = severity(&event.what);
    let mut out = Map::new();
    let all = json!({
        "activity_id": activity_id,
        // what is `Other` to the schema has a name of its own
        "activity_name": if activity_id == OTHER { kind } else { activity },
        "category_name": category,
        "category_uid": class_uid / 1000,
        "class_name": name,
        "class_uid": class_uid,
        "message": words::message(event, known),
        "metadata": {
            "log_name": origin,
            "log_provider": PRODUCT,
            "product": { "name": PRODUCT, "vendor_name": PRODUCT },
            "profiles": ["host", "security_control"],
            "sequence": index,
            "uid": format!("{origin}#{index}"),
            "version": VERSION,
        },
        "severity": words::severity(severity),
        "severity_id": severity,
        "time": event.at.as_millisecond(),
        "type_name": format!("{name}: {activity}"),
        "type_uid": class_uid * 100 + activity_id,
        "unmapped": unmapped(event, kind),
    });
    put(&mut out, all);
    let scene = Scene { index, origin, event, known };
    put(&mut out, scene.actor(class_uid));
    put(&mut out, scene.what(class_uid));
    put(&mut out, scene.judged(class_uid));
    Value::Object(out)
}

/// What an event is made from.
struct Scene<'a> {
    index: u64,
    origin: &'a str,
    event: &'a Event,
    known: &'a Known,
}

impl Scene<'_> {
    /// Who, and from where, in the places that the class has for it.
    fn actor(&self, class_uid: u64) -> Value {
        let actor = self.event.actor.as_ref();
        let mut members = json!({
            "actor": match actor {
                Some(actor) => json!({ "user": user(&actor.principal) }),
                None => json!({ "app_name": PRODUCT }),
            },
            "device": self.device(),
        });
        if !matches!(class_uid, FILE_ACTIVITY | DETECTION_FINDING | APPLICATION_LIFECYCLE) {
            set(&mut members, "src_endpoint", self.source());
        }
        members
    }

    fn device(&self) -> Value {
        let Some(Actor { device, address, host, .. }) = &self.event.actor else {
            return json!({ "name": self.origin, "type": "Server", "type_id": 1 });
        };
        let mut members = endpoint(address, host);
        members.insert("type".into(), "Unknown".into());
        members.insert("type_id".into(), 0.into());
        if let Some(device) = device {
            members.insert("uid".into(), device.as_str().into());
        }
        named(members)
    }

    fn source(&self) -> Value {
        match &self.event.actor {
            Some(Actor { address, host, .. }) => named(endpoint(address, host)),
            None => json!({ "name": self.origin }),
        }
    }

    /// What was reached.
    fn destination(&self) -> Value {
        json!({ "name": self.known.target(&self.event.what).unwrap_or(UNKNOWN) })
    }

    /// The person or workload that it is about.
    fn whose(&self) -> Value {
        let acting = self.event.actor.as_ref().map(|actor| &actor.principal);
        self.known.principal(&self.event.what).or(acting).map_or_else(|| json!({ "name": UNKNOWN }), user)
    }

    /// The verdict, and the rule behind it.
    fn judged(&self, class_uid: u64) -> Value {
        let policy = |rule: &RuleName| rule_of(rule, &self.event.policy);
        let verdict = |verdict| match verdict {
            VerdictWord::Allow => (1, "Allowed", 1, "Allowed", 1, "Success"),
            VerdictWord::Deny => (2, "Denied", 2, "Blocked", 2, "Failure"),
            VerdictWord::Hold => (99, "Held", 14, "Delayed", 99, "Held"),
        };
        let (rule, (action_id, action, disposition_id, disposition, status_id, status)) =
            match &self.event.what {
                What::DeedJudged { verdict: word, rule, .. }
                | What::StatementJudged { verdict: word, rule, .. } => (rule, verdict(*word)),
                What::Refused { rule, .. } => (rule, verdict(VerdictWord::Deny)),
                What::StatementCapped { rule, .. } => (rule, verdict(VerdictWord::Deny)),
                // a finding is new, everything else was done
                _ if class_uid == DETECTION_FINDING => return json!({ "status": "New", "status_id": 1 }),
                What::LeaseRevoked { clean: false, .. } => {
                    return json!({ "status": "Failure", "status_id": 2 });
                }
                _ => return json!({ "status": "Success", "status_id": 1 }),
            };
        let mut members = json!({
            "action": action,
            "action_id": action_id,
            "disposition": disposition,
            "disposition_id": disposition_id,
            "policy": policy(rule),
            "status": status,
            "status_id": status_id,
        });
        if class_uid == DETECTION_FINDING {
            set(&mut members, "status", "New");
            set(&mut members, "status_id", 1);
        }
        members
    }

    /// What the class asks for.
    fn what(&self, class_uid: u64) -> Value {
        match &self.event.what {
            What::BrokerStarted { version } => {
                json!({ "app": { "name": PRODUCT, "vendor_name": PRODUCT, "version": version } })
            }
            What::BrokerStopped => json!({ "app": { "name": PRODUCT, "vendor_name": PRODUCT } }),
            What::ChunkClosed { session, connection, chunk, digest, bytes } => json!({
                "file": {
                    "hashes": [{ "algorithm": "SHA-256", "algorithm_id": 3, "value": digest.as_str() }],
                    "name": format!("{connection}-{chunk}.zst"),
                    "path": format!("{session}/{connection}-{chunk}.zst"),
                    "size": bytes,
                    "type": "Regular File",
                    "type_id": 1,
                },
            }),
            What::ConnectionClosed { session, connection, .. }
            | What::ConnectionOpened { session, connection, .. } => json!({
                "connection_info": {
                    "direction": "Outbound",
                    "direction_id": 2,
                    "session": { "uid": session.as_str() },
                    "uid": format!("{session}/{connection}"),
                },
                "dst_endpoint": self.destination(),
            }),
            What::DeedJudged { facts, text, .. } => self.deed(class_uid, facts.as_deref(), text),
            What::DeviceEnrolled { device }
            | What::DevicePending { device }
            | What::DeviceRevoked { device } => {
                json!({ "entity": { "type": "Device", "type_id": 1, "uid": device.as_str() } })
            }
            What::KeyRotated { new, .. } => json!({
                "entity": { "name": "the ledger's key", "type": "Key", "type_id": 99, "uid": new },
            }),
            What::PolicyLoaded => json!({
                "entity": { "type": "Policy", "type_id": 5, "uid": self.event.policy.as_str() },
            }),
            What::GrantExtended { .. }
            | What::GrantIssued { .. }
            | What::GrantRevoked { .. }
            | What::GrantUsed { .. }
            | What::RequestAnswered { .. }
            | What::RequestEnded { .. }
            | What::RequestFiled { .. }
            | What::RequestReleased { .. }
            | What::ReviewGiven { .. }
            | What::StandingRevoked { .. } => self.approval(),
            What::LeaseIssued { login, .. } | What::LeaseRevoked { login, .. } => {
                json!({ "user": { "name": login, "type": "Minted", "type_id": 99 } })
            }
            What::LoggedIn { .. } | What::LoggedOut => json!({
                "is_remote": true,
                "logon_type": "Network",
                "logon_type_id": 3,
                "service": { "name": PRODUCT, "uid": self.origin },
                "user": self.whose(),
            }),
            What::PolicyTampered { .. } | What::ReviewRejected { .. } | What::StatementCapped { .. } => {
                self.finding()
            }
            What::Refused { action, target, .. } => json!({
                "api": { "operation": action, "service": { "name": PRODUCT, "uid": self.origin } },
                "resources": [resource("target", target)],
            }),
            What::SessionClosed { session, reason, connections, .. } => json!({
                "dst_endpoint": self.destination(),
                "privileges": [CONNECT],
                "session": {
                    "count": connections, "expiration_reason": reason.sentence(), "uid": session.as_str(),
                },
                "user": self.whose(),
            }),
            What::SessionOpened { session, expires, .. } => json!({
                "dst_endpoint": self.destination(),
                "privileges": [CONNECT],
                "session": { "expiration_time": expires.as_millisecond(), "uid": session.as_str() },
                "user": self.whose(),
            }),
            What::StatementJudged { session, connection, statement, text, facts, .. } => {
                let mut members = json!({
                    "database": self.database(),
                    "dst_endpoint": self.destination(),
                    "query_info": {
                        "query_string": text, "uid": format!("{session}/{connection}/{statement}"),
                    },
                    "type": "Database",
                    "type_id": 1,
                });
                let tables = facts.as_ref().map(|facts| facts.relations_read.union(&facts.relations_written));
                // the schema has room for one
                if let Some(mut tables) = tables
                    && let (Some(table), None) = (tables.next(), tables.next())
                {
                    set(&mut members, "table", json!({ "name": table }));
                }
                members
            }
        }
    }

    fn database(&self) -> Value {
        let name = self.known.database(&self.event.what).unwrap_or(UNKNOWN);
        json!({ "name": name, "type": "Relational", "type_id": 1 })
    }

    fn deed(&self, class_uid: u64, deed: Option<&Deed>, text: &str) -> Value {
        match deed {
            Some(Deed::Call(call)) => {
                let mut request = json!({ "url": { "path": call.path } });
                // the schema knows these alone
                if METHODS.contains(&call.method.as_str()) {
                    set(&mut request, "http_method", call.method.as_str());
                }
                json!({ "dst_endpoint": self.destination(), "http_request": request })
            }
            Some(Deed::File(FileFacts { path, to, .. })) => {
                let mut members = json!({ "file": file(path) });
                if let Some(to) = to {
                    set(&mut members, "file_result", file(to));
                }
                members
            }
            _ if class_uid == FILE_ACTIVITY => json!({ "file": file(text) }),
            _ => json!({ "dst_endpoint": self.destination() }),
        }
    }

    fn approval(&self) -> Value {
        let subject = Subject::of(&self.event.what);
        let target = self.known.target(&self.event.what);
        let parts = [
            target.map(|target| resource("target", target)),
            subject.grant.map(|grant| resource("grant", grant.as_str())),
            subject.request.map(|request| resource("request", request.as_str())),
            self.known.session(&self.event.what).map(|session| resource("session", session.as_str())),
        ];
        let resources: Vec<Value> = parts.into_iter().flatten().collect();
        json!({ "privileges": [CONNECT], "resources": resources, "user": self.whose() })
    }

    fn finding(&self) -> Value {
        let title = match &self.event.what {
            What::PolicyTampered { .. } => "Somebody tried to touch policy or protected objects",
            What::ReviewRejected { .. } => "An approval was shown whose proofs do not hold",
            _ => "A statement reached a cap",
        };
        let subject = Subject::of(&self.event.what);
        let parts = [
            self.known.target(&self.event.what).map(|target| resource("target", target)),
            subject.request.map(|request| resource("request", request.as_str())),
            self.known.session(&self.event.what).map(|session| resource("session", session.as_str())),
        ];
        let resources: Vec<Value> = parts.into_iter().flatten().collect();
        json!({
            "finding_info": { "title": title, "uid": format!("{}#{}", self.origin, self.index) },
            "is_alert": true,
            "resources": resources,
        })
    }
}

/// The entry's own members, as they were entered.
fn unmapped(event: &Event, kind: &str) -> Value {
    let mut bytes = Vec::new();
    let written = encode(event, &mut bytes).ok().and_then(|()| serde_json::from_slice(&bytes).ok());
    let mut members = match written {
        Some(Value::Object(mut entry)) => match entry.remove("unmapped") {
            Some(Value::Object(members)) => members,
            _ => Map::new(),
        },
        _ => Map::new(),
    };
    members.insert("policy".into(), event.policy.as_str().into());
    members.insert("type".into(), kind.into());
    Value::Object(members)
}

fn severity(what: &What) -> u64 {
    match what {
        What::PolicyTampered { .. } | What::ReviewRejected { .. } => 5,
        What::LeaseRevoked { clean: false, .. } => 4,
        What::DeedJudged { verdict, .. } | What::StatementJudged { verdict, .. } => match verdict {
            VerdictWord::Allow => 1,
            VerdictWord::Deny => 3,
            VerdictWord::Hold => 2,
        },
        What::Refused { .. } | What::StatementCapped { .. } => 3,
        _ => 1,
    }
}

fn rule_of(rule: &RuleName, policy: &Digest) -> Value {
    json!({ "is_applied": true, "name": rule.as_str(), "uid": policy.as_str() })
}

fn user(principal: &PrincipalId) -> Value {
    json!({
        "domain": principal.provider.as_str(),
        "name": principal.to_string(),
        "uid": principal.subject.as_str(),
    })
}

fn endpoint(address: &str, host: &str) -> Map<String, Value> {
    let mut members = Map::new();
    if let Ok(ip) = address.parse::<IpAddr>() {
        members.insert("ip".into(), ip.to_canonical().to_string().into());
    }
    if !host.is_empty() {
        members.insert("hostname".into(), host.into());
    }
    members
}

/// A device or an endpoint has at least a name.
fn named(mut members: Map<String, Value>) -> Value {
    if !["ip", "hostname", "uid"].iter().any(|name| members.contains_key(*name)) {
        members.insert("name".into(), UNKNOWN.into());
    }
    Value::Object(members)
}

fn resource(kind: &str, id: &str) -> Value {
    if kind == "target" { json!({ "name": id, "type": kind }) } else { json!({ "type": kind, "uid": id }) }
}

fn file(path: &str) -> Value {
    let name = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(path);
    json!({ "name": name, "path": path, "type": "Unknown", "type_id": 0 })
}

fn set(members: &mut Value, name: &str, value: impl Into<Value>) {
    if let Some(members) = members.as_object_mut() {
        members.insert(name.into(), value.into());
    }
}

fn put(out: &mut Map<String, Value>, members: Value) {
    if let Value::Object(members) = members {
        out.extend(members);
    }
}

const PRODUCT: &str = "hoopctl";
const UNKNOWN: &str = "unknown";
const CONNECT: &str = "connect";
const OTHER: u64 = 99;
const FILE_ACTIVITY: u64 = 1001;
const DETECTION_FINDING: u64 = 2004;
const APPLICATION_LIFECYCLE: u64 = 6002;
const METHODS: [&str; 8] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT", "TRACE"];

#[cfg(test)]
mod tests;
