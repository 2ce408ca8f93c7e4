//! Requests: filed, found, ended.

use super::*;

#[tokio::test]
async fn requests_that_are_over_unknown_or_foreign_take_no_review() {
    let bench = Bench::with(BY_DBA, |config| {
        config.providers.first_mut().unwrap().groups.insert(GroupName::new("corp/other").unwrap());
    });
    let (alice, bob) = pair(&bench).await;
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
    let (alice, bob) = pair(&bench).await;
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
async fn a_long_poll_ends_with_the_change() {
    let bench = Bench::new(BY_DBA);
    let (alice, bob) = pair(&bench).await;
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
    let (alice, bob) = pair(&bench).await;
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
async fn a_principal_files_so_many_requests_an_hour_and_repeats_do_not_count() {
    let bench = Bench::with(BY_DBA, |config| config.reviews.requests_per_hour = 3);
    let (alice, bob) = pair(&bench).await;
    let filed = || {
        let all = bench.journal.whats();
        all.iter().filter(|what| matches!(what, What::RequestFiled { .. })).count()
    };
    let first: RequestView = alice.ask(json!({"key": "job-7"})).await.json();
    bench.hand.advance(60);
    for _ in 0..5 {
        let again: RequestView = alice.ask(json!({"key": "job-7"})).await.json();
        assert_eq!(again.request.id, first.request.id);
    }
    let second = asked(&alice).await.request.id;
    // taking it back does not help
    alice.call("DELETE", &format!("/v1/requests/{second}"), None).await;
    asked(&alice).await;
    let often = alice.ask(json!({})).await;
    assert_eq!((often.status, often.retry_after.as_deref()), (StatusCode::TOO_MANY_REQUESTS, Some("3540")));
    let problem = often.problem();
    assert_eq!(problem.title, "you have filed 3 requests within an hour, and may file the next in 59 min");
    assert_eq!(filed(), 3, "a refused attempt leaves no entry");
    // others may, and alice may repeat herself
    assert_eq!(bob.ask(json!({})).await.status, StatusCode::OK);
    assert_eq!(alice.ask(json!({"key": "job-7"})).await.status, StatusCode::OK);
    bench.hand.advance(3540);
    let alice = bench.login("alice", 1).await;
    assert_eq!(alice.ask(json!({})).await.status, StatusCode::OK);
    assert_eq!(alice.ask(json!({})).await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixteen_requests_at_the_same_instant_no_more_are_filed_than_may_be() {
    let bench = Bench::with(BY_DBA, |config| config.reviews.requests_per_hour = 5);
    let alice = bench.login("alice", 1).await;
    let answers = futures_util::future::join_all((0..16).map(|_| alice.ask(json!({})))).await;
    let filed = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
    let refused = answers.iter().filter(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS).count();
    assert_eq!((filed, refused), (5, 11));
    // on one thread they would take turns: the count is made where they cannot
    let new = bench.core.approvals.find(&asked_for(&answers)).unwrap().unwrap();
    let load = Load { most: 5, answered: false };
    let refused = bench.core.approvals.insert(&new, load).unwrap_err();
    assert!(matches!(refused, ApprovalError::TooOften { most: 5, .. }), "{refused}");
}

fn asked_for(answers: &[Answer]) -> RequestId {
    let filed = answers.iter().find(|answer| answer.status == StatusCode::OK).unwrap();
    filed.json::<RequestView>().request.id
}

#[tokio::test]
async fn held_statements_count_unless_nobody_has_to_look_at_them() {
    let answering = r#"
        @id("auto") permit(principal, action == Hoop::Action::"approve", resource)
        when { context.kind == "statement" };
    "#;
    for (policy, held) in [(PERMIT_ALL.to_owned(), 2), (format!("{PERMIT_ALL}{answering}"), 4)] {
        let bench = Bench::with(&policy, |config| config.reviews.requests_per_hour = 2);
        let alice = bench.login("alice", 1).await;
        let statement = Statement::by(&alice, "alice").await;
        let mut waiting = Vec::new();
        for _ in 0..4 {
            match statement.held_as(statement.subject(None), Statement::hold()).await {
                Ok((_, filed)) => waiting.push(filed),
                Err(HoldError::Refused(why)) => assert!(why.contains("may file the next in"), "{why}"),
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(waiting.len(), held);
    }
}

#[tokio::test]
async fn calls_that_wait_are_bounded_for_each_principal() {
    let bench = Bench::new(BY_DBA);
    let (alice, bob) = pair(&bench).await;
    let id = asked(&alice).await.request.id.to_string();
    let path = format!("/v1/requests/{id}?wait=30");
    let mut waiting: Vec<_> = (0..MAX_WAITING).map(|_| Box::pin(alice.call("GET", &path, None))).collect();
    for one in &mut waiting {
        assert!(futures_util::poll!(one).is_pending());
    }
    let refused = alice.call("GET", &path, None).await;
    assert_eq!((refused.status, refused.retry_after.as_deref()), (StatusCode::TOO_MANY_REQUESTS, Some("1")));
    // without waiting it is told at once, and others may wait
    let plain = alice.call("GET", &format!("/v1/requests/{id}"), None).await;
    assert_eq!(plain.status, StatusCode::OK);
    let mut other = Box::pin(bob.call("GET", &path, None));
    assert!(futures_util::poll!(&mut other).is_pending());
    drop(other);
    // whoever hangs up makes room
    drop(waiting.pop());
    let mut next = Box::pin(alice.call("GET", &path, None));
    assert!(futures_util::poll!(&mut next).is_pending());
    bob.review("bob", &id, Decision::Approve).await;
    for one in waiting {
        assert_eq!(one.await.status, StatusCode::OK);
    }
    // what is answered takes no place
    assert_eq!(next.await.status, StatusCode::OK);
    assert_eq!(alice.call("GET", &path, None).await.status, StatusCode::OK);
}

/// An override, a space of no width, an isolate: each would make a reader see something else.
const UNSEEN: &str = "\u{202e}\u{200b}\u{2066}";
const WRITTEN_OUT: &str = "\\u{202e}\\u{200b}\\u{2066}";

#[tokio::test]
async fn what_deceives_the_eye_is_written_out_where_it_comes_in() {
    let bench = Bench::new(BY_DBA);
    let named = json!({"preferred_username": format!("alice{UNSEEN}")});
    let alice = bench.login_with("alice", 1, named).await;
    let bob = bench.login("bob", 2).await;
    let ask = json!({"reason": format!(" a ticket{UNSEEN}"), "key": "job-7"});
    let filed: RequestView = alice.ask(ask.clone()).await.json();
    assert_eq!(filed.request.display, format!("alice{WRITTEN_OUT}"));
    let subject = SubjectText::read(filed.subject).unwrap();
    assert_eq!(subject.subject().reason, Some(format!("a ticket{WRITTEN_OUT}")));
    let again: RequestView = alice.ask(ask).await.json();
    assert_eq!(again.request.id, filed.request.id, "a repeat is still the same");
    let line_break = alice.ask(json!({"reason": "a ticket\u{1b}[2J"})).await;
    assert_eq!(line_break.status, StatusCode::BAD_REQUEST);
    let id = filed.request.id.to_string();
    let grant = bob.review("bob", &id, Decision::Approve).await.json::<RequestView>().grant.unwrap();
    assert_eq!(grant.reason, format!("a ticket{WRITTEN_OUT}"));
}

/// A reason is kept as it was signed; who is told of it is told what is in it.
#[tokio::test]
async fn what_deceives_the_eye_is_written_out_where_a_denial_is_told() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    let named = json!({"preferred_username": format!("bob{UNSEEN}")});
    let bob = bench.login_with("bob", 2, named).await;
    let statement = Statement::by(&alice, "alice").await;
    let (id, filed) = statement.held().await;
    let claims = bob.claims(id.as_str(), Decision::Deny, corp("bob")).await;
    let reason = Some(format!("not on a Friday{UNSEEN}"));
    assert_eq!(bob.give(id.as_str(), &Claims { reason, ..claims }).await.status, StatusCode::OK);
    let Outcome::Denied { by, reason } = filed.outcome.await else { panic!("it was denied") };
    assert_eq!(by, format!("bob{WRITTEN_OUT}"));
    assert_eq!(reason, Some(format!("not on a Friday{WRITTEN_OUT}")));
}

#[test]
fn what_deceives_the_eye_is_in_no_threshold() {
    let refused = format!("corp/dba{UNSEEN}:2").parse::<Threshold>().unwrap_err().to_string();
    assert!(refused.contains(&format!("corp/dba{WRITTEN_OUT}:2")), "{refused}");
}
