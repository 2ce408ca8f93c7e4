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

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use thiserror::Error;
use tokio::process::Command;

use super::signals::{Passed, Signals};

/// Where the child finds the loopback.
#[derive(Debug, Clone, Copy)]
pub enum Endpoint {
    /// On TCP.
    Tcp(SocketAddr),
    /// In the session's private directory.
    Unix,
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
    pub hides: Vec<fn(&OsStr) -> bool>,
    /// What is set on top.
    pub added: Vec<(OsString, OsString)>,
}

/// The program, running.
#[derive(Debug, Clone, Copy)]
pub struct Child {
    /// Its process id.
    pub pid: i32,
    /// Whether it leads a group of its own.
    pub leads: bool,
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

impl Launch {
    /// Starts the program on this process's own terminal, calls `started` with it, and waits for its end.
    ///
    /// # Errors
    /// [`LaunchError`] when it did not start.
    pub async fn run(self, signals: &mut Signals, started: impl FnOnce(Child)) -> Result<u8, LaunchError> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .envs(self.inherited.iter().filter(|(k, _)| !self.hides.iter().any(|hides| hides(k))).cloned());
        command.envs(self.added.iter().cloned()).kill_on_drop(true);
        let leads = signals.wants_group();
        if leads {
            command.process_group(0);
        }
        signals.watch_for_program()?;
        let mut child = command.spawn().map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => LaunchError::NotFound(self.program.clone()),
            _ => LaunchError::Start { program: self.program.clone(), cause },
        })?;
        let own = child.id().and_then(|pid| i32::try_from(pid).ok()).map(|pid| Child { pid, leads });
        if let Some(own) = own {
            started(own);
        }
        loop {
            tokio::select! {
                status = child.wait() => {
                    let program = self.program.clone();
                    return status.map(exit_code).map_err(|cause| LaunchError::Start { program, cause });
                }
                passed = signals.next_passed() => {
                    if let Some(own) = own {
                        own.pass(passed);
                    }
                }
            }
        }
    }
}

impl Child {
    /// Passes a signal on. The child may just have ended, and then there is nobody to tell.
    fn pass(self, passed: Passed) {
        let Some(pid) = Pid::from_raw(self.pid) else { return };
        let _gone = match passed {
            Passed::Group(signal) if self.leads => kill_process_group(pid, signal),
            Passed::Program(signal) | Passed::Group(signal) => kill_process(pid, signal),
        };
        // whoever stops us means both, and the program has been told
        if passed == Passed::Group(Signal::TSTP) {
            let _stopped = kill_process(rustix::process::getpid(), Signal::STOP);
        }
    }
}

/// As shells count: the program's own code, or 128 and the signal that killed it.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code & 0xff).ok()).unwrap_or(255)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use crate::client::postgres::is_of_postgres;

    fn sh(script: &str) -> Launch {
        let inherited =
            [("PATH", "/usr/bin:/bin"), ("PGPASSWORD", "leak"), ("DATABASE_URL", "leak"), ("KEEP", "kept")];
        Launch {
            program: "sh".into(),
            args: vec!["-c".into(), script.into()],
            hides: vec![is_of_postgres],
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
}
