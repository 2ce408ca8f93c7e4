//! Calls that policy denies or holds.

use std::sync::atomic::Ordering;

use hoopctl::domain::session::CloseReason;

use super::until;
use crate::support::api::{Api, Front, Setup};

const RULES: &str = r#"
@id("calls") permit(principal, action == Hoop::Action::"call", resource);
@id("no-delete") @reason("nothing is deleted here") @hint("ask the owner")
forbid (principal, action == Hoop::Action::"call", resource) when { context.method == "DELETE" };
@id("no-keys") @reason("keys are not set here")
forbid (principal, action == Hoop::Action::"call", resource) when { context.fields.contains("api_key") };
@id("no-mutations") @reason("GraphQL reads only")
forbid (principal, action == Hoop::Action::"call", resource)
when { context has graphql && context.graphql != "query" };
@id("no-upgrade") @reason("no websockets")
forbid (principal, action == Hoop::Action::"call", resource) when { context has upgrade };
@id("purge-is-reviewed") @reason("purging is looked at by a second person") @review("corp/dba:1")
forbid (principal, action == Hoop::Action::"call", resource) when { context.path == "/purge" };
@id("one-operation") @reason("not this operation")
forbid (principal, action == Hoop::Action::"call", resource)
when { context has operation && context.operation == "exportTraces" };
"#;

const STATUS: &[&str] = &["-o", "/dev/null", "-w", "%{http_code}"];

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_is_a_problem_that_names_the_rule() {
    let api = Api::start().await;
    let front = Front::start(Setup { policy: RULES, graphql: Some("/graphql"), ..Setup::open(&api) }).await;
    let answer = front.curl(&["-i", "-X", "DELETE"], "/traces/7").await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    let body = answer.split("\r\n\r\n").nth(1).expect("a body");
    let problem: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(problem["rule"], "no-delete");
    assert_eq!(problem["detail"], "nothing is deleted here");
    assert_eq!(problem["hint"], "ask the owner");
    let json = ["-H", "Content-Type: application/json", "-d"];
    let send = async |path: &str, body: &str| front.curl(&[STATUS, &json, &[body]].concat(), path).await;
    assert_eq!(send("/x", r#"{"api_key":"a"}"#).await, "403");
    assert_eq!(send("/x", r#"[1, {"api_key":"a"}]"#).await, "403");
    assert_eq!(send("/x", r#"{"api_key":"#).await, "400");
    assert_eq!(send("/graphql", r#"{"query":"mutation { a }"}"#).await, "403");
    let upgrade = ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket"];
    assert_eq!(front.curl(&[STATUS, &upgrade].concat(), "/upgrade").await, "403");
    assert!(api.lines().is_empty(), "{:?}", api.lines());
    assert_eq!(send("/x", r#"{"n":1}"#).await, "200");
    assert_eq!(send("/graphql", r#"{"query":"query { a }"}"#).await, "200");
    let deeds = front.book.deeds();
    // the one that is no JSON was not judged, and entered all the same
    assert_eq!(deeds.iter().filter(|deed| deed.starts_with("Deny")).count(), 6, "{deeds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_openapi_document_names_operations() {
    let api = Api::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let document = serde_json::json!({"openapi": "3.1.0", "paths": {
        "/traces/{id}": {"get": {"operationId": "getTrace"}},
        "/traces/export": {"get": {"operationId": "exportTraces"}},
    }});
    std::fs::write(file.path(), document.to_string()).unwrap();
    let openapi = Some(file.path().to_owned());
    let front = Front::start(Setup { policy: RULES, openapi, ..Setup::open(&api) }).await;
    assert_eq!(front.curl(STATUS, "/traces/7").await, "200");
    assert_eq!(front.curl(STATUS, "/traces/export").await, "403");
    assert_eq!(front.curl(STATUS, "/traces/./%65xport").await, "403");
    // rules that could not apply do not silently stop to
    let openapi = Some("/nonexistent".into());
    let front = Front::start(Setup { policy: RULES, openapi, ..Setup::open(&api) }).await;
    assert_eq!(front.curl(STATUS, "/traces/7").await, "502");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_call_waits_and_goes_once_it_is_approved() {
    let api = Api::start().await;
    let front = Front::start(Setup { policy: RULES, ..Setup::open(&api) }).await;
    let approve = async {
        let request = front.desk.next().await;
        assert_eq!(request.text(), "POST /purge?before=2020");
        assert!(api.lines().is_empty(), "nothing of it moves");
        front.desk.approve(request);
    };
    let (answer, ()) = tokio::join!(front.curl(&["-d", "all"], "/purge?before=2020"), approve);
    assert_eq!(answer, "here");
    assert_eq!(api.seen().first().expect("a call").body, "all");
    assert_eq!(front.book.deeds(), ["Hold POST /purge?before=2020", "Allow POST /purge?before=2020"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_its_held_call_back() {
    let api = Api::start().await;
    let front = Front::start(Setup { policy: RULES, ..Setup::open(&api) }).await;
    let request = {
        let asking = front.curl(&["-d", "all"], "/purge");
        tokio::select! {
            answer = asking => panic!("{answer}"),
            request = front.desk.next() => request,
        }
    };
    until("the request is withdrawn", || !request.waiting.load(Ordering::Relaxed)).await;
    until("that is entered", || front.book.deeds().len() == 2).await;
    assert_eq!(front.book.deeds(), ["Hold POST /purge", "Deny POST /purge"]);
    assert!(api.lines().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_a_ledger_goes_nowhere() {
    let api = Api::start().await;
    let front = Front::start(Setup::open(&api)).await;
    front.book.broken.store(true, Ordering::Relaxed);
    let answer = front.curl(STATUS, "/x").await;
    assert_ne!(answer, "200");
    assert!(api.lines().is_empty());
    assert_eq!(*front.closing.borrow(), Some(CloseReason::LedgerUnwritable));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_http_that_closes_ends_what_runs() {
    let api = Api::start().await;
    let front = Front::start(Setup { policy: RULES, ..Setup::open(&api) }).await;
    let close = async {
        let request = front.desk.next().await;
        front.closing.send_replace(Some(CloseReason::Killed));
        until("the request is withdrawn", || !request.waiting.load(Ordering::Relaxed)).await;
    };
    let (answer, ()) = tokio::join!(front.curl(&["-d", "all"], "/purge"), close);
    assert!(answer.contains("it was killed by an operator"), "{answer}");
    assert!(api.lines().is_empty());
}
