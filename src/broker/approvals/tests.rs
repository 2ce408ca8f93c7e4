#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use serde_json::json;

use super::stage::Statement;
use crate::broker::devices::Reach;
use crate::broker::store::grants;
use crate::broker::testing::{Answer, Bench, PERMIT_ALL, User};
use crate::domain::approval::{
    Decision, DeedSubject, GrantState, Literal, RequestState, Shape, Standing, SubjectText, What as Matter,
};
use crate::domain::event::What;
use crate::domain::mask::{ColumnPattern, Mask, MaskRule};
use crate::domain::name::{Digest, GroupName, ProviderName, RequestId, RuleName};
use crate::domain::policy::Hold;
use crate::domain::principal::{PrincipalId, Subject as Sub};
use crate::domain::session::{CloseReason, SessionState};
use crate::domain::target::TargetKind;
use crate::gateway::authority::{Authority as _, HoldError, Outcome};
use crate::wire::control::{Listing, ProblemCode, RequestView, StandingView};
use crate::wire::review::Claims;

/// Everything is allowed, and a session takes a review of somebody in `corp/dba`.
pub(super) const BY_DBA: &str = r#"
    @id("all") permit(principal, action in [Hoop::Action::"connect", Hoop::Action::"statement"], resource);
    @id("ask-first") @reason("sessions here take a review") @review("corp/dba:1")
    forbid(principal, action == Hoop::Action::"connect", resource);
"#;

fn principal(provider: &str, subject: &str) -> PrincipalId {
    PrincipalId { provider: ProviderName::new(provider).unwrap(), subject: Sub::new(subject).unwrap() }
}

pub(super) fn corp(subject: &str) -> PrincipalId {
    principal("corp", subject)
}

async fn asked(user: &User<'_>) -> RequestView {
    let answer = user.ask(json!({})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn a_session_is_asked_for_approved_and_opened() {
    let bench = Bench::new(BY_DBA);
    let (alice, bob) = (bench.login("alice", 1).await, bench.login("bob", 2).await);
    let refused = alice.call("POST", "/v1/sessions", Some(json!({"target": "db", "host": "laptop"}))).await;
    assert_eq!(refused.problem().code, ProblemCode::ReviewNeeded);
    let filed = asked(&alice).await;
    assert_eq!((filed.missing.as_str(), filed.reviewable), ("1 more of corp/dba", false));
    let id = filed.request.id.to_string();
    let reviewed = bob.review("bob", &id, Decision::Approve).await;
    assert_eq!(reviewed.status, StatusCode::OK, "{}", reviewed.text());
    let reviewed: RequestView = reviewed.json();
    let grant = reviewed.grant.unwrap();
    assert_eq!(reviewed.request.state, RequestState::Granted { grant: grant.id.clone() });
    assert_eq!((grant.state, grant.ends.as_second() - grant.starts.as_second()), (GrantState::Active, 3600));
    let session = alice.open().await;
    let opened = bench.core.sessions.look(&session).unwrap().unwrap();
    assert_eq!((opened.expires, opened.grant), (grant.ends, Some(grant.id)));
    bench.core.admit(&session, &alice.device("alice")).unwrap();
}

#[tokio::test]
async fn a_held_statement_is_released_once() {
    let bench = Bench::new(PERMIT_ALL);
    let (alice, bob) = (bench.login("alice", 1).await, bench.login("bob", 2).await);
    let session = alice.open().await;
    let statement = Statement::of(&bench, &session, &alice, "alice");
    let (id, filed) = statement.held().await;
    assert_eq!(filed.needs, "1 of corp/dba");
    assert_eq!(bench.core.release(&id).await, Err(HoldError::NotApproved));
    bob.review("bob", id.as_str(), Decision::Approve).await;
    let Outcome::Approved(reviews) = filed.outcome.await else { panic!("it was approved") };
    assert_eq!(reviews.len(), 1);
    bench.core.release(&id).await.unwrap();
    assert_eq!(bench.core.release(&id).await, Err(HoldError::NotApproved));
    let released =
        bench.journal.whats().iter().filter(|what| matches!(what, What::RequestReleased { .. })).count();
    assert_eq!(released, 1);
}

fn problem(answer: &Answer) -> (StatusCode, ProblemCode) {
    (answer.status, answer.problem().code)
}

#[tokio::test]
async fn nobody_reviews_their_own_request_nor_through_a_second_account_or_their_machine() {
    let mut with_ci = BY_DBA.replace("corp/dba:1", "ci/deploy:1, corp/dba:1");
    with_ci.push('\n');
    let bench = Bench::with(&with_ci, |config| {
        let rule = config.workloads.first_mut().unwrap().rules.first_mut().unwrap();
        rule.owner = Some(corp("alice"));
    });
    let alice = bench.login_with("alice", 1, json!({"email": "Alice@corp.example"})).await;
    let twin = bench.login_with("alice-admin", 2, json!({"email": "alice@corp.example "})).await;
    let robot = bench.login_workload("job", 3).await;
    let id = asked(&alice).await.request.id.to_string();
    for (user, name) in [(&alice, "alice"), (&twin, "alice-admin")] {
        assert_eq!(
            problem(&user.review(name, &id, Decision::Approve).await),
            (StatusCode::FORBIDDEN, ProblemCode::Denied)
        );
    }
    let claims = robot.claims(&id, Decision::Approve, principal("ci", "job")).await;
    let by_robot = robot.give(&id, &claims).await;
    assert_eq!(problem(&by_robot), (StatusCode::FORBIDDEN, ProblemCode::Denied));
    // and the person who owns the machine does not review what the machine asks for
    let of_robot = asked(&robot).await.request.id.to_string();
    assert_eq!(alice.review("alice", &of_robot, Decision::Approve).await.problem().code, ProblemCode::Denied);
    let bob = bench.login("bob", 4).await;
    assert_eq!(bob.review("bob", &of_robot, Decision::Approve).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_review_counts_only_when_an_enrolled_key_signed_exactly_this_just_now() {
    let bench = Bench::new(BY_DBA);
    let (alice, bob) = (bench.login("alice", 1).await, bench.login("bob", 2).await);
    let mallory = bench.login("mallory", 3).await;
    let (one, other) = (asked(&alice).await, asked(&alice).await);
    let id = one.request.id.to_string();
    let right = bob.claims(&id, Decision::Approve, corp("bob")).await;
    let wrong = [
        Claims { subject: other.request.subject.clone(), ..right.clone() },
        Claims { request: other.request.id.clone(), ..right.clone() },
        Claims { reviewer: corp("carol"), ..right.clone() },
        Claims { iat: right.iat - 301, ..right.clone() },
        Claims { iat: right.iat + 301, ..right.clone() },
        Claims { standing: Some(Standing { free: BTreeSet::new(), seconds: 60 }), ..right.clone() },
    ];
    for claims in &wrong {
        assert_eq!(
            problem(&bob.give(&id, claims).await),
            (StatusCode::BAD_REQUEST, ProblemCode::BadRequest),
            "{claims:?}"
        );
    }
    // signed by mallory's key, sent with bob's
    let proof = crate::wire::review::sign(&mallory.key, &right).unwrap();
    let path = format!("/v1/requests/{id}/reviews");
    let foreign = bob.call("POST", &path, Some(json!({"proof": proof}))).await;
    assert_eq!(problem(&foreign), (StatusCode::BAD_REQUEST, ProblemCode::BadRequest));
    assert!(!bench.journal.whats().iter().any(|what| matches!(what, What::ReviewGiven { .. })));
    assert_eq!(bob.give(&id, &right).await.status, StatusCode::OK);
}

#[tokio::test]
async fn requests_that_are_over_unknown_or_foreign_take_no_review() {
    let bench = Bench::with(BY_DBA, |config| {
        config.providers.first_mut().unwrap().groups.insert(GroupName::new("corp/other").unwrap());
    });
    let (alice, bob) = (bench.login("alice", 1).await, bench.login("bob", 2).await);
    let stranger = bench.login_with("eve", 3, json!({"groups": ["other"]})).await;
    let gone = (StatusCode::CONFLICT, ProblemCode::Conflict);
    let unknown = (StatusCode::NOT_FOUND, ProblemCode::Unknown);

    let withdrawn = asked(&alice).await.request.id.to_string();
    assert_eq!(
        alice.call("DELETE", &format!("/v1/requests/{withdrawn}"), None).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(problem(&bob.review("bob", &withdrawn, Decision::Approve).await), gone);

    let approved = asked(&alice).await.request.id.to_string();
    bob.review("bob", &approved, Decision::Approve).await;
    assert_eq!(problem(&bob.review("bob", &approved, Decision::Deny).await), gone);
    assert_eq!(problem(&alice.call("DELETE", &format!("/v1/requests/{approved}"), None).await), gone);

    let denied = asked(&alice).await.request.id.to_string();
    bob.review("bob", &denied, Decision::Deny).await;
    assert_eq!(problem(&bob.review("bob", &denied, Decision::Approve).await), gone);

    // a stranger cannot tell a request of others from one that never was
    let never = RequestId::from_random([9; 16]).to_string();
    let open = asked(&alice).await.request.id.to_string();
    for id in [&never, &open] {
        let answers = [
            stranger.call("GET", &format!("/v1/requests/{id}"), None).await,
            stranger.call("DELETE", &format!("/v1/requests/{id}"), None).await,
            stranger.call("GET", &format!("/v1/requests?before={id}"), None).await,
            stranger.call("POST", &format!("/v1/requests/{id}/reviews"), Some(json!({"proof": "x"}))).await,
        ];
        assert_eq!(answers.map(|answer| problem(&answer)), [unknown; 4], "{id}");
    }
    // bob may see it, and may not take it back for alice
    assert_eq!(problem(&bob.call("DELETE", &format!("/v1/requests/{open}"), None).await), unknown);
}

#[tokio::test]
async fn a_clock_that_jumps_ends_requests_for_good() {
    let bench = Bench::new(BY_DBA);
    let (alice, bob) = (bench.login("alice", 1).await, bench.login("bob", 2).await);
    let filed = asked(&alice).await;
    let id = filed.request.id.to_string();
    let claims = bob.claims(&id, Decision::Approve, corp("bob")).await;
    bench.hand.advance(24 * 3600);
    bench.core.approvals.tick().await;
    bench.hand.advance(-24 * 3600);
    assert_eq!(problem(&bob.give(&id, &claims).await), (StatusCode::CONFLICT, ProblemCode::Conflict));
    let ended = What::RequestEnded { request: filed.request.id, outcome: "expired".into() };
    assert!(bench.journal.whats().contains(&ended));
}

#[tokio::test]
async fn an_approval_is_void_after_its_time_its_session_its_device_and_a_restart() {
    let bench = Bench::new(PERMIT_ALL);
    let (alice, bob) = (bench.login("alice", 1).await, bench.login("bob", 2).await);
    let session = alice.open().await;
    let statement = Statement::of(&bench, &session, &alice, "alice");
    let approved = async || {
        let (id, filed) = statement.held().await;
        bob.review("bob", id.as_str(), Decision::Approve).await;
        assert!(matches!(filed.outcome.await, Outcome::Approved(_)));
        id
    };
    let refused = Err(HoldError::NotApproved);

    let late = approved().await;
    bench.hand.advance(600);
    assert_eq!(bench.core.release(&late).await, refused);
    bench.hand.advance(-600);

    let after_restart = approved().await;
    bench.core.approvals.recover().await.unwrap();
    assert_eq!(bench.core.release(&after_restart).await, refused);

    let after_reload = approved().await;
    let config = crate::broker::testing::config(bench.directory.path(), &format!("{PERMIT_ALL}\n"));
    bench.core.adopt(config).await.unwrap();
    assert_eq!(bench.core.release(&after_reload).await, refused);

    let (pending, filed) = statement.held().await;
    bench.core.approvals.void_device(&bob.key.thumbprint()).await;
    // bob had said nothing about it
    assert!(!bench.core.approvals.find(&pending).unwrap().unwrap().life.state.is_final());
    drop(filed);
    bench.core.approvals.tick().await;
    let withdrawn = What::RequestEnded { request: pending, outcome: "withdrawn".into() };
    assert!(bench.journal.whats().contains(&withdrawn), "a dropped outcome withdraws");

    let of_lost_device = approved().await;
    bench.core.approvals.void_device(&bob.key.thumbprint()).await;
    assert_eq!(bench.core.release(&of_lost_device).await, refused);

    let of_session = approved().await;
    bench.core.sessions.close(&session, CloseReason::Killed);
    assert_eq!(bench.core.release(&of_session).await, refused);
}

#[tokio::test]
async fn what_cannot_be_entered_does_not_happen() {
    let bench = Bench::new(PERMIT_ALL);
    let (alice, bob) = (bench.login("alice", 1).await, bench.login("bob", 2).await);
    let session = alice.open().await;
    let statement = Statement::of(&bench, &session, &alice, "alice");
    let (id, filed) = statement.held().await;
    let break_journal = |broken| bench.journal.broken.store(broken, Ordering::SeqCst);
    break_journal(true);
    assert!(matches!(
        statement.held_as(statement.subject(None), Statement::hold()).await,
        Err(HoldError::Journal(_))
    ));
    let claims = bob.claims(id.as_str(), Decision::Approve, corp("bob")).await;
    assert_eq!(bob.give(id.as_str(), &claims).await.problem().code, ProblemCode::Unavailable);
    break_journal(false);
    assert_eq!(bob.give(id.as_str(), &claims).await.status, StatusCode::OK);
    assert!(matches!(filed.outcome.await, Outcome::Approved(_)));
    break_journal(true);
    assert!(matches!(bench.core.release(&id).await, Err(HoldError::Journal(_))));
    break_journal(false);
    // used up, and lost: never let through twice
    assert_eq!(bench.core.release(&id).await, Err(HoldError::NotApproved));
}

#[tokio::test]
async fn a_grant_whose_entry_could_not_be_written_is_entered_by_a_later_tick() {
    let bench = Bench::new(BY_DBA);
    let (alice, bob) = (bench.login("alice", 1).await, bench.login("bob", 2).await);
    let issued = || {
        let all = bench.journal.whats();
        all.iter().filter(|what| matches!(what, What::GrantIssued { .. })).count()
    };
    let extended = || {
        let all = bench.journal.whats();
        all.iter().filter(|what| matches!(what, What::GrantExtended { .. })).count()
    };
    let full_after_the_review = || bench.journal.room.store(1, Ordering::SeqCst);
    let emptied = || bench.journal.room.store(usize::MAX, Ordering::SeqCst);

    let id = asked(&alice).await.request.id;
    let claims = bob.claims(id.as_str(), Decision::Approve, corp("bob")).await;
    full_after_the_review();
    assert_eq!(bob.give(id.as_str(), &claims).await.problem().code, ProblemCode::Unavailable);
    bench.core.approvals.tick().await;
    emptied();
    let early = alice.call("POST", "/v1/sessions", Some(json!({"target": "db", "host": "laptop"}))).await;
    assert_eq!((early.problem().code, issued()), (ProblemCode::ReviewNeeded, 0));
    bench.core.approvals.tick().await;
    bench.core.approvals.tick().await;
    assert_eq!(issued(), 1);
    let session = alice.open().await;

    let grant = bench.core.sessions.grant_of(&session).unwrap();
    let longer: RequestView = alice.ask(json!({"extends": grant, "seconds": 900})).await.json();
    let claims = bob.claims(longer.request.id.as_str(), Decision::Approve, corp("bob")).await;
    full_after_the_review();
    assert_eq!(bob.give(longer.request.id.as_str(), &claims).await.problem().code, ProblemCode::Unavailable);
    emptied();
    let again = bench.core.approvals.tick().await;
    assert_eq!((again.len(), extended()), (1, 1));
    assert!(bench.core.approvals.tick().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_grant_for_one_session_lets_one_of_sixteen_in() {
    let bench = Bench::new(BY_DBA);
    let (alice, bob) = (bench.login("alice", 1).await, bench.login("bob", 2).await);
    let filed: RequestView = alice.ask(json!({"once": true})).await.json();
    bob.review("bob", filed.request.id.as_str(), Decision::Approve).await;
    let open = || alice.call("POST", "/v1/sessions", Some(json!({"target": "db", "host": "laptop"})));
    let answers = futures_util::future::join_all((0..16).map(|_| open())).await;
    let in_ = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
    let out = answers.iter().filter(|answer| answer.status == StatusCode::FORBIDDEN).count();
    assert_eq!((in_, out), (1, 15));
    let used = bench.journal.whats().iter().filter(|what| matches!(what, What::GrantUsed { .. })).count();
    assert_eq!(used, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_reviewers_at_the_same_instant_one_makes_the_grant() {
    let bench = Bench::new(BY_DBA);
    let alice = bench.login("alice", 1).await;
    let (bob, carol) = (bench.login("bob", 2).await, bench.login("carol", 3).await);
    for _ in 0..8 {
        let id = asked(&alice).await.request.id.to_string();
        let (one, other) = tokio::join!(
            bob.review("bob", &id, Decision::Approve),
            carol.review("carol", &id, Decision::Deny)
        );
        let won = [one.status, other.status].iter().filter(|status| **status == StatusCode::OK).count();
        assert_eq!(won, 1, "{} {}", one.text(), other.text());
        let shown: RequestView = alice.call("GET", &format!("/v1/requests/{id}"), None).await.json();
        assert_eq!(shown.grant.is_some(), one.status == StatusCode::OK);
    }
}

#[tokio::test]
async fn a_session_ends_with_its_grant_and_closes_when_that_is_revoked() {
    let mut bench = Bench::new(BY_DBA);
    bench.bury();
    let (alice, bob) = (bench.login("alice", 1).await, bench.login("bob", 2).await);
    let grant = async |seconds: u64| {
        let filed: RequestView = alice.ask(json!({"seconds": seconds})).await.json();
        let answer = bob.review("bob", filed.request.id.as_str(), Decision::Approve).await;
        answer.json::<RequestView>().grant.unwrap()
    };
    let reason = async |session| {
        while !matches!(
            bench.core.sessions.look(session).unwrap().unwrap().state,
            SessionState::Closed { .. }
        ) {
            tokio::task::yield_now().await;
        }
        match bench.core.sessions.look(session).unwrap().unwrap().state {
            SessionState::Closed { reason, .. } => reason,
            other => panic!("{other:?}"),
        }
    };
    let first = grant(120).await;
    bench.hand.advance(90);
    let late = alice.open().await;
    assert_eq!(bench.core.sessions.look(&late).unwrap().unwrap().expires, first.ends);
    bench.hand.advance(30);
    bench.core.tick(bench.hand.now());
    assert_eq!(reason(&late).await, CloseReason::GrantEnded);

    let second = grant(300).await;
    let session = alice.open().await;
    bench.core.admit(&session, &alice.device("alice")).unwrap();
    let path = format!("/v1/grants/{}", second.id);
    assert_eq!(bob.call("DELETE", &path, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(reason(&session).await, CloseReason::GrantRevoked);
    assert_eq!(
        problem(&bob.call("DELETE", &path, None).await),
        (StatusCode::CONFLICT, ProblemCode::Conflict)
    );
    assert!(bench.core.admit(&session, &alice.device("alice")).is_err());
    let again = alice.call("POST", "/v1/sessions", Some(json!({"target": "db", "host": "laptop"}))).await;
    assert_eq!(again.problem().code, ProblemCode::ReviewNeeded);
}

#[tokio::test]
async fn a_grant_starts_later_is_made_longer_and_is_asked_for_once_per_key() {
    let bench = Bench::new(BY_DBA);
    let (alice, bob) = (bench.login("alice", 1).await, bench.login("bob", 2).await);
    let approve = async |filed: RequestView| {
        let answer = bob.review("bob", filed.request.id.as_str(), Decision::Approve).await;
        answer.json::<RequestView>().grant.unwrap()
    };
    let in_ten_minutes = bench.hand.now().checked_add(jiff::SignedDuration::from_mins(10)).unwrap();
    let keyed = json!({"starts": in_ten_minutes, "seconds": 600, "key": "job-7"});
    let (one, other): (RequestView, RequestView) =
        (alice.ask(keyed.clone()).await.json(), alice.ask(keyed).await.json());
    assert_eq!(one.request.id, other.request.id);
    // "in ten minutes", asked again a second later
    let later = in_ten_minutes.checked_add(jiff::SignedDuration::from_secs(1)).unwrap();
    let again: RequestView = alice.ask(json!({"starts": later, "seconds": 600, "key": "job-7"})).await.json();
    assert_eq!(again.request.id, one.request.id);
    let changed = alice.ask(json!({"key": "job-7", "reason": "another"})).await;
    assert_eq!(problem(&changed), (StatusCode::CONFLICT, ProblemCode::Conflict));
    let grant = approve(one).await;
    assert_eq!(grant.starts, in_ten_minutes);
    let early = alice.call("POST", "/v1/sessions", Some(json!({"target": "db", "host": "laptop"}))).await;
    assert_eq!(early.problem().code, ProblemCode::ReviewNeeded);
    bench.hand.advance(600);
    // the access tokens lived five minutes
    let (alice, bob) = (bench.login("alice", 1).await, bench.login("bob", 2).await);
    let session = alice.open().await;
    let longer: RequestView = alice.ask(json!({"extends": grant.id, "seconds": 900})).await.json();
    bob.review("bob", longer.request.id.as_str(), Decision::Approve).await;
    let expires = bench.core.sessions.look(&session).unwrap().unwrap().expires;
    assert_eq!(expires.as_second() - grant.ends.as_second(), 900);
    tokio::task::yield_now().await;
    assert_eq!(bench.lender.1.lock().unwrap().get(&session), Some(&expires), "and its database role with it");
    // a statement that is held after the first end waits as long as any other
    bench.hand.advance(605);
    let statement = Statement::of(&bench, &session, &alice, "alice");
    let (_, filed) = statement.held().await;
    assert!(filed.expires > bench.hand.now() && filed.expires <= expires);
    let (alice, bob) = (bench.login("alice", 1).await, bench.login("bob", 2).await);
    let too_long = alice.ask(json!({"extends": grant.id, "seconds": 8 * 3600})).await;
    assert_eq!(problem(&too_long), (StatusCode::BAD_REQUEST, ProblemCode::BadRequest));
    // revoked meanwhile, an extension brings nothing back
    let late: RequestView = alice.ask(json!({"extends": grant.id, "seconds": 60})).await.json();
    bob.call("DELETE", &format!("/v1/grants/{}", grant.id), None).await;
    assert_eq!(
        bob.review("bob", late.request.id.as_str(), Decision::Approve).await.problem().code,
        ProblemCode::Conflict
    );
}

#[tokio::test]
async fn a_rule_may_answer_unless_people_are_demanded() {
    let answering = r#"
        @id("short") permit(principal, action == Hoop::Action::"approve", resource)
        when { context.kind == "session" && context has seconds && context.seconds <= 600 };
    "#;
    let bench = Bench::new(&format!("{BY_DBA}{answering}"));
    let alice = bench.login("alice", 1).await;
    let short: RequestView = alice.ask(json!({"seconds": 600})).await.json();
    assert!(short.grant.is_some());
    let rule = Some(RuleName::new("short").unwrap());
    let answered = What::RequestAnswered { request: short.request.id, rule, standing: None };
    assert!(bench.journal.whats().contains(&answered));
    let long: RequestView = alice.ask(json!({"seconds": 601})).await.json();
    assert_eq!(long.request.state, RequestState::Pending);

    let people = BY_DBA.replace("@review(", "@review_by(\"people\") @review(");
    let bench = Bench::new(&format!("{people}{answering}"));
    let alice = bench.login("alice", 1).await;
    let short: RequestView = alice.ask(json!({"seconds": 600})).await.json();
    assert_eq!(short.request.state, RequestState::Pending);
}

#[tokio::test]
async fn who_is_masked_more_than_the_requester_sees_nothing_of_a_statement() {
    let bench = Bench::with(PERMIT_ALL, |config| {
        config.providers.first_mut().unwrap().groups.insert(GroupName::new("corp/vip").unwrap());
        let TargetKind::Postgres(postgres) = &mut config.targets.values_mut().next().unwrap().kind;
        postgres.masks.push(MaskRule {
            name: RuleName::new("ssn").unwrap(),
            column: ColumnPattern::new("public.people.ssn").unwrap(),
            path: None,
            mask: Mask::Full,
            lifted_for: BTreeSet::from([GroupName::new("corp/vip").unwrap()]),
        });
    });
    let alice = bench.login_with("alice", 1, json!({"groups": ["dba", "vip"]})).await;
    let bob = bench.login("bob", 2).await;
    let carol = bench.login_with("carol", 3, json!({"groups": ["dba", "vip"]})).await;
    let session = alice.open().await;
    let statement = Statement::of(&bench, &session, &alice, "alice");
    let (id, _filed) = statement.held().await;
    // bob is in dba but masked where alice is not; everybody audits here, so the policy must not
    let list = async |user: &User<'_>| {
        user.call("GET", "/v1/requests?scope=reviewable", None)
            .await
            .json::<Listing<RequestView>>()
            .items
            .len()
    };
    assert_eq!((list(&bob).await, list(&carol).await), (0, 1));
    assert_eq!(carol.review("carol", id.as_str(), Decision::Approve).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_long_poll_ends_with_the_change() {
    let bench = Bench::new(BY_DBA);
    let (alice, bob) = (bench.login("alice", 1).await, bench.login("bob", 2).await);
    let id = asked(&alice).await.request.id.to_string();
    let path = format!("/v1/requests/{id}?wait=30");
    let never = RequestId::from_random([9; 16]);
    assert_eq!(
        problem(&alice.call("GET", &format!("/v1/requests/{never}?wait=30"), None).await),
        (StatusCode::NOT_FOUND, ProblemCode::Unknown)
    );
    assert!(!bench.core.approvals.watchers().contains_key(&never));
    let (seen, _) = tokio::join!(alice.call("GET", &path, None), bob.review("bob", &id, Decision::Approve));
    assert!(seen.json::<RequestView>().grant.is_some());
}

#[tokio::test]
async fn nobody_floods_the_inbox_and_pages_follow_each_other() {
    let bench = Bench::new(BY_DBA);
    let (alice, bob) = (bench.login("alice", 1).await, bench.login("bob", 2).await);
    for place in 0..64 {
        assert_eq!(alice.ask(json!({"reason": format!("{place}")})).await.status, StatusCode::OK);
        bench.hand.advance(1);
    }
    assert_eq!(alice.ask(json!({})).await.status, StatusCode::TOO_MANY_REQUESTS);
    let page: Listing<RequestView> = bob.call("GET", "/v1/requests?scope=reviewable", None).await.json();
    assert_eq!(page.items.len(), 64);
    let tenth = page.items.get(9).unwrap().request.id.to_string();
    let rest: Listing<RequestView> =
        bob.call("GET", &format!("/v1/requests?scope=reviewable&before={tenth}"), None).await.json();
    assert_eq!(rest.items, page.items.get(10..).unwrap());
}

#[tokio::test]
async fn the_second_account_of_a_machines_owner_is_the_owner() {
    let policy = BY_DBA.replace("corp/dba:1", "corp/dba:2");
    let owned = |config: &mut crate::broker::config::Config| {
        let rule = config.workloads.first_mut().unwrap().rules.first_mut().unwrap();
        rule.owner = Some(corp("alice"));
        rule.groups = BTreeSet::from([GroupName::new("corp/dba").unwrap()]);
    };
    let bench = Bench::with(&policy, owned);
    let robot = bench.login_workload("job", 1).await;
    // asked for before its owner was ever seen
    let of_robot = asked(&robot).await.request.id.to_string();
    let alice = bench.login_with("alice", 2, json!({"email": "alice@corp.example"})).await;
    let twin = bench.login_with("alice-admin", 3, json!({"email": "alice@corp.example"})).await;
    let own = twin.review("alice-admin", &of_robot, Decision::Approve).await;
    assert_eq!(problem(&own), (StatusCode::FORBIDDEN, ProblemCode::Denied));
    // nor do the two count as two people
    let bob = bench.login("bob", 4).await;
    let of_bob = asked(&bob).await.request.id.to_string();
    assert_eq!(twin.review("alice-admin", &of_bob, Decision::Approve).await.status, StatusCode::OK);
    let claims = robot.claims(&of_bob, Decision::Approve, principal("ci", "job")).await;
    assert_eq!(robot.give(&of_bob, &claims).await.problem().code, ProblemCode::Conflict);
    assert_eq!(alice.review("alice", &of_bob, Decision::Approve).await.problem().code, ProblemCode::Conflict);
}

#[tokio::test]
async fn a_device_that_is_revoked_while_its_review_is_entered_says_nothing() {
    let bench = Bench::new(PERMIT_ALL);
    let (alice, bob) = (bench.login("alice", 1).await, bench.login("bob", 2).await);
    let session = alice.open().await;
    let statement = Statement::of(&bench, &session, &alice, "alice");
    let (id, _filed) = statement.held().await;
    let claims = bob.claims(id.as_str(), Decision::Approve, corp("bob")).await;
    *bench.journal.meanwhile.lock().unwrap() = Some(Box::new({
        let core = std::sync::Arc::clone(&bench.core);
        let (device, now) = (bob.key.thumbprint(), bench.hand.now());
        move || assert_eq!(core.devices.revoke(&device, &corp("bob"), Reach::Only, now).unwrap().len(), 1)
    }));
    assert_eq!(problem(&bob.give(id.as_str(), &claims).await), (StatusCode::CONFLICT, ProblemCode::Conflict));
    assert_eq!(bench.core.release(&id).await, Err(HoldError::NotApproved));
}

#[tokio::test]
async fn a_release_stands_on_the_grant_of_its_session_and_waits_as_long_as_that_lasts() {
    let bench = Bench::new(BY_DBA);
    let (alice, bob) = (bench.login("alice", 1).await, bench.login("bob", 2).await);
    let approve = async |filed: RequestView| {
        let answer = bob.review("bob", filed.request.id.as_str(), Decision::Approve).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json::<RequestView>().grant.unwrap()
    };
    let grant = approve(alice.ask(json!({"seconds": 120})).await.json()).await;
    let session = alice.open().await;
    let statement = Statement::of(&bench, &session, &alice, "alice");
    let longer: RequestView = alice.ask(json!({"extends": grant.id, "seconds": 1800})).await.json();
    let grant = approve(longer).await;
    bench.hand.advance(119);
    // not by the end that the session had when it began
    let (id, filed) = statement.held().await;
    assert_eq!(filed.expires.as_second() - bench.hand.now().as_second(), 600);
    bob.review("bob", id.as_str(), Decision::Approve).await;
    // taken back, and the session not closed yet
    let revoked = grant.clone().revoke(bench.hand.now()).unwrap();
    assert!(bench.store.write(|on| grants::advance(on, &grant, &revoked)).unwrap());
    assert_eq!(bench.core.release(&id).await, Err(HoldError::NotApproved));
}

#[tokio::test]
async fn extensions_that_were_asked_for_at_once_do_not_add_up_beyond_the_longest_grant() {
    let bench = Bench::new(BY_DBA);
    let (alice, bob) = (bench.login("alice", 1).await, bench.login("bob", 2).await);
    let id = asked(&alice).await.request.id.to_string();
    let grant = bob.review("bob", &id, Decision::Approve).await.json::<RequestView>().grant.unwrap();
    let extends = json!({"extends": grant.id, "seconds": 4 * 3600});
    let (one, other): (RequestView, RequestView) =
        (alice.ask(extends.clone()).await.json(), alice.ask(extends).await.json());
    assert_eq!(bob.review("bob", one.request.id.as_str(), Decision::Approve).await.status, StatusCode::OK);
    let refused = bob.review("bob", other.request.id.as_str(), Decision::Approve).await;
    assert_eq!(problem(&refused), (StatusCode::CONFLICT, ProblemCode::Conflict));
}

#[tokio::test]
async fn a_grant_counts_only_while_its_reviews_are_what_policy_demands() {
    let bench = Bench::new(BY_DBA);
    let (alice, bob) = (bench.login("alice", 1).await, bench.login("bob", 2).await);
    let id = asked(&alice).await.request.id.to_string();
    assert_eq!(bob.review("bob", &id, Decision::Approve).await.status, StatusCode::OK);
    alice.open().await;
    let stricter = BY_DBA.replace("corp/dba:1", "corp/dba:2");
    let config = crate::broker::testing::config(bench.directory.path(), &stricter);
    bench.core.adopt(config).await.unwrap();
    let refused = alice.call("POST", "/v1/sessions", Some(json!({"target": "db", "host": "laptop"}))).await;
    assert_eq!(refused.problem().code, ProblemCode::ReviewNeeded);
}

mod standing;
