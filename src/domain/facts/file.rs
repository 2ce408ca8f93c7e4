//! What an operation on a host's files does.

use serde::{Deserialize, Serialize};

/// The facts of one file operation over SFTP or scp.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileFacts {
    /// What is done.
    pub operation: FileOperation,
    /// The path: absolute, without `.`, `..` and doubled slashes; resolved against the login's start
    /// directory, which the host names. Links on the host are the host's: see `docs/ssh.md`.
    pub path: String,
    /// The second path of a rename, link or copy; normalised likewise. A symbolic link's target is
    /// resolved against the link's directory.
    pub to: Option<String>,
}

/// What is done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileOperation {
    /// Changes size, owner, mode or times.
    Attributes,
    /// Makes a hard link.
    Link,
    /// Lists a directory.
    List,
    /// Makes a directory.
    MakeDirectory,
    /// Reads contents.
    Read,
    /// Removes a file.
    Remove,
    /// Removes a directory.
    RemoveDirectory,
    /// Renames or moves.
    Rename,
    /// Asks for metadata, or where a link points.
    Stat,
    /// Makes a symbolic link.
    Symlink,
    /// Writes contents; also makes the file.
    Write,
}

impl FileOperation {
    /// The name that policies and records use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attributes => "attributes",
            Self::Link => "link",
            Self::List => "list",
            Self::MakeDirectory => "make-directory",
            Self::Read => "read",
            Self::Remove => "remove",
            Self::RemoveDirectory => "remove-directory",
            Self::Rename => "rename",
            Self::Stat => "stat",
            Self::Symlink => "symlink",
            Self::Write => "write",
        }
    }

    /// Whether nothing on the host changes.
    #[must_use]
    pub fn is_read_only(self) -> bool {
        matches!(self, Self::List | Self::Read | Self::Stat)
    }
}
