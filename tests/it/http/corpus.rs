//! Requests that two servers may read differently, as they were published.
//!
//! Sources, for the facts and not the words: the mutations of defparam's smuggler (its `default`, `doubles` and
//! `exhaustive` lists: a character beside the name, the colon and the value of `Transfer-Encoding`); `HTTP Desync
//! Attacks` and `HTTP/1 Must Die` of James Kettle (CL.TE, TE.CL, CL.0, 0.CL); `HTTP Request Smuggling in 2020` of Amit
//! Klein; HTTP Garden of Kallus and Anantharaman (chunk sizes, extensions, bare CR and LF); h2c smuggling of Bishop
//! Fox; RFC 9112 §11.2.

/// One payload: its name and its bytes, in which `{n}` is a number and `{auth}` lets the first request in.
pub(super) struct Payload {
    pub(super) name: String,
    bytes: Vec<u8>,
}

impl Payload {
    fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), bytes }
    }

    /// The bytes on the wire.
    pub(super) fn bytes(&self, number: usize, auth: &str) -> Vec<u8> {
        let number = number.to_string();
        replace(&replace(&self.bytes, b"{n}", number.as_bytes()), b"{auth}", auth.as_bytes())
    }
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), bytes);
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// What must never be received as a request.
pub(super) const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";

/// A POST with these lines in its head, and this body.
fn post(lines: &[u8], body: &[u8]) -> Vec<u8> {
    [b"POST /p{n} HTTP/1.1\r\nHost: x\r\n{auth}", lines, b"\r\n", body].concat()
}

/// A POST with a line beside `Content-Length`, whose body is empty to those who read chunks.
fn beside_length(line: &[u8]) -> Vec<u8> {
    let body = format!("0\r\n\r\n{HIDDEN}");
    post(&[line, format!("\r\nContent-Length: {}\r\n", body.len()).as_bytes()].concat(), body.as_bytes())
}

/// Some hundred of one kind, each with another character.
pub(super) fn characters() -> Vec<Payload> {
    let mut all = Vec::new();
    for byte in (1..=0x20).chain(0x7f..=0xff_u8) {
        for (place, line) in [
            ("mid", [b"Transfer-Encoding:", &[byte][..], b"chunked"].concat()),
            ("post", [b"Transfer-Encoding", &[byte][..], b": chunked"].concat()),
            ("pre", [&[byte][..], b"Transfer-Encoding: chunked"].concat()),
            ("end", [b"Transfer-Encoding: chunked", &[byte][..]].concat()),
            ("x-pre", [b"X: X", &[byte][..], b"Transfer-Encoding: chunked"].concat()),
            ("x-end", [b"Transfer-Encoding: chunked", &[byte][..], b"X: X"].concat()),
            ("r-pre", [b"X: X\r", &[byte][..], b"Transfer-Encoding: chunked"].concat()),
            ("n-pre", [b"X: X", &[byte][..], b"\nTransfer-Encoding: chunked"].concat()),
            ("r-end", [b"Transfer-Encoding: chunked\r", &[byte][..], b"X: X"].concat()),
            ("n-end", [b"Transfer-Encoding: chunked", &[byte][..], b"\nX: X"].concat()),
        ] {
            all.push(Payload::new(format!("TE {place} {byte:02x}"), beside_length(&line)));
        }
    }
    all
}

/// One of each other kind.
pub(super) fn kinds() -> Vec<Payload> {
    let mut all = Vec::new();
    for line in [
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunk",
        "Transfer-Encoding: chunked, cow",
        "Transfer-Encoding: cow, chunked",
        "Transfer-Encoding: cow chunked bar",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: 'chunked'",
        "Transfer-Encoding:chunked",
        "Transfer Encoding: chunked",
        "Transfer_Encoding: chunked",
        "TRANSFER-ENCODING: CHUNKED",
        "TrAnSFer-EnCODinG: cHuNkeD",
        "Transfer-Encoding: ch\u{fc}nked",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding: chunked\r\n ",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding:\n chunked",
        "Transfer\r-Encoding: chunked",
        "Transfer-Encoding\r\n: chunked",
        "Foo: bar\r\n Transfer-Encoding: chunked",
        "Content-Encoding: chunked",
        "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "X: \0\r\nTransfer-Encoding: chunked",
        "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
        "Connection: Content-Length",
        "Expect: 100-continue\r\nTransfer-Encoding: chunked",
        "Expect: y 100-continue",
    ] {
        all.push(Payload::new(format!("beside CL: {line:?}"), beside_length(line.as_bytes())));
    }
    let length = HIDDEN.len();
    for lines in [
        format!("Content-Length: 0\r\nContent-Length: {length}"),
        format!("Content-Length: {length}\r\nContent-Length: 0"),
        format!("Content-Length: {length}\r\nContent-Length: {length}"),
        format!("Content-Length: 0, {length}"),
        format!("Content-Length: {length}, {length}"),
        format!("Content-Length: +{length}"),
        "Content-Length: -1".into(),
        format!("Content-Length: 0x{length:x}"),
        format!("Content-Length: {length}.0"),
        format!("Content-Length: 0 {length}"),
        format!("Content-Length : {length}"),
        format!("Content-Length\t: {length}"),
        format!(" Content-Length: {length}"),
        format!("Content_Length: {length}"),
        format!("Content-Length:\x0b{length}"),
        format!("Content-Length: {length}\x0c"),
        format!("Content-Length:\r\n {length}"),
        format!("Content-Length: \n{length}"),
        format!("Content-Length: \"{length}\""),
        "Content-Length: 18446744073709551616".into(),
        "Content-Length: 99999999999999999999999".into(),
        "Content-Length:".into(),
        "Content-Length: \u{665}".into(),
        "Content-Length: 1e1".into(),
        format!("Content Length: {length}"),
        format!("X: y\rContent-Length: {length}"),
        format!("\0Content-Length: {length}"),
        format!("Content-Length\0: {length}"),
        format!("content-length: 00{length}"),
        format!("Content-Length:{length}"),
    ] {
        all.push(Payload::new(
            format!("{lines:?}"),
            post(format!("{lines}\r\n").as_bytes(), HIDDEN.as_bytes()),
        ));
    }
    for chunks in [
        format!("0\r\n\r\n{HIDDEN}"),
        format!("0;a=\"\r\n\r\n{HIDDEN}"),
        format!("0;\nx\r\n\r\n{HIDDEN}"),
        format!("0\n\n{HIDDEN}"),
        format!("0\r\n\n{HIDDEN}"),
        format!("0\r\r\n\r\n{HIDDEN}"),
        format!("+0\r\n\r\n{HIDDEN}"),
        format!("-0\r\n\r\n{HIDDEN}"),
        format!("0x0\r\n\r\n{HIDDEN}"),
        format!("0 \r\n\r\n{HIDDEN}"),
        format!(" 0\r\n\r\n{HIDDEN}"),
        format!("0\t\r\n\r\n{HIDDEN}"),
        format!("\r\n0\r\n\r\n{HIDDEN}"),
        format!("\r\n\r\n{HIDDEN}"),
        format!("g\r\n\r\n{HIDDEN}"),
        format!("0_0\r\n\r\n{HIDDEN}"),
        format!("10000000000000000\r\n{HIDDEN}"),
        format!("100000000000000000\r\n\r\n0\r\n\r\n{HIDDEN}"),
        format!("ffffffffffffffff\r\n{HIDDEN}"),
        format!("8000000000000000\r\n{HIDDEN}"),
        format!("1\r\nZ0\r\n\r\n{HIDDEN}"),
        format!("1\r\nZ\n0\r\n\r\n{HIDDEN}"),
        format!("1\r\nZQ\r\n0\r\n\r\n{HIDDEN}"),
        format!("1\rZ\r\n0\r\n\r\n{HIDDEN}"),
        format!("0\r\nContent-Length: 5\r\n\r\n{HIDDEN}"),
        format!("0\r\nTransfer-Encoding: chunked\r\n\r\n{HIDDEN}"),
        format!("0\r\nX: y\r\n z\r\n\r\n{HIDDEN}"),
        format!("0\r\nX: y\n\r\n{HIDDEN}"),
        format!("0\r\nX\r\n\r\n{HIDDEN}"),
        format!("{length:x}\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("5;x={}\r\nabcde\r\n0\r\n\r\n{HIDDEN}", "y".repeat(20_000)),
        format!("\u{ff10}\r\n\r\n{HIDDEN}"),
        format!("0\0\r\n\r\n{HIDDEN}"),
        format!("00000000000000000\r\n\r\n{HIDDEN}"),
    ] {
        let name: String = format!("{chunks:?}").chars().take(40).collect();
        all.push(Payload::new(
            format!("chunks {name}"),
            post(b"Transfer-Encoding: chunked\r\n", chunks.as_bytes()),
        ));
    }
    for (line, rest) in [
        ("GET /p{n}", ""),
        ("GET /p{n} HTTP/0.9", ""),
        ("GET /p{n} HTTP/1.2", ""),
        ("GET /p{n} HTTP/2.0", ""),
        ("GET /p{n} HTTP/1.1x", ""),
        ("GET /p{n} HTTP/01.1", ""),
        ("GET /p{n} http/1.1", ""),
        ("GET /p{n} HTTP/1.1 ", ""),
        ("GET  /p{n} HTTP/1.1", ""),
        ("GET\t/p{n} HTTP/1.1", ""),
        ("GET /p{n}\tHTTP/1.1", ""),
        (" GET /p{n} HTTP/1.1", ""),
        ("GET /p{n} x HTTP/1.1", ""),
        ("GET /p{n}\0 HTTP/1.1", ""),
        ("GET /p{n}#/../hidden HTTP/1.1", ""),
        ("GET /p{n}\\..\\hidden HTTP/1.1", ""),
        ("GET /p{n}/..;/hidden HTTP/1.1", ""),
        ("GET /p{n}/%2e%2e/hidden HTTP/1.1", ""),
        ("GET /p{n}%0d%0aX:y HTTP/1.1", ""),
        ("GET /p{n}?\rX HTTP/1.1", ""),
        ("GET hidden HTTP/1.1", ""),
        ("GET * HTTP/1.1", ""),
        ("GET //hidden/p{n} HTTP/1.1", ""),
        ("GET http://elsewhere/hidden HTTP/1.1", ""),
        ("GET http://api@elsewhere/hidden HTTP/1.1", ""),
        ("GET http://api:80@elsewhere/hidden HTTP/1.1", ""),
        ("GET http:/hidden HTTP/1.1", ""),
        ("GET http:///hidden HTTP/1.1", ""),
        ("GET file:///hidden HTTP/1.1", ""),
        ("GET @elsewhere/hidden HTTP/1.1", ""),
        ("GET :80/hidden HTTP/1.1", ""),
        ("CONNECT hidden:80 HTTP/1.1", ""),
        ("PRI * HTTP/2.0", "\r\nSM\r\n\r\n"),
        ("get /hidden HTTP/1.1", ""),
        ("G\u{e9}T /hidden HTTP/1.1", ""),
        ("GET /p{n} HTTP/1.0\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
    ] {
        let bytes = format!("{line}\r\nHost: x\r\n{{auth}}\r\n{rest}{HIDDEN}");
        all.push(Payload::new(format!("{line:?}"), bytes.into_bytes()));
    }
    for host in [
        "",
        "Host: x\r\nHost: hidden\r\n",
        "Host: x\r\nhost: x\r\n",
        "Host: a b\r\n",
        "Host: a,b\r\n",
        "Host: x@hidden\r\n",
        "Host: x/hidden\r\n",
        "Host: x?y\r\n",
        "Host: x#y\r\n",
        "Host: x\0\r\n",
        "Host: \u{e9}\r\n",
        "Host : x\r\n",
        " Host: x\r\n",
        "X: y\r\n Host: x\r\n",
        "Host: http://hidden\r\n",
        "Host: x\r\nX-Original-URL: /hidden\r\n",
        "Host: x\r\nX-HTTP-Method-Override: DELETE\r\n",
        "Host: x\r\nConnection: Host\r\n",
        "Host: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
        "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
        "Host: x\r\nConnection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
        "Host: x\r\nConnection: Upgrade\r\nUpgrade: HTTP/2.0\r\n",
    ] {
        let bytes = format!("GET /p{{n}} HTTP/1.1\r\n{host}{{auth}}\r\n{HIDDEN}");
        all.push(Payload::new(format!("head {host:?}"), bytes.into_bytes()));
    }
    all
}

/// What everybody reads alike, and has to pass.
pub(super) fn plain() -> Vec<Payload> {
    let all: [&[u8]; 6] = [
        b"Transfer-Encoding: \tCHUNKED \r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"transfer-encoding:chunked\r\n\r\n0A\r\n0123456789\r\n00\r\nX: y\r\n\r\n",
        b"Content-Length: 5\r\n\r\nabcde",
        b"content-length:05\r\n\r\nabcde",
        b"Content-Length: 0\r\n\r\n",
        b"\r\n",
    ];
    let named = |(at, rest): (usize, &[u8])| {
        let bytes = [b"POST /p{n} HTTP/1.1\r\nHost: x\r\n{auth}", rest].concat();
        Payload::new(format!("plain {at}"), bytes)
    };
    all.into_iter().enumerate().map(named).collect()
}
