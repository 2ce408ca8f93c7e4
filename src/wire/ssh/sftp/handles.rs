//! What each of the host's handles stands for.

use std::collections::HashMap;

use bytes::Bytes;

use super::Question;
use crate::wire::ssh::path::RemotePath;

/// Handles that are open. A handle's name leads to its file until CLOSE is sent; the file stays known
/// until CLOSE is answered, so that answers that are still on their way are counted for the right one.
#[derive(Debug, Default)]
pub(super) struct Handles {
    names: HashMap<Bytes, FileId>,
    files: HashMap<FileId, File>,
    last: u64,
}

impl Handles {
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// Keeps a handle; `false` when one of this name is open already.
    pub(super) fn insert(&mut self, name: &[u8], file: File) -> bool {
        if self.names.contains_key(name) {
            return false;
        }
        self.last += 1;
        let id = FileId(self.last);
        self.names.insert(Bytes::copy_from_slice(name), id);
        self.files.insert(id, file);
        true
    }

    /// The open file of this name.
    pub(super) fn find(&self, name: &[u8]) -> Option<(FileId, &File)> {
        let id = *self.names.get(name)?;
        Some((id, self.files.get(&id)?))
    }

    pub(super) fn file(&mut self, id: FileId) -> Option<&mut File> {
        self.files.get_mut(&id)
    }

    /// CLOSE is sent: the name is free for the host to use again.
    pub(super) fn release(&mut self, id: FileId) {
        self.names.retain(|_, other| *other != id);
    }

    /// CLOSE is answered.
    pub(super) fn remove(&mut self, id: FileId) -> Option<File> {
        self.files.remove(&id)
    }

    /// Everything that is left.
    pub(super) fn drain(&mut self) -> Vec<File> {
        self.names.clear();
        let mut files: Vec<_> = self.files.drain().collect();
        files.sort_unstable_by_key(|(id, _)| *id);
        files.into_iter().map(|(_, file)| file).collect()
    }
}

/// One open file or directory.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: RemotePath,
    pub(super) access: Access,
    /// What was asked when it was opened.
    pub(super) asked: Vec<Question>,
    /// How many bytes the host has sent.
    pub(super) read: u64,
    /// How many bytes the host says it has written.
    pub(super) written: u64,
}

/// What a handle was opened for, and is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Directory,
    Read,
    ReadWrite,
    Write,
}

impl Access {
    pub(super) fn reads(self) -> bool {
        matches!(self, Self::Read | Self::ReadWrite)
    }

    pub(super) fn writes(self) -> bool {
        matches!(self, Self::Write | Self::ReadWrite)
    }
}

/// Counts opened files; a handle's name can come again, this cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FileId(u64);
