//! Pieces of a body on their way from one task to another.
//!
//! Job: a body ends where its sender says so, and nowhere else. Boundary: what pieces hold is of no concern here.
//! Failure mode: a sender that is gone without a word, because its task was stopped or failed, breaks the body off: a part
//! of a body must not pass for the whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tokio::sync::mpsc;

use super::answer::{Body, Broken};

/// A piece on its way.
pub(in crate::gateway) type Piece = Result<Frame<Bytes>, Broken>;

/// Where pieces go in.
pub(in crate::gateway) struct Feed {
    pieces: mpsc::Sender<Piece>,
    is_told: Arc<AtomicBool>,
}

/// Where they come out.
pub(in crate::gateway) struct Pieces {
    pieces: mpsc::Receiver<Piece>,
    is_told: Arc<AtomicBool>,
}

/// A way for pieces; as many wait for a slow reader.
pub(in crate::gateway) fn way(ahead: usize) -> (Feed, Pieces) {
    let (sender, receiver) = mpsc::channel(ahead);
    let is_told = Arc::new(AtomicBool::new(false));
    (Feed { pieces: sender, is_told: Arc::clone(&is_told) }, Pieces { pieces: receiver, is_told })
}

impl Feed {
    /// Sends a piece; whether somebody takes it.
    pub(in crate::gateway) async fn send(&self, piece: Piece) -> bool {
        self.pieces.send(piece).await.is_ok()
    }

    /// Comes when nobody takes pieces any more.
    pub(in crate::gateway) async fn closed(&self) {
        self.pieces.closed().await;
    }

    /// Whether nobody does.
    pub(in crate::gateway) fn is_closed(&self) -> bool {
        self.pieces.is_closed()
    }

    /// The body is whole.
    pub(in crate::gateway) fn end(self) {
        self.is_told.store(true, Ordering::Release);
    }
}

impl Pieces {
    /// The next piece.
    pub(in crate::gateway) async fn recv(&mut self) -> Option<Piece> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// A body of them; `first` is what was taken out already.
    pub(in crate::gateway) fn body(mut self, first: Option<Piece>) -> Body {
        let rest = stream::poll_fn(move |cx| self.poll(cx));
        StreamBody::new(stream::iter(first).chain(rest)).boxed_unsync()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        let piece = std::task::ready!(self.pieces.poll_recv(cx));
        // INVARIANT: without a word of its sender's no body is whole
        if piece.is_none() && !self.is_told.swap(true, Ordering::AcqRel) {
            return Poll::Ready(Some(Err(Broken("what handed it on has stopped".into()))));
        }
        Poll::Ready(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_whose_sender_is_gone_is_not_whole() {
        let data = || Ok(Frame::data(Bytes::from_static(b"half")));
        let (feed, pieces) = way(4);
        assert!(feed.send(data()).await);
        drop(feed);
        assert!(pieces.body(None).collect().await.is_err());
        let (feed, pieces) = way(4);
        assert!(feed.send(data()).await);
        feed.end();
        let whole = pieces.body(Some(data())).collect().await.map(|body| body.to_bytes());
        assert_eq!(whole.as_deref().ok(), Some(&b"halfhalf"[..]));
        let (feed, pieces) = way(4);
        drop(pieces);
        assert!(feed.is_closed() && !feed.send(data()).await);
    }
}
