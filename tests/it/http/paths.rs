//! Paths as another implementation of RFC 9535 reads them.

use std::process::Stdio;
use std::sync::Arc;

use bytes::BytesMut;
use hoopctl::domain::mask::Mask;
use hoopctl::domain::name::RuleName;
use hoopctl::mask::document::{BodyMasker, DocumentPath, DocumentPlan, DocumentRule, KeyCase, PathError};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::peers;

/// Reads documents and paths; for each path, `null` where it is none, or each document with what it selects replaced.
const PEER: &str = r#"
import copy, json, sys
from jsonpath_rfc9535 import JSONPathError, find
asked = json.load(sys.stdin)
def masked(path, document):
    shown = [copy.deepcopy(document)]
    places = sorted((node.location for node in find(path, document)), key=len, reverse=True)
    for place in places:
        at, last = shown, 0
        for step in place:
            at, last = at[last], step
        at[last] = '[masked]'
    return shown[0]
def answer(path):
    try:
        return [masked(path, document) for document in asked['documents']]
    except JSONPathError:
        return None
json.dump([answer(path) for path in asked['paths']], sys.stdout)
"#;

/// Spellings of every production of the grammar that can be decided in a stream, those that cannot, and those that are no
/// paths.
const PATHS: &[&str] = &[
    "$",
    "$.a",
    "$.a.b",
    "$['a']",
    "$[\"a\"]",
    "$['a','b']",
    "$[ 'a' , \"b\" ]",
    "$.*",
    "$[*]",
    "$..a",
    "$..*",
    "$..[*]",
    "$..[0]",
    "$..['a','k']",
    "$.a..b",
    "$..a..b",
    "$.a[*].b",
    "$.a[0]",
    "$.a[1]",
    "$.a[9]",
    "$.a[0:2]",
    "$.a[1:]",
    "$.a[:1]",
    "$.a[:]",
    "$.a[::2]",
    "$.a[1:9:3]",
    "$.a[0,0]",
    "$.a[0,2:]",
    "$.a[2:1]",
    "$ .a",
    "$\n.a",
    "$\t['a']",
    "$. a",
    "$.a ",
    " $.a",
    "$.\u{e9}",
    "$._1",
    "$.1a",
    "$.a-b",
    "$['\\u0061']",
    "$['\\u00e9']",
    "$['\u{1f600}']",
    "$['\\ud83d\\ude00']",
    "$['\\ud83d']",
    "$['\\ude00']",
    "$['\\'']",
    "$['\"']",
    "$[\"'\"]",
    "$[\"\\\"\"]",
    "$['\\\"']",
    "$[\"\\'\"]",
    "$['\\/']",
    "$['\\n']",
    "$['\\x']",
    "$['\n']",
    "$['']",
    "$[\"\"]",
    "$['a",
    "$[a]",
    "$[]",
    "$[,]",
    "$['a',]",
    "$[,'a']",
    "$['a''b']",
    "$.['a']",
    "$...a",
    "$..",
    "$.",
    "$.a.",
    "$a",
    "",
    "a",
    "@.a",
    "$$",
    "$[00]",
    "$[01]",
    "$[-0]",
    "$[1.0]",
    "$[1e1]",
    "$[+1]",
    "$[ 0 ]",
    "$[ 0 : 2 : 1 ]",
    "$[0:2:01]",
    "$[0:-0]",
    "$[9007199254740991]",
    "$[9007199254740992]",
    "$[*,0]",
    "$[*]a",
    "$.*.*",
    "$.*a",
    "$['*']",
    "$.a['b'].c",
    "$..['\u{e9}']",
    "$..a[0]",
    "$..a[0:1]",
    "$[0]['a']",
    "$[0].a",
    "$[1:].k",
    "$['\\u0000']",
    "$['\\b\\f\\r\\t']",
    "$[\"\\u000A\"]",
    "$[\"\\u000a\"]",
    "$.\u{3042}",
    "$.\u{7f}",
    "$['\u{7f}']",
    "$['a' ]['b' ]",
    "$ ['a'] [ 0 ]",
    "$.a [0]",
    "$.a\r\n[0]",
    "$[\u{a0}0]",
    "$[?@.a]",
    "$[?@.a>1].b",
    "$..[?@]",
    "$[-1]",
    "$[-2:]",
    "$[::-1]",
    "$[:-1]",
    "$[?count(@.*)>1]",
    "$[?1]",
];

#[tokio::test(flavor = "multi_thread")]
async fn paths_select_what_another_implementation_selects() {
    let documents = [
        json!({"a": [1, {"b": 2, "a": {"b": [3]}}, [4, 5]], "b": {"a": 1, "b": [{"a": 0}]}, "k": null}),
        json!([{"a": 1, "k": 2}, {"k": [1, 2, 3], "a": {"b": {"c": 4}}}, [[0, 1], [2, 3]], "x"]),
        json!({"\u{e9}": 1, "\u{1f600}": 2, "'": 3, "\"": 4, "/": 5, "\n": 6, "": 7, "*": 8, "\0": 9, "_1": {"\u{e9}": 1}, "\u{3042}": 1, "a-b": 2}),
        json!({"a": {"b": {"c": 1, "a": {"b": 2}}}, "\u{8}\u{c}\r\t": 1, "\u{7f}": 2}),
        json!("text"),
        json!([]),
    ];
    let python = peers::place().join("python/bin/python");
    let mut peer = tokio::process::Command::new(python)
        .args(["-c", PEER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the other implementation runs");
    let asked = json!({"paths": PATHS, "documents": documents}).to_string();
    peer.stdin.take().expect("a pipe").write_all(asked.as_bytes()).await.expect("it listens");
    let output = peer.wait_with_output().await.expect("it ends");
    let told: Vec<Option<Vec<Value>>> = serde_json::from_slice(&output.stdout).expect("its answer");
    let (mut both, mut neither) = (0, 0);
    for (path, told) in PATHS.iter().zip(told) {
        match (DocumentPath::new(path), told) {
            (Ok(read), Some(told)) => {
                both += 1;
                for (document, told) in documents.iter().zip(told) {
                    assert_eq!(masked(&read, document), told, "{path} in {document}");
                }
            }
            // what needs the whole document is refused when it is configured
            (Err(PathError::Filter | PathError::FromTheEnd), _) => {}
            (Err(_), None) => neither += 1,
            (ours, theirs) => {
                panic!("{path:?}: {ours:?}, but {}", if theirs.is_some() { "a path" } else { "none" })
            }
        }
    }
    assert!(both > 60 && neither > 30, "{both} paths, {neither} that are none");
}

fn masked(path: &DocumentPath, document: &Value) -> Value {
    let rule =
        DocumentRule { name: RuleName::new("rule").expect("a name"), path: path.clone(), mask: Mask::Full };
    let plan = Arc::new(DocumentPlan::new(&[rule], KeyCase::Exact).expect("a plan"));
    let mut masker = BodyMasker::new(Some("application/json"), &plan).expect("a masker");
    let mut out = BytesMut::new();
    masker.feed(document.to_string().as_bytes(), &mut out).expect("JSON");
    masker.finish(&mut out).expect("JSON");
    serde_json::from_slice(&out).expect("JSON")
}
