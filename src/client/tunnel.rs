//! One connection to the gateway.
//!
//! Job: TLS 1.3 to the broker's port, HTTP Upgrade, and a second TLS inside when the first did not
//! end at the gateway's pinned key. Boundary: hands back a stream of bytes and knows nothing of what
//! they mean. Failure mode: [`TunnelError`]; a peer that does not hold the pinned key gets nothing.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONNECTION, HOST, UPGRADE, USER_AGENT};
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use rustix::net::sockopt;
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::api::{Api, is_stale};
use super::link::{self, Link, LinkError};
use super::login::LoginError;
use super::trust::{self, Pin};
use crate::domain::name::{Digest, SessionId};
use crate::gateway::tls::{Buffered, buffered};
use crate::wire::control::{self, Problem, TETHER_PROTOCOL, TUNNEL_INNER, TUNNEL_PROTOCOL};
use crate::wire::dpop;

/// Bytes to and from the gateway.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Why there is no tunnel.
#[derive(Debug, Error)]
pub enum TunnelError {
    /// The inner TLS failed: what answers does not hold the gateway's key.
    #[error("what answers inside the tunnel does not hold the gateway's key: {0}")]
    Gateway(io::Error),
    /// The broker failed or refused.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// There is no login any more.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// It took too long.
    #[error("the broker did not answer within {} seconds", OPEN_TIMEOUT.as_secs())]
    Timeout,
    /// Something between does not let tunnels through.
    #[error("the tunnel was answered with status {0} instead of an upgrade")]
    Upgrade(StatusCode),
}

/// A connection to the broker that is made before it is needed: while the session is opened and the
/// user's own program starts.
#[derive(Debug)]
pub struct Ahead {
    dialled: JoinHandle<Result<TlsStream<Buffered>, LinkError>>,
    since: Timestamp,
}

impl Ahead {
    /// Begins to connect.
    #[must_use]
    pub fn dial(api: &Arc<Api>) -> Self {
        let since = api.context().clock.now();
        let api = Arc::clone(api);
        Self { dialled: tokio::spawn(async move { dial(api.link()).await }), since }
    }

    /// The connection, unless it failed, hangs, or is so old that the broker may have hung up.
    async fn take(mut self, now: Timestamp) -> Option<TlsStream<Buffered>> {
        if now.duration_since(self.since) >= STALE {
            return None;
        }
        let dialled = tokio::time::timeout(AHEAD_TIMEOUT, &mut self.dialled).await;
        dialled.ok()?.ok()?.ok()
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.dialled.abort();
    }
}

/// Opens one connection of a session, over the one that was made ahead if there is one.
///
/// # Errors
/// [`TunnelError`].
pub async fn open(
    api: &Api,
    session: &SessionId,
    gateway: &Digest,
    ahead: Option<Ahead>,
) -> Result<Box<dyn Stream>, TunnelError> {
    let work = async {
        let access = api.access().await?;
        let ahead = match ahead {
            Some(ahead) => ahead.take(api.context().clock.now()).await,
            None => None,
        };
        let was_ahead = ahead.is_some();
        let outer = match ahead {
            Some(outer) => outer,
            None => dial(api.link()).await?,
        };
        let access = match attempt(api, session, gateway, &access, outer).await {
            Err(TunnelError::Link(error)) if is_stale(&error) => api.renew(&access).await?,
            // nobody answers there any more
            Err(TunnelError::Link(LinkError::Unreachable { .. })) if was_ahead => access,
            other => return other,
        };
        let outer = dial(api.link()).await?;
        attempt(api, session, gateway, &access, outer).await
    };
    tokio::time::timeout(OPEN_TIMEOUT, work).await.map_err(|_| TunnelError::Timeout)?
}

async fn attempt(
    api: &Api,
    session: &SessionId,
    gateway: &Digest,
    access: &super::login::Access,
    outer: TlsStream<Buffered>,
) -> Result<Box<dyn Stream>, TunnelError> {
    let direct = outer.get_ref().1.peer_certificates().and_then(<[_]>::first).and_then(|der| Pin::of(der));
    let inner = if direct.is_some_and(|pin| pin.digest() == *gateway) { "none" } else { "tls" };

    let upgraded = upgrade(api, session, access, outer, (TUNNEL_PROTOCOL, Some(inner))).await?;
    if inner == "none" {
        return Ok(Box::new(upgraded));
    }
    let config = trust::gateway_config(gateway).map_err(|error| LinkError::Tls(error.to_string()))?;
    let name = ServerName::try_from(GATEWAY_NAME).map_err(|error| LinkError::Tls(error.to_string()))?;
    let stream =
        TlsConnector::from(Arc::new(config)).connect(name, upgraded).await.map_err(TunnelError::Gateway)?;
    Ok(Box::new(stream))
}

/// Ties a session to the life of this process: returns when the connection is gone, or was refused. An attempt to make
/// the tie is given up after `patience`, for the broker waits some seconds only, and another way there may be open.
///
/// # Errors
/// [`TunnelError`].
pub async fn tether(api: &Api, session: &SessionId, patience: Duration) -> Result<(), TunnelError> {
    let attempt = async |access: &super::login::Access| {
        let work = async {
            let outer = dial(api.link()).await?;
            upgrade(api, session, access, outer, (TETHER_PROTOCOL, None)).await
        };
        tokio::time::timeout(patience, work).await.map_err(|_| TunnelError::Timeout)?
    };
    // what the provider is asked for may take longer than the broker waits
    let access = match api.identity().at_hand(api.context().clock.now()) {
        Some(access) => access,
        None => api.access().await?,
    };
    let mut held = match attempt(&access).await {
        Err(TunnelError::Link(error)) if is_stale(&error) => attempt(&api.renew(&access).await?).await?,
        other => other?,
    };
    let mut ignored = [0; 16];
    loop {
        tokio::select! {
            read = held.read(&mut ignored) => if !matches!(read, Ok(1..)) {
                return Ok(());
            },
            // whatever is in between must not take it for forgotten
            () = tokio::time::sleep(KEEPALIVE) => if held.write_all(b".").await.is_err() || held.flush().await.is_err() {
                return Ok(());
            },
        }
    }
}

/// Turns a connection into what is spoken at a path of the session: the protocol, and the kind of a tunnel's inside.
async fn upgrade(
    api: &Api,
    session: &SessionId,
    access: &super::login::Access,
    outer: TlsStream<Buffered>,
    (protocol, inner): (&str, Option<&str>),
) -> Result<TokioIo<Upgraded>, TunnelError> {
    let kind = if inner.is_some() { "tunnel" } else { "tether" };
    let path = format!("{}/{session}/{kind}", control::SESSIONS);
    let url = dpop::endpoint(api.link().url(), &path);
    let caller = api.caller(access);
    let mut request = Request::builder()
        .method(Method::GET)
        .uri(url.path())
        .header(HOST, authority(&url))
        .header(USER_AGENT, link::USER_AGENT)
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, protocol)
        .header(AUTHORIZATION, link::authorization(&access.token)?)
        .header(link::PROOF, api.link().prove(caller, "GET", &path)?);
    if let Some(inner) = inner {
        request = request.header(TUNNEL_INNER, inner);
    }
    let request =
        request.body(Empty::<Bytes>::new()).map_err(|error| LinkError::Malformed(error.to_string()))?;

    let unreachable = |error: hyper::Error| LinkError::Unreachable {
        url: Box::new(api.link().url().clone()),
        cause: link::chain(&error),
    };
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .handshake(TokioIo::new(outer))
        .await
        .map_err(unreachable)?;
    tokio::spawn(connection.with_upgrades());
    let response = sender.send_request(request).await.map_err(unreachable)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refusal(response).await);
    }
    Ok(TokioIo::new(hyper::upgrade::on(response).await.map_err(unreachable)?))
}

async fn dial(link: &Link) -> Result<TlsStream<Buffered>, LinkError> {
    let url = link.url();
    let unreachable =
        |error: io::Error| LinkError::Unreachable { url: Box::new(url.clone()), cause: error.to_string() };
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let port = url.port_or_known_default().unwrap_or(443);
    let socket = TcpStream::connect((host, port)).await.map_err(unreachable)?;
    socket.set_nodelay(true).map_err(unreachable)?;
    let keepalive = || -> rustix::io::Result<()> {
        sockopt::set_socket_keepalive(&socket, true)?;
        sockopt::set_tcp_keepidle(&socket, KEEPALIVE)?;
        sockopt::set_tcp_keepintvl(&socket, KEEPALIVE)?;
        sockopt::set_tcp_keepcnt(&socket, 3)
    };
    keepalive().map_err(|errno| unreachable(errno.into()))?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| LinkError::Tls(error.to_string()))?;
    let connector = TlsConnector::from(Arc::clone(link.tls()));
    connector.connect(name, buffered(socket)).await.map_err(|error| link.explain_io(&error))
}

async fn refusal(response: hyper::Response<hyper::body::Incoming>) -> TunnelError {
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_PROBLEM).collect().await.map(|body| body.to_bytes());
    match body.ok().and_then(|bytes| serde_json::from_slice::<Problem>(&bytes).ok()) {
        Some(problem) => LinkError::Problem(Box::new(problem)).into(),
        None => TunnelError::Upgrade(status),
    }
}

fn authority(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The gateway is known by its key; the name only fills the field.
const GATEWAY_NAME: &str = "gateway.hoopctl.internal";
const KEEPALIVE: Duration = Duration::from_secs(30);
const MAX_PROBLEM: usize = 64 << 10;
/// The broker waits ten seconds for a request on a new connection.
const STALE: SignedDuration = SignedDuration::from_secs(8);
/// A connection that was begun ahead and is not there by then is begun anew.
const AHEAD_TIMEOUT: Duration = Duration::from_secs(2);
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);
