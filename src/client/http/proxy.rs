//! A proxy that knows one host, or those of a few targets.
//!
//! Job: calls that name their host, and `CONNECT` with the session's own TLS inside; each goes to the gateway with the
//! session's secret, its path below the target's base, in the version of HTTP in which it came. Boundary: one tunnel for
//! one connection of the child's at a time; hop-by-hop headers are the gateway's business, and so is the verdict. Failure mode: without the secret 407,
//! another host 403, no gateway 502, each with a sentence.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http::header::{
    CONTENT_TYPE, HOST, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, UPGRADE,
};
use http::uri::Authority;
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use secrecy::ExposeSecret as _;
use tokio::io::AsyncReadExt as _;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::{Beside, Called, Door, rewound};
use crate::client::loopback::refusal::Refusal;
use crate::client::loopback::{Opener, copy};
use crate::client::tunnel::Stream;

/// Serves a connection on which the child speaks as to a proxy, until it is over.
pub(super) async fn serve(door: Arc<Door>, io: Box<dyn Stream>, opener: Arc<dyn Opener>) {
    let beside = door.beside.get().cloned().unwrap_or_default();
    converse(Arc::new(Proxy::new(Beside { door, opener }, beside, None)), io).await;
}

/// Serves one connection and what it turned into.
async fn converse(proxy: Arc<Proxy>, io: Box<dyn Stream>) {
    let answering = Arc::clone(&proxy);
    let service = service_fn(move |request| {
        let proxy = Arc::clone(&answering);
        async move { Ok::<_, Infallible>(proxy.answer(request).await) }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().preserve_header_case(true).auto_date_header(false).timer(TokioTimer::new());
    server.http2().auto_date_header(false).max_header_list_size(HEAD).timer(TokioTimer::new());
    if let Err(error) = server.serve_connection_with_upgrades(TokioIo::new(io), service).await {
        tracing::debug!(%error, "a connection at the loopback ended badly");
    }
    // dropped with us when the session ends
    for way in &proxy.ways {
        *way.far.lock().await = None;
    }
    let mut tasks = std::mem::take(&mut *proxy.tasks.lock().await);
    while tasks.join_next().await.is_some() {}
}

/// One connection of the child's.
struct Proxy {
    own: Arc<Door>,
    /// The ways to all targets that may be asked for, its own first.
    ways: Vec<Way>,
    /// Whom the child asked for by `CONNECT`, where this is inside.
    inside: Option<Called>,
    /// The tunnel, and what a call turned the connection into.
    tasks: Mutex<JoinSet<()>>,
}

/// The way to one target.
struct Way {
    to: Beside,
    far: Mutex<Option<Far>>,
}

/// The connection to the gateway, in the version of HTTP in which the child's connection is.
enum Far {
    /// For many calls at a time.
    Many(http2::SendRequest<Incoming>),
    /// For one call at a time.
    One(http1::SendRequest<Incoming>),
}

type Answer = Response<BoxBody<Bytes, hyper::Error>>;

impl Proxy {
    fn new(own: Beside, beside: Vec<Beside>, inside: Option<Called>) -> Self {
        let door = Arc::clone(&own.door);
        let ways = std::iter::once(own).chain(beside).map(|to| Way { to, far: Mutex::default() });
        Self { own: door, ways: ways.collect(), inside, tasks: Mutex::default() }
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        if self.inside.is_none() && !self.own.admits(request.headers().get(PROXY_AUTHORIZATION)) {
            let mut answer = told(StatusCode::PROXY_AUTHENTICATION_REQUIRED, WITHOUT);
            answer.headers_mut().insert(PROXY_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
            return answer;
        }
        if request.method() == Method::CONNECT {
            return self.connect(request).await;
        }
        let Some((way, called)) = self.called(request.uri()) else { return self.elsewhere(request.uri()) };
        let resource = request.uri().path_and_query().map_or("/", |resource| resource.as_str());
        match way.to.door.below(called, resource).map(Uri::try_from) {
            Some(Ok(uri)) => self.forward(way, request, uri).await,
            _ => self.elsewhere(request.uri()),
        }
    }

    /// For which target the call asks, and by which of its names.
    fn called(&self, uri: &Uri) -> Option<(&Way, Called)> {
        let port = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        match (uri.authority(), self.inside) {
            (Some(authority), _) => self.named(authority, port),
            (None, inside) => Some((self.ways.first()?, inside?)),
        }
    }

    fn named(&self, authority: &Authority, port: u16) -> Option<(&Way, Called)> {
        self.ways.iter().find_map(|way| Some((way, way.to.door.called(authority, port)?)))
    }

    fn elsewhere(&self, uri: &Uri) -> Answer {
        let asked = uri.authority().map_or_else(|| uri.path(), |authority| authority.as_str());
        let known = self.ways.iter().map(|way| format!("`{}` at {}", way.to.door.target, way.to.door.base));
        let known = known.collect::<Vec<_>>().join(" and ");
        told(StatusCode::FORBIDDEN, &format!("hoopctl: this session reaches {known} only, not `{asked}`"))
    }

    /// RFC 9110 §9.3.6. Nothing is dialled: what comes inside is calls again.
    async fn connect(&self, mut request: Request<Incoming>) -> Answer {
        let called = match (request.uri().authority(), self.inside) {
            (Some(authority), None) => self.named(authority, 443),
            _ => None,
        };
        let Some((way, called)) = called else { return self.elsewhere(request.uri()) };
        let to = way.to.clone();
        let upgrade = hyper::upgrade::on(&mut request);
        self.tasks.lock().await.spawn(async move {
            if let Ok(upgraded) = upgrade.await {
                inside(to, called, Box::new(TokioIo::new(upgraded))).await;
            }
        });
        Response::new(Full::default().map_err(|never| match never {}).boxed())
    }

    async fn forward(&self, way: &Way, mut request: Request<Incoming>, uri: Uri) -> Answer {
        let near = request.headers().contains_key(UPGRADE).then(|| hyper::upgrade::on(&mut request));
        *request.uri_mut() = uri;
        if dress(&way.to.door, &mut request).is_none() {
            return told(StatusCode::BAD_GATEWAY, "hoopctl: the session's secret fits into no header");
        }
        let response = match self.send(way, request).await {
            Ok(response) => response,
            Err(Unsent::Refused(refusal)) => {
                let denied = refusal.is_a_denial();
                let status = if denied { StatusCode::FORBIDDEN } else { StatusCode::BAD_GATEWAY };
                return told(status, &refusal.message);
            }
            Err(Unsent::Broken(error)) => {
                return told(
                    StatusCode::BAD_GATEWAY,
                    &format!("hoopctl: the gateway did not answer: {error}"),
                );
            }
        };
        self.answered(response, near).await
    }

    async fn send(&self, way: &Way, request: Request<Incoming>) -> Result<Response<Incoming>, Unsent> {
        let mut far = way.far.lock().await;
        let usable = match far.as_mut() {
            Some(Far::Many(sender)) => sender.ready().await.is_ok(),
            Some(Far::One(sender)) => sender.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            *far = Some(self.open(way, request.version()).await?);
        }
        match far.as_mut() {
            Some(Far::Many(sender)) => {
                let sent = sender.send_request(request);
                // others go on meanwhile
                drop(far);
                sent.await.map_err(Unsent::Broken)
            }
            Some(Far::One(sender)) => sender.send_request(request).await.map_err(Unsent::Broken),
            // it was put there above
            None => Err(Unsent::Refused(Refusal { code: "08006", message: "hoopctl: no tunnel".into() })),
        }
    }

    async fn open(&self, way: &Way, version: Version) -> Result<Far, Unsent> {
        let tunnel = TokioIo::new(way.to.opener.open().await.map_err(Unsent::Refused)?);
        let mut tasks = self.tasks.lock().await;
        if version == Version::HTTP_2 {
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .max_header_list_size(HEAD)
                .handshake(tunnel)
                .await
                .map_err(Unsent::Broken)?;
            tasks.spawn(async move { ended(connection.await) });
            return Ok(Far::Many(sender));
        }
        let (sender, connection) = http1::Builder::new()
            .preserve_header_case(true)
            .handshake(tunnel)
            .await
            .map_err(Unsent::Broken)?;
        tasks.spawn(async move { ended(connection.with_upgrades().await) });
        Ok(Far::One(sender))
    }

    /// After 101 both ends speak something else, to each other.
    async fn answered(&self, mut response: Response<Incoming>, near: Option<OnUpgrade>) -> Answer {
        if let (StatusCode::SWITCHING_PROTOCOLS, Some(near)) = (response.status(), near) {
            let far = hyper::upgrade::on(&mut response);
            self.tasks.lock().await.spawn(async move {
                if let Ok((near, far)) = tokio::try_join!(near, far) {
                    copy(&mut TokioIo::new(near), &mut TokioIo::new(far)).await;
                }
            });
        }
        response.map(BodyExt::boxed)
    }
}

/// Puts the session's secret in and what is between the child and us out.
fn dress(door: &Door, request: &mut Request<Incoming>) -> Option<()> {
    let mut secret = HeaderValue::from_str(door.secret.expose_secret()).ok()?;
    secret.set_sensitive(true);
    let is_http2 = request.version() == Version::HTTP_2;
    let headers = request.headers_mut();
    headers.remove(PROXY_AUTHORIZATION);
    headers.remove("proxy-connection");
    headers.insert(SESSION, secret);
    if !is_http2 {
        headers.insert(HOST, HeaderValue::from_str(&door.target).ok()?);
        return Some(());
    }
    headers.remove(HOST);
    let resource = request.uri().path_and_query()?.clone();
    let place = Uri::builder().scheme("http").authority(door.target.as_str());
    *request.uri_mut() = place.path_and_query(resource).build().ok()?;
    Some(())
}

fn ended(end: Result<(), hyper::Error>) {
    if let Err(error) = end {
        tracing::debug!(%error, "a tunnel of the loopback ended badly");
    }
}

/// Why a call did not get to the gateway, or its answer not here.
enum Unsent {
    Broken(hyper::Error),
    Refused(Refusal),
}

/// What comes after `CONNECT`: TLS, or HTTP as it is. Boxed, for it holds conversations that may hold it.
fn inside(to: Beside, called: Called, mut io: Box<dyn Stream>) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let mut read = BytesMut::new();
        if !matches!(io.read_buf(&mut read).await, Ok(1..)) {
            return;
        }
        let encrypted = read.first() == Some(&HANDSHAKE);
        let io = rewound(read, io);
        let io: Box<dyn Stream> = if encrypted {
            match tokio::time::timeout(PATIENCE, to.door.tls.accept(io)).await {
                Ok(Ok(stream)) => Box::new(stream),
                Ok(Err(error)) => return tracing::debug!(%error, "no TLS at the loopback"),
                Err(_) => return,
            }
        } else {
            io
        };
        converse(Arc::new(Proxy::new(to, Vec::new(), Some(called))), io).await;
    })
}

fn told(status: StatusCode, text: &str) -> Answer {
    let body = Full::from(format!("{text}\n")).map_err(|never| match never {}).boxed();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

/// Where the gateway finds the session's secret in each call.
const SESSION: HeaderName = HeaderName::from_static("hoop-session");
const CHALLENGE: &str = "Basic realm=\"hoopctl\"";
const WITHOUT: &str =
    "hoopctl: this proxy is for the program that hoopctl started, with the session's secret";
/// The type of a TLS record that holds a handshake.
const HANDSHAKE: u8 = 22;
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a head may be in HTTP/2.
const HEAD: u32 = 64 * 1024;
