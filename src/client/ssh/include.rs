//! The line in the user's own configuration of ssh.
//!
//! Job: put one `Include` at the top of a file that belongs to the user, and take it out again, leaving every
//! other byte as it is. Boundary: reads no other line. Failure mode: the file is written whole beside itself and
//! renamed, or not at all; a file of somebody else is left alone.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::client::home::HomeError;
use crate::client::protocol::FormError;

/// A configuration file of ssh, where it really is.
#[derive(Debug)]
pub struct UserConfiguration {
    path: PathBuf,
}

impl UserConfiguration {
    /// The file at this path; links are followed, because the file behind them is the user's.
    ///
    /// # Errors
    /// When a link leads nowhere.
    pub fn at(path: &Path) -> Result<Self, HomeError> {
        match fs::canonicalize(path) {
            Ok(path) => Ok(Self { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => {
                Ok(Self { path: path.into() })
            }
            Err(source) => Err(HomeError::Io { action: "follow", path: path.into(), source }),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Includes this; returns whether anything had to be changed.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is somebody else's.
    pub fn include(&self, line: &str) -> Result<bool, HomeError> {
        self.change(|text| with(text, line))
    }

    /// Includes this no more; returns whether anything had to be changed.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is somebody else's.
    pub fn exclude(&self, line: &str) -> Result<bool, HomeError> {
        self.change(|text| without(text, line))
    }

    fn change(&self, change: impl FnOnce(&[u8]) -> Vec<u8>) -> Result<bool, HomeError> {
        let failed = |action| {
            let path = self.path.clone();
            move |source| HomeError::Io { action, path, source }
        };
        let old = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed("read")(error)),
        };
        let new = change(&old);
        if new == old {
            return Ok(false);
        }
        self.write(&new).map_err(failed("write"))?;
        Ok(true)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let dir = self.path.parent().unwrap_or_else(|| Path::new("."));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        // tempfile makes its files 0600
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        if let Ok(old) = fs::metadata(&self.path) {
            if old.uid() != rustix::process::geteuid().as_raw() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
            }
            file.as_file().set_permissions(old.permissions())?;
        }
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        File::open(dir)?.sync_all()
    }
}

/// The line that includes these files, which may be a pattern of names.
///
/// # Errors
/// When ssh could read the directory's name as something else.
pub fn include_line(dir: &Path, pattern: &str) -> Result<String, FormError> {
    let text = super::path(dir)?;
    // some versions of ssh know tokens here and some do not, and all know patterns
    if text.contains(['%', '*', '?', '[']) {
        return Err(FormError::Path(dir.into()));
    }
    Ok(format!("Include {}/{pattern}\"", text.trim_end_matches('"')))
}

/// The text with the line at its top: below a `Host` it would count for that host only.
fn with(text: &[u8], line: &str) -> Vec<u8> {
    let top = format!("{COMMENT}\n{line}\n\n");
    if text.starts_with(top.as_bytes()) {
        return text.to_vec();
    }
    [top.as_bytes(), &without(text, line)].concat()
}

/// The text without the line, its comment, and the empty line behind it.
fn without(text: &[u8], line: &str) -> Vec<u8> {
    let mut kept = Vec::with_capacity(text.len());
    let mut after = false;
    for piece in text.split_inclusive(|byte| *byte == b'\n') {
        let bare = piece.trim_ascii();
        let ours = bare == line.as_bytes() || bare == COMMENT.as_bytes();
        if !(ours || after && bare.is_empty()) {
            kept.extend_from_slice(piece);
        }
        after = bare == line.as_bytes();
    }
    kept
}

const COMMENT: &str =
    "# the next line is of `hoopctl ssh-config`; `hoopctl ssh-config --remove` takes it out";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const LINE: &str = "Include \"/s/brokers/*/ssh/config\"";

    #[test]
    fn what_is_put_in_comes_out_and_nothing_else_changes() {
        for text in ["", "Host a\n  User b\n", "\n\n# x\n\nHost *", "caf\u{e9}\r\nHost x\r\n"] {
            let once = with(text.as_bytes(), LINE);
            assert_eq!(with(&once, LINE), once);
            assert_eq!(without(&once, LINE), text.as_bytes());
            assert_eq!(without(text.as_bytes(), LINE), text.as_bytes());
        }
        let bytes = b"Host \xff\n".to_vec();
        assert_eq!(without(&with(&bytes, LINE), LINE), bytes);
    }

    #[test]
    fn a_line_that_was_moved_below_a_host_goes_back_to_the_top() {
        let moved = format!("Host a\n{LINE}\n");
        let text = String::from_utf8(with(moved.as_bytes(), LINE)).unwrap();
        assert_eq!(text, format!("{COMMENT}\n{LINE}\n\nHost a\n"));
    }

    #[test]
    fn links_and_permissions_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::write(&real, "Host a\n").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert!(UserConfiguration::at(&link).unwrap().include(LINE).unwrap());
        assert!(!UserConfiguration::at(&link).unwrap().include(LINE).unwrap());
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().mode() & 0o777, 0o640);
        assert!(fs::read_to_string(&real).unwrap().ends_with("\n\nHost a\n"));
        assert!(UserConfiguration::at(&link).unwrap().exclude(LINE).unwrap());
        assert_eq!(fs::read_to_string(&real).unwrap(), "Host a\n");
        fs::remove_file(&real).unwrap();
        assert!(UserConfiguration::at(&link).is_err());
    }

    #[test]
    fn a_directory_that_ssh_would_take_for_a_pattern_is_refused() {
        assert_eq!(include_line(Path::new("/s/brokers"), "*/ssh/config").unwrap(), LINE);
        for wrong in ["/a*", "/a?", "/a[b]", "/a%h", "/a\"b"] {
            assert!(include_line(Path::new(wrong), "x").is_err(), "{wrong}");
        }
    }
}
