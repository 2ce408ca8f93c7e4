//! The demo's own PostgreSQL: found, made, started, and gone without a trace.
//!
//! Job: one cluster below the demo's folder, on 127.0.0.1, with TLS and SCRAM. Boundary: it
//! touches nothing outside that folder. Failure mode: whatever was started is stopped when the
//! value is dropped; if this process dies without dropping it, a shell that holds the server's
//! life on a pipe stops it.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rand::RngExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;

use super::account::{Account, AccountError};
use super::programs::Programs;
use super::watchdog::Watchdog;
use super::{private, tls};

/// A running cluster. Its superuser `postgres` is used for the set-up only.
pub(super) struct Cluster {
    pub(super) port: u16,
    pub(super) version: String,
    pub(super) superuser_password: SecretString,
    pub(super) root_certificate: PathBuf,
    folder: PathBuf,
    watchdog: Watchdog,
}

/// Why there is no cluster.
#[derive(Debug, Error)]
pub enum ClusterError {
    /// `initdb` failed.
    #[error("initdb failed: {0}")]
    Initdb(String),
    /// A file or process could not be made.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// There are no server programs.
    #[error("there is no PostgreSQL server (13 to 18) on this machine")]
    NoPrograms,
    /// It did not come up.
    #[error("PostgreSQL did not start: {0}")]
    NotReady(String),
    /// The certificate could not be made.
    #[error("the cluster's certificate could not be made: {0}")]
    Tls(String),
    /// No suitable user to run it as.
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl Cluster {
    /// Makes and starts a cluster in a folder that does not exist yet.
    pub(super) async fn start(folder: &Path) -> Result<Self, ClusterError> {
        let owner = Account::pick()?;
        let programs = Programs::find(&owner).await.ok_or(ClusterError::NoPrograms)?;
        private::folder(folder).map_err(context("the cluster's folder could not be made"))?;
        let root_certificate = tls::write(folder).map_err(ClusterError::Tls)?;
        let superuser_password = private::password();
        let password_file = folder.join("password");
        private::file(&password_file, superuser_password.expose_secret().as_bytes())
            .map_err(context("the password file could not be written"))?;
        owner.take(folder).map_err(context("the cluster's folder could not be handed over"))?;
        owner.reaches(folder).await?;
        initdb(&owner, &programs, folder).await?;
        fs::remove_file(password_file).map_err(context("the password file could not be removed"))?;

        let mut last = String::new();
        for _ in 0..PORT_ATTEMPTS {
            let port = free_port();
            let mut watchdog = launch(&owner, &programs, folder, port)?;
            match wait_ready(folder, port, &mut watchdog).await {
                Ok(()) => {
                    let (version, folder) = (programs.version, folder.to_owned());
                    return Ok(Self {
                        port,
                        version,
                        superuser_password,
                        root_certificate,
                        folder,
                        watchdog,
                    });
                }
                Err(said) => last = said,
            }
            watchdog.stop().await;
        }
        Err(ClusterError::NotReady(last))
    }

    /// A connection as superuser, for the set-up.
    pub(super) async fn superuser(
        &self,
        database: &str,
    ) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let tls = tls::client(&self.root_certificate);
        let (client, connection) = tokio_postgres::Config::new()
            .host("127.0.0.1")
            .port(self.port)
            .user("postgres")
            .password(self.superuser_password.expose_secret())
            .dbname(database)
            .ssl_mode(tokio_postgres::config::SslMode::Require)
            .connect(tokio_postgres_rustls::MakeRustlsConnect::new(tls))
            .await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Stops the server and removes its folder.
    pub(super) async fn stop(mut self) {
        self.watchdog.stop().await;
        // an error shows later, when the demo looks for what is left
        let _gone = fs::remove_dir_all(&self.folder);
    }
}

fn launch(owner: &Account, programs: &Programs, folder: &Path, port: u16) -> Result<Watchdog, ClusterError> {
    let log = fs::File::create(folder.join("log")).map_err(context("the server's log could not be made"))?;
    let errors = log.try_clone().map_err(context("the server's log could not be made"))?;
    let mut shell = owner.command(Path::new("/bin/sh"));
    shell.current_dir(folder).stdout(log).stderr(errors);
    let port = port.to_string();
    let mut arguments: Vec<&OsStr> = ["-D", "data", "-p", &port].map(OsStr::new).to_vec();
    for setting in SETTINGS {
        arguments.extend([OsStr::new("-c"), OsStr::new(setting)]);
    }
    // SIGINT is PostgreSQL's fast shutdown: sessions are ended, nothing stays in shared memory
    Watchdog::start(shell, "INT", programs.postgres.as_os_str(), &arguments)
        .map_err(context("the server could not be started"))
}

async fn initdb(owner: &Account, programs: &Programs, folder: &Path) -> Result<(), ClusterError> {
    let mut command = owner.command(&programs.initdb);
    command
        .args(["--pgdata=data", "--username=postgres", "--auth=scram-sha-256", "--pwfile=password"])
        .args(["--no-sync", "--no-locale", "--encoding=UTF8"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let output = private::output(command).await.map_err(context("initdb could not be started"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(ClusterError::Initdb(said))
}

async fn wait_ready(folder: &Path, port: u16, watchdog: &mut Watchdog) -> Result<(), String> {
    let started = tokio::time::timeout(START_LIMIT, async {
        loop {
            // line 4 of postmaster.pid is the port and line 8 the server's own word on its state
            let state = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
            if state.lines().nth(7).is_some_and(|line| line.trim() == "ready")
                && state.lines().nth(3) == Some(&port.to_string())
            {
                return Ok(());
            }
            let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
            if log.contains("FATAL") || watchdog.ended().is_some() {
                return Err(log.trim().to_owned());
            }
            tokio::time::sleep(POLL).await;
        }
    });
    started.await.unwrap_or_else(|_| Err(format!("not ready within {} s", START_LIMIT.as_secs())))
}

/// A free port below the range that the kernel hands out for outgoing connections.
pub(super) fn free_port() -> u16 {
    let mut port = 0;
    for _ in 0..100 {
        port = rand::rng().random_range(15_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            break;
        }
    }
    port
}

fn context(what: &'static str) -> impl Fn(io::Error) -> ClusterError {
    move |source| ClusterError::Io { what: what.to_owned(), source }
}

/// No Unix socket at all, and no segment in /dev/shm: everything stays in the folder.
const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "dynamic_shared_memory_type=mmap",
    "password_encryption=scram-sha-256",
    "ssl=on",
    "ssl_cert_file=../server.pem",
    "ssl_key_file=../server.key",
    "shared_buffers=32MB",
    "log_min_messages=fatal",
    "fsync=off",
];

const PORT_ATTEMPTS: u32 = 8;
const START_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(25);
