//! Hands credentials to SDKs at the loopback, as a container's host does.
//!
//! Job: answer `GET /credentials` with what the gateway gave, and ask it again when less than a third of their life is
//! left. SDKs wait for two seconds, and people who review for minutes: so the question goes on when the SDK has gone,
//! and its next attempt finds the answer. Boundary: what the gateway gave is in memory only; every question to it is a
//! verdict and an entry there. Failure mode: the gateway's no, with its status.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::io::DuplexStream;
use tokio::sync::Mutex;

use super::given::Given;
use crate::client::link::LinkError;
use crate::client::loopback::Opener;
use crate::client::loopback::refusal::Refusal;
use crate::client::tunnel::Stream;
use crate::gateway::clock::Clock;
use crate::wire::control::ProblemCode;

/// The host of a session's credentials. Clones share what was given.
#[derive(Clone)]
pub struct Teller(Arc<Inner>);

struct Inner {
    secret: SecretString,
    clock: Clock,
    /// What leads to the gateway.
    opener: Arc<dyn Opener>,
    /// What was given, and when. Held while the gateway is asked.
    given: Mutex<Option<(Given, Timestamp)>>,
}

impl Teller {
    /// Hands out what the gateway gives over these tunnels.
    #[must_use]
    pub fn new(secret: SecretString, clock: Clock, opener: Arc<dyn Opener>) -> Self {
        Self(Arc::new(Inner { secret, clock, opener, given: Mutex::default() }))
    }

    /// Credentials that last; asks the gateway where there are none.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn give(&self) -> Result<Given, LinkError> {
        let teller = Arc::clone(&self.0);
        // whoever asks may go away; the question goes on
        let asked = tokio::spawn(async move { teller.ask().await });
        asked.await.unwrap_or_else(|error| Err(LinkError::Malformed(error.to_string())))
    }
}

impl Inner {
    async fn ask(&self) -> Result<Given, LinkError> {
        let mut given = self.given.lock().await;
        let now = self.clock.now();
        if let Some((given, _)) = given.as_ref().filter(|(given, since)| given.lasts(*since, now)) {
            return Ok(given.clone());
        }
        let fresh = Given::fetch(&self.opener, &self.secret).await?;
        *given = Some((fresh.clone(), self.clock.now()));
        Ok(fresh)
    }
}

impl Opener for Teller {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Stream>, Refusal>> {
        let (near, far) = tokio::io::duplex(HEAD);
        tokio::spawn(serve(self.clone(), far));
        Box::pin(std::future::ready(Ok(Box::new(near) as Box<dyn Stream>)))
    }
}

/// Serves one connection of an SDK's; ends with it.
async fn serve(teller: Teller, io: DuplexStream) {
    let service = service_fn(move |request| {
        let teller = teller.clone();
        async move { Ok::<_, Infallible>(answer(&teller, &request).await) }
    });
    let mut server = http1::Builder::new();
    server.max_buf_size(HEAD).timer(TokioTimer::new());
    if let Err(error) = server.serve_connection(TokioIo::new(io), service).await {
        tracing::debug!(%error, "an SDK's connection ended badly");
    }
}

async fn answer(teller: &Teller, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    // INVARIANT: every use without the session's secret is refused
    if !is_open(request.headers(), &teller.0.secret) {
        return refused(
            StatusCode::UNAUTHORIZED,
            "NotYourSession",
            "the call does not carry the session's secret",
        );
    }
    if request.method() != Method::GET || request.uri().path() != "/credentials" {
        return refused(StatusCode::NOT_FOUND, "NotFound", "there is GET /credentials and nothing else");
    }
    match teller.give().await {
        Ok(given) => respond(StatusCode::OK, given.container().expose_secret().to_owned()),
        Err(LinkError::Problem(problem)) => {
            let (status, code) = match problem.code {
                ProblemCode::Denied => (StatusCode::FORBIDDEN, "AccessDenied"),
                ProblemCode::Revoked => (StatusCode::SERVICE_UNAVAILABLE, "SessionClosed"),
                _ => (StatusCode::BAD_GATEWAY, "NoCredentials"),
            };
            refused(status, code, &problem.title)
        }
        Err(error) => refused(StatusCode::BAD_GATEWAY, "NoCredentials", &error.to_string()),
    }
}

fn refused(status: StatusCode, code: &str, message: &str) -> Response<Full<Bytes>> {
    respond(status, json!({ "code": code, "message": format!("hoopctl: {message}") }).to_string())
}

fn respond(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// Whether `Authorization` is the session's secret. Digests are compared, so that the time that it takes tells nothing.
fn is_open(headers: &HeaderMap, secret: &SecretString) -> bool {
    let mut shown = headers.get_all(AUTHORIZATION).iter();
    match (shown.next(), shown.next()) {
        (Some(value), None) => {
            Sha256::digest(value.as_bytes()) == Sha256::digest(secret.expose_secret().as_bytes())
        }
        _ => false,
    }
}

impl std::fmt::Debug for Teller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Teller")
    }
}

const HEAD: usize = 16 << 10;

#[cfg(test)]
mod tests;
