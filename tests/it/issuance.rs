//! What credentials cost that are made for sessions; `benches/issuance.sh` runs this, and it asserts no figure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use hoopctl::client::api::Api;
use hoopctl::client::session::LiveSession;
use hoopctl::gateway::clock::Clock;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;

use crate::aws::account::{self, Account};
use crate::idle::{DEVICE, KEY, POLICY, say, targets};
use crate::support::client;
use crate::support::demo_api::DemoApi;
use crate::support::env::Env;
use crate::support::house::House;
use crate::support::postgres::{Cluster, free_port};
use crate::support::sshd::Sshd;

/// How many sessions are opened at a time.
const ABREAST: usize = 8;
/// How many more may be open than have their lease. Their programs would wait; what waits for ten seconds to be
/// made is given up, and left to the session's next connection.
const AHEAD: usize = 200;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: benches/issuance.sh"]
async fn what_credentials_cost() {
    let count = std::env::var("HOOPCTL_LEASES").ok().and_then(|count| count.parse().ok()).unwrap_or(10_000);
    let (cluster, sshd) = (Cluster::start_with(18, &["shared_buffers=16MB"]), Sshd::start());
    let origin = DemoApi::start(KEY);
    let account = Account::start();
    let files = [
        ("admin-password", cluster.password.as_str()),
        ("api-key", KEY),
        ("aws-secret", account::KEY),
        ("policy.cedar", POLICY),
    ];
    // each issue of credentials takes a verdict and a call of STS
    let targets = targets(&cluster, &sshd, &origin) + &account.target("aws-prod", "access = \"credentials\"");
    for (kind, target) in
        [("PostgreSQL role", "db"), ("SSH certificate", "bastion"), ("STS against moto", "aws-prod")]
    {
        let metrics = free_port();
        let listen = format!("metrics_listen = \"127.0.0.1:{metrics}\"");
        let mut house = House::built(&listen, &targets, &files).await;
        let operator = Env::new(&house.broker.url);
        let file = house.broker.config.to_str().expect("a path");
        operator.run(&["broker", "ssh-ca", "--config", file]).await.ends(0);
        say(&row(kind, &mut house, target, count, metrics).await);
    }
}

/// Opens that many sessions, whose leases are made at once, and kills the broker; tells what they cost, and how
/// long it takes until the next one has taken them back.
async fn row(kind: &str, house: &mut House, target: &str, count: usize, metrics: u16) -> String {
    let mut machines = Vec::new();
    for _ in 0..count.div_ceil(DEVICE) {
        machines.push(house.machine().await);
    }
    let url = house.broker.url.clone();
    let apis: Vec<Arc<Api>> =
        machines.iter().map(|machine| client::api(machine, &url, Clock::system())).collect();
    let (began, nothing, idle) = (Instant::now(), house.broker.memory(), house.broker.processor());
    let mut sessions = Vec::with_capacity(count);
    while sessions.len() < count {
        until(metrics, "issued", sessions.len().saturating_sub(AHEAD)).await;
        let next = sessions.len()..count.min(sessions.len() + AHEAD);
        let opening = next.map(|number| open(&apis[number / DEVICE], target));
        sessions.extend(futures_util::stream::iter(opening).buffered(ABREAST).collect::<Vec<_>>().await);
    }
    until(metrics, "issued", count).await;
    let (took, busy) = (began.elapsed().as_secs_f64(), house.broker.processor() - idle);
    let each = house.broker.memory().saturating_sub(nothing) / 1024 / count as u64;
    let peak = house.broker.memory() >> 20;

    house.broker.kill();
    let again = Instant::now();
    house.broker.resume();
    // what never was at the resource ends with the broker's memory
    let back = if target == "db" { until(metrics, "revoked", count).await } else { again.elapsed() };
    drop(sessions);
    let count_of = |seconds: f64| (count as f64 / seconds).round();
    format!(
        "| {count} leases, {kind} | {} | {} | {each} KiB | {peak} MiB | {:.1} s |",
        count_of(took),
        count_of(busy),
        back.as_secs_f64()
    )
}

async fn open(api: &Arc<Api>, target: &str) -> LiveSession {
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&rand::random()));
    let public = (target == "bastion").then(|| key.public_key().to_openssh().expect("a line"));
    LiveSession::open(api, target, public).await.expect("a session").0
}

/// Waits until so many leases came to this; how long that took.
async fn until(metrics: u16, event: &str, count: usize) -> Duration {
    let (began, series) = (Instant::now(), format!("hoopctl_leases_total{{event=\"{event}\"}} "));
    let (mut seen, mut moved) = (0.0, Instant::now());
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    loop {
        let answer = client.get(format!("http://127.0.0.1:{metrics}/metrics")).send().await;
        let text = answer.expect("an answer").text().await.expect("text");
        let now = text.lines().find_map(|line| line.strip_prefix(&series));
        let now = now.map_or(0.0, |now| now.parse::<f64>().expect("a number"));
        if now >= count as f64 {
            return began.elapsed();
        }
        if now > seen {
            (seen, moved) = (now, Instant::now());
        }
        assert!(moved.elapsed() < Duration::from_secs(60), "{series}: no more than {now} of {count}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
