//! One program with its arguments.

use super::judge::Judge;
use super::paths;
use super::word::Word;
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
    /// This text.
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

impl Judge {
    /// Judges a command whose first word is the program.
    pub(super) fn call(&mut self, words: &[Word], context: &Context) {
        if words.is_empty() || !self.enter(0) {
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
        if !paths::is_system_program(written) {
            self.changes();
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
    fn stranger(&mut self, call: Call<'_>) {
        self.changes();
        for word in call.words {
            self.path_like(word);
            // an unknown wrapper would run it
            let handed = word.as_known().map(paths::base);
            if handed.is_some_and(|name| NEVER_HANDED.contains(&name)) {
                self.unjudged();
            }
        }
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

/// Programs whose names are not arguments of an unknown one in ordinary use.
const NEVER_HANDED: &[&str] = &[
    "ash", "awk", "bash", "busybox", "chmod", "chown", "dash", "dd", "doas", "env", "eval", "exec", "find",
    "ksh", "mkfs", "perl", "pkexec", "python", "python3", "rm", "rmdir", "ruby", "sh", "shred", "su", "sudo",
    "toybox", "truncate", "unlink", "wipefs", "xargs", "zsh",
];
