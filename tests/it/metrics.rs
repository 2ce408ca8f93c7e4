//! What Prometheus reads.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::env::Env;
use crate::support::postgres::free_port;
use crate::support::world::{PLANTED, Twist, World, psql};

/// Samples by name and labels.
type Samples = BTreeMap<String, f64>;

/// The text exposition format, version 0.0.4, as strictly as Prometheus reads it.
fn read(text: &str) -> Samples {
    let (mut types, mut helped) = (BTreeMap::new(), BTreeSet::new());
    let mut samples = Samples::new();
    assert!(text.ends_with('\n'), "the last line must end");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, _) = rest.split_once(' ').expect("a name and words");
            assert!(helped.insert(name.to_owned()), "{name} is explained twice");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a kind");
            assert!(matches!(kind, "counter" | "gauge"), "{line}");
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} has two types");
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a series and a value");
            let name = series.split('{').next().expect("a name");
            let fits = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(name.starts_with("hoopctl_") && name.chars().all(fits), "{line}");
            assert!(helped.contains(name), "{name} has no help");
            let kind = types.get(name).unwrap_or_else(|| panic!("{name} has no type"));
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            if let Some(labels) = series.strip_prefix(name).filter(|labels| !labels.is_empty()) {
                let labels = labels.strip_prefix('{').and_then(|l| l.strip_suffix('}')).expect("braces");
                let (label, word) = labels.split_once('=').expect("one label");
                assert!(label.chars().all(fits), "{line}");
                let word = word.strip_prefix('"').and_then(|w| w.strip_suffix('"')).expect("quotes");
                assert!(word.chars().all(|c| c.is_ascii_alphanumeric() || c == ' '), "{line}");
            }
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
            assert!(value.is_finite() && value >= 0.0, "{line}");
            assert!(samples.insert(series.to_owned(), value).is_none(), "{series} comes twice");
        }
    }
    samples
}

async fn get(port: u16, path: &str) -> reqwest::Response {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    client.get(format!("http://127.0.0.1:{port}{path}")).send().await.expect("an answer")
}

async fn scrape(port: u16) -> (Samples, String) {
    let answer = get(port, "/metrics").await;
    assert_eq!(answer.status(), 200);
    let kind = answer.headers()["content-type"].to_str().expect("text").to_owned();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    let text = answer.text().await.expect("text");
    (read(&text), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_prometheus_text_that_moves_and_tells_nobody_anything() {
    let port = free_port();
    let listen = format!("metrics_listen = \"127.0.0.1:{port}\"");
    let presets = &["allow-statements", "destructive-sql"];
    let world = World::start(Twist { broker: &listen, presets, ..Twist::default() }).await;
    let (before, _) = scrape(port).await;
    let alice = world.login("alice").await;
    psql(&alice, "SELECT api_key FROM reasoning_traces WHERE id = 1").await.ends(0);
    assert_ne!(psql(&alice, "DROP TABLE plain").await.code, 0);
    alice.forget_access();
    alice.run(&["whoami"]).await.ends(0);
    world.until_no_roles().await;
    // a stranger's token is refused
    let mut stranger = Env::new(&world.broker.url);
    stranger.set("HOOPCTL_BROKER_PIN", &world.pin());
    stranger.set("HOOPCTL_WORKLOAD", "env:TOKEN");
    stranger.set("TOKEN", "not.a.token");
    stranger.run(&["list"]).await.ends(79);
    let child = world.sleeping(&alice).await;
    // sessions and connections are counted once a second
    let mut now = scrape(port).await;
    for _ in 0..100 {
        if now.0["hoopctl_sessions"] > 0.0 && now.0["hoopctl_connections"] > 0.0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        now = scrape(port).await;
    }
    let (after, text) = now;
    drop(child);

    let rose = |series: &str| {
        after.get(series).copied().unwrap_or_default() - before.get(series).copied().unwrap_or_default()
    };
    for (series, least) in [
        ("hoopctl_verdicts_total{verdict=\"allow\"}", 2.0),
        ("hoopctl_verdicts_total{verdict=\"deny\"}", 1.0),
        ("hoopctl_leases_total{event=\"issued\"}", 3.0),
        ("hoopctl_leases_total{event=\"revoked\"}", 2.0),
        ("hoopctl_logins_total{outcome=\"login\"}", 1.0),
        ("hoopctl_logins_total{outcome=\"refresh\"}", 1.0),
        ("hoopctl_logins_total{outcome=\"refused\"}", 1.0),
        ("hoopctl_api_answers_total{status=\"200\"}", 5.0),
        ("hoopctl_ledger_entries_total", 10.0),
        ("hoopctl_sessions", 1.0),
        ("hoopctl_connections", 1.0),
    ] {
        assert!(rose(series) >= least, "{series} rose by {}, not {least}:\n{text}", rose(series));
    }
    for series in ["hoopctl_ledger_failures_total", "hoopctl_leases_stuck", "hoopctl_turned_away_total"] {
        assert!(rose(series).abs() < 0.5, "{series}:\n{text}");
    }
    for (series, value) in before.iter().filter(|(series, _)| series.contains("_total")) {
        assert!(after[series] >= *value, "{series} fell");
    }
    let password = world.cluster.password.as_str();
    for secret in [PLANTED, password, "alice", "corp", "reasoning_traces", "SELECT", "hoop_", "127.0.0.1"] {
        assert!(!text.contains(secret), "{secret}:\n{text}");
    }
    // nothing else is to be had there, and no metrics at the one port
    for path in ["/", "/v1/info", "/v1/ledger/checkpoint", "/healthz"] {
        assert_eq!(get(port, path).await.status(), 404, "{path}");
    }
    let client = reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).build();
    let api = format!("https://127.0.0.1:{}/metrics", world.broker.port);
    let answer = client.expect("a client").get(api).send().await.expect("an answer");
    assert_eq!(answer.status(), 404);
}
