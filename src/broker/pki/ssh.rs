//! The broker's own keys of SSH: the gateway's host key, and the authority that signs user certificates.

use std::path::Path;

use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;

use super::{PkiError, at, files};

/// What signs user certificates.
pub(super) fn authority(directory: &Path) -> Result<PrivateKey, PkiError> {
    key(&directory.join("ssh_ca_ed25519"), "hoopctl user authority")
}

/// Reads a key, or makes one (Ed25519) when there is none.
pub(super) fn key(path: &Path, comment: &str) -> Result<PrivateKey, PkiError> {
    if let Some(text) = files::read_private(path).map_err(at(path))? {
        let fault = |why: String| PkiError::Pem { path: path.to_owned(), why };
        let text = std::str::from_utf8(&text).map_err(|error| fault(error.to_string()))?;
        return PrivateKey::from_openssh(text).map_err(|error| fault(error.to_string()));
    }
    let mut key = PrivateKey::from(Ed25519Keypair::from_seed(&rand::random()));
    key.set_comment(comment);
    let text = key.to_openssh(LineEnding::LF).map_err(|error| at(path)(std::io::Error::other(error)))?;
    files::write_private(path, text.as_bytes()).map_err(at(path))?;
    Ok(key)
}
