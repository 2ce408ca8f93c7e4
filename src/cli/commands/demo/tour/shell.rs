//! Commands as a user types them, and what they said.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;
use url::Url;

use crate::broker::embedded::{Decision, decide};
use crate::cli::commands::demo::stage::Stage;
use crate::cli::commands::demo::{DemoFailure, Show, private};

/// Where the tour types.
pub(super) struct Shell<'a> {
    program: PathBuf,
    environment: Vec<(&'static str, String)>,
    passcode: SecretString,
    show: &'a mut (dyn Show + Send),
}

/// What a command said on both outputs.
pub(super) struct Said {
    command: String,
    text: String,
}

impl<'a> Shell<'a> {
    pub(super) fn new(stage: &Stage, program: PathBuf, show: &'a mut (dyn Show + Send)) -> Self {
        let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".into());
        let folder = |name: &str| stage.folder().join(name).to_string_lossy().into_owned();
        let environment = vec![
            ("PATH", path),
            ("HOME", folder("home")),
            ("HOOPCTL_HOME", folder("home")),
            ("HOOPCTL_BROKER", stage.broker_url.clone()),
            ("HOOPCTL_CREDENTIAL_STORE", "file".into()),
            ("TMPDIR", folder("run")),
            ("XDG_RUNTIME_DIR", folder("run")),
            ("LC_ALL", "C.UTF-8".into()),
            ("TERM", "dumb".into()),
            ("PSQLRC", "/dev/null".into()),
            ("PAGER", "cat".into()),
        ];
        Self { program, environment, passcode: stage.passcode.clone(), show }
    }

    /// Goes on as the person whose state is in this folder of the stage.
    pub(super) fn becomes(&mut self, stage: &Stage, folder: &str) {
        let folder = stage.folder().join(folder).to_string_lossy().into_owned();
        for (name, value) in &mut self.environment {
            if matches!(*name, "HOME" | "HOOPCTL_HOME") {
                value.clone_from(&folder);
            }
        }
    }

    /// Says something between two commands.
    pub(super) fn remark(&mut self, text: &str) {
        self.show.line(text);
    }

    /// Starts a command in the background; the future ends with it, and ends it when dropped.
    pub(super) fn begins(
        &mut self,
        arguments: &[&str],
    ) -> impl Future<Output = Result<Output, DemoFailure>> + use<> {
        self.show.line(&format!("$ {} &\n", typed(arguments)));
        let run = tokio::time::timeout(LIMIT, private::output(self.command(arguments)));
        let typed = typed(arguments);
        async move {
            run.await
                .map_err(|_| promise(format!("`{typed}` ends within {} s", LIMIT.as_secs())))?
                .map_err(|source| DemoFailure::Io { what: "a command of the tour could not be run", source })
        }
    }

    /// Shows what a command of the background said, which must have succeeded.
    pub(super) fn ended(&mut self, arguments: &[&str], output: &Output) -> Result<Said, DemoFailure> {
        self.told(typed(arguments), output, 0)
    }

    /// Runs a command whose output is for the tour only, and reads it as JSON.
    pub(super) async fn asks(&self, arguments: &[&str]) -> Result<Vec<Value>, DemoFailure> {
        let output = private::output(self.command(arguments))
            .await
            .map_err(|source| DemoFailure::Io { what: "a command of the tour could not be run", source })?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(serde_json::Deserializer::from_str(&text).into_iter::<Value>().flatten().collect())
    }

    /// Runs a command that must succeed.
    pub(super) async fn succeeds(&mut self, arguments: &[&str]) -> Result<Said, DemoFailure> {
        self.fails_with(0, arguments).await
    }

    /// Runs a command that must end with this exit code.
    pub(super) async fn fails_with(&mut self, code: i32, arguments: &[&str]) -> Result<Said, DemoFailure> {
        let typed = typed(arguments);
        self.show.line(&format!("$ {typed}"));
        let output = tokio::time::timeout(LIMIT, private::output(self.command(arguments)))
            .await
            .map_err(|_| promise(format!("`{typed}` ends within {} s", LIMIT.as_secs())))?
            .map_err(|source| DemoFailure::Io { what: "a command of the tour could not be run", source })?;
        self.told(typed, &output, code)
    }

    fn told(&mut self, typed: String, output: &Output, code: i32) -> Result<Said, DemoFailure> {
        let mut text = String::from_utf8_lossy(&output.stderr).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stdout));
        self.show.line(text.trim_end());
        self.show.line("");
        if output.status.code() != Some(code) {
            return Err(promise(format!("`{typed}` ends with {code}, but it was {}", output.status)));
        }
        Ok(Said { command: typed, text })
    }

    /// Signs in: the program shows a page, the person opens it and answers.
    pub(super) async fn sign_in(&mut self, arguments: &[String], user: &str) -> Result<(), DemoFailure> {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let typed = typed(&arguments);
        self.show.line(&format!("$ {typed}"));
        let mut command = self.command(&arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut group = private::Group::spawn(command)
            .map_err(|source| DemoFailure::Io { what: "a command of the tour could not be run", source })?;
        let (sender, mut lines) = mpsc::channel(64);
        forward(group.child.stdout.take(), sender.clone());
        forward(group.child.stderr.take(), sender);

        let mut opened = false;
        let ended = tokio::time::timeout(LIMIT, async {
            while let Some(line) = lines.recv().await {
                self.show.line(&line);
                if let Some(page) = page_of(&line).filter(|_| !opened) {
                    opened = true;
                    self.show
                        .line(&format!("  (a browser opens that page; the person there approves as {user})"));
                    let passcode = self.passcode.expose_secret();
                    decide(&page, Decision::Unlock { user, passcode }).await?;
                }
            }
            group
                .child
                .wait()
                .await
                .map_err(|source| DemoFailure::Io { what: "login could not be waited for", source })
        });
        let status =
            ended.await.map_err(|_| promise(format!("`{typed}` ends within {} s", LIMIT.as_secs())))??;
        self.show.line("");
        if !opened {
            return Err(promise(format!("`{typed}` shows the page and the code to sign in with")));
        }
        if !status.success() {
            return Err(promise(format!("`{typed}` ends with 0, but it was {status}")));
        }
        Ok(())
    }

    /// The id of the session on this target that was opened first.
    pub(super) async fn first_session(&self, target: &str) -> Result<String, DemoFailure> {
        let mut sessions: Vec<(String, String)> = Vec::new();
        for document in self.asks(&["session", "list", "--output", "json"]).await? {
            collect_sessions(&document, target, &mut sessions);
        }
        sessions.sort_unstable();
        let first = sessions.into_iter().next().map(|(_, id)| id);
        first.ok_or_else(|| promise("`hoopctl session list --output json` lists the sessions".into()))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().kill_on_drop(true);
        command.envs(self.environment.iter().map(|(name, value)| (*name, value)));
        command
    }
}

impl Said {
    /// Promises that the output holds a text.
    pub(super) fn tells(&self, text: &str, what: &str) -> Result<(), DemoFailure> {
        if self.text.contains(text) {
            return Ok(());
        }
        Err(promise(format!("{what} (`{}` does not show `{text}`)", self.command)))
    }

    /// Promises that the output holds none of these.
    pub(super) fn hides(&self, secrets: &[String], what: &str) -> Result<(), DemoFailure> {
        let lower = self.text.to_lowercase();
        // the secret itself is not repeated here
        if secrets.iter().any(|secret| lower.contains(secret.as_str())) {
            return Err(promise(format!("{what} (`{}` shows one)", self.command)));
        }
        Ok(())
    }
}

pub(super) fn promise(promise: String) -> DemoFailure {
    DemoFailure::Promise { promise }
}

/// As a person would type it.
fn typed(arguments: &[&str]) -> String {
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=@".contains(c));
    let mut line = String::from("hoopctl");
    for argument in arguments {
        line.push(' ');
        if plain(argument) {
            line.push_str(argument);
        } else {
            line.push_str(&format!("'{}'", argument.replace('\'', r"'\''")));
        }
    }
    line
}

/// A page of the provider with the code in it, if the line shows one.
fn page_of(line: &str) -> Option<Url> {
    let word = line.split_whitespace().find(|word| word.contains("user_code="))?;
    Url::parse(word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '/')).ok()
}

fn collect_sessions(value: &Value, target: &str, into: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            let text = |name: &str| members.get(name).and_then(Value::as_str);
            if let (Some(opened), Some(id)) = (text("opened"), text("id"))
                && text("target") == Some(target)
            {
                into.push((opened.to_owned(), id.to_owned()));
            }
            members.values().for_each(|member| collect_sessions(member, target, into));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_sessions(item, target, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn forward<R: AsyncRead + Unpin + Send + 'static>(pipe: Option<R>, into: mpsc::Sender<String>) {
    let Some(pipe) = pipe else { return };
    tokio::spawn(async move {
        let mut lines = BufReader::new(pipe).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if into.send(line).await.is_err() {
                break;
            }
        }
    });
}

const LIMIT: Duration = Duration::from_secs(60);
