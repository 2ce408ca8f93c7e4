//! The data path between a real client and a real database.

mod openings;
mod results;

use std::time::Duration;

use hoopctl::domain::session::CloseReason;
use hoopctl::gateway::journal::ItemKind;

use crate::support::gateway::{Gateway, Setup};
use crate::support::masks::hidden;
use crate::support::postgres::{Cluster, majors};

fn newest() -> Cluster {
    Cluster::start(*majors().last().expect("a major"))
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_works_and_every_statement_is_entered() {
    let cluster = newest();
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let (out, err, ok) = gateway.run(&["-Atc", "SELECT 1+1", "-c", "\\d pg_class"]).await;
    assert!(ok, "{err}");
    assert!(out.starts_with("2\n"), "{out}");
    let statements = gateway.book.statements();
    assert_eq!(statements.first().map(|s| s.2.as_str()), Some("SELECT 1+1"));
    assert!(statements.len() > 2, "psql's own catalog queries are statements too: {statements:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_statement_fails_alone_and_the_session_goes_on() {
    let cluster = newest();
    let policy = r#"@id("no-drop") @reason("tables stay") forbid(principal, action == Hoop::Action::"statement", resource)
                    when { context.kind == "definition" };"#;
    let gateway = Gateway::start(&cluster, Setup { policy, ..Setup::open(&cluster) });
    let client = gateway.connect().await;
    let error = client.batch_execute("SELECT 1; DROP TABLE pg_class; SELECT 2").await.expect_err("denied");
    let error = error.as_db_error().expect("an ErrorResponse");
    assert_eq!(error.code().code(), "42501");
    assert_eq!(error.message(), "tables stay (rule no-drop)");
    assert_eq!(client.query_one("SELECT 3", &[]).await.expect("the session goes on").get::<_, i32>(0), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_inside_a_transaction_aborts_it_as_any_error_would() {
    let cluster = newest();
    let policy = r#"@id("no-drop") forbid(principal, action == Hoop::Action::"statement", resource)
                    when { context.verb like "drop*" };"#;
    let gateway = Gateway::start(&cluster, Setup { policy, ..Setup::open(&cluster) });
    let client = gateway.connect().await;
    client.batch_execute("CREATE TABLE t(a int)").await.expect("allowed");
    client.batch_execute("BEGIN; INSERT INTO t VALUES (1)").await.expect("allowed");
    client.batch_execute("DROP TABLE t").await.expect_err("denied");
    let error = client.batch_execute("SELECT 1").await.expect_err("aborted");
    assert_eq!(error.code().expect("a code").code(), "25P02");
    client.batch_execute("ROLLBACK").await.expect("rolls back");
    let count: i64 = client.query_one("SELECT count(*) FROM t", &[]).await.expect("counts").get(0);
    assert_eq!(count, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_cancels_what_runs() {
    let cluster = newest();
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let child =
        gateway.psql().args(["-c", "SELECT pg_sleep(60)"]).stderr(std::process::Stdio::piped()).spawn();
    let child = child.expect("psql runs");
    let pid = rustix::process::Pid::from_raw(child.id().expect("a pid").cast_signed()).expect("a pid");
    while gateway.book.statements().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // psql takes the signal for its own only once it waits for the answer
    let output = async {
        let waited = child.wait_with_output();
        tokio::pin!(waited);
        loop {
            rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("signal");
            match tokio::time::timeout(Duration::from_millis(200), &mut waited).await {
                Ok(output) => return output.expect("psql ends"),
                Err(_) => continue,
            }
        }
    };
    let output = tokio::time::timeout(Duration::from_secs(20), output).await.expect("cancelled in time");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("canceling statement due to user request"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_dies_leaves_no_backend_running() {
    let cluster = newest();
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let mut child = gateway.psql().args(["-c", "SELECT pg_sleep(600)"]).spawn().expect("psql runs");
    let admin = cluster.admin().await;
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()";
    wait_for(&admin, sleeping, 1).await;
    child.kill().await.expect("killed");
    wait_for(&admin, sleeping, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closing_session_says_why() {
    let cluster = newest();
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let child =
        gateway.psql().args(["-c", "SELECT pg_sleep(600)"]).stderr(std::process::Stdio::piped()).spawn();
    let child = child.expect("psql runs");
    while gateway.book.statements().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    gateway.closing.send_replace(Some(CloseReason::Killed));
    let output = tokio::time::timeout(Duration::from_secs(5), child.wait_with_output()).await;
    let output = output.expect("within seconds").expect("psql ends");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("has closed: it was killed by an operator"), "{error}");
}

/// warpgate deadlocks here: the client writes everything before it reads anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_pipelined_flood_does_not_deadlock() {
    let cluster = newest();
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let client = gateway.connect().await;
    let filler = "x".repeat(64 * 1024);
    let text = format!("SELECT length('{filler}')");
    let all = (0..1000).map(|_| client.simple_query(&text));
    let flood = futures_util::future::join_all(all);
    let answers = tokio::time::timeout(Duration::from_secs(120), flood).await.expect("no deadlock");
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(gateway.book.statements().len(), 1000);
}

/// Others cut at 16 MiB, or go on without recording.
#[tokio::test(flavor = "multi_thread")]
async fn large_messages_pass_both_ways_and_are_recorded_whole() {
    let cluster = newest();
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let client = gateway.connect().await;
    let large = 20 << 20;
    let row = client.query_one(&format!("SELECT length('{}')", "x".repeat(large)), &[]).await.expect("sent");
    assert_eq!(row.get::<_, i32>(0), 20 << 20);
    let row = client.query_one("SELECT repeat('y', $1)", &[&(20 << 20)]).await.expect("received");
    assert_eq!(row.get::<_, &str>(0).len(), large);
    let shown = gateway.book.shown();
    assert_eq!(shown.iter().filter(|byte| **byte == b'y').count(), large, "the recording is cut");
    let (_, _, text) = gateway.book.statements().swap_remove(0);
    assert!(text.starts_with("SELECT length("), "{}", &text[..80]);
}

/// A rule about DROP cannot tell whether there is one in what nobody can read.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_does_not_walk_past_a_rule() {
    let cluster = newest();
    let policy = r#"@id("no-drop") forbid(principal, action == Hoop::Action::"statement", resource)
                    when { context.verb == "drop table" };"#;
    let gateway = Gateway::start(&cluster, Setup { policy, ..Setup::open(&cluster) });
    let client = gateway.connect().await;
    client.batch_execute("CREATE TABLE kept (a int)").await.expect("allowed");
    let long = format!("DROP TABLE kept; SELECT '{}'", "x".repeat(17 << 20));
    let many = format!("DROP TABLE kept{}", "; SELECT 1".repeat(10_001));
    let deep = format!("DROP TABLE kept; SELECT {}1{}", "(".repeat(1500), ")".repeat(1500));
    let odd = format!("DROP TABLE kept; SELECT '\\'{}'", "x".repeat(5000));
    for (what, text) in [("long", &long), ("many", &many), ("deep", &deep), ("odd", &odd)] {
        if what == "odd" {
            client.batch_execute("SET standard_conforming_strings = off").await.expect("allowed");
        }
        let error = client.batch_execute(text).await.expect_err(what);
        let error = error.as_db_error().expect("an ErrorResponse");
        assert!(error.message().contains("(rule unjudged)"), "{what}: {}", error.message());
    }
    client.batch_execute("SELECT a FROM kept").await.expect("the table stands, and the session goes on");
}

/// Code that nobody sees can give a known name to another statement.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_not_trusted_after_code_that_could_have_changed_it() {
    let cluster = newest();
    let policy = r#"@id("no-delete") forbid(principal, action == Hoop::Action::"statement", resource)
                    when { context.verb == "delete" || context.verb == "execute" };"#;
    let gateway = Gateway::start(&cluster, Setup { policy, ..Setup::open(&cluster) });
    let client = gateway.connect().await;
    client.batch_execute("CREATE TABLE kept (a int); INSERT INTO kept VALUES (1)").await.expect("allowed");
    let swap = "DEALLOCATE again; EXECUTE 'PREPARE again AS DELETE FROM kept'";
    let swap = swap.replace("DEALLOCATE again", "EXECUTE 'DEALLOCATE again'");
    let as_do = format!("DO $do$ BEGIN {swap}; END $do$");
    let make = format!(
        "CREATE FUNCTION pg_temp.swap() RETURNS int LANGUAGE plpgsql AS $do$ BEGIN {swap}; RETURN 1; END $do$"
    );
    client.batch_execute(&make).await.expect("allowed");
    for hidden in [as_do.as_str(), "SELECT pg_temp.swap()"] {
        client.batch_execute("PREPARE again AS SELECT 1").await.expect("allowed");
        client.batch_execute("EXECUTE again").await.expect("known, and a SELECT");
        client.batch_execute(hidden).await.expect("allowed");
        let error = client.batch_execute("EXECUTE again").await.expect_err(hidden);
        let told = error.as_db_error().expect("an ErrorResponse").message().to_owned();
        assert!(told.contains("has not seen this prepared statement being made"), "{told}");
        client.batch_execute("DEALLOCATE again").await.expect("allowed");
    }
    let count: i64 = client.query_one("SELECT count(*) FROM kept", &[]).await.expect("counts").get(0);
    assert_eq!(count, 1);
    // the protocol's own names can be given away, too
    let statement = client.prepare("SELECT 1").await.expect("prepared");
    client.query_one(&statement, &[]).await.expect("known, and a SELECT");
    client.batch_execute(&as_do.replace("EXECUTE 'DEALLOCATE again'; ", "")).await.expect("allowed");
    client.query_one(&statement, &[]).await.expect_err("it may be another one by now");
}

/// Drivers prepare once and run often: each run is on record, with its values.
#[tokio::test(flavor = "multi_thread")]
async fn each_run_of_a_prepared_statement_is_recorded_with_its_values() {
    let cluster = newest();
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let client = gateway.connect().await;
    client.batch_execute("PREPARE again (text) AS SELECT $1").await.expect("prepared");
    let statement = client.prepare("SELECT $1::text || 'suffix'").await.expect("prepared");
    for value in ["first", "second"] {
        let row = client.query_one(&statement, &[&value]).await.expect("it runs");
        assert_eq!(row.get::<_, String>(0), format!("{value}suffix"));
        client.batch_execute(&format!("EXECUTE again('by {value} name')")).await.expect("it runs");
    }
    let items = gateway.book.items.lock().expect("not poisoned");
    let recorded = |wanted: &str| {
        let statements = items.iter().filter(|(kind, _)| *kind == ItemKind::Statement);
        // a binary value is in hexadecimal
        let hex: String = wanted.bytes().map(|byte| format!("{byte:02x}")).collect();
        let holds = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            text.contains(wanted) || text.contains(&hex)
        };
        statements.filter(|(_, bytes)| holds(bytes)).count()
    };
    for value in ["first", "second", "by first name", "by second name"] {
        assert!(recorded(value) >= 1, "{value} is not on record");
    }
    drop(items);
    let shown = gateway.book.shown();
    for answer in ["firstsuffix", "secondsuffix", "by second name"] {
        let found = shown.windows(answer.len()).any(|window| window == answer.as_bytes());
        assert!(found, "{answer} is not on record");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_goes_both_ways() {
    let cluster = newest();
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let folder = gateway.folder().join("out");
    let copy_in = "\\copy numbers FROM PROGRAM 'seq 1 100000'";
    let copy_out = format!("\\copy numbers TO '{}'", folder.display());
    let (_, err, ok) =
        gateway.run(&["-c", "CREATE TABLE numbers(n int)", "-c", copy_in, "-c", &copy_out]).await;
    assert!(ok, "{err}");
    let written = std::fs::read_to_string(folder).expect("the copy");
    assert_eq!(written.lines().count(), 100_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_ledger_nothing_moves() {
    let cluster = newest();
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let client = gateway.connect().await;
    client.batch_execute("CREATE TABLE t(a int)").await.expect("allowed");
    gateway.book.broken.store(true, std::sync::atomic::Ordering::Relaxed);
    let error = client.batch_execute("INSERT INTO t VALUES (1)").await.expect_err("no ledger, no bytes");
    let message = error.as_db_error().map(|e| e.message().to_owned()).unwrap_or_default();
    assert!(message.contains("the disk is full"), "{error:?}");
    let count: i64 =
        cluster.admin().await.query_one("SELECT count(*) FROM t", &[]).await.expect("counts").get(0);
    assert_eq!(count, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_and_a_wrong_user_read_the_same() {
    let cluster = newest();
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let attempt = async |user: &str, password: &str| {
        let mut psql = gateway.psql();
        let output =
            psql.env("PGUSER", user).env("PGPASSWORD", password).args(["-c", "SELECT 1"]).output().await;
        String::from_utf8_lossy(&output.expect("psql runs").stderr).replace(user, "USER")
    };
    let (secret, user) =
        (attempt("alice", "wrong").await, attempt("mallory", crate::support::gateway::SECRET).await);
    assert!(secret.contains("password authentication failed"), "{secret}");
    assert_eq!(secret, user);
}

async fn wait_for(admin: &tokio_postgres::Client, count: &str, wanted: i64) {
    for _ in 0..500 {
        let found: i64 = admin.query_one(count, &[]).await.expect("counts").get(0);
        if found == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never became {wanted}: {count}");
}

/// The role could read everything here: rewriting alone has to hold (design §3.3).
#[tokio::test(flavor = "multi_thread")]
async fn masks_hold_in_both_protocols_on_every_major() {
    for major in majors() {
        let cluster = Cluster::start(major);
        let admin = cluster.admin().await;
        let tables = "CREATE TABLE people (id int PRIMARY KEY, name text, ssn text);
                      INSERT INTO people VALUES (1, 'ada', 'top-secret'), (2, 'bob', 'top-secret-2')";
        admin.batch_execute(tables).await.expect("the table");
        let masks = vec![hidden("public.people.ssn")];
        let gateway = Gateway::start(&cluster, Setup { masks, ..Setup::open(&cluster) });
        let (out, err, ok) =
            gateway.run(&["-Atc", "SELECT id, ssn, upper(ssn) FROM people ORDER BY id"]).await;
        assert!(ok, "{major}: {err}");
        assert_eq!(out, "1|[masked]|[MASKED]\n2|[masked]|[MASKED]\n", "{major}");
        let client = gateway.connect().await;
        let rows = client.query("SELECT ssn FROM people WHERE id = $1", &[&1]).await.expect("prepared");
        assert_eq!(rows[0].get::<_, String>(0), "[masked]");
        let none =
            client.query("SELECT id FROM people WHERE ssn = $1", &[&"top-secret"]).await.expect("prepared");
        assert!(none.is_empty(), "a predicate meets the mask, not the value");
        let shown = gateway.book.shown();
        assert!(!shown.windows(10).any(|window| window == b"top-secret"));
        for meta in ["\\d", "\\d people", "\\dt+", "\\df", "\\du"] {
            let (_, err, ok) = gateway.run(&["-c", meta]).await;
            assert!(ok, "{major} {meta}: {err}");
        }
    }
}

/// A text that was read while `SET LOCAL search_path` held is read anew once the transaction has ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_path_of_one_transaction_names_no_tables_after_it() {
    let cluster = newest();
    let tables = "CREATE TABLE people (id int, ssn text); INSERT INTO people VALUES (1, 'a');
                  CREATE SCHEMA other; CREATE TABLE other.people (id int); INSERT INTO other.people VALUES (2)";
    cluster.admin().await.batch_execute(tables).await.expect("the tables");
    let masks = vec![hidden("public.people.ssn")];
    let gateway = Gateway::start(&cluster, Setup { masks, ..Setup::open(&cluster) });
    for end in ["COMMIT", "ROLLBACK"] {
        let client = gateway.connect().await;
        let id = async || {
            let answers = client.simple_query("SELECT id FROM people").await.expect("allowed");
            let rows = answers.iter().filter_map(|answer| match answer {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            });
            rows.collect::<Vec<_>>()
        };
        client.batch_execute("BEGIN").await.expect("allowed");
        client.batch_execute("SET LOCAL search_path = other").await.expect("allowed");
        assert_eq!(id().await, ["2"], "in the transaction");
        client.batch_execute(end).await.expect("allowed");
        assert_eq!(id().await, ["1"], "after {end}");
    }
}

/// `panic = abort` in warpgate: one fault ends every session.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_ends_one_connection_only() {
    assert!(!include_str!("../../Cargo.toml").contains("panic = \"abort\""));
    let cluster = newest();
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let survivor = gateway.connect().await;
    survivor.batch_execute("BEGIN; CREATE TABLE kept (a int)").await.expect("allowed");
    gateway.faulty.store(true, std::sync::atomic::Ordering::SeqCst);
    for _ in 0..3 {
        let (_, err, ok) = gateway.run(&["-c", "SELECT 1"]).await;
        assert!(!ok && err.contains("closed the connection"), "{err}");
    }
    // of the same gateway, in the middle of its transaction
    survivor.batch_execute("INSERT INTO kept VALUES (1); COMMIT").await.expect("it goes on");
    gateway.faulty.store(false, std::sync::atomic::Ordering::SeqCst);
    let (out, err, ok) = gateway.run(&["-Atc", "SELECT a FROM kept"]).await;
    assert!(ok && out == "1\n", "{err}");
}

const A_RULE: &str = r#"
@id("no-drops") @reason("tables stay")
forbid (principal, action == Hoop::Action::"statement", resource) when { context.verb == "drop table" };
"#;

/// Where no rule could refuse or hold anything, roles are the database's own matter.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_target_with_rules_taking_another_role_is_an_attempt_too() {
    let cluster = newest();
    let plain = Gateway::start(&cluster, Setup::open(&cluster));
    let gateway = Gateway::start(&cluster, Setup { policy: A_RULE, ..Setup::open(&cluster) });
    for attempt in ["SELECT 1; SET LOCAL ROLE postgres", "SET SESSION AUTHORIZATION postgres"] {
        let (_, err, ok) = plain.run(&["-c", attempt]).await;
        assert!(ok, "{attempt}: {err}");
        let (out, err, ok) = gateway.run(&["-c", attempt]).await;
        assert!(!ok && out.is_empty() && err.contains("policy.tamper"), "{attempt}: {err}");
    }
    gateway.run(&["-c", "SET ROLE postgres"]).await;
    assert_eq!(*gateway.closing.borrow(), Some(CloseReason::Tampering));
}

/// One `psql` for each attempt is no way round the count.
#[tokio::test(flavor = "multi_thread")]
async fn the_third_attempt_on_policy_closes_the_session_whichever_connection_makes_it() {
    let cluster = newest();
    cluster.admin().await.batch_execute("CREATE TABLE people (ssn text)").await.expect("a table");
    let masks = vec![hidden("public.people.ssn")];
    let gateway = Gateway::start(&cluster, Setup { masks, ..Setup::open(&cluster) });
    for attempt in ["SET ROLE postgres", "GRANT SELECT ON people TO PUBLIC"] {
        let (_, err, ok) = gateway.run(&["-c", attempt]).await;
        assert!(!ok && err.contains("policy.tamper"), "{err}");
    }
    let (out, err, _) = gateway.run(&["-Atc", "SELECT 1"]).await;
    assert_eq!((out.as_str(), err.as_str()), ("1\n", ""), "two attempts end nothing");
    gateway.run(&["-c", "COMMENT ON COLUMN people.ssn IS 'x'"]).await;
    assert_eq!(*gateway.closing.borrow(), Some(CloseReason::Tampering));
}
