#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::IntoResponse as _;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::caller::{Peer, address};
use super::fault::Fault;
use crate::broker::testing::{Bench, PERMIT_ALL, User, config};
use crate::domain::event::What;
use crate::domain::session::CloseReason;
use crate::wire::control::{
    BrokerInfo, EntryProof, LedgerHead, Listing, ProblemCode, RecordingIndex, TargetSummary,
};

/// What is to happen happens within this.
const LIMIT: Duration = Duration::from_secs(20);

fn bare(method: &str, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

/// A plain port with the API behind it.
async fn port(bench: &Bench) -> (SocketAddr, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let core = Arc::clone(&bench.core);
    tokio::spawn(super::serve(listener, None, bench.router.clone(), core, stopped));
    (address, stop)
}

/// Asks for a tunnel over a real connection; returns the answer.
async fn knock(at: SocketAddr, request: Request<Body>) -> hyper::Response<hyper::body::Incoming> {
    let socket = TcpStream::connect(at).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection.with_upgrades());
    let (parts, _) = request.into_parts();
    sender.send_request(Request::from_parts(parts, Empty::<Bytes>::new())).await.unwrap()
}

fn tunnel(user: &User<'_>, session: &impl std::fmt::Display) -> Request<Body> {
    let mut request = user.request("GET", &format!("/v1/sessions/{session}/tunnel"), None);
    let headers = request.headers_mut();
    headers.insert("host", "broker.example".parse().unwrap());
    headers.insert("connection", "Upgrade".parse().unwrap());
    headers.insert("upgrade", "hoopctl-tunnel/1".parse().unwrap());
    headers.insert("hoopctl-inner", "none".parse().unwrap());
    request
}

#[tokio::test]
async fn an_unknown_target_and_one_that_is_not_theirs_read_the_same() {
    let bench = Bench::new("");
    let alice = bench.login("alice", 1).await;
    for path in ["/v1/targets/", "open"] {
        let ask = async |target: &str| match path {
            "open" => alice.call("POST", "/v1/sessions", Some(json!({"target": target, "host": "h"}))).await,
            _ => alice.call("GET", &format!("{path}{target}"), None).await,
        };
        let (denied, unknown, absurd) = (ask("db").await, ask("nodb").await, ask("No.Such").await);
        assert_eq!(denied.problem().code, ProblemCode::Unknown);
        assert_eq!(
            (denied.status, &denied.kind, &denied.body),
            (unknown.status, &unknown.kind, &unknown.body)
        );
        assert_eq!(denied.body, absurd.body);
    }
    let refused = bench.journal.whats().into_iter().filter(|what| matches!(what, What::Refused { .. }));
    assert_eq!(refused.count(), 3);
    let listed: Listing<TargetSummary> = alice.call("GET", "/v1/targets", None).await.json();
    assert!(listed.items.is_empty());
}

#[tokio::test]
async fn every_error_is_a_problem() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    let large = json!({"target": "x".repeat(70_000), "host": "h"});
    let cases = [
        (bench.send(bare("GET", "/nowhere")).await, 404),
        (bench.send(bare("DELETE", "/v1/info")).await, 405),
        (bench.send(bare("GET", "/v1/whoami")).await, 401),
        (bench.send(bare("POST", "/v1/token")).await, 400),
        (alice.call("POST", "/v1/sessions", Some(large)).await, 413),
        (alice.call("POST", "/v1/sessions", Some(json!({"target": 1}))).await, 400),
        (alice.call("GET", "/v1/sessions/ses_x", None).await, 404),
        (alice.call("GET", "/v1/targets/%FF", None).await, 404),
    ];
    for (answer, status) in cases {
        let problem = answer.problem();
        assert_eq!((answer.status.as_u16(), problem.status), (status, status), "{problem:?}");
    }
}

#[tokio::test]
async fn info_says_what_a_client_must_pin() {
    let bench = Bench::new(PERMIT_ALL);
    let info: BrokerInfo = bench.send(bare("GET", "/v1/info")).await.json();
    assert_eq!(info.gateway_key, bench.core.identity.gateway_key);
    assert_eq!(info.providers.len(), 1);
}

#[tokio::test]
async fn an_upgrade_without_token_or_proof_is_refused() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    let id = alice.open().await;
    let (at, _stop) = port(&bench).await;
    for missing in ["authorization", "dpop"] {
        let mut request = tunnel(&alice, &id);
        request.headers_mut().remove(missing);
        assert_eq!(knock(at, request).await.status(), StatusCode::UNAUTHORIZED, "{missing}");
    }
    let mut plain = tunnel(&alice, &id);
    plain.headers_mut().remove("upgrade");
    assert_eq!(knock(at, plain).await.status(), StatusCode::BAD_REQUEST);
    let mallory = bench.login("mallory", 2).await;
    assert_eq!(knock(at, tunnel(&mallory, &id)).await.status(), StatusCode::NOT_FOUND);
    bench.core.sessions.close(&id, CloseReason::Killed);
    assert_eq!(knock(at, tunnel(&alice, &id)).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_upgrade_hands_the_bytes_to_the_gateway() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    let id = alice.open().await;
    let (at, stop) = port(&bench).await;
    let mut answer = knock(at, tunnel(&alice, &id)).await;
    assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
    let mut io = TokioIo::new(hyper::upgrade::on(&mut answer).await.unwrap());
    // draining the port does not cut tunnels
    stop.send(true).unwrap();
    io.write_all(b"ping").await.unwrap();
    let mut echo = [0; 4];
    io.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"ping");
}

#[tokio::test]
async fn the_ledger_and_recordings_are_for_owners_and_auditors() {
    let bench = Bench::new("@id(\"c\") permit(principal, action == Hoop::Action::\"connect\", resource);");
    let (alice, mallory) = (bench.login("alice", 1).await, bench.login("mallory", 2).await);
    let id = alice.open().await;
    let recording = format!("/v1/sessions/{id}/recording");
    let index: RecordingIndex = alice.call("GET", &recording, None).await.json();
    assert_eq!(index.connections.len(), 1);
    assert_eq!(alice.call("GET", &format!("{recording}/1/0"), None).await.body, b"chunk");
    assert_eq!(alice.call("GET", &format!("{recording}/1/1"), None).await.status, StatusCode::NOT_FOUND);
    let proof: EntryProof = alice.call("GET", &format!("{recording}/1/0/proof"), None).await.json();
    assert_eq!(proof.index, 3);
    let (ends, none) =
        ([format!("{recording}/end"), format!("{recording}/1/end")], format!("{recording}/2/end"));
    for path in [&ends[0], &ends[1], &format!("{recording}/1/0/proof")] {
        let proof: EntryProof = alice.call("GET", &format!("{path}?size=70"), None).await.json();
        assert_eq!(proof.index, 70, "{path}");
        for query in ["?size=x", "?size=-1", "?size=1&size=2", "?other=1"] {
            let refused = alice.call("GET", &format!("{path}{query}"), None).await;
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{path}{query}");
        }
    }
    assert_eq!(alice.call("GET", &ends[0], None).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(alice.call("GET", &format!("{none}?size=1"), None).await.status, StatusCode::NOT_FOUND);
    let theirs = [recording.clone(), format!("{recording}/1/0"), format!("{recording}/1/0/proof")];
    for path in theirs.into_iter().chain(ends) {
        assert_eq!(mallory.call("GET", &path, None).await.problem().code, ProblemCode::Unknown, "{path}");
    }
    assert_eq!(alice.call("GET", "/v1/ledger/checkpoint", None).await.status, StatusCode::OK);
    for (query, from) in
        [("", "0"), ("?from=700", "700"), ("?from=18446744073709551615", "18446744073709551615")]
    {
        let head: LedgerHead = mallory.call("GET", &format!("/v1/ledger/head{query}"), None).await.json();
        assert_eq!((head.checkpoint.as_str(), head.proof), ("checkpoint", vec![from.to_owned()]), "{query}");
    }
    let head: LedgerHead = mallory.call("GET", "/v1/ledger/head?from=7&since=0a1b2c3d", None).await.json();
    assert_eq!((head.key.as_str(), head.proof), ("0a1b2c3d", vec!["7".to_owned()]));
    for wrong in [
        "from=18446744073709551616",
        "from=7&since=",
        "from=7&since=0a1b2c3",
        "from=7&since=../../..",
        "from=7&other=0a1b2c3d",
        "from=7&since=0a1b2c3d&since=0a1b2c3d",
    ] {
        let refused = mallory.call("GET", &format!("/v1/ledger/head?{wrong}"), None).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    assert_eq!(bench.send(bare("GET", "/v1/ledger/head")).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(alice.call("GET", "/v1/ledger/tile/0/000", None).await.status, StatusCode::NOT_FOUND);

    let bench = Bench::new(PERMIT_ALL);
    let auditor = bench.login("auditor", 1).await;
    assert_eq!(auditor.call("GET", "/v1/ledger/tile/0/000", None).await.status, StatusCode::OK);
    assert_eq!(auditor.call("GET", "/v1/ledger/tile/../key", None).await.status, StatusCode::NOT_FOUND);
}

/// Somebody else's recording is no fault of the broker's.
#[test]
fn a_busy_ledger_is_asked_again() {
    let answer = |kind: std::io::ErrorKind| Fault::unread(&kind.into()).into_response();
    let busy = answer(std::io::ErrorKind::ResourceBusy);
    assert_eq!(busy.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(busy.headers()["retry-after"], "1");
    assert_eq!(answer(std::io::ErrorKind::Other).status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn readiness_follows_the_ledger() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    assert_eq!(bench.send(bare("GET", "/readyz")).await.status, StatusCode::OK);
    bench.journal.broken.store(true, Ordering::SeqCst);
    alice.call("POST", "/v1/sessions", Some(json!({"target": "db", "host": "h"}))).await;
    assert_eq!(bench.send(bare("GET", "/readyz")).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(bench.send(bare("GET", "/healthz")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_peer_that_sends_rubbish_or_nothing_holds_nobody_up() {
    let bench = Bench::new(PERMIT_ALL);
    let (at, _stop) = port(&bench).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(at).await.unwrap());
    }
    let mut rubbish = TcpStream::connect(at).await.unwrap();
    rubbish.write_all(b"\x16\x03\x01\xff\xff rubbish\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // whatever comes, the connection ends
    drop(rubbish.read_to_end(&mut answer).await);
    let mut polite = TcpStream::connect(at).await.unwrap();
    polite.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    polite.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Whether a connection is served: one that is turned away is closed without a word.
async fn is_served(socket: &mut TcpStream) -> bool {
    let sent = socket.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut head = [0; 12];
    sent.is_ok() && socket.read_exact(&mut head).await.is_ok() && &head == b"HTTP/1.1 200"
}

#[tokio::test]
async fn strangers_of_one_address_are_turned_away_beyond_their_limit() {
    let bench = Bench::with(PERMIT_ALL, |config| config.strangers_per_address = 3);
    let alice = bench.login("alice", 1).await;
    let (at, _stop) = port(&bench).await;
    let enter = async || TcpStream::connect(at).await.unwrap();
    let mut inside = [enter().await, enter().await, enter().await];
    assert!(!is_served(&mut enter().await).await);
    assert!(is_served(inside.last_mut().unwrap()).await);
    assert_eq!(bench.core.metrics.turned_away.get(), 1);
    // somebody who is logged in does not count
    let [first, ..] = &mut inside;
    let known = alice.request("GET", "/v1/whoami", None);
    let header = |name: &str| known.headers().get(name).unwrap().to_str().unwrap();
    let (token, proof) = (header("authorization"), header("dpop"));
    let call =
        format!("GET /v1/whoami HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\ndpop: {proof}\r\n\r\n");
    first.write_all(call.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    first.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    let mut fourth = enter().await;
    assert!(is_served(&mut fourth).await);
    assert!(!is_served(&mut enter().await).await);
    drop(fourth);
    let until_it_is_gone = async {
        while !is_served(&mut enter().await).await {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, until_it_is_gone).await.unwrap();
}

#[tokio::test]
async fn behind_a_proxy_those_count_for_whom_it_calls() {
    let bench = Bench::with(PERMIT_ALL, |config| {
        config.strangers_per_address = 2;
        config.trusted_proxies = vec![("127.0.0.1".parse().unwrap(), 32)];
    });
    let (at, _stop) = port(&bench).await;
    let ask = async |whom: &str| {
        let mut socket = TcpStream::connect(at).await.unwrap();
        let head = format!(
            "POST /v1/token HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {whom}\r\ndpop: x\r\ncontent-length: 5\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        socket
    };
    let status = async |mut socket: TcpStream| {
        socket.write_all(b"a=b&c").await.unwrap();
        let mut head = [0; 12];
        socket.read_exact(&mut head).await.unwrap();
        String::from_utf8_lossy(&head).into_owned()
    };
    // bodies that do not come keep their calls waiting
    let waiting = [ask("203.0.113.9").await, ask("203.0.113.9").await];
    let until_both_wait = async {
        while bench.core.metrics.turned_away.get() == 0 {
            drop(status(ask("203.0.113.9").await).await);
        }
    };
    timeout(LIMIT, until_both_wait).await.unwrap();
    assert_eq!(status(ask("203.0.113.9").await).await, "HTTP/1.1 429");
    assert_eq!(status(ask("203.0.113.10").await).await, "HTTP/1.1 400");
    for socket in waiting {
        assert_eq!(status(socket).await, "HTTP/1.1 400");
    }
    assert_eq!(status(ask("203.0.113.9").await).await, "HTTP/1.1 400");
}

#[test]
fn forwarded_addresses_are_believed_from_trusted_proxies_only() {
    let home = tempfile::tempdir().unwrap();
    let mut config = config(home.path(), PERMIT_ALL);
    config.trusted_proxies = vec![("10.0.0.0".parse().unwrap(), 8)];
    let bytes = |peer: &str, forwarded: &[&[u8]]| {
        let mut request = Request::builder().uri("/");
        for value in forwarded {
            request = request.header("x-forwarded-for", *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(Peer(SocketAddr::new(peer.parse().unwrap(), 1)));
        address(&parts, &config).to_string()
    };
    let seen = |peer: &str, forwarded: &[&str]| {
        bytes(peer, &forwarded.iter().map(|value| value.as_bytes()).collect::<Vec<_>>())
    };
    assert_eq!(seen("192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
    assert_eq!(seen("10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
    assert_eq!(seen("10.0.0.1", &["6.6.6.6, 203.0.113.9, 10.0.0.2"]), "203.0.113.9");
    assert_eq!(seen("10.0.0.1", &["6.6.6.6", "203.0.113.9"]), "203.0.113.9");
    assert_eq!(seen("10.0.0.1", &["6.6.6.6, rubbish"]), "10.0.0.1");
    assert_eq!(seen("::ffff:10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
    assert_eq!(bytes("10.0.0.1", &[b"\xff, 203.0.113.9"]), "203.0.113.9");
    assert_eq!(bytes("10.0.0.1", &[b"6.6.6.6", b"\xff", b"203.0.113.9"]), "203.0.113.9");
    assert_eq!(bytes("10.0.0.1", &[b"6.6.6.6, \xff"]), "10.0.0.1");
}

#[tokio::test]
async fn metrics_count_answers() {
    let bench = Bench::new(PERMIT_ALL);
    bench.login("alice", 1).await;
    let text = String::from_utf8(bench.core.metrics.text().unwrap()).unwrap();
    assert!(text.contains("hoopctl_logins_total{outcome=\"login\"} 1"), "{text}");
}

#[tokio::test]
async fn metrics_count_the_leases_that_resist() {
    let bench = Bench::new(PERMIT_ALL);
    bench.core.reap().await;
    let text = String::from_utf8(bench.core.metrics.text().unwrap()).unwrap();
    assert!(text.contains("\nhoopctl_leases_stuck 2\n"), "{text}");
}

#[tokio::test]
async fn a_whole_listing_is_json_with_room_for_more() {
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    let listed: Value = alice.call("GET", "/v1/targets", None).await.json();
    let expected = json!({"items": [{
        "name": "db", "protocol": "postgres", "description": "a database", "masked": false, "record": "full",
    }]});
    assert_eq!(listed, expected);
}
