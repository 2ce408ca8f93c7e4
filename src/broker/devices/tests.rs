#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use serde_json::json;

use crate::broker::testing::{Answer, Bench, Issuer, PERMIT_ALL, User};
use crate::domain::event::What;
use crate::domain::principal::{Kin, Principal, PrincipalKind};
use crate::wire::control::{
    Confirmation, DEVICES, Listing, PENDING_DEVICES, PendingDevice, Problem, ProblemCode, TOKEN_TYPE_ID,
};
use crate::wire::dpop::DeviceKey;

fn key(seed: u8) -> DeviceKey {
    DeviceKey::from_bytes(&[seed; 32])
}

/// An ID token of somebody who signed in half an hour ago.
fn old_sign_in(bench: &Bench, subject: &str) -> String {
    let mut claims = Issuer::claims(subject, bench.hand.now());
    claims["auth_time"] = json!(bench.hand.now().as_second() - 1800);
    bench.issuer.sign(&claims)
}

async fn come(bench: &Bench, seed: u8, subject: &str) -> Confirmation {
    let problem = refused(bench, seed, &old_sign_in(bench, subject)).await;
    assert_eq!(problem.code, ProblemCode::Unconfirmed, "{problem:?}");
    problem.confirmation.unwrap()
}

async fn refused(bench: &Bench, seed: u8, token: &str) -> Problem {
    bench.exchange(&key(seed), token, TOKEN_TYPE_ID).await.problem()
}

async fn confirm(user: &User<'_>, code: &str, device: Option<u8>) -> Answer {
    let device = device.map(|seed| key(seed).thumbprint());
    user.call("POST", PENDING_DEVICES, Some(json!({"code": code, "device": device}))).await
}

#[tokio::test]
async fn an_enrolled_device_lets_a_new_one_in_with_the_same_token() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    let token = old_sign_in(&bench, "alice");
    let problem = refused(&bench, 2, &token).await;
    let shown = problem.confirmation.unwrap();
    assert_eq!(refused(&bench, 2, &token).await.confirmation.unwrap(), shown);

    let listed: Listing<PendingDevice> = alice.call("GET", PENDING_DEVICES, None).await.json();
    assert_eq!(listed.items[0].device, key(2).thumbprint());
    assert!(!serde_json::to_string(&listed).unwrap().contains(&shown.code), "the code is the new device's");
    let typed = shown.code.replace('-', " ").to_lowercase();
    let looked_up: PendingDevice = confirm(&alice, &typed, None).await.json();
    assert_eq!(looked_up.device, key(2).thumbprint());
    // looking is not confirming
    assert_eq!(refused(&bench, 2, &token).await.code, ProblemCode::Unconfirmed);
    assert_eq!(confirm(&alice, &shown.code, Some(2)).await.status, StatusCode::OK);

    assert_eq!(bench.exchange(&key(2), &token, TOKEN_TYPE_ID).await.status, StatusCode::OK);
    let listed: Listing<PendingDevice> = alice.call("GET", PENDING_DEVICES, None).await.json();
    assert!(listed.items.is_empty());
    let (first, second) = (key(1).thumbprint(), key(2).thumbprint());
    let entered = bench.journal.whats();
    assert_eq!(
        entered,
        [
            What::DeviceEnrolled { device: first },
            What::LoggedIn { refresh: false },
            What::DevicePending { device: second.clone() },
            What::DeviceEnrolled { device: second },
            What::LoggedIn { refresh: false },
        ]
    );
}

#[tokio::test]
async fn nobody_else_can_let_a_device_in() {
    let bench = Bench::new(PERMIT_ALL);
    let (alice, mallory) = (bench.login("alice", 1).await, bench.login("mallory", 3).await);
    let shown = come(&bench, 2, "alice").await;
    assert_eq!(confirm(&mallory, &shown.code, Some(2)).await.problem().code, ProblemCode::Unknown);
    let listed: Listing<PendingDevice> = mallory.call("GET", PENDING_DEVICES, None).await.json();
    assert!(listed.items.is_empty());
    // nor with the code for one key and the name of another
    assert_eq!(confirm(&alice, &shown.code, Some(4)).await.problem().code, ProblemCode::Unknown);
    assert_eq!(come(&bench, 2, "alice").await, shown);
    let refused = bench.journal.whats().into_iter().filter(|what| matches!(what, What::Refused { .. }));
    assert_eq!(refused.count(), 2);
}

#[tokio::test]
async fn the_fifth_wrong_code_voids_what_waits() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    let shown = come(&bench, 2, "alice").await;
    for _ in 0..5 {
        assert_eq!(confirm(&alice, "ZZZZ-ZZZZ", None).await.problem().code, ProblemCode::Unknown);
    }
    assert_eq!(confirm(&alice, &shown.code, Some(2)).await.problem().code, ProblemCode::Unknown);
    assert_ne!(come(&bench, 2, "alice").await.code, shown.code);
}

#[tokio::test]
async fn a_code_is_good_for_ten_minutes() {
    let bench = Bench::new(PERMIT_ALL);
    bench.login("alice", 1).await;
    let shown = come(&bench, 2, "alice").await;
    bench.hand.advance(599);
    let alice = bench.login("alice", 1).await;
    assert_eq!(confirm(&alice, &shown.code, None).await.status, StatusCode::OK);
    bench.hand.advance(1);
    assert_eq!(confirm(&alice, &shown.code, Some(2)).await.problem().code, ProblemCode::Unknown);
}

/// A device that is gone can let nobody in, and a principal without devices must sign in afresh.
#[tokio::test]
async fn without_a_device_that_could_confirm_a_fresh_sign_in_is_needed() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    let device = key(1).thumbprint();
    assert_eq!(
        alice.call("DELETE", &format!("/v1/devices/{device}"), None).await.status,
        StatusCode::NO_CONTENT
    );
    let problem = refused(&bench, 2, &old_sign_in(&bench, "alice")).await;
    assert_eq!((problem.code, problem.confirmation), (ProblemCode::LoginNeeded, None));
    bench.login("alice", 2).await;
}

#[tokio::test]
async fn a_revocation_is_entered_at_the_next_try_when_the_ledger_failed() {
    let bench = Bench::new(PERMIT_ALL);
    let (alice, _lost) = (bench.login("alice", 1).await, bench.login("alice", 2).await);
    let lost = key(2).thumbprint();
    let path = format!("{DEVICES}/{lost}");
    bench.journal.broken.store(true, Ordering::SeqCst);
    assert_ne!(alice.call("DELETE", &path, None).await.status, StatusCode::NO_CONTENT);
    bench.journal.broken.store(false, Ordering::SeqCst);
    assert_eq!(alice.call("DELETE", &path, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(bench.journal.whats().last(), Some(&What::DeviceRevoked { device: lost }));
}

#[tokio::test]
async fn a_key_that_was_revoked_meanwhile_lets_nobody_in() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    let shown = come(&bench, 2, "alice").await;
    let waits: PendingDevice = confirm(&alice, &shown.code, None).await.json();
    let whose = alice.device("alice").principal;
    let person = Principal {
        id: whose.clone(),
        kind: PrincipalKind::Human,
        display: "alice".into(),
        groups: BTreeSet::new(),
        kin: Kin::default(),
    };
    let devices = &bench.core.devices;
    devices.revoke(&key(1).thumbprint(), &whose, bench.hand.now()).unwrap();
    assert!(!devices.enrol_by(&key(1).thumbprint(), &waits, &person, bench.hand.now()).unwrap());
    assert!(!devices.belongs(&waits.device, &whose).unwrap());
}
