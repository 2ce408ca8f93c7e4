#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::atomic::Ordering as Order;
use std::time::Duration;

use super::*;
use crate::broker::testing::{Echo, Hand, Issuer, Lender, Memory, PERMIT_ALL, Shelf, Wire, config};

struct Stage {
    home: tempfile::TempDir,
    journal: Arc<Memory>,
    store: Arc<Store>,
}

impl Stage {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        Self { home, journal: Arc::new(Memory::default()), store: Arc::new(Store::in_memory().unwrap()) }
    }

    fn parts(&self) -> Parts {
        let config = config(self.home.path(), PERMIT_ALL);
        Parts {
            config,
            clock: Hand::new().clock(),
            store: Arc::clone(&self.store),
            journal: Arc::clone(&self.journal) as Arc<dyn Journal>,
            archive: Arc::new(Shelf),
            fetch: Arc::new(Wire(Issuer::new())),
            secrets: Secrets::new(|_| None),
            leases: Box::new(|_| Arc::new(Lender::default())),
            tunnels: Box::new(|_| Arc::new(Echo)),
        }
    }
}

#[tokio::test]
async fn a_broker_starts_reloads_drains_and_says_so() {
    let stage = Stage::new();
    let running = App::start(stage.parts()).await.unwrap();
    assert_ne!(running.address().port(), 0);
    assert!(running.ca().is_some());
    running.reload(config(stage.home.path(), "")).await.unwrap();
    running.drain(Duration::from_secs(1)).await.unwrap();
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let expected =
        [What::BrokerStarted { version }, What::PolicyLoaded, What::PolicyLoaded, What::BrokerStopped];
    assert_eq!(stage.journal.whats(), expected);
}

#[tokio::test]
async fn a_broker_does_not_start_without_a_ledger() {
    let stage = Stage::new();
    stage.journal.broken.store(true, Order::SeqCst);
    assert!(matches!(App::start(stage.parts()).await.err(), Some(StartError::Journal(_))));
}

#[tokio::test]
async fn a_policy_that_cannot_be_entered_is_not_put_in_force() {
    let stage = Stage::new();
    let running = App::start(stage.parts()).await.unwrap();
    let before = running.core.scribe.policy();
    stage.journal.broken.store(true, Order::SeqCst);
    running.reload(config(stage.home.path(), "")).await.unwrap_err();
    assert_eq!(running.core.scribe.policy(), before);
    assert_eq!(*running.core.config().policy.digest(), before);
}
