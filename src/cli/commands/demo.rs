//! `hoopctl demo`: the whole product on one machine, for one run.
//!
//! Job: a cluster, an HTTP API, a host, an identity provider and a broker of its own, and either the next commands to
//! type or a tour that types them. Boundary: everything lives in one folder and on loopback.
//! Failure mode: the first promise that is not kept is named; whatever happens, nothing is left.

mod account;
pub mod api;
mod broker;
mod cluster;
mod config;
mod host;
mod leftovers;
mod orphans;
mod private;
mod programs;
mod seed;
mod stage;
mod tls;
mod tour;
mod upstream;
mod watchdog;

pub use account::AccountError;
pub use cluster::ClusterError;
pub use host::HostError;

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

use crate::broker::embedded::{ApproveError, EmbeddedError};
use leftovers::Before;
use stage::Stage;

/// What the user asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DemoOptions {
    /// The folder that holds everything; a new one in the temporary folder when absent.
    pub data_dir: Option<PathBuf>,
    /// The broker's port; any free one when absent.
    pub port: Option<u16>,
    /// What to do once everything runs.
    pub then: Then,
}

/// What happens once everything runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Then {
    /// Wait for Ctrl-C.
    #[default]
    Stay,
    /// Do the main job, check every promise, and end.
    Tour,
}

/// Where the demo says what it does.
pub trait Show {
    /// Shows one line, which may hold line breaks.
    fn line(&mut self, text: &str);
}

/// Why the demo ended badly.
#[derive(Debug, Error)]
pub enum DemoFailure {
    /// The tour could not sign in.
    #[error(transparent)]
    Approve(#[from] ApproveError),
    /// The broker did not start.
    #[error("the broker did not start: {0}")]
    Broker(String),
    /// The cluster did not start.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The database could not be filled.
    #[error("the demo's database could not be filled: {0}")]
    Database(#[from] tokio_postgres::Error),
    /// The folder is in use.
    #[error("{} exists and is not empty", .0.display())]
    FolderInUse(PathBuf),
    /// The host did not start.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The user stopped the tour.
    #[error("interrupted")]
    Interrupted,
    /// A file or process could not be made.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Something is still there after the end.
    #[error("the demo left something behind: {}", .0.join(", "))]
    LeftBehind(Vec<String>),
    /// A command did not do what the demo promises.
    #[error("not as promised: {promise}")]
    Promise {
        /// What should have been so.
        promise: String,
    },
    /// The identity provider did not start.
    #[error(transparent)]
    Provider(#[from] EmbeddedError),
}

impl DemoFailure {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Cluster(ClusterError::NoPrograms) => Some(
                "install one (Debian: `apt-get install postgresql`) or set HOOPCTL_DEMO_PG_BIN to its bin folder",
            ),
            Self::Cluster(ClusterError::Account(error)) | Self::Host(HostError::Account(error)) => {
                match error {
                    AccountError::Folder { .. } => Some(
                        "choose a folder that everybody can reach, as `--data-dir /tmp/hoopctl-demo`, or do not be root",
                    ),
                    AccountError::Nameless(_) | AccountError::None => {
                        Some("run the demo as an ordinary user that is in the system's list of accounts")
                    }
                    AccountError::Shell { .. } => Some("run the demo as an ordinary user with a shell"),
                }
            }
            Self::Host(HostError::NoPrograms) => Some(
                "install one (Debian: `apt-get install openssh-server`) or set HOOPCTL_DEMO_SSHD and HOOPCTL_DEMO_SFTP_SERVER to its programs",
            ),
            Self::Host(HostError::Path(_)) => {
                Some("choose one without quotes, backslashes, % and $, as `--data-dir /tmp/hoopctl-demo`")
            }
            Self::FolderInUse(_) => Some("choose another with `--data-dir`, or remove it"),
            _ => None,
        }
    }
}

/// Runs the demo until it is over, and cleans up.
///
/// # Errors
/// When a part does not start, a promise of the tour is not kept, or something is left behind.
pub async fn run(options: DemoOptions, show: &mut (dyn Show + Send)) -> Result<(), DemoFailure> {
    let began = Instant::now();
    let mut interruption = Interruption::listen()?;
    let before = Before::look();
    let folder = stage::Folder::make(options.data_dir.clone())?;
    let path = folder.path().to_owned();

    let outcome = tokio::select! {
        outcome = perform(&options, folder, show) => outcome,
        () = interruption.comes() => match options.then {
            Then::Stay => Ok(Vec::new()),
            Then::Tour => Err(DemoFailure::Interrupted),
        },
    };
    // whatever was dropped or stopped above, look for what is still there
    let ports = outcome.as_ref().map(Vec::as_slice).unwrap_or_default();
    let left = before.what_is_left(&path, ports).await;
    outcome?;
    if !left.is_empty() {
        return Err(DemoFailure::LeftBehind(left));
    }
    show.line(&format!("Nothing is left behind. ({:.1} s)", began.elapsed().as_secs_f64()));
    Ok(())
}

async fn perform(
    options: &DemoOptions,
    folder: stage::Folder,
    show: &mut (dyn Show + Send),
) -> Result<Vec<u16>, DemoFailure> {
    let stage = Stage::start(folder, options.port, show).await?;
    let ports = stage.ports();
    let outcome = match options.then {
        Then::Stay => {
            stage.say_what_is_next(show);
            // ends by being dropped when the user interrupts
            std::future::pending().await
        }
        Then::Tour => tour::run(&stage, show).await,
    };
    stage.stop().await;
    outcome.map(|()| ports)
}

/// Ctrl-C, a polite kill, or the terminal's end; heard from the start, so that none kills us
/// half-way.
struct Interruption {
    signals: [tokio::signal::unix::Signal; 3],
}

impl Interruption {
    fn listen() -> Result<Self, DemoFailure> {
        let listen =
            |kind| signal(kind).map_err(|source| DemoFailure::Io { what: "signals cannot be heard", source });
        Ok(Self {
            signals: [
                listen(SignalKind::interrupt())?,
                listen(SignalKind::terminate())?,
                listen(SignalKind::hangup())?,
            ],
        })
    }

    async fn comes(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
