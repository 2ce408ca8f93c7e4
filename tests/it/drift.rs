//! Schemas that change under open connections: no statement runs as it was judged by another catalog.

mod reread;
mod snapshots;

use bytes::Bytes;
use hoopctl::domain::mask::MaskRule;
use hoopctl::wire::postgres::frontend::{Bind, ClientMessage, Parse, Subject};

use crate::bypass::{EXECUTE, Raw, SYNC, bind, parse, told};
use crate::leases::stage::newest;
use crate::support::gateway::{Gateway, Setup};
use crate::support::masks::hidden;
use crate::support::postgres::{Cluster, majors};

/// What no client may be shown.
const SECRET: &str = "top-secret";
/// Nothing of it is masked but what the table `people` and the schema `vault` hold.
const SCHEMA: &str = "DROP SCHEMA IF EXISTS public, vault, other CASCADE; CREATE SCHEMA public; CREATE SCHEMA vault;
    CREATE TABLE plain (id int, word text); INSERT INTO plain VALUES (1, 'harmless');
    CREATE TABLE people (id int, word text, ssn text); INSERT INTO people VALUES (1, 'harmless', 'top-secret');
    CREATE VIEW shown AS SELECT id, word FROM plain;
    CREATE TABLE events (id int, word text) PARTITION BY RANGE (id);
    CREATE TABLE recent PARTITION OF events FOR VALUES FROM (0) TO (10); INSERT INTO events VALUES (1, 'harmless');
    CREATE TABLE vault.old (id int, word text); INSERT INTO vault.old VALUES (11, 'top-secret')";

/// What the operator does, and what then shows it.
const CHANGES: &[(&str, &str, &str)] = &[
    ("a column, by a star", ADDED, "SELECT * FROM plain"),
    ("a column, as a whole row", ADDED, "SELECT p FROM plain p"),
    ("a column, by a function of the row", ADDED, "SELECT row_to_json(p) FROM plain p"),
    ("a column, by NATURAL JOIN", ADDED, "SELECT * FROM plain NATURAL JOIN (SELECT 1 AS id) o"),
    ("a column, by RETURNING", ADDED, "UPDATE plain SET id = id RETURNING *"),
    ("a column, by COPY", ADDED, "COPY plain TO STDOUT"),
    (
        "a view that is replaced",
        "CREATE OR REPLACE VIEW shown AS SELECT id, ssn AS word FROM people",
        "SELECT word FROM shown",
    ),
    (
        "a partition",
        "ALTER TABLE events ATTACH PARTITION vault.old FOR VALUES FROM (10) TO (20)",
        "SELECT word FROM events",
    ),
    ("a child", "ALTER TABLE vault.old INHERIT plain", "SELECT word FROM plain"),
    (
        "a parent",
        "ALTER TABLE plain INHERIT vault.old; UPDATE plain SET word = 'top-secret'",
        "SELECT word FROM plain",
    ),
    (
        "columns that swap their names",
        "ALTER TABLE people RENAME ssn TO x; ALTER TABLE people RENAME word TO ssn; ALTER TABLE people RENAME x TO word;
         UPDATE people SET ssn = 'top-secret', word = 'harmless'",
        "SELECT ssn FROM people",
    ),
    (
        "tables that swap their names",
        "ALTER TABLE plain RENAME TO aside; ALTER TABLE people RENAME TO plain; ALTER TABLE aside RENAME TO people;
         ALTER TABLE plain DROP COLUMN word CASCADE; ALTER TABLE plain RENAME ssn TO word; ALTER TABLE plain RENAME TO p2;
         ALTER TABLE p2 RENAME TO plain; ALTER TABLE plain ADD api_key text DEFAULT 'top-secret';
         UPDATE plain SET word = 'harmless'",
        "SELECT * FROM plain",
    ),
    (
        "a table that is made anew",
        "DROP TABLE plain CASCADE; CREATE TABLE plain (id int, word text, api_key text); INSERT INTO plain VALUES (1, 'harmless', 'top-secret')",
        "SELECT * FROM plain",
    ),
    (
        "a type",
        "DROP VIEW shown; ALTER TABLE plain ALTER id TYPE text, ADD api_key varchar(20) DEFAULT 'top-secret'",
        "SELECT * FROM plain",
    ),
];
const ADDED: &str = "ALTER TABLE plain ADD COLUMN api_key text DEFAULT 'top-secret'";

struct Stage {
    cluster: Cluster,
    gateway: Gateway,
    admin: tokio_postgres::Client,
}

async fn stage(major: u32) -> Stage {
    let cluster = Cluster::start(major);
    let admin = cluster.admin().await;
    admin.batch_execute(SCHEMA).await.unwrap();
    let gateway = Gateway::start(&cluster, Setup { masks: masks(), ..Setup::open(&cluster) });
    Stage { cluster, gateway, admin }
}

fn masks() -> Vec<MaskRule> {
    ["public.*.api_key", "public.*.ssn", "vault.*.*"].map(hidden).into()
}

impl Stage {
    /// A connection that has asked before, as often as it takes to have every cache filled.
    async fn warm(&self, statement: &str) -> Raw {
        self.admin.batch_execute(SCHEMA).await.unwrap();
        let mut raw = Raw::connect(&self.gateway).await;
        for _ in 0..3 {
            let answers = ask(&mut raw, &[ClientMessage::Query(statement.as_bytes())]).await;
            assert!(!told(&answers, b'E', "") && !told(&answers, 0, SECRET), "{statement}: {answers:?}");
        }
        raw
    }
}

async fn ask(raw: &mut Raw, messages: &[ClientMessage<'_>]) -> Vec<(u8, Bytes)> {
    raw.send(messages).await;
    raw.until_ready().await
}

fn query(text: &str) -> ClientMessage<'_> {
    ClientMessage::Query(text.as_bytes())
}

/// Whatever was answered, the secret is not in it.
fn keeps(answers: &[(u8, Bytes)], of: &str) {
    let shows = answers.iter().any(|(_, body)| body.windows(SECRET.len()).any(|w| w == SECRET.as_bytes()));
    assert!(!shows, "{of}: {answers:?}");
    assert!(answers.last().is_some_and(|(tag, _)| *tag == b'Z'), "{of}: {answers:?}");
}

/// Outside of a transaction a client notices nothing but the new schema.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_statement_after_a_change_is_masked() {
    for major in [majors()[0], newest()] {
        let stage = stage(major).await;
        for (name, change, statement) in CHANGES {
            let of = format!("{major}: {name}");
            let mut raw = stage.warm(statement).await;
            stage.admin.batch_execute(change).await.unwrap();
            let answers = ask(&mut raw, &[query(statement)]).await;
            keeps(&answers, &of);
            assert!(!told(&answers, b'E', ""), "{of}: {answers:?}");
            assert!(
                told(&answers, b'D', "[masked]") || told(&answers, b'd', "[masked]"),
                "{of}: {answers:?}"
            );

            let mut raw = stage.warm(statement).await;
            stage.admin.batch_execute(change).await.unwrap();
            let batch = [
                parse("", statement),
                bind(""),
                ClientMessage::Describe(Subject::Portal(b"")),
                EXECUTE,
                SYNC,
            ];
            let answers = ask(&mut raw, &batch).await;
            keeps(&answers, &of);
            assert!(!told(&answers, b'E', ""), "{of}: {answers:?}");
            let tags: String = answers.iter().map(|(tag, _)| char::from(*tag)).collect();
            assert!(tags.starts_with("12") && tags.ends_with("CZ"), "{of}: {tags}");
        }
    }
}

/// What was prepared before is what it was, or is refused as PostgreSQL refuses it: drivers prepare it again.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_was_prepared_before_is_refused_after_a_change() {
    let stage = stage(18).await;
    for (name, change, statement) in CHANGES {
        let mut raw = stage.warm(statement).await;
        ask(&mut raw, &[parse("kept", statement), SYNC]).await;
        ask(&mut raw, &[bind("kept"), EXECUTE, SYNC]).await;
        ask(
            &mut raw,
            &[query(&format!(
                "PREPARE named AS {}",
                if statement.starts_with("COPY") { "SELECT 1" } else { statement }
            ))],
        )
        .await;
        stage.admin.batch_execute(change).await.unwrap();
        let answers = ask(&mut raw, &[bind("kept"), EXECUTE, SYNC]).await;
        keeps(&answers, name);
        let again = ask(&mut raw, &[bind("kept"), EXECUTE, SYNC]).await;
        keeps(&again, name);
        keeps(&ask(&mut raw, &[query("EXECUTE named")]).await, name);
        // and prepared again it is masked
        let close = ClientMessage::Close(Subject::Statement(b"kept"));
        let answers = ask(&mut raw, &[close, parse("kept", statement), bind("kept"), EXECUTE, SYNC]).await;
        keeps(&answers, name);
        assert!(!told(&answers, b'E', ""), "{name}: {answers:?}");
    }
    let mut raw = stage.warm("SELECT * FROM plain").await;
    ask(&mut raw, &[parse("kept", "SELECT * FROM people"), SYNC]).await;
    stage.admin.batch_execute("ALTER TABLE people ADD api_key text DEFAULT 'top-secret'").await.unwrap();
    let answers = ask(&mut raw, &[bind("kept"), EXECUTE, SYNC]).await;
    assert!(told(&answers, b'E', "C0A000") && told(&answers, b'E', "prepare it again"), "{answers:?}");
}

/// In a transaction nothing can be run again unnoticed, so the client is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_in_which_the_schema_changes_is_to_be_run_again() {
    let stage = stage(18).await;
    for (name, change, statement) in CHANGES {
        let mut raw = stage.warm(statement).await;
        ask(&mut raw, &[query("BEGIN; SELECT 1")]).await;
        stage.admin.batch_execute(change).await.unwrap();
        let answers = ask(&mut raw, &[query(statement)]).await;
        keeps(&answers, name);
        assert!(told(&answers, b'E', "C40001") && told(&answers, b'Z', "E"), "{name}: {answers:?}");
        ask(&mut raw, &[query("ROLLBACK")]).await;
        let answers = ask(&mut raw, &[query(statement)]).await;
        keeps(&answers, name);
        assert!(!told(&answers, b'E', ""), "{name}: {answers:?}");
    }
}

/// What was looked at stays locked, so one look is enough for a transaction, and a change waits for its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_waits_for_the_transaction_that_was_guarded() {
    let stage = stage(18).await;
    let mut raw = stage.warm("SELECT * FROM plain").await;
    ask(&mut raw, &[query("BEGIN")]).await;
    ask(&mut raw, &[query("SELECT * FROM plain")]).await;
    let change = "SET lock_timeout = '100ms'; ALTER TABLE plain ADD COLUMN api_key text DEFAULT 'top-secret'";
    assert!(stage.admin.batch_execute(change).await.is_err());
    let guards = async || -> i64 {
        let text = "SELECT count(*) FROM pg_locks WHERE relation = 'plain'::regclass AND granted";
        stage.admin.query_one(text, &[]).await.unwrap().get(0)
    };
    assert!(guards().await > 0);
    keeps(&ask(&mut raw, &[query("SELECT * FROM plain")]).await, "the same transaction");
    // behind the end of the transaction, in the same string, nothing is locked
    let answers = ask(&mut raw, &[query("COMMIT; SELECT * FROM plain")]).await;
    assert!(told(&answers, b'E', "string of its own"), "{answers:?}");
    // a savepoint that is rolled back to gives locks back
    ask(&mut raw, &[query("COMMIT")]).await;
    ask(&mut raw, &[query("BEGIN; SAVEPOINT s")]).await;
    ask(&mut raw, &[query("SELECT * FROM plain")]).await;
    ask(&mut raw, &[query("ROLLBACK TO s")]).await;
    stage.admin.batch_execute(ADDED).await.unwrap();
    let answers = ask(&mut raw, &[query("SELECT * FROM plain")]).await;
    keeps(&answers, "a savepoint");
    assert!(told(&answers, b'E', "C40001"), "{answers:?}");
}

/// The statements that guards use are the gateway's: a client cannot put others in their place.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_replace_a_guard() {
    let stage = stage(18).await;
    let statement = "SELECT * FROM plain";
    let mut raw = stage.warm(statement).await;
    let fake = ClientMessage::Parse(Parse {
        statement: b"hoopctl_1",
        text: b"SELECT $1::timestamptz",
        types: Vec::new(),
    });
    let answers = ask(&mut raw, &[ClientMessage::Close(Subject::Statement(b"hoopctl_1")), fake, SYNC]).await;
    assert!(told(&answers, b'E', "hoopctl_"), "{answers:?}");
    assert!(told(
        &ask(&mut raw, &[query("PREPARE hoopctl_1 AS SELECT $1::timestamptz")]).await,
        b'E',
        "hoopctl_"
    ));
    for forgotten in ["DEALLOCATE ALL", "DISCARD ALL", "DISCARD PLANS", "DEALLOCATE hoopctl_1", "SELECT 1"] {
        ask(&mut raw, &[query(forgotten)]).await;
        let answers = ask(&mut raw, &[query(statement)]).await;
        assert!(told(&answers, b'D', "harmless"), "{forgotten}: {answers:?}");
    }
    stage.admin.batch_execute(ADDED).await.unwrap();
    keeps(&ask(&mut raw, &[query(statement)]).await, "a guard that was taken away");
}

/// The catalog is compared when the database says that something has changed, and not for each statement.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_changed_is_not_compared() {
    for major in [majors()[0], newest()] {
        let stage = stage(major).await;
        let statement = "SELECT * FROM plain";
        let mut raw = stage.warm(statement).await;
        let failing = "CREATE OR REPLACE FUNCTION pg_catalog.hashtextextended(text, bigint) RETURNS bigint
            LANGUAGE sql IMMUTABLE CALLED ON NULL INPUT AS 'SELECT 1 / ($2 - $2)'";
        stage.admin.batch_execute(failing).await.unwrap();
        for _ in 0..10 {
            assert!(told(&ask(&mut raw, &[query(statement)]).await, b'D', "harmless"), "{major}");
        }
        stage.admin.batch_execute("ANALYZE plain").await.unwrap();
        let answers = ask(&mut raw, &[query(statement)]).await;
        assert!(told(&answers, b'E', ""), "{major}: {answers:?}");
    }
}

/// Upkeep of a table is no change, also in a transaction.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_to_the_same_goes_unnoticed() {
    let stage = stage(newest()).await;
    let statement = "SELECT * FROM plain";
    let mut raw = stage.warm(statement).await;
    for upkeep in ["ANALYZE plain", "VACUUM plain", "GRANT SELECT ON plain TO PUBLIC", "DISCARD PLANS"] {
        ask(&mut raw, &[query("BEGIN; SELECT 1")]).await;
        stage.admin.batch_execute(upkeep).await.unwrap();
        let answers = ask(&mut raw, &[query(statement)]).await;
        assert!(told(&answers, b'D', "harmless"), "{upkeep}: {answers:?}");
        ask(&mut raw, &[query("COMMIT")]).await;
    }
}

/// In the transaction in which the database first works out what a check means, its stamp is as new as any change.
#[tokio::test(flavor = "multi_thread")]
async fn a_stamp_proves_nothing_in_its_own_transaction() {
    let stage = stage(newest()).await;
    let mut raw = stage.warm("SELECT * FROM plain").await;
    let statement = "SELECT p.* FROM plain p, events";
    ask(&mut raw, &[query("BEGIN; SAVEPOINT s")]).await;
    for _ in 0..2 {
        let answers = ask(&mut raw, &[query(statement)]).await;
        assert!(told(&answers, b'D', "harmless"), "{answers:?}");
        ask(&mut raw, &[query("ROLLBACK TO s")]).await;
    }
    stage.admin.batch_execute(ADDED).await.unwrap();
    let answers = ask(&mut raw, &[query(statement)]).await;
    keeps(&answers, "the same transaction");
    assert!(told(&answers, b'E', "C40001"), "{answers:?}");
}

/// EXECUTE of what was prepared as a message ends a transaction like the statement itself, and its locks with it.
#[tokio::test(flavor = "multi_thread")]
async fn what_executes_the_end_of_a_transaction_ends_what_was_covered() {
    let stage = stage(newest()).await;
    let statement = "SELECT * FROM plain";
    for (begin, end) in [("BEGIN; SAVEPOINT s", "ROLLBACK TO s"), ("BEGIN", "COMMIT AND CHAIN")] {
        let mut raw = stage.warm(statement).await;
        let prepared =
            ClientMessage::Parse(Parse { statement: b"e", text: end.as_bytes(), types: Vec::new() });
        ask(&mut raw, &[prepared, SYNC]).await;
        ask(&mut raw, &[query(begin)]).await;
        assert!(told(&ask(&mut raw, &[query(statement)]).await, b'D', "harmless"), "{end}");
        let answers = ask(&mut raw, &[query("EXECUTE e")]).await;
        assert!(!told(&answers, b'E', ""), "{end}: {answers:?}");
        stage.admin.batch_execute(ADDED).await.unwrap();
        keeps(&ask(&mut raw, &[query(statement)]).await, end);
    }
}

/// Whoever describes a guard's statement has the database work it out anew, and nothing is compared then.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_have_a_guard_worked_out_behind_its_back() {
    let stage = stage(newest()).await;
    let mut raw = stage.warm("SELECT * FROM plain").await;
    let statement = "SELECT p.* FROM plain p, events";
    ask(&mut raw, &[query("BEGIN; SAVEPOINT s")]).await;
    assert!(told(&ask(&mut raw, &[query(statement)]).await, b'D', "harmless"));
    ask(&mut raw, &[query("ROLLBACK TO s")]).await;
    stage.admin.batch_execute(ADDED).await.unwrap();
    for number in 1..20 {
        let name = format!("hoopctl_{number}");
        ask(&mut raw, &[query("SAVEPOINT d")]).await;
        let answers =
            ask(&mut raw, &[ClientMessage::Describe(Subject::Statement(name.as_bytes())), SYNC]).await;
        assert!(told(&answers, b'E', "C26000"), "{answers:?}");
        ask(&mut raw, &[query("ROLLBACK TO d")]).await;
    }
    ask(&mut raw, &[query("COMMIT")]).await;
    keeps(&ask(&mut raw, &[query(statement)]).await, "a guard that was described");
}

/// Nobody else sees its rows, and its number is nobody else's to know.
#[tokio::test(flavor = "multi_thread")]
async fn somebodys_temporary_child_is_no_change() {
    let stage = stage(newest()).await;
    stage.admin.batch_execute("CREATE TEMPORARY TABLE theirs () INHERITS (plain)").await.unwrap();
    let mut raw = Raw::connect(&stage.gateway).await;
    for change in ["SELECT 1", ADDED, "ANALYZE plain"] {
        stage.admin.batch_execute(change).await.unwrap();
        let answers = ask(&mut raw, &[query("SELECT * FROM plain")]).await;
        assert!(told(&answers, b'D', "harmless"), "{change}: {answers:?}");
        keeps(&answers, change);
    }
}

/// A transaction that sees the catalog as it was when it began has no way to compare, so that something has changed is enough.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_does_not_hide_a_change() {
    for major in [majors()[0], newest()] {
        let stage = stage(major).await;
        for (name, change, statement) in CHANGES {
            let mut raw = stage.warm(statement).await;
            ask(&mut raw, &[query("BEGIN ISOLATION LEVEL REPEATABLE READ")]).await;
            ask(&mut raw, &[query("SELECT 1")]).await;
            stage.admin.batch_execute(change).await.unwrap();
            let answers = ask(&mut raw, &[query(statement)]).await;
            keeps(&answers, name);
            assert!(told(&answers, b'E', "C40001"), "{major}: {name}: {answers:?}");
            ask(&mut raw, &[query("ROLLBACK")]).await;
            keeps(&ask(&mut raw, &[query(statement)]).await, name);
        }
    }
}

/// What is made while a connection is open can be used on it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_new_is_found() {
    let stage = stage(18).await;
    let mut raw = stage.warm("SELECT * FROM plain").await;
    stage.admin.batch_execute("CREATE TABLE fresh AS SELECT 1 AS id, 'top-secret' AS api_key").await.unwrap();
    let answers = ask(&mut raw, &[query("SELECT * FROM fresh")]).await;
    keeps(&answers, "a new table");
    assert!(told(&answers, b'D', "[masked]"), "{answers:?}");
    drop(stage.cluster);
}

/// The stories above are red without the look at the catalog: here everything has the same hash.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_hash_that_differs_it_would_be_shown() {
    let stage = stage(newest()).await;
    let blind = "CREATE OR REPLACE FUNCTION pg_catalog.hashtextextended(text, bigint) RETURNS bigint
        LANGUAGE sql IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE AS 'SELECT 0::pg_catalog.int8'";
    stage.admin.batch_execute(blind).await.unwrap();
    let mut shown = Vec::new();
    for (name, change, statement) in CHANGES {
        let mut raw = stage.warm(statement).await;
        stage.admin.batch_execute(change).await.unwrap();
        let answers = ask(&mut raw, &[query(statement)]).await;
        if answers.iter().any(|(_, body)| body.windows(SECRET.len()).any(|w| w == SECRET.as_bytes())) {
            shown.push(*name);
        }
    }
    for name in
        ["a column, by a star", "a column, by COPY", "a view that is replaced", "a partition", "a child"]
    {
        assert!(shown.contains(&name), "{name} is kept by something else: {shown:?}");
    }
}
