//! Witnesses: ours before clients of others, our ledger before witnesses of others, and what a forked ledger comes to.

mod command;
mod hostile;
mod world;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hoopctl::broker::config::{WitnessConfig, WitnessesConfig};
use hoopctl::broker::ledger::{LedgerWriter, Witnesses};
use hoopctl::broker::witness::{Fresh, WitnessParts, WitnessServer};
use hoopctl::domain::event::{Event, What};
use hoopctl::domain::name::Digest;
use hoopctl::gateway::clock::Clock;
use hoopctl::ledger::checkpoint::Checkpoint;
use hoopctl::ledger::cosignature::WitnessKey;
use hoopctl::ledger::note::VerifierKey;
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::support::env::Env;
use crate::support::postgres::free_port;
use crate::support::{cached, copy_all};

/// PyPI's `aics-witness` cosigns for us beside our own witness, and PyPI's `aics-tlog` takes what comes of it; Go's `sumdb/note`
/// and the crate `signed_note` take the checkpoint with all the lines that are not theirs.
#[tokio::test(flavor = "multi_thread")]
async fn a_witness_of_others_and_ours_cosign_our_ledger_and_others_verify_it() {
    let ledger = Ledger::make(300).await;
    let theirs = Theirs::start(ledger.writer.key());
    let ours = Ours::start("ours.example/w", ledger.writer.key().clone()).await;
    let named = [("theirs", &theirs.key, theirs.url.as_str()), ("ours", &ours.key, ours.url.as_str())];
    let witnesses = ledger.witnessed_by(&named, 2);
    let _tasks = witnesses.start();
    let first = ledger.until_cosigned(300).await;
    ledger.grow(300).await;
    let note = ledger.until_cosigned(600).await;
    assert_ne!(first, note);
    assert_eq!(witnesses.unwitnessed().entries, 0);

    let keys = [theirs.key.to_string(), ours.key.to_string()];
    let log = ledger.writer.key().to_string();
    let verified = verify_checkpoint(&note, &log, &keys, 2);
    assert_eq!(verified["ok"], true, "{verified}");
    let without: String = note.split_inclusive('\n').filter(|line| !line.contains("ours.example")).collect();
    assert_ne!(verify_checkpoint(&without, &log, &keys, 2)["ok"], true);
    assert_eq!(verify_checkpoint(&without, &log, &keys, 1)["ok"], true);
    let smaller = note.replacen("\n600\n", "\n599\n", 1);
    assert_ne!(verify_checkpoint(&smaller, &log, &keys, 2)["ok"], true);

    let copy = tempfile::tempdir().expect("a folder");
    copy_all(ledger.dir.path(), copy.path());
    std::fs::write(copy.path().join("checkpoint"), &note).expect("written");
    for program in ["tlog", "x-mod"] {
        let path = cached("audit", "audit").join("bin").join(program);
        let ran = Command::new(path).arg(copy.path()).arg("/dev/null").output().expect("it runs");
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(said.contains("checkpoint: accepted\n"), "{program}: {said}");
    }
}

/// A log of PyPI's `aics-tlog` and the client of `aics-witness`, before our witness.
#[tokio::test(flavor = "multi_thread")]
async fn our_witness_serves_a_log_and_a_client_of_others() {
    let log = feed(&["key"]);
    let key = VerifierKey::parse(log.trim()).expect("a key");
    let ours = Ours::start("ours.example/w", key).await;
    let vkey = ours.key.to_string();
    let steps = ["1", "3", "3", "8", "8!", "20!", "7", "20", "300"];
    let url = ours.url.clone();
    let said = tokio::task::spawn_blocking({
        let vkey = vkey.clone();
        move || feed(&[&["feed", &url, &vkey][..], &steps].concat())
    });
    let said: Vec<Value> =
        said.await.expect("it runs").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |step: usize, member: &str| said[step].get(member).cloned().unwrap_or_default();
    for step in [0, 1, 2, 3, 7, 8] {
        assert!(of(step, "cosigned").is_string(), "{said:?}");
        let note = of(step, "note");
        let note = note.as_str().expect("a note");
        assert_eq!(verify_checkpoint(note, log.trim(), std::slice::from_ref(&vkey), 1)["ok"], true, "{note}");
    }
    // the same size with another root, and what does not extend it
    let failed = of(4, "failed");
    assert!(failed.as_str().is_some_and(|why| why.contains("409")), "{said:?}");
    assert_eq!(of(5, "refused"), 422, "{said:?}");
    let failed = of(6, "failed");
    assert!(failed.as_str().is_some_and(|why| why.starts_with("WitnessAhead")), "{said:?}");

    // what was last cosigned can be asked for, by the digest of the log's name
    let at = format!("{}{}/checkpoint", ours.url, sha256("aics.example/log"));
    let shown = reqwest::get(at).await.expect("an answer").text().await.expect("text");
    let (head, keys) = (of(8, "note"), [vkey]);
    assert_eq!(
        shown.lines().take(3).collect::<Vec<_>>(),
        head.as_str().unwrap().lines().take(3).collect::<Vec<_>>()
    );
    assert_eq!(verify_checkpoint(&shown, log.trim(), &keys, 1)["ok"], true);
}

/// A broker whose ledger was forked, with its own key, is refused by the witness, and found by whoever asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_shows_a_witness_two_histories_is_refused_and_verification_says_so() {
    let honest = Ledger::make(10).await;
    let (forked, cut) = (honest.fork(), honest.copy());
    let witness = Ours::start("w.example", honest.writer.key().clone()).await;
    let named = [("w", &witness.key, witness.url.as_str())];
    {
        honest.grow(10).await;
        let witnesses = honest.witnessed_by(&named, 1);
        let _tasks = witnesses.start();
        honest.until_cosigned(20).await;
    }
    let env = Env::new("");
    let policy = env.home().join("policy.txt");
    let text = format!("log {}\nwitness w {}\nquorum w\n", honest.writer.key(), witness.key);
    std::fs::write(&policy, text).expect("written");
    let policy = policy.to_str().expect("a path");
    let verify = async |dir: &Path, more: &[&str]| {
        let dir = dir.to_str().expect("a path");
        env.run(&[&["audit", "verify", "--dir", dir, "--policy", policy][..], more].concat()).await
    };
    let ran = verify(honest.dir.path(), &["--witnessed-within", "1h"]).await.ends(0);
    assert!(
        ran.stdout.contains("\nwitnessed by 1 of 1, with 20 of its 20 entries: w at 20"),
        "{}",
        ran.stdout
    );
    assert!(!ran.stderr.contains("own word"), "the key is the policy's: {}", ran.stderr);

    // shorter than what the witness saw, then longer
    forked.grow(5).await;
    let witnesses = forked.witnessed_by(&named, 1);
    let _tasks = witnesses.start();
    until("the first dispute", || witnesses.unwitnessed().disputes == 1).await;
    let evidence = witness.folder.path().join("state/evidence");
    assert!(!evidence.exists(), "that a ledger is short proves nothing");
    forked.grow(10).await;
    until("the evidence", || evidence.exists()).await;
    let unwitnessed = witnesses.unwitnessed();
    assert_eq!((unwitnessed.entries, unwitnessed.disputes), (25, 1));
    assert!(!forked.dir.path().join("cosigned").exists());
    let bodies: Vec<PathBuf> = std::fs::read_dir(&evidence)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    let request = std::fs::read_to_string(&bodies[0]).expect("a request");
    assert!(request.starts_with("old 20\n") && request.contains("example.org/log\n25\n"), "{request}");

    // without the policy nothing is wrong with it
    let dir = forked.dir.path().to_str().expect("a path");
    env.run(&["audit", "verify", "--dir", dir]).await.ends(0);
    let ran = verify(forked.dir.path(), &[]).await.ends(65);
    let why =
        "error: the ledger is not witnessed as the policy asks: too few witnesses signed it: none; not w";
    let ran = ran.tells(why);
    assert!(ran.stdout.is_empty(), "{}", ran.stdout);
    // the head that was witnessed, beside the entries that were not
    std::fs::copy(honest.dir.path().join("cosigned"), forked.dir.path().join("cosigned")).expect("copied");
    let ran = verify(forked.dir.path(), &[]).await.ends(65);
    assert!(ran.stderr.contains("not the one of the kept checkpoint of size 20"), "{}", ran.stderr);
    // and beside a ledger that is cut off before it
    std::fs::copy(honest.dir.path().join("cosigned"), cut.path().join("cosigned")).expect("copied");
    let ran = verify(cut.path(), &[]).await.ends(65);
    assert!(ran.stderr.contains("the log had 20 entries and now has 10"), "{}", ran.stderr);
}

/// The quorum counts, and its age does.
#[tokio::test(flavor = "multi_thread")]
async fn verification_wants_the_quorum_of_the_policy_and_not_that_of_the_broker() {
    let ledger = Ledger::make(7).await;
    let one = Ours::start("one.example", ledger.writer.key().clone()).await;
    let nobody = Ours::start("nobody.example", ledger.writer.key().clone()).await;
    let dead = format!("http://127.0.0.1:{}/", free_port());
    let named = [("one", &one.key, one.url.as_str()), ("nobody", &nobody.key, dead.as_str())];
    {
        let witnesses = ledger.witnessed_by(&named, 2);
        let _tasks = witnesses.start();
        until("the cosignature of one", || one.has_cosigned()).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!ledger.dir.path().join("cosigned").exists(), "one is not two");
        assert_eq!(witnesses.unwitnessed().entries, 7);
    }
    {
        let witnesses = ledger.witnessed_by(&named, 1);
        let _tasks = witnesses.start();
        ledger.until_cosigned(7).await;
    }
    let env = Env::new("");
    let dir = ledger.dir.path().to_str().expect("a path");
    let keys = format!("witness one {}\nwitness nobody {}\n", one.key, nobody.key);
    let verify = async |quorum: &str, more: &[&str]| {
        std::fs::write(env.home().join("policy"), format!("{keys}{quorum}")).expect("written");
        env.run(&[&["audit", "verify", "--dir", dir, "--policy", "policy"][..], more].concat()).await
    };
    verify("group g any one nobody\nquorum g\n", &[]).await.ends(0);
    let ran = verify("group g 2 one nobody\nquorum g\n", &[]).await.ends(65);
    assert!(ran.stderr.contains("too few witnesses signed it: one; not nobody\n"), "{}", ran.stderr);
    verify("quorum nobody\n", &[]).await.ends(65);
    let ran = verify("quorum none\n", &[]).await.ends(0);
    assert!(ran.stdout.contains("the policy asks for no witnesses"), "{}", ran.stdout);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let ran = verify("quorum one\n", &["--witnessed-within", "1s"]).await.ends(65);
    assert!(ran.stderr.contains("the ledger was last witnessed at 20"), "{}", ran.stderr);
    // what is not a policy is a mistake of whoever types it
    let ran = verify("quorum two\n", &[]).await.ends(64);
    assert!(ran.stderr.contains("line 3: `two` is not defined on a line before"), "{}", ran.stderr);
    env.run(&["audit", "verify", "--dir", dir, "--policy", "missing"]).await.ends(64);
    env.run(&["audit", "verify", "--dir", dir, "--witnessed-within", "1h"]).await.ends(64);
    // another log's policy
    let other = "log example.org/log+6e43a8f6+AZNuXyOpJeMbuxk3ZeOBjYlIAr1dnFWc0yyUGcC8rAa5\nquorum none\n";
    let ran = verify(other, &[]).await;
    assert!(matches!(ran.code, 64 | 65), "{}", ran.text());
}

/// A ledger as a broker keeps it.
struct Ledger {
    dir: TempDir,
    key: TempDir,
    writer: Arc<LedgerWriter>,
}

impl Ledger {
    async fn make(size: u64) -> Self {
        let (dir, key) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let ledger = Self::open(dir, key);
        ledger.grow(size).await;
        ledger
    }

    fn open(dir: TempDir, key: TempDir) -> Self {
        let writer = LedgerWriter::open(dir.path(), "example.org/log", &key.path().join("signing.key"));
        Self { dir, key, writer: writer.expect("it opens") }
    }

    /// Another broker with the same key, which goes on by itself.
    fn fork(&self) -> Self {
        let (dir, key) = (self.copy(), tempfile::tempdir().expect("a folder"));
        copy_all(self.key.path(), key.path());
        Self::open(dir, key)
    }

    fn copy(&self) -> TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        copy_all(self.dir.path(), dir.path());
        dir
    }

    async fn grow(&self, count: u64) {
        for _ in 0..count {
            let what = What::BrokerStarted { version: format!("{}", rand::random::<u64>()) };
            let policy = Digest::from_bytes(&[0; 32]);
            let at = Timestamp::from_second(1_700_000_000).expect("a time");
            self.writer.enter(&Event { at, actor: None, policy, what }).expect("entered");
        }
        self.writer.checkpoint_now().await.expect("signed");
    }

    fn witnessed_by(&self, named: &[(&str, &WitnessKey, &str)], quorum: usize) -> Arc<Witnesses> {
        let all = named.iter().map(|(name, key, url)| WitnessConfig {
            name: (*name).to_owned(),
            key: (*key).clone(),
            url: url.parse().expect("a URL"),
        });
        let config = WitnessesConfig { all: all.collect(), quorum, patience: Duration::from_secs(600) };
        let key = self.writer.key().clone();
        Witnesses::new(config, self.dir.path(), key, Clock::system()).expect("there are some")
    }

    /// The cosigned head of this size, once it is there.
    async fn until_cosigned(&self, size: u64) -> String {
        let path = self.dir.path().join("cosigned");
        let read = || {
            let note = std::fs::read_to_string(&path).ok()?;
            let head = Checkpoint::open(&note, self.writer.key()).expect("it is signed");
            (head.size == size).then_some(note)
        };
        until("a cosigned head", || read().is_some()).await;
        read().expect("it is there")
    }
}

/// A witness of ours.
struct Ours {
    key: WitnessKey,
    url: String,
    folder: TempDir,
    _stop: watch::Sender<bool>,
}

impl Ours {
    async fn start(name: &str, log: VerifierKey) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let parts = WitnessParts {
            name: name.into(),
            key: at("key"),
            logs: vec![log],
            state: at("state"),
            new: Fresh::WhereMissing,
        };
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = WitnessServer::open(parts, address, Clock::system()).await.expect("it opens");
        let url = format!("http://{}/", server.address().expect("an address"));
        let key = server.key().clone();
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(server.serve(stopped));
        Self { key, url, folder, _stop: stop }
    }

    /// Whether it remembers anything.
    fn has_cosigned(&self) -> bool {
        let entries = std::fs::read_dir(self.folder.path().join("state")).expect("a folder");
        entries.map(|entry| entry.expect("an entry").metadata().expect("its size")).any(|file| file.len() > 0)
    }
}

/// `aics-witness`.
struct Theirs {
    key: WitnessKey,
    url: String,
    child: Child,
    _folder: TempDir,
}

impl Theirs {
    fn start(log: &VerifierKey) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (port, program) = (free_port(), python("aics-witness"));
        let listen = format!("127.0.0.1:{port}");
        let run = |arguments: &[&str]| {
            let mut command = Command::new(&program);
            command.arg(arguments[0]).args(["-c", "witness.json"]).args(&arguments[1..]);
            command.current_dir(folder.path()).stdin(Stdio::null());
            command
        };
        let done = |mut command: Command| {
            let output = command.output().expect("it runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).expect("text")
        };
        let key = done(run(&["init", "--name", "theirs.example/w", "--listen", &listen]));
        done(run(&["add-log", "--origin", log.name(), "--vkey", &log.to_string()]));
        let mut serve = run(&["serve", "--log-level", "WARNING"]);
        let child = serve.stdout(Stdio::null()).spawn().expect("it runs");
        let theirs = Self {
            key: WitnessKey::parse(key.trim()).expect("a key"),
            url: format!("http://{listen}/"),
            child,
            _folder: folder,
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(&listen).is_err() {
            assert!(Instant::now() < deadline, "aics-witness does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        theirs
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// What `aics-tlog verify-checkpoint` says.
fn verify_checkpoint(note: &str, log: &str, witnesses: &[String], quorum: usize) -> Value {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), note).expect("written");
    let mut command = Command::new(python("aics-tlog"));
    command.args(["verify-checkpoint", "--log-key", log, "--quorum", &quorum.to_string(), "--note"]);
    command.arg(file.path());
    for key in witnesses {
        command.args(["--witness-key", key]);
    }
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// What `feed.py` says.
fn feed(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/witnesses/feed.py");
    let output = Command::new(python("python")).arg(script).args(arguments).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn python(program: &str) -> PathBuf {
    cached("witness", "witness").join("python/bin").join(program)
}

fn sha256(text: &str) -> String {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(text).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "{what} does not come");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
