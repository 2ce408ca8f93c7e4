//! A broker whose people sign in at the embedded provider, by a clock that the test holds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use hoopctl::broker::embedded::{Decision, DemoUser, EmbeddedProvider, Running, decide};
use hoopctl::gateway::clock::Clock;
use jiff::{SignedDuration, Timestamp};

use super::broker::Broker;
use super::env::{Env, Ran};

/// A provider and a broker; there is nothing to reach.
pub(crate) struct House {
    pub(crate) broker: Broker,
    /// Seconds since 1970 at the provider; 0 for the machine's own clock.
    frozen: Arc<AtomicI64>,
    /// By how many seconds the machine's own clock is wrong at the provider.
    ahead: Arc<AtomicI64>,
    _provider: Running,
}

impl House {
    /// Starts both.
    pub(crate) async fn start() -> Self {
        Self::furnished("", &[]).await
    }

    /// The same with targets, and files beside the configuration; `policy.cedar` among them is its policy.
    pub(crate) async fn furnished(targets: &str, files: &[(&str, &str)]) -> Self {
        Self::built("", targets, files).await
    }

    /// The same with keys of the table `[broker]`.
    pub(crate) async fn built(broker: &str, targets: &str, files: &[(&str, &str)]) -> Self {
        let frozen = Arc::new(AtomicI64::new(0));
        let ahead = Arc::new(AtomicI64::new(0));
        let (system, hand, off) = (Clock::system(), Arc::clone(&frozen), Arc::clone(&ahead));
        let clock = Clock::from_fn(move || match hand.load(Ordering::SeqCst) {
            0 => system.now() + SignedDuration::from_secs(off.load(Ordering::SeqCst)),
            second => Timestamp::from_second(second).expect("a time"),
        });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let provider =
            EmbeddedProvider::start_by(clock, address, DemoUser::cast()).await.expect("a provider");
        let config = format!(
            "{broker}\n[[provider]]\nname = \"corp\"\nissuer = \"{}\"\nclient_id = \"hoopctl\"\ngroups = [\"dba\", \"dev\"]\n\n\
             [policy]\npresets = [\"allow-statements\"]\n{}{targets}",
            provider.issuer,
            if files.iter().any(|(name, _)| *name == "policy.cedar") {
                "files = [\"policy.cedar\"]\n"
            } else {
                ""
            },
        );
        Self { broker: Broker::start_with(&config, files), frozen, ahead, _provider: provider }
    }

    /// With targets that are nowhere, an API and a host, which everybody may reach unless `rules` say otherwise.
    pub(crate) async fn of_names(rules: &str) -> Self {
        let policy = format!("@id(\"all\") permit (principal, action, resource);{rules}");
        Self::furnished(NAMES, &[("policy.cedar", &policy)]).await
    }

    /// Stops the provider's clock, so long ago.
    pub(crate) fn freeze(&self, ago: i64) {
        self.frozen.store(Clock::system().now().as_second() - ago, Ordering::SeqCst);
    }

    /// Lets the provider's clock go on from the time that it is.
    pub(crate) fn thaw(&self) {
        self.frozen.store(0, Ordering::SeqCst);
    }

    /// Puts the provider's clock ahead of everybody else's, or behind.
    pub(crate) fn put_ahead(&self, seconds: i64) {
        self.ahead.store(seconds, Ordering::SeqCst);
    }

    /// Signs alice in on a machine; `then` comes after her approval.
    pub(crate) async fn sign_in(&self, env: &Env, then: impl FnOnce()) -> Ran {
        let pin = self.broker.pin();
        env.login(&["--broker-pin", &pin], async |page| {
            approve(&page).await;
            then();
        })
        .await
    }

    /// A machine of somebody else's, logged in.
    pub(crate) async fn machine_of(&self, person: &str) -> Env {
        let env = Env::new(&self.broker.url);
        let pin = self.broker.pin();
        env.login(&["--broker-pin", &pin], async |page| {
            let page = page.parse().expect("a page");
            decide(&page, Decision::Approve(person)).await.expect("the page takes it");
        })
        .await
        .ends(0);
        env
    }

    /// A machine of alice's, logged in.
    pub(crate) async fn machine(&self) -> Env {
        let env = Env::new(&self.broker.url);
        self.sign_in(&env, || {}).await.ends(0);
        env
    }
}

/// Alice says yes to the page that a device shows.
pub(crate) async fn approve(page: &str) {
    let page = page.parse().expect("a page");
    decide(&page, Decision::Approve("alice")).await.expect("the page takes it");
}

const NAMES: &str = r#"
[[target]]
name = "traces-api"
protocol = "http"
base = "https://traces.example.com"
description = "the API of the traces"
[target.issuer]
kind = "none"
[[target]]
name = "bastion"
protocol = "ssh"
host = "bastion.example.com"
login = "deploy"
host_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHoAuuotw9/k7kY7889LiM0MW3Y88sZDBMBn5XXwuYYN"]
[target.issuer]
kind = "ssh-certificate"
"#;
