//! The record: complete, masked, and provable.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hoopctl::recording::chunk::Chunk;
use rustix::process::Signal;
use tokio_postgres::NoTls;

use crate::interruptions::{listening, signal};
use crate::support::env::Env;
use crate::support::files_below;
use crate::support::postgres::free_port;
use crate::support::world::{MASKED, PLANTED, Twist, World, last_words, psql};

async fn verify(env: &Env, ledger: &Path) -> crate::support::env::Ran {
    env.run(&["audit", "verify", "--dir", &ledger.to_string_lossy()]).await
}

fn bundle(ledger: &Path) -> PathBuf {
    let mut files = files_below(&ledger.join("tile/entries"));
    files.sort_by_key(|path| std::fs::metadata(path).map(|facts| facts.len()).unwrap_or_default());
    files.pop().expect("a bundle")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_replayed_as_it_was_shown() {
    let world = World::start(Twist { below: MASKED, ..Twist::default() }).await;
    let alice = world.login("alice").await;
    psql(&alice, "SELECT id, api_key FROM reasoning_traces WHERE id = 7").await.ends(0);
    let list = alice.run(&["--output", "json", "session", "list"]).await.ends(0);
    let session: serde_json::Value =
        serde_json::from_str(list.stdout.lines().next().expect("a line")).expect("JSON");
    let id = session["id"].as_str().expect("an id");
    let replay = alice.run(&["session", "replay", id, "--speed", "1000"]).await.ends(0);
    assert!(replay.stdout.contains("[masked]"), "{}", replay.stdout);
    assert!(!replay.text().contains(PLANTED), "{}", replay.text());
}

/// Nobody can make their own session unreplayable by its size.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_with_a_huge_statement_is_replayed_to_its_end() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let file = alice.home().join("huge.sql");
    let huge = "x".repeat(20 << 20);
    std::fs::write(&file, format!("SELECT length('{huge}');\nSELECT 'after' || 'wards';\n"))
        .expect("written");
    alice.run(&["connect", "db", "--", "-XAtqf", &file.to_string_lossy()]).await.ends(0);
    let list = alice.run(&["--output", "json", "session", "list"]).await.ends(0);
    let session: serde_json::Value =
        serde_json::from_str(list.stdout.lines().next().expect("a line")).expect("JSON");
    let id = session["id"].as_str().expect("an id");
    let replay = alice.run(&["session", "replay", id, "--speed", "1000"]).await.ends(0);
    assert!(replay.stdout.contains(&huge), "the statement is cut: {} bytes", replay.stdout.len());
    assert!(replay.stdout.contains("afterwards"), "the replay ends before the session does");
}

/// Warpgate's audit log ends for good after a burst.
#[tokio::test(flavor = "multi_thread")]
async fn a_burst_loses_no_entry() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let script: String = (0..3000).map(|n| format!("SELECT {n};\n")).collect();
    let file = alice.home().join("burst.sql");
    std::fs::write(&file, script).expect("written");
    alice.run(&["connect", "db", "--", "-XAtqf", &file.to_string_lossy()]).await.ends(0);
    // and eight connections at once, each of which prepares a statement first
    let transaction = alice.home().join("transaction.sql");
    std::fs::write(&transaction, "\\set n random(1, 1000)\nSELECT :n;\n").expect("written");
    let pgbench = format!(
        "{} -n -c 8 -j 2 -t 500 -M prepared -f {} \"$DB_URL\"",
        crate::drivers::program("pgbench").as_std().get_program().to_string_lossy(),
        transaction.display()
    );
    let ran = alice.run(&["exec", "db", "--", "sh", "-c", &pgbench]).await.ends(0);
    assert!(ran.stdout.contains("4000/4000"), "{}", ran.text());
    let list = alice.run(&["--output", "json", "session", "list"]).await.ends(0);
    for entered in ["\"statements\":3000", "\"statements\":4008"] {
        assert!(list.stdout.contains(entered), "{}", list.stdout);
    }
    verify(&alice, &world.broker.data().join("ledger")).await.ends(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn tampering_is_found_offline() {
    let mut world = World::start(Twist { below: MASKED, ..Twist::default() }).await;
    let alice = world.login("alice").await;
    psql(&alice, "SELECT count(*) FROM reasoning_traces").await.ends(0);
    world.broker.stop();
    let ledger = world.broker.data().join("ledger");
    verify(&alice, &ledger).await.ends(0);
    let file = bundle(&ledger);
    let whole = std::fs::read(&file).expect("a bundle");
    let mut bytes = whole.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, &bytes).expect("written");
    verify(&alice, &ledger).await.ends(65);
    std::fs::write(&file, &whole).expect("written");
    verify(&alice, &ledger).await.ends(0);
}

/// What is typed holds protected values too, as people compare and set them.
#[tokio::test(flavor = "multi_thread")]
async fn the_disk_holds_no_protected_value() {
    let mut world = World::start(Twist { below: MASKED, ..Twist::default() }).await;
    let alice = world.login("alice").await;
    psql(&alice, "SELECT prompt, api_key, customer_id FROM reasoning_traces WHERE id = 1234").await.ends(0);
    let typed = [
        format!("SELECT id FROM reasoning_traces WHERE api_key = '{PLANTED}-1'"),
        format!(
            "SELECT id FROM reasoning_traces WHERE api_key IN ('{PLANTED}-1', 'x') OR api_key LIKE '{PLANTED}%'"
        ),
        format!("UPDATE reasoning_traces SET api_key = '{PLANTED}-2' WHERE id = 1"),
        format!("INSERT INTO reasoning_traces (id, project, api_key) VALUES (1, 'p', '{PLANTED}-3')"),
        format!("INSERT INTO reasoning_traces (id, project, api_key) VALUES (9001, 'p', '{PLANTED}-4')"),
        format!("WITH k AS (SELECT '{PLANTED}-1' AS v) SELECT id FROM reasoning_traces, k WHERE api_key = v"),
        format!("DELETE FROM reasoning_traces WHERE api_key = '{PLANTED}-1999'"),
        format!("EXPLAIN SELECT id FROM reasoning_traces WHERE api_key = '{PLANTED}-1'"),
        format!("DO $$ BEGIN PERFORM 1 FROM reasoning_traces WHERE api_key = '{PLANTED}-1'; END $$"),
        format!("CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT '{PLANTED}-1' $$"),
        format!("ALTER ROLE CURRENT_USER PASSWORD '{PLANTED}-1'"),
        // what cannot be read, and what was cut short
        format!("SELEC id FROM reasoning_traces WHERE api_key = '{PLANTED}-1'"),
        format!("SELECT id FROM reasoning_traces WHERE api_key = '{PLANTED}-1"),
        "SELECT api_key::int FROM reasoning_traces".to_owned(),
        "COPY reasoning_traces (id, api_key, customer_id) TO STDOUT".to_owned(),
        "SELECT t FROM (SELECT id, api_key, customer_id FROM reasoning_traces) t".to_owned(),
    ];
    for sql in &typed {
        let ran = psql(&alice, sql).await;
        assert!(!ran.text().contains(PLANTED), "{sql}: {}", ran.text());
    }
    let prepare = "PREPARE p (text) AS SELECT id FROM reasoning_traces WHERE api_key = $1";
    let execute = format!("EXECUTE p ('{PLANTED}-1')");
    let ran = alice.run(&["connect", "db", "--", "-XAtc", prepare, "-c", &execute]).await;
    assert!(!ran.text().contains(PLANTED), "{}", ran.text());
    let fetched =
        format!("DECLARE c CURSOR FOR SELECT id FROM reasoning_traces WHERE api_key <> '{PLANTED}-1'");
    let ran =
        alice.run(&["connect", "db", "--", "-XAtc", "BEGIN", "-c", &fetched, "-c", "FETCH 2 FROM c"]).await;
    assert!(!ran.text().contains(PLANTED), "{}", ran.text());
    std::fs::write(alice.home().join("new.csv"), format!("9002,p,{PLANTED}-5\n")).expect("written");
    let copy = "\\copy reasoning_traces (id, project, api_key) FROM 'new.csv' CSV";
    alice.run(&["connect", "db", "--", "-XAtc", copy]).await;
    // drivers send values beside the text, in binary
    let (child, url) = listening(&alice, free_port()).await;
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("it connects");
    tokio::spawn(connection);
    let compared = "SELECT prompt FROM reasoning_traces WHERE id = 1235 AND api_key <> $1";
    let rows = client.query(compared, &[&format!("{PLANTED}-1")]).await.expect("allowed");
    assert_eq!(rows[0].get::<_, String>(0), "prompt 1235");
    drop(client);
    signal(&child, Signal::INT);
    last_words(child, Duration::from_secs(10)).await;
    world.until_no_roles().await;
    world.broker.stop();

    let needles: Vec<Vec<u8>> = [PLANTED.to_owned(), PLANTED.bytes().map(|b| format!("{b:02x}")).collect()]
        .map(String::into_bytes)
        .into();
    let holds = |hay: &[u8], needle: &[u8]| hay.windows(needle.len()).any(|window| window == needle);
    let (mut recorded, mut files) = (Vec::new(), 0);
    for path in files_below(&world.broker.data()) {
        let bytes = std::fs::read(&path).expect("a file");
        let mut plain = Vec::new();
        if bytes.starts_with(b"HOOPREC") {
            let chunk = Chunk::open(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            plain.extend(chunk.pieces().flat_map(|piece| piece.bytes).copied());
            recorded.extend_from_slice(&plain);
        }
        files += 1;
        for hay in [&bytes, &plain] {
            let found = needles.iter().any(|needle| holds(hay, needle));
            assert!(!found, "{} holds a protected value: {}", path.display(), String::from_utf8_lossy(hay));
        }
    }
    assert!(files > 5, "{files} files");
    // it is looked into: what nothing protects is there, as text and as it was answered, and so are the masks
    let wanted = ["prompt 1234", "prompt 1235", "[masked]", "api_key LIKE", "SET api_key", "EXECUTE p"];
    for wanted in wanted {
        assert!(holds(&recorded, wanted.as_bytes()), "no `{wanted}` in the recordings");
    }
    assert!(!holds(&recorded, b"customer 1234"), "a column that is shown as NULL is in a recording");
}
