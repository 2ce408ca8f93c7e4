//! A page of the documentation: its fenced blocks, and what the comments above them say.
//!
//! A comment right above a block may say, separated by commas:
//!
//! | Word | Means |
//! |---|---|
//! | `user: bob` | whose machine it is typed at: `alice` when nothing is said, `operator`, or `ci` |
//! | `exit: 77` | how the last command ends; 0 when nothing is said |
//! | `types: yes` | it is run on a terminal, where this is typed |
//! | `until: TEXT` | it does not end by itself: the story goes on once it has said this, and it ends with the page |
//! | `background` | the story goes on at once; it ends, as it should, before the page does |
//! | `file: NAME` | not run, but written into this file |
//! | `stage: own-database` | of a page whose stage is not the usual one; once, above its first block |
//! | `as: workflow` | a pipeline of GitHub, `gitlab`, `kubernetes` or a crontab (`cron`), run as the platform would |
//! | `frame: NAME` | what a fragment of configuration is put into: `targets`, `policy`, `whole` |
//! | `skip: REASON` | not run, for one of the reasons that `super::REASONS` knows |
//! | `block: NAME` | what another test calls it |

use std::fs;
use std::path::{Path, PathBuf};

/// A page.
pub(super) struct Page {
    /// Below the repository, as `docs/http.md`.
    pub(super) name: String,
    pub(super) blocks: Vec<Block>,
}

/// A fenced block.
pub(super) struct Block {
    /// Where its first line is, counted from 1.
    pub(super) line: usize,
    /// The heading that it stands below.
    pub(super) heading: String,
    /// What is written behind the fence.
    pub(super) language: String,
    pub(super) text: String,
    pub(super) notes: Vec<(String, String)>,
}

impl Block {
    /// What a comment above the block says of this.
    pub(super) fn note(&self, key: &str) -> Option<&str> {
        self.notes.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }
}

/// Every page, in the order of their names.
pub(super) fn all() -> Vec<Page> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> =
        ["README.md", "ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md"].map(|name| root.join(name)).into();
    for folder in ["docs", "docs/reference"] {
        let entries = fs::read_dir(root.join(folder)).expect("a folder");
        let pages = entries.map(|entry| entry.expect("an entry").path());
        files.extend(pages.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    files.sort();
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
        let text = fs::read_to_string(path).expect("a page");
        let blocks = blocks(&text).unwrap_or_else(|(line, why)| panic!("{name}:{line}: {why}"));
        Page { name, blocks }
    };
    files.iter().map(read).collect()
}

/// The blocks of a text, or the line of the first thing that cannot be meant.
pub(super) fn blocks(text: &str) -> Result<Vec<Block>, (usize, String)> {
    let mut blocks = Vec::new();
    let mut notes: Vec<(String, String)> = Vec::new();
    let mut heading = String::new();
    // a comment for people, unless it stands above a block
    let mut strange = None;
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let said = line.trim();
        if let Some(comment) = said.strip_prefix("<!--") {
            let inside = comment
                .strip_suffix("-->")
                .ok_or_else(|| (number + 1, "a comment of more lines".to_owned()))?;
            match read_notes(inside) {
                Ok(read) => notes.extend(read),
                Err(why) => strange = Some((number + 1, why)),
            }
        } else if let Some(language) = said.strip_prefix("```") {
            strange.take().map_or(Ok(()), Err)?;
            let indent = line.len() - line.trim_start().len();
            let mut body = String::new();
            let closed = lines.by_ref().any(|(_, line)| {
                let over = line.trim() == "```";
                if !over {
                    body.push_str(line.get(indent..).unwrap_or_default());
                    body.push('\n');
                }
                over
            });
            if !closed {
                return Err((number + 1, "the block never ends".into()));
            }
            let notes = std::mem::take(&mut notes);
            let heading = heading.clone();
            blocks.push(Block { line: number + 2, heading, language: language.into(), text: body, notes });
        } else if !said.is_empty() && !notes.is_empty() {
            return Err((number + 1, "the comment above is about no block".into()));
        } else if !said.is_empty() {
            strange = None;
            if said.starts_with('#') {
                said.clone_into(&mut heading);
            }
        }
    }
    Ok(blocks)
}

fn read_notes(comment: &str) -> Result<Vec<(String, String)>, String> {
    let read = |word: &str| {
        let word = word.trim();
        let (key, value) = word.split_once(':').unwrap_or((word, ""));
        if KNOWN.contains(&key) {
            Ok((key.to_owned(), value.trim().to_owned()))
        } else {
            Err(format!("`{key}` is nothing that a comment may say; see tests/it/docs/page.rs"))
        }
    };
    comment.split(',').map(read).collect()
}

const KNOWN: &[&str] =
    &["as", "background", "block", "exit", "file", "frame", "skip", "stage", "types", "until", "user"];
