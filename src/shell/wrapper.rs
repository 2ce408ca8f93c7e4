//! Programs that run the rest of their words: `sudo`, `env`, `timeout`, `busybox`.

use super::call::Call;
use super::judge::Judge;
use super::options::Spec;
use super::variables;
use super::word::Word;
use crate::domain::facts::Effect;

struct Wrapper {
    name: &'static str,
    spec: Spec,
    /// Operands before the program.
    skip: usize,
    effects: &'static [Effect],
    /// Options with which more happens than is read here.
    strange_short: &'static str,
    strange_long: &'static [&'static str],
}

impl Judge {
    /// Judges what a wrapper runs; `false` when it is none.
    pub(super) fn wrapper(&mut self, call: Call<'_>) -> bool {
        let Some(wrapper) = WRAPPERS.iter().find(|wrapper| wrapper.name == call.name) else { return false };
        let given = wrapper.spec.read(call.words);
        self.effects(wrapper.effects);
        if given.short(wrapper.strange_short) || given.long(wrapper.strange_long) {
            self.unjudged();
        }
        for path in given.values("o", "output").iter().filter(|_| matches!(call.name, "time" | "gtime")) {
            self.writes(path);
        }
        if call.name == "command" && given.short("vV") {
            return true;
        }
        if wrapper.skip > 0 && given.operands.iter().take(wrapper.skip).any(|word| word.as_known().is_none())
        {
            self.unjudged();
        }
        let mut words = given.operands.get(wrapper.skip..).unwrap_or_default();
        if matches!(call.name, "sudo" | "doas" | "env" | "pkexec") {
            words = self.assignments(words);
        }
        if !words.is_empty() {
            self.call(words, call.context);
            return true;
        }
        match call.name {
            "env" => {}
            "sudo" if given.short("lvkKV") || given.long(&["list", "validate", "version"]) => {}
            "sudo" | "doas" | "chroot" | "pkexec" => self.effects(&[Effect::Interactive, Effect::Unjudged]),
            _ => self.changes(),
        }
        true
    }

    /// Skips `NAME=value` before a program.
    pub(super) fn assignments<'a>(&mut self, mut words: &'a [Word]) -> &'a [Word] {
        while let Some((first, rest)) = words.split_first() {
            let (text, value) = match first {
                Word::Known(text) => (text.as_str(), None),
                Word::Unknown { lead, .. } => (lead.as_str(), Some(Word::unknown())),
                Word::Pattern(_) => return words,
            };
            let Some((name, known)) = text.split_once('=') else { return words };
            self.assignment(name, &value.unwrap_or_else(|| Word::known(known)), true);
            words = rest;
        }
        words
    }
}

const fn wrapper(
    name: &'static str,
    short: &'static str,
    long: &'static [&'static str],
    skip: usize,
) -> Wrapper {
    let spec = Spec { short, long, leading: true };
    Wrapper { name, spec, skip, effects: &[], strange_short: "", strange_long: &[] }
}

const WRAPPERS: &[Wrapper] = &[
    wrapper("and", "", &[], 0),
    wrapper("begin", "", &[], 0),
    wrapper("builtin", "", &[], 0),
    wrapper("busybox", "", &[], 0),
    wrapper("caffeinate", "tw", &[], 0),
    Wrapper { effects: &[Effect::Privilege], ..wrapper("chroot", "", &["userspec", "groups"], 1) },
    Wrapper { strange_short: "mpaRo", ..wrapper("chrt", "TPD", &[], 1) },
    wrapper("command", "", &[], 0),
    wrapper("cpulimit", "lp", &["limit", "pid"], 0),
    Wrapper { effects: &[Effect::Privilege], strange_short: "sC", ..wrapper("doas", "uCa", &[], 0) },
    wrapper("eatmydata", "", &[], 0),
    Wrapper {
        strange_short: "SP",
        strange_long: &["split-string"],
        ..wrapper("env", "uCSPa", &["unset", "chdir", "split-string", "argv0"], 0)
    },
    wrapper("exec", "a", &[], 0),
    Wrapper { strange_short: "lbsi", ..wrapper("fakeroot", "lsbi", &[], 0) },
    Wrapper { strange_short: "o", ..wrapper("gtime", "fo", &["format", "output"], 0) },
    wrapper("ionice", "cnpPu", &["class", "classdata"], 0),
    wrapper("linux32", "", &[], 0),
    wrapper("linux64", "", &[], 0),
    wrapper("nice", "n", &["adjustment"], 0),
    wrapper("nocorrect", "", &[], 0),
    wrapper("noglob", "", &[], 0),
    wrapper("nohup", "", &[], 0),
    wrapper("not", "", &[], 0),
    wrapper("numactl", "NmCpi", &[], 0),
    wrapper("or", "", &[], 0),
    Wrapper { effects: &[Effect::Privilege], ..wrapper("pkexec", "", &["user"], 0) },
    wrapper("prlimit", "p", &["pid"], 0),
    wrapper("repeat", "", &[], 1),
    wrapper("setsid", "", &[], 0),
    wrapper("stdbuf", "ioe", &["input", "output", "error"], 0),
    Wrapper {
        effects: &[Effect::Privilege],
        strange_short: "e",
        strange_long: &["edit"],
        ..wrapper(
            "sudo",
            "CDRTUacghprtu",
            &[
                "user",
                "group",
                "host",
                "prompt",
                "chdir",
                "chroot",
                "role",
                "type",
                "other-user",
                "command-timeout",
                "close-from",
                "login-class",
                "auth-type",
            ],
            0,
        )
    },
    Wrapper { strange_short: "p", ..wrapper("taskset", "", &[], 1) },
    wrapper("time", "fo", &["format", "output"], 0),
    wrapper("timeout", "ks", &["kill-after", "signal"], 1),
    wrapper("toybox", "", &[], 0),
    wrapper("unbuffer", "", &[], 0),
];

/// Names of variables that a builtin sets.
pub(super) fn decides_any(words: &[Word]) -> bool {
    words.iter().any(|word| match word {
        Word::Known(text) if text.starts_with('-') => false,
        Word::Known(text) => variables::decides(text.split(['=', '+']).next().unwrap_or_default()),
        Word::Pattern(_) | Word::Unknown { .. } => true,
    })
}
