//! Programs that change nothing.
//!
//! Only what is listed here can make a command line read-only. A program is listed with the options that make it
//! do more. What a listed program does through its own configuration (`git` hooks and filters, a profile that
//! shadows a name) is the host's.

use super::call::Call;
use super::judge::Judge;
use super::options::Spec;
use super::variables;
use super::word::Word;
use crate::domain::facts::Effect;

impl Judge {
    /// Judges a program that is known to change nothing, or to do so with these arguments; `false` when it is not known.
    pub(super) fn reader(&mut self, call: Call<'_>) -> bool {
        if TALKERS.contains(&call.name) {
            // their words are no paths
            if call.name == "printf" {
                self.printf(call);
            }
            return true;
        }
        if READERS.contains(&call.name) {
            self.operands_read(call);
            return true;
        }
        match call.name {
            "test" | "[" => self.test(call),
            "grep" | "egrep" | "fgrep" | "zgrep" | "rg" => self.grep(call),
            "jq" => {
                let given =
                    Spec { short: "fL", long: &["from-file", "indent"], leading: false }.read(call.words);
                self.read_all(given.operands.get(1..).unwrap_or_default());
            }
            "sort" | "gsort" => {
                let given = Spec {
                    short: "kotST",
                    long: &["output", "key", "field-separator", "compress-program", "files0-from"],
                    leading: false,
                }
                .read(call.words);
                if given.long(&["compress-program"]) || given.hidden && call.words.iter().any(unclear) {
                    self.unjudged();
                }
                self.write_all(&given.values("o", "output"));
                self.read_all(&given.operands);
            }
            "uniq" | "xxd" => {
                let given = Spec {
                    short: if call.name == "uniq" { "fsw" } else { "cglos" },
                    long: &[],
                    leading: false,
                }
                .read(call.words);
                if let [input, output] = given.operands.as_slice() {
                    self.reads(input);
                    self.writes(output);
                } else if given.operands.len() > 2 || given.hidden && call.words.iter().any(unclear) {
                    self.unjudged();
                } else {
                    self.read_all(&given.operands);
                }
            }
            "date" | "gdate" => {
                let given = Spec { short: "dfr", long: &["date", "file", "reference"], leading: false }
                    .read(call.words);
                let format = |word: &Word| match word {
                    Word::Known(text) => text.starts_with('+'),
                    Word::Pattern(_) => false,
                    Word::Unknown { lead, splits } => lead.starts_with('+') && !splits,
                };
                if given.short("s") || given.long(&["set"]) || !given.operands.iter().all(format) {
                    self.effect(Effect::Privilege);
                }
            }
            "hostname" | "domainname" => {
                let given = Spec::PLAIN.read(call.words);
                if !given.operands.is_empty()
                    || given.other_than("fdisIaAy", &["fqdn", "short", "ip-address", "all-ip-addresses"])
                {
                    self.effect(Effect::Privilege);
                }
            }
            "hostnamectl" | "timedatectl" | "localectl" => {
                let given = Spec::PLAIN.read(call.words);
                if !matches!(given.verb(), None | Some("status" | "show" | "list-timezones")) || given.hidden
                {
                    self.effect(Effect::Privilege);
                }
                self.pager(call.context);
            }
            "journalctl" => {
                let spec = Spec {
                    short: "utopSUgcD",
                    long: &[
                        "unit",
                        "since",
                        "until",
                        "output",
                        "priority",
                        "identifier",
                        "grep",
                        "cursor",
                        "directory",
                        "file",
                    ],
                    leading: false,
                };
                let given = spec.read(call.words);
                let changes = [
                    "vacuum-size",
                    "vacuum-time",
                    "vacuum-files",
                    "rotate",
                    "flush",
                    "sync",
                    "relinquish-var",
                    "smart-relinquish-var",
                    "setup-keys",
                    "update-catalog",
                    "cursor-file",
                ];
                if given.long(&changes) || given.hidden && call.words.iter().any(unclear) {
                    self.effects(&[Effect::Delete, Effect::Write]);
                }
                if !given.long(&["no-pager"]) {
                    self.pager(call.context);
                }
            }
            "dmesg" => self.allowed(
                call,
                "HTkuxLrPSwWtelfdp",
                &["human", "ctime", "kernel", "follow", "level", "facility", "decode", "nopager", "color"],
            ),
            "sysctl" => {
                let sets = |word: &Word| {
                    word.as_known().is_none_or(|text| {
                        text.contains('=')
                            || text.starts_with("-w")
                            || text.starts_with("-p")
                            || text.starts_with("--")
                    })
                };
                if call.words.iter().any(sets) {
                    self.effect(Effect::Privilege);
                }
            }
            "ss" => self.allowed(
                call,
                "tulnpaxwesimroHO46",
                &["tcp", "udp", "listening", "numeric", "processes", "all", "summary"],
            ),
            "file" => self.allowed(call, "biLzskrhN0", &["brief", "mime", "mime-type", "dereference"]),
            "tree" => self.allowed(call, "adflpsugDhLiFQNCP", &["dirsfirst", "du", "noreport"]),
            "lsof" => self.allowed(call, "inpuctPaUlsRt", &[]),
            "ip" => self.ip(call),
            "ifconfig" | "arp" | "iostat" | "mpstat" | "sar" | "vmstat" | "netstat" => {
                if call.words.iter().any(|word| {
                    word.as_known().is_none_or(|text| !text.starts_with('-') && text.parse::<u32>().is_err())
                }) {
                    self.changes();
                }
            }
            _ => return false,
        }
        true
    }

    fn operands_read(&mut self, call: Call<'_>) {
        // `tail -n 5`, `head -c 5`: the value is no path
        let short = match call.name {
            "base32" | "base64" | "fold" => "w",
            "cut" => "bcdf",
            "diff" => "UCIx",
            "du" => "dBtX",
            "head" => "nc",
            "ls" => "IwT",
            "od" => "AjNtSw",
            "paste" => "d",
            "stat" => "c",
            "strings" => "nte",
            "tail" => "ncs",
            _ => "",
        };
        let spec = Spec { short, long: &["lines", "bytes", "format", "delimiter", "fields"], leading: false };
        let given = spec.read(call.words);
        self.read_all(&given.operands);
    }

    /// Options that are known to change nothing, and any operands.
    fn allowed(&mut self, call: Call<'_>, short: &str, long: &[&str]) {
        let given = Spec::PLAIN.read(call.words);
        if given.other_than(short, long) || given.hidden && call.words.iter().any(unclear) {
            self.changes();
            self.unjudged();
        }
        self.read_all(&given.operands);
    }

    fn grep(&mut self, call: Call<'_>) {
        let short = if call.name == "rg" { "ABCefmdgtT" } else { "ABCefmdD" };
        let spec = Spec {
            short,
            long: &[
                "regexp",
                "file",
                "max-count",
                "include",
                "exclude",
                "exclude-dir",
                "context",
                "after-context",
                "before-context",
                "glob",
                "type",
            ],
            leading: false,
        };
        let given = spec.read(call.words);
        // ripgrep's preprocessor
        if given.long(&["pre", "hostname-bin"]) && call.name == "rg"
            || call.name == "rg" && given.hidden && call.words.iter().any(unclear)
        {
            self.unjudged();
        }
        for file in given.values("f", "file") {
            self.reads(&file);
        }
        let pattern =
            usize::from(given.values("e", "regexp").is_empty() && given.values("f", "file").is_empty());
        self.read_all(given.operands.get(pattern..).unwrap_or_default());
    }

    fn printf(&mut self, call: Call<'_>) {
        // `printf -v NAME` sets a variable
        match call.words {
            [first, name, ..]
                if first.as_known() == Some("-v") && name.as_known().is_none_or(variables::decides) =>
            {
                self.unjudged();
            }
            [first, ..] if first.as_known() == Some("-v") => {}
            [Word::Known(first), ..] if first.starts_with("-v") => self.unjudged(),
            [Word::Unknown { splits: true, .. }, ..] => self.unjudged(),
            _ => {}
        }
    }

    /// `-v NAME[…]` evaluates the index.
    fn test(&mut self, call: Call<'_>) {
        let splits = |word: &Word| matches!(word, Word::Unknown { splits: true, .. });
        let first_unclear = call.words.first().is_some_and(|word| word.as_known().is_none());
        let words: Vec<&Word> = call.words.iter().filter(|word| word.as_known() != Some("]")).collect();
        if call.words.iter().any(splits) || first_unclear && words.len() == 2 {
            self.unjudged();
        }
        for pair in words.windows(2) {
            if let [operator, name] = pair
                && operator.as_known() == Some("-v")
                && !name.as_known().is_some_and(variables::is_name)
            {
                self.unjudged();
            }
        }
        words.iter().for_each(|word| self.path_like(word));
    }

    fn ip(&mut self, call: Call<'_>) {
        let given = Spec { short: "fn", long: &[], leading: false }.read(call.words);
        let shows = match given.operands.as_slice() {
            [_] => true,
            [_, verb, ..] => matches!(verb.as_known(), Some("show" | "list" | "ls" | "get" | "sh")),
            [] => true,
        };
        let plain = !given.short("bfn") && !given.long(&["batch", "force", "netns"]) && !given.hidden;
        if !shows || !plain || matches!(given.verb(), Some("netns" | "vrf")) && given.operands.len() > 1 {
            self.effect(Effect::Network);
            self.unjudged();
        }
    }
}

/// Whether a word may be an option, for programs in which a pattern of files is ordinary.
fn unclear(word: &Word) -> bool {
    matches!(word, Word::Unknown { .. }) && word.may_hide_options()
}

/// Their operands are no paths.
const TALKERS: &[&str] = &[
    ":",
    "arch",
    "bg",
    "break",
    "continue",
    "disown",
    "echo",
    "exit",
    "expr",
    "factor",
    "false",
    "fg",
    "free",
    "getconf",
    "getent",
    "groups",
    "hostid",
    "id",
    "jobs",
    "last",
    "lastb",
    "locale",
    "logname",
    "lsb_release",
    "lscpu",
    "lsmod",
    "lspci",
    "lsusb",
    "nproc",
    "numfmt",
    "pgrep",
    "pidof",
    "printenv",
    "printf",
    "ps",
    "pstree",
    "pwd",
    "return",
    "seq",
    "shift",
    "sleep",
    "times",
    "true",
    "tty",
    "type",
    "tzselect-show",
    "ulimit",
    "umask",
    "uname",
    "uptime",
    "users",
    "w",
    "wait",
    "whatis",
    "whereis",
    "which",
    "who",
    "whoami",
    "apropos",
    "cal",
    "logout",
    "yes",
    "tr",
    "apt-cache",
    "dpkg-query",
];

/// Their operands are files that they read.
const READERS: &[&str] = &[
    "b2sum",
    "base32",
    "base64",
    "basename",
    "blkid",
    "cat",
    "cd",
    "cksum",
    "cmp",
    "column",
    "comm",
    "cut",
    "df",
    "diff",
    "diff3",
    "dir",
    "dirname",
    "dirs",
    "du",
    "expand",
    "findmnt",
    "fmt",
    "fold",
    "getfacl",
    "getfattr",
    "gstat",
    "head",
    "hexdump",
    "hd",
    "join",
    "ls",
    "lsattr",
    "lsblk",
    "md5sum",
    "mountpoint",
    "namei",
    "nl",
    "od",
    "paste",
    "popd",
    "pr",
    "pushd",
    "readlink",
    "realpath",
    "rev",
    "sha1sum",
    "sha224sum",
    "sha256sum",
    "sha384sum",
    "sha512sum",
    "stat",
    "strings",
    "sum",
    "tac",
    "tail",
    "tsort",
    "unexpand",
    "vdir",
    "wc",
    "zcat",
    "bzcat",
    "xzcat",
    "zstdcat",
    "exa",
    "eza",
];
