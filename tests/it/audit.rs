//! The record: complete, masked, and provable.

use std::path::{Path, PathBuf};

use crate::support::env::Env;
use crate::support::files_below;
use crate::support::world::{MASKED, PLANTED, Twist, World, psql};

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

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_holds_no_protected_value() {
    let mut world = World::start(Twist { below: MASKED, ..Twist::default() }).await;
    let alice = world.login("alice").await;
    let sql = format!("SELECT id FROM reasoning_traces WHERE api_key = '{PLANTED}-1'");
    psql(&alice, &sql).await.ends(0);
    psql(&alice, "SELECT api_key FROM reasoning_traces LIMIT 5").await.ends(0);
    world.broker.stop();
    for path in files_below(&world.broker.data()) {
        let bytes = std::fs::read(&path).expect("a file");
        let plain = zstd::decode_all(bytes.as_slice()).unwrap_or_default();
        for hay in [&bytes, &plain] {
            let found = hay.windows(PLANTED.len()).any(|window| window == PLANTED.as_bytes());
            assert!(!found, "{} holds a protected value", path.display());
        }
    }
}
