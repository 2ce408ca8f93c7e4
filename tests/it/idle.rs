//! What sessions cost that do nothing; `benches/idle.sh` runs this, and it asserts no figure.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use hoopctl::client::session::LiveSession;
use hoopctl::gateway::clock::Clock;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg};
use secrecy::{ExposeSecret as _, SecretString};

use crate::support::client;
use crate::support::demo_api::DemoApi;
use crate::support::env::Env;
use crate::support::house::House;
use crate::support::postgres::Cluster;
use crate::support::sshd::Sshd;

/// What the API wants to see.
pub(crate) const KEY: &str = "api-key-of-the-broker-alone";
pub(crate) const POLICY: &str = r#"
@id("people.work")
permit (principal in Hoop::Group::"corp/dba", action, resource);
"#;

/// How many sessions a device may hold, and a little less.
pub(crate) const DEVICE: usize = 125;

/// A connection of a client's that nobody uses.
type Idle = Box<dyn std::any::Any + Send>;

/// Opens the connection of one kind of session.
type Connect = fn(LiveSession, SecretString, PrivateKey) -> BoxFuture<'static, Idle>;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: benches/idle.sh"]
async fn what_idle_sessions_cost() {
    let count = std::env::var("HOOPCTL_IDLE").ok().and_then(|count| count.parse().ok()).unwrap_or(2000);
    let most = format!("max_connections={}", count + 100);
    let cluster = Cluster::start_with(18, &[&most, "shared_buffers=16MB"]);
    let sshd = Sshd::start();
    let origin = DemoApi::start(KEY);
    let files = [("admin-password", cluster.password.as_str()), ("api-key", KEY), ("policy.cedar", POLICY)];
    let targets = targets(&cluster, &sshd, &origin);
    let kinds: [(&str, &str, Connect); 4] = [
        ("PostgreSQL", "db", |session, secret, _| Box::pin(postgres(session, secret))),
        ("HTTP", "traces-api", |session, secret, _| Box::pin(http(session, secret))),
        ("SSH", "bastion", |session, _, key| Box::pin(ssh(session, key, None))),
        ("SSH that runs `cat`", "bastion", |session, _, key| Box::pin(ssh(session, key, Some("cat")))),
    ];
    for (kind, target, connect) in kinds {
        let house = House::furnished(&targets, &files).await;
        let operator = Env::new(&house.broker.url);
        let file = house.broker.config.to_str().expect("a path");
        let authority = operator.run(&["broker", "ssh-ca", "--config", file]).await.ends(0);
        std::fs::write(sshd.folder.path().join("authority.pub"), authority.stdout).expect("written");
        say(&row(kind, &house, target, count, connect).await);
    }
}

/// Opens that many sessions of a kind, then their connections, and tells what one of them takes at the broker.
async fn row(kind: &str, house: &House, target: &str, count: usize, connect: Connect) -> String {
    let mut machines = Vec::new();
    for _ in 0..count.div_ceil(DEVICE) {
        machines.push(house.machine().await);
    }
    let url = &house.broker.url;
    let apis: Vec<_> = machines.iter().map(|machine| client::api(machine, url, Clock::system())).collect();
    let began = Instant::now();
    let nothing = house.broker.memory();
    let opening = (0..count).map(|number| {
        let api = &apis[number / DEVICE];
        async move {
            let key = PrivateKey::from(Ed25519Keypair::from_seed(&rand::random()));
            let public = (target == "bastion").then(|| key.public_key().to_openssh().expect("a line"));
            let (session, secret) = LiveSession::open(api, target, public).await.expect("a session");
            (session, secret, key)
        }
    });
    let sessions: Vec<_> = futures_util::stream::iter(opening).buffered(8).collect().await;
    let opened = house.broker.memory();
    let connecting = sessions.into_iter().map(|(session, secret, key)| connect(session, secret, key));
    let idle: Vec<Idle> = futures_util::stream::iter(connecting).buffered(8).collect().await;
    let connected = house.broker.memory();
    let took = began.elapsed();
    let each = |from: u64, to: u64| to.saturating_sub(from) / 1024 / idle.len() as u64;
    let (session, connection) = (each(nothing, opened), each(nothing, connected));
    format!("| {count} idle, {kind} | {session} KiB | {connection} KiB | opened in {} s |", took.as_secs())
}

async fn postgres(session: LiveSession, secret: SecretString) -> Idle {
    let stream = session.opener(None).open().await.expect("a tunnel");
    let mut config = tokio_postgres::Config::new();
    config.user(&session.user).password(secret.expose_secret()).dbname(&session.database);
    let (client, connection) =
        config.connect_raw(stream, tokio_postgres::NoTls).await.expect("it lets us in");
    let connection = tokio::spawn(connection);
    client.simple_query("SELECT 1").await.expect("an answer");
    Box::new((session, client, connection))
}

async fn http(session: LiveSession, secret: SecretString) -> Idle {
    let stream = session.opener(None).open().await.expect("a tunnel");
    let made = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut link, connection) = made.expect("it speaks HTTP");
    let connection = tokio::spawn(connection);
    let call = http::Request::get("/traces/7")
        .header("host", "traces-api")
        .header("hoop-session", secret.expose_secret())
        .body(Empty::<Bytes>::new())
        .expect("a call");
    let answer = link.send_request(call).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.into_body().collect().await.expect("a trace");
    Box::new((session, link, connection))
}

async fn ssh(session: LiveSession, key: PrivateKey, command: Option<&str>) -> Idle {
    let stream = session.opener(None).open().await.expect("a tunnel");
    let config = Arc::new(russh::client::Config::default());
    let mut link = russh::client::connect_stream(config, stream, Believer).await.expect("it speaks SSH");
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
    let said = link.authenticate_publickey(&session.user, key).await.expect("an answer");
    assert!(said.success());
    let mut channel = None;
    if let Some(command) = command {
        let mut opened = link.channel_open_session().await.expect("a channel");
        opened.exec(true, command).await.expect("it runs");
        opened.data(&b"once"[..]).await.expect("it listens");
        while !matches!(opened.wait().await.expect("an answer"), russh::ChannelMsg::Data { .. }) {}
        channel = Some(opened);
    }
    Box::new((session, link, channel))
}

/// Trusts every host: the tunnel has shown who it is.
struct Believer;

impl russh::client::Handler for Believer {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        _key: &russh::keys::PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

pub(crate) fn targets(cluster: &Cluster, sshd: &Sshd, origin: &DemoApi) -> String {
    format!(
        r#"
[[target]]
name = "db"
protocol = "postgres"
host = "127.0.0.1"
port = {}
database = "postgres"
tls = "verify-full"
root_certificates = "{}"
record = "full"
[target.issuer]
kind = "postgres-role"
admin = "postgres"
admin_password = {{ file = "admin-password" }}

[[target]]
name = "bastion"
protocol = "ssh"
host = "127.0.0.1"
port = {}
login = "{}"
host_keys = ["{}"]
record = "full"
[target.issuer]
kind = "ssh-certificate"

[[target]]
name = "traces-api"
protocol = "http"
base = "http://127.0.0.1:{}/v1"
record = "full"
[target.issuer]
kind = "bearer"
secret = {{ file = "api-key" }}
[[target.mask]]
name = "keys"
path = "$..api_key"
mask = "full"
"#,
        cluster.port,
        cluster.root_certificate.display(),
        sshd.port,
        sshd.login,
        sshd.host_key,
        origin.port
    )
}

pub(crate) fn say(line: &str) {
    std::io::stdout().write_all(format!("{line}\n").as_bytes()).expect("written");
}
