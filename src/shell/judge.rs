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
}

impl Judge {
    pub(super) fn new(terminal: bool) -> Self {
        let facts = ExecFacts { effects: [].into(), read_only: true, ..ExecFacts::unjudged(terminal) };
        Self { facts, depth: 0, commands: MAX_COMMANDS, bytes: MAX_BYTES }
    }

    pub(super) fn finish(self) -> ExecFacts {
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
        self.path(path);
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
const MAX_PATHS: usize = 256;
