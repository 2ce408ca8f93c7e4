//! The facts while they are gathered, and what limits the work.

use super::paths;
use super::word::Word;
use crate::domain::facts::{Effect, ExecFacts};

/// Gathers the facts of one command line.
#[derive(Debug)]
pub(super) struct Judge {
    facts: ExecFacts,
    depth: usize,
    /// Commands that may still be looked at.
    commands: usize,
    /// Bytes that may still be parsed.
    bytes: usize,
    /// Where it may be when it does something; `None` among them is anywhere.
    folders: Vec<Option<String>>,
    /// What it changes, as written.
    altered: Vec<String>,
    /// Words that may still be read as arguments: each wrapper reads all that follow it again.
    words: usize,
}

impl Judge {
    pub(super) fn new(terminal: bool) -> Self {
        let facts = ExecFacts { effects: [].into(), read_only: true, ..ExecFacts::unjudged(terminal) };
        let folders = vec![Some("~".to_owned())];
        Self {
            facts,
            depth: 0,
            commands: MAX_COMMANDS,
            bytes: MAX_BYTES,
            words: MAX_WORDS,
            folders,
            altered: Vec::new(),
        }
    }

    pub(super) fn finish(mut self) -> ExecFacts {
        self.place();
        let mut facts = self.facts;
        facts.read_only &= facts.effects.is_empty();
        facts
    }

    /// One level down, with so many bytes to parse; `false` when that is too much, and then it is not judged.
    pub(super) fn enter(&mut self, bytes: usize) -> bool {
        let fits = self.depth < MAX_DEPTH && self.commands > 0 && bytes <= self.bytes;
        if fits {
            self.depth += 1;
            self.commands -= 1;
            self.bytes -= bytes;
        } else {
            self.unjudged();
        }
        fits
    }

    /// One level down, to a call of so many words; `false` when that is too much, and then it is not judged.
    pub(super) fn enter_call(&mut self, words: usize) -> bool {
        let Some(left) = self.words.checked_sub(words) else {
            self.unjudged();
            return false;
        };
        self.words = left;
        self.enter(0)
    }

    pub(super) fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.facts.effects.insert(effect);
    }

    pub(super) fn effects(&mut self, effects: &[Effect]) {
        self.facts.effects.extend(effects);
    }

    pub(super) fn unjudged(&mut self) {
        self.effect(Effect::Unjudged);
    }

    /// It is not known to change nothing.
    pub(super) fn changes(&mut self) {
        self.facts.read_only = false;
    }

    pub(super) fn program(&mut self, name: &str) {
        self.facts.programs.insert(name.to_owned());
    }

    pub(super) fn path(&mut self, path: String) {
        // a set without end helps nobody, and a rule about paths must not be evaded by many of them
        if self.facts.paths.len() < MAX_PATHS {
            self.facts.paths.insert(path);
        } else {
            self.unjudged();
        }
    }

    /// Goes to a folder: what is written by a relative path may be there from now on, and, in a loop, was before.
    pub(super) fn enters_folder(&mut self, word: &Word) {
        let Some(path) = word.as_known().filter(|path| !path.starts_with('-')) else {
            self.folders.push(None);
            return;
        };
        let mut found: Vec<Option<String>> = match path.starts_with(['/', '~']) {
            true => vec![paths::resolve("", path)],
            false => {
                let from = |folder: &Option<String>| paths::resolve(folder.as_deref()?, path);
                self.folders.iter().map(from).collect()
            }
        };
        found.retain(|folder| !self.folders.contains(folder));
        self.folders.append(&mut found);
        if self.folders.len() > MAX_FOLDERS {
            self.folders = vec![None];
        }
    }

    /// Changes or removes a file: it may be one of the system's.
    pub(super) fn alters(&mut self, path: String) {
        if self.altered.len() < MAX_PATHS {
            self.altered.push(path.clone());
        } else {
            self.unjudged();
        }
        self.path(path);
    }

    /// Changes files where it is, under names that are not in the command.
    pub(super) fn alters_here(&mut self) {
        self.altered.push(".".to_owned());
    }

    /// Says of everything that is changed whether it is the system's.
    fn place(&mut self) {
        for path in std::mem::take(&mut self.altered) {
            if path == paths::UNKNOWN {
                continue;
            }
            let folders = std::mem::take(&mut self.folders);
            let relative = !path.starts_with(['/', '~']);
            for folder in folders.iter().take(if relative { MAX_FOLDERS } else { 1 }) {
                let place = match folder {
                    _ if !relative => paths::resolve("", &path),
                    Some(folder) => paths::resolve(folder, &path),
                    None => None,
                };
                match place {
                    Some(place) => {
                        // what a pattern finds may be anything there, or in a folder of any name
                        if paths::is_open_pattern(&place) {
                            self.unjudged();
                        }
                        paths::mark(&place).into_iter().for_each(|mark| self.path(mark));
                    }
                    None => self.unjudged(),
                }
            }
            self.folders = folders;
        }
    }

    /// Writes a file that a word names: what it does depends on which.
    pub(super) fn writes(&mut self, word: &Word) {
        if let Word::Unknown { .. } = word {
            self.effects(&[Effect::Write, Effect::Unjudged]);
            self.path(paths::UNKNOWN.to_owned());
            return;
        }
        let path = word.path();
        if HARMLESS_DEVICES.contains(&path.as_str()) {
            return;
        }
        if path.starts_with("/dev/tcp/") || path.starts_with("/dev/udp/") {
            self.effect(Effect::Network);
        } else if path.starts_with("/dev/fd/") || path.starts_with("/dev/shm/") {
            self.effect(Effect::Write);
        } else if path.starts_with("/dev/") {
            self.effects(&[Effect::Disk, Effect::Write]);
        } else if path == "/proc/sysrq-trigger" {
            self.effects(&[Effect::Stop, Effect::Write]);
        } else {
            self.effect(Effect::Write);
        }
        // a pattern may well match a device
        if matches!(word, Word::Pattern(_)) && path.starts_with("/") && !is_deep(&path) {
            self.unjudged();
        }
        self.alters(path);
    }
}

/// Whether a pattern's literal start is below some folder other than the devices'.
fn is_deep(pattern: &str) -> bool {
    let lead = pattern.split(paths::META).next().unwrap_or_default();
    lead.matches('/').count() > 1 && !lead.starts_with("/dev")
}

const HARMLESS_DEVICES: &[&str] =
    &["/dev/full", "/dev/null", "/dev/stderr", "/dev/stdin", "/dev/stdout", "/dev/tty", "/dev/zero"];

const MAX_BYTES: usize = 128 * 1024;
const MAX_COMMANDS: usize = 4096;
const MAX_DEPTH: usize = 48;
const MAX_FOLDERS: usize = 16;
const MAX_PATHS: usize = 256;
/// As many as one line can have, and a few wrappers around most of them.
const MAX_WORDS: usize = 32 * 1024;
