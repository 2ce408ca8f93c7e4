//! The private directory of one session.
//!
//! Job: a fresh directory for its socket and its files, gone when the session is; for programs that are set up once, a
//! path and a port that are the same each time. Boundary: makes no socket. Failure mode: [`PlaceError`]; what a
//! process that was killed left here is removed by its guard, or else by the next one that needs a place.
//!
//! A path that stays is a link to a fresh directory, made under a lock: so what a killed process left can be removed at
//! any time, and never from under the one after it.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use thiserror::Error;

use crate::client::ClientContext;
use crate::client::home::{BrokerHome, HomeError, private_dir, read_private, write_private};

/// A private directory for one session: socket and files. Removed on drop.
#[derive(Debug)]
pub struct Place {
    sticky: Option<Sticky>,
    dir: TempDir,
    /// Tells whoever sweeps that this one is in use.
    _lock: Option<File>,
}

/// A path and a port that are the same each time.
#[derive(Debug)]
struct Sticky {
    path: PathBuf,
    /// Where the port is remembered.
    memory: PathBuf,
    port: u16,
    _lock: File,
}

/// Why there is no place.
#[derive(Debug, Error)]
pub enum PlaceError {
    /// The state directory failed.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The system said no.
    #[error("cannot make a private directory in `{}`: {cause}", .parent.display())]
    Make {
        /// Where it should be.
        parent: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Another process has it.
    #[error("the sticky place of `{0}` is in use by another hoopctl")]
    InUse(String),
    /// A socket's path has a limit.
    #[error("`{}` is too long for a socket's path", .0.display())]
    TooLong(PathBuf),
}

impl Place {
    /// Makes a fresh private directory, short enough for a socket's path.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(context: &ClientContext) -> Result<Self, PlaceError> {
        let run = context.home.run()?;
        let fits = run.as_os_str().len() + LONGEST_NAME <= MAX_SOCKET_PATH;
        // in a folder that others use too, nothing of theirs may look like ours
        let (parent, prefix) = if fits { (run, PREFIX) } else { (context.temporary.clone(), SHARED_PREFIX) };
        sweep(&parent, prefix);
        let failed = |cause| PlaceError::Make { parent: parent.clone(), cause };
        let dir = tempfile::Builder::new()
            .prefix(prefix)
            .rand_bytes(8)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&parent)
            .map_err(failed)?;
        private_dir(dir.path())?;
        let unheld = dir.path().join(".lock.new");
        let lock = open_lock(&unheld).map_err(failed)?;
        // whoever sweeps must never see a lock that nobody holds yet
        let held =
            rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(io::Error::from);
        held.and_then(|()| fs::rename(&unheld, dir.path().join(LOCK))).map_err(failed)?;
        Ok(Self { sticky: None, dir, _lock: Some(lock) })
    }

    /// The same behind a path that stays, of which there is one for each target of a broker.
    ///
    /// # Errors
    /// When it cannot be made, or another process has it.
    pub fn sticky(context: &ClientContext, broker: &BrokerHome, target: &str) -> Result<Self, PlaceError> {
        let path = sticky_path(context, broker, target)?;
        let beside = |ending: &str| path.with_file_name(format!("{target}.{ending}"));
        let failed = |cause| PlaceError::Make { parent: path.clone(), cause };
        let lock = open_lock(&beside("lock")).map_err(failed)?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Err(PlaceError::InUse(target.to_owned())),
            other => other.map_err(|errno| failed(errno.into()))?,
        }
        let memory = beside("port");
        let port = match remembered(&memory)? {
            Some(port) => port,
            None => {
                let port = derived(&path, broker, target);
                write_private(&memory, port.to_string().as_bytes())?;
                port
            }
        };
        let fresh = Self::new(context)?;
        let link = beside("new");
        drop(fs::remove_file(&link));
        symlink(fresh.dir.path(), &link).and_then(|()| fs::rename(&link, &path)).map_err(failed)?;
        Ok(Self { sticky: Some(Sticky { path, memory, port, _lock: lock }), ..fresh })
    }

    /// The directory, by the path that stays if there is one.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.sticky.as_ref().map_or_else(|| self.dir.path(), |sticky| &sticky.path)
    }

    /// What must be removed if this process dies.
    #[must_use]
    pub fn litter(&self) -> &Path {
        self.dir.path()
    }

    /// Whether the next one is in the same place.
    #[must_use]
    pub fn is_sticky(&self) -> bool {
        self.sticky.is_some()
    }

    /// The port that goes with a path that stays.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.sticky.as_ref().map(|sticky| sticky.port)
    }

    /// Makes this the port that goes with a path that stays; without one, nothing.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn remember(&self, port: u16) -> Result<(), HomeError> {
        match &self.sticky {
            Some(sticky) if sticky.port != port => write_private(&sticky.memory, port.to_string().as_bytes()),
            _ => Ok(()),
        }
    }
}

impl Drop for Sticky {
    fn drop(&mut self) {
        // leads nowhere from now on
        drop(fs::remove_file(&self.path));
    }
}

/// Where a target's socket is while something sticky runs.
///
/// # Errors
/// When the directory around it cannot be made, or its path is too long.
pub fn sticky_path(
    context: &ClientContext,
    broker: &BrokerHome,
    target: &str,
) -> Result<PathBuf, PlaceError> {
    let root = context.home.root();
    private_dir(root)?;
    let all = root.join("sticky");
    private_dir(&all)?;
    let here = all.join(broker.key().rsplit('_').next().unwrap_or_default());
    private_dir(&here)?;
    let path = here.join(target);
    if path.as_os_str().len() + "/.s.PGSQL.5432".len() > MAX_SOCKET_PATH {
        return Err(PlaceError::TooLong(path));
    }
    Ok(path)
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}

fn remembered(memory: &Path) -> Result<Option<u16>, HomeError> {
    let bytes = read_private(memory)?;
    Ok(bytes.and_then(|bytes| String::from_utf8_lossy(&bytes).trim().parse().ok()))
}

/// A port by the target's name, that no other target of this user has: below those that systems give to clients.
fn derived(path: &Path, broker: &BrokerHome, target: &str) -> u16 {
    let around = path.parent().and_then(Path::parent).unwrap_or(path);
    let brokers = fs::read_dir(around).into_iter().flatten().flatten();
    let files = brokers.flat_map(|broker| fs::read_dir(broker.path()).into_iter().flatten().flatten());
    let memories =
        files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|end| end == "port"));
    let taken: BTreeSet<u16> = memories.filter_map(|memory| remembered(&memory).ok().flatten()).collect();
    let digest = Sha256::digest(format!("{} {target}", broker.key()));
    let start = digest.iter().take(2).fold(0_u16, |number, byte| (number << 8) | u16::from(*byte));
    let mut ports = (0..PORTS).map(|step| FIRST_PORT + (start % PORTS + step) % PORTS);
    ports.find(|port| !taken.contains(port)).unwrap_or(FIRST_PORT)
}

/// Removes what processes left that were killed together with their guard.
fn sweep(parent: &Path, prefix: &str) {
    let me = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix));
        let mine = || fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir() && meta.uid() == me);
        if !ours || !mine() {
            continue;
        }
        // one without a lock is just being made, or of an older hoopctl
        let Ok(lock) = OpenOptions::new().write(true).open(path.join(LOCK)) else { continue };
        if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            drop(fs::remove_dir_all(&path));
        }
    }
}

const PREFIX: &str = "s-";
const SHARED_PREFIX: &str = "hoopctl-s-";
const LOCK: &str = ".lock";
/// `/s-xxxxxxxx/.s.PGSQL.5432`
const LONGEST_NAME: usize = 26;
/// Of 108 on Linux and 104 on macOS.
pub(super) const MAX_SOCKET_PATH: usize = 100;
const FIRST_PORT: u16 = 20000;
const PORTS: u16 = 10000;

#[cfg(test)]
impl Place {
    /// A place for a test of what is written there.
    pub(crate) fn for_test(parent: &Path) -> Self {
        #[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
        let dir = tempfile::tempdir_in(parent).unwrap();
        Self { sticky: None, dir, _lock: None }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn a_sweep_takes_what_nobody_holds_and_leaves_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str, locked: bool| {
            let place = dir.path().join(name);
            fs::create_dir(&place).unwrap();
            fs::write(place.join("pgpass"), "secret").unwrap();
            locked.then(|| open_lock(&place.join(LOCK)).unwrap())
        };
        let held = make("s-held", true).unwrap();
        rustix::fs::flock(&held, FlockOperation::LockExclusive).unwrap();
        make("s-dead", true);
        make("s-fresh", false);
        make("other", true);
        make("hoopctl-s-dead", true);
        let left = || -> BTreeSet<_> {
            fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
        };
        // in `/tmp`, an `s-…` with a lock may be any program's
        sweep(dir.path(), SHARED_PREFIX);
        assert_eq!(left(), ["other", "s-dead", "s-fresh", "s-held"].map(Into::into).into());
        sweep(dir.path(), PREFIX);
        assert_eq!(left(), ["other", "s-fresh", "s-held"].map(Into::into).into());
    }
}
