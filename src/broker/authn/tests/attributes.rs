//! What a login carries for row filters, and what opens without it.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Answer, Bench, Issuer, PERMIT_ALL, User, key, with};
use crate::broker::config::Config;
use crate::broker::logins::Logins;
use crate::broker::testing::USERINFO_TOKEN;
use crate::domain::event::What;
use crate::domain::filter::{Claim, RowFilter, TablePattern};
use crate::domain::name::{GroupName, SessionId};
use crate::domain::session::{CloseReason, SessionState};
use crate::domain::target::TargetKind;
use crate::wire::control::{Explanation, ProblemCode, TOKEN_TYPE_JWT, TokenResponse};

/// A broker that maps the claim `team_project`, with a filter that compares with it.
fn bench() -> Bench {
    Bench::with(PERMIT_ALL, filtered)
}

fn filtered(config: &mut Config) {
    let mapping = BTreeMap::from([("project".to_owned(), "team_project".to_owned())]);
    config.providers[0].attributes.clone_from(&mapping);
    config.workloads[0].attributes = mapping;
    for target in config.targets.values_mut() {
        let TargetKind::Postgres(postgres) = &mut target.kind else { panic!("a database") };
        postgres.filters.push(RowFilter {
            name: "own-project".parse().unwrap(),
            table: TablePattern::new("public.*").unwrap(),
            predicate: "project = principal.project".into(),
            claims: ["project".to_owned()].into(),
            only_for: [].into(),
            lifted_for: [GroupName::new("corp/dba").unwrap()].into(),
        });
    }
}

fn attribute(bench: &Bench, name: &str) -> Option<Claim> {
    let login = bench.core.logins.of(&key(1).thumbprint(), bench.hand.now()).unwrap();
    login.principal.attributes.get(name).cloned()
}

fn state(bench: &Bench, session: &SessionId) -> SessionState {
    bench.core.sessions.look(session).unwrap().unwrap().state
}

async fn refused(user: &User<'_>) -> Answer {
    let answer = user.call("POST", "/v1/sessions", Some(json!({"target": "db", "host": "laptop"}))).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.text());
    answer
}

const X: &str = "x";

#[tokio::test]
async fn a_login_carries_what_its_token_says_and_the_next_exchange_says_it_anew() {
    let bench = bench();
    let alice = bench.login_with("alice", 1, json!({"groups": [], "team_project": X})).await;
    assert_eq!(attribute(&bench, "project"), Some(Claim::One(X.into())));
    let session = alice.open().await;

    // the same again closes nothing
    bench.hand.advance(60);
    let alice = bench.login_with("alice", 1, json!({"groups": [], "team_project": X})).await;
    assert!(!matches!(state(&bench, &session), SessionState::Closing { .. }));

    bench.hand.advance(60);
    drop(alice);
    let alice = bench.login_with("alice", 1, json!({"groups": [], "team_project": ["x", "y"]})).await;
    assert_eq!(state(&bench, &session), SessionState::Closing { reason: CloseReason::PolicyChanged });
    let both = Claim::Many(["x".into(), "y".into()].into());
    assert_eq!(attribute(&bench, "project"), Some(both.clone()));
    let told: Explanation = alice.call("GET", "/v1/targets/db", None).await.json();
    assert_eq!(told.filtered[0].claims.get("project"), Some(&both));

    // and a restart forgets nothing of it
    let logins = Logins::load(std::sync::Arc::clone(&bench.store)).unwrap();
    let login = logins.of(&key(1).thumbprint(), bench.hand.now()).unwrap();
    assert_eq!(login.principal.attributes.get("project"), Some(&both));
}

#[tokio::test]
async fn nobody_gets_in_without_a_claim_that_a_filter_names() {
    let bench = bench();
    for claim in [json!(null), json!(""), json!({"x": 1}), json!(1.5)] {
        let alice = bench.login_with("alice", 1, json!({"groups": [], "team_project": claim})).await;
        let problem = refused(&alice).await.problem();
        assert_eq!(problem.code, ProblemCode::Denied);
        assert!(problem.title.contains("principal.project"), "{}", problem.title);
        let entered = bench.journal.whats().pop().unwrap();
        assert!(matches!(entered, What::Refused { rule, .. } if rule.as_str() == "own-project"), "{claim}");
        let told: Explanation = alice.call("GET", "/v1/targets/db", None).await.json();
        assert_eq!(told.filtered[0].missing.as_deref(), Some("project"));
        bench.hand.advance(1);
    }
    // it says nothing to those for whom the fence is lifted
    bench.login_with("alice", 1, json!({"groups": ["dba"]})).await.open().await;
}

#[tokio::test]
async fn userinfo_is_asked_for_a_claim_that_the_token_has_not() {
    let bench = bench();
    let said =
        json!({"sub": "alice", "team_project": X, "email": "Alice@Corp.example", "email_verified": true});
    *bench.issuer.userinfo.lock().unwrap() = Some(Ok(said.to_string().into_bytes()));
    let token = bench.issuer.sign(&with(Issuer::claims("alice", bench.hand.now()), &[("groups", json!([]))]));
    let answer = bench.exchange_with(&key(1), &token, USERINFO_TOKEN).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(attribute(&bench, "project"), Some(Claim::One(X.into())));
    assert_eq!(attribute(&bench, "email"), Some(Claim::One("alice@corp.example".into())));
}

#[tokio::test]
async fn a_job_carries_the_claims_of_its_own_token() {
    let bench = bench();
    let job = async |claim: &str, value: Value| {
        let now = bench.hand.now();
        let more =
            [("aud", json!("https://broker.example")), ("repository", json!("org/app")), (claim, value)];
        let token = bench.issuer.sign(&with(Issuer::claims("job", now), &more));
        let answer = bench.exchange(&key(1), &token, TOKEN_TYPE_JWT).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        User { bench: &bench, key: key(1), token: answer.json::<TokenResponse>().access_token }
    };
    job("team_project", json!(42)).await.open().await;
    assert_eq!(attribute(&bench, "project"), Some(Claim::One("42".into())));
    // under the provider's name for it, not under ours
    bench.hand.advance(1);
    refused(&job("project", json!(X)).await).await;
}
