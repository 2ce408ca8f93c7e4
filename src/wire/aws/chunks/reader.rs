//! Reading a body in chunks.
//!
//! Job: find chunks and trailers in bytes that come in any pieces, and verify their signatures. Boundary: sans-IO;
//! it holds one signed chunk at most, and a line. Failure mode: a [`ChunkFault`], the same for every later call.

use bytes::{Bytes, BytesMut};
use http::header::{HeaderMap, HeaderName};
use sha2::{Digest as _, Sha256};

use super::fault::ChunkFault;
use crate::wire::aws::sigv4::{Payload, SigningKey, Verified, hex, unhex};

/// The longest signed chunk that is held. SDKs send 64 KiB to 1 MiB.
pub const LONGEST_SIGNED_CHUNK: u64 = 16 * 1024 * 1024;
/// How long the body is without its chunks.
pub const DECODED_LENGTH: HeaderName = HeaderName::from_static("x-amz-decoded-content-length");
/// Which trailers will follow.
pub const TRAILER: HeaderName = HeaderName::from_static("x-amz-trailer");

/// What was found in a body. The `size` of a chunk is as it was written, in hexadecimal, so that it can be written
/// again in as many bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A whole chunk whose signature holds.
    Chunk {
        /// Its length as it was written.
        size: String,
        /// Its bytes.
        data: Bytes,
        /// Their SHA-256.
        hash: [u8; 32],
    },
    /// A chunk without a signature begins.
    Open {
        /// Its length as it was written.
        size: String,
    },
    /// Some of its bytes.
    Data(Bytes),
    /// It ends.
    Close,
    /// The end: everything was verified. Comes once, and last.
    End {
        /// Nought, as it was written.
        size: String,
        /// The checksums after the last chunk.
        trailers: Vec<Trailer>,
    },
}

impl Event {
    /// The bytes of the object in it.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        match self {
            Self::Chunk { data, .. } | Self::Data(data) => data,
            Self::Close | Self::End { .. } | Self::Open { .. } => &[],
        }
    }
}

/// A checksum after the last chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trailer {
    /// `x-amz-checksum-` and an algorithm.
    pub name: String,
    /// The checksum in base64.
    pub value: String,
    /// Whether a line feed of its own ended it before CR LF: so do S3's documentation and some clients.
    pub has_line_feed: bool,
}

/// Reads one body.
pub struct ChunkReader {
    /// `None` where chunks are not signed.
    chain: Option<Chain>,
    has_trailer: bool,
    /// Trailers that were declared and have not come.
    awaited: Vec<String>,
    trailers: Vec<Trailer>,
    /// Bytes of the object that have not come.
    left: u64,
    state: State,
    /// The line or the signed chunk at hand.
    held: BytesMut,
}

enum State {
    /// A chunk's bytes: how many are to come.
    Data {
        head: Head,
        left: u64,
    },
    /// CR LF after a chunk: how much of it came.
    DataEnd {
        head: Head,
        seen: usize,
    },
    Done,
    Faulty(ChunkFault),
    /// CR LF after the last chunk.
    LastEnd {
        size: String,
    },
    Line,
    TrailerLine {
        size: String,
    },
    /// CR LF after a trailer that ended in a line feed.
    TrailerPause {
        size: String,
    },
    /// The empty line after the trailers.
    TrailerEnd {
        size: String,
    },
}

struct Head {
    size: String,
    signature: Option<[u8; 32]>,
}

/// A line without its end, and whether CR stood before LF.
struct Line {
    text: String,
    has_return: bool,
}

impl Line {
    fn is_blank(&self) -> bool {
        self.has_return && self.text.is_empty()
    }
}

impl ChunkReader {
    /// For the body of a request that was verified; `headers` are the request's.
    ///
    /// # Errors
    /// [`ChunkFault::NotChunked`], [`ChunkFault::DecodedLength`], [`ChunkFault::Trailer`].
    pub fn new(verified: Verified, headers: &HeaderMap) -> Result<Self, ChunkFault> {
        let payload = verified.payload();
        let chain = match payload {
            Payload::Chunks | Payload::ChunksWithTrailer => Some(Chain::new(verified.into_chain())),
            Payload::UnsignedTrailer => None,
            _ => return Err(ChunkFault::NotChunked),
        };
        let mut lengths = headers.get_all(DECODED_LENGTH).iter();
        let length = lengths.next().and_then(|value| value.to_str().ok()).ok_or(ChunkFault::DecodedLength)?;
        let is_number = (1..=18).contains(&length.len()) && length.bytes().all(|b| b.is_ascii_digit());
        if !is_number || lengths.next().is_some() {
            return Err(ChunkFault::DecodedLength);
        }
        let awaited = declared(headers)?;
        let has_trailer = payload != Payload::Chunks;
        // what a signed body declares must come with a signature; without chunk signatures it may have none
        if has_trailer == awaited.is_empty() && payload != Payload::UnsignedTrailer {
            return Err(ChunkFault::Trailer);
        }
        Ok(Self {
            chain,
            has_trailer,
            awaited,
            trailers: Vec::new(),
            left: length.parse().map_err(|_| ChunkFault::DecodedLength)?,
            state: State::Line,
            held: BytesMut::new(),
        })
    }

    /// Reads the next bytes; what was found, and verified, is appended to `events`.
    ///
    /// # Errors
    /// [`ChunkFault`]; again for every later call. What was appended before still holds.
    pub fn feed(&mut self, mut bytes: Bytes, events: &mut Vec<Event>) -> Result<(), ChunkFault> {
        while !bytes.is_empty() {
            let state = std::mem::replace(&mut self.state, State::Faulty(ChunkFault::Framing));
            self.state = self.step(state, &mut bytes, events).inspect_err(|fault| {
                self.state = State::Faulty(*fault);
                self.held = BytesMut::new();
            })?;
        }
        Ok(())
    }

    /// The body ended.
    ///
    /// # Errors
    /// [`ChunkFault::Truncated`] when it should not have.
    pub fn finish(self) -> Result<(), ChunkFault> {
        match self.state {
            State::Done => Ok(()),
            State::Faulty(fault) => Err(fault),
            _ => Err(ChunkFault::Truncated),
        }
    }

    /// Takes the bytes of one part, or as many of them as there are.
    fn step(
        &mut self,
        state: State,
        bytes: &mut Bytes,
        events: &mut Vec<Event>,
    ) -> Result<State, ChunkFault> {
        match state {
            State::Data { head, left } => {
                let now = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let piece = bytes.split_to(now);
                if head.signature.is_some() {
                    self.held.extend_from_slice(&piece);
                } else {
                    events.push(Event::Data(piece));
                }
                let left = left - now as u64;
                Ok(if left == 0 { State::DataEnd { head, seen: 0 } } else { State::Data { head, left } })
            }
            State::DataEnd { head, seen } => {
                if LINE_END.get(seen) != bytes.split_to(1).first() {
                    return Err(ChunkFault::Framing);
                }
                if seen + 1 < LINE_END.len() {
                    return Ok(State::DataEnd { head, seen: seen + 1 });
                }
                events.push(self.close(head)?);
                Ok(State::Line)
            }
            State::Done => Err(ChunkFault::After),
            State::Faulty(fault) => Err(fault),
            State::LastEnd { size } => match self.line(bytes)? {
                None => Ok(State::LastEnd { size }),
                Some(line) if line.is_blank() => self.end(size, events),
                Some(_) => Err(ChunkFault::Framing),
            },
            State::Line => match self.line(bytes)? {
                None => Ok(State::Line),
                Some(line) if line.has_return => self.open(&line.text, events),
                Some(_) => Err(ChunkFault::Framing),
            },
            State::TrailerEnd { size } => match self.line(bytes)? {
                None => Ok(State::TrailerEnd { size }),
                Some(line) if line.is_blank() => self.end(size, events),
                Some(_) => Err(ChunkFault::Trailer),
            },
            State::TrailerLine { size } => match self.line(bytes)? {
                None => Ok(State::TrailerLine { size }),
                Some(line) => self.trailer(&line, size, events),
            },
            State::TrailerPause { size } => match self.line(bytes)? {
                None => Ok(State::TrailerPause { size }),
                Some(line) if line.is_blank() => Ok(State::TrailerLine { size }),
                Some(_) => Err(ChunkFault::Trailer),
            },
        }
    }

    /// A chunk's first line.
    fn open(&mut self, line: &str, events: &mut Vec<Event>) -> Result<State, ChunkFault> {
        let (size, signature) = match (&self.chain, line.split_once(';')) {
            (None, None) => (line, None),
            (Some(_), Some((size, extension))) => {
                let signature = extension.strip_prefix("chunk-signature=").and_then(unhex);
                (size, Some(signature.ok_or(ChunkFault::Framing)?))
            }
            _ => return Err(ChunkFault::Framing),
        };
        if !(1..=16).contains(&size.len()) || !size.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ChunkFault::Framing);
        }
        let length = u64::from_str_radix(size, 16).map_err(|_| ChunkFault::Framing)?;
        self.left = self.left.checked_sub(length).ok_or(ChunkFault::Length)?;
        if signature.is_some() && length > LONGEST_SIGNED_CHUNK {
            return Err(ChunkFault::Long);
        }
        let size = size.to_owned();
        if length > 0 {
            if signature.is_none() {
                events.push(Event::Open { size: size.clone() });
            }
            return Ok(State::Data { head: Head { size, signature }, left: length });
        }
        if self.left > 0 {
            return Err(ChunkFault::Length);
        }
        if let (Some(chain), Some(signature)) = (&mut self.chain, signature) {
            chain.verify(&chain.chunk(&Sha256::digest([]).into()), signature)?;
        }
        Ok(if self.has_trailer { State::TrailerLine { size } } else { State::LastEnd { size } })
    }

    /// A chunk is complete.
    fn close(&mut self, head: Head) -> Result<Event, ChunkFault> {
        let (Some(chain), Some(signature)) = (&mut self.chain, head.signature) else {
            return Ok(Event::Close);
        };
        let data = std::mem::take(&mut self.held).freeze();
        let hash = Sha256::digest(&data).into();
        // INVARIANT: a chunk is given out after its signature was verified
        chain.verify(&chain.chunk(&hash), signature)?;
        Ok(Event::Chunk { size: head.size, data, hash })
    }

    /// A line after the last chunk.
    fn trailer(&mut self, line: &Line, size: String, events: &mut Vec<Event>) -> Result<State, ChunkFault> {
        if line.is_blank() && self.chain.is_none() {
            return self.end(size, events);
        }
        let (name, value) = line.text.split_once(':').ok_or(ChunkFault::Trailer)?;
        if let (Some(chain), true) = (&mut self.chain, name == TRAILER_SIGNATURE && line.has_return) {
            let signature = unhex(value).ok_or(ChunkFault::Trailer)?;
            chain.verify(&chain.trailers(&self.trailers), signature)?;
            return Ok(State::TrailerEnd { size });
        }
        let at = self.awaited.iter().position(|awaited| awaited == name).ok_or(ChunkFault::Trailer)?;
        let is_checksum = (1..=MAX_CHECKSUM).contains(&value.len())
            && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'-'));
        if !is_checksum {
            return Err(ChunkFault::Trailer);
        }
        self.awaited.remove(at);
        self.trailers.push(Trailer {
            name: name.into(),
            value: value.into(),
            has_line_feed: !line.has_return,
        });
        Ok(if line.has_return { State::TrailerLine { size } } else { State::TrailerPause { size } })
    }

    /// Everything came.
    fn end(&mut self, size: String, events: &mut Vec<Event>) -> Result<State, ChunkFault> {
        if !self.awaited.is_empty() {
            return Err(ChunkFault::Trailer);
        }
        events.push(Event::End { size, trailers: std::mem::take(&mut self.trailers) });
        Ok(State::Done)
    }

    /// Takes the bytes up to a line feed; the line, when it is complete.
    fn line(&mut self, bytes: &mut Bytes) -> Result<Option<Line>, ChunkFault> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let piece = bytes.split_to(end.map_or(bytes.len(), |end| end + 1));
        if self.held.len() + piece.len() > MAX_LINE {
            return Err(ChunkFault::Framing);
        }
        self.held.extend_from_slice(&piece);
        if end.is_none() {
            return Ok(None);
        }
        let held = std::mem::take(&mut self.held);
        let line = held.strip_suffix(b"\n").unwrap_or(&held);
        let (line, has_return) = line.strip_suffix(b"\r").map_or((line, false), |line| (line, true));
        if !line.iter().all(u8::is_ascii_graphic) {
            return Err(ChunkFault::Framing);
        }
        let text = String::from_utf8(line.to_vec()).map_err(|_| ChunkFault::Framing)?;
        Ok(Some(Line { text, has_return }))
    }
}

impl std::fmt::Debug for ChunkReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChunkReader").field("left", &self.left).finish_non_exhaustive()
    }
}

/// Signatures that each cover the one before.
pub(super) struct Chain {
    key: SigningKey,
    time_and_scope: String,
    before: [u8; 32],
}

impl Chain {
    pub(super) fn new((key, time_and_scope, before): (SigningKey, String, [u8; 32])) -> Self {
        Self { key, time_and_scope, before }
    }

    /// What the signature of a chunk covers.
    pub(super) fn chunk(&self, hash: &[u8; 32]) -> String {
        let (before, empty, hash) = (hex(&self.before), hex(&Sha256::digest([])), hex(hash));
        format!("AWS4-HMAC-SHA256-PAYLOAD\n{}\n{before}\n{empty}\n{hash}", self.time_and_scope)
    }

    /// What the signature of the trailers covers: sorted, as SDKs do it.
    pub(super) fn trailers(&self, trailers: &[Trailer]) -> String {
        let mut lines: Vec<String> =
            trailers.iter().map(|trailer| format!("{}:{}\n", trailer.name, trailer.value)).collect();
        lines.sort();
        let text = lines.concat();
        let (before, hash) = (hex(&self.before), hex(&Sha256::digest(text)));
        format!("AWS4-HMAC-SHA256-TRAILER\n{}\n{before}\n{hash}", self.time_and_scope)
    }

    fn verify(&mut self, text: &str, signature: [u8; 32]) -> Result<(), ChunkFault> {
        self.key.verify(text, &signature).map_err(|_| ChunkFault::Signature)?;
        self.before = signature;
        Ok(())
    }

    pub(super) fn sign(&mut self, text: &str) -> String {
        self.before = self.key.sign(text);
        hex(&self.before)
    }
}

/// The trailers that `x-amz-trailer` declares: checksums, in lower case, none twice.
fn declared(headers: &HeaderMap) -> Result<Vec<String>, ChunkFault> {
    let mut names: Vec<String> = Vec::new();
    for value in headers.get_all(TRAILER) {
        for name in value.to_str().map_err(|_| ChunkFault::Trailer)?.split(',') {
            let name = name.trim_matches(' ').to_ascii_lowercase();
            let algorithm = name.strip_prefix("x-amz-checksum-").unwrap_or_default();
            let is_checksum = (1..=32).contains(&algorithm.len())
                && algorithm.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            if !is_checksum || names.contains(&name) || names.len() == MAX_TRAILERS {
                return Err(ChunkFault::Trailer);
            }
            names.push(name);
        }
    }
    Ok(names)
}

pub(super) const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";
const LINE_END: &[u8] = b"\r\n";
/// A trailer's name and value, and air.
const MAX_LINE: usize = 256;
const MAX_CHECKSUM: usize = 128;
const MAX_TRAILERS: usize = 4;
