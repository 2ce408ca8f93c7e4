//! The user's own OpenSSH, made to use a session.
//!
//! Job: a key for a session, and the configuration that makes ssh use this key, this host key and this way and
//! nothing else of the user's. Boundary: ssh is told by a file in a private directory; nothing that matters is in
//! an argument. Failure mode: a path that ssh would read as something else is refused.
//!
//! What is not set here stays as the user has it: the file ends with the user's own configuration, of which ssh
//! takes the first word on each matter.

pub mod include;
pub mod keys;
pub mod pass;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;

use super::home::write_private;
use super::launch::Endpoint;
use super::protocol::{Desk, Form, FormError, Share};

/// A key pair that was made for one session.
#[derive(Debug)]
pub struct SessionKey(PrivateKey);

impl SessionKey {
    /// Makes one (Ed25519).
    #[must_use]
    pub fn fresh() -> Self {
        Self(PrivateKey::from(Ed25519Keypair::from_seed(&rand::random())))
    }

    /// The public key, a line of OpenSSH.
    #[must_use]
    pub fn public(&self) -> Option<String> {
        self.0.public_key().to_openssh().ok()
    }
}

/// What a `Host` block says.
#[derive(Debug)]
pub struct Host<'a> {
    /// What the user calls it.
    pub name: &'a str,
    /// The login.
    pub user: &'a str,
    /// The file of the private key.
    pub key: &'a Path,
    /// The file with the gateway's host key.
    pub known_hosts: &'a Path,
    /// The command that is the way to the gateway, for a shell.
    pub command: &'a str,
    /// Whether that command hands ssh a socket and ends, instead of copying bytes.
    pub passes: bool,
}

impl Host<'_> {
    /// The block. Nothing of the user's that could lead elsewhere or show another key is left in force.
    ///
    /// # Errors
    /// When a path cannot be written so that ssh reads it as what it is.
    pub fn block(&self) -> Result<String, FormError> {
        let Self { name, user, command, .. } = self;
        // the broker says it, and decides what may be reached, not what runs on this machine
        if user.chars().any(char::is_control) {
            return Err(FormError::Missing("a user that a configuration of ssh can hold"));
        }
        let (key, known_hosts) = (path(self.key)?, path(self.known_hosts)?);
        let passes = if self.passes { "yes" } else { "no" };
        // in the command, ssh reads `%` as the begin of a token
        let command = command.replace('%', "%%");
        Ok(format!(
            "Host {name}\n\
             \x20   IgnoreUnknown KnownHostsCommand\n\
             \x20   HostName {name}\n\
             \x20   User {user}\n\
             \x20   ProxyCommand {command}\n\
             \x20   ProxyUseFdpass {passes}\n\
             \x20   HostKeyAlias {name}\n\
             \x20   UserKnownHostsFile {known_hosts}\n\
             \x20   GlobalKnownHostsFile none\n\
             \x20   KnownHostsCommand none\n\
             \x20   StrictHostKeyChecking yes\n\
             \x20   CheckHostIP no\n\
             \x20   UpdateHostKeys no\n\
             \x20   VerifyHostKeyDNS no\n\
             \x20   CanonicalizeHostname no\n\
             \x20   IdentityFile {key}\n\
             \x20   IdentitiesOnly yes\n\
             \x20   IdentityAgent none\n\
             \x20   PubkeyAuthentication yes\n\
             \x20   PreferredAuthentications publickey\n\
             \x20   ControlPath none\n\n"
        ))
    }
}

/// Writes the session's key, the gateway's host key and a configuration into the private directory.
pub(super) fn fill(desk: &Desk<'_>, socket: &str) -> Result<Form, FormError> {
    let file = |name: &str| desk.place.path().join(name);
    let (key, known_hosts, configuration) = (file("key"), file("known_hosts"), file(CONFIGURATION));
    let text = desk
        .key
        .0
        .to_openssh(LineEnding::LF)
        .map_err(|error| FormError::Key(std::io::Error::other(error)))?;
    write_private(&key, text.as_bytes())?;
    let host_key = desk.session.ssh_host_key.as_deref();
    let mut known = known_host(desk.target, host_key);
    if let Endpoint::Tcp(address) = desk.endpoint {
        known.push_str(&known_host(&format!("[{}]:{}", address.ip(), address.port()), host_key));
    }
    write_private(&known_hosts, known.as_bytes())?;
    let socket = file(socket);
    let command = |more: &[&str]| -> Result<String, FormError> {
        let words = [desk.own.as_os_str(), OsStr::new("ssh-socket")].into_iter();
        let words = words.chain(more.iter().map(OsStr::new)).chain([socket.as_os_str()]);
        Ok(words.map(shell_word).collect::<Result<Vec<_>, _>>()?.join(" "))
    };
    let pass = command(&[])?;
    let host = Host {
        name: desk.target,
        user: &desk.session.user,
        key: &key,
        known_hosts: &known_hosts,
        command: &pass,
        passes: true,
    };
    let share = Share { name: CONFIGURATION, own: host.block()?.into(), end: REST };
    let ssh = format!("ssh -F {}", shell_word(configuration.as_os_str())?);
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut variables = vec![
        ("GIT_SSH_COMMAND", ssh.clone()),
        ("RSYNC_RSH", ssh.clone()),
        ("HOOP_SSH", ssh.clone()),
        ("HOOP_SSH_CONFIG", text(&configuration)),
        // for programs that do not run ssh
        ("HOOP_SSH_KEY", text(&key)),
        ("HOOP_SSH_KNOWN_HOSTS", text(&known_hosts)),
        ("HOOP_SSH_PROXY", command(&["--carry"])?),
        ("HOOP_SSH_SOCKET", text(&socket)),
        ("HOOP_SSH_USER", desk.session.user.clone()),
        ("ANSIBLE_SSH_COMMON_ARGS", ssh.trim_start_matches("ssh ").to_owned()),
        // a connection that ansible keeps must not be found by the next session
        ("ANSIBLE_SSH_CONTROL_PATH_DIR", text(desk.place.path())),
    ];
    if let Endpoint::Tcp(address) = desk.endpoint {
        variables.push(("HOOP_SSH_HOST", address.ip().to_string()));
        variables.push(("HOOP_SSH_PORT", address.port().to_string()));
    }
    // `HOOP_SSH_KEY` of `bastion` is `BASTION_SSH_KEY`
    let named = variables
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("HOOP_")?, OsString::from(value))));
    Ok(Form {
        client: "ssh".into(),
        arguments: vec!["-F".into(), configuration.into(), desk.target.into()],
        named: named.collect(),
        files: vec![share],
        variables: variables.into_iter().map(|(name, value)| (name.into(), OsString::from(value))).collect(),
        hides: |_| false,
        door: None,
    })
}

/// A line of known hosts; one without a key is none, and then nothing is trusted.
#[must_use]
pub fn known_host(name: &str, key: Option<&str>) -> String {
    let key = key.filter(|key| !key.contains(char::is_control));
    // not its comment, which Dropbear would take for more of the key
    let key = key.and_then(|key| key.split_once(' ')).map(|(kind, rest)| (kind, rest.split(' ').next()));
    key.map(|(kind, key)| format!("{name} {kind} {}\n", key.unwrap_or_default())).unwrap_or_default()
}

/// A path as a value in a configuration of ssh, where `%` begins a token and quotes hold spaces.
///
/// # Errors
/// When ssh could read it as something else.
pub fn path(path: &Path) -> Result<String, FormError> {
    let wrong = || FormError::Path(path.into());
    let text = path.to_str().ok_or_else(wrong)?;
    if text.starts_with('~') || text.contains(|c: char| c.is_control() || matches!(c, '"' | '\\' | '$')) {
        return Err(wrong());
    }
    Ok(format!("\"{}\"", text.replace('%', "%%")))
}

/// A word for any shell, in single quotes where it must be.
///
/// # Errors
/// When it cannot stand in one line.
pub fn shell_word(word: &OsStr) -> Result<String, FormError> {
    let text = word.to_str().filter(|text| !text.contains(char::is_control));
    let text = text.ok_or_else(|| FormError::Path(word.into()))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | ':' | '@' | '=');
    if !text.is_empty() && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    Ok(format!("'{}'", text.replace('\'', "'\\''")))
}

const CONFIGURATION: &str = "config";
/// What the user has set himself counts where we have said nothing.
const REST: &str = "Host *\nInclude ~/.ssh/config\nInclude /etc/ssh/ssh_config\n";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn paths_are_written_so_that_ssh_reads_what_was_meant() {
        assert_eq!(path(Path::new("/run/a b/%h")).unwrap(), "\"/run/a b/%%h\"");
        for wrong in ["/a\"b", "/a\nHost *", "/a$HOME", "~/a", "/a\\b"] {
            assert!(matches!(path(Path::new(wrong)), Err(FormError::Path(_))), "{wrong}");
        }
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(shell_word(OsStr::new("/usr/bin/hoopctl")).unwrap(), "/usr/bin/hoopctl");
        assert_eq!(shell_word(OsStr::new("/a b/$(id)'s")).unwrap(), "'/a b/$(id)'\\''s'");
        assert!(shell_word(OsStr::new("a\nb")).is_err());
    }

    #[test]
    fn a_host_key_with_a_line_break_is_none() {
        for line in ["ssh-ed25519 AAAA", "ssh-ed25519 AAAA a comment"] {
            assert_eq!(known_host("bastion", Some(line)), "bastion ssh-ed25519 AAAA\n");
        }
        assert_eq!(known_host("bastion", Some("ssh-ed25519 AAAA\n* ssh-ed25519 BBBB")), "");
    }
}
