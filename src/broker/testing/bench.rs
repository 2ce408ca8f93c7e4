//! A broker without a port, and who calls it.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use http_body_util::BodyExt as _;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{Answer, Echo, HOOK_SECRET, Hand, ISSUER, Issuer, Lender, Memory, Shelf, User, Wire, config};
use crate::broker::api;
use crate::broker::app::core::Core;
use crate::broker::app::{Assembled, LeaseKeeper, Parts, assemble};
use crate::broker::config::Config;
use crate::broker::secrets::Secrets;
use crate::broker::store::Store;
use crate::domain::name::SessionId;
use crate::gateway::journal::Journal;
use crate::wire::control::{GRANT_TYPE_EXCHANGE, TOKEN, TOKEN_TYPE_ID, TOKEN_TYPE_JWT, TokenResponse};
use crate::wire::dpop::{DeviceKey, endpoint, prove};

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

fn header(answer: &Response, name: &str) -> Option<String> {
    answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
}
