//! Ends that do not read: they hold up nobody else, and fill nobody's memory.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::broker::memory_of;
use crate::support::gateway::{Gateway, Setup};
use crate::support::postgres::{Cluster, majors};
use crate::support::world::{Twist, World, psql};

/// 500 MB that a client asks for and does not read.
const LARGE: &str = "SELECT repeat('x', 10000) FROM generate_series(1, 50000)";
/// How much the broker may grow meanwhile.
const GROWTH: u64 = 64 << 20;

/// A reader that stalls holds up neither another connection of its session nor another session,
/// and what it does not read stays at the database.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_reading_holds_up_nobody_and_costs_no_memory() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    psql(&alice, "SELECT 1").await.ends(0);
    let before = world.broker.memory();
    // the first psql stands still in the middle of its result; the second shares its session
    let script = format!(
        "psql -XAtc \"{LARGE}\" >/dev/null & stalled=$!
         sleep 1; kill -STOP $stalled
         psql -XAtc \"{LARGE}\" | wc -c
         grep -o stopped /proc/$stalled/status; kill -KILL $stalled"
    );
    let mut shared = alice.command(&["exec", "db", "--", "sh", "-c", &script]);
    let shared = shared.stdout(Stdio::piped()).spawn().expect("it runs");
    let watched = async {
        let (began, mut most) = (Instant::now(), 0);
        let ran = loop {
            let ran = psql(&alice, "SELECT count(*) FROM reasoning_traces").await;
            most = most.max(world.broker.memory());
            if began.elapsed() > Duration::from_secs(6) {
                break ran;
            }
        };
        assert_eq!(ran.ends(0).stdout, "2000\n");
        most
    };
    let both = async { tokio::join!(shared.wait_with_output(), watched) };
    let (output, most) =
        tokio::time::timeout(Duration::from_secs(90), both).await.expect("nobody is held up");
    let counted = String::from_utf8_lossy(&output.expect("it ends").stdout).trim().to_owned();
    let whole = format!("{}\nstopped", 50_000_u64 * 10_001);
    assert_eq!(counted, whole, "the other connection of the session");
    let grown = most.max(world.broker.memory()).saturating_sub(before);
    assert!(grown < GROWTH, "the broker grew by {} MiB", grown >> 20);
}

/// The same from the other side: what the database does not take stays with the client.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stops_reading_costs_no_memory() {
    let cluster = Cluster::start(*majors().last().expect("a major"));
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let client = gateway.connect().await;
    client.batch_execute("CREATE TABLE t (line text)").await.expect("the table");
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.expect("a pid").get(0);
    let backend = rustix::process::Pid::from_raw(pid).expect("a pid");
    rustix::process::kill_process(backend, rustix::process::Signal::STOP).expect("the backend stops");
    let before = memory_of(std::process::id());
    let line = bytes::Bytes::from(vec![b'y'; 1 << 20]);
    let copied = async {
        use futures_util::SinkExt as _;
        let sink = client.copy_in::<_, bytes::Bytes>("COPY t FROM STDIN").await?;
        futures_util::pin_mut!(sink);
        for _ in 0..500 {
            sink.send(line.clone()).await?;
        }
        sink.finish().await
    };
    let stalled = tokio::time::timeout(Duration::from_secs(4), copied).await;
    assert!(stalled.is_err(), "the client waits for a database that does not read");
    let grown = memory_of(std::process::id()).saturating_sub(before);
    assert!(grown < GROWTH, "the gateway grew by {} MiB", grown >> 20);
    // another connection does not notice
    let fine = gateway.connect().await;
    fine.query_one("SELECT 1", &[]).await.expect("an answer");
    rustix::process::kill_process(backend, rustix::process::Signal::CONT).expect("the backend goes on");
}
