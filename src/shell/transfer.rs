//! The commands with which `scp`, `rsync`, `git` and `sftp` clients start their other half on the host.

use super::options::Spec;
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
    let given = Spec::new("tfrpdvq", "", "").read(words);
    if given.strange || given.short("t") == given.short("f") {
        return None;
    }
    let paths = paths(&given.operands)?;
    Some(if given.short("t") { Transfer::ScpTo(paths) } else { Transfer::ScpFrom(paths) })
}

/// `--server`, `--sender` where the host sends, the letters, long options with their values after `=`, `.`, paths.
fn rsync(words: &[Word]) -> Option<Transfer> {
    let mut words = words.iter();
    let first = words.next()?.as_known()?;
    let mut next = words.next()?.as_known()?;
    if first != "--server" {
        return None;
    }
    let sends = next == "--sender";
    if sends {
        next = words.next()?.as_known()?;
    }
    let mut later = false;
    let mut deletes = false;
    let mut removes = false;
    let mut named = Vec::new();
    while next != "." {
        match next.strip_prefix("--") {
            Some(long) => {
                let (name, value) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value)),
                    None => (long, None),
                };
                let folder = RSYNC_FOLDERS.contains(&name);
                let list = if value.is_some() { RSYNC_VALUED } else { RSYNC_ALONE };
                if !folder && !list.split_ascii_whitespace().any(|known| known == name) {
                    return None;
                }
                // these alone come in two words; what looks like an option is not taken for a folder
                let value = match value {
                    None if folder => {
                        let value = words.next()?.as_known()?;
                        Some(value).filter(|value| !value.starts_with('-'))?.into()
                    }
                    value => value,
                };
                deletes |= name.starts_with("delete");
                removes |= name == "remove-source-files";
                named.extend(value.filter(|_| folder));
            }
            None => later |= rsync_letters(next)?,
        }
        match words.next() {
            Some(word) => next = word.as_known()?,
            None if later => break,
            None => return None,
        }
    }
    let rest: Vec<Word> = words.cloned().collect();
    if later {
        // the rest of its options come on its input
        return match rest.is_empty() {
            true if sends => Some(Transfer::RsyncFrom(None)),
            true => Some(Transfer::RsyncTo { paths: None, deletes }),
            false => None,
        };
    }
    // an operand that is an option, or a file of which the name is one
    if removes && sends || rest.iter().any(is_option) {
        return None;
    }
    let mut paths = paths(&rest)?;
    paths.extend(named.into_iter().map(super::paths::normalise));
    Some(if sends {
        Transfer::RsyncFrom(Some(paths))
    } else {
        Transfer::RsyncTo { paths: Some(paths), deletes }
    })
}

fn is_option(word: &Word) -> bool {
    word.may_hide_options() || word.as_known().is_some_and(|text| text.starts_with('-'))
}

/// One word of letters, as clients send them; whether the rest of the options comes later.
///
/// After an `e` stands what the client can do, behind a dot, and to the end. Numbers belong to `B` and `@`.
fn rsync_letters(word: &str) -> Option<bool> {
    let letters = word.strip_prefix('-').filter(|letters| !letters.is_empty())?;
    let numbered = letters.strip_prefix(['B', '@']);
    if numbered.is_some_and(|number| !number.is_empty() && number.chars().all(|c| c.is_ascii_digit())) {
        return Some(false);
    }
    let (letters, able) = match letters.split_once('e') {
        Some((letters, able)) => (letters, Some(able)),
        None => (letters, None),
    };
    let plain = letters.chars().all(|c| RSYNC_SHORT.contains(c));
    let dotted = |able: &str| {
        able.split_once('.').is_some_and(|(version, able)| {
            version.chars().all(|c| c.is_ascii_digit())
                && able
                    .trim_start_matches(|c: char| c.is_ascii_digit())
                    .chars()
                    .all(|c| c.is_ascii_alphabetic())
        })
    };
    (plain && able.is_none_or(dotted)).then(|| letters.contains('s'))
}

fn paths(words: &[Word]) -> Option<Vec<String>> {
    if words.is_empty() || words.iter().any(|word| matches!(word, Word::Unknown { .. })) {
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
/// Without those that take a value: `B`, `e`, `f`, `M`, `T`, `@`.
const RSYNC_SHORT: &str = "AbcCdDgHIJkKlLmNnoOpqrRsStuUvWxXyz0";

/// What clients send with a folder, in the same word or in the next.
const RSYNC_FOLDERS: &[&str] =
    &["backup-dir", "compare-dest", "copy-dest", "link-dest", "partial-dir", "temp-dir"];

/// What clients send without a value.
const RSYNC_ALONE: &str = "append append-verify copy-unsafe-links delay-updates delete delete-after \
    delete-before delete-delay delete-during delete-excluded delete-missing-args existing force from0 \
    fsync fuzzy ignore-errors ignore-existing ignore-missing-args inplace list-only mkpath munge-links new-compress \
    no-W no-i-r no-implied-dirs no-inc-recursive no-r no-whole-file numeric-ids old-compress omit-dir-times \
    one-file-system open-noatime partial preallocate remove-source-files safe-links size-only sparse stats \
    msgs2stderr no-msgs2stderr";

/// What clients send with one.
const RSYNC_VALUED: &str = "block-size bwlimit checksum-choice checksum-seed compress-choice \
    compress-level debug groupmap iconv info log-format max-alloc max-delete max-size min-size \
    modify-window skip-compress stderr stop-at suffix timeout usermap";
