//! Masks on CSV (RFC 4180) that streams by.
//!
//! Job: the first record names the columns; the fields of protected ones are replaced, everything else is
//! copied byte for byte. Boundary: only the header is kept, up to a limit. Failure mode: a quote where none
//! may be, a record with another number of fields than the header, a header that seems to be written with
//! another delimiter: readers differ about those, so they are refused. Where paths protect something, the first record
//! must be names, one of them a protected one: or else any text could be called CSV to get past its masks.

use std::sync::Arc;

use bytes::BytesMut;

use super::Unmaskable;
use super::detect::Named;
use super::hidden::{Hidden, Shown};
use super::plan::DocumentPlan;
use super::utf8::Utf8;
use crate::domain::mask::Mask;

/// Masks one body.
#[derive(Debug)]
pub struct CsvMasker {
    plan: Arc<DocumentPlan>,
    delimiter: u8,
    state: State,
    utf8: Utf8,
    /// The mask of each column, once the header is read.
    columns: Vec<Option<Mask>>,
    /// What the name of each column says of numbers in it.
    named: Vec<Named>,
    /// The header's field at hand, or none in records.
    header: Option<Vec<u8>>,
    /// How many bytes of header came.
    header_length: usize,
    /// The header as it is written, which is given out when it is whole.
    written: BytesMut,
    /// Which field of the record is at hand.
    column: usize,
    hidden: Option<Hidden>,
    /// What detectors will look at: the field at hand.
    search: Option<Search>,
    records: u64,
    before: u64,
    masked: u64,
}

/// A field that detectors will look at.
#[derive(Debug, Default)]
struct Search {
    /// As it is written.
    raw: Vec<u8>,
    /// Without its quotes.
    plain: Vec<u8>,
}

/// Where in a record one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Broken,
    /// After the carriage return that ends a record.
    Return,
    /// At the start of a field.
    Field,
    /// After a quote inside a quoted field: its end, or half of a quote.
    Quote,
    Quoted,
    /// At the start of a record.
    Record,
    Unquoted,
}

impl CsvMasker {
    /// A masker for one body.
    #[must_use]
    pub fn new(plan: Arc<DocumentPlan>, delimiter: u8) -> Self {
        Self {
            plan,
            delimiter,
            state: State::Record,
            utf8: Utf8::default(),
            columns: Vec::new(),
            named: Vec::new(),
            header: Some(Vec::new()),
            header_length: 0,
            written: BytesMut::new(),
            column: 0,
            hidden: None,
            search: None,
            records: 0,
            before: 0,
            masked: 0,
        }
    }

    /// Masks the next piece; what can be given out is appended to `out`.
    ///
    /// # Errors
    /// When the body is not CSV with a header. Every later call fails as well.
    pub fn feed(&mut self, input: &[u8], out: &mut BytesMut) -> Result<(), Unmaskable> {
        let mut state = std::mem::replace(&mut self.state, State::Broken);
        if state == State::Broken {
            return Err(Unmaskable::Broken);
        }
        if !self.utf8.feed(input) {
            return Err(self.malformed());
        }
        for byte in input {
            if self.header.is_some() {
                let mut written = std::mem::take(&mut self.written);
                state = self.step(state, *byte, &mut written)?;
                match self.header {
                    Some(_) => self.written = written,
                    None => out.unsplit(written),
                }
            } else {
                state = self.step(state, *byte, out)?;
            }
            self.before += 1;
        }
        self.state = state;
        Ok(())
    }

    /// Ends the body.
    ///
    /// # Errors
    /// When a quoted field does not end, or the last record is short.
    pub fn finish(&mut self, out: &mut BytesMut) -> Result<(), Unmaskable> {
        let state = std::mem::replace(&mut self.state, State::Broken);
        let header = self.header.is_some().then(|| self.written.split());
        let ended = self.ended(state, out);
        if let (Ok(()), Some(header)) = (&ended, header) {
            out.unsplit(header);
        }
        ended
    }

    fn ended(&mut self, state: State, out: &mut BytesMut) -> Result<(), Unmaskable> {
        match state {
            State::Broken => Err(Unmaskable::Broken),
            _ if !self.utf8.is_whole() => Err(Unmaskable::Truncated),
            State::Quoted => Err(Unmaskable::Truncated),
            State::Record => Ok(()),
            State::Return => Err(self.malformed()),
            State::Field => {
                self.begin();
                self.field_ended(out)?;
                self.record_ended()
            }
            State::Quote | State::Unquoted => {
                self.field_ended(out)?;
                self.record_ended()
            }
        }
    }

    /// How many fields were replaced so far.
    #[must_use]
    pub fn masked(&self) -> u64 {
        self.masked
    }

    /// How many records came so far, but for the header.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    fn step(&mut self, state: State, byte: u8, out: &mut BytesMut) -> Result<State, Unmaskable> {
        let state = if matches!(state, State::Record | State::Field) {
            let at_record = state == State::Record;
            if at_record && matches!(byte, b'\r' | b'\n') && self.header.is_none() {
                // an empty line; in a file of one column it is an empty field, which needs no mask
                if self.columns.len() == 1 && self.columns.iter().flatten().next().is_some() {
                    return Err(self.malformed());
                }
                out.extend_from_slice(&[byte]);
                return Ok(if byte == b'\r' { State::Return } else { State::Record });
            }
            self.begin();
            if byte == b'"' {
                self.give(byte, out);
                return Ok(State::Quoted);
            }
            State::Unquoted
        } else {
            state
        };
        Ok(match (state, byte) {
            (State::Return, b'\n') => {
                out.extend_from_slice(b"\n");
                State::Record
            }
            (State::Quoted, b'"') => {
                self.give(byte, out);
                State::Quote
            }
            (State::Quote, b'"') => {
                self.give(byte, out);
                self.keep(byte)?;
                State::Quoted
            }
            (State::Quoted, _) => {
                self.give(byte, out);
                self.keep(byte)?;
                State::Quoted
            }
            (State::Quote | State::Unquoted, b'\r' | b'\n') => {
                self.field_ended(out)?;
                self.record_ended()?;
                out.extend_from_slice(&[byte]);
                if byte == b'\r' { State::Return } else { State::Record }
            }
            (State::Quote | State::Unquoted, _) if byte == self.delimiter => {
                self.field_ended(out)?;
                out.extend_from_slice(&[byte]);
                State::Field
            }
            (State::Unquoted, _) if byte != b'"' && byte != 0 => {
                self.give(byte, out);
                self.keep(byte)?;
                State::Unquoted
            }
            _ => return Err(self.malformed()),
        })
    }

    /// A field begins.
    fn begin(&mut self) {
        if self.header.is_none()
            && let Some(mask) = self.columns.get(self.column).copied().flatten()
        {
            self.hidden = Some(Hidden::text(mask, &self.plan));
        } else if self.header.is_none() && self.plan.has_detectors() {
            self.search = Some(Search::default());
        }
    }

    /// Gives a byte out, unless it is protected, or has to be looked at.
    fn give(&mut self, byte: u8, out: &mut BytesMut) {
        match &mut self.search {
            Some(search) => search.raw.push(byte),
            None if self.hidden.is_none() => out.extend_from_slice(&[byte]),
            None => {}
        }
    }

    /// Keeps a byte of a field's content where it matters.
    fn keep(&mut self, byte: u8) -> Result<(), Unmaskable> {
        if let Some(name) = &mut self.header {
            self.header_length += 1;
            if self.header_length > LONGEST_HEADER {
                return Err(Unmaskable::Limit("the header's length"));
            }
            name.push(byte);
        } else if let Some(hidden) = &mut self.hidden {
            hidden.push(&[byte]);
        } else if let Some(search) = &mut self.search {
            if search.raw.len() > LONGEST_FIELD {
                return Err(Unmaskable::Limit("a field's length"));
            }
            search.plain.push(byte);
        }
        Ok(())
    }

    fn field_ended(&mut self, out: &mut BytesMut) -> Result<(), Unmaskable> {
        if let Some(name) = &mut self.header {
            let name = std::mem::take(name);
            let bare = name.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&name);
            if bare.iter().any(|byte| *byte != self.delimiter && DELIMITERS.contains(byte)) {
                return Err(self.malformed());
            }
            if self.columns.len() == MOST_COLUMNS {
                return Err(Unmaskable::Limit("columns"));
            }
            let is_found = self.plan.detected(&String::from_utf8_lossy(bare)).is_some();
            if is_found || (!self.plan.is_empty() && !is_name(bare)) {
                return Err(self.malformed());
            }
            self.columns.push(self.plan.flat(bare));
            self.named.push(self.plan.named_by(&String::from_utf8_lossy(bare)));
        } else if self.column >= self.columns.len() {
            return Err(self.malformed());
        } else if let Some(hidden) = self.hidden.take() {
            self.masked += 1;
            if let Shown::Text(text) = hidden.show() {
                self.write(&text, out);
            }
        } else if let Some(search) = self.search.take() {
            let named = self.named.get(self.column).copied().unwrap_or_default();
            match self.plan.detected_in(&String::from_utf8_lossy(&search.plain), named) {
                None => out.extend_from_slice(&search.raw),
                Some((text, count)) => {
                    self.masked += count;
                    self.write(&text, out);
                }
            }
        }
        self.column += 1;
        Ok(())
    }

    /// Writes a field.
    fn write(&self, text: &str, out: &mut BytesMut) {
        let needs_quotes =
            text.bytes().any(|byte| matches!(byte, b'"' | b'\r' | b'\n') || byte == self.delimiter);
        if needs_quotes {
            out.extend_from_slice(format!("\"{}\"", text.replace('"', "\"\"")).as_bytes());
        } else {
            out.extend_from_slice(text.as_bytes());
        }
    }

    fn record_ended(&mut self) -> Result<(), Unmaskable> {
        // a first record that names nothing protected may be no header at all
        if self.header.is_some() && !self.plan.is_empty() && self.columns.iter().flatten().next().is_none() {
            return Err(self.malformed());
        }
        if self.header.take().is_none() {
            if self.column != self.columns.len() {
                return Err(self.malformed());
            }
            self.records += 1;
        }
        self.column = 0;
        Ok(())
    }

    fn malformed(&self) -> Unmaskable {
        Unmaskable::Malformed { format: "CSV", at: self.before }
    }
}

/// Whether a field can be a column's name: no markup, no assignment, no number.
fn is_name(field: &[u8]) -> bool {
    let Ok(field) = std::str::from_utf8(field) else { return false };
    !field.starts_with(|c: char| c.is_ascii_digit())
        && field.chars().all(|c| c.is_alphanumeric() || " _-./()[]#%&$+@*".contains(c))
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// What else columns are separated with in the wild.
const DELIMITERS: &[u8] = b",;\t|";
/// The longest field that detectors look at.
const LONGEST_FIELD: usize = 4 * 1024 * 1024;
const LONGEST_HEADER: usize = 64 * 1024;
const MOST_COLUMNS: usize = 4096;
