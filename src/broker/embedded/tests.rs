#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use url::Url;

use super::codes::{Codes, LIFETIME, Miss, Refusal};
use super::{ApproveError, CLIENT_ID, Decision, DemoUser, EmbeddedError, EmbeddedProvider, Running, decide};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

#[test]
fn polling_too_fast_slows_down_for_good() {
    let mut codes = Codes::default();
    let started = codes.start(at(0), false).unwrap();
    assert_eq!(codes.poll(at(1), &started.device_code), Err(Refusal::AuthorizationPending));
    assert_eq!(codes.poll(at(1), &started.device_code), Err(Refusal::SlowDown));
    assert_eq!(codes.poll(at(4), &started.device_code), Err(Refusal::SlowDown), "now six seconds");
    assert_eq!(codes.poll(at(20), &started.device_code), Err(Refusal::AuthorizationPending));
}

#[test]
fn a_code_expires_and_is_good_for_one_login() {
    let mut codes = Codes::default();
    let started = codes.start(at(0), false).unwrap();
    codes.answer(at(2), &started.user_code.to_lowercase().replace('-', " "), Some("alice".into())).unwrap();
    assert_eq!(codes.answer(at(2), &started.user_code, None), Err(Miss::Unknown), "an answer stands");
    let login = codes.poll(at(3), &started.device_code).unwrap();
    assert_eq!((login.user.as_str(), login.signed_in), ("alice", at(2)));
    assert_eq!(codes.poll(at(4), &started.device_code), Err(Refusal::InvalidGrant));

    let late = codes.start(at(0), false).unwrap();
    assert_eq!(codes.answer(at(0) + LIFETIME, &late.user_code, None), Err(Miss::Unknown));
    assert_eq!(codes.poll(at(0) + LIFETIME, &late.device_code), Err(Refusal::ExpiredToken));
}

#[test]
fn user_codes_cannot_be_guessed() {
    let mut codes = Codes::default();
    let started = codes.start(at(0), false).unwrap();
    for _ in 0..10 {
        assert_eq!(codes.look_up(at(1), "BBBB-BBBB"), Err(Miss::Unknown));
    }
    assert_eq!(codes.look_up(at(2), &started.user_code), Err(Miss::TooMany), "not even the right one");
    assert_eq!(codes.look_up(at(62), &started.user_code), Ok(()));
}

#[test]
fn waiting_codes_are_bounded() {
    let mut codes = Codes::default();
    let accepted = (0..1000).filter(|_| codes.start(at(0), false).is_some()).count();
    assert_eq!(accepted, 256);
    assert!(
        codes.start(at(0) + LIFETIME + SignedDuration::from_mins(11), false).is_some(),
        "old ones make room"
    );
}

#[test]
fn a_copied_refresh_token_ends_the_login() {
    let mut codes = Codes::default();
    let started = codes.start(at(0), true).unwrap();
    codes.answer(at(0), &started.user_code, Some("alice".into())).unwrap();
    let login = codes.poll(at(1), &started.device_code).unwrap();
    let first = codes.issue_refresh(at(1), login);
    let login = codes.spend_refresh(at(2), &first).unwrap();
    let second = codes.issue_refresh(at(2), login);
    assert_eq!(codes.spend_refresh(at(3), &first), Err(Refusal::InvalidGrant));
    assert_eq!(codes.spend_refresh(at(3), &second), Err(Refusal::InvalidGrant), "the whole login is over");
}

#[tokio::test]
async fn it_refuses_to_leave_loopback() {
    let error = EmbeddedProvider::start("0.0.0.0:0".parse().unwrap(), DemoUser::cast()).await.err();
    assert!(matches!(error, Some(EmbeddedError::NotLoopback(_))));
}

#[tokio::test]
async fn a_person_signs_in_through_the_form() {
    let running = start().await;
    let device = authorize(&running).await;
    let pending = token(&running, &device_grant(&device)).await;
    assert_eq!(pending["error"], "authorization_pending");
    decide(&page(&device), Decision::Approve("alice")).await.unwrap();
    let tokens = token(&running, &device_grant(&device)).await;

    let claims = verify(&running, tokens["id_token"].as_str().unwrap()).await;
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["groups"], serde_json::json!(["dba", "oncall"]));
    assert!(claims["auth_time"].is_i64() && claims["iat"].is_i64());

    running.set_groups("alice", Some(&["dev"]));
    let refreshed = token(&running, &refresh_grant(&tokens)).await;
    let claims = verify(&running, refreshed["id_token"].as_str().unwrap()).await;
    assert_eq!(claims["groups"], serde_json::json!(["dev"]), "groups are those of now");

    running.set_groups("alice", None);
    let gone = token(&running, &refresh_grant(&refreshed)).await;
    assert_eq!(gone["error"], "invalid_grant", "a removed user gets no more tokens");
    running.stop().await;
}

#[tokio::test]
async fn a_person_can_say_no() {
    let running = start().await;
    let device = authorize(&running).await;
    decide(&page(&device), Decision::Deny).await.unwrap();
    assert_eq!(token(&running, &device_grant(&device)).await["error"], "access_denied");
}

#[tokio::test]
async fn whoever_lacks_the_passcode_of_a_locked_one_is_nobody() {
    let address = "127.0.0.1:0".parse().unwrap();
    let locked = EmbeddedProvider::start_locked(address, DemoUser::cast(), "sesame".into());
    let running = locked.await.unwrap();
    let device = authorize(&running).await;
    for wrong in [Decision::Approve("alice"), Decision::Unlock { user: "alice", passcode: "Sesame" }] {
        let refused = decide(&page(&device), wrong).await;
        assert!(matches!(refused, Err(ApproveError::Refused(403))), "{wrong:?}: {refused:?}");
    }
    assert_eq!(token(&running, &device_grant(&device)).await["error"], "authorization_pending");
    decide(&page(&device), Decision::Unlock { user: "alice", passcode: "sesame" }).await.unwrap();
    let denied = authorize(&running).await;
    decide(&page(&denied), Decision::Deny).await.unwrap();
}

#[tokio::test]
async fn a_revoked_login_is_over() {
    let running = start().await;
    let device = authorize(&running).await;
    decide(&page(&device), Decision::Approve("bob")).await.unwrap();
    let tokens = token(&running, &device_grant(&device)).await;
    let form = [("client_id", CLIENT_ID), ("token", tokens["refresh_token"].as_str().unwrap())];
    let client = client();
    let answer = client.post(url(&running, "revoke")).form(&form).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(token(&running, &refresh_grant(&tokens)).await["error"], "invalid_grant");
}

#[tokio::test]
async fn other_sites_get_nothing() {
    let running = start().await;
    let client = client();
    let rebound = client.get(url(&running, "jwks")).header("host", "evil.example").send().await.unwrap();
    assert_eq!(rebound.status(), 421);
    let device = authorize(&running).await;
    let code = device["user_code"].as_str().unwrap();
    let form = [("user_code", code), ("user", "alice"), ("decision", "approve"), ("csrf", "guess")];
    let forged = client.post(url(&running, "device")).form(&form).send().await.unwrap();
    assert_eq!(forged.status(), 403);
}

async fn start() -> Running {
    EmbeddedProvider::start("127.0.0.1:0".parse().unwrap(), DemoUser::cast()).await.unwrap()
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn url(running: &Running, path: &str) -> Url {
    running.issuer.join(path).unwrap()
}

async fn authorize(running: &Running) -> Value {
    let form = [("client_id", CLIENT_ID), ("scope", "openid offline_access")];
    let answer = client().post(url(running, "device_authorization")).form(&form).send().await.unwrap();
    answer.json().await.unwrap()
}

fn page(device: &Value) -> Url {
    Url::parse(device["verification_uri_complete"].as_str().unwrap()).unwrap()
}

fn device_grant(device: &Value) -> Vec<(&'static str, String)> {
    let code = device["device_code"].as_str().unwrap().to_owned();
    vec![("grant_type", "urn:ietf:params:oauth:grant-type:device_code".into()), ("device_code", code)]
}

fn refresh_grant(tokens: &Value) -> Vec<(&'static str, String)> {
    let refresh = tokens["refresh_token"].as_str().unwrap().to_owned();
    vec![("grant_type", "refresh_token".into()), ("refresh_token", refresh)]
}

async fn token(running: &Running, form: &[(&'static str, String)]) -> Value {
    let mut form = form.to_vec();
    form.push(("client_id", CLIENT_ID.into()));
    client().post(url(running, "token")).form(&form).send().await.unwrap().json().await.unwrap()
}

async fn verify(running: &Running, token: &str) -> Value {
    let keys: jsonwebtoken::jwk::JwkSet =
        client().get(url(running, "jwks")).send().await.unwrap().json().await.unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(&keys.keys[0]).unwrap();
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    rules.set_issuer(&[running.issuer.as_str().trim_end_matches('/')]);
    rules.set_audience(&[CLIENT_ID]);
    jsonwebtoken::decode::<Value>(token, &key, &rules).unwrap().claims
}
