//! Whose credential goes where.

use hoopctl::domain::target::Injection;
use hoopctl::gateway::journal::ItemKind;

use super::status;
use crate::support::api::{Api, Front, INJECTED, Setup};
use crate::support::gateway::SECRET;

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_the_sessions_secret_reaches_nobody() {
    let api = Api::start().await;
    let front = Front::start(Setup::open(&api)).await;
    for (header, expected) in [
        ("X: y".to_owned(), "401"),
        ("Hoop-Session: open sesam".to_owned(), "401"),
        (format!("Authorization: Bearer {SECRET}"), "401"),
        (format!("Cookie: hoop-session={SECRET}"), "401"),
        (format!("Hoop-Session: {SECRET}"), "200"),
    ] {
        let answer = front
            .raw(format!("GET /x HTTP/1.1\r\nHost: x\r\n{header}\r\nConnection: close\r\n\r\n").as_bytes())
            .await;
        assert_eq!(status(&answer), expected, "{header}: {answer}");
    }
    let proxied = front.raw(b"GET http://api/x HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&proxied), "407", "{proxied}");
    assert_eq!(api.lines(), ["GET /x"]);
    let allowed: Vec<_> = front.book.deeds().into_iter().filter(|deed| deed.starts_with("Allow")).collect();
    assert_eq!(allowed, ["Allow GET /x"]);
}

/// The client proves itself to the gateway; the API sees the lease, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn the_clients_own_credentials_stay_here() {
    let api = Api::start().await;
    for (injection, name, value) in [
        (Injection::Bearer, "authorization", format!("Bearer {INJECTED}")),
        (Injection::Header { name: "x-api-key".into() }, "x-api-key", INJECTED.to_owned()),
        (Injection::Cookie { name: "sid".into() }, "cookie", format!("sid={INJECTED}")),
    ] {
        let front = Front::start(Setup { injection: Some(injection), ..Setup::open(&api) }).await;
        let own = [
            "-H",
            "X-Api-Key: mine",
            "-H",
            "X_Api_Key: mine",
            "-H",
            "Cookie: sid=mine",
            "-H",
            "Proxy-Authorization: Basic bWluZQ==",
            "-H",
            "X-Forwarded-For: mine",
            "-H",
            "Forwarded: for=mine",
            "-H",
            "X-Forwarded-User: mine",
        ];
        front.curl(&own, "/x").await;
        let seen = api.seen().pop().expect("a call");
        assert_eq!(seen.headers[name], value.as_str());
        assert_eq!(seen.headers.get_all(name).iter().count(), 1);
        let shown = format!("{:?}", seen.headers);
        assert!(!shown.contains("mine") && !shown.contains("hoop-session"), "{shown}");
        assert!(name == "authorization" || !seen.headers.contains_key("authorization"), "{shown}");
    }
    let front =
        Front::start(Setup { injection: Some(Injection::Query { name: "key".into() }), ..Setup::open(&api) })
            .await;
    front.curl(&[], "/x?a=b").await;
    let seen = api.lines().pop().expect("a call");
    assert!(seen.starts_with("GET /x?a=b&key=sk-upstream-0123456789%2Fabc%2Bdef%3D%3D"), "{seen}");
    let answer = front.curl(&["-o", "/dev/null", "-w", "%{http_code}"], "/x?key=mine").await;
    assert_eq!(answer, "400");
    let front = Front::start(Setup { injection: None, ..Setup::open(&api) }).await;
    front.curl(&[], "/x").await;
    assert!(!api.seen().pop().expect("a call").headers.contains_key("authorization"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_injected_secret_never_comes_back() {
    let api = Api::start().await;
    let basic = Injection::Basic { user: "svc".into() };
    for injection in [Injection::Bearer, basic, Injection::Query { name: "key".into() }] {
        let front = Front::start(Setup { injection: Some(injection.clone()), ..Setup::open(&api) }).await;
        for (path, arguments) in [
            ("/echo", &["-i"][..]),
            ("/echo", &["-i", "-X", "TRACE"]),
            ("/echo", &["-i", "-I"]),
            ("/echo-chunked", &["-i"]),
            ("/echo-gzip", &["-i", "--compressed"]),
            ("/error", &["-i"]),
            ("/redirect", &["-i"]),
        ] {
            let answer = front.curl(arguments, path).await;
            assert!(answer.starts_with("HTTP/1.1 "), "{path}: {answer}");
            for form in forms() {
                assert!(!answer.contains(&form), "{injection:?} {path} {arguments:?}: {answer}");
            }
        }
        let echo = front.curl(&[], "/echo").await;
        assert!(echo.contains("[redacted]"), "{echo}");
        for kind in [ItemKind::Head, ItemKind::Body, ItemKind::Statement, ItemKind::Outcome] {
            let recorded = String::from_utf8_lossy(&front.book.recorded(kind)).into_owned();
            assert!(forms().iter().all(|form| !recorded.contains(form)), "{kind:?}: {recorded}");
        }
    }
}

fn forms() -> Vec<String> {
    use base64::Engine as _;
    let encode = |text: &str| base64::prelude::BASE64_STANDARD.encode(text);
    vec![
        INJECTED.to_owned(),
        "sk-upstream".to_owned(),
        encode(INJECTED),
        encode(&format!("svc:{INJECTED}")),
        "sk-upstream-0123456789%2Fabc%2Bdef%3D%3D".to_owned(),
    ]
}

/// Nobody follows a redirect here; one that leads back to the target leads back through the tunnel.
#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_told_and_not_followed() {
    let api = Api::start().await;
    let front = Front::start(Setup::open(&api)).await;
    let answer = front.curl(&["-i"], "/redirect").await;
    assert!(answer.contains("location: https://elsewhere.example/"), "{answer}");
    assert_eq!(api.lines(), ["GET /redirect"]);
    let answer = front.curl(&["-i"], "/redirect-home").await;
    assert!(answer.contains("location: /traces/7?a=b\r\n"), "{answer}");
    let followed = front.curl(&["-L"], "/redirect-home").await;
    assert!(followed.contains("\"id\":7"), "{followed}");
}
