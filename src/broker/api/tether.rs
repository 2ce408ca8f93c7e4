//! A request that ties a session to the life of its client.
//!
//! Job: hold an upgraded connection for as long as the client does, and close the session when the system of a client
//! that was killed has closed it. Boundary: nothing is said here; what is sent is thrown away. Failure mode: a line that
//! breaks is no end: the client has some seconds to tie itself again, and one whose silence nobody explained is left to
//! its login.

use std::io::ErrorKind;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::Service;
use super::caller::Named;
use super::fault::Fault;
use super::listen::PATIENCE;
use super::tunnel::asks_for;
use crate::broker::authn::Caller;
use crate::broker::sessions::Tether;
use crate::domain::name::SessionId;
use crate::domain::session::CloseReason;
use crate::wire::control::TETHER_PROTOCOL;

pub(super) async fn hold(
    State(service): State<Service>,
    caller: Caller,
    Named(id): Named<String>,
    mut request: Request<Body>,
) -> Result<Response, Fault> {
    let id = SessionId::new(id).map_err(|_| Fault::unknown("session"))?;
    if !asks_for(TETHER_PROTOCOL, request.headers()) {
        return Err(Fault::bad_request(format!("this path wants `Upgrade: {TETHER_PROTOCOL}`")));
    }
    let tether = service.core.sessions.tether(&id, &caller.device)?;
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, upgrade).await else { return };
        if ends(TokioIo::new(stream), tether).await {
            expect(&service, &id, GRACE).await;
        }
    });
    let headers = [
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::UPGRADE, HeaderValue::from_static(TETHER_PROTOCOL)),
    ];
    Ok((StatusCode::SWITCHING_PROTOCOLS, headers).into_response())
}

/// Closes a session whose client said that it would tie itself and does not.
pub(super) async fn first(service: &Service, id: &SessionId) {
    expect(service, id, FIRST).await;
}

async fn expect(service: &Service, id: &SessionId, within: Duration) {
    tokio::time::sleep(within).await;
    let sessions = &service.core.sessions;
    if sessions.is_open(id) && !sessions.is_tethered(id) {
        tracing::info!(session = %id, "its client is gone");
        sessions.close(id, CloseReason::ClientEnded);
    }
}

/// Waits for the end; whether the client's system closed the connection.
async fn ends(mut stream: impl AsyncRead + Unpin, mut tether: Tether) -> bool {
    let mut ignored = [0; 64];
    loop {
        let read = tokio::select! {
            read = stream.read(&mut ignored) => read,
            () = tether.stopped() => return false,
        };
        match read {
            Ok(0) => return true,
            Ok(_) => {}
            // a client that was killed says no goodbye in TLS
            Err(error) => {
                return matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset);
            }
        }
    }
}

/// How long a client whose line was cut has to come back.
const GRACE: Duration = Duration::from_secs(8);
/// How long one that has just opened a session has to come.
const FIRST: Duration = Duration::from_secs(20);
