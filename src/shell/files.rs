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
                let given =
                    self.given(&Spec::new("pv", "", "parents verbose ignore-fail-on-non-empty"), call.words);
                self.effect(Effect::Delete);
                self.removed(&given);
            }
            "cp" | "gcp" | "mv" | "gmv" | "ln" | "gln" | "install" | "ginstall" | "link" | "rename"
            | "prename" => self.copy(call),
            "mkdir" | "gmkdir" | "touch" | "mkfifo" | "mknod" | "truncate" | "tee" | "gtee" | "fallocate"
            | "mktemp" | "split" | "sponge" | "ex-write" | "chattr" | "setfattr" | "patch" | "updatedb"
            | "mandb" | "ldconfig" | "dos2unix" | "unix2dos" | "iconv" | "logger" | "wall" | "write" => {
                self.change(call);
            }
            "mesg" | "tput" | "stty" | "reset" | "clear" => self.changes(),
            "chmod" | "chown" | "chgrp" | "setfacl" | "setcap" | "gchmod" | "gchown" | "gchgrp" | "chcon"
            | "restorecon" => {
                self.effects(&[Effect::Privilege, Effect::Write]);
                let long = "recursive verbose changes silent quiet no-dereference dereference preserve-root \
                            no-preserve-root reference= from= modify= remove= remove-all remove-default default";
                let spec = match call.name {
                    "setfacl" => Spec::new("bkRLPdn", "mx", long),
                    "setcap" => Spec::new("qvr", "", ""),
                    "restorecon" => Spec::new("FRrvni", "", ""),
                    // `-x` is a mode
                    "chmod" | "gchmod" => Spec::new("cfvRrwxXstugoa", "", long),
                    _ => Spec::new("cfvRhHLP", "", long),
                };
                let given = self.given(&spec, call.words);
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
        let spec = Spec::new(
            "rRfivdI",
            "",
            "recursive force verbose dir interactive? one-file-system no-preserve-root preserve-root?",
        );
        let given = self.given(&spec, call.words);
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
            self.alters(word.path());
        }
    }

    fn copy(&mut self, call: Call<'_>) {
        let long = "target-directory= no-target-directory suffix= group= mode= owner= backup? force interactive \
                    recursive archive update? verbose no-clobber preserve? no-preserve= parents link symbolic-link \
                    symbolic relative one-file-system dereference no-dereference remove-destination reflink? \
                    sparse= strip-trailing-slashes directory compare preserve-timestamps";
        let spec = if call.name.ends_with("install") {
            Spec::new("bcCdDpsTv", "tSgmo", long)
        } else {
            Spec::new("abdfHiLlnPpRrsTuvxF", "tS", long)
        };
        let given = self.given(&spec, call.words);
        self.effect(Effect::Write);
        if matches!(call.name, "rename" | "prename") {
            self.unjudged();
        }
        let mut target = given.values("t", "target-directory");
        let mut sources = given.operands.as_slice();
        if target.is_empty()
            && !(given.short("d") && call.name.ends_with("install"))
            && let Some((last, rest)) = sources.split_last()
        {
            target.push(last.clone());
            sources = rest;
        }
        self.write_all(&target);
        // a link is a way into what it leads to
        let makes = target.is_empty() || call.name.ends_with("ln") || call.name == "link";
        for source in sources {
            if makes || call.name.ends_with("mv") {
                self.alters(source.path());
            } else {
                self.path(source.path());
            }
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
        let spec = match call.name {
            "chattr" => Spec::new("RVfaAcCdDeFijmPsStTux", "", ""),
            "dos2unix" | "unix2dos" => Spec::new("bfkq", "", ""),
            "fallocate" => Spec::new("cdinpvxz", "lo", "length= offset= keep-size verbose"),
            "iconv" => Spec::new("cls", "fto", "from-code= to-code= output= list silent verbose"),
            "logger" => Spec::new("ist", "pt", "priority= tag= stderr id?"),
            "mkdir" | "gmkdir" | "mkfifo" | "mknod" => Spec::new("pvZ", "m", "parents verbose mode="),
            "mktemp" => Spec::new("dqtu", "p", "directory quiet dry-run tmpdir? suffix="),
            "setfattr" => Spec::new("h", "nvx", "name= value= remove= no-dereference"),
            "split" => {
                Spec::new("dx", "abCln", "numeric-suffixes? suffix-length= bytes= lines= line-bytes= number=")
            }
            "tee" | "gtee" => Spec::new("aip", "", "append ignore-interrupts output-error?"),
            "touch" => Spec::new("acfhm", "drt", "reference= date= time= no-create no-dereference"),
            "truncate" => Spec::new("co", "sr", "size= reference= no-create io-blocks"),
            "sponge" => Spec::new("a", "", ""),
            _ => Spec::new("", "", ""),
        };
        let given = self.given(&spec, call.words);
        // it names files, and sometimes commands, in what it reads
        if matches!(call.name, "patch" | "updatedb" | "mandb") || given.hidden && call.name == "split" {
            self.unjudged();
        }
        self.write_all(&given.values(if call.name == "mktemp" { "p" } else { "" }, "tmpdir"));
        if call.name == "mknod" && given.operands.len() > 2 {
            self.effect(Effect::Disk);
        }
        if call.name == "split" {
            self.effect(Effect::Write);
            self.read_all(given.operands.get(..1).unwrap_or_default());
            self.write_all(given.operands.get(1..).unwrap_or_default());
            return;
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
        let long = "stdout to-stdout decompress uncompress compress list test keep force quiet verbose fast best \
                    suffix= threads= rm recursive no-name name";
        let spec = match call.name {
            "lz4" => {
                Spec::new("dzkfqvcmt123456789", "", "list rm keep force quiet verbose decompress compress")
            }
            "zstd" | "unzstd" => Spec::new("dzkfqvclt0123456789", "", long).attached("T"),
            "bzip2" | "bunzip2" => Spec::new("dzkfqvcts123456789", "", long),
            _ => Spec::new("dzkfqvcltnNra0123456789eh", "ST", long),
        };
        let given = self.given(&spec, call.words);
        if call.name == "lz4" && given.hidden {
            self.unjudged();
        }
        let reads = given.short("clt") || given.long(&["stdout", "to-stdout", "list", "test"]);
        // its second operand is where it writes
        let several = call.name == "lz4"
            && (given.operands.len() > 1 || given.operands.iter().any(|word| word.as_known().is_none()));
        if several {
            self.unjudged();
        }
        if !several && reads || given.operands.is_empty() {
            self.read_all(&given.operands);
        } else {
            self.effect(Effect::Write);
            self.write_all(&given.operands);
        }
    }

    fn archive(&mut self, call: Call<'_>) {
        let spec = match call.name {
            "unzip" => Spec::new("lZtvpcfunojqaLCX", "dx", ""),
            _ => Spec::new(
                "rmjqvuf0123456789yXDe@",
                "xi",
                "recurse-paths move junk-paths quiet exclude= include=",
            ),
        };
        let given = self.given_openly(&spec, call.words);
        if call.name == "unzip" && given.short("lZtvpc") {
            self.read_all(&given.operands);
            return;
        }
        self.effect(Effect::Write);
        if call.name == "zip" {
            let deletes = given.short("m") || given.long(&["move"]);
            if deletes {
                self.effects(&[Effect::Delete, Effect::DeleteTree]);
            }
        } else if call.name != "unzip" {
            // each has options that run programs or remove files
            self.unjudged();
        }
        let folder = given.values("d", "");
        self.write_all(&folder);
        if call.name == "unzip" && folder.is_empty() {
            self.alters_here();
        }
        if call.name == "zip" {
            self.write_all(given.operands.get(..1).unwrap_or_default());
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
        let spec = Spec::new(
            "AcdrtuxpPzjJZavhkmoOSWU",
            "fCbXN",
            "create extract get list file= directory= gzip bzip2 xz zstd exclude= verbose? strip-components= \
             no-same-owner no-same-permissions same-owner preserve-permissions numeric-owner auto-compress \
             overwrite keep-old-files exclude-from= absolute-names dereference wildcards append update diff compare \
             one-file-system sparse xattrs acls totals null no-recursion to-stdout owner= group= mode= remove-files \
             exclude-vcs keep-newer-files skip-old-files no-overwrite-dir exclude-backups sort= mtime=",
        );
        let given = self.given_openly(&spec, &words);
        let file = given.values("f", "file");
        let remote = file.iter().any(|word| word.as_known().is_none_or(|text| text.contains(':')));
        // `--checkpoint-action`, `--to-command`, `-I`, `-F`, `-T`, a name with a colon: each runs a program
        if remote {
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
            // what is in it says where it goes
            if given.short("P") || given.long(&["absolute-names"]) {
                self.unjudged();
            }
            let folder = given.values("C", "directory");
            self.write_all(&folder);
            if folder.is_empty() {
                self.alters_here();
            }
        }
        if lists || extracts || standard {
            self.read_all(&file);
        } else {
            self.write_all(&file);
        }
        self.read_all(&given.operands);
    }
}
