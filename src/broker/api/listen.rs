//! The port.
//!
//! Job: accept, TLS, HTTP/1.1 with upgrades. Boundary: knows no path. Failure mode: a peer that does
//! not finish its handshake or its request head in time is cut off; beyond the cap of all connections
//! new peers wait in the kernel's queue, beyond that of one address they are closed. What is no HTTP, or
//! has too large a head, hyper answers with a bare 400 or 431: it ends the connection before it asks
//! anybody for an answer, so there is no problem document.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, Request};
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::caller::{Peer, forwarded, is_proxy};
use super::fault::Fault;
use super::strangers::{Stranger, Strangers};
use crate::broker::app::core::Core;
use crate::gateway::dial::keep_alive;
use crate::gateway::tls::buffered;

/// How long a handshake, a request head or a body may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Serves a listener until told to stop.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    core: Arc<Core>,
    mut stop: watch::Receiver<bool>,
) {
    let crowd = Strangers::default();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // dropping the set, as stopping this task does, ends the connections
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => break,
        };
        while connections.try_join_next().is_some() {}
        let Ok((socket, peer)) = accepted else {
            // out of descriptors, most likely: let some come free
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        if let Err(error) = socket.set_nodelay(true).and_then(|()| keep_alive(&socket)) {
            tracing::debug!(%error, "no TCP_NODELAY, or nothing that notices a client that vanished");
        }
        let config = core.config();
        let stranger = match is_proxy(peer.ip().to_canonical(), &config) {
            true => None,
            false => match crowd.admit(peer.ip(), config.strangers_per_address) {
                Some(stranger) => Some(stranger),
                None => {
                    core.metrics.turned_away.inc();
                    tracing::debug!(%peer, "too many connections from this address");
                    continue;
                }
            },
        };
        let guest = Guest { peer: Peer(peer), stranger, crowd: crowd.clone(), core: Arc::clone(&core) };
        let (tls, router, stop) = (tls.clone(), router.clone(), stop.clone());
        connections.spawn(async move {
            let _place = place;
            let Some(tls) = tls else { return talk(socket, guest, router, stop).await };
            match tokio::time::timeout(PATIENCE, TlsAcceptor::from(tls).accept(buffered(socket))).await {
                Ok(Ok(stream)) => talk(stream, guest, router, stop).await,
                Ok(Err(error)) => tracing::debug!(peer = %guest.peer.0, %error, "handshake failed"),
                Err(_) => tracing::debug!(peer = %guest.peer.0, "handshake took too long"),
            }
        });
    }
    // what is being answered is answered
    let finish = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(PATIENCE, finish).await;
}

/// Who is at the other end of a connection.
struct Guest {
    peer: Peer,
    /// The place of the connection; none for a proxy, whose requests count one by one.
    stranger: Option<Stranger>,
    crowd: Strangers,
    core: Arc<Core>,
}

impl Guest {
    /// The place that a request holds until somebody is recognised by it; none is left for its address
    /// when there is nothing.
    fn place(&self, headers: &HeaderMap) -> Option<Stranger> {
        if let Some(stranger) = &self.stranger {
            return Some(stranger.clone());
        }
        let config = self.core.config();
        let address = forwarded(self.peer.0.ip().to_canonical(), headers, &config);
        self.crowd.admit(address, config.strangers_per_address)
    }
}

async fn talk<S>(stream: S, guest: Guest, router: Router, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let routes = TowerToHyperService::new(router);
    let peer = guest.peer;
    let service = service_fn(move |mut request: Request<Incoming>| {
        let place = guest.place(request.headers());
        let metrics = Arc::clone(&guest.core.metrics);
        let answer = place.map(|place| {
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(place.clone());
            (routes.call(request), place)
        });
        async move {
            let answer = match answer {
                Some((answer, place)) => {
                    let answer = answer.await;
                    drop(place);
                    answer
                }
                None => {
                    metrics.turned_away.inc();
                    Ok(Fault::too_many("too many calls from this address at a time").into_response())
                }
            };
            if let Ok(answer) = &answer {
                metrics.answered(answer.status().as_u16());
            }
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        _ = stop.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(peer = %peer.0, %error, "connection ended");
    }
}

/// Connections that talk HTTP; one that became a tunnel counts no longer.
const MAX_CONNECTIONS: usize = 4096;
const MAX_HEAD: usize = 32 * 1024;
