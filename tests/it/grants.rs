//! What a request may ask for beside a session: only one, a longer one, and one however often it is asked.

use std::time::Duration;

use futures_util::future::join_all;
use hoopctl::gateway::clock::Clock;
use jiff::{SignedDuration, Timestamp};

use crate::requests::reviewed_world;
use crate::support::world::{last_words, psql};

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_for_one_session_or_longer_as_it_was_asked_for() {
    let world = reviewed_world().await;
    let (alice, bob) = (world.login("alice").await, world.login("bob").await);
    let ask = async |more: &[&str]| {
        let asked = [&["request", "approval", "db", "--reason", "incident 4711"], more].concat();
        bob.run(&asked).await.ends(0).stdout.trim().to_owned()
    };
    let approve = async |id: &str| alice.run(&["request", "approve", id, "--yes"]).await.ends(0);
    let grants = async || -> Vec<serde_json::Value> {
        let listed = bob.run(&["grant", "list", "--output", "json"]).await.ends(0);
        listed.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };

    let once = ask(&["--once", "--idempotency-key", "job-7"]).await;
    assert_eq!(ask(&["--once", "--idempotency-key", "job-7"]).await, once, "a key makes one request");
    approve(&once).await;
    assert_eq!(psql(&bob, "select 1").await.ends(0).stdout, "1\n");
    psql(&bob, "select 1").await.ends(75);

    let lasting = ask(&["--for", "10m"]).await;
    approve(&lasting).await;
    let grant =
        grants().await.into_iter().find(|grant| grant["request"] == lasting.as_str()).expect("a grant");
    let id = grant["id"].as_str().expect("an id").to_owned();
    let longer = ask(&["--extend", &id, "--for", "20m"]).await;
    approve(&longer).await;
    let again = grants().await.into_iter().find(|grant| grant["id"] == id.as_str()).expect("a grant");
    assert!(again["ends"].as_str() > grant["ends"].as_str(), "{grant} {again}");
    for _ in 0..2 {
        psql(&bob, "select 1").await.ends(0);
    }
}

/// Warpgate's one-use tickets let several in when sixteen clients use one at the same instant.
#[tokio::test(flavor = "multi_thread")]
async fn sixteen_programs_at_once_get_one_session_out_of_a_grant_for_one() {
    let world = reviewed_world().await;
    let (alice, bob) = (world.login("alice").await, world.login("bob").await);
    let asked = bob.run(&["request", "approval", "db", "--once", "--reason", "incident 4711"]).await.ends(0);
    alice.run(&["request", "approve", asked.stdout.trim(), "--yes"]).await.ends(0);
    let ran = join_all((0..16).map(|_| psql(&bob, "select 1"))).await;
    let mut codes: Vec<i32> = ran.iter().map(|ran| ran.code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [[0].as_slice(), &[75; 15]].concat());
    alice.run(&["audit", "verify"]).await.ends(0);
}

/// The shortest grant is for a minute, so this one began when most of that was over.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_runs_out_ends_a_running_psql_and_says_so() {
    let world = reviewed_world().await;
    let (alice, bob) = (world.login("alice").await, world.login("bob").await);
    let now = || Clock::system().now();
    let began = (now() - SignedDuration::from_secs(46)).to_string();
    let asked = ["request", "approval", "db", "--reason", "incident 4711", "--for", "1m", "--from", &began];
    let id = bob.run(&asked).await.ends(0).stdout.trim().to_owned();
    alice.run(&["request", "approve", &id, "--yes"]).await.ends(0);
    let sleeping = world.sleeping(&bob).await;
    let listed = bob.run(&["grant", "list", "--output", "json"]).await.ends(0);
    let grant: serde_json::Value = serde_json::from_str(&listed.stdout).expect("one grant");
    let ends: Timestamp = grant["ends"].as_str().expect("a time").parse().expect("a time");
    let ran = last_words(sleeping, Duration::from_secs(30)).await;
    let late = now().duration_since(ends);
    ran.closed("its approval has ended");
    assert!(!late.is_negative() && late < SignedDuration::from_secs(4), "it ended {late} after its grant");
    psql(&bob, "select 1").await.ends(75);
    world.until_no_roles().await;
}
