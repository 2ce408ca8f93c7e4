//! Which PostgreSQL programs the demo runs, and as whom.

use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use thiserror::Error;
use tokio::process::Command;

/// The server's programs.
pub(super) struct Programs {
    pub(super) initdb: PathBuf,
    pub(super) postgres: PathBuf,
    pub(super) version: String,
}

impl Programs {
    /// `HOOPCTL_DEMO_PG_BIN` if set; else the newest of the usual places; else the PATH.
    pub(super) async fn find(owner: &ServerUser) -> Option<Self> {
        let chosen = std::env::var_os("HOOPCTL_DEMO_PG_BIN").map(PathBuf::from);
        let folders = match chosen {
            Some(folder) => vec![folder],
            None => usual_folders(),
        };
        for folder in folders {
            // a link on the PATH leads to where its libraries are
            let Ok(postgres) = folder.join("postgres").canonicalize() else { continue };
            let Some(folder) = postgres.parent() else { continue };
            let initdb = folder.join("initdb");
            if !initdb.exists() {
                continue;
            }
            if let Some(version) = supported(owner, &postgres).await {
                return Some(Self { initdb, postgres, version });
            }
        }
        None
    }
}

fn usual_folders() -> Vec<PathBuf> {
    let mut folders: Vec<(u32, PathBuf)> = Vec::new();
    for major in OLDEST..=NEWEST {
        folders.push((major, format!("/usr/lib/postgresql/{major}/bin").into()));
        folders.push((major, format!("/usr/pgsql-{major}/bin").into()));
        folders.push((major, format!("/opt/homebrew/opt/postgresql@{major}/bin").into()));
        folders.push((major, format!("/usr/local/opt/postgresql@{major}/bin").into()));
    }
    folders.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.into_iter().map(|(_, folder)| folder).chain(std::env::split_paths(&path)).collect()
}

/// `postgres (PostgreSQL) 15.18 (Debian …)`, if the user can run it and it is not too old or new.
async fn supported(owner: &ServerUser, postgres: &Path) -> Option<String> {
    let output = owner.command(postgres).arg("--version").output().await.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.split_whitespace().nth(2)?.to_owned();
    let major: u32 = version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    (OLDEST..=NEWEST).contains(&major).then_some(version)
}

/// Who runs the server: ourselves, or, since PostgreSQL refuses root, somebody with fewer rights.
pub(super) struct ServerUser(Option<Account>);

struct Account {
    name: &'static str,
    user: u32,
    group: u32,
}

/// Why the server has nobody to run as.
#[derive(Debug, Error)]
pub enum UserError {
    /// The account cannot enter the folder.
    #[error("PostgreSQL does not run as root, and the user `{user}` cannot reach {folder}")]
    Folder {
        /// The account.
        user: &'static str,
        /// The folder.
        folder: PathBuf,
    },
    /// No account to step down to.
    #[error("PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`")]
    None,
}

impl ServerUser {
    pub(super) fn pick() -> Result<Self, UserError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self(None));
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let account = ["postgres", "nobody"].into_iter().find_map(|name| {
            let mut fields =
                passwd.lines().find(|line| line.split(':').next() == Some(name))?.split(':').skip(2);
            Some(Account { name, user: fields.next()?.parse().ok()?, group: fields.next()?.parse().ok()? })
        });
        account.map(|account| Self(Some(account))).ok_or(UserError::None)
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
    pub(super) async fn reaches(&self, folder: &Path) -> Result<(), UserError> {
        let Some(account) = &self.0 else { return Ok(()) };
        let entered =
            self.command(Path::new("/bin/sh")).args(["-c", r#"cd "$1""#, "sh"]).arg(folder).output().await;
        if entered.is_ok_and(|output| output.status.success()) {
            return Ok(());
        }
        Err(UserError::Folder { user: account.name, folder: folder.to_owned() })
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

const OLDEST: u32 = 13;
const NEWEST: u32 = 18;
