//! Content codings (RFC 9110 §8.4) taken off and put on again while a body streams by.
//!
//! Job: gzip, deflate, br and zstd, one or two in a chain. Boundary: [`Decoder::pull`] gives out at most
//! [`PIECE`] bytes a call, so that a body that unpacks to a thousand times its size never does so in
//! memory; windows are bounded (zstd 8 MiB, RFC 9659; brotli 16 MiB). Failure mode: an unknown coding, a
//! stream that is damaged or ends early, bytes after its end, or more than the limits allow.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf as _, Bytes, BytesMut};

#[cfg(test)]
mod tests;

/// One coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// `br`
    Brotli,
    /// `deflate`: zlib's format, or bare deflate, which some servers send under this name.
    Deflate,
    /// `gzip`
    Gzip,
    /// `zstd`
    Zstd,
}

impl Coding {
    /// The coding of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [
            ("br", Self::Brotli),
            ("deflate", Self::Deflate),
            ("gzip", Self::Gzip),
            ("x-gzip", Self::Gzip),
            ("zstd", Self::Zstd),
        ]
        .into_iter()
        .find(|(known, _)| name.eq_ignore_ascii_case(known))
        .map(|(_, coding)| coding)
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Deflate => "deflate",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// Reads the values of `Content-Encoding`, in the order in which the codings were applied.
    ///
    /// # Errors
    /// [`CodingError::Unknown`] for others, and for more than two.
    pub fn chain<'a>(values: impl Iterator<Item = &'a str>) -> Result<Vec<Self>, CodingError> {
        let mut chain = Vec::new();
        for name in values.flat_map(|value| value.split(',')).map(str::trim) {
            if name.is_empty() || name.eq_ignore_ascii_case("identity") {
                continue;
            }
            chain.push(Self::named(name).ok_or(CodingError::Unknown)?);
        }
        if chain.len() > LONGEST_CHAIN { Err(CodingError::Unknown) } else { Ok(chain) }
    }
}

/// Why a coding cannot be taken off or put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodingError {
    /// Not what its coding says, or with something after its end.
    #[error("the body is not what its content coding says")]
    Damaged,
    /// It unpacks to too much.
    #[error("the body unpacks to more than is allowed")]
    TooBig,
    /// It ended early.
    #[error("the body ended before it was whole")]
    Truncated,
    /// A coding that is not handled.
    #[error("the body's content coding is not handled")]
    Unknown,
}

/// How much a body may unpack to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnpackLimits {
    /// The most bytes.
    pub most_bytes: u64,
    /// The most bytes for one that came, once more than a mebibyte was unpacked.
    pub most_ratio: u64,
}

impl Default for UnpackLimits {
    /// No limit in bytes, because nothing is kept, and twice the ratio that text can reach in deflate.
    fn default() -> Self {
        Self { most_bytes: u64::MAX, most_ratio: 2048 }
    }
}

/// Takes codings off: [`push`](Self::push) a piece, [`pull`](Self::pull) until it waits, push the next;
/// [`close`](Self::close) after the last, and pull until the end.
pub struct Decoder {
    /// The coding that was applied last comes first.
    stages: Vec<Stage>,
    input: Source,
    limits: UnpackLimits,
    received: u64,
    produced: u64,
    fault: Option<CodingError>,
}

/// What [`Decoder::pull`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulled {
    /// The body is whole, and so is what was given out.
    End,
    /// There may be more.
    More,
    /// It needs another piece.
    Waiting,
}

impl Decoder {
    /// A decoder for codings in the order in which they were applied; without any, bytes pass as they are.
    #[must_use]
    pub fn new(chain: &[Coding], limits: UnpackLimits) -> Self {
        let stages = chain.iter().rev().map(|coding| Stage::new(*coding)).collect();
        Self { stages, input: Source::default(), limits, received: 0, produced: 0, fault: None }
    }

    /// Takes the next piece.
    pub fn push(&mut self, piece: Bytes) {
        self.received += piece.len() as u64;
        self.stages.first().map_or(&self.input, |stage| &stage.source).push(piece);
    }

    /// No more pieces come.
    pub fn close(&mut self) {
        self.stages.first().map_or(&self.input, |stage| &stage.source).close();
    }

    /// Appends at most [`PIECE`] unpacked bytes to `out`.
    ///
    /// # Errors
    /// When the body cannot be unpacked within the limits. Every later call fails as well.
    pub fn pull(&mut self, out: &mut BytesMut) -> Result<Pulled, CodingError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let before = out.len();
        let pulled = self.advance(out).inspect_err(|fault| self.fault = Some(*fault))?;
        self.produced += (out.len() - before) as u64;
        let is_bomb =
            self.produced > 1 << 20 && self.produced / self.limits.most_ratio.max(1) > self.received;
        if is_bomb || self.produced > self.limits.most_bytes {
            out.truncate(before);
            self.fault = Some(CodingError::TooBig);
            return Err(CodingError::TooBig);
        }
        Ok(pulled)
    }

    fn advance(&mut self, out: &mut BytesMut) -> Result<Pulled, CodingError> {
        let Some((first, later)) = self.stages.split_first_mut() else {
            return Ok(self.input.pass(out));
        };
        let Some(last) = later.first_mut() else { return first.read(out) };
        loop {
            match last.read(out)? {
                Pulled::Waiting => {}
                pulled => return Ok(pulled),
            }
            let mut between = BytesMut::new();
            match first.read(&mut between)? {
                Pulled::End => last.source.close(),
                Pulled::More => last.source.push(between.freeze()),
                Pulled::Waiting => return Ok(Pulled::Waiting),
            }
        }
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder")
            .field("received", &self.received)
            .field("produced", &self.produced)
            .finish_non_exhaustive()
    }
}

/// One coding being taken off.
struct Stage {
    source: Source,
    codec: Codec,
    buffer: Box<[u8]>,
}

enum Codec {
    Brotli(Box<brotli::Decompressor<Source>>),
    /// `deflate`, whose first two bytes did not come yet.
    Deflate,
    DeflateBare(flate2::bufread::DeflateDecoder<Source>),
    DeflateZlib(flate2::bufread::ZlibDecoder<Source>),
    Ended,
    Gzip(Box<flate2::bufread::GzDecoder<Source>>),
    Zstd(Box<zstd::Decoder<'static, Source>>),
}

impl Stage {
    fn new(coding: Coding) -> Self {
        let source = Source::default();
        let codec = match coding {
            Coding::Brotli => Codec::Brotli(Box::new(brotli::Decompressor::new(source.clone(), 16 * 1024))),
            Coding::Deflate => Codec::Deflate,
            Coding::Gzip => Codec::Gzip(Box::new(flate2::bufread::GzDecoder::new(source.clone()))),
            Coding::Zstd => {
                let decoder = zstd::Decoder::with_buffer(source.clone()).and_then(|mut decoder| {
                    decoder.window_log_max(ZSTD_WINDOW)?;
                    Ok(decoder)
                });
                // it fails only where there is no memory; an ended codec refuses everything that comes
                decoder.map_or(Codec::Ended, |decoder| Codec::Zstd(Box::new(decoder)))
            }
        };
        Self { source, codec, buffer: vec![0; PIECE].into() }
    }

    fn read(&mut self, out: &mut BytesMut) -> Result<Pulled, CodingError> {
        if let Codec::Deflate = self.codec {
            self.codec = match self.source.peek() {
                // a zlib header: deflate, and a multiple of 31
                Some([first, second])
                    if first & 15 == 8 && u16::from_be_bytes([first, second]).is_multiple_of(31) =>
                {
                    Codec::DeflateZlib(flate2::bufread::ZlibDecoder::new(self.source.clone()))
                }
                Some(_) => Codec::DeflateBare(flate2::bufread::DeflateDecoder::new(self.source.clone())),
                None if self.source.is_closed() => return Err(CodingError::Truncated),
                None => return Ok(Pulled::Waiting),
            };
        }
        let read = match &mut self.codec {
            Codec::Brotli(decoder) => match decoder.read(&mut self.buffer) {
                // it says only when it is asked again that it holds bytes after the end
                Ok(0) => decoder.read(&mut self.buffer),
                read => read,
            },
            Codec::Deflate | Codec::Ended => Ok(0),
            Codec::DeflateBare(decoder) => decoder.read(&mut self.buffer),
            Codec::DeflateZlib(decoder) => decoder.read(&mut self.buffer),
            Codec::Gzip(decoder) => decoder.read(&mut self.buffer),
            Codec::Zstd(decoder) => decoder.read(&mut self.buffer),
        };
        match read {
            Ok(0) => {
                self.codec = Codec::Ended;
                match (self.source.is_empty(), self.source.is_closed()) {
                    (true, true) => Ok(Pulled::End),
                    (true, false) => Ok(Pulled::Waiting),
                    (false, _) => Err(CodingError::Damaged),
                }
            }
            Ok(length) => {
                out.extend_from_slice(self.buffer.get(..length).unwrap_or_default());
                Ok(Pulled::More)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Pulled::Waiting),
            Err(_) if self.source.is_empty() && self.source.is_closed() => Err(CodingError::Truncated),
            Err(_) => Err(CodingError::Damaged),
        }
    }
}

/// Pieces on their way into a codec, which reads them as a file that would block.
#[derive(Clone, Default)]
struct Source {
    pieces: Arc<Mutex<Pieces>>,
    /// The piece that the codec is reading.
    current: Bytes,
}

#[derive(Default)]
struct Pieces {
    waiting: VecDeque<Bytes>,
    /// How many bytes came and were not read by the codec.
    length: usize,
    is_closed: bool,
}

impl Source {
    fn with<T>(&self, act: impl FnOnce(&mut Pieces) -> T) -> T {
        act(&mut self.pieces.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, piece: Bytes) {
        self.with(|pieces| {
            pieces.length += piece.len();
            if !piece.is_empty() {
                pieces.waiting.push_back(piece);
            }
        });
    }

    fn close(&self) {
        self.with(|pieces| pieces.is_closed = true);
    }

    fn is_closed(&self) -> bool {
        self.with(|pieces| pieces.is_closed)
    }

    fn is_empty(&self) -> bool {
        self.with(|pieces| pieces.length == 0)
    }

    /// The first two bytes that nobody read.
    fn peek(&self) -> Option<[u8; 2]> {
        self.with(|pieces| {
            let mut bytes = pieces.waiting.iter().flatten().copied();
            Some([bytes.next()?, bytes.next()?])
        })
    }

    /// Gives a piece out as it is.
    fn pass(&self, out: &mut BytesMut) -> Pulled {
        self.with(|pieces| {
            let Some(piece) = pieces.waiting.front_mut() else {
                return if pieces.is_closed { Pulled::End } else { Pulled::Waiting };
            };
            let part = piece.split_to(piece.len().min(PIECE));
            if piece.is_empty() {
                pieces.waiting.pop_front();
            }
            pieces.length -= part.len();
            out.extend_from_slice(&part);
            Pulled::More
        })
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Source {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.current.is_empty() {
            let (next, is_closed) = self.with(|pieces| (pieces.waiting.pop_front(), pieces.is_closed));
            match next {
                Some(piece) => self.current = piece,
                None if is_closed => {}
                None => return Err(io::ErrorKind::WouldBlock.into()),
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, length: usize) {
        let length = length.min(self.current.len());
        self.current.advance(length);
        self.with(|pieces| pieces.length -= length);
    }
}

/// Puts codings on, in the order given.
pub struct Encoder {
    stages: Vec<Packer>,
}

enum Packer {
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Deflate(flate2::write::ZlibEncoder<Vec<u8>>),
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Zstd(zstd::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    /// An encoder for a chain of codings; without any, bytes pass as they are.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn new(chain: &[Coding]) -> io::Result<Self> {
        let stages = chain.iter().map(|coding| {
            Ok(match coding {
                Coding::Brotli => {
                    Packer::Brotli(Box::new(brotli::CompressorWriter::new(Vec::new(), 16 * 1024, 4, 18)))
                }
                Coding::Deflate => {
                    Packer::Deflate(flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast()))
                }
                Coding::Gzip => {
                    Packer::Gzip(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()))
                }
                Coding::Zstd => Packer::Zstd(zstd::Encoder::new(Vec::new(), 1)?),
            })
        });
        Ok(Self { stages: stages.collect::<io::Result<_>>()? })
    }

    /// Packs a piece; what is packed already is appended to `out`.
    ///
    /// # Errors
    /// When a codec fails.
    pub fn encode(&mut self, piece: &[u8], out: &mut BytesMut) -> io::Result<()> {
        self.run(piece, out, |packer, piece| {
            packer.writer().write_all(piece)?;
            Ok(packer.take())
        })
    }

    /// Appends everything that was packed so far in a form that the reader can unpack at once, as events need it.
    ///
    /// # Errors
    /// When a codec fails.
    pub fn flush(&mut self, out: &mut BytesMut) -> io::Result<()> {
        self.run(&[], out, |packer, piece| {
            packer.writer().write_all(piece)?;
            packer.writer().flush()?;
            Ok(packer.take())
        })
    }

    /// Ends the body.
    ///
    /// # Errors
    /// When a codec fails.
    pub fn finish(self, out: &mut BytesMut) -> io::Result<()> {
        let mut piece = Vec::new();
        for mut packer in self.stages {
            packer.writer().write_all(&piece)?;
            piece = match packer {
                Packer::Brotli(writer) => writer.into_inner(),
                Packer::Deflate(writer) => writer.finish()?,
                Packer::Gzip(writer) => writer.finish()?,
                Packer::Zstd(writer) => writer.finish()?,
            };
        }
        out.extend_from_slice(&piece);
        Ok(())
    }

    fn run(
        &mut self,
        piece: &[u8],
        out: &mut BytesMut,
        mut act: impl FnMut(&mut Packer, &[u8]) -> io::Result<Vec<u8>>,
    ) -> io::Result<()> {
        let mut packed = None;
        for packer in &mut self.stages {
            packed = Some(act(packer, packed.as_deref().unwrap_or(piece))?);
        }
        out.extend_from_slice(packed.as_deref().unwrap_or(piece));
        Ok(())
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("stages", &self.stages.len()).finish()
    }
}

impl Packer {
    fn writer(&mut self) -> &mut dyn io::Write {
        match self {
            Self::Brotli(writer) => writer,
            Self::Deflate(writer) => writer,
            Self::Gzip(writer) => writer,
            Self::Zstd(writer) => writer,
        }
    }

    /// What is packed so far.
    fn take(&mut self) -> Vec<u8> {
        std::mem::take(match self {
            Self::Brotli(writer) => writer.get_mut(),
            Self::Deflate(writer) => writer.get_mut(),
            Self::Gzip(writer) => writer.get_mut(),
            Self::Zstd(writer) => writer.get_mut(),
        })
    }
}

/// How much one call gives out at most.
pub const PIECE: usize = 32 * 1024;
const LONGEST_CHAIN: usize = 2;
/// 8 MiB: what RFC 9659 allows for `zstd` in HTTP.
const ZSTD_WINDOW: u32 = 23;
