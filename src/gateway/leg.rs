//! One side of a relay: a stream, what was read from it, and what is to be written to it.
//!
//! Job: non-blocking reads and writes for a task that polls both sides of a connection itself, so
//! that neither direction ever waits for the other. Boundary: knows nothing of protocols; the
//! caller bounds `input` and `output` by not reading on. Failure mode: the stream's error.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

/// How much one read may bring.
const READ: usize = 64 * 1024;
/// Pieces smaller than this are joined before they are written: one TLS record holds 16 KiB.
const JOIN: usize = 16 * 1024;

/// One side of a relay.
pub(super) struct Leg<S> {
    stream: S,
    /// What was read and not consumed yet.
    pub(super) input: BytesMut,
    output: VecDeque<Bytes>,
    tail: BytesMut,
    queued: usize,
    flushed: bool,
    ended: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Leg<S> {
    /// Wraps a stream; `input` is what was read from it before.
    pub(super) fn new(stream: S, input: BytesMut) -> Self {
        Self {
            stream,
            input,
            output: VecDeque::new(),
            tail: BytesMut::new(),
            queued: 0,
            flushed: true,
            ended: false,
        }
    }

    /// Whether the other end has stopped sending.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// How many bytes wait to be written.
    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    /// Queues bytes to be written. Small pieces are joined, so that a burst of small messages is
    /// one write and one TLS record.
    pub(super) fn push(&mut self, bytes: Bytes) {
        self.queued += bytes.len();
        self.flushed = false;
        if bytes.len() < JOIN {
            self.tail.extend_from_slice(&bytes);
        } else {
            self.seal();
            self.output.push_back(bytes);
        }
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.output.push_back(self.tail.split().freeze());
        }
    }

    /// Reads once. `Ready(0)` is the end of the stream, after which nothing more is read.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Ok(0));
        }
        if self.input.capacity() - self.input.len() < READ / 4 {
            self.input.reserve(READ);
        }
        let count = ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.input))?;
        self.ended = count == 0;
        Poll::Ready(Ok(count))
    }

    /// Writes what is queued, as far as the stream takes it; `Ready` when all is out and flushed.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.seal();
        while let Some(front) = self.output.front_mut() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, front))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.queued -= count;
            front.advance(count);
            if front.is_empty() {
                self.output.pop_front();
            }
        }
        if !self.flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what is queued and says that nothing more will come.
    pub(super) async fn close(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_write(cx)).await?;
        std::future::poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx)).await
    }

    /// Writes what is queued, then reads and forgets what the other end still sends: until it has sent nothing for
    /// `quiet`, or `most` bytes, or has ended.
    ///
    /// Who hangs up earlier resets the connection, or takes the other end, which is still sending, for dead: libpq looks
    /// for the reason only when it has sent everything.
    pub(super) async fn outlast(&mut self, quiet: Duration, most: usize) {
        if std::future::poll_fn(|cx| self.poll_write(cx)).await.is_err() {
            return;
        }
        let mut left = most;
        while left > 0 {
            self.input.clear();
            match tokio::time::timeout(quiet, std::future::poll_fn(|cx| self.poll_read(cx))).await {
                Ok(Ok(0) | Err(_)) | Err(_) => return,
                Ok(Ok(count)) => left = left.saturating_sub(count),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    /// Counts writes.
    struct Sink(usize);

    impl AsyncRead for Sink {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Sink {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0 += 1;
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Warpgate encodes, writes and flushes each message by itself.
    #[tokio::test]
    async fn small_pieces_become_one_write() {
        let mut leg = Leg::new(Sink(0), BytesMut::new());
        for _ in 0..100 {
            leg.push(Bytes::from_static(b"a small message"));
        }
        std::future::poll_fn(|cx| leg.poll_write(cx)).await.unwrap();
        assert_eq!(leg.stream.0, 1);
        assert_eq!(leg.queued(), 0);
    }
}
