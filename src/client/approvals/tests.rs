#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;

use super::*;
use crate::domain::approval::{Grant, GrantState, Request, SessionSubject, Threshold};
use crate::domain::name::{DeviceId, GrantId, RuleName, TargetName};
use crate::domain::principal::PrincipalId;

fn principal(subject: &str) -> PrincipalId {
    serde_json::from_value(serde_json::json!({ "provider": "corp", "subject": subject })).unwrap()
}

fn id(fill: u8) -> RequestId {
    RequestId::from_random([fill; 16])
}

fn key() -> DeviceKey {
    DeviceKey::from_bytes(&[7; 32])
}

fn subject() -> Subject {
    Subject {
        version: 1,
        request: id(1),
        requester: principal("alice"),
        target: TargetName::new("db").unwrap(),
        policy: Digest::from_bytes(&[0; 32]),
        rules: vec![RuleName::new("approvals").unwrap()],
        reason: Some("incident 4711".into()),
        what: What::Session(SessionSubject { seconds: 3600, starts: None, once: false, extends: None }),
    }
}

fn view() -> RequestView {
    let text = SubjectText::write(subject()).unwrap();
    RequestView {
        request: Request {
            id: id(1),
            requester: principal("alice"),
            display: "alice".into(),
            device: DeviceId::from_digest(&[1; 32]),
            target: TargetName::new("db").unwrap(),
            subject: text.digest(),
            threshold: "corp/dba:1".parse::<Threshold>().unwrap(),
            people_only: false,
            standing_max: 0,
            filed: Timestamp::UNIX_EPOCH,
            expires: Timestamp::MAX,
            state: RequestState::Pending,
            reviews: Vec::new(),
        },
        subject: text.text().into(),
        missing: "1 more of corp/dba".into(),
        reviewable: true,
        grant: None,
    }
}

/// A broker that was taken over shows one thing and hopes for a signature over another.
#[test]
fn a_broker_that_contradicts_itself_gets_no_signature() {
    let opened = |change: fn(&mut RequestView)| {
        let mut view = view();
        change(&mut view);
        Dossier::open(view, &id(1)).map(|_| ()).unwrap_err().to_string()
    };
    assert!(Dossier::open(view(), &id(1)).is_ok());
    assert!(opened(|view| view.request.id = id(2)).contains("another request"));
    assert!(opened(|view| view.request.target = TargetName::new("toy").unwrap()).contains("the target"));
    assert!(opened(|view| view.request.requester = principal("carol")).contains("the requester"));
    assert!(opened(|view| view.request.subject = Digest::from_bytes(&[9; 32])).contains("the digest"));
    assert!(opened(|view| view.subject = view.subject.replace("4711", "4712")).contains("the digest"));
    let other_request = |view: &mut RequestView| {
        let text = SubjectText::write(Subject { request: id(2), ..subject() }).unwrap();
        view.request.subject = text.digest();
        view.subject = text.text().into();
    };
    assert!(opened(other_request).contains("the id"));
    assert!(opened(|view| view.subject.push_str("{}")).contains("cannot be read"));
}

#[test]
fn what_is_signed_is_the_digest_of_what_was_shown() {
    let dossier = Dossier::open(view(), &id(1)).unwrap();
    let standing = Standing { free: BTreeSet::from([0]), seconds: 60 };
    let given = dossier
        .sign(
            &key(),
            principal("bob"),
            Decision::Approve,
            Some("ok".into()),
            Some(standing),
            Timestamp::UNIX_EPOCH,
        )
        .unwrap();
    let signed = review::open(&given.proof).unwrap();
    assert_eq!(signed.device, key().thumbprint());
    assert_eq!(signed.claims.request, id(1));
    assert_eq!(signed.claims.subject, SubjectText::write(subject()).unwrap().digest());
    assert_eq!(signed.claims.reviewer, principal("bob"));
}

#[test]
fn a_review_that_says_something_else_than_it_signs_is_told() {
    let dossier = Dossier::open(view(), &id(1)).unwrap();
    let sign = |dossier: &Dossier| {
        let at = Timestamp::UNIX_EPOCH;
        dossier.sign(&key(), principal("bob"), Decision::Approve, None, None, at).unwrap().proof
    };
    let review = Review {
        reviewer: principal("bob"),
        display: "bob".into(),
        device: key().thumbprint(),
        groups: BTreeSet::new(),
        decision: Decision::Approve,
        reason: None,
        standing: None,
        at: Timestamp::UNIX_EPOCH,
        proof: sign(&dossier),
    };
    assert_eq!(dossier.check(&review), Signature::Holds);
    let broken = |change: fn(&mut Review)| {
        let mut review = review.clone();
        change(&mut review);
        dossier.check(&review)
    };
    assert_eq!(broken(|review| review.decision = Decision::Deny), Signature::Broken);
    assert_eq!(broken(|review| review.reviewer = principal("carol")), Signature::Broken);
    assert_eq!(broken(|review| review.device = DeviceId::from_digest(&[2; 32])), Signature::Broken);
    assert_eq!(broken(|review| review.reason = Some("sure".into())), Signature::Broken);
    assert_eq!(
        broken(|review| review.standing = Some(Standing { free: BTreeSet::new(), seconds: 1 })),
        Signature::Broken
    );
    assert_eq!(broken(|review| review.proof.push('x')), Signature::Broken);
    let other = {
        let text = SubjectText::write(Subject { reason: None, ..subject() }).unwrap();
        let mut view = view();
        view.request.subject = text.digest();
        view.subject = text.text().into();
        Dossier::open(view, &id(1)).unwrap()
    };
    assert_eq!(other.check(&review), Signature::Broken, "it was given to another text");
}

/// What a broker says when too many calls of one principal wait already.
fn too_many() -> ApiError {
    let problem = crate::wire::control::Problem {
        kind: "urn:hoopctl:problem:unavailable".into(),
        status: 429,
        title: "64 of your calls wait for an answer already".into(),
        detail: None,
        hint: None,
        code: ProblemCode::Unavailable,
        confirmation: None,
    };
    ApiError::Link(LinkError::Problem(Box::new(problem)))
}

#[tokio::test]
async fn where_too_many_calls_wait_the_broker_is_asked_again_and_again() {
    let asked = std::cell::RefCell::new(Vec::new());
    let ask = async |wait: Option<u64>| {
        asked.borrow_mut().push(wait);
        let turn = asked.borrow().len();
        match (turn, wait) {
            (2, Some(_)) => Err(too_many()),
            (4.., _) => {
                let mut over = view();
                over.request.state = RequestState::Denied;
                Ok(over)
            }
            _ => Ok(view()),
        }
    };
    let answered = watch(ask, None, |_| ()).await.unwrap();
    assert_eq!(answered.request.state, RequestState::Denied);
    assert_eq!(*asked.borrow(), [None, Some(POLL), None, None]);
}

fn grant() -> Grant {
    Grant {
        id: GrantId::from_random([3; 16]),
        request: id(1),
        principal: principal("alice"),
        target: TargetName::new("db").unwrap(),
        reason: "incident 4711".into(),
        starts: Timestamp::UNIX_EPOCH,
        ends: Timestamp::MAX,
        once: false,
        state: GrantState::Active,
    }
}

/// Approved; its grant is in force from the given call on. Each answer is another one, so that none is paused after.
async fn approvals_answer(in_force_at: u32) -> (Option<Grant>, u32) {
    let asked = std::cell::Cell::new(0);
    let ask = async |_: Option<u64>| {
        asked.set(asked.get() + 1);
        let mut approved = view();
        approved.missing = asked.get().to_string();
        approved.request.state = RequestState::Granted { grant: grant().id };
        approved.grant = (asked.get() >= in_force_at).then(grant);
        Ok(approved)
    };
    let answered = watch(ask, None, |_| ()).await.unwrap();
    (answered.grant, asked.get())
}

/// An approval is written down before its grant is in force, and a session that is opened in between is refused.
#[tokio::test]
async fn an_approval_is_an_answer_once_its_grant_is_in_force() {
    assert_eq!(approvals_answer(3).await, (Some(grant()), 3));
}

#[tokio::test]
async fn a_grant_that_is_gone_is_not_waited_for_for_ever() {
    assert_eq!(approvals_answer(u32::MAX).await, (None, MOST_UNISSUED + 1));
}
