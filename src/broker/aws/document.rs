//! Policies of IAM that the broker writes.
//!
//! Job: what a session may do at the most, and which sessions may do nothing any more, as IAM's JSON without a blank
//! more than it needs. Boundary: pure; who is asked to keep them is elsewhere. Failure mode: none.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::domain::target::AwsPermission;

/// The session policy: these permissions, or everything that the role allows where there are none, until then.
///
/// STS gives no credentials for less than a quarter of an hour, so that the time is a condition of its own: nothing is
/// allowed after the session's end, however long the credentials last.
pub(crate) fn session_policy(permissions: Option<&[&AwsPermission]>, until: Timestamp) -> String {
    let allow = |actions: Value, resources: Value| {
        json!({
            "Effect": "Allow",
            "Action": actions,
            "Resource": resources,
            "Condition": { "DateLessThan": { "aws:CurrentTime": iso(until) } },
        })
    };
    let statements: Vec<Value> = match permissions {
        None => vec![allow(json!("*"), json!("*"))],
        Some(permissions) => {
            permissions.iter().map(|one| allow(json!(one.actions), json!(one.resources))).collect()
        }
    };
    // INVARIANT: an allow's condition does not bind what a resource's own policy gives to the session; a deny does
    let over = json!({
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": { "DateGreaterThanEquals": { "aws:CurrentTime": iso(until) } },
    });
    let statements: Vec<Value> = statements.into_iter().chain([over]).collect();
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

/// By what AWS tells the tokens of one session from all others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    /// The name of the role's session, which holds the session's id.
    Name(String),
    /// The tag `hoop-session`.
    Tag(String),
}

impl Mark {
    /// As the store keeps it.
    pub(super) fn write(&self) -> String {
        match self {
            Self::Name(name) => format!("name {name}"),
            Self::Tag(tag) => format!("tag {tag}"),
        }
    }

    /// What the store kept.
    pub(super) fn read(text: &str) -> Option<Self> {
        match text.split_once(' ')? {
            ("name", name) => Some(Self::Name(name.into())),
            ("tag", tag) => Some(Self::Tag(tag.into())),
            _ => None,
        }
    }
}

/// The policy that denies everything to the tokens of these sessions; `None` where there are none.
pub(super) fn denying(marks: &[Mark]) -> Option<String> {
    let deny = |id: &str, condition: Value| json!({ "Sid": id, "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition });
    let (mut tags, mut names) = (Vec::new(), Vec::new());
    for mark in marks {
        match mark {
            Mark::Name(name) => names.push(format!("*:{name}")),
            Mark::Tag(tag) => tags.push(tag.clone()),
        }
    }
    tags.sort();
    names.sort();
    let mut statements = Vec::new();
    if !tags.is_empty() {
        let condition = json!({ "StringEquals": { "aws:PrincipalTag/hoop-session": tags } });
        statements.push(deny("EndedSessions", condition));
    }
    if !names.is_empty() {
        statements.push(deny("EndedNames", json!({ "StringLike": { "aws:userid": names } })));
    }
    if statements.is_empty() {
        return None;
    }
    Some(json!({ "Version": "2012-10-17", "Statement": statements }).to_string())
}

/// As IAM writes times.
fn iso(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
