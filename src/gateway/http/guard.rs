//! A second reader on a client's connection.
//!
//! Job: let [`Framing`] see what the server reads, and refuse every request that the two read differently.
//! Boundary: it changes no byte. Failure mode: a head that is at fault is refused when the server comes to
//! it; a body that is at fault ends there, as if the client had left.
//!
//! INVARIANT: one head that was judged is one head that the strict reader saw. hyper alone drops a
//! `Content-Length` beside `Transfer-Encoding`, and ends lines with a bare LF; nobody after it could tell.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::wire::http::framing::{Fault, Framing, Opening};

/// A connection that is read twice.
pub(in crate::gateway) struct Guarded<S> {
    io: S,
    guard: Guard,
}

/// What the second reader says.
#[derive(Clone, Default)]
pub(in crate::gateway) struct Guard(Arc<Mutex<Watch>>);

#[derive(Default)]
struct Watch {
    framing: Framing,
    /// Heads that the server has not come to yet.
    openings: VecDeque<Opening>,
    fault: Option<Fault>,
    /// Whether the fault is in a body, so that nothing after it may be read.
    is_cut: bool,
    /// Whether what comes is no HTTP any more.
    is_released: bool,
    /// How much came of what HTTP/2 begins with.
    preface: usize,
    /// Whether it is HTTP/2, whose frames say where everything ends.
    is_multiplexed: bool,
}

/// RFC 9113 §3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl Guard {
    /// This connection, read twice.
    pub(in crate::gateway) fn around<S>(&self, io: S) -> Guarded<S> {
        Guarded { io, guard: self.clone() }
    }

    /// Whether the server has read what was read here.
    pub(in crate::gateway) fn check<B>(&self, request: &Request<B>) -> Result<(), Fault> {
        let mut watch = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if watch.is_multiplexed {
            return Ok(());
        }
        match watch.openings.pop_front() {
            Some(opening) if opening.agrees(request.method(), request.headers()) => Ok(()),
            _ => Err(*watch.fault.get_or_insert(Fault::Disagreement)),
        }
    }

    /// Why nothing more is read.
    pub(in crate::gateway) fn fault(&self) -> Option<Fault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fault
    }

    /// What comes now is no HTTP any more.
    pub(in crate::gateway) fn release(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_released = true;
    }
}

impl Watch {
    /// Reads what the server is about to; how much of it that may be.
    fn note(&mut self, bytes: &[u8]) -> usize {
        if self.is_cut {
            return 0;
        }
        if self.is_released || self.is_multiplexed || self.fault.is_some() {
            return bytes.len();
        }
        let mut openings = Vec::new();
        let Some(held) = self.hold(bytes) else { return bytes.len() };
        // nothing of a body is in the preface
        let read = self.framing.feed(held, &mut openings);
        let read = read.and_then(|()| self.framing.feed(bytes, &mut openings));
        self.openings.extend(openings);
        let Err(stop) = read else { return bytes.len() };
        self.fault = Some(stop.fault);
        self.is_cut = stop.is_body;
        if stop.is_body { stop.before } else { bytes.len() }
    }
}

impl Watch {
    /// What was held back of a preface that came to nothing; `None` while it may still become one, and once it has.
    fn hold(&mut self, bytes: &[u8]) -> Option<&'static [u8]> {
        if self.preface == PREFACE.len() {
            return Some(&[]);
        }
        let (came, missing) = PREFACE.split_at_checked(self.preface)?;
        let length = missing.len().min(bytes.len());
        if missing.get(..length) == bytes.get(..length) {
            self.preface += length;
            self.is_multiplexed = self.preface == PREFACE.len();
            return None;
        }
        self.preface = PREFACE.len();
        Some(came)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        if read.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut watch = self.guard.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passing = watch.note(read);
        if passing == 0 {
            buffer.set_filled(before);
            let fault = watch.fault.unwrap_or(Fault::Disagreement);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, fault)));
        }
        buffer.set_filled(before + passing);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
