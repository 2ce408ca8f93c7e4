//! Where a page plays: on the stage, or at somebody's own database.

use std::fs;
use std::path::PathBuf;

use super::debian;
use super::page::Page;
use super::stage::Stage;
use crate::support::env::{Env, program};
use crate::support::postgres::{Cluster, free_port};
use crate::support::provider;

/// Where a page plays.
pub(super) struct Setting<'a> {
    pub(super) stage: &'a Stage,
    own: Option<Own>,
}

/// What a newcomer has: a database of their distribution's on the same machine, and no broker yet.
struct Own {
    cluster: Cluster,
    /// The port that their broker will have.
    port: u16,
    /// `hoopctl` and `sudo`.
    tools: tempfile::TempDir,
}

impl<'a> Setting<'a> {
    /// The setting that a page asks for.
    pub(super) async fn of(page: &Page, stage: &'a Stage) -> Self {
        let asked = page.blocks.iter().find_map(|block| block.note("stage"));
        let own = match asked {
            None => None,
            Some("own-database") => Some(Own::open()),
            Some(other) => panic!("{}: there is no stage `{other}`", page.name),
        };
        Self { stage, own }
    }

    /// Where the stage's programs are.
    pub(super) fn bin(&self) -> PathBuf {
        self.own.as_ref().map_or_else(|| self.stage.bin(), |own| own.tools.path().to_owned())
    }

    /// Somebody's machine.
    pub(super) async fn machine(&self, person: &str) -> Env {
        let broker = &self.stage.broker;
        if self.own.is_some() {
            return Env::new("");
        }
        let mut env = Env::new(&broker.url);
        env.set("HOOPCTL_BROKER_PIN", &broker.pin());
        // libpq asks the system, not HOME, where this is
        let services = env.home().join(".pg_service.conf").to_string_lossy().into_owned();
        env.set("PGSERVICEFILE", &services);
        match person {
            "alice" | "bob" => {
                env.login(&[], async |page| provider::approve(&page, person).await).await.ends(0);
            }
            "operator" => {
                env.set("HOOPCTL_CONFIG", &broker.config.to_string_lossy());
                env.set("HOOPCTL_DATA", &broker.data().to_string_lossy());
            }
            "ci" => {
                let keys = env.home().join("runner");
                fs::create_dir(&keys).expect("a folder");
                env.set("RUNNER_TEMP", &keys.to_string_lossy());
                let token = self.stage.provider.job_token().await;
                // as if the shell of a job had them
                env.set("HOOPCTL_WORKLOAD", "env:CI_TOKEN");
                env.set("CI_TOKEN", &token);
            }
            other => panic!("nobody on the stage is called `{other}`"),
        }
        env
    }

    /// A text with the addresses of this setting in the place of the page's.
    pub(super) fn stands_in(&self, text: &str) -> String {
        let issuer = &self.stage.provider.issuer;
        let text = text.replace("https://login.example.com", issuer);
        let text =
            text.replace("https://files.example.com", &format!("file://{}", self.stage.bin().display()));
        let text = if text.contains(WITNESS) {
            text.replace(WITNESS, &format!("127.0.0.1:{}", free_port()))
        } else {
            text
        };
        let text = if text.contains(DIGEST) { text.replace(DIGEST, &digest()) } else { text };
        match &self.own {
            None => {
                let url = &self.stage.broker.url;
                text.replace("https://broker.example.com:7443", url)
                    .replace("https://broker.example.com", url)
                    .replace("https://broker.example:7443", url)
            }
            Some(own) => text
                .replace("127.0.0.1:7443", &format!("127.0.0.1:{}", own.port))
                .replace("port = 5432", &format!("port = {}", own.cluster.port)),
        }
    }

    /// Runs SQL as the database's superuser.
    pub(super) async fn sql(&self, text: &str) -> Result<(), String> {
        let cluster = self.own.as_ref().map_or(&self.stage.cluster, |own| &own.cluster);
        cluster.admin().await.batch_execute(text).await.map_err(|error| {
            let told = error.as_db_error().map(|error| error.message().to_owned());
            told.unwrap_or_else(|| error.to_string())
        })
    }
}

impl Own {
    fn open() -> Self {
        let tools = tempfile::Builder::new().prefix("hoopctl-tools-").tempdir().expect("a folder");
        std::os::unix::fs::symlink(program(), tools.path().join("hoopctl")).expect("a link");
        Self { cluster: debian::cluster(tools.path()), port: free_port(), tools }
    }
}

/// What `sha256sum` says of the program.
fn digest() -> String {
    static KNOWN: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
        let ran = std::process::Command::new("sha256sum").arg(program()).output().expect("it runs");
        String::from_utf8_lossy(&ran.stdout).chars().take(64).collect()
    });
    KNOWN.clone()
}

/// Where the page about witnesses has one.
const WITNESS: &str = "127.0.0.1:7380";

/// What stands on the pages for it.
const DIGEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
