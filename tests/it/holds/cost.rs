//! What holding costs; `benches/holds.sh` runs these, and they assert no time.

use std::io::Write as _;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use hoopctl::wire::postgres::frontend::ClientMessage;

use super::{DELETES, gateway};
use crate::bypass::{Raw, told};
use crate::support::gateway::{Gateway, Setup};
use crate::support::postgres::Cluster;

/// What the planner has nothing to say about, so that it is not asked.
const DROPS: &str = r#"
@id("drop-is-reviewed") @review("corp/dba:1")
forbid (principal, action == Hoop::Action::"statement", resource)
when { context.verb == "drop table" };
"#;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: benches/holds.sh"]
async fn what_a_hold_costs() {
    const ROUNDS: usize = 100;
    let cluster = Cluster::start(18);
    let gateway = gateway(&cluster);
    let client = gateway.connect().await;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let answer = async {
            let request = gateway.desk.next().await;
            let approved = Instant::now();
            gateway.desk.approve(request);
            approved
        };
        let held = async {
            client.batch_execute("DELETE FROM pg_class WHERE false").await.unwrap();
            Instant::now()
        };
        let (done, approved) = tokio::join!(held, answer);
        times.push(done - approved);
    }
    say(&format!("one at a time, approved to answered: {}", shown(times)));
}

/// Gateway, clients and the requests' texts are all in this process, and all of them are counted; the
/// database is not.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: benches/holds.sh"]
async fn what_many_holds_cost() {
    // what is planned takes a second connection to the database for each of the client's
    many("DROP TABLE", 1000, DROPS, |number| format!("DROP TABLE IF EXISTS none_{number}")).await;
    let delete = |number| format!("DELETE FROM pg_class WHERE oid = 1 AND relpages = {number}");
    many("DELETE, planned", 250, DELETES, delete).await;
}

async fn many(what: &str, count: usize, policy: &'static str, statement: impl Fn(usize) -> String) {
    let cluster = Cluster::start_with(18, &["max_connections=1200", "shared_buffers=16MB"]);
    let gateway = Gateway::start(&cluster, Setup { policy, ..Setup::open(&cluster) });
    let nothing = resident();
    let connecting = (0..count).map(|_| Raw::connect(&gateway));
    let mut clients: Vec<Raw> = futures_util::stream::iter(connecting).buffered(16).collect().await;
    let connected = resident();
    let mut requests = Vec::new();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(&[ClientMessage::Query(statement(number).as_bytes())]).await;
        requests.push(gateway.desk.next().await);
    }
    let held = resident();
    let each = |from: u64, to: u64| to.saturating_sub(from) / count as u64;
    say(&format!(
        "{count} held at once ({what}): {} bytes each, beside {} of each idle connection and its client",
        each(connected, held),
        each(nothing, connected)
    ));
    let mut times = Vec::new();
    for (client, request) in clients.iter_mut().zip(requests) {
        let approved = Instant::now();
        gateway.desk.approve(request);
        let answers = client.until_ready().await;
        times.push(approved.elapsed());
        assert!(!told(&answers, b'E', ""), "{answers:?}");
    }
    say(&format!("{count} held at once ({what}), approved to answered: {}", shown(times)));
}

/// What this process has in memory, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn shown(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |percent: usize| times[times.len() * percent / 100];
    format!("p50 {:?}, p99 {:?}", at(50), at(99))
}

fn say(line: &str) {
    std::io::stdout().write_all(format!("{line}\n").as_bytes()).unwrap();
}
