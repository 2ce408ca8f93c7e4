//! The client's own log of every use of a loopback.
//!
//! Job: one JSON line per connection, in files of bounded size. Boundary: holds no secret and no
//! statement; what was done is in the broker's ledger. Failure mode: a log that cannot be written
//! does not stop the session, because it enforces nothing; the ledger does.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use super::peer::{Decision, Peer};
use crate::gateway::clock::Clock;

/// The local log.
#[derive(Debug)]
pub struct LocalLog {
    dir: PathBuf,
    clock: Clock,
    turn: Mutex<()>,
}

/// One use.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    version: u32,
    time: Timestamp,
    session: &'a str,
    uid: Option<u32>,
    pid: Option<i32>,
    exe: Option<&'a str>,
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl<'a> Line<'a> {
    /// A line about one connection.
    #[must_use]
    pub fn new(time: Timestamp, session: &'a str, peer: &'a Peer, decision: &Decision) -> Self {
        let (decision, reason) = match decision {
            Decision::Allow => ("allow", None),
            Decision::Refuse(reason) => ("refuse", Some(*reason)),
        };
        let exe = peer.exe.as_deref();
        Self { version: 1, time, session, uid: peer.uid, pid: peer.pid, exe, decision, reason }
    }
}

impl LocalLog {
    /// A log in this directory.
    #[must_use]
    pub fn new(dir: PathBuf, clock: Clock) -> Self {
        Self { dir, clock, turn: Mutex::new(()) }
    }

    /// The time, as lines want it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Appends a line.
    pub fn write(&self, line: &Line<'_>) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(mut text) = serde_json::to_string(line) {
            text.push('\n');
            if let Err(error) = self.append(text.as_bytes()) {
                tracing::warn!(%error, "the local log cannot be written");
            }
        }
    }

    fn append(&self, line: &[u8]) -> std::io::Result<()> {
        let path = self.dir.join(FILE);
        if fs::metadata(&path).is_ok_and(|meta| meta.len() >= MAX_BYTES) {
            for old in (1..KEEP).rev() {
                let (from, to) = (format!("{FILE}.{old}"), format!("{FILE}.{}", old + 1));
                // a gap in the series is no reason to stop
                drop(fs::rename(self.dir.join(from), self.dir.join(to)));
            }
            fs::rename(&path, self.dir.join(format!("{FILE}.1")))?;
        }
        // one write per line, so that lines of several processes do not mix
        OpenOptions::new().create(true).append(true).mode(0o600).open(path)?.write_all(line)
    }
}

const FILE: &str = "loopback.jsonl";
const KEEP: u32 = 3;
const MAX_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn it_rotates_and_keeps_three() {
        let dir = tempfile::tempdir().unwrap();
        let log = LocalLog::new(dir.path().into(), Clock::from_fn(|| Timestamp::UNIX_EPOCH));
        let full = vec![b'x'; usize::try_from(MAX_BYTES).unwrap()];
        for _ in 0..6 {
            fs::write(dir.path().join(FILE), &full).unwrap();
            log.write(&Line::new(log.now(), "ses_x", &Peer::default(), &Decision::Refuse("no")));
        }
        let mut names: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["loopback.jsonl", "loopback.jsonl.1", "loopback.jsonl.2", "loopback.jsonl.3"]);
        let line = fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert_eq!(
            line,
            "{\"version\":1,\"time\":\"1970-01-01T00:00:00Z\",\"session\":\"ses_x\",\"uid\":null,\"pid\":null,\
             \"exe\":null,\"decision\":\"refuse\",\"reason\":\"no\"}\n"
        );
    }
}
