//! What a witness must not forget, in a folder.
//!
//! For each log there is a file, called by the SHA-256 of its origin: the last checkpoint that was cosigned, as a note
//! with the signatures of both; empty before the first. `evidence/` holds requests that a log should not have signed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{Fresh, WitnessError};
use crate::broker::ledger::{make_private_dir, replace, sync_dir};
use crate::ledger::witness::{Keep, MAX_REQUEST, State, Witness};

/// The memory of a witness, held by nobody else.
pub(super) struct Memory {
    folder: PathBuf,
    state: State,
    /// What was last cosigned, by the name of its file.
    notes: BTreeMap<String, String>,
    _lock: File,
}

impl Memory {
    pub(super) fn open(folder: &Path, witness: &Witness, fresh: Fresh) -> Result<Self, WitnessError> {
        if fresh == Fresh::WhereMissing {
            make_private_dir(folder).map_err(|error| WitnessError::io(folder)(io::Error::other(error)))?;
        }
        let path = folder.join("lock");
        let lock = File::create(&path).map_err(WitnessError::io(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(WitnessError::InUse(folder.display().to_string()));
            }
            Err(fs::TryLockError::Error(error)) => return Err(WitnessError::io(&path)(error)),
        }
        let (mut state, mut notes) = (State::new(), BTreeMap::new());
        for origin in witness.origins() {
            let name = name(origin);
            let path = folder.join(&name);
            let shown = || path.display().to_string();
            let kept = match read(&path).map_err(WitnessError::io(&path))? {
                Some(note) if note.is_empty() => None,
                Some(note) => {
                    let (of, checkpoint) = witness
                        .read_kept(&note)
                        .map_err(|source| WitnessError::State { path: shown(), source })?;
                    // a file in the place of another
                    if of != origin {
                        return Err(WitnessError::Forgotten { origin: origin.to_owned(), path: shown() });
                    }
                    notes.insert(name, note);
                    Some(checkpoint)
                }
                None if fresh == Fresh::WhereMissing => {
                    write(folder, &name, "").map_err(WitnessError::io(&path))?;
                    None
                }
                // INVARIANT: nothing is cosigned from the start a second time because a file is gone
                None => {
                    return Err(WitnessError::Forgotten { origin: origin.to_owned(), path: shown() });
                }
            };
            state.insert(origin.to_owned(), kept);
        }
        Ok(Self { folder: folder.to_owned(), state, notes, _lock: lock })
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// What was last cosigned of the log whose file has this name.
    pub(super) fn note(&self, name: &str) -> Option<String> {
        self.notes.get(name).cloned()
    }

    /// Writes what is cosigned; once this returns well, it is on the disk.
    pub(super) fn keep(&mut self, keep: &Keep) -> io::Result<()> {
        let name = name(&keep.origin);
        write(&self.folder, &name, &keep.note)?;
        self.notes.insert(name, keep.note.clone());
        self.state.insert(keep.origin.clone(), Some(keep.checkpoint));
        Ok(())
    }

    /// Keeps a request that its log should not have signed: the first few of them, for whoever looks into it.
    pub(super) fn dispute(&self, body: &[u8]) {
        let kept = (|| {
            let folder = self.folder.join("evidence");
            make_private_dir(&folder).map_err(io::Error::other)?;
            let path = folder.join(hex(&Sha256::digest(body)));
            if path.exists() || fs::read_dir(&folder)?.count() >= MOST_EVIDENCE {
                return Ok(());
            }
            replace(&path, body)?;
            sync_dir(&folder)
        })();
        if let Err(error) = kept {
            tracing::error!(%error, "the evidence could not be kept");
        }
    }
}

/// The text of the key, if there is one; others must not be able to read it.
pub(super) fn read_key(path: &Path) -> Result<Option<String>, WitnessError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(WitnessError::io(path)(error)),
    };
    let mode = file.metadata().map_err(WitnessError::io(path))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(WitnessError::KeyReadable(path.display().to_string()));
    }
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text).map_err(WitnessError::io(path))?;
    Ok(Some(text))
}

/// Makes the file of a new key.
pub(super) fn write_key(path: &Path, text: &str) -> Result<(), WitnessError> {
    let made = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        sync_dir(path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new(".")))
    })();
    made.map_err(WitnessError::io(path))
}

fn write(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    replace(&folder.join(name), text.as_bytes())?;
    sync_dir(folder)
}

fn read(path: &Path) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let (mut text, most) = (String::new(), u64::try_from(2 * MAX_REQUEST).unwrap_or(u64::MAX));
    file.take(most).read_to_string(&mut text)?;
    Ok(Some(text))
}

/// How the file of a log is called, and what `GET /NAME/checkpoint` asks for.
fn name(origin: &str) -> String {
    hex(&Sha256::digest(origin))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // writing to a String cannot fail
        let _written = write!(text, "{byte:02x}");
        text
    })
}

/// How many requests are kept as evidence.
const MOST_EVIDENCE: usize = 32;
