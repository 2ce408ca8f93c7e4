//! A signed review.
//!
//! Job: sign a review with the device key, and check one. It is a JWS (RFC 7515) in compact form:
//! header `{"typ":"hoopctl-review+jwt","alg":"EdDSA","jwk":…}`, payload [`Claims`]. Boundary: pure; whether
//! the device is enrolled for the reviewer, and whether they may review, is the caller's to check.
//! Failure mode: an error that names what is wrong; nothing is believed before its signature.

use serde::{Deserialize, Serialize};

use super::jws::{self, DeviceKey, JwsError};
use crate::domain::approval::{Decision, Standing};
use crate::domain::name::{DeviceId, Digest, RequestId};
use crate::domain::principal::PrincipalId;

/// What a reviewer signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The request: also the nonce.
    pub request: RequestId,
    /// SHA-256 of the subject's text, computed by the reviewer's own client.
    pub subject: Digest,
    /// Who signs.
    pub reviewer: PrincipalId,
    /// What they say.
    pub decision: Decision,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The standing decision that goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// When, by the reviewer's clock, in seconds since 1970.
    pub iat: i64,
}

/// A review whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The device whose key signed it.
    pub device: DeviceId,
    /// What was signed.
    pub claims: Claims,
}

/// Signs a review.
///
/// # Errors
/// [`JwsError::Signing`] when the key cannot sign.
pub fn sign(key: &DeviceKey, claims: &Claims) -> Result<String, JwsError> {
    jws::sign(key, TYPE, claims)
}

/// Checks the signature of a review.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn open(proof: &str) -> Result<Signed, JwsError> {
    let (device, claims) = jws::open(proof, TYPE, MAX_PROOF)?;
    Ok(Signed { device, claims })
}

const TYPE: &str = "hoopctl-review+jwt";
const MAX_PROOF: usize = 8192;
