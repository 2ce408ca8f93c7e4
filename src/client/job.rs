//! What a workload keeps between two commands of one job.
//!
//! Job: the device key that the job's token is bound to, and its access token, in one 0600 file per
//! job. A job is known by its token's claims without those that change when the platform renews the
//! token, so that jobs which run side by side on one machine keep apart. Boundary: reads claims only
//! to name a file, believes none. Failure mode: a file that cannot be read makes a new key, with
//! which a token that is bound to the old one is refused.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::home::{BrokerHome, HomeError};
use super::keychain::Credential;
use super::login::Access;
use crate::wire::dpop::DeviceKey;

/// One job's file.
#[derive(Debug)]
pub(super) struct Job {
    place: BrokerHome,
    file: String,
}

impl Job {
    /// The file of the job that has this token.
    pub(super) fn new(place: BrokerHome, token: &SecretString) -> Self {
        Self { file: format!("{PREFIX}{}.json", name(token.expose_secret())), place }
    }

    /// The key of the job; made by its first command. The caller holds the lock of the place.
    pub(super) fn key(&self, now: Timestamp) -> Result<DeviceKey, HomeError> {
        if let Some(kept) = self.read()?
            && let Some(key) = kept.key()
        {
            return Ok(key);
        }
        self.place.forget_unused(PREFIX, now - UNUSED)?;
        let key = Credential::fresh().device_key;
        self.write(&Kept { device_key: encode(&key), access: None })?;
        Ok(key)
    }

    /// The access token that this token was exchanged for, by this command or one before it.
    pub(super) fn access(&self, token: &SecretString) -> Result<Option<Access>, HomeError> {
        let Some(kept) = self.read()?.and_then(|kept| kept.access) else { return Ok(None) };
        let same = kept.subject == digest(token.expose_secret());
        Ok(same.then(|| Access { token: kept.token.into(), since: kept.since, expires: kept.expires }))
    }

    /// Keeps an access token for the commands to come.
    pub(super) fn keep(
        &self,
        key: &DeviceKey,
        token: &SecretString,
        access: &Access,
    ) -> Result<(), HomeError> {
        let access = KeptAccess {
            subject: digest(token.expose_secret()),
            token: access.token.expose_secret().to_owned(),
            since: access.since,
            expires: access.expires,
        };
        self.write(&Kept { device_key: encode(key), access: Some(access) })
    }

    fn read(&self) -> Result<Option<Kept>, HomeError> {
        Ok(self.place.read(&self.file)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    fn write(&self, kept: &Kept) -> Result<(), HomeError> {
        // text and times are always JSON
        let bytes = serde_json::to_vec(kept).unwrap_or_default();
        self.place.write(&self.file, &bytes)
    }
}

#[derive(Serialize, Deserialize)]
struct Kept {
    device_key: String,
    access: Option<KeptAccess>,
}

#[derive(Serialize, Deserialize)]
struct KeptAccess {
    /// Digest of the workload's token: another token may speak for somebody else.
    subject: String,
    token: String,
    since: Timestamp,
    expires: Timestamp,
}

impl Kept {
    fn key(&self) -> Option<DeviceKey> {
        let bytes: [u8; 32] = STANDARD.decode(&self.device_key).ok()?.try_into().ok()?;
        let bytes = SecretBox::new(Box::new(bytes));
        Some(DeviceKey::from_bytes(bytes.expose_secret()))
    }
}

fn encode(key: &DeviceKey) -> String {
    STANDARD.encode(key.to_bytes().expose_secret())
}

/// What stays the same when the platform renews the token of a job; a token that is not a JWT names
/// itself.
fn name(token: &str) -> String {
    let claims = token
        .split('.')
        .nth(1)
        .and_then(|part| URL_SAFE_NO_PAD.decode(part).ok())
        .and_then(|bytes| serde_json::from_slice::<BTreeMap<String, Value>>(&bytes).ok());
    let text = match claims {
        Some(mut claims) => {
            claims.retain(|claim, _| !CHANGING.contains(&claim.as_str()));
            serde_json::to_string(&claims).unwrap_or_default()
        }
        None => token.to_owned(),
    };
    digest(&text).chars().take(32).collect()
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

const PREFIX: &str = "job-";
/// RFC 7519 §4.1.4 to §4.1.7.
const CHANGING: [&str; 4] = ["exp", "iat", "jti", "nbf"];
/// After so long without use, what a job kept is taken away.
const UNUSED: SignedDuration = SignedDuration::from_hours(24 * 30);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use serde_json::json;

    use super::*;
    use crate::client::home::Home;

    fn token(claims: &Value) -> SecretString {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string())).into()
    }

    fn place(dir: &std::path::Path) -> BrokerHome {
        Home::open(dir.join("state")).unwrap().broker(&"https://a.example".parse().unwrap()).unwrap()
    }

    #[test]
    fn a_renewed_token_finds_the_key_of_its_job_and_another_job_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let key = |claims: Value| {
            let job = Job::new(place(dir.path()), &token(&claims));
            job.key(Timestamp::UNIX_EPOCH + UNUSED).unwrap().thumbprint()
        };
        let first = key(json!({"sub": "ci", "run": 7, "iat": 1, "jti": "a", "exp": 9}));
        assert_eq!(first, key(json!({"jti": "b", "exp": 19, "sub": "ci", "run": 7, "iat": 11})));
        assert_ne!(first, key(json!({"sub": "ci", "run": 8, "iat": 1})));
    }

    #[test]
    fn an_access_token_is_for_the_token_it_was_exchanged_for() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (token(&json!({"sub": "ci", "iat": 1})), token(&json!({"sub": "ci", "iat": 2})));
        let job = Job::new(place(dir.path()), &one);
        let (now, key) = (Timestamp::UNIX_EPOCH + UNUSED, Credential::fresh().device_key);
        let access = Access { token: "at".to_owned().into(), since: now, expires: now };
        job.keep(&key, &one, &access).unwrap();
        assert!(job.access(&one).unwrap().is_some());
        assert!(job.access(&two).unwrap().is_none());
        assert_eq!(job.key(now).unwrap().thumbprint(), key.thumbprint());
    }
}
