//! The key that signs checkpoints, in a file that only we may read.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use super::LedgerError;
use crate::ledger::note::Signer;

/// Reads the key; makes one of the name that is given when there is none.
pub(super) fn load(path: &Path, makes: Option<&str>) -> Result<Signer, LedgerError> {
    match OpenOptions::new().read(true).open(path) {
        Ok(file) => {
            let metadata = file.metadata().map_err(LedgerError::io(path))?;
            if metadata.permissions().mode() & 0o077 != 0 {
                return Err(LedgerError::KeyReadable);
            }
            let mut text = String::new();
            file.take(4096).read_to_string(&mut text).map_err(LedgerError::io(path))?;
            Ok(Signer::parse(&text)?)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            makes.map_or(Err(LedgerError::KeyMissing), |name| make(path, name))
        }
        Err(error) => Err(LedgerError::io(path)(error)),
    }
}

/// A new key.
pub(super) fn fresh(name: &str) -> Result<Signer, LedgerError> {
    Ok(Signer::new(name, &rand::random())?)
}

/// Whoever dies in between leaves a whole key or none: half of one would be in the way of the next start.
fn make(path: &Path, name: &str) -> Result<Signer, LedgerError> {
    let signer = fresh(name)?;
    let io = || LedgerError::io(path);
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(io())?;
    file.write_all(signer.to_secret_text().as_bytes()).map_err(io())?;
    file.sync_all().map_err(io())?;
    // INVARIANT: a key that is there is never written over
    std::fs::hard_link(&new, path).map_err(io())?;
    std::fs::remove_file(&new).map_err(io())?;
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        super::publish::sync_dir(dir).map_err(LedgerError::io(dir))?;
    }
    Ok(signer)
}
