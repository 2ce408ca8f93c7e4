//! The schema's names, and a sentence for each entry.

use super::Known;
use crate::domain::event::{Event, VerdictWord, What};

/// The category of a class.
pub(super) fn category(class_uid: u64) -> &'static str {
    match class_uid / 1000 {
        1 => "System Activity",
        2 => "Findings",
        3 => "Identity & Access Management",
        4 => "Network Activity",
        _ => "Application Activity",
    }
}

pub(super) fn class(class_uid: u64) -> &'static str {
    match class_uid {
        1001 => "File System Activity",
        2004 => "Detection Finding",
        3001 => "Account Change",
        3002 => "Authentication",
        3003 => "Authorize Session",
        3004 => "Entity Management",
        3005 => "User Access Management",
        4001 => "Network Activity",
        4002 => "HTTP Activity",
        4007 => "SSH Activity",
        6002 => "Application Lifecycle",
        6003 => "API Activity",
        _ => "Datastore Activity",
    }
}

pub(super) fn activity(class_uid: u64, activity_id: u64) -> &'static str {
    match (class_uid, activity_id) {
        (1001 | 2004 | 3001 | 3004, 1) => "Create",
        (3001, 6) | (3004, 4) => "Delete",
        (3002, 1) => "Logon",
        (3002, 2) => "Logoff",
        (3003 | 3005, 1) => "Assign Privileges",
        (3004, 3) => "Update",
        (3005, 2) => "Revoke Privileges",
        (4001, 1) => "Open",
        (4001, 2) => "Close",
        (6002, 3) => "Start",
        (6002, 4) => "Stop",
        (6005, 4) => "Query",
        _ => "Other",
    }
}

pub(super) fn severity(severity_id: u64) -> &'static str {
    match severity_id {
        1 => "Informational",
        2 => "Low",
        3 => "Medium",
        4 => "High",
        _ => "Critical",
    }
}

/// A sentence for people who look at it in a list.
pub(super) fn message(event: &Event, known: &Known) -> String {
    let who =
        event.actor.as_ref().map_or_else(|| "the broker".to_owned(), |actor| actor.principal.to_string());
    let target = known.target(&event.what).unwrap_or("a target");
    let judged = |verdict: &VerdictWord| match verdict {
        VerdictWord::Allow => "allowed",
        VerdictWord::Deny => "denied",
        VerdictWord::Hold => "held",
    };
    match &event.what {
        What::BrokerStarted { version } => format!("the broker started, version {version}"),
        What::BrokerStopped => "the broker stopped".into(),
        What::ChunkClosed { session, connection, chunk, .. } => {
            format!("chunk {chunk} of the recording of connection {connection} of {session} was closed")
        }
        What::ConnectionClosed { session, connection, statements, rows, .. } => format!(
            "connection {connection} of {session} to {target} ended after {statements} statements and {rows} rows"
        ),
        What::ConnectionOpened { session, connection, .. } => {
            format!("connection {connection} of {session} to {target} began")
        }
        What::DeedJudged { verdict, rule, .. } => {
            format!("an action of {who} on {target} was {} by {rule}", judged(verdict))
        }
        What::DeviceEnrolled { device } => format!("{who} enrolled device {device}"),
        What::DevicePending { device } => format!("device {device} of {who} waits to be confirmed"),
        What::DeviceRevoked { device } => format!("device {device} was revoked by {who}"),
        What::GrantExtended { grant, ends, .. } => format!("{grant} lasts until {ends}"),
        What::GrantIssued { grant, principal, ends, .. } => {
            format!("{grant} lets {principal} reach {target} until {ends}")
        }
        What::GrantRevoked { grant, .. } => format!("{grant} was taken back by {who}"),
        What::GrantUsed { grant, session } => format!("{session} was opened with {grant}"),
        What::KeyRotated { .. } => "the key of the ledger was changed".into(),
        What::LeaseIssued { session, login, .. } => format!("role {login} was made for {session}"),
        What::LeaseRevoked { session, login, clean: true, .. } => {
            format!("role {login} of {session} was removed")
        }
        What::LeaseRevoked { session, login, clean: false, .. } => {
            format!("role {login} of {session} could not be removed as a whole")
        }
        What::LoggedIn { refresh: false } => format!("{who} logged in"),
        What::LoggedIn { refresh: true } => format!("the login of {who} was renewed"),
        What::LoggedOut => format!("{who} logged out"),
        What::PolicyLoaded => "policy was loaded".into(),
        What::PolicyTampered { session, .. } => {
            format!("{who} tried to touch policy or protected objects of {target} in {session}")
        }
        What::Refused { action, rule, .. } => format!("{who} was refused: {action} on {target}, by {rule}"),
        What::RequestAnswered { request, .. } => format!("{request} was answered without asking anybody"),
        What::RequestEnded { request, outcome } => format!("{request} ended: {outcome}"),
        What::RequestFiled { request, .. } => format!("{who} filed {request} for {target}"),
        What::RequestReleased { request, session } => {
            format!("what {request} approved was let through in {session}")
        }
        What::ReviewGiven { request, decision, .. } => format!("{who} reviewed {request}: {decision}"),
        What::ReviewRejected { request, .. } => {
            format!("the approval of {request} was shown with proofs that do not hold")
        }
        What::SessionClosed { session, reason, .. } => {
            format!("{session} on {target} closed: {}", reason.sentence())
        }
        What::SessionOpened { session, .. } => format!("{who} opened {session} on {target}"),
        What::StandingRevoked { request, .. } => {
            format!("the standing decision of {request} was taken back by {who}")
        }
        What::StatementCapped { session, statement, cap, most, .. } => {
            format!("statement {statement} of {session} reached its cap of {most} {}", cap.as_str())
        }
        What::StatementJudged { verdict, rule, verb, .. } => {
            format!("a {verb} of {who} on {target} was {} by {rule}", judged(verdict))
        }
    }
}
