//! Bodies for fuzzing: each takes any bytes and must return.
//!
//! Job: reach every reader here from one function. Boundary: not part of the library's interface. Failure
//! mode: a panic is a bug.

use bytes::{Bytes, BytesMut};
use http::Request;
use http::request::Parts;
use jiff::Timestamp;
use secrecy::SecretString;

use crate::wire::aws::chunks::{ChunkFault, ChunkReader, Event, Rechunker};
use crate::wire::aws::sigv4::{
    BodyHash, Expected, Payload, Presented, Query, Upstream, Verified, session_keys, sign,
};

/// Everything below with the same bytes.
///
/// # Panics
/// When a property that must hold does not.
pub fn all(data: &[u8]) {
    signature(data);
    chunks(data);
}

/// Heads and bodies as they are sent.
#[must_use]
pub fn samples() -> Vec<Vec<u8>> {
    let scope = "HOOPTEST/20261121/eu-central-1/s3/aws4_request";
    let signature = "0".repeat(64);
    [
        format!(
            "PUT /b/a%20key?partNumber=1&uploadId=u\nhost: 127.0.0.1:9000\nx-amz-date: 20261121T211715Z\n\
             x-amz-content-sha256: UNSIGNED-PAYLOAD\nauthorization: AWS4-HMAC-SHA256 Credential={scope}, \
             SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}"
        ),
        format!(
            "GET /b/../k//%C3%BC?acl&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}\
             &X-Amz-Date=20261121T211715Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature={signature}\n\
             host: 127.0.0.1:9000",
            scope.replace('/', "%2F")
        ),
        format!("8;chunk-signature={signature}\r\nabcdefgh\r\n0;chunk-signature={signature}\r\n\r\n"),
        "5\r\nabcde\r\n03\r\nfgh\r\n0\r\nx-amz-checksum-crc32:sOO8/Q==\r\n\r\n".to_owned(),
        "8\r\nabcdefgh\r\n0\r\nx-amz-checksum-crc32:sOO8/Q==\n\r\n\r\n".to_owned(),
    ]
    .map(String::into_bytes)
    .to_vec()
}

/// Nobody without the key makes a signature; what is accepted can be released and signed anew.
///
/// The first line is a method and a target, the others are headers.
///
/// # Panics
/// When that is not so.
pub fn signature(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let (method, target) = lines.next().and_then(|line| line.split_once(' ')).unwrap_or(("GET", "/"));
    let mut request = Request::builder().method(method).uri(target);
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        request = request.header(name, value);
    }
    let Ok(request) = request.body(()) else { return };
    let (mut parts, ()) = request.into_parts();
    if let Ok(query) = Query::parse(parts.uri.query()) {
        assert_eq!(Query::parse(Some(&query.spell())).as_ref(), Ok(&query), "one spelling is its own");
    }
    let Ok(presented) = Presented::read(&parts) else { return };
    let (keys, now) = (session_keys("ses_1", &[7; 32]), presented.time());
    let access_key = presented.access_key().to_owned();
    let expected =
        Expected { access_key: &access_key, session_token: None, now, regions: &[], services: &[] };
    let forged = presented.verify(&parts, BodyHash::Known([0; 32]), &keys.secret, &expected);
    assert!(forged.is_err(), "made without the key");
    // as if it had held: signed with the session's keys, it does
    parts.headers.remove("authorization");
    let credentials = credentials();
    let upstream =
        Upstream { credentials: &credentials, host: "s3.example", region: "r", service: "s3", now };
    let Ok(_) = sign(&mut parts, &upstream, Payload::Hash([0; 32]), BodyHash::Unread) else { return };
    let Ok(presented) = Presented::read(&parts) else { return };
    let expected = Expected { access_key: "HOOPTEST", ..expected };
    let Ok(verified) = presented.verify(&parts, BodyHash::Unread, &secret(), &expected) else { return };
    if verified.release(&mut parts).is_ok() {
        assert!(Presented::read(&parts).is_err(), "nothing of the signature is left");
    }
}

/// How a body is cut changes nothing; what is read is written again in as many bytes; unsigned bytes are no signed
/// body.
///
/// # Panics
/// When that is not so.
pub fn chunks(data: &[u8]) {
    let read = |piece: usize, payload: Payload| -> (Vec<Event>, Result<(), ChunkFault>) {
        let Some((verified, parts)) = upload(payload) else {
            return (Vec::new(), Err(ChunkFault::NotChunked));
        };
        let mut events = Vec::new();
        let mut reader = match ChunkReader::new(verified, &parts.headers) {
            Ok(reader) => reader,
            Err(fault) => return (events, Err(fault)),
        };
        for piece in data.chunks(piece) {
            if let Err(fault) = reader.feed(Bytes::copy_from_slice(piece), &mut events) {
                return (events, Err(fault));
            }
        }
        (events, reader.finish())
    };
    for payload in [Payload::Chunks, Payload::ChunksWithTrailer] {
        let (events, end) = read(data.len().max(1), payload);
        assert!(events.is_empty() && end.is_err(), "nobody without the key signs a chunk");
    }
    let object =
        |events: &[Event]| events.iter().flat_map(|event| event.data().to_vec()).collect::<Vec<u8>>();
    let (whole, end) = read(data.len().max(1), Payload::UnsignedTrailer);
    for piece in [1, 5] {
        let (events, other) = read(piece, Payload::UnsignedTrailer);
        assert_eq!(other, end);
        assert_eq!(object(&events), object(&whole));
    }
    if end.is_ok() {
        let Some((_, mut parts)) = upload(Payload::UnsignedTrailer) else { return };
        let credentials = credentials();
        let now = Timestamp::UNIX_EPOCH;
        let upstream =
            Upstream { credentials: &credentials, host: "s3.example", region: "r", service: "s3", now };
        let Ok(signed) = sign(&mut parts, &upstream, Payload::UnsignedTrailer, BodyHash::Unread) else {
            return;
        };
        let (mut rechunker, mut out) = (Rechunker::new(signed, Payload::UnsignedTrailer), BytesMut::new());
        whole.iter().for_each(|event| rechunker.write(event, &mut out));
        assert_eq!(out, data, "without signatures, what is written is what was read");
    }
}

/// A signed head of an upload of eight bytes.
fn upload(payload: Payload) -> Option<(Verified, Parts)> {
    let mut request =
        Request::put("/bucket/key").header("host", "s3.example").header("x-amz-decoded-content-length", "8");
    if payload != Payload::Chunks {
        request = request.header("x-amz-trailer", "x-amz-checksum-crc32");
    }
    let (mut parts, ()) = request.body(()).ok()?.into_parts();
    let (credentials, now) = (credentials(), Timestamp::UNIX_EPOCH);
    let upstream =
        Upstream { credentials: &credentials, host: "s3.example", region: "r", service: "s3", now };
    sign(&mut parts, &upstream, payload, BodyHash::Unread).ok()?;
    let expected = Expected { access_key: "HOOPTEST", session_token: None, now, regions: &[], services: &[] };
    let verified =
        Presented::read(&parts).ok()?.verify(&parts, BodyHash::Unread, &secret(), &expected).ok()?;
    Some((verified, parts))
}

fn credentials() -> aws_credential_types::Credentials {
    aws_credential_types::Credentials::new("HOOPTEST", "not a secret", None, None, "fuzz")
}

fn secret() -> SecretString {
    "not a secret".into()
}
