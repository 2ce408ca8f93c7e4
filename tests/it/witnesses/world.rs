//! A broker with witnesses, and people who ask for their word.

use std::time::Duration;

use hoopctl::ledger::cosignature::WitnessKey;
use hoopctl::ledger::note::VerifierKey;

use super::Ours;
use crate::support::postgres::free_port;
use crate::support::world::{Twist, World, psql};

/// The witnesses are not there when the broker starts, and one never comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_says_how_far_its_ledger_is_witnessed_and_waits_for_nobody() {
    let [metrics, port] = [free_port(), free_port()];
    let stranger = Ours::start("stranger.example", verifier()).await;
    let twist = format!(
        "metrics_listen = \"127.0.0.1:{metrics}\"\n[ledger]\nquorum = 1\nwitness_patience = \"3s\"\n\
         [[witness]]\nname = \"late\"\nkey = \"{}\"\nurl = \"http://127.0.0.1:{port}\"\n\
         [[witness]]\nname = \"stranger\"\nkey = \"{}\"\nurl = \"{}\"\n",
        late(),
        stranger.key,
        stranger.url,
    );
    let world = World::start(Twist { broker: &twist, ..Twist::default() }).await;
    let alice = world.login("alice").await;
    psql(&alice, "SELECT 1").await.ends(0);
    let policy = format!("witness late {}\nquorum late\n", late());
    std::fs::write(alice.home().join("policy"), policy).expect("written");
    let verify = ["audit", "verify", "--policy", "policy"];
    let ran = alice.run(&verify).await.ends(65);
    assert!(ran.stderr.contains("too few witnesses signed it: none; not late\n"), "{}", ran.stderr);
    let told = "ok, but witnesses have not cosigned the last ";
    let mut ready = String::new();
    for _ in 0..120 {
        ready = get(&format!("https://127.0.0.1:{}/readyz", world.broker.port)).await;
        if ready.starts_with(told) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert!(ready.starts_with(told) && ready.ends_with(" entries of the ledger for 0 minutes\n"), "{ready}");
    let waits = async |name: &str| -> f64 {
        let text = get(&format!("http://127.0.0.1:{metrics}/metrics")).await;
        let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).expect("a metric");
        line.rsplit_once(' ').expect("a value").1.parse().expect("a number")
    };
    assert!(waits("hoopctl_unwitnessed_entries").await > 0.0);
    assert!(waits("hoopctl_unwitnessed_seconds").await >= 3.0);

    let log = std::fs::read_to_string(world.broker.data().join("ledger/key")).expect("the key");
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    private(
        &key,
        &hoopctl::ledger::cosignature::Cosigner::new("late.example", &SECRET)
            .expect("a key")
            .to_secret_text(),
    );
    let options = ["audit", "witness", "--new", "--name", "late.example", "--log", log.trim()];
    let (key, state) =
        (key.to_string_lossy().into_owned(), folder.path().join("state").to_string_lossy().into_owned());
    let listen = format!("127.0.0.1:{port}");
    let options = [&options[..], &["--key", &key, "--state", &state, "--listen", &listen]].concat();
    let _witness = alice.command(&options).stdout(std::process::Stdio::null()).spawn().expect("it runs");
    let path = world.broker.data().join("ledger/cosigned");
    super::until("a cosigned head", || path.exists()).await;
    let ran = alice.run(&verify).await.ends(0);
    assert!(ran.stdout.contains("\nwitnessed by 1 of 1, with "), "{}", ran.stdout);
    for _ in 0..120 {
        if waits("hoopctl_unwitnessed_entries").await < 0.5 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert!(waits("hoopctl_unwitnessed_entries").await < 0.5, "{}", world.broker.log());
    assert!(waits("hoopctl_unwitnessed_seconds").await < 0.5);
    assert_eq!(get(&format!("https://127.0.0.1:{}/readyz", world.broker.port)).await, "ok\n");
    assert!(world.broker.log().contains("the witness did not cosign"), "{}", world.broker.log());
}

/// A witness that is not there yet.
fn late() -> WitnessKey {
    hoopctl::ledger::cosignature::Cosigner::new("late.example", &SECRET).expect("a key").public().clone()
}

/// Of a log that is nobody's.
fn verifier() -> VerifierKey {
    hoopctl::ledger::note::Signer::new("elsewhere.example", &[9; 32]).expect("a key").verifier().clone()
}

async fn get(url: &str) -> String {
    let client = reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).build();
    client.expect("a client").get(url).send().await.expect("an answer").text().await.expect("text")
}

fn private(path: &std::path::Path, text: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).expect("a private file");
    file.write_all(text.as_bytes()).expect("its content");
}

const SECRET: [u8; 32] = [77; 32];
