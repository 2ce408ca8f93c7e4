//! A job that lasts longer than its first tokens, by a clock that the test holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use hoopctl::client::api::Api;
use hoopctl::client::home::broker_url;
use hoopctl::client::link::Link;
use hoopctl::client::login::{Identity, Workload};
use hoopctl::client::session::LiveSession;
use hoopctl::client::trust::PinnedRoot;
use hoopctl::client::workload::{Platform, Source, Variables};
use hoopctl::gateway::clock::Clock;
use jiff::SignedDuration;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::support::client;
use crate::support::env::Env;
use crate::support::world::{Twist, World};

/// A job, and by how many seconds its clock went on. Its proofs are dated by the machine's, as the broker's
/// and the issuer's clocks are.
struct Job {
    api: Arc<Api>,
    later: Arc<AtomicI64>,
    env: Env,
}

impl Job {
    async fn begin(world: &World, source: impl FnOnce(&Env) -> Source) -> Self {
        let env = Env::new(&world.broker.url);
        let later = Arc::new(AtomicI64::new(0));
        let (system, hand) = (Clock::system(), Arc::clone(&later));
        let clock =
            Clock::from_fn(move || system.now() + SignedDuration::from_secs(hand.load(Ordering::SeqCst)));
        let context = client::context(&env, clock);
        let pinned = PinnedRoot { pin: world.pin().parse().expect("a pin"), root: None };
        let url = broker_url(&world.broker.url).expect("a URL");
        let link = Link::new(&url, Some(pinned), Clock::system()).expect("a link");
        let variables = world.provider.github_job();
        let read = move |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.clone())
        };
        let platform = Platform::new(source(&env), Variables::new(read));
        let place = context.home.broker(&url).expect("a place");
        let workload = Workload::new(&context, &link, platform, Some(place)).await.expect("a workload");
        Self { api: Api::new(context, link, Identity::Workload(workload)), later, env }
    }

    fn goes_on(&self, seconds: i64) {
        self.later.store(seconds, Ordering::SeqCst);
    }

    async fn access(&self) -> String {
        self.api.access().await.expect("a token").token.expose_secret().to_owned()
    }
}

/// GitHub's tokens last five minutes here, and so do the broker's.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_github_asks_for_new_tokens_as_the_old_ones_expire() {
    let world = World::start(Twist::default()).await;
    let job = Job::begin(&world, |_| Source::Github { audience: None }).await;
    let (session, _secret) = LiveSession::open(&job.api, "db", None).await.expect("a session");
    let mut seen = vec![job.access().await];
    assert_eq!(world.provider.github_asked().await, 1);

    // what the platform gave is still good, so that it is not asked again
    job.goes_on(200);
    job.api.keep_alive().await.expect("renewed");
    seen.push(job.access().await);
    assert_eq!(world.provider.github_asked().await, 1);

    for (hours, asked) in [(1, 2), (2, 3), (7, 4)] {
        job.goes_on(hours * 3600);
        job.api.keep_alive().await.expect("renewed");
        seen.push(job.access().await);
        assert_eq!(world.provider.github_asked().await, asked);
        session.opener(None).open().await.map(drop).expect("a tunnel");
    }
    let all = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), all, "each is another");
    session.close().await.expect("closed");

    // the platform stops: nothing is left to go on with
    job.goes_on(8 * 3600);
    world.provider.github_claims(json!({"repository": "fork/app"})).await;
    let ended = job.api.keep_alive().await.expect_err("nothing to go on with");
    assert!(ended.to_string().contains("no rule of the issuer matches"), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_goes_on_with_what_kubelet_writes() {
    let world = World::start(Twist::default()).await;
    let write = async |env: &Env, claims: serde_json::Value| {
        let token = world.provider.mint(json!({"claims": claims})).await;
        std::fs::write(env.home().join("token"), token).expect("written");
    };
    let first = Env::new(&world.broker.url);
    write(&first, json!({})).await;
    let file = first.home().join("token");
    let job = Job::begin(&world, |_| Source::Kubernetes(Some(file.clone()))).await;
    let before = job.access().await;
    job.goes_on(3600);
    write(&first, json!({})).await;
    assert_ne!(job.access().await, before);
    // what is written half is no token, and nothing of it is said
    job.goes_on(7200);
    std::fs::write(&file, "").expect("written");
    let refused = job.api.access().await.expect_err("no token");
    assert!(refused.to_string().contains("there is no workload token in `kubernetes:"), "{refused}");
    drop(job.env);
}
