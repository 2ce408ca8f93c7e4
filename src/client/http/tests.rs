#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{DuplexStream, duplex};
use tokio_rustls::TlsConnector;

use super::*;
use crate::client::loopback::refusal::Refusal;
use crate::gateway::clock::Clock;

const SECRET: &str = "s3cret:of+this/session";
/// `hoop:` and the secret.
const BASIC: &str = "Proxy-Authorization: Basic aG9vcDpzM2NyZXQ6b2YrdGhpcy9zZXNzaW9u\r\n";

/// A gateway that keeps what it is asked and always answers the same.
#[derive(Default)]
struct Gateway {
    heard: Mutex<String>,
    opened: Mutex<u32>,
}

impl Opener for Gateway {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Stream>, Refusal>> {
        *self.opened.lock().unwrap() += 1;
        Box::pin(async { Err(Refusal { code: "08006", message: "no gateway here".into() }) })
    }
}

/// The same with a far end.
struct Far(Arc<Gateway>);

impl Opener for Far {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Stream>, Refusal>> {
        *self.0.opened.lock().unwrap() += 1;
        let gateway = Arc::clone(&self.0);
        Box::pin(async move {
            let (near, mut far) = duplex(1 << 16);
            tokio::spawn(async move {
                loop {
                    let head = head(&mut far).await;
                    if head.is_empty() {
                        return;
                    }
                    let upgrade = head.to_ascii_lowercase().contains("upgrade: websocket");
                    gateway.heard.lock().unwrap_or_else(PoisonError::into_inner).push_str(&head);
                    if upgrade {
                        far.write_all(
                            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
                        )
                        .await
                        .unwrap();
                        let (mut from, mut to) = tokio::io::split(far);
                        drop(tokio::io::copy(&mut from, &mut to).await);
                        return;
                    }
                    far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await.unwrap();
                }
            });
            Ok(Box::new(near) as Box<dyn Stream>)
        })
    }
}

struct Stage {
    gateway: Arc<Gateway>,
    near: DuplexStream,
    authority: String,
}

fn stage(base: &str) -> Stage {
    let now = Clock::system().now();
    let base: Url = base.parse().unwrap();
    let names = vec![base.host_str().unwrap().to_owned(), "api".to_owned()];
    let certificate = Certificate::make(names, now, now + SignedDuration::from_hours(1)).unwrap();
    let door = Arc::new(stand_in(base, certificate.acceptor));
    let gateway = Arc::new(Gateway::default());
    let (near, far) = duplex(1 << 16);
    tokio::spawn(door.serve(Box::new(far), Arc::new(Far(Arc::clone(&gateway)))));
    Stage { gateway, near, authority: certificate.authority }
}

fn stand_in(base: Url, tls: TlsAcceptor) -> Door {
    let address = "127.0.0.1:4711".parse().unwrap();
    Door {
        address,
        target: "api".into(),
        base,
        secret: SECRET.to_owned().into(),
        tls,
        authority: String::new(),
        beside: OnceLock::new(),
    }
}

async fn head<S: tokio::io::AsyncRead + Unpin>(io: &mut S) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match io.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

impl Stage {
    /// Says this and hears the head of the answer.
    async fn says(&mut self, text: &str) -> String {
        self.near.write_all(text.as_bytes()).await.unwrap();
        head(&mut self.near).await
    }

    fn heard(&self) -> String {
        self.gateway.heard.lock().unwrap().clone()
    }

    fn opened(&self) -> u32 {
        *self.gateway.opened.lock().unwrap()
    }
}

#[test]
fn a_connection_shows_with_its_first_bytes_what_it_is() {
    for (bytes, expected) in [
        ("GET / HTTP/1.1\r\n", Manner::Direct),
        ("OPTIONS * HTTP/1.1\r\n", Manner::Direct),
        ("PRI * HTTP/2.0\r\n", Manner::Direct),
        ("\u{16}\u{3}\u{1}", Manner::Direct),
        ("M-SEARCH /x", Manner::Direct),
        ("CONNECT api:443 HTTP/1.1\r\n", Manner::Proxy),
        ("GET http://api/ HTTP/1.1\r\n", Manner::Proxy),
        ("GET HTTP://api/ HTTP/1.1\r\n", Manner::Proxy),
    ] {
        let bytes = bytes.as_bytes();
        let decided = (0..=bytes.len()).find_map(|end| manner(bytes.get(..end).unwrap()));
        assert_eq!(decided, Some(expected), "{bytes:?}");
        assert_eq!(manner(bytes), Some(expected), "{bytes:?}");
    }
    assert_eq!(manner(&[b'A'; LONGEST_METHOD]), None);
    assert_eq!(manner(&[b'A'; LONGEST_METHOD + 1]), Some(Manner::Direct));
}

#[test]
fn only_the_target_has_names_here() {
    let certificate =
        Certificate::make(vec!["api".into()], Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH).unwrap();
    let door = stand_in("https://api.example/v2/".parse().unwrap(), certificate.acceptor);
    for (authority, expected) in [
        ("api", Some(Called::Target)),
        ("API:443", Some(Called::Target)),
        ("127.0.0.1:4711", Some(Called::Target)),
        ("api.example", Some(Called::Base)),
        ("api.example:443", Some(Called::Base)),
        ("API.example", Some(Called::Base)),
        ("api.example:8443", None),
        ("api:22", None),
        ("127.0.0.1:4712", None),
        ("api.example.evil.example", None),
        ("evil.example", None),
        ("api.example@evil.example", None),
        ("evil.example@api.example:444", None),
    ] {
        assert_eq!(door.called(&authority.parse().unwrap(), 80), expected, "{authority}");
    }
    for (called, path, expected) in [
        (Called::Base, "/v2/x?y", Some("/x?y")),
        (Called::Base, "/v2", Some("/")),
        (Called::Base, "/v2?y", Some("?y")),
        (Called::Base, "/v22", None),
        (Called::Base, "/", None),
        (Called::Target, "/v2/x", Some("/v2/x")),
    ] {
        assert_eq!(door.below(called, path), expected, "{path}");
    }
}

#[tokio::test]
async fn what_speaks_as_to_the_api_itself_passes_as_it_is() {
    let mut stage = stage("https://api.example/v2/");
    let call = "GET /x HTTP/1.1\r\nHost: wherever\r\nAuthorization: Basic x\r\n\r\n";
    assert!(stage.says(call).await.starts_with("HTTP/1.1 200"));
    assert_eq!(stage.heard(), call);
}

#[tokio::test]
async fn a_call_to_the_proxy_goes_to_the_gateway_with_the_secret() {
    let mut stage = stage("http://api.example/v2/");
    let answer = stage.says(&format!("GET http://api.example/v2/x HTTP/1.1\r\nHost: y\r\n{BASIC}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let heard = stage.heard().to_ascii_lowercase();
    assert!(heard.starts_with("get /x http/1.1\r\n"), "{heard}");
    assert!(heard.contains(&format!("hoop-session: {SECRET}\r\n")), "{heard}");
    assert!(heard.contains("host: api\r\n") && !heard.contains("proxy-authorization"), "{heard}");
}

#[tokio::test]
async fn without_the_secret_nothing_is_opened_and_a_program_may_try_again() {
    let mut stage = stage("http://api.example/");
    for start in ["GET http://api/", "CONNECT api:443"] {
        for wrong in ["", "Proxy-Authorization: Basic aG9vcDp4\r\n", "Authorization: Basic aG9vcDp4\r\n"] {
            let call = format!("{start} HTTP/1.1\r\nHost: api\r\n{wrong}\r\n");
            let answer = stage.says(&call).await;
            assert!(answer.starts_with("HTTP/1.1 407"), "{answer}");
            assert!(answer.to_ascii_lowercase().contains("proxy-authenticate: basic realm"), "{answer}");
            let mut text = vec![0; WITHOUT_LENGTH];
            stage.near.read_exact(&mut text).await.unwrap();
        }
    }
    assert_eq!(stage.opened(), 0);
    let answer = stage.says(&format!("GET http://api/ HTTP/1.1\r\nHost: api\r\n{BASIC}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn another_host_is_refused_in_every_form() {
    for start in [
        "GET http://evil.example/",
        "GET http://api.example:8080/v2/",
        "GET http://api.example/v1/",
        "CONNECT evil.example:443",
        "CONNECT api.example:22",
        "GET /v2/x",
    ] {
        let mut stage = stage("https://api.example/v2/");
        // `GET /…` counts only on a connection that is a proxy's already
        let first = stage.says(&format!("GET http://api/ HTTP/1.1\r\nHost: x\r\n{BASIC}\r\n")).await;
        assert!(first.starts_with("HTTP/1.1 200"), "{first}");
        stage.near.read_exact(&mut [0; 2]).await.unwrap();
        let answer = stage.says(&format!("{start} HTTP/1.1\r\nHost: api.example\r\n{BASIC}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{start}: {answer}");
        assert!(!stage.heard().contains("evil"), "{start}");
    }
}

#[tokio::test]
async fn https_ends_here_and_goes_on_inside_the_tunnel() {
    for (asked, host, path) in [("api.example:443", "api.example", "/v2/x"), ("api:443", "api", "/x")] {
        let mut stage = stage("https://api.example/v2/");
        let answer = stage.says(&format!("CONNECT {asked} HTTP/1.1\r\nHost: {asked}\r\n{BASIC}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(stage.authority.as_bytes()).unwrap()).unwrap();
        let config =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        let name = ServerName::try_from(host).unwrap();
        let mut tls = TlsConnector::from(Arc::new(config)).connect(name, &mut stage.near).await.unwrap();
        for _ in 0..2 {
            let call = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            tls.write_all(call.as_bytes()).await.unwrap();
            let answer = head(&mut tls).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            tls.read_exact(&mut [0; 2]).await.unwrap();
        }
        drop(tls);
        let heard = stage.heard().to_ascii_lowercase();
        assert_eq!(heard.matches("get /x http/1.1\r\n").count(), 2, "{heard}");
        assert_eq!(heard.matches("hoop-session: ").count(), 2, "{heard}");
        assert_eq!(stage.opened(), 1);
    }
}

#[tokio::test]
async fn a_websocket_is_carried_through_the_proxy() {
    let mut stage = stage("http://api.example/");
    let answer = stage.says(&format!("CONNECT api:80 HTTP/1.1\r\nHost: api\r\n{BASIC}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let call = "GET /live HTTP/1.1\r\nHost: api\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let answer = stage.says(call).await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    stage.near.write_all(b"frames").await.unwrap();
    let mut back = [0; 6];
    stage.near.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"frames");
    assert!(stage.heard().contains(SECRET));
}

#[tokio::test]
async fn no_gateway_is_said_in_http() {
    let certificate =
        Certificate::make(vec!["api".into()], Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH).unwrap();
    let door = Arc::new(stand_in("https://api.example/".parse().unwrap(), certificate.acceptor));
    for call in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        format!("GET http://api/ HTTP/1.1\r\nConnection: close\r\n{BASIC}\r\n"),
    ] {
        let (mut near, far) = duplex(1 << 16);
        tokio::spawn(Arc::clone(&door).serve(Box::new(far), Arc::new(Gateway::default())));
        near.write_all(call.as_bytes()).await.unwrap();
        let mut answer = String::new();
        near.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 502") && answer.ends_with("no gateway here\n"), "{answer}");
    }
}

const WITHOUT_LENGTH: usize =
    "hoopctl: this proxy is for the program that hoopctl started, with the session's secret\n".len();
