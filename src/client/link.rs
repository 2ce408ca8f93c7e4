//! One HTTPS call to the broker.
//!
//! Job: requests with proofs of possession, bounded answers, problems as typed errors. Boundary:
//! knows no login; whoever calls brings key and token. Failure mode: [`LinkError`], which tells a
//! broker that cannot be reached from one that is not believed and from one that says no.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt as _;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use url::Url;

use super::trust::{BrokerTrust, Pin, PinnedRoot, Shown};
use crate::gateway::clock::Clock;
use crate::wire::control::{self, BrokerInfo, Problem, TokenRequest, TokenResponse};
use crate::wire::dpop::{self, DeviceKey};

/// A way to one broker.
#[derive(Debug, Clone)]
pub struct Link {
    url: Url,
    http: reqwest::Client,
    trust: Arc<BrokerTrust>,
    tls: Arc<rustls::ClientConfig>,
    clock: Clock,
}

/// Why a call has no good answer.
#[derive(Debug, Error)]
pub enum LinkError {
    /// The answer is not what the API promises.
    #[error("the broker's answer cannot be read: {0}")]
    Malformed(String),
    /// The broker's certificate leads to another root than the pinned one.
    #[error("the broker showed {shown}, but {expected} is pinned for it")]
    PinMismatch {
        /// What is pinned.
        expected: Pin,
        /// What came.
        shown: Pin,
    },
    /// The broker says no.
    #[error("{}", .0.title)]
    Problem(Box<Problem>),
    /// A proof could not be signed.
    #[error(transparent)]
    Proof(#[from] dpop::ProofError),
    /// TLS could not be set up on this side.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// The broker cannot be reached.
    #[error("cannot reach the broker at {url}: {cause}")]
    Unreachable {
        /// Where it should be.
        url: Box<Url>,
        /// What went wrong.
        cause: String,
    },
    /// The broker's certificate leads to no root that this machine believes.
    #[error("the certificate of the broker is not trusted on this machine ({})", .shown.pin)]
    Untrusted {
        /// What it showed.
        shown: Box<Shown>,
    },
}

/// What proves who calls.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// The device key.
    pub key: &'a DeviceKey,
    /// The access token; none for the exchange that gets one.
    pub token: Option<&'a SecretString>,
    /// The URL that proofs must name.
    pub public_url: &'a Url,
}

impl Link {
    /// A way to the broker at `url`, which must show a certificate that leads to what is pinned, or
    /// to one of the system's roots when nothing is.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(url: &Url, pinned: Option<PinnedRoot>, clock: Clock) -> Result<Self, LinkError> {
        let setup = |error: rustls::Error| LinkError::Tls(error.to_string());
        let trust = Arc::new(BrokerTrust::new(pinned).map_err(setup)?);
        let tls = trust.config().map_err(setup)?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .redirect(reqwest::redirect::Policy::none())
            // tunnels cannot pass a proxy either, and the environment is not ours to read
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .user_agent(USER_AGENT)
            .build()
            .map_err(|error| LinkError::Tls(chain(&error)))?;
        Ok(Self { url: url.clone(), http, trust, tls: Arc::new(tls), clock })
    }

    /// Where the broker is.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The TLS set-up, for tunnels.
    #[must_use]
    pub fn tls(&self) -> &Arc<rustls::ClientConfig> {
        &self.tls
    }

    /// What to store so that the same broker is believed the next time without its sending the root.
    #[must_use]
    pub fn pinned(&self) -> Option<PinnedRoot> {
        let pinned = self.trust.pinned()?;
        let shown = self.trust.shown().filter(|shown| shown.pin == pinned.pin).map(|shown| shown.certificate);
        Some(PinnedRoot { pin: pinned.pin, root: shown.or_else(|| pinned.root.clone()) })
    }

    /// What anybody may know of the broker.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn info(&self) -> Result<BrokerInfo, LinkError> {
        let request = self.http.get(dpop::endpoint(&self.url, control::INFO));
        read(self.send(request).await?).await
    }

    /// The same, and what time the broker says it is (RFC 9110 §6.6.1).
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn greet(&self) -> Result<(BrokerInfo, Option<Timestamp>), LinkError> {
        let answer = self.send(self.http.get(dpop::endpoint(&self.url, control::INFO))).await?;
        let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp());
        Ok((read(answer).await?, date))
    }

    /// Exchanges an ID token or a workload's token for an access token.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn exchange(
        &self,
        caller: Caller<'_>,
        form: &TokenRequest,
    ) -> Result<TokenResponse, LinkError> {
        let proof = self.prove(caller, "POST", control::TOKEN)?;
        let request =
            self.http.post(dpop::endpoint(&self.url, control::TOKEN)).header(PROOF, proof).form(form);
        let answer: TokenResponse = read(self.send(request).await?).await?;
        if answer.token_type.eq_ignore_ascii_case("DPoP") {
            Ok(answer)
        } else {
            Err(LinkError::Malformed("the token is not bound to the device key".into()))
        }
    }

    /// Makes a call and reads its JSON answer.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn call<T: DeserializeOwned>(
        &self,
        caller: Caller<'_>,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, LinkError> {
        read(self.request(caller, method, path, body).await?).await
    }

    /// Makes a call whose answer, if any, does not matter.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn order(&self, caller: Caller<'_>, method: Method, path: &str) -> Result<(), LinkError> {
        self.request(caller, method, path, None::<&()>).await.map(drop)
    }

    /// Makes a call and reads its answer as bytes.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn fetch(&self, caller: Caller<'_>, path: &str) -> Result<Vec<u8>, LinkError> {
        bounded(self.request(caller, Method::GET, path, None::<&()>).await?, MAX_FETCH).await
    }

    /// The headers that prove who calls.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn prove(&self, caller: Caller<'_>, method: &str, path: &str) -> Result<String, LinkError> {
        let jti = format!("{:032x}", rand::rng().random::<u128>());
        let token = caller.token.map(ExposeSecret::expose_secret);
        let url = dpop::endpoint(caller.public_url, path);
        Ok(dpop::prove(caller.key, method, &url, token, &jti, self.clock.now())?)
    }

    async fn request(
        &self,
        caller: Caller<'_>,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<reqwest::Response, LinkError> {
        // a query is not part of what the proof names, and must not be escaped into the path
        let (bare, query) = path.split_once('?').map_or((path, None), |(bare, query)| (bare, Some(query)));
        let proof = self.prove(caller, method.as_str(), bare)?;
        let mut url = dpop::endpoint(&self.url, bare);
        url.set_query(query);
        let mut request = self.http.request(method, url).header(PROOF, proof);
        if let Some(token) = caller.token {
            request = request.header("authorization", authorization(token)?);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        self.send(request).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, LinkError> {
        let response = request.send().await.map_err(|error| self.explain(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let bytes = bounded(response, MAX_ANSWER).await?;
        match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => Err(LinkError::Problem(Box::new(problem))),
            // a load balancer in front of a broker that is down answers in its own words
            Err(_) if matches!(status.as_u16(), 502..=504) => Err(LinkError::Unreachable {
                url: Box::new(self.url.clone()),
                cause: format!("something in front of it answers {status}"),
            }),
            Err(_) => Err(LinkError::Malformed(format!("status {status} without a problem document"))),
        }
    }

    /// Tells a certificate that is not believed from a network that does not work.
    fn explain(&self, error: &(dyn std::error::Error + 'static)) -> LinkError {
        if let Some(rustls::Error::InvalidCertificate(_)) = find_tls(error)
            && let Some(error) = self.untrusted()
        {
            return error;
        }
        LinkError::Unreachable { url: Box::new(self.url.clone()), cause: chain(error) }
    }

    /// What to say of a certificate that was refused.
    fn untrusted(&self) -> Option<LinkError> {
        let shown = self.trust.shown()?;
        match self.trust.pinned() {
            Some(pinned) if pinned.pin != shown.pin => {
                Some(LinkError::PinMismatch { expected: pinned.pin, shown: shown.pin })
            }
            // the right root, but a wrong name or date: the cause says which
            Some(_) => None,
            None => Some(LinkError::Untrusted { shown: Box::new(shown) }),
        }
    }

    /// The same for a handshake that a tunnel made.
    #[must_use]
    pub fn explain_io(&self, error: &std::io::Error) -> LinkError {
        self.explain(error)
    }
}

/// The value of `Authorization` for a token.
///
/// # Errors
/// When the token cannot be in a header.
pub fn authorization(token: &SecretString) -> Result<reqwest::header::HeaderValue, LinkError> {
    let mut value = reqwest::header::HeaderValue::from_str(&format!("DPoP {}", token.expose_secret()))
        .map_err(|_| LinkError::Malformed("the access token cannot be sent".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// An error and its causes, each said once.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !parts.iter().any(|said| said.contains(&text)) {
            parts.push(text);
        }
        next = error.source();
    }
    // the outermost layers of HTTP libraries say only that a request failed
    if parts.len() > 1 && parts.first().is_some_and(|first| first.starts_with("error sending request")) {
        parts.remove(0);
    }
    if parts.len() > 1 && parts.first().is_some_and(|first| first.starts_with("client error")) {
        parts.remove(0);
    }
    parts.join(": ")
}

fn find_tls<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        };
    }
    None
}

async fn read<T: DeserializeOwned>(response: reqwest::Response) -> Result<T, LinkError> {
    let bytes = bounded(response, MAX_ANSWER).await?;
    serde_json::from_slice(&bytes).map_err(|error| LinkError::Malformed(error.to_string()))
}

async fn bounded(mut response: reqwest::Response, limit: usize) -> Result<Vec<u8>, LinkError> {
    let mut bytes = Vec::new();
    loop {
        let chunk = response.chunk().await.map_err(|error| LinkError::Malformed(chain(&error)))?;
        let Some(chunk) = chunk else { return Ok(bytes) };
        if bytes.len().saturating_add(chunk.len()) > limit {
            return Err(LinkError::Malformed("it is too long".into()));
        }
        bytes.extend_from_slice(&chunk);
    }
}

/// The header of a proof.
pub const PROOF: &str = "dpop";
/// What the client calls itself.
pub const USER_AGENT: &str = concat!("hoopctl/", env!("CARGO_PKG_VERSION"));

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_ANSWER: usize = 16 << 20;
const MAX_FETCH: usize = 256 << 20;
