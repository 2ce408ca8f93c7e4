//! What the demo's servers have started and no longer know.
//!
//! Job: a command on the host outlives the server that started it when it ignores its closed pipes; it becomes
//! our child, and ends with us. Boundary: our own children only, and only when all of our servers are gone.
//! Failure mode: what is not ended here is named by whoever looks for what is left.

use std::fs;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// While this lives, whoever loses its parent below us becomes our child; they end when it is dropped.
pub(super) struct Orphans(());

impl Orphans {
    /// From now on.
    pub(super) fn adopt() -> Self {
        // where the kernel cannot do that, orphans go to init, as everywhere
        #[cfg(target_os = "linux")]
        let _adopts = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
        Self(())
    }
}

impl Drop for Orphans {
    fn drop(&mut self) {
        // the children of the children come to us in turn
        for _ in 0..GENERATIONS {
            let children = children();
            if children.is_empty() {
                return;
            }
            for child in children {
                // one that has just ended is what we want
                let _gone = kill_process(child, Signal::KILL);
                let _reaped = waitpid(Some(child), WaitOptions::empty());
            }
        }
    }
}

/// Our children, of all threads (proc_pid_children(5)).
pub(super) fn children() -> Vec<Pid> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let children: Vec<String> =
        lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect();
    children.iter().filter_map(|child| Pid::from_raw(child.parse().ok()?)).collect()
}

const GENERATIONS: u32 = 64;
