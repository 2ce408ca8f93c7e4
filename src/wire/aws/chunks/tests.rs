#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use aws_credential_types::Credentials;
use bytes::{Bytes, BytesMut};
use http::Request;
use http::request::Parts;
use jiff::Timestamp;
use secrecy::SecretString;

use super::*;
use crate::wire::aws::sigv4::{BodyHash, Expected, Payload, Presented, SignedUpstream, Upstream, Verified, sign};

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
