//! What the gateway asks: may this session, with which credential?

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;
use thiserror::Error;
use tokio::sync::watch;

use crate::domain::approval::{Review, SubjectText};
use crate::domain::device::Device;
use crate::domain::event::Actor;
use crate::domain::name::{Digest, RequestId, RuleName, SessionId};
use crate::domain::policy::{Hold, Permit, SessionPolicy};
use crate::domain::principal::Principal;
use crate::domain::session::CloseReason;
use crate::domain::target::{Injection, Target};

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

    /// The target of a session that this device may have a tunnel to: which protocol is spoken in it.
    ///
    /// # Errors
    /// A [`Refusal`].
    fn target(&self, session: &SessionId, device: &Device) -> Result<Arc<Target>, Refusal>;

    /// The policy in force, prepared for this session. It is asked for every statement, and made
    /// anew when [`Authority::policy`] changes.
    fn session_policy(&self, context: &SessionContext) -> SessionPolicy;

    /// Mints the session's lease, or returns the one it has.
    fn lease<'a>(&'a self, context: &'a SessionContext) -> BoxFuture<'a, Result<Lease, LeaseError>>;

    /// Files a request for the review of an action that policy holds, and returns once it is stored
    /// and entered. Another session is not held up by it.
    ///
    /// Where a standing decision covers the action or a rule answers for people, the returned
    /// [`Filed::outcome`] is ready at once.
    fn hold(&self, context: &Arc<SessionContext>, held: Held)
    -> BoxFuture<'static, Result<Filed, HoldError>>;

    /// Uses an approval up. It succeeds once for each request, and only while the request is
    /// approved, unexpired, and its session live; its entry is on the disk when it returns.
    ///
    /// # Errors
    /// [`HoldError`]; the action may not be released then.
    fn release<'a>(&'a self, request: &'a RequestId) -> BoxFuture<'a, Result<(), HoldError>>;

    /// Closes the session for a reason found on the data path.
    fn close(&self, session: &SessionId, reason: CloseReason);

    /// The digest of the policy in force; changes when policy is reloaded.
    fn policy(&self) -> Digest;

    /// Whether read-only statements, too, wait until their entry is on the disk.
    fn strict(&self) -> bool;
}

/// An action that policy holds.
#[derive(Debug)]
pub struct Held {
    /// What reviewers will see and sign; its `request` is a fresh random id.
    pub subject: SubjectText,
    /// What policy demands.
    pub hold: Hold,
}

/// A filed request.
pub struct Filed {
    /// What it takes, for people: `1 of corp/dba`.
    pub needs: String,
    /// Until when reviews are awaited.
    pub expires: Timestamp,
    /// What comes of it. Dropping it withdraws the request, unless it has come to an end.
    pub outcome: BoxFuture<'static, Outcome>,
}

/// What came of a request for an action.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Approved by people: check each proof against the subject, then [`Authority::release`].
    Approved(Vec<Review>),
    /// Approved by a standing decision, made in a review of an earlier request: check the proofs
    /// against that subject, and that its shape covers this one; then [`Authority::release`].
    Standing {
        /// The earlier request's subject.
        subject: Box<SubjectText>,
        /// The reviews that approved it, one of which made the standing decision.
        reviews: Vec<Review>,
    },
    /// Approved by this rule, which permits the action `approve`: check that it does, then
    /// [`Authority::release`].
    Rule(RuleName),
    /// A reviewer said no.
    Denied {
        /// What people call them.
        by: String,
        /// Why, in their words.
        reason: Option<String>,
    },
    /// Nobody answered in time.
    Expired,
    /// It was withdrawn with `hoopctl request withdraw`.
    Withdrawn,
    /// Its session closed, or its device or policy was revoked.
    Void,
}

/// Why a held action cannot be reviewed or released.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HoldError {
    /// Nobody could ever review it, or too many are waiting already.
    #[error("{0}")]
    Refused(String),
    /// It is not approved, or its approval was used.
    #[error("the approval is not in force: it was used, revoked, or has expired")]
    NotApproved,
    /// It could not be stored or entered.
    #[error("the request could not be entered: {0}")]
    Journal(String),
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
#[derive(Debug, Clone)]
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
    /// SHA-256 of the loopback secret, for protocols without SCRAM. The secret is 256 random bits.
    pub secret: Digest,
    /// The key that the client made for this session, a line of OpenSSH; for SSH only.
    pub ssh_key: Option<String>,
    /// The target's key, from which the keys of this session's digests are derived.
    pub digest_key: SecretString,
    /// Why it was opened, in the requester's words, when it was asked for.
    pub reason: Option<String>,
    /// What was tried on policy or protected objects, on whichever connection.
    pub attempts: Attempts,
}

/// Attempts of one session to change policy or protected objects. Copies count together.
#[derive(Debug, Clone, Default)]
pub struct Attempts(Arc<AtomicU32>);

impl Attempts {
    /// Counts one; returns how many there are now.
    pub(super) fn count(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }
}

/// A credential of the resource, alive as long as its session.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The role or login that it is for; for HTTP, what the ledger calls it.
    pub user: String,
    /// What proves it.
    pub credential: Credential,
    /// Until when it opens connections.
    pub expires: Timestamp,
}

impl Lease {
    /// The password of a database role; empty, and so of no use, where the lease is of another kind.
    #[must_use]
    pub fn password(&self) -> &SecretString {
        static NONE: LazyLock<SecretString> = LazyLock::new(SecretString::default);
        match &self.credential {
            Credential::Password(password) => password,
            Credential::Aws(_) | Credential::Http(_) | Credential::Ssh { .. } => &NONE,
        }
    }
}

/// What proves a [`Lease`] to its resource.
#[derive(Debug, Clone)]
pub enum Credential {
    /// Keys of AWS.
    Aws(Box<AwsCredential>),
    /// What goes into each HTTP call.
    Http(Box<HttpCredential>),
    /// A database role's password; sent only inside SCRAM.
    Password(SecretString),
    /// A private key of SSH.
    Ssh {
        /// In OpenSSH's form.
        key: SecretString,
        /// The user certificate for it, a line of OpenSSH; without one the key itself is known to the host.
        certificate: Option<String>,
    },
}

/// Temporary keys of AWS.
#[derive(Debug, Clone)]
pub struct AwsCredential {
    /// Names the keys; no secret.
    pub access_key_id: String,
    /// What calls are signed with.
    pub secret_access_key: SecretString,
    /// Goes with each call.
    pub session_token: SecretString,
}

/// What goes into each HTTP call.
#[derive(Debug, Clone, Default)]
pub struct HttpCredential {
    /// Where a secret goes, and the secret.
    pub inject: Option<(Injection, SecretString)>,
    /// Chain and key of a client certificate, each PEM.
    pub client: Option<(String, SecretString)>,
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
    /// AWS gives no credentials, or none may be asked for: asking again is of no use.
    #[error("there are no credentials for this session: {0}")]
    Issuer(String),
    /// AWS could not be asked for credentials, or not now.
    #[error("there are no credentials for this session: {0}")]
    Unreachable(String),
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
