//! One session, from its opening to its close.
//!
//! Job: opens it at the broker, keeps its login alive, opens its tunnels, closes it. Boundary: the
//! secret goes to whoever launches the child and is not kept. Failure mode: a session that cannot
//! be closed here is closed by the broker when its login goes silent.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::api::{Api, ApiError};
use super::link::LinkError;
use super::loopback::Opener;
use super::loopback::refusal::Refusal;
use super::tunnel::{self, Stream, TunnelError};
use crate::domain::name::{Digest, GrantId, SessionId};
use crate::wire::control::ProblemCode;

/// A session of ours.
#[derive(Debug)]
pub struct LiveSession {
    api: Arc<Api>,
    /// Its id.
    pub id: SessionId,
    /// Its protocol.
    pub protocol: String,
    /// The user to give at the loopback.
    pub user: String,
    /// The database to name at the loopback.
    pub database: String,
    /// When it ends at the latest.
    pub expires: Timestamp,
    gateway: Digest,
    stop: watch::Sender<bool>,
    keeper: JoinHandle<()>,
}

impl LiveSession {
    /// Opens a session; the secret is for the child.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn open(api: &Arc<Api>, target: &str) -> Result<(Self, SecretString), ApiError> {
        let opened = api.open_session(target).await?;
        let (stop, _) = watch::channel(false);
        let keeper = tokio::spawn(keep(Arc::clone(api), opened.expires, stop.clone()));
        let session = Self {
            api: Arc::clone(api),
            id: opened.session,
            protocol: opened.protocol,
            user: opened.user,
            database: opened.database,
            expires: opened.expires,
            gateway: opened.gateway_key,
            stop,
            keeper,
        };
        Ok((session, opened.secret.into()))
    }

    /// Opens the session's tunnels.
    #[must_use]
    pub fn opener(&self) -> Arc<dyn Opener> {
        Arc::new(Tunnels { api: Arc::clone(&self.api), id: self.id.clone(), gateway: self.gateway.clone() })
    }

    /// Holds true once the session has reached its expiry or is being closed.
    #[must_use]
    pub fn stopped(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// The grant that it stands on, as far as the broker says so.
    pub async fn grant(&self) -> Option<GrantId> {
        let told = tokio::time::timeout(CLOSE_TIMEOUT, self.api.session(&self.id)).await;
        told.ok()?.ok()?.grant
    }

    /// Closes the session here and at the broker.
    ///
    /// # Errors
    /// [`ApiError`]; the session has ended on this machine all the same.
    pub async fn close(self) -> Result<(), ApiError> {
        self.stop.send_replace(true);
        self.keeper.abort();
        let closed = tokio::time::timeout(CLOSE_TIMEOUT, self.api.close_session(&self.id)).await;
        match closed {
            // it ended by itself meanwhile
            Ok(Err(ApiError::Link(LinkError::Problem(problem))))
                if matches!(problem.code, ProblemCode::Revoked | ProblemCode::Unknown) =>
            {
                Ok(())
            }
            Ok(other) => other,
            Err(_) => Err(LinkError::Unreachable {
                url: Box::new(self.api.link().url().clone()),
                cause: "it did not confirm the end of the session".into(),
            }
            .into()),
        }
    }
}

struct Tunnels {
    api: Arc<Api>,
    id: SessionId,
    gateway: Digest,
}

impl Opener for Tunnels {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Stream>, Refusal>> {
        Box::pin(async {
            tunnel::open(&self.api, &self.id, &self.gateway).await.map_err(|error| refusal(&error))
        })
    }
}

/// A tunnel that failed, as a PostgreSQL client wants to hear it.
fn refusal(error: &TunnelError) -> Refusal {
    let code = match error {
        TunnelError::Link(LinkError::Problem(problem)) => match problem.code {
            ProblemCode::Conflict
            | ProblemCode::Denied
            | ProblemCode::LoginNeeded
            | ProblemCode::ReviewNeeded
            | ProblemCode::Revoked
            | ProblemCode::Unknown => "28000",
            ProblemCode::BadRequest | ProblemCode::Internal | ProblemCode::Unavailable => "08006",
        },
        TunnelError::Login(_) => "28000",
        TunnelError::Gateway(_) | TunnelError::Link(_) | TunnelError::Timeout | TunnelError::Upgrade(_) => {
            "08006"
        }
    };
    let detail = match error {
        TunnelError::Link(LinkError::Problem(problem)) => problem.detail.as_deref().map(|d| format!(": {d}")),
        _ => None,
    };
    Refusal { code, message: format!("hoopctl: {error}{}", detail.unwrap_or_default()) }
}

/// Shows the broker that the login lives, and stops the loopback at the session's expiry.
async fn keep(api: Arc<Api>, expires: Timestamp, stop: watch::Sender<bool>) {
    loop {
        let left = expires.duration_since(api.context().clock.now());
        let left = Duration::try_from(left).unwrap_or_default();
        if left.is_zero() {
            stop.send_replace(true);
            return;
        }
        // never longer than a keep-alive, so that a machine that slept finds out soon after it wakes
        tokio::time::sleep(left.min(KEEP_ALIVE)).await;
        if left > KEEP_ALIVE
            && let Err(error) = api.keep_alive().await
        {
            tracing::warn!(%error, "the login could not be renewed; the session closes when it has lapsed");
        }
    }
}

const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(240);
