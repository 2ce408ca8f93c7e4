//! An event of every kind, and of what differs within a kind.

use std::collections::{BTreeMap, BTreeSet};

use hoopctl::domain::action::{Deed, Shell};
use hoopctl::domain::caps::CapKind;
use hoopctl::domain::event::{Actor, Event, VerdictWord, What};
use hoopctl::domain::facts::{CallFacts, ExecFacts, Facts, FileFacts, FileOperation, StatementKind};
use hoopctl::domain::name::{
    DeviceId, Digest, GrantId, ProviderName, RequestId, RuleName, SessionId, TargetName,
};
use hoopctl::domain::principal::{PrincipalId, Subject};
use hoopctl::domain::session::CloseReason;
use jiff::Timestamp;

/// How many kinds there are; [`place`] does not compile when there is another one.
pub(super) const KINDS: usize = 32;

/// Which kind it is.
pub(super) fn place(what: &What) -> usize {
    match what {
        What::BrokerStarted { .. } => 0,
        What::BrokerStopped => 1,
        What::ChunkClosed { .. } => 2,
        What::ConnectionClosed { .. } => 3,
        What::ConnectionOpened { .. } => 4,
        What::DeedJudged { .. } => 5,
        What::DeviceEnrolled { .. } => 6,
        What::DevicePending { .. } => 7,
        What::DeviceRevoked { .. } => 8,
        What::GrantExtended { .. } => 9,
        What::GrantIssued { .. } => 10,
        What::GrantRevoked { .. } => 11,
        What::GrantUsed { .. } => 12,
        What::KeyRotated { .. } => 13,
        What::LeaseIssued { .. } => 14,
        What::LeaseRevoked { .. } => 15,
        What::LoggedIn { .. } => 16,
        What::LoggedOut => 17,
        What::PolicyLoaded => 18,
        What::PolicyTampered { .. } => 19,
        What::Refused { .. } => 20,
        What::RequestAnswered { .. } => 21,
        What::RequestEnded { .. } => 22,
        What::RequestFiled { .. } => 23,
        What::RequestReleased { .. } => 24,
        What::ReviewGiven { .. } => 25,
        What::ReviewRejected { .. } => 26,
        What::SessionClosed { .. } => 27,
        What::SessionOpened { .. } => 28,
        What::StandingRevoked { .. } => 29,
        What::StatementCapped { .. } => 30,
        What::StatementJudged { .. } => 31,
    }
}

/// The events, each with and without somebody who acts, from an address of each kind.
pub(super) fn all() -> Vec<Event> {
    let actor = |address: &str, host: &str, device: bool| Actor {
        principal: principal(),
        device: device.then(|| DeviceId::new("d".repeat(43)).expect("a device")),
        address: address.into(),
        host: host.into(),
    };
    let actors = [
        Some(actor("192.0.2.7", "laptop", true)),
        Some(actor("2001:db8::7", "", false)),
        Some(actor("::ffff:192.0.2.9", "host", true)),
        Some(actor("", "", false)),
        None,
    ];
    let at = |number: usize| {
        Timestamp::from_second(1_700_000_000 + i64::try_from(number).expect("small")).expect("a time")
    };
    let policy = Digest::from_bytes(&[0xab; 32]);
    let events = actors.iter().flat_map(|actor| whats().into_iter().map(|what| (actor.clone(), what)));
    let numbered = events.enumerate();
    numbered
        .map(|(number, (actor, what))| Event { at: at(number), actor, policy: policy.clone(), what })
        .collect()
}

fn principal() -> PrincipalId {
    PrincipalId {
        provider: ProviderName::new("corp").expect("a provider"),
        subject: Subject::new("alice").expect("a subject"),
    }
}

fn whats() -> Vec<What> {
    let session = SessionId::from_random([7; 16]);
    let (request, grant) = (RequestId::from_random([8; 16]), GrantId::from_random([9; 16]));
    let target = TargetName::new("db").expect("a target");
    let rule = RuleName::new("read-only").expect("a rule");
    let digest = Digest::from_bytes(&[1; 32]);
    let device = DeviceId::new("e".repeat(43)).expect("a device");
    let time = Timestamp::from_second(1_700_003_600).expect("a time");
    let hostile = "=1+1 \u{1b}]0;title\u{7}\u{9b}6n\r\n\"x\",\u{202e}\u{7f}";
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let deed = |verdict, facts: Option<Deed>, text: &str| What::DeedJudged {
        session: session.clone(),
        connection: 1,
        statement: 4,
        verdict,
        rule: rule.clone(),
        text: text.into(),
        digest: digest.clone(),
        sent: None,
        facts: facts.map(Box::new),
    };
    let statement = |verdict, facts: Option<Facts>, text: &str| What::StatementJudged {
        session: session.clone(),
        connection: 1,
        statement: 3,
        verdict,
        rule: rule.clone(),
        verb: "select".into(),
        text: text.into(),
        digest: digest.clone(),
        sent: Some("SELECT 1".into()),
        facts: facts.map(Box::new),
        facts_of: None,
    };
    let one = Facts { relations_read: set(&["public.a"]), ..Facts::new("select", StatementKind::Read) };
    let two = Facts { relations_read: set(&["public.a", "public.b"]), ..one.clone() };
    let call = |method: &str| {
        let mut call = CallFacts::unread(method.into(), "/v1/traces/7".into());
        call.headers = BTreeMap::new();
        Deed::Call(call)
    };
    let file = |operation, path: &str, to: Option<&str>| {
        Deed::File(FileFacts { operation, path: path.into(), to: to.map(str::to_owned) })
    };
    vec![
        What::BrokerStarted { version: "0.1.0".into() },
        What::LoggedIn { refresh: false },
        What::LoggedIn { refresh: true },
        What::DeviceEnrolled { device: device.clone() },
        What::DevicePending { device: device.clone() },
        What::DeviceRevoked { device },
        What::PolicyLoaded,
        What::KeyRotated { old: "log+1+a".into(), new: "log+2+b".into(), proof: hostile.into() },
        What::RequestFiled {
            request: request.clone(),
            target: target.clone(),
            session: None,
            subject: "{}".into(),
            digest: digest.clone(),
            threshold: "corp/dba:1".into(),
            expires: time,
            kin: vec![digest.clone()],
        },
        What::RequestAnswered { request: request.clone(), rule: Some(rule.clone()), standing: None },
        What::RequestAnswered { request: request.clone(), rule: None, standing: Some(request.clone()) },
        What::ReviewGiven {
            request: request.clone(),
            decision: "approve".into(),
            groups: vec!["corp/dba".into()],
            kin: Vec::new(),
            proof: "a.b.c".into(),
        },
        What::ReviewRejected { request: request.clone(), fault: hostile.into() },
        What::GrantIssued {
            grant: grant.clone(),
            request: request.clone(),
            principal: principal(),
            target: target.clone(),
            starts: time,
            ends: time,
            once: true,
        },
        What::GrantExtended { grant: grant.clone(), request: request.clone(), ends: time },
        What::SessionOpened { session: session.clone(), target, expires: time },
        What::GrantUsed { grant: grant.clone(), session: session.clone() },
        What::LeaseIssued { session: session.clone(), login: "hoop_a".into(), expires: time },
        What::ConnectionOpened {
            session: session.clone(),
            connection: 1,
            login: "hoop_a".into(),
            database: "app".into(),
        },
        statement(VerdictWord::Allow, Some(one), "SELECT 1"),
        statement(VerdictWord::Deny, Some(two), hostile),
        statement(VerdictWord::Hold, None, ""),
        deed(VerdictWord::Allow, Some(call("GET")), "GET /v1/traces/7"),
        deed(VerdictWord::Deny, Some(call("PATCH")), "PATCH /v1/traces/7"),
        deed(VerdictWord::Hold, Some(Deed::Exec(ExecFacts::unjudged(true))), hostile),
        deed(VerdictWord::Allow, Some(Deed::Shell(Shell { terminal: true, supervised: false })), "shell"),
        deed(VerdictWord::Allow, Some(Deed::Env { name: "LANG".into() }), "LANG=C"),
        deed(VerdictWord::Allow, Some(Deed::Subsystem { name: "netconf".into() }), "netconf"),
        deed(VerdictWord::Allow, Some(file(FileOperation::Read, "/etc/hosts", None)), "read /etc/hosts"),
        deed(VerdictWord::Deny, Some(file(FileOperation::Rename, "/", Some("/b/"))), "rename / /b/"),
        deed(VerdictWord::Deny, None, "what cannot be read"),
        What::StatementCapped {
            session: session.clone(),
            connection: 1,
            statement: 3,
            rule: rule.clone(),
            cap: CapKind::Rows,
            most: 100,
            rows: 100,
            bytes: 2400,
        },
        What::PolicyTampered { session: session.clone(), attempt: hostile.into() },
        What::Refused { action: "connect".into(), target: hostile.into(), rule },
        What::RequestReleased { request: request.clone(), session: session.clone() },
        What::RequestEnded { request: request.clone(), outcome: "expired".into() },
        What::StandingRevoked { request, reason: hostile.into() },
        What::ChunkClosed { session: session.clone(), connection: 1, chunk: 0, digest, bytes: 99 },
        What::ConnectionClosed { session: session.clone(), connection: 1, statements: 2, rows: 3, chunks: 1 },
        What::LeaseRevoked {
            session: session.clone(),
            login: "hoop_a".into(),
            clean: true,
            note: String::new(),
        },
        What::LeaseRevoked {
            session: session.clone(),
            login: "hoop_a".into(),
            clean: false,
            note: "it owns a table".into(),
        },
        What::SessionClosed { session, reason: CloseReason::Killed, statements: 5, connections: 6 },
        What::GrantRevoked { grant, reason: "given up".into() },
        What::LoggedOut,
        What::BrokerStopped,
    ]
}
