//! A file that belongs to the user, in which a few lines are ours.
//!
//! Job: change those lines and leave every other byte, the links that lead to the file, its permissions and its kind of
//! line ends as they are. Boundary: knows no format; a [`Block`] is lines between two comments. Failure mode: the file is
//! written whole beside itself and renamed, or not at all; a file of somebody else, or one that its owner has made
//! read-only, is left alone; several that change it at once take turns.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::home::HomeError;

/// A file of the user's, where it really is.
#[derive(Debug)]
pub struct UserFile {
    path: PathBuf,
}

impl UserFile {
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

    /// What it holds; nothing when there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self) -> Result<Vec<u8>, HomeError> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(self.failed("read", source)),
        }
    }

    /// Writes what `change` makes of what it holds; returns whether that is anything else.
    ///
    /// # Errors
    /// When it cannot be read or written, or is somebody else's; or what `change` says.
    pub fn change<E: From<HomeError>>(
        &self,
        change: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
    ) -> Result<bool, E> {
        let _turn = self.turn()?;
        let old = self.read()?;
        let new = change(&old)?;
        if new == old {
            return Ok(false);
        }
        self.write(&new).map_err(|source| self.failed("write", source))?;
        Ok(true)
    }

    /// Held while the file is read and written: a lock on its directory, which leaves nothing behind.
    fn turn(&self) -> Result<Option<File>, HomeError> {
        let Ok(dir) = File::open(self.dir()) else { return Ok(None) };
        rustix::fs::flock(&dir, FlockOperation::LockExclusive)
            .map_err(|errno| self.failed("lock", errno.into()))?;
        Ok(Some(dir))
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let dir = self.dir();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        // tempfile makes its files 0600
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        if let Ok(old) = fs::metadata(&self.path) {
            if old.uid() != rustix::process::geteuid().as_raw() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
            }
            if old.mode() & 0o200 == 0 {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is read-only"));
            }
            file.as_file().set_permissions(old.permissions())?;
        }
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        File::open(dir)?.sync_all()
    }

    fn dir(&self) -> &Path {
        self.path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
    }

    fn failed(&self, action: &'static str, source: io::Error) -> HomeError {
        HomeError::Io { action, path: self.path.clone(), source }
    }
}

/// Lines of ours in a file of the user's, between two comments, at its top: so that a file without a final line end
/// stays as it is. For formats where `#` begins a comment and the order of entries does not matter.
#[derive(Debug)]
pub struct Block {
    begin: String,
    end: String,
}

impl Block {
    /// The block that this command writes about this, of which there may be several in a file.
    #[must_use]
    pub fn of(command: &str, about: &str) -> Self {
        let about: String = about.chars().filter(|c| !c.is_control()).collect();
        Self {
            begin: format!("# begin of what `{command}` wrote for {about}; changes are lost"),
            end: format!("# end of what `{command}` wrote for {about}"),
        }
    }

    /// The text with these lines as the block.
    #[must_use]
    pub fn within(&self, text: &[u8], lines: &str) -> Vec<u8> {
        let rest = self.without(text);
        let ending = if rest.windows(2).any(|pair| pair == b"\r\n") { "\r\n" } else { "\n" };
        let mut all = Vec::with_capacity(rest.len() + lines.len() + 200);
        for line in [self.begin.as_str()].into_iter().chain(lines.lines()).chain([self.end.as_str()]) {
            all.extend_from_slice(line.as_bytes());
            all.extend_from_slice(ending.as_bytes());
        }
        all.extend_from_slice(&rest);
        all
    }

    /// The text without the block, and nothing else changed. One that has lost its end is left to the user.
    #[must_use]
    pub fn without(&self, text: &[u8]) -> Vec<u8> {
        let mut rest = Vec::with_capacity(text.len());
        let mut inside: Option<Vec<u8>> = None;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let bare = line.trim_ascii();
            match &mut inside {
                None if bare == self.begin.as_bytes() => inside = Some(line.to_vec()),
                None => rest.extend_from_slice(line),
                Some(_) if bare == self.end.as_bytes() => inside = None,
                Some(held) => held.extend_from_slice(line),
            }
        }
        rest.extend(inside.unwrap_or_default());
        rest
    }
}

/// The sections (`[name]`) of a text in the form of `pg_service.conf` and AWS profiles.
#[must_use]
pub fn sections(text: &[u8]) -> Vec<String> {
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let names = lines.filter_map(|line| line.strip_prefix(b"[")?.split(|byte| *byte == b']').next());
    names.map(|name| String::from_utf8_lossy(name.trim_ascii()).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const LINES: &str = "[db]\nhost=/run\n";

    fn put(file: &UserFile, block: &Block, lines: &str) -> Result<bool, HomeError> {
        file.change(|text| Ok::<_, HomeError>(block.within(text, lines)))
    }

    #[test]
    fn what_is_put_in_comes_out_and_nothing_else_changes() {
        let (block, other) = (Block::of("hoopctl x", "https://a"), Block::of("hoopctl x", "https://b"));
        for text in ["", "[a]\nhost=b\n", "\n\n# x\n\n[a]", "[a]\r\nhost=b\r\n", "caf\u{e9}"] {
            let once = block.within(text.as_bytes(), LINES);
            assert_eq!(block.within(&once, LINES), once);
            assert_eq!(block.without(&once), text.as_bytes());
            assert_eq!(once.windows(2).any(|pair| pair == b"\r\n"), text.contains("\r\n"));
            let both = other.within(&once, LINES);
            assert_eq!(block.without(&other.without(&both)), text.as_bytes());
            assert_eq!(other.without(&block.without(&both)), text.as_bytes());
        }
        let bytes = b"[\xff]\n".to_vec();
        assert_eq!(block.without(&block.within(&bytes, LINES)), bytes);
    }

    #[test]
    fn a_block_without_an_end_takes_nothing_of_the_users_with_it() {
        let block = Block::of("hoopctl x", "y");
        let whole = block.within(b"[mine]\n", LINES);
        let torn = String::from_utf8(whole).unwrap().replace(&block.end, "");
        assert!(String::from_utf8(block.without(torn.as_bytes())).unwrap().contains("[mine]"));
    }

    #[test]
    fn links_and_permissions_stay_and_a_file_that_is_read_only_too() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::write(&real, "[a]").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let (file, block) = (UserFile::at(&link).unwrap(), Block::of("hoopctl x", "y"));
        assert!(put(&file, &block, LINES).unwrap());
        assert!(!put(&file, &block, LINES).unwrap());
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().mode() & 0o777, 0o640);
        fs::set_permissions(&real, fs::Permissions::from_mode(0o440)).unwrap();
        let before = fs::read(&real).unwrap();
        let error = put(&file, &block, "[b]").unwrap_err();
        assert!(
            error.to_string().contains("cannot write") && error.to_string().contains("read-only"),
            "{error}"
        );
        assert_eq!(fs::read(&real).unwrap(), before);
        fs::remove_file(&real).unwrap();
        assert!(UserFile::at(&link).is_err());
    }

    #[test]
    fn those_who_change_a_file_at_once_lose_nothing_of_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "[mine]\n").unwrap();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    let block = Block::of("hoopctl x", &number.to_string());
                    put(&UserFile::at(path).unwrap(), &block, &format!("[{number}]\n")).unwrap();
                });
            }
        });
        let mut found = sections(&fs::read(&path).unwrap());
        found.sort();
        assert_eq!(found, ["0", "1", "2", "3", "4", "5", "6", "7", "mine"]);
    }
}
