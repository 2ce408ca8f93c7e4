//! A broker that shows two histories is caught by its own users.
//!
//! It lies as a broker really can that has the disk and the key: its ledger is put back, forked, or made anew between
//! two visits of the same client.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::copy_all;
use crate::support::env::{Env, Ran};
use crate::support::provider;
use crate::support::world::{Twist, World, psql};

const DEVELOPERS: &str = r#"
@id("developers.connect")
permit (principal in Hoop::Group::"corp/dev", action == Hoop::Action::"connect", resource == Hoop::Target::"db");
"#;

/// What somebody does who is let in, and what they get from a broker that is not.
struct Visits<'a> {
    world: &'a World,
    who: &'a Env,
    replay: String,
}

impl Visits<'_> {
    /// Signs in, connects and replays: each ends so, and says this.
    async fn all_end(&self, code: i32, said: &str) {
        let login = login(self.world, self.who, "alice", &[]).await;
        let connect = psql(self.who, "UPDATE plain SET b = 'moved'").await;
        let exec = self.who.run(&["exec", "db", "--", "true"]).await;
        let replay = self.who.run(&["session", "replay", &self.replay, "--speed", "1000"]).await;
        for (what, ran) in [("login", login), ("connect", connect), ("exec", exec), ("replay", replay)] {
            assert_eq!(ran.code, code, "{what}: {}", ran.text());
            assert!(ran.stderr.contains(said), "{what}: {}", ran.text());
            assert_eq!(ran.stdout, "", "{what}");
        }
    }

    /// What is remembered: how many entries.
    fn remembered(&self) -> u64 {
        size(&std::fs::read_to_string(place(self.who).join("ledger-checkpoint")).expect("a memory"))
    }
}

async fn login(world: &World, who: &Env, person: &str, more: &[&str]) -> Ran {
    let pin = world.pin();
    let arguments: Vec<&str> = ["--broker-pin", &pin].into_iter().chain(more.iter().copied()).collect();
    who.login(&arguments, async |page| provider::approve(&page, person).await).await
}

fn place(who: &Env) -> PathBuf {
    let mut places = std::fs::read_dir(who.state().join("brokers")).expect("a folder");
    places.next().expect("a broker").expect("a folder").path()
}

fn evidence(who: &Env) -> usize {
    std::fs::read_dir(place(who).join("evidence")).map_or(0, Iterator::count)
}

/// The newest session.
async fn session(who: &Env) -> String {
    let list = who.run(&["--output", "json", "session", "list"]).await.ends(0);
    let session: Value = serde_json::from_str(list.stdout.lines().next().expect("a line")).expect("JSON");
    session["id"].as_str().expect("an id").to_owned()
}

/// How many entries the broker's signed head has.
fn published(world: &World) -> u64 {
    size(&std::fs::read_to_string(world.broker.data().join("ledger/checkpoint")).expect("a checkpoint"))
}

/// How many entries a checkpoint is over.
fn size(note: &str) -> u64 {
    note.lines().nth(1).expect("a size").parse().expect("a size")
}

/// Puts a folder in the place of the ledger while the broker is down.
fn swap(world: &mut World, ledger: &Path) {
    world.broker.stop();
    let own = world.broker.data().join("ledger");
    std::fs::remove_dir_all(&own).expect("removed");
    copy_all(ledger, &own);
    world.broker.resume();
}

/// How many sessions somebody sees.
async fn sessions(who: &Env) -> usize {
    who.run(&["--output", "json", "session", "list"]).await.ends(0).stdout.lines().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_shows_two_histories_is_caught_by_its_users() {
    let mut world = World::start(Twist { policy: DEVELOPERS, ..Twist::default() }).await;
    let alice = Env::new(&world.broker.url);
    let ran = login(&world, &alice, "alice", &[]).await.ends(0);
    let key = std::fs::read_to_string(world.broker.data().join("ledger/key")).expect("a key");
    let once = "its key is the broker's own word, so compare it once with what the operator gives:";
    let told = format!("is remembered from now on; {once}\n  {key}");
    assert!(ran.stderr.contains(&told), "{}", ran.stderr);
    psql(&alice, "SELECT 'inno' || 'cent'").await.ends(0);
    let visits = Visits { world: &world, who: &alice, replay: session(&alice).await };
    let shown = alice.run(&["session", "replay", &visits.replay, "--speed", "1000"]).await.ends(0);
    assert!(shown.stdout.contains("innocent") && !shown.stderr.contains("remembered"), "{}", shown.text());
    let (replay, yesterday) = (visits.replay.clone(), tempfile::tempdir().expect("a folder"));
    world.broker.stop();
    copy_all(&world.broker.data().join("ledger"), yesterday.path());
    world.broker.resume();

    // a log that grows is what everybody sees, also over restarts and deaths of the broker
    let mut before = 0;
    for round in 0..4 {
        psql(&alice, "SELECT 1").await.ends(0);
        match round {
            1 => world.broker.kill(),
            _ => drop(world.broker.stop()),
        }
        world.broker.resume();
        let visits = Visits { world: &world, who: &alice, replay: replay.clone() };
        let ran = login(&world, &alice, "alice", &[]).await.ends(0);
        assert!(!ran.stderr.contains("remembered"), "it is said once: {}", ran.stderr);
        alice.run(&["session", "replay", &replay, "--speed", "1000"]).await.ends(0);
        assert!(visits.remembered() > before, "{before}");
        before = visits.remembered();
    }
    assert_eq!(evidence(&alice), 0);
    let opened = sessions(&alice).await;

    // yesterday's backup is restored
    swap(&mut world, yesterday.path());
    let visits = Visits { world: &world, who: &alice, replay: replay.clone() };
    let back = format!(
        "error: the broker's ledger had {} entries when it was last seen, and now has ",
        visits.remembered()
    );
    visits.all_end(65, &back).await;
    assert_eq!(visits.remembered(), before, "it never goes back");
    assert!(evidence(&alice) > 0);

    // and goes on, as a fork that is longer than what was remembered
    let bob = Env::new(&world.broker.url);
    login(&world, &bob, "bob", &[]).await.ends(0);
    while published(&world) <= before + 10 {
        psql(&bob, "SELECT 1").await.ends(0);
        bob.run(&["whoami"]).await.ends(0);
    }
    let forked = format!(
        "error: the broker's ledger does not go on from the {before} entries that are remembered of it"
    );
    visits.all_end(65, &forked).await;
    for command in [&["audit", "tail"][..], &["audit", "verify"]] {
        let ran = alice.run(command).await.ends(65);
        assert_eq!(ran.stdout, "", "{}", ran.text());
    }
    assert_eq!(visits.remembered(), before);
    assert_eq!(sessions(&alice).await, opened + sessions(&bob).await, "nothing was opened for her");
    let moved = world.cluster.admin().await.query("SELECT FROM plain WHERE b = 'moved'", &[]).await;
    assert_eq!(moved.expect("rows").len(), 0);

    // both notes are kept
    let kept: Vec<PathBuf> = crate::support::files_below(&place(&alice).join("evidence"));
    let read = |name: &str| -> Vec<String> {
        let named = kept.iter().filter(|path| path.ends_with(name));
        named.map(|path| std::fs::read_to_string(path).expect("a note")).collect()
    };
    let has = |notes: &[String], size: u64| notes.iter().any(|note| note.contains(&format!("\n{size}\n")));
    assert!(has(&read("ledger-checkpoint"), before), "{kept:?}");
    assert!(read("shown-checkpoint").iter().any(|note| !note.contains(&format!("\n{before}\n"))), "{kept:?}");
    assert!(read("ledger-key").iter().chain(&read("shown-key")).all(|shown| shown.trim() == key.trim()));

    // whoever was told why goes on by hand
    let ran = login(&world, &alice, "alice", &["--new-ledger"]).await.ends(0);
    assert!(
        ran.stderr.contains("note: what was remembered of the broker's ledger is kept in `"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("is remembered from now on"), "{}", ran.stderr);
    psql(&alice, "SELECT 1").await.ends(0);
    alice.run(&["audit", "tail", "-n", "1"]).await.ends(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_is_refused_until_somebody_says_so() {
    let mut world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    psql(&alice, "SELECT 1").await.ends(0);
    let old = std::fs::read_to_string(world.broker.data().join("ledger/key")).expect("a key");
    let replay = session(&alice).await;
    world.broker.stop();
    std::fs::remove_dir_all(world.broker.data().join("ledger")).expect("removed");
    std::fs::remove_file(world.broker.data().join("pki/ledger.key")).expect("removed");
    world.broker.resume();
    let visits = Visits { world: &world, who: &alice, replay };
    visits.all_end(65, "error: the key of the broker's ledger is not the one that is remembered of it").await;

    // the keys by name: the remembered one is not what signs, the other is not the remembered one
    let new = std::fs::read_to_string(world.broker.data().join("ledger/key")).expect("a key");
    assert_ne!(old, new);
    for (name, key) in [("old.pub", &old), ("new.pub", &new)] {
        std::fs::write(alice.home().join(name), key).expect("written");
    }
    let named = "error: the key that was named is not the one that is remembered of this broker's ledger";
    for command in [&["audit", "verify"][..], &["audit", "tail"], &["session", "replay", &visits.replay]] {
        let with =
            |key: &'static str| -> Vec<&str> { command.iter().copied().chain(["--key", key]).collect() };
        alice.run(&with("new.pub")).await.ends(65).tells(named);
        alice.run(&with("old.pub")).await.ends(65);
    }
    login(&world, &alice, "alice", &["--new-ledger"]).await.ends(0);
    psql(&alice, "SELECT 1").await.ends(0);
    alice.run(&["audit", "verify", "--key", "new.pub"]).await.ends(0);
    alice.run(&["audit", "tail", "--key", "new.pub"]).await.ends(0);
    alice.run(&["audit", "tail", "--key", "old.pub"]).await.ends(65).tells(named);
}

/// A checkpoint that is named is one more that must be extended, and takes the place of none.
#[tokio::test(flavor = "multi_thread")]
async fn a_named_checkpoint_does_not_give_up_the_remembered_head() {
    let mut world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let ledger = world.broker.data().join("ledger");
    world.broker.stop();
    let yesterday = tempfile::tempdir().expect("a folder");
    copy_all(&ledger, yesterday.path());
    std::fs::copy(ledger.join("checkpoint"), alice.home().join("kept")).expect("copied");
    world.broker.resume();
    for _ in 0..3 {
        psql(&alice, "SELECT 1").await.ends(0);
    }
    let old = size(&std::fs::read_to_string(alice.home().join("kept")).expect("a checkpoint"));
    // it is published about once a second
    while published(&world) < old + 20 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let verify = async || alice.run(&["audit", "verify", "--checkpoint", "kept", "--output", "json"]).await;
    let found: Value = serde_json::from_str(&verify().await.ends(0).stdout).expect("JSON");
    assert_eq!(found["key_from"], "memory");
    let remembered = || std::fs::read_to_string(place(&alice).join("ledger-checkpoint")).expect("a memory");
    let before = remembered();
    assert!(size(&before) >= found["entries"].as_u64().expect("a number"), "{before}");
    assert_eq!(found["extends"], old);
    assert!(size(&before) >= old + 20, "{before}");

    // a log that extends the named checkpoint, and not the remembered head
    swap(&mut world, yesterday.path());
    let ran = verify().await.ends(65);
    assert!(
        ran.stderr.contains(" entries when it was last seen, and now has ")
            || ran.stderr.contains("it has been rolled back or cut"),
        "{}",
        ran.stderr
    );
    assert_eq!(remembered(), before);
}

/// Whoever deletes files also deletes the notes of them; the ledger counts what there was.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_of_a_recording_is_missed() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let mut sessions = Vec::new();
    for text in ["one", "two"] {
        // each by itself, so that the first answer is a chunk of its own
        let first = format!("SELECT '{text}' || 'ly'");
        let three = ["-c", &first, "-c", "SELECT pg_sleep(3)", "-c", "SELECT 'end' || 'ing'"];
        let arguments = ["connect", "db", "--", "-XAt"].into_iter().chain(three);
        alice.run(&arguments.collect::<Vec<_>>()).await.ends(0);
        sessions.push(session(&alice).await);
    }
    world.until_no_roles().await;
    let folder = |session: &str| world.broker.data().join("recordings").join(session);
    let replay = async |session: &str| alice.run(&["session", "replay", session, "--speed", "1000"]).await;
    for session in &sessions {
        let ran = replay(session).await.ends(0);
        assert!(ran.stdout.contains("ending") && ran.stderr.is_empty(), "{}", ran.text());
    }
    // the last chunk and its note, as if it had never been
    let (first, second) = (folder(&sessions[0]), folder(&sessions[1]));
    let last =
        (0..).take_while(|chunk| first.join(format!("1-{chunk}.zst")).exists()).last().expect("chunks");
    assert!(last > 0, "there is one chunk only");
    std::fs::remove_file(first.join(format!("1-{last}.zst"))).expect("removed");
    let notes = std::fs::OpenOptions::new().write(true).open(first.join("1.entries")).expect("the notes");
    notes.set_len(last * 8).expect("cut");
    std::fs::remove_file(first.join("ends")).expect("removed");
    let ran = replay(&sessions[0]).await.ends(65);
    assert!(ran.stdout.contains("onely") && !ran.stdout.contains("ending"), "{}", ran.stdout);
    assert!(
        ran.stderr.contains(&format!("error: chunk {last} of connection 1, which entry ")),
        "{}",
        ran.stderr
    );
    // the whole recording
    std::fs::remove_dir_all(&second).expect("removed");
    let ran = replay(&sessions[1]).await.ends(65);
    assert!(ran.stderr.contains("error: chunk 0 of connection 1, which entry "), "{}", ran.stderr);

    // of one that is open nothing says how long it will be
    let child = world.sleeping(&alice).await;
    let open = session(&alice).await;
    replay(&open).await.ends(0).tells("note: the session is open: nothing proves yet where it ends");
    drop(child);
}
