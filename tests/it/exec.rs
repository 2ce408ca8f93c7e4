//! One command with several targets: all their variables, or nothing; what is typed and what is sent; what is left.

mod killed;
mod signals;
mod stage;
mod sticky;

use std::process::Stdio;

use serde_json::Value;

use crate::support::env::Env;
use stage::{KEY, Stage, places};

/// The README's line: a database, a host and an API in one script.
#[tokio::test(flavor = "multi_thread")]
async fn a_script_uses_a_database_a_host_and_apis_at_once() {
    let stage = Stage::whole().await;
    let alice = stage.login("alice").await;
    let base = stage.api_port(1);
    let script = format!(
        r#"
set -e
test "$(psql -XAtc 'select current_database()')" = postgres
test "$(psql -XAtc 'select current_database()' "$DB_URL")" = postgres
test "$(psql -XAtc 'select current_database()' "$ORDERS_DB_URL")" = orders
# one password file serves both
PGHOST=$ORDERS_DB_PGHOST PGDATABASE=$ORDERS_DB_PGDATABASE psql -XAtwc 'select current_database()'
$HOOP_SSH bastion 'echo "on the host"'
$BASTION_SSH bastion 'echo "by its name"'
curl -q -sS --fail "$HOOP_URL/traces/7" | head -c 19; echo
curl -q -sS --fail "$TRACES_URL/traces/7" | head -c 19; echo
# the first API's proxy knows the second one, by all of its names and with TLS of its own
curl -q -sS --fail http://traces/traces/7 | head -c 19; echo
curl -q -sS --fail https://traces/traces/7 | head -c 19; echo
curl -q -sS --fail http://127.0.0.1:{base}/v1/traces/7 | head -c 19; echo
curl -q -sS http://127.0.0.1:1/ | head -c 8; echo
exit 7
"#
    );
    let targets = ["exec", "db", "orders-db", "bastion", "billing-api", "traces", "--", "sh", "-c", &script];
    let ran = alice.run(&targets).await.ends(7);
    let trace = "{\"id\":7,\"project\":\"";
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let expected = ["orders", "on the host", "by its name", trace, trace, trace, trace];
    assert_eq!(&lines[..7], &expected, "{}", ran.text());
    assert!(lines[8].starts_with("hoopctl:"), "{}", ran.text());
    assert!(!ran.text().contains(KEY), "{}", ran.text());
    let closed = ["billing-api", "bastion", "db", "orders-db", "traces"];
    let mut closed = closed.map(|target| format!("{target} closed"));
    closed.sort();
    stage.until_closed(&alice, std::time::Duration::from_secs(5)).await;
    assert_eq!(stage.sessions(&alice).await, closed);
    assert_eq!(places(&alice), [""; 0], "something is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn if_one_session_cannot_be_opened_nothing_is_started_and_the_others_are_closed() {
    let stage = Stage::of_databases(HELD).await;
    let alice = stage.login("alice").await;
    let started = alice.home().join("started");
    let touch = started.to_string_lossy().into_owned();
    let ran = alice.run(&["exec", "db", "secret-db", "--", "touch", &touch]).await.ends(77);
    assert!(ran.stderr.contains("`secret-db`: ") && ran.stdout.is_empty(), "{}", ran.text());
    // what waiting helps least decides, and the other is told as well
    let ran = alice.run(&["exec", "orders-db", "secret-db", "db", "--", "touch", &touch]).await.ends(77);
    assert!(ran.stderr.contains("`orders-db`: ") && ran.stderr.contains("`secret-db`: "), "{}", ran.text());
    assert!(!started.exists());
    stage.until_closed(&alice, std::time::Duration::from_secs(5)).await;
    assert_eq!(stage.sessions(&alice).await, ["db closed"; 2]);
    assert_eq!(places(&alice), [""; 0], "something is left");
}

/// Two of them need somebody's approval.
const HELD: &str = r#"
@id("reviewed") @review("corp/dev:1") @reason("somebody looks at this")
forbid (principal, action == Hoop::Action::"connect", resource == Hoop::Target::"orders-db");
"#;
const BOTH_HELD: &str = r#"
@id("reviewed") @review("corp/dev:1") @reason("somebody looks at this")
forbid (principal, action == Hoop::Action::"connect", resource)
    when { resource == Hoop::Target::"orders-db" || resource == Hoop::Target::"db" };
"#;

async fn pending(env: &Env) -> Vec<(String, String)> {
    let listed = env.run(&["request", "list", "--output", "json"]).await.ends(0);
    let views = listed.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let pending = views.filter(|view| {
        let state = &view["request"]["state"];
        state.as_str().or_else(|| state["state"].as_str()) == Some("pending")
    });
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let mut pending: Vec<_> =
        pending.map(|view| (text(&view["request"]["target"]), text(&view["request"]["id"]))).collect();
    pending.sort();
    pending
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_filed_before_any_is_waited_for() {
    let stage = Stage::of_databases(BOTH_HELD).await;
    let (alice, bob) = (stage.login("alice").await, stage.login("bob").await);
    let refused = alice.run(&["exec", "db", "orders-db", "--", "true"]).await.ends(75);
    assert!(
        refused.stderr.contains("`db`: ") && refused.stderr.contains("`orders-db`: "),
        "{}",
        refused.text()
    );
    let ask = ["exec", "db", "orders-db", "--request", "--reason", "nightly", "--", "true"];
    let filed = alice.run(&ask).await.ends(75);
    assert!(
        filed.stderr.contains("`db`: req_") && filed.stderr.contains("`orders-db`: req_"),
        "{}",
        filed.text()
    );
    let requests = pending(&bob).await;
    let targets: Vec<&str> = requests.iter().map(|(target, _)| target.as_str()).collect();
    assert_eq!(targets, ["db", "orders-db"]);

    let script = "psql -XAtc 'select 1' \"$DB_URL\" && psql -XAtc 'select 2' \"$ORDERS_DB_URL\"";
    let wait = ["exec", "db", "orders-db", "--wait=1m", "--reason", "nightly", "--", "sh", "-c", script];
    let waiting =
        alice.command(&wait).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    // whenever that is: before the openings are refused, before the requests are found again, or while they are waited for
    for (_, id) in &requests {
        bob.run(&["request", "approve", id, "--yes"]).await.ends(0);
    }
    let ran = stage::ended(waiting).await.ends(0);
    assert_eq!(ran.stdout, "1\n2\n", "{}", ran.text());
    assert_eq!(pending(&bob).await, [], "what was approved was asked for anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_denial_ends_the_wait_for_the_others() {
    let stage = Stage::of_databases(BOTH_HELD).await;
    let (alice, bob) = (stage.login("alice").await, stage.login("bob").await);
    let wait = ["exec", "db", "orders-db", "--wait=2m", "--reason", "nightly", "--", "echo", "started"];
    let waiting =
        alice.command(&wait).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let requests = loop {
        let requests = pending(&bob).await;
        if requests.len() == 2 {
            break requests;
        }
    };
    bob.run(&["request", "deny", &requests[1].1, "--reason", "not tonight"]).await.ends(0);
    let ran = stage::ended(waiting).await.ends(76);
    assert!(ran.stderr.contains("`orders-db`: ") && ran.stderr.contains("not tonight"), "{}", ran.text());
    assert_eq!(ran.stdout, "");
}

/// Whatever a script captures is the command's alone.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_ours_is_on_standard_output_and_closed_ones_do_not_matter() {
    let stage = Stage::of_databases("").await;
    let mut alice = stage.login("alice").await;
    for output in ["text", "json"] {
        let ran = alice.run(&["exec", "--output", output, "db", "--", "echo", "mine"]).await.ends(0);
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("mine\n", ""));
        let select = ["connect", "--output", output, "db", "--", "-XAtc", "select 1"];
        let ran = alice.run(&select).await.ends(0);
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("1\n", ""));
        let ran = alice.run(&["exec", "--output", output, "nowhere", "--", "echo", "mine"]).await.ends(77);
        assert_eq!(ran.stdout, "");
    }
    alice.set("TERM", "dumb");
    let line = format!("{} exec db -- psql -XAtc 'select 3'", crate::support::env::program());
    for (closed, expected) in [("<&-", "3\n"), (">&-", ""), ("<&- 2>&-", "3\n")] {
        let like = alice.command(&[]);
        let mut shell = tokio::process::Command::new("sh");
        shell
            .args(["-c", &format!("{line} {closed}")])
            .env_clear()
            .envs(like.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))))
            // libpq wants to know whom it serves
            .env_remove("HOME");
        let output = shell.output().await.expect("it runs");
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{closed} {output:?}");
        assert!(output.status.success(), "{closed} {output:?}");
    }
}
