//! Where a packet begins and ends, and the fields that all packets share.
//!
//! Job: take whole packets off the input, bounded before anything is buffered; change a packet's id in
//! place. Boundary: knows nothing of what is inside. Failure mode: [`PacketError`], to be blamed on
//! whoever sent it.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::wire::buffer::{ReadError, Reader};

/// The longest packet, counted as the protocol counts: without the length itself. OpenSSH's own limit.
pub const MAX_PACKET: usize = 256 * 1024;

/// The most bytes that one READ or WRITE carries; OpenSSH's own limit.
pub const MAX_DATA: usize = MAX_PACKET - 1024;

/// A whole packet with type and id. INIT and VERSION hold their version where others hold the id.
#[derive(Debug)]
pub struct Packet {
    bytes: BytesMut,
}

impl Packet {
    /// Takes one whole packet off the front of the input; `None` while it is not whole.
    ///
    /// # Errors
    /// [`PacketError`].
    pub fn take(input: &mut BytesMut) -> Result<Option<Self>, PacketError> {
        let Some((length, _)) = input.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length < HEAD - 4 {
            return Err(PacketError::TooShort { length });
        }
        if length > MAX_PACKET {
            return Err(PacketError::TooLong { length });
        }
        if input.len() < length + 4 {
            return Ok(None);
        }
        Ok(Some(Self { bytes: input.split_to(length + 4) }))
    }

    /// Builds a packet. For packets that are short by construction.
    #[must_use]
    pub fn build(kind: u8, id: u32, body: impl FnOnce(&mut BytesMut)) -> Self {
        let mut bytes = BytesMut::new();
        bytes.put_u32(0);
        bytes.put_u8(kind);
        bytes.put_u32(id);
        body(&mut bytes);
        let length = u32::try_from(bytes.len() - 4).unwrap_or(u32::MAX);
        put_at(&mut bytes, 0, length);
        Self { bytes }
    }

    /// The packet type.
    #[must_use]
    pub fn kind(&self) -> u8 {
        self.bytes.get(4).copied().unwrap_or_default()
    }

    /// The request's id; for INIT and VERSION the version.
    #[must_use]
    pub fn id(&self) -> u32 {
        let id = self.bytes.get(5..).and_then(<[u8]>::first_chunk);
        id.copied().map(u32::from_be_bytes).unwrap_or_default()
    }

    /// Gives it another id.
    pub fn set_id(&mut self, id: u32) {
        put_at(&mut self.bytes, 5, id);
    }

    /// Writes its last four bytes.
    pub(super) fn set_tail(&mut self, value: u32) {
        let at = self.bytes.len().saturating_sub(4);
        put_at(&mut self.bytes, at, value);
    }

    /// What follows the id.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.bytes.get(HEAD..).unwrap_or_default()
    }

    /// How many bytes it takes, its length included.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The whole packet, to be sent.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes.freeze()
    }
}

fn put_at(bytes: &mut BytesMut, at: usize, value: u32) {
    if let Some(slot) = bytes.get_mut(at..at + 4) {
        slot.copy_from_slice(&value.to_be_bytes());
    }
}

/// Reads a string with its four-byte length.
pub(super) fn string<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], ReadError> {
    let length = usize::try_from(reader.u32()?).map_err(|_| ReadError::Truncated)?;
    reader.bytes(length)
}

/// Reads a big-endian number of eight bytes.
pub(super) fn u64(reader: &mut Reader<'_>) -> Result<u64, ReadError> {
    Ok(u64::from(reader.u32()?) << 32 | u64::from(reader.u32()?))
}

/// Appends a string with its length.
pub(super) fn put_string(out: &mut BytesMut, text: &[u8]) {
    out.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    out.put_slice(text);
}

/// A length that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PacketError {
    /// It is longer than is allowed.
    #[error("a packet of {length} bytes; the limit is {MAX_PACKET}")]
    TooLong {
        /// The length that it claims.
        length: usize,
    },
    /// It does not even hold a type and an id.
    #[error("a packet of {length} bytes, which holds no type and id")]
    TooShort {
        /// The length that it claims.
        length: usize,
    },
}

/// Length, type and id.
const HEAD: usize = 9;

/// Packet types (draft-ietf-secsh-filexfer-02 §3).
pub(super) mod kind {
    pub(in crate::wire::ssh::sftp) const INIT: u8 = 1;
    pub(in crate::wire::ssh::sftp) const VERSION: u8 = 2;
    pub(in crate::wire::ssh::sftp) const OPEN: u8 = 3;
    pub(in crate::wire::ssh::sftp) const CLOSE: u8 = 4;
    pub(in crate::wire::ssh::sftp) const READ: u8 = 5;
    pub(in crate::wire::ssh::sftp) const WRITE: u8 = 6;
    pub(in crate::wire::ssh::sftp) const LSTAT: u8 = 7;
    pub(in crate::wire::ssh::sftp) const FSTAT: u8 = 8;
    pub(in crate::wire::ssh::sftp) const SETSTAT: u8 = 9;
    pub(in crate::wire::ssh::sftp) const FSETSTAT: u8 = 10;
    pub(in crate::wire::ssh::sftp) const OPENDIR: u8 = 11;
    pub(in crate::wire::ssh::sftp) const READDIR: u8 = 12;
    pub(in crate::wire::ssh::sftp) const REMOVE: u8 = 13;
    pub(in crate::wire::ssh::sftp) const MKDIR: u8 = 14;
    pub(in crate::wire::ssh::sftp) const RMDIR: u8 = 15;
    pub(in crate::wire::ssh::sftp) const REALPATH: u8 = 16;
    pub(in crate::wire::ssh::sftp) const STAT: u8 = 17;
    pub(in crate::wire::ssh::sftp) const RENAME: u8 = 18;
    pub(in crate::wire::ssh::sftp) const READLINK: u8 = 19;
    pub(in crate::wire::ssh::sftp) const SYMLINK: u8 = 20;
    pub(in crate::wire::ssh::sftp) const STATUS: u8 = 101;
    pub(in crate::wire::ssh::sftp) const HANDLE: u8 = 102;
    pub(in crate::wire::ssh::sftp) const DATA: u8 = 103;
    pub(in crate::wire::ssh::sftp) const NAME: u8 = 104;
    pub(in crate::wire::ssh::sftp) const ATTRS: u8 = 105;
    pub(in crate::wire::ssh::sftp) const EXTENDED: u8 = 200;
    pub(in crate::wire::ssh::sftp) const EXTENDED_REPLY: u8 = 201;
}
