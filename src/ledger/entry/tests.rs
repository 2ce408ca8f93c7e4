#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;

use jiff::Timestamp;
use proptest::prelude::*;

use super::{EntryError, decode, encode};
use crate::domain::caps::CapKind;
use crate::domain::event::{Actor, Event, VerdictWord, What};
use crate::domain::facts::{CopyDirection, Facts, StatementKind};
use crate::domain::name::{DeviceId, Digest, ProviderName, RuleName, SessionId, TargetName};
use crate::domain::principal::{PrincipalId, Subject};
use crate::domain::session::CloseReason;

fn event(what: What) -> Event {
    let actor = Actor {
        principal: PrincipalId {
            provider: ProviderName::new("corp").unwrap(),
            subject: Subject::new("alice").unwrap(),
        },
        device: Some(device()),
        address: "192.0.2.7".into(),
        host: "laptop".into(),
    };
    let policy = Digest::from_bytes(&[0xab; 32]);
    Event { at: Timestamp::from_millisecond(1_700_000_000_123).unwrap(), actor: Some(actor), policy, what }
}

fn session() -> SessionId {
    SessionId::from_random([0; 16])
}

fn device() -> DeviceId {
    DeviceId::new("d".repeat(43)).unwrap()
}

fn facts() -> Box<Facts> {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    Box::new(Facts {
        relations_read: set(&["public.a", "public.b"]),
        columns_read: set(&["public.a.*"]),
        has_where: true,
        limit: Some(i64::MAX),
        copy: Some(CopyDirection::Out),
        object: Some("table".into()),
        setting: Some("role".into()),
        ..Facts::new("copy", StatementKind::Read)
    })
}

/// Every kind of event, once.
fn all() -> Vec<Event> {
    let expires = Timestamp::from_second(1_700_000_600).unwrap();
    let rule = RuleName::new("read-only").unwrap();
    let digest = Digest::from_bytes(&[1; 32]);
    let mut events: Vec<_> = [
        What::BrokerStarted { version: "0.1.0".into() },
        What::ChunkClosed { session: session(), connection: 1, chunk: 0, digest: digest.clone(), bytes: 99 },
        What::ConnectionClosed { session: session(), connection: 1, statements: 2, rows: 3, chunks: 4 },
        What::ConnectionOpened {
            session: session(),
            connection: 1,
            login: "hoop_a".into(),
            database: "app".into(),
        },
        What::DeviceEnrolled { device: device() },
        What::DevicePending { device: device() },
        What::DeviceRevoked { device: device() },
        What::KeyRotated { old: "log+1+a".into(), new: "log+2+b".into(), proof: "a note\n".into() },
        What::LeaseIssued { session: session(), login: "hoop_a".into(), expires },
        What::LeaseRevoked { session: session(), login: "hoop_a".into(), clean: true, note: String::new() },
        What::LoggedIn { refresh: false },
        What::LoggedOut,
        What::PolicyLoaded,
        What::PolicyTampered { session: session(), attempt: "GRANT".into() },
        What::Refused { action: "connect".into(), target: "db".into(), rule: rule.clone() },
        What::SessionClosed {
            session: session(),
            reason: CloseReason::LedgerUnwritable,
            statements: 5,
            connections: 6,
        },
        What::SessionOpened { session: session(), target: TargetName::new("db").unwrap(), expires },
        What::StatementCapped {
            session: session(),
            connection: 1,
            statement: 7,
            rule: rule.clone(),
            cap: CapKind::Rows,
            most: 100,
            rows: 100,
            bytes: 2400,
        },
        What::StatementJudged {
            session: session(),
            connection: 1,
            statement: 1,
            verdict: VerdictWord::Deny,
            rule,
            verb: "copy".into(),
            text: "copy \"é\u{1}\"\n\t\\ to stdout".into(),
            digest,
            sent: Some("COPY".into()),
            facts: Some(facts()),
            facts_of: None,
        },
    ]
    .into_iter()
    .map(event)
    .collect();
    events.push(Event { actor: None, ..event(What::BrokerStopped) });
    events
}

fn text(event: &Event) -> String {
    let mut out = Vec::new();
    encode(event, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The format is frozen: these bytes never change.
#[test]
fn every_event_has_its_golden_bytes() {
    let session = "ses_aaaaaaaaaaaaaaaaaaaaaaaaaa";
    let device = "d".repeat(43);
    let digest = "01".repeat(32);
    let expected = [
        (6002, 3, "broker-started", r#""version":"0.1.0""#.to_owned()),
        (
            1001,
            1,
            "chunk-closed",
            format!(r#""bytes":99,"chunk":0,"connection":1,"digest":"{digest}","session":"{session}""#),
        ),
        (
            4001,
            2,
            "connection-closed",
            format!(r#""chunks":4,"connection":1,"rows":3,"session":"{session}","statements":2"#),
        ),
        (
            4001,
            1,
            "connection-opened",
            format!(r#""connection":1,"database":"app","login":"hoop_a","session":"{session}""#),
        ),
        (3004, 1, "device-enrolled", format!(r#""device":"{device}""#)),
        (3004, 99, "device-pending", format!(r#""device":"{device}""#)),
        (3004, 4, "device-revoked", format!(r#""device":"{device}""#)),
        (3004, 3, "key-rotated", r#""new":"log+2+b","old":"log+1+a","proof":"a note\n""#.to_owned()),
        (
            3001,
            1,
            "lease-issued",
            format!(r#""expires":"2023-11-14T22:23:20Z","login":"hoop_a","session":"{session}""#),
        ),
        (
            3001,
            6,
            "lease-revoked",
            format!(r#""clean":true,"login":"hoop_a","note":"","session":"{session}""#),
        ),
        (3002, 1, "logged-in", r#""refresh":false"#.to_owned()),
        (3002, 2, "logged-out", String::new()),
        (3004, 3, "policy-loaded", String::new()),
        (2004, 1, "policy-tampered", format!(r#""attempt":"GRANT","session":"{session}""#)),
        (6003, 99, "refused", r#""action":"connect","rule":"read-only","target":"db""#.to_owned()),
        (
            3003,
            99,
            "session-closed",
            format!(r#""connections":6,"reason":"ledger-unwritable","session":"{session}","statements":5"#),
        ),
        (
            3003,
            1,
            "session-opened",
            format!(r#""expires":"2023-11-14T22:23:20Z","session":"{session}","target":"db""#),
        ),
        (
            2004,
            1,
            "statement-capped",
            format!(
                r#""bytes":2400,"cap":"rows","connection":1,"most":100,"rows":100,"rule":"read-only","session":"{session}","statement":7"#
            ),
        ),
        (
            6005,
            4,
            "statement-judged",
            format!(
                concat!(
                    r#""connection":1,"digest":"{}","facts":{{"columns_read":["public.a.*"],"copy":"out","#,
                    r#""functions":[],"has_where":true,"kind":"read","limit":9007199254740991,"object":"table","#,
                    r#""read_only":false,"relations_read":["public.a","public.b"],"relations_written":[],"#,
                    r#""setting":"role","summary":false,"touches_masked":false,"verb":"copy"}},"rule":"read-only","sent":"COPY","#,
                    r#""session":"{}","statement":1,"text":"copy \"é\u0001\"\n\t\\ to stdout","verb":"copy","#,
                    r#""verdict":"deny""#
                ),
                digest, session
            ),
        ),
    ];
    let policy = "ab".repeat(32);
    for (event, (class, activity, name, members)) in all().iter().zip(expected) {
        let golden = format!(
            concat!(
                r#"{{"activity_id":{},"actor":{{"device":{{"hostname":"laptop","ip":"192.0.2.7","uid":"{}"}},"#,
                r#""user":{{"domain":"corp","uid":"alice"}}}},"class_uid":{},"policy":"{}","time":1700000000123,"#,
                r#""type":"{}","unmapped":{{{}}},"v":1}}"#
            ),
            activity, device, class, policy, name, members
        );
        assert_eq!(text(event), golden);
    }
    let stopped = format!(
        r#"{{"activity_id":4,"class_uid":6002,"policy":"{policy}","time":1700000000123,"type":"broker-stopped","unmapped":{{}},"v":1}}"#
    );
    assert_eq!(all().last().map(text), Some(stopped));
}

#[test]
fn every_event_is_read_back() {
    for event in all() {
        let read = decode(text(&event).as_bytes()).unwrap();
        assert_eq!(text(&read), text(&event));
        assert_eq!((&read.actor, &read.policy, read.at), (&event.actor, &event.policy, event.at));
    }
}

#[test]
fn every_close_reason_is_read_back() {
    for reason in [
        CloseReason::BrokerRestarted,
        CloseReason::ClientEnded,
        CloseReason::DeviceRevoked,
        CloseReason::Expired,
        CloseReason::Killed,
        CloseReason::LedgerUnwritable,
        CloseReason::LoginEnded,
        CloseReason::PolicyChanged,
        CloseReason::Tampering,
        CloseReason::UpstreamLost,
    ] {
        let closed = event(What::SessionClosed { session: session(), reason, statements: 0, connections: 0 });
        assert_eq!(decode(text(&closed).as_bytes()), Ok(closed));
    }
}

/// Entries without the member are older than it, and stay what they were.
#[test]
fn a_statement_names_the_one_that_has_its_facts() {
    let judged = |facts_of| {
        event(What::StatementJudged {
            session: session(),
            connection: 1,
            statement: 3,
            verdict: VerdictWord::Allow,
            rule: RuleName::new("r").unwrap(),
            verb: "select".into(),
            text: "SELECT 3".into(),
            digest: Digest::from_bytes(&[1; 32]),
            sent: None,
            facts: None,
            facts_of,
        })
    };
    let (older, newer) = (judged(None), judged(Some(2)));
    assert!(!text(&older).contains("facts"));
    assert_eq!(text(&newer), text(&older).replace(r#""rule""#, r#""facts_of":2,"rule""#));
    assert_eq!(decode(text(&older).as_bytes()), Ok(older));
    assert_eq!(decode(text(&newer).as_bytes()), Ok(newer));
}

#[test]
fn any_other_spelling_of_an_entry_is_refused() {
    let good = text(&event(What::LoggedIn { refresh: true }));
    for bad in [
        format!(" {good}"),
        good.replace(",\"v\"", ", \"v\""),
        good.replace("\"unmapped\":{", "\"unmapped\":{\"extra\":1,"),
        good.replace("\"class_uid\":3002", "\"class_uid\":3003"),
        good.replace("laptop", "l\\u0061ptop"),
        good.replace("{\"activity_id\":1,", "{").replace("\"v\":1", "\"v\":1,\"activity_id\":1"),
    ] {
        assert_eq!(decode(bad.as_bytes()), Err(EntryError::NotCanonical), "{bad}");
    }
    assert_eq!(decode(good.replace("\"v\":1", "\"v\":2").as_bytes()), Err(EntryError::UnknownVersion(2)));
    assert!(matches!(decode(b"{}"), Err(EntryError::Malformed(_))));
}

/// What a later version writes is told from what nobody wrote.
#[test]
fn later_versions_and_unknown_bytes_are_said_in_one_sentence() {
    let said = |text: &str| decode(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(said(r#"{"v":2}"#), "it has version 2, which this version does not know");
    assert_eq!(
        said(r#"{"who":[1],"v":3,"time":"noon"}"#),
        "it has version 3, which this version does not know"
    );
    let good = text(&event(What::LoggedOut));
    let kind = good.replace("logged-out", "teleported");
    assert_eq!(said(&kind), "it is of the kind `teleported`, which this version does not know");
    let long = said(&good.replace("logged-out", &format!("\\u001b[31m{}", "x".repeat(500))));
    assert!(!long.contains('\u{1b}') && long.len() < 150, "{long}");
    assert_eq!(said("\u{1b}]0;x\u{7}"), "it is not an entry: expected value at line 1 column 1");
}

#[test]
fn a_text_that_was_not_cut_is_refused_and_leaves_the_buffer_alone() {
    let mut out = b"before".to_vec();
    let large = event(What::PolicyTampered { session: session(), attempt: "x".repeat(70_000) });
    assert!(matches!(encode(&large, &mut out), Err(EntryError::TooLarge(_))));
    assert_eq!(out, b"before");
}

proptest! {
    #[test]
    fn texts_are_escaped_as_json_parsers_expect(attempt in any::<String>()) {
        let event = event(What::PolicyTampered { session: session(), attempt: attempt.clone() });
        let parsed: serde_json::Value = serde_json::from_str(&text(&event)).unwrap();
        prop_assert_eq!(parsed.pointer("/unmapped/attempt").and_then(|v| v.as_str()), Some(attempt.as_str()));
        prop_assert_eq!(decode(text(&event).as_bytes()), Ok(event));
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(decode(&bytes).is_err());
    }
}
