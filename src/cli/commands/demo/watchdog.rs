//! A child that dies with us.
//!
//! Job: run a server below a shell that tells it to stop as soon as the pipe to the shell closes;
//! the system closes that pipe also when this process is killed. Failure mode: what does not stop
//! in time is killed with its whole process group.

use std::ffi::OsStr;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, ChildStdin, Command};

use super::private;

/// A server below its shell.
pub(super) struct Watchdog {
    child: Child,
    lifeline: Option<ChildStdin>,
}

impl Watchdog {
    /// Runs `program` below `shell`, a prepared `/bin/sh` with the environment, user, folder and
    /// output of the server. `signal` asks the server to end: `INT`, `TERM`.
    pub(super) fn start(
        mut shell: Command,
        signal: &str,
        program: &OsStr,
        arguments: &[&OsStr],
    ) -> io::Result<Self> {
        shell.args(["-c", SCRIPT, "sh", signal]).arg(program).args(arguments).stdin(Stdio::piped());
        // a Ctrl-C at the terminal is for us alone: we stop what we started in our order
        shell.process_group(0).kill_on_drop(false);
        let mut child = shell.spawn()?;
        let lifeline = child.stdin.take();
        Ok(Self { child, lifeline })
    }

    /// How the server ended, if it did.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks the server to stop, waits, and kills it if it does not.
    pub(super) async fn stop(&mut self) {
        self.lifeline = None;
        if tokio::time::timeout(LIMIT, self.child.wait()).await.is_err() {
            private::kill_group(self.child.id());
            let _reaped = tokio::time::timeout(LIMIT, self.child.wait()).await;
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.lifeline = None;
        // the folder is about to go, so the server must be gone first; there may be no runtime left
        for _ in 0..DROP_POLLS {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(POLL);
        }
        private::kill_group(self.child.id());
    }
}

/// The second job only reads: the end of its input is the end of us.
const SCRIPT: &str = r#"s=$1; shift
exec 3<&0
"$@" 3<&- </dev/null & p=$!
{ read -r _ <&3; kill -"$s" "$p"; } & r=$!
trap 'kill -"$s" "$p"' HUP INT TERM
wait "$p"; code=$?
while kill -0 "$p" 2>/dev/null; do wait "$p"; code=$?; done
kill "$r" 2>/dev/null
exit "$code""#;

const LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);
const DROP_POLLS: u32 = 1000;
