//! One program with its arguments.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::judge::Judge;
use super::options::{Given, Spec};
use super::word::Word;
use super::{code, paths, runner};
use crate::domain::facts::Effect;

/// Where a command's input and output are.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) stdin: Stdin,
    /// Its output goes to a terminal: some programs start a pager then.
    pub(super) terminal: bool,
}

/// What a command reads.
#[derive(Debug, Clone)]
pub(super) enum Stdin {
    /// What the user sends.
    Caller,
    /// This text, of its own.
    Text(String),
    /// A pipe, a file.
    Unknown,
}

/// One call, as the families of programs see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    /// The program's name in lower case, without its folder.
    pub(super) name: &'a str,
    pub(super) words: &'a [Word],
    pub(super) context: &'a Context,
}

impl Stdin {
    /// As a command has it that is one of several.
    pub(super) fn inherit(&mut self) {
        if matches!(self, Self::Text(_)) {
            *self = Self::Unknown;
        }
    }
}

impl Judge {
    /// Judges a command whose first word is the program.
    pub(super) fn call(&mut self, words: &[Word], context: &Context) {
        if words.is_empty() || !self.enter_call(words.len()) {
            return;
        }
        self.dispatch(words, context);
        self.leave();
    }

    fn dispatch(&mut self, words: &[Word], context: &Context) {
        let Some((program, words)) = words.split_first() else { return };
        let Some(written) = program.as_known().filter(|name| is_program(name)) else {
            self.unjudged();
            self.changes();
            // whatever it is, it is given these
            words.iter().for_each(|word| self.path_like(word));
            return;
        };
        let base = paths::base(written);
        self.program(base);
        // whatever its name: anybody may have put it there
        if !paths::is_system_program(written) {
            self.effect(Effect::Code);
            self.path(paths::normalise(written));
        }
        // a file system may ignore case; a rule that proves something must not
        let name = base.to_ascii_lowercase();
        if name != base {
            self.changes();
        }
        let call = Call { name: &name, words, context };
        let known = self.wrapper(call)
            || self.runner(call)
            || self.code(call)
            || self.files(call)
            || self.disk(call)
            || self.tool(call)
            || self.machine(call)
            || self.reader(call);
        if !known {
            self.stranger(call);
        }
    }

    /// A program that is known by its name only: it is in `programs`, and nothing is proven of it.
    ///
    /// What it is given must be plain words: an unknown wrapper would run them.
    fn stranger(&mut self, call: Call<'_>) {
        self.changes();
        let mut words = call.words.iter().peekable();
        while let Some(word) = words.next() {
            self.path_like(word);
            let Some(text) = word.as_known() else {
                self.unjudged();
                continue;
            };
            let option = text.split('=').next().unwrap_or_default();
            // a value that is more than a name may be code; some options have nothing else
            let plain = |c: char| c.is_ascii_alphanumeric() || "_./:=@,+-".contains(c);
            let is_code = |value: &str| !value.chars().all(plain);
            let next = words.peek().and_then(|word| word.as_known());
            let separate =
                CODE_OPTIONS.contains(&option) && (option.starts_with("--") || next.is_some_and(is_code));
            let attached = CODE_OPTIONS.iter().any(|code| text.starts_with(code)) && is_code(text);
            if separate || attached || hands_over(text) {
                self.unjudged();
            }
        }
    }

    /// Reads the words of a program; options that are not known leave it unjudged.
    pub(super) fn given(&mut self, spec: &Spec, words: &[Word]) -> Given {
        let given = spec.read(words);
        if given.strange {
            self.unjudged();
        }
        given
    }

    /// The same, where a word that is not known may be an option that does more.
    pub(super) fn given_openly(&mut self, spec: &Spec, words: &[Word]) -> Given {
        let given = self.given(spec, words);
        if given.hidden {
            self.unjudged();
        }
        given
    }

    /// Notes a word that looks like a path.
    pub(super) fn path_like(&mut self, word: &Word) {
        let value = match word {
            Word::Known(text) if text.starts_with('-') => match text.split_once('=') {
                Some((_, value)) => Word::known(value),
                None => return,
            },
            word => word.clone(),
        };
        let looks = |text: &str| text.contains('/') || text.starts_with(['.', '~']);
        match &value {
            Word::Known(text) | Word::Pattern(text) if !looks(text) => {}
            Word::Known(text) if text.contains("://") => {}
            value => self.path(value.path()),
        }
    }

    /// Notes every operand as a path that is read.
    pub(super) fn read_all(&mut self, words: &[Word]) {
        for word in words.iter().filter(|word| word.as_known() != Some("-")) {
            self.reads(word);
        }
    }

    /// Notes every operand as a path that is written.
    pub(super) fn write_all(&mut self, words: &[Word]) {
        words.iter().for_each(|word| self.writes(word));
    }

    /// With a terminal, its output goes through a pager, from which anything can be started.
    pub(super) fn pager(&mut self, context: &Context) {
        if context.terminal {
            self.effect(Effect::Interactive);
        }
    }
}

/// Whether a name is plain enough to be one.
fn is_program(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-+./:@%~,".contains(c);
    let base = paths::base(name);
    matches!(name, "[" | "/usr/bin/[" | "/bin/[")
        || !base.is_empty() && !name.starts_with('-') && name.chars().all(plain)
}

/// Whether an unknown program is told by a word to run another.
fn hands_over(text: &str) -> bool {
    match text.strip_prefix('-') {
        // the name of an option is not one of a program; its value may be
        Some(long) if long.starts_with('-') => {
            long.split_once('=').is_some_and(|(_, value)| names_program(value))
        }
        Some(short) => names_program(&short.chars().skip(1).collect::<String>()),
        None => names_program(text),
    }
}

/// Whether a text names, anywhere in it, a program that runs others or does harm.
fn names_program(text: &str) -> bool {
    static NAMES: LazyLock<BTreeSet<&'static str>> =
        LazyLock::new(|| HANDED.split_ascii_whitespace().collect());
    let pieces = text.split(|c: char| !(c.is_ascii_alphanumeric() || "._-+".contains(c)));
    let harmful = |piece: &str| {
        let name = piece.trim_start_matches('-').to_ascii_lowercase();
        let stem = stem(&name);
        let runs = |name: &str| {
            !PLAIN_WORDS.contains(&name) && (runner::is_shell(name) || code::is_interpreter(name))
        };
        NAMES.contains(name.as_str())
            || name.starts_with("mkfs")
            || name.len() > 1 && (runner::is_shell(&name) || code::is_interpreter(&name))
            || stem.len() > 1 && runs(stem)
    };
    text.len() > MAX_HANDED || pieces.filter(|piece| !piece.is_empty()).any(harmful)
}

/// A program's name without its version: `python3.11`, `zsh-5.9`, `bash-static`.
pub(super) fn stem(name: &str) -> &str {
    let end = name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len());
    let stem = name.get(..end).unwrap_or(name);
    let stem = ["-static", ".static", "-dbg", ".real", ".distrib"]
        .iter()
        .find_map(|end| stem.strip_suffix(end))
        .unwrap_or(stem);
    let stem = stem.trim_end_matches(['-', '.']);
    if stem.is_empty() { name } else { stem }
}

/// In bytes, of a word that an unknown program is given.
const MAX_HANDED: usize = 4096;

/// Options of which the value is often code.
const CODE_OPTIONS: &[&str] =
    &["-c", "-e", "-x", "--command", "--cmd", "--eval", "--exec", "--execute", "--pager", "--run", "--shell"];

/// Words that begin like the name of an interpreter, and are not.
const PLAIN_WORDS: &[&str] = &["es", "ion", "nu", "rc", "node", "scheme", "expect", "dart", "crystal"];

/// Programs whose names are not arguments of an unknown one in ordinary use.
const HANDED: &str = "apt apt-get awk blkdiscard bpftrace busybox bwrap capsh chattr chgrp chmod chown chpasswd \
    chroot cp crontab curl dd debugfs dnf docker doas dpkg env eval exec fdisk find firejail gawk gdb git halt kill \
    killall kubectl ld.so mawk mkswap mv nc ncat netcat nft nice nohup nsenter parted passwd pip pkexec pkill \
    podman poweroff psql reboot rm rmdir rpm rsync runcon runuser scp sed setarch setcap setpriv setsid shred \
    shutdown socat ssh start-stop-daemon stdbuf strace su sudo swapoff systemctl systemd-run tar tcpdump tee \
    telinit telnet timeout toybox truncate umount unlink unshare useradd userdel usermod vi vim visudo wget wipefs \
    xargs yum";
