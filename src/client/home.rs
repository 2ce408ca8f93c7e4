//! The state directory, with one sub-directory per broker.
//!
//! Job: private directories, atomic private files, the pointer to the default broker, locks between
//! processes. Boundary: knows nothing of what the files hold. Failure mode: [`HomeError`]; a
//! directory or file that others can read is refused, not repaired behind the user's back.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::FlockOperation;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use url::Url;

/// The state directory of the client.
#[derive(Debug)]
pub struct Home {
    root: PathBuf,
}

/// Why state could not be read or written.
#[derive(Debug, Error)]
pub enum HomeError {
    /// The system said no.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else could read or change it.
    #[error("`{}` is open to other users", path.display())]
    Exposed {
        /// The path.
        path: PathBuf,
    },
    /// It leads elsewhere, or is no directory.
    #[error("`{}` is a link or a file where a directory is expected", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// The URL cannot name a broker.
    #[error("`{0}` is not the URL of a broker: https://HOST[:PORT] is expected")]
    NotABroker(String),
}

impl Home {
    /// Opens the state directory, making it (0700) when there is none.
    ///
    /// # Errors
    /// When it cannot be made, or is open to other users.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, HomeError> {
        let root = root.into();
        private_dir(&root)?;
        Ok(Self { root })
    }

    /// A state directory that is made when something is first kept in it, for whoever may never keep
    /// anything.
    pub fn unmade(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The place of one broker; made when there is none.
    ///
    /// # Errors
    /// When the URL cannot name a broker or the directory cannot be made.
    pub fn broker(&self, url: &Url) -> Result<BrokerHome, HomeError> {
        let url = broker_url(url.as_str())?;
        private_dir(&self.root)?;
        let all = self.root.join("brokers");
        private_dir(&all)?;
        let key = broker_key(&url);
        let dir = all.join(&key);
        private_dir(&dir)?;
        Ok(BrokerHome { dir, key, url })
    }

    /// Where sockets and password files of running sessions live.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn run(&self) -> Result<PathBuf, HomeError> {
        private_dir(&self.root)?;
        let run = self.root.join("run");
        private_dir(&run)?;
        Ok(run)
    }

    /// Where the local log is.
    ///
    /// # Errors
    /// When its directory cannot be made.
    pub fn logs(&self) -> Result<PathBuf, HomeError> {
        private_dir(&self.root)?;
        let logs = self.root.join("log");
        private_dir(&logs)?;
        Ok(logs)
    }

    /// The broker to use when none is named.
    ///
    /// # Errors
    /// When the pointer cannot be read.
    pub fn default_broker(&self) -> Result<Option<Url>, HomeError> {
        let path = self.root.join(DEFAULT_BROKER);
        let Some(bytes) = read_private(&path)? else { return Ok(None) };
        broker_url(String::from_utf8_lossy(&bytes).trim()).map(Some)
    }

    /// Makes a broker the one to use when none is named.
    ///
    /// # Errors
    /// When the pointer cannot be written.
    pub fn set_default_broker(&self, url: Option<&Url>) -> Result<(), HomeError> {
        let path = self.root.join(DEFAULT_BROKER);
        match url {
            Some(url) => write_private(&path, url.as_str().as_bytes()),
            None => remove(&path),
        }
    }
}

/// The place of one broker.
#[derive(Debug, Clone)]
pub struct BrokerHome {
    dir: PathBuf,
    key: String,
    url: Url,
}

impl BrokerHome {
    /// Unique among brokers: host, port and a digest of the whole URL.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The broker's URL, without query, fragment and trailing slash.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// A directory inside, below others; made when there is none.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self, names: &[&str]) -> Result<PathBuf, HomeError> {
        let mut dir = self.dir.clone();
        for name in names {
            dir.push(name);
            private_dir(&dir)?;
        }
        Ok(dir)
    }

    /// Reads a file, if there is one.
    ///
    /// # Errors
    /// When it cannot be read or others can.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, HomeError> {
        read_private(&self.dir.join(name))
    }

    /// Writes a file (0600) so that a reader sees either the old or the new content.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), HomeError> {
        write_private(&self.dir.join(name), bytes)
    }

    /// The same for what means nothing after the machine went down: the disk is not waited for.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_for_now(&self, name: &str, bytes: &[u8]) -> Result<(), HomeError> {
        put(&self.dir.join(name), bytes, |_| Ok(()))
    }

    /// Removes a file, if there is one.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), HomeError> {
        remove(&self.dir.join(name))
    }

    /// Removes the files whose name begins so and that nobody wrote since.
    ///
    /// # Errors
    /// When the directory cannot be read or a file cannot be removed.
    pub fn forget_unused(&self, prefix: &str, since: Timestamp) -> Result<(), HomeError> {
        let failed = |source| HomeError::Io { action: "read", path: self.dir.clone(), source };
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let written = entry.metadata().and_then(|meta| meta.modified()).map_err(failed)?;
            let old = Timestamp::try_from(written).is_ok_and(|written| written < since);
            if old && name.to_str().is_some_and(|name| name.starts_with(prefix)) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Waits for the lock that one process at a time may hold. It is given back on drop, and by the
    /// system when the process dies.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn lock(&self) -> Result<HomeLock, HomeError> {
        self.lock_of("lock")
    }

    /// The same for something that has a lock of its own.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn lock_of(&self, name: &str) -> Result<HomeLock, HomeError> {
        let path = self.dir.join(name);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| HomeError::Io { action: "open", path: path.clone(), source })?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive).map_err(|errno| HomeError::Io {
            action: "lock",
            path,
            source: errno.into(),
        })?;
        Ok(HomeLock { _file: file })
    }
}

/// Held while one process changes a broker's credential, or what it remembers.
#[derive(Debug)]
pub struct HomeLock {
    _file: File,
}

/// Reads the URL of a broker: `https` only, and when no scheme is given.
///
/// # Errors
/// When it cannot name a broker.
pub fn broker_url(text: &str) -> Result<Url, HomeError> {
    let wrong = || HomeError::NotABroker(text.chars().filter(|c| !c.is_control()).take(200).collect());
    let full = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let mut url = Url::parse(&full).map_err(|_| wrong())?;
    if url.scheme() != "https"
        || url.host_str().is_none()
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Err(wrong());
    }
    url.set_query(None);
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// Makes a directory that only its owner can enter, or checks that it is one.
///
/// # Errors
/// When it cannot be made or is open to others.
pub fn private_dir(path: &Path) -> Result<(), HomeError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| HomeError::Io {
        action: "make",
        path: path.into(),
        source,
    })?;
    // a link would lead to a place that somebody else may choose
    let meta = fs::symlink_metadata(path).map_err(|source| HomeError::Io {
        action: "look at",
        path: path.into(),
        source,
    })?;
    let mine = meta.uid() == rustix::process::geteuid().as_raw();
    // writable by others means that they could put their own files here; readable is tightened
    if !meta.is_dir() {
        return Err(HomeError::NotADirectory { path: path.into() });
    }
    if !mine || meta.mode() & 0o022 != 0 {
        return Err(HomeError::Exposed { path: path.into() });
    }
    if meta.mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(|source| HomeError::Io {
            action: "protect",
            path: path.into(),
            source,
        })?;
    }
    Ok(())
}

/// Writes a file (0600) beside its final place, syncs it and renames it.
///
/// # Errors
/// When any of that fails; the old content is untouched then.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), HomeError> {
    put(path, bytes, File::sync_all)
}

/// `settle` sees the file before it gets its name, and the folder after that.
fn put(path: &Path, bytes: &[u8], settle: impl Fn(&File) -> io::Result<()>) -> Result<(), HomeError> {
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    let write = || -> io::Result<()> {
        // tempfile makes its files 0600
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(bytes)?;
        settle(file.as_file())?;
        file.persist(path)?;
        settle(&File::open(dir)?)
    };
    write().map_err(|source| HomeError::Io { action: "write", path: path.into(), source })
}

pub(super) fn read_private(path: &Path) -> Result<Option<Vec<u8>>, HomeError> {
    let failed = |source| HomeError::Io { action: "read", path: path.into(), source };
    let nofollow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(nofollow).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if file.metadata().map_err(failed)?.mode() & 0o077 != 0 {
        return Err(HomeError::Exposed { path: path.into() });
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

pub(super) fn remove(path: &Path) -> Result<(), HomeError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(HomeError::Io { action: "remove", path: path.into(), source: error })
        }
        _ => Ok(()),
    }
}

/// Readable by people, unique by the digest.
fn broker_key(url: &Url) -> String {
    let digest = Sha256::digest(url.as_str().as_bytes());
    let short: String = digest.iter().take(4).map(|b| format!("{b:02x}")).collect();
    let host: String = url
        .host_str()
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' })
        .take(100)
        .collect();
    format!("{host}_{}_{short}", url.port_or_known_default().unwrap_or_default())
}

const DEFAULT_BROKER: &str = "default-broker";
const MAX_FILE: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn brokers_live_side_by_side() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path().join("state")).unwrap();
        let urls =
            ["https://a.example", "https://a.example:8443", "https://a.example/team", "https://b.example"];
        for url in urls {
            home.broker(&Url::parse(url).unwrap()).unwrap().write("x", url.as_bytes()).unwrap();
        }
        for url in urls {
            let place = home.broker(&Url::parse(url).unwrap()).unwrap();
            assert_eq!(place.read("x").unwrap().unwrap(), url.as_bytes());
        }
    }

    #[test]
    fn links_lead_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let (there, link) = (dir.path().join("there"), dir.path().join("link"));
        let home = Home::open(&there).unwrap();
        std::os::unix::fs::symlink(&there, &link).unwrap();
        assert!(matches!(Home::open(&link), Err(HomeError::NotADirectory { .. })));
        let place = home.broker(&Url::parse("https://a.example").unwrap()).unwrap();
        place.write("real", b"key").unwrap();
        std::os::unix::fs::symlink(place.dir.join("real"), place.dir.join("linked")).unwrap();
        assert!(place.read("linked").is_err());
    }

    #[test]
    fn a_trailing_slash_is_the_same_broker() {
        let one = broker_url("https://a.example/").unwrap();
        let two = broker_url("a.example").unwrap();
        assert_eq!(broker_key(&one), broker_key(&two));
    }

    #[test]
    fn plain_http_is_no_broker() {
        assert!(matches!(broker_url("http://a.example"), Err(HomeError::NotABroker(_))));
        assert!(matches!(broker_url("https://u:p@a.example"), Err(HomeError::NotABroker(_))));
    }

    #[test]
    fn files_are_private_and_exposed_ones_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write_private(&path, b"secret").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(read_private(&path), Err(HomeError::Exposed { .. })));
    }

    #[test]
    fn a_directory_that_others_can_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("open");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(Home::open(&path), Err(HomeError::Exposed { .. })));
    }
}
