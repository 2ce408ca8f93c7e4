//! ID tokens and the key that signs them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use serde_json::{Value, json};

use super::DemoUser;

/// An ES256 key, made at start and gone at the end.
pub(super) struct Signer {
    key: EncodingKey,
    x: String,
    y: String,
}

impl Signer {
    pub(super) fn generate() -> Result<Self, String> {
        let pair = rcgen::KeyPair::generate().map_err(|error| error.to_string())?;
        // SEC 1 §2.3.3: 04, then both coordinates
        let mut halves = pair.public_key_raw().get(1..).unwrap_or_default().chunks_exact(32);
        let mut half = || halves.next().map(|half| URL_SAFE_NO_PAD.encode(half)).ok_or("not a P-256 key");
        let (x, y) = (half()?, half()?);
        Ok(Self { key: EncodingKey::from_ec_der(&pair.serialize_der()), x, y })
    }

    /// RFC 7517.
    pub(super) fn jwks(&self) -> Value {
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": KEY_ID, "x": self.x, "y": self.y,
        }]})
    }

    /// OpenID Connect Core §2.
    pub(super) fn id_token(
        &self,
        issuer: &str,
        user: &DemoUser,
        signed_in: Timestamp,
        now: Timestamp,
    ) -> Result<String, String> {
        let claims = Claims {
            iss: issuer,
            sub: &user.name,
            aud: super::CLIENT_ID,
            azp: super::CLIENT_ID,
            exp: (now + LIFETIME).as_second(),
            iat: now.as_second(),
            auth_time: signed_in.as_second(),
            name: &user.name,
            preferred_username: &user.name,
            email: format!("{}@demo.invalid", user.name),
            groups: user.groups.iter().map(String::as_str).collect(),
        };
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(KEY_ID.into());
        jsonwebtoken::encode(&header, &claims, &self.key).map_err(|error| error.to_string())
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    azp: &'a str,
    exp: i64,
    iat: i64,
    auth_time: i64,
    name: &'a str,
    preferred_username: &'a str,
    email: String,
    groups: Vec<&'a str>,
}

const KEY_ID: &str = "demo";
pub(super) const LIFETIME: SignedDuration = SignedDuration::from_mins(5);
