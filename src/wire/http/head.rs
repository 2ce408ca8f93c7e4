//! Heads of requests and responses: what may pass, what is taken out, what has to change with a body.
//!
//! Job: pure functions over header maps, called by the gateway in the order below. Boundary: it neither
//! judges nor injects. Failure mode: a [`HeadError`]; the message must then not be forwarded.
//!
//! Request: [`check_framing`], [`check_origin`], [`check_overrides`], [`upgrade`], [`strip_hop_by_hop`], [`strip_credentials`], [`strip_trailers`],
//! and on a masked target [`check_conditions`] and [`prepare_masked_request`]. Response: [`check_framing`], [`strip_response`], and if
//! its body is rewritten, [`prepare_rewritten_response`].

use std::borrow::Cow;

use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_TYPE, COOKIE, ETAG, HOST, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    IF_RANGE, IF_UNMODIFIED_SINCE, LOCATION, ORIGIN, PROXY_AUTHORIZATION, RANGE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// A condition on the body as it is before its masks.
    #[error("the API cannot be asked to compare what is masked: leave the condition out, or send `*`")]
    Condition,
    /// Sent by a browser for a page of another site.
    #[error("a page of another site asks for it")]
    Foreign,
    /// More than one length, a length and an encoding, an encoding other than `chunked`.
    #[error("the message's length can be read in two ways")]
    Framing,
    /// `Connection` names a header that the next server needs.
    #[error("`Connection` names a header that is not the connection's")]
    Nominated,
    /// A header that makes the server see another method or path than was judged.
    #[error("the request asks for another method or path in a header")]
    Override,
    /// A part of a body: its beginning cannot be masked without the rest.
    #[error("a part of a document cannot be masked")]
    Partial,
}

/// Refuses heads whose body ends at different places for different readers (RFC 9112 §6.3).
///
/// # Errors
/// [`HeadError::Framing`].
pub fn check_framing(headers: &HeaderMap) -> Result<(), HeadError> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let (length, coding) = (lengths.next(), codings.next());
    let is_number = |value: &HeaderValue| {
        let digits = value.as_bytes();
        !digits.is_empty() && digits.len() <= 18 && digits.iter().all(u8::is_ascii_digit)
    };
    let fits = lengths.next().is_none()
        && codings.next().is_none()
        && length.is_none_or(is_number)
        && coding.is_none_or(|coding| length.is_none() && coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if fits { Ok(()) } else { Err(HeadError::Framing) }
}

/// Refuses headers with which a client asks for another method or path than the request line says.
///
/// # Errors
/// [`HeadError::Override`].
pub fn check_overrides(headers: &HeaderMap) -> Result<(), HeadError> {
    // x-middleware-subrequest and its like: what a framework tells itself
    let is_override = |name: &HeaderName| {
        is_among(name, OVERRIDES) || name.as_str().replace('_', "-").starts_with("x-middleware-")
    };
    match headers.keys().any(is_override) {
        true => Err(HeadError::Override),
        false => Ok(()),
    }
}

/// Refuses what a page of another site makes a browser send: it may know the address, and the browser the secret.
/// `places` are the authorities under which the call may be meant: the one that was called, and those of the target.
///
/// # Errors
/// [`HeadError::Foreign`].
pub fn check_origin(headers: &HeaderMap, places: &[&str]) -> Result<(), HeadError> {
    // Fetch Metadata: to a browser, another port of this machine is the same site
    let is_own = |value: &HeaderValue| matches!(value.as_bytes(), b"same-origin" | b"none");
    let is_here = |value: &HeaderValue| {
        let origin = value.to_str().ok().and_then(|origin| origin.split_once("://"));
        origin.is_some_and(|(_, authority)| places.iter().any(|place| place.eq_ignore_ascii_case(authority)))
    };
    let fits =
        headers.get_all("sec-fetch-site").iter().all(is_own) && headers.get_all(ORIGIN).iter().all(is_here);
    if fits { Ok(()) } else { Err(HeadError::Foreign) }
}

/// What the connection would become, where `Connection` says so: `websocket`, and nothing else. Other offers (`h2c`, `TLS`,
/// lists) may be ignored (RFC 9110 §7.8), and are: what was tunnelled for them would be judged by nobody.
#[must_use]
pub fn upgrade(headers: &HeaderMap) -> Option<String> {
    let wanted = nominated(headers).any(|name| name == "upgrade");
    let mut offers = headers.get_all(UPGRADE).iter();
    let (offer, second) = (offers.next()?.to_str().ok()?.trim(), offers.next());
    (wanted && second.is_none() && offer.eq_ignore_ascii_case(WEBSOCKET)).then(|| WEBSOCKET.to_owned())
}

/// Takes out what belongs to one connection (RFC 9110 §7.6.1). `TE: trailers` stays, because trailers are forwarded.
///
/// # Errors
/// [`HeadError::Nominated`] when `Connection` names what the message cannot do without.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) -> Result<(), HeadError> {
    let mut names = Vec::new();
    for name in nominated(headers) {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| HeadError::Nominated)?;
        if END_TO_END.contains(&name) {
            return Err(HeadError::Nominated);
        }
        names.push(name);
    }
    let trailers = headers.get_all(TE).iter().any(|value| {
        value
            .to_str()
            .is_ok_and(|value| value.split(',').any(|coding| coding.trim().eq_ignore_ascii_case("trailers")))
    });
    for name in names.iter().map(HeaderName::as_str).chain(HOP_BY_HOP.iter().copied()) {
        headers.remove(name);
    }
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    Ok(())
}

/// Takes out of a response, or of its trailers, what belongs to one connection and what only a client that talks to the
/// API itself could use: cookies, which would be credentials that work without the gateway, and other ways to the API.
///
/// # Errors
/// As [`strip_hop_by_hop`].
pub fn strip_response(headers: &mut HeaderMap) -> Result<(), HeadError> {
    strip_hop_by_hop(headers)?;
    strip_handed_out(headers);
    Ok(())
}

/// The second half of [`strip_response`], for answers that keep what belongs to the connection: upgrades.
pub fn strip_handed_out(headers: &mut HeaderMap) {
    for name in HANDED_OUT {
        headers.remove(*name);
    }
}

/// Takes out every credential that the client sent, and the header that the lease will be put into, in every spelling
/// that a server might read as the same name.
pub fn strip_credentials(headers: &mut HeaderMap, injected: Option<&HeaderName>) {
    let injected = injected.map(dashed);
    let names: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            is_among(name, CLIENT_CREDENTIALS)
                || injected.as_ref().is_some_and(|injected| *injected == dashed(name))
        })
        .cloned()
        .collect();
    for name in names {
        headers.remove(name);
    }
}

/// Takes out of a request's trailers what would be refused or replaced in its head: a server may take the two together
/// (RFC 9110 §6.5.1).
pub fn strip_trailers(trailers: &mut HeaderMap, injected: Option<&HeaderName>) {
    strip_credentials(trailers, injected);
    strip_forwarding(trailers);
    let is_of_the_head = |name: &&HeaderName| is_among(name, OVERRIDES) || is_among(name, HEAD_ONLY);
    let names: Vec<HeaderName> = trailers.keys().filter(is_of_the_head).cloned().collect();
    for name in names {
        trailers.remove(name);
    }
}

/// What a header's value is recorded as.
#[must_use]
pub fn recorded<'a>(name: &HeaderName, value: &'a HeaderValue) -> Cow<'a, str> {
    if value.is_sensitive() || is_among(name, SECRETS) || has_secret_word(name) {
        return match value.to_str().ok().and_then(|text| text.split_once(' ')) {
            // the scheme says what kind of credential it was
            Some((scheme, _)) if [AUTHORIZATION, PROXY_AUTHORIZATION].contains(name) && is_token(scheme) => {
                Cow::Owned(format!("{scheme} {REDACTED}"))
            }
            _ => Cow::Borrowed(REDACTED),
        };
    }
    match value.to_str() {
        Ok(text) if is_among(name, ADDRESSES) => without_secrets(text),
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Borrowed("[not text]"),
    }
}

/// Takes out what proxies say of those before them, and of whom they let in: a client says it of itself.
pub fn strip_forwarding(headers: &mut HeaderMap) {
    let is_told = |name: &&HeaderName| {
        let name = dashed(name);
        TOLD_BY_PROXIES.contains(&&*name) || TOLD_WITH.iter().any(|start| name.starts_with(start))
    };
    let names: Vec<HeaderName> = headers.keys().filter(is_told).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Makes a request ask for an answer that can be searched: in a coding that can be taken off, and a part of it in none.
pub fn prepare_searched_request(headers: &mut HeaderMap) {
    if headers.contains_key(RANGE) {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    } else {
        keep_known_codings(headers);
    }
}

/// Refuses conditions on what the client never saw, which cannot be left out: a write that is to happen only if nothing
/// has changed. Conditions of reads are left out by [`prepare_masked_request`]. `*` asks for nothing but existence.
///
/// # Errors
/// [`HeadError::Condition`].
pub fn check_conditions(method: &Method, headers: &HeaderMap) -> Result<(), HeadError> {
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let is_told = |name: &HeaderName| headers.get_all(name).iter().any(|value| !is_any(value));
    let is_bound = is_told(&IF_MATCH)
        || headers.contains_key(IF_UNMODIFIED_SINCE)
        || (!is_read && is_told(&IF_NONE_MATCH));
    if is_bound { Err(HeadError::Condition) } else { Ok(()) }
}

/// Whether a condition is about existence alone.
fn is_any(value: &HeaderValue) -> bool {
    value.as_bytes().trim_ascii() == b"*"
}

/// Makes a request ask for a whole document in a coding that can be taken off, for no digest of it, and on no condition
/// that tells something of it: what an API answers to a guessed entity tag tells whether the guess was right.
pub fn prepare_masked_request(headers: &mut HeaderMap) {
    for name in [RANGE, IF_RANGE, IF_MODIFIED_SINCE] {
        headers.remove(name);
    }
    if !headers.get_all(IF_NONE_MATCH).iter().all(is_any) {
        headers.remove(IF_NONE_MATCH);
    }
    for name in ["want-digest", "want-content-digest", "want-repr-digest", "a-im"] {
        headers.remove(name);
    }
    keep_known_codings(headers);
}

fn keep_known_codings(headers: &mut HeaderMap) {
    let codings = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let known: Vec<&str> = codings
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|coding| {
            let name = coding.split(';').next().unwrap_or_default().trim();
            super::encoding::Coding::named(name).is_some()
        })
        .collect();
    let known = if known.is_empty() { "identity".to_owned() } else { known.join(", ") };
    match HeaderValue::try_from(known) {
        Ok(known) => headers.insert(ACCEPT_ENCODING, known),
        Err(_) => headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity")),
    };
}

/// Whether a response has a body at all (RFC 9112 §6.3).
#[must_use]
pub fn has_body(method: &Method, status: StatusCode) -> bool {
    *method != Method::HEAD
        && !status.is_informational()
        && status != StatusCode::NO_CONTENT
        && status != StatusCode::NOT_MODIFIED
}

/// Makes a response's head say nothing about the body as it was before it was rewritten: also for HEAD and 304, which
/// describe a body that they do not carry.
///
/// # Errors
/// [`HeadError::Partial`] for parts of documents.
pub fn prepare_rewritten_response(status: StatusCode, headers: &mut HeaderMap) -> Result<(), HeadError> {
    let multipart = headers.get(CONTENT_TYPE).is_some_and(|value| {
        value.as_bytes().get(..20).is_some_and(|start| start.eq_ignore_ascii_case(b"multipart/byteranges"))
    });
    if status == StatusCode::PARTIAL_CONTENT
        || status == StatusCode::IM_USED
        || headers.contains_key(CONTENT_RANGE)
        || multipart
    {
        // 416 tells the length of the whole with nothing of it
        if status != StatusCode::RANGE_NOT_SATISFIABLE {
            return Err(HeadError::Partial);
        }
        headers.remove(CONTENT_RANGE);
    }
    headers.remove(CONTENT_LENGTH);
    for name in DIGESTS {
        headers.remove(*name);
    }
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("none"));
    // many are a hash of the body: whoever has one can try values until they fit
    headers.remove(ETAG);
    Ok(())
}

/// The headers of a response in which a server may name another place: to be compared with the target's address.
pub const PLACES: [HeaderName; 2] = [LOCATION, HeaderName::from_static("content-location")];

/// The names that `Connection` lists, in lower case.
fn nominated(headers: &HeaderMap) -> impl Iterator<Item = String> + '_ {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
}

/// Whether a name is one of these to a server that takes `_` for `-` (CGI, WSGI).
fn is_among(name: &HeaderName, names: &[&str]) -> bool {
    names.contains(&&*dashed(name))
}

/// A name as such a server reads it. Nearly all names are so already, and this is asked of each several times a call.
fn dashed(name: &HeaderName) -> Cow<'_, str> {
    match name.as_str() {
        name if name.contains('_') => Cow::Owned(name.replace('_', "-")),
        name => Cow::Borrowed(name),
    }
}

fn has_secret_word(name: &HeaderName) -> bool {
    is_secret_name(name.as_str())
}

/// Whether some part of a header's or a field's name says that its value is secret: `accessToken`, `X-CSRFToken`, `sig`.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    words(name).any(|word| SECRET_WORDS.contains(&word.to_ascii_lowercase().as_str()))
        || SECRET_PARTS.iter().any(|part| lower.contains(part))
}

/// The words of a name, however they are set apart.
fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_ascii_alphanumeric()).flat_map(|part| {
        let bytes = part.as_bytes();
        let starts = (1..bytes.len()).filter(|at| {
            let is_upper = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_uppercase);
            // `accessToken`, and the `T` of `CSRFToken`
            is_upper(*at) && (!is_upper(at - 1) || bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase))
        });
        let ends: Vec<usize> = starts.chain([bytes.len()]).collect();
        let mut from = 0;
        ends.into_iter().map(move |end| {
            let word = part.get(from..end).unwrap_or_default();
            from = end;
            word
        })
    })
}

/// An address without the values of fields that are secret, in its query or its fragment.
fn without_secrets(text: &str) -> Cow<'_, str> {
    let Some(start) = text.find(['?', '#']) else { return Cow::Borrowed(text) };
    let (before, rest) = text.split_at_checked(start).unwrap_or((text, ""));
    let mut shown = before.to_owned();
    let mut is_changed = false;
    for field in rest.split_inclusive(['?', '#', '&', ';']) {
        let (field, mark) = match field.char_indices().next_back() {
            Some((at, mark)) if "?#&;".contains(mark) => field.split_at_checked(at).unwrap_or((field, "")),
            _ => (field, ""),
        };
        match field.split_once('=') {
            Some((name, value)) if !value.is_empty() && is_secret_name(name) => {
                is_changed = true;
                shown.push_str(name);
                shown.push_str("=[redacted]");
            }
            _ => shown.push_str(field),
        }
        shown.push_str(mark);
    }
    if is_changed { Cow::Owned(shown) } else { Cow::Borrowed(text) }
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 16
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

const WEBSOCKET: &str = "websocket";
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
    "proxy-authenticate",
    "proxy-authorization",
];
const END_TO_END: &[HeaderName] =
    &[HOST, CONTENT_LENGTH, CONTENT_TYPE, CONTENT_ENCODING, TRAILER, AUTHORIZATION, COOKIE];
const OVERRIDES: &[&str] = &[
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-method",
    "x-original-path",
    "x-original-uri",
    "x-original-url",
    "x-override-url",
    "x-rewrite-url",
    "x-envoy-original-method",
    "x-envoy-original-path",
    "x-forwarded-method",
    "x-forwarded-path",
    "x-forwarded-prefix",
    "x-forwarded-uri",
    "x-invoke-output",
    "x-invoke-path",
    "x-invoke-query",
    "x-matched-path",
    "x-now-route-matches",
    "x-sendfile-type",
    "x-accel-mapping",
    "x-accel-redirect",
    "x-script-name",
];
/// What says where a message ends, how it is read, or whom it is for.
const HEAD_ONLY: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "hoop-session",
    "host",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// What stands for a value that is secret.
pub const REDACTED: &str = "[redacted]";
/// Addresses and identities that proxies tell (RFC 7239, RFC 9440).
const TOLD_BY_PROXIES: &[&str] = &[
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "client-cert",
    "client-cert-chain",
    "client-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "forwarded",
    "true-client-ip",
    "x-azure-clientip",
    "x-client-cert",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-envoy-peer-metadata",
    "x-original-forwarded-for",
    "x-originating-ip",
    "x-real-ip",
    "x-remote-addr",
    "x-remote-ip",
];
/// How the names of such headers begin.
const TOLD_WITH: &[&str] = &[
    "cf-access-",
    "remote-",
    "ssl-client-",
    "tailscale-user-",
    "x-amzn-oidc-",
    "x-auth-request-",
    "x-authenticated-",
    "x-forwarded-",
    "x-goog-authenticated-user-",
    "x-goog-iap-",
    "x-ms-client-principal",
    "x-pomerium-",
    "x-remote-",
    "x-ssl-",
    "x-webauth-",
];
/// What a client proves itself with; the lease takes the place of all of them.
const CLIENT_CREDENTIALS: &[&str] = &[
    "access-token",
    "api-key",
    "api-token",
    "apikey",
    "auth-token",
    "authorization",
    "cookie",
    "cookie2",
    "deploy-token",
    "dpop",
    "job-token",
    "ocp-apim-subscription-key",
    "private-token",
    "proxy-authorization",
    "remote-user",
    "session-token",
    "x-access-token",
    "x-amz-security-token",
    "x-api-key",
    "x-api-token",
    "x-apikey",
    "x-auth-email",
    "x-auth-key",
    "x-auth-token",
    "x-auth-user",
    "x-authorization",
    "x-circle-token",
    "x-consul-token",
    "x-figma-token",
    "x-forwarded-client-cert",
    "x-forwarded-user",
    "x-functions-key",
    "x-github-token",
    "x-gitlab-token",
    "x-goog-api-key",
    "x-goog-iam-authorization-token",
    "x-nomad-token",
    "x-rapidapi-key",
    "x-redmine-api-key",
    "x-remote-user",
    "x-serverless-authorization",
    "x-session-token",
    "x-shopify-access-token",
    "x-vault-token",
];
/// What an API gives to clients of its own (RFC 6265, RFC 7615, RFC 7838).
const HANDED_OUT: &[&str] =
    &["set-cookie", "set-cookie2", "authentication-info", "proxy-authentication-info", "alt-svc"];
/// Headers whose values are never recorded.
const SECRETS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "authentication-info",
    "proxy-authentication-info",
    "cookie",
    "cookie2",
    "set-cookie",
    "set-cookie2",
    "x-amz-security-token",
    "x-forwarded-client-cert",
    "dpop",
];
const SECRET_WORDS: &[&str] = &[
    "assertion",
    "auth",
    "code",
    "credential",
    "credentials",
    "csrf",
    "jwt",
    "key",
    "nonce",
    "otp",
    "pass",
    "passcode",
    "passphrase",
    "passwd",
    "pwd",
    "session",
    "sessionid",
    "sid",
    "sig",
    "signature",
    "xsrf",
];
/// What says so inside of a word as well.
const SECRET_PARTS: &[&str] = &["apikey", "csrftoken", "password", "secret", "sessionid", "token"];
/// Headers that hold addresses, in which tokens travel.
const ADDRESSES: &[&str] = &["content-location", "link", "location", "origin", "referer", "refresh"];
const DIGESTS: &[&str] = &[
    "digest",
    "content-digest",
    "repr-digest",
    "content-md5",
    "x-goog-hash",
    "x-amz-checksum-sha256",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-sha1",
    "delta-base",
    "im",
];

#[cfg(test)]
mod tests;
