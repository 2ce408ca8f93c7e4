//! A call on its way to AWS, and its answer.
//!
//! Job: sign anew with the lease's keys, send, and pass the answer on. Boundary: a redirect is never followed: S3 answers
//! so for buckets of another region, and the client is told. Failure mode: a [`Problem`]; a call is sent a second time only
//! where it has no body and AWS said that the keys had expired.

use std::sync::Arc;

use aws_credential_types::Credentials;
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use secrecy::ExposeSecret as _;
use url::Url;

use super::Account;
use super::reading::Errand;
use super::upload::{self, Passage};
use crate::gateway::authority::{AwsCredential, Credential, HttpCredential, LeaseError};
use crate::gateway::http::answer::{Body, Problem, whole};
use crate::gateway::http::dial::{Link, Upstreams, Wanted};
use crate::gateway::http::exchange::{self, record, unrecorded};
use crate::gateway::http::flow::Tape;
use crate::gateway::http::reading::{Arriving, Reading, place};
use crate::gateway::http::reply::{self, Source};
use crate::gateway::http::shared::Shared;
use crate::wire::aws::chunks::{ChunkReader, Rechunker};
use crate::wire::aws::sigv4::{self, BodyHash, Payload, SignedUpstream, Upstream, Verified};
use crate::wire::http::head;
use crate::wire::http::redact::Redactor;

/// What is sent, before it is signed.
struct Outgoing {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    payload: Payload,
    hash: BodyHash,
}

/// What AWS said.
enum Answer {
    /// No; the whole of it.
    Failure(Response<Full<Bytes>>, Link),
    /// Yes.
    Success(Response<Incoming>, Link),
}

impl Account {
    /// Sends a call that was judged; its answer.
    pub(in crate::gateway) async fn send(
        &self,
        shared: &Arc<Shared>,
        reading: Reading,
        errand: Errand,
        number: u64,
    ) -> Result<Response<Body>, Problem> {
        let tape = exchange::tape(&reading);
        let Errand { service, upstreams, verified, hash, payload, downloads, treatment, plain } = errand;
        let mut headers = reading.headers;
        for name in treatment.drop_request {
            headers.remove(*name);
        }
        if reading.terms.masks.is_some() {
            head::prepare_masked_request(&mut headers);
        } else if !downloads {
            head::prepare_searched_request(&mut headers);
        }
        record(shared, number, reading.text, &headers).await.map_err(|error| unrecorded(shared, &error))?;
        let outgoing = Outgoing {
            method: reading.method,
            uri: reading.sent.parse().map_err(|_| unsignable())?,
            headers,
            payload,
            hash,
        };
        let (credentials, mut redactor) = credentials(shared).await?;
        let (head, signed) = self.sign(&outgoing, &service, upstreams.base(), &credentials)?;
        let is_bodiless = matches!(reading.body, Arriving::Empty);
        let body = body(shared, number, reading.body, tape, verified, signed, &head.headers).await?;
        let mut answer = ask(&upstreams, Request::from_parts(head, body)).await?;
        if let Answer::Failure(failure, _) = &answer
            && is_bodiless
            && says(failure, EXPIRED).await
        {
            let (fresh, looking) = self::credentials(shared).await?;
            if fresh.access_key_id() != credentials.access_key_id() {
                let (head, _) = self.sign(&outgoing, &service, upstreams.base(), &fresh)?;
                answer = ask(&upstreams, Request::from_parts(head, whole(Bytes::new()))).await?;
                redactor = looking;
            }
        }
        let method = &outgoing.method;
        match answer {
            Answer::Failure(mut failure, link) => {
                strip(failure.headers_mut(), treatment.strip);
                // S3 quotes what was signed, token and all, in more forms than can be looked for
                if let Some(why) = ours(&failure).await {
                    return Err(Problem::unusable(why).with_hint("tell whoever runs the broker"));
                }
                // a failed condition of DynamoDB's holds the item
                let terms = if treatment.items { reading.terms } else { plain };
                let source = Source { terms, upstreams, link };
                reply::pass(shared, number, method, failure, Some(redactor), source).await
            }
            Answer::Success(mut success, link) => {
                strip(success.headers_mut(), treatment.strip);
                // what objects hold somebody wrote who has no keys of this session
                let redactor = (!downloads).then_some(redactor);
                let source = Source { terms: reading.terms, upstreams, link };
                reply::pass(shared, number, method, success, redactor, source).await
            }
        }
    }

    fn sign(
        &self,
        outgoing: &Outgoing,
        service: &str,
        base: &Url,
        credentials: &Credentials,
    ) -> Result<(Parts, SignedUpstream), Problem> {
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = outgoing.method.clone();
        parts.uri = outgoing.uri.clone();
        parts.headers = outgoing.headers.clone();
        let upstream = Upstream {
            credentials,
            host: &place(base),
            region: &self.target.region,
            service,
            now: self.turnstile.gate().now(),
        };
        let signed = sigv4::sign(&mut parts, &upstream, outgoing.payload, outgoing.hash);
        signed.map(|signed| (parts, signed)).map_err(|_| unsignable())
    }
}

/// The keys of the session's lease, and what keeps their token from coming back: S3 quotes it when a signature is wrong.
async fn credentials(shared: &Shared) -> Result<(Credentials, Redactor), Problem> {
    let had = async {
        let lease = shared.lease().await?;
        let Credential::Aws(keys) = lease.credential else {
            return Err(LeaseError::Upstream("the lease is not one of AWS".into()));
        };
        let redactor = shared.redactor(&keys.session_token, |token| vec![token.clone()])?;
        let AwsCredential { access_key_id, secret_access_key, session_token } = *keys;
        let (secret, token) = (secret_access_key.expose_secret(), session_token.expose_secret());
        Ok((Credentials::new(access_key_id, secret, Some(token.to_owned()), None, "lease"), redactor))
    };
    had.await.map_err(|error| exchange::no_lease(&error))
}

/// Sends a request; a redirect is no answer.
async fn ask(upstreams: &Upstreams, request: Request<Body>) -> Result<Answer, Problem> {
    let none = HttpCredential::default();
    let (response, link) = exchange::exchange(upstreams, request, &none, Wanted::Any).await?;
    let status = response.status();
    if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
        return Err(moved(response.headers()));
    }
    if !status.is_client_error() && !status.is_server_error() {
        return Ok(Answer::Success(response, link));
    }
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, LONGEST_ERROR).collect().await;
    let body = body.map_err(|_| Problem::unusable("it is an error, and too long for one"))?.to_bytes();
    Ok(Answer::Failure(Response::from_parts(parts, Full::new(body)), link))
}

/// What is sent as the body.
async fn body(
    shared: &Arc<Shared>,
    number: u64,
    body: Arriving,
    mut tape: Tape,
    verified: Option<Verified>,
    signed: SignedUpstream,
    headers: &HeaderMap,
) -> Result<Body, Problem> {
    match body {
        Arriving::Empty => Ok(whole(Bytes::new())),
        Arriving::Stream(body) => {
            let Some(verified) = verified else { return Err(unsignable()) };
            let payload = verified.payload();
            let passage = if payload.is_chunked() {
                let reader = ChunkReader::new(verified, headers);
                let reader = reader.map_err(|fault| Problem::unsigned(fault.code(), fault.to_string()))?;
                Passage::Chunks(Box::new((reader, Rechunker::new(signed, payload))), BytesMut::new())
            } else {
                Passage::Plain(Box::new(verified.watch()), None)
            };
            Ok(upload::upload(shared, number, body, tape, passage))
        }
        Arriving::Whole(body) => {
            let kept = async {
                tape.take(shared, number, Some(&body)).await?;
                tape.take(shared, number, None).await
            };
            kept.await.map_err(|error| unrecorded(shared, &error))?;
            Ok(whole(body))
        }
    }
}

/// Takes out of an answer's head what these names say; `*` stands for what follows.
fn strip(headers: &mut HeaderMap, names: &[&str]) {
    let is_named = |header: &HeaderName| {
        names.iter().any(|name| match name.strip_suffix('*') {
            Some(start) => header.as_str().starts_with(start),
            None => header.as_str() == *name,
        })
    };
    let named: Vec<HeaderName> = headers.keys().filter(|name| is_named(name)).cloned().collect();
    for name in named {
        headers.remove(name);
    }
}

/// Why a bucket is not reached where the target says that it is.
fn moved(headers: &HeaderMap) -> Problem {
    let region = headers.get("x-amz-bucket-region").and_then(|value| value.to_str().ok());
    let is_region =
        |region: &&str| region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let region = region.filter(is_region).map(|region| format!(" ({region})")).unwrap_or_default();
    let why = format!("it is a redirect, which is not followed: the bucket is in another region{region}");
    Problem::unusable(why).with_hint("use a target of the bucket's region")
}

/// Why AWS does not take what the gateway signed: never the client's fault.
async fn ours(failure: &Response<Full<Bytes>>) -> Option<&'static str> {
    if says(failure, SKEWED).await {
        return Some("the clock of the gateway is not that of AWS");
    }
    for code in OF_SIGNATURES {
        if says(failure, code).await {
            return Some("AWS does not take the gateway's signature");
        }
    }
    says(failure, EXPIRED).await.then_some("the keys of this session have expired at AWS")
}

/// Whether an error has this code, in any of the frames.
async fn says(failure: &Response<Full<Bytes>>, code: &str) -> bool {
    let Ok(body) = failure.body().clone().collect().await;
    let body = body.to_bytes();
    // XML, or JSON with or without the shape's namespace; not where a key or an item is quoted
    let forms = [format!("<Code>{code}</Code>"), format!("#{code}\""), format!("\"__type\":\"{code}")];
    forms.iter().any(|form| body.windows(form.len()).any(|window| window == form.as_bytes()))
}

fn unsignable() -> Problem {
    Problem::unclear("the call cannot be written down for AWS")
}

const EXPIRED: &str = "ExpiredToken";
const SKEWED: &str = "RequestTimeTooSkewed";
/// What services answer to signatures that are not as they should be.
const OF_SIGNATURES: &[&str] = &[
    "AuthorizationHeaderMalformed",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "InvalidToken",
    "MissingAuthenticationToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];
/// How long an error may be.
const LONGEST_ERROR: usize = 1024 * 1024;
