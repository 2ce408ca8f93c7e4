//! Saying no in the frame of the protocol.
//!
//! Job: for PostgreSQL, reads just enough of a start-up that libpq listens, then sends a fatal
//! `ErrorResponse`; for HTTP, answers before the question; for SSH, introduces itself and disconnects with a reason. Boundary: no other knowledge of
//! the protocols. Failure mode: a peer that sends nothing within a few seconds is cut.

use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::wire::postgres::error::{ErrorFields, Severity};
use crate::wire::postgres::frame::FrameLimits;
use crate::wire::postgres::startup::{ExpectStartup, StartupStep};

/// In what form a no is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// As an HTTP server says it.
    Http,
    /// As PostgreSQL says it.
    Postgres,
    /// As an SSH server says it.
    Ssh,
}

/// A no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The SQLSTATE, which other protocols do without.
    pub code: &'static str,
    /// What to tell the person.
    pub message: String,
}

impl Refusal {
    /// Sends it. Whether it arrives is the peer's loss.
    pub async fn send<S: AsyncRead + AsyncWrite + Unpin>(&self, frame: Frame, socket: &mut S) {
        let answer = async {
            let listens = match frame {
                Frame::Postgres => await_startup(socket).await?,
                // an answer may come before the question, and either end of SSH may speak first
                Frame::Http | Frame::Ssh => true,
            };
            if listens {
                socket.write_all(&self.encode(frame)).await?;
                socket.shutdown().await?;
                // a reset would throw away what the peer has not read yet
                tokio::io::copy(socket, &mut tokio::io::sink()).await?;
            }
            std::io::Result::Ok(())
        };
        drop(tokio::time::timeout(PATIENCE, answer).await);
    }

    fn encode(&self, frame: Frame) -> BytesMut {
        let message: String = self.message.chars().filter(|c| *c != '\0').take(2000).collect();
        let mut bytes = BytesMut::new();
        match frame {
            Frame::Postgres => ErrorFields::new(Severity::Fatal, self.code, message).encode_error(&mut bytes),
            Frame::Http => self.answer(&message, &mut bytes),
            Frame::Ssh => disconnect(&message, &mut bytes),
        }
        bytes
    }

    /// Who is not let in gets 403, who cannot be served 502.
    fn answer(&self, message: &str, bytes: &mut BytesMut) {
        let status = if self.is_a_denial() { "403 Forbidden" } else { "502 Bad Gateway" };
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n",
            message.len() + 1
        );
        bytes.put_slice(head.as_bytes());
        bytes.put_slice(message.as_bytes());
        bytes.put_u8(b'\n');
    }

    /// Whether it is about who asks, not about what failed.
    #[must_use]
    pub fn is_a_denial(&self) -> bool {
        self.code == "28000"
    }
}

/// The version line and `SSH_MSG_DISCONNECT` (RFC 4253 §6, §11.1), before any key is agreed on.
fn disconnect(message: &str, bytes: &mut BytesMut) {
    let mut payload = BytesMut::new();
    payload.put_u8(1);
    payload.put_u32(BY_APPLICATION);
    payload.put_u32(u32::try_from(message.len()).unwrap_or_default());
    payload.put_slice(message.as_bytes());
    payload.put_u32(0);
    // the length (4), the padding's length (1), payload and padding fill blocks of 8, with 4 of padding at least
    let padding = 4 + (8 - (5 + payload.len() + 4) % 8) % 8;
    bytes.put_slice(b"SSH-2.0-hoopctl\r\n");
    bytes.put_u32(u32::try_from(1 + payload.len() + padding).unwrap_or_default());
    bytes.put_u8(u8::try_from(padding).unwrap_or_default());
    bytes.put_slice(&payload);
    bytes.put_bytes(0, padding);
}

/// Waits for a start-up message, declining encryption on the way. False for a cancel request, which
/// is never answered.
async fn await_startup<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut S) -> std::io::Result<bool> {
    let mut input = BytesMut::new();
    let mut state = ExpectStartup::new(FrameLimits::default());
    loop {
        if socket.read_buf(&mut input).await? == 0 {
            return Ok(false);
        }
        let mut output = BytesMut::new();
        let step = state.handle(&mut input, &mut output);
        socket.write_all(&output).await?;
        match step {
            Ok(StartupStep::More(more)) => state = more,
            Ok(StartupStep::Started(_)) => return Ok(true),
            Ok(StartupStep::Cancel(_)) => return Ok(false),
            Err(fault) => return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, fault)),
        }
    }
}

const BY_APPLICATION: u32 = 11;
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn a_disconnect_fills_whole_blocks_and_is_read_back() {
        for length in 0..40 {
            let mut bytes = BytesMut::new();
            disconnect(&"x".repeat(length), &mut bytes);
            let packet = bytes.split_off(b"SSH-2.0-hoopctl\r\n".len());
            assert_eq!(packet.len() % 8, 0);
            assert_eq!(
                u32::from_be_bytes(packet[..4].try_into().unwrap_or_default()) as usize + 4,
                packet.len()
            );
            let padding = usize::from(packet[4]);
            assert!((4..12).contains(&padding), "{padding}");
            assert_eq!(packet[5], 1);
            assert_eq!(packet.len() - 5 - padding, 1 + 4 + 4 + length + 4);
        }
    }
}
