//! Proof of possession of the device key (RFC 9449).
//!
//! Job: sign a proof for one call, and check one. Boundary: pure; the time, the unique id and the
//! key come in as arguments, and whoever checks proofs keeps the ids that it has seen. Failure
//! mode: an error that names what is wrong with the proof; nothing is believed before its signature.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use url::Url;

pub use super::jws::DeviceKey;
use super::jws::{self, JwsError};
use crate::domain::name::DeviceId;

/// How many seconds a proof may be old. A replay inside the window is found by its `jti`.
pub const MAX_AGE: i64 = 60;
/// How many seconds a proof may lie in the future: clocks of clients run a little ahead.
pub const MAX_AHEAD: i64 = 5;

/// Where a call to `path` of the broker goes, whatever path its public URL has itself.
#[must_use]
pub fn endpoint(public_url: &Url, path: &str) -> Url {
    let mut url = bare(public_url);
    let base = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{base}{path}"));
    url
}

/// Signs a proof for one call. `jti` must never be used twice with the same key.
///
/// # Errors
/// [`ProofError::Signing`] when the key cannot sign.
pub fn prove(
    key: &DeviceKey,
    method: &str,
    url: &Url,
    access_token: Option<&str>,
    jti: &str,
    now: Timestamp,
) -> Result<String, ProofError> {
    let claims = Claims {
        jti: jti.into(),
        htm: method.into(),
        htu: bare(url).into(),
        iat: now.as_second(),
        ath: access_token.map(hash),
    };
    jws::sign(key, TYPE, &claims).map_err(ProofError::from)
}

/// What a proof must be for.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The method of the call.
    pub method: &'a str,
    /// Its URL as the client sees it; query and fragment do not count.
    pub url: &'a Url,
    /// The access token that the call carries, if any.
    pub access_token: Option<&'a str>,
    /// The time.
    pub now: Timestamp,
}

/// A proof that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The device whose key signed it.
    pub device: DeviceId,
    /// Its unique id: seen twice from one device within the window, it is a replay.
    pub jti: String,
    /// When it was signed, by the client's clock.
    pub issued: Timestamp,
}

/// Checks a proof.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check(proof: &str, expected: &Expected<'_>) -> Result<Proof, ProofError> {
    let (device, claims) = jws::open(proof, TYPE, MAX_PROOF)?;
    check_claims(claims, expected, device)
}

/// What is wrong with a proof. All but `Signing` are the caller's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProofError {
    /// Its `alg` is not `EdDSA`.
    #[error("the proof is not signed with EdDSA")]
    Algorithm,
    /// Its key is not a public Ed25519 key, or a degenerate one.
    #[error("the proof's key is not a public Ed25519 key")]
    Key,
    /// It cannot be read.
    #[error("the proof is malformed")]
    Malformed,
    /// It is for another method.
    #[error("the proof is for another method")]
    Method,
    /// Its signature is wrong.
    #[error("the proof's signature is wrong")]
    Signature,
    /// It could not be signed.
    #[error("the proof could not be signed")]
    Signing,
    /// It is older or newer than is allowed.
    #[error("the proof is too old or from the future; check the clock of this machine")]
    Stale,
    /// It is for another access token, or for none.
    #[error("the proof is for another access token")]
    Token,
    /// It is for another URL.
    #[error("the proof is for another URL")]
    Url,
}

impl From<JwsError> for ProofError {
    fn from(error: JwsError) -> Self {
        match error {
            JwsError::Algorithm => Self::Algorithm,
            JwsError::Key => Self::Key,
            JwsError::Malformed => Self::Malformed,
            JwsError::Signature => Self::Signature,
            JwsError::Signing => Self::Signing,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    ath: Option<String>,
}

fn check_claims(claims: Claims, expected: &Expected<'_>, device: DeviceId) -> Result<Proof, ProofError> {
    if claims.htm != expected.method {
        return Err(ProofError::Method);
    }
    let claimed = Url::parse(&claims.htu).map_err(|_| ProofError::Url)?;
    if bare(&claimed) != bare(expected.url) {
        return Err(ProofError::Url);
    }
    let age = expected.now.as_second().saturating_sub(claims.iat);
    if !(-MAX_AHEAD..=MAX_AGE).contains(&age) {
        return Err(ProofError::Stale);
    }
    let bound = match (&claims.ath, expected.access_token) {
        (None, None) => true,
        (Some(ath), Some(token)) => same(ath.as_bytes(), hash(token).as_bytes()),
        _ => false,
    };
    if !bound {
        return Err(ProofError::Token);
    }
    let fits = (1..=MAX_JTI).contains(&claims.jti.len()) && claims.jti.bytes().all(|b| b.is_ascii_graphic());
    let issued = Timestamp::from_second(claims.iat).map_err(|_| ProofError::Stale)?;
    if fits { Ok(Proof { device, jti: claims.jti, issued }) } else { Err(ProofError::Malformed) }
}

fn bare(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url
}

fn hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(token))
}

/// Compares without telling by its timing where the difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0
}

const TYPE: &str = "dpop+jwt";
const MAX_PROOF: usize = 4096;
const MAX_JTI: usize = 128;

#[cfg(test)]
mod tests;
