//! The files of a ledger, or of its recordings, in a directory: for verifying it offline.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Component, Path, PathBuf};

use crate::ledger::tile::MAX_FILE;
use crate::ledger::verify::{Files, FilesError};

/// A directory with the files of a ledger, or with recordings.
#[derive(Debug, Clone)]
pub struct DirectoryFiles {
    dir: PathBuf,
}

impl DirectoryFiles {
    /// The files below `dir`.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }
}

impl Files for DirectoryFiles {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, FilesError> {
        let failed = |reason: String| FilesError { path: path.to_owned(), reason };
        let below = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        if !below {
            return Err(failed("it is not below the directory".into()));
        }
        let file = match File::open(self.dir.join(path)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error.to_string())),
        };
        let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1);
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
        Ok(Some(bytes))
    }
}
