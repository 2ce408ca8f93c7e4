//! Saying no in PostgreSQL's own frame.
//!
//! Job: reads just enough of a start-up that libpq listens, then sends a fatal `ErrorResponse`.
//! Boundary: no other knowledge of the protocol. Failure mode: a peer that sends nothing within a few
//! seconds is cut.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// A no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The SQLSTATE.
    pub code: &'static str,
    /// What to tell the person.
    pub message: String,
}

impl Refusal {
    /// Sends it. Whether it arrives is the peer's loss.
    pub async fn send<S: AsyncRead + AsyncWrite + Unpin>(&self, socket: &mut S) {
        let answer = async {
            if await_startup(socket).await? {
                socket.write_all(&self.encode()).await?;
                socket.shutdown().await?;
                // a reset would throw away what the peer has not read yet
                tokio::io::copy(socket, &mut tokio::io::sink()).await?;
            }
            std::io::Result::Ok(())
        };
        drop(tokio::time::timeout(PATIENCE, answer).await);
    }

    /// `ErrorResponse` (PostgreSQL protocol 3.0, "Message Formats").
    fn encode(&self) -> Vec<u8> {
        let message: String = self.message.chars().filter(|c| *c != '\0').take(2000).collect();
        let mut fields = Vec::new();
        for (kind, text) in [(b'S', "FATAL"), (b'V', "FATAL"), (b'C', self.code), (b'M', &message)] {
            fields.push(kind);
            fields.extend_from_slice(text.as_bytes());
            fields.push(0);
        }
        fields.push(0);
        let length = u32::try_from(fields.len() + 4).unwrap_or(u32::MAX);
        let mut frame = vec![b'E'];
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(&fields);
        frame
    }
}

/// Waits for a start-up message, declining encryption on the way. False for a cancel request, which
/// is never answered.
async fn await_startup<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut S) -> std::io::Result<bool> {
    loop {
        let length = socket.read_u32().await?;
        let code = socket.read_u32().await?;
        match code {
            SSL_REQUEST | GSS_REQUEST if length == 8 => socket.write_all(b"N").await?,
            CANCEL_REQUEST => return Ok(false),
            _ if (8..=MAX_STARTUP).contains(&length) => {
                let rest = u64::from(length) - 8;
                tokio::io::copy(&mut socket.take(rest), &mut tokio::io::sink()).await?;
                return Ok(true);
            }
            _ => return Err(std::io::ErrorKind::InvalidData.into()),
        }
    }
}

const CANCEL_REQUEST: u32 = 80_877_102;
const GSS_REQUEST: u32 = 80_877_104;
const MAX_STARTUP: u32 = 10_000;
const PATIENCE: Duration = Duration::from_secs(5);
const SSL_REQUEST: u32 = 80_877_103;
