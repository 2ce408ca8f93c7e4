//! Secrets of targets, fetched at each use and never kept.
//!
//! Job: one line of text out of a command, a file or the environment; what a command answers to a text. Boundary: knows nothing of
//! what the secret is for; the environment comes in as a function, because only `cli` reads it.
//! Failure mode: an error that names the source and never its content.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use thiserror::Error;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use crate::domain::target::SecretSource;

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Fetches secrets.
#[derive(Clone)]
pub struct Secrets {
    environment: Arc<Lookup>,
    patience: Duration,
}

/// Why a secret could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SecretError {
    /// The command could not be started.
    #[error("`{program}` cannot be run: {why}")]
    CannotRun {
        /// The program.
        program: String,
        /// What the operating system said.
        why: String,
    },
    /// The source gave nothing.
    #[error("{0} is empty")]
    Empty(String),
    /// The command ended with a failure.
    #[error("`{program}` failed with {status}; its output is not shown")]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: String,
    },
    /// The file cannot be used.
    #[error("file {path} {why}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The variable is not set.
    #[error("environment variable {0} is not set")]
    NotSet(String),
    /// The first line is not text.
    #[error("{0} is not a line of UTF-8 without NUL")]
    NotText(String),
    /// The command took too long and was killed.
    #[error("`{program}` did not end within {seconds} seconds and was killed")]
    TooSlow {
        /// The program.
        program: String,
        /// How long it was given.
        seconds: u64,
    },
    /// More came than any secret has.
    #[error("{0} gave more than 64 KiB")]
    TooLong(String),
}

impl Secrets {
    /// A fetcher that looks variables up with `environment`.
    pub fn new(environment: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { environment: Arc::new(environment), patience: PATIENCE }
    }

    /// Gives commands this long instead of ten seconds.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Fetches the secret anew: the first line.
    ///
    /// # Errors
    /// [`SecretError`]; its text is safe to show and to log.
    pub async fn fetch(&self, source: &SecretSource) -> Result<SecretString, SecretError> {
        let (bytes, what) = self.read(source).await?;
        first_line(&bytes, &what)
    }

    /// Fetches a secret of several lines anew: a key.
    ///
    /// # Errors
    /// [`SecretError`]; its text is safe to show and to log.
    pub async fn fetch_whole(&self, source: &SecretSource) -> Result<SecretString, SecretError> {
        let (bytes, what) = self.read(source).await?;
        text(&bytes, &what)
    }

    /// The bytes of a source, and what to call it.
    async fn read(&self, source: &SecretSource) -> Result<(Zeroizing<Vec<u8>>, String), SecretError> {
        match source {
            SecretSource::Command(words) => self.run(words).await,
            SecretSource::Env(name) => {
                let value = (self.environment)(name).ok_or_else(|| SecretError::NotSet(name.clone()))?;
                Ok((Zeroizing::new(value.into_bytes()), format!("environment variable {name}")))
            }
            SecretSource::File(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || read_file(&path)).await;
                read.unwrap_or_else(|_| Err(SecretError::Empty("the file".into())))
            }
        }
    }

    async fn run(&self, words: &[String]) -> Result<(Zeroizing<Vec<u8>>, String), SecretError> {
        let Some((program, arguments)) = words.split_first() else {
            return Err(SecretError::Empty("the command".into()));
        };
        let cannot =
            |e: std::io::Error| SecretError::CannotRun { program: program.clone(), why: e.to_string() };
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // what a failing command complains about may be the secret itself
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(cannot)?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        let _reaper = KillGroup(group);
        let Some(stdout) = child.stdout.take() else {
            return Err(SecretError::Empty(format!("`{program}`")));
        };
        let work = async {
            let mut output = Zeroizing::new(Vec::with_capacity(CAPACITY));
            let mut stdout = stdout.take(LIMIT + 1);
            stdout.read_to_end(&mut output).await.map_err(cannot)?;
            if output.len() as u64 > LIMIT {
                return Err(SecretError::TooLong(format!("`{program}`")));
            }
            let status = child.wait().await.map_err(cannot)?;
            if !status.success() {
                return Err(SecretError::Failed { program: program.clone(), status: status.to_string() });
            }
            Ok((output, format!("the output of `{program}`")))
        };
        match tokio::time::timeout(self.patience, work).await {
            Ok(result) => result,
            Err(_) => {
                Err(SecretError::TooSlow { program: program.clone(), seconds: self.patience.as_secs() })
            }
        }
    }
}

/// What a command answers to a text that it is given on its standard input. It blocks for as long as `patience`: for threads
/// that wait for nobody else.
///
/// # Errors
/// [`SecretError`]; its text is safe to show and to log. What the command writes to its standard error is not read.
pub(in crate::broker) fn ask(
    words: &[String],
    text: &str,
    patience: Duration,
) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(SecretError::Empty("the command".into()));
    };
    let cannot = |e: std::io::Error| SecretError::CannotRun { program: program.clone(), why: e.to_string() };
    let slow = || SecretError::TooSlow { program: program.clone(), seconds: patience.as_secs() };
    let end = Instant::now() + patience;
    let mut child = std::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(cannot)?;
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let reaper = KillGroup(group);
    let answered = (|| {
        let (Some(mut stdin), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(SecretError::Empty(format!("`{program}`")));
        };
        let nonblocking = rustix::fs::OFlags::NONBLOCK;
        rustix::fs::fcntl_setfl(&stdin, nonblocking).map_err(|e| cannot(e.into()))?;
        rustix::fs::fcntl_setfl(&stdout, nonblocking).map_err(|e| cannot(e.into()))?;
        // a pipe takes more than any text that is signed; whoever does not want to read it answers without
        let _unread = stdin.write_all(text.as_bytes());
        drop(stdin);
        let mut output = Zeroizing::new(Vec::with_capacity(CAPACITY));
        let mut piece = Zeroizing::new([0; CAPACITY]);
        loop {
            match stdout.read(piece.as_mut_slice()) {
                Ok(0) => break,
                Ok(count) => output.extend_from_slice(piece.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => std::thread::sleep(MOMENT),
                Err(error) => return Err(cannot(error)),
            }
            if output.len() as u64 > LIMIT {
                return Err(SecretError::TooLong(format!("`{program}`")));
            }
            if Instant::now() > end {
                return Err(slow());
            }
        }
        loop {
            match child.try_wait().map_err(cannot)? {
                Some(status) if status.success() => return Ok(output),
                Some(status) => {
                    return Err(SecretError::Failed { program: program.clone(), status: status.to_string() });
                }
                None if Instant::now() > end => return Err(slow()),
                None => std::thread::sleep(MOMENT),
            }
        }
    })();
    // whatever is left of it is killed before it is waited for
    drop(reaper);
    let _killed = child.kill();
    let _reaped = child.wait();
    answered
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

/// Kills what a command left running, also when the fetch is abandoned half-way.
struct KillGroup(Option<rustix::process::Pid>);

impl Drop for KillGroup {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // the group is usually gone by now, which is an error to be ignored
            let _gone = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

fn read_file(path: &Path) -> Result<(Zeroizing<Vec<u8>>, String), SecretError> {
    let fault = |why: String| SecretError::File { path: path.display().to_string(), why };
    let file = std::fs::File::open(path).map_err(|e| fault(format!("cannot be opened: {e}")))?;
    // the open file is asked, not the path: it cannot be swapped in between
    let facts = file.metadata().map_err(|e| fault(format!("cannot be examined: {e}")))?;
    if !facts.is_file() {
        return Err(fault("is not a regular file".into()));
    }
    if facts.mode() & 0o077 != 0 {
        return Err(fault(format!(
            "has mode {:04o}: others may use it; chmod 600 it",
            facts.mode() & 0o7777
        )));
    }
    let owner = facts.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(fault(format!("belongs to user {owner}, who may change it")));
    }
    let mut content = Zeroizing::new(Vec::with_capacity(CAPACITY));
    file.take(LIMIT + 1).read_to_end(&mut content).map_err(|e| fault(format!("cannot be read: {e}")))?;
    let what = format!("file {}", path.display());
    if content.len() as u64 > LIMIT {
        return Err(SecretError::TooLong(what));
    }
    Ok((content, what))
}

fn first_line(bytes: &[u8], what: &str) -> Result<SecretString, SecretError> {
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    text(line.strip_suffix(b"\r").unwrap_or(line), what)
}

fn text(bytes: &[u8], what: &str) -> Result<SecretString, SecretError> {
    let text = std::str::from_utf8(bytes).map_err(|_| SecretError::NotText(what.to_owned()))?;
    if text.is_empty() {
        return Err(SecretError::Empty(what.to_owned()));
    }
    if text.contains('\0') {
        return Err(SecretError::NotText(what.to_owned()));
    }
    Ok(SecretString::from(text.to_owned()))
}

/// How long a command may take.
pub(in crate::broker) const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait before looking again.
const MOMENT: Duration = Duration::from_millis(5);
/// How much a source may give.
const LIMIT: u64 = 64 * 1024;
/// Enough for the usual secret, so that the buffer is not moved, and copied, while it is read.
const CAPACITY: usize = 4096;

#[cfg(test)]
mod tests;
