//! Messages that a database sends.
//!
//! Job: read those that are inspected or replayed, write those that we originate. Boundary: texts
//! are bytes, because the encoding need not be UTF-8. Failure mode: [`ReadError`].

use bytes::{BufMut, BytesMut};

use super::error::Fields;
use crate::wire::buffer::{ReadError, Reader, put_counted, put_cstr, put_list, put_value};

/// A message of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerMessage<'a> {
    /// A request for, or a step of, authentication.
    Authentication(Authentication<'a>),
    /// The key that cancels this connection's statements.
    BackendKeyData {
        /// The process.
        process: u32,
        /// 4 bytes, or up to 256 in protocol 3.2.
        key: &'a [u8],
    },
    /// A portal is made.
    BindComplete,
    /// A statement or portal is closed.
    CloseComplete,
    /// A statement is done.
    CommandComplete(&'a [u8]),
    /// COPY both ways begins (replication).
    CopyBothResponse(CopyFormat),
    /// A piece of COPY data.
    CopyData(&'a [u8]),
    /// The COPY data is complete.
    CopyDone,
    /// COPY in begins.
    CopyInResponse(CopyFormat),
    /// COPY out begins.
    CopyOutResponse(CopyFormat),
    /// A row.
    DataRow(Vec<Option<&'a [u8]>>),
    /// The statement was empty.
    EmptyQueryResponse,
    /// Something failed.
    ErrorResponse(Fields<'a>),
    /// A function's result.
    FunctionCallResponse(Option<&'a [u8]>),
    /// The database speaks only an older minor version, or not all options.
    NegotiateProtocolVersion {
        /// The newest version it speaks; the whole number (3 << 16 | minor), as PostgreSQL sends it.
        version: u32,
        /// The options it does not know.
        options: Vec<&'a [u8]>,
    },
    /// The described statement yields no rows.
    NoData,
    /// Something is worth knowing.
    NoticeResponse(Fields<'a>),
    /// Somebody notified a channel.
    NotificationResponse {
        /// The notifying process.
        process: u32,
        /// The channel.
        channel: &'a [u8],
        /// What was said.
        payload: &'a [u8],
    },
    /// The types of a statement's parameters.
    ParameterDescription(Vec<u32>),
    /// A setting's value.
    ParameterStatus {
        /// The setting.
        name: &'a [u8],
        /// Its value.
        value: &'a [u8],
    },
    /// A statement is prepared.
    ParseComplete,
    /// The row limit of Execute is reached.
    PortalSuspended,
    /// The database waits for the next query.
    ReadyForQuery(TransactionStatus),
    /// The columns of the rows to come.
    RowDescription(Vec<Column>),
}

impl<'a> ServerMessage<'a> {
    /// Reads a body by its message type; `None` for a type that no database sends.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn parse(tag: u8, body: &'a [u8]) -> Result<Option<Self>, ReadError> {
        let mut reader = Reader::new(body);
        let message = match tag {
            b'R' => return Authentication::parse(body).map(|a| Some(Self::Authentication(a))),
            b'K' => {
                let process = reader.u32()?;
                let key = reader.bytes(reader.rest().len())?;
                if !(4..=256).contains(&key.len()) {
                    return Err(ReadError::Unknown);
                }
                Self::BackendKeyData { process, key }
            }
            b'2' => Self::BindComplete,
            b'3' => Self::CloseComplete,
            b'C' => Self::CommandComplete(reader.cstr()?),
            b'W' => Self::CopyBothResponse(CopyFormat::read(&mut reader)?),
            b'd' => return Ok(Some(Self::CopyData(body))),
            b'c' => Self::CopyDone,
            b'G' => Self::CopyInResponse(CopyFormat::read(&mut reader)?),
            b'H' => Self::CopyOutResponse(CopyFormat::read(&mut reader)?),
            b'D' => Self::DataRow(reader.list(Reader::value)?),
            b'I' => Self::EmptyQueryResponse,
            b'E' => return Fields::parse(body).map(|f| Some(Self::ErrorResponse(f))),
            b'V' => Self::FunctionCallResponse(reader.value()?),
            b'v' => {
                let version = reader.u32()?;
                let count = reader.u32()?;
                let mut options = Vec::new();
                for _ in 0..count {
                    options.push(reader.cstr()?);
                }
                Self::NegotiateProtocolVersion { version, options }
            }
            b'n' => Self::NoData,
            b'N' => return Fields::parse(body).map(|f| Some(Self::NoticeResponse(f))),
            b'A' => Self::NotificationResponse {
                process: reader.u32()?,
                channel: reader.cstr()?,
                payload: reader.cstr()?,
            },
            b't' => Self::ParameterDescription(reader.list(Reader::u32)?),
            b'S' => Self::ParameterStatus { name: reader.cstr()?, value: reader.cstr()? },
            b'1' => Self::ParseComplete,
            b's' => Self::PortalSuspended,
            b'Z' => {
                Self::ReadyForQuery(TransactionStatus::from_byte(reader.u8()?).ok_or(ReadError::Unknown)?)
            }
            b'T' => Self::RowDescription(reader.list(Column::read)?),
            _ => return Ok(None),
        };
        reader.finish()?;
        Ok(Some(message))
    }

    /// Appends the whole message.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::ErrorResponse(fields) => return fields.encode(b'E', out),
            Self::NoticeResponse(fields) => return fields.encode(b'N', out),
            _ => {}
        }
        out.put_u8(self.tag());
        put_counted(out, |out| match self {
            Self::Authentication(step) => step.write(out),
            Self::BackendKeyData { process, key } => {
                out.put_u32(*process);
                out.put_slice(key);
            }
            Self::BindComplete
            | Self::CloseComplete
            | Self::CopyDone
            | Self::EmptyQueryResponse
            | Self::ErrorResponse(_)
            | Self::NoData
            | Self::NoticeResponse(_)
            | Self::ParseComplete
            | Self::PortalSuspended => {}
            Self::CommandComplete(text) => put_cstr(out, text),
            Self::CopyBothResponse(format) | Self::CopyInResponse(format) | Self::CopyOutResponse(format) => {
                format.write(out);
            }
            Self::CopyData(bytes) => out.put_slice(bytes),
            Self::DataRow(values) => put_list(out, values, |out, value| put_value(out, *value)),
            Self::FunctionCallResponse(value) => put_value(out, *value),
            Self::NegotiateProtocolVersion { version, options } => {
                out.put_u32(*version);
                out.put_u32(u32::try_from(options.len()).unwrap_or(u32::MAX));
                for option in options {
                    put_cstr(out, option);
                }
            }
            Self::NotificationResponse { process, channel, payload } => {
                out.put_u32(*process);
                put_cstr(out, channel);
                put_cstr(out, payload);
            }
            Self::ParameterDescription(types) => put_list(out, types, |out, oid| out.put_u32(*oid)),
            Self::ParameterStatus { name, value } => {
                put_cstr(out, name);
                put_cstr(out, value);
            }
            Self::ReadyForQuery(status) => out.put_u8(status.to_byte()),
            Self::RowDescription(columns) => put_list(out, columns, |out, column| column.write(out)),
        });
    }

    /// The message type.
    #[must_use]
    pub fn tag(&self) -> u8 {
        match self {
            Self::Authentication(_) => b'R',
            Self::BackendKeyData { .. } => b'K',
            Self::BindComplete => b'2',
            Self::CloseComplete => b'3',
            Self::CommandComplete(_) => b'C',
            Self::CopyBothResponse(_) => b'W',
            Self::CopyData(_) => b'd',
            Self::CopyDone => b'c',
            Self::CopyInResponse(_) => b'G',
            Self::CopyOutResponse(_) => b'H',
            Self::DataRow(_) => b'D',
            Self::EmptyQueryResponse => b'I',
            Self::ErrorResponse(_) => b'E',
            Self::FunctionCallResponse(_) => b'V',
            Self::NegotiateProtocolVersion { .. } => b'v',
            Self::NoData => b'n',
            Self::NoticeResponse(_) => b'N',
            Self::NotificationResponse { .. } => b'A',
            Self::ParameterDescription(_) => b't',
            Self::ParameterStatus { .. } => b'S',
            Self::ParseComplete => b'1',
            Self::PortalSuspended => b's',
            Self::ReadyForQuery(_) => b'Z',
            Self::RowDescription(_) => b'T',
        }
    }
}

/// A request for, or a step of, authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// The client is in.
    Ok,
    /// The password in the clear.
    Cleartext,
    /// The password as MD5.
    Md5([u8; 4]),
    /// One of these SASL mechanisms.
    Sasl(Vec<&'a [u8]>),
    /// A step of SASL.
    SaslContinue(&'a [u8]),
    /// The last step of SASL.
    SaslFinal(&'a [u8]),
    /// Something else: Kerberos, GSSAPI, SSPI, and what is yet to come.
    Other(u32),
}

impl<'a> Authentication<'a> {
    fn parse(body: &'a [u8]) -> Result<Self, ReadError> {
        let mut reader = Reader::new(body);
        let step = match reader.u32()? {
            0 => Self::Ok,
            3 => Self::Cleartext,
            5 => {
                let salt = reader.bytes(4)?.first_chunk().copied().ok_or(ReadError::Truncated)?;
                Self::Md5(salt)
            }
            10 => {
                let mut mechanisms = Vec::new();
                loop {
                    match reader.cstr()? {
                        [] => break,
                        mechanism => mechanisms.push(mechanism),
                    }
                }
                Self::Sasl(mechanisms)
            }
            11 => return Ok(Self::SaslContinue(reader.rest())),
            12 => return Ok(Self::SaslFinal(reader.rest())),
            code => return Ok(Self::Other(code)),
        };
        reader.finish()?;
        Ok(step)
    }

    fn write(&self, out: &mut BytesMut) {
        match self {
            Self::Ok => out.put_u32(0),
            Self::Cleartext => out.put_u32(3),
            Self::Md5(salt) => {
                out.put_u32(5);
                out.put_slice(salt);
            }
            Self::Sasl(mechanisms) => {
                out.put_u32(10);
                for mechanism in mechanisms {
                    put_cstr(out, mechanism);
                }
                out.put_u8(0);
            }
            Self::SaslContinue(bytes) => {
                out.put_u32(11);
                out.put_slice(bytes);
            }
            Self::SaslFinal(bytes) => {
                out.put_u32(12);
                out.put_slice(bytes);
            }
            Self::Other(code) => out.put_u32(*code),
        }
    }
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name in the result; unreadable bytes are replaced.
    pub name: String,
    /// The OID of the table that it is a bare column of, or 0.
    pub table: u32,
    /// The column's number in that table, or 0.
    pub attribute: i16,
    /// The OID of its type.
    pub type_oid: u32,
    /// The type's size; negative for variable ones.
    pub type_size: i16,
    /// The type's modifier.
    pub type_modifier: i32,
    /// 0 for text, 1 for binary; 0 where a statement is described, because it is not yet known.
    pub format: i16,
}

impl Column {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        Ok(Self {
            name: String::from_utf8_lossy(reader.cstr()?).into_owned(),
            table: reader.u32()?,
            attribute: reader.i16()?,
            type_oid: reader.u32()?,
            type_size: reader.i16()?,
            type_modifier: reader.i32()?,
            format: reader.i16()?,
        })
    }

    fn write(&self, out: &mut BytesMut) {
        put_cstr(out, self.name.as_bytes());
        out.put_u32(self.table);
        out.put_i16(self.attribute);
        out.put_u32(self.type_oid);
        out.put_i16(self.type_size);
        out.put_i32(self.type_modifier);
        out.put_i16(self.format);
    }
}

/// How COPY data is formatted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyFormat {
    /// 0 for text, 1 for binary.
    pub overall: u8,
    /// The format of each column.
    pub columns: Vec<i16>,
}

impl CopyFormat {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        Ok(Self { overall: reader.u8()?, columns: reader.list(Reader::i16)? })
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_u8(self.overall);
        put_list(out, &self.columns, |out, format| out.put_i16(*format));
    }
}

/// Where the connection stands with regard to transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionStatus {
    /// In a failed transaction.
    Failed,
    /// In none.
    Idle,
    /// In one.
    InTransaction,
}

impl TransactionStatus {
    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'E' => Some(Self::Failed),
            b'I' => Some(Self::Idle),
            b'T' => Some(Self::InTransaction),
            _ => None,
        }
    }

    fn to_byte(self) -> u8 {
        match self {
            Self::Failed => b'E',
            Self::Idle => b'I',
            Self::InTransaction => b'T',
        }
    }
}

/// How many rows a command tag speaks of, if it speaks of rows: the last word of `SELECT 5`,
/// `INSERT 0 1`, `COPY 7`.
#[must_use]
pub fn rows_of_tag(tag: &str) -> Option<u64> {
    let (_, count) = tag.rsplit_once(' ')?;
    count.parse().ok()
}
