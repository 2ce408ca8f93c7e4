//! Webhooks of a real broker, checked by the reference implementation of Standard Webhooks.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::requests::{REVIEWED, asks};
use crate::support::world::{Twist, World, psql};

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// An endpoint that checks signatures.
struct Receiver {
    port: u16,
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Receiver {
    async fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/webhooks/receive.mjs");
        let mut command = Command::new("node");
        command.arg(script).arg(installed()).arg(SECRET).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("node runs");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let port = lines.next_line().await.expect("a line").expect("a port").parse().expect("a port");
        Self { port, lines, _child: child }
    }

    /// What the next message is about; its signature was right, and would not be for another message.
    async fn next(&mut self) -> String {
        let line = tokio::time::timeout(Duration::from_secs(30), self.lines.next_line()).await;
        let line = line.expect("a message").expect("a line").expect("a line");
        let said: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(said["verdict"], "verified", "{line}");
        assert_eq!(said["altered"], "No matching signature found", "{line}");
        let body = said["body"].as_str().expect("a body");
        assert!(!body.contains("4111"), "{body}");
        let body: Value = serde_json::from_str(body).expect("JSON");
        body["type"].as_str().expect("a type").to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_implementation_verifies_what_is_delivered_beside_an_endpoint_that_hangs() {
    let mut receiver = Receiver::start().await;
    // takes connections, and never says anything
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    write_private(&file, SECRET);
    let hook = |name: &str, port: u16| {
        format!(
            "[[webhook]]\nname = \"{name}\"\nurl = \"http://127.0.0.1:{port}/\"\nsecret = {{ file = \"{}\" }}\n",
            file.display()
        )
    };
    let below =
        hook("silent", silent.local_addr().expect("its address").port()) + &hook("checked", receiver.port);
    let world = World::start(Twist { policy: REVIEWED, below: &below, ..Twist::default() }).await;
    let (alice, bob) = (world.login("alice").await, world.login("bob").await);
    let id = asks(&bob, "card 4111 1111").await;
    assert_eq!(receiver.next().await, "request.filed");
    alice.run(&["request", "approve", &id, "--yes"]).await.ends(0);
    assert_eq!(receiver.next().await, "request.approved");
    assert_eq!(psql(&bob, "select 1").await.ends(0).stdout, "1\n");
    let grants = bob.run(&["grant", "list", "--output", "json"]).await.ends(0);
    let grant: Value = serde_json::from_str(&grants.stdout).expect("one grant");
    alice.run(&["grant", "revoke", grant["id"].as_str().expect("an id")]).await.ends(0);
    assert_eq!(receiver.next().await, "grant.revoked");
    let (_connection, _) = silent.accept().expect("it was called, too");
}

/// The order: an entry, then whoever is to be told, and the client.
#[tokio::test(flavor = "multi_thread")]
async fn somebody_is_told_of_a_cap_that_is_reached() {
    let mut receiver = Receiver::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    write_private(&file, SECRET);
    let below = format!(
        "[[webhook]]\nname = \"caps\"\nurl = \"http://127.0.0.1:{}/\"\nsecret = {{ file = \"{}\" }}\n\
         events = [\"statement.capped\"]\n",
        receiver.port,
        file.display()
    );
    let policy = r#"@id("few") @max_rows("3")
        permit(principal, action == Hoop::Action::"statement", resource) when {
            context.relations_read.contains("?.reasoning_traces")
        };"#;
    let world = World::start(Twist { policy, below: &below, ..Twist::default() }).await;
    let alice = world.login("alice").await;
    let query = "select id, '4111 1111 1111 1111' from reasoning_traces";
    assert_eq!(psql(&alice, &format!("{query} limit 3")).await.ends(0).stdout.lines().count(), 3);
    let ran = psql(&alice, query).await.ends(1);
    assert!(ran.stderr.contains("longer than 3 rows"), "{}", ran.stderr);
    assert_eq!(receiver.next().await, "statement.capped");
}

fn write_private(path: &Path, text: &str) {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).expect("a private file");
    file.write_all(text.as_bytes()).expect("its content");
}

/// Where `tests/setup/webhooks.sh` put the reference implementation.
fn installed() -> PathBuf {
    crate::support::cached("webhooks", "webhooks")
}
