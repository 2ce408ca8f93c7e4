#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::*;
use crate::broker::testing::Memory;
use crate::domain::event::Actor;
use crate::domain::name::{Digest, ProviderName, TargetName};
use crate::domain::principal::{Kin, Principal, PrincipalId, PrincipalKind, Subject};
use crate::domain::target::{RecordLevel, SecretSource, Target, TargetKind};

/// What a token endpoint was asked.
type Asked = Arc<Mutex<Vec<String>>>;

#[tokio::test]
async fn a_token_is_signed_for_its_principal_and_checks_against_the_published_key() {
    let bench = Bench::new();
    let issuer = HttpIssuer::Jwt { audience: "api".into(), scopes: vec!["read".into()], seconds: 300 };
    let (context, target) = bench.session(issuer);
    let lease = bench.tokens.issue(&context, &target).await.unwrap();
    let token = secret(&lease);
    let key = &bench.signer.set()["keys"][0];
    let key =
        DecodingKey::from_ec_components(key["x"].as_str().unwrap(), key["y"].as_str().unwrap()).unwrap();
    let mut rules = Validation::new(Algorithm::ES256);
    rules.set_audience(&["api"]);
    rules.validate_exp = false;
    let read = jsonwebtoken::decode::<Value>(&token, &key, &rules).unwrap();
    assert_eq!(read.header.typ.as_deref(), Some("at+jwt"));
    assert_eq!(read.claims["sub"], context.principal.id.to_string());
    assert_eq!(read.claims["scope"], "read");
    assert_eq!(read.claims["iss"], "https://broker.example");
    assert_eq!(read.claims["exp"].as_i64().unwrap(), 1300);
    // the same one until it is about to end, then another
    bench.now.store(1200, Ordering::Relaxed);
    assert_eq!(secret(&bench.tokens.issue(&context, &target).await.unwrap()), token);
    bench.now.store(1290, Ordering::Relaxed);
    assert_ne!(secret(&bench.tokens.issue(&context, &target).await.unwrap()), token);
    bench.tokens.revoke(&context.id);
    let entered = format!("{:?}", bench.journal.whats());
    assert_eq!(entered.matches("LeaseIssued").count(), 2, "{entered}");
    assert_eq!(entered.matches("LeaseRevoked").count(), 1, "{entered}");
    assert!(!entered.contains(&token), "{entered}");
}

/// The context of a session tells its first end; an approval may have made it longer since.
#[tokio::test]
async fn a_session_that_was_made_longer_gets_tokens_that_last() {
    let bench = Bench::new();
    let (context, target) =
        bench.session(HttpIssuer::Jwt { audience: "api".into(), scopes: Vec::new(), seconds: 300 });
    let end = context.expires.as_second();
    bench.now.store(end - 10, Ordering::Relaxed);
    let last = bench.tokens.issue(&context, &target).await.unwrap();
    assert_eq!(last.expires, context.expires);
    assert_eq!(
        secret(&bench.tokens.issue(&context, &target).await.unwrap()),
        secret(&last),
        "it is the last"
    );
    bench.now.store(end + 1, Ordering::Relaxed);
    let next = bench.tokens.issue(&context, &target).await.unwrap();
    assert_eq!(next.expires.as_second(), end + 301);
    assert_ne!(secret(&next), secret(&last));
    assert_eq!(secret(&bench.tokens.issue(&context, &target).await.unwrap()), secret(&next));
}

#[tokio::test]
async fn a_session_that_ends_while_its_lease_is_made_gets_none() {
    let bench = Bench::new();
    let (context, target) = bench.session(HttpIssuer::None);
    let lease = bench.tokens.issue(&context, &target).await.unwrap();
    let turn = bench.tokens.issued.begin(&context.id);
    bench.tokens.revoke(&context.id);
    assert!(bench.tokens.issued.give(turn, &context, lease, String::new()).is_err());
    assert!(bench.tokens.issued.lasting(&context).is_none());
    let entered = format!("{:?}", bench.journal.whats());
    assert_eq!((entered.matches("LeaseIssued").count(), entered.matches("LeaseRevoked").count()), (1, 1));
}

#[tokio::test]
async fn a_provider_gives_tokens_for_credentials_and_in_exchange() {
    let bench = Bench::new();
    let (endpoint, asked) =
        provider(r#"{"access_token":"from-the-provider","token_type":"Bearer","expires_in":60}"#).await;
    let secret_of = SecretSource::Env("CLIENT_SECRET".into());
    let (client, scopes, audience) = ("c d".to_owned(), vec!["read".to_owned()], Some("api".to_owned()));
    let (credentials, exchange) = (
        HttpIssuer::ClientCredentials {
            endpoint: endpoint.clone(),
            client: client.clone(),
            secret: secret_of.clone(),
            scopes: scopes.clone(),
            audience: audience.clone(),
        },
        HttpIssuer::TokenExchange { endpoint, client, secret: secret_of, scopes, audience },
    );
    let (context, target) = bench.session(credentials);
    assert_eq!(secret(&bench.tokens.issue(&context, &target).await.unwrap()), "from-the-provider");
    bench.tokens.revoke(&context.id);
    let (context, target) = bench.session(exchange);
    assert_eq!(secret(&bench.tokens.issue(&context, &target).await.unwrap()), "from-the-provider");
    let asked = asked.lock().unwrap().clone();
    // `c+d:s%26cret` in Base64
    assert!(
        asked.iter().all(|request| request.contains("authorization: Basic YytkOnMlMjZjcmV0")),
        "{asked:?}"
    );
    assert!(asked[0].ends_with("grant_type=client_credentials&scope=read&audience=api"), "{asked:?}");
    assert!(asked[1].contains("token-exchange&subject_token=ey"), "{asked:?}");
}

#[tokio::test]
async fn a_provider_that_refuses_is_quoted_by_its_code_only() {
    let bench = Bench::new();
    for answer in ["{}", r#"{"access_token":"leaks","token_type":"mac"}"#, "not JSON with leaks"] {
        let (endpoint, _) = provider(answer).await;
        let secret = SecretSource::Env("CLIENT_SECRET".into());
        let issuer = HttpIssuer::ClientCredentials {
            endpoint,
            client: "c".into(),
            secret,
            scopes: vec![],
            audience: None,
        };
        let (context, target) = bench.session(issuer);
        let error = bench.tokens.issue(&context, &target).await.unwrap_err().to_string();
        assert!(!error.contains("leaks") && !error.contains("s&cret"), "{error}");
    }
    assert!(bench.journal.whats().is_empty());
}

#[tokio::test]
async fn without_its_entry_there_is_no_lease() {
    let bench = Bench::new();
    bench.journal.broken.store(true, Ordering::Relaxed);
    let injection = Injection::Bearer;
    let (context, target) =
        bench.session(HttpIssuer::Static { injection, secret: SecretSource::Env("CLIENT_SECRET".into()) });
    assert!(bench.tokens.issue(&context, &target).await.is_err());
}

struct Bench {
    tokens: Tokens,
    signer: Arc<Signer>,
    journal: Arc<Memory>,
    now: Arc<AtomicI64>,
}

impl Bench {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let (signer, journal) = (Arc::new(Signer::new(&key)), Arc::new(Memory::default()));
        let now = Arc::new(AtomicI64::new(1000));
        let minter =
            Minter { issuer: "https://broker.example/".parse().unwrap(), signer: Arc::clone(&signer) };
        let secrets = Secrets::new(|name| (name == "CLIENT_SECRET").then(|| "s&cret".to_owned()));
        let clock = Arc::clone(&now);
        let stamp = move || Stamp {
            at: Timestamp::from_second(clock.load(Ordering::Relaxed)).unwrap(),
            policy: Digest::from_bytes(&[0; 32]),
        };
        let tokens = Tokens::new(minter, Arc::clone(&journal) as Arc<dyn Journal>, secrets, stamp);
        Self { tokens, signer, journal, now }
    }

    fn session(&self, issuer: HttpIssuer) -> (SessionContext, HttpTarget) {
        let http = HttpTarget {
            base: "https://api.example".parse().unwrap(),
            root_certificates: None,
            only_http2: false,
            issuer,
            masks: Vec::new(),
            detectors: BTreeSet::new(),
            patterns: Vec::new(),
            openapi: None,
            graphql: None,
            pages: BTreeMap::new(),
            max_response: None,
            max_items: None,
            items: None,
            max_connections: 1,
        };
        let target = Target {
            name: TargetName::new("api").unwrap(),
            description: String::new(),
            labels: BTreeMap::new(),
            owner: None,
            record: RecordLevel::Full,
            kind: TargetKind::Http(Box::new(http.clone())),
        };
        let id = PrincipalId {
            provider: ProviderName::new("test").unwrap(),
            subject: Subject::new("alice").unwrap(),
        };
        let principal = Principal {
            id: id.clone(),
            kind: PrincipalKind::Human,
            display: "alice".into(),
            groups: BTreeSet::new(),
            kin: Kin::default(),
            attributes: BTreeMap::new(),
        };
        let context = SessionContext {
            id: SessionId::from_random([7; 16]),
            principal,
            actor: Actor { principal: id, device: None, address: "127.0.0.1".into(), host: "test".into() },
            target: Arc::new(target),
            expires: Timestamp::from_second(100_000).unwrap(),
            loopback_user: "alice".into(),
            verifier: String::new(),
            secret: Digest::from_bytes(&[0; 32]),
            ssh_key: None,
            digest_key: "key".into(),
            reason: None,
            attempts: crate::gateway::authority::Attempts::default(),
        };
        (context, http)
    }
}

fn secret(lease: &Lease) -> String {
    match &lease.credential {
        Credential::Http(credential) => credential
            .inject
            .as_ref()
            .map(|(_, secret)| secret.expose_secret().to_owned())
            .unwrap_or_default(),
        _ => String::new(),
    }
}

/// A token endpoint that answers always the same.
async fn provider(answer: &'static str) -> (Url, Asked) {
    let asked = Asked::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap()).parse().unwrap();
    let notes = Arc::clone(&asked);
    let router = axum::Router::new().fallback(async move |headers: http::HeaderMap, body: String| {
        let credentials =
            headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        notes.lock().unwrap().push(format!("authorization: {credentials}\n{body}"));
        answer
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked)
}
