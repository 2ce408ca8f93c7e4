//! nginx as the API: its certificates, its parts and tags, its coding.

use hoopctl::gateway::journal::ItemKind;

use super::servers::{Authority, Server};
use crate::support::api::{Api, Front, INJECTED, PROTECTED, Setup, TRACE};

const TLS: &str = "ssl_certificate own.pem; ssl_certificate_key own.key; location /echo { return 200 $http_authorization; }";
const STATUS: &[&str] = &["-o", "/dev/null", "-w", "%{http_code}"];

/// Only the certificate that it should be: this authority's, in this name, not expired.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_right_certificate_is_trusted() {
    let (api, own, other) = (Api::start().await, Authority::new("own"), Authority::new("other"));
    for (issuer, name, until, expected) in [
        (&own, "localhost", 2040, "200"),
        (&other, "localhost", 2040, "502"),
        (&own, "elsewhere.example", 2040, "502"),
        (&own, "localhost", 2021, "502"),
    ] {
        let (chain, key) = issuer.certificate(name, until);
        let files = [("own.pem", chain.as_str()), ("own.key", &key)];
        let server = Server::nginx("ssl", &TLS.replace("own.", "{folder}/own."), &files);
        let base = format!("https://localhost:{}", server.port);
        let front = Front::start(Setup { base, roots: Some(own.file()), ..Setup::open(&api) }).await;
        let answer = front.curl(&["-i"], "/traces.json").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{name} {until}: {answer}");
        if expected == "502" {
            assert!(answer.contains("the API cannot be trusted") && !answer.contains(INJECTED), "{answer}");
            assert!(server.heard().is_empty(), "nothing is sent to a stranger: {:?}", server.heard());
        } else {
            assert_eq!(front.curl(&[], "/echo").await, "Bearer [redacted]");
        }
    }
}

/// The client certificate of the lease is shown; without one, or with a stranger's, nothing is reached.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_shown() {
    let (api, own, other) = (Api::start().await, Authority::new("own"), Authority::new("other"));
    let (chain, key) = own.certificate("localhost", 2040);
    let files = [("own.pem", chain.as_str()), ("own.key", &key), ("clients.pem", &own.pem())];
    let inside = "ssl_client_certificate {folder}/clients.pem; ssl_verify_client on; location /who { return 200 $ssl_client_verify; }";
    let server = Server::nginx("ssl", &format!("{}{inside}", TLS.replace("own.", "{folder}/own.")), &files);
    for (client, expected) in [
        (Some(own.certificate("gateway", 2040)), "SUCCESS"),
        (Some(other.certificate("gateway", 2040)), "400"),
        (None, "400"),
    ] {
        let base = format!("https://localhost:{}", server.port);
        let roots = Some(own.file());
        let front = Front::start(Setup { base, roots, client, injection: None, ..Setup::open(&api) }).await;
        let answer = front.curl(&["-w", " %{http_code}"], "/who").await;
        assert!(answer.contains(expected), "{answer}");
    }
}

/// Parts, tags, coding and redirects as a real server has them, with masks and without.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_servers_parts_tags_and_codings() {
    let api = Api::start().await;
    let inside = "location /go { return 302 https://elsewhere.example/a?b=c; }";
    let server = Server::nginx("", inside, &[]);
    std::fs::create_dir(server.folder().join("folder")).expect("a folder");
    let base = format!("http://127.0.0.1:{}", server.port);
    let open = Front::start(Setup { base: base.clone(), ..Setup::open(&api) }).await;
    assert_eq!(open.curl(&["-r", "1-8"], "/traces.json").await, TRACE[1..9]);
    let head = open.curl(&["-I"], "/traces.json").await;
    assert!(
        head.contains(&format!("content-length: {}", TRACE.len())) && head.contains("accept-ranges: bytes"),
        "{head}"
    );
    let tag = |head: &str| {
        let line = head.lines().find(|line| line.starts_with("etag: ")).expect("a tag");
        line.trim_start_matches("etag: ").trim().to_owned()
    };
    let known = format!("If-None-Match: {}", tag(&head));
    assert_eq!(open.curl(&[STATUS, &["-H", &known]].concat(), "/traces.json").await, "304");
    let packed = open.curl(&["-i", "--compressed"], "/traces.json").await;
    assert!(packed.contains("content-encoding: gzip") && packed.contains(PROTECTED), "{packed}");
    for (path, place) in
        [("/go", "location: https://elsewhere.example/a?b=c\r"), ("/folder", "location: /folder/\r")]
    {
        let answer = open.curl(&["-i"], path).await;
        assert!(answer.contains(place), "{path}: {answer}");
    }

    let masked = Front::start(Setup { base, ..Setup::masked(&api) }).await;
    for arguments in
        [&["-i", "--compressed"][..], &["-i", "-r", "1-8"], &["-i", "-H", "If-Range: \"x\""], &["-I"]]
    {
        let answer = masked.curl(arguments, "/traces.json").await;
        assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains(PROTECTED), "{arguments:?}: {answer}");
        assert!(!answer.contains("content-length: 1") && answer.contains("accept-ranges: none"), "{answer}");
        assert!(arguments.contains(&"-I") || answer.contains("\"api_key\":\"[masked]\""), "{answer}");
        // a tag of what is masked would tell whether a guess at it is right
        assert!(!answer.to_ascii_lowercase().contains("etag"), "{answer}");
        assert_eq!(masked.curl(&[STATUS, &["-H", &known]].concat(), "/traces.json").await, "200");
    }
    let recorded = String::from_utf8_lossy(&masked.book.recorded(ItemKind::Body)).into_owned();
    assert!(recorded.contains("[masked]") && !recorded.contains(PROTECTED), "{recorded}");
}
