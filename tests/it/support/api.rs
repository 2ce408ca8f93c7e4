//! An HTTP API that does what a test needs, and a gateway before it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse as _;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use hoopctl::domain::mask::Mask;
use hoopctl::domain::name::{RuleName, TargetName};
use hoopctl::domain::session::CloseReason;
use hoopctl::domain::target::{
    BodyMask, HttpIssuer, HttpTarget, Injection, RecordLevel, SecretSource, Target, TargetKind,
};
use hoopctl::gateway::authority::{Credential, HttpCredential, Lease};
use hoopctl::gateway::tunnel::Inner;
use hoopctl::wire::http::encoding::{Coding, Encoder};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

use super::gateway::{Book, Hall, Plan, SECRET};
use super::reviewer;

/// What the gateway injects.
pub(crate) const INJECTED: &str = "sk-upstream-0123456789/abc+def==";
/// What masks protect.
pub(crate) const PROTECTED: &str = "key-of-a-customer";
/// A document that holds it.
pub(crate) const TRACE: &str = r#"{"id":7,"prompt":"hello","api_key":"key-of-a-customer","steps":[{"n":1,"api_key":"key-of-a-customer"}]}"#;

/// An API that notes what reaches it.
pub(crate) struct Api {
    pub(crate) port: u16,
    state: Arc<Inside>,
}

#[derive(Default)]
struct Inside {
    seen: Mutex<Vec<Seen>>,
    /// Lets the next event out.
    next: Notify,
    /// How many bytes of the endless answer were produced.
    produced: AtomicU64,
}

/// A request as the API saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Api {
    pub(crate) async fn start() -> Self {
        let state = Arc::new(Inside::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let router = axum::Router::new().fallback(serve).with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, state }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().expect("not poisoned").clone()
    }

    /// Method and target of all that came.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }

    /// Lets the next event out.
    pub(crate) fn go_on(&self) {
        self.state.next.notify_one();
    }

    pub(crate) fn produced(&self) -> u64 {
        self.state.produced.load(Ordering::Relaxed)
    }
}

async fn serve(State(state): State<Arc<Inside>>, mut request: Request) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let line = format!("{} {}", request.method(), request.uri());
    let headers = request.headers().clone();
    if path == "/upgrade" {
        state.seen.lock().expect("not poisoned").push(Seen { line, headers, body: Bytes::new() });
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let Ok(upgraded) = upgrade.await else { return };
            let (mut read, mut write) = tokio::io::split(hyper_util::rt::TokioIo::new(upgraded));
            let _over = tokio::io::copy(&mut read, &mut write).await;
        });
        let answer =
            Response::builder().status(101).header("connection", "upgrade").header("upgrade", "websocket");
        return answer.body(Body::empty()).expect("an answer");
    }
    let body = axum::body::to_bytes(request.into_body(), 64 << 20).await.unwrap_or_default();
    state.seen.lock().expect("not poisoned").push(Seen {
        line: line.clone(),
        headers: headers.clone(),
        body: body.clone(),
    });
    let typed = |media: &str, body: Body| {
        Response::builder().header("content-type", media.to_owned()).body(body).expect("an answer")
    };
    let json = "application/json";
    match path.as_str() {
        "/echo" => {
            let shown: Vec<String> =
                headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
            let told =
                serde_json::json!({"line": line, "headers": shown, "body": String::from_utf8_lossy(&body)});
            let mut answer = typed(json, told.to_string().into());
            if let Some(value) = headers.get("authorization") {
                answer.headers_mut().insert("x-echo", value.clone());
            }
            answer
        }
        "/echo-chunked" => {
            let shown = format!("{headers:?}");
            pieces("text/plain", None, shown, 3)
        }
        "/echo-gzip" => {
            let shown = format!("{headers:?}");
            pieces("text/plain", Some(Coding::Gzip), shown, 5)
        }
        "/error" => (StatusCode::INTERNAL_SERVER_ERROR, format!("<h1>oops</h1>{headers:?}")).into_response(),
        "/redirect" => {
            let secret = headers.get("authorization").map(|value| format!("{value:?}")).unwrap_or_default();
            let place = format!("https://elsewhere.example/?was={}", secret.replace(['"', ' '], ""));
            (StatusCode::FOUND, [("location", place)], "gone").into_response()
        }
        "/redirect-home" => {
            let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
            (StatusCode::FOUND, [("location", format!("http://{host}/traces/7?a=b"))], "").into_response()
        }
        "/traces/7" => {
            let mut answer = typed(json, TRACE.into());
            answer.headers_mut().insert("etag", "\"strong\"".parse().expect("a value"));
            answer.headers_mut().insert("content-digest", "sha-256=:AAAA:".parse().expect("a value"));
            if headers.get("if-none-match").is_some() {
                *answer.status_mut() = StatusCode::NOT_MODIFIED;
                *answer.body_mut() = Body::empty();
            }
            if headers.get("range").is_some() {
                *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
                answer.headers_mut().insert("content-range", "bytes 40-80/102".parse().expect("a value"));
                *answer.body_mut() = TRACE[40..80].to_owned().into();
            }
            answer
        }
        "/part" => {
            let mut answer = typed(json, TRACE[40..80].to_owned().into());
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
            answer.headers_mut().insert("content-range", "bytes 40-80/102".parse().expect("a value"));
            answer
        }
        "/gzip" => pieces(json, Some(Coding::Gzip), TRACE, 1),
        "/br" => pieces(json, Some(Coding::Brotli), TRACE, 1),
        "/zstd" => pieces(json, Some(Coding::Zstd), TRACE, 1),
        "/deflate" => pieces(json, Some(Coding::Deflate), TRACE, 1),
        "/unknown-coding" => {
            let mut answer = typed(json, TRACE.into());
            answer.headers_mut().insert("content-encoding", "compress".parse().expect("a value"));
            answer
        }
        "/chunks" => pieces(json, None, TRACE, 1),
        "/ndjson" => pieces("application/x-ndjson", None, format!("{TRACE}\n{TRACE}\n"), 3),
        "/csv" => pieces("text/csv", None, format!("id,api_key\n7,{PROTECTED}\n"), 3),
        "/list" => typed(json, r#"{"data":[{"id":1},{"id":2},{"id":3}],"next":null}"#.into()),
        "/list-chunks" => pieces(
            json,
            None,
            format!("[{}]", (0..2_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",")),
            16,
        ),
        "/mail" => typed(json, r#"{"to":"alice\u0040example.org","n":[1.50, "caf\u00e9"]}"#.into()),
        "/html" => typed("text/html", format!("<p>{PROTECTED}</p>").into()),
        "/binary" => typed("application/octet-stream", PROTECTED.into()),
        "/untyped" => Response::new(PROTECTED.into()),
        "/no-json" => typed(json, format!("{{\"a\":1}} {PROTECTED}").into()),
        "/cut" => typed(json, TRACE[..60].to_owned().into()),
        "/empty" => StatusCode::NO_CONTENT.into_response(),
        "/events" => {
            let events = stream::unfold((0, state), |(number, state)| async move {
                match number {
                    0 => {}
                    1 => state.next.notified().await,
                    _ => return None,
                }
                let event = format!("event: trace\ndata: {TRACE}\n\n");
                Some((Ok::<_, std::io::Error>(Bytes::from(event)), (number + 1, state)))
            });
            typed("text/event-stream", Body::from_stream(events))
        }
        "/big" => {
            let line = Bytes::from(format!("{TRACE}\n").repeat(600));
            let lines = stream::unfold((0_u64, state), move |(sent, state)| {
                let line = line.clone();
                async move {
                    state.produced.store(sent, Ordering::Relaxed);
                    let more = sent < 200 << 20;
                    more.then(|| (Ok::<_, std::io::Error>(line.clone()), (sent + line.len() as u64, state)))
                }
            });
            typed("application/x-ndjson", Body::from_stream(lines))
        }
        _ => typed("text/plain", "here".into()),
    }
}

/// A body in pieces of this size.
fn pieces(media: &str, coding: Option<Coding>, body: impl AsRef<[u8]>, size: usize) -> Response<Body> {
    let mut packed = BytesMut::new();
    let chain: Vec<Coding> = coding.into_iter().collect();
    let mut encoder = Encoder::new(&chain).expect("memory");
    encoder.encode(body.as_ref(), &mut packed).expect("packs");
    encoder.finish(&mut packed).expect("packs");
    let pieces: Vec<_> =
        packed.chunks(size).map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
    let mut answer = Response::builder().header("content-type", media);
    if let Some(coding) = coding {
        answer = answer.header("content-encoding", coding.as_str());
    }
    answer.body(Body::from_stream(stream::iter(pieces))).expect("an answer")
}

/// A gateway before an API, and a port that leads to it.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    pub(crate) book: Arc<Book>,
    pub(crate) closing: watch::Sender<Option<CloseReason>>,
    pub(crate) desk: Arc<reviewer::Desk>,
}

/// How a test wants its target.
pub(crate) struct Setup {
    pub(crate) policy: &'static str,
    pub(crate) base: String,
    pub(crate) injection: Option<Injection>,
    pub(crate) masks: Vec<&'static str>,
    pub(crate) detectors: Vec<&'static str>,
    pub(crate) graphql: Option<&'static str>,
    pub(crate) most: Option<u64>,
    /// The most items, and which are counted.
    pub(crate) items: Option<(u64, Option<&'static str>)>,
    pub(crate) record: RecordLevel,
    pub(crate) openapi: Option<std::path::PathBuf>,
    /// Whom to trust, where the base is https.
    pub(crate) roots: Option<std::path::PathBuf>,
    /// Chain and key of a client certificate.
    pub(crate) client: Option<(String, String)>,
    pub(crate) only_http2: bool,
}

/// Everything is allowed.
pub(crate) const OPEN: &str = r#"@id("calls") permit(principal, action == Hoop::Action::"call", resource);"#;

impl Setup {
    pub(crate) fn open(api: &Api) -> Self {
        Self {
            policy: OPEN,
            base: format!("http://127.0.0.1:{}", api.port),
            injection: Some(Injection::Bearer),
            masks: Vec::new(),
            detectors: Vec::new(),
            graphql: None,
            most: None,
            items: None,
            record: RecordLevel::Full,
            openapi: None,
            roots: None,
            client: None,
            only_http2: false,
        }
    }

    /// The same with a mask on every `api_key`.
    pub(crate) fn masked(api: &Api) -> Self {
        Self { masks: vec!["$..api_key"], ..Self::open(api) }
    }
}

impl Front {
    pub(crate) async fn start(setup: Setup) -> Self {
        let injected = setup.injection.clone().map(|injection| (injection, INJECTED.to_owned().into()));
        let issuer = match setup.injection {
            Some(injection) => HttpIssuer::Static { injection, secret: SecretSource::Env("UNUSED".into()) },
            None => HttpIssuer::None,
        };
        let masks = setup.masks.iter().enumerate().map(|(number, path)| BodyMask {
            name: RuleName::new(format!("mask.{number}")).expect("a name"),
            path: (*path).into(),
            mask: Mask::Full,
            lifted_for: BTreeSet::new(),
        });
        let target = Target {
            name: TargetName::new("api").expect("a name"),
            description: String::new(),
            labels: BTreeMap::new(),
            owner: None,
            record: setup.record,
            kind: TargetKind::Http(Box::new(HttpTarget {
                base: setup.base.parse().expect("a URL"),
                root_certificates: setup.roots,
                only_http2: setup.only_http2,
                issuer,
                masks: masks.collect(),
                detectors: setup.detectors.iter().map(|name| (*name).to_owned()).collect(),
                patterns: Vec::new(),
                openapi: setup.openapi,
                graphql: setup.graphql.map(Into::into),
                pages: BTreeMap::new(),
                max_response: setup.most,
                max_items: setup.items.map(|(most, _)| most),
                items: setup.items.and_then(|(_, path)| path).map(Into::into),
                max_connections: 10,
            })),
        };
        let client = setup.client.map(|(chain, key)| (chain, key.into()));
        let credential = HttpCredential { inject: injected, client };
        let lease = Lease {
            user: "static".into(),
            credential: Credential::Http(Box::new(credential)),
            expires: jiff::Timestamp::MAX,
        };
        Self::of(Plan { target, lease, policy: setup.policy, who: "alice", session: 7, ssh_key: None }).await
    }

    /// A gateway for this session.
    pub(crate) async fn of(plan: Plan<'_>) -> Self {
        let Hall { tunnels, session, device, book, closing, desk, .. } = Hall::open(plan);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tunnels, session, device) = (tunnels.clone(), session.clone(), device.clone());
                tokio::spawn(async move { tunnels.serve(stream, &session, &device, Inner::Bare).await });
            }
        });
        Self { address, book, closing, desk }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// curl with the session's secret; what it wrote, heads included where asked for.
    pub(crate) async fn curl(&self, arguments: &[&str], path: &str) -> String {
        let output = tokio::process::Command::new("curl")
            .args(["-sS", "--max-time", "60", "--path-as-is", "-u"])
            .arg(format!("anybody:{SECRET}"))
            .args(arguments)
            .arg(self.url(path))
            .kill_on_drop(true)
            .output()
            .await
            .expect("curl runs");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// Sends bytes as they are, and reads until the gateway closes or says nothing more for a while.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("a gateway");
        stream.write_all(bytes).await.expect("it writes");
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(Ok(count)) =
            tokio::time::timeout(Duration::from_millis(700), stream.read(&mut buffer)).await
        {
            if count == 0 {
                break;
            }
            answer.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8_lossy(&answer).into_owned()
    }
}
