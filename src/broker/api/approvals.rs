//! Requests, reviews, grants and standing decisions.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{Request, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Service;
use super::caller::{Named, body};
use super::fault::Fault;
use crate::broker::authn::Caller;
use crate::domain::approval::Grant;
use crate::domain::name::{GrantId, RequestId};
use crate::wire::control::{AskSession, GiveReview, Listing, RequestView, StandingView};

/// What a list of requests is chosen by; an unknown word chooses nothing.
#[derive(Deserialize)]
pub(super) struct Choice {
    scope: Option<String>,
    before: Option<String>,
}

/// How long to wait for a change, in seconds.
#[derive(Deserialize)]
pub(super) struct Patience {
    wait: Option<u64>,
}

pub(super) async fn list(
    State(service): State<Service>,
    caller: Caller,
    Query(choice): Query<Choice>,
) -> Result<Json<Listing<RequestView>>, Fault> {
    let config = service.core.config();
    let before = choice.before.as_deref().map(request).transpose()?;
    let items = match choice.scope.as_deref() {
        Some("mine") | None => service.core.approvals.mine(&config, &caller, before.as_ref())?,
        Some("reviewable") => service.core.approvals.reviewable(&config, &caller, before.as_ref())?,
        Some(_) => return Err(Fault::bad_request("the scope is `mine` or `reviewable`")),
    };
    Ok(Json(Listing { items }))
}

pub(super) async fn ask(
    State(service): State<Service>,
    caller: Caller,
    call: Request<Body>,
) -> Result<Json<RequestView>, Fault> {
    let ask: AskSession = read(call).await?;
    let config = service.core.config();
    let id = service.core.approvals.ask(&config, &caller, &ask).await?;
    Ok(Json(service.core.approvals.view(&config, &caller, &id)?))
}

pub(super) async fn show(
    State(service): State<Service>,
    caller: Caller,
    Named(id): Named<String>,
    Query(patience): Query<Patience>,
) -> Result<Json<RequestView>, Fault> {
    let id = request(&id)?;
    if let Some(seconds) = patience.wait {
        let patience = Duration::from_secs(seconds.min(MAX_WAIT));
        service.core.approvals.wait(&service.core.config(), &caller, &id, patience).await?;
    }
    Ok(Json(service.core.approvals.view(&service.core.config(), &caller, &id)?))
}

pub(super) async fn withdraw(
    State(service): State<Service>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<StatusCode, Fault> {
    let id = request(&id)?;
    service.core.approvals.withdraw(Some(caller.actor()), &caller.principal().id, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn review(
    State(service): State<Service>,
    caller: Caller,
    Named(id): Named<String>,
    call: Request<Body>,
) -> Result<Json<RequestView>, Fault> {
    let id = request(&id)?;
    let given: GiveReview = read(call).await?;
    service.core.review(&caller, &id, &given.proof).await?;
    Ok(Json(service.core.approvals.view(&service.core.config(), &caller, &id)?))
}

pub(super) async fn grants(
    State(service): State<Service>,
    caller: Caller,
) -> Result<Json<Listing<Grant>>, Fault> {
    Ok(Json(Listing { items: service.core.approvals.grants(&service.core.config(), &caller)? }))
}

pub(super) async fn revoke_grant(
    State(service): State<Service>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<StatusCode, Fault> {
    let id = GrantId::new(id).map_err(|_| Fault::unknown("grant"))?;
    service.core.revoke_grant(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn standing(
    State(service): State<Service>,
    caller: Caller,
) -> Result<Json<Listing<StandingView>>, Fault> {
    Ok(Json(Listing { items: service.core.approvals.standing_views(&service.core.config(), &caller)? }))
}

pub(super) async fn revoke_standing(
    State(service): State<Service>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<StatusCode, Fault> {
    let id = RequestId::new(id).map_err(|_| Fault::unknown("standing decision"))?;
    service.core.approvals.revoke_standing(&service.core.config(), &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn request(id: &str) -> Result<RequestId, Fault> {
    RequestId::new(id).map_err(|_| Fault::unknown("request"))
}

async fn read<T: DeserializeOwned>(call: Request<Body>) -> Result<T, Fault> {
    let bytes = body(call.into_body()).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Fault::bad_request("the request is not what this path takes").detail(error.to_string())
    })
}

/// How long a caller may be kept waiting, in seconds: less than proxies do.
const MAX_WAIT: u64 = 30;
