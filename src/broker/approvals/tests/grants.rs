//! Grants: issued, used, made longer, taken back.

use super::*;
use crate::broker::store::grants::advance;

#[tokio::test]
async fn a_session_is_asked_for_approved_and_opened() {
    let bench = Bench::new(BY_DBA);
    let (alice, bob) = pair(&bench).await;
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

/// How many entries say that a grant was issued, and that one was made longer.
fn told(bench: &Bench) -> (usize, usize) {
    let all = bench.journal.whats();
    let count = |is: fn(&What) -> bool| all.iter().filter(|what| is(what)).count();
    (
        count(|what| matches!(what, What::GrantIssued { .. })),
        count(|what| matches!(what, What::GrantExtended { .. })),
    )
}

/// A review whose own entry is the last that finds room.
async fn reviewed_as_the_disk_fills(bench: &Bench, bob: &User<'_>, id: &RequestId) {
    let claims = bob.claims(id.as_str(), Decision::Approve, corp("bob")).await;
    bench.journal.room.store(1, Ordering::SeqCst);
    assert_eq!(bob.give(id.as_str(), &claims).await.problem().code, ProblemCode::Unavailable);
}

fn room_again(bench: &Bench) {
    bench.journal.room.store(usize::MAX, Ordering::SeqCst);
}

#[tokio::test]
async fn a_grant_whose_entry_could_not_be_written_is_entered_by_a_later_tick() {
    let bench = Bench::new(BY_DBA);
    let (alice, bob) = pair(&bench).await;
    let id = asked(&alice).await.request.id;
    reviewed_as_the_disk_fills(&bench, &bob, &id).await;
    bench.core.approvals.tick().await;
    room_again(&bench);
    let early = alice.call("POST", "/v1/sessions", Some(json!({"target": "db", "host": "laptop"}))).await;
    assert_eq!((early.problem().code, told(&bench).0), (ProblemCode::ReviewNeeded, 0));
    bench.core.approvals.tick().await;
    bench.core.approvals.tick().await;
    assert_eq!(told(&bench).0, 1);
    alice.open().await;
}

/// Nothing takes effect that the ledger does not tell.
#[tokio::test]
async fn an_extension_is_in_force_only_after_its_entry() {
    let bench = Bench::new(BY_DBA);
    let (alice, bob) = pair(&bench).await;
    let id = asked(&alice).await.request.id;
    bob.review("bob", id.as_str(), Decision::Approve).await;
    let session = alice.open().await;
    let grant = bench.core.sessions.grant_of(&session).unwrap();
    let ends = || bench.core.approvals.grant(&grant).unwrap().unwrap().ends;
    let first = ends();
    let ask = json!({"extends": grant, "seconds": 900});
    let (one, other): (RequestView, RequestView) =
        (alice.ask(ask.clone()).await.json(), alice.ask(ask).await.json());

    reviewed_as_the_disk_fills(&bench, &bob, &one.request.id).await;
    assert_eq!((told(&bench).1, ends()), (0, first), "approved, not entered, and not in force");
    assert_eq!(bench.core.sessions.look(&session).unwrap().unwrap().expires, first);
    // the process dies here, and the next one does the rest
    room_again(&bench);
    bench.core.approvals.recover().await.unwrap();
    assert_eq!((told(&bench).1, ends().as_second() - first.as_second()), (1, 900));

    // what was promised meanwhile adds up, and is entered in the order of the approvals
    let third: RequestView = alice.ask(json!({"extends": grant, "seconds": 60})).await.json();
    reviewed_as_the_disk_fills(&bench, &bob, &other.request.id).await;
    reviewed_as_the_disk_fills(&bench, &bob, &third.request.id).await;
    room_again(&bench);
    let longer = bench.core.approvals.tick().await;
    assert_eq!(longer.last().map(|grant| grant.ends), Some(ends()));
    assert_eq!((told(&bench).1, ends().as_second() - first.as_second()), (3, 1860));
    let ends_told: Vec<_> = bench
        .journal
        .whats()
        .into_iter()
        .filter_map(|what| match what {
            What::GrantExtended { request, ends, .. } => {
                Some((request, ends.as_second() - first.as_second()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(ends_told, [(one.request.id, 900), (other.request.id, 1800), (third.request.id, 1860)]);
    assert!(bench.core.approvals.tick().await.is_empty());
}

#[tokio::test]
async fn an_extension_that_is_entered_after_its_grant_ended_brings_nothing_back() {
    let bench = Bench::new(BY_DBA);
    let (alice, bob) = pair(&bench).await;
    let id = asked(&alice).await.request.id;
    let grant = bob.review("bob", id.as_str(), Decision::Approve).await.json::<RequestView>().grant.unwrap();
    let longer: RequestView = alice.ask(json!({"extends": grant.id, "seconds": 900})).await.json();
    reviewed_as_the_disk_fills(&bench, &bob, &longer.request.id).await;
    room_again(&bench);
    bench.hand.advance(3600);
    assert!(bench.core.approvals.tick().await.is_empty());
    assert_eq!(told(&bench).1, 0);
    assert_eq!(bench.core.approvals.grant(&grant.id).unwrap().unwrap().ends, grant.ends);
}

#[tokio::test]
async fn a_revocation_that_could_not_be_entered_holds_and_is_entered_after_a_restart() {
    let bench = Bench::new(BY_DBA);
    let (alice, bob) = pair(&bench).await;
    let id = asked(&alice).await.request.id;
    let grant = bob.review("bob", id.as_str(), Decision::Approve).await.json::<RequestView>().grant.unwrap();
    let open = asked(&alice).await.request.id;
    bench.journal.broken.store(true, Ordering::SeqCst);
    let revoked = bob.call("DELETE", &format!("/v1/grants/{}", grant.id), None).await;
    assert_eq!(revoked.problem().code, ProblemCode::Unavailable);
    assert_eq!(
        alice.call("DELETE", &format!("/v1/requests/{open}"), None).await.status,
        StatusCode::NO_CONTENT
    );
    assert!(!bench.core.approvals.carries(&grant.id));
    bench.core.approvals.tick().await;
    // a ledger that broke takes nothing until the process is another: only the store goes on
    let next = Bench::on(std::sync::Arc::clone(&bench.store), BY_DBA, |_| {});
    assert!(!next.core.approvals.carries(&grant.id));
    next.core.recover().await.unwrap();
    next.core.recover().await.unwrap();
    next.core.approvals.tick().await;
    let told = |is: &dyn Fn(&What) -> bool| next.journal.whats().iter().filter(|what| is(what)).count();
    assert_eq!(told(&|what| matches!(what, What::GrantRevoked { .. })), 1);
    assert_eq!(told(&|what| matches!(what, What::RequestEnded { request, .. } if *request == open)), 1);
    let actors = next.journal.actors();
    assert_eq!(actors, [Some(corp("bob")), Some(corp("alice"))], "whoever did it is named");
}

/// Nothing has to be restarted for a disk that was full for a while.
#[tokio::test]
async fn a_revocation_that_could_not_be_entered_is_entered_once_by_a_later_tick() {
    let bench = Bench::new(BY_DBA);
    let (alice, bob) = pair(&bench).await;
    let id = asked(&alice).await.request.id;
    let grant = bob.review("bob", id.as_str(), Decision::Approve).await.json::<RequestView>().grant.unwrap();
    bench.journal.broken.store(true, Ordering::SeqCst);
    bob.call("DELETE", &format!("/v1/grants/{}", grant.id), None).await;
    bench.core.approvals.tick().await;
    room_again(&bench);
    bench.journal.broken.store(false, Ordering::SeqCst);
    bench.core.approvals.tick().await;
    bench.core.approvals.tick().await;
    let revoked = |what: &&What| matches!(what, What::GrantRevoked { .. });
    assert_eq!(bench.journal.whats().iter().filter(revoked).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_grant_for_one_session_lets_one_of_sixteen_in() {
    let bench = Bench::new(BY_DBA);
    let (alice, bob) = pair(&bench).await;
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

#[tokio::test]
async fn a_session_ends_with_its_grant_and_closes_when_that_is_revoked() {
    let mut bench = Bench::new(BY_DBA);
    bench.bury();
    let (alice, bob) = pair(&bench).await;
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
    let (alice, bob) = pair(&bench).await;
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
    let (alice, bob) = pair(&bench).await;
    let session = alice.open().await;
    let longer: RequestView = alice.ask(json!({"extends": grant.id, "seconds": 900})).await.json();
    bob.review("bob", longer.request.id.as_str(), Decision::Approve).await;
    let expires = bench.core.sessions.look(&session).unwrap().unwrap().expires;
    assert_eq!(expires.as_second() - grant.ends.as_second(), 900);
    tokio::task::yield_now().await;
    assert_eq!(bench.lender.1.lock().unwrap().get(&session), Some(&expires), "and its database role with it");
    // what ends by itself is made for what is left, and no longer
    let context = bench.core.admit(&session, &alice.device("alice")).unwrap().context;
    assert!(context.expires < expires);
    bench.core.lease(&context).await.unwrap();
    assert_eq!(*bench.lender.2.lock().unwrap(), Some(expires));
    // a statement that is held after the first end waits as long as any other
    bench.hand.advance(605);
    let statement = Statement::of(&bench, &session, &alice, "alice");
    let (_, filed) = statement.held().await;
    assert!(filed.expires > bench.hand.now() && filed.expires <= expires);
    let (alice, bob) = pair(&bench).await;
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
async fn extensions_that_were_asked_for_at_once_do_not_add_up_beyond_the_longest_grant() {
    let bench = Bench::new(BY_DBA);
    let (alice, bob) = pair(&bench).await;
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
    let (alice, bob) = pair(&bench).await;
    let id = asked(&alice).await.request.id.to_string();
    assert_eq!(bob.review("bob", &id, Decision::Approve).await.status, StatusCode::OK);
    alice.open().await;
    let stricter = BY_DBA.replace("corp/dba:1", "corp/dba:2");
    let config = crate::broker::testing::config(bench.directory.path(), &stricter);
    bench.core.adopt(config).await.unwrap();
    let refused = alice.call("POST", "/v1/sessions", Some(json!({"target": "db", "host": "laptop"}))).await;
    assert_eq!(refused.problem().code, ProblemCode::ReviewNeeded);
}

#[tokio::test]
async fn a_release_stands_on_the_grant_of_its_session_and_waits_as_long_as_that_lasts() {
    let bench = Bench::new(BY_DBA);
    let (alice, bob) = pair(&bench).await;
    let approve = async |filed: RequestView| {
        let answer = bob.review("bob", filed.request.id.as_str(), Decision::Approve).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json::<RequestView>().grant.unwrap()
    };
    let grant = approve(alice.ask(json!({"seconds": 120})).await.json()).await;
    let statement = Statement::by(&alice, "alice").await;
    let longer: RequestView = alice.ask(json!({"extends": grant.id, "seconds": 1800})).await.json();
    let grant = approve(longer).await;
    bench.hand.advance(119);
    // not by the end that the session had when it began
    let (id, filed) = statement.held().await;
    assert_eq!(filed.expires.as_second() - bench.hand.now().as_second(), 600);
    bob.review("bob", id.as_str(), Decision::Approve).await;
    // taken back, and the session not closed yet
    let revoked = grant.clone().revoke(bench.hand.now()).unwrap();
    assert!(bench.store.write(|on| advance(on, &grant, &revoked)).unwrap());
    assert_eq!(bench.core.release(&id).await, Err(HoldError::NotApproved));
}
