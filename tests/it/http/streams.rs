//! Bodies that are long, slow, or become something else.

use std::time::Duration;

use hoopctl::domain::target::RecordLevel;
use hoopctl::gateway::journal::ItemKind;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::support::api::{Api, Front, PROTECTED, Setup};
use crate::support::gateway::SECRET;

async fn open(front: &Front, path: &str, more: &str) -> TcpStream {
    let mut stream = TcpStream::connect(front.address).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nHoop-Session: {SECRET}\r\n{more}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// The first event is there, masked, before the API has sent the second.
#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_as_they_are_sent() {
    let api = Api::start().await;
    let front = Front::start(Setup::masked(&api)).await;
    let mut lines = BufReader::new(open(&front, "/events", "Connection: close\r\n").await).lines();
    let mut seen = 0;
    while let Some(line) =
        tokio::time::timeout(Duration::from_secs(30), lines.next_line()).await.unwrap().unwrap()
    {
        assert!(!line.contains(PROTECTED), "{line}");
        if line.starts_with("data:") {
            assert!(line.contains("[masked]"), "{line}");
            seen += 1;
            api.go_on();
        }
    }
    assert_eq!(seen, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgraded_connection_echoes_both_ways() {
    let api = Api::start().await;
    let front = Front::start(Setup::open(&api)).await;
    let mut stream = open(&front, "/upgrade", "Connection: Upgrade\r\nUpgrade: websocket\r\n").await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    for message in ["hello", "and again"] {
        stream.write_all(message.as_bytes()).await.unwrap();
        let mut back = vec![0; message.len()];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(back, message.as_bytes());
    }
    drop(stream);
    super::until("the upgrade is recorded", || !front.book.recorded(ItemKind::Outcome).is_empty()).await;
    assert!(String::from_utf8_lossy(&front.book.recorded(ItemKind::Body)).contains("and again"));
}

/// The client reads nothing: the API is held up, and nobody keeps what it sends.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_passes_in_bounded_memory() {
    let api = Api::start().await;
    let front = Front::start(Setup { record: RecordLevel::Statements, ..Setup::masked(&api) }).await;
    let mut stream = open(&front, "/big", "Connection: close\r\n").await;
    let mut first = [0; 1024];
    stream.read_exact(&mut first).await.unwrap();
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = api.produced();
        if now == before {
            break;
        }
        before = now;
    }
    // sockets' buffers, and a few pieces
    assert!(before < 32 << 20, "{before} bytes are waiting somewhere");
    let (mut total, mut buffer) = (0_u64, vec![0; 256 * 1024]);
    loop {
        match stream.read(&mut buffer).await.unwrap() {
            0 => break,
            count => total += count as u64,
        }
    }
    assert!(total > 100 << 20, "{total}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_beyond_the_cap_is_refused_or_cut() {
    let api = Api::start().await;
    let front = Front::start(Setup { most: Some(50), ..Setup::open(&api) }).await;
    let answer = front.curl(&["-i"], "/traces/7").await;
    assert!(answer.starts_with("HTTP/1.1 502") && answer.contains("longer than the 50 bytes"), "{answer}");
    let cut = front.curl(&[], "/chunks").await;
    assert!(cut.contains("curl: ("), "{cut}");
    assert!(!cut.contains("\"n\":1"), "{cut}");
    assert_eq!(front.curl(&[], "/short").await, "here");
}

/// curl waits for `100 Continue` before it sends a long body.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_waits_for_the_go_ahead_and_arrives_whole() {
    let api = Api::start().await;
    let front = Front::start(Setup::open(&api)).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![b'x'; 9 << 20]).unwrap();
    let data = format!("@{}", file.path().display());
    let octets = "Content-Type: application/octet-stream";
    let answer =
        front.curl(&["--data-binary", &data, "-H", octets, "-H", "Expect: 100-continue"], "/x").await;
    assert_eq!(answer, "here");
    let answer =
        front.curl(&["-T", file.path().to_str().unwrap(), "-H", "Transfer-Encoding: chunked"], "/x").await;
    assert_eq!(answer, "here");
    assert!(api.seen().iter().all(|seen| seen.body.len() == 9 << 20));
    assert!(api.seen().iter().all(|seen| !seen.headers.contains_key("expect")));
}
