//! That leaks would be found: guards are switched off, one after the other, until a conversation tells.

use std::time::Instant;

use hoopctl::domain::planted::{Leak, plant};

use super::campaign::Twins;
use crate::idle::say;
use crate::support::postgres::majors;

/// Within how many conversations each must be found.
const PATIENCE: u64 = 2000;

/// One test, since a guard is off in the whole process.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the feature planted-leaks; tests/run --full builds and runs it"]
async fn each_leak_that_is_planted_is_found() {
    let twins = Twins::start(*majors().last().expect("a server")).await;
    let mut missed = Vec::new();
    for leak in wanted() {
        plant(Some(leak));
        let began = Instant::now();
        let seconds = || began.elapsed().as_secs();
        match twins.hunt(0..PATIENCE).await {
            Some(found) => {
                let (steps, how) = &found.conversation;
                let last = steps.last().map(|step| step.sql()).unwrap_or_default();
                say(&format!(
                    "{leak:?}: found by conversation {}, after {} s: {last}\n{how}",
                    found.seed + 1,
                    seconds()
                ));
            }
            None => {
                say(&format!("{leak:?}: not found in {PATIENCE} conversations, {} s", seconds()));
                missed.push(leak);
            }
        }
    }
    plant(None);
    let report = twins.play(0..80).await;
    assert!(report.leaks.is_empty(), "with every guard on: {}", report.told());
    assert!(missed.is_empty(), "not found in {PATIENCE} conversations each: {missed:?}");
}

/// All of them, or those that `HOOPCTL_LEAKS` names, with commas between.
fn wanted() -> Vec<Leak> {
    let named = std::env::var("HOOPCTL_LEAKS").unwrap_or_default();
    let is_named = |leak: &Leak| named.is_empty() || named.split(',').any(|name| name == format!("{leak:?}"));
    Leak::ALL.iter().copied().filter(is_named).collect()
}
