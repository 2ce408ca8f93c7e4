//! The API's answer, made fit for the client.
//!
//! Job: decide what a body goes through, and make the head agree with it. Boundary: bodies move in `flow`.
//! Failure mode: a [`Problem`] instead of the answer; once its head is out, an answer can only be cut off.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRAILER};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use url::Url;

use super::answer::{Body, Form, Problem, whole};
use super::dial::{Link, Upstreams};
use super::exchange::{record, unrecorded};
use super::flow::{self, Arrival, Trailers};
use super::shared::Shared;
use super::terms::Terms;
use super::wash::{Count, Wash, WashError};
use crate::recording::item::Outcome;
use crate::wire::http::encoding::Coding;
use crate::wire::http::grpc;
use crate::wire::http::head::{self, PLACES};
use crate::wire::http::redact::Redactor;

/// Answers that are this short are read as a whole, so that their length can be told whatever is taken out of them.
const SHORT: u64 = 64 * 1024;

/// Where an answer comes from, and what applies to it.
pub(in crate::gateway) struct Source {
    pub(in crate::gateway) terms: Arc<Terms>,
    pub(in crate::gateway) upstreams: Arc<Upstreams>,
    pub(in crate::gateway) link: Link,
}

impl Source {
    /// The answer is out: its connection can be used again.
    pub(in crate::gateway) fn give_back(self) {
        self.upstreams.give_back(self.link);
    }
}

/// Passes an answer on.
pub(in crate::gateway) async fn pass(
    shared: &Arc<Shared>,
    number: u64,
    method: &Method,
    response: Response<impl Arrival>,
    redactor: Option<Redactor>,
    source: Source,
) -> Result<Response<Body>, Problem> {
    let terms = Arc::clone(&source.terms);
    let (mut parts, body) = response.into_parts();
    // the reason phrase would be sent as it came, past everything that looks at heads and bodies
    parts.extensions.clear();
    let (status, headers) = (parts.status, &mut parts.headers);
    let unusable = |error: head::HeadError| Problem::unusable(error.to_string());
    head::check_framing(headers).map_err(unusable)?;
    head::strip_response(headers).map_err(unusable)?;
    let is_grpc = Form::of(headers) == Form::Grpc;
    if is_grpc && redactor.is_some() && grpc::is_packed(headers) {
        return Err(Problem::unusable("it cannot be searched for the credential: its messages are packed"));
    }
    let has_body = head::has_body(method, status) && !body.is_end_stream();
    let length = length(headers);
    let most = terms.max_response;
    if has_body
        && let (Some(length), Some(most)) = (length, most)
        && length > most
    {
        return Err(Problem::unusable(format!("it is longer than the {most} bytes that this target allows")));
    }
    let is_packed = headers.contains_key(CONTENT_ENCODING);
    let wash = wash(&terms, redactor.as_ref(), status, headers, has_body)?;
    if terms.masks.is_some() {
        headers.remove(TRAILER);
    }
    relocate(headers, &terms.base);
    if let Some(redactor) = &redactor {
        flow::redact(headers, redactor);
    }
    let Some(wash) = wash else {
        kept(shared, number, status, headers).await?;
        let outcome = Outcome { number, rows: 0, tag: Some(status.as_u16().to_string()), error: None };
        let ended = shared.turnstile.reel().outcome(&outcome).await;
        ended.map_err(|error| unrecorded(shared, &error))?;
        source.give_back();
        return Ok(Response::from_parts(parts, whole(Bytes::new())));
    };
    // what is masked and not packed becomes no longer than its masks make it
    let may_be_read = headers.contains_key(CONTENT_LENGTH) || !is_packed;
    let is_live = is_live(headers);
    let is_read = redactor.is_some() || wash.items().is_some();
    if length.is_some_and(|length| length <= SHORT) && may_be_read && (is_read || !is_live) && !is_grpc {
        let answer = short(shared, &terms, number, &mut parts, body, wash, redactor).await?;
        source.give_back();
        return Ok(Response::from_parts(parts, answer));
    }
    let length = length.filter(|_| headers.contains_key(CONTENT_LENGTH));
    let wash = if length.is_some() { wash.sized() } else { wash };
    let wash = match &redactor {
        Some(redactor) if is_grpc => wash.messages(redactor.body()),
        _ => wash,
    };
    let wash = if is_live { wash.live() } else { wash };
    kept(shared, number, status, headers).await?;
    let trailers = if terms.masks.is_some() { Trailers::Drop } else { Trailers::Pass(redactor) };
    let mut pieces = flow::download(shared, number, status.as_u16(), body, wash, trailers, source);
    if (terms.masks.is_none() && terms.max_items.is_none()) || is_live {
        return Ok(Response::from_parts(parts, pieces.body(None)));
    }
    // a document that is broken at its beginning can still be refused outright
    match pieces.recv().await {
        Some(Err(broken)) if terms.masks.is_some() => Err(Problem::unmaskable(broken)),
        Some(Err(broken)) => Err(Problem::unusable(broken.0)),
        first => Ok(Response::from_parts(parts, pieces.body(first))),
    }
}

/// The answer to an upgrade.
pub(in crate::gateway) fn switching(
    response: Response<Incoming>,
    redactor: Option<&Redactor>,
) -> Response<Body> {
    let (mut parts, _) = response.into_parts();
    parts.extensions.clear();
    head::strip_handed_out(&mut parts.headers);
    if let Some(redactor) = redactor {
        flow::redact(&mut parts.headers, redactor);
    }
    Response::from_parts(parts, whole(Bytes::new()))
}

/// What the body goes through; `None` when there is none. The head is made to agree.
fn wash(
    terms: &Terms,
    redactor: Option<&Redactor>,
    status: StatusCode,
    headers: &mut HeaderMap,
    has_body: bool,
) -> Result<Option<Wash>, Problem> {
    let chain = || {
        let codings = headers.get_all(CONTENT_ENCODING).iter();
        let names = codings.map(HeaderValue::to_str).collect::<Result<Vec<_>, _>>();
        Coding::chain(names.unwrap_or_else(|_| vec!["unknown"]).into_iter())
    };
    let count = if has_body { count(terms, headers) } else { None };
    let (chain, masker) = match &terms.masks {
        Some(masks) => {
            let masker = match has_body {
                true => Some(terms.masker(headers, masks)?),
                false => None,
            };
            let chain = if has_body { chain().map_err(Problem::unmaskable)? } else { Vec::new() };
            head::prepare_rewritten_response(status, headers).map_err(Problem::unmaskable)?;
            (chain, masker)
        }
        None if has_body && (redactor.is_some() || count.is_some() || terms.max_response.is_some()) => {
            let unusable = |error: &dyn std::fmt::Display| {
                Problem::unusable(format!("it cannot be searched for the credential, or counted: {error}"))
            };
            let chain = chain().map_err(|error| unusable(&error))?;
            if !chain.is_empty() || (count.is_some() && status == StatusCode::PARTIAL_CONTENT) {
                head::prepare_rewritten_response(status, headers).map_err(|error| unusable(&error))?;
            }
            (chain, None)
        }
        None => (Vec::new(), None),
    };
    if !has_body {
        return Ok(None);
    }
    let wash = Wash::new(&chain, redactor.map(Redactor::body), masker, terms.max_response);
    let wash = wash.map_err(|error| Problem::unusable(error.to_string()))?;
    Ok(Some(wash.counted(count)))
}

/// How many items may come, where the target says so and the type has any.
fn count(terms: &Terms, headers: &HeaderMap) -> Option<Count> {
    let most = terms.max_items?;
    if terms.masks.is_some() {
        return Some(Count { most, counter: None });
    }
    Some(Count { most, counter: Some(terms.counter(headers)?) })
}

/// Why an answer is refused outright.
fn unwashed(error: WashError) -> Problem {
    match error {
        WashError::Mask(why) => Problem::unmaskable(why),
        error => Problem::unusable(error.to_string()),
    }
}

/// A short answer, as a whole.
async fn short(
    shared: &Arc<Shared>,
    terms: &Terms,
    number: u64,
    head: &mut Parts,
    mut body: impl Arrival,
    mut wash: Wash,
    redactor: Option<Redactor>,
) -> Result<Body, Problem> {
    let (status, headers) = (head.status, &mut head.headers);
    let broken = |why: String| match &terms.masks {
        Some(_) => Problem::unmaskable(why),
        None => Problem::unusable(format!("the API's answer is broken: {why}")),
    };
    let mut last = None;
    let (mut shown, mut sent) = (BytesMut::new(), BytesMut::new());
    loop {
        let frame = body.frame().await;
        let is_end = frame.is_none();
        match frame {
            None => wash.close(),
            Some(frame) => match frame.map_err(|error| broken(error.to_string()))?.into_data() {
                Ok(data) => wash.push(data),
                Err(frame) => {
                    last = frame.into_trailers().ok();
                    continue;
                }
            },
        }
        while let Some(washed) = wash.pull().map_err(unwashed)? {
            shown.extend_from_slice(&washed.shown);
            sent.extend_from_slice(&washed.sent);
        }
        if is_end {
            break;
        }
    }
    if wash.found() > 0 {
        head::prepare_rewritten_response(status, headers).map_err(|error| broken(error.to_string()))?;
    }
    headers.insert(CONTENT_LENGTH, HeaderValue::from(sent.len()));
    kept(shared, number, status, headers).await?;
    let reel = shared.turnstile.reel();
    let trailers = if terms.masks.is_some() { Trailers::Drop } else { Trailers::Pass(redactor) };
    let last = last.and_then(|last| trailers.shown(last));
    let recorded = async {
        if let Some(last) = &last {
            record(shared, number, flow::TRAILERS.into(), last).await?;
        }
        reel.piece(crate::gateway::journal::ItemKind::Body, number, 2, &shown).await?;
        let rows = wash.items().unwrap_or(shown.len() as u64);
        reel.outcome(&Outcome { number, rows, tag: Some(status.as_u16().to_string()), error: None }).await
    };
    recorded.await.map_err(|error| unrecorded(shared, &error))?;
    let sent = whole(sent.freeze());
    Ok(match last {
        Some(last) => sent.with_trailers(std::future::ready(Some(Ok(last)))).boxed_unsync(),
        None => sent,
    })
}

async fn kept(shared: &Shared, number: u64, status: StatusCode, headers: &HeaderMap) -> Result<(), Problem> {
    let recorded = record(shared, number, status.as_u16().to_string(), headers).await;
    recorded.map_err(|error| unrecorded(shared, &error))
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether somebody waits for each piece: events and lines.
fn is_live(headers: &HeaderMap) -> bool {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media == "text/event-stream"
        || media.ends_with("json-seq")
        || media.contains("ndjson")
        || media.contains("lines")
        || media.contains("jsonl")
}

/// A place below the base is told as a path, so that a client that follows it comes back to us. Other places stay
/// as they are: nobody follows them here.
fn relocate(headers: &mut HeaderMap, base: &Url) {
    for name in PLACES {
        let Some(place) = headers.get(&name).and_then(|value| value.to_str().ok()) else { continue };
        // what is relative to the call's own path is so for the client as well
        let read = if place.starts_with('/') { base.join(place) } else { Url::parse(place) };
        let Ok(place) = read else { continue };
        if place.origin() != base.origin() || !place.username().is_empty() || place.password().is_some() {
            continue;
        }
        let prefix = base.path().trim_end_matches('/');
        let Some(path) = place.path().strip_prefix(prefix).filter(|path| path.starts_with('/')) else {
            continue;
        };
        let mut path = path.to_owned();
        for (mark, part) in [('?', place.query()), ('#', place.fragment())] {
            if let Some(part) = part {
                path.push(mark);
                path.push_str(part);
            }
        }
        // `//host` would be another host
        if let Some(value) =
            HeaderValue::try_from(path).ok().filter(|value| !value.as_bytes().starts_with(b"//"))
        {
            headers.insert(name, value);
        }
    }
}
