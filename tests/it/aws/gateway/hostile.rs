//! What no client of good will would send. Nothing of it reaches AWS.

use hoopctl::gateway::clock::Clock;
use hoopctl::wire::aws::sigv4::Payload;
use jiff::SignedDuration;
use sha2::{Digest as _, Sha256};

use super::stage::{Account, REGION, Setup, Signed, TOKEN};
use crate::support::api::Api;

/// A gateway before something that notes what reaches it.
async fn noted() -> (Api, Account) {
    let api = Api::start().await;
    let account = Account::start(Setup::open(api.port)).await;
    (api, account)
}

async fn refused(request: Vec<u8>, code: &str) {
    let (api, account) = noted().await;
    sent(&api, &account, request, code).await;
}

async fn sent(api: &Api, account: &Account, request: Vec<u8>, code: &str) {
    let answer = account.front.raw(&request).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert!(answer.contains(code), "{code} is not in {answer}");
    assert_eq!(api.lines(), [""; 0], "it reached AWS");
    assert!(
        account.front.book.deeds().iter().all(|deed| deed.starts_with("Deny")),
        "{:?}",
        account.front.book.deeds()
    );
}

/// What is well signed goes through, so that the refusals below are for one reason each.
#[tokio::test(flavor = "multi_thread")]
async fn what_reaches_aws_is_signed_by_the_lease_and_by_nobody_else() {
    let (api, account) = noted().await;
    let call = account.signed(
        "GET",
        "/traces/x",
        &[
            ("x-amz-request-payer", "requester"),
            ("cookie", "a=b"),
            ("x-forwarded-host", "evil"),
            ("forwarded", "for=evil"),
        ],
        "",
    );
    let answer = account.front.raw(&call.bytes("")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let seen = api.seen();
    let [seen] = seen.as_slice() else { panic!("{seen:?}") };
    let header =
        |name: &str| seen.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert!(header("authorization").contains("Credential=ASIALEASE/"), "{seen:?}");
    assert_eq!(header("x-amz-security-token"), TOKEN);
    assert_eq!(header("host"), format!("127.0.0.1:{}", api.port));
    assert_eq!(header("x-amz-request-payer"), "requester");
    let all = format!("{seen:?}");
    for own in [account.keys.access_key.as_str(), "cookie", "evil"] {
        assert!(!all.contains(own), "{own}: {all}");
    }
    assert!(!answer.contains(TOKEN));
    let recorded = account.recorded();
    assert!(!recorded.contains(TOKEN) && !recorded.contains("Signature="), "{recorded}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_region_is_refused() {
    let (api, account) = noted().await;
    let empty = Payload::Hash(Sha256::digest("").into());
    let call = account.signed_for("us-east-1", Clock::system().now(), "GET", "/traces/x", &[], empty);
    sent(&api, &account, call.bytes(""), "AuthorizationHeaderMalformed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_or_future_date_is_refused() {
    let (api, account) = noted().await;
    let empty = Payload::Hash(Sha256::digest("").into());
    for minutes in [-6, 6] {
        let when = Clock::system().now() + SignedDuration::from_mins(minutes);
        let call = account.signed_at(when, "GET", "/traces/x", &[], empty);
        sent(&api, &account, call.bytes(""), "RequestTimeTooSkewed").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsigned_payload_is_refused_unless_the_target_allows_it() {
    let (api, account) = noted().await;
    let call = account.signed_at(Clock::system().now(), "PUT", "/traces/x", &[], Payload::Unsigned);
    sent(&api, &account, call.bytes("hello"), "UNSIGNED-PAYLOAD").await;
    let account = Account::start(Setup { unsigned_payload: true, ..Setup::open(api.port) }).await;
    let call = account.signed_at(Clock::system().now(), "PUT", "/traces/x", &[], Payload::Unsigned);
    assert!(account.front.raw(&call.bytes("hello")).await.starts_with("HTTP/1.1 200"));
    assert_eq!(api.lines(), ["PUT /traces/x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_another_session_are_refused() {
    let (api, account) = noted().await;
    let mut call = account.signed("GET", "/traces/x", &[], "");
    for (_, value) in &mut call.headers {
        *value = value.replace(account.keys.access_key.as_str(), "HOOPAAAAAAAAAAAAAAAA");
    }
    sent(&api, &account, call.bytes(""), "InvalidAccessKeyId").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_is_refused() {
    for (head, code) in [
        ("", "MissingAuthenticationToken"),
        ("Authorization: AWS HOOPAAAAAAAAAAAAAAAA:c2ln\r\n", "version 2"),
        ("Authorization: Basic YTpvcGVuIHNlc2FtZQ==\r\n", "AuthorizationHeaderMalformed"),
    ] {
        refused(format!("GET /traces/x HTTP/1.1\r\nHost: localhost\r\n{head}\r\n").into_bytes(), code).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_or_target_that_was_not_signed_is_refused() {
    let (api, account) = noted().await;
    let call = || account.signed("PUT", "/traces/x", &[("x-amz-acl", "private")], "hello");
    let injected = call().with("x-amz-acl", "public-read");
    sent(&api, &account, injected.bytes("hello"), "SignatureDoesNotMatch").await;
    let more = call().and("x-amz-copy-source", "/other/secret");
    sent(&api, &account, more.bytes("hello"), "`x-amz-copy-source` is not signed").await;
    let moved = Signed { target: "/traces/y".into(), ..call() };
    sent(&api, &account, moved.bytes("hello"), "SignatureDoesNotMatch").await;
    let asked = Signed { target: "/traces/x?acl".into(), ..call() };
    sent(&api, &account, asked.bytes("hello"), "SignatureDoesNotMatch").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_signatures_are_refused() {
    let (api, account) = noted().await;
    let call = account.signed("GET", "/traces/x", &[], "");
    let authorization = call.headers.iter().find(|(name, _)| name == "authorization").expect("one").1.clone();
    sent(&api, &account, call.clone().and("authorization", &authorization).bytes(""), "InvalidArgument")
        .await;
    let target = "/traces/x?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00";
    let both = Signed { target: target.into(), ..call };
    sent(&api, &account, both.bytes(""), "in its headers and in its query").await;
}

/// The end of a body that is not the one that was signed is never sent, so AWS keeps nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_tampered_body_is_cut_off() {
    let (api, account) = noted().await;
    let call = account.signed("PUT", "/traces/x", &[], "hello");
    let answer = account.front.raw(&call.bytes("HELLO")).await;
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    assert!(api.seen().iter().all(|seen| !seen.body.ends_with(b"O")), "{:?}", api.seen());
    // one that is read to be judged is refused before it is judged
    let (api, account) = noted().await;
    let body = "<Delete><Object><Key>a</Key></Object></Delete>";
    let call = account.signed("POST", "/traces?delete", &[("content-md5", "x")], body);
    sent(&api, &account, call.bytes(&body.replace(">a<", ">b<")), "XAmzContentSHA256Mismatch").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tampered_chunk_is_cut_off() {
    let (api, account) = noted().await;
    let headers = [("x-amz-decoded-content-length", "5"), ("content-encoding", "aws-chunked")];
    let call = account.signed_at(Clock::system().now(), "PUT", "/traces/x", &headers, Payload::Chunks);
    let zero = "0".repeat(64);
    let body = format!("5;chunk-signature={zero}\r\nhello\r\n0;chunk-signature={zero}\r\n\r\n");
    let answer = account.front.raw(&call.bytes(&body)).await;
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    assert!(api.seen().iter().all(|seen| seen.body.is_empty()), "{:?}", api.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_name_chooses_nothing() {
    let (api, account) = noted().await;
    let call = |host: &str| {
        let signed = account.signed("GET", "/x", &[], "");
        signed.with("host", host).bytes("")
    };
    for (host, why) in [
        ("traces.s3.amazonaws.com", "is not looked at"),
        ("traces.localhost", "is not looked at"),
        ("evil@127.0.0.1", "it is a host and a port"),
        ("", "is not looked at"),
    ] {
        sent(&api, &account, call(host), why).await;
    }
    let full = Signed {
        target: "http://169.254.169.254/latest/meta-data".into(),
        ..account.signed("GET", "/x", &[], "")
    };
    sent(&api, &account, full.bytes(""), "it is written for a proxy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tricks_with_paths_are_refused_or_mean_what_they_say() {
    let (api, account) = noted().await;
    // each is signed as it is
    for (path, why) in [
        ("/traces/../secrets/x", "which servers read differently"),
        ("/traces/./x", "which servers read differently"),
        ("/traces/%2e%2e/x", "which servers read differently"),
        ("/../traces", "is no bucket"),
        ("/traces/%00", "the address holds a NUL"),
        ("/traces//a//b", "begins with a slash or doubles one"),
    ] {
        let call = account.signed("GET", path, &[], "");
        sent(&api, &account, call.bytes(""), why).await;
    }
    let account = Account::start(Setup::open(api.port)).await;
    let call = account.signed("GET", "/traces/a%2Fb", &[], "");
    let answer = account.front.raw(&call.bytes("")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let deeds = account.front.book.deeds();
    assert_eq!(deeds.last().map(String::as_str), Some("Allow s3:GetObject arn:aws:s3:::traces/a/b"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_judged_is_one_call_received() {
    let (api, account) = noted().await;
    let call = account.signed("PUT", "/traces/x", &[], "hello");
    let plain = String::from_utf8(call.bytes("hello")).expect("text");
    let smuggled = "DELETE /traces/y HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for spoilt in [
        plain.replace("content-length: 5", "content-length: 5\r\ntransfer-encoding: chunked"),
        plain.replace("content-length: 5", "content-length: 5\r\ncontent-length: 6"),
        plain.replace("content-length: 5", "transfer-encoding : chunked"),
        plain
            .replace("\r\nhello", &format!("\r\n0\r\n\r\n{smuggled}"))
            .replace("content-length: 5", "transfer-encoding: identity, chunked"),
    ] {
        let _answer = account.front.raw(spoilt.as_bytes()).await;
    }
    assert!(api.lines().iter().all(|line| !line.starts_with("DELETE")), "{:?}", api.lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_the_target_does_not_name_is_not_called() {
    let api = Api::start().await;
    let account = Account::start(Setup { services: vec!["dynamodb"], ..Setup::open(api.port) }).await;
    let call = account.signed("GET", "/traces/x", &[], "");
    sent(&api, &account, call.bytes(""), "the service of the signature is wrong").await;
    let none = Account::start(Setup { services: Vec::new(), ..Setup::open(api.port) }).await;
    let call = none.signed("GET", "/traces/x", &[], "");
    sent(&api, &none, call.bytes(""), "the service of the signature is wrong").await;
}

/// Those of the next session are of another key.
#[tokio::test(flavor = "multi_thread")]
async fn a_presigned_url_that_has_expired_is_refused() {
    let api = Api::start().await;
    let account = Account::start(Setup::open(api.port)).await;
    let url = account
        .python(
            "import datetime, botocore.auth, botocore.credentials, botocore.awsrequest, os, unittest.mock
class Then(datetime.datetime):
    @classmethod
    def utcnow(cls): return datetime.datetime(2026, 1, 1)
    @classmethod
    def now(cls, tz=None): return datetime.datetime(2026, 1, 1, tzinfo=tz)
botocore.auth.get_current_datetime = lambda remove_tzinfo=True: datetime.datetime(2026, 1, 1)
s3 = boto3.client('s3', config=Config(signature_version='s3v4'))
print(s3.generate_presigned_url('get_object', Params={'Bucket': 'traces', 'Key': 'p'}, ExpiresIn=60))",
        )
        .await;
    assert!(url.contains("X-Amz-Date=20260101"), "{url}");
    let target = url.trim().strip_prefix(&format!("http://{}", account.front.address)).expect("ours");
    let request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", account.front.address);
    sent(&api, &account, request.into_bytes(), "expired").await;
}

/// Its head is enough to refuse it; the body of these never comes.
#[tokio::test(flavor = "multi_thread")]
async fn the_body_of_a_stranger_is_not_waited_for() {
    let (api, account) = noted().await;
    let now = Clock::system().now();
    let empty = Payload::Hash(Sha256::digest("").into());
    let post = |region, when| account.signed_for(region, when, "POST", "/", &[], empty);
    let mut strange = post(REGION, now);
    for (_, value) in &mut strange.headers {
        *value = value.replace(account.keys.access_key.as_str(), "HOOPAAAAAAAAAAAAAAAA");
    }
    for (mut call, why) in [
        (strange, "the access key id is not the one of this session"),
        (post("us-east-1", now), "the region of the signature is wrong"),
        (post(REGION, now - SignedDuration::from_mins(6)), "more than five minutes from ours"),
    ] {
        // of another service than S3 the hash stands nowhere, and is had of the body
        call.headers.retain(|(name, _)| name != "x-amz-content-sha256");
        let (_, authorization) =
            call.headers.iter_mut().find(|(name, _)| name == "authorization").expect("one");
        *authorization = authorization.replace("/s3/", "/dynamodb/");
        let head = String::from_utf8(call.bytes("")).expect("text");
        let head = head.replace("content-length: 0", "content-length: 5");
        sent(&api, &account, head.into_bytes(), why).await;
    }
}

/// Chunks without signatures, as the SDK for JavaScript sends a stream: their frames and their length are looked at.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_in_chunks_without_signatures_that_ends_early_is_cut_off() {
    let headers = [
        ("x-amz-decoded-content-length", "10"),
        ("content-encoding", "aws-chunked"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    let trailer = "0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
    for (body, arrives) in [
        (format!("a\r\nhellohello\r\n{trailer}"), true),
        (format!("5\r\nhello\r\n{trailer}"), false),
        ("a\r\nhellohello\r\n".to_owned(), false),
        ("a\r\nhellohello\r\n0\r\nx-amz-acl:public-read\r\n\r\n".to_owned(), false),
    ] {
        let (api, account) = noted().await;
        let now = Clock::system().now();
        let call = account.signed_at(now, "PUT", "/traces/x", &headers, Payload::UnsignedTrailer);
        let answer = account.front.raw(&call.bytes(&body)).await;
        assert_eq!(answer.starts_with("HTTP/1.1 200"), arrives, "{body}: {answer}");
        let whole = api.seen().iter().any(|seen| seen.body.ends_with(b"\r\n\r\n"));
        assert_eq!(whole, arrives, "{body}: {:?}", api.seen());
    }
}

/// Only what is written with `if-none-match`, which overwrites nothing.
const CREATES: &str = r#"@id("calls") permit(principal, action == Hoop::Action::"call", resource);
    @id("no-overwriting") forbid(principal, action == Hoop::Action::"call", resource)
    unless { context.headers.contains("if-none-match: *") };"#;

/// A header that `Connection` names would be judged, and then not sent.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_judged_is_what_is_sent() {
    let api = Api::start().await;
    let account = Account::start(Setup { policy: CREATES, ..Setup::open(api.port) }).await;
    let call = account.signed("PUT", "/traces/x", &[("if-none-match", "*")], "hello").bytes("hello");
    assert!(account.front.raw(&call).await.starts_with("HTTP/1.1 200"));
    assert!(api.seen().iter().all(|seen| seen.headers.contains_key("if-none-match")), "{:?}", api.seen());
    let named = String::from_utf8(call).expect("text");
    let named = named.replace("connection: close", "connection: close, if-none-match");
    let answer = account.front.raw(named.as_bytes()).await;
    assert!(answer.contains("AccessDenied") && answer.contains("no-overwriting"), "{answer}");
    assert_eq!(api.lines(), ["PUT /traces/x"]);
    let (api, account) = noted().await;
    let call = account.signed("PUT", "/traces/x", &[("x-amz-copy-source", "/traces/y")], "").bytes("");
    let call = String::from_utf8(call)
        .expect("text")
        .replace("connection: close", "connection: close, x-amz-copy-source");
    let _answer = account.front.raw(call.as_bytes()).await;
    let deeds = account.front.book.deeds().join("\n");
    assert_eq!(deeds, "Allow s3:PutObject arn:aws:s3:::traces/x");
    assert!(api.seen().iter().all(|seen| !seen.headers.contains_key("x-amz-copy-source")));
}
