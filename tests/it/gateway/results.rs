//! What detectors leave of results, with a real database.

use super::*;

const PEOPLE: &str = r#"
CREATE TYPE contact AS (mail text, n int);
CREATE TABLE people(id int, who text, doc json, docb jsonb, tags text[], at inet, one contact, n bigint);
INSERT INTO people VALUES
 (1, 'Alice <alice@example.org>', '{"to": "alice\u0040example.org", "n": 4111111111111111}',
  '{"to": "alice@example.org"}', '{plain,"to alice@example.org, now"}', '10.1.2.3/8',
  ROW('alice@example.org', 7), 4111111111111111),
 (2, 'nobody', '[1]', '{}', '{}', NULL, NULL, NULL);
"#;

/// Every format in which the address could come.
const ADDRESS: &[u8] = b"alice@example.org";

async fn looked_into(cluster: &Cluster) -> Gateway {
    cluster.admin().await.batch_execute(PEOPLE).await.expect("people");
    Gateway::start(cluster, Setup { detectors: &["card", "email", "ip"], ..Setup::open(cluster) })
}

#[tokio::test(flavor = "multi_thread")]
async fn detectors_look_into_what_psql_is_shown() {
    let cluster = newest();
    let gateway = looked_into(&cluster).await;
    let (out, err, ok) = gateway.run(&["-At", "-c", "SELECT * FROM people ORDER BY id"]).await;
    assert!(ok, "{err}");
    let shown = concat!(
        r#"1|Alice <[masked]>|{"to": "[masked]", "n": "[masked]"}|{"to": "[masked]"}"#,
        r#"|{plain,"to [masked], now"}|0.0.0.0|([masked],7)|4111111111111111"#,
        "\n2|nobody|[1]|{}|{}|||\n"
    );
    assert_eq!(out, shown);
    // what is shown can still be read as what it was
    let again = "SELECT tags[2], (one).mail, doc->>'to' FROM people WHERE id = 1";
    let (out, err, ok) = gateway.run(&["-At", "-c", again]).await;
    assert!(ok, "{err}");
    assert_eq!(out, "to [masked], now|[masked]|[masked]\n");
    let said = "DO $$ BEGIN RAISE NOTICE 'for %', (SELECT who FROM people WHERE id = 1); END $$";
    let fails = "SELECT who::int FROM people";
    let (out, err, ok) = gateway.run(&["-At", "-c", said, "-c", fails]).await;
    assert!(!ok, "a name is no number");
    assert_eq!(out, "DO\n");
    assert!(err.contains("for Alice <[masked]>") && err.contains("\"Alice <[masked]>\""), "{err}");
    assert!(!gateway.book.shown().windows(ADDRESS.len()).any(|window| window == ADDRESS), "it is recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn detectors_look_into_what_a_driver_gets_in_binary() {
    let cluster = newest();
    let gateway = looked_into(&cluster).await;
    let client = gateway.connect().await;
    let row =
        client.query_one("SELECT id, who, tags, n FROM people WHERE id = $1", &[&1]).await.expect("a row");
    assert_eq!(row.get::<_, i32>(0), 1);
    assert_eq!(row.get::<_, &str>(1), "Alice <[masked]>");
    assert_eq!(row.get::<_, Vec<String>>(2), ["plain", "to [masked], now"]);
    assert_eq!(row.get::<_, i64>(3), 4_111_111_111_111_111);
    // a cursor that SQL has opened, and a statement that it has prepared
    client
        .batch_execute("BEGIN; DECLARE c CURSOR FOR SELECT who FROM people ORDER BY id")
        .await
        .expect("a cursor");
    let fetched = client.query_one("FETCH 1 FROM c", &[]).await.expect("a row");
    assert_eq!(fetched.get::<_, &str>(0), "Alice <[masked]>");
    client.batch_execute("COMMIT; PREPARE p AS SELECT who FROM people ORDER BY id").await.expect("prepared");
    let rows = client.query("EXECUTE p", &[]).await.expect("rows");
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].get::<_, &str>(0), "Alice <[masked]>");
}

#[tokio::test(flavor = "multi_thread")]
async fn detectors_look_into_copy_and_refuse_what_they_cannot_read() {
    let cluster = newest();
    let gateway = looked_into(&cluster).await;
    let copy =
        |options: &str| format!("COPY (SELECT id, who, tags FROM people ORDER BY id) TO STDOUT {options}");
    let (out, err, ok) = gateway.run(&["-c", &copy(""), "-c", &copy("(FORMAT csv)")]).await;
    assert!(ok, "{err}");
    let text = "1\tAlice <[masked]>\t{plain,\"to [masked], now\"}\n2\tnobody\t{}\n";
    let csv = "1,Alice <[masked]>,\"{plain,\"\"to [masked], now\"\"}\"\n2,nobody,{}\n";
    assert_eq!(out, format!("{text}{csv}"));
    let client = gateway.connect().await;
    // with these, what is in a value is written with characters between
    let odd = ["DELIMITER '@'", "(DELIMITER ':')", "(FORMAT csv, QUOTE '@')", "CSV ESCAPE '@'"];
    for options in ["(FORMAT binary)", "BINARY", "WITH (FORMAT 'binary')"].into_iter().chain(odd) {
        let error = client.batch_execute(&copy(options)).await.expect_err("refused");
        let error = error.as_db_error().expect("an ErrorResponse");
        assert!(error.message().contains("detectors.copy"), "{error}");
    }
    client.query_one("SELECT 1", &[]).await.expect("the session goes on");
}

/// Ten digits are a phone's where the column says so, and nine with dashes a social security number where nothing else is.
#[tokio::test(flavor = "multi_thread")]
async fn detectors_know_a_number_by_its_column() {
    let cluster = newest();
    let setup = Setup { detectors: &["phone", "ssn"], ..Setup::open(&cluster) };
    let gateway = Gateway::start(&cluster, setup);
    let row = "SELECT '4155552671' AS phone, '4155552671' AS item, '536221870' AS \"customerSsn\", \
               '536-22-1870' AS a, ARRAY['536-22-1870', 'part 536-22-1870'] AS b";
    let (out, err, ok) =
        gateway.run(&["-At", "-c", row, "-c", &format!("COPY ({row}) TO STDOUT (FORMAT csv)")]).await;
    assert!(ok, "{err}");
    let shown = "[masked]|4155552671|[masked]|[masked]|{[masked],\"part 536-22-1870\"}\n";
    // of COPY the statement says what its columns are called
    let copied = "[masked],4155552671,[masked],[masked],\"{[masked],\"\"part 536-22-1870\"\"}\"\n";
    assert_eq!(out, format!("{shown}{copied}"));
    let table = format!("CREATE TABLE calls AS {row}");
    cluster.admin().await.batch_execute(&table).await.expect("a table");
    for (text, shown) in [
        ("COPY calls (item, phone, \"customerSsn\") TO STDOUT", "4155552671\t[masked]\t[masked]\n"),
        ("COPY calls (phone) TO STDOUT (FORMAT csv, FORCE_QUOTE *)", "\"[masked]\"\n"),
        // or its first row
        (
            "COPY calls TO STDOUT (FORMAT csv, HEADER)",
            "phone,item,customerSsn,a,b\n[masked],4155552671,[masked],[masked],",
        ),
        ("COPY (SELECT item AS phone, phone AS item FROM calls) TO STDOUT", "[masked]\t4155552671\n"),
        // and where neither does, nobody
        ("COPY calls TO STDOUT", "4155552671\t4155552671\t536221870\t[masked]\t"),
    ] {
        let (out, err, ok) = gateway.run(&["-At", "-c", text]).await;
        assert!(ok && out.starts_with(shown), "{text}: {out}{err}");
    }
}

/// INVARIANT: what a detector finds is stored nowhere: also not where somebody has typed it, or bound it in binary.
#[tokio::test(flavor = "multi_thread")]
async fn detectors_look_into_what_is_entered_and_recorded() {
    let cluster = newest();
    cluster.admin().await.batch_execute(PEOPLE).await.expect("people");
    let setup = Setup { detectors: &["card", "email", "ssn"], ..Setup::open(&cluster) };
    let gateway = Gateway::start(&cluster, setup);
    let client = gateway.connect().await;
    let asked = "SELECT count(*) FROM people WHERE who LIKE '%alice@example.org%' AND n = 4111111111111111";
    for _ in 0..4 {
        // from the texts, and from what they have in common
        let found = client.query_one(asked, &[]).await.expect("it is found");
        assert_eq!(found.get::<_, i64>(0), 1);
        client.simple_query(asked).await.expect("it is found");
    }
    // in binary: texts, an array of texts, a number, and a text of which the cut leaves half
    let bound = "SELECT count(*) FROM people WHERE who LIKE '%' || $1 || '%' OR who = $2 OR n = $3 OR tags = $4 OR who = $5";
    let long = format!("{}{}", " ".repeat(4085), SECRETS[0]);
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
        [&SECRETS[0], &SECRETS[2], &4_111_111_111_111_111_i64, &vec!["x", SECRETS[0]], &long];
    client.query(bound, &values).await.expect("it is found");
    let named = "SELECT count(*) FROM people WHERE who = $1 OR 'ssn ' || who = $2";
    client.query(named, &[&"in clear text", &BARE]).await.expect("none is found");
    client.simple_query("INSERT INTO people (id, who) VALUES (3, '536-22-1870')").await.expect("written");
    for written in [
        "SELECT 'alice@example.org'::int",
        "SELECT 'alice@example.org",
        "SELECT to alice@example.org",
        "SELECT 1 FROM people WHERE who = \"alice@example.org\"",
    ] {
        client.simple_query(written).await.expect_err("no number, not closed, no column");
    }
    for written in [
        "PREPARE p AS SELECT 'alice@example.org'",
        "EXECUTE p",
        "SELECT E'alice\\x40example.org', U&'alice\\0040example.org', 'alice@'\n'example.org'",
        "SET app.who = 'alice@example.org'",
    ] {
        client.simple_query(written).await.expect(written);
    }
    let events = format!("{:?}", gateway.book.events.lock().expect("not poisoned"));
    let recorded = recorded(&gateway);
    is_clean("the ledger", &events);
    is_clean("the recording", &recorded);
    assert!(events.contains("LIKE '[masked]%'") && recorded.contains("VALUES (3, '[masked]')"), "{events}");
    assert!(recorded.contains("in clear text"), "a text in binary is no riddle: {recorded}");
}

/// INVARIANT: nobody reviews less SQL than is sent, and no more of what is typed in it than may be stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_finding_hides_no_sql_from_a_reviewer() {
    const HELD: &str = r#"@id("held") @review("corp/dba:1") @standing("1h")
        forbid (principal, action == Hoop::Action::"statement", resource) when { context.kind == "write" };"#;
    let cluster = newest();
    cluster.admin().await.batch_execute(PEOPLE).await.expect("people");
    let detectors = &["card", "email", "private-key", "ssn"];
    let setup = Setup { detectors, policy: HELD, ..Setup::open(&cluster) };
    let gateway = Gateway::start(&cluster, setup);
    let client = gateway.connect().await;
    let text = "UPDATE people SET who = '-----BEGIN PRIVATE KEY-----' , n = 7 WHERE who <> 'alice@example.org'; \
                SELECT 1 /* -----BEGIN PRIVATE KEY----- */; DELETE FROM people WHERE id = 3";
    let shown = "UPDATE people SET who = '[masked]' , n = 7 WHERE who <> '[masked]'; \
                 SELECT 1 /* [masked]*/; DELETE FROM people WHERE id = 3";
    let approved = async {
        let request = gateway.desk.next().await;
        assert_eq!(request.text(), shown);
        is_clean("the subject", &format!("{:?}", request.subject));
        gateway.desk.approve(request);
    };
    let (done, ()) = tokio::join!(client.simple_query(text), approved);
    done.expect("it was approved");
    // the same with values in binary
    let other = gateway.connect().await;
    let bound = "UPDATE people SET who = $1, n = $2 WHERE 'ssn' <> $3";
    let approved = async {
        let request = gateway.desk.next().await;
        assert_eq!(request.text(), bound);
        is_clean("the subject", &format!("{:?}", request.subject));
        gateway.desk.approve(request);
    };
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
        [&SECRETS[0], &4_111_111_111_111_111_i64, &BARE];
    let (done, ()) = tokio::join!(other.query(bound, &values), approved);
    done.expect("it was approved");
    let events = format!("{:?}", gateway.book.events.lock().expect("not poisoned"));
    is_clean("the ledger", &events);
    is_clean("the recording", &recorded(&gateway));
    assert!(events.contains("DELETE FROM people"), "{events}");
    // and settings, which the recording has as they are reported
    other.batch_execute("SET search_path = 'alice@example.org', public").await.expect("a path");
    let approved = async {
        let request = gateway.desk.next().await;
        let subject = format!("{:?}", request.subject);
        assert!(subject.contains("search_path"), "{subject}");
        is_clean("the subject", &subject);
        gateway.desk.approve(request);
    };
    let (done, ()) = tokio::join!(other.simple_query("DELETE FROM people WHERE id = 4"), approved);
    done.expect("it was approved");
}

const SECRETS: [&str; 3] = ["alice@example.org", "4111111111111111", "536-22-1870"];
/// A social security number where the words before it say so.
const BARE: &str = "536221870";

fn recorded(gateway: &Gateway) -> String {
    let items = gateway.book.items.lock().expect("not poisoned");
    items.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()).collect::<Vec<_>>().join("\n")
}

/// No secret is in it: as text, in hexadecimal, as a number in binary, or most of one.
fn is_clean(what: &str, text: &str) {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for secret in SECRETS.into_iter().chain([BARE]) {
        for form in [secret.to_owned(), hex(secret.as_bytes())] {
            assert!(!text.contains(&form), "{form} is in {what}: {text}");
        }
    }
    for part in
        ["alice@exampl", "alice\\\\x40", "0040example", &hex(&4_111_111_111_111_111_i64.to_be_bytes())]
    {
        assert!(!text.contains(part), "{part} is in {what}: {text}");
    }
}
