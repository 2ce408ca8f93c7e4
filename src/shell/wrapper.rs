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
}

impl Judge {
    /// Judges what a wrapper runs; `false` when it is none.
    pub(super) fn wrapper(&mut self, call: Call<'_>) -> bool {
        let Some(wrapper) = WRAPPERS.iter().find(|wrapper| wrapper.name == call.name) else { return false };
        let given = self.given(&wrapper.spec, call.words);
        self.effects(wrapper.effects);
        let folder = if call.name == "env" { given.values("C", "chdir") } else { given.values("D", "chdir") };
        folder.iter().for_each(|folder| self.enters_folder(folder));
        for path in given.values("o", "output").iter().filter(|_| matches!(call.name, "time" | "gtime")) {
            self.writes(path);
        }
        // a shell gets the words as one text
        if call.name == "sudo" && (given.short("is") || given.long(&["login", "shell"])) {
            self.unjudged();
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

const fn wrapper(name: &'static str, spec: Spec, skip: usize) -> Wrapper {
    Wrapper { name, spec: spec.leading(), skip, effects: &[] }
}

const fn plain(name: &'static str) -> Wrapper {
    wrapper(name, Spec::new("", "", ""), 0)
}

impl Wrapper {
    const fn privileged(self) -> Self {
        Self { effects: &[Effect::Privilege], ..self }
    }
}

const WRAPPERS: &[Wrapper] = &[
    plain("and"),
    plain("begin"),
    plain("builtin"),
    plain("busybox"),
    wrapper("caffeinate", Spec::new("dimsu", "t", ""), 0),
    wrapper("chroot", Spec::new("", "", "userspec= groups= skip-chdir"), 1).privileged(),
    wrapper("chrt", Spec::new("bfiorR", "", "batch fifo idle other rr"), 1),
    wrapper("command", Spec::new("pvV", "", ""), 0),
    wrapper("cpulimit", Spec::new("z", "l", "limit="), 0),
    wrapper("doas", Spec::new("n", "u", ""), 0).privileged(),
    plain("eatmydata"),
    wrapper("env", Spec::new("i0v", "uC", "ignore-environment null debug unset= chdir="), 0),
    wrapper("exec", Spec::new("cl", "a", ""), 0),
    plain("fakeroot"),
    wrapper("gtime", Spec::new("apqvV", "fo", "append portability quiet verbose format= output="), 0),
    wrapper("ionice", Spec::new("t", "cn", "ignore class= classdata="), 0),
    plain("linux32"),
    plain("linux64"),
    wrapper("nice", Spec::new("", "n", "adjustment="), 0),
    plain("nocorrect"),
    plain("noglob"),
    plain("nohup"),
    plain("not"),
    wrapper(
        "numactl",
        Spec::new("", "NmCi", "cpunodebind= membind= physcpubind= interleave= preferred= localalloc all"),
        0,
    ),
    plain("or"),
    wrapper("pkexec", Spec::new("", "", "user="), 0).privileged(),
    wrapper("repeat", Spec::new("", "", ""), 1),
    wrapper("setsid", Spec::new("cfw", "", "ctty fork wait"), 0),
    wrapper("stdbuf", Spec::new("", "ioe", "input= output= error="), 0),
    wrapper(
        "sudo",
        Spec::new(
            "ABEHKknPSVbilsv",
            "CDTUgpu",
            "askpass background preserve-env? set-home reset-timestamp remove-timestamp non-interactive \
             preserve-groups stdin version login list validate shell user= group= prompt= chdir= command-timeout= \
             other-user= close-from=",
        ),
        0,
    )
    .privileged(),
    wrapper("taskset", Spec::new("ac", "", "all-tasks cpu-list"), 1),
    wrapper("time", Spec::new("apqvV", "fo", "append portability quiet verbose format= output="), 0),
    wrapper("timeout", Spec::new("v", "ks", "foreground preserve-status verbose kill-after= signal="), 1),
    plain("toybox"),
    plain("unbuffer"),
];

/// Names of variables that a builtin sets.
pub(super) fn decides_any(words: &[Word]) -> bool {
    words.iter().any(|word| match word {
        Word::Known(text) if text.starts_with('-') => false,
        Word::Known(text) => variables::decides(text.split(['=', '+']).next().unwrap_or_default()),
        Word::Pattern(_) | Word::Unknown { .. } => true,
    })
}
