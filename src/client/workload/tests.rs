#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;
use crate::wire::control::ClientCredentials;

fn variables(set: &[(&str, &str)]) -> Variables {
    let set: BTreeMap<String, String> =
        set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Variables::new(move |name| set.get(name).cloned())
}

fn trusted(name: &str, issuer: &str, audience: &str) -> WorkloadInfo {
    WorkloadInfo {
        name: name.parse().unwrap(),
        issuer: issuer.parse().unwrap(),
        audience: audience.into(),
        client_credentials: None,
    }
}

fn jwt(audience: &serde_json::Value) -> String {
    let claims = json!({"iss": "https://ci.example", "aud": audience, "exp": 9});
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

#[test]
fn a_source_is_written_as_it_is_read() {
    for text in [
        "client-credentials",
        "client-credentials:idp",
        "env:CI_TOKEN",
        "token-file:/run/a:b",
        "github",
        "github:https://broker.example:7443",
        "gitlab:HOOPCTL_ID_TOKEN",
        "kubernetes",
        "kubernetes:/var/run/secrets/x/token",
    ] {
        assert_eq!(Source::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(Source::parse("gitlab"), Source::parse("gitlab:HOOPCTL_ID_TOKEN"));
    for wrong in
        ["", "env", "env:", "token-file", "github:", "gitlab:", "Github", "magic", ":", "kubernetes:"]
    {
        assert_eq!(Source::parse(wrong), None, "{wrong}");
    }
}

#[tokio::test]
async fn a_token_for_somebody_else_is_not_given_away() {
    let known =
        [trusted("ci", "https://ci.example", "urn:broker"), trusted("k8s", "https://k.example", "urn:k8s")];
    let token = async |audience: &serde_json::Value| {
        let token = jwt(audience);
        let platform = Platform::new(Source::Env("T".into()), variables(&[("T", &token)]));
        platform.token(platform.mark().unwrap(), &known, Timestamp::UNIX_EPOCH).await.map(drop)
    };
    token(&json!("urn:broker")).await.unwrap();
    token(&json!(["urn:k8s"])).await.unwrap();
    for other in [json!("https://kubernetes.default.svc"), json!(["sts.amazonaws.com", "x"]), json!([])] {
        let refused = token(&other).await.unwrap_err();
        assert!(matches!(refused, WorkloadError::Audience { .. }), "{other}");
        assert!(refused.to_string().ends_with("takes tokens for `urn:broker`, `urn:k8s`"), "{refused}");
    }
}

/// A broker that wants tokens for AWS or a cluster is not one.
#[tokio::test]
async fn a_broker_cannot_ask_for_what_opens_something_else() {
    let github = "https://token.actions.githubusercontent.com";
    for audience in
        ["sts.amazonaws.com", "https://kubernetes.default.svc.cluster.local", "api://AzureADTokenExchange"]
    {
        let known = [trusted("ci", github, audience)];
        assert!(github::audience(&known, None).is_err(), "{audience}");
        let token = jwt(&json!(audience));
        let platform = Platform::new(Source::Env("T".into()), variables(&[("T", &token)]));
        let given = platform.token(platform.mark().unwrap(), &known, Timestamp::UNIX_EPOCH).await;
        assert!(matches!(given, Err(WorkloadError::Audience { .. })), "{audience}");
    }
}

#[test]
fn github_is_asked_for_the_audience_that_the_broker_wants() {
    let github = "https://token.actions.githubusercontent.com";
    let known = [
        trusted("ci", github, "urn:github"),
        trusted("k8s", "https://k.example", "urn:k8s"),
        trusted("ghes", "https://ghes.example/_services/token", "urn:github"),
    ];
    assert_eq!(github::audience(&known, None).unwrap(), "urn:github");
    assert_eq!(github::audience(&known, Some("urn:k8s".into())).unwrap(), "urn:k8s");
    assert!(matches!(github::audience(&known, Some("urn:x".into())), Err(WorkloadError::Audience { .. })));
    assert!(matches!(github::audience(&[], None), Err(WorkloadError::Unclear { .. })));
    let several = [known[1].clone(), trusted("ci", "https://ci.example", "urn:ci")];
    assert!(matches!(github::audience(&several, None), Err(WorkloadError::Unclear { .. })));
}

#[test]
fn the_request_token_goes_to_an_https_address_only() {
    for (url, good) in [
        ("https://pipelines.actions.example/idtoken?api-version=2.0", true),
        ("http://127.0.0.1:7/x", true),
        ("http://evil.example/idtoken", false),
        ("idtoken", false),
    ] {
        let set = [("ACTIONS_ID_TOKEN_REQUEST_URL", url), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t")];
        assert_eq!(github::Runner::find(&variables(&set)).is_ok(), good, "{url}");
    }
}

#[test]
fn a_secret_goes_to_the_issuer_that_is_meant() {
    let mut known = [trusted("ci", "https://ci.example", "x"), trusted("idp", "https://idp.example", "x")];
    let choose = |known: &[WorkloadInfo], name: Option<&str>, expected: &str| {
        credentials::choose(known, name, expected).map(|chosen| chosen.name.to_string())
    };
    // none is marked, so that one must be named
    assert!(matches!(choose(&known, None, "https://idp.example"), Err(WorkloadError::Unclear { .. })));
    assert_eq!(choose(&known, Some("idp"), "https://idp.example").unwrap(), "idp");
    known[1].client_credentials = Some(ClientCredentials::default());
    assert_eq!(choose(&known, None, "https://idp.example").unwrap(), "idp");
    for other in ["https://ci.example", "", "idp.example"] {
        assert!(matches!(choose(&known, None, other), Err(WorkloadError::Issuer { .. })), "{other}");
    }
    known[0].client_credentials = Some(ClientCredentials::default());
    assert!(matches!(choose(&known, None, "https://idp.example"), Err(WorkloadError::Unclear { .. })));
}

#[test]
fn no_error_and_no_debug_output_holds_a_token_or_secret() {
    let secret = "s3cr3t-value";
    let set = [
        ("HOOPCTL_CLIENT_ID", "robot"),
        ("HOOPCTL_CLIENT_SECRET", secret),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", "http://127.0.0.1:7/x"),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", secret),
        ("T", secret),
    ];
    for source in ["client-credentials", "github", "env:T"] {
        let platform = Platform::new(Source::parse(source).unwrap(), variables(&set));
        let mark = platform.mark().unwrap();
        assert!(!mark.job.contains(secret) && !mark.subject.contains(secret));
        *platform.held.lock().unwrap() =
            Some(Held { token: secret.to_owned().into(), until: Timestamp::UNIX_EPOCH });
        assert!(!format!("{platform:?}").contains(secret), "{platform:?}");
    }
}
