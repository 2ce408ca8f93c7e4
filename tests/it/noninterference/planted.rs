//! That leaks would be found: guards are switched off, one after the other, until a conversation tells.

use hoopctl::domain::planted::{Leak, plant};

use super::campaign::Twins;
use crate::idle::say;
use crate::support::postgres::majors;

/// Within how many conversations each must be found.
const PATIENCE: u64 = 4000;

/// One test, since a guard is off in the whole process.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the feature planted-leaks; tests/run --full builds and runs it"]
async fn each_leak_that_is_planted_is_found() {
    let twins = Twins::start(*majors().last().expect("a server")).await;
    let mut missed = Vec::new();
    for leak in Leak::ALL {
        plant(Some(*leak));
        let mut from = 0;
        let found = loop {
            let report = twins.play(from..from + 80).await;
            if let Some(found) = report.leaks.first() {
                break Some((found.seed, found.conversation.clone()));
            }
            from += 80;
            if from >= PATIENCE {
                break None;
            }
        };
        match found {
            Some((seed, (steps, how))) => say(&format!("{leak:?}: seed {seed}: {how}\n  {steps:?}")),
            None => missed.push(leak),
        }
    }
    plant(None);
    let report = twins.play(0..80).await;
    assert!(report.leaks.is_empty(), "with every guard on: {}", report.told());
    assert!(missed.is_empty(), "not found in {PATIENCE} conversations each: {missed:?}");
}
