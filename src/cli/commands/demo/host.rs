//! The demo's own host: OpenSSH's server, with a home of reasoning traces.
//!
//! Job: one `sshd` below the demo's folder, on 127.0.0.1, with a host key of its own, that believes the broker's
//! certificates and nothing else. Boundary: it runs as an ordinary user and lets in only that one; its home, and
//! what its shells read, lie in the folder. Failure mode: as the cluster's, it ends with the value, or with us.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use thiserror::Error;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::account::{Account, AccountError};
use super::cluster::free_port;
use super::watchdog::Watchdog;
use super::{private, seed};

/// A running host.
pub(super) struct Host {
    pub(super) port: u16,
    /// The login that it has.
    pub(super) login: String,
    /// Its host key, a line of OpenSSH.
    pub(super) host_key: String,
    folder: PathBuf,
    watchdog: Watchdog,
}

/// Why there is no host.
#[derive(Debug, Error)]
pub enum HostError {
    /// No suitable user to run it as.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// A file or process could not be made.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// There are no programs.
    #[error("there is no OpenSSH server (sshd and its sftp-server) on this machine")]
    NoPrograms,
    /// It did not come up.
    #[error("OpenSSH's server did not start: {0}")]
    NotReady(String),
    /// The folder cannot be written into a configuration.
    #[error("OpenSSH's server cannot be configured with the folder {}", .0.display())]
    Path(PathBuf),
}

impl Host {
    /// Makes and starts a host in a folder that does not exist yet. Until it is told whom to believe, it lets nobody in.
    pub(super) async fn start(folder: &Path) -> Result<Self, HostError> {
        let owner = Account::pick()?;
        let login = owner.login().await?;
        let sshd = program(SSHD, "HOOPCTL_DEMO_SSHD").ok_or(HostError::NoPrograms)?;
        let sftp = program(SFTP, "HOOPCTL_DEMO_SFTP_SERVER").ok_or(HostError::NoPrograms)?;
        let text = folder.to_str().filter(|text| text.chars().all(is_plain));
        let text = text.ok_or_else(|| HostError::Path(folder.to_owned()))?;
        let host_key = furnish(&owner, folder, text)
            .map_err(|source| HostError::Io { what: "the host's folder could not be made", source })?;
        owner.reaches(folder).await?;

        let mut last = String::new();
        for _ in 0..PORT_ATTEMPTS {
            let port = free_port();
            let mut watchdog = launch(&owner, &sshd, folder, &configuration(text, port, &sftp))
                .map_err(|source| HostError::Io { what: "OpenSSH's server could not be started", source })?;
            if wait_ready(port, &mut watchdog).await {
                return Ok(Self { port, login, host_key, folder: folder.to_owned(), watchdog });
            }
            watchdog.stop().await;
            last = fs::read_to_string(folder.join("log")).unwrap_or_default();
        }
        Err(HostError::NotReady(last.trim().to_owned()))
    }

    /// Believes the user certificates of this authority, a line of OpenSSH.
    pub(super) fn trust(&self, authority: &str) -> io::Result<()> {
        // read anew at each login
        fs::write(self.folder.join("authority.pub"), format!("{authority}\n"))
    }

    /// Stops the server and removes its folder.
    pub(super) async fn stop(mut self) {
        self.watchdog.stop().await;
        // an error shows later, when the demo looks for what is left
        let _gone = fs::remove_dir_all(&self.folder);
    }
}

/// Makes everything that the host has, and returns its host key.
fn furnish(owner: &Account, folder: &Path, text: &str) -> io::Result<String> {
    let home = folder.join("home");
    private::folder(folder)?;
    private::folder(&home)?;
    for (name, files) in [("traces", seed::logs()), ("reports", vec![seed::report()])] {
        let place = home.join(name);
        private::folder(&place)?;
        for (name, content) in files {
            private::file(&place.join(name), content.as_bytes())?;
        }
        owner.take(&place)?;
    }
    owner.take(&home)?;
    let mut key = PrivateKey::from(Ed25519Keypair::from_seed(&rand::random()));
    key.set_comment("hoopctl demo host");
    let private = key.to_openssh(LineEnding::LF).map_err(io::Error::other)?;
    private::file(&folder.join("host_key"), private.as_bytes())?;
    private::file(&folder.join("authority.pub"), b"")?;
    private::file(&folder.join("config"), b"")?;
    private::file(&folder.join("session"), SESSION.replace("@HOME@", &format!("{text}/home")).as_bytes())?;
    owner.take(folder)?;
    key.public_key().to_openssh().map_err(io::Error::other)
}

fn launch(owner: &Account, sshd: &Path, folder: &Path, configuration: &str) -> io::Result<Watchdog> {
    let (config, log) = (folder.join("config"), folder.join("log"));
    fs::write(&config, configuration)?;
    let mut shell = owner.command(Path::new("/bin/sh"));
    shell.current_dir(folder).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let arguments = ["-D".as_ref(), "-f".as_ref(), config.as_os_str(), "-E".as_ref(), log.as_os_str()];
    Watchdog::start(shell, "TERM", sshd.as_os_str(), &arguments)
}

fn configuration(folder: &str, port: u16, sftp: &Path) -> String {
    // as nobody but its own user, it can neither check nor change whose files those are: StrictModes, UsePAM
    format!(
        r#"ListenAddress 127.0.0.1:{port}
HostKey "{folder}/host_key"
PidFile none
StrictModes no
UsePAM no
TrustedUserCAKeys "{folder}/authority.pub"
AuthorizedKeysFile none
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
DisableForwarding yes
PermitUserRC no
PermitUserEnvironment no
AcceptEnv LANG LC_*
PrintMotd no
PrintLastLog no
UseDNS no
Subsystem sftp {sftp}
SetEnv "HOME={folder}/home"
ForceCommand /bin/sh '{folder}/session'
"#,
        sftp = sftp.display(),
    )
}

/// Whether the server speaks.
async fn wait_ready(port: u16, watchdog: &mut Watchdog) -> bool {
    for _ in 0..POLLS {
        if watchdog.ended().is_some() {
            return false;
        }
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await {
            let mut hello = [0; 4];
            let heard = tokio::time::timeout(PATIENCE, stream.read_exact(&mut hello)).await;
            return heard.is_ok_and(|heard| heard.is_ok()) && hello == *b"SSH-";
        }
        tokio::time::sleep(POLL).await;
    }
    false
}

/// A program of the usual places, or the one that a variable names. OpenSSH's server must be called by its whole path.
fn program(usual: &[&str], variable: &str) -> Option<PathBuf> {
    match std::env::var_os(variable).map(PathBuf::from) {
        Some(chosen) => chosen.canonicalize().ok(),
        None => usual.iter().map(PathBuf::from).find(|path| path.exists()),
    }
}

/// What means the same in a configuration of sshd, in quotes of a shell, and nowhere begins a token.
fn is_plain(letter: char) -> bool {
    !letter.is_control() && !matches!(letter, '"' | '\'' | '\\' | '%' | '$' | '`')
}

/// What everybody gets. The account's own home is not ours to show, and not all shells read what policy has judged
/// as a shell's the same way.
const SESSION: &str = r#"HOME='@HOME@'
export HOME
cd "$HOME" || exit 1
[ -n "${SSH_ORIGINAL_COMMAND-}" ] || exec "${SHELL:-/bin/sh}"
exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"
"#;

const SSHD: &[&str] =
    &["/usr/sbin/sshd", "/usr/bin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd", "/opt/homebrew/sbin/sshd"];
const SFTP: &[&str] = &[
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/libexec/sftp-server",
    "/usr/local/libexec/sftp-server",
    "/opt/homebrew/libexec/sftp-server",
];
const PORT_ATTEMPTS: u32 = 8;
const POLL: Duration = Duration::from_millis(25);
const POLLS: u32 = 400;
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{configuration, is_plain};

    #[test]
    fn a_folder_that_would_mean_something_else_is_refused() {
        assert!("/tmp/hoopctl-demo-a1/a folder".chars().all(is_plain));
        for folder in ["/tmp/a'b", "/tmp/a\"b", "/tmp/%h", "/tmp/$HOME", "/tmp/a\nPermitEmptyPasswords yes"] {
            assert!(!folder.chars().all(is_plain), "{folder}");
        }
    }

    #[test]
    fn nobody_gets_in_but_by_the_brokers_certificates() {
        let text = configuration("/tmp/demo", 20_022, Path::new("/usr/lib/openssh/sftp-server"));
        for line in
            ["AuthorizedKeysFile none", "AuthenticationMethods publickey", "PasswordAuthentication no"]
        {
            assert!(text.lines().any(|known| known == line), "{line}");
        }
        assert!(text.contains("ListenAddress 127.0.0.1:20022\n"), "{text}");
    }
}
