//! One connection of a session on an account of AWS.
//!
//! Job: choose what is served by how the target is reached. Boundary: each way lives in its own module. Failure mode: a
//! way that this version does not know is closed.

mod credentials;

use tokio::io::{AsyncRead, AsyncWrite};

use super::deps::Deps;
use crate::domain::device::Device;
use crate::domain::name::SessionId;
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
        AwsAccessMode::Gateway => tracing::error!(%session, "this version signs no calls"),
    }
}
