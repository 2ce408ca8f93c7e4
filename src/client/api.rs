//! The broker's API, typed, for somebody who is logged in.
//!
//! Job: one method per call; gets and renews the access token as calls are made. Boundary: no
//! policy, no retries except one with a fresh token. Failure mode: [`ApiError`].

mod approvals;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::sync::Mutex;

pub use approvals::Scope;

use super::ClientContext;
use super::known;
use super::ledger::lookout::Lookout;
use super::ledger::memory::Memory;
use super::ledger::{Head, LedgerError};
use super::link::{Caller, Link, LinkError};
use super::login::{Access, Identity, LoginError};
use crate::domain::device::Device;
use crate::domain::name::{DeviceId, SessionId};
use crate::domain::session::Session;
use crate::ledger::note::VerifierKey;
use crate::wire::control::{
    self, ConfirmDevice, DeviceRevocation, EntryProof, Explanation, Listing, OpenSession, OpenedSession,
    PendingDevice, ProblemCode, RecordingIndex, TargetSummary, WhoAmI,
};

/// Calls to one broker as one identity.
#[derive(Debug)]
pub struct Api {
    context: ClientContext,
    link: Link,
    identity: Identity,
    access: Mutex<Option<Access>>,
    /// Whether the login is renewed where that is needed.
    renews: bool,
    lookout: Lookout,
}

/// Why a call failed.
#[derive(Debug, Error)]
pub enum ApiError {
    /// The broker failed or refused.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// There is no login.
    #[error(transparent)]
    Login(#[from] LoginError),
}

impl Api {
    /// Calls through `link` as `identity`.
    #[must_use]
    pub fn new(context: ClientContext, link: Link, identity: Identity) -> Arc<Self> {
        Arc::new(Self::with(context, link, identity, None))
    }

    /// Calls as `identity` with the access token that an earlier command left, and with no other: for
    /// whoever may be cut off at any moment, and must not spend a refresh token then. `None` when there is none.
    #[must_use]
    pub fn at_hand(context: ClientContext, link: Link, identity: Identity) -> Option<Arc<Self>> {
        let access = identity.at_hand(context.clock.now() + MARGIN)?;
        Some(Arc::new(Self::with(context, link, identity, Some(access))))
    }

    fn with(context: ClientContext, link: Link, identity: Identity, access: Option<Access>) -> Self {
        let renews = access.is_none();
        let lookout = Lookout::new(&context, Memory::new(identity.place().cloned()));
        Self { context, link, identity, access: Mutex::new(access), renews, lookout }
    }

    /// INVARIANT: whenever a login was renewed, its broker's ledger is held against what is remembered of it.
    async fn exchanged(&self, not_before: Timestamp) -> Result<Access, LoginError> {
        if !self.renews {
            return Err(LoginError::Needed(Box::new(self.link.url().clone())));
        }
        let before = self.context.clock.now();
        let access = self.identity.access(&self.link, not_before).await?;
        if access.since >= before {
            self.lookout.glance(&self.link, self.caller(&access)).await.map_err(Box::new)?;
        }
        Ok(access)
    }

    /// What is remembered of the broker's ledger.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        self.lookout.memory()
    }

    /// The head of the ledger now, which extends everything that was seen before; `None` from an older broker, which
    /// shows none. `key` is the one that somebody named.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn head(&self, key: Option<&VerifierKey>) -> Result<Option<Head>, LedgerError> {
        let access = self.access().await.map_err(ApiError::from)?;
        match self.lookout.look(&self.link, self.caller(&access), key).await {
            Err(LedgerError::Api(ApiError::Link(error))) if is_stale(&error) => {
                let access = self.renew(&access).await.map_err(ApiError::from)?;
                self.lookout.look(&self.link, self.caller(&access), key).await
            }
            other => other,
        }
    }

    /// Holds the ledger against what is remembered of it before a session is opened.
    async fn look_out(&self) -> Result<(), ApiError> {
        let access = self.access().await?;
        let looked = match self.lookout.look_once(&self.link, self.caller(&access)).await {
            Err(LedgerError::Api(ApiError::Link(error))) if is_stale(&error) => {
                let access = self.renew(&access).await?;
                self.lookout.look_once(&self.link, self.caller(&access)).await
            }
            other => other,
        };
        looked.map_err(|error| match error {
            LedgerError::Api(error) => error,
            other => LoginError::from(Box::new(other)).into(),
        })
    }

    /// The way to the broker.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Who calls.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What is known of this machine.
    #[must_use]
    pub fn context(&self) -> &ClientContext {
        &self.context
    }

    /// An access token that is good for the next call.
    ///
    /// # Errors
    /// When there is no login.
    pub async fn access(&self) -> Result<Access, LoginError> {
        let mut access = self.access.lock().await;
        let now = self.context.clock.now();
        match &*access {
            Some(known) if known.expires > now + MARGIN => Ok(known.clone()),
            _ => {
                let fresh = self.exchanged(Timestamp::MIN).await?;
                Ok(access.insert(fresh).clone())
            }
        }
    }

    /// Exchanges again unless that was done lately, so that the broker sees that the login lives.
    ///
    /// # Errors
    /// When there is no login any more.
    pub async fn keep_alive(&self) -> Result<(), LoginError> {
        let mut access = self.access.lock().await;
        let not_before = self.context.clock.now() - RENEW;
        *access = Some(self.exchanged(not_before).await?);
        Ok(())
    }

    /// Who the caller is to the broker.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn whoami(&self) -> Result<WhoAmI, ApiError> {
        self.get(control::WHOAMI).await
    }

    /// What the caller may reach.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn targets(&self) -> Result<Vec<TargetSummary>, ApiError> {
        Ok(self.get::<Listing<TargetSummary>>(control::TARGETS).await?.items)
    }

    /// What the caller may reach, and what a rule forbids although a permit covers it.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn all_targets(&self) -> Result<Vec<TargetSummary>, ApiError> {
        let path = format!("{}?{}", control::TARGETS, control::ALL);
        Ok(self.get::<Listing<TargetSummary>>(&path).await?.items)
    }

    /// What is masked, denied, held, recorded and not covered on a target.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn explain(&self, target: &str) -> Result<Explanation, ApiError> {
        self.get(&format!("{}/{}", control::TARGETS, segment(target))).await
    }

    /// Opens a session; `ssh_key` is the public key that the client made for it, where it is one of SSH.
    ///
    /// INVARIANT: nothing is opened at a broker whose ledger is not the one that is remembered.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn open_session(
        &self,
        target: &str,
        ssh_key: Option<String>,
        tethered: bool,
    ) -> Result<OpenedSession, ApiError> {
        self.look_out().await?;
        let host = self.context.host_name.clone();
        let body = OpenSession { target: target.into(), host, ssh_key, tethered };
        self.call(Method::POST, control::SESSIONS, Some(&body)).await
    }

    /// Closes a session.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn close_session(&self, session: &SessionId) -> Result<(), ApiError> {
        self.order(Method::DELETE, &format!("{}/{session}", control::SESSIONS)).await
    }

    /// Ends a session as an operator does, whoever opened it.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn kill_session(&self, session: &SessionId) -> Result<(), ApiError> {
        self.order(Method::DELETE, &format!("{}/{session}?{}", control::SESSIONS, control::KILL)).await
    }

    /// The sessions that the caller may see.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn sessions(&self) -> Result<Vec<Session>, ApiError> {
        Ok(self.get::<Listing<Session>>(control::SESSIONS).await?.items)
    }

    /// One session.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn session(&self, session: &SessionId) -> Result<Session, ApiError> {
        self.get(&format!("{}/{session}", control::SESSIONS)).await
    }

    /// What there is of a session's recording.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn recording(&self, session: &SessionId) -> Result<RecordingIndex, ApiError> {
        self.get(&format!("{}/{session}/recording", control::SESSIONS)).await
    }

    /// One chunk of a recording; connections are counted from 1, chunks from 0.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn chunk(&self, session: &SessionId, connection: u32, chunk: u32) -> Result<Vec<u8>, ApiError> {
        self.fetch(&format!("{}/{session}/recording/{connection}/{chunk}", control::SESSIONS)).await
    }

    /// What the ledger holds of a chunk, with its proof under this head.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn chunk_proof(
        &self,
        session: &SessionId,
        connection: u32,
        chunk: u32,
        head: &Head,
    ) -> Result<EntryProof, ApiError> {
        self.proof(&format!("{}/{session}/recording/{connection}/{chunk}/proof", control::SESSIONS), head)
            .await
    }

    /// What the ledger holds of the end of a connection, or of the session, with its proof under this head.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn end_proof(
        &self,
        session: &SessionId,
        connection: Option<u32>,
        head: &Head,
    ) -> Result<EntryProof, ApiError> {
        let connection = connection.map(|connection| format!("/{connection}")).unwrap_or_default();
        self.proof(&format!("{}/{session}/recording{connection}/end", control::SESSIONS), head).await
    }

    async fn proof(&self, path: &str, head: &Head) -> Result<EntryProof, ApiError> {
        self.get(&format!("{path}?{}={}", control::SIZE, head.checkpoint().size)).await
    }

    /// A file of the ledger: `checkpoint`, `key`, `tile/…`.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn ledger_file(&self, path: &str) -> Result<Vec<u8>, ApiError> {
        self.fetch(&format!("{}/{path}", control::LEDGER)).await
    }

    /// The caller's devices.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn devices(&self) -> Result<Vec<Device>, ApiError> {
        Ok(self.get::<Listing<Device>>(control::DEVICES).await?.items)
    }

    /// The devices of the caller that wait to be confirmed.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn pending_devices(&self) -> Result<Vec<PendingDevice>, ApiError> {
        Ok(self.get::<Listing<PendingDevice>>(control::PENDING_DEVICES).await?.items)
    }

    /// Looks up the device that waits with a code; confirms it when its key is named as well.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn confirm_device(
        &self,
        code: &str,
        device: Option<&DeviceId>,
    ) -> Result<PendingDevice, ApiError> {
        let body = ConfirmDevice { code: code.into(), device: device.cloned() };
        self.call(Method::POST, control::PENDING_DEVICES, Some(&body)).await
    }

    /// The keys on a list that this machine does not know; from now on it knows them all.
    ///
    /// # Errors
    /// When what is known cannot be read or written.
    pub fn meet_devices(&self, listed: &[Device]) -> Result<Vec<DeviceId>, LoginError> {
        let Identity::Person(person) = &self.identity else { return Ok(Vec::new()) };
        let look = known::look(person.place(), &self.identity.key().thumbprint(), listed)?;
        known::know(person.place(), listed)?;
        let (known::Look::First(strangers) | known::Look::Since(strangers)) = look;
        Ok(strangers.into_iter().map(|device| device.id).collect())
    }

    /// Remembers one key of a list as known to this machine.
    ///
    /// # Errors
    /// When what is known cannot be read or written.
    pub fn meet_device(&self, met: &DeviceId, listed: &[Device]) -> Result<(), LoginError> {
        let Identity::Person(person) = &self.identity else { return Ok(()) };
        let met: Vec<_> = listed.iter().filter(|device| device.id == *met).cloned().collect();
        Ok(known::know(person.place(), &met)?)
    }

    /// Revokes a device and those that it let in; returns these.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn revoke_device(&self, device: &DeviceId) -> Result<Vec<Device>, ApiError> {
        self.revoke(&format!("{}/{device}", control::DEVICES)).await
    }

    /// Revokes a device and leaves those that it let in.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn revoke_device_only(&self, device: &DeviceId) -> Result<Vec<Device>, ApiError> {
        self.revoke(&format!("{}/{device}?{}", control::DEVICES, control::ONLY)).await
    }

    async fn revoke(&self, path: &str) -> Result<Vec<Device>, ApiError> {
        Ok(self.call::<DeviceRevocation>(Method::DELETE, path, None::<&()>).await?.further)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        self.call(Method::GET, path, None::<&()>).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, ApiError> {
        let access = self.access().await?;
        match self.link.call(self.caller(&access), method.clone(), path, body).await {
            Err(error) if is_stale(&error) => {
                let access = self.renew(&access).await?;
                Ok(self.link.call(self.caller(&access), method, path, body).await?)
            }
            other => Ok(other?),
        }
    }

    async fn order(&self, method: Method, path: &str) -> Result<(), ApiError> {
        let access = self.access().await?;
        match self.link.order(self.caller(&access), method.clone(), path).await {
            Err(error) if is_stale(&error) => {
                let access = self.renew(&access).await?;
                Ok(self.link.order(self.caller(&access), method, path).await?)
            }
            other => Ok(other?),
        }
    }

    async fn fetch(&self, path: &str) -> Result<Vec<u8>, ApiError> {
        let access = self.access().await?;
        match self.link.fetch(self.caller(&access), path).await {
            Err(error) if is_stale(&error) => {
                let access = self.renew(&access).await?;
                Ok(self.link.fetch(self.caller(&access), path).await?)
            }
            other => Ok(other?),
        }
    }

    /// The proof of who calls, for one call or one tunnel.
    #[must_use]
    pub fn caller<'a>(&'a self, access: &'a Access) -> Caller<'a> {
        Caller {
            key: self.identity.key(),
            token: Some(&access.token),
            public_url: self.identity.public_url(),
        }
    }

    /// Gets a token newer than one that the broker no longer takes: it may have been restarted.
    ///
    /// # Errors
    /// When there is no login any more.
    pub async fn renew(&self, refused: &Access) -> Result<Access, LoginError> {
        let mut access = self.access.lock().await;
        let newer = refused.since + SignedDuration::from_nanos(1);
        let fresh = self.exchanged(newer).await?;
        Ok(access.insert(fresh).clone())
    }
}

/// Whether a newer token may help.
#[must_use]
pub fn is_stale(error: &LinkError) -> bool {
    matches!(error, LinkError::Problem(problem) if problem.code == ProblemCode::LoginNeeded)
}

/// A path segment out of what the user typed: nothing in it may change where the call goes.
fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
        .replace('.', "%2E")
}

const MARGIN: SignedDuration = SignedDuration::from_secs(20);
/// How old an exchange may be before a session makes another.
const RENEW: SignedDuration = SignedDuration::from_secs(180);
