//! What a host answers, as far as the machine needs it, and the answers that are ours.

use bytes::{BufMut, Bytes, BytesMut};

use super::packet::{MAX_DATA, MAX_PACKET, Packet, kind, put_string, string, u64};
use super::request::knows;
use crate::wire::buffer::{ReadError, Reader};

/// A host's answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply<'a> {
    Attributes,
    Data { length: usize },
    Extended,
    Handle(&'a [u8]),
    Name,
    Status(u32),
}

impl<'a> Reply<'a> {
    /// Reads an answer; `None` for a packet that is none.
    pub(super) fn parse(kind: u8, body: &'a [u8]) -> Result<Option<Self>, ReadError> {
        let mut reader = Reader::new(body);
        Ok(Some(match kind {
            kind::ATTRS => Self::Attributes,
            kind::DATA => {
                let data = string(&mut reader)?;
                reader.finish()?;
                Self::Data { length: data.len() }
            }
            kind::EXTENDED_REPLY => Self::Extended,
            kind::HANDLE => {
                let handle = string(&mut reader)?;
                reader.finish()?;
                Self::Handle(handle)
            }
            kind::NAME => Self::Name,
            // some servers leave out the message
            kind::STATUS => Self::Status(reader.u32()?),
            _ => return Ok(None),
        }))
    }
}

/// The first name of a NAME.
pub(super) fn first_name(body: &[u8]) -> Result<Option<&[u8]>, ReadError> {
    let mut reader = Reader::new(body);
    if reader.u32()? == 0 { Ok(None) } else { string(&mut reader).map(Some) }
}

/// A STATUS of ours. The message is cut, so that the packet stays short.
pub(super) fn status(id: u32, status: Status, message: &str) -> Bytes {
    let end = message.floor_char_boundary(LONGEST_MESSAGE);
    Packet::build(kind::STATUS, id, |out| {
        out.put_u32(status.code());
        put_string(out, message.get(..end).unwrap_or_default().as_bytes());
        put_string(out, b"en");
    })
    .into_bytes()
}

/// Our INIT for the host.
pub(super) fn init() -> Bytes {
    Packet::build(kind::INIT, VERSION, |_| ()).into_bytes()
}

/// The host's VERSION for the client: with what we know, and nothing else.
pub(super) fn version(body: &[u8]) -> Result<Bytes, ReadError> {
    let mut reader = Reader::new(body);
    let mut known = BytesMut::new();
    while !reader.rest().is_empty() {
        let (name, data) = (string(&mut reader)?, string(&mut reader)?);
        if knows(name, data) {
            put_string(&mut known, name);
            put_string(&mut known, data);
        }
    }
    Ok(Packet::build(kind::VERSION, VERSION, |out| out.put_slice(&known)).into_bytes())
}

/// The host's limits, and ours where they are lower.
pub(super) fn limits(id: u32, body: &[u8], handles: usize) -> Result<Bytes, ReadError> {
    let mut reader = Reader::new(body);
    let own = [MAX_PACKET, MAX_DATA, MAX_DATA, handles];
    let mut limits = BytesMut::new();
    for own in own {
        let own = u64::try_from(own).unwrap_or(u64::MAX);
        // 0 means that the host names no limit
        limits.put_u64(match u64(&mut reader)? {
            0 => own,
            host => host.min(own),
        });
    }
    Ok(Packet::build(kind::EXTENDED_REPLY, id, |out| out.put_slice(&limits)).into_bytes())
}

/// Codes of a STATUS (§7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// `SSH_FX_BAD_MESSAGE`.
    BadMessage,
    /// `SSH_FX_FAILURE`.
    Failure,
    /// `SSH_FX_PERMISSION_DENIED`.
    PermissionDenied,
    /// `SSH_FX_OP_UNSUPPORTED`.
    Unsupported,
}

impl Status {
    /// Its number.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Self::PermissionDenied => 3,
            Self::Failure => 4,
            Self::BadMessage => 5,
            Self::Unsupported => 8,
        }
    }
}

/// `SSH_FX_OK`.
pub(super) const OK: u32 = 0;

/// The only version that we speak.
pub(super) const VERSION: u32 = 3;

const LONGEST_MESSAGE: usize = 4096;
