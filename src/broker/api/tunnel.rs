//! A request that becomes a tunnel.
//!
//! Job: check the caller, the session and the upgrade, answer 101 and hand the bytes to the gateway.
//! Failure mode: everything that can be refused is refused before 101, in words.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::TokioIo;

use super::Service;
use super::caller::Named;
use super::fault::Fault;
use super::listen::PATIENCE;
use crate::broker::authn::Caller;
use crate::domain::name::SessionId;
use crate::wire::control::{TUNNEL_INNER, TUNNEL_PROTOCOL};

pub(super) async fn open(
    State(service): State<Service>,
    caller: Caller,
    Named(id): Named<String>,
    mut request: Request<Body>,
) -> Result<Response, Fault> {
    let id = SessionId::new(id).map_err(|_| Fault::unknown("session"))?;
    if !asks_for(TUNNEL_PROTOCOL, request.headers()) {
        return Err(Fault::bad_request(format!("this path wants `Upgrade: {TUNNEL_PROTOCOL}`")));
    }
    let inner = match request.headers().get(TUNNEL_INNER).and_then(|value| value.to_str().ok()) {
        Some("tls") => true,
        Some("none") => false,
        _ => return Err(Fault::bad_request(format!("`{TUNNEL_INNER}` must be `tls` or `none`"))),
    };
    let place = service.core.sessions.tunnel(&id, &caller.device)?;
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match tokio::time::timeout(PATIENCE, upgrade).await {
            Ok(Ok(stream)) => {
                service.tunnels.serve(Box::new(TokioIo::new(stream)), id, caller.device, inner).await;
            }
            Ok(Err(error)) => tracing::debug!(session = %id, %error, "upgrade failed"),
            Err(_) => tracing::debug!(session = %id, "upgrade took too long"),
        }
        drop(place);
    });
    let headers = [
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::UPGRADE, HeaderValue::from_static(TUNNEL_PROTOCOL)),
    ];
    Ok((StatusCode::SWITCHING_PROTOCOLS, headers).into_response())
}

pub(super) fn asks_for(protocol: &str, headers: &HeaderMap) -> bool {
    let has = |name: header::HeaderName, wanted: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>();
        values.iter().flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case(wanted))
    };
    has(header::CONNECTION, "upgrade") && has(header::UPGRADE, protocol)
}
