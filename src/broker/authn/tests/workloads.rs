//! Tokens of jobs that are not what they must be.

use super::*;
use crate::broker::config::{ClaimRule, WorkloadRule};

const HERE: &str = "https://broker.example";

/// A job's token, issued just now, with other or further claims.
fn token(bench: &Bench, change: &[(&str, Value)]) -> String {
    let job = [("aud", json!(HERE)), ("repository", json!("org/app")), ("ref", json!("refs/heads/main"))];
    bench.issuer.sign(&with(with(Issuer::claims("job", bench.hand.now()), &job), change))
}

async fn exchange(bench: &Bench, change: &[(&str, Value)]) -> Answer {
    bench.exchange(&key(1), &token(bench, change), TOKEN_TYPE_JWT).await
}

async fn is_let_in(bench: &Bench, change: &[(&str, Value)]) {
    let answer = exchange(bench, change).await;
    assert_eq!(answer.status, StatusCode::OK, "{change:?}: {}", answer.text());
}

/// A broker whose jobs must have these claims.
fn ruled(claims: &[(&str, &[&str])]) -> Bench {
    Bench::with(PERMIT_ALL, |config| {
        let rule = |(claim, any): &(&str, &[&str])| {
            ((*claim).to_owned(), ClaimRule::new(any.iter().copied()).unwrap())
        };
        config.workloads[0].rules[0] = WorkloadRule {
            claims: claims.iter().map(rule).collect(),
            ..config.workloads[0].rules[0].clone()
        };
    })
}

async fn has_no_rule(bench: &Bench, change: &[(&str, Value)]) {
    let answer = exchange(bench, change).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{change:?}: {}", answer.text());
    assert!(answer.problem().title.contains("no rule of the issuer matches"), "{change:?}");
}

#[tokio::test]
async fn a_token_for_another_audience_is_refused() {
    let bench = Bench::new(PERMIT_ALL);
    for audience in [
        json!("https://other.example"),
        json!("https://broker.example/"),
        json!("HTTPS://broker.example"),
        json!("https://broker.example.evil"),
        json!(" https://broker.example"),
        json!([]),
        json!({"https://broker.example": true}),
        json!(null),
    ] {
        assert_refused(&exchange(&bench, &[("aud", audience)]).await, "its audience is somebody else");
    }
}

/// Whoever else a token is for gets to see it, and could bring it here first, with a key of their own.
#[tokio::test]
async fn a_token_for_two_audiences_is_refused_unless_the_other_is_known() {
    let both = json!([HERE, "account"]);
    let bench = Bench::new(PERMIT_ALL);
    assert_refused(&exchange(&bench, &[("aud", both.clone())]).await, "somebody else as well");
    assert_refused(&exchange(&bench, &[("aud", json!([HERE, 7]))]).await, "malformed");
    is_let_in(&bench, &[("aud", json!([HERE]))]).await;

    let bench = Bench::with(PERMIT_ALL, |config| {
        config.workloads[0].other_audiences.insert("account".into());
    });
    is_let_in(&bench, &[("aud", both)]).await;
    assert_refused(&exchange(&bench, &[("aud", json!(["account"]))]).await, "its audience is somebody else");
    let three = json!([HERE, "account", "evil"]);
    assert_refused(&exchange(&bench, &[("aud", three)]).await, "somebody else as well");
}

#[tokio::test]
async fn a_token_of_an_issuer_that_is_not_trusted_is_refused() {
    let bench = Bench::new(PERMIT_ALL);
    for issuer in
        ["https://evil.example", "https://id.example/x", "https://id.example.evil", "http://id.example"]
    {
        assert_refused(&exchange(&bench, &[("iss", json!(issuer))]).await, "its issuer is not trusted here");
    }
}

/// Thirty seconds are forgiven, and no more.
#[tokio::test]
async fn an_expired_token_is_refused_beyond_the_skew() {
    let bench = Bench::new(PERMIT_ALL);
    let now = bench.hand.now().as_second();
    is_let_in(&bench, &[("exp", json!(now - 29)), ("iat", json!(now - 600))]).await;
    assert_refused(&exchange(&bench, &[("exp", json!(now - 30))]).await, "expired");
    for never in [json!(null), json!("soon"), json!(1e300), json!([now + 60])] {
        assert_refused(&exchange(&bench, &[("exp", never)]).await, "malformed");
    }
}

#[tokio::test]
async fn a_token_from_the_future_is_refused_beyond_the_skew() {
    let bench = Bench::new(PERMIT_ALL);
    let now = bench.hand.now().as_second();
    for claim in ["nbf", "iat"] {
        is_let_in(&bench, &[(claim, json!(now + 30))]).await;
        assert_refused(&exchange(&bench, &[(claim, json!(now + 31))]).await, "from the future");
    }
    // neither hides the other
    assert_refused(
        &exchange(&bench, &[("nbf", json!(now - 60)), ("iat", json!(now + 31))]).await,
        "from the future",
    );
    is_let_in(&bench, &[("nbf", json!(now as f64 + 30.9))]).await;
}

#[tokio::test]
async fn a_token_that_was_used_is_good_for_its_own_key_only() {
    let bench = Bench::new(PERMIT_ALL);
    let token = token(&bench, &[]);
    for _ in 0..2 {
        assert_eq!(bench.exchange(&key(1), &token, TOKEN_TYPE_JWT).await.status, StatusCode::OK);
    }
    assert_refused(&bench.exchange(&key(2), &token, TOKEN_TYPE_JWT).await, "with another key");
    // until it expires, whatever happened in between
    bench.hand.advance(600);
    assert_refused(&bench.exchange(&key(2), &token, TOKEN_TYPE_JWT).await, "with another key");
    assert_eq!(bench.exchange(&key(1), &token, TOKEN_TYPE_JWT).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_token_of_another_kind_is_refused() {
    let bench = Bench::new(PERMIT_ALL);
    let claims = with(
        Issuer::claims("job", bench.hand.now()),
        &[("aud", json!(HERE)), ("repository", json!("org/app"))],
    );
    let signed = |typ: &str| {
        let mut header = Header::new(Algorithm::ES256);
        (header.kid, header.typ) = (Some("k1".into()), Some(typ.into()));
        bench.issuer.sign_as(&header, &claims)
    };
    for typ in ["dpop+jwt", "logout+jwt", "secevent+jwt", "JOSE"] {
        let answer = bench.exchange(&key(1), &signed(typ), TOKEN_TYPE_JWT).await;
        assert_refused(&answer, "another type");
    }
    // client credentials bring access tokens (RFC 9068)
    for typ in ["at+jwt", "application/at+JWT", "JWT"] {
        let answer = bench.exchange(&key(1), &signed(typ), TOKEN_TYPE_JWT).await;
        assert_eq!(answer.status, StatusCode::OK, "{typ}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_claim_that_nearly_matches_is_refused() {
    let bench = ruled(&[("repository", &["org/app"]), ("ref", &["refs/heads/main", "refs/heads/release-*"])]);
    is_let_in(&bench, &[]).await;
    is_let_in(&bench, &[("ref", json!("refs/heads/release-2.1"))]).await;
    for near in [
        json!("org/app-evil"),
        json!("Org/app"),
        json!("org/app "),
        json!("evil/org/app"),
        json!("org/app\u{0}"),
        json!("org/*"),
        json!("*"),
        json!(["org/app"]),
        json!(["evil/app", "org/app"]),
        json!({"name": "org/app"}),
        json!(null),
        json!(true),
        json!(7),
        json!(""),
    ] {
        has_no_rule(&bench, &[("repository", near)]).await;
    }
    for near in [
        "refs/heads/main2",
        "refs/heads/release-1/evil",
        "refs/tags/release-1",
        "refs/heads/release-",
        "main",
    ] {
        has_no_rule(&bench, &[("ref", json!(near))]).await;
    }
}

#[tokio::test]
async fn every_claim_of_a_rule_must_match() {
    let bench = ruled(&[("repository", &["org/app"]), ("environment", &["production"])]);
    has_no_rule(&bench, &[]).await;
    has_no_rule(&bench, &[("environment", json!("Production"))]).await;
    is_let_in(&bench, &[("environment", json!("production"))]).await;
}

/// What GitHub writes into `sub`, old and new, and how it must not be read.
#[tokio::test]
async fn subjects_of_github_are_told_apart() {
    let bench = ruled(&[(
        "sub",
        &[
            "repo:org/app:ref:refs/heads/main",
            "repo:org/*:environment:production",
            "repo:org@65/app@*:ref:refs/heads/main",
        ],
    )]);
    for good in [
        "repo:org/app:ref:refs/heads/main",
        "repo:org/other:environment:production",
        "repo:org@65/app@74:ref:refs/heads/main",
    ] {
        is_let_in(&bench, &[("sub", json!(good))]).await;
    }
    for bad in [
        "repo:org/app:pull_request",
        "repo:org/app:ref:refs/pull/7/merge",
        "repo:org/app-evil:ref:refs/heads/main",
        "repo:org-evil/app:environment:production",
        "repo:evil/org/app:environment:production",
        "repo:org/app:environment:x:environment:production",
        "repo:org/app:environment:x%3Aenvironment:production",
        "repo:org/app:environment:production:ref:refs/heads/x",
        "repo:org@66/app@74:ref:refs/heads/main",
        "repo:org@65/app-evil@74:ref:refs/heads/main",
        "repo:Org/app:ref:refs/heads/main",
    ] {
        has_no_rule(&bench, &[("sub", json!(bad))]).await;
    }
}

/// A pull request of a fork runs in the repository that it asks to change; `event_name` says so.
#[tokio::test]
async fn a_pull_request_of_a_fork_is_refused_by_its_event() {
    let bench = ruled(&[
        ("repository", &["org/app"]),
        ("event_name", &["push", "workflow_dispatch", "schedule"]),
        ("ref_protected", &["true"]),
        ("job_workflow_ref", &["org/app/.github/workflows/deploy.yml@refs/heads/main"]),
    ]);
    let push = [
        ("event_name", json!("push")),
        ("ref_protected", json!("true")),
        ("job_workflow_ref", json!("org/app/.github/workflows/deploy.yml@refs/heads/main")),
    ];
    is_let_in(&bench, &push).await;
    for (claim, value) in [
        ("event_name", "pull_request"),
        ("event_name", "pull_request_target"),
        ("event_name", "issue_comment"),
        ("ref_protected", "false"),
        ("job_workflow_ref", "evil/app/.github/workflows/deploy.yml@refs/heads/main"),
        ("job_workflow_ref", "org/app/.github/workflows/deploy.yml@refs/pull/7/merge"),
        ("job_workflow_ref", "org/app/.github/workflows/deploy.yml@refs/heads/main@refs/heads/x"),
    ] {
        let mut changed = push.to_vec();
        changed.push((claim, json!(value)));
        has_no_rule(&bench, &changed).await;
    }
}

/// A cluster's tokens name their audience in a list, and nobody can ask its discovery document from outside.
#[tokio::test]
async fn a_pod_logs_in_with_the_keys_of_its_cluster_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cluster-keys.json");
    let bench = Bench::with(PERMIT_ALL, |config| {
        let workload = &mut config.workloads[0];
        workload.jwks = Some(crate::broker::config::JwksSource::File(file.clone()));
        let rule = ClaimRule::new(["system:serviceaccount:shop:*"]).unwrap();
        workload.rules[0].claims = [("sub".to_owned(), rule)].into();
    });
    let pod = |subject: &str| [("aud", json!([HERE])), ("sub", json!(subject))];
    let good = pod("system:serviceaccount:shop:migrations");
    let answer = exchange(&bench, &good).await;
    assert_eq!(answer.problem().code, ProblemCode::Unavailable, "{}", answer.text());
    std::fs::write(&file, bench.issuer.jwks()).unwrap();
    bench.hand.advance(4);
    is_let_in(&bench, &good).await;
    for bad in
        ["system:serviceaccount:shop-evil:migrations", "system:serviceaccount:shop:a:b", "system:node:n"]
    {
        has_no_rule(&bench, &pod(bad)).await;
    }
    assert_eq!(bench.issuer.fetched.load(Ordering::SeqCst), 0);
    // keys that the cluster changes are found when the file is
    bench.issuer.rotate("k2");
    std::fs::write(&file, bench.issuer.jwks()).unwrap();
    bench.hand.advance(31);
    is_let_in(&bench, &good).await;
}
