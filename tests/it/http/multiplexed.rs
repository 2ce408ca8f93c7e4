//! HTTP/2: many calls on one connection, what its frames could smuggle, and floods of them.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::smuggling::FORBID;
use super::until;
use crate::support::api::{Api, Front, PROTECTED, Setup};
use crate::support::gateway::SECRET;

async fn connect(front: &Front) -> http2::SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(front.address).await.unwrap();
    let (sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

fn get(path: &str) -> http::Request<Empty<Bytes>> {
    let request = http::Request::get(format!("http://api{path}")).header("hoop-session", SECRET);
    request.body(Empty::new()).unwrap()
}

/// An answer that takes long holds up no other, and each is judged, masked, entered and recorded by itself.
#[tokio::test(flavor = "multi_thread")]
async fn calls_of_one_connection_go_side_by_side() {
    let api = Api::start().await;
    let front = Front::start(Setup { policy: FORBID, ..Setup::masked(&api) }).await;
    let mut sender = connect(&front).await;
    let events = sender.send_request(get("/events")).await.unwrap();
    assert_eq!((events.version(), events.status().as_u16()), (http::Version::HTTP_2, 200));
    let mut events = events.into_body();
    let first = events.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.starts_with(b"event: trace"), "{first:?}");
    // more than the API may have at a time; the one above is still under way
    let calls = (0..40).map(|number| {
        let path = if number % 4 == 0 { "/admin" } else { "/traces/7" };
        let answer = sender.clone().send_request(get(path));
        async move {
            let answer = answer.await.unwrap();
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            (path, status, String::from_utf8(body.to_vec()).unwrap())
        }
    });
    for (path, status, body) in futures_util::future::join_all(calls).await {
        assert!(!body.contains(PROTECTED), "{body}");
        match path {
            "/admin" => assert!(status == 403 && body.contains("no-admin"), "{status} {body}"),
            _ => assert!(status == 200 && body.contains("[masked]"), "{status} {body}"),
        }
    }
    api.go_on();
    let rest = events.collect().await.unwrap().to_bytes();
    assert!(rest.windows(8).any(|window| window == b"[masked]"), "{rest:?}");
    assert!(!String::from_utf8_lossy(&rest).contains(PROTECTED));
    let deeds = front.book.deeds();
    let count = |deed: &str| deeds.iter().filter(|other| *other == deed).count();
    assert_eq!((count("Allow GET /traces/7"), count("Deny GET /admin")), (30, 10), "{deeds:?}");
    assert_eq!(api.lines().len(), 31);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_is_asked_and_answered_as_in_the_first_version() {
    let api = Api::start().await;
    let front = Front::start(Setup::open(&api)).await;
    let curl = async |arguments: &[&str], path: &str| {
        front.curl(&[&["--http2-prior-knowledge"], arguments].concat(), path).await
    };
    let status = ["-o", "/dev/null", "-w", "%{http_code} %{http_version}"];
    assert_eq!(curl(&[&status[..], &["-u", "x:not the secret"]].concat(), "/x").await, "401 2");
    assert_eq!(curl(&status, "/x").await, "200 2");
    assert_eq!(curl(&[&status[..], &["-I"]].concat(), "/traces/7").await, "200 2");
    let part = curl(&["-i", "-r", "40-80"], "/traces/7").await;
    assert!(part.starts_with("HTTP/2 206") && part.contains("content-range: bytes 40-80/102"), "{part}");
    let echo = curl(&["-d", "a=b", "-H", "Cookie: mine=1", "-H", "Host: other"], "/echo?c=d").await;
    assert!(echo.contains("POST /echo?c=d") && echo.contains("\"body\":\"a=b\""), "{echo}");
    assert!(!echo.contains("mine") && !echo.contains(SECRET) && echo.contains("[redacted]"), "{echo}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![b'x'; 9 << 20]).unwrap();
    assert_eq!(curl(&["-T", file.path().to_str().unwrap()], "/upload").await, "here");
    assert_eq!(api.seen().last().unwrap().body.len(), 9 << 20);
    let long = curl(&status, "/big").await;
    assert_eq!(long, "200 2");
}

/// What would be two requests, or another, once it is written as text.
#[tokio::test(flavor = "multi_thread")]
async fn a_downgrade_smuggles_nothing() {
    let api = Api::start().await;
    let front = Front::start(Setup { policy: FORBID, ..Setup::open(&api) }).await;
    let hidden = "GET /admin HTTP/1.1\r\nhost: x\r\n\r\n";
    let chunked = format!("0\r\n\r\n{hidden}");
    let usual = [(":method", "POST"), (":scheme", "http"), (":authority", "api"), (":path", "/first")];
    let with = |more: &[(&str, &str)]| -> Vec<(String, String)> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut fields: Vec<_> =
            usual.iter().chain(more.iter().filter(|(n, _)| !n.starts_with(':'))).map(own).collect();
        // a pseudo-header takes the place of the usual one
        for (name, value) in more.iter().filter(|(name, _)| name.starts_with(':')) {
            match fields.iter_mut().find(|(other, _)| other == name) {
                Some(field) => field.1 = (*value).to_owned(),
                None => fields.insert(0, own(&(name, value))),
            }
        }
        fields.push(("hoop-session".to_owned(), SECRET.to_owned()));
        fields
    };
    let twice = |name: &str, value: &str| {
        let mut fields = with(&[]);
        fields.insert(1, (name.to_owned(), value.to_owned()));
        fields
    };
    let after = |name: &str, value: &str| {
        let mut fields = with(&[]);
        fields.push((name.to_owned(), value.to_owned()));
        fields
    };
    let refused = [
        ("H2.TE", with(&[("transfer-encoding", "chunked")])),
        ("H2.TE upper case", with(&[("Transfer-Encoding", "chunked")])),
        ("H2.TE by CRLF in a value", with(&[("x", "a\r\ntransfer-encoding: chunked")])),
        ("H2.TE by LF in a value", with(&[("x", "a\ntransfer-encoding: chunked")])),
        ("CR in a value", with(&[("x", "a\rtransfer-encoding: chunked")])),
        ("NUL in a value", with(&[("x", "a\0b")])),
        ("H2.TE by CRLF in a name", with(&[("x: a\r\ntransfer-encoding", "chunked")])),
        ("colon in a name", with(&[("transfer-encoding: chunked\r\nx", "y")])),
        ("space in a name", with(&[("transfer-encoding ", "chunked")])),
        ("empty name", with(&[("", "chunked")])),
        ("connection", with(&[("connection", "keep-alive")])),
        ("connection names host", with(&[("connection", "host")])),
        ("proxy-connection", with(&[("proxy-connection", "keep-alive")])),
        ("keep-alive", with(&[("keep-alive", "timeout=5")])),
        ("upgrade", with(&[("upgrade", "websocket")])),
        ("te", with(&[("te", "gzip")])),
        ("host and authority", with(&[("host", "other")])),
        ("two hosts", with(&[("host", "api"), ("host", "other")])),
        ("user in the authority", with(&[(":authority", "x@api")])),
        ("path in the authority", with(&[(":authority", "api/admin?")])),
        ("CRLF in the authority", with(&[(":authority", "api\r\nx: y")])),
        ("CRLF in the path", with(&[(":path", "/first HTTP/1.1\r\nhost: x\r\n\r\nGET /admin")])),
        ("space in the path", with(&[(":path", "/first HTTP/1.1")])),
        ("empty path", with(&[(":path", "")])),
        ("path without a slash", with(&[(":path", "admin")])),
        ("path that continues the authority", with(&[(":path", ".elsewhere.example/admin")])),
        ("path that makes a user", with(&[(":path", "@elsewhere.example/admin")])),
        ("full address as a path", with(&[(":path", "http://elsewhere.example/admin")])),
        ("asterisk", with(&[(":path", "*")])),
        ("CRLF in the method", with(&[(":method", "GET /admin HTTP/1.1\r\nx: y")])),
        ("space in the method", with(&[(":method", "GET /admin?")])),
        ("lower case method", with(&[(":method", "post")])),
        ("scheme with a path", with(&[(":scheme", "http://elsewhere.example/admin?")])),
        ("other scheme", with(&[(":scheme", "ftp")])),
        ("path twice", twice(":path", "/admin")),
        ("method twice", twice(":method", "GET")),
        ("pseudo-header after the others", after(":path", "/admin")),
        ("unknown pseudo-header", twice(":x", "y")),
        ("status of an answer", twice(":status", "200")),
        (
            "CONNECT",
            vec![
                (":method".into(), "CONNECT".into()),
                (":authority".into(), "elsewhere.example:80".into()),
                ("hoop-session".into(), SECRET.into()),
            ],
        ),
        ("extended CONNECT", with(&[(":method", "CONNECT"), (":protocol", "websocket")])),
        ("another path in a header", with(&[("x-original-url", "/admin")])),
        ("no secret", usual.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()),
    ];
    for (name, fields) in refused {
        let mut raw = Raw::open(&front).await;
        raw.headers(1, END_HEADERS, &fields).await;
        raw.frame(DATA, END_STREAM, 1, chunked.as_bytes()).await;
        let end = raw.end(1).await;
        assert!(matches!(end, End::Reset | End::Gone | End::Refused), "{name}: {end:?}");
        assert!(api.lines().is_empty(), "{name}: {:?}", api.lines());
    }
    assert!(front.book.deeds().iter().all(|deed| !deed.starts_with("Allow")), "{:?}", front.book.deeds());
    // a length that is not the body's: what went before it showed is one call that was judged
    let lengths = ["0", "36", "0, 36", "+5", "5x", ""];
    for length in lengths {
        let before = api.lines().len();
        let mut raw = Raw::open(&front).await;
        raw.headers(1, END_HEADERS, &with(&[("content-length", length)])).await;
        raw.frame(DATA, END_STREAM, 1, chunked.as_bytes()).await;
        let end = raw.end(1).await;
        assert!(matches!(end, End::Reset | End::Gone | End::Refused), "{length}: {end:?}");
        let lines = api.lines().split_off(before);
        assert!(lines.iter().all(|line| line == "POST /first"), "{length}: {lines:?}");
    }
    let before = api.lines().len();
    assert_eq!(*front.closing.borrow(), None, "whoever leaves amid a call ends its connection alone");
    // and what is clean arrives as one call, whatever stands in its body
    let mut raw = Raw::open(&front).await;
    raw.headers(1, END_HEADERS, &with(&[("host", "api"), ("te", "trailers")])).await;
    raw.frame(DATA, END_STREAM, 1, chunked.as_bytes()).await;
    assert_eq!(raw.end(1).await, End::Answered);
    let seen = api.seen().split_off(before);
    let whole = seen.iter().filter(|seen| seen.body == chunked.as_bytes());
    assert_eq!(whole.count(), 1, "{seen:?}");
    assert!(api.lines().iter().all(|line| line == "POST /first"), "{:?}", api.lines());
}

/// CVE-2023-44487, CVE-2024-27316 and what is like them: whoever floods loses the connection, and nobody else anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_ends_its_connection_alone() {
    let api = Api::start().await;
    let front = Front::start(Setup::open(&api)).await;
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let call = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "api"),
        (":path", "/x"),
        ("hoop-session", SECRET),
    ];
    let call: Vec<_> = call.into_iter().map(own).collect();

    // calls that are taken back at once
    let mut raw = Raw::open(&front).await;
    let mut flood = Vec::new();
    for number in 0..20_000_u32 {
        let stream = number * 2 + 1;
        frame(&mut flood, HEADERS, END_HEADERS | END_STREAM, stream, &block(&call));
        frame(&mut flood, RST_STREAM, 0, stream, &8_u32.to_be_bytes());
    }
    raw.flood(&flood).await;
    assert_eq!(raw.end(u32::MAX).await, End::Gone, "resets");
    assert!(front.book.deeds().len() < 5_000, "{} calls were judged", front.book.deeds().len());

    // a head that never ends
    let mut raw = Raw::open(&front).await;
    let mut flood = Vec::new();
    frame(&mut flood, HEADERS, 0, 1, &block(&call));
    for number in 0..2_000 {
        let field = own((&format!("x-{number}"), &"y".repeat(8000)));
        frame(&mut flood, CONTINUATION, 0, 1, &block(&[field]));
    }
    raw.flood(&flood).await;
    assert_eq!(raw.end(u32::MAX).await, End::Gone, "continuations");

    // the same in crumbs, and in empty frames
    for piece in [block(&[own(("x", "y"))]), Vec::new()] {
        let mut raw = Raw::open(&front).await;
        let mut flood = Vec::new();
        frame(&mut flood, HEADERS, 0, 1, &block(&call));
        for _ in 0..200_000 {
            frame(&mut flood, CONTINUATION, 0, 1, &piece);
        }
        raw.flood(&flood).await;
        assert_eq!(raw.end(u32::MAX).await, End::Gone, "crumbs");
    }

    // more headers than one call may have, each of them short
    let mut raw = Raw::open(&front).await;
    let many = call.iter().cloned().chain((0..200).map(|number| own((&format!("x-{number}"), "y"))));
    raw.headers(1, END_HEADERS | END_STREAM, &many.collect::<Vec<_>>()).await;
    assert!(matches!(raw.end(1).await, End::Refused | End::Reset));
    let lines = api.lines().len();

    // more calls at a time than one connection may have: those above are refused, and the others go on
    let events: Vec<_> = call
        .iter()
        .cloned()
        .map(|(name, value)| match name.as_str() {
            ":path" => own((":path", "/events")),
            _ => (name, value),
        })
        .collect();
    let mut raw = Raw::open(&front).await;
    for number in 0..101_u32 {
        raw.headers(number * 2 + 1, END_HEADERS | END_STREAM, &events).await;
    }
    assert_eq!(raw.end(201).await, End::Reset);
    until("calls get to the API", || api.lines().len() > lines).await;
    // sixteen are with the API at a time, and no more
    assert!(api.lines().len() <= lines + 16, "{}", api.lines().len() - lines);

    let mut sender = connect(&front).await;
    assert_eq!(sender.send_request(get("/x")).await.unwrap().status().as_u16(), 200);
}

/// What became of a stream.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// An answer other than a refusal.
    Answered,
    /// The connection is over.
    Gone,
    /// A status of 4xx.
    Refused,
    /// The stream was reset.
    Reset,
}

/// A connection whose frames are written by hand (RFC 9113 §4).
struct Raw {
    stream: TcpStream,
}

impl Raw {
    async fn open(front: &Front) -> Self {
        let mut stream = TcpStream::connect(front.address).await.unwrap();
        let mut hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        frame(&mut hello, SETTINGS, 0, 0, &[]);
        stream.write_all(&hello).await.unwrap();
        Self { stream }
    }

    async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut bytes = Vec::new();
        frame(&mut bytes, kind, flags, stream, payload);
        // a connection that was closed meanwhile says so where it is read
        let _gone = self.stream.write_all(&bytes).await;
    }

    async fn headers(&mut self, stream: u32, flags: u8, fields: &[(String, String)]) {
        self.frame(HEADERS, flags, stream, &block(fields)).await;
    }

    /// Writes as much as is taken, and reads meanwhile, as somebody who floods does.
    async fn flood(&mut self, bytes: &[u8]) {
        let _gone = self.stream.write_all(bytes).await;
    }

    /// What becomes of a stream.
    async fn end(&mut self, wanted: u32) -> End {
        tokio::time::timeout(Duration::from_secs(60), self.told(wanted)).await.expect("it is told")
    }

    /// Reads until it is told what becomes of a stream.
    async fn told(&mut self, wanted: u32) -> End {
        loop {
            let mut head = [0; 9];
            if self.stream.read_exact(&mut head).await.is_err() {
                return End::Gone;
            }
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let mut payload = vec![0; length];
            if self.stream.read_exact(&mut payload).await.is_err() {
                return End::Gone;
            }
            match head[3] {
                GOAWAY if wanted == u32::MAX || payload[4..8] != [0; 4] => return End::Gone,
                RST_STREAM if stream == wanted => return End::Reset,
                // `:status` is the first field: 200, 204, 206, 304, 400 and 404 are in HPACK's table, other statuses
                // are written out behind the name
                HEADERS if stream == wanted => {
                    return match payload[0] {
                        0x88..=0x8b => End::Answered,
                        _ => End::Refused,
                    };
                }
                _ => {}
            }
        }
    }
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap();
    out.extend_from_slice(&length.to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Fields as literals without a table (RFC 7541 §6.2.2).
fn block(fields: &[(String, String)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            match text.len() {
                short @ 0..127 => out.push(u8::try_from(short).unwrap()),
                long => {
                    out.push(127);
                    let mut rest = long - 127;
                    while rest >= 128 {
                        out.push(u8::try_from(rest % 128).unwrap() | 128);
                        rest /= 128;
                    }
                    out.push(u8::try_from(rest).unwrap());
                }
            }
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
