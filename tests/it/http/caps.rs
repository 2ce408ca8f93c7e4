//! How much of a listing goes, and what detectors see in documents.

use hoopctl::gateway::journal::ItemKind;

use crate::support::api::{Api, Front, Setup};

/// A listing is refused, or cut off before the item that is one too many; what goes is counted in the outcome.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_beyond_the_cap_is_refused_or_cut() {
    let api = Api::start().await;
    for masked in [false, true] {
        let setup = if masked { Setup::masked(&api) } else { Setup::open(&api) };
        let front = Front::start(Setup { items: Some((2, None)), injection: None, ..setup }).await;
        let answer = front.curl(&["-i"], "/list").await;
        assert!(
            answer.starts_with("HTTP/1.1 502") && answer.contains("more than the 2 items"),
            "{masked} {answer}"
        );
        let cut = front.curl(&[], "/list-chunks").await;
        assert!(
            !cut.contains(",2") && (cut.contains("curl: (") || cut.contains("more than the 2 items")),
            "{cut}"
        );
        // two lines are two items
        let lines = front.curl(&[], "/ndjson").await;
        assert_eq!(lines.lines().count(), 2, "{lines}");
        assert!(
            front.curl(&["--compressed"], "/gzip").await.contains("\"id\":7"),
            "one object, and its two steps"
        );
    }
    // what is counted can be said, and what has no items is not held to it
    let items = Some((2, Some("$.steps[*]")));
    let front = Front::start(Setup { items, ..Setup::open(&api) }).await;
    assert!(front.curl(&[], "/list").await.contains("\"id\":3"));
    assert_eq!(front.curl(&[], "/short").await, "here");
    assert!(front.curl(&[], "/html").await.contains("<p>"));
    let whole = front.curl(&[], "/traces/7").await;
    assert!(whole.contains("\"n\":1"), "{whole}");
    let recorded = String::from_utf8_lossy(&front.book.recorded(ItemKind::Outcome)).into_owned();
    assert!(recorded.contains("\"rows\":1,\"tag\":\"200\""), "{recorded}");
}

/// On a target with detectors, a JSON document is looked into, wherever its escapes hide something.
#[tokio::test(flavor = "multi_thread")]
async fn detectors_look_into_json() {
    let api = Api::start().await;
    let front = Front::start(Setup { detectors: vec!["email"], ..Setup::open(&api) }).await;
    assert_eq!(front.curl(&[], "/mail").await, r#"{"to":"[masked]","n":[1.50, "caf\u00e9"]}"#);
    let both = Setup { detectors: vec!["email"], ..Setup::masked(&api) };
    let front = Front::start(both).await;
    assert!(front.curl(&[], "/mail").await.contains("[masked]"));
    front
        .curl(&["-H", "Content-Type: application/json", "-d", r#"{"a":"bob\u0040example.org"}"#], "/x")
        .await;
    let recorded = String::from_utf8_lossy(&front.book.recorded(ItemKind::Body)).into_owned();
    assert!(recorded.contains(r#"{"a":"[masked]"}"#) && !recorded.contains("example.org"), "{recorded}");
}
