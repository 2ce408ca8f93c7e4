#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use proptest::prelude::*;

use super::*;

fn path(text: &str) -> Result<String, TargetError> {
    Resource::parse(text, PathPolicy::default()).map(|resource| resource.path().to_owned())
}

#[test]
fn every_spelling_of_a_path_becomes_one() {
    for (text, normal) in [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/./b/", "/a/b/"),
        ("//a///b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/../../a", "/a"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/.", "/a/"),
        ("/a//../b", "/b"),
        ("/a/..;/b", "/b"),
        ("/a/..;x=1/b", "/b"),
        ("/a;v=1/b;w", "/a/b"),
        ("/;/a", "/a"),
        ("/%61%7e%2D%5f", "/a~-_"),
        ("/traces%3Aexport", "/traces:export"),
        ("/%40%2c%3d%24%21%27%28%29%2A%26", "/@,=$!'()*&"),
        ("/a%2bb+c", "/a%2Bb+c"),
        ("/a:b@c", "/a:b@c"),
        ("/a{b}\"", "/a%7Bb%7D%22"),
        ("/%c3%a9", "/%C3%A9"),
        ("/100%25", "/100%25"),
        ("/.../a", "/.../a"),
        ("/a?b/../c", "/a"),
    ] {
        assert_eq!(path(text).as_deref(), Ok(normal), "{text}");
    }
}

#[test]
fn what_servers_read_differently_is_refused() {
    for (text, error) in [
        ("/a%2fb", TargetError::EncodedSlash),
        ("/a%5cb", TargetError::Disguise),
        ("/a\\b", TargetError::Disguise),
        ("/..%3b/a", TargetError::Disguise),
        ("/v1/secrets%3Bx", TargetError::Disguise),
        ("/a%00", TargetError::Character),
        ("/a%0d%0ab", TargetError::Character),
        ("/a\0", TargetError::Character),
        ("/a b", TargetError::Character),
        ("/a\u{e9}", TargetError::Character),
        ("/a#b", TargetError::Character),
        ("/a?b\r\nc", TargetError::Character),
        ("/%c2%85", TargetError::Character),
        ("/%252e%252e/a", TargetError::EncodedPercent),
        ("/%25%32%65", TargetError::EncodedPercent),
        ("/%", TargetError::Percent),
        ("/%2", TargetError::Percent),
        ("/%u002f", TargetError::Percent),
        ("/%c0%ae%c0%ae/a", TargetError::Utf8),
        ("/%e0%80%af", TargetError::Utf8),
        ("/%ff", TargetError::Utf8),
        ("/a%ef%bc%8fb", TargetError::Disguise),
        ("/%e2%80%a5/a", TargetError::Disguise),
    ] {
        assert_eq!(path(text), Err(error), "{text}");
    }
    let keep = PathPolicy {
        encoded_slash: Ambiguous::Keep,
        encoded_percent: Ambiguous::Keep,
        ..PathPolicy::default()
    };
    assert_eq!(Resource::parse("/a%2fb/%2541", keep).unwrap().path(), "/a%2Fb/%2541");
    assert_eq!(Resource::parse("/a/x%2f..%2fb", keep), Err(TargetError::Disguise));
    let strict = PathPolicy { parameters: Parameters::Refuse, ..PathPolicy::default() };
    assert_eq!(Resource::parse("/a;b", strict), Err(TargetError::Parameters));
    assert_eq!(path(&format!("/{}", "a".repeat(20_000))), Err(TargetError::Long));
}

#[test]
fn forms_fit_their_methods() {
    let parse = |method, text| RequestTarget::parse(method, text, PathPolicy::default());
    assert_eq!(parse("OPTIONS", "*"), Ok(RequestTarget::Asterisk));
    assert_eq!(parse("GET", "*"), Err(TargetError::Form));
    assert_eq!(parse("CONNECT", "Host:443"), Ok(RequestTarget::Authority("host:443".into())));
    assert_eq!(parse("CONNECT", "/"), Err(TargetError::Authority));
    let Ok(RequestTarget::Absolute { scheme, authority, resource }) = parse("GET", "HTTP://Host:80/a/../b?c")
    else {
        panic!("an absolute form");
    };
    assert_eq!((scheme.as_str(), authority.as_str()), ("http", "host:80"));
    assert_eq!(resource.to_string(), "/b?c");
    assert_eq!(parse("GET", "http://host?c").unwrap().resource().unwrap().to_string(), "/?c");
    for text in ["ftp://host/", "host/a", "", "?a", "http:/a"] {
        assert_eq!(parse("GET", text), Err(TargetError::Form), "{text}");
    }
    for text in ["http://user@host/", "http://user:pw@host/", "http:///a", "http://h%6fst/", "http://a\\b/"] {
        assert_eq!(parse("GET", text), Err(TargetError::Authority), "{text}");
    }
}

#[test]
fn names_in_queries_are_found_in_both_readings() {
    let resource = Resource::parse("/?a=1;limit=9&%62+c=2&&d", PathPolicy::default()).unwrap();
    assert_eq!(resource.names().into_iter().collect::<Vec<_>>(), ["a", "b c", "d", "limit"]);
    let resource = Resource::parse("/?Dry_Run=1;FORCE", PathPolicy::default()).unwrap();
    assert_eq!(resource.names().into_iter().collect::<Vec<_>>(), ["Dry_Run", "FORCE", "dry_run", "force"]);
    let resource = Resource::parse("/?a=1;limit=9&%62+c=2&&d", PathPolicy::default()).unwrap();
    assert_eq!(resource.fields().next(), Some(("a".into(), "1;limit=9".into())));
}

proptest! {
    #[test]
    fn a_normal_path_is_its_own(text in "/(%2[eEfF5]|%3[bB]|%5[cC]|%25|%41|[./;a%]|\\.\\.|//){0,12}", keep in any::<bool>()) {
        let ambiguous = if keep { Ambiguous::Keep } else { Ambiguous::Refuse };
        let policy = PathPolicy { encoded_slash: ambiguous, encoded_percent: ambiguous, parameters: Parameters::Strip };
        if let Ok(once) = Resource::parse(&text, policy) {
            prop_assert_eq!(Resource::parse(&once.to_string(), policy), Ok(once.clone()));
            let path = once.path();
            prop_assert!(path.starts_with('/') && !path.contains("//") && !path.contains(';'), "{}", path);
            prop_assert!(path.split('/').all(|segment| segment != "." && segment != ".."), "{}", path);
        }
    }
}
