//! Programs and builtins that make commands of text or of what they find: shells, `eval`, `xargs`, `find`.

use super::call::{Call, Context, Stdin};
use super::judge::Judge;
use super::options::Spec;
use super::paths;
use super::word::Word;
use super::wrapper::decides_any;
use crate::domain::facts::Effect;

impl Judge {
    /// Judges what a runner runs; `false` when it is none.
    pub(super) fn runner(&mut self, call: Call<'_>) -> bool {
        let name = call.name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        if SHELLS.contains(&call.name) || SHELLS.contains(&name) {
            self.shell(call);
            return true;
        }
        match call.name {
            "find" | "gfind" | "bfs" => self.find(call),
            "xargs" | "gxargs" => self.xargs(call),
            "eval" => self.eval(call.words, call.context),
            "trap" => self.trap(call),
            "su" | "runuser" => self.su(call),
            "script" => self.script_command(call),
            "watch" => self.watch(call),
            "flock" => self.flock(call),
            "ssh" | "slogin" => self.ssh(call),
            "." | "source" | "parallel" | "batch" | "at" | "fc" | "bind" | "complete" | "compgen"
            | "enable" | "hash" | "let" | "coproc" | "autoload" | "zmodload" | "emulate" | "setopt"
            | "unsetopt" => self.unjudged(),
            "alias" | "unalias" if call.words.iter().any(|word| word.as_known() != Some("-p")) => {
                self.unjudged();
            }
            "alias" | "unalias" => {}
            "set" => self.set(call),
            "shopt" => self.shopt(call),
            "export" | "declare" | "typeset" | "local" | "readonly" => self.declare(call),
            "read" | "mapfile" | "readarray" | "getopts" | "unset" => self.variables(call),
            _ => return false,
        }
        true
    }

    fn shell(&mut self, call: Call<'_>) {
        let ours = GRAMMAR.contains(&call.name);
        let given = SHELL.read(&call.words.iter().filter(|word| !is_plus(word)).cloned().collect::<Vec<_>>());
        if given.hidden && !given.short("c") || given.long(&["rcfile", "init-file", "wordexp", "emulate"]) {
            self.unjudged();
        }
        if given.long(&["version", "help"]) && given.operands.is_empty() {
            return;
        }
        let first = given.operands.first();
        match (given.short("c") || given.long(&["command"]), first) {
            (true, Some(Word::Known(script))) if ours && !given.hidden => {
                if given.short("i") {
                    self.effect(Effect::Interactive);
                }
                self.script(script, call.context);
            }
            (true, _) => self.unjudged(),
            (false, Some(file)) if !given.short("s") => {
                self.reads(file);
                self.effects(&[Effect::Code, Effect::Unjudged]);
            }
            (false, _) => match &call.context.stdin {
                Stdin::Text(text) if ours => self.script(text, call.context),
                Stdin::Text(_) | Stdin::Unknown => self.unjudged(),
                // what is typed or sent then is not seen here
                Stdin::Caller => self.effects(&[Effect::Interactive, Effect::Unjudged]),
            },
        }
    }

    fn eval(&mut self, words: &[Word], context: &Context) {
        match joined(words) {
            Some(script) => self.script(&script, context),
            None => self.unjudged(),
        }
    }

    fn trap(&mut self, call: Call<'_>) {
        match call.words.iter().find(|word| word.as_known() != Some("--")) {
            None => {}
            Some(Word::Known(script)) if matches!(script.as_str(), "-" | "-l" | "-p" | "") => {}
            Some(Word::Known(script)) => self.script(script, call.context),
            Some(_) => self.unjudged(),
        }
    }

    fn su(&mut self, call: Call<'_>) {
        let spec = Spec {
            short: "cgGsTuCw",
            long: &[
                "command",
                "group",
                "supp-group",
                "shell",
                "user",
                "session-command",
                "whitelist-environment",
            ],
            leading: false,
        };
        let given = spec.read(call.words);
        self.effect(Effect::Privilege);
        if given.hidden || given.short("s") || given.long(&["shell"]) {
            self.unjudged();
        }
        let mut scripts = given.values("c", "command");
        scripts.extend(given.values("", "session-command"));
        // runuser -u USER -- COMMAND
        if given.short("u") || given.long(&["user"]) {
            self.call(&given.operands, call.context);
            return;
        }
        if scripts.is_empty() {
            self.effects(&[Effect::Interactive, Effect::Unjudged]);
        }
        // what comes after the user's name are arguments of the shell
        let extra = given.operands.iter().filter(|word| word.as_known() != Some("-")).count() > 1;
        if extra {
            self.unjudged();
        }
        for script in scripts {
            self.eval(&[script], call.context);
        }
    }

    fn script_command(&mut self, call: Call<'_>) {
        let spec =
            Spec { short: "cEIOBTmo", long: &["command", "log-in", "log-out", "log-io"], leading: false };
        let given = spec.read(call.words);
        self.effect(Effect::Write);
        self.write_all(&given.operands);
        let scripts = given.values("c", "command");
        if scripts.is_empty() || given.hidden {
            self.effects(&[Effect::Interactive, Effect::Unjudged]);
        }
        for script in scripts {
            self.eval(&[script], call.context);
        }
    }

    fn watch(&mut self, call: Call<'_>) {
        let given = Spec { short: "nq", long: &["interval", "equexit"], leading: true }.read(call.words);
        if given.short("x") || given.long(&["exec"]) {
            self.call(&given.operands, call.context);
        } else {
            self.eval(&given.operands, call.context);
        }
    }

    fn flock(&mut self, call: Call<'_>) {
        let spec =
            Spec { short: "wEc", long: &["timeout", "wait", "conflict-exit-code", "command"], leading: true };
        let given = spec.read(call.words);
        let words = given.operands.get(1..).unwrap_or_default();
        if let Some(file) = given.operands.first() {
            self.writes(file);
        }
        match words.split_first() {
            Some((first, rest)) if first.as_known() == Some("-c") => self.eval(rest, call.context),
            Some(_) => self.call(words, call.context),
            None if given.short("c") => self.unjudged(),
            None => self.changes(),
        }
    }

    fn ssh(&mut self, call: Call<'_>) {
        let spec = Spec { short: "BbcDEeFIiJLlmOopQRSWw", long: &[], leading: true };
        let given = spec.read(call.words);
        self.effect(Effect::Network);
        // options such as ProxyCommand run programs here
        if given.hidden || given.short("oFEI") || given.operands.is_empty() {
            self.unjudged();
        }
        match given.operands.get(1..).unwrap_or_default() {
            [] => self.effects(&[Effect::Interactive, Effect::Unjudged]),
            // what the other host's shell makes of it is judged as if it were this one's
            words => self.eval(words, call.context),
        }
    }

    fn set(&mut self, call: Call<'_>) {
        let plain = |word: &Word| {
            word.as_known().is_some_and(|text| {
                let flags = text.strip_prefix(['-', '+']);
                flags.is_some_and(|flags| flags.chars().all(|c| "aeEfhmnouvxC".contains(c)))
                    || matches!(text, "pipefail" | "errexit" | "nounset" | "xtrace" | "noglob" | "noclobber")
            })
        };
        if !call.words.iter().all(plain) {
            self.unjudged();
        }
    }

    fn shopt(&mut self, call: Call<'_>) {
        let plain = |word: &Word| {
            word.as_known().is_some_and(|text| {
                ["-s", "-u", "-p", "-q", "nullglob", "dotglob", "globstar", "failglob", "nocaseglob"]
                    .contains(&text)
            })
        };
        if !call.words.iter().all(plain) {
            self.unjudged();
        }
    }

    fn declare(&mut self, call: Call<'_>) {
        for word in call.words {
            match word {
                // integers, references and arrays evaluate what they are given
                Word::Known(text) if text.starts_with(['-', '+']) => {
                    if text.contains(['i', 'n', 'a', 'A', 'F']) && text != "-n" {
                        self.unjudged();
                    }
                }
                Word::Known(text) => {
                    let (name, value) = text.split_once('=').unwrap_or((text, ""));
                    self.assignment(name.trim_end_matches('+'), &Word::known(value), false);
                }
                Word::Unknown { lead, .. } if lead.contains('=') => {
                    let name = lead.split('=').next().unwrap_or_default();
                    self.assignment(name, &Word::unknown(), false);
                }
                Word::Pattern(_) | Word::Unknown { .. } => self.unjudged(),
            }
        }
    }

    fn variables(&mut self, call: Call<'_>) {
        let spec = match call.name {
            "read" => Spec { short: "adinNptu", long: &[], leading: false },
            "getopts" => Spec::PLAIN,
            "unset" => Spec::PLAIN,
            _ => Spec { short: "dnOsuCc", long: &[], leading: false },
        };
        let given = spec.read(call.words);
        let names = if call.name == "getopts" {
            given.operands.get(1..2).unwrap_or_default()
        } else {
            given.operands.as_slice()
        };
        if given.hidden || decides_any(names) || decides_any(&given.values("a", "")) || given.short("C") {
            self.unjudged();
        }
    }

    fn xargs(&mut self, call: Call<'_>) {
        let spec = Spec {
            short: "adEILnPsJRS",
            long: &["arg-file", "delimiter", "max-args", "max-procs", "max-chars", "process-slot-var"],
            leading: true,
        };
        // these take a value only when it is attached
        let words: Vec<Word> = call
            .words
            .iter()
            .map(|word| match word.as_known() {
                Some("-i" | "--replace") => Word::known("-I{}"),
                _ => word.clone(),
            })
            .collect();
        let given = spec.read(&words);
        for file in given.values("a", "arg-file") {
            self.reads(&file);
        }
        let mut replace = given.values("IJ", "");
        replace.extend(given.values("", "replace"));
        // with its own mark attached, or among others
        if given.short("i") {
            self.unjudged();
        }
        let mut command: Vec<Word> = given.operands.clone();
        if command.is_empty() {
            return;
        }
        if given.hidden && given.operands.first().is_some_and(|word| word.as_known().is_none()) {
            self.unjudged();
        }
        match replace.last().map(|word| word.as_known()) {
            None => command.push(Word::unknown()),
            Some(Some(mark)) if !mark.is_empty() => {
                command = command.iter().map(|word| replaced(word, mark)).collect();
            }
            Some(_) => {
                self.unjudged();
                return;
            }
        }
        let context = Context { stdin: Stdin::Unknown, terminal: call.context.terminal };
        self.call(&command, &context);
    }

    fn find(&mut self, call: Call<'_>) {
        let mut words = call.words;
        while let Some((first, rest)) = words.split_first() {
            words = rest;
            let text = match first {
                Word::Known(text) => text.as_str(),
                // a pattern that ends in more than a star matches no option
                Word::Pattern(text) if text.contains('.') || !first.may_hide_options() => {
                    self.path(first.path());
                    continue;
                }
                word => {
                    if word.may_hide_options() {
                        self.unjudged();
                    }
                    self.path(word.path());
                    continue;
                }
            };
            match text {
                "-delete" => self.effects(&[Effect::Delete, Effect::DeleteTree]),
                "-exec" | "-execdir" | "-ok" | "-okdir" => {
                    let end = rest
                        .iter()
                        .position(|word| matches!(word.as_known(), Some(";" | "+")))
                        .unwrap_or(rest.len());
                    let (command, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
                    words = after.get(1..).unwrap_or_default();
                    self.found(command, call.context);
                }
                "-fprint" | "-fprint0" | "-fls" | "-fprintf" => {
                    if let Some((file, after)) = rest.split_first() {
                        self.writes(file);
                        words = after;
                    }
                }
                "-files0-from" | "-f" => self.unjudged(),
                // their values are no paths
                "-name" | "-iname" | "-path" | "-ipath" | "-regex" | "-iregex" | "-type" | "-mtime"
                | "-size" | "-printf" | "-user" | "-group" | "-perm" | "-maxdepth" | "-mindepth"
                | "-mmin" => {
                    if let Some((value, after)) = rest.split_first() {
                        if matches!(value, Word::Unknown { splits: true, .. }) {
                            self.unjudged();
                        }
                        // an unquoted pattern expands to several words
                        words = if matches!(value, Word::Pattern(_)) { rest } else { after };
                    }
                }
                text if text.starts_with(['-', '(', ')', '!', ',']) => {}
                _ => self.path(first.path()),
            }
        }
    }

    fn found(&mut self, command: &[Word], context: &Context) {
        let command: Vec<Word> = command
            .iter()
            .map(|word| match word.as_known() {
                // a name that `find` gives starts with where it started, which is not an option
                Some("{}") => Word::Unknown { lead: "./".to_owned(), splits: false },
                _ => replaced(word, "{}"),
            })
            .collect();
        if let Some(name) = command.first().and_then(Word::as_known).map(paths::base) {
            // as many as are found
            if matches!(name, "rm" | "unlink" | "rmdir" | "srm") {
                self.effects(&[Effect::Delete, Effect::DeleteTree]);
            }
        }
        self.call(&command, &Context { stdin: context.stdin.clone(), terminal: context.terminal });
    }
}

/// The words as one script, the way `eval` makes it.
fn joined(words: &[Word]) -> Option<String> {
    let texts: Option<Vec<&str>> = words.iter().map(Word::as_known).collect();
    texts.map(|texts| texts.join(" "))
}

/// The word after something that is not known takes the place of the mark.
fn replaced(word: &Word, mark: &str) -> Word {
    match word {
        Word::Known(text) => match text.split_once(mark) {
            Some((lead, _)) => Word::Unknown { lead: lead.to_owned(), splits: false },
            None => word.clone(),
        },
        word => word.clone(),
    }
}

/// `+x` switches an option of a shell off.
fn is_plus(word: &Word) -> bool {
    word.as_known()
        .is_some_and(|text| text.len() == 2 && text.starts_with('+') && !text.ends_with(['o', 'O', 'c']))
}

const SHELL: Spec = Spec { short: "oO", long: &["rcfile", "init-file", "emulate"], leading: true };

/// Shells whose `-c` is read as this grammar.
const GRAMMAR: &[&str] = &[
    "ash", "bash", "dash", "ksh", "ksh93", "lksh", "mksh", "oksh", "pdksh", "posh", "rbash", "rzsh", "sh",
    "yash", "zsh",
];
const SHELLS: &[&str] = &[
    "ash",
    "bash",
    "csh",
    "dash",
    "elvish",
    "es",
    "fish",
    "ion",
    "ksh",
    "lksh",
    "mksh",
    "nu",
    "oksh",
    "osh",
    "pdksh",
    "posh",
    "powershell",
    "pwsh",
    "rbash",
    "rc",
    "rzsh",
    "sash",
    "scsh",
    "sh",
    "tcsh",
    "xonsh",
    "yash",
    "ysh",
    "zsh",
    "ksh93",
];
