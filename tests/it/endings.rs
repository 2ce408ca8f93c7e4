//! How things end, and what is left.

use std::io::Write as _;
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio_postgres::NoTls;

use crate::interruptions::{listening, until_queries};
use crate::support::postgres::free_port;
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
    alice.run(&["session", "kill", &id]).await.ends(0);
    let began = Instant::now();
    let ran = last_words(child, Duration::from_secs(5)).await.closed("it was killed by an operator");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    ran.tells(&format!("FATAL:  session {id} has closed: it was killed by an operator"));
    world.until_no_roles().await;
}

/// Warpgate's sessions outlive the ticket that opened them.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_at_its_expiry() {
    let world = World::start(Twist { broker: "session_max = \"4s\"", ..Twist::default() }).await;
    let alice = world.login("alice").await;
    let child = world.sleeping(&alice).await;
    last_words(child, Duration::from_secs(8)).await.closed("it reached its expiry");
    world.until_no_roles().await;
}

/// Vault 9018: leases that nobody revokes.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_of_the_broker_leaves_no_role_after_the_restart() {
    let mut world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let child = world.sleeping(&alice).await;
    world.broker.kill();
    let ran = last_words(child, Duration::from_secs(20)).await.ends(2);
    let told = "warning: the session could not be closed and ends by itself: cannot reach the broker at";
    let ran = ran.tells("server closed the connection unexpectedly");
    assert!(ran.stderr.contains(&format!("\n{told} {}/: ", world.broker.url)), "{}", ran.stderr);
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
    last_words(child, Duration::from_secs(10))
        .await
        .ends(2)
        .tells("FATAL:  target db: the database went away: it closed the connection");
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
    // what stays open between two commands is there from now on
    psql(&alice, "select 1").await.ends(0);
    world.until_no_roles().await;
    let before = world.broker.descriptors();
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
    assert_eq!(list.stdout.lines().filter(|line| line.contains("ses_")).count(), 2, "{}", list.stdout);
    assert!(world.broker.descriptors() > before + 20, "none was open: {before}");
    // a few that are pooled or under way come and go
    drop(held);
    let deadline = Instant::now() + Duration::from_secs(30);
    while world.broker.descriptors() > before + 5 {
        let now = world.broker.descriptors();
        assert!(Instant::now() < deadline, "{now} descriptors are open, {before} were");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A disk that fills up, a folder that goes away: nothing is forwarded, and the broker ends, so that whoever started it knows and
/// starts it again. What was entered is still good.
#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_cannot_be_written_ends_the_broker_and_a_start_goes_on() {
    let mut world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let child = world.sleeping(&alice).await;
    let ledger = world.broker.data().join("ledger");
    let away = world.broker.data().join("away");
    std::fs::rename(&ledger, &away).expect("renamed");
    // the next checkpoint has no place, and no folder can be made for it
    std::fs::write(&ledger, "").expect("written");
    let refused = psql(&alice, "select 1").await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(("127.0.0.1", world.broker.port)).is_ok() {
        assert!(Instant::now() < deadline, "it goes on:\n{}", world.broker.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(world.broker.ends(), Some(70), "{}\n{}", refused.text(), world.broker.log());
    let log = world.broker.log();
    assert!(log.contains("error: the audit ledger or the recording cannot be written: "), "{log}");
    assert!(
        log.contains("hint: see that `data_dir` can be written and has room, and start the broker again"),
        "{log}"
    );
    last_words(child, Duration::from_secs(20)).await;
    std::fs::remove_file(&ledger).expect("removed");
    std::fs::rename(&away, &ledger).expect("renamed");
    world.broker.resume();
    psql(&alice, "select 1").await.ends(0);
    world.until_no_roles().await;
    let verified = alice.run(&["audit", "verify", "--dir", &ledger.to_string_lossy()]).await;
    assert_eq!(verified.code, 0, "{}", verified.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_drains_and_leaves_no_role() {
    let mut world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let admin = world.cluster.admin().await;
    admin.batch_execute("SELECT pg_advisory_lock(7)").await.expect("ours");
    let waiting = "select 'whole' from pg_advisory_lock_shared(7)";
    let mut command = alice.command(&["connect", "db", "--", "-XAtc", waiting]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    until_queries(&world, 1).await;
    assert!(!world.roles().await.is_empty());

    world.broker.signal(Signal::TERM);
    let deadline = Instant::now() + Duration::from_secs(10);
    while !world.broker.log().contains("draining") {
        assert!(Instant::now() < deadline, "it does not drain:\n{}", world.broker.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // nobody new is let in, and what runs goes on
    let refused = psql(&alice, "select 1").await.ends(69);
    assert_eq!(refused.stdout, "");
    until_queries(&world, 1).await;
    admin.batch_execute("SELECT pg_advisory_unlock(7)").await.expect("ours");
    let output = tokio::time::timeout(Duration::from_secs(20), child.wait_with_output()).await;
    let output = output.expect("in time").expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "whole\n", "{said}\n{}", world.broker.log());
    assert!(output.status.success(), "{said}");
    assert_eq!(world.broker.ends(), Some(0), "{}", world.broker.log());
    assert_eq!(world.roles().await, [""; 0], "the broker left before its roles did");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_policy_without_dropping_a_session() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let (_child, url) = listening(&alice, free_port()).await;
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("it connects");
    tokio::spawn(connection);
    let pid =
        async || client.query_one("SELECT pg_backend_pid()", &[]).await.expect("it goes on").get::<_, i32>(0);
    let first = pid().await;
    client.batch_execute("UPDATE plain SET b = b WHERE a = 1").await.expect("allowed so far");
    let prepared = client.prepare("UPDATE plain SET b = $1 WHERE a = 1").await.expect("allowed so far");
    client.execute(&prepared, &[&"one"]).await.expect("allowed so far");
    let policy = world.broker.config.with_file_name("policy.cedar");
    let text = std::fs::read_to_string(&policy).expect("the policy");
    let forbid = "\n@id(\"late\") forbid (principal, action == Hoop::Action::\"statement\", resource) \
                  when { context.verb == \"update\" };";
    std::fs::write(&policy, text + forbid).expect("written");
    world.broker.reload();
    let deadline = Instant::now() + Duration::from_secs(20);
    let error = loop {
        match client.batch_execute("UPDATE plain SET b = b WHERE a = 1").await {
            Ok(()) => assert!(Instant::now() < deadline, "never in force:\n{}", world.broker.log()),
            Err(error) => break error,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let told = error.as_db_error().unwrap_or_else(|| panic!("the session was dropped: {error}"));
    assert!(told.message().contains("(rule late)"), "{told}");
    // what was prepared under the old policy runs under the new one
    let error = client.execute(&prepared, &[&"two"]).await.expect_err("it is judged again");
    assert!(error.as_db_error().is_some_and(|told| told.message().contains("(rule late)")), "{error}");
    assert_eq!(pid().await, first, "the connection is another one");
    let value = client.query_one("SELECT b FROM plain WHERE a = 1", &[]).await.expect("allowed");
    assert_eq!(value.get::<_, &str>(0), "one");
}
