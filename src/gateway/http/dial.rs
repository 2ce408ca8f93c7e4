//! Connections to the API.
//!
//! Job: TCP, TLS where the base says so, and hyper's handshake, in the version of HTTP that the two agree on. Boundary:
//! takes a [`Permit`] by value, one for each connection; only the host and port of the target's base are ever dialled,
//! whatever a call says. Failure mode: a [`DialError`]; there is no second try that trusts more.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::either::Either;
use url::{Host, Url};

use super::answer::Body;
use super::reading;
use super::{BUFFER, MOST_HEADERS, WINDOW};
use crate::domain::name::TargetName;
use crate::domain::policy::Permit;
use crate::gateway::authority::HttpCredential;
use crate::gateway::dial::keep_alive;
use crate::gateway::judge::Turnstile;
use crate::gateway::tls::{self, TlsError};

/// Why an API could not be reached.
#[derive(Debug, Error)]
pub(in crate::gateway) enum DialError {
    /// The base names no host.
    #[error("the target's base has no host and port")]
    Base,
    /// The protocol failed.
    #[error("the API speaks no HTTP that fits: {0}")]
    Http(#[from] hyper::Error),
    /// It was to speak HTTP/2, and does not.
    #[error("the API does not speak HTTP/2, as the target says that it does")]
    NotHttp2,
    /// There is no permit for another connection any more.
    #[error("policy no longer allows a connection")]
    Permit,
    /// It took too long.
    #[error("the API did not answer within {} seconds", PATIENCE.as_secs())]
    Slow,
    /// The channel is not to be trusted.
    #[error("the API cannot be trusted: {0}")]
    Tls(#[from] TlsError),
    /// No answer, or none that helps.
    #[error("the API cannot be reached: {0}")]
    Unreachable(#[from] io::Error),
}

/// How long a connect and handshake may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a connection may take to be ready again after the answer before.
const SETTLING: Duration = Duration::from_millis(100);

/// How many calls of one connection of a client are with an API that takes one at a time; others wait.
const MOST_LINES: usize = 16;

/// What a call is sent over.
pub(in crate::gateway) enum Link {
    /// One that is shared with other calls.
    Many(http2::SendRequest<Body>),
    /// One that is this call's alone, until it is given back.
    One(http1::SendRequest<Body>, OwnedSemaphorePermit),
}

impl Link {
    /// Sends a call; where nothing of it was sent, the error holds it.
    pub(in crate::gateway) async fn send(
        &mut self,
        mut request: Request<Body>,
        base: &Url,
    ) -> Result<Response<Incoming>, TrySendError<Request<Body>>> {
        match self {
            Self::Many(link) => {
                // RFC 9113 §8.3.1: the place stands in `:authority` alone
                request.headers_mut().remove(HOST);
                if let Some(uri) = full(base, request.uri()) {
                    *request.uri_mut() = uri;
                }
                link.try_send_request(request).await
            }
            Self::One(link, _) => {
                if let Ok(host) = HeaderValue::try_from(reading::place(base)) {
                    request.headers_mut().insert(HOST, host);
                }
                if let Some(resource) = request.uri().path_and_query().cloned() {
                    *request.uri_mut() = Uri::from(resource);
                }
                link.try_send_request(request).await
            }
        }
    }
}

/// Path and query at the base's place.
fn full(base: &Url, uri: &Uri) -> Option<Uri> {
    Uri::builder()
        .scheme(base.scheme())
        .authority(reading::place(base))
        .path_and_query(uri.path_and_query()?.clone())
        .build()
        .ok()
}

/// What a call needs of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum Wanted {
    /// Whatever the API speaks.
    Any,
    /// HTTP/1.1, which alone can be upgraded.
    Upgradable,
}

/// One place that is dialled.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Endpoint {
    /// Scheme, host and port.
    pub(in crate::gateway) base: Url,
    /// PEM file with the trusted roots; the platform's when absent.
    pub(in crate::gateway) root_certificates: Option<PathBuf>,
    /// Whether it speaks nothing but HTTP/2.
    pub(in crate::gateway) only_http2: bool,
}

/// The connections to the API of one connection of a client: one that is shared, or some that are used again.
pub(in crate::gateway) struct Upstreams {
    name: TargetName,
    endpoint: Endpoint,
    turnstile: Turnstile,
    first: Mutex<Option<Permit>>,
    idle: Mutex<Vec<http1::SendRequest<Body>>>,
    shared: Mutex<Option<http2::SendRequest<Body>>>,
    /// Whether the API turned out to speak HTTP/1.1, so that calls dial each for itself.
    is_first_version: AtomicBool,
    turn: tokio::sync::Mutex<()>,
    places: Arc<Semaphore>,
}

impl Upstreams {
    /// Connections to this place; without a permit for the first of them, policy is asked for one.
    pub(in crate::gateway) fn new(
        name: TargetName,
        turnstile: Turnstile,
        permit: Option<Permit>,
        endpoint: Endpoint,
    ) -> Self {
        Self {
            name,
            endpoint,
            turnstile,
            first: Mutex::new(permit),
            idle: Mutex::default(),
            shared: Mutex::default(),
            is_first_version: AtomicBool::new(false),
            turn: tokio::sync::Mutex::default(),
            places: Arc::new(Semaphore::new(MOST_LINES)),
        }
    }

    /// A connection for one call: one that is there, or a new one.
    pub(in crate::gateway) async fn link(
        &self,
        credential: &HttpCredential,
        wanted: Wanted,
    ) -> Result<Link, DialError> {
        if let Some(link) = self.shared(wanted) {
            return Ok(link);
        }
        let place = self.place().await?;
        match self.idle().await {
            Some(link) => Ok(Link::One(link, place)),
            None => self.dial(credential, wanted, place).await,
        }
    }

    /// A new connection, for a call that could not be sent over one that was there.
    pub(in crate::gateway) async fn another(
        &self,
        credential: &HttpCredential,
        wanted: Wanted,
    ) -> Result<Link, DialError> {
        let place = self.place().await?;
        self.dial(credential, wanted, place).await
    }

    /// Where they go.
    pub(in crate::gateway) fn base(&self) -> &Url {
        &self.endpoint.base
    }

    /// Keeps a connection for the next call.
    pub(in crate::gateway) fn give_back(&self, link: Link) {
        // the place is free from here on
        let Link::One(link, _place) = link else { return };
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !link.is_closed() && idle.len() < MOST_LINES {
            idle.push(link);
        }
    }

    /// The connection that calls share, if there is one that they can.
    fn shared(&self, wanted: Wanted) -> Option<Link> {
        if wanted == Wanted::Upgradable {
            return None;
        }
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.clone().filter(|link| !link.is_closed()).map(Link::Many)
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, DialError> {
        // it is never closed
        Arc::clone(&self.places).acquire_owned().await.map_err(|_| DialError::Permit)
    }

    /// A connection that was used before, if it can be used again.
    async fn idle(&self) -> Option<http1::SendRequest<Body>> {
        let mut link = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain(|link| !link.is_closed());
            match idle.iter().rposition(http1::SendRequest::is_ready) {
                Some(ready) => return Some(idle.swap_remove(ready)),
                None => idle.pop()?,
            }
        };
        // a body that was not read to its end keeps it busy
        let ready = tokio::time::timeout(SETTLING, link.ready()).await;
        matches!(ready, Ok(Ok(()))).then_some(link)
    }

    async fn dial(
        &self,
        credential: &HttpCredential,
        wanted: Wanted,
        place: OwnedSemaphorePermit,
    ) -> Result<Link, DialError> {
        // calls that come together are to share what the first of them dials
        let _turn = match self.is_first_version.load(Ordering::Relaxed) || wanted == Wanted::Upgradable {
            true => None,
            false => Some(self.turn.lock().await),
        };
        if let Some(link) = self.shared(wanted) {
            return Ok(link);
        }
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let permit = match first {
            Some(permit) => permit,
            None => self.turnstile.gate().another_connection().ok_or(DialError::Permit)?,
        };
        let dialled = dial(permit, &self.name, &self.endpoint, credential, wanted);
        match tokio::time::timeout(PATIENCE, dialled).await.map_err(|_| DialError::Slow)?? {
            Dialled::One(link) => {
                self.is_first_version.store(true, Ordering::Relaxed);
                Ok(Link::One(link, place))
            }
            Dialled::Many(link) => {
                *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(link.clone());
                Ok(Link::Many(link))
            }
        }
    }
}

enum Dialled {
    Many(http2::SendRequest<Body>),
    One(http1::SendRequest<Body>),
}

/// INVARIANT: nobody dials without a permit, and a permit opens one connection.
async fn dial(
    permit: Permit,
    name: &TargetName,
    target: &Endpoint,
    credential: &HttpCredential,
    wanted: Wanted,
) -> Result<Dialled, DialError> {
    if permit.target() != name || permit.action() != "connect" {
        return Err(DialError::Permit);
    }
    let (host, port) = place(&target.base).ok_or(DialError::Base)?;
    let socket = TcpStream::connect((host.as_str(), port)).await?;
    socket.set_nodelay(true)?;
    keep_alive(&socket)?;
    let (stream, agreed) = match target.base.scheme() {
        "https" => {
            let config = tls_client(target, credential, wanted)?;
            let stream = tls::handshake(config, &host, socket).await?;
            let agreed = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
            (Either::Right(stream), agreed)
        }
        // without TLS nobody agrees on anything: the target knows (RFC 9113 §3.3)
        _ => (Either::Left(socket), target.only_http2),
    };
    if target.only_http2 && !agreed {
        return Err(DialError::NotHttp2);
    }
    if agreed {
        let (link, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(2 * WINDOW)
            .max_header_list_size(HEAD)
            .max_send_buf_size(BUFFER)
            .handshake(TokioIo::new(stream))
            .await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the API's connection ended");
            }
        });
        return Ok(Dialled::Many(link));
    }
    let (link, connection) = http1::Builder::new()
        .max_buf_size(BUFFER)
        .max_headers(MOST_HEADERS)
        .handshake(TokioIo::new(stream))
        .await?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "the API's connection ended");
        }
    });
    Ok(Dialled::One(link))
}

fn tls_client(
    target: &Endpoint,
    credential: &HttpCredential,
    wanted: Wanted,
) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = target.root_certificates.as_deref();
    let config = match &credential.client {
        Some((chain, key)) => tls::identified_client(roots, chain, key)?,
        None => tls::verifying_client(roots)?,
    };
    let mut config = ClientConfig::clone(&config);
    let offered: &[&[u8]] = match (wanted, target.only_http2) {
        (_, true) => &[HTTP_2],
        (Wanted::Any, false) => &[HTTP_2, HTTP_1],
        (Wanted::Upgradable, false) => &[HTTP_1],
    };
    config.alpn_protocols = offered.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}

/// The one host and port that are dialled.
pub(in crate::gateway) fn place(base: &Url) -> Option<(String, u16)> {
    let host = match base.host()? {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    Some((host, base.port_or_known_default()?))
}

const HTTP_1: &[u8] = b"http/1.1";
const HTTP_2: &[u8] = b"h2";
/// How long an answer's head may be in HTTP/2.
const HEAD: u32 = 64 * 1024;
