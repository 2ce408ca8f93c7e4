//! Saying no in PostgreSQL's own frame.
//!
//! Job: reads just enough of a start-up that libpq listens, then sends a fatal `ErrorResponse`.
//! Boundary: no other knowledge of the protocol. Failure mode: a peer that sends nothing within a few
//! seconds is cut.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::wire::postgres::error::{ErrorFields, Severity};
use crate::wire::postgres::frame::FrameLimits;
use crate::wire::postgres::startup::{ExpectStartup, StartupStep};

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

    fn encode(&self) -> BytesMut {
        let message: String = self.message.chars().filter(|c| *c != '\0').take(2000).collect();
        let mut frame = BytesMut::new();
        ErrorFields::new(Severity::Fatal, self.code, message).encode_error(&mut frame);
        frame
    }
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

const PATIENCE: Duration = Duration::from_secs(5);
