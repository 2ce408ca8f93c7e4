//! SCRAM-SHA-256 as the server does it (RFC 5802, RFC 7677), without channel binding.
//!
//! Job: check a client's proof against a verifier in PostgreSQL's form. Boundary: the nonce is an
//! argument; the secret itself is never seen. Failure mode: [`ScramError`]; a wrong proof and an
//! unknown user cannot be told apart, in words or in work.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// What a server keeps of a secret: `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: [u8; 32],
    server_key: [u8; 32],
}

impl Verifier {
    /// Reads PostgreSQL's form.
    ///
    /// # Errors
    /// [`ScramError::Verifier`].
    pub fn parse(text: &str) -> Result<Self, ScramError> {
        let parts = || {
            let rest = text.strip_prefix("SCRAM-SHA-256$")?;
            let (head, keys) = rest.split_once('$')?;
            let (iterations, salt) = head.split_once(':')?;
            let (stored, server) = keys.split_once(':')?;
            Some(Self {
                iterations: iterations.parse().ok().filter(|n| *n > 0)?,
                salt: STANDARD.decode(salt).ok().filter(|s| !s.is_empty())?,
                stored_key: STANDARD.decode(stored).ok()?.try_into().ok()?,
                server_key: STANDARD.decode(server).ok()?.try_into().ok()?,
            })
        };
        parts().ok_or(ScramError::Verifier)
    }

    /// A verifier that nothing satisfies, for a user that does not exist: the same for the same user,
    /// so that asking twice tells nothing.
    pub(super) fn mock(&self, user: &str) -> Self {
        let derive = |label: &[u8]| hmac(&self.server_key, &[label, user.as_bytes()]);
        let salt = derive(b"mock salt").iter().copied().cycle().take(self.salt.len()).collect();
        Self {
            iterations: self.iterations,
            salt,
            stored_key: derive(b"mock stored key"),
            server_key: derive(b"mock server key"),
        }
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier")
    }
}

/// Takes the client's first message and returns the server's first message.
///
/// # Errors
/// [`ScramError`].
pub(super) fn begin(
    verifier: Verifier,
    nonce: [u8; 18],
    message: &[u8],
) -> Result<(String, ExpectProof), ScramError> {
    let message = std::str::from_utf8(message).map_err(|_| ScramError::Malformed("it is not UTF-8"))?;
    // gs2-header = flag "," [authzid] ","
    let (flag, rest) = message.split_once(',').ok_or(ScramError::Malformed("it has no gs2 header"))?;
    match flag {
        "n" | "y" => {}
        flag if flag.starts_with("p=") => return Err(ScramError::ChannelBinding),
        _ => return Err(ScramError::Malformed("its channel binding flag is unknown")),
    }
    let (authzid, bare) = rest.split_once(',').ok_or(ScramError::Malformed("it has no gs2 header"))?;
    if !authzid.is_empty() {
        return Err(ScramError::Malformed("it names an authorization identity"));
    }
    let mut attributes = bare.split(',');
    // the user name here is ignored, as PostgreSQL ignores it: the start-up packet's counts
    if !attributes.next().is_some_and(|user| user.starts_with("n=")) {
        return Err(ScramError::Malformed("it has no user name, or demands an extension"));
    }
    let client_nonce = attributes
        .next()
        .and_then(|nonce| nonce.strip_prefix("r="))
        .filter(|nonce| !nonce.is_empty() && nonce.bytes().all(|b| b.is_ascii_graphic()))
        .ok_or(ScramError::Malformed("it has no nonce"))?;

    let nonce = format!("{client_nonce}{}", STANDARD.encode(nonce));
    let first = format!("r={nonce},s={},i={}", STANDARD.encode(&verifier.salt), verifier.iterations);
    let expect = ExpectProof {
        binding: STANDARD.encode(format!("{flag},,")),
        transcript: format!("{bare},{first}"),
        nonce,
        verifier,
    };
    Ok((first, expect))
}

/// Awaits the client's last message.
pub(super) struct ExpectProof {
    /// What `c=` must be: the gs2 header that the client sent.
    binding: String,
    /// The AuthMessage so far.
    transcript: String,
    nonce: String,
    verifier: Verifier,
}

impl ExpectProof {
    /// Takes the client's last message and returns the server's last message.
    ///
    /// # Errors
    /// [`ScramError::Proof`] for a wrong secret, and others.
    pub(super) fn finish(self, message: &[u8]) -> Result<String, ScramError> {
        let message = std::str::from_utf8(message).map_err(|_| ScramError::Malformed("it is not UTF-8"))?;
        let (without_proof, proof) =
            message.rsplit_once(",p=").ok_or(ScramError::Malformed("it has no proof"))?;
        let proof: [u8; 32] = STANDARD
            .decode(proof)
            .ok()
            .and_then(|proof| proof.try_into().ok())
            .ok_or(ScramError::Malformed("its proof is not one"))?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|a| a.strip_prefix("c="));
        if binding != Some(self.binding.as_str()) {
            return Err(ScramError::Malformed("its channel binding is not what it began with"));
        }
        let nonce = attributes.next().and_then(|a| a.strip_prefix("r="));
        if nonce != Some(self.nonce.as_str()) {
            return Err(ScramError::Malformed("its nonce is not this exchange's"));
        }

        let auth_message = format!("{},{without_proof}", self.transcript);
        let signature = hmac(&self.verifier.stored_key, &[auth_message.as_bytes()]);
        let mut client_key = proof;
        for (byte, mask) in client_key.iter_mut().zip(signature) {
            *byte ^= mask;
        }
        if !equal(&Sha256::digest(client_key), &self.verifier.stored_key) {
            return Err(ScramError::Proof);
        }
        let server_signature = hmac(&self.verifier.server_key, &[auth_message.as_bytes()]);
        Ok(format!("v={}", STANDARD.encode(server_signature)))
    }
}

/// Why an exchange fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ScramError {
    /// The client demands channel binding, which was not offered.
    #[error("the client demands channel binding")]
    ChannelBinding,
    /// A message is malformed.
    #[error("{0}")]
    Malformed(&'static str),
    /// The client does not know the secret.
    #[error("the proof is wrong")]
    Proof,
    /// A verifier is not in PostgreSQL's form.
    #[error("the verifier is not of the form SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey")]
    Verifier,
}

/// Compares without telling by time where two keys differ.
fn equal(left: &[u8], right: &[u8]) -> bool {
    // the library compares two tags in constant time; under a key that nobody outside knows how to
    // choose, equal tags mean equal inputs
    let tag = |bytes: &[u8]| mac(b"compare", &[bytes]);
    match (tag(left), tag(right)) {
        (Some(left), Some(right)) => left.verify(&right.finalize().into_bytes()).is_ok(),
        _ => false,
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    mac(key, parts).map_or([0; 32], |mac| mac.finalize().into_bytes().into())
}

/// `None` never happens: HMAC takes keys of every length.
fn mac(key: &[u8], parts: &[&[u8]]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(mac)
}
