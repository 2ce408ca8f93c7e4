//! What leaves for other programs, and what those say of it.

mod kinds;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use hoopctl::broker::ledger::LedgerWriter;
use hoopctl::domain::event::{Event, What};
use hoopctl::domain::name::SessionId;
use hoopctl::ledger::ocsf::{self, Known};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::cached;
use crate::support::env::{Env, Ran};
use crate::support::world::{MASKED, PLANTED, Twist, World, psql};

/// A ledger with entries of every kind, as a broker's writer makes it.
async fn ledger() -> (TempDir, Vec<Event>) {
    let (root, dir) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let ledger = LedgerWriter::open(dir.path(), "example.org/log", &root.path().join("signing.key"));
    let ledger = ledger.expect("it opens");
    let events = kinds::all();
    for event in &events {
        ledger.enter(event).expect("entered");
    }
    ledger.checkpoint_now().await.expect("signed");
    ledger.close();
    (dir, events)
}

async fn export(dir: &Path, arguments: &[&str]) -> Ran {
    let dir = dir.to_string_lossy();
    Env::new("").run(&[&["audit", "export", "--dir", dir.as_ref()], arguments].concat()).await
}

/// What the validators of OCSF say.
fn judged(events: &str) -> Ran {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), events).expect("written");
    let python = cached("exports", "exports").join("python/bin/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/exports/ocsf.py");
    Ran::from(Command::new(python).arg(script).arg(file.path()).output().expect("it runs"))
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_entry_is_a_valid_event() {
    let (dir, events) = ledger().await;
    let kinds: BTreeSet<usize> = events.iter().map(|event| kinds::place(&event.what)).collect();
    assert_eq!(kinds.len(), kinds::KINDS, "a kind is missing");
    assert_eq!(kinds.last(), Some(&(kinds::KINDS - 1)));
    let ran = export(dir.path(), &[]).await.ends(0);
    let found = judged(&ran.stdout).ends(0);
    assert_eq!(found.stdout.lines().count(), events.len(), "{}", found.text());
    // nothing in it steers a terminal
    assert!(!ran.stdout.contains(|c: char| c.is_control() && c != '\n'), "{:?}", ran.stdout);
    let written = lines(&ran.stdout);
    for (index, event) in written.iter().enumerate() {
        assert_eq!(event["metadata"]["uid"], json!(format!("example.org/log#{index}")));
        assert_eq!(event["metadata"]["sequence"], json!(index));
        assert_eq!(event["metadata"]["version"], json!("1.5.0"));
    }
    let of =
        |kind: &str| written.iter().find(|event| event["unmapped"]["type"] == kind).expect("it is there");
    let statement = of("statement-judged");
    assert_eq!(statement["database"]["name"], "app");
    assert_eq!(statement["dst_endpoint"]["name"], "db");
    assert_eq!(statement["policy"]["name"], "read-only");
    assert_eq!(of("grant-revoked")["user"]["uid"], "alice");
}

/// The validators would say so.
#[test]
fn what_is_no_event_is_refused() {
    let (mut known, events) = (Known::default(), kinds::all());
    let event = events.iter().find(|event| matches!(event.what, What::StatementJudged { .. })).expect("one");
    known.follow(event);
    let good = ocsf::event(7, "example.org/log", event, &known);
    judged(&good.to_string()).ends(0);
    let changes: [(&str, Value); 9] = [
        ("/activity_id", json!(77)),
        ("/type_uid", json!(600_505)),
        ("/category_uid", json!(3)),
        ("/severity_id", json!(9)),
        ("/time", json!("now")),
        ("/metadata/version", json!("1.4.0")),
        ("/src_endpoint/ip", json!("somewhere")),
        ("/query_info", json!({ "query_string": "SELECT 1" })),
        ("/unmapped", json!("text")),
    ];
    for (path, value) in changes {
        let mut event = good.clone();
        *event.pointer_mut(path).expect("it is there") = value;
        assert_eq!(judged(&event.to_string()).code, 1, "{path} is taken");
    }
    for name in ["class_uid", "metadata", "src_endpoint", "actor"] {
        let mut event = good.clone();
        event.as_object_mut().expect("an object").remove(name);
        assert_eq!(judged(&event.to_string()).code, 1, "nobody misses {name}");
    }
    let mut more = good;
    more["surprise"] = json!(1);
    assert_eq!(judged(&more.to_string()).code, 1);
}

/// One entry that was changed, and nothing from there on is written.
#[tokio::test(flavor = "multi_thread")]
async fn an_export_holds_only_what_is_proven() {
    let (dir, _) = ledger().await;
    let whole = export(dir.path(), &[]).await.ends(0).stdout;
    let bundle = dir.path().join("tile/entries/000.p");
    let bundle =
        std::fs::read_dir(&bundle).expect("a folder").next().expect("a bundle").expect("a file").path();
    let bytes = std::fs::read(&bundle).expect("a bundle");
    let at = bytes.windows(8).position(|window| window == b"hoop_a\",").expect("a lease");
    let mut forged = bytes.clone();
    forged[at + 5] = b'b';
    std::fs::write(&bundle, &forged).expect("written");
    for form in ["ocsf", "csv"] {
        let ran = export(dir.path(), &["--format", form]).await.ends(65);
        assert!(!ran.stdout.contains("hoop_b"), "{}", ran.stdout);
        assert!(ran.stderr.contains("the ledger is broken: entry 17: "), "{}", ran.stderr);
    }
    std::fs::write(&bundle, &bytes).expect("written");
    assert_eq!(export(dir.path(), &[]).await.ends(0).stdout, whole);
    // another key than the one that signs
    let other = tempfile::NamedTempFile::new().expect("a file");
    let key = std::fs::read_to_string(dir.path().join("key")).expect("a key");
    std::fs::write(other.path(), key.replace("example.org", "example.com")).expect("written");
    let key = other.path().to_string_lossy().into_owned();
    let ran = export(dir.path(), &["--key", &key]).await.ends(65);
    assert_eq!(ran.stdout, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_chosen_by_time_session_and_target() {
    let (dir, events) = ledger().await;
    let count = async |arguments: &[&str]| export(dir.path(), arguments).await.ends(0).stdout.lines().count();
    assert_eq!(count(&["--from", "2023-11-14", "--to", "2023-11-15"]).await, events.len());
    assert_eq!(count(&["--to", "2023-11-14"]).await, 0);
    assert_eq!(count(&["--from", "2023-11-14T22:13:22Z", "--to", "2023-11-14T22:13:25Z"]).await, 3);
    assert_eq!(count(&["--from", "24h"]).await, 0);
    let session = SessionId::from_random([7; 16]).to_string();
    let of_session = export(dir.path(), &["--session", &session]).await.ends(0);
    let found = lines(&of_session.stdout);
    assert!(
        found.iter().all(|event| event["unmapped"]["session"] == session.as_str()),
        "{}",
        of_session.stdout
    );
    // 24 of each round of events, counted by hand
    assert_eq!(found.len(), 24 * 5);
    let of_target = lines(&export(dir.path(), &["--target", "db"]).await.ends(0).stdout);
    let told: BTreeSet<&str> =
        of_target.iter().filter_map(|event| event["unmapped"]["type"].as_str()).collect();
    for kind in ["session-opened", "statement-judged", "grant-revoked", "review-given", "chunk-closed"] {
        assert!(told.contains(kind), "{kind}: {told:?}");
    }
    assert!(!told.contains("logged-in") && !told.contains("policy-loaded"), "{told:?}");
    assert_eq!(count(&["--target", "elsewhere"]).await, 0);
    for wrong in [["--from", "soon"], ["--session", "7"], ["--target", "a b"]] {
        export(dir.path(), &wrong).await.ends(64);
    }
}

/// As Python's reader takes it, with as many cells in each record.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_entries_is_read_as_it_was_meant() {
    let (dir, events) = ledger().await;
    let ran = export(dir.path(), &["--format", "csv"]).await.ends(0);
    let rows = records(&ran.stdout);
    assert_eq!(rows.len(), events.len() + 1);
    assert!(rows.iter().all(|row| row.len() == 16), "{rows:?}");
    let text = rows[0].iter().position(|name| name == "text").expect("a column");
    let hostile: Vec<&String> =
        rows.iter().map(|row| &row[text]).filter(|cell| cell.contains("1+1")).collect();
    assert!(!hostile.is_empty());
    assert!(hostile.iter().all(|cell| cell.starts_with("'=1+1 \\u{1b}]0;")), "{hostile:?}");
}

/// The records of a table, by Python's `csv`, which is told to be strict.
fn records(table: &str) -> Vec<Vec<String>> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), table).expect("written");
    let script = "import csv,json,sys\nprint(json.dumps(list(csv.reader(open(sys.argv[1],newline='',encoding='utf-8'),strict=True))))";
    let python = cached("exports", "exports").join("python/bin/python");
    let ran =
        Ran::from(Command::new(python).args(["-c", script]).arg(file.path()).output().expect("it runs"));
    serde_json::from_str(&ran.ends(0).stdout).expect("JSON")
}

/// A broker's own, while it runs: what an auditor's job would ship.
#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_of_a_broker_leaves_as_valid_events() {
    let world = World::start(Twist { below: MASKED, ..Twist::default() }).await;
    let alice = world.login("alice").await;
    psql(&alice, "SELECT id, api_key FROM reasoning_traces WHERE id = 7").await.ends(0);
    world.until_no_roles().await;
    let mut ran = alice.run(&["audit", "export", "--target", "db"]).await.ends(0);
    for _ in 0..20 {
        if ran.stdout.contains("lease-revoked") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        ran = alice.run(&["audit", "export", "--target", "db"]).await.ends(0);
    }
    judged(&ran.stdout).ends(0);
    assert!(!ran.stdout.contains(PLANTED), "{}", ran.stdout);
    let found = lines(&ran.stdout);
    let statement = found.iter().find(|event| event["class_uid"] == 6005).expect("a statement");
    assert_eq!(statement["database"]["name"], "postgres");
    assert_eq!(statement["table"]["name"], "public.reasoning_traces");
    let tail = alice.run(&["audit", "tail", "-n", "1000", "--format", "ocsf"]).await.ends(0);
    judged(&tail.stdout).ends(0);
    assert!(lines(&tail.stdout).contains(statement));
    // who may not audit gets nothing
    let bob = world.login("bob").await.run(&["audit", "export"]).await;
    assert!(bob.code != 0 && bob.stdout.is_empty(), "{}", bob.text());
}

/// Results as the client saw them: masked, with NULLs, of binary columns, and nothing a spreadsheet would run.
#[tokio::test(flavor = "multi_thread")]
async fn results_leave_as_tables() {
    let world = World::start(Twist { below: MASKED, ..Twist::default() }).await;
    let alice = world.login("alice").await;
    let file = alice.home().join("asks.sql");
    let script = "SELECT id, api_key, customer_id, prompt FROM reasoning_traces WHERE id IN (7, 8) ORDER BY id;\n\
        SELECT '=cmd|''/C calc''!A0' AS \"=name\", -5 AS less, NULL AS none, '' AS empty, E'a\"b,\\nc' AS text, \
        E'\\x1b]0;t\\x07' AS steer, '\\x00ff'::bytea AS bytes;\n\
        SELECT 1 WHERE false;\n";
    std::fs::write(&file, script).expect("written");
    alice.run(&["connect", "db", "--", "-XAtqf", &file.to_string_lossy()]).await.ends(0);
    let session = crate::tampering::session(&alice).await;
    let export = async |more: &[&str]| {
        alice.run(&[&["session", "export", &session, "--format", "csv"], more].concat()).await
    };
    let first = export(&["--connection", "1", "--result", "1"]).await.ends(0);
    assert!(!first.text().contains(PLANTED), "{}", first.text());
    let rows = records(&first.stdout);
    assert_eq!(rows[0], ["id", "api_key", "customer_id", "prompt"]);
    assert_eq!(rows[1], ["7", "[masked]", "", "prompt 7"]);
    assert_eq!(rows.len(), 3);
    let second = export(&["--connection", "1", "--result", "2"]).await.ends(0);
    let rows = records(&second.stdout);
    assert_eq!(rows[0], ["'=name", "less", "none", "empty", "text", "steer", "bytes"]);
    let cells = ["'=cmd|'/C calc'!A0", "-5", "", "", "a\"b,\nc", "\\u{1b}]0;t\\u{7}", "\\x00ff"];
    assert_eq!(rows[1], cells);
    assert!(second.stdout.contains(",-5,,\"\",\""), "{}", second.stdout);
    let third = export(&["--connection", "1", "--result", "3"]).await.ends(0);
    assert_eq!(third.stdout, "?column?\r\n");
    // a table holds one result
    let all = export(&[]).await.ends(64);
    assert!(all.stderr.contains("more than one result"), "{}", all.text());
    let folder = alice.home().join("results");
    export(&["--out", &format!("{}/", folder.display())]).await.ends(0);
    for (name, text) in [("1-1.csv", &first.stdout), ("1-2.csv", &second.stdout), ("1-3.csv", &third.stdout)]
    {
        assert_eq!(&std::fs::read_to_string(folder.join(name)).expect("a table"), text);
    }
    assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 3);
    export(&["--connection", "2"]).await.ends(64);
    export(&["--connection", "1", "--result", "9"]).await.ends(64);
    // and as text
    let out = alice.home().join("session.txt");
    let arguments =
        ["session", "export", &session, "--format", "transcript", "--out", &out.to_string_lossy()];
    alice.run(&arguments).await.ends(0);
    let text = std::fs::read_to_string(&out).expect("a transcript");
    for wanted in ["-- result 2\n", "\n7 | [masked] | NULL | prompt 7\n", "\\u{1b}]0;t\\u{7}", "allowed by "]
    {
        assert!(text.contains(wanted), "no {wanted:?} in {text}");
    }
    assert!(!text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')) && !text.contains(PLANTED));
    for form in ["asciicast", "har"] {
        alice.run(&["session", "export", &session, "--format", form]).await.ends(64);
    }
}

/// A recording that was changed leaves nothing behind that looks like an export.
#[tokio::test(flavor = "multi_thread")]
async fn a_forged_recording_does_not_leave() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    psql(&alice, "SELECT 'innocent' || 'ly'").await.ends(0);
    let session = crate::tampering::session(&alice).await;
    let file = world.broker.data().join("recordings").join(&session).join("1-0.zst");
    let whole = std::fs::read(&file).expect("a chunk");
    std::fs::write(&file, crate::tampering::forge(&whole, b"innocently", b"guiltily!!")).expect("written");
    let out = alice.home().join("out");
    for form in ["csv", "transcript"] {
        let ran = alice.run(&["session", "export", &session, "--format", form]).await.ends(65);
        assert!(!ran.stdout.contains("guiltily"), "{}", ran.text());
        let path = out.to_string_lossy();
        alice.run(&["session", "export", &session, "--format", form, "--out", &path]).await.ends(65);
    }
    let left = std::fs::read_dir(alice.home()).expect("a folder");
    let left: Vec<String> =
        left.map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned()).collect();
    assert!(!left.iter().any(|name| name.contains("out")), "{left:?}");
    std::fs::write(&file, &whole).expect("written");
    let ran = alice.run(&["session", "export", &session, "--format", "csv"]).await.ends(0);
    assert_eq!(ran.stdout, "?column?\r\ninnocently\r\n");
}
