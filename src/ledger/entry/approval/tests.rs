#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use jiff::Timestamp;

use crate::domain::event::{Event, What};
use crate::domain::name::{Digest, GrantId, ProviderName, RequestId, RuleName, SessionId, TargetName};
use crate::domain::principal::{PrincipalId, Subject};
use crate::ledger::entry::{decode, encode};

/// The format is frozen: these bytes never change.
#[test]
fn every_event_about_approvals_has_its_golden_bytes() {
    let (request, grant) = (RequestId::from_random([0; 16]), GrantId::from_random([0; 16]));
    let (session, digest) = (SessionId::from_random([0; 16]), Digest::from_bytes(&[1; 32]));
    let target = TargetName::new("db").unwrap();
    let at = |second| Timestamp::from_second(second).unwrap();
    let principal =
        PrincipalId { provider: ProviderName::new("corp").unwrap(), subject: Subject::new("alice").unwrap() };
    let rule = RuleName::new("auto").unwrap();
    let (a, d) = ("a".repeat(26), "01".repeat(32));
    let (starts, ends) = (at(1_700_000_000), at(1_700_000_600));
    let expected = [
        (
            What::GrantExtended { grant: grant.clone(), request: request.clone(), ends },
            "99,grant-extended",
            format!(r#""ends":"2023-11-14T22:23:20Z","grant":"gra_{a}","request":"req_{a}""#),
        ),
        (
            What::GrantIssued {
                grant: grant.clone(),
                request: request.clone(),
                principal,
                target: target.clone(),
                starts,
                ends,
                once: true,
            },
            "1,grant-issued",
            format!(
                r#""ends":"2023-11-14T22:23:20Z","grant":"gra_{a}","once":true,"principal":{{"provider":"corp","subject":"alice"}},"request":"req_{a}","starts":"2023-11-14T22:13:20Z","target":"db""#
            ),
        ),
        (
            What::GrantRevoked { grant: grant.clone(), reason: "given up".into() },
            "2,grant-revoked",
            format!(r#""grant":"gra_{a}","reason":"given up""#),
        ),
        (
            What::GrantUsed { grant, session: session.clone() },
            "99,grant-used",
            format!(r#""grant":"gra_{a}","session":"ses_{a}""#),
        ),
        (
            What::RequestAnswered { request: request.clone(), rule: Some(rule), standing: None },
            "99,request-answered",
            format!(r#""request":"req_{a}","rule":"auto""#),
        ),
        (
            What::RequestAnswered { request: request.clone(), rule: None, standing: Some(request.clone()) },
            "99,request-answered",
            format!(r#""request":"req_{a}","standing":"req_{a}""#),
        ),
        (
            What::RequestEnded { request: request.clone(), outcome: "void".into() },
            "99,request-ended",
            format!(r#""outcome":"void","request":"req_{a}""#),
        ),
        (
            What::RequestFiled {
                request: request.clone(),
                target,
                session: Some(session.clone()),
                subject: "{\"é\"}".into(),
                digest: digest.clone(),
                threshold: "1 of corp/dba".into(),
                expires: ends,
                kin: Vec::new(),
            },
            "99,request-filed",
            format!(
                r#""digest":"{d}","expires":"2023-11-14T22:23:20Z","request":"req_{a}","session":"ses_{a}","subject":"{{\"é\"}}","target":"db","threshold":"1 of corp/dba""#
            ),
        ),
        (
            What::RequestReleased { request: request.clone(), session },
            "99,request-released",
            format!(r#""request":"req_{a}","session":"ses_{a}""#),
        ),
        (
            What::ReviewGiven {
                request: request.clone(),
                decision: "approve".into(),
                groups: vec!["corp/dba".into()],
                kin: Vec::new(),
                proof: "a.b.c".into(),
            },
            "99,review-given",
            format!(r#""decision":"approve","groups":["corp/dba"],"proof":"a.b.c","request":"req_{a}""#),
        ),
        (
            What::RequestFiled {
                request: request.clone(),
                target: TargetName::new("db").unwrap(),
                session: None,
                subject: "{}".into(),
                digest: digest.clone(),
                threshold: "corp/dba:1".into(),
                expires: ends,
                kin: vec![digest.clone()],
            },
            "99,request-filed",
            format!(
                r#""digest":"{d}","expires":"2023-11-14T22:23:20Z","kin":["{d}"],"request":"req_{a}","subject":"{{}}","target":"db","threshold":"corp/dba:1""#
            ),
        ),
        (
            What::ReviewGiven {
                request: request.clone(),
                decision: "deny".into(),
                groups: Vec::new(),
                kin: vec![digest.clone(), digest],
                proof: "a.b.c".into(),
            },
            "99,review-given",
            format!(
                r#""decision":"deny","groups":[],"kin":["{d}","{d}"],"proof":"a.b.c","request":"req_{a}""#
            ),
        ),
        (
            What::ReviewRejected { request: request.clone(), fault: "its signature is wrong".into() },
            "1,review-rejected",
            format!(r#""fault":"its signature is wrong","request":"req_{a}""#),
        ),
        (
            What::StandingRevoked { request, reason: "revoked by hand".into() },
            "2,standing-revoked",
            format!(r#""reason":"revoked by hand","request":"req_{a}""#),
        ),
    ];
    let policy = "ab".repeat(32);
    for (what, head, members) in expected {
        let class = if head.ends_with("review-rejected") { 2004 } else { 3005 };
        let (activity, kind) = head.split_once(',').unwrap();
        let event =
            Event { at: at(1_700_000_000), actor: None, policy: Digest::from_bytes(&[0xab; 32]), what };
        let mut bytes = Vec::new();
        encode(&event, &mut bytes).unwrap();
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            format!(
                r#"{{"activity_id":{activity},"class_uid":{class},"policy":"{policy}","time":1700000000000,"type":"{kind}","unmapped":{{{members}}},"v":1}}"#
            )
        );
        assert_eq!(decode(&bytes), Ok(event));
    }
}
