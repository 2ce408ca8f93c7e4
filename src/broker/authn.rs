//! Who is calling.
//!
//! Job: exchange a provider's or workload's token for an access token bound to a device key
//! (RFC 8693, RFC 9449), and tell for each later call who makes it. Boundary: decides identity
//! only, never what somebody may do. Failure mode: [`AuthnError`]; a provider that cannot be asked
//! means no new logins, never unverified ones.

mod attributes;
mod claims;
mod exchange;
mod fetch;
mod jwks;
mod limit;
mod notices;
mod replay;
mod userinfo;

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use url::Url;

pub use claims::TokenFault;
pub use fetch::{Fetch, FetchError, HttpFetch};

use crate::broker::devices::Devices;
use crate::broker::logins::{Login, Logins, TokenDigest};
use crate::broker::scribe::Scribe;
use crate::broker::store::{Store, StoreError};
use crate::domain::device::Device;
use crate::domain::event::Actor;
use crate::domain::principal::Principal;
use crate::gateway::journal::JournalError;
use crate::wire::control::Confirmation;
use crate::wire::dpop::{self, Expected, Proof, ProofError};

pub(crate) use exchange::{Exchange, Exchanged};
use jwks::Keys;
use limit::Limiter;
pub(crate) use limit::network;
use notices::Notices;
use replay::Replays;

/// Decides who is calling.
pub(crate) struct Authn {
    store: Arc<Store>,
    devices: Arc<Devices>,
    logins: Arc<Logins>,
    scribe: Arc<Scribe>,
    keys: Keys,
    fetch: Arc<dyn Fetch>,
    notices: Notices,
    replays: Replays,
    limiter: Limiter,
}

/// What a call brings to be known by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Credentials<'a> {
    /// The method.
    pub(crate) method: &'a str,
    /// The URL as the client sees it.
    pub(crate) url: &'a Url,
    /// The access token.
    pub(crate) token: &'a str,
    /// The proof.
    pub(crate) proof: &'a str,
}

/// Somebody who is logged in, making a call.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Who.
    pub(crate) login: Login,
    /// With which key.
    pub(crate) device: Device,
    /// From where.
    pub(crate) address: IpAddr,
}

impl Caller {
    /// Who.
    pub(crate) fn principal(&self) -> &Principal {
        &self.login.principal
    }

    /// Who and from where, as the ledger wants it.
    pub(crate) fn actor(&self) -> Actor {
        Actor {
            principal: self.login.principal.id.clone(),
            device: Some(self.device.id.clone()),
            address: self.address.to_string(),
            host: self.login.host.clone(),
        }
    }
}

/// Why nobody was recognised.
#[derive(Debug, Error)]
pub enum AuthnError {
    /// The call is not formed as it must be.
    #[error("{0}")]
    BadRequest(&'static str),
    /// The workload's token was exchanged with another key first.
    #[error("this token was exchanged before, with another key")]
    Bound,
    /// The device key was revoked.
    #[error("this device was revoked")]
    DeviceRevoked,
    /// Nothing says in which groups the person is, and configuration insists on it.
    #[error("nobody can tell in which groups you are: {0}")]
    Groupless(String),
    /// The provider cannot be asked in which groups the person is, and configuration insists on it.
    #[error("the identity provider cannot be asked for your groups: {0}")]
    GroupsUnasked(FetchError),
    /// The entry could not be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// No rule of the issuer matches the workload's claims.
    #[error("no rule of the issuer matches this workload's claims")]
    NoRule,
    /// A new device key needs a fresh sign-in.
    #[error("a new device needs a sign-in of the last five minutes")]
    NotFresh,
    /// The proof of possession does not hold.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The provider's keys cannot be had.
    #[error("the identity provider cannot be asked: {0}")]
    Provider(#[from] FetchError),
    /// The proof was used before.
    #[error("the proof was used before")]
    Replayed,
    /// The subject token was exchanged before.
    #[error("this token was exchanged before")]
    Spent,
    /// State could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The subject token is not acceptable.
    #[error("the token of the identity provider is not acceptable: {0}")]
    SubjectToken(#[from] TokenFault),
    /// Too many calls of this caller.
    #[error("too many calls; try again in a moment")]
    TooMany,
    /// The key must be confirmed from an enrolled device.
    #[error("the sign-in is too old for a new device, so another device of yours must confirm this one")]
    Unconfirmed(Confirmation),
    /// The access token is unknown, expired or another device's.
    #[error("there is no valid login")]
    Unknown,
}

impl Authn {
    pub(crate) fn new(
        store: Arc<Store>,
        devices: Arc<Devices>,
        logins: Arc<Logins>,
        scribe: Arc<Scribe>,
        fetch: Arc<dyn Fetch>,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            replays: Replays::load(Arc::clone(&store))?,
            store,
            devices,
            logins,
            scribe,
            keys: Keys::new(Arc::clone(&fetch)),
            fetch,
            notices: Notices::default(),
            limiter: Limiter::default(),
        })
    }

    /// Tells who makes a call.
    pub(crate) fn recognise(
        &self,
        given: &Credentials<'_>,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Caller, AuthnError> {
        let expected =
            Expected { method: given.method, url: given.url, access_token: Some(given.token), now };
        let proof = dpop::check(given.proof, &expected)?;
        let Some(login) = self.logins.bearer(&digest(given.token), &proof.device, now) else {
            return Err(match self.devices.is_revoked(&proof.device)? {
                true => AuthnError::DeviceRevoked,
                false => AuthnError::Unknown,
            });
        };
        // only proofs of those who are logged in are remembered, so that strangers fill nothing
        self.first_use(&proof, now)?;
        let device = Device {
            id: proof.device,
            principal: login.principal.id.clone(),
            host: login.host.clone(),
            enrolled: login.exchanged,
            revoked: None,
            confirmed_by: None,
        };
        Ok(Caller { login, device, address })
    }

    /// Forgets what no longer matters.
    pub(crate) fn prune(&self, now: Timestamp) -> Result<(), StoreError> {
        self.replays.prune(now)?;
        self.limiter.prune(now);
        self.logins.prune(now)
    }

    fn first_use(&self, proof: &Proof, now: Timestamp) -> Result<(), AuthnError> {
        match self.replays.note(proof, now)? {
            replay::Use::First => Ok(()),
            replay::Use::Again => Err(AuthnError::Replayed),
            replay::Use::TooMany => Err(AuthnError::TooMany),
        }
    }
}

/// What is kept of a token.
pub(crate) fn digest(token: &str) -> TokenDigest {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests;
