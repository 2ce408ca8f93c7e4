#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use base64::prelude::BASE64_STANDARD_NO_PAD;
use proptest::prelude::*;

use super::*;

const SECRET: &str = "s3cr&t/K\"y<\u{e9}>='+x 7";

fn redactor(secret: &str) -> Redactor {
    Redactor::new(&[SecretString::from(secret)]).unwrap()
}

fn redacted(redactor: &Redactor, text: &[u8], size: usize) -> Vec<u8> {
    let (mut body, mut out) = (redactor.body(), BytesMut::new());
    for piece in text.chunks(size) {
        body.feed(piece, &mut out);
    }
    body.finish(&mut out);
    out.to_vec()
}

#[test]
fn a_secret_is_found_in_every_form() {
    let percent: String = SECRET.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let hexed: String = SECRET.bytes().map(|byte| format!("{byte:02X}")).collect();
    for form in [
        SECRET.to_owned(),
        SECRET.to_uppercase().replace('\u{c9}', "\u{e9}"),
        serde_json::to_string(SECRET).unwrap(),
        serde_json::to_string(SECRET).unwrap().replace('/', "\\/"),
        r#"s3cr\u0026t/K\"y\u003c\u00e9\u003e\u003d\u0027+x 7"#.replace("\\\"", "\\u0022").replace(' ', "\\u0020"),
        percent,
        hexed,
        percent_encoding::utf8_percent_encode(SECRET, percent_encoding::NON_ALPHANUMERIC).to_string(),
        "s3cr%26t%2FK%22y%3C%C3%A9%3E%3D%27%2Bx+7".to_owned(),
        "s3cr&amp;t/K&quot;y&lt;\u{e9}&gt;=&#39;+x 7".to_owned(),
    ] {
        let text = format!("before {form} after");
        for size in [1, 5, 1000] {
            let shown = String::from_utf8(redacted(&redactor(SECRET), text.as_bytes(), size)).unwrap();
            assert!(shown.contains("[redacted]"), "{form}");
            assert!(!shown.contains("s3cr") && !shown.contains("K\""), "{shown}");
        }
    }
}

#[test]
fn a_secret_in_utf_16_is_found() {
    for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
        let text: Vec<u8> = format!("<{SECRET}>").encode_utf16().flat_map(bytes).collect();
        for size in [1, 1000] {
            let shown = redacted(&redactor(SECRET), &text, size);
            assert!(shown.windows(10).any(|part| part == b"[redacted]"), "{shown:?}");
            assert!(!shown.windows(3).any(|part| part == b"s\x003"), "{shown:?}");
        }
    }
}

#[test]
fn base64_is_found_wherever_it_is_cut() {
    for before in ["", "u", "us", "user:", "alice:"] {
        for after in ["", "x", "xy"] {
            let text = format!("{before}{SECRET}{after}");
            for encoded in [
                BASE64_STANDARD.encode(&text),
                BASE64_STANDARD_NO_PAD.encode(&text),
                BASE64_URL_SAFE.encode(&text),
            ] {
                let shown = redacted(&redactor(SECRET), encoded.as_bytes(), 3);
                let shown = String::from_utf8(shown).unwrap();
                // at either end one character is left that holds some bits of the secret, and there is padding
                let left = shown.len() - "[redacted]".len();
                assert!(shown.contains("[redacted]"), "{encoded} {shown}");
                assert!(left <= (before.len() + after.len()).div_ceil(3) * 4 + 3, "{encoded} {shown}");
            }
        }
    }
}

#[test]
fn little_is_held_back() {
    let (mut body, mut out) = (redactor("abcdefgh").body(), BytesMut::new());
    body.feed(b"data: x\n\n", &mut out);
    assert_eq!(out, &b"data: x\n\n"[..]);
    body.feed(b"data: abc", &mut out);
    assert_eq!(out, &b"data: x\n\ndata: "[..]);
    body.feed(b"def!", &mut out);
    assert_eq!(out, &b"data: x\n\ndata: abcdef!"[..]);
    assert_eq!(body.found(), 0);
}

#[test]
fn headers_are_redacted() {
    let redactor = redactor("abcdefgh");
    let value = HeaderValue::from_static("https://elsewhere.example/?key=abcdefgh");
    assert_eq!(redactor.header(&value).unwrap(), "https://elsewhere.example/?key=[redacted]");
    assert_eq!(redactor.header(&HeaderValue::from_static("a")), None);
    assert_eq!(Redactor::new(&[]).unwrap().text(b"abc"), None);
}

#[test]
fn short_and_several_secrets() {
    let redactor = Redactor::new(
        &["ab".into(), "abcdefgh".into(), "".into()].map(|text: String| SecretString::from(text)),
    )
    .unwrap();
    assert_eq!(redacted(&redactor, b"ab abcdefgh abcd", 1), b"[redacted] [redacted] [redacted]cd");
    assert!(Redactor::new(&[SecretString::from("x".repeat(20_000))]).is_err());
}

proptest! {
    #[test]
    fn the_cut_changes_nothing(text in "(abcdefgh|abcd|efgh|YWJjZGVmZ2g|6162636465666768|[abcd%]){0,12}", size in 1usize..9) {
        let redactor = redactor("abcdefgh");
        let whole = redacted(&redactor, text.as_bytes(), usize::MAX);
        prop_assert_eq!(&redacted(&redactor, text.as_bytes(), size), &whole);
        prop_assert!(!whole.windows(8).any(|window| window.eq_ignore_ascii_case(b"abcdefgh")));
        prop_assert_eq!(redactor.text(text.as_bytes()).unwrap_or_else(|| text.into_bytes()), whole);
    }
}
