//! AWS's own crate and this verifier agree, and what is changed is refused.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::wire::aws::sigv4::query::encode;

const NOW: &str = "2026-11-21T12:00:00Z";

fn text() -> impl Strategy<Value = String> {
    let odd = select(vec![
        "", ".", "..", "a b", "+", "%2F", "~", "ü", "日本", "%41", "!'()*", ":@,;=$", "\n", "\\", "\u{0}",
    ]);
    prop_oneof![odd.prop_map(str::to_owned), any::<String>().prop_map(|text| text.chars().take(12).collect())]
}

fn target() -> impl Strategy<Value = String> {
    let path = prop::collection::vec(text(), 1..5);
    let query = prop::collection::vec((text(), prop::option::of(text())), 0..5);
    (path, query).prop_map(|(path, query)| {
        let path: Vec<String> = path.iter().map(|segment| encode(segment)).collect();
        let query: Vec<String> = query
            .iter()
            .filter(|(name, _)| !matches!(name.to_ascii_lowercase().as_str(), "signature" | "awsaccesskeyid"))
            .map(|(name, value)| match value {
                Some(value) => format!("{}={}", encode(name), encode(value)),
                None => encode(name),
            })
            .collect();
        format!("/{}?{}", path.join("/"), query.join("&"))
    })
}

fn request() -> impl Strategy<Value = Parts> {
    let values = prop::collection::vec("[ -~]{0,20}", 0..4);
    (select(vec!["GET", "PUT", "DELETE"]), target(), values).prop_map(|(method, target, values)| {
        let headers: Vec<(&str, &str)> = values.iter().map(|value| ("x-amz-meta-a", value.trim())).collect();
        head(method, &target, &headers)
    })
}

proptest! {
    #[test]
    fn what_the_crate_signs_is_accepted(parts in request(), service in select(vec!["s3", "dynamodb"])) {
        let parts = signed(parts, service, at(NOW), Payload::Hash(hash(b"")));
        let verified = accepted(&parts, at(NOW));
        prop_assert!(verified.is_ok(), "{:?}: {verified:?}", parts.uri);
    }

    #[test]
    fn what_is_released_and_signed_anew_is_accepted_and_stays(parts in request()) {
        let mut parts = signed(parts, "s3", at(NOW), Payload::Unsigned);
        let query = accepted(&parts, at(NOW)).unwrap().release(&mut parts).unwrap();
        let before = (parts.method.clone(), parts.uri.clone());
        let mut parts = signed(parts, "s3", at(NOW), Payload::Unsigned);
        let again = accepted(&parts, at(NOW)).unwrap().release(&mut parts).unwrap();
        prop_assert_eq!((parts.method, parts.uri), before);
        prop_assert_eq!(query, again);
    }

    #[test]
    fn one_changed_byte_is_refused(parts in request(), place in any::<prop::sample::Index>(), byte in 0x21..0x7f_u8) {
        let parts = signed(parts, "s3", at(NOW), Payload::Unsigned);
        let mut changed = parts.uri.to_string().into_bytes();
        let place = place.index(changed.len());
        changed[place] = byte;
        let Ok(uri) = String::from_utf8(changed).unwrap().parse::<http::Uri>() else { return Ok(()) };
        let mut other = Request::new(()).into_parts().0;
        (other.method, other.uri, other.headers) = (parts.method.clone(), uri, parts.headers.clone());
        if let Ok(verified) = accepted(&other, at(NOW)) {
            // then it was another spelling of the same
            let mut parts = parts;
            verified.release(&mut other).unwrap();
            accepted(&parts, at(NOW)).unwrap().release(&mut parts).unwrap();
            let sorted = |uri: &http::Uri| {
                let query = crate::wire::aws::sigv4::Query::parse(uri.query()).unwrap();
                (uri.path().to_owned(), query.canonical())
            };
            prop_assert_eq!(sorted(&other.uri), sorted(&parts.uri));
        }
    }

    #[test]
    fn any_bytes_are_answered(data in prop::collection::vec(any::<u8>(), 0..200)) {
        crate::wire::aws::fuzz::signatures::all(&data);
    }

    #[test]
    fn any_head_is_answered(lines in prop::collection::vec("[a-zA-Z0-9:;,/=%&?. -]{0,60}", 0..6)) {
        crate::wire::aws::fuzz::signatures::all(format!("GET /{}", lines.join("\n")).as_bytes());
    }
}
