//! What is left to do when this process is killed.
//!
//! Job: a shell that waits for the end of a pipe, which the system closes when this process is gone, however it went;
//! it removes what was private, and asks the program that was started to end. Boundary: knows no secret and no session
//! (the broker closes those by itself). Failure mode: without a shell there is no guard, and what is left goes when the
//! next place is made.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child as Shell, ChildStdin, Command, Stdio};

use super::launch::Child;

/// Waits for the end of this process.
#[derive(Debug)]
pub struct Guard {
    shell: Shell,
    line: Option<ChildStdin>,
}

impl Guard {
    /// Over these directories. `None` where there is no shell.
    #[must_use]
    pub fn over(litter: &[PathBuf]) -> Option<Self> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT, "hoopctl-guard"]).args(litter);
        // in a group of its own, so that whoever ends ours does not end it
        command.env_clear().env("PATH", PATH).current_dir("/").process_group(0);
        let mut shell =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let line = shell.stdin.take();
        Some(Self { shell, line })
    }

    /// Tells it what was started.
    pub fn knows(&mut self, child: Child) {
        let group = if child.leads { "-" } else { "" };
        self.say(&format!("child {group}{}", child.pid));
    }

    /// Tells it that what was started has ended.
    pub fn forgets(&mut self) {
        self.say("none");
    }

    fn say(&mut self, word: &str) {
        // one that is gone cannot help, and nothing else depends on it
        if let Some(line) = &mut self.line {
            drop(writeln!(line, "{word}"));
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.say("done");
        self.line = None;
        // it has nothing more to do, and would be nobody's child
        drop(self.shell.wait());
    }
}

/// Reads until the pipe ends. Only then is it for it to act; the program gets ten seconds.
const SCRIPT: &str = r#"trap '' HUP INT QUIT TERM
child=
while read -r word value; do
    case $word in
        child) child=$value ;;
        none) child= ;;
        done) exit 0 ;;
    esac
done
rm -rf -- "$@"
[ -n "$child" ] || exit 0
kill -s TERM -- "$child" || exit 0
tries=0
while [ "$tries" -lt 50 ] && kill -s 0 -- "$child"; do sleep 0.2; tries=$((tries + 1)); done
kill -s KILL -- "$child""#;
/// The system's own first.
const PATH: &str = "/usr/bin:/bin:/usr/local/bin";
