#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod attributes;
mod groups;
mod workloads;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::{Authn, AuthnError, Credentials};
use crate::broker::logins::Logins;
use crate::broker::testing::{Answer, Bench, Issuer, PERMIT_ALL, User, Wire, exchange_request};
use crate::domain::event::What;
use crate::domain::name::SessionId;
use crate::domain::session::{CloseReason, SessionState};
use crate::wire::control::{ProblemCode, TOKEN, TOKEN_TYPE_ID, TOKEN_TYPE_JWT, TokenResponse, WhoAmI};
use crate::wire::dpop::{DeviceKey, endpoint, prove};

fn key(seed: u8) -> DeviceKey {
    DeviceKey::from_bytes(&[seed; 32])
}

fn with(mut claims: Value, change: &[(&str, Value)]) -> Value {
    for (claim, value) in change {
        claims[*claim] = value.clone();
    }
    claims
}

#[track_caller]
fn assert_refused(answer: &Answer, says: &str) {
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", answer.text());
    let problem = answer.problem();
    assert_eq!(problem.code, ProblemCode::LoginNeeded);
    assert!(problem.title.contains(says), "{} does not say {says}", problem.title);
}

#[tokio::test]
async fn a_person_logs_in_with_the_groups_that_are_configured() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    let who: WhoAmI = alice.call("GET", "/v1/whoami", None).await.json();
    assert_eq!(who.principal.to_string(), "corp:alice");
    assert_eq!(who.groups.iter().map(ToString::to_string).collect::<Vec<_>>(), ["corp/dba"]);
    assert_eq!(who.device, key(1).thumbprint());
    let entered = bench.journal.whats();
    assert_eq!(
        entered,
        [What::DeviceEnrolled { device: key(1).thumbprint() }, What::LoggedIn { refresh: false }]
    );
}

#[tokio::test]
async fn groups_come_as_string_array_or_object() {
    for groups in [json!("dba"), json!(["dba"]), json!({"dba": {"id": 1}})] {
        let bench = Bench::new(PERMIT_ALL);
        let claims = with(Issuer::claims("alice", bench.hand.now()), &[("groups", groups.clone())]);
        let answer = bench.exchange(&key(1), &bench.issuer.sign(&claims), TOKEN_TYPE_ID).await;
        assert_eq!(answer.status, StatusCode::OK);
        let login = bench.core.logins.of(&key(1).thumbprint(), bench.hand.now()).unwrap();
        assert_eq!(login.principal.groups.len(), 1, "{groups}");
    }
}

#[tokio::test]
async fn confused_tokens_are_refused() {
    let bench = Bench::new(PERMIT_ALL);
    let now = bench.hand.now().as_second();
    let cases: &[(&[(&str, Value)], &str)] = &[
        (&[("aud", json!("somebody-else"))], "audience"),
        (&[("aud", json!([]))], "audience"),
        (&[("aud", json!(["hoopctl", "other"]))], "another client"),
        (&[("aud", json!(["hoopctl", "other"])), ("azp", json!("other"))], "another client"),
        (&[("azp", json!("other"))], "another client"),
        (&[("iss", json!("https://evil.example"))], "issuer"),
        (&[("iss", json!("https://id.example.evil"))], "issuer"),
        (&[("exp", json!(now - 31))], "expired"),
        (&[("exp", json!("never"))], "malformed"),
        (&[("exp", Value::Null)], "malformed"),
        (&[("nbf", json!(now + 31))], "future"),
        (&[("iat", json!(now + 31))], "future"),
        (&[("sub", json!(""))], "malformed"),
        (&[("sub", json!("a\nb"))], "malformed"),
    ];
    for (change, says) in cases {
        let claims = with(Issuer::claims("alice", bench.hand.now()), change);
        let answer = bench.exchange(&key(1), &bench.issuer.sign(&claims), TOKEN_TYPE_ID).await;
        assert_refused(&answer, says);
    }
}

#[tokio::test]
async fn an_issuer_without_a_path_may_end_in_a_slash() {
    let bench = Bench::new(PERMIT_ALL);
    let claims = with(Issuer::claims("alice", bench.hand.now()), &[("iss", json!("https://id.example/"))]);
    let answer = bench.exchange(&key(1), &bench.issuer.sign(&claims), TOKEN_TYPE_ID).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn foreign_algorithms_and_types_are_refused() {
    let bench = Bench::new(PERMIT_ALL);
    let claims = Issuer::claims("alice", bench.hand.now());
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());

    let none = format!("{}.{}.", part(&json!({"alg": "none", "kid": "k1"})), part(&claims));
    assert_refused(&bench.exchange(&key(1), &none, TOKEN_TYPE_ID).await, "not signed with");

    let mut hmac = Header::new(Algorithm::HS256);
    hmac.kid = Some("k1".into());
    let forged = EncodingKey::from_secret(&bench.issuer.public_bytes());
    let forged = jsonwebtoken::encode(&hmac, &claims, &forged).unwrap();
    assert_refused(&bench.exchange(&key(1), &forged, TOKEN_TYPE_ID).await, "not signed with");

    let mut access = Header::new(Algorithm::ES256);
    (access.kid, access.typ) = (Some("k1".into()), Some("at+jwt".into()));
    let access = bench.issuer.sign_as(&access, &claims);
    assert_refused(&bench.exchange(&key(1), &access, TOKEN_TYPE_ID).await, "another type");

    let other = Issuer::new();
    let stranger = other.sign(&claims);
    assert_refused(&bench.exchange(&key(1), &stranger, TOKEN_TYPE_ID).await, "signature");
}

#[tokio::test]
async fn a_flood_of_unknown_keys_costs_one_request_in_thirty_seconds() {
    let bench = Bench::new(PERMIT_ALL);
    bench.login("alice", 1).await;
    let before = bench.issuer.fetched.load(Ordering::SeqCst);
    bench.hand.advance(31);
    for n in 0..50 {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(format!("unknown-{n}"));
        let token = bench.issuer.sign_as(&header, &Issuer::claims("alice", bench.hand.now()));
        assert_refused(&bench.exchange(&key(1), &token, TOKEN_TYPE_ID).await, "no such key");
    }
    assert_eq!(bench.issuer.fetched.load(Ordering::SeqCst), before + 1);
}

#[tokio::test]
async fn rotated_keys_are_found_and_old_ones_stop_working() {
    let bench = Bench::new(PERMIT_ALL);
    bench.login("alice", 1).await;
    let old = bench.issuer.sign(&Issuer::claims("bob", bench.hand.now()));
    bench.issuer.rotate("k2");
    bench.hand.advance(31);
    bench.login("alice", 1).await;
    assert_refused(&bench.exchange(&key(2), &old, TOKEN_TYPE_ID).await, "no such key");
}

#[tokio::test]
async fn a_provider_that_is_down_means_no_new_logins_at_first_and_old_keys_later() {
    let bench = Bench::new(PERMIT_ALL);
    bench.issuer.down.store(true, Ordering::SeqCst);
    let token = bench.issuer.sign(&Issuer::claims("alice", bench.hand.now()));
    let answer = bench.exchange(&key(1), &token, TOKEN_TYPE_ID).await;
    assert_eq!(answer.problem().code, ProblemCode::Unavailable);
    bench.issuer.down.store(false, Ordering::SeqCst);
    bench.hand.advance(4);
    bench.login("alice", 1).await;
    bench.issuer.down.store(true, Ordering::SeqCst);
    bench.hand.advance(3600);
    bench.login("bob", 2).await;
}

#[test]
fn an_id_token_is_exchanged_once_however_many_race() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(16).enable_all().build().unwrap();
    runtime.block_on(async {
        let bench = Arc::new(Bench::new(PERMIT_ALL));
        let token = bench.issuer.sign(&Issuer::claims("alice", bench.hand.now()));
        let racers: Vec<_> = (0..16)
            .map(|seed| {
                let (bench, token) = (Arc::clone(&bench), token.clone());
                tokio::spawn(
                    async move { bench.exchange(&key(seed + 1), &token, TOKEN_TYPE_ID).await.status },
                )
            })
            .collect();
        let mut winners = 0;
        for racer in racers {
            winners += usize::from(racer.await.unwrap() == StatusCode::OK);
        }
        assert_eq!(winners, 1);
    });
}

#[tokio::test]
async fn a_rewritten_signature_does_not_make_a_second_token() {
    let bench = Bench::new(PERMIT_ALL);
    let token = bench.issuer.sign(&Issuer::claims("alice", bench.hand.now()));
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let (r, s) = signature.split_at(32);
    let twin = format!("{message}.{}", URL_SAFE_NO_PAD.encode([r, &minus(&ORDER, s)].concat()));
    assert_eq!(bench.exchange(&key(1), &token, TOKEN_TYPE_ID).await.status, StatusCode::OK);
    let again = bench.exchange(&key(1), &twin, TOKEN_TYPE_ID).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
    assert_eq!(again.problem().code, ProblemCode::TokenSpent);
}

#[tokio::test]
async fn a_new_device_needs_a_fresh_sign_in_and_an_old_one_does_not() {
    let bench = Bench::new(PERMIT_ALL);
    let stale = json!(bench.hand.now().as_second() - 331);
    let old =
        |subject: &str| with(Issuer::claims(subject, bench.hand.now()), &[("auth_time", stale.clone())]);
    let answer = bench.exchange(&key(1), &bench.issuer.sign(&old("alice")), TOKEN_TYPE_ID).await;
    assert_refused(&answer, "last five minutes");
    bench.login("alice", 1).await;
    let answer = bench.exchange(&key(1), &bench.issuer.sign(&old("alice")), TOKEN_TYPE_ID).await;
    assert_eq!(answer.status, StatusCode::OK);
    // the key is alice's; for bob it is new
    assert_refused(
        &bench.exchange(&key(1), &bench.issuer.sign(&old("bob")), TOKEN_TYPE_ID).await,
        "last five minutes",
    );
}

/// Whoever lays ID tokens by while somebody is still known at the provider has none that serves later.
#[tokio::test]
async fn an_id_token_that_was_laid_by_renews_no_login() {
    let bench = Bench::new(PERMIT_ALL);
    let claims = |now: jiff::Timestamp| {
        let signed_in = json!(now.as_second());
        with(
            Issuer::claims("alice", now),
            &[("exp", json!(now.as_second() + 3600)), ("auth_time", signed_in)],
        )
    };
    let (first, hoarded) = (claims(bench.hand.now()), claims(bench.hand.now()));
    let (first, hoarded) = (bench.issuer.sign(&first), bench.issuer.sign(&hoarded));
    assert_eq!(bench.exchange(&key(1), &first, TOKEN_TYPE_ID).await.status, StatusCode::OK);
    bench.hand.advance(660);
    assert_refused(&bench.exchange(&key(1), &hoarded, TOKEN_TYPE_ID).await, "issued too long ago");
    assert!(bench.core.logins.of(&key(1).thumbprint(), bench.hand.now()).is_none());
    // what an honest client does: the provider signs another one, about the same sign-in
    let signed_in = bench.hand.now().as_second() - 660;
    let renewed = with(claims(bench.hand.now()), &[("auth_time", json!(signed_in))]);
    let answer = bench.exchange(&key(1), &bench.issuer.sign(&renewed), TOKEN_TYPE_ID).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
}

/// A workload cannot be asked, so it is its token that must go on: without one the login lapses, and
/// its sessions with it.
#[tokio::test]
async fn a_workload_without_a_token_loses_its_sessions() {
    let bench = Bench::new(PERMIT_ALL);
    let job = [("aud", json!("https://broker.example")), ("repository", json!("org/app"))];
    // each token is good for five minutes
    let exchange = async || {
        let now = bench.hand.now();
        let life = [("exp", json!(now.as_second() + 300))];
        let token = bench.issuer.sign(&with(with(Issuer::claims("job", now), &job), &life));
        let answer = bench.exchange(&key(1), &token, TOKEN_TYPE_JWT).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        User { bench: &bench, key: key(1), token: answer.json::<TokenResponse>().access_token }
    };
    let reason = |id: &SessionId| {
        bench.core.tick(bench.hand.now());
        match bench.core.sessions.look(id).unwrap().unwrap().state {
            SessionState::Closing { reason } => Some(reason),
            _ => None,
        }
    };
    let user = exchange().await;
    bench.hand.advance(60);
    let session = user.open().await;
    for pause in [530, 590, 590] {
        bench.hand.advance(pause);
        exchange().await;
    }
    // the login lives on, but no session is longer than its rule
    bench.hand.advance(89);
    assert_eq!(reason(&session), None);
    bench.hand.advance(1);
    assert_eq!(reason(&session), Some(CloseReason::Expired));

    // the rule would let it stay for half an hour, but nobody stands by the job any more
    let user = exchange().await;
    bench.hand.advance(60);
    let session = user.open().await;
    bench.hand.advance(539);
    assert_eq!(reason(&session), None);
    bench.hand.advance(1);
    assert_eq!(reason(&session), Some(CloseReason::LoginEnded));
}

/// Some platforms hand over one token for the whole job.
#[tokio::test]
async fn a_workload_with_a_long_token_stays_while_that_lasts_and_no_longer_than_its_rule() {
    let bench = Bench::new(PERMIT_ALL);
    let job = [("aud", json!("https://broker.example")), ("repository", json!("org/app"))];
    for (life, lasts) in [(1200, 1200), (7200, 1800)] {
        let now = bench.hand.now();
        let life = [("exp", json!(now.as_second() + life))];
        let token = bench.issuer.sign(&with(with(Issuer::claims("job", now), &job), &life));
        assert_eq!(bench.exchange(&key(1), &token, TOKEN_TYPE_JWT).await.status, StatusCode::OK);
        bench.hand.advance(lasts - 1);
        assert!(bench.core.logins.of(&key(1).thumbprint(), bench.hand.now()).is_some());
        bench.hand.advance(1);
        assert!(bench.core.logins.of(&key(1).thumbprint(), bench.hand.now()).is_none());
    }
}

#[tokio::test]
async fn a_workload_logs_in_by_its_rule_and_with_one_key_per_token() {
    let bench = Bench::new(PERMIT_ALL);
    let job = [("aud", json!("https://broker.example")), ("repository", json!("org/app"))];
    let claims = with(Issuer::claims("job", bench.hand.now()), &job);
    let token = bench.issuer.sign(&claims);
    assert_eq!(bench.exchange(&key(1), &token, TOKEN_TYPE_JWT).await.status, StatusCode::OK);
    assert_eq!(bench.exchange(&key(1), &token, TOKEN_TYPE_JWT).await.status, StatusCode::OK);
    assert_refused(&bench.exchange(&key(2), &token, TOKEN_TYPE_JWT).await, "exchanged before");
    let login = bench.core.logins.of(&key(1).thumbprint(), bench.hand.now()).unwrap();
    assert_eq!(login.session_cap.unwrap().as_secs(), 1800);

    let fork = with(claims, &[("repository", json!("fork/app"))]);
    let answer = bench.exchange(&key(3), &bench.issuer.sign(&fork), TOKEN_TYPE_JWT).await;
    assert_eq!(answer.problem().code, ProblemCode::Denied);
    let person = bench.issuer.sign(&Issuer::claims("alice", bench.hand.now()));
    assert_refused(&bench.exchange(&key(4), &person, TOKEN_TYPE_JWT).await, "audience");
}

#[tokio::test]
async fn a_proof_is_good_once() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    let first = alice.request("GET", "/v1/whoami", None);
    let proof = first.headers().get("dpop").unwrap().clone();
    let mut again = alice.request("GET", "/v1/whoami", None);
    again.headers_mut().insert("dpop", proof);
    assert_eq!(bench.send(first).await.status, StatusCode::OK);
    assert_refused(&bench.send(again).await, "used before");
}

#[tokio::test]
async fn a_proof_that_was_used_is_used_after_a_restart_too() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    let request = alice.request("GET", "/v1/whoami", None);
    let proof = request.headers().get("dpop").unwrap().to_str().unwrap().to_owned();
    assert_eq!(bench.send(request).await.status, StatusCode::OK);
    let core = &bench.core;
    let (store, devices) = (Arc::clone(&bench.store), Arc::clone(&core.devices));
    let logins = Arc::new(Logins::load(Arc::clone(&store)).unwrap());
    let fetch = Arc::new(Wire(Arc::clone(&bench.issuer)));
    let again = Authn::new(store, devices, logins, Arc::clone(&core.scribe), fetch).unwrap();
    let url = endpoint(&core.config().public_url, "/v1/whoami");
    let call = |proof: &str| {
        let given = Credentials { method: "GET", url: &url, token: &alice.token, proof };
        again.recognise(&given, [127, 0, 0, 1].into(), bench.hand.now()).map(|_| ())
    };
    assert!(matches!(call(&proof), Err(AuthnError::Replayed)));
    let fresh = alice.request("GET", "/v1/whoami", None);
    call(fresh.headers().get("dpop").unwrap().to_str().unwrap()).unwrap();
}

#[tokio::test]
async fn a_stolen_token_opens_nothing_without_the_key() {
    let bench = Bench::new(PERMIT_ALL);
    let mut alice = bench.login("alice", 1).await;
    bench.login("mallory", 2).await;
    alice.key = key(2);
    assert_refused(&alice.call("GET", "/v1/whoami", None).await, "no valid login");
    alice.key = key(1);
    let mut bearer = alice.request("GET", "/v1/whoami", None);
    bearer.headers_mut().insert("authorization", format!("Bearer {}", alice.token).parse().unwrap());
    assert_refused(&bench.send(bearer).await, "no valid login");
}

#[tokio::test]
async fn an_access_token_lives_five_minutes() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    bench.hand.advance(299);
    assert_eq!(alice.call("GET", "/v1/whoami", None).await.status, StatusCode::OK);
    bench.hand.advance(1);
    assert_refused(&alice.call("GET", "/v1/whoami", None).await, "no valid login");
}

#[tokio::test]
async fn a_login_survives_a_restart_and_no_token_is_stored() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    let later = Logins::load(Arc::clone(&bench.store)).unwrap();
    let digest = super::digest(&alice.token);
    assert!(later.bearer(&digest, &key(1).thumbprint(), bench.hand.now()).is_some());
    let stored: Vec<Vec<u8>> = bench
        .store
        .read(|on| on.prepare("SELECT digest FROM tokens")?.query_map([], |row| row.get(0))?.collect())
        .unwrap();
    assert_eq!(stored, [digest.to_vec()]);
}

#[tokio::test]
async fn a_revoked_key_is_refused_for_good_and_for_all() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    let path = format!("/v1/devices/{}", key(1).thumbprint());
    assert_eq!(alice.call("DELETE", &path, None).await.status, StatusCode::OK);
    assert_eq!(alice.call("GET", "/v1/whoami", None).await.problem().code, ProblemCode::Revoked);
    for subject in ["alice", "bob"] {
        let token = bench.issuer.sign(&Issuer::claims(subject, bench.hand.now()));
        let answer = bench.exchange(&key(1), &token, TOKEN_TYPE_ID).await;
        assert_eq!(answer.problem().code, ProblemCode::Revoked);
    }
}

#[tokio::test]
async fn nobody_logs_in_while_the_ledger_cannot_be_written() {
    let bench = Bench::new(PERMIT_ALL);
    bench.journal.broken.store(true, Ordering::SeqCst);
    let token = bench.issuer.sign(&Issuer::claims("alice", bench.hand.now()));
    let answer = bench.exchange(&key(1), &token, TOKEN_TYPE_ID).await;
    assert_eq!(answer.problem().code, ProblemCode::Unavailable);
    assert!(bench.core.logins.of(&key(1).thumbprint(), bench.hand.now()).is_none());
}

#[tokio::test]
async fn one_address_cannot_try_without_end() {
    let bench = Bench::new(PERMIT_ALL);
    let url = endpoint(&bench.core.config().public_url, TOKEN);
    let mut last = StatusCode::OK;
    for n in 0..130 {
        let proof = prove(&key(1), "POST", &url, None, &format!("n{n}"), bench.hand.now()).unwrap();
        last = bench.send(exchange_request(&proof, "rubbish", TOKEN_TYPE_ID)).await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    bench.hand.advance(1);
    assert_refused(&bench.exchange(&key(1), "rubbish", TOKEN_TYPE_ID).await, "malformed");
}

/// The order of P-256.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

fn minus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut difference: Vec<u8> = a
        .iter()
        .zip(b)
        .rev()
        .map(|(a, b)| {
            let d = i32::from(*a) - i32::from(*b) - borrow;
            borrow = i32::from(d < 0);
            u8::try_from(d.rem_euclid(256)).unwrap_or_else(|_| panic!("a byte"))
        })
        .collect();
    difference.reverse();
    difference
}
