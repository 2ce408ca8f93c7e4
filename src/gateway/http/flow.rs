//! Bodies on their way, in both directions.
//!
//! Job: read a piece, clean it, record it, hand it on, and only then read the next. Boundary: what a piece
//! turns into is [`Wash`]'s. Failure mode: the message is cut off, which its receiver can tell.

use std::fmt::Display;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming};

use super::answer::{Body, Broken};
use super::exchange::{record, strip_trailers};
use super::pieces::{self, Feed, Piece, Pieces};
use super::reading::PART_OVERRIDE;
use super::reply::Source;
use super::shared::Shared;
use super::wash::Wash;
use crate::gateway::journal::{ItemKind, JournalError};
use crate::mask::document::BodyMasker;
use crate::recording::item::Outcome;
use crate::wire::http::head;
use crate::wire::http::overrides::Parts;
use crate::wire::http::redact::Redactor;

/// How many pieces wait for a slow reader.
pub(in crate::gateway) const AHEAD: usize = 4;

/// What is recorded of a request's body.
pub(in crate::gateway) enum Tape {
    /// As it comes.
    Plain,
    /// Masked.
    Masked(Box<BodyMasker>),
    /// Nothing of it.
    Silent,
}

impl Tape {
    /// A whole body as it is recorded; `None` where nothing of it may be.
    pub(in crate::gateway) fn text(self, body: &[u8]) -> Option<String> {
        let mut shown = BytesMut::new();
        match self {
            Self::Plain => shown.extend_from_slice(body),
            Self::Masked(mut masker) => {
                masker.feed(body, &mut shown).and_then(|()| masker.finish(&mut shown)).ok()?;
            }
            Self::Silent => return None,
        }
        Some(String::from_utf8_lossy(&shown).into_owned())
    }

    /// Takes the next piece, or the end.
    pub(in crate::gateway) async fn take(
        &mut self,
        shared: &Shared,
        number: u64,
        piece: Option<&[u8]>,
    ) -> Result<(), JournalError> {
        let reel = shared.turnstile.reel();
        if !reel.is_full() {
            return Ok(());
        }
        let Self::Masked(masker) = self else {
            return match (&self, piece) {
                (Self::Plain, Some(piece)) => reel.piece(ItemKind::Body, number, REQUEST, piece).await,
                _ => Ok(()),
            };
        };
        let mut masked = BytesMut::new();
        let read = match piece {
            Some(piece) => masker.feed(piece, &mut masked),
            None => masker.finish(&mut masked),
        };
        if read.is_err() {
            // what was recorded before is masked; the rest cannot be, and is left out
            *self = Self::Silent;
        }
        reel.piece(ItemKind::Body, number, REQUEST, &masked).await
    }
}

/// Hands a request's body on, as fast as the API takes it.
pub(in crate::gateway) fn upload(
    shared: &Arc<Shared>,
    number: u64,
    mut body: Incoming,
    mut tape: Tape,
    injected: Option<HeaderName>,
    mut parts: Option<Parts>,
) -> Body {
    let (pieces, fed_by) = pieces::way(AHEAD);
    let own = Arc::clone(shared);
    shared.spawn(async move {
        while let Some(frame) = next(&mut body, &pieces).await {
            let piece = match screened(frame, parts.as_mut()) {
                Ok(frame) => taken(&own, number, frame, &mut tape, injected.as_ref()).await,
                Err(broken) => Err(broken),
            };
            let is_broken = piece.is_err();
            if !pieces.send(piece).await || is_broken {
                return;
            }
        }
        match tape.take(&own, number, None).await {
            Ok(()) => pieces.end(),
            Err(error) => {
                own.fail(&error);
                let _gone = pieces.send(Err(Broken(error.to_string()))).await;
            }
        }
    });
    fed_by.body(None)
}

/// A piece of a request's body, recorded; trailers, stripped.
async fn taken(
    shared: &Shared,
    number: u64,
    frame: Frame<Bytes>,
    tape: &mut Tape,
    injected: Option<&HeaderName>,
) -> Piece {
    let unrecorded = |error: JournalError| {
        shared.fail(&error);
        Broken(error.to_string())
    };
    let frame = match frame.into_data() {
        Ok(data) => {
            tape.take(shared, number, Some(&data)).await.map_err(unrecorded)?;
            return Ok(Frame::data(data));
        }
        Err(frame) => frame,
    };
    let Ok(mut trailers) = frame.into_trailers() else { return Err(Broken("a frame of no kind".into())) };
    strip_trailers(&mut trailers, injected).map_err(|error| Broken(error.to_string()))?;
    record(shared, number, TRAILERS.into(), &trailers).await.map_err(unrecorded)?;
    Ok(Frame::trailers(trailers))
}

/// A body that comes from somebody.
pub(in crate::gateway) trait Arrival:
    hyper::body::Body<Data = Bytes, Error: Display + Send> + Unpin + Send + 'static
{
}

impl<B> Arrival for B where B: hyper::body::Body<Data = Bytes, Error: Display + Send> + Unpin + Send + 'static {}

/// The next frame of a body; `None` also when nobody takes it any more, so that whoever has left holds nothing open.
pub(in crate::gateway) async fn next<B: Arrival>(
    body: &mut B,
    pieces: &Feed,
) -> Option<Result<Frame<Bytes>, B::Error>> {
    tokio::select! {
        biased;
        frame = body.frame() => frame,
        () = pieces.closed() => None,
    }
}

/// A frame of a body whose parts do not ask for another method.
fn screened(
    frame: Result<Frame<Bytes>, impl Display>,
    parts: Option<&mut Parts>,
) -> Result<Frame<Bytes>, Broken> {
    let frame = frame.map_err(|error| Broken(error.to_string()))?;
    if let (Some(parts), Some(data)) = (parts, frame.data_ref())
        && parts.feed(data)
    {
        return Err(Broken(PART_OVERRIDE.into()));
    }
    Ok(frame)
}

/// What becomes of a response's trailers.
pub(in crate::gateway) enum Trailers {
    /// They are left out: there is no mask for them.
    Drop,
    /// They pass without what must not come back.
    Pass(Option<Redactor>),
}

impl Trailers {
    /// What of them the client is shown.
    pub(in crate::gateway) fn shown(&self, mut last: HeaderMap) -> Option<HeaderMap> {
        let Self::Pass(redactor) = self else { return None };
        head::strip_response(&mut last).ok()?;
        if let Some(redactor) = redactor {
            redact(&mut last, redactor);
        }
        Some(last)
    }
}

/// Hands a response's body on, as fast as the client takes it, and says in the recording how it ended.
pub(in crate::gateway) fn download(
    shared: &Arc<Shared>,
    number: u64,
    status: u16,
    body: impl Arrival,
    wash: Wash,
    trailers: Trailers,
    source: Source,
) -> Pieces {
    let (pieces, fed_by) = pieces::way(AHEAD);
    let own = Arc::clone(shared);
    shared.spawn(async move {
        let mut passed = 0;
        let ended = pass(&own, number, body, wash, &trailers, &pieces, &mut passed).await;
        if ended.is_ok() {
            source.give_back();
        }
        let error = ended.as_ref().err().map(|broken| broken.0.clone());
        let outcome = Outcome { number, rows: passed, tag: Some(status.to_string()), error };
        if let Err(error) = own.turnstile.reel().outcome(&outcome).await {
            own.fail(&error);
        }
        match ended {
            Ok(()) => pieces.end(),
            Err(broken) => {
                let _gone = pieces.send(Err(broken)).await;
            }
        }
    });
    fed_by
}

async fn pass(
    shared: &Shared,
    number: u64,
    mut body: impl Arrival,
    mut wash: Wash,
    trailers: &Trailers,
    pieces: &Feed,
    passed: &mut u64,
) -> Result<(), Broken> {
    let mut last = None;
    loop {
        let is_end = match next(&mut body, pieces).await {
            None if pieces.is_closed() => return Err(Broken(LEFT.into())),
            None => true,
            Some(Err(error)) => return Err(Broken(format!("the API's answer ended early: {error}"))),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    wash.push(data);
                    false
                }
                Err(frame) => {
                    last = frame.into_trailers().ok();
                    true
                }
            },
        };
        if is_end {
            wash.close();
        }
        while let Some(washed) = wash.pull().map_err(|error| Broken(error.to_string()))? {
            let recorded = shared.turnstile.reel().piece(ItemKind::Body, number, ANSWER, &washed.shown).await;
            if let Err(error) = recorded {
                shared.fail(&error);
                return Err(Broken(error.to_string()));
            }
            *passed = wash.items().unwrap_or(*passed + washed.shown.len() as u64);
            if !washed.sent.is_empty() && !pieces.send(Ok(Frame::data(washed.sent))).await {
                return Err(Broken(LEFT.into()));
            }
        }
        if is_end {
            break;
        }
    }
    if let Some(last) = last.and_then(|last| trailers.shown(last)) {
        if let Err(error) = record(shared, number, TRAILERS.into(), &last).await {
            shared.fail(&error);
            return Err(Broken(error.to_string()));
        }
        // a client that has left does not want them either
        let _gone = pieces.send(Ok(Frame::trailers(last))).await;
    }
    Ok(())
}

/// Takes what must not come back out of a head.
pub(in crate::gateway) fn redact(headers: &mut HeaderMap, redactor: &Redactor) {
    for value in headers.values_mut() {
        if let Some(clean) = redactor.header(value) {
            *value = clean;
        }
    }
}

/// What stands for the first line where a head comes after its body.
pub(in crate::gateway) const TRAILERS: &str = "trailers";
const LEFT: &str = "the client has left";
const REQUEST: u8 = 1;
const ANSWER: u8 = 2;
