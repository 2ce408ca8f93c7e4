//! The commands with which `scp`, `rsync`, `git` and `sftp` clients start their other half on the host.

use super::options::{Given, Spec};
use super::word::Word;

/// A transfer of files that a client asks for with a command.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Transfer {
    /// `git-upload-archive`: a tree of this repository leaves.
    GitArchive(String),
    /// `git-upload-pack`: objects of this repository leave.
    GitFetch(String),
    /// `git-receive-pack`: objects and references of this repository are written.
    GitPush(String),
    /// `rsync --server --sender`: these paths leave; `None` where the client sends them later.
    RsyncFrom(Option<Vec<String>>),
    /// `rsync --server`: these paths are written.
    RsyncTo {
        /// `None` where the client sends them later.
        paths: Option<Vec<String>>,
        /// Files of the host that the client lacks are removed.
        deletes: bool,
    },
    /// `scp -f`: these paths leave.
    ScpFrom(Vec<String>),
    /// `scp -t`: these paths are written.
    ScpTo(Vec<String>),
    /// `sftp-server`: what it does is in the bytes that follow.
    Sftp,
}

/// The transfer that a whole command line is, without expansions other than patterns.
pub(super) fn of(words: &[Word]) -> Option<Transfer> {
    let (program, words) = words.split_first()?;
    let program = program.as_known()?;
    if !super::paths::is_system_program(program) && !SFTP.contains(&program) {
        return None;
    }
    match super::paths::base(program) {
        "git" => {
            let (verb, words) = words.split_first()?;
            git(&format!("git-{}", verb.as_known()?), words)
        }
        name @ ("git-upload-pack" | "git-receive-pack" | "git-upload-archive") => git(name, words),
        "rsync" => rsync(words),
        "scp" => scp(words),
        "sftp-server" | "internal-sftp" if words.is_empty() => Some(Transfer::Sftp),
        _ => None,
    }
}

fn git(name: &str, words: &[Word]) -> Option<Transfer> {
    let [Word::Known(repository)] = words else { return None };
    if repository.starts_with('-') {
        return None;
    }
    let repository = super::paths::normalise(repository);
    match name {
        "git-receive-pack" => Some(Transfer::GitPush(repository)),
        "git-upload-archive" => Some(Transfer::GitArchive(repository)),
        "git-upload-pack" => Some(Transfer::GitFetch(repository)),
        _ => None,
    }
}

fn scp(words: &[Word]) -> Option<Transfer> {
    let given = Spec::PLAIN.read(words);
    if given.other_than("tfrpdvq", &[]) || given.short("t") == given.short("f") {
        return None;
    }
    let paths = paths(&given, 0)?;
    Some(if given.short("t") { Transfer::ScpTo(paths) } else { Transfer::ScpFrom(paths) })
}

fn rsync(words: &[Word]) -> Option<Transfer> {
    if words.first().and_then(Word::as_known) != Some("--server") {
        return None;
    }
    // what follows an `e` among the letters is what the client can do
    let words: Vec<Word> = words
        .iter()
        .map(|word| match word.as_known() {
            Some(text) if text.starts_with('-') && !text.starts_with("--") => {
                Word::known(text.split('e').next().unwrap_or_default())
            }
            _ => word.clone(),
        })
        .filter(|word| word.as_known() != Some("-"))
        .collect();
    let spec = Spec {
        short: "",
        long: &["partial-dir", "temp-dir", "backup-dir", "compare-dest", "copy-dest", "link-dest", "suffix"],
        leading: false,
    };
    let given = spec.read(&words);
    // a file could have the name of an option
    if given.hidden || given.other_than(RSYNC_SHORT, RSYNC_LONG) {
        return None;
    }
    let later = given.short("s") || given.long(&["secluded-args", "protect-args"]);
    let paths = match later {
        true => None,
        // the first operand is always `.`
        false => Some(paths(&given, 1)?),
    };
    if !later && given.verb() != Some(".") {
        return None;
    }
    if given.long(&["sender"]) {
        // which removes what it sent
        return (!given.long(&["remove-source-files"])).then_some(Transfer::RsyncFrom(paths));
    }
    let deletes = given.long(RSYNC_DELETES);
    Some(Transfer::RsyncTo { paths, deletes })
}

fn paths(given: &Given, skip: usize) -> Option<Vec<String>> {
    let words = given.operands.get(skip..).filter(|words| !words.is_empty())?;
    if words.iter().any(|word| matches!(word, Word::Unknown { .. })) {
        return None;
    }
    Some(words.iter().map(Word::path).collect())
}

const SFTP: &[&str] = &[
    "/usr/lib/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/libexec/sftp-server",
    "/usr/lib/sftp-server",
    "/usr/lib/misc/sftp-server",
];
const RSYNC_SHORT: &str = "AbcCdDgHIJkKlLmNnoOpqRrStuUvWxXyz0s@";
const RSYNC_DELETES: &[&str] = &[
    "delete",
    "delete-before",
    "delete-during",
    "delete-after",
    "delete-delay",
    "delete-excluded",
    "delete-missing-args",
];
const RSYNC_LONG: &[&str] = &[
    "server",
    "sender",
    "delete",
    "delete-before",
    "delete-during",
    "delete-after",
    "delete-delay",
    "delete-excluded",
    "delete-missing-args",
    "force",
    "ignore-errors",
    "partial",
    "partial-dir",
    "temp-dir",
    "backup-dir",
    "suffix",
    "compare-dest",
    "copy-dest",
    "link-dest",
    "numeric-ids",
    "size-only",
    "inplace",
    "append",
    "append-verify",
    "bwlimit",
    "block-size",
    "timeout",
    "compress-level",
    "compress-choice",
    "checksum-choice",
    "checksum-seed",
    "new-compress",
    "old-compress",
    "max-size",
    "min-size",
    "max-delete",
    "log-format",
    "stats",
    "no-r",
    "no-implied-dirs",
    "existing",
    "ignore-existing",
    "ignore-missing-args",
    "iconv",
    "sparse",
    "preallocate",
    "copy-unsafe-links",
    "safe-links",
    "munge-links",
    "mkpath",
    "stderr",
    "debug",
    "info",
    "msgs2stderr",
    "list-only",
    "remove-source-files",
    "fuzzy",
    "delay-updates",
    "itemize-changes",
    "from0",
    "no-W",
    "no-whole-file",
    "fsync",
    "open-noatime",
    "omit-dir-times",
    "secluded-args",
    "protect-args",
    "skip-compress",
    "one-file-system",
    "usermap",
    "groupmap",
];
