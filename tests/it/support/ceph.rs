//! Ceph's RADOS gateway for one test: S3, and an STS that enforces session policies, on 127.0.0.1, gone when dropped.
//!
//! It is heavy (a quarter of a minute, 400 MB), so its stories are `#[ignore]`d and run by `tests/run --full`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::postgres::free_port;

/// A running gateway, and a user of it who may make roles.
pub(crate) struct Ceph {
    /// Where it is: `http://127.0.0.1:PORT`.
    pub(crate) endpoint: String,
    /// The user's keys.
    pub(crate) access_key: String,
    /// The user's keys.
    pub(crate) secret_key: String,
    _folder: TempDir,
    watchdog: Child,
}

impl Ceph {
    /// Starts one.
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("hoopctl-ceph-").tempdir().expect("a folder");
        let mut said = String::new();
        for _ in 0..3 {
            let (http, monitor) = (free_port().to_string(), free_port().to_string());
            let output = Command::new(script())
                .arg("start")
                .arg(folder.path())
                .args([&http, &monitor])
                .output()
                .expect("the script runs");
            let line = String::from_utf8_lossy(&output.stdout).into_owned();
            if let [endpoint, access_key, secret_key] = line.split_whitespace().collect::<Vec<_>>()[..] {
                return Self {
                    endpoint: endpoint.into(),
                    access_key: access_key.into(),
                    secret_key: secret_key.into(),
                    watchdog: watch(folder.path()),
                    _folder: folder,
                };
            }
            said = String::from_utf8_lossy(&output.stderr).into_owned();
        }
        panic!("Ceph did not start; run: tests/setup/ceph.sh\n{said}");
    }
}

impl Drop for Ceph {
    fn drop(&mut self) {
        // the watchdog stops it, before its folder goes
        drop(self.watchdog.stdin.take());
        let _reaped = self.watchdog.wait();
    }
}

/// Stops it as soon as our end of the pipe closes, also by our death: its daemons are nobody's children.
fn watch(folder: &Path) -> Child {
    Command::new("/bin/sh")
        .args(["-c", r#"read -r _; exec "$0" stop "$1""#])
        .arg(script())
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("a shell runs")
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/setup/ceph.sh")
}
