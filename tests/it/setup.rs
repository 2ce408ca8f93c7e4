//! What the test command sets up, on machines that have less than this one.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::env::Ran;
use crate::support::postgres::ordinary_user;

/// Whoever is not root types one line, not one after the other.
#[test]
fn everything_that_is_missing_is_named_in_one_line() {
    let machine = Machine::new();
    machine.shim("dpkg-query", "exit 1");
    machine.shim("cargo", "exit 9");
    let ran = machine.runs(&["tests/run"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{}", ran.text());
    let line = "error: packages are missing; run: sudo apt-get install -y --no-install-recommends ";
    let named = ran.stderr.strip_prefix(line).unwrap_or_else(|| panic!("{}", ran.stderr));
    let named: BTreeSet<&str> = named.split_whitespace().collect();
    // what is known by its place and not by the PATH may be here
    let placed = ["openssh-server", "openssh-sftp-server", "postgresql-15"];
    let wanted = wanted();
    let missing: Vec<_> = wanted
        .iter()
        .filter(|name| !named.contains(name.as_str()) && !placed.contains(&name.as_str()))
        .collect();
    assert!(missing.is_empty(), "tests/run does not name {missing:?}: {named:?}");
    for name in ["libclang-dev", "npm", "haproxy", "python3-venv", "golang-go"] {
        assert!(wanted.contains(name), "{name} is not found in the scripts: {wanted:?}");
    }
}

/// Debian 12 has Node 18; another is fetched once, and found from then on.
#[test]
fn an_old_node_is_replaced_by_one_of_npms() {
    let machine = Machine::new();
    machine.shim("node", "echo v18.19.0");
    let which = ". tests/setup/common.sh; need_node; command -v node; node -p x";
    machine.shim("npm", "exit 1");
    let ran = machine.runs(&["-c", &format!("set -e; {which}")]);
    assert_eq!(ran.code, 1, "{}", ran.text());
    assert!(ran.stderr.starts_with("Node 22 is needed, this is v18.19.0; fetching "), "{}", ran.stderr);
    assert!(ran.stderr.ends_with("; put Node 22 first on the PATH\n"), "{}", ran.stderr);

    let new = "#!/bin/sh\\necho true\\n";
    let at = "node_modules/${6%@*}/bin";
    machine.shim(
        "npm",
        &format!("echo \"$*\" >&2; mkdir -p {at}; printf '{new}' >{at}/node; chmod +x {at}/node"),
    );
    let found = format!("{}\ntrue\n", machine.cache().join("node/bin/node").display());
    let ran = machine.runs(&["-c", which]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, found.as_str()), "{}", ran.text());
    assert!(ran.stderr.contains("--ignore-scripts node-linux-"), "{}", ran.stderr);
    machine.shim("npm", "echo again >&2");
    let ran = machine.runs(&["-c", which]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, found.as_str(), ""));
}

/// The Debian packages that the scripts want which `tests/run` calls by itself.
fn wanted() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/setup");
    let run = fs::read_to_string(folder.parent().expect("tests").join("run")).expect("the script");
    let ordinary =
        run.split("\nprepare()").nth(1).and_then(|rest| rest.split("\n)\n").next()).expect("its part");
    let mut wanted: BTreeSet<String> = ["libclang-dev".to_owned()].into();
    for entry in fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if !ordinary.contains(&format!("tests/setup/{name}")) || name == "common.sh" {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a script").replace("\\\n", " ");
        for line in text.lines().map(str::trim) {
            let mut words = line.split_whitespace().map(|word| word.trim_matches('"'));
            match words.next() {
                Some("need_node") => wanted.extend(["nodejs".to_owned(), "npm".to_owned()]),
                Some("npm_package") => wanted.extend(["nodejs".to_owned(), "npm".to_owned()]),
                Some("need_venv") => drop(wanted.insert("python3-venv".to_owned())),
                Some("need") => wanted.extend(words.nth(1).map(str::to_owned)),
                Some("packages") => {
                    wanted.extend(words.map(|word| word.rsplit('=').next().expect("a word").to_owned()));
                }
                _ => {}
            }
        }
    }
    wanted
}

/// The scripts, as an ordinary user, with hardly a program on the PATH and an empty cache.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("hoopctl-setup-").tempdir().expect("a folder");
        let machine = Self(folder);
        let at = machine.0.path();
        fs::set_permissions(at, fs::Permissions::from_mode(0o755)).expect("a folder");
        for name in ["tools", "cache", "tests", "tests/setup"] {
            fs::create_dir(at.join(name)).expect("a folder");
        }
        if let Some((uid, gid)) = ordinary_user() {
            chown(at.join("cache"), Some(uid), Some(gid)).expect("a folder");
        }
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        for name in ["run", "setup/common.sh"] {
            fs::copy(tests.join(name), at.join("tests").join(name)).expect("a copy");
        }
        for name in
            ["bash", "sh", "cat", "chmod", "dirname", "env", "grep", "id", "ln", "mkdir", "mktemp", "uname"]
        {
            symlink(Path::new("/usr/bin").join(name), at.join("tools").join(name)).expect("a link");
        }
        machine
    }

    fn cache(&self) -> PathBuf {
        self.0.path().join("cache")
    }

    /// Puts a program on the PATH.
    fn shim(&self, name: &str, body: &str) {
        let path = self.0.path().join("tools").join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a script");
    }

    fn runs(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new("/bin/bash");
        command.args(arguments).env_clear().env("PATH", self.0.path().join("tools")).stdin(Stdio::null());
        command.env("HOOPCTL_TEST_CACHE", self.cache()).current_dir(self.0.path());
        if let Some((uid, gid)) = ordinary_user() {
            command.uid(uid).gid(gid);
        }
        Ran::from(command.output().expect("bash runs"))
    }
}
