//! `git`: what its own commands do.
//!
//! What the repository's configuration, its hooks and its attributes make git run is the host's. What a command
//! line can add to that (`-c`, `--upload-pack`, `ext::`, an editor) is not judged, or starts somebody's editor.

use super::call::Call;
use super::judge::Judge;
use super::options::{Given, Spec};
use super::word::Word;
use crate::domain::facts::Effect;

impl Judge {
    pub(super) fn git(&mut self, call: Call<'_>) {
        // configuration names programs, and another folder has its own
        let spec =
            Spec::new("Pp", "C", "no-pager paginate version help bare no-optional-locks literal-pathspecs");
        let given = self.given_openly(&spec.leading(), call.words);
        if given.strange {
            self.effect(Effect::Code);
        }
        if given.short("p") || given.long(&["paginate"]) {
            self.pager(call.context);
        }
        for folder in given.values("C", "") {
            self.reads(&folder);
            self.enters_folder(&folder);
            if folder.as_known().is_none() {
                self.unjudged();
            }
        }
        let words = given.operands.get(1..).unwrap_or_default();
        let Some(verb) = given.verb() else {
            if !given.operands.is_empty() {
                self.unjudged();
            }
            return;
        };
        if is_reader(verb) {
            let rest = self.given_openly(if verb == "grep" { &GREP } else { &SHOWS }, words);
            let quiet = given.long(&["no-pager"])
                || given.short("P")
                || matches!(verb, "status" | "rev-parse" | "ls-files" | "version");
            if rest.long(&["output"]) {
                self.effect(Effect::Write);
            }
            if !quiet {
                self.pager(call.context);
            }
            words.iter().for_each(|word| self.path_like(word));
            return;
        }
        let Some(spec) = spec_of(verb) else {
            // an alias of the repository, or a command that runs others
            return self.effects(&[Effect::Code, Effect::Write, Effect::Unjudged]);
        };
        let rest = self.given(&spec, words);
        if !given.long(&["no-pager"]) && matches!(verb, "branch" | "config" | "reflog" | "stash" | "tag") {
            self.pager(call.context);
        }
        if !lists(verb, &rest) {
            self.git_changes(verb, &rest, call);
        }
        words.iter().for_each(|word| self.path_like(word));
    }

    fn git_changes(&mut self, verb: &str, rest: &Given, call: Call<'_>) {
        self.effect(Effect::Write);
        self.alters_here();
        if rest.hidden {
            self.unjudged();
        }
        match verb {
            "clean" => self.effects(&[Effect::Delete, Effect::DeleteTree]),
            "rm" => {
                self.effect(Effect::Delete);
                if rest.short("r") || rest.operands.iter().any(|word| word.as_known().is_none()) {
                    self.effect(Effect::DeleteTree);
                }
            }
            "worktree" if rest.verb() != Some("add") => self.effects(&[Effect::Delete, Effect::DeleteTree]),
            "clone" | "fetch" | "pull" | "push" | "ls-remote" => {
                self.effect(Effect::Network);
                // `ext::` runs a program
                let plain = |word: &Word| word.as_known().is_some_and(|text| !text.contains("::"));
                if !rest.operands.iter().all(plain) {
                    self.unjudged();
                }
                if let ("clone", Some(folder)) = (verb, rest.operands.get(1)) {
                    self.writes(folder);
                }
            }
            "config" | "remote" | "submodule" => self.unjudged(),
            _ => {}
        }
        let message = rest.short("mFC") || rest.long(&["message", "file", "reuse-message", "no-edit"]);
        let edits = match verb {
            "commit" => !message,
            "tag" => rest.short("as") && !message,
            "revert" => !rest.long(&["no-edit", "no-commit"]) && !rest.short("n"),
            // a merge asks for its message where somebody could answer
            "merge" => {
                call.context.terminal && !message && !rest.long(&["ff-only", "squash", "abort", "no-commit"])
            }
            "pull" => call.context.terminal && !rest.long(&["ff-only", "rebase", "no-edit"]),
            _ => false,
        };
        if edits {
            self.effect(Effect::Interactive);
        }
    }
}

fn is_reader(verb: &str) -> bool {
    matches!(
        verb,
        "status"
            | "log"
            | "diff"
            | "show"
            | "rev-parse"
            | "rev-list"
            | "ls-files"
            | "ls-tree"
            | "blame"
            | "annotate"
            | "shortlog"
            | "describe"
            | "cat-file"
            | "grep"
            | "version"
            | "show-ref"
            | "for-each-ref"
            | "name-rev"
            | "merge-base"
            | "whatchanged"
            | "count-objects"
            | "cherry"
            | "show-branch"
            | "diff-tree"
            | "diff-index"
            | "check-ignore"
            | "var"
    )
}

/// Whether it only shows something.
fn lists(verb: &str, rest: &Given) -> bool {
    match verb {
        "branch" => {
            rest.operands.is_empty() && !rest.short("dDmMcCuf") && !rest.long(&["delete", "move", "copy"])
        }
        "tag" => rest.operands.is_empty() && !rest.short("dasf") || rest.short("l") || rest.long(&["list"]),
        "remote" => rest.operands.is_empty() || rest.verb() == Some("get-url"),
        "stash" => matches!(rest.verb(), Some("list" | "show")),
        "reflog" => matches!(rest.verb(), None | Some("show")),
        "worktree" => rest.verb() == Some("list"),
        "config" => {
            rest.short("l") && rest.operands.is_empty()
                || rest.long(&["get", "list", "get-all"]) && rest.operands.len() < 2
        }
        _ => false,
    }
}

/// The options of a command that changes something; `None` where it is not known.
fn spec_of(verb: &str) -> Option<Spec> {
    let (flags, short, long) = match verb {
        "add" => ("Anuvf", "", "all update force verbose intent-to-add dry-run ignore-errors no-all chmod="),
        "am" => ("3ksqi", "", "3way abort continue skip quiet signoff keep-cr"),
        "apply" => {
            ("3Rv", "p", "3way check index cached reverse stat numstat summary verbose reject whitespace=")
        }
        "branch" => (
            "aDdfMmCcqrvl",
            "u",
            "list all remotes show-current verbose merged? no-merged? contains? sort= format= delete move copy force \
             set-upstream-to= track? no-track quiet column? no-color color?",
        ),
        "checkout" | "switch" => (
            "Bbdfmqctl",
            "",
            "force quiet detach track? no-track orphan create merge ours theirs discard-changes no-guess \
             recurse-submodules",
        ),
        "cherry-pick" | "revert" => {
            ("nsx", "mX", "no-commit no-edit mainline= signoff abort continue skip quit ff strategy-option=")
        }
        "clean" => ("dfnqxX", "e", "force dry-run quiet exclude="),
        "clone" => (
            "lnqvs",
            "bo",
            "quiet verbose progress no-checkout bare mirror branch= origin= depth= single-branch no-single-branch \
             shallow-since= recursive recurse-submodules? jobs= no-tags filter= sparse local no-hardlinks shared \
             separate-git-dir= dissociate",
        ),
        "commit" => (
            "anqsv",
            "mFC",
            "all message= file= amend no-edit quiet signoff author= date= allow-empty allow-empty-message no-verify \
             reuse-message= reset-author only include dry-run no-gpg-sign fixup= cleanup= verbose trailer=",
        ),
        "config" => {
            ("lz", "", "get list get-all global local system show-origin show-scope null name-only type=")
        }
        "fetch" | "pull" => (
            "46afknpqtvr",
            "j",
            "all quiet verbose prune prune-tags tags no-tags depth= unshallow force dry-run progress jobs= rebase? \
             no-rebase ff ff-only no-ff no-edit autostash no-autostash no-commit squash no-recurse-submodules set-upstream",
        ),
        "gc" => ("q", "", "quiet auto aggressive prune? no-prune force"),
        "init" => ("q", "b", "quiet bare initial-branch= shared? object-format="),
        "ls-remote" => ("hqt", "", "heads tags refs quiet exit-code get-url symref sort= branches"),
        "merge" => (
            "nqv",
            "mFX",
            "ff ff-only no-ff no-edit no-commit commit squash abort continue quit message= file= quiet verbose stat \
             no-stat strategy-option= allow-unrelated-histories no-verify autostash no-gpg-sign",
        ),
        "mv" => ("fknv", "", "force verbose dry-run"),
        "prune" => ("nv", "", "dry-run verbose expire="),
        "push" => (
            "46fnqvud",
            "",
            "all mirror tags follow-tags force force-with-lease? force-if-includes delete dry-run porcelain quiet verbose \
             progress set-upstream no-verify atomic prune",
        ),
        "reflog" => ("", "n", "all date= format= oneline max-count="),
        "remote" => ("v", "", "verbose all push"),
        "reset" => ("qN", "", "hard soft mixed merge keep quiet no-refresh intent-to-add"),
        "restore" => ("SWq", "s", "staged worktree source= quiet ours theirs merge"),
        "rm" => ("fnqr", "", "force dry-run quiet cached ignore-unmatch"),
        "stash" => ("aukqS", "m", "all include-untracked keep-index quiet staged message= stat index"),
        "tag" => (
            "adfls",
            "mFn",
            "list delete force annotate sign message= file= sort= format= contains? merged? points-at= no-sign",
        ),
        "worktree" => ("dfvqBb", "", "force detach verbose porcelain lock quiet checkout no-checkout"),
        _ => return None,
    };
    let spec = Spec::new(flags, short, long);
    // `-n5` and `-n`
    Some(if verb == "tag" { Spec::new(flags, "mF", long).attached("n") } else { spec })
}

/// What commands that only show take. Not among them: `--output`, `--ext-diff`, `--textconv`, `-O`, `--open-files-in-pager`.
///
/// Of some letters it depends on the command whether the next word is theirs: it is read as one of its own.
const SHOWS: Spec = Spec::new(
    "abcdEeFfGghHiIklmNopPqrRstuvVwWxyz0123456789^",
    "",
    "oneline graph all stat? numstat shortstat name-only name-status pretty? format= abbrev-commit no-abbrev-commit \
     abbrev? no-abbrev decorate? no-decorate since= until= after= before= author= committer= grep= max-count= skip= \
     no-merges merges first-parent follow reverse patch no-patch cached staged color? no-color word-diff? color-words? \
     ignore-all-space ignore-space-change ignore-blank-lines ignore-space-at-eol diff-filter= date= tags? branches? \
     remotes? heads left-right cherry-pick cherry-mark topo-order date-order author-date-order full-history \
     simplify-by-decoration exit-code quiet check binary raw patch-with-stat summary dirstat? no-renames \
     find-renames? find-copies? no-ext-diff no-textconv unified= inter-hunk-context= minimal patience histogram \
     diff-algorithm= text full-index relative? merge-base short? porcelain? long branch show-stash ahead-behind \
     untracked-files? ignored? ignore-submodules? column? no-column others modified deleted stage killed unmerged \
     exclude-standard exclude= error-unmatch full-name show-toplevel git-dir git-common-dir show-prefix show-cdup \
     is-inside-work-tree is-inside-git-dir is-bare-repository verify symbolic-full-name absolute-git-dir \
     is-shallow-repository always dirty? exact-match match= candidates= contains count sort= points-at= merged? \
     no-merged? verbose human-readable batch-check dereference name-rev no-undefined is-ancestor octopus independent \
     numbered email summary line-porcelain incremental root show-email show-name show-number line-number \
     files-with-matches files-without-match ignore-case word-regexp extended-regexp fixed-strings perl-regexp \
     invert-match break heading max-depth= threads= and or not untracked recurse-submodules no-index non-matching \
     no-prefix src-prefix= dst-prefix= function-context notes? no-notes show-pulls parents children boundary \
     min-parents= max-parents= reflog walk-reflogs source log-size encoding= build-options object-only name-status \
     eol head hash?",
)
.attached("ALnSU");
const GREP: Spec = Spec::new(
    "acEFGHhIiklLnopPqrvwWz0123456789",
    "ABCefm",
    "cached no-index untracked text ignore-case invert-match word-regexp extended-regexp basic-regexp perl-regexp \
     fixed-strings line-number column files-with-matches name-only files-without-match null only-matching count \
     color? no-color break heading show-function function-context max-depth= threads= and or not all-match quiet \
     recurse-submodules full-name context= after-context= before-context= max-count=",
);
