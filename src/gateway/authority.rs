//! What the gateway asks: may this session, with which credential?

use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;
use thiserror::Error;
use tokio::sync::watch;

use crate::domain::device::Device;
use crate::domain::event::Actor;
use crate::domain::name::{Digest, SessionId};
use crate::domain::policy::{Permit, SessionPolicy};
use crate::domain::principal::Principal;
use crate::domain::session::CloseReason;
use crate::domain::target::Target;

/// Decides for the gateway. Implemented by the broker.
pub trait Authority: Send + Sync + 'static {
    /// A tunnel for this session has arrived; counts it as one connection until the returned
    /// [`Admission`] is dropped.
    ///
    /// The caller has already checked the tunnel's access token; this checks that the session is
    /// live, belongs to the token's device, and has connections left.
    ///
    /// # Errors
    /// A [`Refusal`], which says what to tell the client.
    fn admit(&self, session: &SessionId, device: &Device) -> Result<Admission, Refusal>;

    /// The policy in force, prepared for this session. It is asked for every statement, and made
    /// anew when [`Authority::policy`] changes.
    fn session_policy(&self, context: &SessionContext) -> SessionPolicy;

    /// Mints the session's lease, or returns the one it has.
    fn lease<'a>(&'a self, context: &'a SessionContext) -> BoxFuture<'a, Result<Lease, LeaseError>>;

    /// Closes the session for a reason found on the data path.
    fn close(&self, session: &SessionId, reason: CloseReason);

    /// The digest of the policy in force; changes when policy is reloaded.
    fn policy(&self) -> Digest;

    /// Whether read-only statements, too, wait until their entry is on the disk.
    fn strict(&self) -> bool;
}

/// A connection of a session, let in.
#[derive(Debug)]
pub struct Admission {
    /// What the gateway needs to know of the session.
    pub context: Arc<SessionContext>,
    /// The permit to open one upstream connection.
    pub permit: Permit,
    /// Which connection of the session this is, counted from 1.
    pub connection: u32,
    /// Turns into a reason when the session must close; traffic stops within a second.
    pub closing: watch::Receiver<Option<CloseReason>>,
    /// Gives the connection's place back when dropped.
    pub slot: Slot,
}

/// Gives a connection's place in its session back when dropped.
pub struct Slot(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Slot {
    /// Wraps what is to be done when the connection ends.
    pub fn new(release: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(release)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(release) = self.0.take() {
            release();
        }
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Slot")
    }
}

/// What the gateway needs to know of a session. Fixed for the session's life, except for policy.
#[derive(Debug)]
pub struct SessionContext {
    /// The session.
    pub id: SessionId,
    /// Who opened it; groups as of the opening.
    pub principal: Principal,
    /// Who and from where, as the ledger wants it.
    pub actor: Actor,
    /// The target.
    pub target: Arc<Target>,
    /// When the session ends at the latest.
    pub expires: Timestamp,
    /// The user name that clients give at the loopback: printable, at most 63 bytes.
    pub loopback_user: String,
    /// The loopback secret as a SCRAM-SHA-256 verifier in PostgreSQL's form
    /// (`SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`); the secret itself is not kept.
    pub verifier: String,
    /// The key for statement digests of this session's target.
    pub digest_key: SecretString,
}

/// A credential of the resource, alive as long as its session.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The role to log in as.
    pub user: String,
    /// Its password; sent only inside SCRAM.
    pub password: SecretString,
    /// Until when it opens connections.
    pub expires: Timestamp,
}

/// Why a tunnel is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The session is closed, for this reason.
    #[error("the session has closed: {}", .0.sentence())]
    Closed(CloseReason),
    /// The session holds as many connections as its target allows.
    #[error("the session already holds as many connections as its target allows")]
    TooManyConnections,
    /// There is no such session for this device. Reads the same as somebody else's session.
    #[error("there is no such session")]
    Unknown,
}

/// Why no lease could be had.
#[derive(Debug, Error)]
pub enum LeaseError {
    /// The database refused or could not be reached.
    #[error("the database could not be prepared for this session: {0}")]
    Upstream(String),
    /// The administrator's secret could not be fetched.
    #[error("the administrator's secret could not be fetched: {0}")]
    Secret(String),
    /// The minted role could read a protected column (design §3.3).
    #[error("the role of this session could read the protected column {0}")]
    OverPrivileged(String),
    /// The state could not be stored or entered.
    #[error("the lease could not be entered: {0}")]
    Journal(String),
}
