//! The OpenAPI documents of targets, read once.
//!
//! Job: read a target's document, and again when the file has changed. Boundary: what a document says is
//! `wire::http::openapi`'s. Failure mode: a document that cannot be read is told apart from none, so that
//! rules about operations do not silently stop applying.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::domain::target::HttpTarget;
use crate::wire::http::openapi::OpenApi;

/// What is known of a target's operations.
#[derive(Debug, Clone)]
pub(in crate::gateway) enum Specification {
    /// The target names no document.
    None,
    /// Its document.
    Read(Arc<OpenApi>),
    /// It names one that cannot be read.
    Unreadable(String),
}

/// Documents that were read.
#[derive(Clone, Default)]
pub(crate) struct Specifications(Arc<Known>);

impl Specifications {
    /// That of a target.
    pub(in crate::gateway) async fn of(&self, target: &HttpTarget) -> Specification {
        let Some(path) = target.openapi.clone() else { return Specification::None };
        let known = Arc::clone(&self.0);
        let work = tokio::task::spawn_blocking(move || read(&known, &path)).await;
        match work {
            Ok(Ok(api)) => Specification::Read(api),
            Ok(Err(why)) => Specification::Unreadable(why),
            Err(error) => Specification::Unreadable(error.to_string()),
        }
    }
}

/// By path, with the time at which the file was changed.
type Known = Mutex<HashMap<PathBuf, (SystemTime, Arc<OpenApi>)>>;

fn read(known: &Known, path: &Path) -> Result<Arc<OpenApi>, String> {
    let changed = std::fs::metadata(path).and_then(|facts| facts.modified());
    let changed = changed.map_err(|error| error.to_string())?;
    let lock = || known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((read, api)) = lock().get(path)
        && *read == changed
    {
        return Ok(Arc::clone(api));
    }
    let document = std::fs::read(path).map_err(|error| error.to_string())?;
    let api = Arc::new(OpenApi::parse(&document).map_err(|error| error.to_string())?);
    lock().insert(path.to_owned(), (changed, Arc::clone(&api)));
    Ok(api)
}
