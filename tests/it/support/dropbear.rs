//! A real Dropbear server for one test: 127.0.0.1, one login (whoever runs the test), one plain key.

use std::fs;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::postgres::free_port;
use super::sshd::{WATCHDOG, keygen, newest, wait_ready};

/// A running server.
pub(crate) struct Dropbear {
    /// Its port on 127.0.0.1.
    pub(crate) port: u16,
    /// Its host key, a line of OpenSSH.
    pub(crate) host_key: String,
    /// The private key that it lets in, as OpenSSH writes it.
    pub(crate) key: String,
    _folder: TempDir,
    child: Child,
}

impl Dropbear {
    /// Starts one.
    pub(crate) fn start() -> Self {
        // it looks at who may write to the folder of keys, and to all above it
        let place = tempfile::Builder::new().prefix("dropbear-").tempdir_in(env!("CARGO_TARGET_TMPDIR"));
        let folder = place.expect("a folder");
        let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let program = |name: &str| newest(name).to_string_lossy().into_owned();
        let made = Command::new(program("usr/bin/dropbearkey"))
            .args(["-t", "ed25519", "-f", &at("host")])
            .output()
            .expect("dropbearkey runs");
        let told = String::from_utf8_lossy(&made.stdout).into_owned();
        let host_key = told.lines().find(|line| line.starts_with("ssh-ed25519 ")).expect("a key").to_owned();
        keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "lease", "-f", &at("key")]);
        fs::create_dir(at("keys")).expect("a folder");
        fs::rename(at("key.pub"), at("keys/authorized_keys")).expect("the key that is let in");
        for _ in 0..8 {
            let port = free_port();
            let mut child = Command::new("/bin/sh")
                .args(["-c", WATCHDOG, "sh", &program("usr/sbin/dropbear"), "-F", "-E", "-s", "-e"])
                // a bash of the second level reads no `.bashrc` of whoever runs the test
                .env("SHLVL", "2")
                .args(["-r", &at("host"), "-D", &at("keys"), "-P", &at("pid")])
                .args(["-p", &format!("127.0.0.1:{port}")])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(fs::File::create(at("log")).expect("a file"))
                .spawn()
                .expect("the server starts");
            if wait_ready(&mut child, port) {
                let key = fs::read_to_string(at("key")).expect("a key");
                return Self { port, host_key, key, _folder: folder, child };
            }
        }
        panic!("the server did not start: {}", fs::read_to_string(at("log")).unwrap_or_default());
    }
}

impl Drop for Dropbear {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _reaped = self.child.wait();
    }
}
