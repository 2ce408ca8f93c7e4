//! What the broker's tests stand on: a clock to move, an issuer to forge with, a journal to break.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt as _;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;
use url::Url;

use crate::broker::api;
use crate::broker::app::core::Core;
use crate::broker::app::{Archive, Assembled, LeaseKeeper, Parts, TunnelHandler, TunnelIo, assemble};
use crate::broker::authn::{Fetch, FetchError};
use crate::broker::config::{Config, ProviderConfig, WorkloadConfig, WorkloadRule};
use crate::broker::secrets::Secrets;
use crate::broker::store::Store;
use crate::domain::approval::{Decision, Standing, SubjectText};
use crate::domain::device::Device;
use crate::domain::event::{Actor, Event, What};
use crate::domain::name::{Digest, GroupName, ProviderName, SessionId, TargetName};
use crate::domain::policy::{Policy, PolicySource};
use crate::domain::principal::PrincipalId;
use crate::domain::target::{
    LeaseIssuer, PostgresTarget, RecordLevel, SecretSource, Target, TargetKind, UpstreamTls,
};
use crate::gateway::authority::{Lease, LeaseError, SessionContext};
use crate::gateway::clock::Clock;
use crate::gateway::journal::{Journal, JournalError, Recorder, Ticket};
use crate::wire::control::{
    GRANT_TYPE_EXCHANGE, Problem, RequestView, TOKEN, TOKEN_TYPE_ID, TOKEN_TYPE_JWT, TokenResponse,
};
use crate::wire::dpop::{DeviceKey, endpoint, prove};
use crate::wire::review::Claims;

/// When every test begins.
pub(crate) const START: i64 = 1_800_000_000;
pub(crate) const ISSUER: &str = "https://id.example";
pub(crate) const CLIENT: &str = "hoopctl";
pub(crate) const USERINFO: &str = "https://id.example/userinfo";
/// The access token that comes along with ID tokens.
pub(crate) const USERINFO_TOKEN: &str = "an access token of the provider";
/// What webhooks are signed with.
pub(crate) const HOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// A policy that permits everything.
pub(crate) const PERMIT_ALL: &str = "@id(\"all\") permit(principal, action, resource);";

/// A clock that a test moves.
#[derive(Clone)]
pub(crate) struct Hand(Arc<AtomicI64>);

impl Hand {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(START)))
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn clock(&self) -> Clock {
        let hand = self.clone();
        Clock::from_fn(move || hand.now())
    }
}

/// An identity provider with keys of its own.
pub(crate) struct Issuer {
    keys: Mutex<Vec<(String, rcgen::KeyPair)>>,
    /// How often its key set was fetched.
    pub(crate) fetched: AtomicUsize,
    pub(crate) down: AtomicBool,
    /// What its userinfo endpoint answers to whoever brings [`USERINFO_TOKEN`]; without it there is no such
    /// endpoint.
    pub(crate) userinfo: Mutex<Option<Result<Vec<u8>, FetchError>>>,
    /// How often that was asked.
    pub(crate) userinfo_asked: AtomicUsize,
}

impl Issuer {
    pub(crate) fn new() -> Arc<Self> {
        let issuer = Self {
            keys: Mutex::default(),
            fetched: AtomicUsize::new(0),
            down: AtomicBool::new(false),
            userinfo: Mutex::default(),
            userinfo_asked: AtomicUsize::new(0),
        };
        issuer.rotate("k1");
        Arc::new(issuer)
    }

    /// Puts a new P-256 key in the place of all others.
    pub(crate) fn rotate(&self, kid: &str) {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        *self.keys.lock().unwrap() = vec![(kid.into(), key)];
    }

    /// The claims of a person's ID token, issued just now.
    pub(crate) fn claims(subject: &str, now: Timestamp) -> Value {
        json!({
            "iss": ISSUER, "aud": CLIENT, "sub": subject, "preferred_username": subject,
            "iat": now.as_second(), "exp": now.as_second() + 600, "groups": ["dba", "unlisted"],
            // an issuer never gives out the same token twice
            "jti": crate::broker::app::random_text(),
        })
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let keys = self.keys.lock().unwrap();
        let (kid, key) = keys.first().unwrap();
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(kid.clone());
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_ec_der(key.serialized_der())).unwrap()
    }

    /// A token with any header, signed with its key but in a name of the test's choice.
    pub(crate) fn sign_as(&self, header: &Header, claims: &Value) -> String {
        let keys = self.keys.lock().unwrap();
        let (_, key) = keys.first().unwrap();
        jsonwebtoken::encode(header, claims, &EncodingKey::from_ec_der(key.serialized_der())).unwrap()
    }

    /// The bytes of its public key, as an attacker would use them for HMAC.
    pub(crate) fn public_bytes(&self) -> Vec<u8> {
        self.keys.lock().unwrap().first().unwrap().1.public_key_raw().to_vec()
    }

    fn key_set(&self) -> Value {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
        let keys = self.keys.lock().unwrap();
        let mut set: Vec<Value> = keys
            .iter()
            .map(|(kid, key)| {
                let (x, y) = key.public_key_raw().split_at(1).1.split_at(32);
                json!({"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256", "x": B64.encode(x), "y": B64.encode(y)})
            })
            .collect();
        set.push(json!({"kty": "XYZ", "kid": "a kind from the future"}));
        json!({"keys": set})
    }
}

/// Hands the fetches of a core to an issuer of the test.
pub(crate) struct Wire(pub(crate) Arc<Issuer>);

impl Fetch for Wire {
    fn get<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<Vec<u8>, FetchError>> {
        Box::pin(async move {
            if self.0.down.load(Ordering::SeqCst) {
                return Err(FetchError::Failed("it is down".into()));
            }
            let document = match url.as_str() {
                "https://id.example/.well-known/openid-configuration" => {
                    let mut document = json!({"issuer": ISSUER, "jwks_uri": "https://id.example/keys"});
                    if self.0.userinfo.lock().unwrap().is_some()
                        && let Some(members) = document.as_object_mut()
                    {
                        members.insert("userinfo_endpoint".into(), USERINFO.into());
                    }
                    document
                }
                "https://id.example/keys" => {
                    self.0.fetched.fetch_add(1, Ordering::SeqCst);
                    self.0.key_set()
                }
                other => panic!("nobody may ask for {other}"),
            };
            Ok(document.to_string().into_bytes())
        })
    }

    fn get_as<'a>(
        &'a self,
        url: &'a Url,
        token: &'a SecretString,
    ) -> BoxFuture<'a, Result<Vec<u8>, FetchError>> {
        Box::pin(async move {
            assert_eq!((url.as_str(), token.expose_secret()), (USERINFO, USERINFO_TOKEN));
            self.0.userinfo_asked.fetch_add(1, Ordering::SeqCst);
            self.0.userinfo.lock().unwrap().clone().unwrap()
        })
    }
}

/// A journal that remembers, and breaks when told to.
pub(crate) struct Memory {
    events: Mutex<Vec<Event>>,
    pub(crate) broken: AtomicBool,
    /// For how many more entries there is room.
    pub(crate) room: AtomicUsize,
    /// What happens while the next event is entered.
    pub(crate) meanwhile: Mutex<Option<Meanwhile>>,
}

impl Default for Memory {
    fn default() -> Self {
        let room = AtomicUsize::new(usize::MAX);
        Self { events: Mutex::default(), broken: AtomicBool::default(), room, meanwhile: Mutex::default() }
    }
}

/// Something that happens at a certain moment, once.
pub(crate) type Meanwhile = Box<dyn FnOnce() + Send>;

impl Memory {
    pub(crate) fn whats(&self) -> Vec<What> {
        self.events.lock().unwrap().iter().map(|event| event.what.clone()).collect()
    }
}

impl Journal for Memory {
    fn enter(&self, event: &Event) -> Result<Ticket, JournalError> {
        let took = |room: usize| room.checked_sub(1);
        let is_full = self.room.fetch_update(Ordering::SeqCst, Ordering::SeqCst, took).is_err();
        if is_full || self.broken.load(Ordering::SeqCst) {
            return Err(JournalError::Unwritable("the disk is full".into()));
        }
        if let Some(happens) = self.meanwhile.lock().unwrap().take() {
            happens();
        }
        let mut events = self.events.lock().unwrap();
        events.push(event.clone());
        Ok(Ticket(u64::try_from(events.len()).unwrap()))
    }

    fn synced(&self, _: Ticket) -> BoxFuture<'_, Result<(), JournalError>> {
        Box::pin(async { Ok(()) })
    }

    fn recorder(&self, _: &SessionId, _: u32, _: &Actor) -> Result<Box<dyn Recorder>, JournalError> {
        Err(JournalError::Unwritable("no recordings here".into()))
    }
}

/// Leases that only remember which were taken back, and which were made longer; two resist.
#[derive(Default)]
pub(crate) struct Lender(pub(crate) Mutex<Vec<SessionId>>, pub(crate) Mutex<BTreeMap<SessionId, Timestamp>>);

impl LeaseKeeper for Lender {
    fn issue<'a>(&'a self, context: &'a SessionContext) -> BoxFuture<'a, Result<Lease, LeaseError>> {
        let lease = Lease { user: "u".into(), password: SecretString::from("p"), expires: context.expires };
        Box::pin(async move { Ok(lease) })
    }

    fn extend<'a>(
        &'a self,
        session: &'a SessionId,
        until: Timestamp,
    ) -> BoxFuture<'a, Result<(), LeaseError>> {
        self.1.lock().unwrap().insert(session.clone(), until);
        Box::pin(async { Ok(()) })
    }

    fn revoke<'a>(&'a self, session: &'a SessionId) -> BoxFuture<'a, ()> {
        self.0.lock().unwrap().push(session.clone());
        Box::pin(async {})
    }

    fn reap<'a>(&'a self, _: &'a BTreeMap<TargetName, Target>) -> BoxFuture<'a, usize> {
        Box::pin(async { 2 })
    }

    fn watch(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// An archive with a checkpoint and one tile.
pub(crate) struct Shelf;

impl Archive for Shelf {
    fn healthy(&self) -> bool {
        true
    }

    fn ledger_file<'a>(&'a self, path: &'a str) -> BoxFuture<'a, io::Result<Option<Vec<u8>>>> {
        Box::pin(
            async move { Ok(matches!(path, "checkpoint" | "tile/0/000").then(|| path.as_bytes().to_vec())) },
        )
    }

    fn recording<'a>(&'a self, _: &'a SessionId) -> BoxFuture<'a, io::Result<Vec<Vec<Digest>>>> {
        Box::pin(async { Ok(vec![vec![Digest::from_bytes(&[7; 32])]]) })
    }

    fn chunk<'a>(
        &'a self,
        _: &'a SessionId,
        connection: u32,
        chunk: u32,
    ) -> BoxFuture<'a, io::Result<Option<Vec<u8>>>> {
        Box::pin(async move { Ok((connection == 1 && chunk == 0).then(|| b"chunk".to_vec())) })
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<(), JournalError>> {
        Box::pin(async { Ok(()) })
    }
}

/// A gateway that sends back what it gets.
pub(crate) struct Echo;

impl TunnelHandler for Echo {
    fn serve(&self, io: Box<dyn TunnelIo>, _: SessionId, _: Device, _: bool) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let (mut from, mut to) = tokio::io::split(io);
            drop(tokio::io::copy(&mut from, &mut to).await);
        })
    }
}

/// A broker without a port.
pub(crate) struct Bench {
    pub(crate) hand: Hand,
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) journal: Arc<Memory>,
    pub(crate) lender: Arc<Lender>,
    pub(crate) core: Arc<Core>,
    pub(crate) router: Router,
    pub(crate) closing: Option<mpsc::UnboundedReceiver<SessionId>>,
    pub(crate) store: Arc<Store>,
    pub(crate) directory: TempDir,
}

impl Bench {
    pub(crate) fn new(policy: &str) -> Self {
        Self::with(policy, |_| {})
    }

    pub(crate) fn with(policy: &str, change: impl FnOnce(&mut Config)) -> Self {
        Self::on(Arc::new(Store::in_memory().unwrap()), policy, change)
    }

    pub(crate) fn on(store: Arc<Store>, policy: &str, change: impl FnOnce(&mut Config)) -> Self {
        let (hand, issuer) = (Hand::new(), Issuer::new());
        let (journal, lender) = (Arc::new(Memory::default()), Arc::new(Lender::default()));
        let directory = tempfile::tempdir().unwrap();
        let mut config = config(directory.path(), policy);
        change(&mut config);
        let keeper = Arc::clone(&lender);
        let Assembled { core, closing, .. } = assemble(Parts {
            config,
            clock: hand.clock(),
            store: Arc::clone(&store),
            journal: Arc::clone(&journal) as Arc<dyn Journal>,
            archive: Arc::new(Shelf),
            fetch: Arc::new(Wire(Arc::clone(&issuer))),
            secrets: Secrets::new(|name| (name == "HOOK").then(|| HOOK_SECRET.to_owned())),
            leases: Box::new(move |_| keeper),
            tunnels: Box::new(|_| Arc::new(Echo)),
        })
        .unwrap();
        core.lend(Arc::clone(&lender) as Arc<dyn LeaseKeeper>);
        let router = api::router(Arc::clone(&core), Arc::new(Echo));
        Self { hand, issuer, journal, lender, core, router, closing: Some(closing), store, directory }
    }

    /// Sees closing sessions to their end in the background.
    pub(crate) fn bury(&mut self) {
        if let Some(closing) = self.closing.take() {
            tokio::spawn(Arc::clone(&self.core).bury(closing));
        }
    }

    /// Sends a request through the API.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let answer = TowerToHyperService::new(self.router.clone()).call(request).await.unwrap();
        let status = answer.status();
        let (kind, retry_after) = (header(&answer, "content-type"), header(&answer, "retry-after"));
        let body = answer.into_body().collect().await.unwrap().to_bytes().to_vec();
        Answer { status, kind, retry_after, body }
    }

    /// Exchanges a subject token.
    pub(crate) async fn exchange(&self, key: &DeviceKey, token: &str, kind: &str) -> Answer {
        let url = endpoint(&self.core.config().public_url, TOKEN);
        let proof =
            prove(key, "POST", &url, None, &crate::broker::app::random_text(), self.hand.now()).unwrap();
        self.send(exchange_request(&proof, token, kind)).await
    }

    /// The same, with what userinfo can be asked with.
    pub(crate) async fn exchange_with(&self, key: &DeviceKey, token: &str, userinfo: &str) -> Answer {
        let url = endpoint(&self.core.config().public_url, TOKEN);
        let proof =
            prove(key, "POST", &url, None, &crate::broker::app::random_text(), self.hand.now()).unwrap();
        let mut request = exchange_request(&proof, token, TOKEN_TYPE_ID);
        let form = std::mem::take(request.body_mut()).collect().await.unwrap().to_bytes();
        let more = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("userinfo_token", userinfo)
            .finish();
        *request.body_mut() = Body::from([&form, b"&".as_slice(), more.as_bytes()].concat());
        self.send(request).await
    }

    /// Logs somebody in and returns what they call with.
    pub(crate) async fn login(&self, subject: &str, seed: u8) -> User<'_> {
        self.login_with(subject, seed, json!({})).await
    }

    /// Logs somebody in whose token has other or further claims.
    pub(crate) async fn login_with(&self, subject: &str, seed: u8, more: Value) -> User<'_> {
        let mut claims = Issuer::claims(subject, self.hand.now());
        if let (Some(claims), Some(more)) = (claims.as_object_mut(), more.as_object()) {
            claims.extend(more.clone());
        }
        self.login_by(seed, &claims, TOKEN_TYPE_ID).await
    }

    /// Logs a job of the workload issuer in.
    pub(crate) async fn login_workload(&self, subject: &str, seed: u8) -> User<'_> {
        let now = self.hand.now().as_second();
        let claims = json!({
            "iss": ISSUER, "aud": "https://broker.example", "sub": subject, "repository": "org/app",
            "iat": now, "exp": now + 600,
        });
        self.login_by(seed, &claims, TOKEN_TYPE_JWT).await
    }

    async fn login_by(&self, seed: u8, claims: &Value, kind: &str) -> User<'_> {
        let key = DeviceKey::from_bytes(&[seed; 32]);
        let token = self.issuer.sign(claims);
        let answer = self.exchange(&key, &token, kind).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let response: TokenResponse = answer.json();
        User { bench: self, key, token: response.access_token }
    }
}

fn header(answer: &Response, name: &str) -> Option<String> {
    answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
}

/// Somebody who is logged in.
pub(crate) struct User<'a> {
    pub(crate) bench: &'a Bench,
    pub(crate) key: DeviceKey,
    pub(crate) token: String,
}

impl User<'_> {
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.bench.send(self.request(method, path, body)).await
    }

    pub(crate) fn request(&self, method: &str, path: &str, body: Option<Value>) -> Request<Body> {
        let bare = path.split_once('?').map_or(path, |(bare, _)| bare);
        let url = endpoint(&self.bench.core.config().public_url, bare);
        let jti = crate::broker::app::random_text();
        let proof = prove(&self.key, method, &url, Some(&self.token), &jti, self.bench.hand.now()).unwrap();
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("DPoP {}", self.token))
            .header("dpop", proof)
            .body(body)
            .unwrap()
    }

    /// Opens a session on `db` and returns its id.
    pub(crate) async fn open(&self) -> SessionId {
        let answer = self.call("POST", "/v1/sessions", Some(json!({"target": "db", "host": "laptop"}))).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let opened: Value = answer.json();
        SessionId::new(opened.get("session").unwrap().as_str().unwrap()).unwrap()
    }

    /// Asks for a session on `db`.
    pub(crate) async fn ask(&self, more: Value) -> Answer {
        let mut body = json!({"target": "db", "reason": "a ticket", "seconds": 3600});
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        self.call("POST", "/v1/requests", Some(body)).await
    }

    /// Reviews a request as its client would: looks at it, and signs what it saw.
    pub(crate) async fn review(&self, subject: &str, request: &str, decision: Decision) -> Answer {
        self.review_with(subject, request, decision, None).await
    }

    pub(crate) async fn review_with(
        &self,
        subject: &str,
        request: &str,
        decision: Decision,
        standing: Option<Standing>,
    ) -> Answer {
        let seen = self.call("GET", &format!("/v1/requests/{request}"), None).await;
        if seen.status != StatusCode::OK {
            return seen;
        }
        let claims = self.claims(request, decision, self.device(subject).principal).await;
        self.give(request, &Claims { standing, ..claims }).await
    }

    /// What a client would sign about a request that its user may see.
    pub(crate) async fn claims(&self, request: &str, decision: Decision, reviewer: PrincipalId) -> Claims {
        let seen: RequestView = self.call("GET", &format!("/v1/requests/{request}"), None).await.json();
        Claims {
            request: seen.request.id,
            subject: SubjectText::read(seen.subject).unwrap().digest(),
            reviewer,
            decision,
            reason: None,
            standing: None,
            iat: self.bench.hand.now().as_second(),
        }
    }

    pub(crate) async fn give(&self, request: &str, claims: &Claims) -> Answer {
        let proof = crate::wire::review::sign(&self.key, claims).unwrap();
        let path = format!("/v1/requests/{request}/reviews");
        self.call("POST", &path, Some(json!({"proof": proof}))).await
    }

    pub(crate) fn device(&self, subject: &str) -> Device {
        let principal = PrincipalId {
            provider: ProviderName::new("corp").unwrap(),
            subject: crate::domain::principal::Subject::new(subject).unwrap(),
        };
        let enrolled = self.bench.hand.now();
        let id = self.key.thumbprint();
        Device { id, principal, host: "laptop".into(), enrolled, revoked: None, confirmed_by: None }
    }
}

/// An answer of the API.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) kind: Option<String>,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The problem that it must be.
    pub(crate) fn problem(&self) -> Problem {
        assert_eq!(self.kind.as_deref(), Some("application/problem+json"), "{}", self.text());
        self.json()
    }
}

pub(crate) fn exchange_request(proof: &str, token: &str, kind: &str) -> Request<Body> {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", GRANT_TYPE_EXCHANGE)
        .append_pair("subject_token", token)
        .append_pair("subject_token_type", kind)
        .append_pair("host", "laptop")
        .finish();
    Request::builder()
        .method("POST")
        .uri(TOKEN)
        .header("dpop", proof)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form))
        .unwrap()
}

pub(crate) fn policy(text: &str) -> Policy {
    Policy::compile(&[PolicySource { name: "test".into(), text: text.into() }]).unwrap()
}

pub(crate) fn target() -> Target {
    Target {
        name: TargetName::new("db").unwrap(),
        description: "a database".into(),
        labels: BTreeMap::new(),
        owner: None,
        record: RecordLevel::Full,
        kind: TargetKind::Postgres(PostgresTarget {
            host: "localhost".into(),
            port: 5432,
            database: "app".into(),
            also_databases: BTreeSet::new(),
            tls: UpstreamTls::Disable,
            issuer: LeaseIssuer::Static {
                user: "app".into(),
                password: SecretSource::Env("PASSWORD".into()),
            },
            grants: Vec::new(),
            fields: BTreeMap::new(),
            masks: Vec::new(),
            objects: false,
            replication: false,
            trusted_functions: BTreeSet::new(),
            max_connections: 2,
        }),
    }
}

pub(crate) fn config(data: &std::path::Path, text: &str) -> Config {
    let target = target();
    Config {
        data_dir: data.to_owned(),
        listen: SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 0),
        public_url: Url::parse("https://broker.example").unwrap(),
        tls: None,
        metrics_listen: None,
        trusted_proxies: Vec::new(),
        strangers_per_address: 256,
        session_max: Duration::from_secs(8 * 3600),
        login_idle: Duration::from_secs(600),
        strict_ledger: false,
        providers: vec![ProviderConfig {
            name: ProviderName::new("corp").unwrap(),
            issuer: Url::parse(ISSUER).unwrap(),
            client_id: CLIENT.into(),
            scopes: vec!["openid".into()],
            groups_claim: "groups".into(),
            groups: BTreeSet::from([GroupName::new("corp/dba").unwrap()]),
            groups_required: false,
        }],
        workloads: vec![WorkloadConfig {
            name: ProviderName::new("ci").unwrap(),
            issuer: Url::parse(ISSUER).unwrap(),
            audience: "https://broker.example".into(),
            rules: vec![WorkloadRule {
                claims: BTreeMap::from([("repository".into(), "org/app".into())]),
                groups: BTreeSet::from([GroupName::new("ci/deploy").unwrap()]),
                session_max: Duration::from_secs(1800),
                owner: None,
            }],
        }],
        targets: BTreeMap::from([(target.name.clone(), target)]),
        reviews: crate::broker::config::ReviewsConfig::default(),
        webhooks: Vec::new(),
        policy: policy(text),
    }
}
