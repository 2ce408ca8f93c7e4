//! An identity provider that forges what a test wants.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use crate::broker::authn::{Fetch, FetchError};

pub(crate) const ISSUER: &str = "https://id.example";
pub(crate) const CLIENT: &str = "hoopctl";
pub(crate) const USERINFO: &str = "https://id.example/userinfo";
/// The access token that comes along with ID tokens.
pub(crate) const USERINFO_TOKEN: &str = "an access token of the provider";

/// An identity provider with keys of its own.
pub(crate) struct Issuer {
    keys: Mutex<Vec<(String, rcgen::KeyPair)>>,
    /// How often its key set was fetched.
    pub(crate) fetched: AtomicUsize,
    pub(crate) down: AtomicBool,
    /// What its userinfo endpoint answers to whoever brings [`USERINFO_TOKEN`]; without it there is no such
    /// endpoint.
    pub(crate) userinfo: Mutex<Option<Result<Vec<u8>, FetchError>>>,
    /// How often that was asked.
    pub(crate) userinfo_asked: AtomicUsize,
    /// Breaks the next connection to it.
    pub(crate) userinfo_breaks: AtomicBool,
}

impl Issuer {
    pub(crate) fn new() -> Arc<Self> {
        let issuer = Self {
            keys: Mutex::default(),
            fetched: AtomicUsize::new(0),
            down: AtomicBool::new(false),
            userinfo: Mutex::default(),
            userinfo_asked: AtomicUsize::new(0),
            userinfo_breaks: AtomicBool::new(false),
        };
        issuer.rotate("k1");
        Arc::new(issuer)
    }

    /// Puts a new P-256 key in the place of all others.
    pub(crate) fn rotate(&self, kid: &str) {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        *self.keys.lock().unwrap() = vec![(kid.into(), key)];
    }

    /// The claims of a person's ID token, issued just now.
    pub(crate) fn claims(subject: &str, now: Timestamp) -> Value {
        json!({
            "iss": ISSUER, "aud": CLIENT, "sub": subject, "preferred_username": subject,
            "iat": now.as_second(), "exp": now.as_second() + 600, "groups": ["dba", "unlisted"],
            // an issuer never gives out the same token twice
            "jti": crate::broker::app::random_text(),
        })
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let keys = self.keys.lock().unwrap();
        let (kid, key) = keys.first().unwrap();
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(kid.clone());
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_ec_der(key.serialized_der())).unwrap()
    }

    /// A token with any header, signed with its key but in a name of the test's choice.
    pub(crate) fn sign_as(&self, header: &Header, claims: &Value) -> String {
        let keys = self.keys.lock().unwrap();
        let (_, key) = keys.first().unwrap();
        jsonwebtoken::encode(header, claims, &EncodingKey::from_ec_der(key.serialized_der())).unwrap()
    }

    /// The bytes of its public key, as an attacker would use them for HMAC.
    pub(crate) fn public_bytes(&self) -> Vec<u8> {
        self.keys.lock().unwrap().first().unwrap().1.public_key_raw().to_vec()
    }

    /// Its key set, as a file.
    pub(crate) fn jwks(&self) -> String {
        self.key_set().to_string()
    }

    fn key_set(&self) -> Value {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
        let keys = self.keys.lock().unwrap();
        let mut set: Vec<Value> = keys
            .iter()
            .map(|(kid, key)| {
                let (x, y) = key.public_key_raw().split_at(1).1.split_at(32);
                json!({"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256", "x": B64.encode(x), "y": B64.encode(y)})
            })
            .collect();
        set.push(json!({"kty": "XYZ", "kid": "a kind from the future"}));
        json!({"keys": set})
    }
}

/// Hands the fetches of a core to an issuer of the test.
pub(crate) struct Wire(pub(crate) Arc<Issuer>);

impl Fetch for Wire {
    fn get<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<Vec<u8>, FetchError>> {
        Box::pin(async move {
            if self.0.down.load(Ordering::SeqCst) {
                return Err(FetchError::Failed("it is down".into()));
            }
            let document = match url.as_str() {
                "https://id.example/.well-known/openid-configuration" => {
                    let mut document = json!({"issuer": ISSUER, "jwks_uri": "https://id.example/keys"});
                    if self.0.userinfo.lock().unwrap().is_some()
                        && let Some(members) = document.as_object_mut()
                    {
                        members.insert("userinfo_endpoint".into(), USERINFO.into());
                    }
                    document
                }
                "https://id.example/keys" => {
                    self.0.fetched.fetch_add(1, Ordering::SeqCst);
                    self.0.key_set()
                }
                other => panic!("nobody may ask for {other}"),
            };
            Ok(document.to_string().into_bytes())
        })
    }

    fn get_as<'a>(
        &'a self,
        url: &'a Url,
        token: &'a SecretString,
    ) -> BoxFuture<'a, Result<Vec<u8>, FetchError>> {
        Box::pin(async move {
            assert_eq!((url.as_str(), token.expose_secret()), (USERINFO, USERINFO_TOKEN));
            self.0.userinfo_asked.fetch_add(1, Ordering::SeqCst);
            if self.0.userinfo_breaks.swap(false, Ordering::SeqCst) {
                return Err(FetchError::Failed("the connection broke".into()));
            }
            self.0.userinfo.lock().unwrap().clone().unwrap()
        })
    }
}
