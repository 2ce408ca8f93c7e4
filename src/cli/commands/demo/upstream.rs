//! The API of reasoning traces as the demo runs it: this program again, below a watchdog.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tokio::net::TcpStream;
use tokio::process::Command;

use super::watchdog::Watchdog;
use super::{DemoFailure, private};

/// A running API.
pub(super) struct Upstream {
    watchdog: Watchdog,
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// The file with its key, which the broker reads and nobody else.
    pub(super) key: PathBuf,
}

impl Upstream {
    /// Starts it with a key of its own, and waits until it listens.
    pub(super) async fn start(folder: &Path, address: SocketAddr) -> Result<Self, DemoFailure> {
        let io = |source| DemoFailure::Io { what: "the API could not be started", source };
        let key = folder.join("api-key");
        private::file(&key, private::password().expose_secret().as_bytes()).map_err(io)?;
        let program = super::tour::this_program()?;
        let mut shell = Command::new("/bin/sh");
        let log = std::fs::File::create(folder.join("api.log")).map_err(io)?;
        shell.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir(folder).stderr(log);
        let listen = address.to_string();
        let arguments = ["demo-api", "--listen", &listen, "--key-file"].map(OsStr::new);
        let arguments: Vec<&OsStr> = arguments.into_iter().chain([key.as_os_str()]).collect();
        let watchdog = Watchdog::start(shell, "TERM", program.as_os_str(), &arguments).map_err(io)?;
        let mut upstream = Self { watchdog, address, key };
        for _ in 0..POLLS {
            if TcpStream::connect(address).await.is_ok() {
                return Ok(upstream);
            }
            if upstream.watchdog.ended().is_some() {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        Err(io(std::io::Error::other("it does not listen")))
    }

    /// Stops it.
    pub(super) async fn stop(mut self) {
        self.watchdog.stop().await;
    }
}

const POLL: Duration = Duration::from_millis(50);
const POLLS: u32 = 200;
