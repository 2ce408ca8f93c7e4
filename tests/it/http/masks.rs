//! What masks let through, and what they stop.

use hoopctl::gateway::journal::ItemKind;

use super::status;
use crate::support::api::{Api, Front, PROTECTED, Setup};
use crate::support::gateway::SECRET;

const MASKED: &str =
    r#"{"id":7,"prompt":"hello","api_key":"[masked]","steps":[{"n":1,"api_key":"[masked]"}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn masks_hold_in_every_coding_and_wherever_chunks_are_cut() {
    let api = Api::start().await;
    let front = Front::start(Setup::masked(&api)).await;
    for path in ["/traces/7", "/chunks", "/gzip", "/br", "/zstd", "/deflate"] {
        let answer = front.curl(&["--compressed"], path).await;
        assert_eq!(answer, MASKED, "{path}");
    }
    let lines = front.curl(&[], "/ndjson").await;
    assert_eq!(lines, format!("{MASKED}\n{MASKED}\n"));
    assert_eq!(front.curl(&[], "/csv").await, "id,api_key\n7,[masked]\n");
    // what is coded stays coded for those who asked for it
    let coded = front.curl(&["-o", "/dev/null", "-D", "-", "-H", "Accept-Encoding: gzip"], "/gzip").await;
    assert!(coded.contains("content-encoding: gzip"), "{coded}");
    for kind in [ItemKind::Body, ItemKind::Head, ItemKind::Statement] {
        let recorded = String::from_utf8_lossy(&front.book.recorded(kind)).into_owned();
        assert!(!recorded.contains(PROTECTED), "{kind:?}: {recorded}");
    }
    assert!(String::from_utf8_lossy(&front.book.recorded(ItemKind::Body)).contains("[masked]"));
}

/// The same document without masks is passed as it is.
#[tokio::test(flavor = "multi_thread")]
async fn without_masks_bodies_pass_as_they_are() {
    let api = Api::start().await;
    let front = Front::start(Setup::open(&api)).await;
    for path in ["/traces/7", "/gzip", "/br", "/zstd", "/binary", "/html", "/untyped"] {
        let answer = front.curl(&["--compressed"], path).await;
        assert!(answer.contains(PROTECTED), "{path}: {answer}");
    }
    let head = front.curl(&["-i"], "/traces/7").await;
    for kept in ["etag: \"strong\"", "content-digest:", "content-length: "] {
        assert!(head.contains(kept), "{head}");
    }
    let part = front.curl(&["-i", "-r", "40-80"], "/traces/7").await;
    assert!(part.starts_with("HTTP/1.1 206") && part.contains("content-range:"), "{part}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_masked_is_not_passed() {
    let api = Api::start().await;
    let front = Front::start(Setup::masked(&api)).await;
    for path in ["/html", "/binary", "/untyped", "/unknown-coding", "/part", "/no-json"] {
        let answer = front.curl(&["-i"], path).await;
        assert!(!answer.contains(PROTECTED), "{path}: {answer}");
        assert!(answer.starts_with("HTTP/1.1 502"), "{path}: {answer}");
        assert!(answer.contains("cannot be masked"), "{path}: {answer}");
    }
    // a document that ends early is cut off, or refused, and never passed for whole
    let answer = front.curl(&["-i"], "/cut").await;
    assert!(answer.contains("curl: (") || answer.starts_with("HTTP/1.1 502"), "{answer}");
    assert!(!answer.contains(PROTECTED), "{answer}");
    let answer = front.curl(&["-o", "/dev/null", "-w", "%{http_code}"], "/empty").await;
    assert_eq!(answer, "204");
    // a connection that becomes something else has no form to mask by
    let upgrade = format!(
        "GET /upgrade HTTP/1.1\r\nHost: x\r\nHoop-Session: {SECRET}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
    let answer = front.raw(upgrade.as_bytes()).await;
    assert_eq!(status(&answer), "502", "{answer}");
    assert!(!api.lines().iter().any(|line| line.contains("upgrade")));
}

/// Nothing in a head speaks of the body as it was before the masks.
#[tokio::test(flavor = "multi_thread")]
async fn heads_and_parts_tell_nothing_of_what_is_masked() {
    let api = Api::start().await;
    let front = Front::start(Setup::masked(&api)).await;
    for arguments in [&["-i"][..], &["-I"], &["-i", "-H", "If-None-Match: \"strong\""]] {
        let answer = front.curl(arguments, "/traces/7").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{arguments:?}: {answer}");
        assert!(!answer.contains("etag"), "{arguments:?}: {answer}");
        assert!(!answer.contains("digest"), "{arguments:?}: {answer}");
        assert!(!answer.contains("content-length: 1"), "{arguments:?}: {answer}");
    }
    // a range is not asked for, so the whole comes
    let answer = front.curl(&["-i", "-r", "40-80"], "/traces/7").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(MASKED), "{answer}");
    assert!(!api.seen().pop().expect("a call").headers.contains_key("range"));
    // nor is the API asked to compare what was never shown
    assert!(api.seen().iter().all(|call| !call.headers.contains_key("if-none-match")));
    let answer = front.curl(&["-i", "-X", "PUT", "-H", "If-Match: \"strong\""], "/traces/7").await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("send `*`"), "{answer}");
}

/// What a client sends is recorded through the same masks.
#[tokio::test(flavor = "multi_thread")]
async fn a_requests_body_is_recorded_redacted() {
    let api = Api::start().await;
    let front = Front::start(Setup::masked(&api)).await;
    let body = format!(r#"{{"api_key":"{PROTECTED}","n":1}}"#);
    front.curl(&["-H", "Content-Type: application/json", "-d", &body], "/x").await;
    front.curl(&["-H", "Content-Type: application/octet-stream", "-d", &body], "/x").await;
    front.curl(&["-d", &format!("api_key={PROTECTED}")], "/x").await;
    assert_eq!(api.seen().first().expect("a call").body, body.as_bytes());
    let recorded = String::from_utf8_lossy(&front.book.recorded(ItemKind::Body)).into_owned();
    assert!(recorded.contains(r#"{"api_key":"[masked]","n":1}"#), "{recorded}");
    assert!(!recorded.contains(PROTECTED), "{recorded}");
    let texts = front.book.deeds().join("\n");
    assert!(!texts.contains(PROTECTED), "{texts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_of_graphql_hides_no_field_from_its_mask() {
    let api = Api::start().await;
    let front = Front::start(Setup { graphql: Some("/graphql"), ..Setup::masked(&api) }).await;
    let ask = async |query: &str| {
        let body = serde_json::json!({"query": query}).to_string();
        front
            .curl(
                &[
                    "-o",
                    "/dev/null",
                    "-w",
                    "%{http_code}",
                    "-H",
                    "Content-Type: application/json",
                    "-d",
                    &body,
                ],
                "/graphql",
            )
            .await
    };
    assert_eq!(ask("{ trace { x: api_key } }").await, "400");
    assert_eq!(ask("{ trace { ...F } } fragment F on Trace { a: api_key }").await, "400");
    assert!(api.lines().is_empty());
    // text/plain of the API's fallback cannot be masked, but it was asked
    assert_eq!(ask("{ trace { api_key } }").await, "502");
    assert_eq!(api.lines(), ["POST /graphql"]);
}
