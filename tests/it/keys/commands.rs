//! A program signs the ledger's checkpoints, or does not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hoopctl::broker::ledger::{DirectoryFiles, KeyPlace, LedgerKeys, LedgerWriter};
use hoopctl::domain::event::{Event, What};
use hoopctl::domain::name::Digest;
use hoopctl::gateway::journal::JournalError;
use hoopctl::ledger::verify::{Audit, Verified};
use jiff::Timestamp;
use tempfile::TempDir;

use super::{Outside, unlocked};
use crate::support::postgres::free_port;
use crate::support::world::{Twist, World, psql};

struct Home {
    folder: TempDir,
    outside: Outside,
}

impl Home {
    fn make() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let outside = Outside::make(folder.path(), "example.org/log");
        Self { folder, outside }
    }

    fn keys(&self) -> LedgerKeys {
        let public = Box::new(self.outside.public.clone());
        LedgerKeys { key: KeyPlace::Command { words: self.outside.words(), public }, previous: None }
    }

    fn open(&self) -> Arc<LedgerWriter> {
        let dir = self.folder.path().join("ledger");
        unlocked(|| LedgerWriter::open_with(&dir, "never asked", &self.keys())).expect("it opens")
    }

    fn verify(&self) -> Verified {
        let files = DirectoryFiles::new(&self.folder.path().join("ledger"));
        let key = &self.outside.public;
        let audit = Audit { log: &files, recordings: None, key, kept: None, reviews: &() };
        audit.run().expect("it is in good order")
    }
}

fn event() -> Event {
    let policy = Digest::from_bytes(&[0; 32]);
    Event { at: Timestamp::UNIX_EPOCH, actor: None, policy, what: What::BrokerStopped }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_signs() {
    let home = Home::make();
    let ledger = home.open();
    for _ in 0..300 {
        ledger.enter(&event()).expect("entered");
    }
    ledger.checkpoint_now().await.expect("signed");
    assert_eq!((home.verify().checkpoint.size, ledger.unsigned()), (300, None));
    assert_eq!(home.outside.starts(), 2, "it is asked for each checkpoint, and for none besides");
    // what rests needs no signature
    ledger.checkpoint_now().await.expect("signed already");
    assert_eq!(home.outside.starts(), 2);
    ledger.enter(&event()).expect("entered");
    ledger.close();
    drop(ledger);
    assert_eq!(home.verify().checkpoint.size, 301);
    home.open().close();
    // the program has no text left, and nothing that it said to nobody is anywhere
    for file in crate::support::files_below(&home.folder.path().join("ledger")) {
        let bytes = std::fs::read(&file).expect("a file");
        assert!(!bytes.windows(7).any(|found| found == b"hunter2"), "{}", file.display());
    }
}

#[test]
fn a_command_that_lies_or_hangs_stops_checkpoints_and_no_entries() {
    let ways = [
        "another-text",
        "another-key",
        "garbage",
        "more",
        "nothing",
        "endless",
        "dies",
        "signs-and-dies",
        "hangs",
        "signs-and-hangs",
    ];
    // opening and closing wait for the program
    std::thread::scope(|scope| {
        for way in ways {
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(misbehaves(way));
            });
        }
    });
}

async fn misbehaves(way: &str) {
    let home = Home::make();
    let ledger = home.open();
    ledger.enter(&event()).expect("entered");
    ledger.checkpoint_now().await.expect("signed");
    home.outside.behaves(way);
    let since = Instant::now();
    ledger.enter(&event()).expect("entered");
    let refused = ledger.checkpoint_now().await;
    assert!(matches!(refused, Err(JournalError::Unsigned)), "{way}: {refused:?}");
    assert!(since.elapsed() < Duration::from_secs(60), "{way} took {:?}", since.elapsed());
    // entries go on, and are on the disk
    for _ in 0..300 {
        let ticket = ledger.enter(&event()).expect("entered");
        ledger.synced(ticket).await.expect("synced");
    }
    assert!(ledger.healthy(), "{way}");
    let unsigned = ledger.unsigned().expect("it is said");
    assert_eq!(unsigned.entries, 301, "{way}");
    assert_eq!(home.verify().checkpoint.size, 1, "{way}: what was signed stays what it was");

    // it comes to its senses; an attempt that is under way still fails
    home.outside.behaves("good");
    let mut signed = ledger.checkpoint_now().await;
    for _ in 0..3 {
        if signed.is_err() {
            signed = ledger.checkpoint_now().await;
        }
    }
    signed.expect("signed");
    assert_eq!((home.verify().checkpoint.size, ledger.unsigned()), (302, None), "{way}");

    // and loses them again when the broker stops: nothing is lost, and the next start signs for it
    home.outside.behaves(way);
    ledger.enter(&event()).expect("entered");
    ledger.close();
    drop(ledger);
    assert_eq!(home.verify().checkpoint.size, 302, "{way}");
    let opened = LedgerWriter::open_with(&home.folder.path().join("ledger"), "", &home.keys());
    assert!(opened.is_err(), "{way}");
    home.outside.behaves("good");
    home.open().close();
    assert_eq!(home.verify().checkpoint.size, 303, "{way}");
}

/// The program is started with what the configuration says, and a broker whose program is down says so and works.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_whose_signer_is_down_says_so_and_goes_on() {
    let port = free_port();
    let listen = format!("metrics_listen = \"127.0.0.1:{port}\"");
    let mut world = World::start(Twist { broker: &listen, ..Twist::default() }).await;
    let alice = world.login("alice").await;
    let data = world.broker.data();
    let origin = std::fs::read_to_string(data.join("ledger/checkpoint")).expect("a checkpoint");
    let outside = Outside::make(&data, origin.lines().next().expect("an origin"));
    world.broker.stop();
    let words = outside.words();
    let more = format!(
        "\n[ledger]\nkey = {{ command = {words:?}, public = \"{}\" }}\nprevious_key = {{ file = {:?} }}\n",
        outside.public,
        data.join("pki/ledger.key")
    );
    super::changes::append(&world, &more);
    let config = world.broker.config.display().to_string();
    let said = alice.run(&["broker", "key", "rotate", "--config", &config]).await.ends(0);
    assert!(said.stdout.contains(&outside.public.to_string()), "{}", said.text());
    world.broker.resume();
    psql(&alice, "SELECT 1").await.ends(0);

    let client = reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).build();
    let client = client.expect("a client");
    let get =
        async |url: String| client.get(url).send().await.expect("an answer").text().await.expect("text");
    let ready = async || get(format!("https://127.0.0.1:{}/readyz", world.broker.port)).await;
    let metrics = async || get(format!("http://127.0.0.1:{port}/metrics")).await;
    assert_eq!(ready().await, "ok\n");
    assert!(metrics().await.contains("\nhoopctl_unsigned_seconds 0\n"));

    outside.behaves("dies");
    let since = Instant::now();
    while ready().await == "ok\n" {
        psql(&alice, "SELECT 1").await.ends(0);
        assert!(since.elapsed() < Duration::from_secs(60), "it is never said");
    }
    let said = ready().await;
    assert!(said.starts_with("ok, but the ledger's key has not signed the last "), "{said}");
    let text = metrics().await;
    assert!(!text.contains("\nhoopctl_unsigned_seconds 0\n"), "{text}");
    assert!(!text.contains("\nhoopctl_unsigned_entries 0\n"), "{text}");
    psql(&alice, "SELECT 1").await.ends(0);
    let log = world.broker.log();
    assert!(log.contains("the ledger's checkpoint could not be signed"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");

    outside.behaves("good");
    let since = Instant::now();
    while ready().await != "ok\n" {
        assert!(since.elapsed() < Duration::from_secs(60), "it stays");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(metrics().await.contains("\nhoopctl_unsigned_seconds 0\n"));
    alice.run(&["audit", "verify"]).await.ends(0);
}
