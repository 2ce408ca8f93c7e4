//! What approvals cost, measured. `benches/approvals.sh` runs this and prints; it asserts no time.

#![expect(clippy::unwrap_used, reason = "a measurement fails by panicking")]

use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use axum::http::StatusCode;
use serde_json::json;

use super::stage::Statement;
use super::tests::corp;
use crate::broker::store::Store;
use crate::broker::store::requests as table;
use crate::broker::testing::{Bench, PERMIT_ALL};
use crate::domain::approval::{Subject, SubjectText};
use crate::domain::name::RequestId;
use crate::wire::control::{Listing, RequestView};

const OPEN: u16 = 10_000;
const HELD: u16 = 1_000;
const ROUNDS: usize = 200;

#[tokio::test]
#[ignore = "a measurement: benches/approvals.sh"]
async fn the_inbox_with_ten_thousand_open_requests() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(&directory.path().join("broker.sqlite")).unwrap());
    let bench = Bench::on(store, super::tests::BY_DBA, |_| {});
    let (alice, bob) = (bench.login("alice", 1).await, bench.login("bob", 2).await);
    let one: RequestView = alice.ask(json!({})).await.json();
    let model = bench.store.read(|on| table::find(on, &one.request.id)).unwrap().unwrap();
    bench
        .store
        .write(|on| {
            for place in 0..OPEN {
                let mut new = model.clone();
                new.request.id = RequestId::from_random(rand::random());
                new.request.requester = corp(&format!("user{}", place % 500));
                new.who.id = new.request.requester.clone();
                new.request.filed = model.request.filed - jiff::SignedDuration::from_secs(i64::from(place));
                let subject = Subject { request: new.request.id.clone(), ..model.subject.subject().clone() };
                new.subject = SubjectText::write(subject).unwrap();
                table::insert(on, &new)?;
            }
            Ok(())
        })
        .unwrap();
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let call = bob.request("GET", "/v1/requests?scope=reviewable", None);
        let start = Instant::now();
        let answer = bench.send(call).await;
        times.push(start.elapsed());
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.json::<Listing<RequestView>>().items.len(), 100);
    }
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).unwrap().as_secs_f64() * 1000.0;
    writeln!(std::io::stdout(), "inbox, {OPEN} open, 100 shown: p50 {:.1} ms, p99 {:.1} ms", at(50), at(99))
        .unwrap();
}

#[tokio::test]
#[ignore = "a measurement: benches/approvals.sh"]
async fn a_thousand_statements_held_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(&directory.path().join("broker.sqlite")).unwrap());
    let bench = Bench::on(store, PERMIT_ALL, |_| {});
    let mut waiting = Vec::new();
    let mut statements = Vec::new();
    let names: Vec<String> = (0..HELD / 50).map(|place| format!("user{place}")).collect();
    for (name, seed) in names.iter().zip(1..) {
        let user = bench.login(name, seed).await;
        let session = user.open().await;
        statements.push(Statement::of(&bench, &session, &user, name));
    }
    let before = resident();
    for place in 0..HELD {
        let statement = statements.get(usize::from(place) % statements.len()).unwrap();
        waiting.push(statement.held().await);
    }
    let after = resident();
    writeln!(
        std::io::stdout(),
        "{HELD} held: {} KiB more, {:.1} KiB each",
        after - before,
        (after - before) as f64 / f64::from(HELD)
    )
    .unwrap();
    drop(waiting);
}

/// The resident set of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
