//! Programs that change nothing.
//!
//! Only what is listed here, or in `vocabulary`, can make a command line read-only, and a program only with the
//! options that are listed for it. What a listed program does through its own configuration (`git` hooks and filters, a profile that
//! shadows a name) is the host's.

use super::call::Call;
use super::judge::Judge;
use super::options::Spec;
use super::variables;
use super::vocabulary::{self, Entry, Operands};
use super::word::Word;
use crate::domain::facts::Effect;

impl Judge {
    /// Judges a program that is known to change nothing, or to do so with these arguments; `false` when it is not known.
    pub(super) fn reader(&mut self, call: Call<'_>) -> bool {
        if let Some(entry) = vocabulary::entry(call.name) {
            self.listed(call, &entry);
            return true;
        }
        match call.name {
            "printf" => self.printf(call),
            "test" | "[" => self.test(call),
            "grep" | "egrep" | "fgrep" | "zgrep" | "rg" => self.grep(call),
            "jq" => {
                let spec = Spec::new(
                    "acCeMnrRsSj",
                    "",
                    "null-input raw-input slurp compact-output raw-output join-output ascii-output color-output \
                     monochrome-output tab sort-keys exit-status indent=",
                );
                let given = self.given(&spec, call.words);
                self.read_all(given.operands.get(1..).unwrap_or_default());
            }
            "sort" | "gsort" => {
                let spec = Spec::new(
                    "bcCdfghiMmnRrsuVz",
                    "kotS",
                    "ignore-leading-blanks dictionary-order ignore-case general-numeric-sort human-numeric-sort \
                     ignore-nonprinting month-sort numeric-sort random-sort reverse version-sort check? merge stable \
                     unique zero-terminated parallel= output= key= field-separator= buffer-size=",
                );
                let given = self.given_openly(&spec, call.words);
                self.write_all(&given.values("o", "output"));
                self.read_all(&given.operands);
            }
            "uniq" | "xxd" => self.filter(call),
            "date" | "gdate" => {
                let spec = Spec::new(
                    "uR",
                    "dfr",
                    "date= file= reference= utc universal rfc-email rfc-3339= iso-8601? debug",
                );
                let given = self.given(&spec.attached("I"), call.words);
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
                let spec =
                    Spec::new("fdisIaAy", "", "fqdn short ip-address all-ip-addresses all-fqdns domain");
                let given = self.given(&spec, call.words);
                if !given.operands.is_empty() || given.strange {
                    self.effect(Effect::Privilege);
                }
            }
            "hostnamectl" | "timedatectl" | "localectl" => {
                let given = self.given_openly(&Spec::new("al", "", "no-pager all json="), call.words);
                if !matches!(given.verb(), None | Some("status" | "show" | "list-timezones")) {
                    self.effect(Effect::Privilege);
                }
                if !given.long(&["no-pager"]) {
                    self.pager(call.context);
                }
            }
            "journalctl" => self.journal(call),
            "dmesg" => {
                let spec = Spec::new(
                    "HTkuxLrPSwWetdp",
                    "lf",
                    "human ctime kernel userspace follow level= facility= decode nopager color? raw reltime notime \
                     time-format=",
                );
                let given = self.given_openly(&spec, call.words);
                if given.short("H") || given.long(&["human"]) {
                    self.pager(call.context);
                }
            }
            "sysctl" => {
                let given =
                    self.given(&Spec::new("aAbdeNnqX", "", "all names values binary quiet"), call.words);
                let plain = |word: &Word| {
                    word.as_known().is_some_and(|text| {
                        text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/*".contains(c))
                    })
                };
                if given.strange || !given.operands.iter().all(plain) {
                    self.effect(Effect::Privilege);
                }
            }
            "ss" => self.allowed(
                call,
                Spec::new(
                    "tulnpaxwesimroHO46hV0SdbTZzM",
                    "f",
                    "tcp udp listening numeric processes all summary unix raw ipv4 ipv6 extended memory info \
                     no-header oneline family= options resolve",
                ),
            ),
            "file" => self
                .allowed(call, Spec::new("biLhNkrs0", "", "brief mime mime-type mime-encoding dereference")),
            "tree" => self.allowed(
                call,
                Spec::new("adflpsugDhiFQNCrtcUnA", "LPI", "dirsfirst du noreport prune si inodes filelimit="),
            ),
            "lsof" => self.allowed(call, Spec::new("nPtUlRabNVC", "ipucgds", "")),
            "ip" => self.ip(call),
            "iostat" | "mpstat" | "sar" | "vmstat" => {
                let spec = match call.name {
                    "iostat" => Spec::new("cdhkmNstxyz", "gp", "human"),
                    "mpstat" => Spec::new("AunT", "IP", ""),
                    "sar" => Spec::new("AbBcdFHhpqrRSuvwWxyz", "fIimnPse", ""),
                    _ => Spec::new("adfmnstwDy", "pS", "active disk slabs stats timestamp wide one-header"),
                };
                self.allowed(call, spec);
            }
            "netstat" => self.allowed(
                call,
                Spec::new(
                    "tulnpaxrieosWcgMNvSwFCZ46",
                    "A",
                    "tcp udp listening numeric programs all route interfaces statistics",
                ),
            ),
            "ifconfig" | "arp" => {
                let spec =
                    if call.name == "arp" { Spec::new("aenv", "i", "") } else { Spec::new("asv", "", "") };
                let given = self.given_openly(&spec, call.words);
                if given.operands.len() > 1 {
                    self.effects(&[Effect::Network, Effect::Unjudged]);
                }
            }
            _ => return false,
        }
        true
    }

    /// With the options of its line it changes nothing.
    fn listed(&mut self, call: Call<'_>, entry: &Entry) {
        let given = self.given(&entry.spec, call.words);
        let words = call.words;
        if entry.guarded && given.hidden {
            self.unjudged();
        }
        match entry.operands {
            Operands::Words => {}
            Operands::Files => self.read_all(&given.operands),
            Operands::Numbers => {
                let plain = |word: &Word| {
                    word.is_number()
                        || word.as_known().is_some_and(|text| {
                            let job = text.strip_prefix('%');
                            let mode = call.name == "umask";
                            job.is_some_and(|job| {
                                job.chars().all(|c| c.is_ascii_digit() || "+-%".contains(c))
                            }) || call.name == "ulimit" && text == "unlimited"
                                || mode && text.chars().all(|c| "augorwx=+-,".contains(c))
                        })
                };
                if !given.operands.iter().all(plain) {
                    self.unjudged();
                }
            }
        }
        match call.name {
            "cd" | "pushd" => match given.operands.as_slice() {
                [] if words.is_empty() => {}
                [folder] => self.enters_folder(folder),
                // elsewhere than in bash two replace one part by another
                _ => self.enters_folder(&Word::unknown()),
            },
            "dpkg-query" if given.short("l") || given.long(&["list"]) => self.pager(call.context),
            _ => {}
        }
    }

    /// What reads its first operand and writes its second.
    fn filter(&mut self, call: Call<'_>) {
        let given = if call.name == "uniq" {
            let spec = Spec::new(
                "cdDiuz",
                "fsw",
                "count repeated all-repeated? skip-fields= group? ignore-case skip-chars= unique zero-terminated \
                 check-chars=",
            );
            self.given_openly(&spec.attached("0123456789"), call.words)
        } else {
            // its options are not those of `getopt`: whole words, of which it takes the beginnings
            let known = |word: &Word| match word {
                Word::Known(text) if text.starts_with('-') && text.len() > 1 => {
                    ["-a", "-b", "-e", "-i", "-p", "-ps", "-r", "-u", "-c", "-g", "-l", "-s"]
                        .contains(&text.as_str())
                }
                _ => true,
            };
            if !call.words.iter().all(known) {
                self.unjudged();
            }
            self.given_openly(&Spec::new("abeipru", "cgls", ""), call.words)
        };
        // one pattern may be two files
        if given.operands.len() > 2 || given.operands.iter().any(|word| word.as_known().is_none()) {
            self.unjudged();
        }
        match given.operands.as_slice() {
            [input, output] => {
                self.reads(input);
                self.writes(output);
            }
            operands => self.read_all(operands),
        }
    }

    fn journal(&mut self, call: Call<'_>) {
        let spec = Spec::new(
            "abefkmNqrxF0123456789",
            "cDgioptSuU",
            "all boot? catalog this-boot directory= dmesg facility= fields follow full grep= case-sensitive? \
             identifier= list-boots merge no-full no-hostname no-pager no-tail output= output-fields= pager-end \
             priority= quiet reverse since= system unit= until= user-unit= utc disk-usage lines? field=",
        );
        // its value is in the same word, or is the next where that is one
        let given = self.given_openly(&spec.attached("n"), call.words);
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
        if given.long(&changes) {
            self.effects(&[Effect::Delete, Effect::Write]);
        }
        if !given.long(&["no-pager"]) {
            self.pager(call.context);
        }
    }

    /// Options that are known to change nothing, and any operands.
    fn allowed(&mut self, call: Call<'_>, spec: Spec) {
        let given = self.given_openly(&spec, call.words);
        self.read_all(&given.operands);
    }

    fn grep(&mut self, call: Call<'_>) {
        let spec = if call.name == "rg" {
            Spec::new(
                "acFHhiIlLNnoPpqSsUuvVwxz0",
                "ABCefgmtTrMjdE",
                "regexp= file= glob= type= type-not= count count-matches files files-with-matches \
                 files-without-match fixed-strings hidden ignore-case line-number no-line-number no-heading heading \
                 no-ignore only-matching pcre2 quiet smart-case sort= text word-regexp context= after-context= \
                 before-context= max-count= max-depth= color= follow json multiline invert-match stats type-list \
                 no-config no-filename with-filename vimgrep",
            )
        } else {
            Spec::new(
                "abcEFGHhIiLlnoPqRrsTUuVvwxyZz0123456789",
                "ABCefmdD",
                "regexp= file= max-count= include= exclude= exclude-dir= exclude-from= context= after-context= \
                 before-context= color? colour? extended-regexp fixed-strings basic-regexp perl-regexp ignore-case \
                 no-ignore-case invert-match word-regexp line-regexp count files-with-matches files-without-match \
                 only-matching quiet silent no-messages byte-offset with-filename no-filename label= line-number \
                 initial-tab null text binary-files= recursive dereference-recursive line-buffered null-data \
                 directories= devices=",
            )
        };
        let given = self.given(&spec, call.words);
        // ripgrep's preprocessor
        if call.name == "rg" && given.hidden {
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
        let mut words = call.words;
        // `printf -v NAME` sets a variable
        if let [first, name, rest @ ..] = words
            && first.as_known() == Some("-v")
        {
            if name.as_known().is_none_or(variables::decides) {
                self.unjudged();
            }
            words = rest;
        }
        match words.split_first() {
            None => {}
            Some((Word::Known(format), _)) if format.starts_with('-') && format.len() > 1 => self.unjudged(),
            Some((Word::Known(format), _)) if is_text_only(format) => {}
            // in some shells numbers are arithmetic
            Some((format, numbers)) => {
                let splits = matches!(format, Word::Unknown { splits: true, .. } | Word::Pattern(_));
                if splits || !numbers.iter().all(Word::is_number) {
                    self.unjudged();
                }
            }
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
        for (place, operator) in words.iter().enumerate() {
            let Some(text) = operator.as_known() else { continue };
            let at = |place: Option<usize>| place.and_then(|place| words.get(place)).copied();
            let (before, after) = (at(place.checked_sub(1)), at(place.checked_add(1)));
            let number = |word: Option<&Word>| word.is_none_or(Word::is_number);
            // arithmetic in some shells, and an index is in all
            let plain = match text {
                "-v" | "-R" => after.is_none_or(|name| name.as_known().is_some_and(variables::is_name)),
                "-t" => number(after),
                "-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge" => number(before) && number(after),
                _ => true,
            };
            if !plain {
                self.unjudged();
            }
        }
        words.iter().for_each(|word| self.path_like(word));
    }

    fn ip(&mut self, call: Call<'_>) {
        // whole words, of which it takes the beginnings: `-b` is a file of commands, `-n` another name space
        let known = |word: &Word| match word.as_known() {
            Some(text) if text.starts_with('-') => {
                ["-4", "-6", "-s", "-d", "-o", "-br", "-brief", "-c", "-color", "-j", "-p", "-json"]
                    .contains(&text)
            }
            Some(_) => true,
            None => false,
        };
        if !call.words.iter().all(known) {
            self.unjudged();
        }
        let given = Spec::new("46sdobrcjpief0nlua", "", "").read(call.words);
        let shows = match given.operands.as_slice() {
            [_] => true,
            [_, verb, ..] => matches!(verb.as_known(), Some("show" | "list" | "ls" | "get" | "sh")),
            [] => true,
        };
        if !shows
            || given.strange
            || matches!(given.verb(), Some("netns" | "vrf")) && given.operands.len() > 1
        {
            self.effect(Effect::Network);
            self.unjudged();
        }
    }
}

/// Whether a format of `printf` takes text alone.
fn is_text_only(format: &str) -> bool {
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            continue;
        }
        while chars.next_if(|c| c.is_ascii_digit() || matches!(c, '-' | '.')).is_some() {}
        if !matches!(chars.next(), Some('s' | 'b' | 'c' | 'q' | '%')) {
            return false;
        }
    }
    true
}
