//! What AWS publishes: "Signature Calculations for the Authorization Header" and "Authenticating Requests: Using Query
//! Parameters" (Amazon S3 API Reference), and its signing test suite (package aws-sigv4).

use super::*;
use crate::wire::aws::sigv4::presented::hex;

struct Vector {
    method: &'static str,
    target: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    /// The names of the signed headers.
    signed: &'static str,
    signature: &'static str,
}

fn holds(parts: &Parts, id: &str, secret: &str, now: &str, body: &[u8]) -> Result<Verified, SignatureFault> {
    let expected =
        Expected { access_key: id, session_token: None, now: at(now), regions: &[], services: &[] };
    let secret = SecretString::from(secret);
    Presented::read(parts)?.verify(parts, BodyHash::Known(hash(body)), &secret, &expected)
}

#[test]
fn the_examples_of_s3_hold() {
    let vectors = [
        Vector {
            method: "GET",
            target: "/test.txt",
            headers: &[("range", "bytes=0-9")],
            body: "",
            signed: "host;range;x-amz-content-sha256;x-amz-date",
            signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        },
        // the path is sent with a `$`, and signed with its escape
        Vector {
            method: "PUT",
            target: "/test$file.text",
            headers: &[
                ("date", "Fri, 24 May 2013 00:00:00 GMT"),
                ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ],
            body: "Welcome to Amazon S3.",
            signed: "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        },
        Vector {
            method: "GET",
            target: "/?lifecycle",
            headers: &[],
            body: "",
            signed: "host;x-amz-content-sha256;x-amz-date",
            signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        },
        Vector {
            method: "GET",
            target: "/?max-keys=2&prefix=J",
            headers: &[],
            body: "",
            signed: "host;x-amz-content-sha256;x-amz-date",
            signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        },
    ];
    for vector in vectors {
        let digest = hex(&hash(vector.body.as_bytes()));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={EXAMPLE_ID}/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders={},Signature={}",
            vector.signed, vector.signature
        );
        let mut headers = vec![
            ("host", "examplebucket.s3.amazonaws.com"),
            ("authorization", authorization.as_str()),
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-content-sha256", digest.as_str()),
        ];
        headers.extend(vector.headers);
        let parts = head(vector.method, vector.target, &headers);
        let now = "2013-05-24T00:00:00Z";
        let verified = holds(&parts, EXAMPLE_ID, EXAMPLE_SECRET, now, vector.body.as_bytes());
        assert!(verified.is_ok(), "{}: {verified:?}", vector.target);
    }
}

#[test]
fn the_presigned_example_of_s3_holds_for_its_day() {
    let target = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
        &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
        &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    let parts = head("GET", target, &[("host", "examplebucket.s3.amazonaws.com")]);
    let at = |now| holds(&parts, EXAMPLE_ID, EXAMPLE_SECRET, now, b"").map(|verified| verified.payload());
    assert_eq!(at("2013-05-24T23:59:59Z"), Ok(Payload::Unsigned));
    assert_eq!(at("2013-05-25T00:00:01Z"), Err(SignatureFault::Expired));
    assert_eq!(at("2013-05-23T23:54:59Z"), Err(SignatureFault::Skewed));
}

#[test]
fn vectors_of_the_test_suite_hold() {
    let plain = Vector {
        method: "GET",
        target: "/",
        headers: &[],
        body: "",
        signed: "host;x-amz-date",
        signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    };
    let vectors = [
        Vector { target: "/example1/example2/../..", ..plain },
        Vector {
            target: "/?Param2=value2&Param1=value1",
            signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ..plain
        },
        Vector {
            headers: &[("my-header1", "value2"), ("my-header1", "value2"), ("my-header1", "value1")],
            signed: "host;my-header1;x-amz-date",
            signature: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
            ..plain
        },
        Vector {
            headers: &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
            signed: "host;my-header1;my-header2;x-amz-date",
            signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ..plain
        },
        plain,
    ];
    for vector in vectors {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders={}, Signature={}",
            vector.signed, vector.signature
        );
        let mut headers = vec![
            ("host", "example.amazonaws.com"),
            ("x-amz-date", "20150830T123600Z"),
            ("authorization", authorization.as_str()),
        ];
        headers.extend(vector.headers);
        let parts = head(vector.method, vector.target, &headers);
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let verified = holds(&parts, "AKIDEXAMPLE", secret, "2015-08-30T12:36:00Z", b"");
        assert!(verified.is_ok(), "{} {}: {verified:?}", vector.target, vector.signed);
    }
}
