//! Who signs checkpoints: a key in a file or in the system's keyring, or a command that has one.
//!
//! Job: finds a key where the configuration says it is, or makes one for a new ledger; asks a command for each signature.
//! Boundary: what is signed, and whether the answer is a signature, is `ledger::note`'s business. Failure mode: a key that
//! is not there is an error, never a reason for another one; a command that does not answer in order signs nothing.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;

use super::{LedgerError, key};
use crate::broker::secrets::{PATIENCE, ask};
use crate::ledger::note::{Sign, SignError, Signer, VerifierKey, signature_lines};

/// Where a key of the ledger is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPlace {
    /// With somebody who signs for us.
    Command {
        /// The program and its arguments. It reads what is to be signed, and writes the signature in base64.
        words: Vec<String>,
        /// The public half.
        public: Box<VerifierKey>,
    },
    /// In a file that only we may read.
    File(PathBuf),
    /// In the keyring of the user that the broker runs as, under this name.
    Keyring(String),
}

/// The keys that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerKeys {
    /// The one that signs.
    pub key: KeyPlace,
    /// The one before, while it is not taken away.
    pub previous: Option<KeyPlace>,
}

impl From<PathBuf> for LedgerKeys {
    fn from(path: PathBuf) -> Self {
        Self { key: KeyPlace::File(path), previous: None }
    }
}

/// A signer of the ledger.
pub(super) type AnySigner = Box<dyn Sign>;

impl KeyPlace {
    /// The signer; where `makes` is given and there is no key yet, a new one of that name.
    pub(super) fn load(&self, makes: Option<&str>) -> Result<AnySigner, LedgerError> {
        Ok(match self {
            Self::Command { words, public } => {
                Box::new(Commanded { words: words.clone(), public: (**public).clone() })
            }
            Self::File(path) => Box::new(key::load(path, makes)?),
            Self::Keyring(name) => Box::new(kept(name, makes)?),
        })
    }

    /// Whether each signature takes its time.
    pub(super) fn is_slow(&self) -> bool {
        matches!(self, Self::Command { .. })
    }
}

/// The signers of a ledger that is open.
pub(super) struct Signers {
    /// That of the key in force.
    pub(super) main: AnySigner,
    /// That of the key before, which signs too for those who do not know the new one yet.
    pub(super) former: Option<AnySigner>,
    /// Whether each signature takes its time.
    pub(super) are_slow: bool,
}

impl Signers {
    /// A text as a note.
    ///
    /// The former key is a courtesy: when it does not sign, the note goes without.
    pub(super) fn note(&self, text: &str) -> Result<String, SignError> {
        let lines = signature_lines(text, &[self.main.as_ref()])?;
        let more = match &self.former {
            Some(former) => signature_lines(text, &[former.as_ref()]).unwrap_or_else(|error| {
                tracing::warn!(%error, "the ledger's previous key does not sign beside the new one");
                String::new()
            }),
            None => String::new(),
        };
        Ok(format!("{text}\n{lines}{more}"))
    }
}

/// A command that signs.
struct Commanded {
    words: Vec<String>,
    public: VerifierKey,
}

impl Sign for Commanded {
    fn verifier(&self) -> &VerifierKey {
        &self.public
    }

    fn signature(&self, text: &str) -> Result<[u8; 64], SignError> {
        let answer = ask(&self.words, text, PATIENCE);
        let answer = answer.map_err(|error| SignError::Unanswered(error.to_string()))?;
        let line = answer.trim_ascii();
        // a line and no more: whatever else a program says is not decoded
        let bytes = if line.len() <= 2 * 64 { STANDARD.decode(line).ok() } else { None };
        bytes
            .and_then(|bytes| <[u8; 64]>::try_from(bytes).ok())
            .ok_or_else(|| SignError::Wrong(self.public.to_string()))
    }
}

/// The key in the keyring. What speaks to it may block, and may run things of its own, so it gets a thread.
fn kept(name: &str, makes: Option<&str>) -> Result<Signer, LedgerError> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| in_keyring(name, makes));
        thread.join().unwrap_or_else(|_| Err(LedgerError::Keyring("it could not be asked".into())))
    })
}

fn in_keyring(name: &str, makes: Option<&str>) -> Result<Signer, LedgerError> {
    let failed = |error: keyring::Error| LedgerError::Keyring(error.to_string());
    let entry = keyring::Entry::new(SERVICE, name).map_err(failed)?;
    let read = || entry.get_password().map(Zeroizing::new);
    match read() {
        Ok(text) => Ok(Signer::parse(&text)?),
        Err(keyring::Error::NoEntry) => {
            let signer = key::fresh(makes.ok_or(LedgerError::KeyMissing)?)?;
            let text = Zeroizing::new(signer.to_secret_text());
            entry.set_password(&text).map_err(failed)?;
            // a keyring that is locked may take what it does not keep
            if *read().map_err(failed)? == *text {
                Ok(signer)
            } else {
                Err(LedgerError::Keyring("it did not keep the key".into()))
            }
        }
        Err(error) => Err(failed(error)),
    }
}

/// What keys of ledgers are called in a keyring, beside those of logins.
const SERVICE: &str = "hoopctl-ledger";
