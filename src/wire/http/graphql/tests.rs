#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use proptest::prelude::*;

use super::*;
use crate::wire::http::target::PathPolicy;

fn fields(document: &str) -> Vec<String> {
    of_document(document).unwrap().fields.into_iter().collect()
}

fn error(body: &str) -> GraphqlError {
    of_body(body.as_bytes()).expect_err(body)
}

#[test]
fn fields_are_named_by_their_own_names() {
    let document = "query Q($id: ID!) { t: trace(id: $id) @include(if: true) { id ...F ... on Step { key: apiKey } same: same } } \
                    fragment F on Trace { steps { ...G } } fragment G on Step { apiKey(x: {y: [1, \"}\"]}) }";
    let facts = of_document(document).unwrap();
    assert_eq!((facts.kind, facts.name.as_deref()), (GraphqlKind::Query, Some("Q")));
    let expected = ["trace", "trace.apiKey", "trace.id", "trace.same", "trace.steps", "trace.steps.apiKey"];
    assert_eq!(facts.fields.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(facts.renamed.into_iter().collect::<Vec<_>>(), ["apiKey", "trace"]);
    assert_eq!(fields("{ a # b\n, c }"), ["a", "c"]);
    assert_eq!(of_document("mutation { a }").unwrap().kind, GraphqlKind::Mutation);
    assert_eq!(of_document("subscription { a }").unwrap().kind, GraphqlKind::Subscription);
}

#[test]
fn the_operation_that_is_meant_counts() {
    let body = r#"{"query":"query A { a } mutation B { b }","operationName":"B","variables":{"x":1}}"#;
    let facts = of_body(body.as_bytes()).unwrap();
    assert_eq!((facts.kind, facts.name.as_deref()), (GraphqlKind::Mutation, Some("B")));
    let batch = of_body(br#" [{"query":"{a}"},{"query":"mutation M {b}"}]"#).unwrap();
    assert_eq!((batch.kind, batch.name), (GraphqlKind::Mutation, None));
    assert_eq!(batch.fields.len(), 2);
    let get = |query: &str| of_query(&Resource::parse(query, PathPolicy::default()).unwrap());
    assert_eq!(get("/graphql?query=%7Ba+b%7D&variables=%7B%7D").unwrap().fields.len(), 2);
    assert_eq!(get("/graphql?query=%7Ba%7D&query=%7Bb%7D"), Err(GraphqlError::Body));
    assert_eq!(get("/graphql?query=%7Ba%7D;query=%7Bb%7D"), Err(GraphqlError::Body));
    assert_eq!(get("/graphql?extensions=%7B%22persistedQuery%22:1%7D"), Err(GraphqlError::Persisted));
}

#[test]
fn what_cannot_be_judged_is_refused() {
    for (body, expected) in [
        ("", GraphqlError::Body),
        ("[]", GraphqlError::Body),
        (r#"{"query":"{a}","query":"{b}"}"#, GraphqlError::Body),
        (r#"{"query":"{a}","id":"x"}"#, GraphqlError::Body),
        (r#"{"query":"{a}"} x"#, GraphqlError::Body),
        ("{}", GraphqlError::Persisted),
        (r#"{"query":null}"#, GraphqlError::Persisted),
        (r#"{"query":"{a}","extensions":{"persistedQuery":{}}}"#, GraphqlError::Persisted),
        (r#"{"query":""}"#, GraphqlError::Syntax),
        (r#"{"query":"{a"}"#, GraphqlError::Syntax),
        (r#"{"query":"{a}}"}"#, GraphqlError::Syntax),
        (r#"{"query":"{a} type T { a: Int }"}"#, GraphqlError::Syntax),
        (r#"{"query":"fragment F on T { a }"}"#, GraphqlError::Operation),
        (r#"{"query":"query A {a} query B {b}"}"#, GraphqlError::Operation),
        (r#"{"query":"query A {a} query A {b}","operationName":"A"}"#, GraphqlError::Operation),
        (r#"{"query":"{a}","operationName":"B"}"#, GraphqlError::Operation),
        (r#"{"query":"{...F}"}"#, GraphqlError::Fragments),
        (r#"{"query":"{...F} fragment F on T {...G} fragment G on T {a {...F}}"}"#, GraphqlError::Fragments),
        (r#"{"query":"{...F} fragment F on T {a} fragment F on T {b}"}"#, GraphqlError::Fragments),
    ] {
        assert_eq!(error(body), expected, "{body}");
    }
}

#[test]
fn documents_that_explode_are_refused() {
    let deep = format!("{}a{}", "{a".repeat(5000), "}".repeat(5000));
    assert!(of_document(&deep).is_err());
    let values = format!("{{a(x: {}{})}}", "[".repeat(5000), "]".repeat(5000));
    assert!(of_document(&values).is_err());
    let doubling: String =
        (0..40).map(|at| format!("fragment F{at} on T {{ ...F{0} a{{...F{0}}} }} ", at + 1)).collect();
    assert_eq!(
        of_document(&format!("{{...F0}} {doubling} fragment F40 on T {{a}}")),
        Err(GraphqlError::TooBig)
    );
    assert_eq!(of_document(&" ".repeat(300_000)), Err(GraphqlError::TooBig));
}

proptest! {
    #[test]
    fn any_text_returns(text in "[{}a-c.:()\\[\\]$@\"! on]{0,40}") {
        drop(of_document(&text));
    }
}

/// The name of a persisted query can be written with escapes; only who parses it sees it.
#[test]
fn persisted_queries_are_found_however_they_are_written() {
    let ask = |extensions: &str| {
        let extensions: String = extensions.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let resource =
            format!("/graphql?query={{a}}&extensions={extensions}").replace('{', "%7B").replace('}', "%7D");
        of_query(&Resource::parse(&resource, PathPolicy::default()).unwrap()).map(|facts| facts.kind)
    };
    assert_eq!(ask(r#"{"trace":true}"#), Ok(GraphqlKind::Query));
    assert_eq!(ask(r#"{"persisted\u0051uery":{"sha256Hash":"a"}}"#), Err(GraphqlError::Persisted));
    assert_eq!(ask(r#"{"persistedQuery""#), Err(GraphqlError::Body));
    assert_eq!(ask("{}&extensions={}"), Err(GraphqlError::Body));
}

/// `first: 100000` asks for as much as `?limit=100000` does.
#[test]
fn pages_are_known_by_the_arguments_of_fields() {
    let page = |query: &str, variables: &str| {
        let body = format!(r#"{{"query":{},"variables":{variables}}}"#, serde_json::Value::from(query));
        of_body(body.as_bytes()).unwrap().page
    };
    for (query, variables, expected) in [
        ("{ traces { id } }", "{}", Page::None),
        ("{ traces(first: 100000) { id } }", "{}", Page::Size(100_000)),
        ("{ traces(first: 5) { steps(page_size: 700) { id } } }", "{}", Page::Size(700)),
        ("query($n: Int) { traces(limit: $n) { id } }", r#"{"n": 9}"#, Page::Size(9)),
        ("query($n: Int = 7) { traces(limit: $n) { id } }", "null", Page::Unknown),
        ("{ traces(first: 5) { steps(last: -1) { id } } }", "{}", Page::Unknown),
        ("{ ...F } fragment F on Q { traces(take: 3) { id } }", "{}", Page::Size(3)),
    ] {
        assert_eq!(page(query, variables), expected, "{query}");
    }
    let batch = r#"[{"query":"{a(first:2)}"},{"query":"{b(first:1000)}"}]"#;
    assert_eq!(of_body(batch.as_bytes()).unwrap().page, Page::Size(1000));
}
