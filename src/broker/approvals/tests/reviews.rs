//! Who may review, and what a review is worth.

use super::*;
use crate::broker::devices::Reach;

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
async fn groups_count_as_they_are_when_the_review_is_given() {
    let bench = Bench::new(BY_DBA);
    let (alice, _) = pair(&bench).await;
    let one = asked(&alice).await.request.id.to_string();
    let bob_who_left = bench.login_with("bob", 5, json!({"groups": []})).await;
    let refused = bob_who_left.review("bob", &one, Decision::Approve).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    let carol = bench.login_with("carol", 6, json!({"groups": []})).await;
    let refused = carol.review("carol", &one, Decision::Approve).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    let carol_who_joined = bench.login_with("carol", 7, json!({"groups": ["dba"]})).await;
    assert_eq!(carol_who_joined.review("carol", &one, Decision::Approve).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_review_counts_only_when_an_enrolled_key_signed_exactly_this_just_now() {
    let bench = Bench::new(BY_DBA);
    let (alice, bob) = pair(&bench).await;
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
async fn a_device_that_is_revoked_while_its_review_is_entered_says_nothing() {
    let bench = Bench::new(PERMIT_ALL);
    let (alice, bob) = pair(&bench).await;
    let statement = Statement::by(&alice, "alice").await;
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
async fn who_is_masked_more_than_the_requester_sees_nothing_of_a_statement() {
    let bench = masked(PERMIT_ALL);
    let alice = bench.login_with("alice", 1, json!({"groups": ["dba", "vip"]})).await;
    let bob = bench.login("bob", 2).await;
    let carol = bench.login_with("carol", 3, json!({"groups": ["dba", "vip"]})).await;
    let statement = Statement::by(&alice, "alice").await;
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
