//! The one bounded reader and writer that all codecs use.
//!
//! Job: read big-endian numbers, terminated strings and counted bytes from a slice; write them with
//! a length that is filled in at the end. Boundary: knows no message. Failure mode: a [`ReadError`];
//! a reader never looks behind its slice and never allocates by a count that a peer sent.

use bytes::{BufMut, BytesMut};
use thiserror::Error;

/// Reads from a slice that holds one message body.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads this body.
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    /// What has not been read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads that many bytes.
    ///
    /// # Errors
    /// [`ReadError::Truncated`].
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], ReadError> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(ReadError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// Reads a byte.
    ///
    /// # Errors
    /// [`ReadError::Truncated`].
    pub fn u8(&mut self) -> Result<u8, ReadError> {
        let (first, rest) = self.rest.split_first().ok_or(ReadError::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    /// Reads a big-endian number.
    ///
    /// # Errors
    /// [`ReadError::Truncated`].
    pub fn i16(&mut self) -> Result<i16, ReadError> {
        self.array().map(i16::from_be_bytes)
    }

    /// Reads a big-endian number.
    ///
    /// # Errors
    /// [`ReadError::Truncated`].
    pub fn u16(&mut self) -> Result<u16, ReadError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Reads a big-endian number.
    ///
    /// # Errors
    /// [`ReadError::Truncated`].
    pub fn i32(&mut self) -> Result<i32, ReadError> {
        self.array().map(i32::from_be_bytes)
    }

    /// Reads a big-endian number.
    ///
    /// # Errors
    /// [`ReadError::Truncated`].
    pub fn u32(&mut self) -> Result<u32, ReadError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Reads bytes up to a NUL, which is consumed and not returned.
    ///
    /// # Errors
    /// [`ReadError::Unterminated`].
    pub fn cstr(&mut self) -> Result<&'a [u8], ReadError> {
        let end = self.rest.iter().position(|&b| b == 0).ok_or(ReadError::Unterminated)?;
        let text = self.bytes(end)?;
        self.u8()?;
        Ok(text)
    }

    /// Reads a value with a four-byte length before it; a length of -1 is NULL.
    ///
    /// # Errors
    /// [`ReadError::Truncated`], [`ReadError::Negative`].
    pub fn value(&mut self) -> Result<Option<&'a [u8]>, ReadError> {
        match self.i32()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| ReadError::Negative)?;
                self.bytes(length).map(Some)
            }
        }
    }

    /// Reads a two-byte count and then that many items.
    ///
    /// # Errors
    /// What the count or an item says.
    pub fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, ReadError>,
    ) -> Result<Vec<T>, ReadError> {
        let count = self.u16()?;
        // an item has at least one byte, so what a peer can make us reserve is what it sent
        let mut items = Vec::with_capacity(usize::from(count).min(self.rest.len()));
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`ReadError::Trailing`] when something is left.
    pub fn finish(self) -> Result<(), ReadError> {
        if self.rest.is_empty() { Ok(()) } else { Err(ReadError::Trailing) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(ReadError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }
}

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReadError {
    /// A length is negative.
    #[error("it holds a negative length")]
    Negative,
    /// Bytes are left behind the last field.
    #[error("it is longer than its fields")]
    Trailing,
    /// It ends inside a field.
    #[error("it is shorter than its fields")]
    Truncated,
    /// A string has no end.
    #[error("it holds a string without an end")]
    Unterminated,
    /// A field has a value that the protocol does not know.
    #[error("it holds an unknown code")]
    Unknown,
}

/// Appends a string and its NUL. What stands behind a NUL inside the string is left out, so that a
/// string can never end a field early and smuggle the next one.
pub fn put_cstr(out: &mut BytesMut, text: &[u8]) {
    let end = text.iter().position(|&b| b == 0).unwrap_or(text.len());
    out.put_slice(text.get(..end).unwrap_or_default());
    out.put_u8(0);
}

/// Appends a value with its four-byte length; NULL is a length of -1.
pub fn put_value(out: &mut BytesMut, value: Option<&[u8]>) {
    match value {
        None => out.put_i32(-1),
        Some(bytes) => {
            out.put_i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
            out.put_slice(bytes);
        }
    }
}

/// Appends a two-byte count and the items.
pub fn put_list<T>(out: &mut BytesMut, items: &[T], mut item: impl FnMut(&mut BytesMut, &T)) {
    let count = u16::try_from(items.len()).unwrap_or(u16::MAX);
    out.put_u16(count);
    for one in items.iter().take(usize::from(count)) {
        item(out, one);
    }
}

/// Appends a body with a four-byte length before it that counts itself.
pub fn put_counted(out: &mut BytesMut, body: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_u32(0);
    body(out);
    let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    if let Some(slot) = out.get_mut(start..start + 4) {
        slot.copy_from_slice(&length.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn a_string_cannot_smuggle_a_field_behind_a_nul() {
        let mut out = BytesMut::new();
        put_cstr(&mut out, b"select 1\0evil");
        assert_eq!(&out[..], b"select 1\0");
    }

    #[test]
    fn a_reader_stops_at_its_end() {
        let mut reader = Reader::new(&[0, 0, 0, 9, 1]);
        assert_eq!(reader.value(), Err(ReadError::Truncated));
        assert_eq!(Reader::new(b"abc").cstr(), Err(ReadError::Unterminated));
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xfe]).value(), Err(ReadError::Negative));
        assert_eq!(Reader::new(&[0xff, 0xff]).list(Reader::u32), Err(ReadError::Truncated));
        assert_eq!(Reader::new(&[1]).finish(), Err(ReadError::Trailing));
    }

    #[test]
    fn a_counted_body_counts_itself() {
        let mut out = BytesMut::from(&b"x"[..]);
        put_counted(&mut out, |out| out.put_slice(b"abc"));
        let mut reader = Reader::new(out.get(1..).unwrap());
        assert_eq!(reader.u32().unwrap(), 7);
        assert_eq!(reader.rest(), b"abc");
    }
}
