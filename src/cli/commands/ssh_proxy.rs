//! What ssh starts by itself (`ProxyCommand`); no command for people.

use std::os::fd::AsFd as _;
use std::path::Path;

use crate::cli::failure::{Failure, FailureKind};
use crate::client::ssh::pass;

/// Hands ssh the socket of a session that is open.
///
/// # Errors
/// [`Failure`].
pub async fn socket(socket: &Path) -> Result<u8, Failure> {
    pass::pass(socket, std::io::stdout().as_fd()).await.map_err(|error| {
        let message = format!("`{}` cannot be handed to ssh: {error}", socket.display());
        Failure::new(FailureKind::Unreachable, message)
    })?;
    Ok(0)
}
