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
        let name = super::call::stem(call.name);
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
            name if BUILTINS.split_ascii_whitespace().any(|builtin| builtin == name) => self.unjudged(),
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
        let given = self.given(&SHELL, call.words);
        // `+x` switches an option off, and some shells go on reading options after `-c`
        let first = given.operands.first();
        if given.hidden && !given.short("c") || first.is_some_and(is_switch) {
            self.unjudged();
        }
        if given.long(&["version", "help"]) && given.operands.is_empty() {
            return;
        }
        match (given.short("c"), first) {
            (true, Some(Word::Known(script))) if ours && !given.hidden => {
                let mut context = call.context.clone();
                context.stdin.inherit();
                self.script(script, &context);
            }
            (true, _) => self.unjudged(),
            (false, Some(file)) if !given.short("s") => {
                self.reads(file);
                self.effects(&[Effect::Code, Effect::Unjudged]);
            }
            (false, _) => {
                // what its commands read of the same text is not known, and so neither which commands they are
                self.unjudged();
                match &call.context.stdin {
                    Stdin::Text(text) if ours => {
                        let context = Context { stdin: Stdin::Unknown, ..call.context.clone() };
                        self.script(text, &context);
                    }
                    Stdin::Text(_) | Stdin::Unknown => {}
                    Stdin::Caller => self.effect(Effect::Interactive),
                }
            }
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
        let plain = |word: &Word| word.as_known().is_some_and(|text| !text.contains(['[', '$', '`']));
        if !call.words.iter().skip(1).all(plain) {
            self.unjudged();
        }
    }

    fn su(&mut self, call: Call<'_>) {
        let spec = Spec::new("lmpf", "cgGu", "login command= session-command= group= supp-group= user=");
        let given = self.given_openly(&spec, call.words);
        self.effect(Effect::Privilege);
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
        let given = self.given(&Spec::new("aefq", "c", "append return flush quiet command="), call.words);
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
        let spec = Spec::new(
            "bcegptwx",
            "nq",
            "beep color errexit chgexit precise no-title no-wrap exec interval= equexit=",
        );
        let given = self.given(&spec.attached("d").leading(), call.words);
        if given.short("x") || given.long(&["exec"]) {
            self.call(&given.operands, call.context);
        } else {
            self.eval(&given.operands, call.context);
        }
    }

    fn flock(&mut self, call: Call<'_>) {
        let spec = Spec::new(
            "sxenoFu",
            "wEc",
            "shared exclusive nonblock nb no-fork timeout= wait= conflict-exit-code= command=",
        );
        let given = self.given(&spec.leading(), call.words);
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
        // `-o ProxyCommand=…`, `-P` and `-F` run programs here, others open doors
        let given = self.given(&Spec::new("46AaCgkKNnqTtVvXxYy", "bceilmpw", "").leading(), call.words);
        self.effect(Effect::Network);
        if given.hidden || given.operands.is_empty() || given.short("w") {
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
                flags.is_some_and(|flags| flags.chars().all(|c| "eEfhmnouvxC".contains(c)))
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
        let mut exports = call.name == "export";
        for word in call.words {
            match word {
                // integers, references and arrays evaluate what they are given
                Word::Known(text) if text.starts_with(['-', '+']) => {
                    let known = if call.name == "export" { "np" } else { "prx" };
                    exports |= text.contains('x');
                    if !text.chars().skip(1).all(|c| known.contains(c)) {
                        self.unjudged();
                    }
                }
                Word::Known(text) => {
                    let (name, value) = text.split_once('=').unwrap_or((text, ""));
                    self.assignment(name.trim_end_matches('+'), &Word::known(value), exports);
                }
                Word::Unknown { lead, .. } if lead.contains('=') => {
                    let name = lead.split('=').next().unwrap_or_default();
                    self.assignment(name, &Word::unknown(), exports);
                }
                Word::Pattern(_) | Word::Unknown { .. } => self.unjudged(),
            }
        }
    }

    fn variables(&mut self, call: Call<'_>) {
        let spec = match call.name {
            "read" => Spec::new("ers", "adinNptu", ""),
            "unset" => Spec::new("fv", "", ""),
            "getopts" => Spec::new("", "", ""),
            _ => Spec::new("t", "dnOsu", ""),
        };
        let given = self.given_openly(&spec, call.words);
        // arithmetic in some shells
        let counts = given.values(if call.name == "read" { "nNtu" } else { "nOsu" }, "");
        let names = if call.name == "getopts" {
            given.operands.get(1..2).unwrap_or_default()
        } else {
            given.operands.as_slice()
        };
        if decides_any(names) || decides_any(&given.values("a", "")) || !counts.iter().all(Word::is_number) {
            self.unjudged();
        }
    }

    fn xargs(&mut self, call: Call<'_>) {
        let spec = Spec::new(
            "0oprtx",
            "adEILnPs",
            "null exit interactive no-run-if-empty open-tty verbose arg-file= delimiter= max-args= max-procs= \
             max-chars= replace= max-lines? eof?",
        )
        .attached("eil")
        .leading();
        // these take a value only when it is attached
        let words: Vec<Word> = call
            .words
            .iter()
            .map(|word| match word.as_known() {
                Some("-i" | "--replace") => Word::known("-I{}"),
                _ => word.clone(),
            })
            .collect();
        let given = self.given(&spec, &words);
        for file in given.values("a", "arg-file") {
            self.reads(&file);
        }
        let mut replace = given.values("I", "");
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
                Word::Pattern(text)
                    if text.contains('.') && !text.contains(['[', '{']) || !first.may_hide_options() =>
                {
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
                    let ends = |(place, word): (usize, &Word)| match word.as_known() {
                        Some(";") => true,
                        // elsewhere it is a word of the command
                        Some("+") => {
                            let before = place.checked_sub(1).and_then(|place| rest.get(place));
                            before.and_then(Word::as_known) == Some("{}")
                        }
                        _ => false,
                    };
                    let end = rest.iter().enumerate().position(ends).unwrap_or_else(|| {
                        self.unjudged();
                        rest.len()
                    });
                    let (command, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
                    words = after.get(1..).unwrap_or_default();
                    self.found(command, call.context);
                }
                "-fprint" | "-fprint0" | "-fls" | "-fprintf" => match rest.split_first() {
                    Some((file, after)) => {
                        self.writes(file);
                        words = after.get(usize::from(text == "-fprintf")..).unwrap_or_default();
                    }
                    None => self.unjudged(),
                },
                // their values are no paths, or only looked at
                text if FIND_VALUED.contains(&text) => match rest.split_first() {
                    Some((value, after)) => {
                        if matches!(value, Word::Unknown { splits: true, .. }) {
                            self.unjudged();
                        }
                        // an unquoted pattern expands to several words
                        words = if matches!(value, Word::Pattern(_)) { rest } else { after };
                    }
                    None => self.unjudged(),
                },
                text if FIND_ALONE.contains(&text) => {}
                text if text.starts_with('-') => self.unjudged(),
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

/// Whether a shell would take it for an option, wherever it stands before the script.
fn is_switch(word: &Word) -> bool {
    word.as_known().is_none_or(|text| text.starts_with(['+', '-']))
}

/// Whether a program of this name is a shell, whatever its version.
pub(super) fn is_shell(name: &str) -> bool {
    SHELLS.contains(&name)
}

const SHELL: Spec = Spec::new("acefhlmnuvxEsC", "", "login noprofile norc posix version help").leading();

/// What a shell has built in that runs code, evaluates arithmetic, or defines what a later word means; and is a
/// program, or nothing, elsewhere.
const BUILTINS: &str = "abbr argparse bindkey block caller chdir compdef compopt compound disable emit enum float \
    functions funcsave getln glob help hist history integer limit log login math nameref onintr poll print psub \
    redirect rehash sched setenv setty stop string suspend sysopen sysread syswrite ttyctl unhash unlimit unsetenv \
    vared vmap whence where zcompile zformat zle zparseopts zpty zregexparse zsocket zstyle zsystem ztcp ztie zuntie @";

/// Tests and actions of `find` without a value.
const FIND_ALONE: &[&str] = &[
    "-H",
    "-L",
    "-P",
    "-a",
    "-and",
    "-daystart",
    "-depth",
    "-empty",
    "-executable",
    "-false",
    "-follow",
    "-ls",
    "-mount",
    "-nogroup",
    "-noleaf",
    "-not",
    "-nouser",
    "-nowarn",
    "-o",
    "-or",
    "-print",
    "-print0",
    "-prune",
    "-quit",
    "-readable",
    "-true",
    "-warn",
    "-writable",
    "-xdev",
];
/// And with one.
const FIND_VALUED: &[&str] = &[
    "-amin",
    "-anewer",
    "-atime",
    "-cmin",
    "-cnewer",
    "-ctime",
    "-fstype",
    "-gid",
    "-group",
    "-ilname",
    "-iname",
    "-inum",
    "-ipath",
    "-iregex",
    "-iwholename",
    "-links",
    "-lname",
    "-maxdepth",
    "-mindepth",
    "-mmin",
    "-mtime",
    "-name",
    "-newer",
    "-newermt",
    "-path",
    "-perm",
    "-printf",
    "-regex",
    "-regextype",
    "-samefile",
    "-size",
    "-type",
    "-uid",
    "-used",
    "-user",
    "-wholename",
    "-xtype",
];

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
