//! Plays one page: its blocks, in their order, as their reader would type them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use super::page::{Block, Page};
use super::setting::Setting;
use super::{pipeline, rules};
use crate::support::env::{Env, page_of};
use crate::support::provider;

/// A page that is being played.
pub(super) struct Play<'a> {
    pub(super) setting: &'a Setting<'a>,
    /// Where everybody on this page works.
    pub(super) desk: tempfile::TempDir,
    people: BTreeMap<String, Env>,
    /// The last id of each kind that was shown.
    ids: BTreeMap<&'static str, String>,
    /// All ids that were shown.
    shown: BTreeSet<String>,
    running: Vec<(usize, i32, Running)>,
    started: u32,
}

/// What a block said and how it ended.
pub(super) struct Played {
    pub(super) code: i32,
    pub(super) said: String,
}

impl<'a> Play<'a> {
    pub(super) fn new(setting: &'a Setting<'a>) -> Self {
        let desk = tempfile::Builder::new().prefix("hoopctl-desk-").tempdir().expect("a folder");
        super::stage::furnish(desk.path());
        Self {
            setting,
            desk,
            people: BTreeMap::new(),
            ids: BTreeMap::new(),
            shown: BTreeSet::new(),
            running: Vec::new(),
            started: 0,
        }
    }

    /// Plays all blocks; the problems, each with its line. The first one ends the page, for what follows stands on it.
    pub(super) async fn play(&mut self, page: &Page) -> Vec<String> {
        let mut last = String::new();
        for block in &page.blocks {
            if let Err(why) = self.block(page, block, &mut last).await {
                return vec![format!("{}:{}: {why}", page.name, block.line)];
            }
        }
        let mut problems = Vec::new();
        for (line, code, running) in std::mem::take(&mut self.running) {
            if let Err(why) = running.ends(code).await {
                problems.push(format!("{}:{line}: {why}", page.name));
            }
        }
        problems
    }

    async fn block(&mut self, page: &Page, block: &Block, last: &mut String) -> Result<(), String> {
        if let Some(reason) = block.note("skip") {
            return super::excused(reason, &block.text);
        }
        if let Some(name) = block.note("file") {
            fs::write(self.desk.path().join(name), self.setting.stands_in(&block.text)).expect("a file");
            if block.language != "toml" && block.language != "cedar" {
                return Ok(());
            }
        }
        if let Some(name) = block.note("as") {
            return pipeline::run(self, name, &block.text).await;
        }
        match block.language.as_str() {
            "sh" => {
                *last = self.shell(block).await?;
                Ok(())
            }
            "console" => shows(last, &block.text),
            "cedar" | "toml" => rules::check(self, page, block).await,
            "ini" => self.unit(&block.text).await,
            "sql" if block.note("block").is_some() => super::run_elsewhere(block),
            "sql" => self.setting.sql(&block.text).await,
            "json" => documents(&block.text),
            "text" => Ok(()),
            other => Err(format!("nobody knows how to run `{other}`; see tests/it/docs/page.rs")),
        }
    }

    /// Runs a block of commands; what it said.
    async fn shell(&mut self, block: &Block) -> Result<String, String> {
        let person = block.note("user").unwrap_or("alice").to_owned();
        let text = self.with_ids(&self.setting.stands_in(&block.text))?;
        let expected = block.note("exit").map_or(0, |code| code.parse().expect("an exit code"));
        let mut running = self.start(&person, &text, block.note("types")).await;
        let until = block.note("until");
        if until.is_some() || block.note("background").is_some() {
            if let Some(until) = until {
                running.until(until).await?;
            }
            self.remember(&running.said);
            let said = running.said.clone();
            // what does not end by itself is ended with the page
            let code = if block.note("background").is_some() { expected } else { ENDED };
            self.running.push((block.line, code, running));
            return Ok(said);
        }
        let played = running.finish().await?;
        self.remember(&played.said);
        if played.code == expected {
            Ok(played.said)
        } else {
            Err(format!(
                "ends with {} instead of {expected}\n{}\n{}",
                played.code,
                text.trim_end(),
                played.said
            ))
        }
    }

    /// The ids of this page are nothing to the pages that follow.
    pub(super) fn leave(self) {
        self.setting.stage.forget(self.shown);
    }

    /// Runs commands at somebody's machine to their end.
    pub(super) async fn run(&mut self, person: &str, text: &str) -> Result<Played, String> {
        self.start(person, text, None).await.finish().await
    }

    /// The machine of somebody, who is logged in there where the setting has a broker.
    pub(super) async fn machine(&mut self, person: &str) -> &mut Env {
        if !self.people.contains_key(person) {
            let env = self.setting.machine(person).await;
            self.people.insert(person.to_owned(), env);
        }
        self.people.get_mut(person).expect("it is there")
    }

    async fn start(&mut self, person: &str, text: &str, typed: Option<&str>) -> Running {
        let desk = self.desk.path().to_owned();
        let bin = self.setting.bin();
        // a shell reads on while it runs: each block has a file of its own
        self.started += 1;
        let name = format!("block-{}", self.started);
        let env = self.machine(person).await;
        let kept = env.home().join("kept");
        let script = env.home().join(name);
        // variables and the folder are kept from block to block, as in one shell
        let prelude = format!(
            "[ ! -f '{kept}' ] || . '{kept}'\ntrap '{{ export -p; echo \"cd '\\''$PWD'\\''\"; }} >\"{kept}\"' EXIT\n",
            kept = kept.display()
        );
        fs::write(&script, format!("{prelude}{text}")).expect("a script");
        let like = env.command(&[]);
        let mut command = match typed {
            None => {
                let mut command = Command::new("sh");
                command.arg("-e").arg(&script);
                command
            }
            Some(_) => {
                let mut command = Command::new("script");
                let shell = format!("sh -e {}", script.display());
                command.args(["--quiet", "--return", "--command", &shell, "/dev/null"]).env("TERM", "dumb");
                command
            }
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&path)));
        command
            .env_clear()
            .envs(given(&like))
            .env("PATH", path.expect("a path"))
            .current_dir(&desk)
            .stdin(if typed.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut running = Running::new(command.spawn().expect("a shell"), person);
        if let Some(typed) = typed {
            running.types(typed).await;
        }
        running
    }

    /// The unit of a service: what it starts is a command line that the program takes.
    async fn unit(&mut self, text: &str) -> Result<(), String> {
        let starts = text.lines().filter_map(|line| line.strip_prefix("ExecStart="));
        let starts: Vec<&str> = starts.filter_map(|line| line.strip_prefix("/usr/local/bin/")).collect();
        if starts.is_empty() {
            return Err("a unit that starts nothing below /usr/local/bin".into());
        }
        for start in starts {
            let played = self.run("operator", &format!("{start} --help")).await?;
            if played.code != 0 {
                return Err(format!("`{start}` is no command: {}", played.said));
            }
        }
        Ok(())
    }

    fn remember(&mut self, said: &str) {
        for word in said.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | ':' | '-')) {
            // what another page left behind is none of this one's
            if self.setting.stage.is_old(word) {
                continue;
            }
            if let Some(kind) = KINDS.iter().find(|kind| word.starts_with(**kind) && word.len() > 10) {
                let id = word.trim_end_matches(':').to_owned();
                self.shown.insert(id.clone());
                self.ids.insert(kind, id);
            }
        }
    }

    /// `req_…` is the last request that was shown.
    fn with_ids(&self, text: &str) -> Result<String, String> {
        let mut text = text.to_owned();
        for kind in KINDS {
            let gap = format!("{kind}…");
            if text.contains(&gap) {
                let id = self.ids.get(kind).ok_or_else(|| format!("nothing has shown a `{gap}` yet"))?;
                text = text.replace(&gap, id);
            }
        }
        let gap = text.lines().find(|line| line.split('#').next().unwrap_or_default().contains('…'));
        gap.map_or(Ok(()), |line| Err(format!("`{line}` cannot be typed as it stands")))?;
        Ok(text)
    }
}

/// A process group, what it says, and whoever signs in for it.
pub(super) struct Running {
    child: Child,
    leader: Option<Pid>,
    lines: mpsc::UnboundedReceiver<String>,
    keyboard: Option<tokio::process::ChildStdin>,
    person: String,
    pub(super) said: String,
}

impl Running {
    fn new(mut child: Child, person: &str) -> Self {
        let (sender, lines) = mpsc::unbounded_channel();
        let pid = child.id().and_then(|id| i32::try_from(id).ok());
        let outputs: [Box<dyn tokio::io::AsyncRead + Send + Unpin>; 2] =
            [Box::new(child.stdout.take().expect("a pipe")), Box::new(child.stderr.take().expect("a pipe"))];
        for output in outputs {
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut output = BufReader::new(output);
                let mut line = Vec::new();
                while output.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
                    let _heard = sender.send(String::from_utf8_lossy(&line).into_owned());
                    line.clear();
                }
            });
        }
        let keyboard = child.stdin.take();
        let leader = pid.and_then(Pid::from_raw);
        // whoever operates the broker signs in as alice
        let person = if person == "bob" { "bob" } else { "alice" }.to_owned();
        Self { child, leader, lines, keyboard, person, said: String::new() }
    }

    async fn types(&mut self, text: &str) {
        let keyboard = self.keyboard.as_mut().expect("a keyboard");
        keyboard.write_all(format!("{text}\r").as_bytes()).await.expect("it listens");
    }

    /// The next line that it says; nobody signs in for whoever is logged in.
    async fn listen(&mut self) -> bool {
        let Some(line) = self.lines.recv().await else { return false };
        if let Some(page) = page_of(&line) {
            provider::approve(&page, &self.person).await;
        }
        self.said.push_str(&line);
        true
    }

    async fn until(&mut self, text: &str) -> Result<(), String> {
        let said = async {
            while !self.said.contains(text) {
                if !self.listen().await {
                    return false;
                }
            }
            true
        };
        match tokio::time::timeout(PATIENCE, said).await {
            Ok(true) => Ok(()),
            _ => Err(format!("it never says `{text}`:\n{}", self.said)),
        }
    }

    async fn finish(mut self) -> Result<Played, String> {
        let ends = async {
            while self.listen().await {}
            self.child.wait().await.expect("it ends").code().unwrap_or(ENDED)
        };
        let code = tokio::time::timeout(PATIENCE, ends).await;
        let code = code.map_err(|_| format!("does not end:\n{}", self.said))?;
        Ok(Played { code, said: std::mem::take(&mut self.said) })
    }

    async fn ends(mut self, code: i32) -> Result<(), String> {
        if code == ENDED {
            // a broker closes what it has opened
            if let Some(leader) = self.leader {
                let _gone = kill_process_group(leader, Signal::TERM);
            }
            let _ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
            return Ok(());
        }
        let played = self.finish().await?;
        if played.code == code {
            Ok(())
        } else {
            Err(format!("ends with {} instead of {code}\n{}", played.code, played.said))
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(leader) = self.leader.filter(|_| self.child.id().is_some()) {
            let _gone = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// The variables of a command; who has no broker yet has no variable for it either.
fn given(like: &Command) -> impl Iterator<Item = (&std::ffi::OsStr, &std::ffi::OsStr)> {
    like.as_std()
        .get_envs()
        .filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)))
}

/// Whether what was said is what the page shows, with `…` for anything.
fn shows(said: &str, shown: &str) -> Result<(), String> {
    let plain = |text: &str| text.lines().map(|line| line.trim_end().to_owned() + "\n").collect::<String>();
    let (said, shown) = (plain(said), plain(shown));
    let mut rest = said.as_str();
    for (number, piece) in shown.split('…').enumerate() {
        let at = rest.find(piece).filter(|at| number > 0 || *at == 0);
        let Some(at) = at else {
            return Err(format!("the page shows\n{shown}\nand the command says\n{said}"));
        };
        rest = rest.get(at + piece.len()..).unwrap_or_default();
    }
    Ok(())
}

/// What ids begin with, and pins.
const KINDS: &[&str] = &["req_", "gra_", "ses_", "sha256:"];
/// Of what is ended by us.
const ENDED: i32 = -1;
const PATIENCE: Duration = Duration::from_secs(60);

/// One JSON document after the other.
fn documents(text: &str) -> Result<(), String> {
    let all = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>();
    all.collect::<Result<Vec<_>, _>>().map(drop).map_err(|error| format!("it is no JSON: {error}"))
}
