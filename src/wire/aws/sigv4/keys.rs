//! The keys of a session, and what signatures are made with.
//!
//! Job: derive the dummy keys that a session's child signs with, and the key of one scope. Boundary: pure; the
//! session's secret itself is never needed, its SHA-256 is. Failure mode: none.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use sha2::{Digest as _, Sha256};

use super::fault::SignatureFault;
use super::scope::Scope;

/// The access key id of a session: `HOOP` and sixteen characters of base32. Not secret, and not unique beyond the
/// sessions of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessKeyId(String);

impl AccessKeyId {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a session's child signs with. Worth nothing beyond the loopback.
#[derive(Debug)]
pub struct SessionKeys {
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key: AccessKeyId,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret: SecretString,
    /// `AWS_SESSION_TOKEN`, for SDKs that want one. A request may go without.
    pub token: SecretString,
}

/// The keys of session `session_id`; `digest_of_secret` is the SHA-256 of the session's secret, which the client
/// can compute and the gateway has.
#[must_use]
pub fn session_keys(session_id: &str, digest_of_secret: &[u8; 32]) -> SessionKeys {
    let id = Sha256::digest(["hoopctl aws access key v1\0", session_id].concat());
    let characters =
        id.iter().take(16).map(|byte| ALPHABET.get(usize::from(byte % 32)).copied().unwrap_or(b'A'));
    let access_key = AccessKeyId(format!("HOOP{}", characters.map(char::from).collect::<String>()));
    let derive = |label: &str| mac(digest_of_secret, label.as_bytes());
    SessionKeys {
        access_key,
        secret: STANDARD.encode(derive("hoopctl aws signing v1")).into(),
        token: STANDARD.encode(derive("hoopctl aws session token v1")).into(),
    }
}

/// The key of one scope, derived from a secret access key.
pub(in crate::wire::aws) struct SigningKey(SecretBox<[u8; 32]>);

impl SigningKey {
    pub(in crate::wire::aws) fn derive(secret: &SecretString, scope: &Scope) -> Self {
        let start = SecretString::from(format!("AWS4{}", secret.expose_secret()));
        let mut key =
            SecretBox::new(Box::new(mac(start.expose_secret().as_bytes(), scope.date().as_bytes())));
        for part in [scope.region(), scope.service(), "aws4_request"] {
            key = SecretBox::new(Box::new(mac(key.expose_secret(), part.as_bytes())));
        }
        Self(key)
    }

    /// Signs.
    pub(in crate::wire::aws) fn sign(&self, text: &str) -> [u8; 32] {
        mac(self.0.expose_secret(), text.as_bytes())
    }

    /// Verifies, in the same time wherever the difference is.
    pub(in crate::wire::aws) fn verify(
        &self,
        text: &str,
        signature: &[u8; 32],
    ) -> Result<(), SignatureFault> {
        start(self.0.expose_secret())
            .chain_update(text)
            .verify_slice(signature)
            .map_err(|_| SignatureFault::Signature)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    start(key).chain_update(text).finalize().into_bytes().into()
}

fn start(key: &[u8]) -> Hmac<Sha256> {
    // INVARIANT: HMAC takes keys of every length, so the other branch is never used
    Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()))
}

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
