//! Bad input and missing parts: each gives a clear error with the right exit code.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use hoopctl::broker::embedded::{DemoUser, EmbeddedProvider};
use hoopctl::cli::failure::Failure;
use hoopctl::gateway::clock::Clock;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::interruptions::listening;
use crate::support::broker::memory_of;
use crate::support::client;
use crate::support::env::{Env, program};
use crate::support::gateway::{Gateway, Setup};
use crate::support::postgres::{Cluster, free_port, majors};
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
    let refused = refused.expect("in time").expect_err("beyond the limit");
    let refused = refused.as_db_error().expect("an ErrorResponse");
    assert_eq!(refused.code().code(), "08P01", "{refused}");
    assert_eq!(refused.message(), format!("a message of type `Q` has {} bytes; {LIMIT}", huge.len() + 5));
    gateway.connect().await.query_one("SELECT 1", &[]).await.expect("another connection goes on");
}

const LIMIT: &str = "the limit here is 67108864";

/// The client has sent far more than anybody has read when it is refused, and hears why all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_beyond_the_limit_is_named_to_psql_through_the_tunnel() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    for (name, mebibytes) in [("large", 65), ("larger", 200)] {
        let huge = format!("SELECT length('{}');\n", "z".repeat(mebibytes << 20));
        std::fs::write(alice.home().join(name), &huge).expect("written");
        let began = Instant::now();
        let script = format!(
            "psql -X -v VERBOSITY=verbose -Atf {name}; echo \"ended with $?\"; psql -XAtc 'select 42'"
        );
        let ran = alice.run(&["exec", "db", "--", "sh", "-c", &script]).await.ends(0);
        assert_eq!(ran.stdout, "ended with 2\n42\n", "{}", ran.stderr);
        // with its own length and a zero at its end, and without the end of the line
        let length = huge.len() - 1 + 5;
        let ran = ran.tells(&format!(
            "psql:{name}:1: FATAL:  08P01: a message of type `Q` has {length} bytes; {LIMIT}"
        ));
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}: {}", began.elapsed(), ran.stderr);
    }
    assert!(!world.broker.log().contains("panicked"), "{}", world.broker.log());
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
    last_words(child, Duration::from_secs(5)).await.closed("policy no longer allows it");
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
    last_words(child, Duration::from_secs(5)).await.closed("the device was revoked");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
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
        let ran =
            alice.run_other("faketime", &["-f", &format!("{off:+}s"), program(), "whoami"]).await.ends(79);
        let told = "error: the proof is too old or from the future; check the clock of this machine\n\
                    hint: `hoopctl doctor` says how far the clock is off\n";
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", told));
    }
    alice.run(&["whoami"]).await.ends(0);
}

/// What people, scanners and broken programs send to the wrong port.
fn junk() -> Vec<Vec<u8>> {
    let mut random = vec![0; 64 << 10];
    rand::fill(&mut random[..]);
    let mut half_right = b"\0\0\0\x08\x04\xd2\x16\x2f".to_vec();
    half_right.extend_from_slice(&random[..500]);
    vec![
        Vec::new(),
        random,
        vec![0xff; 4096],
        vec![0; 4096],
        b"GET /v1/info HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\n".to_vec(),
        [b"GET /".as_slice(), &vec![b'a'; 1 << 20]].concat(),
        // a TLS hello that is cut off, and one that says it is 16 KiB long
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec(),
        b"\x16\x03\x01\x40\0".to_vec(),
        // PostgreSQL: 2 GiB of start-up, none of it, version 9.9, TLS asked for and not spoken, a cancel of nothing
        b"\x7f\xff\xff\xff\0\x03\0\0".to_vec(),
        b"\0\0\0\0\0\x03\0\0".to_vec(),
        b"\0\0\0\x08\0\x09\0\x09".to_vec(),
        half_right,
        b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x01".to_vec(),
        b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
    ]
}

/// Says it, and waits until the other side has ended the connection.
async fn shouted(port: u16, words: Vec<u8>) -> std::io::Result<u64> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    // a peer that hangs up early has heard enough
    let _sent = stream.write_all(&words).await;
    let _half = stream.shutdown().await;
    let mut sink = tokio::io::sink();
    let answer = tokio::io::copy(&mut stream, &mut sink);
    let answer = tokio::time::timeout(Duration::from_secs(30), answer).await;
    answer.unwrap_or_else(|_| panic!("port {port} never ended {:?}", &words[..words.len().min(16)]))
}

/// The broker's port, the one for metrics, a session's `--listen` and the embedded provider.
#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_every_port_ends_there_and_costs_nothing() {
    let metrics = free_port();
    let lines = format!("metrics_listen = \"127.0.0.1:{metrics}\"");
    let world = World::start(Twist { broker: &lines, ..Twist::default() }).await;
    let alice = world.login("alice").await;
    let (child, url) = listening(&alice, free_port()).await;
    let listen = url::Url::parse(&url).expect("a URL").port().expect("a port");
    let provider = EmbeddedProvider::start(([127, 0, 0, 1], 0).into(), DemoUser::cast()).await;
    let provider = provider.expect("a provider");
    let embedded = provider.issuer.port().expect("a port");
    let (client, connection) =
        tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("it connects");
    tokio::spawn(connection);
    client.batch_execute("BEGIN; UPDATE plain SET b = 'kept' WHERE a = 1").await.expect("allowed");
    let its_memory = || memory_of(child.id().expect("it runs"));
    let before = (world.broker.memory(), its_memory());

    // some say half of something and wait
    let mut slow = Vec::new();
    for port in [world.broker.port, metrics, listen, embedded] {
        for words in [b"\x16\x03\x01\x02\0".as_slice(), b"GET /metrics HTT", b"\0\0\0\x50\0\x03\0\0user"] {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
            stream.write_all(words).await.expect("sent");
            slow.push(stream);
        }
    }
    for port in [world.broker.port, metrics, listen, embedded] {
        let rounds = (0..4).flat_map(|_| junk()).map(|words| shouted(port, words));
        let answers: Vec<_> = futures_util::stream::iter(rounds).buffer_unordered(6).collect().await;
        let longest = answers.into_iter().map(|answer| answer.unwrap_or_default()).max();
        assert!(longest < Some(64 << 10), "port {port} says {longest:?} bytes to garbage");
        // others are served
        client.query_one("SELECT 1", &[]).await.unwrap_or_else(|error| panic!("after port {port}: {error}"));
        alice.run(&["list"]).await.ends(0);
    }
    let after = (world.broker.memory(), its_memory());
    for (before, after) in [(before.0, after.0), (before.1, after.1)] {
        assert!(after < before + (48 << 20), "{} MiB more", (after - before) >> 20);
    }
    client.batch_execute("COMMIT").await.expect("it is the same connection");
    assert_eq!(psql(&alice, "SELECT b FROM plain WHERE a = 1").await.ends(0).stdout, "kept\n");
    let page = async |port: u16, path: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("an answer");
        text
    };
    let counted = page(metrics, "/metrics").await;
    assert!(counted.contains("hoopctl_sessions"), "{counted}");
    assert!(
        page(embedded, "/.well-known/openid-configuration").await.contains("device_authorization_endpoint")
    );
    let log = world.broker.log();
    assert!(!log.contains("panicked"), "{log}");
    // no session came of it, and none is left
    let list = alice.run(&["--output", "json", "session", "list"]).await.ends(0);
    assert_eq!(list.stdout.lines().filter(|line| line.contains("\"active\"")).count(), 1, "{}", list.stdout);
    // those who wait have not been waited for; in the end they are cut off, but by the demo's provider, whose callers are programs of
    // one machine while somebody looks
    for (number, mut stream) in slow.into_iter().take(9).enumerate() {
        let mut sink = tokio::io::sink();
        let ended = tokio::io::copy(&mut stream, &mut sink);
        let ended = tokio::time::timeout(Duration::from_secs(30), ended).await;
        assert!(ended.is_ok(), "the one who waits {number} is not cut off");
    }
}
