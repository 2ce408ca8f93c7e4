//! Files, folders, passwords and processes that are the demo's own.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::{Output, Stdio};

use rand::RngExt as _;
use secrecy::SecretString;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

/// A new folder for its owner only.
pub(super) fn folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(path)
}

/// A new file for its owner only.
pub(super) fn file(path: &Path, content: &[u8]) -> io::Result<()> {
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(content)
}

/// 32 letters and digits.
pub(super) fn password() -> SecretString {
    let alphabet: Vec<char> = ('a'..='z').chain('A'..='Z').chain('0'..='9').collect();
    let mut rng = rand::rng();
    let letter = |_| alphabet.get(rng.random_range(0..alphabet.len())).copied().unwrap_or('x');
    (0..32).map(letter).collect::<String>().into()
}

/// A command and whatever it starts; all of it dies if this is dropped.
pub(super) struct Group {
    pub(super) child: Child,
    leader: Option<u32>,
}

impl Group {
    pub(super) fn spawn(mut command: Command) -> io::Result<Self> {
        let child = command.process_group(0).spawn()?;
        let leader = child.id();
        Ok(Self { child, leader })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        kill_group(self.leader);
    }
}

/// Runs a command to its end, standard error and output piped.
pub(super) async fn output(mut command: Command) -> io::Result<Output> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut group = Group::spawn(command)?;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (stdout, stderr) = (group.child.stdout.take(), group.child.stderr.take());
    let read_out = async {
        match stdout {
            Some(mut pipe) => pipe.read_to_end(&mut out).await,
            None => Ok(0),
        }
    };
    let read_err = async {
        match stderr {
            Some(mut pipe) => pipe.read_to_end(&mut err).await,
            None => Ok(0),
        }
    };
    tokio::try_join!(read_out, read_err)?;
    let status = group.child.wait().await?;
    Ok(Output { status, stdout: out, stderr: err })
}

/// Kills the process group that this process leads.
pub(super) fn kill_group(leader: Option<u32>) {
    let leader = leader.and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(leader) = leader {
        // gone already is what we want
        let _gone = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
    }
}
