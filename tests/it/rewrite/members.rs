//! Members of documents are masked as it is defined, whichever of the ways through a document the database takes.
//!
//! The definition is written down here a second time, over `serde_json`, and compared on random documents.

use std::collections::BTreeSet;

use hoopctl::domain::mask::{ColumnPattern, JsonPath, Mask, MaskRule, MaskableColumn, Masker as _};
use hoopctl::domain::name::RuleName;
use hoopctl::mask::MaskPlan;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use serde_json::{Map, Value, json};

use crate::support::postgres::{Cluster, majors};

const DOCUMENTS: usize = 600;

/// Each is the paths of one column.
const PATHS: &[&[&str]] = &[
    &["$.a"],
    &["$.a.b"],
    &["$.a.b.c.d"],
    &["$.a[*].b", "$.c"],
    &["$.**.a"],
    &["$.**.a", "$.**.b"],
    &["$.a.b", "$.**.c", "$.d"],
    &["$.**.clé"],
];

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_masked_as_it_is_defined() {
    let mut dice = Pcg64Mcg::seed_from_u64(7);
    let mut documents: Vec<Value> = (0..DOCUMENTS).map(|_| document(&mut dice, 0)).collect();
    documents.extend([json!(null), json!([]), json!({}), json!("a"), json!([[]]), json!({"a": null})]);
    let texts: Vec<String> = documents.iter().map(Value::to_string).collect();
    for major in majors() {
        let cluster = Cluster::start(major);
        let admin = cluster.admin().await;
        for (paths, kind) in PATHS.iter().flat_map(|paths| [(paths, "jsonb"), (paths, "json")]) {
            let mask = expression(paths, kind).replacen("$1", &format!("d.v::{kind}"), 1);
            let query = format!(
                "SELECT ({mask})::text FROM unnest($1::text[]) WITH ORDINALITY AS d(v, n) ORDER BY n"
            );
            let rows = admin
                .query(&query, &[&texts])
                .await
                .unwrap_or_else(|error| panic!("{major} {paths:?}: {error:?}"));
            for (document, row) in documents.iter().zip(&rows) {
                let shown: Value = serde_json::from_str(row.get(0)).expect("a document");
                assert_eq!(
                    shown,
                    defined(document, paths),
                    "PostgreSQL {major}, {kind}, {paths:?}: {document}"
                );
            }
            let nothing = format!("SELECT ({mask})::text FROM (SELECT NULL::text AS v) AS d");
            assert_eq!(
                admin.query_one(&nothing, &[]).await.expect("a row").get::<_, Option<String>>(0),
                None
            );
        }
    }
}

fn expression(paths: &[&str], kind: &str) -> String {
    let rule = |path: &&str| MaskRule {
        name: RuleName::new("members").expect("a name"),
        column: ColumnPattern::new("public.t.c").expect("a pattern"),
        path: Some(JsonPath::new(path).expect("a path")),
        mask: Mask::Full,
        lifted_for: BTreeSet::new(),
    };
    let rules: Vec<MaskRule> = paths.iter().map(rule).collect();
    let column = MaskableColumn {
        schema: "public",
        table: "t",
        column: "c",
        type_schema: "pg_catalog",
        type_name: kind,
    };
    MaskPlan::new(&rules, &BTreeSet::new()).mask(&column).expect("a mask").expression
}

/// First along the paths without `**`, then anywhere.
fn defined(document: &Value, paths: &[&str]) -> Value {
    let (mut anywhere, mut masked) = (Vec::new(), document.clone());
    for path in paths {
        let keys = path.trim_start_matches("$.").replace("[*]", "");
        match keys.strip_prefix("**.") {
            Some(key) => anywhere.push(key.to_owned()),
            None => along(&mut masked, &keys.split('.').collect::<Vec<_>>()),
        }
    }
    everywhere(&mut masked, &anywhere);
    masked
}

/// An array on the way stands for each of its elements, and one in it is masked whole.
fn along(value: &mut Value, keys: &[&str]) {
    let Some((key, rest)) = keys.split_first() else { return };
    let step = |object: &mut Map<String, Value>| {
        if let Some(member) = object.get_mut(*key) {
            if rest.is_empty() { *member = json!("[masked]") } else { along(member, rest) }
        }
    };
    match value {
        Value::Object(object) => step(object),
        Value::Array(elements) => {
            for element in elements {
                match element {
                    Value::Object(object) => step(object),
                    Value::Array(_) => *element = json!("[masked]"),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

fn everywhere(value: &mut Value, keys: &[String]) {
    match value {
        Value::Object(object) => {
            for (key, member) in object {
                if keys.contains(key) { *member = json!("[masked]") } else { everywhere(member, keys) }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| everywhere(element, keys)),
        _ => {}
    }
}

fn document(dice: &mut Pcg64Mcg, depth: u32) -> Value {
    let kinds = if depth < 4 { 10 } else { 4 };
    match dice.random_range(0..kinds) {
        0 => json!(null),
        1 => json!(dice.next_u32()),
        2 => json!("[masked]"),
        3 => json!(["a", "b\"c", "é", ""][dice.random_range(0..4)]),
        4..7 => (0..dice.random_range(0..4)).map(|_| document(dice, depth + 1)).collect(),
        _ => {
            let keys = ["a", "b", "c", "d", "0", "clé", "e"];
            let member = |_| (keys[dice.random_range(0..keys.len())].to_owned(), document(dice, depth + 1));
            Value::Object((0..3).map(member).collect())
        }
    }
}
