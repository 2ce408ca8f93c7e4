//! What signs tokens for APIs, and the public key by which they are checked.
//!
//! Job: ES256 (RFC 7518 §3.4) over claims, and a JSON Web Key Set (RFC 7517). Boundary: says nothing of what
//! a token holds. Failure mode: an error that names no key.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PublicKeyData as _};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Signs tokens.
pub(crate) struct Signer {
    key: EncodingKey,
    id: String,
    set: Value,
}

impl Signer {
    /// Signs with a key on P-256.
    pub(crate) fn new(key: &KeyPair) -> Self {
        let point = key.der_bytes();
        // 4, then both coordinates (SEC 1 §2.3.3)
        let half =
            |from: usize| BASE64_URL_SAFE_NO_PAD.encode(point.get(from..from + 32).unwrap_or_default());
        let (x, y) = (half(1), half(33));
        // the members in this order, without spaces (RFC 7638 §3)
        let print = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let id = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(print.as_bytes()));
        let set = json!({"keys": [
            {"kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "sig", "alg": "ES256", "kid": id},
        ]});
        Self { key: EncodingKey::from_ec_der(&key.serialize_der()), id, set }
    }

    /// The public key, as APIs fetch it.
    pub(crate) fn set(&self) -> &Value {
        &self.set
    }

    /// A token of this type with these claims.
    pub(crate) fn sign(&self, kind: &str, claims: &impl Serialize) -> Result<SecretString, SignError> {
        let header =
            Header { typ: Some(kind.into()), kid: Some(self.id.clone()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, claims, &self.key).map(Into::into).map_err(|_| SignError)
    }
}

/// A token that could not be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token could not be signed")]
pub(crate) struct SignError;
