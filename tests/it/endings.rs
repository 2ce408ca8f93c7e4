//! How things end, and what is left.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::world::{Twist, World, last_words, psql};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_session_stops_within_a_second_and_says_why() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let child = world.sleeping(&alice).await;
    let list = alice.run(&["--output", "json", "session", "list"]).await.ends(0);
    let line =
        list.stdout.lines().find(|line| line.contains("\"active\"")).expect("an active session").to_owned();
    let session: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    let id = session["id"].as_str().expect("an id").to_owned();
    let began = Instant::now();
    alice.run(&["session", "kill", &id]).await.ends(0);
    let error = last_words(child, Duration::from_secs(5)).await;
    assert!(error.contains("it was killed by an operator"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    world.until_no_roles().await;
}

/// Warpgate's sessions outlive the ticket that opened them.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_at_its_expiry() {
    let world = World::start(Twist { broker: "session_max = \"4s\"", ..Twist::default() }).await;
    let alice = world.login("alice").await;
    let child = world.sleeping(&alice).await;
    let error = last_words(child, Duration::from_secs(8)).await;
    assert!(error.contains("it reached its expiry"), "{error}");
    world.until_no_roles().await;
}

/// Vault 9018: leases that nobody revokes.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_of_the_broker_leaves_no_role_after_the_restart() {
    let mut world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let child = world.sleeping(&alice).await;
    world.broker.kill();
    last_words(child, Duration::from_secs(20)).await;
    assert!(!world.roles().await.is_empty(), "the role is what a crash leaves");
    world.broker.resume();
    world.until_no_roles().await;
    // the login outlives the crash
    psql(&alice, "select 1").await.ends(0);
    let verified =
        alice.run(&["audit", "verify", "--dir", &world.broker.data().join("ledger").to_string_lossy()]).await;
    assert_eq!(verified.code, 0, "{}", verified.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_dies_in_mid_query_is_named() {
    let mut world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let child = world.sleeping(&alice).await;
    world.cluster.crash();
    let error = last_words(child, Duration::from_secs(10)).await;
    assert!(error.contains("target db: the database went away") || error.contains("terminating"), "{error}");
    let later = psql(&alice, "select 1").await;
    assert_ne!(later.code, 0);
    assert!(later.stderr.contains("database"), "{}", later.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_down_is_unreachable_with_69() {
    let mut world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    world.broker.stop();
    let ran = alice.run(&["list"]).await.ends(69);
    assert!(ran.stderr.contains(&world.broker.url), "{}", ran.stderr);
}

/// Warpgate keeps a row for each of them for ever.
#[tokio::test(flavor = "multi_thread")]
async fn bare_connects_and_garbage_leave_nothing() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let mut held = Vec::new();
    for number in 0..100 {
        let mut stream = TcpStream::connect(("127.0.0.1", world.broker.port)).expect("it listens");
        if number % 2 == 0 {
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n\x00\xff garbage").expect("sent");
        }
        held.push(stream);
    }
    psql(&alice, "select 1").await.ends(0);
    let list = alice.run(&["--output", "json", "session", "list"]).await.ends(0);
    assert_eq!(list.stdout.lines().filter(|line| line.contains("ses_")).count(), 1, "{}", list.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_drains_and_leaves_no_role() {
    let mut world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    psql(&alice, "select 1").await.ends(0);
    assert_eq!(world.broker.stop(), Some(0), "{}", world.broker.log());
    world.until_no_roles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_policy_without_dropping_a_session() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let child = world.sleeping(&alice).await;
    let policy = world.broker.config.with_file_name("policy.cedar");
    let text = std::fs::read_to_string(&policy).expect("the policy");
    let forbid = "\n@id(\"late\") forbid (principal, action == Hoop::Action::\"statement\", resource) \
                  when { context.verb == \"update\" };";
    std::fs::write(&policy, text + forbid).expect("written");
    world.broker.reload();
    for _ in 0..100 {
        let ran = psql(&alice, "UPDATE plain SET b = b WHERE a = 1").await;
        if ran.stderr.contains("late") {
            drop(child);
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the new rule never came into force:\n{}", world.broker.log());
}
