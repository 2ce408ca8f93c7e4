//! What is refused, each for its own reason.

use super::*;
use crate::wire::aws::sigv4::query::encode;

const NOW: &str = "2026-11-21T12:00:00Z";

/// A request of an SDK that is accepted as it is.
fn good() -> Parts {
    let headers = [("content-type", "text/plain"), ("x-amz-meta-a", "1"), ("user-agent", "sdk")];
    signed(head("PUT", "/bucket/a%20key?partNumber=1&uploadId=u", &headers), "s3", at(NOW), Payload::Unsigned)
}

/// What is said to a good request after `change`.
fn refused(change: impl FnOnce(&mut Parts)) -> SignatureFault {
    let mut parts = good();
    assert!(accepted(&parts, at(NOW)).is_ok());
    change(&mut parts);
    accepted(&parts, at(NOW)).unwrap_err()
}

fn edit(parts: &mut Parts, name: &'static str, change: impl FnOnce(&str) -> String) {
    let value = change(parts.headers[name].to_str().unwrap());
    parts.headers.insert(name, value.parse().unwrap());
}

fn retarget(parts: &mut Parts, target: &str) {
    parts.uri = target.parse().unwrap();
}

/// A presigned URL as SDKs make it, good for an hour.
fn presigned(more: &str, now: &str) -> Parts {
    use crate::wire::aws::sigv4::canonical;
    use crate::wire::aws::sigv4::keys::SigningKey;
    use crate::wire::aws::sigv4::presented::hex;
    let keys = keys();
    let time = now.replace(['-', ':'], "");
    let date = time.split('T').next().unwrap();
    let target = format!(
        "/bucket/key?X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential={}%2F{date}%2Feu-central-1%2Fs3%2Faws4_request\
         &X-Amz-Date={time}&X-Amz-Expires=3600&X-Amz-SignedHeaders=host{more}",
        keys.access_key
    );
    let unsigned = format!("{target}&X-Amz-Signature={}", "0".repeat(64));
    let parts = head("GET", &unsigned, &[("host", "127.0.0.1:9000")]);
    let presented = Presented::read(&parts).unwrap();
    let text = canonical::strings_to_sign(&presented, &parts, "UNSIGNED-PAYLOAD").unwrap();
    let signature = hex(&SigningKey::derive(&keys.secret, presented.scope()).sign(&text[0]));
    head("GET", &format!("{target}&X-Amz-Signature={signature}"), &[("host", "127.0.0.1:9000")])
}

#[test]
fn a_wrong_region_is_told_the_right_one() {
    let fault =
        refused(|parts| edit(parts, "authorization", |text| text.replace("eu-central-1", "us-east-1")));
    assert_eq!(fault.code(), "AuthorizationHeaderMalformed");
    assert!(fault.to_string().contains("expecting 'eu-central-1'"), "{fault}");
}

#[test]
fn another_service_is_refused() {
    let fault = refused(|parts| edit(parts, "authorization", |text| text.replace("/s3/", "/iam/")));
    assert_eq!(fault, SignatureFault::Service { expected: "dynamodb, s3".into() });
}

#[test]
fn a_stale_date_is_refused_on_both_sides() {
    let parts = good();
    let at = |text| accepted(&parts, at(text)).map(drop);
    assert_eq!(at("2026-11-21T12:05:00Z"), Ok(()));
    assert_eq!(at("2026-11-21T12:05:01Z"), Err(SignatureFault::Skewed));
    assert_eq!(at("2026-11-21T11:55:00Z"), Ok(()));
    assert_eq!(at("2026-11-21T11:54:59Z"), Err(SignatureFault::Skewed));
    assert_eq!(SignatureFault::Skewed.code(), "RequestTimeTooSkewed");
}

#[test]
fn a_date_that_is_not_the_one_of_the_scope_is_refused() {
    let fault = refused(|parts| edit(parts, "x-amz-date", |_| "20261120T120000Z".into()));
    assert_eq!(fault, SignatureFault::ScopeDate);
}

#[test]
fn a_date_in_another_spelling_is_refused() {
    for text in [
        "20261121T120000",
        "2026-11-21T12:00:00Z",
        "20261121T126000Z",
        "20261131T120000Z",
        "+0261121T120000Z",
    ] {
        assert_eq!(
            refused(|parts| edit(parts, "x-amz-date", |_| text.into())),
            SignatureFault::Date,
            "{text}"
        );
    }
    assert_eq!(refused(|parts| drop(parts.headers.remove("x-amz-date"))), SignatureFault::Date);
}

#[test]
fn an_unsigned_payload_is_known_as_one() {
    let verified = accepted(&good(), at(NOW)).unwrap();
    assert!(!verified.payload().is_signed());
    // and none can be made of a signed one
    let mut parts = signed(head("PUT", "/b/k", &[]), "s3", at(NOW), Payload::Hash(hash(b"")));
    assert!(accepted(&parts, at(NOW)).unwrap().payload().is_signed());
    edit(&mut parts, "x-amz-content-sha256", |_| "UNSIGNED-PAYLOAD".into());
    assert_eq!(accepted(&parts, at(NOW)).unwrap_err(), SignatureFault::Signature);
}

#[test]
fn another_body_than_the_signed_one_is_refused() {
    let parts = signed(head("PUT", "/b/k", &[]), "s3", at(NOW), Payload::Hash(hash(b"signed")));
    let other = verify(&parts, at(NOW), BodyHash::Known(hash(b"other")), None).unwrap_err();
    assert_eq!(other.code(), "XAmzContentSHA256Mismatch");
    // a body that passes by is found out at its end
    let verified = verify(&parts, at(NOW), BodyHash::Unread, None).unwrap();
    for (body, end) in [("signed", Ok(())), ("other", Err(SignatureFault::BodyHash))] {
        let mut watch = verified.watch();
        body.as_bytes().chunks(2).for_each(|piece| watch.feed(piece));
        assert_eq!(watch.finish(), end);
    }
}

#[test]
fn a_body_that_only_the_signature_covers_must_be_read() {
    let parts = signed(head("POST", "/", &[]), "dynamodb", at(NOW), Payload::Absent);
    assert!(!parts.headers.contains_key("x-amz-content-sha256"));
    assert!(accepted(&parts, at(NOW)).is_ok());
    assert_eq!(verify(&parts, at(NOW), BodyHash::Unread, None).unwrap_err(), SignatureFault::BodyUnread);
    let other = verify(&parts, at(NOW), BodyHash::Known(hash(b"other")), None).unwrap_err();
    assert_eq!(other, SignatureFault::Signature);
}

#[test]
fn s3_must_say_what_the_payload_is() {
    let fault = refused(|parts| drop(parts.headers.remove("x-amz-content-sha256")));
    assert_eq!(fault, SignatureFault::PayloadAbsent);
    let fault = refused(|parts| edit(parts, "x-amz-content-sha256", |_| "E3B0".repeat(16)));
    assert_eq!(fault, SignatureFault::PayloadClaim);
}

#[test]
fn a_header_injected_after_signing_is_refused() {
    for (name, value) in [
        ("x-amz-copy-source", "/other/secret"),
        ("x-amz-acl", "public-read"),
        ("x-amz-security-token", "t"),
        ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
    ] {
        let fault = refused(|parts| drop(parts.headers.insert(name, value.parse().unwrap())));
        assert_eq!(fault, SignatureFault::Unsigned(name.into()));
        assert_eq!(fault.code(), "AccessDenied");
    }
}

#[test]
fn a_signed_header_that_changed_is_refused() {
    for (name, value) in [("x-amz-meta-a", "2"), ("content-type", "text/html"), ("host", "169.254.169.254")] {
        let fault = refused(|parts| drop(parts.headers.insert(name, value.parse().unwrap())));
        assert_eq!(fault, SignatureFault::Signature, "{name}");
    }
    // a second value is part of the first
    let fault = refused(|parts| assert!(parts.headers.append("x-amz-meta-a", "2".parse().unwrap())));
    assert_eq!(fault, SignatureFault::Signature);
    assert_eq!(
        refused(|parts| drop(parts.headers.remove("x-amz-meta-a"))),
        SignatureFault::Header("x-amz-meta-a".into())
    );
}

#[test]
fn a_signed_header_that_is_not_plain_text_is_refused() {
    for value in [&b"a\tb"[..], b"\xc3\xbc", b"\xff"] {
        let value = http::HeaderValue::from_bytes(value).unwrap();
        let fault = refused(|parts| drop(parts.headers.insert("x-amz-meta-a", value)));
        assert_eq!(fault, SignatureFault::Header("x-amz-meta-a".into()));
    }
    // and the types hold no CR, LF or NUL
    for value in ["a\rb", "a\nb", "a\r\nx-amz-acl: public-read", "a\0"] {
        assert!(http::HeaderValue::from_str(value).is_err());
    }
}

#[test]
fn another_method_path_or_query_is_refused() {
    assert_eq!(refused(|parts| parts.method = http::Method::DELETE), SignatureFault::Signature);
    for target in [
        "/bucket/other?partNumber=1&uploadId=u",
        "/bucket/a%20key",
        "/bucket/a%20key?partNumber=2&uploadId=u",
        "/bucket/a%20key?partNumber=1&uploadId=u&acl",
        "/bucket//a%20key?partNumber=1&uploadId=u",
        "/bucket/x/../a%20key?partNumber=1&uploadId=u",
        "/bucket%2Fa%20key?partNumber=1&uploadId=u",
        "/bucket/a%2520key?partNumber=1&uploadId=u",
    ] {
        assert_eq!(refused(|parts| retarget(parts, target)), SignatureFault::Signature, "{target}");
    }
}

#[test]
fn an_url_that_can_be_read_in_two_ways_is_refused() {
    for target in [
        "/bucket/a+key",
        "/bucket/a%2",
        "/bucket/%zz",
        "/bucket/%ff",
        "/b/k?a=b+c",
        "/b/k?a=%f",
        "/b/k?%c3=1",
    ] {
        let fault = refused(|parts| retarget(parts, target));
        assert!(matches!(fault, SignatureFault::Target(_)), "{target}: {fault}");
    }
}

#[test]
fn the_order_and_the_spelling_of_a_query_do_not_count() {
    let mut parts = good();
    retarget(&mut parts, "/bucket/a%20key?uploadId=%75&partNumber=%31");
    let verified = accepted(&parts, at(NOW)).unwrap();
    // what goes on is in one spelling
    verified.release(&mut parts).unwrap();
    assert_eq!(parts.uri, "/bucket/a%20key?uploadId=u&partNumber=1");
}

#[test]
fn a_foreign_key_is_refused() {
    let fault = refused(|parts| edit(parts, "authorization", |text| text.replace("HOOP", "AKIA")));
    assert_eq!(fault.code(), "InvalidAccessKeyId");
    let other = session_keys("ses_1", &hash(b"another secret"));
    let (parts, keys) = (good(), keys());
    let access_key = keys.access_key.as_str();
    let expected = Expected { access_key, session_token: None, now: at(NOW), regions: &[], services: &[] };
    let fault = Presented::read(&parts).unwrap().verify(&parts, BodyHash::Unread, &other.secret, &expected);
    assert_eq!(fault.unwrap_err(), SignatureFault::Signature);
}

#[test]
fn a_session_token_must_be_the_sessions() {
    let keys = keys();
    let with = |token: &str| {
        let secret = keys.secret.expose_secret();
        let credentials =
            Credentials::new(keys.access_key.as_str(), secret, Some(token.into()), None, "test");
        let upstream = Upstream {
            credentials: &credentials,
            host: "127.0.0.1:9000",
            region: "eu-central-1",
            service: "s3",
            now: at(NOW),
        };
        let mut parts = head("GET", "/b/k", &[]);
        sign(&mut parts, &upstream, Payload::Unsigned, BodyHash::Unread).unwrap();
        parts
    };
    let right = with(keys.token.expose_secret());
    assert!(accepted(&right, at(NOW)).is_ok());
    assert_eq!(accepted(&with("stolen"), at(NOW)).unwrap_err(), SignatureFault::Token);
    assert_eq!(verify(&right, at(NOW), BodyHash::Unread, None).unwrap_err(), SignatureFault::Token);
}

#[test]
fn no_signature_two_and_other_versions_are_refused() {
    assert_eq!(refused(|parts| drop(parts.headers.remove("authorization"))), SignatureFault::Missing);
    let two = refused(|parts| {
        let same = parts.headers["authorization"].clone();
        parts.headers.append("authorization", same);
    });
    assert_eq!(two, SignatureFault::Duplicate("Authorization"));
    let both = refused(|parts| retarget(parts, "/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256"));
    assert_eq!(both, SignatureFault::TwoMechanisms);
    for (text, fault) in [
        ("AWS AKID:c2lnbmF0dXJl", SignatureFault::VersionTwo),
        ("AWS4-ECDSA-P256-SHA256 Credential=a/20261121/s3/aws4_request", SignatureFault::Asymmetric),
    ] {
        assert_eq!(refused(|parts| edit(parts, "authorization", |_| text.into())), fault);
    }
    let two = refused(|parts| retarget(parts, "/b/k?AWSAccessKeyId=a&Expires=1&Signature=b"));
    assert_eq!(two, SignatureFault::VersionTwo);
    let payload = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD";
    let asymmetric = refused(|parts| edit(parts, "x-amz-content-sha256", |_| payload.into()));
    assert_eq!(asymmetric, SignatureFault::Asymmetric);
}

#[test]
fn an_authorization_that_is_malformed_is_refused() {
    let cases: [(&str, &str); 14] = [
        ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256"),
        ("AWS4-HMAC-SHA256", "Bearer"),
        ("Credential=", "Credentials="),
        ("/aws4_request", "/aws4"),
        ("/aws4_request", "/aws4_request/x"),
        ("/20261121/", "/2026-11-21/"),
        ("/eu-central-1/", "//"),
        ("content-type;", ";content-type;"),
        ("content-type;", "content-type;content-type;"),
        ("content-type;host", "host;content-type"),
        ("content-type;", "Content-Type;"),
        ("content-type;", "content type;"),
        ("Signature=", "Signature=0"),
        (", Signature=", ", Extra=1, Signature="),
    ];
    for (from, to) in cases {
        let fault = refused(|parts| {
            edit(parts, "authorization", |text| {
                let changed = text.replacen(from, to, 1);
                assert_ne!(changed, text, "{from}");
                changed
            });
        });
        assert!(matches!(fault, SignatureFault::Malformed { .. }), "{to}: {fault}");
        assert_eq!(fault.code(), "AuthorizationHeaderMalformed");
    }
    for (name, text) in [("Credential", "Credential=a/b"), ("Signature", "Signature=0")] {
        let twice = refused(|parts| edit(parts, "authorization", |all| format!("{all}, {text}")));
        assert_eq!(twice, SignatureFault::Duplicate(name));
    }
    let capital = refused(|parts| {
        edit(parts, "authorization", |text| {
            let (head, signature) = text.rsplit_once('=').unwrap();
            format!("{head}={}", signature.to_ascii_uppercase())
        });
    });
    assert!(matches!(capital, SignatureFault::Malformed { .. }));
    let host = refused(|parts| edit(parts, "authorization", |text| text.replace(";host", "")));
    assert_eq!(host, SignatureFault::Unsigned("host".into()));
    let long = refused(|parts| edit(parts, "authorization", |text| format!("{text}{}", " ".repeat(4096))));
    assert!(matches!(long, SignatureFault::Malformed { .. }));
}

#[test]
fn a_chunked_body_that_is_none_is_refused() {
    let fault =
        refused(|parts| drop(parts.headers.insert("content-encoding", "gzip, AWS-Chunked".parse().unwrap())));
    assert_eq!(fault, SignatureFault::Chunked);
}

#[test]
fn a_header_that_decides_stands_once() {
    for name in ["x-amz-copy-source", "x-amz-acl"] {
        let parts = head("PUT", "/b/k", &[(name, "1"), (name, "2")]);
        let parts = signed(parts, "s3", at(NOW), Payload::Unsigned);
        assert_eq!(accepted(&parts, at(NOW)).unwrap_err(), SignatureFault::Duplicate("an x-amz- header"));
    }
    let twice = refused(|parts| assert!(parts.headers.append("host", "other".parse().unwrap())));
    assert_eq!(twice, SignatureFault::Duplicate("Host"));
}

#[test]
fn a_presigned_url_ends() {
    let parts = presigned("", NOW);
    let at = |text| accepted(&parts, at(text)).map(drop);
    assert_eq!(at("2026-11-21T13:00:00Z"), Ok(()));
    assert_eq!(at("2026-11-21T13:00:01Z"), Err(SignatureFault::Expired));
    assert_eq!(at("2026-11-21T11:54:59Z"), Err(SignatureFault::Skewed));
    assert_eq!(SignatureFault::Expired.code(), "AccessDenied");
}

#[test]
fn a_presigned_url_that_changed_is_refused() {
    let good = presigned("&versionId=1", NOW);
    assert!(accepted(&good, at(NOW)).is_ok());
    let target = good.uri.to_string();
    for (from, to, fault) in [
        ("versionId=1", "versionId=2", SignatureFault::Signature),
        ("Expires=3600", "Expires=3601", SignatureFault::Signature),
        ("Expires=3600", "Expires=604801", SignatureFault::Expires),
        ("Expires=3600", "Expires=0", SignatureFault::Expires),
        ("Expires=3600", "Expires=-1", SignatureFault::Expires),
        ("Expires=3600", "Expires=36e2", SignatureFault::Expires),
        ("X-Amz-Expires=3600", "x=1", SignatureFault::Expires),
        ("versionId=1", "X-Amz-Expires=60", SignatureFault::Duplicate("an X-Amz- parameter")),
        ("versionId=1", "x-amz-expires=60", SignatureFault::Duplicate("an X-Amz- parameter")),
        ("versionId=1", "X-Amz-Security-Token=stolen", SignatureFault::Token),
        ("eu-central-1", "us-east-1", SignatureFault::Region { expected: "eu-central-1".into() }),
    ] {
        let parts = head("GET", &target.replacen(from, to, 1), &[("host", "127.0.0.1:9000")]);
        assert_eq!(accepted(&parts, at(NOW)).unwrap_err(), fault, "{to}");
    }
    let mut parts = good;
    parts.headers.insert("x-amz-acl", "public-read".parse().unwrap());
    assert_eq!(accepted(&parts, at(NOW)).unwrap_err(), SignatureFault::Unsigned("x-amz-acl".into()));
}

#[test]
fn a_presigned_url_goes_on_without_its_signature() {
    let mut parts =
        presigned("&versionId=1&x-amz-checksum-mode=ENABLED&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD", NOW);
    let verified = accepted(&parts, at(NOW)).unwrap();
    verified.release(&mut parts).unwrap();
    assert_eq!(parts.uri, "/bucket/key?versionId=1");
    assert_eq!(parts.headers["x-amz-checksum-mode"], "ENABLED");
    let mut parts = presigned("&x-amz-checksum-mode=ENABLED", NOW);
    parts.headers.insert("x-amz-checksum-mode", "DISABLED".parse().unwrap());
    let verified = accepted(&parts, at(NOW)).unwrap();
    let twice = verified.release(&mut parts).unwrap_err();
    assert_eq!(twice, SignatureFault::Duplicate("an x-amz- header and its parameter"));
}

#[test]
fn nothing_tells_a_secret() {
    let keys = keys();
    let verified = accepted(&good(), at(NOW)).unwrap();
    let with_token = presigned(&format!("&X-Amz-Security-Token={}", encode(keys.token.expose_secret())), NOW);
    let presented = Presented::read(&with_token).unwrap();
    assert!(accepted(&with_token, at(NOW)).is_ok());
    let told = format!("{keys:?} {verified:?} {presented:?} {}", SignatureFault::Signature);
    assert!(!told.contains(keys.secret.expose_secret()) && !told.contains(keys.token.expose_secret()));
}
