//! Recorded answers as rows of text.
//!
//! Job: turn the frames that a client was sent into lines for `session replay`. Boundary: decodes for
//! the eye, not for a program. Failure mode: [`TranscriptError`]; the stream cannot be read on.

use bytes::BytesMut;
use thiserror::Error;

use super::backend::{Column, ServerMessage, TransactionStatus};
use super::error::ErrorFields;
use super::frame::{self, FrameError};
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
        while let Some(frame) = frame::take(&mut self.buffer, MAX_FRAME)? {
            let message = ServerMessage::parse(frame.tag, frame.body())
                .map_err(|source| TranscriptError::Malformed { tag: frame.tag, source })?;
            if let Some(line) = message.and_then(|message| self.line(message)) {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    fn line(&mut self, message: ServerMessage<'_>) -> Option<Line> {
        Some(match message {
            ServerMessage::CommandComplete(tag) => Line::Completed(lossy(tag)),
            ServerMessage::CopyData(bytes) => Line::CopyData(match std::str::from_utf8(bytes) {
                Ok(text) => text.to_owned(),
                Err(_) => hex(bytes),
            }),
            ServerMessage::DataRow(values) => Line::Row(
                values
                    .iter()
                    .enumerate()
                    .map(|(at, value)| value.map(|bytes| shown(bytes, self.columns.get(at))))
                    .collect(),
            ),
            ServerMessage::ErrorResponse(fields) => Line::Error(fields.summary()),
            ServerMessage::NoticeResponse(fields) => Line::Notice(fields.summary()),
            ServerMessage::NotificationResponse { channel, payload, .. } => {
                Line::Notification { channel: lossy(channel), payload: lossy(payload) }
            }
            ServerMessage::PortalSuspended => Line::Suspended,
            ServerMessage::ReadyForQuery(status) => Line::Ready(status),
            ServerMessage::RowDescription(columns) => {
                self.columns = columns;
                Line::Columns(self.columns.iter().map(|column| column.name.clone()).collect())
            }
            _ => return None,
        })
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

/// A value for the eye. Binary values of common types are decoded, others shown as `\x…`.
fn shown(bytes: &[u8], column: Option<&Column>) -> String {
    let binary = column.filter(|column| column.format != 0);
    match binary {
        Some(column) => decoded(bytes, column.type_oid).unwrap_or_else(|| hex(bytes)),
        None => lossy(bytes),
    }
}

fn decoded(bytes: &[u8], type_oid: u32) -> Option<String> {
    fn array<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
        bytes.try_into().ok()
    }
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
    match type_oid {
        // bool, as psql shows it
        16 => match bytes {
            [0] => Some("f".to_owned()),
            [1] => Some("t".to_owned()),
            _ => None,
        },
        // int8
        20 => Some(i64::from_be_bytes(array(bytes)?).to_string()),
        // int2
        21 => Some(i16::from_be_bytes(array(bytes)?).to_string()),
        // int4
        23 => Some(i32::from_be_bytes(array(bytes)?).to_string()),
        // oid
        26 => Some(u32::from_be_bytes(array(bytes)?).to_string()),
        // float4, float8
        700 => Some(f32::from_be_bytes(array(bytes)?).to_string()),
        701 => Some(f64::from_be_bytes(array(bytes)?).to_string()),
        // "char", name, text, json, xml, unknown, bpchar, varchar
        18 | 19 | 25 | 114 | 142 | 705 | 1042 | 1043 => text(bytes),
        // jsonb: a version, then text
        3802 => match bytes.split_first() {
            Some((1, json)) => text(json),
            _ => None,
        },
        _ => None,
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Bytes in PostgreSQL's hexadecimal form: `\\x0aff`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(2 + bytes.len() * 2);
    out.push_str("\\x");
    for byte in bytes {
        // writing to a string cannot fail
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// PostgreSQL makes no longer frames.
const MAX_FRAME: usize = 1 << 30;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    fn column(name: &str, type_oid: u32, format: i16) -> Column {
        Column {
            name: name.to_owned(),
            table: 0,
            attribute: 0,
            type_oid,
            type_size: -1,
            type_modifier: -1,
            format,
        }
    }

    #[test]
    fn answers_become_lines_whatever_the_pieces() {
        let mut bytes = BytesMut::new();
        for message in [
            ServerMessage::RowDescription(vec![
                column("id", 23, 1),
                column("note", 25, 0),
                column("at", 1114, 1),
            ]),
            ServerMessage::DataRow(vec![Some(&[0, 0, 0, 7]), Some(b"hi"), Some(&[0xde, 0xad])]),
            ServerMessage::DataRow(vec![None, None, None]),
            ServerMessage::CommandComplete(b"SELECT 2"),
            ServerMessage::ReadyForQuery(TransactionStatus::Idle),
        ] {
            message.encode(&mut bytes);
        }
        let mut transcript = Transcript::default();
        let mut lines = Vec::new();
        for byte in bytes {
            transcript.feed(&[byte]);
            while let Some(line) = transcript.poll_line().unwrap() {
                lines.push(line);
            }
        }
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            lines,
            [
                Line::Columns(vec!["id".to_owned(), "note".to_owned(), "at".to_owned()]),
                Line::Row(vec![text("7"), text("hi"), text("\\xdead")]),
                Line::Row(vec![None, None, None]),
                Line::Completed("SELECT 2".to_owned()),
                Line::Ready(TransactionStatus::Idle),
            ]
        );
    }

    #[test]
    fn binary_values_of_common_types_are_decoded() {
        let one = |bytes: &[u8], oid| shown(bytes, Some(&column("c", oid, 1)));
        assert_eq!(one(&[1], 16), "t");
        assert_eq!(one(&(-2i16).to_be_bytes(), 21), "-2");
        assert_eq!(one(&5i64.to_be_bytes(), 20), "5");
        assert_eq!(one(&1.5f32.to_be_bytes(), 700), "1.5");
        assert_eq!(one(&2.25f64.to_be_bytes(), 701), "2.25");
        assert_eq!(one(b"\x01{}", 3802), "{}");
        // a wrong length is shown, not guessed at
        assert_eq!(one(&[1, 2], 23), "\\x0102");
    }
}
