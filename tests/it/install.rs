//! `install.sh` in the hands of an ordinary user. What it builds with is a stand-in for cargo that
//! brings the program under test.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::env::{Ran, program};
use crate::support::postgres::ordinary_user;

#[test]
fn one_command_shows_the_demo_and_leaves_nothing_behind() {
    let user = User::new("1.95.0");
    let ran = user.installs(&["--demo"]);
    assert_eq!(ran.code, 0, "{}", ran.text());
    assert!(ran.stdout.contains("Nothing is left behind."), "{}", ran.text());
    assert_eq!(files(&user.home()), Vec::<PathBuf>::new());
    let temporary = fs::read_dir(user.folder.path().join("tmp")).unwrap();
    assert_eq!(temporary.count(), 0, "a temporary folder is left");
    assert_eq!(user.processes(), Vec::<String>::new());
}

#[test]
fn what_is_installed_works_and_goes_without_a_trace() {
    let user = User::new("1.95.0");
    let ran = user.installs(&[]);
    assert_eq!(ran.code, 0, "{}", ran.text());
    assert!(ran.stdout.starts_with("installed "), "{}", ran.text());
    assert!(ran.stderr.contains("is not on your PATH"), "{}", ran.text());
    let installed = files(&user.home());
    for file in ["bin/hoopctl", "man1/hoopctl-connect.1", "completions/hoopctl", "_hoopctl", "hoopctl.fish"] {
        assert!(installed.iter().any(|path| path.ends_with(file)), "{file}: {installed:?}");
    }
    let version = user.command(&user.home().join(".local/bin/hoopctl")).arg("--version").output().unwrap();
    assert!(version.status.success());
    let ran = user.installs(&["--uninstall"]);
    assert_eq!(ran.code, 0, "{}", ran.text());
    assert_eq!(files(&user.home()), Vec::<PathBuf>::new());
}

/// Nobody to ask and no rights: the exact line, and nothing else happens.
#[test]
fn missing_packages_are_named_in_a_line_to_run() {
    let mut user = User::new("1.95.0");
    user.knows_only(&["sh", "dirname", "id", "cut", "grep"]);
    user.shim("dpkg-query", "exit 1");
    let packages = "apt-get install -y --no-install-recommends libclang-dev gcc libc6-dev postgresql-client";
    let ran = user.installs(&[]);
    assert_eq!(ran.code, 1, "{}", ran.text());
    assert_eq!(ran.text(), format!("error: packages are missing; as root run: {packages}\n"));
    // a sudo that wants a password, and nobody there to type it
    user.shim("sudo", "exit 1");
    let ran = user.installs(&[]);
    assert_eq!(ran.code, 1, "{}", ran.text());
    assert_eq!(ran.stdout, "");
    assert!(
        ran.stderr.ends_with(&format!("error: packages are missing; run: sudo {packages}\n")),
        "{}",
        ran.text()
    );
    assert!(!user.repository().join("target").exists(), "it was built");
}

#[test]
fn an_old_rust_is_refused_before_anything_is_installed() {
    let user = User::new("1.94.1");
    user.shim("dpkg-query", "exit 1");
    let ran = user.installs(&["--demo", "--yes"]);
    assert_eq!(ran.code, 1, "{}", ran.text());
    assert_eq!(
        ran.text(),
        "error: Rust 1.95 or newer is needed, this is 1.94.1; run: rustup update stable\n"
    );
}

/// Somebody with a clone in a folder, an empty home, and a cargo of this version.
struct User {
    folder: TempDir,
    path: String,
}

impl User {
    fn new(rust: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("hoopctl-install-").tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a folder");
        let at = folder.path().to_owned();
        for name in ["home", "clone", "tmp", "tools"] {
            fs::create_dir(at.join(name)).expect("a folder");
        }
        let source = Path::new(env!("CARGO_MANIFEST_DIR"));
        fs::copy(source.join("install.sh"), at.join("clone/install.sh")).expect("the script");
        for name in ["man", "completions"] {
            fs::create_dir(at.join("clone").join(name)).expect("a folder");
            for file in fs::read_dir(source.join(name)).expect("the folder") {
                let file = file.expect("an entry");
                fs::copy(file.path(), at.join("clone").join(name).join(file.file_name())).expect("a copy");
            }
        }
        // where root's clone is, others may not look
        let built = at.join("built");
        fs::hard_link(program(), &built).or_else(|_| fs::copy(program(), &built).map(drop)).expect("a copy");
        if let Some((uid, gid)) = ordinary_user() {
            for name in ["home", "clone", "tmp"] {
                chown(at.join(name), Some(uid), Some(gid)).expect("a folder");
            }
        }
        let path = format!("{}:/usr/bin:/bin", at.join("tools").display());
        let user = Self { folder, path };
        let build = "mkdir -p target/release && cp ../built target/release/hoopctl";
        user.shim("cargo", &format!("[ $1 = --version ] && echo cargo {rust} && exit\n{build}"));
        user
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("clone")
    }

    /// Puts a program first on the PATH.
    fn shim(&self, name: &str, body: &str) {
        let path = self.folder.path().join("tools").join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a script");
    }

    /// Takes everything but these from the PATH.
    fn knows_only(&mut self, programs: &[&str]) {
        let tools = self.folder.path().join("tools");
        for program in programs {
            symlink(Path::new("/usr/bin").join(program), tools.join(program)).expect("a link");
        }
        self.path = tools.display().to_string();
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", &self.path).env("HOME", self.home()).stdin(Stdio::null());
        command
            .env("LC_ALL", "C.UTF-8")
            .env("TMPDIR", self.folder.path().join("tmp"))
            .current_dir(self.repository());
        if let Some((uid, gid)) = ordinary_user() {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn installs(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(Path::new("/bin/sh"));
        Ran::from(command.arg("install.sh").args(arguments).output().expect("sh runs"))
    }

    /// What still runs in its folders.
    fn processes(&self) -> Vec<String> {
        let at = |entry: &fs::DirEntry| fs::read_link(entry.path().join("cwd")).ok();
        let ours = |entry: &fs::DirEntry| at(entry).is_some_and(|at| at.starts_with(self.folder.path()));
        let all = fs::read_dir("/proc").expect("/proc").flatten();
        all.filter(ours).map(|entry| entry.file_name().display().to_string()).collect()
    }
}

/// Every file below a folder; folders do not count.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
