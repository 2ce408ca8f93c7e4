#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use serde_json::json;

use super::Reach;
use crate::broker::testing::{Answer, Bench, Issuer, PERMIT_ALL, User};
use crate::domain::approval::{Decision, RequestState};
use crate::domain::event::What;
use crate::domain::name::{DeviceId, SessionId};
use crate::domain::principal::{Kin, Principal, PrincipalKind};
use crate::domain::session::{CloseReason, SessionState};
use crate::wire::control::{
    Confirmation, DEVICES, DeviceRevocation, Listing, PENDING_DEVICES, PendingDevice, Problem, ProblemCode,
    RequestView, TOKEN_TYPE_ID, TokenResponse,
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
    assert_eq!(alice.call("DELETE", &format!("{DEVICES}/{device}"), None).await.status, StatusCode::OK);
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
    assert_ne!(alice.call("DELETE", &path, None).await.status, StatusCode::OK);
    bench.journal.broken.store(false, Ordering::SeqCst);
    assert_eq!(alice.call("DELETE", &path, None).await.status, StatusCode::OK);
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
        attributes: BTreeMap::new(),
    };
    let devices = &bench.core.devices;
    devices.revoke(&key(1).thumbprint(), &whose, Reach::Only, bench.hand.now()).unwrap();
    assert!(!devices.enrol_by(&key(1).thumbprint(), &waits, &person, bench.hand.now()).unwrap());
    assert!(!devices.belongs(&waits.device, &whose).unwrap());
}

/// Logs somebody in with a key that another of theirs lets in.
async fn let_in<'b>(by: &User<'b>, seed: u8, subject: &str) -> User<'b> {
    let bench = by.bench;
    let token = old_sign_in(bench, subject);
    let shown = refused(bench, seed, &token).await.confirmation.unwrap();
    assert_eq!(confirm(by, &shown.code, Some(seed)).await.status, StatusCode::OK);
    let answer = bench.exchange(&key(seed), &token, TOKEN_TYPE_ID).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    User { bench, key: key(seed), token: answer.json::<TokenResponse>().access_token }
}

/// Revokes a device; the further ones that went with it.
async fn revoke(user: &User<'_>, seed: u8, query: &str) -> Vec<DeviceId> {
    let path = format!("{DEVICES}/{}{query}", key(seed).thumbprint());
    let answer = user.call("DELETE", &path, None).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json::<DeviceRevocation>().further.into_iter().map(|device| device.id).collect()
}

async fn stands(user: &User<'_>) -> bool {
    let answer = user.call("GET", DEVICES, None).await;
    let revoked = answer.status != StatusCode::OK;
    assert!(!revoked || answer.problem().code == ProblemCode::Revoked, "{}", answer.text());
    !revoked
}

/// How often the revocation of each of these keys was entered.
fn entered(bench: &Bench, seeds: &[u8]) -> Vec<usize> {
    let whats = bench.journal.whats();
    let count = |seed: &u8| {
        let what = What::DeviceRevoked { device: key(*seed).thumbprint() };
        whats.iter().filter(|entered| **entered == what).count()
    };
    seeds.iter().map(count).collect()
}

fn sorted(seeds: &[u8]) -> Vec<DeviceId> {
    let mut ids: Vec<_> = seeds.iter().map(|seed| key(*seed).thumbprint()).collect();
    ids.sort();
    ids
}

/// Whoever stole a device may have let others in with it.
#[tokio::test]
async fn what_a_revoked_device_let_in_goes_with_it() {
    let bench = Bench::new(PERMIT_ALL);
    let stolen = bench.login("alice", 1).await;
    let second = let_in(&stolen, 2, "alice").await;
    let third = let_in(&second, 3, "alice").await;
    let (safe, bob) = (bench.login("alice", 4).await, bench.login("bob", 5).await);
    let bobs = let_in(&bob, 6, "bob").await;
    let sessions = [stolen.open().await, second.open().await, third.open().await];
    let (of_safe, of_bob) = (safe.open().await, bobs.open().await);

    let listed: Listing<crate::domain::device::Device> = safe.call("GET", DEVICES, None).await.json();
    let by = |seed: u8| {
        let found = listed.items.iter().find(|device| device.id == key(seed).thumbprint()).unwrap();
        found.confirmed_by.clone()
    };
    assert_eq!((by(1), by(2), by(3)), (None, Some(key(1).thumbprint()), Some(key(2).thumbprint())));

    assert_eq!(revoke(&safe, 1, "").await, sorted(&[2, 3]));
    let reason = |id: &SessionId| match bench.core.sessions.look(id).unwrap().unwrap().state {
        SessionState::Closing { reason } => Some(reason),
        _ => None,
    };
    assert_eq!(sessions.iter().map(reason).collect::<Vec<_>>(), [Some(CloseReason::DeviceRevoked); 3]);
    assert_eq!((reason(&of_safe), reason(&of_bob)), (None, None));
    for user in [&stolen, &second, &third] {
        assert!(!stands(user).await);
        let fresh = bench.issuer.sign(&Issuer::claims("alice", bench.hand.now()));
        assert_eq!(
            bench.exchange(&user.key, &fresh, TOKEN_TYPE_ID).await.problem().code,
            ProblemCode::Revoked
        );
    }
    assert!(stands(&safe).await && stands(&bob).await && stands(&bobs).await);
    assert_eq!(entered(&bench, &[1, 2, 3, 4, 5, 6]), [1, 1, 1, 0, 0, 0]);
}

#[tokio::test]
async fn a_device_can_be_revoked_alone_and_what_it_let_in_later() {
    let bench = Bench::new(PERMIT_ALL);
    let first = bench.login("alice", 1).await;
    let second = let_in(&first, 2, "alice").await;
    let third = let_in(&second, 3, "alice").await;
    assert_eq!(revoke(&third, 1, "?only").await, []);
    assert!(!stands(&first).await && stands(&second).await && stands(&third).await);
    assert_eq!(revoke(&third, 2, "?only").await, []);
    assert!(!stands(&second).await && stands(&third).await);
    // a query that means nothing does not spare anybody; the way leads through what was revoked alone
    assert_eq!(revoke(&third, 1, "?only=please").await, sorted(&[3]));
    assert!(!stands(&third).await);
    assert_eq!(entered(&bench, &[1, 2, 3]), [1, 1, 1]);
}

#[tokio::test]
async fn a_revocation_is_entered_once_however_often_it_is_repeated() {
    let bench = Bench::new(PERMIT_ALL);
    let (alice, lost) = (bench.login("alice", 1).await, bench.login("alice", 2).await);
    let_in(&lost, 3, "alice").await;
    assert_eq!(revoke(&alice, 2, "").await, sorted(&[3]));
    assert_eq!(revoke(&alice, 2, "").await, []);
    assert_eq!(revoke(&alice, 3, "").await, []);
    assert_eq!(entered(&bench, &[1, 2, 3]), [0, 1, 1]);
    let twice = || revoke(&alice, 1, "");
    bench.login("alice", 4).await;
    tokio::join!(twice(), async {
        let path = format!("{DEVICES}/{}", key(1).thumbprint());
        let again = bench.login("alice", 4).await;
        assert_eq!(again.call("DELETE", &path, None).await.status, StatusCode::OK);
    });
    assert_eq!(entered(&bench, &[1, 2, 3]), [1, 1, 1]);
}

/// The keys are shut out first; what the broker could not enter before it died is entered when it starts.
#[tokio::test]
async fn a_revocation_that_has_no_entry_gets_it_at_the_start() {
    let bench = Bench::new(PERMIT_ALL);
    let (alice, lost) = (bench.login("alice", 1).await, bench.login("alice", 2).await);
    let_in(&lost, 3, "alice").await;
    // room for one of two
    bench.journal.room.store(1, Ordering::SeqCst);
    let path = format!("{DEVICES}/{}", key(2).thumbprint());
    assert_ne!(alice.call("DELETE", &path, None).await.status, StatusCode::OK);
    assert!(!stands(&lost).await);
    assert_eq!(entered(&bench, &[2, 3]).iter().sum::<usize>(), 1);
    bench.journal.room.store(usize::MAX, Ordering::SeqCst);
    bench.core.recover().await.unwrap();
    bench.core.recover().await.unwrap();
    assert_eq!(entered(&bench, &[1, 2, 3]), [0, 1, 1]);
}

#[tokio::test]
async fn reviews_of_what_a_revoked_device_let_in_do_not_count() {
    let bench = Bench::new(BY_TWO);
    let alice = bench.login("alice", 1).await;
    let stolen = bench.login("bob", 2).await;
    let second = let_in(&stolen, 3, "bob").await;
    let third = let_in(&second, 4, "bob").await;
    let filed: RequestView = alice.ask(json!({})).await.json();
    let id = filed.request.id.to_string();
    assert_eq!(third.review("bob", &id, Decision::Approve).await.status, StatusCode::OK);
    let asked: RequestView = third.ask(json!({})).await.json();
    let missing =
        async || -> RequestView { alice.call("GET", &format!("/v1/requests/{id}"), None).await.json() };
    assert_eq!(missing().await.missing, "1 more of corp/dba");
    assert_eq!(revoke(&stolen, 2, "").await, sorted(&[3, 4]));
    assert_eq!(missing().await.missing, "2 more of corp/dba");
    let path = format!("/v1/requests/{}", asked.request.id);
    let asked: RequestView = alice.call("GET", &path, None).await.json();
    assert_eq!(asked.request.state, RequestState::Void);
}

/// A session takes two reviews.
const BY_TWO: &str = r#"
    @id("all") permit(principal, action in [Hoop::Action::"connect", Hoop::Action::"statement"], resource);
    @id("ask-first") @reason("sessions here take two reviews") @review("corp/dba:2")
    forbid(principal, action == Hoop::Action::"connect", resource);
"#;

/// Whoever hangs up in the middle does not spare what was revoked.
#[tokio::test]
async fn a_revocation_goes_on_when_its_caller_is_gone() {
    let bench = Bench::new(PERMIT_ALL);
    let (alice, lost) = (bench.login("alice", 1).await, bench.login("alice", 2).await);
    let path = format!("{DEVICES}/{}", key(2).thumbprint());
    {
        let _somebody_tells = bench.core.devices.telling.lock().await;
        let mut call = Box::pin(alice.call("DELETE", &path, None));
        for _ in 0..8 {
            assert!(futures_util::poll!(&mut call).is_pending());
            tokio::task::yield_now().await;
        }
    }
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
    assert!(!stands(&lost).await);
    assert_eq!(entered(&bench, &[1, 2]), [0, 1]);
}

/// A session that is about to open when its device is revoked does not stay.
#[tokio::test]
async fn a_session_that_opens_while_its_device_is_revoked_closes_at_once() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    *bench.journal.meanwhile.lock().unwrap() = Some(Box::new({
        let core = std::sync::Arc::clone(&bench.core);
        let (device, now) = (key(1).thumbprint(), bench.hand.now());
        let whose = alice.device("alice").principal;
        move || assert_eq!(core.devices.revoke(&device, &whose, Reach::Only, now).unwrap().len(), 1)
    }));
    let session = alice.open().await;
    let state = bench.core.sessions.look(&session).unwrap().unwrap().state;
    assert_eq!(state, SessionState::Closing { reason: CloseReason::DeviceRevoked });
}
