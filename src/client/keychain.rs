//! Where the credential of a broker is kept.
//!
//! Job: the device key, the refresh token and what was pinned, in the system's keyring (Secret
//! Service on Linux, the Keychain on macOS, where nobody has tried it), else in a 0600 file; the caller is told
//! which. Boundary: one entry per broker, read and written whole. Failure mode:
//! [`KeychainError`]; a store that cannot be proven to work is not used.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::{Rng as _, RngExt as _};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::home::{BrokerHome, HomeError};
use super::trust::{Pin, PinnedRoot};
use crate::domain::name::ProviderName;
use crate::wire::dpop::DeviceKey;

/// Everything that a login leaves on this machine.
#[derive(Debug)]
pub struct Credential {
    /// The key that every token is bound to.
    pub device_key: DeviceKey,
    /// The provider that was signed in at; none before the first login.
    pub provider: Option<ProviderName>,
    /// The provider's refresh token.
    pub refresh_token: Option<SecretString>,
    /// What the broker's certificate must lead to; none when the system's roots are used.
    pub pinned: Option<PinnedRoot>,
}

impl Credential {
    /// A new device: a fresh key and nothing else.
    #[must_use]
    pub fn fresh() -> Self {
        let mut seed = [0_u8; 32];
        rand::rng().fill_bytes(&mut seed);
        Self { device_key: DeviceKey::from_bytes(&seed), provider: None, refresh_token: None, pinned: None }
    }

    fn encode(&self) -> Result<SecretString, KeychainError> {
        let stored = Stored {
            version: 1,
            device_key: STANDARD.encode(self.device_key.to_bytes().expose_secret()),
            provider: self.provider.clone(),
            refresh_token: self.refresh_token.as_ref().map(|t| t.expose_secret().to_owned()),
            pin: self.pinned.as_ref().map(|p| p.pin.to_string()),
            root: self.pinned.as_ref().and_then(|p| p.root.as_ref()).map(|der| STANDARD.encode(der)),
        };
        let text = serde_json::to_string(&stored).map_err(|_| KeychainError::Corrupt)?;
        Ok(text.into())
    }

    fn decode(text: &str) -> Result<Self, KeychainError> {
        let stored: Stored = serde_json::from_str(text).map_err(|_| KeychainError::Corrupt)?;
        if stored.version != 1 {
            return Err(KeychainError::Corrupt);
        }
        let bytes = STANDARD.decode(&stored.device_key).map_err(|_| KeychainError::Corrupt)?;
        let bytes: SecretBox<[u8; 32]> =
            SecretBox::new(Box::new(bytes.try_into().map_err(|_| KeychainError::Corrupt)?));
        let root =
            stored.root.map(|der| STANDARD.decode(der)).transpose().map_err(|_| KeychainError::Corrupt)?;
        let pin = stored.pin.map(|pin| pin.parse::<Pin>()).transpose().map_err(|_| KeychainError::Corrupt)?;
        Ok(Self {
            device_key: DeviceKey::from_bytes(bytes.expose_secret()),
            provider: stored.provider,
            refresh_token: stored.refresh_token.map(Into::into),
            pinned: pin.map(|pin| PinnedRoot { pin, root }),
        })
    }
}

/// Which store the user wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StoreChoice {
    /// The keyring if it proves to work, else the file.
    #[default]
    Auto,
    /// The file.
    File,
    /// The keyring or nothing.
    Keyring,
}

/// Where the credential is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoredIn {
    /// In a file that only its owner can read.
    File,
    /// In the system's keyring.
    Keyring,
}

/// Why a credential could not be kept or found.
#[derive(Debug, Error)]
pub enum KeychainError {
    /// It cannot be read.
    #[error("the stored credential cannot be read")]
    Corrupt,
    /// The file cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The keyring cannot be used.
    #[error("the system's keyring does not work: {0}")]
    Keyring(String),
}

/// The credential store of one broker.
#[derive(Debug, Clone)]
pub struct Keychain {
    place: BrokerHome,
    choice: StoreChoice,
}

impl Keychain {
    /// The store of one broker.
    #[must_use]
    pub fn new(place: BrokerHome, choice: StoreChoice) -> Self {
        Self { place, choice }
    }

    /// The credential, if there is one.
    ///
    /// # Errors
    /// When the store that holds it cannot be read.
    pub fn load(&self) -> Result<Option<Credential>, KeychainError> {
        match self.marker()? {
            None => Ok(None),
            Some(StoredIn::File) => match self.place.read(FILE)? {
                Some(bytes) => {
                    let text =
                        SecretString::from(String::from_utf8(bytes).map_err(|_| KeychainError::Corrupt)?);
                    Credential::decode(text.expose_secret()).map(Some)
                }
                None => Ok(None),
            },
            Some(StoredIn::Keyring) => match self.entry()?.get_password() {
                Ok(text) => Credential::decode(SecretString::from(text).expose_secret()).map(Some),
                Err(keyring::Error::NoEntry) => Ok(None),
                Err(error) => Err(KeychainError::Keyring(error.to_string())),
            },
        }
    }

    /// Keeps the credential and says where. A credential stays where it is once it is somewhere,
    /// unless the user's choice says otherwise.
    ///
    /// # Errors
    /// When it could not be kept.
    pub fn save(&self, credential: &Credential) -> Result<StoredIn, KeychainError> {
        let text = credential.encode()?;
        let before = self.marker()?;
        let into = match (self.choice, before) {
            (StoreChoice::File, _) | (StoreChoice::Auto, Some(StoredIn::File)) => StoredIn::File,
            (StoreChoice::Keyring, _) | (StoreChoice::Auto, Some(StoredIn::Keyring)) => StoredIn::Keyring,
            (StoreChoice::Auto, None) => self.probe().map_or(StoredIn::File, |()| StoredIn::Keyring),
        };
        match into {
            StoredIn::File => self.place.write(FILE, text.expose_secret().as_bytes())?,
            StoredIn::Keyring => self
                .entry()?
                .set_password(text.expose_secret())
                .map_err(|error| KeychainError::Keyring(error.to_string()))?,
        }
        if before != Some(into) {
            let word = serde_json::to_vec(&into).map_err(|_| KeychainError::Corrupt)?;
            self.place.write(MARKER, &word)?;
            if let Some(before) = before {
                self.erase(before)?;
            }
        }
        Ok(into)
    }

    /// Removes every trace of the credential.
    ///
    /// # Errors
    /// When something of it could not be removed.
    pub fn delete(&self) -> Result<(), KeychainError> {
        if let Some(stored) = self.marker()? {
            self.erase(stored)?;
        }
        self.place.remove(MARKER)?;
        Ok(())
    }

    /// Where the credential is, if it is anywhere.
    ///
    /// # Errors
    /// When the marker cannot be read.
    pub fn marker(&self) -> Result<Option<StoredIn>, KeychainError> {
        let Some(bytes) = self.place.read(MARKER)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|_| KeychainError::Corrupt)
    }

    fn erase(&self, stored: StoredIn) -> Result<(), KeychainError> {
        match stored {
            StoredIn::File => Ok(self.place.remove(FILE)?),
            StoredIn::Keyring => match self.entry()?.delete_credential() {
                Ok(()) | Err(keyring::Error::NoEntry) => Ok(()),
                Err(error) => Err(KeychainError::Keyring(error.to_string())),
            },
        }
    }

    fn entry(&self) -> Result<keyring::Entry, KeychainError> {
        keyring::Entry::new(SERVICE, self.place.key())
            .map_err(|error| KeychainError::Keyring(error.to_string()))
    }

    /// A locked or half-installed keyring opens without complaint and fails at the first write, so
    /// nothing less than a write, a read and a removal proves that it works.
    fn probe(&self) -> Result<(), KeychainError> {
        let failed = |error: keyring::Error| KeychainError::Keyring(error.to_string());
        let name = format!("probe {:032x}", rand::rng().random::<u128>());
        let entry = keyring::Entry::new(SERVICE, &name).map_err(failed)?;
        entry.set_password(&name).map_err(failed)?;
        let read = entry.get_password();
        entry.delete_credential().map_err(failed)?;
        if read.map_err(failed)? == name { Ok(()) } else { Err(KeychainError::Corrupt) }
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    device_key: String,
    provider: Option<ProviderName>,
    refresh_token: Option<String>,
    pin: Option<String>,
    root: Option<String>,
}

const FILE: &str = "credential.json";
const MARKER: &str = "credential-store";
const SERVICE: &str = "hoopctl";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use crate::client::home::Home;

    fn keychain(dir: &std::path::Path, url: &str) -> Keychain {
        let home = Home::open(dir.join("state")).unwrap();
        Keychain::new(home.broker(&url.parse().unwrap()).unwrap(), StoreChoice::File)
    }

    #[test]
    fn the_file_is_private_and_holds_the_same_key() {
        let dir = tempfile::tempdir().unwrap();
        let keychain = keychain(dir.path(), "https://a.example");
        let mut credential = Credential::fresh();
        credential.refresh_token = Some("rt".to_owned().into());
        assert_eq!(keychain.save(&credential).unwrap(), StoredIn::File);
        let path = dir.path().join("state/brokers").join(keychain.place.key()).join(FILE);
        assert_eq!(std::fs::metadata(path).unwrap().mode() & 0o777, 0o600);
        let loaded = keychain.load().unwrap().unwrap();
        assert_eq!(loaded.device_key.thumbprint(), credential.device_key.thumbprint());
        assert_eq!(loaded.refresh_token.unwrap().expose_secret(), "rt");
    }

    #[test]
    fn two_brokers_have_two_keys() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (keychain(dir.path(), "https://a.example"), keychain(dir.path(), "https://b.example"));
        a.save(&Credential::fresh()).unwrap();
        b.save(&Credential::fresh()).unwrap();
        let (ka, kb) = (a.load().unwrap().unwrap(), b.load().unwrap().unwrap());
        assert_ne!(ka.device_key.thumbprint(), kb.device_key.thumbprint());
        a.delete().unwrap();
        assert!(a.load().unwrap().is_none());
        assert!(b.load().unwrap().is_some());
    }

    #[test]
    fn a_broken_file_is_an_error_and_not_a_new_device() {
        let dir = tempfile::tempdir().unwrap();
        let keychain = keychain(dir.path(), "https://a.example");
        keychain.save(&Credential::fresh()).unwrap();
        keychain.place.write(FILE, b"{}").unwrap();
        assert!(matches!(keychain.load(), Err(KeychainError::Corrupt)));
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let mut credential = Credential::fresh();
        credential.refresh_token = Some("very-secret".to_owned().into());
        assert!(!format!("{credential:?}").contains("very-secret"));
    }
}
