//! Recorded answers as rows of text.
//!
//! Job: turn the frames that a client was sent into lines for `session replay`. Boundary: decodes for
//! the eye, not for a program. Failure mode: [`TranscriptError`]; the stream cannot be read on.

use bytes::{Buf as _, BytesMut};
use thiserror::Error;

use super::backend::{Column, ServerMessage, TransactionStatus};
use super::error::ErrorFields;
use super::frame::{self, FrameError, Head};
use crate::wire::buffer::ReadError;

/// Reads a recorded stream of frames.
#[derive(Debug)]
pub struct Transcript {
    buffer: BytesMut,
    columns: Vec<Column>,
    /// The longest frame that is read as a whole, as the protocol counts.
    most: usize,
    /// Of a longer one that has begun: how many bytes it has, and how many of them are to come.
    passing: Option<(usize, usize)>,
}

impl Default for Transcript {
    fn default() -> Self {
        Self::bounded(MAX_FRAME)
    }
}

impl Transcript {
    /// Reads no frame that is longer than this, but says how long it is.
    #[must_use]
    pub fn bounded(most: usize) -> Self {
        Self { buffer: BytesMut::new(), columns: Vec::new(), most: most.min(MAX_FRAME), passing: None }
    }

    /// Adds recorded bytes; they need not end with a frame.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Some((_, left)) = &mut self.passing else {
            return self.buffer.extend_from_slice(bytes);
        };
        // what is passed over is not kept for that
        let passed = bytes.len().min(*left);
        *left -= passed;
        self.buffer.extend_from_slice(bytes.get(passed..).unwrap_or_default());
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
        loop {
            if let Some((total, left)) = self.passing {
                let passed = self.buffer.len().min(left);
                self.buffer.advance(passed);
                self.passing = (passed < left).then_some((total, left - passed));
                return Ok(self.passing.is_none().then_some(Line::TooLong(total)));
            }
            let Some(head) = Head::peek(&self.buffer)? else { return Ok(None) };
            let head = head.within(MAX_FRAME)?;
            if head.total > self.most {
                self.passing = Some((head.total, head.total));
                continue;
            }
            let Some(frame) = frame::take(&mut self.buffer, MAX_FRAME)? else { return Ok(None) };
            let message = ServerMessage::parse(frame.tag, frame.body())
                .map_err(|source| TranscriptError::Malformed { tag: frame.tag, source })?;
            if let Some(line) = message.and_then(|message| self.line(message)) {
                return Ok(Some(line));
            }
        }
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
    /// A message that is longer than what is read, and how many bytes it has: a row, or a piece of COPY data.
    TooLong(usize),
}

impl Line {
    /// What is shown of it to people; nothing of what only tells that there is more.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        Some(match self {
            Self::Columns(names) => names.join(" | "),
            Self::Completed(tag) => tag.clone(),
            Self::CopyData(data) => data.clone(),
            Self::Error(fields) => format!("ERROR:  {}: {}", fields.sqlstate, fields.message),
            Self::Notice(fields) => format!("NOTICE:  {}", fields.message),
            Self::Notification { channel, payload } => format!("NOTIFY {channel}: {payload}"),
            Self::Row(values) => {
                let cells: Vec<&str> =
                    values.iter().map(|value| value.as_deref().unwrap_or("NULL")).collect();
                cells.join(" | ")
            }
            Self::TooLong(bytes) => format!("[a message of {bytes} bytes, too large to be shown]"),
            Self::Ready(_) | Self::Suspended => return None,
        })
    }
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
    let type_oid = column.map_or(0, |column| column.type_oid);
    if column.is_some_and(|column| column.format != 0) || !is_text(bytes, type_oid) {
        return decoded(bytes, type_oid).unwrap_or_else(|| hex(bytes));
    }
    lossy(bytes)
}

/// Whether it can be a value in text. A statement's description says `text` of what a Bind may still ask for in binary.
fn is_text(bytes: &[u8], type_oid: u32) -> bool {
    match type_oid {
        // bool, int8, int2, int4, oid, float4, float8
        16 | 20 | 21 | 23 | 26 | 700 | 701 => bytes.iter().all(u8::is_ascii_graphic),
        // PostgreSQL has no text with a zero byte
        _ => !bytes.contains(&0),
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

    /// What is too long is passed over in pieces, and what follows it is read.
    #[test]
    fn a_row_of_any_length_costs_no_more_than_was_allowed() {
        let mut bytes = BytesMut::new();
        let huge = vec![b'x'; 3 << 20];
        ServerMessage::DataRow(vec![Some(huge.as_slice())]).encode(&mut bytes);
        let total = bytes.len();
        ServerMessage::DataRow(vec![Some(b"after")]).encode(&mut bytes);
        for size in [1000, 4096, bytes.len()] {
            let (mut transcript, mut lines, mut held) = (Transcript::bounded(1 << 16), Vec::new(), 0);
            for piece in bytes.chunks(size) {
                transcript.feed(piece);
                while let Some(line) = transcript.poll_line().unwrap() {
                    lines.push(line);
                }
                held = held.max(transcript.buffer.len());
            }
            assert_eq!(lines, [Line::TooLong(total), Line::Row(vec![Some("after".into())])], "{size}");
            assert!(held < (1 << 16) + size, "{held} bytes were held");
        }
    }

    #[test]
    fn what_cannot_be_text_is_not_shown_as_text() {
        let one = |bytes: &[u8], oid| shown(bytes, Some(&column("c", oid, 0)));
        assert_eq!(one(&[0, 0, 0, 7], 23), "7");
        assert_eq!(one(b"7", 23), "7");
        assert_eq!(one(&[1], 16), "t");
        assert_eq!(one(b"a\0b", 25), "a\0b");
        assert_eq!(one(b"a\0b", 1114), "\\x610062");
        assert_eq!(shown(b"a\0b", None), "\\x610062");
        assert_eq!(one("grün".as_bytes(), 25), "grün");
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
