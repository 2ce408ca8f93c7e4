//! The key that signs checkpoints, in a file that only we may read.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use super::LedgerError;
use crate::ledger::note::Signer;

/// Reads the key, or makes one when there is no ledger yet that it would have to fit.
pub(super) fn load(path: &Path, origin: &str, fresh: bool) -> Result<Signer, LedgerError> {
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
        Err(error) if error.kind() == ErrorKind::NotFound && fresh => make(path, origin),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(LedgerError::KeyMissing),
        Err(error) => Err(LedgerError::io(path)(error)),
    }
}

fn make(path: &Path, origin: &str) -> Result<Signer, LedgerError> {
    let signer = Signer::new(origin, &rand::random())?;
    let io = || LedgerError::io(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io())?;
    file.write_all(signer.to_secret_text().as_bytes()).map_err(io())?;
    file.sync_all().map_err(io())?;
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        super::publish::sync_dir(dir).map_err(LedgerError::io(dir))?;
    }
    Ok(signer)
}
