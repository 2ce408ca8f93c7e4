#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;

/// What is read, which is the same however the bytes are cut.
fn read(bytes: &[u8]) -> Result<Vec<Opening>, Fault> {
    let whole = read_in(bytes, bytes.len().max(1));
    for size in [1, 2, 3, 7] {
        assert_eq!(read_in(bytes, size), whole, "in pieces of {size}");
    }
    whole
}

fn read_in(bytes: &[u8], size: usize) -> Result<Vec<Opening>, Fault> {
    let (mut framing, mut openings) = (Framing::default(), Vec::new());
    for piece in bytes.chunks(size) {
        framing.feed(piece, &mut openings).map_err(|stop| stop.fault)?;
    }
    Ok(openings)
}

#[test]
fn requests_follow_each_other() {
    let all = b"\r\nPOST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nGET\
        PUT /b HTTP/1.1\r\nTransfer-Encoding: \tChunked \r\nhost:\r\n\r\n3\r\na\r\n\r\n0A\r\n0123456789\r\n0\r\nX: y\r\n\r\n\
        PUT /c HTTP/1.1\r\nhost: [::1]:80\r\ntransfer-encoding: chunked\r\n\r\n00\r\n\r\n\
        GET http://x/ HTTP/1.0\r\n\r\n";
    let lengths: Vec<_> =
        read(all).unwrap().into_iter().map(|opening| (opening.method, opening.length)).collect();
    let expected = [
        ("POST", Length::Bytes(3)),
        ("PUT", Length::Chunked),
        ("PUT", Length::Chunked),
        ("GET", Length::None),
    ];
    assert_eq!(lengths, expected.map(|(method, length)| (method.to_owned(), length)));
}

#[test]
fn what_is_not_written_as_it_should_be_is_a_fault() {
    let head = |rest: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{rest}");
    let chunks = |rest: &str| head(&format!("Transfer-Encoding: chunked\r\n\r\n{rest}"));
    for (bytes, fault) in [
        ("GET /\r\n\r\n".to_owned(), Fault::RequestLine),
        ("GET  / HTTP/1.1\r\n\r\n".into(), Fault::RequestLine),
        ("GET / HTTP/2.0\r\n\r\n".into(), Fault::RequestLine),
        ("GET / HTTP/1.1 \r\n\r\n".into(), Fault::RequestLine),
        ("GET /#a HTTP/1.1\r\n\r\n".into(), Fault::RequestLine),
        ("G(T / HTTP/1.1\r\n\r\n".into(), Fault::RequestLine),
        ("\r\n\r\nGET / HTTP/1.1\r\n\r\n".into(), Fault::RequestLine),
        ("GET / HTTP/1.1\n\n".into(), Fault::LineEnd),
        ("GET / HTTP/1.1\r\n\r\n".into(), Fault::Host),
        (head("Host: y\r\n\r\n"), Fault::Host),
        ("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n".into(), Fault::Host),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".into(), Fault::Host),
        (head("X: a\rb\r\n\r\n"), Fault::LineEnd),
        (head("X: a\nb: c\r\n\r\n"), Fault::LineEnd),
        (head("X: a\0\r\n\r\n"), Fault::LineEnd),
        (head("X: a\r\n b\r\n\r\n"), Fault::Header),
        (head("X : a\r\n\r\n"), Fault::Header),
        (head("X\r\n\r\n"), Fault::Header),
        (head(": a\r\n\r\n"), Fault::Header),
        (head("X: \x0b\r\n\r\n"), Fault::Header),
        (head("Transfer_Encoding: chunked\r\n\r\n"), Fault::Header),
        (head("Content-Length: 1\r\nContent-Length: 1\r\n\r\n"), Fault::Length),
        (head("Content-Length: 1, 1\r\n\r\n"), Fault::Length),
        (head("Content-Length: +1\r\n\r\n"), Fault::Length),
        (head("Content-Length:\r\n\r\n"), Fault::Length),
        (head("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), Fault::Length),
        (head("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"), Fault::Length),
        (head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), Fault::Length),
        (head("Transfer-Encoding: gzip, chunked\r\n\r\n"), Fault::Length),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into(), Fault::Length),
        (chunks("1;a\r\nx\r\n"), Fault::Chunks),
        (chunks("-1\r\n"), Fault::Chunks),
        (chunks("0x1\r\n"), Fault::Chunks),
        (chunks(" 1\r\n"), Fault::Chunks),
        (chunks("\r\n"), Fault::Chunks),
        (chunks("1000000000000\r\n"), Fault::Chunks),
        (chunks("1\nx"), Fault::LineEnd),
        (chunks("1\r\nxy"), Fault::Chunks),
        (chunks("1\r\nx\n"), Fault::Chunks),
        (chunks("0\r\nHost: x\r\n\r\n"), Fault::Chunks),
        (chunks("0\r\n x\r\n\r\n"), Fault::Header),
    ] {
        assert_eq!(read(bytes.as_bytes()), Err(fault), "{bytes:?}");
    }
    let long = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(LONGEST_HEAD));
    assert_eq!(read_in(long.as_bytes(), 4096), Err(Fault::Long));
}

/// What came before a fault can still be used; nothing that comes after it can.
#[test]
fn a_fault_is_for_good() {
    let (mut framing, mut openings) = (Framing::default(), Vec::new());
    let first = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let bytes = [&first[..], b"GET /\n"].concat();
    let stop = framing.feed(&bytes, &mut openings).unwrap_err();
    assert_eq!(stop, Stop { fault: Fault::LineEnd, before: first.len(), is_body: false });
    assert_eq!(framing.feed(first, &mut openings).unwrap_err().fault, Fault::LineEnd);
    assert_eq!(openings.len(), 1);
    let mut headers = HeaderMap::new();
    assert!(openings.iter().all(|opening| opening.agrees(&Method::GET, &headers)));
    assert!(!openings.iter().any(|opening| opening.agrees(&Method::POST, &headers)));
    headers.insert("content-length", 0.into());
    assert!(!openings.iter().any(|opening| opening.agrees(&Method::GET, &headers)));
}
