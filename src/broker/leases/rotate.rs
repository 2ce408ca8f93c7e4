//! Replacing the administrator's password.
//!
//! Job: write the new one beside the old, tell the server, move it into place. Whatever kills the
//! broker between the steps, one of the two files opens the door: `Servers` tries the file first,
//! then the one beside it, and completes the move. Boundary: only a file can be rotated.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use postgres_protocol::password::scram_sha_256;
use secrecy::{ExposeSecret as _, SecretString};

use crate::domain::target::{PostgresTarget, RoleIssuer};
use crate::gateway::authority::LeaseError;

use super::name::{identifier, literal, password};
use super::server::{Servers, bounded, connect};

/// Replaces the password in `path` and at the server.
pub(super) async fn admin(
    servers: &Servers,
    postgres: &PostgresTarget,
    issuer: &RoleIssuer,
    path: &Path,
) -> Result<(), LeaseError> {
    // opening the door first settles a rotation that was cut short
    let mut admin = servers.admin(postgres, issuer, &postgres.database).await?;
    let session = admin.session()?;
    let new = password();
    let verifier = scram_sha_256(new.expose_secret().as_bytes());
    let beside = next_of(path);
    place(&beside, &new).map_err(LeaseError::Secret)?;
    let statement = format!("ALTER ROLE {} PASSWORD {}", identifier(&issuer.admin), literal(&verifier));
    // on an error nothing is known of the server's state, so the new file stays where it is found
    bounded(session.client.batch_execute(&statement)).await?;
    complete(&beside).map_err(LeaseError::Secret)?;
    admin.done();
    let current = crate::domain::target::SecretSource::File(path.to_owned());
    let written = servers.secrets().fetch(&current).await.map_err(|e| LeaseError::Secret(e.to_string()))?;
    drop(connect(postgres, &postgres.database, &issuer.admin, &written).await?);
    Ok(())
}

/// Where the new password waits until the server knows it.
pub(super) fn next_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

/// Moves a password that the server knows into place. Harmless when somebody else has.
pub(super) fn complete(beside: &Path) -> Result<(), String> {
    let fault = |e: std::io::Error| format!("{} cannot be moved into place: {e}", beside.display());
    match std::fs::rename(beside, beside.with_extension("")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(fault(error)),
        _ => sync_folder(beside).map_err(fault),
    }
}

fn place(beside: &Path, new: &SecretString) -> Result<(), String> {
    let write = || {
        let folder = beside.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let mut file = tempfile::Builder::new().prefix(".hoopctl-").make_in(folder, |path| {
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
        })?;
        file.write_all(new.expose_secret().as_bytes())?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(beside).map_err(|e| e.error)?;
        sync_folder(beside)
    };
    write().map_err(|e| format!("{} cannot be written: {e}", beside.display()))
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}
