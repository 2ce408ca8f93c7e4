//! The files of a ledger, or of its recordings, in a directory: for verifying it offline.
//!
//! Whoever hands the directory over may be hostile: nothing in it is followed, waited for, or read
//! without a bound. Only the directory itself may be named by a link.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;

use crate::ledger::tile::{CHECKPOINT, COSIGNED, KEY, MAX_FILE};
use crate::ledger::verify::{Files, FilesError};
use crate::recording::chunk::MAX_PLAIN;

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
    /// INVARIANT: what is opened is a regular file below the directory, reached through directories alone;
    /// no link is followed, and nothing that could block or act when it is opened is opened.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, FilesError> {
        let failed = |path: &str, reason: String| FilesError { path: path.to_owned(), reason };
        let parts: Option<Vec<&str>> = Path::new(path)
            .components()
            .map(|part| if let Component::Normal(part) = part { part.to_str() } else { None })
            .collect();
        let Some((name, folders)) = parts.as_deref().and_then(<[_]>::split_last) else {
            return Err(failed(path, "it is not below the directory".into()));
        };
        let system = |path: &str, error: Errno| match error {
            Errno::NOENT => Ok(None),
            error => Err(failed(path, std::io::Error::from(error).to_string())),
        };
        let mut dir = match openat(CWD, &self.dir, FOLDER, Mode::empty()) {
            Ok(dir) => dir,
            Err(error) => return system(path, error),
        };
        let mut at = String::new();
        for folder in folders {
            at = if at.is_empty() { (*folder).to_owned() } else { format!("{at}/{folder}") };
            match kind(&dir, folder) {
                Ok(FileType::Directory) => {}
                Ok(other) => return Err(failed(&at, format!("it is {} and not a folder", word(other)))),
                Err(error) => return system(&at, error),
            }
            dir = match openat(&dir, *folder, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
                Ok(dir) => dir,
                Err(error) => return system(&at, error),
            };
        }
        // a device can act when it is merely opened, so it is looked at before
        match kind(&dir, name) {
            Ok(FileType::RegularFile) => {}
            Ok(other) => return Err(failed(path, format!("it is {} and not a file", word(other)))),
            Err(error) => return system(path, error),
        }
        let file = match openat(&dir, *name, FILE, Mode::empty()) {
            Ok(file) => file,
            Err(error) => return system(path, error),
        };
        // and once more, if it was put in place of the file since
        let stat = fstat(&file).map_err(|error| failed(path, std::io::Error::from(error).to_string()))?;
        let found = FileType::from_raw_mode(stat.st_mode);
        if found != FileType::RegularFile {
            return Err(failed(path, format!("it is {} and not a file", word(found))));
        }
        let most = longest(path);
        let mut bytes = Vec::new();
        let read = File::from(file).take(most.saturating_add(1)).read_to_end(&mut bytes);
        match read {
            Ok(length) if u64::try_from(length).unwrap_or(u64::MAX) > most => {
                Err(failed(path, format!("it is longer than the {most} bytes that such a file may have")))
            }
            Ok(_) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(path, error.to_string())),
        }
    }
}

fn kind(dir: &OwnedFd, name: &str) -> Result<FileType, Errno> {
    Ok(FileType::from_raw_mode(statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode))
}

/// How long the file with this path can be at the most.
fn longest(path: &str) -> u64 {
    let most = match path.split('/').collect::<Vec<_>>().as_slice() {
        [CHECKPOINT | COSIGNED | KEY] => 1 << 16,
        ["tile", "entries", ..] => MAX_FILE,
        // 256 hashes
        ["tile", ..] => 256 * 32,
        // a chunk that zstd could not make smaller
        _ => MAX_PLAIN + (1 << 16),
    };
    u64::try_from(most).unwrap_or(u64::MAX)
}

fn word(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a file",
        FileType::Directory => "a folder",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a named pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "something",
    }
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::os::unix::net::UnixListener;
    use std::path::Path;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::DirectoryFiles;
    use crate::ledger::verify::Files as _;

    /// What is said of the path, in time.
    fn read(dir: &Path, path: &'static str) -> Result<Option<Vec<u8>>, String> {
        let (files, (told, tell)) = (DirectoryFiles::new(dir), channel());
        std::thread::spawn(move || told.send(files.read(path).map_err(|error| error.to_string())));
        tell.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| Err("it hangs".into()))
    }

    #[test]
    fn nothing_is_followed_waited_for_or_read_without_a_bound() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("tile/0/001")).unwrap();
        fs::write(at("checkpoint"), "x").unwrap();
        assert_eq!(read(root.path(), "checkpoint"), Ok(Some(b"x".to_vec())));
        assert_eq!(read(root.path(), "tile/1/000"), Ok(None));
        assert_eq!(read(&at("nowhere"), "checkpoint"), Ok(None));
        let refused = |path: &'static str| read(root.path(), path).unwrap_err();

        assert_eq!(refused("tile/0/001"), "`tile/0/001` cannot be read: it is a folder and not a file");
        symlink(at("checkpoint"), at("key")).unwrap();
        assert_eq!(refused("key"), "`key` cannot be read: it is a symbolic link and not a file");
        symlink("/nowhere", at("tile/0/002")).unwrap();
        assert_eq!(
            refused("tile/0/002"),
            "`tile/0/002` cannot be read: it is a symbolic link and not a file"
        );
        symlink(at("tile/0"), at("tile/2")).unwrap();
        assert_eq!(refused("tile/2/000"), "`tile/2` cannot be read: it is a symbolic link and not a folder");
        fs::write(at("tile/3"), "").unwrap();
        assert_eq!(refused("tile/3/000"), "`tile/3` cannot be read: it is a file and not a folder");
        mknodat(CWD, at("tile/0/003"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert_eq!(refused("tile/0/003"), "`tile/0/003` cannot be read: it is a named pipe and not a file");
        let _socket = UnixListener::bind(at("tile/0/004")).unwrap();
        assert_eq!(refused("tile/0/004"), "`tile/0/004` cannot be read: it is a socket and not a file");
        assert_eq!(
            read(Path::new("/dev"), "null").unwrap_err(),
            "`null` cannot be read: it is a device and not a file"
        );
        assert_eq!(refused("../x"), "`../x` cannot be read: it is not below the directory");

        let sparse = |path: &str, length: u64| {
            fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            fs::File::create(at(path)).unwrap().set_len(length).unwrap();
        };
        for (path, most) in [
            ("tile/0/005", 8192_u64),
            ("tile/entries/005", 16_777_472),
            ("checkpoint", 65_536),
            ("ses/1-0.zst", 1_114_112),
        ] {
            sparse(path, most);
            assert_eq!(read(root.path(), path).unwrap().unwrap().len(), usize::try_from(most).unwrap());
            sparse(path, 1 << 40);
            let said = format!(
                "`{path}` cannot be read: it is longer than the {most} bytes that such a file may have"
            );
            assert_eq!(refused(path), said);
        }
        if !rustix::process::geteuid().is_root() {
            fs::set_permissions(at("tile/0/005"), fs::Permissions::from_mode(0o000)).unwrap();
            assert_eq!(refused("tile/0/005"), "`tile/0/005` cannot be read: Permission denied (os error 13)");
        }
    }

    /// A link that is put in place of the file between the look and the opening is not followed either.
    #[test]
    fn a_folder_that_changes_while_it_is_read_shows_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("outside"), "secret").unwrap();
        let dir = root.path().join("log");
        fs::create_dir(&dir).unwrap();
        let (file, link) = (dir.join("checkpoint"), dir.join("link"));
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    fs::write(&link, "inside").unwrap();
                    fs::rename(&link, &file).unwrap();
                    symlink(root.path().join("outside"), &link).unwrap();
                    fs::rename(&link, &file).unwrap();
                }
            });
            let files = DirectoryFiles::new(&dir);
            let (mut seen, mut followed) = (0, 0);
            for _ in 0..20_000 {
                if let Ok(Some(bytes)) = files.read("checkpoint") {
                    seen += 1;
                    followed += usize::from(bytes == b"secret");
                }
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            // not before the other thread has been told to end
            assert_eq!(followed, 0, "a link was followed");
            assert!(seen > 0, "the file was never there");
        });
    }
}
