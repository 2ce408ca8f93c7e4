//! Writing a body in chunks.
//!
//! Job: write what a [`ChunkReader`](super::ChunkReader) found, in the same frames, with signatures of the key that the head
//! was signed with upstream. Boundary: bytes. Failure mode: none; what was verified can be written.

use bytes::{BufMut as _, BytesMut};
use sha2::{Digest as _, Sha256};

use super::reader::{Chain, Event, TRAILER_SIGNATURE};
use crate::wire::aws::sigv4::{Payload, SignedUpstream};

/// Writes one body. What it writes has the length of what was read, so `Content-Length` stays.
pub struct Rechunker {
    /// `None` where chunks are not signed.
    chain: Option<Chain>,
    has_trailer: bool,
}

impl Rechunker {
    /// For a head that [`sign`](crate::wire::aws::sigv4::sign) has signed with this `payload`: the one that the client
    /// claimed.
    #[must_use]
    pub fn new(signed: SignedUpstream, payload: Payload) -> Self {
        let is_signed = matches!(payload, Payload::Chunks | Payload::ChunksWithTrailer);
        Self {
            chain: is_signed.then(|| Chain::new(signed.into_chain())),
            has_trailer: payload != Payload::Chunks,
        }
    }

    /// Writes what was found next.
    pub fn write(&mut self, event: &Event, out: &mut BytesMut) {
        match event {
            Event::Chunk { size, data, hash } => {
                self.open(size, hash, out);
                out.put_slice(data);
                out.put_slice(b"\r\n");
            }
            Event::Close => out.put_slice(b"\r\n"),
            Event::Data(data) => out.put_slice(data),
            Event::End { size, trailers } => {
                self.open(size, &Sha256::digest([]).into(), out);
                for trailer in trailers {
                    let end = if trailer.has_line_feed { "\n\r\n" } else { "\r\n" };
                    out.put_slice([&trailer.name, ":", &trailer.value, end].concat().as_bytes());
                }
                if let (Some(chain), true) = (&mut self.chain, self.has_trailer) {
                    let signature = chain.sign(&chain.trailers(trailers));
                    out.put_slice(format!("{TRAILER_SIGNATURE}:{signature}\r\n").as_bytes());
                }
                out.put_slice(b"\r\n");
            }
            Event::Open { size } => self.open(size, &[0; 32], out),
        }
    }

    /// A chunk's first line; `hash` counts where chunks are signed.
    fn open(&mut self, size: &str, hash: &[u8; 32], out: &mut BytesMut) {
        out.put_slice(size.as_bytes());
        if let Some(chain) = &mut self.chain {
            let signature = chain.sign(&chain.chunk(hash));
            out.put_slice(format!(";chunk-signature={signature}").as_bytes());
        }
        out.put_slice(b"\r\n");
    }
}

impl std::fmt::Debug for Rechunker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rechunker")
    }
}
