#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use jiff::Timestamp;
use serde_json::json;

use super::{Known, event};
use crate::domain::event::{Actor, Event, What};
use crate::domain::name::{Digest, GrantId, ProviderName, RequestId, SessionId, TargetName};
use crate::domain::principal::{PrincipalId, Subject};
use crate::domain::session::CloseReason;

fn entry(what: What) -> Event {
    let principal =
        PrincipalId { provider: ProviderName::new("corp").unwrap(), subject: Subject::new("alice").unwrap() };
    let actor = Actor { principal, device: None, address: "::ffff:192.0.2.7".into(), host: "laptop".into() };
    let policy = Digest::from_bytes(&[0xab; 32]);
    Event { at: Timestamp::from_second(1_700_000_000).unwrap(), actor: Some(actor), policy, what }
}

fn opened(number: u8) -> Event {
    let session = SessionId::from_random([number; 16]);
    entry(What::SessionOpened {
        session,
        target: TargetName::new("db").unwrap(),
        expires: Timestamp::UNIX_EPOCH,
    })
}

/// The form is what others build upon: these members never change.
#[test]
fn an_event_says_what_its_entry_says() {
    let mut known = Known::default();
    let opened = opened(0);
    known.follow(&opened);
    let expected = json!({
        "activity_id": 1,
        "activity_name": "Assign Privileges",
        "actor": { "user": { "domain": "corp", "name": "corp:alice", "uid": "alice" } },
        "category_name": "Identity & Access Management",
        "category_uid": 3,
        "class_name": "Authorize Session",
        "class_uid": 3003,
        "device": { "hostname": "laptop", "ip": "192.0.2.7", "type": "Unknown", "type_id": 0 },
        "dst_endpoint": { "name": "db" },
        "message": "corp:alice opened ses_aaaaaaaaaaaaaaaaaaaaaaaaaa on db",
        "metadata": {
            "log_name": "example.org/log",
            "log_provider": "hoopctl",
            "product": { "name": "hoopctl", "vendor_name": "hoopctl" },
            "profiles": ["host", "security_control"],
            "sequence": 7,
            "uid": "example.org/log#7",
            "version": "1.5.0",
        },
        "privileges": ["connect"],
        "session": { "expiration_time": 0, "uid": "ses_aaaaaaaaaaaaaaaaaaaaaaaaaa" },
        "severity": "Informational",
        "severity_id": 1,
        "src_endpoint": { "hostname": "laptop", "ip": "192.0.2.7" },
        "status": "Success",
        "status_id": 1,
        "time": 1_700_000_000_000_i64,
        "type_name": "Authorize Session: Assign Privileges",
        "type_uid": 300_301,
        "unmapped": {
            "expires": "1970-01-01T00:00:00Z",
            "policy": "ab".repeat(32),
            "session": "ses_aaaaaaaaaaaaaaaaaaaaaaaaaa",
            "target": "db",
            "type": "session-opened",
        },
        "user": { "domain": "corp", "name": "corp:alice", "uid": "alice" },
    });
    assert_eq!(event(7, "example.org/log", &opened, &known), expected);
}

#[test]
fn sessions_requests_and_grants_are_known_by_their_entries() {
    let mut known = Known::default();
    let (session, request) = (SessionId::from_random([0; 16]), RequestId::from_random([1; 16]));
    let closed = |session: &SessionId| {
        let reason = CloseReason::ClientEnded;
        entry(What::SessionClosed { session: session.clone(), reason, statements: 0, connections: 0 })
    };
    assert_eq!(known.target(&closed(&session).what), None);
    known.follow(&opened(0));
    known.follow(&entry(What::RequestFiled {
        request: request.clone(),
        target: TargetName::new("db").unwrap(),
        session: Some(session.clone()),
        subject: "{}".into(),
        digest: Digest::from_bytes(&[0; 32]),
        threshold: "corp/dba:1".into(),
        expires: Timestamp::UNIX_EPOCH,
        kin: Vec::new(),
    }));
    let ended = entry(What::RequestEnded { request, outcome: "denied".into() });
    assert_eq!((known.target(&ended.what), known.session(&ended.what)), (Some("db"), Some(&session)));
    let revoked = entry(What::GrantRevoked { grant: GrantId::from_random([2; 16]), reason: "x".into() });
    assert_eq!(known.target(&revoked.what), None);
    // an ended session is known to what comes behind its end, and not for ever
    known.follow(&closed(&session));
    assert_eq!(known.target(&closed(&session).what), Some("db"));
    for number in 0..=super::known::MOST_ENDED {
        let mut id = [3; 16];
        id[..8].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
        known.follow(&closed(&SessionId::from_random(id)));
    }
    assert_eq!(known.target(&closed(&session).what), None);
}
