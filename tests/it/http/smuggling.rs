//! Requests inside requests, and paths in disguise. The payloads follow those published for HTTP request smuggling
//! (CL.TE, TE.CL, TE.TE, obs-fold, bare CR and LF) and path confusion.

use super::status;
use crate::support::api::{Api, Front, OPEN, Setup};
use crate::support::gateway::SECRET;

pub(super) const FORBID: &str = r#"
@id("calls") permit(principal, action == Hoop::Action::"call", resource);
@id("no-admin") @reason("not for you") @hint("ask the owner")
forbid (principal, action == Hoop::Action::"call", resource)
when { context.path == "/admin" || context.path like "/admin/*" };
"#;

/// Whatever a request hides, the API sees no more requests than were judged, and never the hidden one.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_smuggled_past_the_verdict() {
    let api = Api::start().await;
    let front = Front::start(Setup { policy: FORBID, ..Setup::open(&api) }).await;
    let secret = format!("Host: x\r\nHoop-Session: {SECRET}\r\n");
    let hidden = "GET /admin HTTP/1.1\r\nHost: x\r\n\r\n";
    let chunked = format!("0\r\n\r\n{hidden}");
    let (length, all) = (hidden.len(), chunked.len());
    let cases = [
        ("CL.TE", format!("Content-Length: {all}\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}")),
        (
            "TE.CL",
            format!(
                "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{length:x}\r\n{hidden}\r\n0\r\n\r\n"
            ),
        ),
        ("CL.CL", format!("Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{hidden}")),
        ("CL list", format!("Content-Length: 0, {length}\r\n\r\n{hidden}")),
        ("CL sign", format!("Content-Length: +{length}\r\n\r\n{hidden}")),
        ("CL space", format!("Content-Length : {length}\r\n\r\n{hidden}")),
        ("CL hex", format!("Content-Length: 0x{length:x}\r\n\r\n{hidden}")),
        ("CL huge", format!("Content-Length: 18446744073709551617\r\n\r\n{hidden}")),
        ("TE twice", format!("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n{chunked}")),
        ("TE list", format!("Transfer-Encoding: chunked, identity\r\n\r\n{chunked}")),
        ("TE xchunked", format!("Transfer-Encoding: xchunked\r\nContent-Length: {all}\r\n\r\n{chunked}")),
        ("TE quoted", format!("Transfer-Encoding: \"chunked\"\r\nContent-Length: {all}\r\n\r\n{chunked}")),
        ("TE space", format!("Transfer-Encoding : chunked\r\nContent-Length: {all}\r\n\r\n{chunked}")),
        ("TE tab", format!("Transfer-Encoding:\tchunked\r\nContent-Length: {all}\r\n\r\n{chunked}")),
        (
            "TE vertical tab",
            format!("Transfer-Encoding: \x0bchunked\r\nContent-Length: {all}\r\n\r\n{chunked}"),
        ),
        ("TE underscore", format!("Transfer_Encoding: chunked\r\nContent-Length: {all}\r\n\r\n{chunked}")),
        ("obs-fold", format!("Transfer-Encoding:\r\n chunked\r\nContent-Length: {all}\r\n\r\n{chunked}")),
        (
            "obs-fold value",
            format!("X: a\r\n\tTransfer-Encoding: chunked\r\nContent-Length: {all}\r\n\r\n{chunked}"),
        ),
        ("bare CR", format!("X: a\rTransfer-Encoding: chunked\r\nContent-Length: {all}\r\n\r\n{chunked}")),
        ("bare LF", format!("X: a\nTransfer-Encoding: chunked\r\nContent-Length: {all}\r\n\r\n{chunked}")),
        ("NUL", format!("X: a\0\r\nContent-Length: {all}\r\n\r\n{chunked}")),
        ("chunk extension", format!("Transfer-Encoding: chunked\r\n\r\n0;a=\"\r\n\r\n{hidden}")),
        ("chunk size LF", format!("Transfer-Encoding: chunked\r\n\r\n0\n\n{hidden}")),
        ("chunk size sign", format!("Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n{hidden}")),
        ("chunk size space", format!("Transfer-Encoding: chunked\r\n\r\n0 \r\n\r\n{hidden}")),
        ("chunk size overflow", format!("Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n{hidden}")),
        ("trailer", format!("Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n{hidden}")),
        (
            "upgrade h2c",
            format!(
                "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n{hidden}"
            ),
        ),
        ("hop-by-hop Host", format!("Connection: Host\r\n\r\n{hidden}")),
    ];
    for (name, rest) in cases {
        let answer = front.raw(format!("POST /first HTTP/1.1\r\n{secret}{rest}").as_bytes()).await;
        let (lines, deeds) = (api.lines(), front.book.deeds());
        let allowed = deeds.iter().filter(|deed| deed.starts_with("Allow")).count();
        assert!(lines.len() <= allowed, "{name}: {lines:?} {deeds:?} {answer}");
        assert!(lines.iter().all(|line| line == "POST /first"), "{name}: {lines:?}");
    }
    // where both readings of a length are there, nobody gets either
    let both = format!(
        "POST /both HTTP/1.1\r\n{secret}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    );
    let answer = front.raw(format!("{both}GET /after HTTP/1.1\r\n{secret}\r\n").as_bytes()).await;
    assert!(status(&answer) == "400" && answer.contains("connection: close"), "{answer}");
    assert!(
        !api.lines().iter().any(|line| line.contains("after") || line.contains("both")),
        "{:?}",
        api.lines()
    );
}

/// What hides in the body of one request, and has the secret, is judged as a request of its own.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_pipelined_is_judged_one_by_one() {
    let api = Api::start().await;
    let front = Front::start(Setup { policy: FORBID, ..Setup::open(&api) }).await;
    let secret = format!("Host: x\r\nHoop-Session: {SECRET}\r\n");
    let both = format!(
        "GET /a HTTP/1.1\r\n{secret}\r\nGET /admin HTTP/1.1\r\n{secret}\r\nGET /b HTTP/1.1\r\n{secret}\r\n"
    );
    let answer = front.raw(both.as_bytes()).await;
    assert_eq!(api.lines(), ["GET /a", "GET /b"], "{answer}");
    assert!(answer.contains("403 Forbidden"), "{answer}");
    assert_eq!(front.book.deeds(), ["Allow GET /a", "Deny GET /admin", "Allow GET /b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_path_passes_a_rule_about_it() {
    let api = Api::start().await;
    let front = Front::start(Setup { policy: FORBID, ..Setup::open(&api) }).await;
    for path in [
        "/admin",
        "/admin/",
        "/admin/users",
        "//admin",
        "/./admin",
        "/x/../admin",
        "/x/..;/admin",
        "/x/..;a=b/admin",
        "/admin;a=b",
        "/;/admin",
        "/%61dmin",
        "/%2561dmin",
        "/x%2f..%2fadmin",
        "/x/%2e%2e/admin",
        "/x/.%2e/admin",
        "/x\\..\\admin",
        "/x/%5c../admin",
        "/admin%2f",
        "/admin%00",
        "/admin?x=y",
        "/%c0%ae%c0%ae/admin",
        "/\u{ff0e}\u{ff0e}/admin",
        "/admin%20",
        "/admin%09",
    ] {
        let before = api.lines().len();
        let answer = front.curl(&["-o", "/dev/null", "-w", "%{http_code}"], path).await;
        let lines = api.lines().split_off(before);
        let reached = lines
            .iter()
            .any(|line| line == "GET /admin" || line.starts_with("GET /admin/") || line.contains(".."));
        assert!(!reached, "{path}: {lines:?} {answer}");
        assert!(["400", "403", "200"].contains(&answer.as_str()), "{path}: {answer}");
    }
    // headers in which another path or method could be asked for
    for header in ["X-Original-URL: /admin", "X-Rewrite-Url: /admin", "X_HTTP_Method_Override: DELETE"] {
        let answer = front.curl(&["-o", "/dev/null", "-w", "%{http_code}", "-H", header], "/x").await;
        assert_eq!(answer, "400", "{header}");
    }
    // and what is sent is what was judged
    front.curl(&[], "/a/./b//c/../%64?q=1").await;
    assert_eq!(api.lines().last().unwrap(), "GET /a/b/d?q=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_base_is_ever_dialled() {
    let (api, other) = (Api::start().await, Api::start().await);
    let front = Front::start(Setup { policy: OPEN, ..Setup::open(&api) }).await;
    let secret = format!("Proxy-Authorization: Basic {}\r\n", base64(&format!("x:{SECRET}")));
    let send = async |line: &str, host: &str| {
        let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\n{secret}Connection: close\r\n\r\n");
        front.raw(request.as_bytes()).await
    };
    let (own, elsewhere) = (format!("127.0.0.1:{}", api.port), format!("127.0.0.1:{}", other.port));
    for (line, expected) in [
        (format!("GET http://{own}/a"), "200"),
        ("GET http://api/b".to_owned(), "200"),
        (format!("GET http://{elsewhere}/c"), "421"),
        ("GET http://169.254.169.254/latest/meta-data".to_owned(), "421"),
        (format!("GET http://{own}@{elsewhere}/d"), "400"),
        (format!("GET http://{elsewhere}#@{own}/e"), "4"),
        (format!("GET http://{own}.{elsewhere}/f"), "4"),
        (format!("CONNECT {elsewhere}"), "400"),
        ("GET ftp://x/g".to_owned(), "400"),
        ("OPTIONS *".to_owned(), "400"),
    ] {
        let answer = send(&line, &own).await;
        assert!(status(&answer).starts_with(expected), "{line}: {answer}");
    }
    // a `Host` of another place changes nothing: the API gets its own
    let answer = send("GET /h", &elsewhere).await;
    assert_eq!(status(&answer), "200");
    assert_eq!(api.lines(), ["GET /a", "GET /b", "GET /h"]);
    assert!(api.seen().iter().all(|seen| seen.headers["host"] == own.as_str()));
    assert!(other.lines().is_empty(), "{:?}", other.lines());
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(text)
}
