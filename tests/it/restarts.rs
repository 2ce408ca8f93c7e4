//! What becomes of requests and grants when the broker dies, and of sessions when a grant is revoked.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::requests::{REVIEWED, asks, awaited, reviewed_world};
use crate::support::env::Env;
use crate::support::world::{Twist, World, last_words, psql};

/// Between approval and release nothing of the broker's is slow enough to be met by chance, so its
/// database is made never to finish a release.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_approved_and_not_yet_released_when_the_broker_was_killed_is_void() {
    let mut world = reviewed_world().await;
    let (alice, bob) = (world.login("alice").await, world.login("bob").await);
    let id = asks(&bob, "clean up").await;
    alice.run(&["request", "approve", &id, "--yes"]).await.ends(0);
    let database = rusqlite::Connection::open(world.broker.data().join("broker.sqlite")).expect("it opens");
    database.busy_timeout(Duration::from_secs(10)).expect("patience");
    database.execute_batch(ENDLESS).expect("a trigger");
    let mut command = bob.command(&["connect", "db", "--", "-XAtc", "DELETE FROM plain"]);
    let psql = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let held = awaited(&alice).await;
    let mut command = alice.command(&["request", "approve", &held, "--yes"]);
    let mut approve = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    let deadline = Instant::now() + Duration::from_secs(30);
    while stored(&database, &held) == "pending" {
        assert!(Instant::now() < deadline, "it was never approved");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(stored(&database, &held), "approved");
    world.broker.kill();
    database.execute_batch("DROP TRIGGER endless; DROP VIEW forever").expect("as it was");
    let words = last_words(psql, Duration::from_secs(20)).await.text();
    approve.wait().await.expect("it ends");
    assert_eq!(stored(&database, &held), "approved", "it died in between");
    world.broker.resume();
    assert_eq!(state(&alice, &held).await, "void", "{words}");
    let rows = world.cluster.admin().await.query("SELECT FROM plain", &[]).await.expect("rows");
    assert_eq!(rows.len(), 2, "nothing was let through: {words}");
    alice.run(&["audit", "verify"]).await.ends(0);
}

/// A held statement is a message on a connection of this broker: it can be released while that drains, and is void behind it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_when_a_broker_drains_runs_if_it_is_approved_meanwhile_and_is_void_then() {
    let twist = Twist { policy: REVIEWED, broker: "drain = \"12s\"\n", ..Twist::default() };
    let mut world = World::start(twist).await;
    let (alice, bob) = (world.login("alice").await, world.login("bob").await);
    let id = asks(&bob, "clean up").await;
    alice.run(&["request", "approve", &id, "--yes"]).await.ends(0);
    let mut running = Vec::new();
    for row in ["1", "2"] {
        let sql = format!("DELETE FROM plain WHERE a = {row}");
        let mut command = bob.command(&["connect", "db", "--", "-XAtc", &sql]);
        let psql = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let held = if row == "1" { awaited(&alice).await } else { awaited_beside(&alice, &running).await };
        running.push((held, psql));
    }
    world.broker.signal(rustix::process::Signal::TERM);
    let (second, never) = running.pop().expect("two");
    let (first, psql) = running.pop().expect("two");
    alice.run(&["request", "approve", &first, "--yes"]).await.ends(0);
    assert_eq!(last_words(psql, Duration::from_secs(20)).await.ends(0).stdout, "DELETE 1\n");
    let words = last_words(never, Duration::from_secs(30)).await;
    assert_ne!(words.code, 0, "{}", words.text());
    world.broker.ends();
    world.broker.resume();
    assert_eq!(state(&alice, &second).await, "void");
    let rows = world.cluster.admin().await.query("SELECT a FROM plain", &[]).await.expect("rows");
    assert_eq!(rows.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>(), [2]);
    alice.run(&["audit", "verify"]).await.ends(0);
}

/// The request that waits beside those that are known.
async fn awaited_beside(reviewer: &Env, known: &[(String, tokio::process::Child)]) -> String {
    for _ in 0..200 {
        let list = reviewer.run(&["request", "list", "--reviewable", "--output", "json"]).await.ends(0);
        for line in list.stdout.lines() {
            let request: Value = serde_json::from_str(line).expect("JSON");
            let id = request["request"]["id"].as_str().expect("an id");
            if known.iter().all(|(known, _)| known != id) {
                return id.to_owned();
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing else waits");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_sessions_outlives_the_death_of_the_broker() {
    let mut world = reviewed_world().await;
    let (alice, bob) = (world.login("alice").await, world.login("bob").await);
    let id = asks(&bob, "incident 4711").await;
    world.broker.kill();
    world.broker.resume();
    assert_eq!(state(&bob, &id).await, "pending");
    psql(&bob, "select 1").await.ends(75);
    assert_eq!(awaited(&alice).await, id);
    alice.run(&["request", "approve", &id, "--yes"]).await.ends(0);
    assert_eq!(psql(&bob, "select 1").await.ends(0).stdout, "1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_grant_closes_a_running_psql_within_a_second() {
    let world = reviewed_world().await;
    let (alice, bob) = (world.login("alice").await, world.login("bob").await);
    let id = asks(&bob, "clean up").await;
    alice.run(&["request", "approve", &id, "--yes"]).await.ends(0);
    let sleeping = world.sleeping(&bob).await;
    let grants = bob.run(&["grant", "list", "--output", "json"]).await.ends(0);
    let grant: Value = serde_json::from_str(&grants.stdout).expect("one grant");
    alice.run(&["grant", "revoke", grant["id"].as_str().expect("an id")]).await.ends(0);
    let revoked = Instant::now();
    let ran = last_words(sleeping, Duration::from_secs(20)).await;
    let took = revoked.elapsed();
    ran.closed("its approval was revoked");
    assert!(took < Duration::from_secs(1), "it took {took:?}");
    until_nothing_runs(&world, revoked + Duration::from_secs(3)).await;
}

/// Whoever stores that something was released is at it until killed.
const ENDLESS: &str = "
    CREATE VIEW forever AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n;
    CREATE TRIGGER endless BEFORE UPDATE ON requests WHEN NEW.state = 'released'
    BEGIN SELECT count(*) FROM forever; END;";

fn stored(database: &rusqlite::Connection, id: &str) -> String {
    let query = "SELECT state FROM requests WHERE id = ?1";
    database.query_row(query, [id], |row| row.get(0)).expect("the request")
}

async fn state(who: &Env, id: &str) -> String {
    let shown = who.run(&["request", "show", id, "--output", "json"]).await.ends(0);
    let view: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    view["request"]["state"]["state"].as_str().expect("a state").to_owned()
}

async fn until_nothing_runs(world: &World, deadline: Instant) {
    let admin = world.cluster.admin().await;
    let query = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND usename LIKE 'hoop\\_%'";
    while admin.query_one(query, &[]).await.expect("activity").get::<_, i64>(0) > 0 {
        assert!(Instant::now() < deadline, "the database goes on with it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
