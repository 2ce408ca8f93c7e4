#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use serde_json::{Value, json};

use super::*;
use crate::domain::item::{ItemStep, Reach};
use crate::domain::name::RuleName;
use crate::mask::document::{DocumentPath, DocumentRule};

fn plan(rules: &[(&str, Mask)]) -> Arc<DocumentPlan> {
    let rules: Vec<DocumentRule> = rules
        .iter()
        .map(|(path, mask)| DocumentRule {
            name: RuleName::new("rule").unwrap(),
            path: DocumentPath::new(path).unwrap(),
            mask: *mask,
        })
        .collect();
    Arc::new(DocumentPlan::new(&rules, KeyCase::Exact).unwrap())
}

fn masked(plan: &Arc<DocumentPlan>, answer: &Value) -> Result<Value, Unmaskable> {
    let mut masker = ItemMasker::new(Arc::clone(plan));
    for piece in answer.to_string().as_bytes().chunks(7) {
        masker.feed(piece)?;
    }
    let mut out = BytesMut::new();
    masker.finish(&mut out)?;
    Ok(serde_json::from_slice(&out).unwrap())
}

#[test]
fn paths_of_items_bind_in_every_answer() {
    let plan = plan(&[("$.api_key", Mask::Full), ("$.steps[*].api_key", Mask::Full)]);
    let secret = json!({"id": {"S": "1"}, "api_key": {"S": "sk"}, "n": {"N": "1"}, "steps": {"L": [
        {"M": {"api_key": {"S": "sk"}, "name": {"S": "a"}}}, {"S": "b"},
    ]}});
    let hidden = json!({"id": {"S": "1"}, "api_key": {"S": "[masked]"}, "n": {"N": "1"}, "steps": {"L": [
        {"M": {"api_key": {"S": "[masked]"}, "name": {"S": "a"}}}, {"S": "b"},
    ]}});
    // a table may have the name of a member
    let answers = |item: &Value| {
        [
            json!({"Item": item}),
            json!({"Items": [item, item], "Count": 2, "ScannedCount": 2, "LastEvaluatedKey": item}),
            json!({"Attributes": item, "ConsumedCapacity": {"TableName": "Item", "CapacityUnits": 0.5}}),
            json!({"Responses": {"Item": [item], "t": [item]}, "UnprocessedKeys": {"Keys": {"Keys": [item]}}}),
            json!({"Responses": [{"Item": item}, {}]}),
            json!({"UnprocessedItems": {"t": [{"PutRequest": {"Item": item}}, {"DeleteRequest": {"Key": item}}]}}),
            json!({"ItemCollectionMetrics": {"ItemCollectionKey": item, "SizeEstimateRangeGB": [0.0, 1.0]}}),
            json!({"ItemCollectionMetrics": {"ItemCollectionKey": [{"ItemCollectionKey": item, "SizeEstimateRangeGB": [0.0, 1.0]}]}}),
            json!({"__type": "x#TransactionCanceledException", "CancellationReasons": [{"Code": "None"}, {"Item": item}]}),
            json!({"__type": "x#ConditionalCheckFailedException", "message": "m", "Item": item}),
        ]
    };
    for (answer, expected) in answers(&secret).iter().zip(answers(&hidden)) {
        assert_eq!(masked(&plan, answer), Ok(expected), "{answer}");
    }
}

#[test]
fn types_are_no_names_and_names_are_no_types() {
    let plan = plan(&[("$..S", Mask::Full), ("$.M.L", Mask::Null)]);
    let item = json!({"a": {"S": "x"}, "S": {"S": "x"}, "M": {"M": {"L": {"L": []}, "S": {"N": "1"}, "b": {"S": "y"}}}});
    let shown = json!({"a": {"S": "x"}, "S": {"S": "[masked]"}, "M": {"M": {"L": {"NULL": true}, "S": {"S": "[masked]"}, "b": {"S": "y"}}}});
    assert_eq!(masked(&plan, &json!({"Item": item})), Ok(json!({"Item": shown})));
}

#[test]
fn what_stands_for_a_value_is_a_value() {
    let rules = [
        ("$.full", Mask::Full),
        ("$.null", Mask::Null),
        ("$.part", Mask::Partial { keep_last: 2 }),
        ("$.number", Mask::Partial { keep_last: 2 }),
        ("$.absent", Mask::Partial { keep_last: 2 }),
        ("$.map", Mask::Full),
        ("$.set", Mask::Full),
    ];
    let item = json!({
        "full": {"S": "x"}, "null": {"S": "x"}, "part": {"S": "0123456789"}, "number": {"N": "0123456789"},
        "absent": {"NULL": true}, "map": {"M": {"a": {"S": "x"}}}, "set": {"SS": ["x"]},
    });
    let shown = json!({
        "full": {"S": "[masked]"}, "null": {"NULL": true}, "part": {"S": "****89"}, "number": {"S": "[masked]"},
        "absent": {"NULL": true}, "map": {"S": "[masked]"}, "set": {"S": "[masked]"},
    });
    assert_eq!(masked(&plan(&rules), &json!({"Item": item})), Ok(json!({"Item": shown})));
    let all = masked(&plan(&[("$", Mask::Full)]), &json!({"Item": {"a": {"N": "1"}}}));
    assert_eq!(all, Ok(json!({"Item": {"a": {"S": "[masked]"}}})));
}

#[test]
fn json_in_a_text_is_masked_inside() {
    let plan = plan(&[("$..api_key", Mask::Full)]);
    let shown = |text: &str| {
        masked(&plan, &json!({"Item": {"doc": {"S": text}}})).unwrap()["Item"]["doc"]["S"].clone()
    };
    assert_eq!(shown(r#"{"a": 1.50, "api_key": "sk"}"#), r#"{"a": 1.50, "api_key": "[masked]"}"#);
    assert_eq!(shown("{\"api_key\": 1}\n{\"b\": 2}\n"), "{\"api_key\": \"[masked]\"}\n{\"b\": 2}\n");
    // neither, but with the name in it
    assert_eq!(shown(r#"{"api_key": "sk",}"#), "[masked]");
    assert_eq!(shown("{name} is the api"), "{name} is the api");
    assert_eq!(shown("the api_key is secret"), "the api_key is secret");
}

#[test]
fn what_has_not_the_form_is_refused() {
    let plan = plan(&[("$.k", Mask::Full)]);
    let refused = |answer: &str| {
        let mut masker = ItemMasker::new(Arc::clone(&plan));
        masker.feed(answer.as_bytes()).unwrap();
        masker.finish(&mut BytesMut::new()).unwrap_err();
    };
    for answer in [
        r#"{"Item": {"a": {"S": "x", "S": "y"}}}"#,
        r#"{"Item": {"a": {"X": "x"}}}"#,
        r#"{"Item": {"a": {}}}"#,
        r#"{"Item": {"a": "x"}}"#,
        r#"{"Item": {"a": {"M": [{"S": "x"}]}}}"#,
        r#"{"Item": {"a": {"S": {"k": "x"}}}}"#,
        r#"{"Item": [{"k": {"S": "x"}}]}"#,
        r#"{"Found": {"k": {"S": "x"}}}"#,
        r#"{"Responses": {"t": {"k": {"S": "x"}}}}"#,
        r#"[{"k": {"S": "x"}}]"#,
        r#"{"Item": {}} {}"#,
        r#"{"Item": {"#,
    ] {
        refused(answer);
    }
}

#[test]
fn a_place_lies_within_above_or_clear() {
    let indexed = plan(&[("$.a.b[0].c", Mask::Full)]);
    let name = |name: &str| ItemStep::Name(name.into());
    let reach = |path: &[ItemStep]| indexed.reach(path);
    assert_eq!(reach(&[name("x")]), Reach::Clear);
    assert_eq!(reach(&[name("a")]), Reach::Above);
    assert_eq!(reach(&[name("a"), name("b"), ItemStep::Index(1)]), Reach::Clear);
    assert_eq!(reach(&[name("a"), name("b"), ItemStep::Index(0), name("c")]), Reach::Within);
    assert_eq!(reach(&[name("a"), name("b"), ItemStep::Index(0), name("c"), name("d")]), Reach::Within);
    let anywhere = plan(&[("$..k", Mask::Full)]);
    assert_eq!(anywhere.reach(&[name("a")]), Reach::Above);
    assert_eq!(anywhere.reach(&[name("a"), name("k")]), Reach::Within);
}

#[test]
fn a_list_is_protected_by_place_unless_all_of_it_or_its_beginning_is() {
    let name = |name: &str| ItemStep::Name(name.into());
    for (path, expected) in [
        ("$.steps[3].k", true),
        ("$.steps[1:].k", true),
        ("$.steps[::2].k", true),
        ("$..[2].k", true),
        ("$.steps[*].k", false),
        ("$.steps[0].k", false),
        ("$.steps[:4]", false),
        ("$..k", false),
        ("$.other[3]", false),
    ] {
        let plan = plan(&[(path, Mask::Full)]);
        assert_eq!(plan.protects_by_place(&[name("steps")]), expected, "{path}");
    }
    let nested = plan(&[("$.a[*].b[3]", Mask::Full)]);
    assert!(nested.protects_by_place(&[name("a"), ItemStep::Index(7), name("b")]));
    assert!(!nested.protects_by_place(&[name("a")]));
}
