//! A terminal that a test sits at.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::env::{Env, program};

/// The program below `script`, which gives it a terminal of its own.
pub(crate) struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    screen: ChildStdout,
    /// Everything that was shown.
    shown: String,
}

impl Terminal {
    /// Runs the program with these arguments, which a shell splits.
    pub(crate) async fn start(env: &Env, arguments: &str) -> Self {
        let like = env.command(&[]);
        let mut command = Command::new("script");
        command
            .args(["--quiet", "--return", "--command", &format!("{} {arguments}", program()), "/dev/null"])
            .env_clear()
            .envs(like.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))))
            .env("TERM", "xterm")
            .env("INPUTRC", "/dev/null")
            .current_dir(env.home())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = command.spawn().expect("`script` of util-linux runs");
        let keyboard = child.stdin.take().expect("a pipe");
        let screen = child.stdout.take().expect("a pipe");
        Self { child, keyboard, screen, shown: String::new() }
    }

    /// Types.
    pub(crate) async fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).await.expect("it listens");
    }

    /// Waits until this is shown below what was waited for last; returns what is shown by then.
    pub(crate) async fn until(&mut self, wanted: &str) -> String {
        let shows = async {
            let mut buffer = [0; 4096];
            while !self.shown.contains(wanted) {
                let count = self.screen.read(&mut buffer).await.expect("its output");
                assert!(count > 0, "it ended before `{wanted}`: {}", self.shown);
                self.shown.push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        };
        let shown = tokio::time::timeout(Duration::from_secs(30), shows).await;
        assert!(shown.is_ok(), "`{wanted}` is not shown: {}", self.shown);
        let end = self.shown.find(wanted).expect("it is there") + wanted.len();
        let rest = self.shown.split_off(end);
        std::mem::replace(&mut self.shown, rest)
    }

    /// Waits for its end; the exit code.
    pub(crate) async fn ends(mut self) -> i32 {
        drop(self.keyboard);
        let ends = async {
            let mut rest = String::new();
            // a terminal that closes is an error to read from, which is an end too
            drop(self.screen.read_to_string(&mut rest).await);
            self.child.wait().await.expect("it ends").code().unwrap_or(-1)
        };
        tokio::time::timeout(Duration::from_secs(30), ends).await.expect("in time")
    }
}
