//! What a broker needs on the machine that it runs on.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::Access;

use super::Finding;
use crate::broker::config::Config;
use crate::cli::failure::{Failure, FailureKind};
use crate::client::link::{Link, LinkError};
use crate::gateway::clock::Clock;

/// Looks at a configuration and at what it names.
pub(super) async fn look(path: &Path, findings: &mut Vec<Finding>) {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(error) => {
            let failure = Failure::from(error).hint("`hoopctl broker check` lists the same");
            return findings.push(Finding::fault("config", &failure));
        }
    };
    findings.push(Finding::ok("config", format!("{} is valid", path.display())));
    findings.push(data_dir(&config.data_dir));
    findings.push(disk(&config.data_dir));
    findings.push(port(&config).await);
}

/// Ledger, keys and recordings: for the broker's user only.
fn data_dir(dir: &Path) -> Finding {
    let shown = dir.display();
    let own = rustix::process::geteuid().as_raw();
    match std::fs::metadata(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Finding::not_looked_at(DATA_DIR, format!("{shown} is made when the broker starts"))
        }
        Err(error) => {
            let failure =
                Failure::new(FailureKind::Configuration, format!("cannot look at `{shown}`: {error}"));
            Finding::fault(DATA_DIR, &failure.hint("run this as the broker's user"))
        }
        Ok(meta) if meta.uid() != own => {
            let message = format!("`{shown}` belongs to user {}, and this is user {own}", meta.uid());
            let failure = Failure::new(FailureKind::Configuration, message)
                .hint("run this, and the broker, as the same user");
            Finding::fault(DATA_DIR, &failure)
        }
        Ok(meta) if meta.mode() & 0o077 != 0 => {
            let failure = Failure::new(
                FailureKind::Configuration,
                format!("`{shown}` is open to other users: it holds the broker's keys"),
            );
            Finding::fault(DATA_DIR, &failure.hint(format!("type `chmod 700 {shown}`")))
        }
        Ok(_) => Finding::ok(DATA_DIR, format!("{shown} is the broker's alone")),
    }
}

/// Room for the ledger and the recordings: a broker that cannot write them closes the sessions.
fn disk(dir: &Path) -> Finding {
    let shown = dir.display();
    if !dir.exists() {
        return Finding::not_looked_at(DISK, format!("{shown} is made when the broker starts"));
    }
    let fault = |message: String, hint: String| {
        Finding::fault(DISK, &Failure::new(FailureKind::Configuration, message).hint(hint))
    };
    let free = rustix::fs::statvfs(dir).map(|room| room.f_bavail.saturating_mul(room.f_frsize));
    match (free, rustix::fs::access(dir, Access::WRITE_OK)) {
        (Err(error), _) => fault(
            format!("cannot look at the file system of `{shown}`: {error}"),
            "run this as the broker's user".into(),
        ),
        (Ok(free), _) if free < LEAST_ROOM => fault(
            format!("there is no room for recordings in `{shown}`"),
            format!("`df {shown}` shows what is left; give the broker's disk more"),
        ),
        (_, Err(error)) => fault(
            format!("nothing can be written in `{shown}`: {error}"),
            "mount its file system for writing, or move the broker with `data_dir`".into(),
        ),
        (Ok(free), Ok(())) => {
            Finding::ok(DISK, format!("{} MiB are free for the ledger and recordings", free >> 20))
        }
    }
}

/// Free, or the broker's own.
async fn port(config: &Config) -> Finding {
    let address = config.listen;
    match TcpListener::bind(address) {
        Ok(_) => Finding::ok("port", format!("{address} is free; the broker does not run")),
        Err(error) if error.kind() == ErrorKind::AddrInUse && speaks(config).await => Finding::ok(
            "port",
            format!("something that speaks TLS listens on {address}: the broker, it seems"),
        ),
        Err(error) => {
            let failure = Failure::new(
                FailureKind::Configuration,
                format!("the broker cannot have {address}: {error}"),
            )
            .hint(format!("`ss -ltnp` shows who has port {}", address.port()))
            .hint("end it, or give the broker another address with `listen`");
            Finding::fault("port", &failure)
        }
    }
}

/// Whether a broker answers there, whoever signed its certificate.
async fn speaks(config: &Config) -> bool {
    let Ok(link) = Link::new(&config.public_url, None, Clock::system()) else { return false };
    matches!(
        link.greet().await,
        Ok(_) | Err(LinkError::Untrusted { .. } | LinkError::PinMismatch { .. } | LinkError::Problem(_))
    )
}

const DATA_DIR: &str = "data-dir";
const DISK: &str = "disk";
/// Below this much, the end is near.
const LEAST_ROOM: u64 = 64 << 20;
