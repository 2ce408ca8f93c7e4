//! A file that has its name only once it is whole.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::failure::{Failure, FailureKind};

/// A file that is written beside its place, and put there when it is done; what was given up is removed.
#[derive(Debug)]
pub struct WholeFile {
    /// `None` once it is closed.
    writer: Option<BufWriter<File>>,
    temporary: PathBuf,
    path: PathBuf,
}

impl WholeFile {
    /// Begins it.
    ///
    /// # Errors
    /// When it cannot be written there.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| unwritable(path, &error);
        let name = path.file_name().ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        let temporary = path.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
        // INVARIANT: what somebody was shown is for whoever exports it alone
        let opened = File::options().write(true).create_new(true).mode(0o600).open(&temporary);
        let writer = Some(BufWriter::new(opened.map_err(failed)?));
        Ok(Self { writer, temporary, path: path.to_owned() })
    }

    /// Where it will be.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where it is until then.
    #[must_use]
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Writes it to its end, and leaves it without its name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn close(&mut self) -> Result<(), Failure> {
        let closed = self.writer.take().map_or(Ok(()), |mut writer| writer.flush());
        closed.map_err(|error| unwritable(&self.path, &error))
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn done(mut self) -> Result<(), Failure> {
        self.close()?;
        std::fs::rename(&self.temporary, &self.path).map_err(|error| unwritable(&self.path, &error))
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.writer {
            Some(writer) => writer.write(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.as_mut().map_or(Ok(()), BufWriter::flush)
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        // after a rename there is none
        let _gone = std::fs::remove_file(&self.temporary);
    }
}

/// What is said of a file that cannot be written.
#[must_use]
pub fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(FailureKind::Configuration, format!("cannot write `{}`: {error}", path.display()))
}
