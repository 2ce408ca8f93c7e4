//! The API over HTTPS.
//!
//! Job: serve the paths of `wire::control` and turn a request into a tunnel. Boundary: recognises
//! the caller, calls the core, words the answer; decides nothing itself. Failure mode: problem
//! details (RFC 9457) for every error; slow, large and too many peers are cut off before they cost.

mod approvals;
mod caller;
mod devices;
mod fault;
mod health;
mod ledger;
mod listen;
mod login;
mod sessions;
mod strangers;
mod targets;
mod tether;
mod tunnel;

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post};

pub(crate) use listen::serve;

use self::fault::Fault;
use crate::broker::app::TunnelHandler;
use crate::broker::app::core::Core;
use crate::wire::control::{
    DEVICES, GRANTS, INFO, LEDGER, LEDGER_HEAD, LOGOUT, PENDING_DEVICES, REQUESTS, SESSIONS, STANDING,
    TARGETS, TOKEN, WHOAMI,
};

/// What every handler has at hand.
#[derive(Clone)]
struct Service {
    core: Arc<Core>,
    tunnels: Arc<dyn TunnelHandler>,
}

/// The API of the one port.
pub(crate) fn router(core: Arc<Core>, tunnels: Arc<dyn TunnelHandler>) -> Router {
    Router::new()
        .route(INFO, get(login::info))
        .route(TOKEN, post(login::token))
        .route(LOGOUT, post(login::logout))
        .route(WHOAMI, get(login::whoami))
        .route(TARGETS, get(targets::list))
        .route(&format!("{TARGETS}/{{name}}"), get(targets::explain))
        .route(SESSIONS, get(sessions::list).post(sessions::open))
        .route(&format!("{SESSIONS}/{{id}}"), get(sessions::show).delete(sessions::close))
        .route(&format!("{SESSIONS}/{{id}}/tunnel"), get(tunnel::open))
        .route(&format!("{SESSIONS}/{{id}}/tether"), get(tether::hold))
        .route(&format!("{SESSIONS}/{{id}}/recording"), get(sessions::recording))
        .route(&format!("{SESSIONS}/{{id}}/recording/end"), get(sessions::session_end))
        .route(&format!("{SESSIONS}/{{id}}/recording/{{connection}}/end"), get(sessions::connection_end))
        .route(&format!("{SESSIONS}/{{id}}/recording/{{connection}}/{{chunk}}"), get(sessions::chunk))
        .route(&format!("{SESSIONS}/{{id}}/recording/{{connection}}/{{chunk}}/proof"), get(sessions::proof))
        .route(DEVICES, get(devices::list))
        .route(PENDING_DEVICES, get(devices::pending).post(devices::confirm))
        .route(&format!("{DEVICES}/{{id}}"), delete(devices::revoke))
        .route(REQUESTS, get(approvals::list).post(approvals::ask))
        .route(&format!("{REQUESTS}/{{id}}"), get(approvals::show).delete(approvals::withdraw))
        .route(&format!("{REQUESTS}/{{id}}/reviews"), post(approvals::review))
        .route(GRANTS, get(approvals::grants))
        .route(&format!("{GRANTS}/{{id}}"), delete(approvals::revoke_grant))
        .route(STANDING, get(approvals::standing))
        .route(&format!("{STANDING}/{{id}}"), delete(approvals::revoke_standing))
        .route(LEDGER_HEAD, get(ledger::head))
        .route(&format!("{LEDGER}/{{*path}}"), get(ledger::file))
        .route("/.well-known/jwks.json", get(health::keys))
        .route("/.well-known/openid-configuration", get(health::discovery))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .fallback(async || Fault::no_page())
        .method_not_allowed_fallback(async || Fault::wrong_method())
        .with_state(Service { core, tunnels })
}

/// What the address for metrics serves.
pub(crate) fn metrics_router(core: Arc<Core>) -> Router {
    Router::new()
        .route("/metrics", get(health::metrics))
        .fallback(async || Fault::no_page())
        .method_not_allowed_fallback(async || Fault::wrong_method())
        .with_state(core)
}

#[cfg(test)]
mod tests;
