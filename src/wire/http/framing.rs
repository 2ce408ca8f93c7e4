//! The framing of HTTP/1.1 requests (RFC 9112), read strictly: where each head and each body ends.
//!
//! Job: a second reader beside the one that serves, which knows one spelling of everything: no bare CR or LF, no
//! folded lines, one length, one `Host`, `chunked` and no other coding, no chunk extensions. Where the two
//! readers do not agree, somebody else might read a third request. Boundary: sans-IO; it sees the bytes of one
//! connection in order, and keeps of them a head at most. Failure mode: a [`Fault`], after which nothing more
//! is read: what follows has no meaning that everybody shares.

use http::{HeaderMap, Method, header};

/// How long a request's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// This many bytes.
    Bytes(u64),
    /// Chunks tell.
    Chunked,
    /// There is none.
    None,
}

/// One head that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Its method.
    pub method: String,
    /// How long its body is.
    pub length: Length,
}

/// Why nothing more is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The chunks of a body.
    #[error("the body's chunks are not written as RFC 9112 says")]
    Chunks,
    /// The two readers do not agree.
    #[error("the request can be read in two ways")]
    Disagreement,
    /// A header's name or value.
    #[error("a header is not written as RFC 9112 says")]
    Header,
    /// No `Host`, several, or one that is no host.
    #[error("a request has one `Host`, and it is a host and a port")]
    Host,
    /// Several lengths, or one that is no number.
    #[error("the message's length can be read in two ways")]
    Length,
    /// A line that does not end in CR LF, or holds one of the two.
    #[error("a line of the head does not end as RFC 9112 says")]
    LineEnd,
    /// Longer than what is read.
    #[error("the head is longer than {LONGEST_HEAD} bytes")]
    Long,
    /// The request line.
    #[error("the request line is not a method, a target and a version")]
    RequestLine,
}

/// Where reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// Why.
    pub fault: Fault,
    /// How many of the bytes came before the part that is at fault.
    pub before: usize,
    /// Whether that part belongs to a body.
    pub is_body: bool,
}

/// The reader of one connection.
#[derive(Debug)]
pub struct Framing {
    state: State,
    /// The head, the chunk's size or the trailer at hand.
    held: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// This many bytes of a body.
    Body(u64),
    /// This many bytes of a chunk.
    Chunk(u64),
    /// CR LF after a chunk: how much of it came.
    ChunkEnd(u8),
    ChunkSize,
    Faulty(Fault),
    Head,
    Trailers,
}

impl Default for Framing {
    fn default() -> Self {
        Self { state: State::Head, held: Vec::new() }
    }
}

impl Framing {
    /// Reads the next bytes; heads that end in them are appended to `openings`.
    ///
    /// # Errors
    /// [`Stop`]; again for every later call.
    pub fn feed(&mut self, bytes: &[u8], openings: &mut Vec<Opening>) -> Result<(), Stop> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let before = bytes.len() - rest.len();
            rest = self.step(rest, openings).map_err(|fault| {
                let is_body = !matches!(self.state, State::Head);
                self.state = State::Faulty(fault);
                self.held = Vec::new();
                Stop { fault, before, is_body }
            })?;
        }
        Ok(())
    }

    /// Reads up to the end of one part; what comes after it.
    fn step<'a>(&mut self, bytes: &'a [u8], openings: &mut Vec<Opening>) -> Result<&'a [u8], Fault> {
        match self.state {
            State::Faulty(fault) => Err(fault),
            State::Body(left) => {
                let (left, rest) = pass(left, bytes);
                self.state = if left == 0 { State::Head } else { State::Body(left) };
                Ok(rest)
            }
            State::Chunk(left) => {
                let (left, rest) = pass(left, bytes);
                self.state = if left == 0 { State::ChunkEnd(0) } else { State::Chunk(left) };
                Ok(rest)
            }
            State::ChunkEnd(came) => match (came, bytes.split_first()) {
                (0, Some((b'\r', rest))) => {
                    self.state = State::ChunkEnd(1);
                    Ok(rest)
                }
                (1, Some((b'\n', rest))) => {
                    self.state = State::ChunkSize;
                    Ok(rest)
                }
                _ => Err(Fault::Chunks),
            },
            State::ChunkSize => {
                let rest = self.hold(bytes, b"\r\n", LONGEST_SIZE + 2, Fault::Chunks)?;
                if let Some(line) = self.taken(b"\r\n") {
                    self.state = match size(&line)? {
                        0 => State::Trailers,
                        size => State::Chunk(size),
                    };
                }
                Ok(rest)
            }
            State::Head => {
                let rest = self.hold(bytes, b"\r\n\r\n", LONGEST_HEAD, Fault::Long)?;
                if let Some(head) = self.taken(b"\r\n\r\n") {
                    let opening = opening(&head)?;
                    self.state = match opening.length {
                        Length::Bytes(0) | Length::None => State::Head,
                        Length::Bytes(length) => State::Body(length),
                        Length::Chunked => State::ChunkSize,
                    };
                    openings.push(opening);
                }
                Ok(rest)
            }
            State::Trailers => {
                // an empty line at once, or fields and an empty line
                let is_first = self.held.is_empty() || self.held == b"\r";
                let end: &[u8] =
                    if is_first && starts_empty(&self.held, bytes) { b"\r\n" } else { b"\r\n\r\n" };
                let rest = self.hold(bytes, end, LONGEST_HEAD, Fault::Long)?;
                if let Some(fields) = self.taken(end) {
                    for line in lines(&fields) {
                        let (name, _) = field(line)?;
                        if FRAMING.contains(&plain(name).as_str()) {
                            return Err(Fault::Chunks);
                        }
                    }
                    self.state = State::Head;
                }
                Ok(rest)
            }
        }
    }

    /// Holds bytes up to the end of a part, as far as it is there; what comes after.
    fn hold<'a>(&mut self, bytes: &'a [u8], end: &[u8], most: usize, long: Fault) -> Result<&'a [u8], Fault> {
        let mut rest = bytes;
        while let Some((byte, after)) = rest.split_first() {
            // INVARIANT: a line ends in CR LF, and neither stands anywhere else
            if (*byte == b'\n') != (self.held.last() == Some(&b'\r')) || *byte == 0 {
                return Err(Fault::LineEnd);
            }
            rest = after;
            self.held.push(*byte);
            if self.held.len() > most {
                return Err(long);
            }
            if self.held.ends_with(end) {
                break;
            }
        }
        Ok(rest)
    }

    /// What is held without its end, if that is there.
    fn taken(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        if !self.held.ends_with(end) {
            return None;
        }
        let mut held = std::mem::take(&mut self.held);
        held.truncate(held.len() - end.len());
        Some(held)
    }
}

impl Opening {
    /// Whether another reader read the same.
    #[must_use]
    pub fn agrees(&self, method: &Method, headers: &HeaderMap) -> bool {
        let lengths: Vec<_> = headers.get_all(header::CONTENT_LENGTH).iter().collect();
        let codings = headers.get_all(header::TRANSFER_ENCODING).iter().count();
        let length = match (lengths.as_slice(), codings) {
            ([], 0) => Length::None,
            ([], 1) => Length::Chunked,
            ([one], 0) => match one.to_str().ok().and_then(|text| text.parse().ok()) {
                Some(length) => Length::Bytes(length),
                None => return false,
            },
            _ => return false,
        };
        self.method == method.as_str() && self.length == length
    }
}

/// Whether the next line is empty, as far as it is there.
fn starts_empty(held: &[u8], bytes: &[u8]) -> bool {
    held.iter().chain(bytes).zip(b"\r\n").all(|(byte, empty)| byte == empty)
}

fn pass(left: u64, bytes: &[u8]) -> (u64, &[u8]) {
    let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    (left - length as u64, bytes.get(length..).unwrap_or_default())
}

/// The lines of a head, whose line ends were looked at before.
fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
}

fn opening(head: &[u8]) -> Result<Opening, Fault> {
    // one empty line before a request is no fault (RFC 9112 §2.2)
    let mut lines = lines(head);
    let (method, is_new) = request_line(lines.next().unwrap_or_default())?;
    let (mut length, mut hosts) = (Length::None, 0);
    for line in lines {
        let (name, value) = field(line)?;
        let plain = plain(name);
        if FRAMING.contains(&plain.as_str()) && name.contains(&b'_') {
            return Err(Fault::Header);
        }
        match plain.as_str() {
            "content-length" if length == Length::None => {
                if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
                    return Err(Fault::Length);
                }
                let text = std::str::from_utf8(value).map_err(|_| Fault::Length)?;
                length = Length::Bytes(text.parse().map_err(|_| Fault::Length)?);
            }
            "transfer-encoding" if length == Length::None && is_new => {
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Fault::Length);
                }
                length = Length::Chunked;
            }
            "content-length" | "transfer-encoding" => return Err(Fault::Length),
            "host" => {
                hosts += 1;
                let is_host = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(byte);
                if hosts > 1 || !value.iter().all(is_host) {
                    return Err(Fault::Host);
                }
            }
            _ => {}
        }
    }
    if hosts == 0 && is_new {
        return Err(Fault::Host);
    }
    Ok(Opening { method, length })
}

/// The method, and whether the version is 1.1.
fn request_line(line: &[u8]) -> Result<(String, bool), Fault> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Fault::RequestLine);
    };
    let is_new = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        _ => return Err(Fault::RequestLine),
    };
    let is_target = |byte: &u8| byte.is_ascii_graphic() && *byte != b'#';
    if target.is_empty() || !target.iter().all(is_target) || method.is_empty() || !method.iter().all(is_token)
    {
        return Err(Fault::RequestLine);
    }
    Ok((String::from_utf8_lossy(method).into_owned(), is_new))
}

/// Name and value of a line.
fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or(Fault::Header)?;
    let (name, value) = line.split_at_checked(colon).ok_or(Fault::Header)?;
    let value = value.get(1..).unwrap_or_default();
    let is_text = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
    // a space before the colon, and a line that is folded, have no name that is a token
    if name.is_empty() || !name.iter().all(is_token) || !value.iter().all(is_text) {
        return Err(Fault::Header);
    }
    Ok((name, trim(value)))
}

/// Without the white space that RFC 9110 §5.6.3 allows: less than Rust's.
fn trim(value: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let start = value.iter().position(is_text).unwrap_or(value.len());
    let end = value.iter().rposition(is_text).map_or(start, |at| at + 1);
    value.get(start..end).unwrap_or_default()
}

/// A name as a server reads it that takes `_` for `-` (CGI, WSGI).
fn plain(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_ascii_lowercase().replace('_', "-")
}

fn size(line: &[u8]) -> Result<u64, Fault> {
    if line.is_empty() || line.len() > LONGEST_SIZE || !line.iter().all(u8::is_ascii_hexdigit) {
        return Err(Fault::Chunks);
    }
    let text = std::str::from_utf8(line).map_err(|_| Fault::Chunks)?;
    u64::from_str_radix(text, 16).map_err(|_| Fault::Chunks)
}

/// A character of a token (RFC 9110 §5.6.2).
fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

/// Names that say where a message ends, and whose it is.
const FRAMING: &[&str] = &["connection", "content-length", "host", "transfer-encoding"];
const LONGEST_HEAD: usize = 64 * 1024;
/// Digits of a chunk's size: more than any body has.
const LONGEST_SIZE: usize = 12;

#[cfg(test)]
mod tests;
