//! Tunnels: the streams that carry a session's connections to the gateway.
//!
//! Job: end the inner TLS where there is one, and hand the stream to its protocol. Boundary: whoever
//! calls has checked the tunnel's token and proof. Failure mode: the stream is closed; a panic ends
//! one connection and no other.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use russh::keys::PrivateKey;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use super::authority::Authority;
use super::aws::HeldCalls;
use super::clock::Clock;
use super::deps::Deps;
use super::http::Specifications;
use super::journal::Journal;
use super::parser::Parser;
use super::postgres::cancels::Cancels;
use super::postgres::catalogs::Catalogs;
use super::{aws, http, postgres, ssh};
use crate::domain::device::Device;
use crate::domain::name::SessionId;

/// What runs inside a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inner {
    /// The protocol itself: the outer TLS ended at the gateway's own key.
    Bare,
    /// TLS to the gateway's pinned key, because something in between ended the outer one.
    Tls,
}

/// The gateway's end of all tunnels.
#[derive(Clone)]
pub struct Tunnels {
    deps: Deps,
    inner: TlsAcceptor,
}

/// How long an inner handshake may take.
const PATIENCE: Duration = Duration::from_secs(10);

impl Tunnels {
    /// A gateway that asks this authority and writes to this journal; `host_key` is what it shows inside an SSH
    /// session.
    ///
    /// # Errors
    /// When the system gives no threads for the parser.
    pub fn new(
        authority: Arc<dyn Authority>,
        journal: Arc<dyn Journal>,
        clock: Clock,
        inner: Arc<ServerConfig>,
        host_key: PrivateKey,
    ) -> std::io::Result<Self> {
        let deps = Deps {
            authority,
            journal,
            clock,
            parser: Parser::start()?,
            cancels: Cancels::default(),
            catalogs: Catalogs::default(),
            held: HeldCalls::default(),
            specifications: Specifications::default(),
            host_key: Arc::new(host_key),
        };
        Ok(Self { deps, inner: TlsAcceptor::from(inner) })
    }

    /// Serves one tunnel; returns when it is over.
    pub async fn serve<S>(&self, io: S, session: &SessionId, device: &Device, inner: Inner)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connection = async {
            match inner {
                Inner::Bare => self.speak(io, session, device).await,
                Inner::Tls => match tokio::time::timeout(PATIENCE, self.inner.accept(io)).await {
                    Ok(Ok(stream)) => self.speak(stream, session, device).await,
                    Ok(Err(error)) => tracing::debug!(%session, %error, "no inner TLS"),
                    Err(_) => tracing::debug!(%session, "the inner TLS handshake took too long"),
                },
            }
        };
        // whatever the connection held is dropped, and nothing that others share is poisoned by it
        if AssertUnwindSafe(connection).catch_unwind().await.is_err() {
            tracing::error!(%session, "a connection panicked; it is closed, and the others go on");
        }
    }

    /// Each protocol is one module that serves one connection.
    async fn speak<S>(&self, io: S, session: &SessionId, device: &Device)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match self.deps.authority.target(session, device).map(|target| target.kind.protocol()) {
            Ok("postgres") => postgres::serve(&self.deps, io, session, device).await,
            Ok("aws") => aws::serve(&self.deps, io, session, device).await,
            Ok("http") => http::serve(&self.deps, io, session, device).await,
            Ok("ssh") => ssh::serve(&self.deps, io, session, device).await,
            Ok(other) => tracing::error!(%session, other, "no such protocol here"),
            Err(refusal) => tracing::debug!(%session, %refusal, "the session is over"),
        }
    }
}

impl std::fmt::Debug for Tunnels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tunnels")
    }
}
