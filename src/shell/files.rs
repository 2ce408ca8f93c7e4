//! Programs that make, change and remove files.

use super::call::Call;
use super::judge::Judge;
use super::options::{Given, Spec};
use super::word::Word;
use crate::domain::facts::Effect;

impl Judge {
    /// Judges what happens to files; `false` when the program is none of these.
    pub(super) fn files(&mut self, call: Call<'_>) -> bool {
        match call.name {
            "rm" | "grm" | "srm" | "trash" | "trash-put" | "rimraf" | "del" => self.rm(call),
            "unlink" | "rmdir" | "grmdir" => {
                let given = Spec::PLAIN.read(call.words);
                self.effect(Effect::Delete);
                self.removed(&given);
            }
            "cp" | "gcp" | "mv" | "gmv" | "ln" | "gln" | "install" | "ginstall" | "link" | "rename"
            | "prename" => self.copy(call),
            "mkdir" | "gmkdir" | "touch" | "mkfifo" | "mknod" | "truncate" | "tee" | "gtee" | "fallocate"
            | "mktemp" | "split" | "sponge" | "ex-write" | "chattr" | "setfattr" | "patch" | "updatedb"
            | "mandb" | "ldconfig" | "dos2unix" | "unix2dos" | "iconv" | "logger" | "wall" | "write"
            | "mesg" | "tput" | "stty" | "reset" | "clear" => self.change(call),
            "chmod" | "chown" | "chgrp" | "setfacl" | "setcap" | "gchmod" | "gchown" | "gchgrp" | "chcon"
            | "restorecon" => {
                self.effects(&[Effect::Privilege, Effect::Write]);
                let short = if call.name == "setfacl" { "mMxX" } else { "" };
                let given = Spec { short, long: &["reference", "from"], leading: false }.read(call.words);
                // `chmod -x FILE`: the mode looks like options
                let moded =
                    given.long(&["reference"]) || call.name.ends_with("chmod") && given.short("rwxXstugo");
                let skip = usize::from(!moded && !matches!(call.name, "setfacl" | "restorecon"));
                let files = given.operands.get(skip..).unwrap_or_default();
                self.write_all(files);
                if given.hidden && files.iter().any(|word| matches!(word, Word::Unknown { .. })) {
                    self.unjudged();
                }
            }
            "gzip" | "gunzip" | "bzip2" | "bunzip2" | "xz" | "unxz" | "zstd" | "unzstd" | "lz4" | "lzma"
            | "unlzma" | "compress" | "uncompress" => self.compress(call),
            "unzip" | "zip" | "7z" | "7za" | "7zr" | "cpio" | "ar" | "rar" | "unrar" | "pax" | "shar" => {
                self.archive(call);
            }
            "tar" | "gtar" | "bsdtar" => self.tar(call),
            _ => return false,
        }
        true
    }

    fn rm(&mut self, call: Call<'_>) {
        let given = Spec::PLAIN.read(call.words);
        self.effect(Effect::Delete);
        if given.short("rR") || given.long(&["recursive"]) || !matches!(call.name, "rm" | "grm") {
            self.effect(Effect::DeleteTree);
        }
        self.removed(&given);
    }

    fn removed(&mut self, given: &Given) {
        for word in &given.operands {
            match word {
                Word::Known(_) => {}
                Word::Pattern(_) => self.effect(Effect::DeleteTree),
                Word::Unknown { .. } => self.unjudged(),
            }
            self.path(word.path());
        }
    }

    fn copy(&mut self, call: Call<'_>) {
        let spec = Spec {
            short: "tSgmo",
            long: &["target-directory", "suffix", "group", "mode", "owner", "strip-program"],
            leading: false,
        };
        let given = spec.read(call.words);
        self.effect(Effect::Write);
        if given.long(&["strip-program"]) || matches!(call.name, "rename" | "prename") {
            self.unjudged();
        }
        let mut target = given.values("t", "target-directory");
        let mut sources = given.operands.as_slice();
        if target.is_empty()
            && !given.short("d")
            && let Some((last, rest)) = sources.split_last()
        {
            target.push(last.clone());
            sources = rest;
        }
        self.write_all(&target);
        for source in sources {
            self.path(source.path());
            // what is moved away is written as well
            if matches!(source, Word::Unknown { .. }) && call.name == "mv" {
                self.unjudged();
            }
        }
        if given.hidden && given.operands.iter().any(|word| matches!(word, Word::Unknown { .. })) {
            self.unjudged();
        }
    }

    fn change(&mut self, call: Call<'_>) {
        let short = match call.name {
            "fallocate" => "lo",
            "iconv" => "fto",
            "mkdir" | "gmkdir" | "mkfifo" | "mknod" => "m",
            "mktemp" => "p",
            "split" => "abCln",
            "touch" => "rdt",
            "truncate" => "sr",
            _ => "",
        };
        let long =
            &["size", "mode", "reference", "date", "time", "length", "offset", "tmpdir", "suffix", "output"];
        let spec = Spec { short, long, leading: false };
        if matches!(call.name, "clear" | "tput" | "stty" | "reset" | "mesg") {
            self.changes();
            return;
        }
        let given = spec.read(call.words);
        if matches!(call.name, "split" | "patch" | "updatedb" | "ldconfig") && !given.is_bare() {
            self.unjudged();
        }
        if call.name == "iconv" {
            self.write_all(&given.values("o", "output"));
            self.read_all(&given.operands);
            self.changes();
            return;
        }
        self.effect(Effect::Write);
        self.write_all(&given.operands);
    }

    fn compress(&mut self, call: Call<'_>) {
        let given = Spec { short: "SoTD", long: &["suffix", "threads"], leading: false }.read(call.words);
        let reads = given.short("clt") || given.long(&["stdout", "to-stdout", "list", "test"]);
        if reads && !given.short("o") || given.operands.is_empty() {
            self.read_all(&given.operands);
        } else {
            self.effect(Effect::Write);
            self.write_all(&given.operands);
            self.write_all(&given.values("o", ""));
        }
    }

    fn archive(&mut self, call: Call<'_>) {
        let given = Spec { short: "dxT", long: &[], leading: false }.read(call.words);
        if call.name == "unzip" && given.short("lZtv") {
            self.read_all(&given.operands);
            return;
        }
        self.effect(Effect::Write);
        if call.name == "zip" {
            let deletes = given.short("m") || given.long(&["move"]);
            let strange = given.short("T") || given.long(&["unzip-command", "TT", "test"]);
            if strange {
                self.unjudged();
            }
            if deletes {
                self.effects(&[Effect::Delete, Effect::DeleteTree]);
            }
        } else if call.name != "unzip" {
            // each has options that run programs or remove files
            self.unjudged();
        }
        for word in given.values("d", "") {
            self.writes(&word);
        }
        given.operands.iter().for_each(|word| self.path_like(word));
    }

    fn tar(&mut self, call: Call<'_>) {
        // `tar xzf FILE`: the first word is options without a dash
        let mut words = call.words.to_vec();
        if let Some(Word::Known(first)) = words.first_mut()
            && !first.starts_with('-')
            && first.chars().all(|c| c.is_ascii_alphabetic())
        {
            let letters: Vec<char> = first.chars().collect();
            // with several values the order is another one
            if letters.iter().filter(|c| "fCbTXgHKNVF".contains(**c)).count() > 1 {
                self.unjudged();
            }
            let (plain, valued): (Vec<char>, Vec<char>) =
                letters.iter().partition(|c| !"fCbTXgHKNVF".contains(**c));
            *first = format!("-{}{}", plain.iter().collect::<String>(), valued.iter().collect::<String>());
        }
        let spec = Spec {
            short: "fCbTXgHIKNVFL",
            long: &[
                "file",
                "directory",
                "exclude",
                "files-from",
                "exclude-from",
                "strip-components",
                "transform",
                "owner",
                "group",
                "mode",
            ],
            leading: false,
        };
        let given = spec.read(&words);
        let plain = !given.other_than(
            "AcdrtuxfCbTXpPzjJZavhkmoOSWU",
            &[
                "create",
                "extract",
                "get",
                "list",
                "file",
                "directory",
                "gzip",
                "bzip2",
                "xz",
                "zstd",
                "exclude",
                "verbose",
                "strip-components",
                "no-same-owner",
                "no-same-permissions",
                "same-owner",
                "preserve-permissions",
                "numeric-owner",
                "auto-compress",
                "overwrite",
                "keep-old-files",
                "exclude-from",
                "files-from",
                "absolute-names",
                "dereference",
                "wildcards",
                "append",
                "update",
                "diff",
                "compare",
                "one-file-system",
                "sparse",
                "xattrs",
                "acls",
                "totals",
                "null",
                "no-recursion",
                "to-stdout",
                "owner",
                "group",
                "mode",
                "remove-files",
                "exclude-vcs",
            ],
        );
        let file = given.values("f", "file");
        let remote = file.iter().any(|word| word.as_known().is_none_or(|text| text.contains(':')));
        // `--checkpoint-action`, `--to-command`, `-I`, `-F`, a name with a colon: each runs a program
        if !plain || remote || given.hidden {
            self.unjudged();
        }
        if given.long(&["remove-files"]) {
            self.effects(&[Effect::Delete, Effect::DeleteTree]);
        }
        let lists = given.short("td") || given.long(&["list", "diff", "compare"]);
        let out = given.short("O") || given.long(&["to-stdout"]);
        let extracts = given.short("x") || given.long(&["extract", "get"]);
        let standard = file.iter().any(|word| word.as_known() == Some("-"));
        if extracts && !out {
            self.effect(Effect::Write);
            self.write_all(&given.values("C", "directory"));
        }
        if lists || extracts || standard {
            self.read_all(&file);
        } else {
            self.write_all(&file);
        }
        self.read_all(&given.operands);
    }
}
