//! What can be wrong with a body in chunks.
//!
//! Job: one variant per fault, with the code that AWS uses for it and a sentence. Boundary: holds nothing of the
//! body. Failure mode: none.

use thiserror::Error;

use super::reader::LONGEST_SIGNED_CHUNK;

/// Why a body is not accepted. The client's fault; the upload must be broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ChunkFault {
    /// Bytes after the end.
    #[error("the body goes on after its last chunk")]
    After,
    /// No `x-amz-decoded-content-length`, or none that is a number.
    #[error("a body in chunks needs one header `x-amz-decoded-content-length` with its length")]
    DecodedLength,
    /// A chunk's first line, or what stands around its bytes.
    #[error("the body's chunks are not written as S3 says")]
    Framing,
    /// A signed chunk that is too long to be held.
    #[error("a signed chunk is longer than {LONGEST_SIGNED_CHUNK} bytes; send shorter ones")]
    Long,
    /// Another length than `x-amz-decoded-content-length` says.
    #[error("the chunks hold another number of bytes than `x-amz-decoded-content-length` says")]
    Length,
    /// The body is not in chunks: our own fault.
    #[error("the signature does not speak of chunks")]
    NotChunked,
    /// A chunk's signature, or the trailer's.
    #[error("the signature of a chunk or of the trailer does not match")]
    Signature,
    /// Trailers that were not declared, are missing, stand twice, or are no checksums.
    #[error("the trailers are not the checksums that `x-amz-trailer` declares")]
    Trailer,
    /// It ends too early.
    #[error("the body ends before its last chunk")]
    Truncated,
}

impl ChunkFault {
    /// The code by which SDKs know it (Amazon S3 API Reference, "Error responses"). Stable.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::After | Self::Framing => "InvalidRequest",
            Self::DecodedLength => "MissingContentLength",
            Self::Long => "EntityTooLarge",
            Self::Length | Self::Truncated => "IncompleteBody",
            Self::NotChunked => "InternalError",
            Self::Signature => "SignatureDoesNotMatch",
            Self::Trailer => "MalformedTrailerError",
        }
    }

    /// The HTTP status that AWS answers with.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::DecodedLength => 411,
            Self::NotChunked => 500,
            Self::Signature => 403,
            _ => 400,
        }
    }
}
