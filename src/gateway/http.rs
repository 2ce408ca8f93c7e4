//! One HTTP connection of a session, from its first byte to its last entry.
//!
//! Job: the order of events: admission, calls one after the other or side by side, farewell. Boundary: the transport is
//! hyper's; each step lives in its own module; this one narrates. Failure mode: the client is told why in a
//! problem body (RFC 9457); the API's side is closed.

pub(super) mod answer;
mod api;
pub(super) mod dial;
mod door;
pub(super) mod exchange;
pub mod facts;
pub(super) mod flow;
mod guard;
mod masker;
pub(super) mod pieces;
pub(super) mod reading;
mod refusal;
pub(super) mod reply;
mod secrets;
pub(super) mod shared;
pub(super) mod shown;
mod specification;
pub(super) mod stream;
pub(super) mod terms;
mod upgrade;
mod wash;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONNECTION;
use http::{HeaderValue, StatusCode};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use self::api::Api;
use self::guard::Guard;
use self::shared::{Behind, Shared};
pub(super) use self::specification::Specifications;
use self::stream::Crew;
use super::authority::Admission;
use super::deps::Deps;
use super::entrance;
use super::hold::Seat;
use crate::domain::device::Device;
use crate::domain::name::SessionId;
use crate::domain::session::CloseReason;
use crate::domain::target::TargetKind;

/// How long a client that was told to go may take to read that.
const TELLING: Duration = Duration::from_millis(500);
/// How much of a head or a piece of a body is held at once.
const BUFFER: usize = 64 * 1024;
const MOST_HEADERS: usize = 128;
/// How much of one stream may be on its way to us (HTTP/2); of all streams of a connection, twice that.
const WINDOW: u32 = 1024 * 1024;

/// Serves one connection; returns when it is over.
pub(super) async fn serve<S>(deps: &Deps, io: S, session: &SessionId, device: &Device)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Admission { context, permit, connection, closing, slot } = match deps.authority.admit(session, device)
    {
        Ok(admission) => admission,
        Err(refusal) => return tracing::debug!(%session, %refusal, "no admission"),
    };
    let TargetKind::Http(target) = &context.target.kind else { return };
    let seat = Seat { login: target.issuer.login(), database: target.base.to_string() };
    let turnstile = match entrance::begin_with_tasks(deps, &context, connection, seat) {
        Ok(turnstile) => turnstile,
        Err(error) => {
            tracing::error!(%session, %error, "a connection could not be entered");
            return deps.authority.close(session, CloseReason::LedgerUnwritable);
        }
    };
    let specification = deps.specifications.of(target).await;
    let api = Api::new(&context, target, &turnstile, specification, permit);
    let shared = Shared::new(deps, context, Behind::Api(Box::new(api)), turnstile, closing);
    attend(deps, io, &shared, connection).await;
    drop(slot);
}

/// Serves a connection that was let in, up to its last entry.
pub(super) async fn attend<S>(deps: &Deps, io: S, shared: &Arc<Shared>, connection: u32)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    converse(io, shared).await;
    end(deps, shared, connection).await;
}

/// Speaks with the client until one of the two has had enough.
async fn converse<S>(io: S, shared: &Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let session = &shared.context.id;
    let guard = Guard::default();
    let service = service_fn(|mut request| {
        let (shared, guard) = (Arc::clone(shared), guard.clone());
        if let Err(fault) = guard.check(&request) {
            request.extensions_mut().insert(fault);
        }
        async move {
            let mut answer = exchange::answer(&shared, request).await;
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                guard.release();
            } else if guard.fault().is_some() {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let server = stream::server(Crew(Arc::clone(shared)));
    let serving = server.serve_connection_with_upgrades(TokioIo::new(guard.around(io)), service);
    let mut serving = std::pin::pin!(serving);
    let over = tokio::select! {
        end = serving.as_mut() => Some(end),
        () = shared.over() => None,
    };
    match over {
        Some(Ok(())) => {}
        Some(Err(error)) => {
            tracing::debug!(%session, %error, "the connection ended");
            if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
                refusal::enter_unread(shared, guard.fault()).await;
            }
        }
        None => {
            serving.as_mut().graceful_shutdown();
            let _in_time = tokio::time::timeout(TELLING, serving).await;
        }
    }
}

/// Waits for what was upgraded, closes the recording and makes the last entry.
async fn end(deps: &Deps, shared: &Shared, connection: u32) {
    let mut tasks = shared.tasks();
    let over = async {
        shared.over().await;
        tokio::time::sleep(TELLING).await;
    };
    let mut over = std::pin::pin!(over);
    while !tasks.is_empty() {
        tokio::select! {
            () = async { while tasks.join_next().await.is_some() {} } => {}
            () = over.as_mut() => break,
        }
        // what has ended may have begun something
        tasks = shared.tasks();
    }
    shared.stop(tasks).await;
    if let Err(error) = shared.settle().await {
        tracing::error!(session = %shared.context.id, %error, "how calls ended could not be recorded");
    }
    entrance::end(deps, &shared.context, &shared.turnstile, connection).await;
}
