//! The key is changed: whoever remembers the old one follows, and follows nobody else.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use hoopctl::broker::ledger::{DirectoryFiles, KeyPlace, LedgerKeys, LedgerWriter, Occasion, rotate};
use hoopctl::domain::name::Digest;
use hoopctl::ledger::checkpoint::Checkpoint;
use hoopctl::ledger::note::{Signer, VerifierKey};
use hoopctl::ledger::rotation::Cause;
use hoopctl::ledger::verify::Audit;
use jiff::Timestamp;
use serde_json::Value;

use super::unlocked;
use crate::support::env::{Env, Ran};
use crate::support::provider;
use crate::support::world::{Twist, World, psql};

/// Adds lines to a broker's configuration.
pub(super) fn append(world: &World, lines: &str) {
    let mut file = std::fs::OpenOptions::new().append(true).open(&world.broker.config).expect("a file");
    file.write_all(lines.as_bytes()).expect("written");
}

async fn login(world: &World, who: &Env, person: &str) -> Ran {
    let pin = world.pin();
    who.login(&["--broker-pin", &pin], async |page| provider::approve(&page, person).await).await
}

fn key(world: &World) -> String {
    std::fs::read_to_string(world.broker.data().join("ledger/key")).expect("a key")
}

fn place(who: &Env) -> PathBuf {
    let mut places = std::fs::read_dir(who.state().join("brokers")).expect("a folder");
    places.next().expect("a broker").expect("a folder").path()
}

/// Puts other keys into the configuration.
fn name_keys(world: &World, new: &str, old: Option<&str>) {
    let text = std::fs::read_to_string(&world.broker.config).expect("a file");
    let text = text.split("\n[ledger]\n").next().expect("a part").to_owned();
    let pki = world.broker.data().join("pki");
    let mut lines = format!("\n[ledger]\nkey = {{ file = {:?} }}\n", pki.join(new));
    if let Some(old) = old {
        lines += &format!("previous_key = {{ file = {:?} }}\n", pki.join(old));
    }
    std::fs::write(&world.broker.config, text + &lines).expect("written");
}

/// The entry at which the key is changed while the broker is down.
async fn change(world: &mut World, who: &Env, new: &str, old: &str) -> u64 {
    world.broker.stop();
    name_keys(world, new, Some(old));
    let config = world.broker.config.display().to_string();
    let command = ["--output", "json", "broker", "key", "rotate", "--config", &config];
    let done: Value = serde_json::from_str(&who.run(&command).await.ends(0).stdout).expect("JSON");
    assert_eq!(done["rotated"], true);
    world.broker.resume();
    done["entry"].as_u64().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_is_followed_and_a_swapped_one_is_not() {
    let mut world = World::start(Twist::default()).await;
    let (alice, away) = (world.login("alice").await, world.login("alice").await);
    psql(&alice, "SELECT 1").await.ends(0);
    let first = key(&world);
    std::fs::write(alice.home().join("first.pub"), &first).expect("written");
    std::fs::copy(world.broker.data().join("ledger/checkpoint"), alice.home().join("kept")).expect("copied");

    // a configuration that names a new key does not change it
    world.broker.stop();
    name_keys(&world, "two.key", Some("ledger.key"));
    let config = world.broker.config.display().to_string();
    let refused = alice.run(&["broker", "serve", "--config", &config]).await.ends(78);
    assert!(refused.stderr.contains("the ledger still has its previous key"), "{}", refused.text());
    name_keys(&world, "ledger.key", None);
    world.broker.resume();
    let entry = change(&mut world, &alice, "two.key", "ledger.key").await;
    let second = key(&world);
    assert_ne!(first, second);

    let ran = psql(&alice, "SELECT 1").await.ends(0);
    let told = format!("note: the key of the broker's ledger was changed with entry {entry}; ");
    assert!(ran.stderr.contains(&told) && ran.stderr.contains(second.trim()), "{}", ran.text());
    let ran = psql(&alice, "SELECT 1").await.ends(0);
    assert!(!ran.stderr.contains("was changed"), "it is said once: {}", ran.text());
    let remembered = || std::fs::read_to_string(place(&alice).join("ledger-key")).expect("a key");
    assert_eq!(remembered(), format!("{second}{first}"));

    // the old key leads to the new one; so does a checkpoint of it
    for more in [&[][..], &["--key", "first.pub"], &["--checkpoint", "kept"]] {
        let command = [&["--output", "json", "audit", "verify"][..], more].concat();
        let found: Value = serde_json::from_str(&alice.run(&command).await.ends(0).stdout).expect("JSON");
        assert_eq!(found["key"], second.trim());
        assert_eq!(found["rotations"][0]["entry"], entry);
        assert_eq!(found["rotations"][0]["old"], first.trim());
    }
    for command in
        [&["audit", "tail", "-n", "100", "--key", "first.pub"][..], &["audit", "tail", "-n", "100"]]
    {
        let ran = alice.run(command).await.ends(0);
        assert!(ran.stdout.contains("key-rotated"), "{}", ran.text());
    }

    // once more, and a machine that was away all the time follows both steps at once
    let later = change(&mut world, &alice, "three.key", "two.key").await;
    world.broker.stop();
    name_keys(&world, "three.key", None);
    world.broker.resume();
    let ran = psql(&away, "SELECT 1").await.ends(0);
    assert!(ran.stderr.contains(&format!("was changed with entry {later}; ")), "{}", ran.text());
    let ran = alice.run(&["audit", "verify", "--key", "first.pub"]).await.ends(0);
    for index in [entry, later] {
        assert!(
            ran.stdout.contains(&format!("\nentry {index} changed the key; since then it is ")),
            "{}",
            ran.text()
        );
    }
    let ledger = world.broker.data().join("ledger").display().to_string();
    let offline = ["audit", "verify", "--dir", &ledger, "--key", "first.pub", "--checkpoint", "kept"];
    let ran = alice.run(&offline).await.ends(0);
    assert!(ran.stdout.contains(&format!("entry {later} changed the key")), "{}", ran.text());
    alice.run(&["audit", "export", "--dir", &ledger, "--key", "first.pub"]).await.ends(0);

    // somebody with the disk, and without the key, puts another one in
    psql(&alice, "SELECT 1").await.ends(0);
    world.broker.stop();
    swap_key(&world);
    world.broker.resume();
    let before = remembered();
    let said = "error: the key of the broker's ledger is not the one that is remembered of it, and the ledger does not prove that it was changed";
    for ran in [psql(&alice, "UPDATE plain SET b = 'moved'").await, login(&world, &alice, "alice").await] {
        let ran = ran.ends(65);
        assert!(ran.stderr.contains(said) && ran.stdout.is_empty(), "{}", ran.text());
    }
    let moved = world.cluster.admin().await.query("SELECT FROM plain WHERE b = 'moved'", &[]).await;
    assert_eq!(moved.expect("rows").len(), 0);
    assert_eq!(remembered(), before);
    let evidence = crate::support::files_below(&place(&alice).join("evidence"));
    let kept = |name: &str| {
        let found = evidence
            .iter()
            .find(|path| path.ends_with(name))
            .unwrap_or_else(|| panic!("{name}: {evidence:?}"));
        std::fs::read_to_string(found).expect("a file")
    };
    assert_eq!(kept("ledger-key"), before);
    assert_eq!(kept("shown-key").trim(), key(&world).trim());
    alice.run(&["audit", "verify", "--key", "first.pub"]).await.ends(65);
}

/// Another key in the place of the third, with the ledger signed by it.
fn swap_key(world: &World) {
    let data = world.broker.data();
    let note = std::fs::read_to_string(data.join("ledger/checkpoint")).expect("a checkpoint");
    let text = format!("{}\n", note.split("\n\n").next().expect("a text"));
    let (origin, head) = Checkpoint::read(&text).expect("a head");
    let theirs = Signer::new(origin, &[66; 32]).expect("a key");
    std::fs::write(data.join("pki/three.key"), theirs.to_secret_text()).expect("written");
    std::fs::write(data.join("ledger/checkpoint"), head.sign(&theirs)).expect("written");
    // the chain beside the log ends in another key, so it goes
    std::fs::remove_file(data.join("ledger/keys")).expect("removed");
}

/// A real process, killed at any moment of a rotation, again and again on one ledger.
#[test]
fn a_rotation_that_is_killed_is_finished_by_whoever_comes_next() {
    let root = tempfile::tempdir().expect("a folder");
    let file = |number: usize| root.path().join(format!("{number}.key"));
    let dir = root.path().join("ledger");
    LedgerWriter::open(&dir, "example.org/log", &file(0)).expect("it opens").close();
    let first = VerifierKey::parse(&std::fs::read_to_string(dir.join("key")).expect("a key")).expect("a key");
    let (mut at, mut cut, mut entered, mut random) = (0, 0, 0, 0x9e37_79b9_7f4a_7c15_u64);
    for round in 0..KILLS {
        let begun = root.path().join(format!("begun-{round}"));
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--ignored", "--exact", "keys::changes::rotates_until_it_is_killed"]);
        command.env(ROOT, root.path()).env(ROUND, format!("{round} {at}")).stdout(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        while !begun.exists() {
            std::thread::sleep(Duration::from_micros(200));
        }
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        std::thread::sleep(Duration::from_micros(random % 40_000));
        let ended = child.try_wait().expect("its state").is_some();
        let _killed = child.kill();
        let _gone = child.wait();
        cut += usize::from(!ended);

        // by turns, the command is typed again, and the broker is started
        let keys = keys(root.path(), at);
        let open = || unlocked(|| LedgerWriter::open_with(&dir, "", &keys)).map(|ledger| ledger.close());
        let opened = open();
        entered += usize::from(opened.is_ok());
        if round % 2 == 0 || opened.is_err() {
            unlocked(|| rotate(&dir, &keys, &occasion())).expect("it is finished");
        }
        open().expect("it opens");
        at += 1;
        let files = DirectoryFiles::new(&dir);
        let audit = Audit { log: &files, recordings: None, key: &first, kept: None, reviews: &() };
        let verified = audit.run().expect("it is in good order");
        assert_eq!(verified.rotations.len(), at, "round {round}");
    }
    assert!(cut > KILLS / 4, "only {cut} of {KILLS} were killed in time");
    assert!(entered > 0 && entered < KILLS, "all were killed on the same side: {entered} of {KILLS}");
    crate::idle::say(&format!("{KILLS} rotations, {cut} killed, {entered} of which had entered the new key"));
}

#[ignore = "what the story above runs below itself"]
#[test]
fn rotates_until_it_is_killed() {
    let root = PathBuf::from(std::env::var_os(ROOT).expect("a folder"));
    let round = std::env::var(ROUND).expect("numbers");
    let (round, at) = round.split_once(' ').expect("two");
    std::fs::write(root.join(format!("begun-{round}")), "").expect("written");
    let keys = keys(&root, at.parse().expect("a number"));
    rotate(&root.join("ledger"), &keys, &occasion()).expect("rotated");
}

fn keys(root: &Path, at: usize) -> LedgerKeys {
    let file = |number: usize| KeyPlace::File(root.join(format!("{number}.key")));
    LedgerKeys { key: file(at + 1), previous: Some(file(at)) }
}

fn occasion() -> Occasion {
    Occasion { at: Timestamp::UNIX_EPOCH, policy: Digest::from_bytes(&[0; 32]), cause: Cause::Planned }
}

const KILLS: usize = 60;
const ROOT: &str = "HOOPCTL_TEST_ROTATION_ROOT";
const ROUND: &str = "HOOPCTL_TEST_ROTATION_ROUND";
