//! Whether a signature holds.
//!
//! Job: compare what a request presents with what is expected, and its signature with the one the key makes.
//! Boundary: the time, the key and the body's hash are arguments; nobody remembers what was seen. Failure mode: the
//! first fault; the signature itself is compared last, in constant time.

use std::fmt;

use http::request::Parts;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::canonical;
use super::fault::SignatureFault;
use super::keys::SigningKey;
use super::presented::{Payload, Placement, Presented, hex};
use super::query::Query;
use super::scope::Scope;

/// How far a client's clock may be from ours. AWS allows fifteen minutes; a signature can be replayed for as long as it
/// is good, and an SDK that is told so corrects its clock by the answer's `Date`.
pub const MAX_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What a request's signature must be for.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The access key id of the session.
    pub access_key: &'a str,
    /// The session token; a request may go without one, and not with another.
    pub session_token: Option<&'a SecretString>,
    /// The time.
    pub now: Timestamp,
    /// The regions of the target. Empty: any.
    pub regions: &'a [&'a str],
    /// The signing names of its services. Empty: any.
    pub services: &'a [&'a str],
}

/// What is known of the body's SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyHash {
    /// The body was read, and this is it.
    Known([u8; 32]),
    /// The body was not read; a [`BodyWatch`] will see it.
    Unread,
}

/// A signature that holds.
pub struct Verified {
    pub(super) placement: Placement,
    pub(super) payload: Payload,
    pub(super) scope: Scope,
    pub(super) query: Query,
    time_text: String,
    signature: [u8; 32],
    key: SigningKey,
}

impl Presented {
    /// Verifies the signature of the request that it was read from.
    ///
    /// With [`BodyHash::Unread`], a signed hash of the body is believed for now: the body must then go through
    /// [`Verified::watch`].
    ///
    /// # Errors
    /// [`SignatureFault`]; [`SignatureFault::BodyUnread`] where the hash is needed to verify
    /// ([`Payload::Absent`]).
    pub fn verify(
        &self,
        parts: &Parts,
        body: BodyHash,
        key: &SecretString,
        expected: &Expected<'_>,
    ) -> Result<Verified, SignatureFault> {
        self.check(expected)?;
        let payload = match (self.payload, body) {
            (Payload::Hash(claim), BodyHash::Known(hash)) if claim != hash => {
                return Err(SignatureFault::BodyHash);
            }
            (Payload::Absent, BodyHash::Unread) => return Err(SignatureFault::BodyUnread),
            (Payload::Absent, BodyHash::Known(hash)) => hex(&hash),
            (payload, _) => payload.word().unwrap_or_default(),
        };
        let key = SigningKey::derive(key, &self.scope);
        // INVARIANT: every candidate says the same method, path, query and headers
        let candidates = canonical::strings_to_sign(self, parts, &payload)?;
        let holds = candidates.iter().any(|text| key.verify(text, &self.signature).is_ok());
        if !holds {
            return Err(SignatureFault::Signature);
        }
        Ok(Verified {
            placement: self.placement,
            payload: self.payload,
            scope: self.scope.clone(),
            query: self.query.clone(),
            time_text: self.time_text.clone(),
            signature: self.signature,
            key,
        })
    }

    /// Whether it is for this session and time, as it says itself: what can be known before the body is read.
    /// [`Presented::verify`] asks it too.
    ///
    /// # Errors
    /// [`SignatureFault`]: another access key, region, service, time or session token.
    pub fn check(&self, expected: &Expected<'_>) -> Result<(), SignatureFault> {
        if self.access_key != expected.access_key {
            return Err(SignatureFault::AccessKey);
        }
        let is_one_of = |one: &str, of: &[&str]| of.is_empty() || of.contains(&one);
        if !is_one_of(self.scope.region(), expected.regions) {
            return Err(SignatureFault::Region { expected: expected.regions.join(", ") });
        }
        if !is_one_of(self.scope.service(), expected.services) {
            return Err(SignatureFault::Service { expected: expected.services.join(", ") });
        }
        if !self.time_text.starts_with(self.scope.date()) {
            return Err(SignatureFault::ScopeDate);
        }
        let age = expected.now.duration_since(self.time);
        let lifetime = self.lifetime.unwrap_or(MAX_SKEW);
        if age < -MAX_SKEW || (self.lifetime.is_none() && age > MAX_SKEW) {
            return Err(SignatureFault::Skewed);
        }
        if age > lifetime {
            return Err(SignatureFault::Expired);
        }
        match (&self.token, expected.session_token) {
            (None, _) => Ok(()),
            (Some(presented), Some(token)) if same(presented, token) => Ok(()),
            (Some(_), _) => Err(SignatureFault::Token),
        }
    }
}

impl Verified {
    /// Where the signature stood.
    #[must_use]
    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// What it says of the body.
    #[must_use]
    pub fn payload(&self) -> Payload {
        self.payload
    }

    /// What it is for.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What a body that was not read before must pass through; in chunks, it is for
    /// [`ChunkReader`](crate::wire::aws::chunks::ChunkReader) instead.
    #[must_use]
    pub fn watch(&self) -> BodyWatch {
        BodyWatch {
            expected: match self.payload {
                Payload::Hash(hash) => Some(hash),
                _ => None,
            },
            so_far: Sha256::new(),
        }
    }

    /// The chain that the signatures of chunks begin with.
    pub(in crate::wire::aws) fn into_chain(self) -> (SigningKey, String, [u8; 32]) {
        (self.key, format!("{}\n{}", self.time_text, self.scope), self.signature)
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("placement", &self.placement)
            .field("payload", &self.payload)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// Sees a body pass by, and says at its end whether it is the one that was signed. Whoever forwards it keeps its last
/// bytes back until then.
#[derive(Debug, Clone)]
pub struct BodyWatch {
    expected: Option<[u8; 32]>,
    so_far: Sha256,
}

impl BodyWatch {
    /// The next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.expected.is_some() {
            self.so_far.update(bytes);
        }
    }

    /// The end.
    ///
    /// # Errors
    /// [`SignatureFault::BodyHash`] when the body is another one.
    pub fn finish(self) -> Result<(), SignatureFault> {
        match self.expected {
            Some(expected) if <[u8; 32]>::from(self.so_far.finalize()) != expected => {
                Err(SignatureFault::BodyHash)
            }
            _ => Ok(()),
        }
    }
}

/// Compares without telling by its timing where the difference is.
fn same(a: &SecretString, b: &SecretString) -> bool {
    Sha256::digest(a.expose_secret()) == Sha256::digest(b.expose_secret())
}
