//! Sessions: opened, listed, closed, and their recordings.

use std::collections::HashMap;

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Service;
use super::caller::{Named, body, number};
use super::fault::Fault;
use crate::broker::authn::Caller;
use crate::domain::action::Action;
use crate::domain::name::{SessionId, TargetName};
use crate::domain::session::{CloseReason, Session, SessionState};
use crate::wire::control::{EntryProof, KILL, Listing, OpenSession, OpenedSession, RecordingIndex, SIZE};

pub(super) async fn list(
    State(service): State<Service>,
    caller: Caller,
) -> Result<Json<Listing<Session>>, Fault> {
    let who = caller.principal();
    let config = service.core.config();
    let audited: HashMap<&TargetName, bool> = config
        .targets
        .iter()
        .map(|(name, target)| (name, service.core.may(who, target, &Action::Audit)))
        .collect();
    let is_visible = |session: &Session| {
        session.principal == who.id || audited.get(&session.target).copied().unwrap_or_default()
    };
    Ok(Json(Listing { items: service.core.sessions.list(is_visible)? }))
}

pub(super) async fn open(
    State(service): State<Service>,
    caller: Caller,
    request: Request<Body>,
) -> Result<Json<OpenedSession>, Fault> {
    let bytes = body(request.into_body()).await?;
    let ask: OpenSession = serde_json::from_slice(&bytes).map_err(|error| {
        Fault::bad_request("the request is not what this path takes").detail(error.to_string())
    })?;
    let opened = service.core.open(&caller, &ask).await?;
    if ask.tethered {
        let id = opened.session.clone();
        tokio::spawn(async move { super::tether::first(&service, &id).await });
    }
    Ok(Json(opened))
}

pub(super) async fn show(
    State(service): State<Service>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<Session>, Fault> {
    Ok(Json(visible(&service, &caller, &id)?))
}

pub(super) async fn close(
    State(service): State<Service>,
    caller: Caller,
    Named(id): Named<String>,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Fault> {
    let session = find(&service, &id)?;
    let who = caller.principal();
    let reason = if session.principal != who.id {
        let config = service.core.config();
        let target = config.targets.get(&session.target);
        if !target.is_some_and(|target| service.core.may(who, target, &Action::Kill)) {
            return Err(Fault::unknown("session"));
        }
        CloseReason::Killed
    } else if session.device == caller.device.id && query.as_deref() != Some(KILL) {
        CloseReason::ClientEnded
    } else {
        CloseReason::Killed
    };
    if !matches!(session.state, SessionState::Closed { .. }) {
        service.core.sessions.close(&session.id, reason);
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn recording(
    State(service): State<Service>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<RecordingIndex>, Fault> {
    let session = visible(&service, &caller, &id)?;
    let has_closed = matches!(session.state, SessionState::Closed { .. });
    let connections = service.core.archive.recording(&session.id, has_closed).await;
    let connections = connections.map_err(|error| Fault::unread(&error))?;
    Ok(Json(RecordingIndex { session, connections }))
}

pub(super) async fn chunk(
    State(service): State<Service>,
    caller: Caller,
    Named((id, connection, chunk)): Named<(String, String, String)>,
) -> Result<Response, Fault> {
    let session = visible(&service, &caller, &id)?;
    let (Ok(connection), Ok(chunk)) = (connection.parse(), chunk.parse()) else {
        return Err(Fault::unknown("chunk"));
    };
    let bytes = service.core.archive.chunk(&session.id, connection, chunk).await;
    let bytes = bytes.map_err(|error| Fault::unread(&error))?.ok_or_else(|| Fault::unknown("chunk"))?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

pub(super) async fn proof(
    State(service): State<Service>,
    caller: Caller,
    Named((id, connection, chunk)): Named<(String, String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<EntryProof>, Fault> {
    let session = visible(&service, &caller, &id)?;
    let size = number(query.as_deref(), SIZE)?;
    let (Ok(connection), Ok(chunk)) = (connection.parse(), chunk.parse()) else {
        return Err(Fault::unknown("chunk"));
    };
    let proof = service.core.archive.chunk_proof(&session.id, connection, chunk, size).await;
    Ok(Json(proof.map_err(|error| Fault::unread(&error))?.ok_or_else(|| Fault::unknown("chunk"))?))
}

pub(super) async fn session_end(
    State(service): State<Service>,
    caller: Caller,
    Named(id): Named<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<EntryProof>, Fault> {
    end(&service, &caller, (&id, None), query.as_deref()).await
}

pub(super) async fn connection_end(
    State(service): State<Service>,
    caller: Caller,
    Named((id, connection)): Named<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<EntryProof>, Fault> {
    let connection = connection.parse().map_err(|_| Fault::unknown("connection"))?;
    end(&service, &caller, (&id, Some(connection)), query.as_deref()).await
}

async fn end(
    service: &Service,
    caller: &Caller,
    (id, connection): (&str, Option<u32>),
    query: Option<&str>,
) -> Result<Json<EntryProof>, Fault> {
    let session = visible(service, caller, id)?;
    let size = number(query, SIZE)?.ok_or_else(|| {
        Fault::bad_request("the size of the head is not named, under which it is to be proven")
    })?;
    let proof = service.core.archive.end_proof(&session.id, connection, size).await;
    Ok(Json(proof.map_err(|error| Fault::unread(&error))?.ok_or_else(|| Fault::unknown("entry"))?))
}

/// The session, if the caller may see it: theirs, or on a target that they audit.
fn visible(service: &Service, caller: &Caller, id: &str) -> Result<Session, Fault> {
    let session = find(service, id)?;
    let who = caller.principal();
    if session.principal == who.id || service.core.may_audit(who, &session.target) {
        Ok(session)
    } else {
        Err(Fault::unknown("session"))
    }
}

fn find(service: &Service, id: &str) -> Result<Session, Fault> {
    let id = SessionId::new(id).map_err(|_| Fault::unknown("session"))?;
    service.core.sessions.look(&id)?.ok_or_else(|| Fault::unknown("session"))
}
