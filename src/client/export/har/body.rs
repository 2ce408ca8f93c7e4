//! A body that grows while its call goes on.

use std::io::{self, Read as _, Seek as _, SeekFrom, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tempfile::SpooledTempFile;

use crate::client::export::harmless;

/// A body: in memory while it is short, then in a file that has no name.
#[derive(Debug)]
pub(super) struct Body {
    file: SpooledTempFile,
    length: u64,
    /// The bytes of a character that is not whole; `None` once it is known not to be text.
    character: Option<Vec<u8>>,
}

impl Default for Body {
    fn default() -> Self {
        Self { file: SpooledTempFile::new(IN_MEMORY), length: 0, character: Some(Vec::new()) }
    }
}

impl Body {
    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.length = self.length.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if let Some(begun) = self.character.take() {
            self.character = whole(begun, bytes).map(|(_, rest)| rest);
        }
        Ok(())
    }

    /// How many bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Writes `,"text":…`, and how it is encoded where it is no text.
    pub(super) fn write(&mut self, encoding: &str, out: &mut dyn Write) -> io::Result<()> {
        if self.length == 0 {
            return Ok(());
        }
        self.file.seek(SeekFrom::Start(0))?;
        let is_text = self.character.as_ref().is_some_and(Vec::is_empty);
        if !is_text {
            write!(out, ",\"{encoding}\":\"base64\"")?;
        }
        out.write_all(b",\"text\":\"")?;
        let (mut buffer, mut begun) = (Vec::with_capacity(AT_ONCE), Vec::new());
        loop {
            buffer.clear();
            let limit = u64::try_from(AT_ONCE).unwrap_or(u64::MAX);
            if (&mut self.file).take(limit).read_to_end(&mut buffer)? == 0 {
                break;
            }
            if is_text {
                let Some((text, rest)) = whole(std::mem::take(&mut begun), &buffer) else {
                    return Err(io::Error::other("a body is not what it was"));
                };
                begun = rest;
                let quoted = Value::from(text).to_string();
                let inside = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
                out.write_all(harmless(inside.unwrap_or_default()).as_bytes())?;
            } else {
                out.write_all(STANDARD.encode(&buffer).as_bytes())?;
            }
        }
        out.write_all(b"\"")
    }
}

/// The characters that are whole, and the bytes of one that has begun; `None` when it is no text.
fn whole(mut begun: Vec<u8>, bytes: &[u8]) -> Option<(String, Vec<u8>)> {
    begun.extend_from_slice(bytes);
    match String::from_utf8(begun) {
        Ok(text) => Some((text, Vec::new())),
        Err(error) if error.utf8_error().error_len().is_some() => None,
        Err(error) => {
            let end = error.utf8_error().valid_up_to();
            let mut text = error.into_bytes();
            let rest = text.split_off(end);
            Some((String::from_utf8(text).ok()?, rest))
        }
    }
}

const IN_MEMORY: usize = 1 << 13;
/// A multiple of 3, so that base64 has no padding before its end.
const AT_ONCE: usize = 3 << 14;
