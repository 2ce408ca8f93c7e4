//! Messages that a client sends after start-up.
//!
//! Job: read those that are inspected, write those that we originate. Boundary: names and texts are
//! bytes, because the client's encoding need not be UTF-8. Failure mode: [`ReadError`].

use bytes::{BufMut, BytesMut};

use crate::wire::buffer::{ReadError, Reader, put_counted, put_cstr, put_list, put_value};

/// A message of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientMessage<'a> {
    /// Binds parameters to a statement, making a portal.
    Bind(Bind<'a>),
    /// Closes a statement or portal.
    Close(Subject<'a>),
    /// A piece of COPY data.
    CopyData(&'a [u8]),
    /// The COPY data is complete.
    CopyDone,
    /// The COPY data cannot be completed.
    CopyFail(&'a [u8]),
    /// Asks for the shape of a statement or portal.
    Describe(Subject<'a>),
    /// Runs a portal.
    Execute {
        /// The portal.
        portal: &'a [u8],
        /// How many rows at most; 0 for all.
        max_rows: i32,
    },
    /// Asks the database to send what it has.
    Flush,
    /// Calls a function by its OID.
    FunctionCall(FunctionCall<'a>),
    /// Prepares a statement.
    Parse(Parse<'a>),
    /// Answers to an authentication: password, SASL.
    Password(&'a [u8]),
    /// Runs a string of statements.
    Query(&'a [u8]),
    /// Ends a pipeline.
    Sync,
    /// Says goodbye.
    Terminate,
}

impl<'a> ClientMessage<'a> {
    /// Reads a body by its message type; `None` for a type that no client sends.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn parse(tag: u8, body: &'a [u8]) -> Result<Option<Self>, ReadError> {
        let mut reader = Reader::new(body);
        let message = match tag {
            b'B' => Self::Bind(Bind::read(&mut reader)?),
            b'C' => Self::Close(Subject::read(&mut reader)?),
            b'd' => return Ok(Some(Self::CopyData(body))),
            b'c' => Self::CopyDone,
            b'f' => Self::CopyFail(reader.cstr()?),
            b'D' => Self::Describe(Subject::read(&mut reader)?),
            b'E' => Self::Execute { portal: reader.cstr()?, max_rows: reader.i32()? },
            b'H' => Self::Flush,
            b'F' => Self::FunctionCall(FunctionCall::read(&mut reader)?),
            b'P' => Self::Parse(Parse::read(&mut reader)?),
            b'p' => return Ok(Some(Self::Password(body))),
            b'Q' => Self::Query(reader.cstr()?),
            b'S' => Self::Sync,
            b'X' => Self::Terminate,
            _ => return Ok(None),
        };
        reader.finish()?;
        Ok(Some(message))
    }

    /// Appends the whole message.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.tag());
        put_counted(out, |out| match self {
            Self::Bind(bind) => bind.write(out),
            Self::Close(subject) | Self::Describe(subject) => subject.write(out),
            Self::CopyData(bytes) | Self::Password(bytes) => out.put_slice(bytes),
            Self::CopyDone | Self::Flush | Self::Sync | Self::Terminate => {}
            Self::CopyFail(text) | Self::Query(text) => put_cstr(out, text),
            Self::Execute { portal, max_rows } => {
                put_cstr(out, portal);
                out.put_i32(*max_rows);
            }
            Self::FunctionCall(call) => call.write(out),
            Self::Parse(parse) => parse.write(out),
        });
    }

    /// The message type.
    #[must_use]
    pub fn tag(&self) -> u8 {
        match self {
            Self::Bind(_) => b'B',
            Self::Close(_) => b'C',
            Self::CopyData(_) => b'd',
            Self::CopyDone => b'c',
            Self::CopyFail(_) => b'f',
            Self::Describe(_) => b'D',
            Self::Execute { .. } => b'E',
            Self::Flush => b'H',
            Self::FunctionCall(_) => b'F',
            Self::Parse(_) => b'P',
            Self::Password(_) => b'p',
            Self::Query(_) => b'Q',
            Self::Sync => b'S',
            Self::Terminate => b'X',
        }
    }
}

/// Binds parameters to a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind<'a> {
    /// The portal to make.
    pub portal: &'a [u8],
    /// The statement to bind to.
    pub statement: &'a [u8],
    /// Formats of the values: none (all text), one for all, or one each.
    pub formats: Vec<i16>,
    /// The values; `None` is NULL.
    pub values: Vec<Option<&'a [u8]>>,
    /// Formats of the result columns, likewise.
    pub result_formats: Vec<i16>,
}

impl<'a> Bind<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, ReadError> {
        Ok(Self {
            portal: reader.cstr()?,
            statement: reader.cstr()?,
            formats: reader.list(Reader::i16)?,
            values: reader.list(Reader::value)?,
            result_formats: reader.list(Reader::i16)?,
        })
    }

    fn write(&self, out: &mut BytesMut) {
        put_cstr(out, self.portal);
        put_cstr(out, self.statement);
        put_list(out, &self.formats, |out, format| out.put_i16(*format));
        put_list(out, &self.values, |out, value| put_value(out, *value));
        put_list(out, &self.result_formats, |out, format| out.put_i16(*format));
    }
}

/// Calls a function by its OID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionCall<'a> {
    /// The function.
    pub oid: u32,
    /// Formats of the arguments: none (all text), one for all, or one each.
    pub formats: Vec<i16>,
    /// The arguments; `None` is NULL.
    pub arguments: Vec<Option<&'a [u8]>>,
    /// The format of the result.
    pub result_format: i16,
}

impl<'a> FunctionCall<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, ReadError> {
        Ok(Self {
            oid: reader.u32()?,
            formats: reader.list(Reader::i16)?,
            arguments: reader.list(Reader::value)?,
            result_format: reader.i16()?,
        })
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_u32(self.oid);
        put_list(out, &self.formats, |out, format| out.put_i16(*format));
        put_list(out, &self.arguments, |out, value| put_value(out, *value));
        out.put_i16(self.result_format);
    }
}

/// Prepares a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parse<'a> {
    /// The statement's name; empty for the unnamed one.
    pub statement: &'a [u8],
    /// The SQL.
    pub text: &'a [u8],
    /// OIDs of the parameter types; 0 lets the database choose.
    pub types: Vec<u32>,
}

impl<'a> Parse<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, ReadError> {
        Ok(Self { statement: reader.cstr()?, text: reader.cstr()?, types: reader.list(Reader::u32)? })
    }

    fn write(&self, out: &mut BytesMut) {
        put_cstr(out, self.statement);
        put_cstr(out, self.text);
        put_list(out, &self.types, |out, oid| out.put_u32(*oid));
    }
}

/// What Describe and Close speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A portal.
    Portal(&'a [u8]),
    /// A prepared statement.
    Statement(&'a [u8]),
}

impl<'a> Subject<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, ReadError> {
        match reader.u8()? {
            b'P' => Ok(Self::Portal(reader.cstr()?)),
            b'S' => Ok(Self::Statement(reader.cstr()?)),
            _ => Err(ReadError::Unknown),
        }
    }

    fn write(self, out: &mut BytesMut) {
        let (code, name) = match self {
            Self::Portal(name) => (b'P', name),
            Self::Statement(name) => (b'S', name),
        };
        out.put_u8(code);
        put_cstr(out, name);
    }
}

/// What a client answers to an offer of SASL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaslInitial<'a> {
    /// The mechanism it chose.
    pub mechanism: &'a [u8],
    /// Its first message, if it sent one along.
    pub response: Option<&'a [u8]>,
}

impl<'a> SaslInitial<'a> {
    /// Reads the body of a `p` message that answers AuthenticationSASL.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn parse(body: &'a [u8]) -> Result<Self, ReadError> {
        let mut reader = Reader::new(body);
        let initial = Self { mechanism: reader.cstr()?, response: reader.value()? };
        reader.finish()?;
        Ok(initial)
    }

    /// Appends the whole message.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u8(b'p');
        put_counted(out, |out| {
            put_cstr(out, self.mechanism);
            put_value(out, self.response);
        });
    }
}
