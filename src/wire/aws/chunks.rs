//! Bodies that are sent in chunks of S3's own (`aws-chunked`): "Transferring Payload in Multiple Chunks" and
//! "Including Trailing Headers" in the Amazon S3 API Reference.
//!
//! Job: [`ChunkReader`] takes the body apart and verifies it, [`Rechunker`] puts it together again with our own
//! signatures, and not a byte longer. Boundary: bytes in, [`Event`]s out; where they go is the gateway's. Failure
//! mode: a [`ChunkFault`], after which the upload must be broken off.
//!
//! A signed chunk is held until its signature holds, and only then given out: nothing unverified goes upstream. A
//! chunk without a signature flows. Of both, the end is given out only when length, trailers and their signature are
//! right, and S3 stores nothing of an upload whose end it never saw.

mod fault;
mod reader;
mod writer;

pub use fault::ChunkFault;
pub use reader::{ChunkReader, DECODED_LENGTH, Event, LONGEST_SIGNED_CHUNK, TRAILER, Trailer};
pub use writer::Rechunker;

#[cfg(test)]
mod tests;
