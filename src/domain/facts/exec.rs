//! What a command line does, as far as it can be told before a shell gets it.
//!
//! `shell` fills this in; policies speak of the effects. What could not be established is
//! [`Effect::Unjudged`], never a guess.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// The facts of one command line: an exec request, or a line of a supervised shell.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecFacts {
    /// The programs that it would start, by their last path component; also those behind `sudo`, `env`,
    /// `xargs`, `sh -c` and the like.
    pub programs: BTreeSet<String>,
    /// What it does that somebody may want to deny or look at.
    pub effects: BTreeSet<Effect>,
    /// The paths that it names as arguments or redirections, as written, quotes removed, dot segments
    /// resolved where they can be. With a slash at its end, a folder of the system's or of a home's in which
    /// something is changed; with `~/` before it, a file of some home from which a login takes what it runs.
    pub paths: BTreeSet<String>,
    /// Every program is known to change nothing with these arguments, and nothing is written to a file.
    pub read_only: bool,
    /// Whether it has a terminal.
    pub terminal: bool,
}

/// What a command line does that somebody may want to deny or look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Runs code in another language: `python -c`, `perl -e`, `awk 'BEGIN{system…}'`, an interpreter fed by a pipe.
    Code,
    /// Removes files.
    Delete,
    /// Removes a whole tree, or many files at once: `rm -r`, `find -delete`, `git clean -fdx`.
    DeleteTree,
    /// Destroys a disk, a partition or a file system: `mkfs`, `dd of=/dev/…`, `wipefs`, `shred`.
    Disk,
    /// Takes on other rights, or gives them away: `sudo`, `su`, `chmod`, `chown`, `setcap`, `usermod`.
    Privilege,
    /// Starts an interactive program that can run anything: a shell without arguments, `vim`, `less`.
    Interactive,
    /// Talks to other hosts: `curl`, `wget`, `nc`, `ssh`, `/dev/tcp`.
    Network,
    /// Stops services or the machine, kills processes.
    Stop,
    /// Cannot be judged: the program or what it is given is not known before it runs.
    Unjudged,
    /// Writes files.
    Write,
}

impl Effect {
    /// The name that policies and records use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Delete => "delete",
            Self::DeleteTree => "delete-tree",
            Self::Disk => "disk",
            Self::Privilege => "privilege",
            Self::Interactive => "interactive",
            Self::Network => "network",
            Self::Stop => "stop",
            Self::Unjudged => "unjudged",
            Self::Write => "write",
        }
    }
}

impl ExecFacts {
    /// The facts of what cannot be judged.
    #[must_use]
    pub fn unjudged(terminal: bool) -> Self {
        Self {
            programs: BTreeSet::new(),
            effects: BTreeSet::from([Effect::Unjudged]),
            paths: BTreeSet::new(),
            read_only: false,
            terminal,
        }
    }
}
