//! A body on its way to AWS.
//!
//! Job: see that it is the one that was signed, sign its chunks anew, record it, and hand it on. Boundary: where chunks end is
//! `wire::aws::chunks`'s. Failure mode: the upload is cut off, so that AWS keeps nothing of it; the client is told so by
//! the connection that ends.
//!
//! INVARIANT: the end of a body goes out only when its hash, or the signature of each of its chunks, was right.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hyper::body::{Frame, Incoming};

use crate::gateway::http::answer::{Body, Broken};
use crate::gateway::http::flow::{AHEAD, Tape, next};
use crate::gateway::http::pieces;
use crate::gateway::http::shared::Shared;
use crate::wire::aws::chunks::{ChunkReader, Event, Rechunker};
use crate::wire::aws::sigv4::BodyWatch;

/// What a body goes through.
pub(super) enum Passage {
    /// In chunks, which are signed anew; the byte that is held back until the next piece: a body that ends after any other
    /// chunk than the last would be whole by its `Content-Length`.
    Chunks(Box<(ChunkReader, Rechunker)>, BytesMut),
    /// As it is; what is held back until the next piece.
    Plain(Box<BodyWatch>, Option<Bytes>),
}

impl Passage {
    /// Takes the next piece: what goes on, and what of the object it holds.
    fn take(&mut self, data: Bytes) -> Result<(Bytes, Vec<Bytes>), Broken> {
        match self {
            Self::Chunks(both, held) => {
                let (reader, writer) = &mut **both;
                let mut events = Vec::new();
                reader.feed(data, &mut events).map_err(|fault| Broken(fault.to_string()))?;
                let mut out = std::mem::take(held);
                let objects = written(writer, &events, &mut out);
                *held = out.split_off(out.len().saturating_sub(1));
                Ok((out.freeze(), objects))
            }
            Self::Plain(watch, held) => {
                watch.feed(&data);
                let last = held.replace(data.clone()).unwrap_or_default();
                Ok((last, vec![data]))
            }
        }
    }

    /// The end: what still goes on.
    fn finish(self) -> Result<Bytes, Broken> {
        match self {
            Self::Chunks(both, held) => {
                let (reader, _) = *both;
                reader.finish().map_err(|fault| Broken(fault.to_string()))?;
                Ok(held.freeze())
            }
            Self::Plain(watch, held) => {
                watch.finish().map_err(|fault| Broken(fault.to_string()))?;
                Ok(held.unwrap_or_default())
            }
        }
    }
}

fn written(writer: &mut Rechunker, events: &[Event], out: &mut BytesMut) -> Vec<Bytes> {
    let mut data = Vec::new();
    for event in events {
        writer.write(event, out);
        data.push(Bytes::copy_from_slice(event.data()));
    }
    data
}

/// Hands a body on, as fast as AWS takes it.
pub(super) fn upload(
    shared: &Arc<Shared>,
    number: u64,
    mut body: Incoming,
    mut tape: Tape,
    mut passage: Passage,
) -> Body {
    let (pieces, fed_by) = pieces::way(AHEAD);
    let own = Arc::clone(shared);
    shared.spawn(async move {
        let fail = |error: crate::gateway::journal::JournalError| {
            own.fail(&error);
            Broken(error.to_string())
        };
        let ended = async {
            while let Some(frame) = next(&mut body, &pieces).await {
                let frame = frame.map_err(|error| Broken(error.to_string()))?;
                // trailers of HTTP are not covered by any signature
                let Ok(data) = frame.into_data() else { continue };
                if data.is_empty() {
                    // it would let go of what is held back
                    continue;
                }
                let (sent, objects) = passage.take(data)?;
                for object in objects {
                    tape.take(&own, number, Some(&object)).await.map_err(fail)?;
                }
                if !sent.is_empty() && !pieces.send(Ok(Frame::data(sent))).await {
                    return Err(Broken(GONE.into()));
                }
            }
            if pieces.is_closed() {
                return Err(Broken(GONE.into()));
            }
            tape.take(&own, number, None).await.map_err(fail)?;
            passage.finish()
        };
        match ended.await {
            Ok(rest) => {
                if rest.is_empty() || pieces.send(Ok(Frame::data(rest))).await {
                    pieces.end();
                }
            }
            Err(broken) => {
                let _gone = pieces.send(Err(broken)).await;
            }
        }
    });
    fed_by.body(None)
}

const GONE: &str = "AWS takes no more of it";
