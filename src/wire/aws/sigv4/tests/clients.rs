//! Heads as real clients sent them to a loopback, with the access key `HOOPTEST` and the secret `not a secret`; what is
//! not signed was cut down.

use super::*;

/// Reads a recorded head, and verifies it for the moment at which it was made.
fn recorded(head_text: &str, body: &[u8]) -> (Parts, Verified) {
    let mut lines = head_text.lines();
    let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
    let headers: Vec<(&str, &str)> = lines.map(|line| line.split_once(": ").unwrap()).collect();
    let parts = head(method, target, &headers);
    let presented = Presented::read(&parts).unwrap();
    let token = SecretString::from("tok/en+==");
    let expected = Expected {
        access_key: "HOOPTEST",
        session_token: Some(&token),
        now: presented.time(),
        regions: &["eu-central-1"],
        services: &["dynamodb", "lambda", "s3"],
    };
    let secret = SecretString::from("not a secret");
    let body = if presented.payload().is_chunked() { BodyHash::Unread } else { BodyHash::Known(hash(body)) };
    let verified = presented.verify(&parts, body, &secret, &expected).unwrap();
    (parts, verified)
}

fn released(head: &str, body: &[u8]) -> Parts {
    let (mut parts, verified) = recorded(head, body);
    verified.release(&mut parts).unwrap();
    parts
}

#[test]
fn boto3_lists() {
    let head = "GET /b?list-type=2&prefix=&delimiter=%2F&start-after=a%20b%2Bc%26d%3D%C3%A9~&encoding-type=url
host: 127.0.0.1:19311
accept-encoding: identity
x-amz-date: 20261121T211715Z
x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
authorization: AWS4-HMAC-SHA256 Credential=HOOPTEST/20261121/eu-central-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=53467dcd32e95110cf4feee7592fab5df501755890ab20f59072b18eeada2ffa
amz-sdk-request: attempt=1; max=2";
    let (mut parts, verified) = recorded(head, b"");
    let query = verified.release(&mut parts).unwrap();
    let after = query.iter().find(|(name, _)| *name == "start-after");
    assert_eq!(after, Some(("start-after", Some("a b+c&d=é~"))));
}

#[test]
fn boto3_uploads_in_unsigned_chunks() {
    let head = "PUT /b/a%20b%2Bc
host: 127.0.0.1:19312
expect: 100-continue
transfer-encoding: chunked
content-encoding: aws-chunked
x-amz-trailer: x-amz-checksum-crc32
x-amz-decoded-content-length: 5
x-amz-sdk-checksum-algorithm: CRC32
x-amz-date: 20261121T211717Z
x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER
authorization: AWS4-HMAC-SHA256 Credential=HOOPTEST/20261121/eu-central-1/s3/aws4_request, SignedHeaders=content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-sdk-checksum-algorithm;x-amz-trailer, Signature=dbced29baf81f41fe54281013afec36dedcc0a98f2dcc8fc0f61f0ce9edbe410";
    assert_eq!(recorded(head, b"").1.payload(), Payload::UnsignedTrailer);
}

#[test]
fn boto3_presigns_with_a_session_token() {
    let head = "GET /b/a%20b/%C3%BC%2B~?response-content-disposition=attachment%3B%20filename%3D%22a%20b.txt%22&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=HOOPTEST%2F20261121%2Feu-central-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T211715Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Security-Token=tok%2Fen%2B%3D%3D&X-Amz-Signature=fe986d779a5adb9dfd4ff682ebc81260f81e39c7b2f3271445d980e6b8369576
host: 127.0.0.1:19311
connection: close";
    let parts = released(head, b"");
    assert_eq!(
        parts.uri,
        "/b/a%20b/%C3%BC%2B~?response-content-disposition=attachment%3B%20filename%3D%22a%20b.txt%22"
    );
}

#[test]
fn boto3_calls_lambda_with_an_escaped_path() {
    let head = "POST /2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-central-1%3A123456789012%3Afunction%3Af/invocations
host: 127.0.0.1:19311
x-amz-date: 20261121T211715Z
authorization: AWS4-HMAC-SHA256 Credential=HOOPTEST/20261121/eu-central-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature=c568f5e917258a167d86a676a64cc8dbfbb399b5fc2d0d8f8cc49cd65b3847f3
content-length: 2";
    assert_eq!(recorded(head, b"{}").1.payload(), Payload::Absent);
}

#[test]
fn the_javascript_sdk_presigns_headers_as_parameters() {
    let head = "PUT /b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&X-Amz-Credential=HOOPTEST%2F20261121%2Feu-central-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T211723Z&X-Amz-Expires=60&X-Amz-Security-Token=tok%2Fen%2B%3D%3D&X-Amz-Signature=f6860f5a45954f2e44838d20404c01ca6d4b4443378898c2e1c0f043031fdcbf&X-Amz-SignedHeaders=host&x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-meta-a=b&x-amz-sdk-checksum-algorithm=CRC32&x-id=PutObject
host: 127.0.0.1:19313
content-type: text/plain;charset=UTF-8
content-length: 5";
    let parts = released(head, b"hello");
    assert_eq!(parts.uri, "/b/k?x-id=PutObject");
    assert_eq!(parts.headers["x-amz-meta-a"], "b");
    assert_eq!(parts.headers["x-amz-checksum-crc32"], "AAAAAA==");
}

#[test]
fn rclone_puts() {
    let head = "PUT /b/x/a%20b%2Bc/~%27%28%29
host: 127.0.0.1:19315
content-length: 70000
authorization: AWS4-HMAC-SHA256 Credential=HOOPTEST/20261121/eu-central-1/s3/aws4_request, SignedHeaders=content-length;content-md5;content-type;host;x-amz-acl;x-amz-content-sha256;x-amz-date;x-amz-meta-mtime, Signature=95cb1de1014f7bae034f44ec1e84f45e8a5baf59bf6b1b4461b9089d32b450ba
content-md5: DLrRLVN1+QqT1o0872fddQ==
content-type: application/octet-stream
x-amz-acl: private
x-amz-content-sha256: UNSIGNED-PAYLOAD
x-amz-date: 20261121T211825Z
x-amz-meta-mtime: 1795295861.324800328
accept-encoding: gzip";
    let parts = released(head, b"");
    assert_eq!(parts.headers["x-amz-acl"], "private");
    assert!(!parts.headers.contains_key("authorization"));
}

#[test]
fn s3cmd_writes_no_space_after_commas() {
    let head = "GET /b/?delimiter=%2F&prefix=s3cmd%20x
host: 127.0.0.1:19318
content-length: 0
x-amz-date: 20261121T211751Z
authorization: AWS4-HMAC-SHA256 Credential=HOOPTEST/20261121/eu-central-1/s3/aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=ac10101c803e9e82dab89f93db82584cd67f54554c9c2e49728e11dd5e1c01d2
x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(recorded(head, b"").1.placement(), Placement::Header);
}

#[test]
fn curl_calls_dynamodb() {
    let head = "POST /
host: 127.0.0.1:19316
authorization: AWS4-HMAC-SHA256 Credential=HOOPTEST/20261121/eu-central-1/dynamodb/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=e0276af9bfadd458da27961f5adcd25bbb04acaa0a68fae7a5e8f2d7f49b7111
x-amz-date: 20261121T211742Z
x-amz-target: DynamoDB_20120810.ListTables
content-type: application/x-amz-json-1.0
content-length: 2";
    let (mut parts, verified) = recorded(head, b"{}");
    assert_eq!(verified.scope().service(), "dynamodb");
    verified.release(&mut parts).unwrap();
    assert_eq!(parts.headers["x-amz-target"], "DynamoDB_20120810.ListTables");
}
