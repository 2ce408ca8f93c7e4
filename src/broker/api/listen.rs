//! The port.
//!
//! Job: accept, TLS, HTTP/1.1 with upgrades. Boundary: knows no path. Failure mode: a peer that does
//! not finish its handshake or its request head in time is cut off; beyond the connection cap new
//! peers wait in the kernel's queue.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
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

use super::caller::Peer;
use crate::broker::metrics::Metrics;
use crate::gateway::tls::buffered;

/// How long a handshake, a request head or a body may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Serves a listener until told to stop.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) {
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
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let (tls, router, metrics, stop) = (tls.clone(), router.clone(), Arc::clone(&metrics), stop.clone());
        connections.spawn(async move {
            let _place = place;
            let peer = Peer(peer);
            let Some(tls) = tls else { return talk(socket, peer, router, metrics, stop).await };
            match tokio::time::timeout(PATIENCE, TlsAcceptor::from(tls).accept(buffered(socket))).await {
                Ok(Ok(stream)) => talk(stream, peer, router, metrics, stop).await,
                Ok(Err(error)) => tracing::debug!(peer = %peer.0, %error, "handshake failed"),
                Err(_) => tracing::debug!(peer = %peer.0, "handshake took too long"),
            }
        });
    }
    // what is being answered is answered
    let finish = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(PATIENCE, finish).await;
}

async fn talk<S>(
    stream: S,
    peer: Peer,
    router: Router,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let routes = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let answer = routes.call(request);
        let metrics = Arc::clone(&metrics);
        async move {
            let answer = answer.await;
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
