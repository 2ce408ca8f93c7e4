//! A real OpenSSH server for one test: 127.0.0.1, one login (whoever runs the test), gone when dropped.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::postgres::free_port;

/// A running server. It believes certificates of one authority, and no plain keys unless told.
pub(crate) struct Sshd {
    /// Its port on 127.0.0.1, below the range that the kernel hands out.
    pub(crate) port: u16,
    /// The one login that it has: whoever runs the test.
    pub(crate) login: String,
    /// Its host key, a line of OpenSSH.
    pub(crate) host_key: String,
    /// The authority of users, in OpenSSH's form: what it signs is let in.
    pub(crate) user_authority: PathBuf,
    /// The authority of hosts, a line of OpenSSH: the server has a certificate of it for `127.0.0.1`.
    pub(crate) host_authority: String,
    /// Everything it owns.
    pub(crate) folder: TempDir,
    child: Child,
}

/// How a test wants its server.
#[derive(Default)]
pub(crate) struct Wishes<'a> {
    /// More lines of its configuration.
    pub(crate) lines: &'a [&'a str],
    /// The authority of users, a line of OpenSSH, where it is not the server's own.
    pub(crate) authority: Option<&'a str>,
    /// The newest release instead of the system's.
    pub(crate) newest: bool,
    /// Whether it shows a host certificate, and for which name.
    pub(crate) certificate: Option<&'a str>,
}

impl Sshd {
    /// A server without wishes.
    pub(crate) fn start() -> Self {
        Self::start_with(&Wishes::default())
    }

    /// A server as the test wants it.
    pub(crate) fn start_with(wishes: &Wishes<'_>) -> Self {
        let server = if wishes.newest { newest("usr/sbin/sshd") } else { SERVER.into() };
        assert!(server.exists(), "no OpenSSH server here; run: tests/setup/ssh.sh");
        let folder = tempfile::Builder::new().prefix("hoopctl-sshd-").tempdir().expect("a folder");
        let at = folder.path();
        for name in ["host", "users", "hosts"] {
            keygen(&["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", &path(at, name)]);
        }
        let line = |name: &str| fs::read_to_string(at.join(name)).expect("a key").trim().to_owned();
        let authority = wishes.authority.map_or_else(|| line("users.pub"), str::to_owned);
        fs::write(at.join("authority.pub"), format!("{authority}\n")).expect("the authority's key");
        let mut shown = String::new();
        if wishes.newest {
            for (option, half) in [("SshdSessionPath", "sshd-session"), ("SshdAuthPath", "sshd-auth")] {
                let half = newest(&format!("usr/lib/openssh/{half}"));
                writeln!(shown, "{option} {}", half.display()).expect("text");
            }
        }
        if let Some(name) = wishes.certificate {
            let (hosts, host) = (path(at, "hosts"), path(at, "host.pub"));
            keygen(&["-q", "-s", &hosts, "-h", "-I", "host", "-n", name, "-V", "-5m:+1h", &host]);
            writeln!(shown, "HostCertificate {}", path(at, "host-cert.pub")).expect("text");
        }
        for _ in 0..8 {
            let port = free_port();
            // a bash of the second level reads no `.bashrc` of whoever runs the test
            let config = format!(
                "{more}\nPort {port}\nListenAddress 127.0.0.1\nHostKey {at}/host\n{shown}PidFile none\nUsePAM no\n\
                 TrustedUserCAKeys {at}/authority.pub\nAuthorizedKeysFile none\nStrictModes no\n\
                 PermitRootLogin prohibit-password\nPasswordAuthentication no\n\
                 KbdInteractiveAuthentication no\nMaxStartups 100\nAcceptEnv LANG LC_* HOOPCTL_TEST\n\
                 AllowTcpForwarding yes\nAllowStreamLocalForwarding yes\nAllowAgentForwarding yes\n\
                 X11Forwarding no\nPrintMotd no\nPrintLastLog no\nLogLevel VERBOSE\n\
                 SetEnv SHLVL=2\n\
                 Subsystem sftp internal-sftp\n",
                at = at.display(),
                more = wishes.lines.join("\n"),
            );
            fs::write(at.join("config"), config).expect("a configuration");
            // it must be called by its whole path: it starts itself again for each connection
            let mut child = Command::new("/bin/sh")
                .args(["-c", WATCHDOG, "sh"])
                .arg(&server)
                .arg("-D")
                .args(["-f", &path(at, "config"), "-E", &path(at, "log")])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the server starts");
            if wait_ready(&mut child, port) {
                return Self {
                    port,
                    login: login(),
                    host_key: line("host.pub"),
                    user_authority: at.join("users"),
                    host_authority: line("hosts.pub"),
                    folder,
                    child,
                };
            }
        }
        panic!("the server did not start: {}", fs::read_to_string(at.join("log")).unwrap_or_default());
    }

    /// A fresh key pair in the server's folder: the private key's file.
    pub(crate) fn key(&self, name: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        keygen(&["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", &file.to_string_lossy()]);
        file
    }

    /// A certificate of this public key for the login: a line of OpenSSH.
    pub(crate) fn certify(&self, key: &Path) -> String {
        let (authority, public) = (self.user_authority.to_string_lossy(), format!("{}.pub", key.display()));
        keygen(&["-q", "-s", &authority, "-I", "test", "-n", &self.login, "-V", "-5m:+1h", &public]);
        let certificate = format!("{}-cert.pub", key.display());
        fs::read_to_string(certificate).expect("a certificate").trim().to_owned()
    }

    /// What the server has said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _reaped = self.child.wait();
    }
}

/// Whoever runs the test.
pub(super) fn login() -> String {
    let output = Command::new("id").arg("-un").output().expect("id runs");
    String::from_utf8(output.stdout).expect("a name").trim().to_owned()
}

/// Runs ssh-keygen.
pub(crate) fn keygen(arguments: &[&str]) {
    let output = Command::new("ssh-keygen").args(arguments).output().expect("ssh-keygen runs");
    assert!(output.status.success(), "ssh-keygen: {}", String::from_utf8_lossy(&output.stderr));
}

/// A program of the newest OpenSSH or Dropbear.
pub(crate) fn newest(program: &str) -> PathBuf {
    super::cached("ssh/newest", "ssh").join(program)
}

pub(super) fn wait_ready(child: &mut Child, port: u16) -> bool {
    let patience = Instant::now() + Duration::from_secs(20);
    while Instant::now() < patience {
        if child.try_wait().expect("the server can be asked").is_some() {
            return false;
        }
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            let mut hello = [0; 4];
            return stream.read_exact(&mut hello).is_ok() && hello == *b"SSH-";
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_string_lossy().into_owned()
}

/// The server below a shell that stops it as soon as our end of its standard input closes, also by our death.
pub(super) const WATCHDOG: &str = r#""$@" & p=$!; trap 'kill $p' HUP INT TERM; read -r _; kill $p; wait $p"#;
const SERVER: &str = "/usr/sbin/sshd";
