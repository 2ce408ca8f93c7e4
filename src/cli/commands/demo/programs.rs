//! Which PostgreSQL programs the demo runs.

use std::path::{Path, PathBuf};

use super::account::Account;

/// The server's programs.
pub(super) struct Programs {
    pub(super) initdb: PathBuf,
    pub(super) postgres: PathBuf,
    pub(super) version: String,
}

impl Programs {
    /// `HOOPCTL_DEMO_PG_BIN` if set; else the newest of the usual places; else the PATH.
    pub(super) async fn find(owner: &Account) -> Option<Self> {
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
async fn supported(owner: &Account, postgres: &Path) -> Option<String> {
    let output = owner.command(postgres).arg("--version").output().await.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.split_whitespace().nth(2)?.to_owned();
    let major: u32 = version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    (OLDEST..=NEWEST).contains(&major).then_some(version)
}

const OLDEST: u32 = 13;
const NEWEST: u32 = 18;
