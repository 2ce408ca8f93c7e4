//! Looks for what the demo may have left behind, rather than believing that there is nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::TcpStream;

use super::orphans;

/// What was there before the demo.
pub(super) struct Before {
    files: BTreeSet<PathBuf>,
}

impl Before {
    /// Looks around.
    pub(super) fn look() -> Self {
        Self { files: traces() }
    }

    /// What is there now and was not before: the folder, listeners, processes, files.
    pub(super) async fn what_is_left(&self, folder: &Path, ports: &[u16]) -> Vec<String> {
        let mut left = Vec::new();
        for attempt in 0..ATTEMPTS {
            left = self.once(folder, ports).await;
            if left.is_empty() || attempt + 1 == ATTEMPTS {
                break;
            }
            // a process that was killed a moment ago may still be in the list
            tokio::time::sleep(PAUSE).await;
        }
        left
    }

    async fn once(&self, folder: &Path, ports: &[u16]) -> Vec<String> {
        let mut left = Vec::new();
        if folder.exists() {
            left.push(format!("folder {}", folder.display()));
        }
        for port in ports {
            if TcpStream::connect(("127.0.0.1", *port)).await.is_ok() {
                left.push(format!("a listener on port {port}"));
            }
        }
        left.extend(processes(folder));
        // nobody that we started, or that has lost its parent below us, has a reason to be there
        let children = orphans::children();
        left.extend(children.iter().map(|child| format!("process {}", child.as_raw_nonzero())));
        let files = traces();
        left.extend(files.difference(&self.files).map(|file| format!("file {}", file.display())));
        left
    }
}

/// Names of ours in the places where programs leave things.
fn traces() -> BTreeSet<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let places = [
        std::env::temp_dir(),
        PathBuf::from("/dev/shm"),
        std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).unwrap_or_default(),
        home.join(".local/state"),
        home.join(".config"),
        home.join(".cache"),
    ];
    let entries = places.iter().filter_map(|place| fs::read_dir(place).ok()).flatten().flatten();
    let ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name == "hoopctl" || name.starts_with("hoopctl-demo-")
    };
    entries.map(|entry| entry.path()).filter(ours).collect()
}

/// Processes that were started from, or work in, the folder.
fn processes(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let own = std::process::id().to_string();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == own || !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        // a removed working folder reads as its old name and ` (deleted)`
        let works_there = fs::read_link(entry.path().join("cwd")).is_ok_and(|at| at.starts_with(folder));
        if works_there {
            found.push(format!("process {name} ({})", command.trim()));
        }
    }
    found
}

const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);
