//! JSON Web Signatures (RFC 7515, compact) made with a device key, which stands in the header.
//!
//! Job: sign claims, and open what was signed. Boundary: pure; what the claims mean and whose the key
//! is, others check. Failure mode: an error that names what is wrong; nothing is believed before its
//! signature.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use ed25519_dalek::{SigningKey, VerifyingKey};
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, OctetKeyPairParameters, OctetKeyPairType,
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::SecretBox;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::domain::name::DeviceId;

/// The key of a device: what every token is bound to, and what reviews are signed with.
pub struct DeviceKey(pub(super) SigningKey);

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

/// Why a text is not a signature of this type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JwsError {
    /// Its `alg` is not `EdDSA`.
    #[error("it is not signed with EdDSA")]
    Algorithm,
    /// Its key is not a public Ed25519 key, or a degenerate one.
    #[error("its key is not a public Ed25519 key")]
    Key,
    /// It cannot be read.
    #[error("it is malformed")]
    Malformed,
    /// Its signature is wrong.
    #[error("its signature is wrong")]
    Signature,
    /// It could not be signed.
    #[error("it could not be signed")]
    Signing,
}

/// Signs claims; `typ` says what they are.
///
/// # Errors
/// [`JwsError::Signing`] when the key cannot sign.
pub(super) fn sign<C: Serialize>(key: &DeviceKey, typ: &str, claims: &C) -> Result<String, JwsError> {
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some(typ.into());
    header.jwk = Some(Jwk {
        common: CommonParameters::default(),
        algorithm: AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters {
            key_type: OctetKeyPairType::OctetKeyPair,
            curve: EllipticCurve::Ed25519,
            x: URL_SAFE_NO_PAD.encode(key.0.verifying_key().as_bytes()),
        }),
    });
    let der = key.0.to_pkcs8_der().map_err(|_| JwsError::Signing)?;
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_der(der.as_bytes()))
        .map_err(|_| JwsError::Signing)
}

/// Opens what was signed: the device whose key did it, and the claims.
///
/// # Errors
/// The first thing that is wrong with it.
pub(super) fn open<C: DeserializeOwned>(
    signed: &str,
    typ: &str,
    longest: usize,
) -> Result<(DeviceId, C), JwsError> {
    if signed.len() > longest {
        return Err(JwsError::Malformed);
    }
    let header = read_header(signed, typ)?;
    let point = decode_point(&header.jwk.x)?;
    let mut rules = Validation::new(Algorithm::EdDSA);
    // it has neither audience nor expiry, and the crate would read a clock for the latter
    rules.required_spec_claims.clear();
    rules.validate_exp = false;
    rules.validate_aud = false;
    let key = DecodingKey::from_ed_der(&point);
    let opened = jsonwebtoken::decode::<C>(signed, &key, &rules).map_err(|error| match error.kind() {
        jsonwebtoken::errors::ErrorKind::InvalidSignature => JwsError::Signature,
        _ => JwsError::Malformed,
    })?;
    Ok((thumbprint(&header.jwk.x), opened.claims))
}

/// The header as we read it ourselves: the crate forgets members of a key that it does not know,
/// and a private key among them must be refused (RFC 9449 §4.3).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedHeader {
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

fn read_header(signed: &str, typ: &str) -> Result<SignedHeader, JwsError> {
    let (encoded, _) = signed.split_once('.').ok_or(JwsError::Malformed)?;
    let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| JwsError::Malformed)?;
    // the algorithm first, so that a wrong one is called by its name whatever its key looks like
    let loose: Loose = serde_json::from_slice(&bytes).map_err(|_| JwsError::Malformed)?;
    if loose.alg != "EdDSA" {
        return Err(JwsError::Algorithm);
    }
    let header: SignedHeader = serde_json::from_slice(&bytes).map_err(|_| JwsError::Key)?;
    if header.typ != typ || header.alg != loose.alg {
        return Err(JwsError::Malformed);
    }
    if header.jwk.kty != "OKP" || header.jwk.crv != "Ed25519" {
        return Err(JwsError::Key);
    }
    Ok(header)
}

#[derive(Deserialize)]
struct Loose {
    alg: String,
}

fn decode_point(x: &str) -> Result<[u8; 32], JwsError> {
    let bytes = URL_SAFE_NO_PAD.decode(x).map_err(|_| JwsError::Key)?;
    let point: [u8; 32] = bytes.try_into().map_err(|_| JwsError::Key)?;
    match VerifyingKey::from_bytes(&point) {
        // of a weak key everybody can make signatures
        Ok(key) if !key.is_weak() => Ok(point),
        _ => Err(JwsError::Key),
    }
}

fn thumbprint(x: &str) -> DeviceId {
    // RFC 7638 §3.2 and RFC 8037 §2: the required members in the order of their names
    let digest = Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
    DeviceId::from_digest(&digest.into())
}

#[cfg(test)]
mod tests {
    use super::thumbprint;

    #[test]
    fn the_thumbprint_is_the_one_of_rfc_8037() {
        // appendix A.3
        assert_eq!(
            thumbprint("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").as_str(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }
}
