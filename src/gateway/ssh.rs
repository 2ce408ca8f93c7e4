//! One SSH connection of a session, from its first byte to its last entry.
//!
//! Job: the order of events: admission, proof of the session's key, channels, farewell. Boundary: the
//! transport is russh's; each step lives in its own module; this one narrates. Failure mode: the client is
//! told why in the protocol's own words; the host's side is closed.

mod allowed;
mod boxes;
mod channel;
mod client;
mod destination;
mod dial;
mod display;
mod docket;
mod files;
mod front;
mod mail;
mod shared;
mod supervised;
#[cfg(test)]
mod tests;
mod veil;

use std::sync::Arc;
use std::time::Duration;

use russh::keys::PrivateKey;
use russh::{Disconnect, MethodKind, MethodSet, server};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use self::dial::Upstreams;
use self::front::Front;
use self::shared::Shared;
use super::authority::Admission;
use super::deps::Deps;
use super::detecting;
use super::entrance;
use super::hold::Seat;
use crate::domain::device::Device;
use crate::domain::name::SessionId;
use crate::domain::session::CloseReason;
use crate::domain::target::{SshTarget, TargetKind};

/// How long what runs may take to end after its client has left.
const LEAVING: Duration = Duration::from_secs(6);
/// How long a client that was told to go may take to read that.
const TELLING: Duration = Duration::from_millis(500);

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
    let TargetKind::Ssh(target) = &context.target.kind else { return };
    let detectors = match detecting::compiled(&target.detectors, &target.patterns) {
        Ok(detectors) => detectors,
        // configuration has checked them
        Err(error) => return tracing::error!(%session, %error, "the detectors of the target cannot be used"),
    };
    let host = format!("{}:{}", target.host, target.port);
    let seat = Seat { login: target.login.clone(), database: host };
    let turnstile = match entrance::begin_with_tasks(deps, &context, connection, seat) {
        Ok(turnstile) => turnstile,
        Err(error) => {
            tracing::error!(%session, %error, "a connection could not be entered");
            return deps.authority.close(session, CloseReason::LedgerUnwritable);
        }
    };
    let (upstreams, reversed) = Upstreams::new(
        Arc::clone(&context),
        SshTarget::clone(target),
        Arc::clone(&deps.authority),
        deps.clock.clone(),
        turnstile.clone(),
        permit,
    );
    let shared = Arc::new(Shared::new(
        Arc::clone(&context),
        SshTarget::clone(target),
        turnstile.clone(),
        upstreams,
        detectors,
    ));
    shared.spawn(channel::reversed(Arc::clone(&shared), reversed));
    converse(&deps.host_key, io, &shared, closing.clone()).await;
    shared.boxes.hang_up();
    end(deps, &shared, connection, closing).await;
    drop(slot);
}

/// Speaks with the client until one of the two has had enough.
async fn converse<S>(
    host_key: &PrivateKey,
    io: S,
    shared: &Arc<Shared>,
    mut closing: watch::Receiver<Option<CloseReason>>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let session = &shared.context.id;
    let config = Arc::new(config(host_key));
    let front = Front::new(Arc::clone(shared));
    let mut running = match server::run_stream(config, io, front).await {
        Ok(running) => running,
        Err(error) => return tracing::debug!(%session, %error, "no SSH"),
    };
    let handle = running.handle();
    let why = tokio::select! {
        end = &mut running => {
            if let Err(error) = end {
                tracing::debug!(%session, %error, "the connection ended");
            }
            return;
        }
        reason = reason(&mut closing) => format!("hoopctl: session {session} has closed: {}", reason.sentence()),
        why = shared.broken() => format!("hoopctl: session {session} ends: {why}"),
    };
    // INVARIANT: once a session is over, nothing that waited in line reaches the host any more
    shared.stop().await;
    let _sent = handle.disconnect(Disconnect::ByApplication, why, String::new()).await;
    let _in_time = tokio::time::timeout(TELLING, running).await;
}

async fn reason(closing: &mut watch::Receiver<Option<CloseReason>>) -> CloseReason {
    match closing.wait_for(Option::is_some).await {
        Ok(reason) => reason.unwrap_or(CloseReason::ClientEnded),
        // whoever could close it is gone
        Err(_) => CloseReason::BrokerRestarted,
    }
}

fn config(host_key: &PrivateKey) -> server::Config {
    server::Config {
        methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
        auth_rejection_time: Duration::ZERO,
        keys: vec![host_key.clone()],
        window_size: mail::WINDOW,
        max_auth_attempts: 6,
        inactivity_timeout: None,
        keepalive_interval: Some(Duration::from_secs(30)),
        keepalive_max: 3,
        ..server::Config::default()
    }
}

/// Waits for what runs, closes the recording and makes the last entry.
async fn end(
    deps: &Deps,
    shared: &Shared,
    connection: u32,
    mut closing: watch::Receiver<Option<CloseReason>>,
) {
    let mut tasks = shared.tasks();
    tokio::select! {
        () = async { while tasks.join_next().await.is_some() {} } => {}
        () = tokio::time::sleep(LEAVING) => {}
        _ = reason(&mut closing) => {}
    }
    tasks.shutdown().await;
    entrance::end(deps, &shared.context, &shared.turnstile, connection).await;
}
