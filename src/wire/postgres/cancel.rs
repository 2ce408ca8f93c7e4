//! Cancel keys.
//!
//! Job: the key that a client cancels with, its packet, and nothing else. The gateway hands the
//! client a key of its own and keeps the database's to itself. Boundary: keeps no map; the gateway
//! does. Failure mode: [`ReadError`].

use bytes::{BufMut, Bytes, BytesMut};

use super::backend::ServerMessage;
use crate::wire::buffer::{ReadError, Reader, put_counted};

/// A process and the secret that cancels what it runs. Hashes and compares by value, so it can be the
/// key of the gateway's map.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CancelKey {
    /// The process number.
    pub process: u32,
    /// 4 bytes, or up to 256 in protocol 3.2.
    pub secret: Bytes,
}

impl CancelKey {
    /// A key of 4 bytes, for a client that speaks protocol 3.0, from random bytes.
    #[must_use]
    pub fn short(random: [u8; 8]) -> Self {
        let [a, b, c, d, secret @ ..] = random;
        Self { process: process_number([a, b, c, d]), secret: Bytes::copy_from_slice(&secret) }
    }

    /// A key of 32 bytes, for a client that speaks protocol 3.2, from random bytes.
    #[must_use]
    pub fn long(random: [u8; 36]) -> Self {
        let [a, b, c, d, secret @ ..] = random;
        Self { process: process_number([a, b, c, d]), secret: Bytes::copy_from_slice(&secret) }
    }

    /// Reads what follows the code of a CancelRequest packet.
    ///
    /// # Errors
    /// [`ReadError`], also for a secret that is not 4 to 256 bytes long.
    pub fn parse(body: &[u8]) -> Result<Self, ReadError> {
        let mut reader = Reader::new(body);
        let process = reader.u32()?;
        match reader.rest() {
            secret if (4..=256).contains(&secret.len()) => {
                Ok(Self { process, secret: Bytes::copy_from_slice(secret) })
            }
            _ => Err(ReadError::Unknown),
        }
    }

    /// Appends a whole CancelRequest packet.
    pub fn encode_request(&self, out: &mut BytesMut) {
        put_counted(out, |out| {
            out.put_u32(CANCEL_REQUEST);
            out.put_u32(self.process);
            out.put_slice(&self.secret);
        });
    }

    /// Appends a BackendKeyData message.
    pub fn encode_key_data(&self, out: &mut BytesMut) {
        ServerMessage::BackendKeyData { process: self.process, key: &self.secret }.encode(out);
    }
}

impl std::fmt::Debug for CancelKey {
    // the secret stays out of logs
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelKey").field("process", &self.process).finish_non_exhaustive()
    }
}

/// A negative process number looks odd in clients that show it.
fn process_number(random: [u8; 4]) -> u32 {
    u32::from_be_bytes(random) & 0x7fff_ffff
}

/// The code of a CancelRequest packet.
pub const CANCEL_REQUEST: u32 = (1234 << 16) | 5678;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn a_request_keeps_keys_of_4_to_256_bytes() {
        for length in [4, 32, 256] {
            let key = CancelKey { process: 7, secret: Bytes::from(vec![9; length]) };
            let mut out = BytesMut::new();
            key.encode_request(&mut out);
            assert_eq!(CancelKey::parse(&out[8..]).unwrap(), key);
        }
        assert_eq!(CancelKey::parse(&[0; 7]), Err(ReadError::Unknown));
        assert_eq!(CancelKey::parse(&[0; 261]), Err(ReadError::Unknown));
    }

    #[test]
    fn a_key_does_not_show_its_secret() {
        let key = CancelKey::short([0xff, 0, 0, 1, 0xde, 0xad, 0xbe, 0xef]);
        assert_eq!(key.process, 0x7f00_0001);
        assert_eq!(format!("{key:?}"), "CancelKey { process: 2130706433, .. }");
    }
}
