//! What a workload keeps between two commands of one job.
//!
//! Job: the device key that the job's token is bound to, and its access token, in one 0600 file per
//! job, and what the broker says of itself, so that the next command need not ask. Boundary: whose file it
//! is says a [`Mark`]. Failure mode: a file that cannot be read makes a new key, with
//! which a token that is bound to the old one is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretBox};
use serde::{Deserialize, Serialize};

use super::home::{BrokerHome, HomeError};
use super::keychain::Credential;
use super::login::Access;
use super::workload::Mark;
use crate::wire::control::BrokerInfo;
use crate::wire::dpop::DeviceKey;

/// One job's file.
#[derive(Debug)]
pub(super) struct Job {
    place: BrokerHome,
    file: String,
}

impl Job {
    /// The file of this job.
    pub(super) fn new(place: BrokerHome, mark: &Mark) -> Self {
        Self { file: format!("{PREFIX}{}.json", mark.job), place }
    }

    /// Where it is kept.
    pub(super) fn place(&self) -> &BrokerHome {
        &self.place
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

    /// The access token that was got as this subject, by this command or one before it, and what the broker
    /// said of itself then.
    pub(super) fn access(&self, mark: &Mark) -> Result<Option<(Access, BrokerInfo)>, HomeError> {
        let Some(kept) = self.read()?.and_then(|kept| kept.access) else { return Ok(None) };
        let access = Access { token: kept.token.into(), since: kept.since, expires: kept.expires };
        Ok((kept.subject == mark.subject).then_some((access, kept.broker)))
    }

    /// Keeps an access token for the commands to come.
    pub(super) fn keep(
        &self,
        key: &DeviceKey,
        subject: String,
        access: &Access,
        broker: &BrokerInfo,
    ) -> Result<(), HomeError> {
        let access = KeptAccess {
            subject,
            token: access.token.expose_secret().to_owned(),
            since: access.since,
            expires: access.expires,
            broker: broker.clone(),
        };
        self.write(&Kept { device_key: encode(key), access: Some(access) })
    }

    fn read(&self) -> Result<Option<Kept>, HomeError> {
        Ok(self.place.read(&self.file)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    fn write(&self, kept: &Kept) -> Result<(), HomeError> {
        // text and times are always JSON
        let bytes = serde_json::to_vec(kept).unwrap_or_default();
        // no job goes on when its machine comes up again
        self.place.write_for_now(&self.file, &bytes)
    }
}

#[derive(Serialize, Deserialize)]
struct Kept {
    device_key: String,
    access: Option<KeptAccess>,
}

#[derive(Serialize, Deserialize)]
struct KeptAccess {
    /// See [`Mark::subject`].
    subject: String,
    token: String,
    since: Timestamp,
    expires: Timestamp,
    broker: BrokerInfo,
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

const PREFIX: &str = "job-";
/// After so long without use, what a job kept is taken away.
const UNUSED: SignedDuration = SignedDuration::from_hours(24 * 30);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;
    use crate::client::home::Home;
    use crate::domain::name::Digest;

    fn mark(claims: &Value) -> Mark {
        Mark::of_token(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string())).into())
    }

    fn place(dir: &std::path::Path) -> BrokerHome {
        Home::open(dir.join("state")).unwrap().broker(&"https://a.example".parse().unwrap()).unwrap()
    }

    #[test]
    fn a_renewed_token_finds_the_key_of_its_job_and_another_job_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let key = |claims: Value| {
            let job = Job::new(place(dir.path()), &mark(&claims));
            job.key(Timestamp::UNIX_EPOCH + UNUSED).unwrap().thumbprint()
        };
        let first = key(json!({"sub": "ci", "run": 7, "iat": 1, "jti": "a", "exp": 9}));
        assert_eq!(first, key(json!({"jti": "b", "exp": 19, "sub": "ci", "run": 7, "iat": 11})));
        assert_ne!(first, key(json!({"sub": "ci", "run": 8, "iat": 1})));
        let pod =
            |name: &str, warnafter: i64| key(json!({"kubernetes.io": {"pod": name, "warnafter": warnafter}}));
        assert_eq!(pod("a", 1), pod("a", 2));
        assert_ne!(pod("a", 1), pod("b", 1));
    }

    #[test]
    fn an_access_token_is_for_the_token_it_was_exchanged_for() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (mark(&json!({"sub": "ci", "iat": 1})), mark(&json!({"sub": "ci", "iat": 2})));
        let job = Job::new(place(dir.path()), &one);
        let (now, key) = (Timestamp::UNIX_EPOCH + UNUSED, Credential::fresh().device_key);
        let access = Access { token: "at".to_owned().into(), since: now, expires: now };
        let broker = BrokerInfo {
            version: "1".into(),
            public_url: "https://a.example".parse().unwrap(),
            gateway_key: Digest::from_bytes(&[7; 32]),
            providers: Vec::new(),
            workloads: Vec::new(),
        };
        job.keep(&key, one.subject.clone(), &access, &broker).unwrap();
        assert!(job.access(&one).unwrap().is_some());
        assert!(job.access(&two).unwrap().is_none());
        assert_eq!(job.key(now).unwrap().thumbprint(), key.thumbprint());
    }
}
