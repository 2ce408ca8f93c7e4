//! The provider's HTTP face.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use axum::extract::{DefaultBodyLimit, Query, Request, State as Extract};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::codes::{INTERVAL, LIFETIME, Login, Miss, Refusal, random_token};
use super::{CLIENT_ID, State, page, tokens};

type Shared = Extract<Arc<State>>;
type Form = HashMap<String, String>;

pub(super) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/jwks", get(jwks))
        .route("/device_authorization", post(authorize_device))
        .route("/token", post(token))
        .route("/revoke", post(revoke))
        .route("/device", get(device_page).post(device_answer))
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .layer(from_fn_with_state(Arc::clone(&state), own_host))
        .with_state(state)
}

/// A page of another site that points its own name at 127.0.0.1 must get nothing here.
async fn own_host(Extract(state): Shared, request: Request, next: Next) -> Response {
    let port = state.address.port();
    let ours = [state.address.to_string(), format!("localhost:{port}")];
    let named = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !ours.iter().any(|host| host == named) {
        return (StatusCode::MISDIRECTED_REQUEST, "this host is not served here\n").into_response();
    }
    let mut response = next.run(request).await;
    if let Ok(no_store) = "no-store".parse() {
        response.headers_mut().insert(CACHE_CONTROL, no_store);
    }
    response
}

/// OpenID Connect Discovery §3 and RFC 8414 §2.
async fn discovery(Extract(state): Shared) -> Response {
    let issuer = state.issuer();
    Json(json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/jwks"),
        "authorization_endpoint": format!("{issuer}/device"),
        "device_authorization_endpoint": format!("{issuer}/device_authorization"),
        "token_endpoint": format!("{issuer}/token"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "grant_types_supported": [DEVICE_GRANT, "refresh_token"],
        "response_types_supported": ["none"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "scopes_supported": ["openid", "profile", "email", "groups", "offline_access"],
        "claims_supported": ["sub", "name", "preferred_username", "email", "groups", "auth_time"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
    }))
    .into_response()
}

async fn jwks(Extract(state): Shared) -> Response {
    Json(state.signer.jwks()).into_response()
}

/// RFC 8628 §3.1.
async fn authorize_device(Extract(state): Shared, body: String) -> Response {
    let form = form(&body);
    if form.get("client_id").map(String::as_str) != Some(CLIENT_ID) {
        return oauth_error("invalid_client");
    }
    let scopes: Vec<&str> = form.get("scope").map(|scope| scope.split(' ').collect()).unwrap_or_default();
    if !scopes.contains(&"openid") {
        return oauth_error("invalid_scope");
    }
    let Some(started) = state.codes().start(state.clock.now(), scopes.contains(&"offline_access")) else {
        return oauth_error("temporarily_unavailable");
    };
    let page = format!("{}/device", state.issuer());
    Json(json!({
        "device_code": started.device_code,
        "user_code": started.user_code,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={}", started.user_code),
        "expires_in": LIFETIME.as_secs(),
        "interval": INTERVAL.as_secs(),
    }))
    .into_response()
}

/// RFC 8628 §3.4 and RFC 6749 §6.
async fn token(Extract(state): Shared, body: String) -> Response {
    let form = form(&body);
    if form.get("client_id").map(String::as_str) != Some(CLIENT_ID) {
        return oauth_error("invalid_client");
    }
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let now = state.clock.now();
    let login = match field("grant_type") {
        DEVICE_GRANT => state.codes().poll(now, field("device_code")),
        "refresh_token" => state.codes().spend_refresh(now, field("refresh_token")),
        _ => return oauth_error("unsupported_grant_type"),
    };
    match login {
        Ok(login) => tokens_for(&state, now, login),
        Err(refusal) => oauth_error(refusal_code(refusal)),
    }
}

fn tokens_for(state: &State, now: Timestamp, login: Login) -> Response {
    // looked up now, so that a removed user or changed groups take effect at the next refresh
    let Some(user) = state.user(&login.user) else {
        return oauth_error("invalid_grant");
    };
    let Ok(id_token) = state.signer.id_token(&state.issuer(), &user, login.signed_in, now) else {
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "error": "server_error" }))).into_response();
    };
    let mut answer = json!({
        "access_token": random_token(),
        "token_type": "Bearer",
        "expires_in": tokens::LIFETIME.as_secs(),
        "id_token": id_token,
    });
    if login.offline
        && let Some(members) = answer.as_object_mut()
    {
        let refresh = state.codes().issue_refresh(now, login);
        members.insert("refresh_token".into(), refresh.into());
    }
    Json(answer).into_response()
}

/// RFC 7009 §2.2: 200 whether the token was known or not.
async fn revoke(Extract(state): Shared, body: String) -> Response {
    let form = form(&body);
    if form.get("client_id").map(String::as_str) != Some(CLIENT_ID) {
        return oauth_error("invalid_client");
    }
    if let Some(token) = form.get("token") {
        state.codes().revoke(token);
    }
    StatusCode::OK.into_response()
}

async fn device_page(Extract(state): Shared, Query(query): Query<Form>) -> Response {
    let Some(code) = query.get("user_code").filter(|code| !code.is_empty()) else {
        return html(StatusCode::OK, &page::enter_code("Type the code that your device shows."));
    };
    let found = state.codes().look_up(state.clock.now(), code);
    if let Err(miss) = found {
        return missed(miss);
    }
    let csrf = random_token();
    let users = state.users.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let locked = page::Locked(state.passcode.is_some());
    let mut response = html(StatusCode::OK, &page::confirm(code, &csrf, &users, locked));
    if let Ok(cookie) = format!("{CSRF_COOKIE}={csrf}; Path=/device; HttpOnly; SameSite=Strict").parse() {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

async fn device_answer(Extract(state): Shared, headers: HeaderMap, body: String) -> Response {
    let form = form(&body);
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    // double submit: another site can make a browser post here, but cannot read or set this cookie
    if field("csrf").is_empty() || csrf_cookie(&headers) != Some(field("csrf")) {
        return html(
            StatusCode::FORBIDDEN,
            &page::enter_code("This form was not opened here. Type the code again."),
        );
    }
    let user = match field("decision") {
        "approve" if !unlocks(&state, field("passcode")) => {
            return html(StatusCode::FORBIDDEN, &page::enter_code("That is not the passcode of this demo."));
        }
        "approve" => match state.user(field("user")) {
            Some(user) => Some(user.name),
            None => return html(StatusCode::BAD_REQUEST, &page::enter_code("There is no such user.")),
        },
        "deny" => None,
        _ => return html(StatusCode::BAD_REQUEST, &page::enter_code("Answer with approve or deny.")),
    };
    let approved = user.is_some();
    let answered = state.codes().answer(state.clock.now(), field("user_code"), user);
    match answered {
        Ok(()) if approved => {
            html(StatusCode::OK, &page::done("Approved", "The device is signed in. You can close this page."))
        }
        Ok(()) => {
            html(StatusCode::OK, &page::done("Denied", "The device was refused. You can close this page."))
        }
        Err(miss) => missed(miss),
    }
}

/// Compared as digests, so that how long it takes tells nothing of the passcode.
fn unlocks(state: &State, given: &str) -> bool {
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    state.passcode.as_ref().is_none_or(|passcode| digest(passcode.expose_secret()) == digest(given))
}

fn csrf_cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get(COOKIE)?.to_str().ok()?;
    cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix(CSRF_COOKIE)?.strip_prefix('='))
}

fn missed(miss: Miss) -> Response {
    match miss {
        Miss::TooMany => {
            let note = "Too many wrong codes. Wait a minute, then try again.";
            html(StatusCode::TOO_MANY_REQUESTS, &page::enter_code(note))
        }
        Miss::Unknown => {
            let note = "This code is not waiting: mistyped, expired or already used.";
            html(StatusCode::NOT_FOUND, &page::enter_code(note))
        }
    }
}

fn html(status: StatusCode, body: &str) -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'";
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, policy)];
    (status, headers, body.to_owned()).into_response()
}

fn form(body: &str) -> Form {
    url::form_urlencoded::parse(body.as_bytes()).into_owned().take(MOST_FIELDS).collect()
}

fn oauth_error(code: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": code }))).into_response()
}

fn refusal_code(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::AccessDenied => "access_denied",
        Refusal::AuthorizationPending => "authorization_pending",
        Refusal::ExpiredToken => "expired_token",
        Refusal::InvalidGrant => "invalid_grant",
        Refusal::SlowDown => "slow_down",
    }
}

const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const CSRF_COOKIE: &str = "hoopctl_demo_csrf";
const MOST_BODY: usize = 16 * 1024;
const MOST_FIELDS: usize = 16;
