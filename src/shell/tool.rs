//! Programs with commands of their own: `git`, `docker`, `rsync`, `curl`, package managers.

use super::call::Call;
use super::judge::Judge;
use super::options::{Given, Spec};
use super::word::Word;
use crate::domain::facts::Effect;

impl Judge {
    /// Judges a program by its own commands; `false` when it is none of these.
    pub(super) fn tool(&mut self, call: Call<'_>) -> bool {
        match call.name {
            "git" => self.git(call),
            "git-upload-pack" | "git-upload-archive" | "git-receive-pack" | "git-shell" => {
                self.unjudged();
                call.words.iter().for_each(|word| self.path(word.path()));
            }
            "docker" | "podman" | "nerdctl" => self.docker(call),
            "docker-compose" => self.effects(&[Effect::Network, Effect::Unjudged]),
            "kubectl" | "oc" => self.kubectl(call),
            "helm" | "aws" | "gcloud" | "az" | "gsutil" | "s3cmd" | "rclone" => {
                self.effect(Effect::Network);
                let removes = |word: &Word| {
                    word.as_known().is_some_and(|text| {
                        matches!(
                            text,
                            "rm" | "rb" | "delete" | "purge" | "sync" | "uninstall" | "del" | "move"
                        )
                    })
                };
                if call.words.iter().any(removes) {
                    self.effects(&[Effect::Delete, Effect::DeleteTree]);
                }
                if call.words.iter().any(|word| word.as_known().is_none()) {
                    self.unjudged();
                }
                call.words.iter().for_each(|word| self.path_like(word));
            }
            "rsync" => self.rsync(call),
            "scp" => {
                self.effects(&[Effect::Network, Effect::Write]);
                let given = Spec { short: "cDFiJloPSX", long: &[], leading: false }.read(call.words);
                if given.hidden || given.short("oSFD") {
                    self.unjudged();
                }
                given.operands.iter().for_each(|word| self.path_like(word));
            }
            "sftp-server" | "internal-sftp" => self.effects(&[Effect::Unjudged, Effect::Write]),
            "curl" | "wget" | "wget2" | "http" | "https" | "httpie" | "axel" | "fetch" => self.download(call),
            "ping" | "ping6" | "traceroute" | "tracepath" | "mtr" | "dig" | "host" | "nslookup" | "whois"
            | "drill" | "arping" => {
                self.effect(Effect::Network);
                let reads = |word: &Word| word.as_known().is_none_or(|text| text.starts_with("-f"));
                if call.name == "dig" && call.words.iter().any(reads) {
                    self.unjudged();
                }
            }
            "apt" | "apt-get" | "aptitude" | "yum" | "dnf" | "zypper" | "pacman" | "apk" | "brew"
            | "snap" | "flatpak" | "pkg" | "opkg" => {
                self.packages(call);
            }
            "dpkg" | "rpm" => {
                let given = Spec::PLAIN.read(call.words);
                let asks = !given.hidden
                    && if call.name == "dpkg" {
                        !given.other_than(
                            "lLsSp",
                            &[
                                "list",
                                "listfiles",
                                "status",
                                "search",
                                "get-selections",
                                "print-architecture",
                            ],
                        )
                    } else {
                        given.short("q")
                            && !given.other_than(
                                "qailfcdVR",
                                &["changelog", "last", "all", "info", "list", "query"],
                            )
                    };
                if !asks {
                    self.effects(&[Effect::Code, Effect::Write]);
                    self.unjudged();
                }
            }
            _ => return false,
        }
        true
    }

    fn git(&mut self, call: Call<'_>) {
        let spec = Spec {
            short: "Cc",
            long: &[
                "git-dir",
                "work-tree",
                "namespace",
                "exec-path",
                "config-env",
                "super-prefix",
                "list-cmds",
            ],
            leading: true,
        };
        let given = spec.read(call.words);
        // configuration names programs, and another folder has its own
        if given.hidden
            || given.other_than(
                "CPp",
                &[
                    "no-pager",
                    "paginate",
                    "version",
                    "help",
                    "bare",
                    "no-optional-locks",
                    "literal-pathspecs",
                ],
            )
        {
            self.effects(&[Effect::Code, Effect::Unjudged]);
        }
        for folder in given.values("C", "") {
            self.reads(&folder);
        }
        let words = given.operands.get(1..).unwrap_or_default();
        let Some(verb) = given.verb() else {
            if !given.operands.is_empty() {
                self.unjudged();
            }
            return;
        };
        let rest = Spec { short: "", long: &[], leading: false }.read(words);
        let strange = [
            "output",
            "ext-diff",
            "open-files-in-pager",
            "upload-pack",
            "receive-pack",
            "exec",
            "textconv",
            "extcmd",
            "tool",
            "config",
            "template",
            "edit",
            "editor",
            "gpg-sign",
            "show-signature",
            "filters",
            "interactive",
        ];
        if rest.long(&["output"]) {
            self.effect(Effect::Write);
        }
        let read_only = match verb {
            "status" | "log" | "diff" | "show" | "rev-parse" | "rev-list" | "ls-files" | "ls-tree"
            | "blame" | "annotate" | "shortlog" | "describe" | "cat-file" | "grep" | "version"
            | "show-ref" | "for-each-ref" | "name-rev" | "merge-base" | "whatchanged" | "count-objects"
            | "cherry" | "show-branch" | "diff-tree" | "diff-index" | "check-ignore" | "var" => true,
            "branch" => {
                rest.operands.is_empty()
                    && !rest.short("dDmMcCu")
                    && !rest.other_than(
                        "avrlq",
                        &["list", "all", "remotes", "show-current", "verbose", "merged", "no-merged"],
                    )
            }
            "tag" => rest.operands.is_empty() && !rest.other_than("ln", &["list"]),
            "remote" => {
                rest.operands.is_empty() && !rest.other_than("v", &["verbose"])
                    || rest.verb() == Some("get-url")
            }
            "stash" => matches!(rest.verb(), Some("list" | "show")),
            "reflog" => matches!(rest.verb(), None | Some("show")),
            "worktree" => rest.verb() == Some("list"),
            "config" => {
                rest.long(&["get", "list", "get-all"])
                    && !rest.other_than(
                        "lz",
                        &["get", "list", "get-all", "global", "local", "system", "show-origin"],
                    )
                    || rest.short("l") && rest.operands.is_empty()
            }
            _ => false,
        };
        if read_only {
            let quiet =
                given.long(&["no-pager"]) || matches!(verb, "status" | "rev-parse" | "ls-files" | "version");
            if rest.long(&strange) || rest.short("O") || rest.hidden {
                self.effects(&[Effect::Code, Effect::Unjudged]);
            }
            if !quiet {
                self.pager(call.context);
            }
            words.iter().for_each(|word| self.path_like(word));
            return;
        }
        self.git_changes(verb, &rest, words);
    }

    fn git_changes(&mut self, verb: &str, rest: &Given, words: &[Word]) {
        self.effect(Effect::Write);
        match verb {
            "clean" => self.effects(&[Effect::Delete, Effect::DeleteTree]),
            "rm" => {
                self.effect(Effect::Delete);
                if rest.short("r")
                    || rest.hidden
                    || rest.operands.iter().any(|word| word.as_known().is_none())
                {
                    self.effect(Effect::DeleteTree);
                }
            }
            "worktree" if rest.verb() != Some("add") => self.effects(&[Effect::Delete, Effect::DeleteTree]),
            "clone" | "fetch" | "pull" | "push" | "ls-remote" | "archive" => {
                self.effect(Effect::Network);
                // `ext::` runs a program; so do these
                let strange = |word: &Word| {
                    word.as_known().is_none_or(|text| {
                        text.contains("::") || text.starts_with("-c") || text.starts_with("-u")
                    })
                };
                if words.iter().any(strange)
                    || rest.long(&["upload-pack", "receive-pack", "exec", "config", "template"])
                {
                    self.unjudged();
                }
            }
            "add" | "commit" | "checkout" | "switch" | "restore" | "reset" | "merge" | "cherry-pick"
            | "revert" | "mv" | "init" | "branch" | "tag" | "stash" | "gc" | "prune" | "apply" | "am"
            | "worktree" => {
                if rest.long(&["exec", "edit", "template", "config", "strategy", "tool"]) || rest.hidden {
                    self.unjudged();
                }
            }
            // an alias of the repository, or a command that runs others
            _ => self.effects(&[Effect::Code, Effect::Unjudged]),
        }
        words.iter().for_each(|word| self.path_like(word));
    }

    fn docker(&mut self, call: Call<'_>) {
        let given = Spec { short: "Hlc", long: &["host", "log-level", "context", "config"], leading: true }
            .read(call.words);
        let rest = given.operands.get(1..).unwrap_or_default();
        let second = rest.first().and_then(Word::as_known);
        let strange = given.hidden || given.short("H") || given.long(&["host", "context", "config"]);
        match (given.verb(), second) {
            _ if strange => self.effects(&[Effect::Network, Effect::Unjudged]),
            (
                Some(
                    "ps" | "images" | "logs" | "inspect" | "version" | "info" | "stats" | "top" | "port"
                    | "diff" | "history" | "events",
                ),
                _,
            ) => {}
            (
                Some(
                    "image" | "container" | "volume" | "network" | "system" | "node" | "service" | "context",
                ),
                Some("ls" | "list" | "inspect" | "df" | "info" | "ps" | "logs"),
            ) => {}
            (_, Some("prune" | "rm" | "remove")) | (Some("rm" | "rmi"), _) => {
                self.effects(&[Effect::Delete, Effect::DeleteTree]);
            }
            (Some("stop" | "kill" | "restart" | "pause"), _) | (_, Some("stop" | "kill" | "restart")) => {
                self.effect(Effect::Stop);
            }
            (Some("start" | "unpause" | "tag" | "wait"), _) => self.changes(),
            (Some("pull" | "push" | "login" | "search"), _) => self.effect(Effect::Network),
            _ => self.effects(&[Effect::Network, Effect::Unjudged]),
        }
    }

    fn kubectl(&mut self, call: Call<'_>) {
        let spec = Spec {
            short: "nsf",
            long: &["namespace", "context", "kubeconfig", "server", "token", "as", "cluster", "user"],
            leading: true,
        };
        let given = spec.read(call.words);
        self.effect(Effect::Network);
        match given.verb() {
            Some(
                "get" | "describe" | "logs" | "version" | "top" | "explain" | "api-resources"
                | "api-versions" | "cluster-info" | "auth" | "wait",
            ) => {}
            Some("delete" | "drain") => self.effects(&[Effect::Delete, Effect::DeleteTree]),
            Some("scale" | "rollout" | "cordon" | "uncordon") => self.effect(Effect::Stop),
            _ => self.unjudged(),
        }
        if given.hidden {
            self.unjudged();
        }
    }

    fn rsync(&mut self, call: Call<'_>) {
        let spec = Spec {
            short: "efTBM",
            long: &[
                "rsh",
                "rsync-path",
                "files-from",
                "exclude-from",
                "include-from",
                "exclude",
                "include",
                "filter",
                "log-file",
                "password-file",
                "temp-dir",
                "backup-dir",
                "suffix",
                "compare-dest",
                "copy-dest",
                "link-dest",
                "bwlimit",
                "timeout",
                "chmod",
                "chown",
                "port",
                "max-size",
                "min-size",
                "partial-dir",
                "remote-option",
                "write-batch",
                "read-batch",
                "config",
                "sockopts",
                "address",
                "out-format",
            ],
            leading: false,
        };
        let given = spec.read(call.words);
        self.effect(Effect::Write);
        if given.long(&[
            "delete",
            "del",
            "delete-before",
            "delete-after",
            "delete-during",
            "delete-delay",
            "delete-excluded",
            "delete-missing-args",
            "remove-source-files",
        ]) {
            self.effects(&[Effect::Delete, Effect::DeleteTree]);
        }
        let plain_rsh = given.values("e", "rsh").iter().all(|word| word.as_known() == Some("ssh"));
        if !plain_rsh
            || given.hidden
            || given.short("M")
            || given.long(&["rsync-path", "daemon", "config", "server", "remote-option", "read-batch"])
        {
            self.unjudged();
        }
        self.write_all(&given.values("", "log-file"));
        self.write_all(&given.values("", "write-batch"));
        let remote = |word: &Word| word.as_known().is_none_or(|text| text.contains(':'));
        if given.operands.iter().any(remote) {
            self.effect(Effect::Network);
        }
        match given.operands.split_last() {
            Some((target, sources)) if !sources.is_empty() && !remote(target) => {
                self.writes(target);
                self.read_all(sources);
            }
            _ => given.operands.iter().for_each(|word| self.path_like(word)),
        }
    }

    fn download(&mut self, call: Call<'_>) {
        self.effect(Effect::Network);
        let spec = Spec {
            short: "oOAbcCdDeEFHKmPQrtTuUwxXyYz",
            long: &[
                "output",
                "output-document",
                "output-dir",
                "header",
                "request",
                "data",
                "data-binary",
                "data-raw",
                "user",
                "user-agent",
                "cookie",
                "cookie-jar",
                "form",
                "config",
                "max-time",
                "connect-timeout",
                "retry",
                "write-out",
                "proxy",
                "cacert",
                "cert",
                "key",
                "resolve",
                "upload-file",
                "referer",
                "range",
                "url",
                "dump-header",
                "trace",
                "trace-ascii",
                "stderr",
                "directory-prefix",
            ],
            leading: false,
        };
        let spec = match call.name {
            "curl" => Spec { short: "oAbcCdDeEFHKmPQrtTuUwxXyYz", ..spec },
            "wget" | "wget2" => Spec { short: "oOaeitTwQPUBDAR", ..spec },
            _ => spec,
        };
        let given = spec.read(call.words);
        let mut files = given.values("oD", "output");
        for name in [
            "output-document",
            "cookie-jar",
            "dump-header",
            "trace",
            "trace-ascii",
            "stderr",
            "output-dir",
            "directory-prefix",
        ] {
            files.extend(given.values("", name));
        }
        if call.name == "curl" {
            files.extend(given.values("c", ""));
            if given.short("OJ") || given.long(&["remote-name", "remote-name-all", "libcurl"]) {
                self.effect(Effect::Write);
            }
            // a file of options
            if given.short("K") || given.long(&["config"]) {
                self.unjudged();
            }
        } else {
            files.extend(given.values("OaP", ""));
            let standard = files.iter().any(|word| word.as_known() == Some("-"));
            if !standard {
                self.effect(Effect::Write);
            }
            if given.short("ei")
                || given.long(&["execute", "use-askpass", "config", "input-file", "post-file", "body-file"])
            {
                self.unjudged();
            }
        }
        files.retain(|word| word.as_known() != Some("-"));
        self.write_all(&files);
        if given.hidden && call.words.iter().any(|word| matches!(word, Word::Unknown { splits: true, .. })) {
            self.unjudged();
        }
    }

    fn packages(&mut self, call: Call<'_>) {
        let given = Spec { short: "octg", long: &["option", "config-file", "setopt"], leading: false }
            .read(call.words);
        // options name programs to run before and after
        if given.hidden
            || given.short("oc")
            || given.long(&["option", "config-file", "setopt", "config", "setopt"])
        {
            self.unjudged();
        }
        match given.verb() {
            Some(
                "list" | "show" | "search" | "policy" | "info" | "check-update" | "repolist" | "depends"
                | "rdepends" | "outdated",
            ) => {}
            Some(
                "remove" | "purge" | "autoremove" | "erase" | "uninstall" | "clean" | "del" | "autoclean",
            ) => {
                self.effects(&[Effect::Delete, Effect::Write]);
            }
            Some("changelog" | "edit-sources" | "source") => self.unjudged(),
            _ => self.effects(&[Effect::Network, Effect::Write]),
        }
    }
}
