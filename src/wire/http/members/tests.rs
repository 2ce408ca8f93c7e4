#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;

fn named(names: &BTreeSet<String>, wanted: &[&str]) -> bool {
    wanted.iter().all(|name| names.contains(*name))
}

/// Go and .NET bind members whatever their case, Go even by what Unicode folds to a letter: `\u{17f}` is an `s` to it.
#[test]
fn members_are_found_however_they_are_cased() {
    let names =
        of_json("[{\"API_Key\":1},{\"pa\u{17f}\u{17f}word\":{\"inner\":1},\"to\u{212a}en\":2}]".as_bytes())
            .unwrap();
    assert!(named(&names, &["API_Key", "api_key", "password", "token"]), "{names:?}");
    assert!(!names.contains("inner"));
    assert!(of_json(b"{").is_err());
    assert!(of_json(b"\xff\xfe{\0}\0").is_err());
}

#[test]
fn another_charset_is_another_reading() {
    for (content_type, expected) in [
        ("application/json", true),
        ("application/json; charset=\"UTF-8\"; x=y", true),
        ("application/json;charset=utf-16", false),
        ("application/json; a=b; Charset = utf-7", false),
        ("application/json; charset=utf-8; charset=utf-16", false),
    ] {
        assert_eq!(is_utf8(content_type), expected, "{content_type}");
    }
}
