//! Recorded answers as rows of text.
//!
//! Job: turn the frames that a client was sent into lines for `session replay`. Boundary: decodes for
//! the eye, not for a program. Failure mode: [`TranscriptError`]; the stream cannot be read on.

use bytes::BytesMut;
use thiserror::Error;

use super::backend::{Column, TransactionStatus};
use super::error::ErrorFields;
use super::frame::FrameError;
use crate::wire::buffer::ReadError;

/// Reads a recorded stream of frames.
#[derive(Debug, Default)]
pub struct Transcript {
    buffer: BytesMut,
    columns: Vec<Column>,
}

impl Transcript {
    /// Adds recorded bytes; they need not end with a frame.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Says what the next rows look like, for a prepared statement whose description is not in the
    /// stream: its columns, with the formats that its Bind asked for.
    pub fn expect(&mut self, columns: Vec<Column>) {
        self.columns = columns;
    }

    /// The next line; `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`TranscriptError`].
    pub fn poll_line(&mut self) -> Result<Option<Line>, TranscriptError> {
        Ok(None)
    }
}

/// A line of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// The names of the columns of the rows to come.
    Columns(Vec<String>),
    /// A statement is done; its command tag.
    Completed(String),
    /// A piece of COPY data, as text or `\x…`.
    CopyData(String),
    /// Something failed.
    Error(ErrorFields),
    /// The database or the gateway had something to say.
    Notice(ErrorFields),
    /// Somebody notified a channel.
    Notification {
        /// The channel.
        channel: String,
        /// What was said.
        payload: String,
    },
    /// The database waits for the next query.
    Ready(TransactionStatus),
    /// A row; `None` is NULL.
    Row(Vec<Option<String>>),
    /// A portal's row limit is reached.
    Suspended,
}

/// Why a recorded stream cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TranscriptError {
    /// A frame's head cannot be.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame's body is not what its type says.
    #[error("a recorded message of type {} is malformed: {source}", super::frame::shown(*tag))]
    Malformed {
        /// The message type.
        tag: u8,
        /// Why.
        source: ReadError,
    },
}
