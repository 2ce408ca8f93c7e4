#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;

use crate::broker::testing::{Bench, Issuer, PERMIT_ALL, config};
use crate::domain::event::What;
use crate::domain::name::SessionId;
use crate::domain::session::{CloseReason, Session, SessionState};
use crate::gateway::authority::{Authority as _, Refusal};
use crate::wire::control::{Listing, ProblemCode, TOKEN_TYPE_ID};

/// The session as its owner sees it, once it is over.
async fn over(bench: &Bench, id: &SessionId) -> Session {
    for _ in 0..500 {
        let session = bench.core.sessions.look(id).unwrap().unwrap();
        if matches!(session.state, SessionState::Closed { .. }) {
            return session;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("the session did not close");
}

fn reason(session: &Session) -> CloseReason {
    match session.state {
        SessionState::Closed { reason, .. } => reason,
        state => panic!("{state:?}"),
    }
}

#[tokio::test]
async fn a_session_lives_from_pending_to_closed_and_its_lease_goes_with_it() {
    let mut bench = Bench::new(PERMIT_ALL);
    bench.bury();
    let alice = bench.login("alice", 1).await;
    let id = alice.open().await;
    assert_eq!(bench.core.sessions.look(&id).unwrap().unwrap().state, SessionState::Pending);

    let admission = bench.core.admit(&id, &alice.device("alice")).unwrap();
    assert_eq!(admission.connection, 1);
    assert_eq!(admission.permit.target().as_str(), "db");
    assert_eq!(bench.core.sessions.look(&id).unwrap().unwrap().state, SessionState::Active);
    drop(admission);

    let path = format!("/v1/sessions/{id}");
    assert_eq!(alice.call("DELETE", &path, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(reason(&over(&bench, &id).await), CloseReason::ClientEnded);
    assert_eq!(*bench.lender.0.lock().unwrap(), std::slice::from_ref(&id));
    let closed =
        What::SessionClosed { session: id, reason: CloseReason::ClientEnded, statements: 0, connections: 1 };
    // the entry follows the state by a moment
    for _ in 0..500 {
        if bench.journal.whats().last() == Some(&closed) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("{:?}", bench.journal.whats());
}

#[tokio::test]
async fn a_session_holds_as_many_connections_as_its_target_allows() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    let id = alice.open().await;
    let device = alice.device("alice");
    let first = bench.core.admit(&id, &device).unwrap();
    let second = bench.core.admit(&id, &device).unwrap();
    assert_eq!(bench.core.admit(&id, &device).unwrap_err(), Refusal::TooManyConnections);
    drop(first);
    let third = bench.core.admit(&id, &device).unwrap();
    assert_eq!((second.connection, third.connection), (2, 3));
}

/// A cancel request is a tunnel too, and comes when every connection is in use.
#[tokio::test]
async fn a_session_has_some_tunnels_beyond_its_connections_and_no_more() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    let id = alice.open().await;
    let device = alice.device("alice");
    let tunnel = || bench.core.sessions.tunnel(&id, &device);
    let connected: Vec<_> =
        (0..2).map(|_| (tunnel().unwrap(), bench.core.admit(&id, &device).unwrap())).collect();
    let mut beyond: Vec<_> = (0..16).map(|_| tunnel().unwrap()).collect();
    assert_eq!(tunnel().map(drop), Err(Refusal::TooManyConnections));
    assert_eq!(bench.core.admit(&id, &device).unwrap_err(), Refusal::TooManyConnections);
    beyond.pop();
    beyond.push(tunnel().unwrap());
    assert!(tunnel().is_err());
    drop((connected, beyond));
    drop((tunnel().unwrap(), bench.core.admit(&id, &device).unwrap()));
    let elsewhere = bench.login("alice", 2).await;
    assert_eq!(bench.core.sessions.tunnel(&id, &elsewhere.device("alice")).map(drop), Err(Refusal::Unknown));
    bench.core.sessions.close(&id, CloseReason::Killed);
    assert_eq!(tunnel().map(drop), Err(Refusal::Closed(CloseReason::Killed)));
}

#[tokio::test]
async fn nobody_else_and_no_other_device_uses_a_session() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    let elsewhere = bench.login("alice", 2).await;
    let mallory = bench.login("mallory", 3).await;
    let id = alice.open().await;
    assert_eq!(bench.core.admit(&id, &elsewhere.device("alice")).unwrap_err(), Refusal::Unknown);
    assert_eq!(bench.core.admit(&id, &mallory.device("mallory")).unwrap_err(), Refusal::Unknown);
}

#[tokio::test]
async fn a_kill_tells_the_connection_at_once_and_lets_no_other_in() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    let admin = bench.login("admin", 2).await;
    let id = alice.open().await;
    let mut admission = bench.core.admit(&id, &alice.device("alice")).unwrap();
    assert_eq!(
        admin.call("DELETE", &format!("/v1/sessions/{id}"), None).await.status,
        StatusCode::NO_CONTENT
    );
    let told = tokio::time::timeout(Duration::from_millis(900), admission.closing.changed()).await;
    told.unwrap().unwrap();
    assert_eq!(*admission.closing.borrow(), Some(CloseReason::Killed));
    let refusal = bench.core.admit(&id, &alice.device("alice")).unwrap_err();
    assert_eq!(refusal, Refusal::Closed(CloseReason::Killed));
}

#[tokio::test]
async fn who_may_not_kill_learns_nothing_of_the_session() {
    let bench = Bench::new("@id(\"c\") permit(principal, action == Hoop::Action::\"connect\", resource);");
    let alice = bench.login("alice", 1).await;
    let mallory = bench.login("mallory", 2).await;
    let id = alice.open().await;
    let real = mallory.call("DELETE", &format!("/v1/sessions/{id}"), None).await;
    let invented = SessionId::from_random([0; 16]);
    let none = mallory.call("DELETE", &format!("/v1/sessions/{invented}"), None).await;
    assert_eq!((real.status, &real.body), (none.status, &none.body));
    let seen: Listing<Session> = mallory.call("GET", "/v1/sessions", None).await.json();
    assert!(seen.items.is_empty());
    let own: Listing<Session> = alice.call("GET", "/v1/sessions", None).await.json();
    assert_eq!(own.items.len(), 1);
}

#[tokio::test]
async fn a_session_ends_at_its_expiry() {
    let mut bench = Bench::with(PERMIT_ALL, |config| {
        config.session_max = Duration::from_secs(60);
    });
    bench.bury();
    let id = bench.login("alice", 1).await.open().await;
    bench.hand.advance(59);
    bench.core.tick(bench.hand.now());
    assert_eq!(bench.core.sessions.look(&id).unwrap().unwrap().state, SessionState::Pending);
    bench.hand.advance(1);
    bench.core.tick(bench.hand.now());
    assert_eq!(reason(&over(&bench, &id).await), CloseReason::Expired);
}

/// One is held and another is made when that was cut; whoever wants more holds the broker's descriptors.
#[tokio::test]
async fn a_session_has_few_tethers_at_a_time() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    let id = alice.open().await;
    let device = alice.device("alice");
    let tie = || bench.core.sessions.tether(&id, &device);
    let mut held: Vec<_> = (0..4).map(|_| tie().unwrap()).collect();
    assert!(matches!(tie(), Err(Refusal::TooManyConnections)));
    held.pop();
    held.push(tie().unwrap());
    assert!(tie().is_err());
    drop(held);
    assert!(!bench.core.sessions.is_tethered(&id));
}

#[tokio::test]
async fn a_session_ends_with_its_login_and_lives_on_while_that_is_refreshed() {
    let mut bench = Bench::new(PERMIT_ALL);
    bench.bury();
    let id = bench.login("alice", 1).await.open().await;
    bench.hand.advance(599);
    bench.login("alice", 1).await;
    bench.hand.advance(599);
    bench.core.tick(bench.hand.now());
    assert_eq!(bench.core.sessions.look(&id).unwrap().unwrap().state, SessionState::Pending);
    bench.hand.advance(1);
    bench.core.tick(bench.hand.now());
    assert_eq!(reason(&over(&bench, &id).await), CloseReason::LoginEnded);
}

#[tokio::test]
async fn logging_out_and_revoking_end_sessions() {
    let mut bench = Bench::new(PERMIT_ALL);
    bench.bury();
    let alice = bench.login("alice", 1).await;
    let id = alice.open().await;
    assert_eq!(alice.call("POST", "/v1/logout", None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(reason(&over(&bench, &id).await), CloseReason::LoginEnded);
    assert_eq!(alice.call("GET", "/v1/whoami", None).await.problem().code, ProblemCode::LoginNeeded);

    let (alice, phone) = (bench.login("alice", 1).await, bench.login("alice", 2).await);
    let id = alice.open().await;
    let path = format!("/v1/devices/{}", alice.key.thumbprint());
    assert_eq!(phone.call("DELETE", &path, None).await.status, StatusCode::OK);
    assert_eq!(reason(&over(&bench, &id).await), CloseReason::DeviceRevoked);
}

#[tokio::test]
async fn who_loses_a_group_starts_afresh() {
    let mut bench = Bench::new(PERMIT_ALL);
    bench.bury();
    let alice = bench.login("alice", 1).await;
    let id = alice.open().await;
    let mut claims = Issuer::claims("alice", bench.hand.now());
    claims["groups"] = json!([]);
    bench.exchange(&alice.key, &bench.issuer.sign(&claims), TOKEN_TYPE_ID).await;
    assert_eq!(reason(&over(&bench, &id).await), CloseReason::PolicyChanged);
}

#[tokio::test]
async fn a_new_policy_closes_what_it_no_longer_allows_and_is_entered() {
    let mut bench = Bench::new(PERMIT_ALL);
    bench.bury();
    let alice = bench.login("alice", 1).await;
    let id = alice.open().await;
    bench.core.adopt(config(bench.directory.path(), PERMIT_ALL)).await.unwrap();
    assert_eq!(bench.core.sessions.look(&id).unwrap().unwrap().state, SessionState::Pending);
    assert_eq!(bench.journal.whats().last(), Some(&What::PolicyLoaded));
    bench.core.adopt(config(bench.directory.path(), "")).await.unwrap();
    assert_eq!(reason(&over(&bench, &id).await), CloseReason::PolicyChanged);
}

#[tokio::test]
async fn a_session_does_not_open_while_the_ledger_cannot_be_written() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    bench.journal.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    let answer = alice.call("POST", "/v1/sessions", Some(json!({"target": "db", "host": "h"}))).await;
    assert_eq!(answer.problem().code, ProblemCode::Unavailable);
    assert!(bench.core.sessions.left_behind().unwrap().is_empty());
    assert_eq!(bench.core.sessions.census(None).sessions, 0);
}

#[tokio::test]
async fn the_secret_is_given_once_and_kept_nowhere() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    let answer = alice.call("POST", "/v1/sessions", Some(json!({"target": "db", "host": "h"}))).await;
    let opened: serde_json::Value = answer.json();
    let secret = opened["secret"].as_str().unwrap();
    assert_eq!(secret.len(), 43);
    let id = SessionId::new(opened["session"].as_str().unwrap()).unwrap();
    let admission = bench.core.admit(&id, &alice.device("alice")).unwrap();
    assert!(admission.context.verifier.starts_with("SCRAM-SHA-256$4096:"));
    let kept = bench
        .store
        .read(|on| on.query_row("SELECT group_concat(body) FROM sessions", [], |r| r.get::<_, String>(0)));
    assert!(!kept.unwrap().contains(secret));
    assert!(!format!("{:?}{:?}", admission.context, bench.journal.whats()).contains(secret));
}

#[tokio::test]
async fn sessions_of_a_former_process_are_closed_as_such() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    let id = alice.open().await;
    let (next, _) = super::Sessions::new(std::sync::Arc::clone(&bench.store));
    assert_eq!(next.left_behind().unwrap().len(), 1);
    bench.core.recover().await.unwrap();
    let buried = next.look(&id).unwrap().unwrap();
    assert_eq!(reason(&buried), CloseReason::BrokerRestarted);
    let refused = next.tunnel(&id, &alice.device("alice")).map(drop);
    assert_eq!(refused, Err(Refusal::Closed(CloseReason::BrokerRestarted)));
    let closed = What::SessionClosed {
        session: id,
        reason: CloseReason::BrokerRestarted,
        statements: 0,
        connections: 0,
    };
    assert_eq!(bench.journal.whats().last(), Some(&closed));
}
