//! One chunk of a recording. Frozen as version 1.
//!
//! ```text
//! magic "HOOPREC" · version 1 · connection u32 · chunk u32 · start i64 (µs since 1970) ·
//! plain length u32 · session id (30 bytes) · one zstd frame, level 1
//! ```
//!
//! Integers are big-endian. The frame holds items: time since the item before in microseconds
//! (varint), kind and, in its highest bit, whether the item goes on in the next piece (1 byte),
//! length (varint), bytes. Varints are LEB128. The first item's time counts from `start`.
//!
//! Failure mode: [`ChunkError`]; decompression stops at the length that the header gives, which is
//! at most [`MAX_PLAIN`].

use jiff::Timestamp;
use thiserror::Error;

use super::item::ItemKind;
use crate::domain::name::SessionId;

/// No chunk is longer than this before compression.
pub const MAX_PLAIN: usize = 1 << 20;

/// What a chunk belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The session.
    pub session: SessionId,
    /// Which connection of the session, counted from 1.
    pub connection: u32,
    /// Which chunk of the connection, counted from 0.
    pub chunk: u32,
}

/// Why bytes are not a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ChunkError {
    /// The frame does not decompress to what the header says.
    #[error("the chunk's content is damaged")]
    Content,
    /// It does not begin as a chunk does.
    #[error("it is not a chunk of a recording")]
    Header,
    /// An item is not well formed.
    #[error("an item of the chunk is damaged")]
    Item,
    /// A later version wrote it.
    #[error("the chunk has version {0}, which this version does not know")]
    UnknownVersion(u8),
}

/// Collects items into a chunk.
#[derive(Debug, Default)]
pub struct ChunkWriter {
    plain: Vec<u8>,
    start: i64,
    last: i64,
}

impl ChunkWriter {
    /// Whether nothing was pushed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty()
    }

    /// How many bytes the chunk has so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.plain.len()
    }

    /// Appends as much of an item as fits below `limit` bytes, and returns the rest of it.
    ///
    /// The rest is `None` when the item is whole; else it belongs at the beginning of the next
    /// chunk, and `kind` and `at` stay the same.
    pub fn push<'b>(
        &mut self,
        at: Timestamp,
        kind: ItemKind,
        bytes: &'b [u8],
        limit: usize,
    ) -> Option<&'b [u8]> {
        let at = at.as_microsecond();
        if self.plain.is_empty() {
            (self.start, self.last) = (at, at);
        }
        let room = limit.min(MAX_PLAIN).saturating_sub(self.plain.len()).saturating_sub(HEAD);
        if room == 0 && !self.plain.is_empty() {
            return Some(bytes);
        }
        let (now, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        // a clock that was set back gives items at the same time, never before
        let delta = u64::try_from(at.saturating_sub(self.last)).unwrap_or(0);
        self.last = self.last.max(at);
        put_varint(&mut self.plain, delta);
        self.plain.push(kind.code() | if rest.is_empty() { 0 } else { MORE });
        put_varint(&mut self.plain, u64::try_from(now.len()).unwrap_or(u64::MAX));
        self.plain.extend_from_slice(now);
        if rest.is_empty() { None } else { Some(rest) }
    }

    /// Compresses the chunk.
    ///
    /// # Errors
    /// When zstd has no memory.
    pub fn seal(&self, place: &Place) -> std::io::Result<Vec<u8>> {
        let frame = zstd::bulk::compress(&self.plain, LEVEL)?;
        let mut bytes = Vec::with_capacity(frame.len() + HEADER);
        bytes.extend_from_slice(MAGIC);
        bytes.push(VERSION);
        bytes.extend_from_slice(&place.connection.to_be_bytes());
        bytes.extend_from_slice(&place.chunk.to_be_bytes());
        bytes.extend_from_slice(&self.start.to_be_bytes());
        bytes.extend_from_slice(&u32::try_from(self.plain.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(place.session.as_str().as_bytes());
        bytes.extend_from_slice(&frame);
        Ok(bytes)
    }
}

/// A chunk, opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// What it belongs to.
    pub place: Place,
    start: i64,
    plain: Vec<u8>,
}

/// A piece of an item: the whole of it, unless it or the one before says that there is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// When, in microseconds since 1970.
    pub at: i64,
    /// What kind of item.
    pub kind: ItemKind,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Whether the item goes on in the next piece.
    pub more: bool,
}

impl Chunk {
    /// Opens a chunk and checks every item of it.
    ///
    /// # Errors
    /// [`ChunkError`].
    pub fn open(bytes: &[u8]) -> Result<Self, ChunkError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(ChunkError::Header)?;
        let (version, rest) = rest.split_first().ok_or(ChunkError::Header)?;
        if *version != VERSION {
            return Err(ChunkError::UnknownVersion(*version));
        }
        let (connection, rest) = rest.split_first_chunk::<4>().ok_or(ChunkError::Header)?;
        let (chunk, rest) = rest.split_first_chunk::<4>().ok_or(ChunkError::Header)?;
        let (start, rest) = rest.split_first_chunk::<8>().ok_or(ChunkError::Header)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(ChunkError::Header)?;
        let (session, frame) = rest.split_at_checked(SESSION).ok_or(ChunkError::Header)?;
        let session = std::str::from_utf8(session).map_err(|_| ChunkError::Header)?;
        let session = SessionId::new(session).map_err(|_| ChunkError::Header)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > MAX_PLAIN {
            return Err(ChunkError::Header);
        }
        let plain = zstd::bulk::decompress(frame, length).map_err(|_| ChunkError::Content)?;
        if plain.len() != length {
            return Err(ChunkError::Content);
        }
        let connection = u32::from_be_bytes(*connection);
        let place = Place { session, connection, chunk: u32::from_be_bytes(*chunk) };
        let opened = Self { place, start: i64::from_be_bytes(*start), plain };
        let (mut offset, mut at) = (0, opened.start);
        while offset < opened.plain.len() {
            let (piece, next) = opened.piece(offset, at).ok_or(ChunkError::Item)?;
            (offset, at) = (next, piece.at);
        }
        Ok(opened)
    }

    /// The pieces, in order.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let (mut offset, mut at) = (0, self.start);
        std::iter::from_fn(move || {
            let (piece, next) = self.piece(offset, at)?;
            (offset, at) = (next, piece.at);
            Some(piece)
        })
    }

    /// The piece at `offset` of the plain bytes, and where the next one begins.
    pub(super) fn piece(&self, offset: usize, at: i64) -> Option<(Piece<'_>, usize)> {
        let rest = self.plain.get(offset..)?;
        let (delta, rest) = take_varint(rest)?;
        let (code, rest) = rest.split_first()?;
        let (length, rest) = take_varint(rest)?;
        let (bytes, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        let piece = Piece {
            at: at.checked_add_unsigned(delta)?,
            kind: ItemKind::from_code(code & !MORE)?,
            bytes,
            more: code & MORE != 0,
        };
        Some((piece, self.plain.len() - rest.len()))
    }

    /// When its first item was, in microseconds since 1970.
    #[must_use]
    pub fn start(&self) -> i64 {
        self.start
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

fn take_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (mut value, mut rest) = (0_u64, bytes);
    for shift in (0..63).step_by(7) {
        let (byte, after) = rest.split_first()?;
        rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, rest));
        }
    }
    None
}

const MAGIC: &[u8; 7] = b"HOOPREC";
const VERSION: u8 = 1;
const LEVEL: i32 = 1;
const SESSION: usize = 30;
const HEADER: usize = 7 + 1 + 4 + 4 + 8 + 4 + SESSION;
/// The most that an item has besides its bytes.
const HEAD: usize = 9 + 1 + 9;
const MORE: u8 = 0x80;

#[cfg(test)]
mod tests;
