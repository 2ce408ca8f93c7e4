//! What a client asks for.
//!
//! Job: read and write each request of version 3 and of OpenSSH's extensions
//! (draft-ietf-secsh-filexfer-02 §6; OpenSSH's `PROTOCOL` §4). Boundary: one packet's body; paths are
//! as the client wrote them. Failure mode: [`RequestError`]; a request that has anything behind its
//! last field is malformed, so that what is written again is what was read.

use bytes::{BufMut, BytesMut};
use thiserror::Error;

use super::packet::{Packet, kind, put_string, string, u64};
use crate::wire::buffer::{ReadError, Reader};

/// A request. Paths and handles are bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the protocol's")]
pub enum Request<'a> {
    /// Closes a handle.
    Close { handle: &'a [u8] },
    /// `copy-data`: copies from one handle to another; a length of 0 means up to the end.
    CopyData { from: &'a [u8], from_offset: u64, length: u64, to: &'a [u8], to_offset: u64 },
    /// `expand-path@openssh.com`: REALPATH that knows `~`.
    ExpandPath { path: &'a [u8] },
    /// Sets attributes of a handle's file.
    Fsetstat { handle: &'a [u8], attributes: Attributes },
    /// Asks for attributes of a handle's file.
    Fstat { handle: &'a [u8] },
    /// `fstatvfs@openssh.com`: asks about a handle's file system.
    Fstatvfs { handle: &'a [u8] },
    /// `fsync@openssh.com`.
    Fsync { handle: &'a [u8] },
    /// `hardlink@openssh.com`.
    Hardlink { from: &'a [u8], to: &'a [u8] },
    /// `home-directory`: asks for an account's home.
    HomeDirectory { user: &'a [u8] },
    /// `limits@openssh.com`.
    Limits,
    /// `lsetstat@openssh.com`: SETSTAT that does not follow a link.
    Lsetstat { path: &'a [u8], attributes: Attributes },
    /// Asks for attributes without following a link.
    Lstat { path: &'a [u8] },
    /// Makes a directory.
    Mkdir { path: &'a [u8], attributes: Attributes },
    /// Opens a file.
    Open { path: &'a [u8], flags: u32, attributes: Attributes },
    /// Opens a directory.
    Opendir { path: &'a [u8] },
    /// `posix-rename@openssh.com`: RENAME that replaces.
    PosixRename { from: &'a [u8], to: &'a [u8] },
    /// Reads from a handle.
    Read { handle: &'a [u8], offset: u64, length: u32 },
    /// Lists a directory's handle.
    Readdir { handle: &'a [u8] },
    /// Asks where a link points.
    Readlink { path: &'a [u8] },
    /// Asks for the canonical path.
    Realpath { path: &'a [u8] },
    /// Removes a file.
    Remove { path: &'a [u8] },
    /// Renames.
    Rename { from: &'a [u8], to: &'a [u8] },
    /// Removes a directory.
    Rmdir { path: &'a [u8] },
    /// Sets attributes.
    Setstat { path: &'a [u8], attributes: Attributes },
    /// Asks for attributes.
    Stat { path: &'a [u8] },
    /// `statvfs@openssh.com`: asks about a file system.
    Statvfs { path: &'a [u8] },
    /// Makes a symbolic link: which of both is the link depends on the server, see
    /// [`SymlinkOrder`](super::SymlinkOrder).
    Symlink { first: &'a [u8], second: &'a [u8] },
    /// `users-groups-by-id@openssh.com`: asks for names of accounts and groups.
    UsersGroups { users: &'a [u8], groups: &'a [u8] },
    /// Writes to a handle.
    Write { handle: &'a [u8], offset: u64, data: &'a [u8] },
}

impl<'a> Request<'a> {
    /// Reads a request.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn parse(kind: u8, body: &'a [u8]) -> Result<Self, RequestError> {
        let mut reader = Reader::new(body);
        let r = &mut reader;
        let request = match kind {
            kind::OPEN => Self::Open { path: string(r)?, flags: r.u32()?, attributes: Attributes::parse(r)? },
            kind::CLOSE => Self::Close { handle: string(r)? },
            kind::READ => Self::Read { handle: string(r)?, offset: u64(r)?, length: r.u32()? },
            kind::WRITE => Self::Write { handle: string(r)?, offset: u64(r)?, data: string(r)? },
            kind::LSTAT => Self::Lstat { path: string(r)? },
            kind::FSTAT => Self::Fstat { handle: string(r)? },
            kind::SETSTAT => Self::Setstat { path: string(r)?, attributes: Attributes::parse(r)? },
            kind::FSETSTAT => Self::Fsetstat { handle: string(r)?, attributes: Attributes::parse(r)? },
            kind::OPENDIR => Self::Opendir { path: string(r)? },
            kind::READDIR => Self::Readdir { handle: string(r)? },
            kind::REMOVE => Self::Remove { path: string(r)? },
            kind::MKDIR => Self::Mkdir { path: string(r)?, attributes: Attributes::parse(r)? },
            kind::RMDIR => Self::Rmdir { path: string(r)? },
            kind::REALPATH => Self::Realpath { path: string(r)? },
            kind::STAT => Self::Stat { path: string(r)? },
            kind::RENAME => Self::Rename { from: string(r)?, to: string(r)? },
            kind::READLINK => Self::Readlink { path: string(r)? },
            kind::SYMLINK => Self::Symlink { first: string(r)?, second: string(r)? },
            kind::EXTENDED => Self::extended(string(r)?, r)?,
            _ => return Err(RequestError::Unknown),
        };
        reader.finish()?;
        Ok(request)
    }

    fn extended(name: &[u8], r: &mut Reader<'a>) -> Result<Self, RequestError> {
        Ok(match name {
            COPY_DATA => Self::CopyData {
                from: string(r)?,
                from_offset: u64(r)?,
                length: u64(r)?,
                to: string(r)?,
                to_offset: u64(r)?,
            },
            EXPAND_PATH => Self::ExpandPath { path: string(r)? },
            FSTATVFS => Self::Fstatvfs { handle: string(r)? },
            FSYNC => Self::Fsync { handle: string(r)? },
            HARDLINK => Self::Hardlink { from: string(r)?, to: string(r)? },
            HOME_DIRECTORY => Self::HomeDirectory { user: string(r)? },
            LIMITS => Self::Limits,
            LSETSTAT => Self::Lsetstat { path: string(r)?, attributes: Attributes::parse(r)? },
            POSIX_RENAME => Self::PosixRename { from: string(r)?, to: string(r)? },
            STATVFS => Self::Statvfs { path: string(r)? },
            USERS_GROUPS => Self::UsersGroups { users: string(r)?, groups: string(r)? },
            _ => return Err(RequestError::Unknown),
        })
    }

    /// Writes the request. Its id is 0 until somebody sets it.
    #[must_use]
    pub fn encode(&self) -> Packet {
        let strings = |kind, texts: &[&[u8]]| Packet::build(kind, 0, |out| put_strings(out, texts));
        let with = |kind, texts: &[&[u8]], attributes: &Attributes| {
            Packet::build(kind, 0, |out| {
                put_strings(out, texts);
                attributes.put(out);
            })
        };
        match self {
            Self::Close { handle } => strings(kind::CLOSE, &[handle]),
            Self::CopyData { from, from_offset, length, to, to_offset } => {
                Packet::build(kind::EXTENDED, 0, |out| {
                    put_strings(out, &[COPY_DATA, from]);
                    out.put_u64(*from_offset);
                    out.put_u64(*length);
                    put_string(out, to);
                    out.put_u64(*to_offset);
                })
            }
            Self::ExpandPath { path } => strings(kind::EXTENDED, &[EXPAND_PATH, path]),
            Self::Fsetstat { handle, attributes } => with(kind::FSETSTAT, &[handle], attributes),
            Self::Fstat { handle } => strings(kind::FSTAT, &[handle]),
            Self::Fstatvfs { handle } => strings(kind::EXTENDED, &[FSTATVFS, handle]),
            Self::Fsync { handle } => strings(kind::EXTENDED, &[FSYNC, handle]),
            Self::Hardlink { from, to } => strings(kind::EXTENDED, &[HARDLINK, from, to]),
            Self::HomeDirectory { user } => strings(kind::EXTENDED, &[HOME_DIRECTORY, user]),
            Self::Limits => strings(kind::EXTENDED, &[LIMITS]),
            Self::Lsetstat { path, attributes } => with(kind::EXTENDED, &[LSETSTAT, path], attributes),
            Self::Lstat { path } => strings(kind::LSTAT, &[path]),
            Self::Mkdir { path, attributes } => with(kind::MKDIR, &[path], attributes),
            Self::Open { path, flags, attributes } => Packet::build(kind::OPEN, 0, |out| {
                put_string(out, path);
                out.put_u32(*flags);
                attributes.put(out);
            }),
            Self::Opendir { path } => strings(kind::OPENDIR, &[path]),
            Self::PosixRename { from, to } => strings(kind::EXTENDED, &[POSIX_RENAME, from, to]),
            Self::Read { handle, offset, length } => Packet::build(kind::READ, 0, |out| {
                put_string(out, handle);
                out.put_u64(*offset);
                out.put_u32(*length);
            }),
            Self::Readdir { handle } => strings(kind::READDIR, &[handle]),
            Self::Readlink { path } => strings(kind::READLINK, &[path]),
            Self::Realpath { path } => strings(kind::REALPATH, &[path]),
            Self::Remove { path } => strings(kind::REMOVE, &[path]),
            Self::Rename { from, to } => strings(kind::RENAME, &[from, to]),
            Self::Rmdir { path } => strings(kind::RMDIR, &[path]),
            Self::Setstat { path, attributes } => with(kind::SETSTAT, &[path], attributes),
            Self::Stat { path } => strings(kind::STAT, &[path]),
            Self::Statvfs { path } => strings(kind::EXTENDED, &[STATVFS, path]),
            Self::Symlink { first, second } => strings(kind::SYMLINK, &[first, second]),
            Self::UsersGroups { users, groups } => strings(kind::EXTENDED, &[USERS_GROUPS, users, groups]),
            Self::Write { handle, offset, data } => Packet::build(kind::WRITE, 0, |out| {
                put_string(out, handle);
                out.put_u64(*offset);
                put_string(out, data);
            }),
        }
    }
}

fn put_strings(out: &mut BytesMut, texts: &[&[u8]]) {
    for text in texts {
        put_string(out, text);
    }
}

/// Attributes that a request sets (§5). Extended ones are refused: nobody knows what they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes {
    /// The size: a file is cut or filled up to it.
    pub size: Option<u64>,
    /// User and group.
    pub owner: Option<(u32, u32)>,
    /// The mode.
    pub permissions: Option<u32>,
    /// Times of last access and modification.
    pub times: Option<(u32, u32)>,
}

impl Attributes {
    fn parse(r: &mut Reader<'_>) -> Result<Self, RequestError> {
        let flags = r.u32()?;
        if flags & !(SIZE | OWNER | PERMISSIONS | TIMES) != 0 {
            return Err(RequestError::Unknown);
        }
        let pair = |r: &mut Reader<'_>| Ok::<_, ReadError>((r.u32()?, r.u32()?));
        Ok(Self {
            size: (flags & SIZE != 0).then(|| u64(r)).transpose()?,
            owner: (flags & OWNER != 0).then(|| pair(r)).transpose()?,
            permissions: (flags & PERMISSIONS != 0).then(|| r.u32()).transpose()?,
            times: (flags & TIMES != 0).then(|| pair(r)).transpose()?,
        })
    }

    fn put(self, out: &mut BytesMut) {
        let flag = |set: bool, flag: u32| if set { flag } else { 0 };
        out.put_u32(
            flag(self.size.is_some(), SIZE)
                | flag(self.owner.is_some(), OWNER)
                | flag(self.permissions.is_some(), PERMISSIONS)
                | flag(self.times.is_some(), TIMES),
        );
        if let Some(size) = self.size {
            out.put_u64(size);
        }
        for number in [self.owner.map(|(user, _)| user), self.owner.map(|(_, group)| group), self.permissions]
            .into_iter()
            .chain([self.times.map(|(access, _)| access), self.times.map(|(_, change)| change)])
            .flatten()
        {
            out.put_u32(number);
        }
    }

    /// Whether the mode gives more than reading, writing and running: setuid, setgid, sticky.
    #[must_use]
    pub fn is_special(&self) -> bool {
        self.permissions.is_some_and(|mode| mode & 0o7000 != 0)
    }
}

/// Why a request cannot be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RequestError {
    /// Its body is not what its type says.
    #[error("the request is malformed: {0}")]
    Malformed(#[from] ReadError),
    /// Nobody here knows what it does.
    #[error("hoopctl does not know this request, and what cannot be judged is denied")]
    Unknown,
}

/// Whether we know this extension in this version, so that the client may be told of it.
#[must_use]
pub(super) fn knows(name: &[u8], version: &[u8]) -> bool {
    match name {
        COPY_DATA | EXPAND_PATH | FSYNC | HARDLINK | HOME_DIRECTORY | LIMITS | LSETSTAT | POSIX_RENAME
        | USERS_GROUPS => version == b"1",
        FSTATVFS | STATVFS => version == b"2",
        _ => false,
    }
}

const COPY_DATA: &[u8] = b"copy-data";
const EXPAND_PATH: &[u8] = b"expand-path@openssh.com";
const FSTATVFS: &[u8] = b"fstatvfs@openssh.com";
const FSYNC: &[u8] = b"fsync@openssh.com";
const HARDLINK: &[u8] = b"hardlink@openssh.com";
const HOME_DIRECTORY: &[u8] = b"home-directory";
const LIMITS: &[u8] = b"limits@openssh.com";
const LSETSTAT: &[u8] = b"lsetstat@openssh.com";
const POSIX_RENAME: &[u8] = b"posix-rename@openssh.com";
const STATVFS: &[u8] = b"statvfs@openssh.com";
const USERS_GROUPS: &[u8] = b"users-groups-by-id@openssh.com";

const SIZE: u32 = 1;
const OWNER: u32 = 2;
const PERMISSIONS: u32 = 4;
const TIMES: u32 = 8;
