//! The login of a CI job, a service or an agent.
//!
//! Job: reads the workload's token anew for each exchange. Boundary: keeps nothing on disk; the key
//! lives and dies with the process. Failure mode: an error that names the source, never its content.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;
use thiserror::Error;

/// Where a workload's token comes from.
#[derive(Clone)]
pub enum WorkloadSource {
    /// An environment variable, read by the floor above.
    Env {
        /// The variable's name.
        name: String,
        /// Reads it.
        read: Arc<dyn Fn() -> Option<String> + Send + Sync>,
    },
    /// A file that the platform keeps fresh.
    File(PathBuf),
}

impl fmt::Debug for WorkloadSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for WorkloadSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env { name, .. } => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "token-file:{}", path.display()),
        }
    }
}

/// Why there is no token.
#[derive(Debug, Error)]
pub enum WorkloadError {
    /// Nothing there.
    #[error("there is no workload token in `{0}`")]
    Empty(String),
    /// The file cannot be read.
    #[error("the workload token in `{path}` cannot be read: {cause}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
}

impl WorkloadSource {
    /// Reads the token as it is now.
    ///
    /// # Errors
    /// When there is none.
    pub fn token(&self) -> Result<SecretString, WorkloadError> {
        let text = match self {
            Self::Env { read, .. } => read().unwrap_or_default(),
            Self::File(path) => std::fs::read_to_string(path)
                .map_err(|cause| WorkloadError::Unreadable { path: path.clone(), cause })?,
        };
        match text.trim() {
            "" => Err(WorkloadError::Empty(self.to_string())),
            token => Ok(token.to_owned().into()),
        }
    }
}
