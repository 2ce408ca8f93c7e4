#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::sync::Arc;

use proptest::prelude::*;
use secrecy::SecretSlice;
use serde_json::{Value, json};

use super::fuzz::{all, mask};
use super::path::Selector;
use super::*;
use crate::domain::mask::{JsonPath, Mask};
use crate::domain::name::RuleName;

mod detectors;
mod evasions;
mod formats;

fn plan(rules: &[(&str, Mask)]) -> Arc<DocumentPlan> {
    plan_with(rules, KeyCase::Exact)
}

fn plan_with(rules: &[(&str, Mask)], case: KeyCase) -> Arc<DocumentPlan> {
    let rules: Vec<DocumentRule> = rules
        .iter()
        .map(|(path, mask)| DocumentRule {
            name: RuleName::new("rule").unwrap(),
            path: DocumentPath::new(path).unwrap(),
            mask: *mask,
        })
        .collect();
    let key = TokenKey::new(&SecretSlice::from(b"key".to_vec())).unwrap();
    Arc::new(DocumentPlan::new(&rules, case).unwrap().with_tokens(key))
}

/// The masked form, which is the same however the body is cut.
fn masked(media: &str, plan: &Arc<DocumentPlan>, body: &str) -> String {
    let whole = mask(media, plan, &[body.as_bytes()]).unwrap();
    for size in [1, 2, 3, 7] {
        let pieces: Vec<&[u8]> = body.as_bytes().chunks(size).collect();
        assert_eq!(mask(media, plan, &pieces).as_ref(), Ok(&whole), "in pieces of {size}");
    }
    String::from_utf8(whole).unwrap()
}

/// The refusal, which comes however the body is cut.
fn refused(media: &str, plan: &Arc<DocumentPlan>, body: &[u8]) -> Unmaskable {
    for size in [1, 2, 3] {
        let pieces: Vec<&[u8]> = body.chunks(size).collect();
        mask(media, plan, &pieces).expect_err("a refusal in pieces");
    }
    mask(media, plan, &[body]).expect_err("a refusal")
}

#[test]
fn what_is_not_protected_stays_byte_for_byte() {
    let plan = plan(&[("$..api_key", Mask::Full), ("$.user.ssn", Mask::Null)]);
    let body = " { \"a\" : [1,  2.50e+3, -0,\ttrue ,null,\"\\u00e9\\n/\\/\"],\r\n\"user\":{\"ssn\": \"1\" ,\"n\":\"é\"}, \
                \"api_key\":{\"x\":[1,{}]},\"b\":[{\"api_key\"  :  12}] } \n";
    let expected = " { \"a\" : [1,  2.50e+3, -0,\ttrue ,null,\"\\u00e9\\n/\\/\"],\r\n\"user\":{\"ssn\": null ,\"n\":\"é\"}, \
                \"api_key\":\"[masked]\",\"b\":[{\"api_key\"  :  \"[masked]\"}] } \n";
    assert_eq!(masked("application/json", &plan, body), expected);
}

#[test]
fn masks_are_those_of_sql() {
    let value = |mask, value: &str| {
        let body = format!("{{\"k\":{value}}}");
        let shown: Value =
            serde_json::from_str(&masked("application/json", &plan(&[("$.k", mask)]), &body)).unwrap();
        shown["k"].clone()
    };
    let partial = Mask::Partial { keep_last: 4 };
    assert_eq!(value(partial, "\"4111111111111111\""), "****1111");
    assert_eq!(value(partial, "\"abcd\""), "****cd");
    assert_eq!(value(partial, "\"a\""), "****");
    assert_eq!(value(partial, "\"gr\\u00fc\\ud83d\\ude00ße!\""), "****ße!");
    assert_eq!(value(partial, "12345678"), "[masked]");
    assert_eq!(value(partial, "null"), Value::Null);
    assert_eq!(value(Mask::Full, "null"), "[masked]");
    assert_eq!(value(Mask::Null, "[1]"), Value::Null);
    // printf %s value | openssl dgst -sha256 -hmac key
    assert_eq!(value(Mask::Token, "\"val\\u0075e\""), "tok_90fbfcf15e74a36b89dbdb2a721d9aec");
    assert_eq!(value(Mask::Token, "{}"), "[masked]");
    assert_eq!(
        value(Mask::Partial { keep_last: 65535 }, &format!("\"{}\"", "x".repeat(300_000))),
        format!("****{}", "x".repeat(65535))
    );
}

#[test]
fn the_strictest_of_several_masks_holds() {
    let plan = plan(&[("$.k", Mask::Partial { keep_last: 2 }), ("$..k", Mask::Null), ("$.*", Mask::Full)]);
    assert_eq!(masked("application/json", &plan, r#"{"k":"abcdef","j":1}"#), r#"{"k":null,"j":"[masked]"}"#);
}

#[test]
fn paths_of_columns_keep_their_meaning() {
    let path = DocumentPath::from(&JsonPath::new("$.steps.call.**.key").unwrap());
    let rule = DocumentRule { name: RuleName::new("rule").unwrap(), path, mask: Mask::Full };
    let plan = Arc::new(DocumentPlan::new(&[rule], KeyCase::Exact).unwrap());
    assert_eq!(
        masked("application/json", &plan, r#"[{"steps":[{"call":{"key":1,"in":[{"key":2}]},"key":3}]}]"#),
        r#"[{"steps":[{"call":{"key":"[masked]","in":[{"key":"[masked]"}]},"key":3}]}]"#
    );
}

#[test]
fn paths_that_cannot_be_decided_in_a_stream_are_refused() {
    for (path, error) in [
        ("$[?@.a]", PathError::Filter),
        ("$[-1]", PathError::FromTheEnd),
        ("$[::-1]", PathError::FromTheEnd),
        ("$[01]", PathError::Number),
        ("$[::0]", PathError::Number),
        ("$[9007199254740992]", PathError::Number),
        ("a", PathError::Root),
        ("$.", PathError::Segment),
        ("$.a ", PathError::Segment),
        ("$.['a']", PathError::Segment),
        ("$.1a", PathError::Segment),
        ("$.api-key", PathError::Segment),
        ("$[]", PathError::Segment),
        ("$['a]", PathError::Text),
        ("$['\\x']", PathError::Text),
        ("$[\"\\'\"]", PathError::Text),
    ] {
        assert_eq!(DocumentPath::new(path), Err(error), "{path}");
    }
    assert_eq!(DocumentPath::new(&format!("${}", ".a".repeat(33))), Err(PathError::Long));
    for path in
        ["$", "$.é_1", "$ [ 'a' , \"b\" ]", "$..[0]", "$[ 1 : 2 : 3 ]", "$[:]", "$['\\u0061\\'\"']", "$..*"]
    {
        assert!(DocumentPath::new(path).is_ok(), "{path}");
    }
}

proptest! {
    #[test]
    fn every_selected_value_is_masked_and_no_other(value in values(), path in paths(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let shown: Value = serde_json::from_str(&masked("application/json", &plan(&[(&path, Mask::Full)]), &text)).unwrap();
        let mut expected = value;
        oracle(&mut expected, DocumentPath::new(&path).unwrap().segments(), &mut Vec::new());
        prop_assert_eq!(shown, expected);
    }

    #[test]
    fn what_the_masker_takes_is_json(text in "[\\[\\]{}:,\"a0.e\\\\u-]{0,24}") {
        let plan = plan(&[]);
        let shown = mask("application/json", &plan, &[text.as_bytes()]);
        match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
            Ok(_) => prop_assert_eq!(shown, Ok(text.into_bytes())),
            Err(_) => prop_assert!(shown.is_err()),
        }
    }

    #[test]
    fn fuzz_bodies_return(data in proptest::collection::vec(any::<u8>(), 0..64)) {
        all(&data);
    }

    #[test]
    fn fuzz_bodies_return_on_likely_bytes(data in "[{}\\[\\]\",:\\\\\n\r a=&%4@.deyJAP0-]{0,64}") {
        all(data.as_bytes());
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i32>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        "[a-c\"\\\\\u{e9}\n]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-c]|\u{e9}\"", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn paths() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        "\\.[a-c]",
        "\\.\\.[a-c]",
        Just(".*".to_owned()),
        Just("..*".to_owned()),
        "\\[[0-2]\\]",
        "\\[[0-2]:\\]",
        "\\[:[0-3]:2\\]",
        "\\['[a-c]', *[0-1]\\]",
        "\\.\\.\\[[0-1], \"[a-c]\"\\]",
        Just("['\u{e9}\\u0022']".to_owned()),
    ];
    proptest::collection::vec(segment, 1..4).prop_map(|segments| format!("${}", segments.concat()))
}

/// Replaces what is selected, the plain way: every value's place is matched against the path.
fn oracle(value: &mut Value, segments: &[path::Segment], place: &mut Vec<Value>) {
    if selects(segments, place) {
        *value = json!("[masked]");
        return;
    }
    match value {
        Value::Array(elements) => {
            for (at, element) in elements.iter_mut().enumerate() {
                place.push(at.into());
                oracle(element, segments, place);
                place.pop();
            }
        }
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                place.push(name.as_str().into());
                oracle(member, segments, place);
                place.pop();
            }
        }
        _ => {}
    }
}

fn selects(segments: &[path::Segment], place: &[Value]) -> bool {
    let Some((segment, rest)) = segments.split_first() else { return place.is_empty() };
    let Some((step, below)) = place.split_first() else { return false };
    let fits = segment.selectors.iter().any(|selector| match (selector, step) {
        (Selector::Wildcard, _) => true,
        (Selector::Name(name), Value::String(step)) => name == step,
        (Selector::Slice { start, end, step: every }, Value::Number(at)) => {
            let at = at.as_u64().unwrap();
            at >= *start && at < *end && (at - start) % every == 0
        }
        _ => false,
    });
    (fits && selects(rest, below)) || (segment.descend && selects(segments, below))
}
