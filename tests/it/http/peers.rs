//! Other people's servers and clients, one on each side of the gateway: gRPC's C core, WebSockets of Python and Node,
//! curl; each script in `peers/` does what programs do.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use hoopctl::gateway::journal::ItemKind;
use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use super::until;
use crate::support::api::{Api, Front, INJECTED, PROTECTED, Setup};
use crate::support::gateway::SECRET;

/// Where `tests/setup/http.sh` put them.
pub(crate) fn place() -> PathBuf {
    let caches = [
        std::env::var_os("HOOPCTL_TEST_CACHE").map(PathBuf::from),
        Some(PathBuf::from("/var/cache/hoopctl-tests")),
        std::env::var_os("XDG_CACHE_HOME").map(|cache| Path::new(&cache).join("hoopctl-tests")),
        std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/hoopctl-tests")),
    ];
    let found = caches.into_iter().flatten().map(|cache| cache.join("http")).find(|at| at.exists());
    found.expect("no HTTP clients here; run: tests/setup/http.sh")
}

/// The path of a script.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/http/peers").join(name)
}

/// A server of these scripts; it ends with this.
pub(crate) struct Server {
    pub(crate) port: u16,
    _child: Child,
}

impl Server {
    pub(crate) async fn start(name: &str, arguments: &[&Path]) -> Self {
        let mut command = Command::new(place().join("python/bin/python"));
        command.arg(script(name)).args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn();
        let mut child = child.expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let port = lines.next_line().await.expect("a line").expect("a line").parse().expect("a port");
        Self { port, _child: child }
    }
}

/// What a client of these scripts says; the session's secret is in its environment.
async fn client(name: &str, arguments: &[&str]) -> String {
    let program = match name.ends_with(".py") {
        true => place().join("python/bin/python"),
        false => PathBuf::from("node"),
    };
    let mut command = Command::new(program);
    command.arg(script(name)).args(arguments);
    command.env("HOOP_SECRET", SECRET).env("NODE_FOLDER", place()).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.kill_on_drop(true).output();
    let output =
        tokio::time::timeout(Duration::from_secs(120), output).await.expect("in time").expect("it runs");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

const RULES: &str = r#"
@id("calls") permit(principal, action == Hoop::Action::"call", resource);
@id("no-admin") @reason("not for you: 100 %") @hint("ask the owner")
forbid (principal, action == Hoop::Action::"call", resource)
when { context has operation && context.operation like "demo.Admin/*" };
"#;

/// Without TLS on both sides: the target says that the API speaks HTTP/2.
#[tokio::test(flavor = "multi_thread")]
async fn grpc_works_in_all_its_ways() {
    let server = Server::start("grpc_server.py", &[]).await;
    let base = format!("http://127.0.0.1:{}", server.port);
    let api = Api::start().await;
    let front = Front::start(Setup { base, policy: RULES, only_http2: true, ..Setup::open(&api) }).await;
    let told = client("grpc_client.py", &[&front.address.to_string(), "plain", "all"]).await;
    assert!(told.ends_with("done\n") && told.contains("unary Bearer [redacted]"), "{told}");
    let deeds = front.book.deeds();
    for deed in [
        "Allow POST /demo.Echo/Chat",
        "Allow POST /grpc.health.v1.Health/Check",
        "Deny POST /demo.Admin/Wipe",
    ] {
        assert!(deeds.iter().any(|other| other == deed), "{deed}: {deeds:?}");
    }
    let heads = String::from_utf8(front.book.recorded(ItemKind::Head)).unwrap();
    assert!(heads.contains("\"trailers\"") && heads.contains("no such tr%C3%A4ce"), "{heads}");
    assert!(!heads.contains(INJECTED) && !heads.contains(SECRET), "{heads}");
}

/// What could not be masked is not asked for.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_grpc_reaches_an_api_whose_answers_are_masked() {
    let api = Api::start().await;
    let masked = Front::start(Setup { policy: RULES, ..Setup::masked(&api) }).await;
    let told = client("grpc_client.py", &[&masked.address.to_string(), "plain", "masked"]).await;
    assert_eq!(told, "all refused\n");
    assert!(api.lines().is_empty(), "{:?}", api.lines());
    let deeds = masked.book.deeds();
    assert!(deeds.iter().all(|deed| deed.starts_with("Allow POST /demo.Echo/")), "{deeds:?}");
}

/// With TLS to the API, where the two agree on HTTP/2 by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn grpc_works_where_tls_agrees_on_it() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap().self_signed(&key).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (key_file, certificate_file) = (folder.path().join("key"), folder.path().join("certificate"));
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    std::fs::write(&certificate_file, certificate.pem()).unwrap();
    let server = Server::start("grpc_server.py", &[&key_file, &certificate_file]).await;
    let (base, roots) = (format!("https://127.0.0.1:{}", server.port), Some(certificate_file));
    let api = Api::start().await;
    let front = Front::start(Setup { base, roots, policy: RULES, ..Setup::open(&api) }).await;
    let told = client("grpc_client.py", &[&front.address.to_string(), "plain", "all"]).await;
    assert!(told.ends_with("done\n"), "{told}");
}

/// What comes over HTTP/1.1 goes on over HTTP/2 where the target says so; an API that does not speak it is not guessed
/// at.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_says_what_its_api_speaks() {
    let api = Api::start().await;
    let front = Front::start(Setup { only_http2: true, ..Setup::masked(&api) }).await;
    let answer = front.curl(&["-i", "-d", "a=b"], "/traces/7?x=1").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("[masked]"), "{answer}");
    let line = format!("POST http://127.0.0.1:{}/traces/7?x=1", api.port);
    assert_eq!((api.lines(), api.seen()[0].body.as_ref()), (vec![line], b"a=b".as_slice()));
    assert!(!api.seen()[0].headers.contains_key("host"), "{:?}", api.seen());

    let front = Front::start(Setup { only_http2: true, ..Setup::open(&api) }).await;
    let upgrade = ["-i", "-H", "Connection: Upgrade", "-H", "Upgrade: websocket"];
    let answer = front.curl(&upgrade, "/upgrade").await;
    assert!(answer.starts_with("HTTP/1.1 502") && answer.contains("HTTP/2 only"), "{answer}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut text = Vec::new();
            let _read = stream.read_buf(&mut text).await;
            let _written = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno").await;
        }
    });
    let front = Front::start(Setup { only_http2: true, base, ..Setup::open(&api) }).await;
    let answer = front.curl(&["-i"], "/x").await;
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_work_and_are_recorded() {
    let server = Server::start("websocket_server.py", &[]).await;
    let api = Api::start().await;
    let setup = |api: &Api| Setup { base: format!("http://127.0.0.1:{}", server.port), ..Setup::open(api) };
    for name in ["websocket_client.py", "websocket_client.mjs"] {
        let front = Front::start(setup(&api)).await;
        let told = client(name, &[&format!("ws://{}/chat", front.address)]).await;
        assert_eq!(told, "done\n", "{name}");
        until("the upgrade is recorded", || !front.book.recorded(ItemKind::Outcome).is_empty()).await;
        let shown = front.book.recorded(ItemKind::Body);
        assert!(shown.windows(12).any(|window| window == b"bye yourself"), "what was said is not recorded");
    }
    let masked = Front::start(Setup { masks: vec!["$..api_key"], ..setup(&api) }).await;
    let told = client("websocket_client.py", &[&format!("ws://{}/chat", masked.address)]).await;
    assert!(told.contains("502"), "{told}");
}

/// Trailers of both sides, and a part of a document.
#[tokio::test(flavor = "multi_thread")]
async fn trailers_and_ranges_pass_without_secrets() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (seen, saw) = tokio::sync::oneshot::channel();
    let serving = tokio::spawn(async move {
        let mut seen = Some(seen);
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut text = Vec::new();
            while !text.ends_with(b"\r\n\r\n") || text.windows(9).all(|window| window != b"\r\n0\r\nx-su") {
                if stream.read_buf(&mut text).await.unwrap() == 0 {
                    break;
                }
            }
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\
                 Trailer: X-Sum, X-Echo\r\n\r\n2\r\n{{}}\r\n0\r\nX-Sum: 7\r\nX-Echo: {INJECTED}\r\n\
                 X-Api-Key: {PROTECTED}\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            if let Some(seen) = seen.take() {
                let _told = seen.send(String::from_utf8(text).unwrap());
            }
        }
    });
    let api = Api::start().await;
    let setup = || Setup { base: base.clone(), ..Setup::open(&api) };
    let call = format!(
        "POST /x HTTP/1.1\r\nHost: x\r\nHoop-Session: {SECRET}\r\nTE: trailers\r\nConnection: TE\r\n\
         Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\
         Trailer: X-Sum, Authorization, Hoop-Session\r\n\r\n2\r\nhi\r\n0\r\n\
         X-Sum: 5\r\nAuthorization: Bearer mine\r\nHoop-Session: {SECRET}\r\n\r\n"
    );
    let front = Front::start(setup()).await;
    let answer = front.raw(call.as_bytes()).await.to_ascii_lowercase();
    assert!(answer.contains("0\r\nx-sum: 7\r\n") && answer.contains("x-echo: [redacted]"), "{answer}");
    let seen = saw.await.unwrap();
    assert!(seen.to_ascii_lowercase().contains("\r\n0\r\nx-sum: 5\r\n"), "{seen}");
    assert!(!seen.contains("mine") && !seen.contains(SECRET), "{seen}");
    let masked = Front::start(Setup { masks: vec!["$..api_key"], ..setup() }).await;
    let answer = masked.raw(call.as_bytes()).await.to_ascii_lowercase();
    assert!(answer.contains("{}") && !answer.contains("x-sum") && !answer.contains(PROTECTED), "{answer}");
    serving.abort();

    let front = Front::start(Setup::open(&api)).await;
    let part = front.curl(&["-i", "-r", "40-80"], "/traces/7").await;
    assert!(part.starts_with("HTTP/1.1 206") && part.contains("bytes 40-80/102"), "{part}");
}
