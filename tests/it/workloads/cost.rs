//! What a workload's login costs beside one that is cached; it asserts no time.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::env::Env;
use crate::support::world::{Twist, World};

const ROUNDS: usize = 11;

/// One of each in turn, so that what else the machine does meets all of them.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: cargo test --test it workloads::cost -- --ignored --nocapture"]
async fn what_a_workloads_login_costs() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let kept = job(&world, "github");
    kept.run(&["whoami"]).await.ends(0);
    let whoami: &[&str] = &["whoami"];
    let exec: &[&str] = &["exec", "db", "--", "true"];
    let mut times = vec![Vec::new(); 10];
    for _ in 0..ROUNDS {
        let mut nth = times.iter_mut();
        for command in [whoami, exec] {
            let file = job(&world, "token-file:token");
            let token = world.provider.mint(json!({})).await;
            std::fs::write(file.home().join("token"), token).expect("written");
            let robot = job(&world, "client-credentials:ci");
            for env in [&alice, &kept, &file, &job(&world, "github"), &robot] {
                let began = Instant::now();
                env.run(command).await.ends(0);
                nth.next().expect("a place").push(began.elapsed());
            }
        }
    }
    let who =
        ["cached login", "job, kept token", "token-file, cold", "github, cold", "client-credentials, cold"];
    for (times, (command, who)) in times
        .into_iter()
        .zip(["whoami", "exec -- true"].iter().flat_map(|command| who.map(|who| (command, who))))
    {
        let _written = writeln!(std::io::stderr(), "{command}, {who}: {}", shown(times));
    }
}

fn job(world: &World, source: &str) -> Env {
    let mut job = Env::new(&world.broker.url);
    job.set("HOOPCTL_BROKER_PIN", &world.pin());
    job.set("HOOPCTL_WORKLOAD", source);
    job.set("HOOPCTL_CLIENT_ISSUER", &world.provider.issuer);
    job.set("HOOPCTL_CLIENT_ID", "robot");
    job.set("HOOPCTL_CLIENT_SECRET", "robot-secret");
    for (name, value) in world.provider.github_job() {
        job.set(name, &value);
    }
    job
}

fn shown(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |n: usize| times[n].as_secs_f64() * 1000.0;
    format!("{:.1} ms ({:.1} to {:.1})", at(times.len() / 2), at(0), at(times.len() - 1))
}
