//! As whom the demo's servers run.
//!
//! Job: ourselves, or, where root runs the demo, somebody with fewer rights: PostgreSQL refuses root, and a host
//! on which anybody may run commands must not be root's either. Boundary: accounts are found, never made or
//! changed. Failure mode: [`AccountError`] says what is missing.

use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use thiserror::Error;
use tokio::process::Command;

/// Who runs the servers; `None` for ourselves.
pub(super) struct Account(Option<Other>);

struct Other {
    name: &'static str,
    user: u32,
    group: u32,
}

/// Why the servers have nobody to run as.
#[derive(Debug, Error)]
pub enum AccountError {
    /// The account cannot enter the folder.
    #[error("the demo's servers do not run as root, and the user `{user}` cannot reach {folder}")]
    Folder {
        /// The account.
        user: &'static str,
        /// The folder.
        folder: PathBuf,
    },
    /// The account has no name that one could log in with.
    #[error("OpenSSH's server lets nobody in: there is no account for the user id {0}")]
    Nameless(u32),
    /// No account to step down to.
    #[error("the demo's servers do not run as root, and there is neither a user `postgres` nor `nobody`")]
    None,
    /// The account cannot run commands.
    #[error("OpenSSH's server cannot run commands as `{user}`, whose shell is `{shell}`")]
    Shell {
        /// The account.
        user: String,
        /// What stands in its place.
        shell: String,
    },
}

impl Account {
    pub(super) fn pick() -> Result<Self, AccountError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self(None));
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let account = ["postgres", "nobody"].into_iter().find_map(|name| {
            let mut fields =
                passwd.lines().find(|line| line.split(':').next() == Some(name))?.split(':').skip(2);
            Some(Other { name, user: fields.next()?.parse().ok()?, group: fields.next()?.parse().ok()? })
        });
        account.map(|account| Self(Some(account))).ok_or(AccountError::None)
    }

    /// Hands a folder and what is directly in it over.
    pub(super) fn take(&self, folder: &Path) -> io::Result<()> {
        let Some(account) = &self.0 else { return Ok(()) };
        for entry in fs::read_dir(folder)? {
            chown(entry?.path(), Some(account.user), Some(account.group))?;
        }
        chown(folder, Some(account.user), Some(account.group))
    }

    /// Checks that the account can enter a folder; home folders are often closed.
    pub(super) async fn reaches(&self, folder: &Path) -> Result<(), AccountError> {
        let Some(account) = &self.0 else { return Ok(()) };
        let entered =
            self.command(Path::new("/bin/sh")).args(["-c", r#"cd "$1""#, "sh"]).arg(folder).output().await;
        if entered.is_ok_and(|output| output.status.success()) {
            return Ok(());
        }
        Err(AccountError::Folder { user: account.name, folder: folder.to_owned() })
    }

    /// The name that one logs in with, of an account that can run commands.
    pub(super) async fn login(&self) -> Result<String, AccountError> {
        let id = self.0.as_ref().map_or_else(|| rustix::process::geteuid().as_raw(), |account| account.user);
        let said = |output: io::Result<std::process::Output>| {
            let output = output.ok().filter(|output| output.status.success())?;
            Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        // accounts of a directory are in no file; where there is no getent, the name alone is known
        let entry = said(self.command(Path::new("getent")).arg("passwd").arg(id.to_string()).output().await);
        let Some(entry) = entry.filter(|entry| entry.contains(':')) else {
            let name = said(self.command(Path::new("id")).arg("-un").output().await);
            return name.ok_or(AccountError::Nameless(id));
        };
        let (user, shell) = entry.split_once(':').unwrap_or((&entry, ""));
        let shell = shell.rsplit(':').next().unwrap_or_default();
        // an empty field is /bin/sh (passwd(5))
        let shell = if shell.is_empty() { "/bin/sh" } else { shell };
        let is_none = ["/nologin", "/false"].iter().any(|end| shell.ends_with(end));
        if is_none || !Path::new(shell).exists() {
            return Err(AccountError::Shell { user: user.to_owned(), shell: shell.to_owned() });
        }
        Ok(user.to_owned())
    }

    /// A program with an environment of its own, as this user.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").stdin(Stdio::null());
        command.current_dir("/").kill_on_drop(true);
        if let Some(account) = &self.0 {
            // the standard library drops root's other groups as well
            command.uid(account.user).gid(account.group);
        }
        command
    }
}
