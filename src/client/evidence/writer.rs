//! Writes a proof.

use std::io::{self, ErrorKind, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::{ChunkLine, EndLine, EntryLine, FORM, HeaderLine, Line, MAX_LINE};
use crate::domain::name::{Digest, SessionId};
use crate::ledger::note::VerifierKey;
use crate::ledger::tree::Hash;

/// Writes line after line; what it writes is whole only after [`Self::end`].
#[derive(Debug)]
pub struct ProofWriter<W> {
    out: W,
    lines: u64,
    digest: Sha256,
}

impl<W: Write> ProofWriter<W> {
    /// Begins with the header: whose story it is, and the signed head under which everything is proven.
    ///
    /// # Errors
    /// The writer's.
    pub fn new(out: W, session: &SessionId, key: &VerifierKey, checkpoint: &str) -> io::Result<Self> {
        let mut writer = Self { out, lines: 0, digest: Sha256::new() };
        writer.put(&Line::Header(HeaderLine {
            proof: FORM.into(),
            session: session.clone(),
            key: key.to_string(),
            checkpoint: checkpoint.into(),
        }))?;
        Ok(writer)
    }

    /// Writes an entry with its proof.
    ///
    /// # Errors
    /// The writer's; and when it is no text.
    pub fn entry(&mut self, index: u64, bytes: &[u8], proof: &[Hash]) -> io::Result<()> {
        let text =
            std::str::from_utf8(bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        let proof = proof.iter().map(Hash::to_string).collect();
        self.put(&Line::Entry(EntryLine { index, bytes: text.into(), proof }))
    }

    /// Writes the chunk whose digest the last entry holds.
    ///
    /// # Errors
    /// The writer's; and when it is longer than a line may be.
    pub fn chunk(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.put(&Line::Chunk(ChunkLine { bytes: STANDARD.encode(bytes) }))
    }

    /// Writes the end.
    ///
    /// # Errors
    /// The writer's.
    pub fn end(mut self) -> io::Result<()> {
        let sha256 = Digest::from_bytes(&self.digest.clone().finalize().into());
        self.put(&Line::End(EndLine { lines: self.lines, sha256 }))?;
        self.out.flush()
    }

    fn put(&mut self, line: &Line) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        if bytes.len() > MAX_LINE {
            return Err(io::Error::new(ErrorKind::InvalidData, "it is longer than a line of a proof may be"));
        }
        bytes.push(b'\n');
        self.digest.update(&bytes);
        self.lines += 1;
        self.out.write_all(&bytes)
    }
}
