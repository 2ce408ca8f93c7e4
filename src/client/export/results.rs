//! Answers of PostgreSQL as results, counted.
//!
//! Job: says where a result begins, which number it has among those of its connection, and what its columns are
//! called. Boundary: the frames are read by [`Transcript`]. Failure mode: a message that is longer than
//! [`MOST`] is passed over, and said to be.

use crate::wire::postgres::transcript::{Line, Transcript, TranscriptError};

/// The longest message that is read as a whole, in bytes: a row, with all its cells.
pub const MOST: usize = 64 << 20;

/// The results of one connection.
#[derive(Debug)]
pub struct Results {
    transcript: Transcript,
    /// What the next rows are called.
    names: Option<Vec<String>>,
    /// How many have begun.
    count: u64,
    is_open: bool,
}

/// A line of an answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    /// The result that begins with it.
    pub begins: Option<Begun>,
    /// The line.
    pub line: Line,
}

/// A result that begins.
#[derive(Debug, PartialEq, Eq)]
pub struct Begun {
    /// Which of the connection, counted from 1.
    pub number: u64,
    /// Its columns.
    pub columns: Vec<String>,
}

impl Default for Results {
    fn default() -> Self {
        Self { transcript: Transcript::bounded(MOST), names: None, count: 0, is_open: false }
    }
}

impl Results {
    /// Adds recorded frames, cut anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.transcript.feed(bytes);
    }

    /// The next line; `None` when more is needed.
    ///
    /// # Errors
    /// [`TranscriptError`].
    pub fn poll(&mut self) -> Result<Option<Told>, TranscriptError> {
        let Some(line) = self.transcript.poll_line()? else { return Ok(None) };
        let mut begins = None;
        match &line {
            Line::Columns(names) => {
                self.names = Some(names.clone());
                self.is_open = false;
            }
            Line::Row(values) => begins = self.begin(values.len()),
            Line::CopyData(_) => {
                self.names.get_or_insert_with(|| vec!["copy".to_owned()]);
                begins = self.begin(1);
            }
            Line::TooLong(_) => begins = self.begin(self.names.as_ref().map_or(1, Vec::len)),
            Line::Completed(_) => {
                // no row is a result as well
                if let Some(names) = &self.names {
                    let count = names.len();
                    begins = self.begin(count);
                }
                self.end();
            }
            Line::Error(_) => self.end(),
            Line::Notice(_) | Line::Notification { .. } | Line::Ready(_) | Line::Suspended => {}
        }
        Ok(Some(Told { begins, line }))
    }

    fn begin(&mut self, columns: usize) -> Option<Begun> {
        if self.is_open {
            return None;
        }
        self.is_open = true;
        self.count = self.count.saturating_add(1);
        // a prepared statement that runs again is not described again
        let named = self.names.clone().filter(|names| names.len() == columns);
        let columns = named.unwrap_or_else(|| (1..=columns).map(|place| format!("column {place}")).collect());
        Some(Begun { number: self.count, columns })
    }

    fn end(&mut self) {
        self.is_open = false;
        self.names = None;
        self.transcript.expect(Vec::new());
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use bytes::BytesMut;

    use super::{Begun, Results};
    use crate::wire::postgres::backend::{Column, ServerMessage};
    use crate::wire::postgres::transcript::Line;

    #[test]
    fn results_are_counted_and_named() {
        let columns = |name: &str| {
            let name = name.to_owned();
            let column = Column {
                name,
                table: 0,
                attribute: 0,
                type_oid: 25,
                type_size: -1,
                type_modifier: -1,
                format: 0,
            };
            ServerMessage::RowDescription(vec![column])
        };
        let mut bytes = BytesMut::new();
        for message in [
            columns("a"),
            ServerMessage::DataRow(vec![Some(b"1")]),
            ServerMessage::DataRow(vec![None]),
            ServerMessage::CommandComplete(b"SELECT 2"),
            ServerMessage::CommandComplete(b"SET"),
            columns("none"),
            ServerMessage::CommandComplete(b"SELECT 0"),
            ServerMessage::DataRow(vec![Some(b"2"), Some(b"3")]),
            ServerMessage::CommandComplete(b"SELECT 1"),
            ServerMessage::CopyData(b"4\n"),
            ServerMessage::CopyData(b"5\n"),
        ] {
            message.encode(&mut bytes);
        }
        let (mut results, mut begun, mut rows) = (Results::default(), Vec::new(), 0);
        results.feed(&bytes);
        while let Some(told) = results.poll().unwrap() {
            rows += usize::from(matches!(told.line, Line::Row(_) | Line::CopyData(_)));
            begun.extend(told.begins.map(|Begun { number, columns }| (number, columns.join(","))));
        }
        let expected = [(1, "a"), (2, "none"), (3, "column 1,column 2"), (4, "copy")];
        assert_eq!(begun, expected.map(|(number, names)| (number, names.to_owned())));
        assert_eq!(rows, 5);
    }
}
