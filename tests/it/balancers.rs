//! The one port behind load balancers that end its TLS.

mod certificate;
mod fleet;
mod spy;

use self::certificate::Certificate;
use self::fleet::{HAPROXY, NGINX, SOURCE, Server, login_through};
use self::spy::{Spy, Trick};
use crate::support::env::Env;
use crate::support::postgres::free_port;
use crate::support::world::{Twist, World, psql};

/// A world whose broker is known by the balancer's URL, and the balancer's port.
async fn behind(trusted: bool) -> (World, u16) {
    let port = free_port();
    let url = format!("https://localhost:{port}");
    let trust = format!("trusted_proxies = [\"{SOURCE}\"]");
    let broker = if trusted { trust.as_str() } else { "" };
    (World::start(Twist { broker, public_url: Some(&url), ..Twist::default() }).await, port)
}

/// The main job through a balancer, and the address that the broker enters for it.
async fn main_job(world: &World, certificate: &Certificate) -> String {
    let alice = login_through(world, certificate, "alice").await;
    let list = alice.run(&["list"]).await.ends(0);
    assert!(list.stdout.contains("db"), "{}", list.stdout);
    // two at once and a large one: nothing between buffers a whole answer or joins connections
    let (small, large) = tokio::join!(
        psql(&alice, "SELECT b FROM plain WHERE a = 1"),
        psql(&alice, "SELECT repeat('x', 1000) FROM generate_series(1, 20000)"),
    );
    assert_eq!(small.ends(0).stdout, "one\n");
    assert_eq!(large.ends(0).stdout.len(), 20_000 * 1001);
    address(&alice).await
}

async fn address(env: &Env) -> String {
    let list = env.run(&["--output", "json", "session", "list"]).await.ends(0);
    let line = list.stdout.lines().find(|line| line.contains("ses_")).expect("a session").to_owned();
    let session: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    session["client_address"].as_str().expect("an address").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_main_job_passes_haproxy() {
    let (world, port) = behind(true).await;
    let certificate = Certificate::new();
    let _haproxy = Server::start(&HAPROXY, port, &world, &certificate);
    assert_eq!(main_job(&world, &certificate).await, "127.0.0.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_main_job_passes_nginx() {
    let (world, port) = behind(true).await;
    let certificate = Certificate::new();
    let _nginx = Server::start(&NGINX, port, &world, &certificate);
    assert_eq!(main_job(&world, &certificate).await, "127.0.0.1");
}

/// Whoever is not configured as a proxy is a client, whatever it says of others.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_not_trusted_is_the_client_itself() {
    let (world, port) = behind(false).await;
    let certificate = Certificate::new();
    let _haproxy = Server::start(&HAPROXY, port, &world, &certificate);
    assert_eq!(main_job(&world, &certificate).await, SOURCE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_without_its_broker_is_unreachable_with_69() {
    let (mut world, port) = behind(true).await;
    let certificate = Certificate::new();
    let _haproxy = Server::start(&HAPROXY, port, &world, &certificate);
    let alice = login_through(&world, &certificate, "alice").await;
    world.broker.stop();
    let ran = alice.run(&["list"]).await.ends(69);
    assert!(ran.stderr.contains("answers 503"), "{}", ran.stderr);
}

/// What a balancer sees of a tunnel is who opens it, and nothing of what is in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_cannot_read_the_tunnel() {
    let (world, port) = behind(true).await;
    let certificate = Certificate::new();
    let spy = Spy::start(port, &world, &certificate, Trick::Listen).await;
    let alice = login_through(&world, &certificate, "alice").await;
    let ran = psql(&alice, "SELECT 'so-' || 'secret', b FROM plain WHERE a = 1").await.ends(0);
    assert_eq!(ran.stdout, "so-secret|one\n");
    let seen = spy.seen();
    let has = |needle: &str| seen.windows(needle.len()).any(|window| window == needle.as_bytes());
    assert!(has("hoopctl-inner: tls"), "the spy sees the request that opens the tunnel");
    for hidden in ["so-secret", "FROM plain", "SCRAM-SHA-256", "client_encoding", "PostgreSQL"] {
        assert!(!has(hidden), "the balancer read `{hidden}`");
    }
}

/// A balancer that ends the tunnel itself, changes a byte in it, or talks the client's TLS away,
/// gets no statement through.
#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_cannot_alter_the_tunnel() {
    let (world, port) = behind(true).await;
    let certificate = Certificate::new();
    let mut spy = Spy::start(port, &world, &certificate, Trick::Impersonate).await;
    let alice = login_through(&world, &certificate, "alice").await;
    let ran = psql(&alice, "UPDATE plain SET b = 'stolen'").await;
    assert_eq!(ran.code, 2, "{}", ran.text());
    assert!(ran.stderr.contains("does not hold the gateway's key"), "{}", ran.stderr);

    for trick in [Trick::FlipToGateway, Trick::FlipToClient, Trick::Downgrade] {
        spy.play(trick);
        let ran = psql(&alice, "UPDATE plain SET b = 'stolen'").await;
        assert_eq!(ran.code, 2, "{trick:?}: {}", ran.text());
    }
    let admin = world.cluster.admin().await;
    let stolen = admin.query_one("SELECT count(*) FROM plain WHERE b = 'stolen'", &[]).await.expect("counts");
    assert_eq!(stolen.get::<_, i64>(0), 0);

    spy.play(Trick::Listen);
    psql(&alice, "SELECT 1").await.ends(0);
}

/// Nobody can play the older broker who was the newer one before.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_shows_no_head_is_an_older_one_only_until_it_has_shown_one() {
    let (world, port) = behind(true).await;
    let certificate = Certificate::new();
    let mut spy = Spy::start(port, &world, &certificate, Trick::Older).await;
    let alice = Env::new(&world.broker.url);
    let pin = certificate.pin();
    let approve = async |page: String| crate::support::provider::approve(&page, "alice").await;
    let ran = alice.login(&["--broker-pin", &pin], approve).await.ends(0);
    let older = "warning: the broker is too old to show the head of its ledger, so nothing tells whether that is still the one it was";
    ran.tells(older);
    let ran = psql(&alice, "SELECT 1").await.ends(0).tells(older);
    assert!(!ran.stderr.contains("is remembered from now on"), "{}", ran.stderr);
    let sessions = alice.run(&["--output", "json", "session", "list"]).await.ends(0).stdout;
    let session: serde_json::Value =
        serde_json::from_str(sessions.lines().next().expect("one")).expect("JSON");
    let replay = ["session", "replay", session["id"].as_str().expect("an id")];
    let ran = alice.run(&replay).await.ends(69);
    assert!(ran.stderr.contains("too old to prove under one head"), "{}", ran.stderr);

    spy.play(Trick::Listen);
    let ran = psql(&alice, "SELECT 1").await.ends(0);
    assert!(ran.stderr.contains("is remembered from now on"), "{}", ran.stderr);
    spy.play(Trick::Older);
    let withheld = "error: the broker does not show the head of its ledger any more";
    psql(&alice, "SELECT 1").await.ends(65).tells(withheld);
    alice.run(&replay).await.ends(65).tells(withheld);
    let approve = async |page: String| crate::support::provider::approve(&page, "alice").await;
    alice.login(&["--broker-pin", &pin], approve).await.ends(65).tells(withheld);
}
