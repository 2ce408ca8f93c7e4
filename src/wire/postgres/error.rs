//! Errors and notices as the protocol carries them.
//!
//! Job: the fields of ErrorResponse and NoticeResponse, read and written. Boundary: what may be
//! shown of them is decided in [`scrub`](crate::wire::postgres::scrub). Failure mode: [`ReadError`].

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};

use crate::wire::buffer::{ReadError, Reader, put_counted, put_cstr};

/// An error or notice that we write, or the part of a received one that we look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorFields {
    /// How grave it is.
    pub severity: Severity,
    /// The five characters of SQLSTATE.
    pub sqlstate: String,
    /// What happened, for a person.
    pub message: String,
    /// More about it.
    pub detail: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
    /// Where in the statement text, counted in characters from 1.
    pub position: Option<u32>,
    /// Which function of the server says so: of some errors drivers look at nothing else.
    pub routine: Option<Routine>,
}

impl ErrorFields {
    /// An error with nothing but the fields that every error has.
    #[must_use]
    pub fn new(severity: Severity, sqlstate: &str, message: impl Into<String>) -> Self {
        Self {
            severity,
            sqlstate: sqlstate.to_owned(),
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            routine: None,
        }
    }

    /// A refusal: ERROR 42501.
    #[must_use]
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, "42501", message)
    }

    /// With a detail line.
    #[must_use]
    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// With a hint line.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Appends an ErrorResponse.
    pub fn encode_error(&self, out: &mut BytesMut) {
        self.encode(b'E', out);
    }

    /// Appends a NoticeResponse.
    pub fn encode_notice(&self, out: &mut BytesMut) {
        self.encode(b'N', out);
    }

    fn encode(&self, tag: u8, out: &mut BytesMut) {
        out.put_u8(tag);
        put_counted(out, |out| {
            let mut field = |code: u8, text: &str| {
                out.put_u8(code);
                put_cstr(out, text.as_bytes());
            };
            field(b'S', self.severity.as_str());
            field(b'V', self.severity.as_str());
            field(b'C', &self.sqlstate);
            field(b'M', &self.message);
            if let Some(detail) = &self.detail {
                field(b'D', detail);
            }
            if let Some(hint) = &self.hint {
                field(b'H', hint);
            }
            if let Some(position) = self.position {
                field(b'P', &position.to_string());
            }
            if let Some(routine) = self.routine {
                field(b'R', routine.as_str());
            }
            out.put_u8(0);
        });
    }
}

/// A function of the server that drivers know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routine {
    /// It looks whether a prepared statement still is what it was.
    RevalidateCachedQuery,
}

impl Routine {
    fn as_str(self) -> &'static str {
        match self {
            Self::RevalidateCachedQuery => "RevalidateCachedQuery",
        }
    }
}

/// How grave an error or notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// For developers.
    Debug,
    /// The statement failed.
    Error,
    /// The connection is over.
    Fatal,
    /// Asked for.
    Info,
    /// For the server's log.
    Log,
    /// Worth knowing.
    Notice,
    /// All connections are over.
    Panic,
    /// Worth caring about.
    Warning,
}

impl Severity {
    /// The protocol's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Info => "INFO",
            Self::Log => "LOG",
            Self::Notice => "NOTICE",
            Self::Panic => "PANIC",
            Self::Warning => "WARNING",
        }
    }

    /// Whether the connection ends with it.
    #[must_use]
    pub fn ends_connection(self) -> bool {
        matches!(self, Self::Fatal | Self::Panic)
    }

    fn parse(word: &[u8]) -> Self {
        match word {
            b"DEBUG" => Self::Debug,
            b"FATAL" => Self::Fatal,
            b"INFO" => Self::Info,
            b"LOG" => Self::Log,
            b"NOTICE" => Self::Notice,
            b"PANIC" => Self::Panic,
            b"WARNING" => Self::Warning,
            // also for words in the server's language
            _ => Self::Error,
        }
    }
}

/// The fields of a received error or notice, as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields<'a>(Vec<(u8, &'a [u8])>);

impl<'a> FromIterator<(u8, &'a [u8])> for Fields<'a> {
    fn from_iter<I: IntoIterator<Item = (u8, &'a [u8])>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

impl<'a> Fields<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn parse(body: &'a [u8]) -> Result<Self, ReadError> {
        let mut reader = Reader::new(body);
        let mut fields = Vec::with_capacity(8);
        loop {
            match reader.u8()? {
                0 => break,
                code => fields.push((code, reader.cstr()?)),
            }
        }
        reader.finish()?;
        Ok(Self(fields))
    }

    /// The fields' codes and texts, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &'a [u8])> + '_ {
        self.0.iter().copied()
    }

    /// A field's text, if it is there.
    #[must_use]
    pub fn field(&self, code: u8) -> Option<&'a [u8]> {
        self.0.iter().find(|(c, _)| *c == code).map(|(_, text)| *text)
    }

    /// A field's text for a person.
    #[must_use]
    pub fn text(&self, code: u8) -> Option<Cow<'a, str>> {
        self.field(code).map(String::from_utf8_lossy)
    }

    /// The severity that no language setting changes.
    #[must_use]
    pub fn severity(&self) -> Severity {
        Severity::parse(self.field(b'V').or_else(|| self.field(b'S')).unwrap_or_default())
    }

    /// SQLSTATE, or `XX000` when it is absent or not five letters and digits.
    #[must_use]
    pub fn sqlstate(&self) -> &'a str {
        self.field(b'C')
            .filter(|state| state.len() == 5 && state.iter().all(u8::is_ascii_alphanumeric))
            .and_then(|state| std::str::from_utf8(state).ok())
            .unwrap_or("XX000")
    }

    /// The part that we look at.
    #[must_use]
    pub fn summary(&self) -> ErrorFields {
        ErrorFields {
            severity: self.severity(),
            sqlstate: self.sqlstate().to_owned(),
            message: self.text(b'M').unwrap_or_default().into_owned(),
            detail: self.text(b'D').map(Cow::into_owned),
            hint: self.text(b'H').map(Cow::into_owned),
            position: self.text(b'P').and_then(|p| p.parse().ok()),
            routine: None,
        }
    }

    /// Appends them as they came, under this message type (`E` or `N`).
    pub fn encode(&self, tag: u8, out: &mut BytesMut) {
        // no field has the code 0
        self.encode_without(0, tag, out);
    }

    /// Appends them as they came, but for one field.
    pub fn encode_without(&self, left_out: u8, tag: u8, out: &mut BytesMut) {
        out.put_u8(tag);
        put_counted(out, |out| {
            for (code, text) in self.0.iter().filter(|(code, _)| *code != left_out) {
                out.put_u8(*code);
                put_cstr(out, text);
            }
            out.put_u8(0);
        });
    }
}
