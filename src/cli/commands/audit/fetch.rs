//! The ledger's files and the recordings, fetched from the broker as they are asked for.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;

use crate::client::api::{Api, ApiError};
use crate::client::link::LinkError;
use crate::domain::name::SessionId;
use crate::ledger::verify::{Files, FilesError};
use crate::wire::control::ProblemCode;

/// The ledger at a broker. Must be used off the runtime's own threads.
#[derive(Debug)]
pub(super) struct Ledger {
    api: Arc<Api>,
    handle: Handle,
    head: Mutex<Option<Vec<u8>>>,
}

impl Ledger {
    pub(super) fn new(api: &Arc<Api>, handle: &Handle) -> Self {
        Self { api: Arc::clone(api), handle: handle.clone(), head: Mutex::new(None) }
    }

    /// The checkpoint that was read.
    pub(super) fn head(&self) -> Option<Vec<u8>> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Files for Ledger {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, FilesError> {
        let bytes = found(path, self.handle.block_on(self.api.ledger_file(path)))?;
        if path == super::HEAD {
            self.head.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&bytes);
        }
        Ok(bytes)
    }
}

/// The recordings at a broker.
#[derive(Debug)]
pub(super) struct Recordings {
    api: Arc<Api>,
    handle: Handle,
}

impl Recordings {
    pub(super) fn new(api: &Arc<Api>, handle: &Handle) -> Self {
        Self { api: Arc::clone(api), handle: handle.clone() }
    }
}

impl Files for Recordings {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, FilesError> {
        let failed = || FilesError { path: path.to_owned(), reason: "it is not the path of a chunk".into() };
        let (session, name) = path.split_once('/').ok_or_else(failed)?;
        let (connection, chunk) =
            name.strip_suffix(".zst").and_then(|name| name.split_once('-')).ok_or_else(failed)?;
        let session = SessionId::new(session).map_err(|_| failed())?;
        let connection = connection.parse().map_err(|_| failed())?;
        let chunk = chunk.parse().map_err(|_| failed())?;
        found(path, self.handle.block_on(self.api.chunk(&session, connection, chunk)))
    }
}

fn found(path: &str, result: Result<Vec<u8>, ApiError>) -> Result<Option<Vec<u8>>, FilesError> {
    match result {
        Ok(bytes) => Ok(Some(bytes)),
        Err(ApiError::Link(LinkError::Problem(problem))) if problem.code == ProblemCode::Unknown => Ok(None),
        Err(error) => Err(FilesError { path: path.to_owned(), reason: error.to_string() }),
    }
}
