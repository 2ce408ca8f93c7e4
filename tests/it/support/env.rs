//! A user's machine: a private home, and the program run in it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

/// A private home. Nothing of the real one is visible to what runs here.
pub(crate) struct Env {
    home: TempDir,
    variables: Vec<(String, String)>,
}

/// What a run said and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code; 128 and the signal when a signal ended it.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Env {
    /// A new user of this broker.
    pub(crate) fn new(broker: &str) -> Self {
        let home = tempfile::Builder::new().prefix("hoopctl-it-").tempdir().expect("a folder");
        // the demo's database runs as somebody else when the tests run as root
        let passable = std::fs::Permissions::from_mode(0o711);
        std::fs::set_permissions(home.path(), passable).expect("a folder");
        std::fs::create_dir(home.path().join("run")).expect("a folder");
        let variables = vec![("HOOPCTL_BROKER".to_owned(), broker.to_owned())];
        Self { home, variables }
    }

    /// Sets a variable for the following runs.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The home.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The client's state.
    pub(crate) fn state(&self) -> PathBuf {
        self.home().join("state")
    }

    /// Makes the client exchange anew at its next call, as it does every few minutes.
    pub(crate) fn forget_access(&self) {
        let brokers = std::fs::read_dir(self.state().join("brokers")).expect("a folder");
        let forgotten = brokers.map(|broker| broker.expect("an entry").path().join("access.json"));
        let forgotten = forgotten.filter(|path| std::fs::remove_file(path).is_ok());
        assert_eq!(forgotten.count(), 1, "it was at one broker");
    }

    /// The program with arguments, ready to run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.other(program(), arguments)
    }

    /// Another program in this home, ready to run.
    pub(crate) fn other(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().stdin(Stdio::null()).kill_on_drop(true);
        command
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("TMPDIR", self.home().join("run"))
            .env("XDG_RUNTIME_DIR", self.home().join("run"))
            .env("HOOPCTL_HOME", self.state())
            .env("HOOPCTL_CREDENTIAL_STORE", "file")
            .env("LC_ALL", "C.UTF-8")
            .env("PSQLRC", "/dev/null")
            .env("PAGER", "cat")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.home());
        command
    }

    /// Runs the program to its end; two minutes are the limit.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        let run = self.command(arguments).output();
        let output = tokio::time::timeout(Duration::from_secs(120), run)
            .await
            .unwrap_or_else(|_| panic!("`hoopctl {}` does not end", arguments.join(" ")));
        Ran::from(output.expect("the program runs"))
    }

    /// Runs another program to its end.
    pub(crate) async fn run_other(&self, program: &str, arguments: &[&str]) -> Ran {
        let output = self.other(program, arguments).output();
        let output = tokio::time::timeout(Duration::from_secs(120), output).await;
        Ran::from(output.expect("it ends").unwrap_or_else(|error| panic!("{program} does not run: {error}")))
    }

    /// Runs `login`; `approve` gets the page that it shows.
    pub(crate) async fn login(&self, arguments: &[&str], approve: impl AsyncFnOnce(String)) -> Ran {
        let arguments: Vec<&str> = std::iter::once("login").chain(arguments.iter().copied()).collect();
        let mut approve = Some(approve);
        self.watch(&arguments, async |line| {
            if let Some(page) = page_of(&line)
                && let Some(approve) = approve.take()
            {
                approve(page).await;
            }
        })
        .await
    }

    /// Runs the program; `told` gets each line that it says, when it says it. Two minutes are the limit.
    pub(crate) async fn watch(&self, arguments: &[&str], told: impl AsyncFnMut(String)) -> Ran {
        let ran = tokio::time::timeout(Duration::from_secs(120), self.watched(arguments, told)).await;
        ran.unwrap_or_else(|_| panic!("`hoopctl {}` does not end", arguments.join(" ")))
    }

    async fn watched(&self, arguments: &[&str], mut told: impl AsyncFnMut(String)) -> Ran {
        let mut child = self
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let (mut out, mut err) = (String::new(), String::new());
        let (mut out_open, mut err_open) = (true, true);
        while out_open || err_open {
            let line = tokio::select! {
                line = stdout.next_line(), if out_open => {
                    let line = line.expect("its output");
                    out_open = line.is_some();
                    line.inspect(|line| out.push_str(&format!("{line}\n")))
                }
                line = stderr.next_line(), if err_open => {
                    let line = line.expect("its output");
                    err_open = line.is_some();
                    line.inspect(|line| err.push_str(&format!("{line}\n")))
                }
            };
            if let Some(line) = line {
                told(line).await;
            }
        }
        let status = child.wait().await.expect("it ends");
        Ran::from(Output { status, stdout: out.into(), stderr: err.into() })
    }
}

impl Ran {
    /// Both outputs, for messages.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Checks the exit code.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.text());
        self
    }

    /// Checks that standard error has this line, whole.
    #[track_caller]
    pub(crate) fn tells(self, line: &str) -> Self {
        assert!(self.stderr.lines().any(|told| told == line), "not `{line}`: {}", self.text());
        self
    }

    /// Checks that psql ended as it does when its connection is gone, and was told why its session closed.
    #[track_caller]
    pub(crate) fn closed(self, why: &str) -> Self {
        let ran = self.ends(2);
        let told = ran.stderr.lines().find_map(|line| line.strip_prefix("FATAL:  session ses_"));
        let told = told.and_then(|line| line.split_once(" has closed: "));
        assert_eq!(told.map(|(_, told)| told), Some(why), "{}", ran.text());
        ran
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        let status = output.status;
        Self {
            code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The program under test; a measurement may name another build of it.
pub(crate) fn program() -> &'static str {
    static NAMED: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("HOOPCTL_TEST_PROGRAM").ok());
    NAMED.as_deref().unwrap_or(env!("CARGO_BIN_EXE_hoopctl"))
}

/// The sign-in page that a line names, if it names one.
pub(crate) fn page_of(line: &str) -> Option<String> {
    let word = line.split_whitespace().find(|word| word.contains("user_code="))?;
    Some(word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '/').to_owned())
}
