//! Messages of gRPC in a body (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).
//!
//! Job: say where messages end, so that nothing of one is held back until the next, which its sender may not send before
//! it has an answer. Boundary: what is in a message is nobody's business here. Failure mode: none; a body that is no
//! messages is cut at places that mean nothing.

use http::HeaderMap;
use http::header::HeaderName;

/// Finds the ends of messages in a body that comes in pieces.
#[derive(Debug, Default)]
pub struct Messages {
    /// How many bytes of the prefix were seen: a flag and a length.
    seen: u8,
    /// The length, as far as it was seen; then how much of the message is to come.
    rest: u32,
}

impl Messages {
    /// Splits a piece at the ends of messages: each part, and whether a message ends with it.
    pub fn split(&mut self, piece: &[u8], mut part: impl FnMut(&[u8], bool)) {
        let mut from = 0;
        let mut at = 0;
        while let Some(byte) = piece.get(at) {
            if self.seen < PREFIX {
                if self.seen > 0 {
                    self.rest = self.rest << 8 | u32::from(*byte);
                }
                self.seen += 1;
                at += 1;
            } else {
                let there = u32::try_from(piece.len() - at).unwrap_or(u32::MAX).min(self.rest);
                self.rest -= there;
                at += usize::try_from(there).unwrap_or(usize::MAX);
            }
            if self.seen == PREFIX && self.rest == 0 {
                part(piece.get(from..at).unwrap_or_default(), true);
                *self = Self::default();
                from = at;
            }
        }
        if from < piece.len() {
            part(piece.get(from..).unwrap_or_default(), false);
        }
    }
}

/// Whether a head says that its messages may be packed.
#[must_use]
pub fn is_packed(headers: &HeaderMap) -> bool {
    headers.get_all(ENCODING).iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// The header that says how messages are packed.
pub const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
/// The header that says how answers may be packed.
pub const ACCEPTED: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const PREFIX: u8 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_end_where_their_lengths_say_however_the_body_is_cut() {
        let messages: [&[u8]; 4] = [b"\0\0\0\0\x02ab", b"\0\0\0\0\0", b"\x01\0\0\x01\0", b"\0\0\0\0\x01c"];
        let mut body = messages.concat();
        body.splice(17..17, vec![b'x'; 256]);
        for size in 1..=body.len() {
            let (mut splitter, mut ends, mut at, mut out) = (Messages::default(), Vec::new(), 0, Vec::new());
            for piece in body.chunks(size) {
                splitter.split(piece, |part, is_end| {
                    at += part.len();
                    out.extend_from_slice(part);
                    if is_end {
                        ends.push(at);
                    }
                });
            }
            assert_eq!(out, body);
            assert_eq!(ends, [7, 12, 273, 279], "in pieces of {size}");
        }
    }
}
