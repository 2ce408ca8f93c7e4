//! Bad input and missing parts: each gives a clear error with the right exit code.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hoopctl::cli::failure::Failure;
use hoopctl::gateway::clock::Clock;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::client;
use crate::support::env::Env;
use crate::support::gateway::{Gateway, Setup};
use crate::support::postgres::{Cluster, majors};
use crate::support::world::{Twist, World, last_words, psql};

/// TLS to the broker's port.
async fn port(world: &World) -> TlsStream<TcpStream> {
    let ca = CertificateDer::from_pem_file(world.broker.data().join("pki/ca.pem")).expect("the broker's CA");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca).expect("a usable root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(("127.0.0.1", world.broker.port)).await.expect("it listens");
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, socket).await.expect("a handshake")
}

async fn answer(mut stream: TlsStream<TcpStream>, request: &[u8]) -> String {
    // a peer that hangs up early has answered by then
    let _sent = stream.write_all(request).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    let _closed = read.expect("an answer in time");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_or_body_that_dribbles_is_cut_off_and_holds_up_nobody() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let heads = [
        "GET /v1/info HTTP/1.1\r\nhost: x\r\nx-slow: ",
        "POST /v1/token HTTP/1.1\r\nhost: x\r\ndpop: x\r\ncontent-length: 5000\r\n\r\n",
    ];
    let mut slow = tokio::task::JoinSet::new();
    for number in 0..60 {
        let mut stream = port(&world).await;
        slow.spawn(async move {
            let began = Instant::now();
            stream.write_all(heads[number % 2].as_bytes()).await.expect("sent");
            let (mut reader, mut writer) = tokio::io::split(stream);
            let dribble = async {
                while writer.write_all(b"x").await.is_ok() && writer.flush().await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            };
            let mut nothing = Vec::new();
            tokio::select! {
                () = dribble => {}
                _ = reader.read_to_end(&mut nothing) => {}
            }
            began.elapsed()
        });
    }
    let began = Instant::now();
    psql(&alice, "SELECT 1").await.ends(0);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let all = tokio::time::timeout(Duration::from_secs(30), slow.join_all()).await.expect("all are cut off");
    assert!(all.iter().all(|took| *took < Duration::from_secs(25)), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_by_its_status() {
    let world = World::start(Twist::default()).await;
    let large = "y".repeat(70_000);
    let head = format!("GET /v1/info HTTP/1.1\r\nhost: x\r\nx-large: {large}\r\n\r\n");
    let refused = answer(port(&world).await, head.as_bytes()).await;
    assert!(refused.starts_with("HTTP/1.1 431 "), "{refused}");
    let body = format!(
        "POST /v1/token HTTP/1.1\r\nhost: x\r\ndpop: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{large}",
        large.len()
    );
    let refused = answer(port(&world).await, body.as_bytes()).await;
    assert!(
        refused.starts_with("HTTP/1.1 413 ") && refused.contains("application/problem+json"),
        "{refused}"
    );
    let garbage = answer(port(&world).await, b"\x00\xff\x00 garbage\r\n\r\n").await;
    assert!(garbage.starts_with("HTTP/1.1 400 "), "{garbage}");
}

/// The loopback passes on what it gets; the gateway judges it.
#[tokio::test(flavor = "multi_thread")]
async fn garbage_inside_a_tunnel_ends_that_connection_only() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let throw = r#"use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Peer => "$ENV{PGHOST}/.s.PGSQL.5432") or die;
        syswrite $s, pack("H*", shift); local $/; my $a = <$s>; print unpack("H*", $a // ""), "\n";"#;
    let junk = [
        // TLS where there is none, HTTP, a start-up packet of 2 GiB, of 0 bytes, of version 9.9
        "16030100ff",
        "474554202f20485454502f312e310d0a0d0a",
        "7fffffff00030000",
        "0000000000030000",
        "000000080009000900",
    ];
    for bytes in junk {
        let script = format!("perl -e '{throw}' {bytes}; psql -XAtc 'select 42'");
        let began = Instant::now();
        let ran = alice.run(&["exec", "db", "--", "sh", "-c", &script]).await.ends(0);
        assert!(ran.stdout.ends_with("42\n"), "{bytes}: {}", ran.text());
        assert!(began.elapsed() < Duration::from_secs(15), "{bytes}: {:?}", began.elapsed());
    }
    assert!(!world.broker.log().contains("panicked"), "{}", world.broker.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_beyond_the_limit_ends_that_connection_only() {
    let cluster = Cluster::start(*majors().last().expect("a major"));
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let client = gateway.connect().await;
    let huge = format!("SELECT '{}'", "z".repeat(65 << 20));
    let refused = tokio::time::timeout(Duration::from_secs(30), client.batch_execute(&huge)).await;
    assert!(refused.expect("in time").is_err());
    gateway.connect().await.query_one("SELECT 1", &[]).await.expect("another connection goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_down_is_08001() {
    let mut world = World::start(Twist::default()).await;
    let mut cluster = Cluster::start(*majors().last().expect("a major"));
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    cluster.crash();
    let error = gateway.try_connect().await.expect_err("no database");
    let error = error.as_db_error().expect("an ErrorResponse");
    assert_eq!(error.code().code(), "08001", "{error}");
    assert!(error.message().starts_with("target db: the database cannot be reached"), "{error}");

    let alice = world.login("alice").await;
    world.cluster.crash();
    let ran = psql(&alice, "SELECT 1").await.ends(2);
    assert!(ran.stderr.contains("target db: the database could not be prepared"), "{}", ran.stderr);
    assert!(!ran.stderr.contains(&world.cluster.password), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_is_69_once_it_is_needed() {
    let mut world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    world.provider.stop();
    // the login of the last minutes is still good
    alice.run(&["list"]).await.ends(0);
    alice.forget_access();
    let ran = alice.run(&["list"]).await.ends(69);
    assert!(ran.stderr.contains("cannot reach the identity provider at"), "{}", ran.stderr);
    let nobody = Env::new(&world.broker.url);
    let ran = nobody.run(&["login", "--broker-pin", &world.pin()]).await.ends(69);
    assert!(ran.stderr.contains("cannot reach the identity provider at"), "{}", ran.stderr);
}

/// Whoever loses a group at the provider loses at the next refresh what the group was for.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_taken_away_ends_access_at_the_refresh() {
    let mut world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let child = world.sleeping(&alice).await;
    world.provider.set_groups("alice", &["dev"]);
    alice.forget_access();
    let list = alice.run(&["list"]).await.ends(0);
    assert!(!list.stdout.contains("db"), "{}", list.stdout);
    let error = last_words(child, Duration::from_secs(5)).await;
    assert!(error.contains("policy no longer allows it"), "{error}");
    alice.run(&["connect", "db"]).await.ends(77);
    world.until_no_roles().await;

    world.provider.remove("alice");
    alice.forget_access();
    alice.run(&["list"]).await.ends(79);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_device_loses_its_sessions_at_once() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let child = world.sleeping(&alice).await;
    let list = alice.run(&["--output", "json", "device", "list"]).await.ends(0);
    let device: serde_json::Value =
        serde_json::from_str(list.stdout.lines().next().expect("one")).expect("JSON");
    let began = Instant::now();
    alice.run(&["device", "revoke", device["id"].as_str().expect("an id")]).await.ends(0);
    let error = last_words(child, Duration::from_secs(5)).await;
    assert!(error.contains("the device was revoked"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    alice.run(&["list"]).await.ends(80);
    world.until_no_roles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_brokers_side_by_side_keep_apart() {
    let (one, two) = tokio::join!(World::start(Twist::default()), World::start(Twist::default()));
    let alice = one.login("alice").await;
    let arguments = ["--broker", two.broker.url.as_str(), "--broker-pin", &two.pin()];
    let approve = async |page: String| crate::support::provider::approve(&page, "bob").await;
    alice.login(&arguments, approve).await.ends(0);
    let first = alice.run(&["--broker", &one.broker.url, "list"]).await.ends(0);
    assert!(first.stdout.contains("db"), "{}", first.stdout);
    let second = alice.run(&["--broker", &two.broker.url, "whoami"]).await.ends(0);
    assert!(second.stdout.contains("bob"), "{}", second.stdout);
    alice.run(&["--broker", &two.broker.url, "logout"]).await.ends(0);
    alice.run(&["--broker", &two.broker.url, "list"]).await.ends(79);
    alice.run(&["--broker", &one.broker.url, "list"]).await.ends(0);
}

/// A clock that is off is named as such, whichever way it is off.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_named() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    for off in [-90_i64, 30] {
        let system = Clock::system();
        let clock = Clock::from_fn(move || system.now() + jiff::SignedDuration::from_secs(off));
        let api = client::api(&alice, &world.broker.url, clock);
        let failure = Failure::from(api.whoami().await.expect_err("the proof is stale"));
        assert!(failure.message().contains("check the clock of this machine"), "{failure:?}");
    }
    alice.run(&["whoami"]).await.ends(0);
}
