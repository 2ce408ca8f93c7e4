//! The client's side of a channel.
//!
//! Job: send what a client is shown, and its end once. Boundary: knows nothing of what is sent. Failure mode:
//! russh's error when the client has left; what would come behind the end of all data is dropped.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use russh::server::Msg;
use russh::{ChannelId, ChannelWriteHalf, Error};

/// The half that is written to.
pub(super) struct Client {
    half: ChannelWriteHalf<Msg>,
    has_ended: AtomicBool,
}

impl Client {
    pub(super) fn new(half: ChannelWriteHalf<Msg>) -> Self {
        Self { half, has_ended: AtomicBool::new(false) }
    }

    pub(super) fn id(&self) -> ChannelId {
        self.half.id()
    }

    /// Standard output.
    pub(super) async fn data(&self, bytes: Bytes) -> Result<(), Error> {
        if self.has_ended() { Ok(()) } else { self.half.data_bytes(bytes).await }
    }

    /// Standard error (RFC 4254 §5.2: `SSH_EXTENDED_DATA_STDERR`).
    pub(super) async fn error(&self, bytes: Bytes) -> Result<(), Error> {
        if self.has_ended() { Ok(()) } else { self.half.extended_data_bytes(STDERR, bytes).await }
    }

    pub(super) async fn exit_status(&self, status: u32) -> Result<(), Error> {
        self.half.exit_status(status).await
    }

    /// No more data comes. RFC 4254 §5.3 knows one end; clients that are strict about it leave at a second.
    pub(super) async fn eof(&self) -> Result<(), Error> {
        if self.has_ended.swap(true, Ordering::Relaxed) { Ok(()) } else { self.half.eof().await }
    }

    pub(super) async fn close(&self) -> Result<(), Error> {
        self.half.close().await
    }

    fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }
}

const STDERR: u32 = 1;
