#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use super::*;

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    map
}

fn names(map: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<&str> = map.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn two_readings_of_a_length_are_refused() {
    for lines in [
        &[("content-length", "1"), ("content-length", "1")][..],
        &[("content-length", "1"), ("transfer-encoding", "chunked")],
        &[("content-length", "+1")],
        &[("content-length", "0x1")],
        &[("content-length", "1, 1")],
        &[("content-length", "")],
        &[("content-length", "99999999999999999999")],
        &[("transfer-encoding", "xchunked")],
        &[("transfer-encoding", "chunked, identity")],
        &[("transfer-encoding", "gzip, chunked")],
        &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
    ] {
        assert_eq!(check_framing(&headers(lines)), Err(HeadError::Framing), "{lines:?}");
    }
    for lines in [&[][..], &[("content-length", "12")], &[("transfer-encoding", "Chunked")]] {
        assert_eq!(check_framing(&headers(lines)), Ok(()), "{lines:?}");
    }
}

#[test]
fn another_method_or_path_in_a_header_is_refused() {
    for name in [
        "x-http-method-override",
        "X_HTTP_Method_Override",
        "x-original-url",
        "x-original-method",
        "X-Envoy-Original-Path",
        "x-middleware-subrequest",
        "x_middleware_rewrite",
        "x-invoke-path",
        "x-matched-path",
        "x-sendfile-type",
        "x-accel-mapping",
    ] {
        let mut map = HeaderMap::new();
        map.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static("DELETE"));
        assert_eq!(check_overrides(&map), Err(HeadError::Override), "{name}");
    }
    assert_eq!(check_overrides(&headers(&[("x-http", "1")])), Ok(()));
}

#[test]
fn what_belongs_to_the_connection_does_not_pass() {
    let mut map = headers(&[
        ("connection", "close, X-Own"),
        ("connection", "upgrade"),
        ("upgrade", "WebSocket"),
        ("x-own", "1"),
        ("keep-alive", "1"),
        ("te", "gzip, Trailers"),
        ("proxy-authorization", "x"),
        ("accept", "a"),
    ]);
    assert_eq!(upgrade(&map).as_deref(), Some("websocket"));
    assert_eq!(upgrade(&headers(&[("upgrade", "h2c")])), None);
    assert_eq!(strip_hop_by_hop(&mut map), Ok(()));
    assert_eq!(names(&map), ["accept", "te"]);
    assert_eq!(map[TE], "trailers");
    for name in ["host", "Content-Length", "authorization", "a b"] {
        assert_eq!(
            strip_hop_by_hop(&mut headers(&[("connection", name)])),
            Err(HeadError::Nominated),
            "{name}"
        );
    }
}

#[test]
fn no_credential_of_the_client_passes() {
    let mut map = headers(&[
        ("authorization", "Bearer mine"),
        ("cookie", "a=b"),
        ("cookie", "c=d"),
        ("x_api_key", "mine"),
        ("x-billing_token", "mine"),
        ("private-token", "mine"),
        ("x-vault-token", "mine"),
        ("x_auth_key", "mine"),
        ("ocp-apim-subscription-key", "mine"),
        ("accept", "a"),
    ]);
    strip_credentials(&mut map, Some(&HeaderName::from_static("x-billing-token")));
    assert_eq!(names(&map), ["accept"]);
}

#[test]
fn secrets_are_not_recorded() {
    let shown = |name: &'static str, value: &'static str| {
        recorded(&HeaderName::from_static(name), &HeaderValue::from_static(value)).into_owned()
    };
    assert_eq!(shown("authorization", "Bearer abc"), "Bearer [redacted]");
    assert_eq!(shown("authorization", "abc"), "[redacted]");
    assert_eq!(shown("set-cookie", "id=1; Path=/"), "[redacted]");
    assert_eq!(shown("x-api-key", "abc"), "[redacted]");
    assert_eq!(shown("x_csrf_token", "abc"), "[redacted]");
    assert_eq!(shown("accept", "text/html"), "text/html");
    for name in ["x-csrftoken", "x-sessionid", "x-hub-signature-256", "x-sig", "x-jwt-assertion"] {
        assert_eq!(shown(name, "abc"), "[redacted]", "{name}");
    }
    let place = "https://a.example/b?x=1&accessToken=abc#id_token=def&y=2";
    assert_eq!(
        shown("location", place),
        "https://a.example/b?x=1&accessToken=[redacted]#id_token=[redacted]&y=2"
    );
    assert_eq!(shown("referer", "/a?page=2"), "/a?page=2");
    let mut sensitive = HeaderValue::from_static("abc");
    sensitive.set_sensitive(true);
    assert_eq!(recorded(&HeaderName::from_static("x-own"), &sensitive), "[redacted]");
    let bytes = HeaderValue::from_bytes(b"\xff").unwrap();
    assert_eq!(recorded(&HeaderName::from_static("x-own"), &bytes), "[not text]");
}

#[test]
fn a_masked_request_asks_for_a_whole_document() {
    let mut map = headers(&[
        ("range", "bytes=0-1"),
        ("if-range", "\"a\""),
        ("want-digest", "sha-256"),
        ("accept-encoding", "gzip;q=1.0, lzma, br"),
        ("accept-encoding", "x, zstd"),
    ]);
    prepare_masked_request(&mut map);
    assert_eq!(names(&map), ["accept-encoding"]);
    assert_eq!(map[ACCEPT_ENCODING], "gzip;q=1.0, br, zstd");
    let mut none = HeaderMap::new();
    prepare_masked_request(&mut none);
    assert_eq!(none[ACCEPT_ENCODING], "identity");
}

#[test]
fn a_rewritten_response_says_nothing_of_what_it_was() {
    let mut map = headers(&[
        ("content-length", "12"),
        ("etag", "\"abc\""),
        ("digest", "x"),
        ("content-digest", "x"),
        ("repr-digest", "x"),
        ("content-md5", "x"),
        ("accept-ranges", "bytes"),
        ("content-type", "application/json"),
    ]);
    assert_eq!(prepare_rewritten_response(StatusCode::OK, &mut map), Ok(()));
    assert_eq!(names(&map), ["accept-ranges", "content-type"]);
    assert_eq!(map[ACCEPT_RANGES], "none");
    for (status, lines) in [
        (206, &[][..]),
        (226, &[]),
        (200, &[("content-range", "bytes 0-1/2")]),
        (200, &[("content-type", "multipart/byteranges; boundary=x")]),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(prepare_rewritten_response(status, &mut headers(lines)), Err(HeadError::Partial));
    }
    let mut unsatisfied = headers(&[("content-range", "bytes */12")]);
    assert_eq!(prepare_rewritten_response(StatusCode::RANGE_NOT_SATISFIABLE, &mut unsatisfied), Ok(()));
    assert_eq!(names(&unsatisfied), ["accept-ranges"]);
}

#[test]
fn some_responses_have_no_body() {
    assert!(has_body(&Method::GET, StatusCode::OK));
    assert!(!has_body(&Method::HEAD, StatusCode::OK));
    for status in [100, 204, 304] {
        assert!(!has_body(&Method::GET, StatusCode::from_u16(status).unwrap()), "{status}");
    }
}

/// A cookie of the API's would be a credential that works without the gateway; nothing here sends one back.
#[test]
fn no_credential_of_the_api_is_handed_out() {
    let mut map = headers(&[
        ("set-cookie", "JSESSIONID=1"),
        ("set-cookie", "b=2"),
        ("set-cookie2", "c=3"),
        ("authentication-info", "nextnonce=1"),
        ("proxy-authentication-info", "nextnonce=1"),
        ("alt-svc", "h2=\"elsewhere.example:443\""),
        ("connection", "keep-alive"),
        ("content-type", "a/b"),
    ]);
    assert_eq!(strip_response(&mut map), Ok(()));
    assert_eq!(names(&map), ["content-type"]);
    let nominated = &mut headers(&[("connection", "content-length")]);
    assert_eq!(strip_response(nominated), Err(HeadError::Nominated));
}

/// A tag is made of the body as it was; with it, and with answers to guesses of it, a masked value could be guessed.
#[test]
fn entity_tags_tell_nothing_of_what_is_masked() {
    let mut map = headers(&[("etag", "\"len-sha1\""), ("content-type", "a/b")]);
    assert_eq!(prepare_rewritten_response(StatusCode::OK, &mut map), Ok(()));
    assert_eq!(names(&map), ["accept-ranges", "content-type"]);
    let mut map = headers(&[
        ("if-none-match", "W/\"guess\""),
        ("if-modified-since", "Wed, 21 Oct 2015 07:28:00 GMT"),
        ("accept", "a/b"),
    ]);
    assert_eq!(check_conditions(&Method::GET, &map), Ok(()));
    prepare_masked_request(&mut map);
    assert_eq!(names(&map), ["accept", "accept-encoding"]);
    // a write on a condition must not become one without
    for line in [("if-match", "\"guess\""), ("if-none-match", "\"guess\""), ("if-unmodified-since", "x")] {
        assert_eq!(check_conditions(&Method::PUT, &headers(&[line])), Err(HeadError::Condition), "{line:?}");
    }
    assert_eq!(check_conditions(&Method::GET, &headers(&[("if-match", "\"a\"")])), Err(HeadError::Condition));
    for line in [("if-match", "*"), ("if-none-match", " * ")] {
        let mut map = headers(&[line]);
        assert_eq!(check_conditions(&Method::PUT, &map), Ok(()));
        prepare_masked_request(&mut map);
        assert!(map.contains_key(line.0), "{line:?}");
    }
}

#[test]
fn nothing_but_a_websocket_is_an_upgrade() {
    let asked = |values: &[&str]| {
        let mut map = headers(&[("connection", "Upgrade, HTTP2-Settings"), ("http2-settings", "x")]);
        for value in values {
            map.append(UPGRADE, HeaderValue::from_str(value).unwrap());
        }
        let asked = upgrade(&map);
        strip_hop_by_hop(&mut map).unwrap();
        assert!(map.is_empty(), "{map:?}");
        asked
    };
    assert_eq!(asked(&["WebSocket"]).as_deref(), Some("websocket"));
    for values in [
        &["h2c"][..],
        &["tcp"],
        &["TLS/1.0"],
        &["websocket, h2c"],
        &["websocket/13"],
        &["websocket", "h2c"],
        &["websocket", "websocket"],
        &[""],
    ] {
        assert_eq!(asked(values), None, "{values:?}");
    }
}

/// Who calls, and from where, is known from the session; a header of the client's cannot say otherwise.
#[test]
fn what_proxies_tell_is_not_told_by_clients() {
    let mut map = headers(&[
        ("forwarded", "for=1.2.3.4"),
        ("x-forwarded-for", "1.2.3.4"),
        ("x_forwarded_email", "root@example.org"),
        ("client-cert", ":AA==:"),
        ("x-ssl-client-s-dn", "CN=root"),
        ("x-auth-request-user", "root"),
        ("true-client-ip", "1.2.3.4"),
        ("cf-connecting-ip", "1.2.3.4"),
        ("x-remote-user", "root"),
        ("accept", "a"),
    ]);
    strip_forwarding(&mut map);
    assert_eq!(names(&map), ["accept"]);
}

#[test]
fn names_of_secrets_are_known_however_they_are_written() {
    for name in [
        "accessToken",
        "access_token",
        "clientSecret",
        "CLIENT-SECRET",
        "sig",
        "X-Amz-Signature",
        "code",
        "jwt",
        "X-CSRFToken",
        "X-SessionId",
        "apiKey",
        "APIKey",
        "user.password",
        "newPassword",
        "passwd",
        "sessionid",
    ] {
        assert!(is_secret_name(name), "{name}");
    }
    for name in
        ["page", "keyboard", "limit", "author", "postcode", "monkey", "designation", "encoding", "status"]
    {
        assert!(!is_secret_name(name), "{name}");
    }
}

/// A browser that opened the loopback's address keeps the secret, and sends it for whoever asks.
#[test]
fn pages_of_other_sites_ask_for_nothing() {
    let places = ["127.0.0.1:8080", "api.example"];
    for line in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "http://127.0.0.1:3000"),
        ("origin", "null"),
        ("origin", ""),
    ] {
        assert_eq!(check_origin(&headers(&[line]), &places), Err(HeadError::Foreign), "{line:?}");
    }
    let both = &[("origin", "https://API.example"), ("origin", "https://evil.example")];
    assert_eq!(check_origin(&headers(both), &places), Err(HeadError::Foreign));
    for lines in [
        &[][..],
        &[("origin", "https://API.example")],
        &[("origin", "http://127.0.0.1:8080"), ("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "none")],
    ] {
        assert_eq!(check_origin(&headers(lines), &places), Ok(()), "{lines:?}");
    }
}
