//! Accounts of AWS behind the gateway.
//!
//! Job: one connection of a session, from its first byte to its last entry. Boundary: transport, order of events, recording and
//! limits are those of [`http`]; what differs is here: signatures instead of a secret, facts in the words of
//! IAM, one endpoint for each service, and a signature anew. Failure mode: the client is told why in the frame of the service
//! that it called; nothing reaches AWS.

mod account;
mod credentials;
pub mod facts;
mod frame;
mod held;
mod meaning;
mod object;
mod reading;
mod sending;
mod upload;

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

pub(in crate::gateway) use self::account::Account;
pub(in crate::gateway) use self::frame::Frame;
pub(super) use self::held::HeldCalls;
pub(in crate::gateway) use self::object::ObjectMasker;
pub(in crate::gateway) use self::reading::{Errand, gather};
use super::authority::Admission;
use super::deps::Deps;
use super::hold::Seat;
use super::http::shared::{Behind, Shared};
use super::{entrance, http};
use crate::domain::device::Device;
use crate::domain::name::SessionId;
use crate::domain::session::CloseReason;
use crate::domain::target::{AwsAccessMode, TargetKind};

/// Serves one connection; returns when it is over.
pub(super) async fn serve<S>(deps: &Deps, io: S, session: &SessionId, device: &Device)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let target = match deps.authority.target(session, device) {
        Ok(target) => target,
        Err(refusal) => return tracing::debug!(%session, %refusal, "the session is over"),
    };
    let TargetKind::Aws(aws) = &target.kind else { return };
    match aws.access {
        AwsAccessMode::Credentials => credentials::serve(deps, io, session, device).await,
        AwsAccessMode::Gateway => sign(deps, io, session, device).await,
    }
}

/// Serves one connection whose calls are signed anew.
async fn sign<S>(deps: &Deps, io: S, session: &SessionId, device: &Device)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Admission { context, permit, connection, closing, slot } = match deps.authority.admit(session, device)
    {
        Ok(admission) => admission,
        Err(refusal) => return tracing::debug!(%session, %refusal, "no admission"),
    };
    let TargetKind::Aws(target) = &context.target.kind else { return };
    if target.access != AwsAccessMode::Gateway {
        return;
    }
    let seat = Seat { login: target.role.clone(), database: target.region.clone() };
    let turnstile = match entrance::begin_with_tasks(deps, &context, connection, seat) {
        Ok(turnstile) => turnstile,
        Err(error) => {
            tracing::error!(%session, %error, "a connection could not be entered");
            return deps.authority.close(session, CloseReason::LedgerUnwritable);
        }
    };
    let account = Account::new(&context, target, &turnstile, permit, deps.held.clone());
    let shared =
        Shared::new(deps, Arc::clone(&context), Behind::Account(Box::new(account)), turnstile, closing);
    http::attend(deps, io, &shared, connection).await;
    drop(slot);
}
