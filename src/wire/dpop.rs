//! Proof of possession of the device key (RFC 9449).
//!
//! Job: sign a proof for one call, and check one. Boundary: pure; the time, the unique id and the
//! key come in as arguments, and whoever checks proofs keeps the ids that it has seen. Failure
//! mode: an error that names what is wrong with the proof; nothing is believed before its signature.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use ed25519_dalek::{SigningKey, VerifyingKey};
use jiff::Timestamp;
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, OctetKeyPairParameters, OctetKeyPairType,
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::SecretBox;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use url::Url;

use crate::domain::name::DeviceId;

/// How many seconds a proof may be old. A replay inside the window is found by its `jti`.
pub const MAX_AGE: i64 = 60;
/// How many seconds a proof may lie in the future: clocks of clients run a little ahead.
pub const MAX_AHEAD: i64 = 5;

/// The key of a device: what every token is bound to.
pub struct DeviceKey(SigningKey);

impl DeviceKey {
    /// Takes 32 random bytes as the key.
    #[must_use]
    pub fn from_bytes(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The bytes it was made of, for the credential store.
    #[must_use]
    pub fn to_bytes(&self) -> SecretBox<[u8; 32]> {
        SecretBox::init_with_mut(|seed: &mut [u8; 32]| seed.copy_from_slice(self.0.as_bytes()))
    }

    /// The name of the device: the RFC 7638 thumbprint of the public key.
    #[must_use]
    pub fn thumbprint(&self) -> DeviceId {
        thumbprint(&URL_SAFE_NO_PAD.encode(self.0.verifying_key().as_bytes()))
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DeviceKey").field(&self.thumbprint()).finish()
    }
}

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
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some(TYPE.into());
    header.jwk = Some(Jwk {
        common: CommonParameters::default(),
        algorithm: AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters {
            key_type: OctetKeyPairType::OctetKeyPair,
            curve: EllipticCurve::Ed25519,
            x: URL_SAFE_NO_PAD.encode(key.0.verifying_key().as_bytes()),
        }),
    });
    let claims = Claims {
        jti: jti.into(),
        htm: method.into(),
        htu: bare(url).into(),
        iat: now.as_second(),
        ath: access_token.map(hash),
    };
    let der = key.0.to_pkcs8_der().map_err(|_| ProofError::Signing)?;
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_der(der.as_bytes()))
        .map_err(|_| ProofError::Signing)
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
    if proof.len() > MAX_PROOF {
        return Err(ProofError::Malformed);
    }
    let header = read_header(proof)?;
    let point = decode_point(&header.jwk.x)?;
    let mut rules = Validation::new(Algorithm::EdDSA);
    // a proof has neither audience nor expiry, and the crate would read a clock for the latter
    rules.required_spec_claims.clear();
    rules.validate_exp = false;
    rules.validate_aud = false;
    let key = DecodingKey::from_ed_der(&point);
    let claims = jsonwebtoken::decode::<Claims>(proof, &key, &rules).map_err(|error| match error.kind() {
        jsonwebtoken::errors::ErrorKind::InvalidSignature => ProofError::Signature,
        _ => ProofError::Malformed,
    })?;
    check_claims(claims.claims, expected, thumbprint(&header.jwk.x))
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

#[derive(Serialize, Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    ath: Option<String>,
}

/// The header as we read it ourselves: the crate forgets members of a key that it does not know,
/// and a private key among them must be refused (RFC 9449 §4.3).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProofHeader {
    typ: String,
    alg: String,
    jwk: PublicKey,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PublicKey {
    kty: String,
    crv: String,
    x: String,
}

fn read_header(proof: &str) -> Result<ProofHeader, ProofError> {
    let (encoded, _) = proof.split_once('.').ok_or(ProofError::Malformed)?;
    let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| ProofError::Malformed)?;
    // the algorithm first, so that a wrong one is called by its name whatever its key looks like
    let loose: Loose = serde_json::from_slice(&bytes).map_err(|_| ProofError::Malformed)?;
    if loose.alg != "EdDSA" {
        return Err(ProofError::Algorithm);
    }
    let header: ProofHeader = serde_json::from_slice(&bytes).map_err(|_| ProofError::Key)?;
    if header.typ != TYPE || header.alg != loose.alg {
        return Err(ProofError::Malformed);
    }
    if header.jwk.kty != "OKP" || header.jwk.crv != "Ed25519" {
        return Err(ProofError::Key);
    }
    Ok(header)
}

#[derive(Deserialize)]
struct Loose {
    alg: String,
}

fn decode_point(x: &str) -> Result<[u8; 32], ProofError> {
    let bytes = URL_SAFE_NO_PAD.decode(x).map_err(|_| ProofError::Key)?;
    let point: [u8; 32] = bytes.try_into().map_err(|_| ProofError::Key)?;
    match VerifyingKey::from_bytes(&point) {
        // of a weak key everybody can make signatures
        Ok(key) if !key.is_weak() => Ok(point),
        _ => Err(ProofError::Key),
    }
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

fn thumbprint(x: &str) -> DeviceId {
    // RFC 7638 §3.2 and RFC 8037 §2: the required members in the order of their names
    let digest = Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
    DeviceId::from_digest(&digest.into())
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
