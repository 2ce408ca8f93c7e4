//! Where a message begins and ends.
//!
//! Job: read a message's tag and length, bounded before anything is buffered. Boundary: knows
//! nothing of what is inside. Failure mode: [`FrameError`], to be blamed on whoever sent it.

use bytes::{Bytes, BytesMut};
use thiserror::Error;

/// The longest message of each phase, counted as the protocol counts: with its length, without its
/// tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    /// The start-up packet; PostgreSQL's own limit.
    pub startup: usize,
    /// Each message of an authentication, both ways.
    pub auth: usize,
    /// A client's message that has to be read whole. CopyData is not: it passes in pieces.
    pub client: usize,
    /// A database's message that has to be read whole. DataRow and CopyData are not.
    pub upstream: usize,
}

impl Default for FrameLimits {
    fn default() -> Self {
        Self { startup: 10_000, auth: 64 * 1024, client: 64 * 1024 * 1024, upstream: 64 * 1024 * 1024 }
    }
}

/// The first five bytes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The message type.
    pub tag: u8,
    /// How many bytes the whole message has, the five of its head included.
    pub total: usize,
}

impl Head {
    /// Reads a head; `None` while there are fewer than five bytes.
    ///
    /// # Errors
    /// [`FrameError::Length`] for a length that cannot be.
    pub fn peek(input: &[u8]) -> Result<Option<Self>, FrameError> {
        let Some(([tag, length @ ..], _)) = input.split_first_chunk::<5>() else {
            return Ok(None);
        };
        let length = i32::from_be_bytes(*length);
        match usize::try_from(length) {
            Ok(length) if length >= 4 => Ok(Some(Self { tag: *tag, total: length + 1 })),
            _ => Err(FrameError::Length { tag: *tag, length }),
        }
    }

    /// The head, when the message is within the limit.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn within(self, limit: usize) -> Result<Self, FrameError> {
        if self.total - 1 > limit {
            Err(FrameError::TooLarge { tag: self.tag, length: self.total - 1, limit })
        } else {
            Ok(self)
        }
    }
}

/// Takes one whole message off the front of the input; `None` while it is not whole.
///
/// # Errors
/// [`FrameError`].
pub fn take(input: &mut BytesMut, limit: usize) -> Result<Option<Frame>, FrameError> {
    let Some(head) = Head::peek(input)? else {
        return Ok(None);
    };
    let head = head.within(limit)?;
    if input.len() < head.total {
        return Ok(None);
    }
    Ok(Some(Frame { tag: head.tag, bytes: input.split_to(head.total).freeze() }))
}

/// One whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The message type.
    pub tag: u8,
    /// The whole message, its head included.
    pub bytes: Bytes,
}

impl Frame {
    /// The body: what follows the length.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.bytes.get(5..).unwrap_or_default()
    }
}

/// A head that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The length is below the four bytes that it takes itself.
    #[error("a message of type {} claims a length of {length}", shown(*tag))]
    Length {
        /// The message type.
        tag: u8,
        /// The length that it claims.
        length: i32,
    },
    /// The message is longer than is allowed here.
    #[error("a message of type {} has {length} bytes; the limit here is {limit}", shown(*tag))]
    TooLarge {
        /// The message type.
        tag: u8,
        /// How long it is.
        length: usize,
        /// The limit.
        limit: usize,
    },
}

/// A message type for a person: the letter, or its number where it is not printable.
#[must_use]
pub fn shown(tag: u8) -> String {
    if tag.is_ascii_graphic() { format!("`{}`", char::from(tag)) } else { format!("0x{tag:02x}") }
}
