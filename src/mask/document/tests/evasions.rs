//! Bodies that try to show a protected value, or to be read differently by somebody else.

use super::*;

fn keys() -> Arc<DocumentPlan> {
    plan(&[("$..api_key", Mask::Full)])
}

#[test]
fn names_are_found_however_they_are_written() {
    for (body, shown) in [
        (r#"{"api\u005fkey":"s"}"#, r#"{"api\u005fkey":"[masked]"}"#),
        (r#"{"\u0061\u0070\u0069_key":"s"}"#, r#"{"\u0061\u0070\u0069_key":"[masked]"}"#),
        (r#"{"api_key":1,"api_key":"s"}"#, r#"{"api_key":"[masked]","api_key":"[masked]"}"#),
        (r#"{"a":{"api_key":"x\"}"},"b":2}"#, r#"{"a":{"api_key":"[masked]"},"b":2}"#),
        (r#"{"api_key":[{"api_key":1},"]"]}"#, r#"{"api_key":"[masked]"}"#),
        (r#"{"api_key":-1.5e9}"#, r#"{"api_key":"[masked]"}"#),
        (r#"{"api_key_":"s","pi_key":"s","":"s"}"#, r#"{"api_key_":"s","pi_key":"s","":"s"}"#),
        (r#"{"x":"\"api_key\":\"s\""}"#, r#"{"x":"\"api_key\":\"s\""}"#),
    ] {
        assert_eq!(masked("application/json", &keys(), body), shown);
    }
    assert_eq!(masked("application/json", &plan(&[("$", Mask::Null)]), "12"), "null");
    let slash = plan(&[("$['a/\\n']", Mask::Full)]);
    assert_eq!(masked("application/json", &slash, r#"{"a\/\n":1}"#), r#"{"a\/\n":"[masked]"}"#);
    let emoji = plan(&[("$['\u{1f600}']", Mask::Full)]);
    assert_eq!(masked("application/json", &emoji, r#"{"\ud83d\ude00":1}"#), r#"{"\ud83d\ude00":"[masked]"}"#);
}

#[test]
fn case_counts_only_where_asked() {
    let body = r#"{"API_Key":"s"}"#;
    assert_eq!(masked("application/json", &keys(), body), body);
    let ignoring = plan_with(&[("$..api_key", Mask::Full)], KeyCase::Ignore);
    assert_eq!(masked("application/json", &ignoring, body), r#"{"API_Key":"[masked]"}"#);
}

#[test]
fn what_readers_disagree_about_is_refused() {
    let deep = "[".repeat(129);
    let bodies: &[&[u8]] = &[
        b"",
        b"  ",
        b"\xef\xbb\xbf{}",
        b"{\"a\":\"\xff\"}",
        b"{\"a\":\"\xc0\xaf\"}",
        b"{\"a\":\"\xed\xa0\x80\"}",
        b"{\"a\":\"\xc3",
        b"{} {}",
        b"{}x",
        b"{}\0",
        b"{\"a\":1,}",
        b"[1,]",
        b"[1 2]",
        b"{'a':1}",
        b"{a:1}",
        b"{\"a\"1}",
        b"{\"a\":}",
        b"{\"a\":1",
        b"[1}",
        b"{\"a\":1]",
        b"]",
        b"01",
        b"1.",
        b".5",
        b"+1",
        b"-",
        b"1e",
        b"0x10",
        b"NaN",
        b"Infinity",
        b"tru",
        b"truex",
        b"nul",
        b"\"a\nb\"",
        b"\"\\x41\"",
        b"\"\\u12\"",
        b"\"\\u12g4\"",
        b"\"\\ud800\"",
        b"\"\\udc00\"",
        b"\"\\ud800\\u0041\"",
        b"\"\\ud800x\"",
        b"/**/{}",
        b"{}//",
        b"\x0b{}",
        b"\xa0{}",
        deep.as_bytes(),
    ];
    for body in bodies {
        let error = refused("application/json", &keys(), body);
        assert!(!matches!(error, Unmaskable::Broken), "{error}");
    }
    let nested = format!("{}{}", "[".repeat(128), "]".repeat(128));
    assert_eq!(masked("application/json", &keys(), &nested), nested);
    assert_eq!(refused("application/json", &keys(), deep.as_bytes()), Unmaskable::Limit("nesting"));
}

#[test]
fn nothing_comes_after_a_refusal() {
    let mut masker = BodyMasker::new(Some("application/json"), &keys()).unwrap();
    let mut out = BytesMut::new();
    assert!(masker.feed(b"[}", &mut out).is_err());
    assert_eq!(masker.feed(b"\"secret\"", &mut out), Err(Unmaskable::Broken));
    assert_eq!(masker.finish(&mut out), Err(Unmaskable::Broken));
    assert!(!out.windows(6).any(|window| window == b"secret"));
}

#[test]
fn numbers_of_any_size_keep_their_digits() {
    let digits = "9".repeat(100_000);
    let body = format!("[{digits},-{digits}.{digits}e-{digits}]");
    assert_eq!(masked("application/json", &keys(), &body), body);
}

#[test]
fn media_types_that_are_not_handled_are_refused() {
    for media in [
        None,
        Some(""),
        Some("application/octet-stream"),
        Some("text/html"),
        Some("multipart/form-data; boundary=x"),
        Some("application/json; charset=utf-16"),
        Some("application/json; x"),
        Some("application/xml"),
        Some("application/grpc"),
    ] {
        assert_eq!(BodyMasker::new(media, &keys()).err(), Some(Unmaskable::MediaType), "{media:?}");
    }
    for media in [
        "application/json",
        "Application/JSON ; charset=\"UTF-8\"",
        "application/problem+json",
        "application/graphql-response+json",
    ] {
        assert!(matches!(BodyMasker::new(Some(media), &keys()), Ok(BodyMasker::Json(_))), "{media}");
    }
}
