//! Starting the user's own program.
//!
//! Job: a clean environment, the real terminal, signals, the exit code. Boundary: the caller brings
//! the environment; no secret is ever in an argument. Failure mode: [`LaunchError`] when the program
//! cannot be started; whatever it does after that is its own.

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process};
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use tokio::process::Command;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use super::home::{HomeError, write_private};
use super::loopback::Place;

/// Where the child finds the loopback.
#[derive(Debug, Clone, Copy)]
pub enum Endpoint {
    /// On TCP.
    Tcp(SocketAddr),
    /// In the session's private directory.
    Unix,
}

/// What a PostgreSQL client must know.
#[derive(Debug)]
pub struct PostgresLogin<'a> {
    /// Where to connect.
    pub endpoint: Endpoint,
    /// The session's private directory.
    pub place: &'a Place,
    /// The user to give.
    pub user: &'a str,
    /// The database to name.
    pub database: &'a str,
    /// The session's secret.
    pub secret: &'a SecretString,
}

impl PostgresLogin<'_> {
    /// The variables that libpq and other drivers read, and the password file behind them.
    ///
    /// # Errors
    /// When the password file cannot be written.
    pub fn environment(&self) -> Result<Vec<(OsString, OsString)>, HomeError> {
        let file = self.place.password_file();
        let (host, port) = self.host_and_port();
        // for this host and port only: `\c` to another server must not hand our secret to it
        let parts = [host.to_string_lossy().into_owned(), port.clone(), "*".into(), self.user.into()];
        let mut line: String =
            parts.iter().map(|part| if part == "*" { part.clone() } else { escape(part) } + ":").collect();
        line.push_str(&escape(self.secret.expose_secret()));
        line.push('\n');
        write_private(&file, line.as_bytes())?;
        let mut variables = vec![
            ("PGHOST", host),
            ("PGPORT", port.into()),
            ("PGUSER", self.user.into()),
            ("PGDATABASE", self.database.into()),
            ("PGPASSFILE", file.into()),
            // a squatter that wants the secret in clear, or nothing at all, gets nothing (libpq 16 and later)
            ("PGREQUIREAUTH", "scram-sha-256".into()),
            // the loopback is local; TLS begins behind it
            ("PGSSLMODE", "disable".into()),
            ("PGGSSENCMODE", "disable".into()),
            ("DATABASE_URL", self.url().expose_secret().into()),
        ];
        // a socket that another user has put in the place of ours gets nothing (libpq 9.1 and later)
        if let (Endpoint::Unix, Some(name)) = (self.endpoint, own_name()) {
            variables.push(("PGREQUIREPEER", name));
        }
        Ok(variables.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// A connection string that holds everything, the secret too.
    #[must_use]
    pub fn url(&self) -> SecretString {
        let encode = |text: &str| -> String {
            url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
        };
        let login = format!("{}:{}", encode(self.user), encode(self.secret.expose_secret()));
        let database = encode(self.database);
        match self.endpoint {
            Endpoint::Tcp(address) => format!("postgresql://{login}@{address}/{database}?sslmode=disable"),
            Endpoint::Unix => {
                let dir = encode(&self.place.path().to_string_lossy());
                format!("postgresql://{login}@/{database}?host={dir}&port=5432&sslmode=disable")
            }
        }
        .into()
    }

    fn host_and_port(&self) -> (OsString, String) {
        match self.endpoint {
            Endpoint::Tcp(address) => (address.ip().to_string().into(), address.port().to_string()),
            Endpoint::Unix => (self.place.path().into(), "5432".into()),
        }
    }
}

/// A program to start.
#[derive(Debug)]
pub struct Launch {
    /// The program, looked up in `PATH`.
    pub program: OsString,
    /// Its arguments, exactly as they were given.
    pub args: Vec<OsString>,
    /// The environment of this process.
    pub inherited: Vec<(OsString, OsString)>,
    /// Which of that it does not get.
    pub hides: fn(&OsStr) -> bool,
    /// What is set on top.
    pub added: Vec<(OsString, OsString)>,
}

/// Why a program did not start.
#[derive(Debug, Error)]
pub enum LaunchError {
    /// There is no such program.
    #[error("`{}` is not installed or not in PATH", Path::new(.0).display())]
    NotFound(OsString),
    /// The system said no.
    #[error("cannot start `{}`: {cause}", Path::new(.program).display())]
    Start {
        /// The program.
        program: OsString,
        /// What the system said.
        cause: io::Error,
    },
    /// Signals cannot be watched.
    #[error("cannot watch signals: {0}")]
    Signals(io::Error),
}

/// The signals that end or interrupt this process, watched from before a session is opened, so that
/// it can always be closed.
#[derive(Debug)]
pub struct Signals {
    hangup: Stream,
    interrupt: Stream,
    quit: Stream,
    terminate: Stream,
}

impl Signals {
    /// Starts to watch.
    ///
    /// # Errors
    /// When the system says no.
    pub fn watch() -> Result<Self, LaunchError> {
        let watch = |kind| signal(kind).map_err(LaunchError::Signals);
        Ok(Self {
            hangup: watch(SignalKind::hangup())?,
            interrupt: watch(SignalKind::interrupt())?,
            quit: watch(SignalKind::quit())?,
            terminate: watch(SignalKind::terminate())?,
        })
    }

    /// Waits for a signal that ends a program without a child; returns its number.
    pub async fn ended(&mut self) -> u8 {
        tokio::select! {
            _ = self.hangup.recv() => 1,
            _ = self.interrupt.recv() => 2,
            _ = self.quit.recv() => 3,
            _ = self.terminate.recv() => 15,
        }
    }

    /// Waits for a signal that the child must be told of. Interrupts from the terminal reach the child by
    /// themselves, and what they mean is its business.
    async fn next_forwarded(&mut self) -> Signal {
        loop {
            tokio::select! {
                _ = self.hangup.recv() => return Signal::HUP,
                _ = self.terminate.recv() => return Signal::TERM,
                _ = self.interrupt.recv() => {}
                _ = self.quit.recv() => {}
            }
        }
    }
}

impl Launch {
    /// Starts the program on this process's own terminal, calls `started` with its process id, and
    /// waits for its end.
    ///
    /// # Errors
    /// [`LaunchError`] when it did not start.
    pub async fn run(self, signals: &mut Signals, started: impl FnOnce(i32)) -> Result<u8, LaunchError> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .envs(self.inherited.iter().filter(|(k, _)| !(self.hides)(k)).cloned());
        command.envs(self.added.iter().cloned()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => LaunchError::NotFound(self.program.clone()),
            _ => LaunchError::Start { program: self.program.clone(), cause },
        })?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid {
            started(pid);
        }
        loop {
            tokio::select! {
                status = child.wait() => {
                    let program = self.program.clone();
                    return status.map(exit_code).map_err(|cause| LaunchError::Start { program, cause });
                }
                signal = signals.next_forwarded() => {
                    if let Some(pid) = pid.and_then(Pid::from_raw) {
                        // it may just have ended, which the next turn sees
                        let _ = kill_process(pid, signal);
                    }
                }
            }
        }
    }
}

/// What the system calls the user of this process; `None` where it has no name for it, as in containers.
fn own_name() -> Option<OsString> {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let known = std::fs::read_to_string("/etc/passwd").ok()?;
    let fields = known.lines().map(|line| line.split(':').collect::<Vec<_>>());
    fields.into_iter().find_map(|fields| match fields.as_slice() {
        [name, _, of, ..] if *of == uid => Some((*name).into()),
        _ => None,
    })
}

/// Another server's address or password in the environment must not mix with ours.
#[must_use]
pub fn is_of_postgres(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b"PG") || name == b"DATABASE_URL"
}

/// As shells count: the program's own code, or 128 and the signal that killed it.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code & 0xff).ok()).unwrap_or(255)
}

/// A password file's own escapes.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace(':', "\\:")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    fn sh(script: &str) -> Launch {
        let inherited =
            [("PATH", "/usr/bin:/bin"), ("PGPASSWORD", "leak"), ("DATABASE_URL", "leak"), ("KEEP", "kept")];
        Launch {
            program: "sh".into(),
            args: vec!["-c".into(), script.into()],
            hides: is_of_postgres,
            inherited: inherited.map(|(k, v)| (k.into(), v.into())).into(),
            added: vec![("PGHOST".into(), "ours".into())],
        }
    }

    #[tokio::test]
    async fn the_exit_code_is_the_childs() {
        let mut signals = Signals::watch().unwrap();
        assert_eq!(sh("exit 42").run(&mut signals, |_| {}).await.unwrap(), 42);
        assert_eq!(sh("kill -9 $$").run(&mut signals, |_| {}).await.unwrap(), 137);
    }

    #[tokio::test]
    async fn the_environment_is_clean() {
        let mut signals = Signals::watch().unwrap();
        let script = "test \"$KEEP$PGPASSWORD$DATABASE_URL$PGHOST\" = keptours";
        assert_eq!(sh(script).run(&mut signals, |_| {}).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let mut launch = sh("");
        launch.program = "no-such-program-here".into();
        let error = launch.run(&mut Signals::watch().unwrap(), |_| {}).await.unwrap_err();
        assert_eq!(error.to_string(), "`no-such-program-here` is not installed or not in PATH");
    }

    #[test]
    fn a_password_file_is_escaped() {
        assert_eq!(escape(r"a:b\c"), r"a\:b\\c");
    }
}
