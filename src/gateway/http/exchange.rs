//! One call: judged, sent with the lease's credential, answered.
//!
//! Job: the order of the steps. INVARIANT: nothing of a call reaches the API before its verdict is entered,
//! and nothing of an answer reaches the client before it is cleaned and recorded. Boundary: redirects are passed
//! on and never followed. Failure mode: a [`Problem`].

use std::sync::Arc;

use http::header::{CONNECTION, EXPECT, HOST, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use super::answer::{Body, Form, Problem, whole};
use super::api::{self, Api, basic};
use super::dial::Upstreams;
use super::dial::{Link, Wanted};
use super::flow::{self, Tape};
use super::reading::{Arriving, FORM, Reading, is_json};
use super::shared::{Behind, Shared};
use super::terms::Terms;
use super::{door, reply, secrets, upgrade};
use crate::domain::action::Action;
use crate::domain::name::Digest;
use crate::domain::target::Injection;
use crate::gateway::authority::{HttpCredential, LeaseError};
use crate::gateway::aws::Frame;
use crate::gateway::gate::Opinion;
use crate::gateway::journal::{ItemKind, JournalError};
use crate::mask::document::BodyMasker;
use crate::recording::item::{Head, Outcome};
use crate::wire::http::grpc;
use crate::wire::http::head::{self, HeadError};

/// Answers one call.
pub(in crate::gateway) async fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let form = match &shared.behind {
        Behind::Account(_) => Form::Aws(Frame::of(&request)),
        Behind::Api(_) => Form::of(request.headers()),
    };
    tokio::select! {
        biased;
        () = shared.over() => Problem::over(shared.why_over()).respond(form),
        answer = attempt(shared, request) => answer.unwrap_or_else(|problem| problem.respond(form)),
    }
}

async fn attempt(shared: &Arc<Shared>, mut request: Request<Incoming>) -> Result<Response<Body>, Problem> {
    shared.settle().await.map_err(|error| unrecorded(shared, &error))?;
    let upgraded = hyper::upgrade::on(&mut request);
    let mut reading = Reading::admit(shared, request).await?;
    let may_wait = {
        let mut gate = shared.turnstile.gate();
        gate.follow_policy();
        matches!(gate.opinion(&Action::Call(&reading.facts)), Opinion::Hold(_))
    };
    if may_wait {
        // what is reviewed is the whole of what goes
        reading.gather_for_review(shared).await?;
    }
    match &shared.behind {
        Behind::Account(account) if may_wait => {
            let call = Digest::from_bytes(&Sha256::digest(reading.case(may_wait).exact).into());
            let go = go(Arc::clone(shared), reading, may_wait, upgraded);
            account.held.answer(shared, call, go).await
        }
        _ => go(Arc::clone(shared), reading, may_wait, upgraded).await,
    }
}

/// Judges a call, waits where it is held, and sends it.
async fn go(
    shared: Arc<Shared>,
    mut reading: Reading,
    may_wait: bool,
    upgraded: OnUpgrade,
) -> Result<Response<Body>, Problem> {
    let shared = &shared;
    let case = reading.case(may_wait);
    let judged = match may_wait {
        true => shared.judge(case).await,
        // a policy of this very moment that would hold it must not hold what nobody has read
        false => shared.turnstile.judge_at_once(&case).await,
    };
    let number = match judged {
        Err(error) => return Err(unrecorded(shared, &error)),
        Ok(Err(refused)) => return Err(Problem::denied(refused.denial)),
        Ok(Ok(number)) => number,
    };
    let mut unanswered = Unanswered { shared: Arc::clone(shared), number, is_over: false };
    let answer = match (&shared.behind, reading.aws.take()) {
        (Behind::Account(account), Some(errand)) => account.send(shared, reading, *errand, number).await,
        (Behind::Api(api), None) => send(shared, api, reading, number, upgraded).await,
        _ => Err(Problem::unclear("it was read for something else than the target")),
    };
    unanswered.is_over = true;
    if let Err(problem) = &answer {
        let (status, why) = problem.told();
        let tag = Some(status.as_u16().to_string());
        let outcome = Outcome { number, rows: 0, tag, error: Some(why.to_owned()) };
        shared.turnstile.reel().outcome(&outcome).await.map_err(|error| unrecorded(shared, &error))?;
    }
    answer
}

async fn send(
    shared: &Arc<Shared>,
    api: &Api,
    reading: Reading,
    number: u64,
    upgraded: OnUpgrade,
) -> Result<Response<Body>, Problem> {
    let (upgrading, terms) = (reading.facts.upgrade.clone(), &api.terms);
    if upgrading.is_some() && terms.masks.is_some() {
        return Err(Problem::unmaskable("what a connection is upgraded to has no form to mask by"));
    }
    if upgrading.is_some() && api.target.only_http2 {
        return Err(Problem::unusable("the API speaks HTTP/2 only, and a stream of it is not upgraded"));
    }
    if terms.masks.is_some() && Form::of(&reading.headers) == Form::Grpc {
        return Err(Problem::unmaskable("messages of gRPC have no names to mask by"));
    }
    let (credential, redactor) = api::credential(shared).await.map_err(|error| no_lease(&error))?;
    let method = reading.method.clone();
    let (tape, parts) = (tape(&reading), reading.parts());
    let mut headers = reading.headers;
    let injected = injected(&credential);
    prepare(terms, &mut headers, injected.as_ref(), redactor.is_some())?;
    let line = reading.text;
    record(shared, number, line, &headers).await.map_err(|error| unrecorded(shared, &error))?;
    if let Some(protocol) = &upgrading {
        // packed frames could be neither searched nor read again
        headers.remove("sec-websocket-extensions");
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::try_from(protocol.as_str()).map_err(|_| not_sendable())?);
    }
    let mut target = reading.sent;
    inject(&mut headers, &mut target, &credential)?;
    let body = match reading.body {
        Arriving::Empty => whole(bytes::Bytes::new()),
        Arriving::Stream(body) => flow::upload(shared, number, body, tape, injected, parts),
        Arriving::Whole(body) => {
            let mut tape = tape;
            let kept = async {
                tape.take(shared, number, Some(&body)).await?;
                tape.take(shared, number, None).await
            };
            kept.await.map_err(|error| unrecorded(shared, &error))?;
            whole(body)
        }
    };
    let mut request = Request::new(body);
    *request.method_mut() = method.clone();
    *request.uri_mut() = target.parse::<Uri>().map_err(|_| not_sendable())?;
    *request.headers_mut() = headers;
    let wanted = if upgrading.is_some() { Wanted::Upgradable } else { Wanted::Any };
    let (mut response, link) = exchange(&api.upstreams, request, &credential, wanted).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        if upgrading.is_none() || head::upgrade(response.headers()) != upgrading {
            return Err(Problem::unusable("the API upgrades a connection that was not to be"));
        }
        let api = hyper::upgrade::on(&mut response);
        let answer = reply::switching(response, redactor.as_ref());
        record(shared, number, "101".into(), answer.headers())
            .await
            .map_err(|error| unrecorded(shared, &error))?;
        shared.spawn(upgrade::relay(Arc::clone(shared), number, upgraded, api, redactor, link));
        return Ok(answer);
    }
    let source = reply::Source { terms: Arc::clone(terms), upstreams: Arc::clone(&api.upstreams), link };
    reply::pass(shared, number, &method, response, redactor, source).await
}

/// A call whose client may hang up before the API answers: nothing else would say in the recording how it ended.
struct Unanswered {
    shared: Arc<Shared>,
    number: u64,
    is_over: bool,
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if !self.is_over {
            self.shared.left_behind(self.number);
        }
    }
}

/// Sends a request over the connection that is there, or over a new one.
pub(in crate::gateway) async fn exchange(
    upstreams: &Upstreams,
    request: Request<Body>,
    credential: &HttpCredential,
    wanted: Wanted,
) -> Result<(Response<Incoming>, Link), Problem> {
    let unreachable = |error: &dyn std::fmt::Display| Problem::unreachable(error.to_string());
    let mut link = upstreams.link(credential, wanted).await.map_err(|error| unreachable(&error))?;
    let unsent = match link.send(request, upstreams.base()).await {
        Ok(response) => return Ok((response, link)),
        // it was closed meanwhile, and nothing of the request was sent
        Err(mut error) => match error.take_message() {
            Some(unsent) => unsent,
            None => return Err(Problem::unreachable(told(error.error()))),
        },
    };
    drop(link);
    let mut link = upstreams.another(credential, wanted).await.map_err(|error| unreachable(&error))?;
    match link.send(unsent, upstreams.base()).await {
        Ok(response) => Ok((response, link)),
        Err(error) => Err(Problem::unreachable(told(error.error()))),
    }
}

/// Makes the client's head one that the API may see; where it goes is said by the connection.
fn prepare(
    terms: &Terms,
    headers: &mut HeaderMap,
    injected: Option<&HeaderName>,
    has_secret: bool,
) -> Result<(), Problem> {
    strip(headers, injected).map_err(|error| Problem::unclear(error.to_string()))?;
    // the client is answered by us when its body is wanted
    headers.remove(EXPECT);
    if terms.masks.is_some() {
        head::prepare_masked_request(headers);
    } else if has_secret || terms.counting.is_some() || terms.max_response.is_some() {
        head::prepare_searched_request(headers);
        if Form::of(headers) == Form::Grpc {
            // packed messages could not be searched
            headers.insert(grpc::ACCEPTED, HeaderValue::from_static("identity"));
        }
    }
    Ok(())
}

/// Takes out of a head what is between the client and us.
pub(in crate::gateway) fn strip(
    headers: &mut HeaderMap,
    injected: Option<&HeaderName>,
) -> Result<(), HeadError> {
    head::strip_hop_by_hop(headers)?;
    // INVARIANT: no credential of the client's leaves
    head::strip_credentials(headers, injected);
    headers.remove(door::SESSION);
    headers.remove(HOST);
    head::strip_forwarding(headers);
    Ok(())
}

/// Makes trailers ones that the API may see: a server that merges them into the head gets nothing by it.
pub(in crate::gateway) fn strip_trailers(
    trailers: &mut HeaderMap,
    injected: Option<&HeaderName>,
) -> Result<(), HeadError> {
    strip(trailers, injected)?;
    head::strip_trailers(trailers, injected);
    Ok(())
}

/// The header that the lease's secret will be put into.
fn injected(credential: &HttpCredential) -> Option<HeaderName> {
    match &credential.inject {
        Some((Injection::Header { name }, _)) => HeaderName::from_bytes(name.as_bytes()).ok(),
        _ => None,
    }
}

/// Puts the lease's secret where it belongs.
fn inject(headers: &mut HeaderMap, target: &mut String, credential: &HttpCredential) -> Result<(), Problem> {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    let Some((injection, secret)) = &credential.inject else { return Ok(()) };
    let plain = secret.expose_secret();
    let (name, value) = match injection {
        Injection::Basic { user } => {
            let pair = BASE64_STANDARD.encode(basic(user, secret).expose_secret());
            ("authorization", format!("Basic {pair}"))
        }
        Injection::Bearer => ("authorization", format!("Bearer {plain}")),
        Injection::Cookie { name } => ("cookie", format!("{name}={plain}")),
        Injection::Header { name } => (name.as_str(), plain.to_owned()),
        Injection::Query { name } => {
            let field: String =
                url::form_urlencoded::Serializer::new(String::new()).append_pair(name, plain).finish();
            target.push(if target.contains('?') { '&' } else { '?' });
            target.push_str(&field);
            return Ok(());
        }
    };
    let unusable = || Problem::unreachable("the session's credential cannot stand in a header");
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable())?;
    let mut value = HeaderValue::try_from(value).map_err(|_| unusable())?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

/// How a request's body is recorded: through the masks where there are some, and not at all where that cannot be.
pub(in crate::gateway) fn tape(reading: &Reading) -> Tape {
    let content_type = reading.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let codings = reading.headers.get_all(http::header::CONTENT_ENCODING).iter();
    // the chunks of AWS are taken off before
    let is_coded = codings.into_iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"aws-chunked"));
    match &reading.terms.masks {
        _ if is_coded => Tape::Silent,
        // what is written to where masks are is not always what it says that it is
        _ if reading.aws.is_some() && reading.facts.touches_masked => Tape::Silent,
        Some(masks) => match BodyMasker::new(content_type, masks) {
            Ok(masker) => Tape::Masked(Box::new(masker)),
            Err(_) => Tape::Silent,
        },
        None => match reading.facts.content_type.as_deref() {
            Some(media) if is_json(media) || media == FORM || media.starts_with(AWS_JSON) => {
                let content_type =
                    if media.starts_with(AWS_JSON) { Some("application/json") } else { content_type };
                match secrets::plan().map(|plan| BodyMasker::new(content_type, &plan)) {
                    Some(Ok(masker)) => Tape::Masked(Box::new(masker)),
                    _ => Tape::Silent,
                }
            }
            Some(media) if is_text(media) => Tape::Plain,
            _ => Tape::Silent,
        },
    }
}

/// Whether a body of this type is worth reading again.
fn is_text(media: &str) -> bool {
    media.starts_with("text/")
        || media.ends_with("json")
        || media.ends_with("xml")
        || matches!(media, "application/x-www-form-urlencoded" | "application/graphql")
}

/// Records a head.
pub(in crate::gateway) async fn record(
    shared: &Shared,
    number: u64,
    line: String,
    headers: &HeaderMap,
) -> Result<(), JournalError> {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), head::recorded(name, value).into_owned()))
        .collect();
    shared.turnstile.reel().json(ItemKind::Head, &Head { number, line, headers }).await
}

/// Nothing moves without its record.
pub(in crate::gateway) fn unrecorded(shared: &Shared, error: &JournalError) -> Problem {
    shared.fail(error);
    Problem::over(error.to_string())
}

fn not_sendable() -> Problem {
    Problem::unclear("the call cannot be written down for the API")
}

pub(in crate::gateway) fn no_lease(error: &LeaseError) -> Problem {
    match error {
        // asking again would be told the same
        LeaseError::Issuer(_) => Problem::without_lease(error.to_string()),
        LeaseError::Upstream(why) => {
            Problem::unreachable(format!("no credential could be had for this session: {why}"))
        }
        error => Problem::unreachable(error.to_string()),
    }
}

fn told(error: &hyper::Error) -> String {
    use std::error::Error as _;
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

const AWS_JSON: &str = "application/x-amz-json-";
