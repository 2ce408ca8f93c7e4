//! Bodies for fuzzing: each takes any bytes and must return.
//!
//! Job: reach every reader here from one function. Boundary: not part of the library's interface. Failure
//! mode: a panic is a bug.

use bytes::{Bytes, BytesMut};
use secrecy::SecretString;

use super::encoding::{Coding, Decoder, Pulled, UnpackLimits};
use super::framing::Framing;
use super::grpc::Messages;
use super::openapi::OpenApi;
use super::overrides::Parts;
use super::redact::Redactor;
use super::target::{Ambiguous, Parameters, PathPolicy, RequestTarget, Resource};
use super::{graphql, members};

/// Everything below with the same bytes.
///
/// # Panics
/// When a property that must hold does not.
pub fn all(data: &[u8]) {
    target(data);
    framing(data);
    encoding(data);
    redact(data);
    messages(data);
    parts(data);
    drop(members::of_form(data));
    drop(members::of_json(data));
    drop(graphql::of_body(data));
    drop(OpenApi::parse(data));
    if let Ok(text) = std::str::from_utf8(data) {
        drop(graphql::of_document(text));
    }
}

/// A normalised target is its own.
///
/// # Panics
/// When it is not.
pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    drop(RequestTarget::parse("GET", text, PathPolicy::default()));
    drop(RequestTarget::parse("CONNECT", text, PathPolicy::default()));
    let keep = PathPolicy {
        encoded_slash: Ambiguous::Keep,
        encoded_percent: Ambiguous::Keep,
        parameters: Parameters::Strip,
    };
    for policy in [PathPolicy::default(), keep] {
        if let Ok(once) = Resource::parse(text, policy) {
            assert_eq!(Resource::parse(&once.to_string(), policy).as_ref(), Ok(&once));
            assert!(!once.path().contains("//") && !once.path().contains("/../"));
        }
    }
}

/// How a connection's bytes are cut changes nothing of what is read.
///
/// # Panics
/// When it does.
pub fn framing(data: &[u8]) {
    let read = |size: usize| {
        let (mut framing, mut openings) = (Framing::default(), Vec::new());
        let read = data.chunks(size).try_for_each(|piece| framing.feed(piece, &mut openings));
        (read.map_err(|stop| stop.fault), openings)
    };
    let whole = read(data.len().max(1));
    for size in [1, 5] {
        assert_eq!(read(size), whole);
    }
}

/// What was packed, or not, in pieces.
pub fn encoding(data: &[u8]) {
    let limits = UnpackLimits { most_bytes: 1 << 20, ..UnpackLimits::default() };
    for coding in [Coding::Brotli, Coding::Deflate, Coding::Gzip, Coding::Zstd] {
        let mut decoder = Decoder::new(&[coding], limits);
        let mut out = BytesMut::new();
        for piece in data.chunks(7) {
            decoder.push(Bytes::copy_from_slice(piece));
            while decoder.pull(&mut out) == Ok(Pulled::More) {}
        }
        decoder.close();
        while decoder.pull(&mut out) == Ok(Pulled::More) {}
    }
}

/// A secret does not come through, however it is cut.
///
/// # Panics
/// When it does.
pub fn redact(data: &[u8]) {
    let Ok(redactor) = Redactor::new(&[SecretString::from("abcdefgh")]) else { return };
    let (mut body, mut out) = (redactor.body(), BytesMut::new());
    for piece in data.chunks(3) {
        body.feed(piece, &mut out);
    }
    body.finish(&mut out);
    assert!(!out.windows(8).any(|window| window.eq_ignore_ascii_case(b"abcdefgh")));
}

/// Messages of gRPC end where they end, however a body is cut, and nothing of it is lost.
///
/// # Panics
/// When that is not so.
pub fn messages(data: &[u8]) {
    let split = |size: usize| {
        let (mut messages, mut ends, mut at) = (Messages::default(), Vec::new(), 0);
        for piece in data.chunks(size) {
            messages.split(piece, |part, is_end| {
                at += part.len();
                ends.extend(is_end.then_some(at));
            });
        }
        (at, ends)
    };
    let whole = split(data.len().max(1));
    assert_eq!(whole.0, data.len());
    for size in [1, 5] {
        assert_eq!(split(size), whole);
    }
}

/// What a part asks for is found however its body is cut.
///
/// # Panics
/// When it is not.
pub fn parts(data: &[u8]) {
    let found = |size: usize| {
        let mut parts = Parts::default();
        let mut so_far = false;
        for piece in data.chunks(size) {
            so_far |= parts.feed(piece);
        }
        let all = parts.finish();
        assert!(all || !so_far);
        all
    };
    let whole = found(data.len().max(1));
    for size in [1, 5] {
        assert_eq!(found(size), whole);
    }
}
