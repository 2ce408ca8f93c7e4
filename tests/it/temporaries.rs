//! Temporary tables on a target with masks: they hold what their client was shown, and take names for as long as they are
//! there, as they do without a gateway.

use hoopctl::wire::postgres::frontend::ClientMessage;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::bypass::{EXECUTE, Raw, SYNC, bind, parse, told};
use crate::leases::stage::newest;
use crate::support::gateway::{Gateway, Setup};
use crate::support::masks::hidden;
use crate::support::postgres::{Cluster, majors};

const SECRET: &str = "078-05-1120";

const SCHEMA: &str = "CREATE TABLE people (id int PRIMARY KEY, name text, ssn text);
    INSERT INTO people SELECT n, 'name ' || n, '078-05-1120' FROM generate_series(1, 3) AS n;
    CREATE FUNCTION told(x text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RAISE NOTICE ''%'', x; RETURN x; END';
    CREATE DOMAIN checked AS text CHECK (told(VALUE) IS NOT NULL);
    CREATE TABLE defaulted (id int DEFAULT length(told('x')))";

async fn stage(major: u32) -> (Cluster, Gateway) {
    let cluster = Cluster::start(major);
    cluster.admin().await.batch_execute(SCHEMA).await.expect("a schema");
    let masks = vec![hidden("public.people.ssn")];
    let gateway = Gateway::start(&cluster, Setup { masks, ..Setup::open(&cluster) });
    (cluster, gateway)
}

/// What is said to a statement: rows, command tag, or SQLSTATE.
async fn said(client: &Client, sql: &str) -> Vec<String> {
    match client.simple_query(sql).await {
        Ok(messages) => messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    let columns = (0..row.len()).map(|column| row.get(column).unwrap_or("NULL"));
                    Some(columns.collect::<Vec<_>>().join("|"))
                }
                SimpleQueryMessage::CommandComplete(rows) => Some(format!("({rows})")),
                _ => None,
            })
            .collect(),
        Err(error) => vec![error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned())],
    }
}

/// Each way to make one from rows of a table with a mask.
#[tokio::test(flavor = "multi_thread")]
async fn they_hold_what_their_client_was_shown() {
    for major in [majors()[0], newest()] {
        let (_cluster, gateway) = stage(major).await;
        let client = gateway.connect().await;
        for (how, made) in [
            ("CREATE TABLE AS", "CREATE TEMP TABLE mine AS SELECT * FROM people"),
            ("by its schema", "CREATE TABLE pg_temp.mine AS SELECT p.* FROM people p ORDER BY id"),
            ("SELECT INTO", "SELECT id, name, ssn INTO TEMPORARY mine FROM people"),
            ("WITH", "CREATE TEMP TABLE mine AS WITH w AS (SELECT * FROM people) TABLE w"),
            (
                "LIKE and INSERT",
                "CREATE TEMP TABLE mine (LIKE people); INSERT INTO mine SELECT * FROM people",
            ),
            (
                "columns and INSERT",
                "CREATE TEMP TABLE mine (id int, name text, ssn text CHECK (ssn NOT LIKE '0%'), UNIQUE (id));
                 INSERT INTO mine TABLE people",
            ),
            (
                "UPDATE from it",
                "CREATE TEMP TABLE mine AS SELECT id, name, ''::text AS ssn FROM people;
                 UPDATE mine SET ssn = p.ssn FROM people p WHERE p.id = mine.id",
            ),
        ] {
            client.batch_execute(made).await.unwrap_or_else(|error| panic!("{major}, {how}: {error:?}"));
            let rows = said(&client, "SELECT count(*), min(ssn), max(ssn), max(length(ssn)) FROM mine").await;
            assert_eq!(rows, ["3|[masked]|[masked]|8", "(1)"], "{major}, {how}");
            let whole = said(&client, "SELECT m, to_json(m) FROM mine m ORDER BY id").await.join(" ");
            assert!(whole.contains("[masked]") && !whole.contains(SECRET), "{major}, {how}: {whole}");
            client.batch_execute("DROP TABLE mine").await.expect("it is gone");
        }
    }
}

/// The same statements, one by one, on a connection through the gateway and on one of the server's own.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_means_what_it_means_without_a_gateway() {
    let (cluster, gateway) = stage(newest()).await;
    for (how, statements) in [
        (
            "it comes before another table of its name, and gives it back",
            &[
                "CREATE TEMP TABLE people (id int)",
                "SELECT count(*) FROM people",
                "SELECT count(*) FROM public.people",
                "INSERT INTO people VALUES (7)",
                "SELECT * FROM people",
                "DROP TABLE people",
                "SELECT count(*) FROM people",
                "DROP TABLE IF EXISTS pg_temp.people",
            ][..],
        ),
        (
            "a transaction",
            &[
                "BEGIN",
                "CREATE TEMP TABLE people AS SELECT 1 AS id",
                "SELECT count(*) FROM people",
                "ROLLBACK",
                "SELECT count(*) FROM people",
                "BEGIN",
                "CREATE TEMP TABLE people ON COMMIT DROP AS SELECT 1 AS id",
                "SELECT count(*) FROM people",
                "COMMIT",
                "SELECT count(*) FROM people",
            ],
        ),
        (
            "savepoints, and a failure",
            &[
                "BEGIN",
                "SAVEPOINT a",
                "CREATE TEMP TABLE people (id int)",
                "SAVEPOINT b",
                "DROP TABLE people",
                "SELECT count(*) FROM people",
                "SELECT 1 / 0",
                "SELECT 1",
                "ROLLBACK TO b",
                "SELECT count(*) FROM people",
                "ROLLBACK TO a",
                "SELECT count(*) FROM people",
                "CREATE TEMP TABLE people AS SELECT 2 AS id",
                "RELEASE a",
                "SELECT count(*) FROM people",
                "COMMIT",
                "SELECT count(*) FROM people",
                "DROP TABLE people",
            ],
        ),
        (
            "one string",
            &[
                "CREATE TEMP TABLE people (id int); INSERT INTO people VALUES (1), (2); SELECT count(*) FROM people",
                "DROP TABLE people; SELECT count(*) FROM people",
                "CREATE TEMP TABLE people (id int); SELECT 1 / 0",
                "SELECT count(*) FROM people",
                "BEGIN; CREATE TEMP TABLE people (id int); COMMIT",
                "SELECT count(*) FROM people",
                "DISCARD TEMP",
                "SELECT count(*) FROM people",
            ],
        ),
        (
            "what was prepared before",
            &[
                "CREATE TEMP TABLE IF NOT EXISTS people (id int)",
                "CREATE TEMP TABLE IF NOT EXISTS people (name text)",
                "SELECT count(id) FROM people",
                "PREPARE counted AS SELECT count(*) FROM people",
                "EXECUTE counted",
                "INSERT INTO people VALUES (1)",
                "EXECUTE counted",
                "DISCARD ALL",
                "SELECT count(*) FROM people",
            ],
        ),
        (
            "what was prepared of other tables",
            &[
                "PREPARE p AS SELECT count(*) FROM people",
                "CREATE TEMP TABLE other (a int)",
                "EXECUTE p",
                "DROP TABLE other",
                "EXECUTE p",
                "DEALLOCATE p",
            ],
        ),
        (
            "a constraint that is looked at in the end",
            &[
                "CREATE TEMP TABLE people (a int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO people VALUES (1), (1)",
                "SELECT count(*) FROM people",
            ],
        ),
        (
            "the search path",
            &[
                "CREATE TEMP TABLE people (id int)",
                "SET search_path = public, pg_temp",
                "SELECT count(*) FROM people",
                "SET search_path = pg_temp, public",
                "SELECT count(*) FROM people",
                "RESET search_path",
                "SELECT count(*) FROM pg_temp.people",
                "SELECT pg_temp.people.id, people FROM pg_temp.people",
                "DROP TABLE pg_temp.people",
            ],
        ),
        (
            "everything that is done to one",
            &[
                "CREATE TEMP TABLE t (id serial PRIMARY KEY, n int GENERATED ALWAYS AS (id * 2) STORED, w text DEFAULT upper('a') COLLATE \"C\")",
                "INSERT INTO t (w) VALUES (DEFAULT), ('b') RETURNING *",
                "CREATE UNIQUE INDEX ON t (lower(w) text_pattern_ops) WHERE id > 0",
                "INSERT INTO t (w) VALUES ('B')",
                "ALTER TABLE t ADD COLUMN more jsonb DEFAULT '{}', ALTER COLUMN w SET DEFAULT 'z'",
                "SELECT * FROM t ORDER BY id",
                "ANALYZE t",
                "UPDATE t SET more = '{\"a\": 1}' WHERE id = 2",
                "MERGE INTO t USING (VALUES (1), (9)) v (id) ON t.id = v.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (w) VALUES ('new')",
                "SELECT w, more FROM t ORDER BY w",
                "ALTER TABLE t DROP COLUMN more",
                "TRUNCATE t",
                "SELECT * FROM t",
                "CREATE TEMP TABLE u (LIKE t INCLUDING ALL)",
                "INSERT INTO u (w) SELECT name FROM people",
                "SELECT count(*), sum(n) FROM u",
                "DROP TABLE t, u",
            ],
        ),
    ] {
        let (through, direct) = (gateway.connect().await, cluster.admin().await);
        for (at, statement) in statements.iter().enumerate() {
            let (here, there) = (said(&through, statement).await, said(&direct, statement).await);
            assert_eq!(here, there, "{how}, {at}: {statement}");
        }
    }
}

/// Drivers send what they need in one go, and read the answers afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_makes_fills_and_reads_one() {
    let (_cluster, gateway) = stage(newest()).await;
    let mut raw = Raw::connect(&gateway).await;
    let texts = [
        "BEGIN",
        "CREATE TEMP TABLE people ON COMMIT DROP AS SELECT id, ssn FROM people",
        "INSERT INTO people VALUES (9, 'new')",
        "SELECT string_agg(ssn, ' ' ORDER BY id) FROM people",
        "COMMIT",
        "SELECT count(*)::text || ' rows' FROM people",
    ];
    let messages: Vec<ClientMessage<'_>> =
        texts.iter().flat_map(|text| [parse("", text), bind(""), EXECUTE]).chain([SYNC]).collect();
    raw.send(&messages).await;
    let answers = raw.until_ready().await;
    assert!(!told(&answers, b'E', ""), "{answers:?}");
    assert!(told(&answers, b'D', "[masked] [masked] [masked] new"), "{answers:?}");
    assert!(told(&answers, b'D', "3 rows"), "{answers:?}");
}

/// The error comes with Sync, which is nobody's statement.
#[tokio::test(flavor = "multi_thread")]
async fn what_fails_in_the_end_of_a_pipeline_was_never_made() {
    let (_cluster, gateway) = stage(newest()).await;
    let mut raw = Raw::connect(&gateway).await;
    let texts = [
        "CREATE TEMP TABLE people (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)",
        "INSERT INTO people VALUES (1), (1)",
    ];
    let messages: Vec<ClientMessage<'_>> =
        texts.iter().flat_map(|text| [parse("", text), bind(""), EXECUTE]).chain([SYNC]).collect();
    raw.send(&messages).await;
    let answers = raw.until_ready().await;
    assert!(told(&answers, b'E', "23505"), "{answers:?}");
    raw.send(&[ClientMessage::Query(b"SELECT count(*)::text || ' rows' FROM people")]).await;
    let answers = raw.until_ready().await;
    assert!(told(&answers, b'D', "3 rows"), "{answers:?}");
}

/// A function finds a temporary table by its name before the table that it means, and writes there what it may read.
#[tokio::test(flavor = "multi_thread")]
async fn there_are_none_where_other_code_could_write_to_them() {
    let (cluster, _) = stage(newest()).await;
    let admin = cluster.admin().await;
    let audited = "CREATE TABLE audited (old_row jsonb); \
        CREATE FUNCTION audits() RETURNS trigger LANGUAGE plpgsql AS \
        'BEGIN INSERT INTO audited VALUES (to_jsonb(OLD)); RETURN NEW; END'; \
        CREATE TRIGGER audits BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION audits()";
    admin.batch_execute(audited).await.expect("a trigger");
    let gateway = |trusted| {
        let masks = vec![hidden("public.people.ssn")];
        Gateway::start(&cluster, Setup { masks, trusted, ..Setup::open(&cluster) })
    };
    let trusting = gateway(&["public.audits"]);
    let client = trusting.connect().await;
    let statements =
        ["CREATE TEMP TABLE audited (old_row jsonb)", "UPDATE people SET name = name WHERE id = 1"];
    let mut all = Vec::new();
    for statement in statements {
        all.extend(said(&client, statement).await);
    }
    assert_eq!(all, ["42501", "(1)"]);
    let rows = said(&client, "SELECT count(*) FROM pg_temp.audited").await;
    assert_eq!(rows, ["42501"], "there is no such table");

    let defines = "CREATE FUNCTION defined() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN NULL; END'; \
        CREATE EVENT TRIGGER defined ON ddl_command_end EXECUTE FUNCTION defined()";
    admin.batch_execute(defines).await.expect("an event trigger");
    let client = gateway(&[]).connect().await;
    for statement in
        ["CREATE TEMP TABLE t (a int)", "SELECT 1 AS a INTO TEMP t", "CREATE TEMP TABLE t AS SELECT 1"]
    {
        assert_eq!(said(&client, statement).await, ["42501"], "{statement}");
    }
}

/// What a table's columns are called is worked out before policy is asked: it must stay small.
#[tokio::test(flavor = "multi_thread")]
async fn stars_beyond_number_cost_little() {
    let (_cluster, gateway) = stage(newest()).await;
    let client = gateway.connect().await;
    let stars = vec!["*"; 400].join(", ");
    let sources: Vec<String> = (0..400).map(|at| format!("people p{at}")).collect();
    let statement = format!("CREATE TEMP TABLE t AS SELECT {stars} FROM {} LIMIT 0", sources.join(", "));
    let refused = said(&client, &statement).await;
    assert!(refused.first().is_some_and(|code| code.len() == 5), "{refused:?}");
    let likes = vec!["LIKE people"; 3000].join(", ");
    assert_eq!(said(&client, &format!("CREATE TEMP TABLE t ({likes})")).await, ["42501"]);
}

/// What would run code of users, or lead out of the session's own schema.
#[tokio::test(flavor = "multi_thread")]
async fn what_could_do_more_than_hold_rows_is_refused() {
    let (cluster, _) = stage(newest()).await;
    for statement in [
        "CREATE TEMP TABLE t (a text DEFAULT told('x'))",
        "CREATE TEMP TABLE t (a text CHECK (told(a) > ''))",
        "CREATE TEMP TABLE t (a text, b text GENERATED ALWAYS AS (told(a)) STORED)",
        "CREATE TEMP TABLE t (a checked)",
        "CREATE TEMP TABLE t (LIKE defaulted INCLUDING ALL)",
        "CREATE TEMP TABLE t (LIKE people INCLUDING ALL)",
        "CREATE TEMP TABLE t () INHERITS (people)",
        "CREATE TEMP TABLE t (a int) PARTITION BY LIST (a)",
        "CREATE TEMP TABLE t (a int REFERENCES people)",
        "CREATE TEMP TABLE t (a int) TABLESPACE pg_default",
        "CREATE TEMP TABLE t AS SELECT told(name) FROM people",
        "CREATE TEMP TABLE t AS EXECUTE nothing",
        "CREATE TEMP TABLE public.t (a int)",
        "EXPLAIN SELECT id INTO TEMP t FROM people",
        "CREATE TEMP VIEW t AS SELECT * FROM people",
        "CREATE TEMP SEQUENCE t",
        "CREATE INDEX ON mine (told(word))",
        "CREATE INDEX ON mine (id) WHERE told(word) > ''",
        "CREATE INDEX ON mine (word public.some_ops)",
        "CREATE INDEX ON people (id)",
        "ALTER TABLE mine ADD COLUMN b text DEFAULT told('x')",
        "ALTER TABLE mine ALTER COLUMN word TYPE checked",
        "ALTER TABLE mine INHERIT people",
        "ALTER TABLE mine OWNER TO postgres",
        "ALTER TABLE people ADD COLUMN b text",
        "ANALYZE mine, people",
        "ANALYZE",
        "DROP TABLE mine, people",
        "DROP TABLE people",
        "CREATE TRIGGER t BEFORE INSERT ON mine EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "CREATE RULE r AS ON INSERT TO mine DO ALSO SELECT * FROM people",
        "SELECT * INTO t FROM people",
        "(SELECT id INTO TEMP t FROM people) UNION SELECT 1",
        "WITH w AS (SELECT * INTO TEMP t FROM people) TABLE w",
    ] {
        // who tries such things again and again is not let on
        let masks = vec![hidden("public.people.ssn")];
        let gateway = Gateway::start(&cluster, Setup { masks, ..Setup::open(&cluster) });
        let client = gateway.connect().await;
        client.batch_execute("CREATE TEMP TABLE mine (id int, word text)").await.expect("a table");
        let refused = client.simple_query(statement).await.expect_err(statement);
        let message = refused.as_db_error().expect("an answer").message().to_owned();
        assert!(message.contains("(rule "), "{statement}: {message}");
    }
}
