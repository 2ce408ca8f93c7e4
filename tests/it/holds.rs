//! Statements that wait for a second person.

mod cancels;
mod cost;
mod cursors;
mod estimates;
mod presets;
mod proofs;
mod standing;
mod waiting;

use std::time::Duration;

use crate::support::gateway::{Gateway, Setup};
use crate::support::postgres::Cluster;

const DELETES: &str = r#"
@id("delete-is-reviewed")
@reason("deleting rows is looked at by a second person")
@review("corp/dba:1")
@standing("1h")
forbid (principal, action == Hoop::Action::"statement", resource)
when { context.verb == "delete" };
"#;

fn gateway(cluster: &Cluster) -> Gateway {
    Gateway::start(cluster, Setup { policy: DELETES, ..Setup::open(cluster) })
}

/// The verdicts in the ledger, in order.
fn verdicts(gateway: &Gateway) -> Vec<String> {
    let entries = gateway.book.statements();
    entries.into_iter().map(|(verb, verdict, _)| format!("{verdict} {verb}")).collect()
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..600 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never came to this: {what}");
}
