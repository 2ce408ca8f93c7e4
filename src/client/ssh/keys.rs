//! The keys of plain `ssh TARGET`.
//!
//! Job: have a key ready at the one path that the user's configuration names, for as long as a connection to
//! that target lives. Boundary: one directory per target, private. Failure mode: a key that cannot be read
//! while others use it is an error; when nobody does, it is replaced.
//!
//! ssh cannot be told of another path for each connection, so connections to one target that overlap share a
//! key, and the next that begins when none is open makes another. A key is of no use without the session that
//! named it when it was opened, and sessions are opened with the device's own key.
//!
//! ssh may look at the file before the way to the host is there. It is written in a form that keeps the public
//! part unread until the key is used (PKCS #8, ECDSA), so that ssh cannot remember one that was replaced since.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use russh::keys::ssh_key::PublicKey;
use russh::keys::ssh_key::public::{EcdsaPublicKey, KeyData};
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::known_host;
use crate::client::home::{BrokerHome, HomeError, read_private, remove, write_private};
use crate::client::protocol::FormError;

/// Where the keys of one target are.
#[derive(Debug, Clone)]
pub struct KeyPlace {
    dir: PathBuf,
}

/// A key in use; the last one to go takes the key away.
#[derive(Debug)]
pub struct HeldKey {
    place: KeyPlace,
    lives: File,
    public: String,
}

impl KeyPlace {
    /// The place of a target, by the name that the broker gives it.
    ///
    /// # Errors
    /// When its directory cannot be made.
    pub fn new(broker: &BrokerHome, target: &str) -> Result<Self, HomeError> {
        Ok(Self { dir: broker.folder(&["ssh", "keys", target])? })
    }

    /// The file of the private key.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.dir.join("key")
    }

    /// The file with the gateway's host key.
    #[must_use]
    pub fn known_hosts(&self) -> PathBuf {
        self.dir.join("known_hosts")
    }

    /// Has the key ready. Short waits for others that do the same are possible.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn hold(&self) -> Result<HeldKey, FormError> {
        let _turn = self.turn()?;
        let lives = open(&self.dir.join("lives"))?;
        let pair = if try_alone(&lives)? {
            let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
            write_private(&self.key(), pair.serialize_pem().as_bytes())?;
            pair
        } else {
            let pem = read_private(&self.key())?.unwrap_or_default();
            KeyPair::from_pem(&String::from_utf8_lossy(&pem)).map_err(failed)?
        };
        let public = public(&pair)?;
        flock(&lives, FlockOperation::LockShared, &self.dir)?;
        Ok(HeldKey { place: self.clone(), lives, public })
    }

    /// Writes down the host key that the gateway shows for this target.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn know(&self, name: &str, host_key: Option<&str>) -> Result<(), HomeError> {
        let (file, line) = (self.known_hosts(), known_host(name, host_key));
        if read_private(&file)?.is_some_and(|known| known == line.as_bytes()) {
            return Ok(());
        }
        write_private(&file, line.as_bytes())
    }

    fn turn(&self) -> Result<File, HomeError> {
        let turn = open(&self.dir.join("turn"))?;
        flock(&turn, FlockOperation::LockExclusive, &self.dir)?;
        Ok(turn)
    }
}

impl HeldKey {
    /// The public key, a line of OpenSSH.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.public
    }
}

impl Drop for HeldKey {
    fn drop(&mut self) {
        let Ok(_turn) = self.place.turn() else { return };
        if matches!(try_alone(&self.lives), Ok(true)) {
            // whoever comes next makes another either way
            drop(remove(&self.place.key()));
        }
    }
}

fn public(pair: &KeyPair) -> Result<String, FormError> {
    let point = EcdsaPublicKey::from_sec1_bytes(pair.public_key_raw()).map_err(failed)?;
    PublicKey::from(KeyData::Ecdsa(point)).to_openssh().map_err(failed)
}

fn open(path: &Path) -> Result<File, HomeError> {
    let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    opened.map_err(|source| HomeError::Io { action: "open", path: path.into(), source })
}

fn flock(file: &File, how: FlockOperation, path: &Path) -> Result<(), HomeError> {
    rustix::fs::flock(file, how).map_err(|errno| HomeError::Io {
        action: "lock",
        path: path.into(),
        source: errno.into(),
    })
}

/// Whether nobody else holds this lock; if so, it is held alone.
fn try_alone(lives: &File) -> Result<bool, FormError> {
    match rustix::fs::flock(lives, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(FormError::Key(errno.into())),
    }
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> FormError {
    FormError::Key(io::Error::other(error))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use crate::client::home::Home;

    #[test]
    fn connections_that_overlap_share_a_key_and_the_last_takes_it_away() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path().join("state")).unwrap();
        let broker = home.broker(&"https://a.example".parse().unwrap()).unwrap();
        let place = KeyPlace::new(&broker, "bastion").unwrap();
        let first = place.hold().unwrap();
        let second = place.hold().unwrap();
        assert_eq!(first.public(), second.public());
        let kept = first.public().to_owned();
        drop(first);
        assert!(place.key().exists(), "the second still needs it");
        assert_eq!(place.hold().unwrap().public(), kept);
        drop(second);
        assert!(!place.key().exists());
        // somebody was killed and left a key behind
        std::fs::write(place.key(), "rubbish").unwrap();
        assert_ne!(place.hold().unwrap().public(), kept);
        let other = KeyPlace::new(&broker, "other").unwrap().hold().unwrap();
        assert_ne!(other.public(), place.hold().unwrap().public());
    }
}
