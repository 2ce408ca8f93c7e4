//! Connections to the API.
//!
//! Job: TCP, TLS where the base says so, and hyper's handshake. Boundary: takes a [`Permit`] by value, one
//! for each connection; only the host and port of the target's base are ever dialled, whatever a call says.
//! Failure mode: a [`DialError`]; there is no second try that trusts more.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_util::either::Either;
use url::{Host, Url};

use super::answer::Body;
use super::{BUFFER, MOST_HEADERS};
use crate::domain::name::TargetName;
use crate::domain::policy::Permit;
use crate::domain::target::HttpTarget;
use crate::gateway::authority::HttpCredential;
use crate::gateway::dial::keep_alive;
use crate::gateway::judge::Turnstile;
use crate::gateway::tls::{self, TlsError};

/// Why an API could not be reached.
#[derive(Debug, Error)]
pub(super) enum DialError {
    /// The base names no host.
    #[error("the target's base has no host and port")]
    Base,
    /// The protocol failed.
    #[error("the API speaks no HTTP that fits: {0}")]
    Http(#[from] hyper::Error),
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

/// A connection to the API.
pub(super) type Link = SendRequest<Body>;

/// The connections to the API of one connection of a client: one at a time, used again.
pub(super) struct Upstreams {
    name: TargetName,
    turnstile: Turnstile,
    first: Mutex<Option<Permit>>,
    idle: Mutex<Option<Link>>,
}

impl Upstreams {
    pub(super) fn new(name: TargetName, turnstile: Turnstile, permit: Permit) -> Self {
        Self { name, turnstile, first: Mutex::new(Some(permit)), idle: Mutex::default() }
    }

    /// The connection that was used before, if it can be used again.
    pub(super) async fn idle(&self) -> Option<Link> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut link = idle.filter(|link| !link.is_closed())?;
        // a body that was not read to its end keeps it busy
        let ready = tokio::time::timeout(SETTLING, link.ready()).await;
        matches!(ready, Ok(Ok(()))).then_some(link)
    }

    /// A new connection.
    pub(super) async fn dial(
        &self,
        target: &HttpTarget,
        credential: &HttpCredential,
    ) -> Result<Link, DialError> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let permit = match first {
            Some(permit) => permit,
            None => self.turnstile.gate().another_connection().ok_or(DialError::Permit)?,
        };
        let dialled = dial(permit, &self.name, target, credential);
        tokio::time::timeout(PATIENCE, dialled).await.map_err(|_| DialError::Slow)?
    }

    /// Keeps a connection for the next call.
    pub(super) fn give_back(&self, link: Link) {
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(link);
    }
}

/// INVARIANT: nobody dials without a permit, and a permit opens one connection.
async fn dial(
    permit: Permit,
    name: &TargetName,
    target: &HttpTarget,
    credential: &HttpCredential,
) -> Result<Link, DialError> {
    if permit.target() != name || permit.action() != "connect" {
        return Err(DialError::Permit);
    }
    let (host, port) = place(&target.base).ok_or(DialError::Base)?;
    let socket = TcpStream::connect((host.as_str(), port)).await?;
    socket.set_nodelay(true)?;
    keep_alive(&socket)?;
    let stream = match target.base.scheme() {
        "https" => {
            let config = tls_client(target, credential)?;
            Either::Right(tls::handshake(config, &host, socket).await?)
        }
        _ => Either::Left(socket),
    };
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
    Ok(link)
}

fn tls_client(target: &HttpTarget, credential: &HttpCredential) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = target.root_certificates.as_deref();
    let config = match &credential.client {
        Some((chain, key)) => tls::identified_client(roots, chain, key)?,
        None => tls::verifying_client(roots)?,
    };
    let mut config = ClientConfig::clone(&config);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The one host and port that are dialled.
pub(super) fn place(base: &Url) -> Option<(String, u16)> {
    let host = match base.host()? {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    Some((host, base.port_or_known_default()?))
}
