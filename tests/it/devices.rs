//! Devices that are taken back, and what they let in.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::env::{Env, page_of};
use crate::support::provider;
use crate::support::world::{Twist, World, last_words, psql};

/// A machine of alice's that another one of hers lets in.
async fn let_in(world: &mut World, by: &Env) -> Env {
    let machine = Env::new(&world.broker.url);
    let pin = world.pin();
    // her sign-in at the provider is seven minutes old
    world.provider.go_back(420);
    let mut code = None;
    machine
        .watch(&["login", "--broker-pin", &pin], async |line| {
            if let Some(page) = page_of(&line) {
                provider::approve(&page, "alice").await;
                world.provider.go_back(0);
            } else if let Some(shown) = line.trim().strip_prefix("hoopctl device confirm ") {
                code = Some(shown.to_owned());
            } else if line.trim().len() == 43
                && let Some(code) = code.take()
            {
                by.run(&["device", "confirm", &code, "--key", line.trim()]).await.ends(0);
            }
        })
        .await
        .ends(0);
    machine
}

async fn device(env: &Env) -> String {
    let who = env.run(&["whoami", "--output", "json"]).await.ends(0);
    let who: Value = serde_json::from_str(&who.stdout).expect("JSON");
    who["device"].as_str().expect("a device").to_owned()
}

/// Whoever stole the one may have let in the other.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_stolen_device_let_in_loses_its_sessions_with_it() {
    let mut world = World::start(Twist::default()).await;
    let (stolen, safe) = (world.login("alice").await, world.login("alice").await);
    let second = let_in(&mut world, &stolen).await;
    let third = let_in(&mut world, &second).await;
    let (first_id, second_id, third_id) =
        (device(&stolen).await, device(&second).await, device(&third).await);
    // the first look calls them new
    let states = async || {
        let listed = safe.run(&["device", "list"]).await.ends(0).stdout;
        let of = |id: &str| listed.lines().find(|line| line.contains(id)).expect("it is listed").to_owned();
        [of(&second_id), of(&third_id)]
    };
    for state in states().await {
        assert!(state.contains("not seen before"), "{state}");
    }
    for state in states().await {
        assert!(state.contains("let in by another"), "{state}");
    }

    let child = world.sleeping(&third).await;
    let revoked = safe.run(&["device", "revoke", &first_id]).await.ends(0);
    let began = Instant::now();
    last_words(child, Duration::from_secs(5)).await.closed("the device was revoked");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    for (id, by) in [(&second_id, &first_id), (&third_id, &second_id)] {
        let told =
            revoked.stderr.lines().find(|line| line.contains("revoked as well") && line.contains(&**id));
        assert!(told.is_some_and(|line| line.ends_with(&format!("let in by {by}"))), "{}", revoked.stderr);
    }
    for machine in [&stolen, &second, &third] {
        machine.run(&["list"]).await.ends(80);
    }
    psql(&safe, "SELECT 1").await.ends(0);
    let again = safe.run(&["--output", "json", "device", "revoke", &first_id]).await.ends(0);
    let again: Value = serde_json::from_str(&again.stdout).expect("JSON");
    assert_eq!(
        (&again["revoked"], &again["further"]),
        (&Value::from(first_id), &Value::from(Vec::<Value>::new()))
    );
    world.until_no_roles().await;
    safe.run(&["audit", "verify", "--dir", &world.broker.data().join("ledger").to_string_lossy()])
        .await
        .ends(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_can_be_revoked_without_those_that_it_let_in() {
    let mut world = World::start(Twist::default()).await;
    let first = world.login("alice").await;
    let second = let_in(&mut world, &first).await;
    let old = device(&first).await;
    let revoked = second.run(&["device", "revoke", "--only", &old]).await.ends(0);
    assert!(!revoked.stderr.contains("as well"), "{}", revoked.stderr);
    first.run(&["list"]).await.ends(80);
    second.run(&["list"]).await.ends(0);
    // it is among those that the other let in
    let revoked = second.run(&["device", "revoke", &old]).await.ends(0);
    assert!(revoked.stderr.contains("hint: that is this device"), "{}", revoked.stderr);
    second.run(&["list"]).await.ends(80);
}
