//! HTTP APIs: curl, and whatever else takes a proxy or a base URL, through the real broker to a real API.

mod tools;

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use crate::http::peers;
use crate::support::demo_api::DemoApi;
use crate::support::env::Env;
use crate::support::house::House;

/// What only the broker holds.
const KEY: &str = "api-key-of-the-broker-alone";
/// Every key in the traces begins so.
const PLANTED: &str = "tracekey.";

/// An API of reasoning traces, a broker in front of it, and alice.
struct Stage {
    api: DemoApi,
    house: House,
    alice: Env,
}

async fn stage() -> Stage {
    let api = DemoApi::start(KEY);
    let targets = format!(
        r#"
[[target]]
name = "traces-api"
protocol = "http"
base = "http://127.0.0.1:{}/v1"
[target.issuer]
kind = "bearer"
secret = {{ file = "api-key" }}
[[target.mask]]
name = "keys"
path = "$..api_key"
mask = "full"
[[target.mask]]
name = "customers"
path = "$..customer_id"
mask = "full"
"#,
        api.port
    );
    let house = House::furnished(&targets, &[("api-key", KEY), ("policy.cedar", POLICY)]).await;
    let alice = house.machine().await;
    Stage { api, house, alice }
}

const POLICY: &str = r#"
@id("people.connect")
permit (principal in Hoop::Group::"corp/dba", action == Hoop::Action::"connect", resource);
@id("people.call")
permit (principal, action == Hoop::Action::"call", resource);
@id("no.exports")
@reason("nobody takes all traces at once")
forbid (principal, action == Hoop::Action::"call", resource) when { context.path like "*/export" };
"#;

#[tokio::test(flavor = "multi_thread")]
async fn curl_asks_for_a_path_and_sees_masked_data() {
    let stage = stage().await;
    for arguments in [
        ["connect", "traces-api", "--", "curl", "-sS", "--fail", "/traces/7"].as_slice(),
        &["connect", "traces-api", "--", "-sS", "--fail", "/traces/7"],
        &["connect", "traces-api", "--", "curl", "-sS", "--fail", "http://traces-api/traces/7"],
    ] {
        let ran = stage.alice.run(arguments).await.ends(0);
        assert!(ran.stdout.contains("\"api_key\":\"[masked]\""), "{}", ran.text());
        assert!(!ran.text().contains(PLANTED), "{}", ran.text());
    }
    let log = stage.house.broker.log();
    assert!(!log.contains(KEY) && !log.contains(PLANTED), "the broker's log holds a secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_is_a_403_that_names_the_rule_and_the_exit_code_is_curls() {
    let stage = stage().await;
    let ran = stage
        .alice
        .run(&["connect", "traces-api", "--", "curl", "-sS", "-i", "/traces/export"])
        .await
        .ends(0);
    assert!(ran.stdout.starts_with("HTTP/1.1 403"), "{}", ran.text());
    assert!(ran.stdout.contains("no.exports") && !ran.stdout.contains(PLANTED), "{}", ran.text());
    let failed = ["connect", "traces-api", "--", "curl", "-sS", "--fail", "/traces/export"];
    stage.alice.run(&failed).await.ends(22);
}

/// npm's validator takes what was called, and there is no secret in it.
#[tokio::test(flavor = "multi_thread")]
async fn calls_leave_as_har() {
    let stage = stage().await;
    let script = "curl -sS \"$HOOP_URL/traces/7?x=a%20b\"; curl -sS -o /dev/null -d '{\"a\":1}' -H 'content-type: application/json' \
        \"$HOOP_URL/traces\"; curl -sS -o /dev/null \"$HOOP_URL/traces/export\"";
    stage.alice.run(&["exec", "traces-api", "--", "sh", "-c", script]).await.ends(0);
    let session = crate::tampering::session(&stage.alice).await;
    let file = stage.alice.home().join("calls.har").to_string_lossy().into_owned();
    stage.alice.run(&["session", "export", &session, "--format", "har", "--out", &file]).await.ends(0);
    let text = std::fs::read_to_string(&file).expect("a file");
    assert!(!text.contains(KEY) && !text.contains(PLANTED), "{text}");
    let judged = |file: &str| {
        let place = crate::support::cached("exports", "exports").join("har");
        let script = "require('har-validator').har(JSON.parse(require('fs').readFileSync(process.argv[1])))\
            .then(() => console.log('valid'), why => { console.error(JSON.stringify(why.errors)); process.exit(1) })";
        let ran = Command::new("node").args(["-e", script, file]).current_dir(&place).output();
        crate::support::env::Ran::from(ran.expect("node runs"))
    };
    assert_eq!(judged(&file).ends(0).stdout, "valid\n");
    let whole: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let entries = whole["log"]["entries"].as_array().expect("entries");
    let of = |path: &str| {
        let url = format!("http://traces-api{path}");
        let found = entries.iter().find(|entry| entry["request"]["url"] == url.as_str());
        found.unwrap_or_else(|| panic!("no {url} in {text}"))
    };
    let asked = of("/v1/traces/7?x=[redacted]");
    assert_eq!(asked["response"]["status"], 200);
    assert!(
        asked["response"]["content"]["text"].as_str().is_some_and(|body| body.contains("[masked]")),
        "{asked}"
    );
    assert_eq!(of("/v1/traces")["request"]["postData"]["text"], "{\"a\":1}");
    let denied = of("/v1/traces/export");
    assert_eq!(
        (&denied["response"]["status"], &denied["_hoopctl"]["rule"]),
        (&403.into(), &"no.exports".into())
    );
    std::fs::write(&file, text.replace("\"startedDateTime\"", "\"started\"")).expect("written");
    judged(&file).ends(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_uploads_and_heads_pass_through_the_proxy() {
    let stage = stage().await;
    let curl = ["connect", "traces-api", "--", "curl", "-sS", "--fail"];
    let events = stage.alice.run(&[curl.as_slice(), &["-N", "/events"]].concat()).await.ends(0);
    assert_eq!(events.stdout.matches("event: trace\n").count(), 5, "{}", events.text());
    assert!(events.stdout.contains("[masked]") && !events.text().contains(PLANTED), "{}", events.text());
    let head = stage.alice.run(&[curl.as_slice(), &["-I", "/traces/7"]].concat()).await.ends(0);
    assert!(head.stdout.starts_with("HTTP/1.1 200"), "{}", head.text());

    let file = stage.alice.home().join("upload");
    std::fs::write(&file, "0123456789abcdef".repeat(64 << 10)).expect("a file");
    let body = format!("@{}", file.display());
    for more in ["X-Other: x", "Expect: 100-continue", "Transfer-Encoding: chunked"] {
        let upload = ["-H", more, "-H", "Content-Type: text/plain", "--data-binary", &body, "/echo"];
        let echo = stage.alice.run(&[curl.as_slice(), &upload].concat()).await.ends(0);
        let echo: serde_json::Value = serde_json::from_str(&echo.stdout).expect("JSON");
        assert_eq!(echo["method"], "POST");
        assert_eq!(echo["body"].as_str().map(str::len), Some(1 << 20), "{more}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_tool_finds_the_api_by_its_variables() {
    let stage = stage().await;
    let port = stage.api.port;
    let script = format!(
        r#"
set -e
curl -q -sS --fail "$TRACES_API_URL/traces/7"; echo
curl -q -sS --fail --noproxy '*' "$HOOP_URL/traces/7"; echo
curl -q -sS --fail --noproxy '*' --unix-socket "$HOOP_SOCKET" -u "hoop:$HOOP_SECRET" http://api/traces/7; echo
curl -q -sS --fail http://127.0.0.1:{port}/v1/traces/7; echo
curl -q -sS --fail https://traces-api/traces/7; echo
python3 -c 'import urllib.request as r; print(r.urlopen("https://traces-api/traces/7").read().decode())'
"#
    );
    let ran = stage.alice.run(&["exec", "traces-api", "--", "sh", "-c", &script]).await.ends(0);
    let masked = |line: &&str| line.contains("\"api_key\":\"[masked]\"");
    assert_eq!(ran.stdout.lines().filter(masked).count(), 6, "{}", ran.text());
    assert!(!ran.text().contains(PLANTED), "{}", ran.text());
}

/// Programs that speak gRPC are told of the proxy by its variables and know nothing of the session.
#[tokio::test(flavor = "multi_thread")]
async fn grpc_and_http2_pass_through_the_proxy_as_they_are() {
    let server = peers::Server::start("grpc_server.py", &[]).await;
    let port = server.port;
    let targets = format!(
        r#"
[[target]]
name = "echo-api"
protocol = "http"
base = "http://127.0.0.1:{port}"
only_http2 = true
[target.issuer]
kind = "bearer"
secret = {{ file = "api-key" }}
"#
    );
    let rule = r#"
@id("no-admin") @reason("not for you: 100 %")
forbid (principal, action == Hoop::Action::"call", resource)
when { context has operation && context.operation like "demo.Admin/*" };
"#;
    let policy = format!("{POLICY}{rule}");
    let house = House::furnished(&targets, &[("api-key", KEY), ("policy.cedar", &policy)]).await;
    let alice = house.machine().await;
    let python = peers::place().join("python/bin/python").display().to_string();
    let script = peers::script("grpc_client.py").display().to_string();
    let direct = format!("127.0.0.1:{port}");
    for (address, channel) in [("echo-api:80", "plain"), ("echo-api:443", "secure"), (&direct, "plain")] {
        let without = ["sh", "-c", "unset HOOP_SECRET; exec \"$@\"", "sh"];
        let words = [&without[..], &[&python, &script, address, channel, "all"]].concat();
        let ran = alice.run(&[&["exec", "echo-api", "--"], &words[..]].concat()).await.ends(0);
        assert!(ran.stdout.ends_with("denials\ndone\n") && !ran.text().contains(KEY), "{}", ran.text());
    }

    let stage = stage().await;
    let script = "curl -q -sS -i --http2 https://traces-api/traces/7; curl -q -sS -i --http1.1 https://traces-api/traces/7";
    let ran = stage.alice.run(&["exec", "traces-api", "--", "sh", "-c", script]).await.ends(0);
    for line in ["HTTP/2 200", "HTTP/1.1 200"] {
        assert!(ran.stdout.contains(line), "{}", ran.text());
    }
    let last = "\"api_key\":\"[masked]\",\"customer_id\":\"[masked]\",\"created_at\"";
    assert_eq!(ran.stdout.matches(last).count(), 2, "{}", ran.text());
    assert!(!ran.text().contains(PLANTED), "{}", ran.text());
}

/// Neither another host by the proxy, nor the API without the broker.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_else_is_reached_and_the_key_never_shows() {
    let stage = stage().await;
    let port = stage.api.port;
    let script = format!(
        r#"
curl -q -sS -o /dev/null -w '%{{http_code}}\n' http://example.org/
curl -q -sS -o /dev/null -w '%{{http_connect}}\n' https://example.org/
curl -q -sS -o /dev/null -w '%{{http_code}}\n' http://127.0.0.1:{port}/other
curl -q -sS -o /dev/null -w '%{{http_code}}\n' --noproxy '*' http://127.0.0.1:{port}/v1/traces/7
curl -q -sS -H 'Authorization: Bearer mine' -H 'Hoop-Session: x' "$HOOP_URL/echo"
env
"#
    );
    let ran = stage.alice.run(&["exec", "traces-api", "--", "sh", "-c", &script]).await.ends(0);
    assert!(ran.stdout.starts_with("403\n403\n403\n401\n"), "{}", ran.text());
    assert!(!ran.text().contains(KEY) && !ran.stdout.contains("Bearer mine"), "{}", ran.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_of_the_same_user_is_refused() {
    let stage = stage().await;
    let mut command = stage.alice.command(&[
        "exec",
        "traces-api",
        "--",
        "sh",
        "-c",
        "echo $HOOP_URL $HOOP_SOCKET; exec sleep 60",
    ]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it runs");
    let stdout = child.stdout.take().expect("a pipe");
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(stdout));
    let line = lines.next_line().await.expect("a line").expect("a line");
    let (url, socket) = line.split_once(' ').expect("both");
    let call = |more: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["-q", "-sS", "-i", "--noproxy", "*"]).args(more);
        String::from_utf8_lossy(&curl.output().expect("curl runs").stdout).into_owned()
    };
    let direct = format!("{url}/traces/7");
    for told in [
        call(&[&direct]),
        call(&["--unix-socket", socket, "http://hoop/traces/7"]),
        call(&["--noproxy", "", "--proxy", url, "http://traces-api/traces/7"]),
    ] {
        assert!(told.starts_with("HTTP/1.1 403"), "{told}");
        assert!(told.contains("only the program that hoopctl started"), "{told}");
    }
    child.kill().await.expect("it ends");
}

/// What `ps` shows of all that runs, and the modes of what lies in the private directory.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_an_argument_or_in_a_file_of_others() {
    let stage = stage().await;
    // in the place of curl, and told what curl is told
    let curl = stage.alice.home().join("curl");
    std::fs::write(
        &curl,
        "#!/bin/sh
echo \"$@\"
cat \"$2\"
echo \"secret $HOOP_SECRET\"
tr '\\0' '\\n' </proc/$$/cmdline | sed 's/^/argument /'
tr '\\0' '\\n' </proc/$PPID/cmdline | sed 's/^/argument /'
dir=$(dirname \"$HOOP_SOCKET\"); stat -c 'mode %a' \"$dir\" \"$dir\"/*
",
    )
    .expect("a script");
    std::fs::set_permissions(&curl, std::fs::Permissions::from_mode(0o755)).expect("a script");
    let curl = curl.display().to_string();
    let ran = stage.alice.run(&["connect", "traces-api", "--", &curl, "-sS", "/traces/7"]).await.ends(0);
    let told = ran.stdout.lines().next().expect("arguments");
    assert!(told.starts_with("-K /") && told.ends_with("/curlrc -sS http://traces-api/traces/7"), "{told}");
    let lines = |prefix: &str| -> Vec<&str> {
        ran.stdout.lines().filter_map(|line| line.strip_prefix(prefix)).collect()
    };
    let secret = lines("secret ").concat();
    assert!(secret.len() > 20, "{}", ran.text());
    assert!(lines("proxy = ").concat().contains(&secret), "{}", ran.text());
    assert!(lines("argument ").len() > 8, "{}", ran.text());
    assert!(lines("argument ").iter().all(|argument| !argument.contains(&secret)), "{}", ran.text());
    assert_eq!(lines("mode "), ["700", "600", "600", "600"], "{}", ran.text());
    let log = std::fs::read_to_string(stage.alice.state().join("log/loopback.jsonl")).unwrap_or_default();
    assert!(!log.contains(&secret) && !stage.house.broker.log().contains(&secret));
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_without_words_says_what_to_type() {
    let stage = stage().await;
    let ran = stage.alice.run(&["connect", "traces-api"]).await.ends(64);
    assert!(ran.stderr.contains("curl"), "{}", ran.stderr);
}
