//! What a call of AWS asks for.
//!
//! Job: believe its signature or refuse it, read what it does, and keep what is needed to send it. Boundary: signatures
//! are `wire::aws::sigv4`'s, meanings are `wire::aws::call`'s. Failure mode: a [`Problem`]; AWS never hears of the call.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use hyper::body::{Body as _, Incoming};
use sha2::{Digest as _, Sha256};

use super::Account;
use super::meaning::{Ground, Meaning, head, hide};
use crate::gateway::authority::SessionContext;
use crate::gateway::http::answer::Problem;
use crate::gateway::http::dial::Upstreams;
use crate::gateway::http::reading::{self, Arriving, Reading};
use crate::gateway::http::terms::Terms;
use crate::gateway::http::{exchange, stream};
use crate::wire::aws::call;
use crate::wire::aws::chunks::{ChunkFault, ChunkReader, Event};
use crate::wire::aws::protected::Treatment;
use crate::wire::aws::sigv4::{
    BodyHash, Expected, Payload, Placement, Presented, SessionKeys, SignatureFault, Verified,
};
use crate::wire::http::head as heads;

/// How a call of AWS is sent.
pub(in crate::gateway) struct Errand {
    pub(super) service: String,
    pub(super) upstreams: Arc<Upstreams>,
    /// What a body that passes by is held against.
    pub(super) verified: Option<Verified>,
    /// SHA-256 of a body that was read.
    pub(super) hash: BodyHash,
    /// What is said of the body that is sent.
    pub(super) payload: Payload,
    /// Whether its answer is an object's bytes.
    pub(super) downloads: bool,
    /// What masks make of the call.
    pub(super) treatment: Treatment,
    /// What applies to errors, which hold nothing that is masked.
    pub(super) plain: Arc<Terms>,
}

impl Account {
    /// Reads a call that is signed with the session's keys.
    pub(in crate::gateway) async fn read(
        &self,
        context: &SessionContext,
        mut request: Request<Incoming>,
    ) -> Result<Reading, Problem> {
        stream::flatten(&mut request)?;
        let (mut parts, body) = request.into_parts();
        check_head(&parts, context)?;
        let mut body = if body.is_end_stream() { Arriving::Empty } else { Arriving::Stream(body) };
        let Some(keys) = &self.keys else { return Err(Problem::unclear("the session has no keys")) };
        let presented = Presented::read(&parts).map_err(|fault| unsigned(&fault))?;
        self.check_payload(&presented)?;
        let hash = match presented.payload() {
            // the body itself is signed, and its hash stands nowhere; a stranger's is not read
            Payload::Absent => {
                self.expecting(keys, |expected| presented.check(expected))?;
                hashed(&mut body, reading::LONGEST).await?
            }
            _ => BodyHash::Unread,
        };
        let verified =
            self.expecting(keys, |expected| presented.verify(&parts, hash, &keys.secret, expected))?;
        verified.release(&mut parts).map_err(|fault| unsigned(&fault))?;
        // INVARIANT: what is judged is what is sent: nothing is taken out of a head after this but what masks take out
        exchange::strip(&mut parts.headers, None).map_err(|error| Problem::unclear(error.to_string()))?;
        // the client is answered by us when its body is wanted
        for name in OF_CLIENTS.iter().chain([&EXPECT.as_str()]) {
            parts.headers.remove(*name);
        }
        for name in call::SECRET_HEADERS {
            if let Some(value) = parts.headers.get_mut(*name) {
                value.set_sensitive(true);
            }
        }
        let service = verified.scope().service().to_owned();
        let hash = match call::needs_body(&service, &head(&parts)) {
            Some(_) if verified.payload().is_chunked() => {
                return Err(Problem::unclear(
                    "its body tells what it does, and comes in chunks; send it whole",
                ));
            }
            Some(most) => hashed(&mut body, most.min(reading::LONGEST)).await?,
            None => hash,
        };
        // INVARIANT: what is judged by its body has the body that was signed
        if let Arriving::Whole(body) = &body {
            check_body(&verified, body)?;
        } else if matches!(body, Arriving::Empty) {
            if verified.payload().is_chunked() {
                let fault = ChunkFault::Truncated;
                return Err(Problem::unsigned(fault.code(), fault.to_string()));
            }
            check_body(&verified, &[])?;
        }
        let whole = match &body {
            Arriving::Whole(body) => Some(&**body),
            Arriving::Empty => Some(&[][..]),
            Arriving::Stream(_) => None,
        };
        let Some(upstreams) = self.upstreams(&service) else {
            return Err(Problem::elsewhere(format!("this session reaches {} only", self.services())));
        };
        let ground = Ground {
            target: &self.target,
            groups: &context.principal.groups,
            token_key: self.token_key.as_ref(),
            base: upstreams.base(),
        };
        let presigned = verified.placement() == Placement::Query;
        let meaning = ground.read(&service, &mut parts, whole, presigned)?;
        let plain = Arc::new(ground.plain());
        let (mut payload, mut hash) = (verified.payload(), hash);
        if let Some(lowered) = meaning.body {
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(lowered.len()));
            let digest = Sha256::digest(&lowered).into();
            hash = BodyHash::Known(digest);
            payload = if payload == Payload::Absent { payload } else { Payload::Hash(digest) };
            body = Arriving::Whole(lowered.into());
        }
        let Meaning { facts, text, sent, terms, treatment, downloads, .. } = meaning;
        let errand = Errand {
            service,
            upstreams,
            verified: Some(verified),
            hash,
            payload,
            downloads,
            treatment,
            plain,
        };
        Ok(Reading {
            facts,
            text,
            method: parts.method,
            sent,
            headers: parts.headers,
            body,
            terms: Arc::new(terms),
            aws: Some(Box::new(errand)),
        })
    }

    fn check_payload(&self, presented: &Presented) -> Result<(), Problem> {
        let is_unsigned = matches!(presented.payload(), Payload::Unsigned);
        if is_unsigned && presented.placement() == Placement::Header && !self.target.unsigned_payload {
            let why = "its signature does not cover its body (UNSIGNED-PAYLOAD)";
            return Err(Problem::unsigned("InvalidRequest", why).with_hint(
                "turn payload signing on: `payload_signing_enabled = true` of a profile's `s3` settings",
            ));
        }
        Ok(())
    }

    /// Holds a signature against what it must be for.
    fn expecting<T>(
        &self,
        keys: &SessionKeys,
        holds: impl FnOnce(&Expected<'_>) -> Result<T, SignatureFault>,
    ) -> Result<T, Problem> {
        let services: Vec<&str> = self.target.services.iter().map(String::as_str).collect();
        // no list is no service, and not any
        let services = if services.is_empty() { vec![""] } else { services };
        let expected = Expected {
            access_key: keys.access_key.as_str(),
            session_token: Some(&keys.token),
            now: self.turnstile.gate().now(),
            regions: &[&self.target.region],
            services: &services,
        };
        holds(&expected).map_err(|fault| {
            let problem = unsigned(&fault);
            match fault {
                SignatureFault::Region { .. } => {
                    problem.with_hint("use `AWS_REGION` as it is set for the child")
                }
                SignatureFault::AccessKey | SignatureFault::Signature | SignatureFault::Token => problem
                    .with_hint("use the keys that `hoopctl connect` or `hoopctl exec` gives to its child"),
                _ => problem,
            }
        })
    }

    fn services(&self) -> String {
        self.target.services.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// What every call must be, whatever it does.
fn check_head(parts: &Parts, context: &SessionContext) -> Result<(), Problem> {
    let unclear = |error: heads::HeadError| Problem::unclear(error.to_string());
    heads::check_framing(&parts.headers).map_err(unclear)?;
    heads::check_overrides(&parts.headers).map_err(unclear)?;
    if parts.uri.authority().is_some() || parts.uri.scheme().is_some() {
        return Err(Problem::unclear("it is written for a proxy; this is an endpoint"));
    }
    let mut hosts = parts.headers.get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(Problem::unclear("more than one `Host`"));
    }
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !is_ours(host, context.target.name.as_str()) {
        let shown = crate::domain::text::name(host, 80);
        let why = format!("the bucket or service in its host name (`{shown}`) is not looked at");
        return Err(Problem::unclear(why).with_hint(
            "address buckets in the path: `addressing_style = path` of a profile's `s3` settings",
        ));
    }
    Ok(())
}

/// Whether nothing is asked for in a host name: an address, `localhost`, or what the target is called.
fn is_ours(host: &str, target: &str) -> bool {
    let Ok(host) = host.parse::<http::uri::Authority>() else { return false };
    if host.as_str().contains('@') {
        return false;
    }
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    name.parse::<std::net::IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || name.eq_ignore_ascii_case(target)
}

/// Reads the body; its SHA-256.
async fn hashed(body: &mut Arriving, most: usize) -> Result<BodyHash, Problem> {
    let whole = match std::mem::replace(body, Arriving::Empty) {
        Arriving::Empty => Bytes::new(),
        Arriving::Stream(mut stream) => reading::whole(&mut stream, most).await?,
        Arriving::Whole(whole) => whole,
    };
    let hash = Sha256::digest(&whole).into();
    *body = Arriving::Whole(whole);
    Ok(BodyHash::Known(hash))
}

/// Reads the whole of a body that passes by, before a review: out of its chunks, and as it was signed.
pub(in crate::gateway) async fn gather(reading: &mut Reading) -> Result<(), Problem> {
    let Arriving::Stream(body) = &mut reading.body else { return Ok(()) };
    let whole = reading::whole(body, reading::LONGEST).await?;
    let Some(errand) = &mut reading.aws else { return Ok(()) };
    let Some(verified) = errand.verified.take() else { return Ok(()) };
    let whole = if verified.payload().is_chunked() {
        let whole = unchunk(verified, whole, &mut reading.headers)?;
        if reading.facts.touches_masked {
            // trailers have become headers
            hide(&mut reading.headers);
        }
        whole
    } else {
        check_body(&verified, &whole)?;
        whole
    };
    let digest = Sha256::digest(&whole).into();
    errand.hash = BodyHash::Known(digest);
    errand.payload = Payload::Hash(digest);
    reading.headers.insert(CONTENT_LENGTH, HeaderValue::from(whole.len()));
    reading.body = Arriving::Whole(whole);
    Ok(())
}

/// Takes a body out of its chunks; the checksums behind them become headers, and nothing speaks of chunks any more.
fn unchunk(verified: Verified, body: Bytes, headers: &mut HeaderMap) -> Result<Bytes, Problem> {
    let broken = |fault: ChunkFault| Problem::unsigned(fault.code(), fault.to_string());
    let mut reader = ChunkReader::new(verified, headers).map_err(broken)?;
    let mut events = Vec::new();
    reader.feed(body, &mut events).map_err(broken)?;
    reader.finish().map_err(broken)?;
    for name in ["x-amz-decoded-content-length", "x-amz-trailer"] {
        headers.remove(name);
    }
    let codings: Vec<String> = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|coding| coding.trim().to_owned())
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    headers.remove(CONTENT_ENCODING);
    if let Some(value) = HeaderValue::try_from(codings.join(",")).ok().filter(|value| !value.is_empty()) {
        headers.insert(CONTENT_ENCODING, value);
    }
    let mut whole = BytesMut::new();
    for event in &events {
        whole.extend_from_slice(event.data());
        let Event::End { trailers, .. } = event else { continue };
        for trailer in trailers {
            let unfit = || Problem::unclear("a trailer that cannot be a header");
            let name = HeaderName::try_from(trailer.name.as_str()).map_err(|_| unfit())?;
            let value = HeaderValue::try_from(trailer.value.as_str()).map_err(|_| unfit())?;
            headers.insert(name, value);
        }
    }
    Ok(whole.freeze())
}

fn check_body(verified: &Verified, body: &[u8]) -> Result<(), Problem> {
    let mut watch = verified.watch();
    watch.feed(body);
    watch.finish().map_err(|fault| unsigned(&fault))
}

pub(super) fn unsigned(fault: &SignatureFault) -> Problem {
    Problem::unsigned(fault.code(), fault.to_string())
}

/// What SDKs say of themselves, another time in each try: it is nobody's business.
const OF_CLIENTS: [&str; 3] = ["amz-sdk-invocation-id", "amz-sdk-request", "x-amzn-trace-id"];
