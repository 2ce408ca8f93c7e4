//! A machine that sleeps while its login runs out, by a clock that everybody goes by.

use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use hoopctl::broker::assembly::Broker;
use hoopctl::broker::config::Config;
use hoopctl::broker::embedded::{Decision, DemoUser, EmbeddedProvider, Running, decide};
use hoopctl::broker::secrets::Secrets;
use hoopctl::client::api::Api;
use hoopctl::client::link::{Link, LinkError};
use hoopctl::client::login::{LoginView, sign_in};
use hoopctl::client::provider::DevicePrompt;
use hoopctl::client::session::LiveSession;
use hoopctl::client::trust::{Pin, PinnedRoot};
use hoopctl::domain::name::DeviceId;
use hoopctl::gateway::clock::Clock;
use hoopctl::wire::control::{Confirmation, ProblemCode, WHOAMI, WhoAmI};
use jiff::SignedDuration;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret as _, SecretString};

use crate::support::client;
use crate::support::env::Env;
use crate::support::postgres::{Cluster, free_port, majors};
use crate::support::world::target;

/// A database, a provider, a broker and a machine, all by one clock.
struct Place {
    cluster: Cluster,
    _provider: Running,
    broker: Broker,
    url: String,
    machine: Env,
    clock: Clock,
    /// Seconds that everybody has slept.
    slept: Arc<AtomicI64>,
    _folder: tempfile::TempDir,
}

impl Place {
    async fn start() -> Self {
        let slept = Arc::new(AtomicI64::new(0));
        let (system, hand) = (Clock::system(), Arc::clone(&slept));
        let clock =
            Clock::from_fn(move || system.now() + SignedDuration::from_secs(hand.load(Ordering::SeqCst)));
        let cluster = Cluster::start(*majors().last().expect("a major"));
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let provider = EmbeddedProvider::start_by(clock.clone(), loopback, DemoUser::cast()).await;
        let provider = provider.expect("a provider");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).expect("private");
        let mut password = std::fs::OpenOptions::new();
        password.write(true).create_new(true).mode(0o600);
        let mut password = password.open(folder.path().join("admin-password")).expect("a file");
        std::io::Write::write_all(&mut password, cluster.password.as_bytes()).expect("written");
        let url = format!("https://127.0.0.1:{}", free_port());
        let config = format!(
            r#"[broker]
data_dir = "data"
listen = "{}"
public_url = "{url}"
[[provider]]
name = "corp"
issuer = "{}"
client_id = "hoopctl"
groups = ["dba"]
[policy]
presets = ["allow-statements"]
files = ["policy.cedar"]
{}"#,
            url.trim_start_matches("https://"),
            provider.issuer,
            target(&cluster, "", ""),
        );
        let policy = "@id(\"connect\")\npermit (principal, action == Hoop::Action::\"connect\", resource);\n";
        std::fs::write(folder.path().join("policy.cedar"), policy).expect("written");
        let config = Config::parse(&config, folder.path()).expect("a configuration");
        let broker = Broker::start(config, clock.clone(), Secrets::new(|_| None)).await.expect("a broker");
        let machine = Env::new(&url);
        let place =
            Self { cluster, _provider: provider, broker, url, machine, clock, slept, _folder: folder };
        place.sign_in().await;
        place
    }

    async fn sign_in(&self) {
        let (ca, _) = self.broker.running().ca().expect("a CA of its own");
        let ca = CertificateDer::from_pem_slice(ca.as_bytes()).expect("a certificate");
        let pinned = PinnedRoot { pin: Pin::of(&ca).expect("a pin"), root: None };
        let url = self.url.parse().expect("a URL");
        let link = Link::new(&url, Some(pinned), self.clock.clone()).expect("a link");
        let context = client::context(&self.machine, self.clock.clone());
        sign_in(&context, &link, None, &Approving).await.expect("a login");
    }

    fn api(&self) -> Arc<Api> {
        client::api(&self.machine, &self.url, self.clock.clone())
    }

    fn sleep(&self, minutes: i64) {
        self.slept.fetch_add(minutes * 60, Ordering::SeqCst);
    }
}

/// Alice says yes to whatever page is shown.
struct Approving;

impl LoginView for Approving {
    fn confirm(&self, _: &Confirmation, _: &DeviceId) {}

    fn prompt(&self, prompt: &DevicePrompt) {
        let page = prompt.url_complete.clone().expect("a page").parse().expect("a URL");
        tokio::spawn(async move { decide(&page, Decision::Approve("alice")).await.expect("it is taken") });
    }
}

/// One connection of a session, over a tunnel of its own, as the loopback opens it for psql.
async fn connection(session: &LiveSession, secret: &SecretString) -> Result<tokio_postgres::Client, String> {
    let stream = session.opener(None).open().await.map_err(|refusal| refusal.message)?;
    let mut config = tokio_postgres::Config::new();
    config.user(&session.user).password(secret.expose_secret()).dbname(&session.database);
    let (client, connection) =
        config.connect_raw(stream, tokio_postgres::NoTls).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    Ok(client)
}

async fn answer(client: &tokio_postgres::Client) -> i32 {
    client.query_one("SELECT 42", &[]).await.expect("an answer").get(0)
}

/// Access tokens live for five minutes, and nothing renews them on a machine that sleeps.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_ran_out_asleep_is_renewed_by_the_next_connection() {
    let place = Place::start().await;
    let api = place.api();
    let (session, secret) = LiveSession::open(&api, "db", None).await.expect("a session");
    let before = connection(&session, &secret).await.expect("a connection");
    assert_eq!(answer(&before).await, 42);
    let old = api.access().await.expect("a token");

    place.sleep(6);
    let stale = api.link().call::<WhoAmI>(api.caller(&old), reqwest::Method::GET, WHOAMI, None::<&()>).await;
    let Err(LinkError::Problem(stale)) = stale else { panic!("the token is as good as before") };
    assert_eq!(stale.code, ProblemCode::LoginNeeded);
    // nobody is asked anything
    let after = connection(&session, &secret).await.expect("another connection of the same session");
    assert_eq!(answer(&after).await, 42);
    assert_eq!(answer(&before).await, 42);
    assert!(api.access().await.expect("a token").since >= old.expires);

    // longer than a login lasts in silence: the session is over, and the next one needs no sign-in
    place.sleep(11);
    let closed = async {
        while !before.is_closed() || !after.is_closed() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), closed).await.expect("the session closes");
    let refused = connection(&session, &secret).await.expect_err("it is over");
    assert!(refused.contains("the login behind it has ended"), "{refused}");
    session.close().await.expect("it is over");
    let (session, secret) = LiveSession::open(&api, "db", None).await.expect("another session");
    assert_eq!(answer(&connection(&session, &secret).await.expect("a connection")).await, 42);
    session.close().await.expect("closed");
    place.broker.drain(Duration::from_secs(5)).await.expect("its end is entered");
    drop(place.cluster);
}
