//! The broker as the demo runs it: the real command, below a watchdog.

use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::net::TcpStream;
use tokio::process::Command;

use super::DemoFailure;
use super::watchdog::Watchdog;
use crate::broker::config::Config;
use crate::broker::pki;
use crate::cli::failure::Failure;
use crate::client::trust::Pin;

/// A running broker.
pub(super) struct Broker {
    watchdog: Watchdog,
    pin: String,
}

impl Broker {
    /// Runs `hoopctl broker serve` and waits until it listens.
    pub(super) async fn start(config: &Path, folder: &Path, listen: SocketAddr) -> Result<Self, DemoFailure> {
        let program = super::tour::this_program()?;
        let path = folder.join("broker.log");
        let io = |source| DemoFailure::Io { what: "the broker's log could not be made", source };
        let log = fs::File::create(&path).map_err(io)?;
        let mut shell = Command::new("/bin/sh");
        shell
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", folder)
            .env("TMPDIR", folder.join("run"))
            .env("HOOPCTL_CONFIG", config)
            .current_dir(folder)
            .stdout(log.try_clone().map_err(io)?)
            .stderr(log);
        let arguments = ["broker", "serve"].map(OsStr::new);
        let watchdog = Watchdog::start(shell, "TERM", program.as_os_str(), &arguments)
            .map_err(|source| DemoFailure::Io { what: "the broker could not be started", source })?;
        let mut broker = Self { watchdog, pin: String::new() };
        broker.wait_ready(listen, path).await?;
        broker.pin = pin(&folder.join("broker/pki/ca.pem"))?;
        Ok(broker)
    }

    /// Drains and stops it.
    pub(super) async fn stop(mut self) {
        self.watchdog.stop().await;
    }

    /// What `login` needs in order to trust this broker: the key of the CA that it made.
    pub(super) fn login_arguments(&self) -> Vec<String> {
        vec!["--broker-pin".into(), self.pin.clone()]
    }

    async fn wait_ready(&mut self, listen: SocketAddr, log: PathBuf) -> Result<(), DemoFailure> {
        for _ in 0..POLLS {
            if TcpStream::connect(listen).await.is_ok() {
                return Ok(());
            }
            if self.watchdog.ended().is_some() {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        let said = fs::read_to_string(log).unwrap_or_default();
        Err(DemoFailure::Broker(said.trim().to_owned()))
    }
}

/// What signs the certificates that the host is to believe: what `hoopctl broker ssh-ca` prints.
pub(super) fn user_authority(config: &Path) -> Result<String, DemoFailure> {
    let config = Config::load(config)
        .map_err(|error| DemoFailure::Broker(Failure::from(error).message().to_owned()))?;
    pki::ssh_authority(&config).map_err(|error| DemoFailure::Broker(error.to_string()))
}

fn pin(ca: &Path) -> Result<String, DemoFailure> {
    let broken = || DemoFailure::Broker(format!("{} is not a certificate", ca.display()));
    let certificate = CertificateDer::from_pem_file(ca).map_err(|_| broken())?;
    Ok(Pin::of(&certificate).ok_or_else(broken)?.to_string())
}

const POLL: Duration = Duration::from_millis(50);
const POLLS: u32 = 600;
