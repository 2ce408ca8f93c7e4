//! Caps of rules, between real clients and a real database.

use std::time::{Duration, Instant};

use hoopctl::domain::caps::CapKind;
use hoopctl::domain::event::What;
use hoopctl::gateway::journal::ItemKind;
use tokio_postgres::error::DbError;
use tokio_postgres::{Client, Error};

use crate::support::gateway::{Gateway, Setup};
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
        context.functions.contains("?.pg_sleep")
    };
"#;

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
    let message = "the statement took longer than 500 ms, which is all that one may take (rule quick)";
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
