//! Where groups come from, and what is said when they come from nowhere.

use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{key, with};
use crate::broker::authn::FetchError;
use crate::broker::testing::{Answer, Bench, Issuer, PERMIT_ALL, USERINFO_TOKEN, User};
use crate::domain::name::ProviderName;
use crate::domain::principal::{PrincipalId, Subject};
use crate::wire::control::{ProblemCode, TOKEN_TYPE_ID, TokenResponse, WhoAmI};

/// A broker whose provider says this at its userinfo endpoint.
fn bench(userinfo: &Value) -> Bench {
    let bench = Bench::new(PERMIT_ALL);
    *bench.issuer.userinfo.lock().unwrap() = Some(Ok(userinfo.to_string().into_bytes()));
    bench
}

/// Alice's ID token without groups.
fn bare(bench: &Bench, more: &[(&str, Value)]) -> String {
    let mut claims = with(Issuer::claims("alice", bench.hand.now()), more);
    claims.as_object_mut().unwrap().remove("groups");
    bench.issuer.sign(&claims)
}

async fn whoami(bench: &Bench, answer: &Answer) -> WhoAmI {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let token = answer.json::<TokenResponse>().access_token;
    User { bench, key: key(1), token }.call("GET", "/v1/whoami", None).await.json()
}

/// Alice logs in with an ID token that names no groups.
async fn login(bench: &Bench) -> WhoAmI {
    let answer = bench.exchange_with(&key(1), &bare(bench, &[]), USERINFO_TOKEN).await;
    whoami(bench, &answer).await
}

fn names(who: &WhoAmI) -> Vec<&str> {
    who.groups.iter().map(crate::domain::name::GroupName::as_str).collect()
}

#[track_caller]
fn assert_groupless(who: &WhoAmI, says: &str) {
    assert_eq!(names(who), [""; 0]);
    let why = who.groupless.as_deref().unwrap();
    assert!(why.contains(says), "{why}");
}

#[tokio::test]
async fn groups_come_from_userinfo_where_the_id_token_has_none() {
    for groups in [json!("dba"), json!(["dba", "unlisted"]), json!({"dba": {}})] {
        let bench = bench(&json!({"sub": "alice", "groups": groups, "email": "Alice@Corp.example"}));
        let who = login(&bench).await;
        assert_eq!((names(&who), who.groupless.as_deref()), (vec!["corp/dba"], None));
        let login = bench.core.logins.of(&key(1).thumbprint(), bench.hand.now()).unwrap();
        assert_eq!(login.principal.kin.email.as_deref(), Some("alice@corp.example"));
    }
    // null is no claim
    let bench = bench(&json!({"sub": "alice", "groups": ["dba"]}));
    let claims = with(Issuer::claims("alice", bench.hand.now()), &[("groups", Value::Null)]);
    let answer = bench.exchange_with(&key(1), &bench.issuer.sign(&claims), USERINFO_TOKEN).await;
    assert_eq!(names(&whoami(&bench, &answer).await), ["corp/dba"]);
}

/// What the ID token says is signed, so it is not asked for again.
#[tokio::test]
async fn userinfo_is_not_asked_for_what_the_id_token_says() {
    let bench = bench(&json!({"sub": "alice", "groups": ["dba"]}));
    let email = ("email", json!("alice@corp.example"));
    let claims = with(Issuer::claims("alice", bench.hand.now()), &[("groups", json!([])), email.clone()]);
    let answer = bench.exchange_with(&key(1), &bench.issuer.sign(&claims), USERINFO_TOKEN).await;
    assert_groupless(&whoami(&bench, &answer).await, "none of the groups that are configured for `corp`");
    let claims = with(Issuer::claims("alice", bench.hand.now()), &[email]);
    let answer = bench.exchange_with(&key(1), &bench.issuer.sign(&claims), USERINFO_TOKEN).await;
    assert_eq!(names(&whoami(&bench, &answer).await), ["corp/dba"]);
    assert_eq!(bench.issuer.userinfo_asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn nobody_gets_the_groups_of_somebody_else() {
    for answer in [json!({"sub": "bob", "groups": ["dba"]}), json!({"groups": ["dba"]})] {
        assert_groupless(&login(&bench(&answer)).await, "userinfo speaks of somebody else");
    }
}

#[tokio::test]
async fn an_access_token_of_another_sign_in_is_not_used() {
    let bench = bench(&json!({"sub": "alice", "groups": ["dba"]}));
    let half = |token: &str| {
        let digest = Sha256::digest(token);
        json!(URL_SAFE_NO_PAD.encode(&digest[..16]))
    };
    let token = bare(&bench, &[("at_hash", half("another"))]);
    let answer = bench.exchange_with(&key(1), &token, USERINFO_TOKEN).await;
    assert_groupless(&whoami(&bench, &answer).await, "did not come with this ID token");
    assert_eq!(bench.issuer.userinfo_asked.load(Ordering::SeqCst), 0);
    let token = bare(&bench, &[("at_hash", half(USERINFO_TOKEN))]);
    let answer = bench.exchange_with(&key(1), &token, USERINFO_TOKEN).await;
    assert_eq!(names(&whoami(&bench, &answer).await), ["corp/dba"]);
}

#[tokio::test]
async fn groups_that_cannot_be_had_are_none_and_that_is_said() {
    assert_groupless(&login(&bench(&json!({"sub": "alice"}))).await, "userinfo has none either");
    let strange = bench(&json!({"sub": "alice", "groups": ["unlisted"]}));
    assert_groupless(&login(&strange).await, "none of the groups that are configured for `corp`");

    let without = Bench::new(PERMIT_ALL);
    assert_groupless(&login(&without).await, "the provider has no userinfo endpoint");
    let old = bench(&json!({"sub": "alice", "groups": ["dba"]}));
    let answer = old.exchange(&key(1), &bare(&old, &[]), TOKEN_TYPE_ID).await;
    assert_groupless(&whoami(&old, &answer).await, "this client brought no access token");

    for body in [b"eyJ.a.jwt".to_vec(), b"[]".to_vec(), vec![0xff; 100]] {
        let broken = bench(&json!({}));
        *broken.issuer.userinfo.lock().unwrap() = Some(Ok(body));
        assert_groupless(&login(&broken).await, "what userinfo answers cannot be read");
    }
    let down = bench(&json!({}));
    let fault = FetchError::Failed("https://id.example/userinfo answered 503".into());
    *down.issuer.userinfo.lock().unwrap() = Some(Err(fault));
    assert_groupless(
        &login(&down).await,
        "userinfo cannot be asked: https://id.example/userinfo answered 503",
    );
}

/// Whoever was in a group is in none when the provider can no longer be asked, and hears why after a restart too.
#[tokio::test]
async fn a_refresh_that_finds_no_groups_leaves_none() {
    let bench = bench(&json!({"sub": "alice", "groups": ["dba"]}));
    assert_eq!(names(&login(&bench).await), ["corp/dba"]);
    *bench.issuer.userinfo.lock().unwrap() = Some(Err(FetchError::Failed("it is down".into())));
    assert_groupless(&login(&bench).await, "it is down");
    let again = crate::broker::logins::Logins::load(std::sync::Arc::clone(&bench.store)).unwrap();
    let login = again.of(&key(1).thumbprint(), bench.hand.now()).unwrap();
    assert!(login.groupless.unwrap().contains("it is down"));
}

/// A renewal takes no sessions for one connection that broke.
#[tokio::test]
async fn a_connection_to_userinfo_that_breaks_is_tried_once_more() {
    let bench = bench(&json!({"sub": "alice", "groups": ["dba"]}));
    bench.issuer.userinfo_breaks.store(true, Ordering::SeqCst);
    assert_eq!(names(&login(&bench).await), ["corp/dba"]);
    assert_eq!(bench.issuer.userinfo_asked.load(Ordering::SeqCst), 2);
}

/// One token, one question: nobody makes the broker knock at a provider.
#[tokio::test]
async fn a_token_that_was_spent_asks_nobody() {
    let bench = bench(&json!({"sub": "alice", "groups": ["dba"]}));
    let token = bare(&bench, &[]);
    for _ in 0..5 {
        bench.exchange_with(&key(1), &token, USERINFO_TOKEN).await;
    }
    assert_eq!(bench.issuer.userinfo_asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_provider_without_configured_groups_is_asked_for_none() {
    let bench = Bench::with(PERMIT_ALL, |config| config.providers[0].groups.clear());
    *bench.issuer.userinfo.lock().unwrap() = Some(Ok(br#"{"sub": "alice", "groups": ["dba"]}"#.to_vec()));
    let claims = with(Issuer::claims("alice", bench.hand.now()), &[("email", json!("a@corp.example"))]);
    let answer = bench.exchange_with(&key(1), &bench.issuer.sign(&claims), USERINFO_TOKEN).await;
    let who = whoami(&bench, &answer).await;
    assert_eq!((names(&who), who.groupless.as_deref()), (vec![], None));
    assert_eq!(bench.issuer.userinfo_asked.load(Ordering::SeqCst), 0);
}

/// A client of somebody's own that leaves out the scope makes its user nobody else.
#[tokio::test]
async fn an_address_that_was_told_once_is_not_lost_by_a_client_that_leaves_it_out() {
    let bench = bench(&json!({"sub": "alice", "email": "Alice@Corp.example"}));
    let email = || {
        let login = bench.core.logins.of(&key(1).thumbprint(), bench.hand.now()).unwrap();
        login.principal.kin.email
    };
    let known = || Some("alice@corp.example".to_owned());
    let exchange = async |more: &[(&str, Value)], with_access: bool| {
        let token = bench.issuer.sign(&with(Issuer::claims("alice", bench.hand.now()), more));
        let answer = match with_access {
            true => bench.exchange_with(&key(1), &token, USERINFO_TOKEN).await,
            false => bench.exchange(&key(1), &token, TOKEN_TYPE_ID).await,
        };
        whoami(&bench, &answer).await
    };
    exchange(&[], false).await;
    assert_eq!(email(), None);
    // the groups are in the token, so that userinfo is asked for this only
    exchange(&[], true).await;
    assert_eq!((email(), bench.issuer.userinfo_asked.load(Ordering::SeqCst)), (known(), 1));
    exchange(&[], false).await;
    assert_eq!(email(), known());
    exchange(&[], true).await;
    assert_eq!((email(), bench.issuer.userinfo_asked.load(Ordering::SeqCst)), (known(), 1));
    // what the provider says now is what counts
    exchange(&[("email", json!("alice@new.example"))], false).await;
    assert_eq!(email().as_deref(), Some("alice@new.example"));
}

/// A client can leave out scopes and tokens, and with them groups that rules forbid things to.
#[tokio::test]
async fn where_groups_are_required_nobody_logs_in_without_them() {
    let bench = Bench::with(PERMIT_ALL, |config| config.providers[0].groups_required = true);
    *bench.issuer.userinfo.lock().unwrap() = Some(Ok(br#"{"sub": "alice"}"#.to_vec()));
    for answer in [
        bench.exchange_with(&key(1), &bare(&bench, &[]), USERINFO_TOKEN).await,
        bench.exchange(&key(1), &bare(&bench, &[]), TOKEN_TYPE_ID).await,
    ] {
        let problem = answer.problem();
        assert_eq!(problem.code, ProblemCode::Denied);
        assert!(problem.title.contains("nobody can tell in which groups you are"), "{}", problem.title);
    }
    // one that cannot be asked has not said no
    *bench.issuer.userinfo.lock().unwrap() = Some(Err(FetchError::Failed("it is down".into())));
    let answer = bench.exchange_with(&key(1), &bare(&bench, &[]), USERINFO_TOKEN).await;
    assert_eq!((answer.status.as_u16(), answer.problem().code), (503, ProblemCode::Unavailable));
    assert!(bench.core.devices.list(&corp_alice()).unwrap().is_empty() && bench.journal.whats().is_empty());
    // who is in none of them is told to be
    let claims = with(Issuer::claims("alice", bench.hand.now()), &[("groups", json!([]))]);
    let answer = bench.exchange(&key(1), &bench.issuer.sign(&claims), TOKEN_TYPE_ID).await;
    assert_groupless(&whoami(&bench, &answer).await, "none of the groups");
}

fn corp_alice() -> PrincipalId {
    PrincipalId { provider: ProviderName::new("corp").unwrap(), subject: Subject::new("alice").unwrap() }
}
