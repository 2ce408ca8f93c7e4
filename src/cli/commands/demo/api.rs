//! An HTTP API of reasoning traces, as the demo and the tests need one: a real server, in a process of its own.
//!
//! Job: pages, single traces, an export of everything, events, and an echo that shows what a call looks like when it
//! arrives. Boundary: loopback only, one key, nothing is ever changed. Failure mode: without the key 401.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use axum::body::{Body, Bytes};
use axum::extract::{Path as Segment, Query, Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use futures_util::stream;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use super::seed::{ROWS, Trace};
use crate::cli::failure::{Failure, FailureKind};

/// Serves the API until the process is ended.
///
/// # Errors
/// When the address is not loopback or taken, or the file holds no key.
pub async fn serve(listen: SocketAddr, key: &Path) -> Result<u8, Failure> {
    let failed = |what: String| Failure::new(FailureKind::Configuration, what);
    if !listen.ip().is_loopback() {
        return Err(failed(format!("`{listen}` is not a loopback address")));
    }
    let text =
        std::fs::read_to_string(key).map_err(|error| failed(format!("`{}`: {error}", key.display())))?;
    let key: SecretString = text.trim().into();
    if key.expose_secret().is_empty() {
        return Err(failed("the file of the key is empty".to_owned()));
    }
    let failed = |error: std::io::Error| failed(format!("`{listen}`: {error}"));
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    axum::serve(listener, router(key)).await.map_err(failed)?;
    Ok(0)
}

fn router(key: SecretString) -> Router {
    Router::new()
        .route("/v1/traces", get(page))
        .route("/v1/traces/export", get(export))
        .route("/v1/traces/{id}", get(one))
        .route("/v1/events", get(events))
        .route("/v1/echo", any(echo))
        .layer(from_fn_with_state(key, keyed))
}

/// RFC 6750 §3.
async fn keyed(State(key): State<SecretString>, request: Request, next: Next) -> Response {
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given.and_then(|given| given.strip_prefix("Bearer ")) == Some(key.expose_secret()) {
        return next.run(request).await;
    }
    let challenge = [("www-authenticate", "Bearer realm=\"traces\"")];
    (StatusCode::UNAUTHORIZED, challenge, Json(json!({ "error": "a key is needed" }))).into_response()
}

#[derive(Deserialize)]
struct Page {
    limit: Option<u32>,
    after: Option<u32>,
    project: Option<String>,
}

async fn page(Query(page): Query<Page>) -> Response {
    let limit = usize::try_from(page.limit.unwrap_or(20).min(ROWS)).unwrap_or_default();
    let wanted = |document: &Value| {
        page.project.as_deref().is_none_or(|project| document.pointer("/project") == Some(&project.into()))
    };
    let from = page.after.unwrap_or_default().saturating_add(1);
    let traces: Vec<Value> =
        (from..=ROWS).map(|id| Trace::make(id).document()).filter(wanted).take(limit).collect();
    let next = traces.last().and_then(|last| last.pointer("/id")).cloned();
    Json(json!({ "traces": traces, "next": next })).into_response()
}

async fn one(Segment(id): Segment<u32>) -> Response {
    if (1..=ROWS).contains(&id) {
        return Json(Trace::make(id).document()).into_response();
    }
    (StatusCode::NOT_FOUND, Json(json!({ "error": "there is no such trace" }))).into_response()
}

/// All of them, a line each.
async fn export() -> Response {
    let lines =
        (1..=ROWS).map(|id| Ok::<_, std::convert::Infallible>(format!("{}\n", Trace::make(id).document())));
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(stream::iter(lines))).into_response()
}

/// A few traces as they would be told to somebody who watches.
async fn events() -> Response {
    let event = |id: u32| {
        let mut text = format!("id: {id}\nevent: trace\n");
        // a string takes whatever is written
        let _written = writeln!(text, "data: {}\n", Trace::make(id).document());
        Ok::<_, std::convert::Infallible>(text)
    };
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(stream::iter((1..=EVENTS).map(event)))).into_response()
}

/// The call, as it arrived.
async fn echo(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let text = |value: &HeaderValue| Value::from(String::from_utf8_lossy(value.as_bytes()).into_owned());
    let headers: Map<String, Value> =
        headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let body = String::from_utf8_lossy(&body);
    Json(json!({ "method": method.as_str(), "target": uri.to_string(), "headers": headers, "body": body }))
        .into_response()
}

const EVENTS: u32 = 5;
