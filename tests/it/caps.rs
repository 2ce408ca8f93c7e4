//! Caps of rules, between real clients and a real database.

use std::time::{Duration, Instant};

use hoopctl::domain::caps::CapKind;
use hoopctl::domain::event::What;
use hoopctl::gateway::journal::ItemKind;
use tokio_postgres::error::DbError;
use tokio_postgres::{Client, Error};

use crate::support::gateway::{Gateway, Setup};
use crate::support::masks::hidden;
use crate::support::postgres::{Cluster, majors};

/// Three rows of `t` at most, whatever `test.statement` allows; of others, what fits.
const RULES: &str = r#"
    @id("few") @max_rows("3") @hint("ask ada for an export")
    permit(principal, action == Hoop::Action::"statement", resource) when {
        context.relations_read.contains("?.t") || context.relations_written.contains("?.t")
    };
    @id("short") @max_bytes("2000B")
    permit(principal, action == Hoop::Action::"statement", resource) when {
        context.relations_read.contains("?.wide")
    };
    @id("quick") @statement_timeout("500ms")
    permit(principal, action == Hoop::Action::"statement", resource) when {
        context.functions.contains("?.pg_sleep") || context.relations_read.contains("?.slow")
            || context.relations_written.contains("?.slow")
    };
"#;

/// A table whose changes are looked at, for a minute, when their transaction ends.
const SLOW: &str = "CREATE TABLE slow (id int); INSERT INTO slow VALUES (1);
    CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER later AFTER UPDATE ON slow DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION wait();";

const TOO_SLOW: &str = "the statement took longer than 500 ms, which is all that one may take (rule quick)";

fn db(error: &Error) -> &DbError {
    error.as_db_error().expect("an ErrorResponse")
}

/// What the client is told, in short.
fn told(error: &Error) -> (String, String) {
    let error = db(error);
    (error.code().code().to_owned(), error.message().to_owned())
}

fn too_many() -> (String, String) {
    let message = "the answer is longer than 3 rows, which is all that one statement may give out (rule few)";
    ("54000".to_owned(), message.to_owned())
}

/// Each cap that was entered: rule, kind, rows.
fn entered(gateway: &Gateway) -> Vec<(String, CapKind, u64)> {
    let events = gateway.book.events.lock().expect("not poisoned");
    let capped = events.iter().filter_map(|event| match &event.what {
        What::StatementCapped { rule, cap, rows, .. } => Some((rule.to_string(), *cap, *rows)),
        _ => None,
    });
    capped.collect()
}

async fn gateway(cluster: &Cluster) -> Gateway {
    let admin = cluster.admin().await;
    let tables =
        "CREATE TABLE t AS SELECT id FROM generate_series(1, 100000) AS id; ALTER TABLE t ADD note text;
                  CREATE TABLE wide AS SELECT repeat('x', 100) AS line FROM generate_series(1, 1000);";
    admin.batch_execute(tables).await.expect("tables");
    Gateway::start(cluster, Setup { policy: RULES, ..Setup::open(cluster) })
}

async fn count(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.expect("counts").get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_of_asking_gives_out_more_than_the_cap() {
    for major in [*majors().first().expect("a major"), *majors().last().expect("a major")] {
        let cluster = Cluster::start(major);
        let gateway = gateway(&cluster).await;
        // psql sees rows, and then that they are not all
        let (out, err, ok) =
            gateway.run(&["-At", "-v", "FETCH_COUNT=0", "-c", "SELECT id FROM t LIMIT 3"]).await;
        assert_eq!((out.lines().count(), ok), (3, true), "{err}");
        for text in
            ["SELECT id FROM t", "COPY t TO STDOUT", "COPY (SELECT id FROM t) TO STDOUT (FORMAT binary)"]
        {
            let (_, err, ok) = gateway.run(&["-At", "-c", text]).await;
            assert!(!ok && err.contains("longer than 3 rows") && err.contains("ask ada"), "{text}: {err}");
        }
        let (out, err, ok) = gateway.run(&["-At", "-c", "SELECT line FROM wide"]).await;
        assert!(!ok && out.len() < 2000 && err.contains("longer than 2000 B"), "{err}");
        // psql fetches by a cursor of its own
        let (out, err, ok) = gateway.run(&["-At", "-v", "FETCH_COUNT=2", "-c", "SELECT id FROM t"]).await;
        assert!(!ok && out.lines().count() <= 3 && err.contains("longer than 3 rows"), "{out}{err}");

        let client = gateway.connect().await;
        let error = client.query("SELECT id FROM t", &[]).await.expect_err("capped");
        assert_eq!(told(&error), too_many());
        assert_eq!(client.query("SELECT id FROM t WHERE id < 4", &[]).await.expect("as many").len(), 3);

        client
            .batch_execute("BEGIN; DECLARE c CURSOR FOR SELECT id FROM t; FETCH 2 FROM c")
            .await
            .expect("two");
        let error = client.batch_execute("FETCH 2 FROM c").await.expect_err("capped");
        assert_eq!(told(&error), too_many());
        let error = client.batch_execute("SELECT 1").await.expect_err("the transaction has failed");
        assert_eq!(told(&error).0, "25P02");
        client.batch_execute("ROLLBACK").await.expect("rolls back");

        // a cursor of which nobody has seen what it reads
        let code = "BEGIN; DO $$ BEGIN EXECUTE 'DECLARE d CURSOR FOR SELECT id FROM t'; END $$";
        client.batch_execute(code).await.expect("allowed");
        client.batch_execute("FETCH 2 FROM d").await.expect("two");
        assert_eq!(told(&client.batch_execute("FETCH 2 FROM d").await.expect_err("capped")), too_many());
        client.batch_execute("ROLLBACK").await.expect("rolls back");

        let mut client = gateway.connect().await;
        let transaction = client.transaction().await.expect("begins");
        let portal = transaction.bind("SELECT id FROM t", &[]).await.expect("a portal");
        assert_eq!(transaction.query_portal(&portal, 2).await.expect("two").len(), 2);
        let error = transaction.query_portal(&portal, 2).await.expect_err("capped");
        assert_eq!(told(&error), too_many());
        drop(transaction);

        assert_eq!(
            count(&client, "SELECT count(*) FROM t").await,
            100_000,
            "{major}: the connection goes on"
        );
        let all = entered(&gateway);
        let few =
            all.iter().filter(|(rule, kind, rows)| rule == "few" && *kind == CapKind::Rows && *rows == 3);
        assert_eq!((all.len(), few.count()), (9, 8), "{all:?}");
        // the recording has the error as the client saw it
        let outcomes = String::from_utf8(gateway.book.recorded(ItemKind::Outcome)).expect("JSON");
        assert!(outcomes.contains("54000: the answer is longer than 3 rows"), "{outcomes}");
        assert!(String::from_utf8_lossy(&gateway.book.shown()).contains("longer than 2000 B"));
    }
}

/// INVARIANT: what a client is told has failed has failed.
#[tokio::test(flavor = "multi_thread")]
async fn a_capped_change_is_rolled_back_or_said_to_be_kept() {
    let cluster = Cluster::start(*majors().last().expect("a major"));
    let gateway = gateway(&cluster).await;
    let client = gateway.connect().await;
    let change = "UPDATE t SET note = 'x' WHERE id < 1000 RETURNING id";
    let noted = "SELECT count(note) FROM t";
    // in the extended protocol, where a Sync would have committed it
    assert_eq!(told(&client.query(change, &[]).await.expect_err("capped")), too_many());
    assert_eq!(count(&client, noted).await, 0);
    // in a transaction
    let error = client.batch_execute(&format!("BEGIN; {change}")).await.expect_err("capped");
    assert_eq!(told(&error), too_many());
    assert_eq!(told(&client.batch_execute("SELECT 1").await.expect_err("failed")).0, "25P02");
    client.batch_execute("ROLLBACK").await.expect("rolls back");
    assert_eq!(count(&client, noted).await, 0);
    // as a Query that commits by itself
    let error = client.simple_query(change).await.expect_err("capped");
    let kept = db(&error).detail().is_some_and(|detail| detail.contains("is kept"));
    assert_eq!(count(&client, noted).await > 0, kept, "{error:?}");
    // the rest of a text does not run
    let error = client.simple_query("SELECT id FROM t; CREATE TABLE later()").await.expect_err("capped");
    assert_eq!(told(&error), too_many());
    let later = count(&client, "SELECT count(*) FROM pg_class WHERE relname = 'later'").await;
    assert!(later == 0 || db(&error).detail().is_some_and(|detail| detail.contains("is kept")), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_setting_of_the_client_makes_its_time_longer() {
    let cluster = Cluster::start(*majors().last().expect("a major"));
    let gateway = gateway(&cluster).await;
    let client = gateway.connect().await;
    client.batch_execute("SET statement_timeout = 0").await.expect("it may be set");
    let begun = Instant::now();
    let error = client.query("SELECT pg_sleep(60)", &[]).await.expect_err("cancelled");
    assert!(begun.elapsed() < Duration::from_secs(20));
    let message = TOO_SLOW;
    assert_eq!(told(&error), ("57014".to_owned(), message.to_owned()));
    let error = client.simple_query("SELECT 1; SELECT pg_sleep(60)").await.expect_err("cancelled");
    assert_eq!(told(&error).1, message);
    // a shorter one of its own stays
    client.batch_execute("SET statement_timeout = '10ms'").await.expect("it may be set");
    let error = client.query("SELECT pg_sleep(60)", &[]).await.expect_err("cancelled");
    assert_eq!(told(&error).1, "canceling statement due to statement timeout");
    client.batch_execute("SET statement_timeout = 0").await.expect("it may be set");
    // a cancel of ours does not meet what comes next
    for _ in 0..5 {
        client.query("SELECT pg_sleep(60)", &[]).await.expect_err("cancelled");
        assert_eq!(count(&client, "SELECT count(*) FROM t").await, 100_000);
    }
    let quick = ("quick".to_owned(), CapKind::Time, 0);
    assert_eq!(entered(&gateway), vec![quick; 7]);
}

/// What a statement puts off is done when its transaction ends, in whichever way that is.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_transaction_takes_no_longer_than_its_statements_may() {
    for major in [*majors().first().expect("a major"), *majors().last().expect("a major")] {
        let cluster = Cluster::start(major);
        let gateway = gateway(&cluster).await;
        cluster.admin().await.batch_execute(SLOW).await.expect("a trigger");
        let too_slow = ("57014".to_owned(), TOO_SLOW.to_owned());
        let change = "UPDATE slow SET id = id + 1";
        let client = gateway.connect().await;
        let begun = Instant::now();
        for (before, end) in [
            (vec!["BEGIN", change], "COMMIT"),
            (vec!["BEGIN", change], "SET CONSTRAINTS ALL IMMEDIATE"),
            (vec!["BEGIN", change], "SELECT 1; COMMIT"),
            (vec![], change),
            (vec![], "UPDATE slow SET id = id + 1; SELECT 1"),
        ] {
            for text in before {
                client.batch_execute(text).await.expect("it is quick");
            }
            let error = client.batch_execute(end).await.expect_err("cancelled");
            assert_eq!(told(&error), too_slow, "{major}: {end}");
            client.batch_execute("ROLLBACK").await.expect("rolls back");
        }
        // by a Sync: the statement itself has been answered by then
        let error = client.execute(change, &[]).await.expect_err("cancelled");
        assert_eq!(told(&error), too_slow, "{major}: Sync");
        client.batch_execute("BEGIN").await.expect("begins");
        client.execute(change, &[]).await.expect("it is quick");
        let error = client.execute("COMMIT", &[]).await.expect_err("cancelled");
        assert_eq!(told(&error), too_slow, "{major}: a prepared COMMIT");
        assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
        assert_eq!(count(&client, "SELECT max(id)::bigint FROM slow").await, 1, "nothing was kept");
        // a transaction of others is nobody's: it may take its time
        client.batch_execute("BEGIN; UPDATE t SET id = id WHERE id = 1; COMMIT").await.expect("uncapped");
        let capped: Vec<_> = entered(&gateway).into_iter().map(|(rule, kind, _)| (rule, kind)).collect();
        assert_eq!(capped, vec![("quick".to_owned(), CapKind::Time); 7]);
    }
}

/// Also where it is the gateway's own guard that waits, in front of the statement.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_lock_takes_its_time() {
    let cluster = Cluster::start(*majors().last().expect("a major"));
    let admin = cluster.admin().await;
    admin.batch_execute(SLOW).await.expect("a table");
    admin.batch_execute("CREATE TABLE secrets (ssn text)").await.expect("a table");
    for masks in [vec![], vec![hidden("public.secrets.ssn")]] {
        let is_masked = !masks.is_empty();
        let policy = if is_masked { MASKED_RULES } else { RULES };
        let gateway = Gateway::start(&cluster, Setup { masks, policy, ..Setup::open(&cluster) });
        let client = gateway.connect().await;
        for begin in ["ROLLBACK", "BEGIN"] {
            admin.batch_execute("BEGIN; LOCK TABLE slow IN ACCESS EXCLUSIVE MODE").await.expect("locked");
            client.batch_execute(begin).await.expect("nothing to wait for");
            let begun = Instant::now();
            let error = client.batch_execute("SELECT id FROM slow").await.expect_err("cancelled");
            assert_eq!(told(&error).1, TOO_SLOW, "masked {is_masked}: {begin}");
            client.batch_execute("ROLLBACK").await.expect("rolls back");
            // the extended protocol waits when it prepares
            client.batch_execute(begin).await.expect("nothing to wait for");
            let error = client.query("SELECT id FROM slow", &[]).await.expect_err("cancelled");
            assert_eq!(told(&error).1, TOO_SLOW, "masked {is_masked}: {begin}, prepared");
            client.batch_execute("ROLLBACK").await.expect("rolls back");
            assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
            admin.batch_execute("COMMIT").await.expect("given back");
            assert_eq!(client.query("SELECT id FROM slow", &[]).await.expect("a row").len(), 1);
        }
        assert_eq!(entered(&gateway), vec![("quick".to_owned(), CapKind::Time, 0); 4]);
    }
}

/// The same rule where names are resolved.
const MASKED_RULES: &str = r#"
    @id("quick") @statement_timeout("500ms")
    permit(principal, action == Hoop::Action::"statement", resource) when {
        context.relations_read.contains("public.slow")
    };
"#;

/// A cancel that comes late for one statement of a pipeline must not meet the next.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_in_a_pipeline_meets_nothing_but_what_is_over_its_cap() {
    use crate::bypass::{EXECUTE, Raw, SYNC, bind, parse};
    let cluster = Cluster::start(*majors().last().expect("a major"));
    let gateway = gateway(&cluster).await;
    let mut raw = Raw::connect(&gateway).await;
    let mut failed = 0;
    for round in 0..24 {
        // as long as it may take, give or take a few milliseconds
        let sleep = format!("SELECT pg_sleep({})", 0.485 + f64::from(round % 12) / 200.0);
        let work = "SELECT count(*) FROM generate_series(1, 2000000)";
        let pipeline = [parse("", &sleep), bind(""), EXECUTE, SYNC, parse("", work), bind(""), EXECUTE, SYNC];
        raw.send(&pipeline).await;
        let first = raw.until_ready().await;
        let second = raw.until_ready().await;
        failed += u32::from(crate::bypass::told(&first, b'E', "C57014"));
        if let Some((_, told)) = first.iter().find(|(tag, _)| *tag == b'E') {
            assert!(String::from_utf8_lossy(told).contains(TOO_SLOW), "{first:?}");
        }
        assert!(crate::bypass::told(&second, b'D', "2000000"), "round {round}: {first:?} {second:?}");
    }
    assert!(failed > 0, "no statement was ever too slow");
}

/// What was counted for a cursor that nobody saw being declared counts until it is closed, and no longer.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_unknown_cursor_of_a_name_begins_anew() {
    let cluster = Cluster::start(*majors().last().expect("a major"));
    let gateway = gateway(&cluster).await;
    let client = gateway.connect().await;
    let opens = "DO $$ BEGIN EXECUTE 'DECLARE d CURSOR WITH HOLD FOR SELECT id FROM t'; END $$";
    for close in ["CLOSE d", "CLOSE ALL", "DISCARD ALL"] {
        client.batch_execute(opens).await.expect("allowed");
        client.batch_execute("FETCH 3 FROM d").await.expect("three");
        client.batch_execute(close).await.expect("closed");
    }
    client.batch_execute(opens).await.expect("allowed");
    client.batch_execute("FETCH 3 FROM d").await.expect("three");
    // a CLOSE that fails closes nothing
    client.batch_execute("BEGIN").await.expect("begins");
    client.batch_execute("SELECT 1 / 0").await.expect_err("fails");
    for close in ["CLOSE d", "CLOSE ALL"] {
        client.batch_execute(close).await.expect_err("the transaction has failed");
    }
    client.batch_execute("ROLLBACK").await.expect("rolls back");
    client.batch_execute("CLOSE other").await.expect_err("there is none");
    assert_eq!(told(&client.batch_execute("FETCH 1 FROM d").await.expect_err("capped")), too_many());
}
