//! `install.sh` in the hands of an ordinary user. What it builds with is a stand-in for cargo that
//! brings the program under test.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::env::{Ran, program};
use crate::support::files_below;
use crate::support::postgres::ordinary_user;

#[test]
fn one_command_shows_the_demo_and_leaves_nothing_behind() {
    let user = User::new("1.95.0");
    let ran = user.installs(&["--demo"]);
    assert_eq!(ran.code, 0, "{}", ran.text());
    assert!(ran.stdout.contains("Nothing is left behind."), "{}", ran.text());
    assert_eq!(files_below(&user.home()), Vec::<PathBuf>::new());
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
    let installed = files_below(&user.home());
    for file in ["bin/hoopctl", "man1/hoopctl-connect.1", "completions/hoopctl", "_hoopctl", "hoopctl.fish"] {
        assert!(installed.iter().any(|path| path.ends_with(file)), "{file}: {installed:?}");
    }
    let version = user.command(&user.home().join(".local/bin/hoopctl")).arg("--version").output().unwrap();
    assert!(version.status.success());
    let ran = user.installs(&["--uninstall"]);
    assert_eq!(ran.code, 0, "{}", ran.text());
    assert_eq!(files_below(&user.home()), Vec::<PathBuf>::new());
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

/// Somebody at a terminal who may become root is asked first, and no is no.
#[test]
fn who_sits_at_a_terminal_is_asked_before_sudo() {
    let user = User::new("1.95.0");
    user.shim("dpkg-query", "exit 1");
    let ran = user.installs_on_a_terminal("n\n");
    assert!(ran.stdout.contains("These Debian packages are missing: "), "{}", ran.text());
    assert!(ran.stdout.contains("Install them with sudo? [y/N] "), "{}", ran.text());
    let line =
        "error: packages are missing; run: sudo apt-get install -y --no-install-recommends libclang-dev";
    assert!(ran.code == 1 && ran.stdout.contains(line), "{}", ran.text());
    assert_eq!(user.became_root(), [""; 0]);
    assert!(!user.repository().join("target").exists(), "it was built");

    let ran = user.installs_on_a_terminal("y\n");
    assert_eq!(ran.code, 0, "{}", ran.text());
    assert!(ran.stdout.contains("Install them with sudo? [y/N] "), "{}", ran.text());
    assert!(ran.stdout.contains("installed "), "{}", ran.text());
    let root = user.became_root();
    assert_eq!(root[0], "apt-get update -qq", "{root:?}");
    assert!(root[1].contains("apt-get install -qq -y --no-install-recommends libclang-dev"), "{root:?}");
}

/// Debian starts what it installs: a cluster on 5432, and a server on 22. What keeps it from that is there while the
/// packages are installed, and gone afterwards, also when the installation fails or is interrupted.
#[test]
fn installed_servers_are_not_started_and_later_ones_are_the_owners_business() {
    // after the installation comes the build, which fails here
    for (end, code) in [("exit 0", 9), ("exit 1", 1), ("kill -TERM $PPID", 143)] {
        let user = User::new("1.95.0");
        let machine = user.on_a_machine_without_servers(end);
        let ran = user.installs(&["--demo", "--yes"]);
        assert_eq!(ran.code, code, "{}", ran.text());
        let seen = fs::read_to_string(machine.join("seen")).expect("the packages were installed");
        assert_eq!(seen, "create_main_cluster = false\nexit 101\n/dev/null\n/dev/null\n", "{}", ran.text());
        assert_eq!(files_below(&machine.join("etc")), Vec::<PathBuf>::new(), "{end}");
        assert!(!machine.join("policy-rc.d").exists(), "{end}");
    }
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

    /// Where nothing of Debian's is installed, and the installation ends like this. Here is what it has written, and
    /// what apt saw of it.
    fn on_a_machine_without_servers(&self, end: &str) -> PathBuf {
        let machine = self.folder.path().join("tmp/machine");
        fs::create_dir_all(machine.join("etc")).expect("a folder");
        if let Some((uid, gid)) = ordinary_user() {
            chown(&machine, Some(uid), Some(gid)).expect("a folder");
            chown(machine.join("etc"), Some(uid), Some(gid)).expect("a folder");
        }
        let at = machine.display();
        let script = self.repository().join("install.sh");
        let mut text = fs::read_to_string(&script).expect("the script");
        for (name, debian, here) in [
            ("CLUSTERS", "/usr/lib/postgresql", "clusters"),
            ("SSHD", "/usr/sbin/sshd", "sshd"),
            ("NO_CLUSTER", "/etc/postgresql-common/createcluster.d/hoopctl.conf", "etc/no-cluster"),
            ("POLICY_RC", "/usr/sbin/policy-rc.d", "policy-rc.d"),
            ("UNITS", "/etc/systemd/system", "etc/units"),
        ] {
            let line = format!("\n{name}={debian}\n");
            assert!(text.contains(&line), "install.sh has no {line}");
            text = text.replace(&line, &format!("\n{name}={at}/{here}\n"));
        }
        fs::write(&script, text).expect("the script");
        self.shim("dpkg-query", "exit 1");
        self.shim("sudo", "exec \"$@\"");
        for quiet in ["update-rc.d", "systemctl"] {
            self.shim(quiet, "");
        }
        // links to /dev/null are told by name, since what they lead to has no lines
        let look = format!(
            "cat {at}/etc/no-cluster && tail -n 1 {at}/policy-rc.d && readlink {at}/etc/units/ssh.service {at}/etc/units/ssh.socket"
        );
        self.shim(
            "apt-get",
            &format!(
                "case \"$*\" in *openssh-server*) ;; *) exit 0 ;; esac\n{{ {look}; }} >{at}/seen 2>&1\n{end}"
            ),
        );
        self.shim("cargo", "[ $1 = --version ] && echo cargo 1.95.0 && exit\nexit 9");
        machine
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

    /// The same at a terminal where this is typed, with a `sudo` that only notes what it was to do.
    fn installs_on_a_terminal(&self, keys: &str) -> Ran {
        let noted = self.folder.path().join("tmp/sudo");
        self.shim("sudo", &format!("echo \"$*\" >>{}", noted.display()));
        let mut command = self.command(Path::new("/usr/bin/script"));
        command.args(["--quiet", "--return", "--command", "/bin/sh install.sh", "/dev/null"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("`script` of util-linux runs");
        let mut keyboard = child.stdin.take().expect("a pipe");
        keyboard.write_all(keys.as_bytes()).expect("typed");
        let ran = Ran::from(child.wait_with_output().expect("it ends"));
        drop(keyboard);
        ran
    }

    /// The commands that `sudo` was given.
    fn became_root(&self) -> Vec<String> {
        let noted = fs::read_to_string(self.folder.path().join("tmp/sudo")).unwrap_or_default();
        noted.lines().map(str::to_owned).collect()
    }

    /// What still runs in its folders.
    fn processes(&self) -> Vec<String> {
        let at = |entry: &fs::DirEntry| fs::read_link(entry.path().join("cwd")).ok();
        let ours = |entry: &fs::DirEntry| at(entry).is_some_and(|at| at.starts_with(self.folder.path()));
        let all = fs::read_dir("/proc").expect("/proc").flatten();
        all.filter(ours).map(|entry| entry.file_name().display().to_string()).collect()
    }
}
