//! What `scp` was asked to do on the host.

use thiserror::Error;

use crate::wire::ssh::path::{PathError, RemotePath};

/// The command that a client's `scp` has the host run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    direction: Direction,
    recursive: bool,
    times: bool,
    directory: bool,
    paths: Vec<RemotePath>,
}

/// Which way files go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the host (`-f`).
    Download,
    /// To the host (`-t`).
    Upload,
}

impl Command {
    /// Reads a command's words, as a shell would give them; `None` when it is not `scp` with `-t` or `-f`.
    /// Relative paths, and `~`, start from the directory given.
    ///
    /// # Errors
    /// [`CommandError`]: it is, and cannot be inspected.
    pub fn parse(words: &[&[u8]], start: Option<&RemotePath>) -> Result<Option<Self>, CommandError> {
        let Some((program, rest)) = words.split_first() else { return Ok(None) };
        if program.rsplit(|byte| *byte == b'/').next() != Some(b"scp") {
            return Ok(None);
        }
        let mut flags = Vec::new();
        let mut rest = rest.iter();
        let mut paths: Vec<&[u8]> = Vec::new();
        for word in rest.by_ref() {
            match word.split_first() {
                _ if *word == b"--" => break,
                Some((b'-', letters)) if !letters.is_empty() => flags.extend_from_slice(letters),
                _ => {
                    // the first that is no option ends them
                    paths.push(word);
                    break;
                }
            }
        }
        paths.extend(rest);
        let has = |flag| flags.contains(&flag);
        let direction = match (has(b't'), has(b'f')) {
            (true, false) => Direction::Upload,
            (false, true) => Direction::Download,
            (false, false) => return Ok(None),
            (true, true) => return Err(CommandError::Options),
        };
        if flags.iter().any(|flag| !b"dfpqrtv".contains(flag)) {
            return Err(CommandError::Options);
        }
        if paths.is_empty() || (direction == Direction::Upload && paths.len() > 1) {
            return Err(CommandError::Paths);
        }
        let last = |path: &&[u8]| path.rsplit(|byte| *byte == b'/').next().unwrap_or_default().to_vec();
        let names_directory = |path| matches!(last(path).as_slice(), b"" | b"." | b".." | b"~");
        Ok(Some(Self {
            direction,
            recursive: has(b'r'),
            times: has(b'p'),
            directory: has(b'd') || paths.iter().any(names_directory),
            paths: paths.iter().map(|path| resolve(path, start)).collect::<Result<_, _>>()?,
        }))
    }

    /// The command to run on the host instead: the same, with the paths that are judged, each as one word
    /// for any shell.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        let mut line = match self.direction {
            Direction::Download => b"scp -f".to_vec(),
            Direction::Upload => b"scp -t".to_vec(),
        };
        for (flag, set) in [(b" -r", self.recursive), (b" -p", self.times), (b" -d", self.is_directory())] {
            if set {
                line.extend_from_slice(flag);
            }
        }
        line.extend_from_slice(b" --");
        for path in &self.paths {
            line.extend_from_slice(b" '");
            for byte in path.as_bytes() {
                match byte {
                    // fish reads a backslash inside quotes as well: it stands outside, like the quote
                    b'\'' | b'\\' => line.extend_from_slice(&[b'\'', b'\\', *byte, b'\'']),
                    byte => line.push(*byte),
                }
            }
            line.push(b'\'');
        }
        line
    }

    /// Which way files go.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Whether directories may pass.
    #[must_use]
    pub fn is_recursive(&self) -> bool {
        self.recursive
    }

    /// Whether the target of an upload has to be a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.directory && self.direction == Direction::Upload
    }

    /// The target of an upload; the sources of a download.
    #[must_use]
    pub fn paths(&self) -> &[RemotePath] {
        &self.paths
    }
}

fn resolve(path: &[u8], start: Option<&RemotePath>) -> Result<RemotePath, CommandError> {
    let path = match path.strip_prefix(b"~") {
        None => path,
        Some(rest) if rest.is_empty() => rest,
        // what follows is below the home, also when it begins with more slashes
        Some(rest) if rest.first() == Some(&b'/') => {
            let under = rest.iter().position(|byte| *byte != b'/').unwrap_or(rest.len());
            rest.get(under..).unwrap_or_default()
        }
        Some(_) => return Err(CommandError::Home),
    };
    Ok(match start {
        Some(start) => start.resolve(path)?,
        None => RemotePath::absolute(path)?,
    })
}

/// Why a command cannot be inspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CommandError {
    /// A path begins with another account's home.
    #[error("hoopctl does not know other accounts' homes; give the whole path")]
    Home,
    /// An option that the host's side of scp does not have.
    #[error("hoopctl does not know these options of scp")]
    Options,
    /// A path cannot be.
    #[error("{0}")]
    Path(#[from] PathError),
    /// An upload has one target, a download has sources.
    #[error("scp names no path, or too many")]
    Paths,
}
