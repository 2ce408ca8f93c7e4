#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use aws_credential_types::Credentials;
use bytes::{Bytes, BytesMut};
use http::Request;
use http::request::Parts;
use jiff::Timestamp;
use secrecy::SecretString;

use super::*;
use crate::wire::aws::sigv4::{
    BodyHash, Expected, Payload, Presented, SignedUpstream, Upstream, Verified, sign,
};

const ID: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// "Example: PUT Object" of the two pages: 64 KiB, 1 KiB and nothing.
fn documented(is_with_trailer: bool) -> (Parts, String) {
    let (signed, signature, word, chunks) = if is_with_trailer {
        (
            "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;\
             x-amz-trailer",
            "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            [
                "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
                "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
                "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
            ],
        )
    } else {
        (
            "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;\
             x-amz-storage-class",
            "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            [
                "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
                "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
                "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
            ],
        )
    };
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={ID}/20130524/us-east-1/s3/aws4_request,SignedHeaders={signed},\
         Signature={signature}"
    );
    let mut request = Request::put("/examplebucket/chunkObject.txt")
        .header("host", "s3.amazonaws.com")
        .header("x-amz-date", "20130524T000000Z")
        .header("x-amz-storage-class", "REDUCED_REDUNDANCY")
        .header("authorization", authorization)
        .header("x-amz-content-sha256", word)
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", "66560")
        .header("content-length", "66824");
    if is_with_trailer {
        request = request.header("x-amz-trailer", "x-amz-checksum-crc32c");
    }
    let mut body = String::new();
    for (size, signature) in [65536, 1024, 0].into_iter().zip(chunks) {
        let data = "a".repeat(size);
        let end = if size == 0 && is_with_trailer { "" } else { "\r\n" };
        body.push_str(&format!("{size:x};chunk-signature={signature}\r\n{data}{end}"));
    }
    if is_with_trailer {
        let signature = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435";
        body.push_str(&format!(
            "x-amz-checksum-crc32c:sOO8/Q==\n\r\nx-amz-trailer-signature:{signature}\r\n\r\n"
        ));
    }
    (request.body(()).unwrap().into_parts().0, body)
}

fn verified(parts: &Parts) -> Verified {
    let now = "2013-05-24T00:00:00Z".parse().unwrap();
    let expected = Expected { access_key: ID, session_token: None, now, regions: &[], services: &[] };
    let secret = SecretString::from(SECRET);
    Presented::read(parts).unwrap().verify(parts, BodyHash::Unread, &secret, &expected).unwrap()
}

fn read(parts: &Parts, body: &[u8], piece: usize) -> Result<Vec<Event>, ChunkFault> {
    let mut reader = ChunkReader::new(verified(parts), &parts.headers)?;
    let mut events = Vec::new();
    for piece in body.chunks(piece) {
        reader.feed(Bytes::copy_from_slice(piece), &mut events)?;
    }
    reader.finish().map(|()| events)
}

#[test]
fn the_documented_uploads_hold_however_they_are_cut() {
    for is_with_trailer in [false, true] {
        let (parts, body) = documented(is_with_trailer);
        if !is_with_trailer {
            assert_eq!(body.len(), 66824);
        }
        for piece in [1, 7, 70_000] {
            let events = read(&parts, body.as_bytes(), piece).unwrap();
            let data: Vec<u8> = events.iter().flat_map(|event| event.data().to_vec()).collect();
            assert_eq!(data, vec![b'a'; 66560]);
            assert!(matches!(events.last(), Some(Event::End { .. })));
        }
    }
}

/// As restic 0.14 (minio-go 7.0.46) sent it, with the access key `HOOPTEST` and the secret `not a secret`.
#[test]
fn an_upload_of_minio_go_holds() {
    let authorization = "AWS4-HMAC-SHA256 Credential=HOOPTEST/20261121/eu-central-1/s3/aws4_request,\
        SignedHeaders=content-md5;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length,\
        Signature=7459a69d6c6d6bde00f8968925c5f265356a84316955399e1712565fab7de589";
    let object = "137b5087053b7a709352849aaaf8f61c76f9ea1da54acaef91652d6e13505985c439c962b45cea1ba9f4c618476c008308\
        39f6229b614f24ac821406b28e5f067fb02eaf28483940e9b91c34a1c091446f42c1fb375779709df0faf6d599c34bc4803a98c9ac49b6\
        8b888514ac8c4321f462b339126597028dc3e87530e6593363ef6780a4839f3ff987fb7d1e58f5b6a6eee8da52d6d0b42349f6";
    let object: Vec<u8> = object
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let lines = [
        "9b;chunk-signature=73d5e92478078ff041efff7a0a24a49045c41a947e221d0590101e15f315c827\r\n",
        "\r\n0;chunk-signature=ef80375a13d03871783c529dd910203b7d03d8f3edcb49891adb542e6b5f1ceb\r\n\r\n",
    ];
    let body = [lines[0].as_bytes(), &object, lines[1].as_bytes()].concat();
    let request = Request::put("/bucket/dir/config")
        .header("host", "127.0.0.1:19325")
        .header("content-length", "328")
        .header("authorization", authorization)
        .header("content-md5", "I5LU3WdkPM1OkGpN7SoWxw==")
        .header("content-type", "application/octet-stream")
        .header("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
        .header("x-amz-date", "20261121T213718Z")
        .header("x-amz-decoded-content-length", "155");
    let parts = request.body(()).unwrap().into_parts().0;
    let presented = Presented::read(&parts).unwrap();
    let (access_key, now) = ("HOOPTEST", presented.time());
    let expected = Expected { access_key, session_token: None, now, regions: &[], services: &[] };
    let secret = SecretString::from("not a secret");
    let verified = presented.verify(&parts, BodyHash::Unread, &secret, &expected).unwrap();
    let (events, end) = fed(ChunkReader::new(verified, &parts.headers).unwrap(), &body, 50);
    assert_eq!((body.len(), end), (328, Ok(())));
    assert_eq!(events[0].data(), object);
}

const NOW: &str = "2026-11-21T12:00:00Z";
const SIGNED: [Payload; 2] = [Payload::Chunks, Payload::ChunksWithTrailer];
const ALL: [Payload; 3] = [Payload::Chunks, Payload::ChunksWithTrailer, Payload::UnsignedTrailer];

/// Signs the head of an upload of `length` bytes.
fn upload(payload: Payload, length: usize, secret: &str) -> (Parts, SignedUpstream) {
    let mut request = Request::put("/b/k").header("x-amz-decoded-content-length", length.to_string());
    if payload != Payload::Chunks {
        request = request.header("x-amz-trailer", "x-amz-checksum-crc32");
    }
    let mut parts = request.body(()).unwrap().into_parts().0;
    let credentials = Credentials::new(ID, secret, None, None, "test");
    let now: Timestamp = NOW.parse().unwrap();
    let upstream =
        Upstream { credentials: &credentials, host: "s3.example", region: "r", service: "s3", now };
    let signed = sign(&mut parts, &upstream, payload, BodyHash::Unread).unwrap();
    (parts, signed)
}

fn reader(parts: &Parts, secret: &str) -> Result<ChunkReader, ChunkFault> {
    let now = NOW.parse().unwrap();
    let expected = Expected { access_key: ID, session_token: None, now, regions: &[], services: &[] };
    let presented = Presented::read(parts).unwrap();
    let verified = presented.verify(parts, BodyHash::Unread, &SecretString::from(secret), &expected).unwrap();
    ChunkReader::new(verified, &parts.headers)
}

/// What a client sends: `chunks`, the end, and a trailer where there is one.
fn sent(payload: Payload, signed: SignedUpstream, chunks: &[&str]) -> Vec<u8> {
    let (mut writer, mut out) = (Rechunker::new(signed, payload), BytesMut::new());
    for chunk in chunks {
        let (size, data) = (format!("{:x}", chunk.len()), Bytes::from(chunk.to_string()));
        let hash = sha2::Digest::finalize(sha2::Digest::chain_update(sha2::Sha256::default(), &data)).into();
        if payload == Payload::UnsignedTrailer {
            for event in [Event::Open { size }, Event::Data(data), Event::Close] {
                writer.write(&event, &mut out);
            }
        } else {
            writer.write(&Event::Chunk { size, data, hash }, &mut out);
        }
    }
    let trailer =
        Trailer { name: "x-amz-checksum-crc32".into(), value: "sOO8/Q==".into(), has_line_feed: false };
    let trailers = if payload == Payload::Chunks { vec![] } else { vec![trailer] };
    writer.write(&Event::End { size: "0".into(), trailers }, &mut out);
    out.to_vec()
}

/// Feeds a body: what came out, and how it ended.
fn fed(mut reader: ChunkReader, body: &[u8], piece: usize) -> (Vec<Event>, Result<(), ChunkFault>) {
    let mut events = Vec::new();
    for piece in body.chunks(piece) {
        if let Err(fault) = reader.feed(Bytes::copy_from_slice(piece), &mut events) {
            assert_eq!(reader.feed(Bytes::from_static(b"0"), &mut events), Err(fault), "a fault stays");
            return (events, Err(fault));
        }
    }
    (events, reader.finish())
}

/// What is said to an upload of `hello ` and `world` after `change`.
fn refused(payload: Payload, change: impl FnOnce(&mut Vec<u8>)) -> ChunkFault {
    let (parts, signed) = upload(payload, 11, SECRET);
    let mut body = sent(payload, signed, &["hello ", "world"]);
    let whole = fed(reader(&parts, SECRET).unwrap(), &body, 7);
    assert_eq!(whole.1, Ok(()));
    change(&mut body);
    let (events, end) = fed(reader(&parts, SECRET).unwrap(), &body, 7);
    let is_stored = end != Err(ChunkFault::After) && matches!(events.last(), Some(Event::End { .. }));
    assert!(!is_stored, "the end is not given out: {events:?}");
    end.unwrap_err()
}

fn swap(body: &mut Vec<u8>, from: &str, to: &str) {
    let text = String::from_utf8(std::mem::take(body)).unwrap();
    assert!(text.contains(from), "{from}");
    *body = text.replacen(from, to, 1).into_bytes();
}

#[test]
fn what_is_signed_anew_is_as_long_and_holds_upstream() {
    for payload in ALL {
        let (parts, signed) = upload(payload, 11, SECRET);
        let body = sent(payload, signed, &["hello ", "world"]);
        let (events, end) = fed(reader(&parts, SECRET).unwrap(), &body, 3);
        assert_eq!(end, Ok(()));
        let (parts, signed) = upload(payload, 11, "the credentials of the lease");
        let (mut writer, mut out) = (Rechunker::new(signed, payload), BytesMut::new());
        events.iter().for_each(|event| writer.write(event, &mut out));
        assert_eq!(out.len(), body.len());
        assert_eq!(out == body, payload == Payload::UnsignedTrailer);
        let (again, end) = fed(reader(&parts, "the credentials of the lease").unwrap(), &out, 5);
        assert_eq!(end, Ok(()));
        let data =
            |events: &[Event]| events.iter().flat_map(|event| event.data().to_vec()).collect::<Vec<u8>>();
        assert_eq!((data(&again), data(&events)), (b"hello world".to_vec(), b"hello world".to_vec()));
    }
}

#[test]
fn signatures_of_chunks_are_those_that_the_crate_of_aws_makes() {
    use aws_sigv4::sign::v4;
    let (parts, signed) = upload(Payload::Chunks, 5, SECRET);
    let body = String::from_utf8(sent(Payload::Chunks, signed, &["hello"])).unwrap();
    let identity = Credentials::new(ID, SECRET, None, None, "test").into();
    let now: Timestamp = NOW.parse().unwrap();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("r")
        .name("s3")
        .time(now.into())
        .settings(())
        .build()
        .unwrap();
    let mut before = parts.headers["authorization"].to_str().unwrap().rsplit_once('=').unwrap().1.to_owned();
    for chunk in ["hello", ""] {
        before = v4::sign_chunk(&Bytes::from(chunk), &before, &params).unwrap().into_parts().1;
        assert!(body.contains(&format!("{:x};chunk-signature={before}\r\n{chunk}\r\n", chunk.len())));
    }
}

#[test]
fn the_documented_upload_with_trailer_is_written_as_long() {
    let (parts, body) = documented(true);
    let events = read(&parts, body.as_bytes(), 4096).unwrap();
    let (_, signed) = upload(Payload::ChunksWithTrailer, 66560, SECRET);
    let (mut writer, mut out) = (Rechunker::new(signed, Payload::ChunksWithTrailer), BytesMut::new());
    events.iter().for_each(|event| writer.write(event, &mut out));
    assert_eq!(out.len(), body.len());
}

#[test]
fn a_chunk_that_was_changed_never_comes_out() {
    for payload in SIGNED {
        let (parts, signed) = upload(payload, 11, SECRET);
        let mut body = sent(payload, signed, &["hello ", "world"]);
        swap(&mut body, "world", "w0rld");
        let (events, end) = fed(reader(&parts, SECRET).unwrap(), &body, 1);
        assert_eq!(end, Err(ChunkFault::Signature));
        let data: Vec<u8> = events.iter().flat_map(|event| event.data().to_vec()).collect();
        assert_eq!(data, b"hello ");
    }
}

#[test]
fn chunks_in_another_order_are_refused() {
    let fault = refused(Payload::Chunks, |body| {
        // each chunk is its line and its bytes: 1;chunk-signature= and 64 digits, CR LF, bytes, CR LF
        let second = body.split_off(1 + 17 + 64 + 2 + 6 + 2);
        let first = std::mem::replace(body, second);
        let end = body.split_off(1 + 17 + 64 + 2 + 5 + 2);
        body.extend([first, end].concat());
    });
    assert_eq!(fault, ChunkFault::Signature);
}

#[test]
fn a_last_chunk_or_trailer_with_a_wrong_signature_is_refused() {
    let flip = |body: &mut Vec<u8>, after: &str| {
        let text = String::from_utf8(body.clone()).unwrap();
        let at = text.rfind(after).unwrap() + after.len();
        body[at] = if body[at] == b'0' { b'1' } else { b'0' };
    };
    for payload in SIGNED {
        assert_eq!(refused(payload, |body| flip(body, "chunk-signature=")), ChunkFault::Signature);
    }
    let trailer = refused(Payload::ChunksWithTrailer, |body| flip(body, "x-amz-trailer-signature:"));
    assert_eq!(trailer, ChunkFault::Signature);
    assert_eq!(refused(Payload::ChunksWithTrailer, |body| swap(body, "sOO8", "AAAA")), ChunkFault::Signature);
}

#[test]
fn a_body_that_ends_early_is_refused() {
    for payload in ALL {
        let (parts, signed) = upload(payload, 11, SECRET);
        let body = sent(payload, signed, &["hello ", "world"]);
        for end in 0..body.len() {
            let (events, fault) = fed(reader(&parts, SECRET).unwrap(), &body[..end], 64);
            assert_eq!(fault, Err(ChunkFault::Truncated), "{end}");
            assert!(!events.iter().any(|event| matches!(event, Event::End { .. })));
        }
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    for payload in ALL {
        assert_eq!(refused(payload, |body| body.push(b'0')), ChunkFault::After);
    }
}

#[test]
fn another_length_than_the_declared_one_is_refused() {
    for payload in ALL {
        for length in [0, 10, 12] {
            let (parts, signed) = upload(payload, length, SECRET);
            let body = sent(payload, signed, &["hello ", "world"]);
            assert_eq!(fed(reader(&parts, SECRET).unwrap(), &body, 9).1, Err(ChunkFault::Length), "{length}");
        }
    }
}

#[test]
fn frames_in_another_spelling_are_refused() {
    for (from, to) in [
        ("5\r\n", "5\n"),
        ("5\r\n", "5;x=y\r\n"),
        ("5\r\n", "5 \r\n"),
        ("5\r\n", "+5\r\n"),
        ("5\r\n", "0x5\r\n"),
        ("5\r\n", "\r\n"),
        ("5\r\n", "00000000000000005\r\n"),
        ("world\r\n", "world\n"),
        ("world\r\n", "world!\r\n"),
    ] {
        assert_eq!(
            refused(Payload::UnsignedTrailer, |body| swap(body, from, to)),
            ChunkFault::Framing,
            "{to:?}"
        );
    }
    for (from, to) in [(";chunk-signature=", ";signature="), (";chunk-signature=", ";a=b;chunk-signature=")] {
        assert_eq!(refused(Payload::Chunks, |body| swap(body, from, to)), ChunkFault::Framing);
    }
    let unsigned = refused(Payload::Chunks, |body| *body = b"b\r\nhello world\r\n0\r\n\r\n".to_vec());
    assert_eq!(unsigned, ChunkFault::Framing);
    assert_eq!(refused(Payload::UnsignedTrailer, |body| *body = vec![b'0'; 300]), ChunkFault::Framing);
}

#[test]
fn a_signed_chunk_that_is_too_long_is_not_held() {
    let length = usize::try_from(LONGEST_SIGNED_CHUNK).unwrap() + 1;
    let (parts, _) = upload(Payload::Chunks, length, SECRET);
    let line = format!("{length:x};chunk-signature={}\r\n", "0".repeat(64));
    assert_eq!(fed(reader(&parts, SECRET).unwrap(), line.as_bytes(), 9).1, Err(ChunkFault::Long));
}

#[test]
fn trailers_are_the_declared_checksums_and_nothing_else() {
    let trailer = "x-amz-checksum-crc32:sOO8/Q==\r\n";
    for (from, to) in [
        (trailer, ""),
        (trailer, "x-amz-checksum-crc32:sOO8/Q==\r\nx-amz-checksum-crc32:sOO8/Q==\r\n"),
        (trailer, "x-amz-checksum-crc32:sOO8/Q==\r\nx-amz-checksum-sha1:sOO8/Q==\r\n"),
        (trailer, "X-Amz-Checksum-Crc32:sOO8/Q==\r\n"),
        (trailer, "x-amz-checksum-crc32:\r\n"),
        (trailer, "x-amz-acl:public-read\r\n"),
        (trailer, "x-amz-checksum-crc32:sOO8/Q==,a:b\r\n"),
        (trailer, "x-amz-checksum-crc32\r\n"),
    ] {
        for payload in [Payload::ChunksWithTrailer, Payload::UnsignedTrailer] {
            let fault = refused(payload, |body| swap(body, from, to));
            // without its trailer, a signed body has another signature
            let is_missing = to.is_empty() && payload == Payload::ChunksWithTrailer;
            assert_eq!(fault, if is_missing { ChunkFault::Signature } else { ChunkFault::Trailer }, "{to:?}");
        }
    }
    let signed = refused(Payload::UnsignedTrailer, |body| {
        swap(body, trailer, &format!("{trailer}x-amz-trailer-signature:{}\r\n", "0".repeat(64)));
    });
    assert_eq!(signed, ChunkFault::Trailer);
}

#[test]
fn a_trailer_injects_no_header() {
    for value in ["a b", "a\rb", "a\u{0}b", "ü"] {
        let fault = refused(Payload::UnsignedTrailer, |body| swap(body, "sOO8/Q==", value));
        assert_eq!(fault, ChunkFault::Framing, "{value:?}");
    }
    let (mut parts, _) = upload(Payload::UnsignedTrailer, 0, SECRET);
    for names in ["x-amz-acl", "host", "x-amz-checksum-", "x-amz-checksum-crc32,x-amz-checksum-crc32", ""] {
        parts.headers.insert(TRAILER, names.parse().unwrap());
        let resigned = resigned(parts.clone(), Payload::UnsignedTrailer);
        assert_eq!(reader(&resigned, SECRET).unwrap_err(), ChunkFault::Trailer, "{names}");
    }
}

#[test]
fn the_decoded_length_is_one_number() {
    for values in [&[][..], &["x"], &["-1"], &["1", "1"], &["9999999999999999999"]] {
        let (mut parts, _) = upload(Payload::Chunks, 0, SECRET);
        parts.headers.remove(DECODED_LENGTH);
        for value in values {
            parts.headers.append(DECODED_LENGTH, value.parse().unwrap());
        }
        let (request, verified) = unverified(parts);
        assert_eq!(ChunkReader::new(verified, &request.headers).unwrap_err(), ChunkFault::DecodedLength);
    }
}

/// The same head with a signature that fits.
fn resigned(mut parts: Parts, payload: Payload) -> Parts {
    let credentials = Credentials::new(ID, SECRET, None, None, "test");
    let now: Timestamp = NOW.parse().unwrap();
    let upstream =
        Upstream { credentials: &credentials, host: "s3.example", region: "r", service: "s3", now };
    sign(&mut parts, &upstream, payload, BodyHash::Unread).unwrap();
    parts
}

/// A verified request, with the headers of another: what the reader looks at is its own argument.
fn unverified(parts: Parts) -> (Parts, Verified) {
    let (good, _) = upload(Payload::Chunks, 0, SECRET);
    let now = NOW.parse().unwrap();
    let expected = Expected { access_key: ID, session_token: None, now, regions: &[], services: &[] };
    let presented = Presented::read(&good).unwrap();
    let secret = SecretString::from(SECRET);
    (parts, presented.verify(&good, BodyHash::Unread, &secret, &expected).unwrap())
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_answered(data in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        crate::wire::aws::fuzz::signatures::chunks(&data);
    }

    #[test]
    fn any_frames_are_answered(lines in "([0-9a-f]{1,2}\r?\n)?([a-z0-9:;-]{0,9}\r?\n){0,6}") {
        crate::wire::aws::fuzz::signatures::chunks(lines.as_bytes());
    }
}
