//! One session, shown to somebody who has nothing but a file and the ledger's key.

mod approvals;
mod hostile;
pub(crate) mod story;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use hoopctl::domain::event::What;
use hoopctl::domain::session::CloseReason;
use hoopctl::ledger::cosignature::Cosigner;
use serde_json::Value;

use self::story::{NEIGHBOUR, everything, folder, ledger, whole};
use crate::reviews::{by, session};
use crate::support::env::{Env, Ran};
use crate::support::world::{Twist, World, psql};

/// Somebody with an empty machine, and this file.
async fn third_party(file: &Path, arguments: &[&str]) -> Ran {
    let env = Env::new("");
    fs::copy(file, env.home().join("p.proof")).expect("a file");
    let ran = env.run(&[&["audit", "verify", "p.proof"], arguments].concat()).await;
    assert!(!env.state().exists(), "something was kept");
    ran
}

async fn prove(env: &Env, root: &Path, arguments: &[&str]) -> Ran {
    let (dir, id) = (ledger(root), session(1).to_string());
    env.run(&[&["audit", "prove", "--dir", &dir, "--session", &id, "--out", "p.proof"], arguments].concat())
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_is_shown_without_its_neighbours() {
    let (root, env) = (folder(&whole()).await, Env::new(""));
    let (file, key) = (env.home().join("p.proof"), root.path().join("ledger/key"));
    let key = ["--key", key.to_str().expect("a path")];
    let ran = prove(&env, root.path(), &[&["--recordings"], &key[..]].concat()).await.ends(0);
    assert_eq!(ran.stderr, "wrote p.proof\n");
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);

    let text = fs::read_to_string(&file).expect("text");
    let all = everything(&text);
    let mine = session(1);
    for there in [mine.as_str(), "DROP TABLE t", "was answered on 1 in 1", "bob", "carol"] {
        assert!(all.contains(there), "{there}");
    }
    for others in [NEIGHBOUR, "zoe", session(9).as_str(), "logged-in", "logged-out"] {
        assert!(!all.contains(others), "{others}: {all}");
    }

    let shown = third_party(&file, &key).await.ends(0);
    assert_eq!(shown.stderr, "");
    assert_eq!(shown.stdout, SHOWN);
    assert_eq!(ran.stdout, SHOWN, "who makes it is told the same");

    // what nobody named says so, and a chunk that is left out as well
    prove(&env, root.path(), &["--recordings", "--chunk", "1-1"]).await.ends(0);
    let shown = third_party(&file, &["--output", "json"]).await.ends(0);
    let shown: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    assert_eq!((&shown["chunks"], &shown["chunks_shown"]), (&2.into(), &1.into()));
    assert_eq!(shown["key_from"], "ledger");
    let silences = shown["not_shown"].to_string();
    for silence in ["the key is the file's own word", "1 of 2 chunks of its recording", "`--policy`"] {
        assert!(silences.contains(silence), "{silences}");
    }
}

const SHOWN: &str = "\
20 entries about `ses_abaeaqcaibaeaqcaibaeaqcaib` are proven to be in the ledger `example.org/log`, under its signed checkpoint of 30 entries
corp:alice opened it on `db` at 1970-01-01T00:00:03Z; it closed at 1970-01-01T00:00:11Z: the client ended it
every statement of it is here, numbered without a gap and counted: 3 statements: 1 allowed, 1 denied, 1 held
connections to their end, with every statement and chunk that the end counts: 1
every approval in it was given and signed by its reviewers: 3 reviews
the recording in it is what was entered: 2 of 2 chunks
not shown: that others were shown the same ledger: `--policy` names witnesses, who say so
not shown: whether requests, reviews, grants, leases, caps or revoked devices were left out: no entry counts them
not shown: other sessions, and that the rest of the ledger is in good order: `hoopctl audit verify` finds that
not shown: that the broker wrote down what happened, and that its clock was right
";

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_open_is_said_to_be() {
    let mut events = whole();
    events.truncate(21);
    let (root, env) = (folder(&events).await, Env::new(""));
    prove(&env, root.path(), &[]).await.ends(0);
    let shown = third_party(&env.home().join("p.proof"), &[]).await.ends(0);
    for sentence in [
        "; it is not closed\n",
        "its statements are numbered without a gap: 3 statements: 1 allowed, 1 denied, 1 held\n",
        "connections to their end, with every statement and chunk that the end counts: 0\n",
        "not shown: how it goes on: it was open when the file was made, or the end of the story was left out\n",
        "not shown: the end of 1 connection that had begun\n",
    ] {
        assert!(shown.stdout.contains(sentence), "{}", shown.stdout);
    }
    assert!(!shown.stdout.contains("every statement of it is here"), "{}", shown.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_was_killed_could_not_count() {
    let mine = session(1);
    let mut events = whole();
    events.truncate(22);
    events.push(by("alice", 10, What::BrokerStarted { version: "2".into() }));
    let reason = CloseReason::BrokerRestarted;
    events.push(by(
        "alice",
        11,
        What::SessionClosed { session: mine, reason, statements: 2, connections: 0 },
    ));
    let (root, env) = (folder(&events).await, Env::new(""));
    prove(&env, root.path(), &[]).await.ends(0);
    let shown = third_party(&env.home().join("p.proof"), &[]).await.ends(0);
    for sentence in [
        "it closed at 1970-01-01T00:00:11Z: the broker was restarted\n",
        "its statements are numbered without a gap: 3 statements: 1 allowed, 1 denied, 1 held\n",
        "not shown: that nothing is missing at the end: the broker was killed meanwhile, and could not count\n",
        "not shown: 1 of 1 chunks of its recording: they are not in the file\n",
    ] {
        assert!(shown.stdout.contains(sentence), "{}", shown.stdout);
    }
    assert!(!shown.stdout.contains("every statement of it is here"), "{}", shown.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_and_witnesses_that_did_not_sign_are_refused() {
    let (root, env) = (folder(&whole()).await, Env::new(""));
    let file = env.home().join("p.proof");
    prove(&env, root.path(), &[]).await.ends(0);
    let other = folder(&whole()).await;
    let (own, strange) = (root.path().join("ledger/key"), other.path().join("ledger/key"));
    let [own, strange] = [&own, &strange].map(|path| path.to_str().expect("a path"));
    let ran = third_party(&file, &["--key", strange]).await.ends(65);
    assert_eq!(ran.stdout, "");
    let said = "error: `p.proof` shows nothing: line 1: the checkpoint cannot be believed: it is not signed by the trusted key\n";
    assert!(ran.stderr.starts_with(said), "{}", ran.stderr);

    let witness = Cosigner::new("witness.example", &[3; 32]).expect("a name");
    let policy = env.home().join("policy");
    fs::write(&policy, format!("witness w {}\nquorum w\n", witness.public())).expect("written");
    let policy = ["--key", own, "--policy", policy.to_str().expect("a path")];
    let ran = third_party(&file, &policy).await.ends(65);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("too few witnesses signed it: none; not w\n"), "{}", ran.stderr);

    // the newest checkpoint that witnesses have signed is the one that is taken
    let ledger = root.path().join("ledger");
    let note = fs::read_to_string(ledger.join("checkpoint")).expect("a checkpoint");
    let text = note.split_once("\n\n").expect("a note").0.to_owned() + "\n";
    fs::write(ledger.join("cosigned"), format!("{note}{}", witness.cosign(&text, 1_767_225_600)))
        .expect("written");
    prove(&env, root.path(), &[]).await.ends(0);
    let ran = third_party(&file, &policy).await.ends(0);
    let said = "witnessed by 1 of 1, with 30 of its 30 entries: w at 2026-01-01T00:00:00Z\n";
    assert!(ran.stdout.contains(said), "{}", ran.stdout);
    assert!(!ran.stdout.contains("not shown: that others were shown the same ledger"), "{}", ran.stdout);

    // a policy may name the ledger itself
    let line = fs::read_to_string(strange).expect("a key");
    fs::write(env.home().join("policy"), format!("log {}\nquorum none\n", line.trim())).expect("written");
    let ran = third_party(&file, &policy[2..]).await.ends(65);
    assert!(ran.stderr.contains("it is signed by no log of the policy\n"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_proven_leaves_no_file() {
    let (root, env) = (folder(&whole()).await, Env::new(""));
    let (dir, nobody) = (ledger(root.path()), session(5).to_string());
    let left = || fs::read_dir(env.home()).expect("a folder").map(|file| file.expect("a file").file_name());
    let before: Vec<_> = left().collect();
    let chunk = root.path().join("recordings").join(session(1).as_str()).join("1-1.zst");
    let missing = ["audit", "prove", "--dir", &dir, "--session", &nobody, "--out", "p.proof"];
    let ran = env.run(&missing).await.ends(64);
    assert!(ran.stderr.contains(&format!("the ledger has no session `{nobody}`\n")), "{}", ran.stderr);
    let ran = prove(&env, root.path(), &["--recordings", "--chunk", "1-0", "--chunk", "2-0"]).await.ends(64);
    assert!(ran.stderr.contains("has no chunk 2-0 of a recording\n"), "{}", ran.stderr);
    prove(&env, root.path(), &["--chunk", "1-0"]).await.ends(64);
    let good = fs::read(&chunk).expect("a chunk");
    fs::write(&chunk, story::content(&session(1), 1, 0)).expect("written");
    let ran = prove(&env, root.path(), &["--recordings"]).await.ends(65);
    assert!(ran.stderr.contains("entry 23: chunk 1 of connection 1 of "), "{}", ran.stderr);
    fs::remove_file(&chunk).expect("removed");
    let ran = prove(&env, root.path(), &["--recordings"]).await.ends(65);
    assert!(ran.stderr.contains(" is missing\n"), "{}", ran.stderr);
    fs::write(&chunk, good).expect("written");
    let bundle = root.path().join("ledger/tile/entries/000.p/30");
    let mut bytes = fs::read(&bundle).expect("a bundle");
    let at = bytes.windows(10).position(|window| window == b"DROP TABLE").expect("a statement");
    bytes[at] = b'X';
    fs::write(&bundle, bytes).expect("written");
    let ran = prove(&env, root.path(), &[]).await.ends(65);
    assert!(
        ran.stderr.contains("entry 20: it is not proven under the signed checkpoint\n"),
        "{}",
        ran.stderr
    );
    assert_eq!(left().collect::<Vec<_>>(), before, "a file is left");
    // what is asked for is one thing
    for wrong in [["--dir", "."], ["--checkpoint", "x"], ["--recordings", "x"]] {
        env.run(&[&["audit", "verify", "p.proof"], &wrong[..]].concat()).await.ends(64);
    }
    env.run(&["audit", "verify", "p.proof"]).await.ends(64);
}

/// Two people's, at a real broker that goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_brokers_session_is_proven_and_verified_elsewhere() {
    let policy = r#"@id("devs") permit (principal in Hoop::Group::"corp/dev", action == Hoop::Action::"connect", resource);"#;
    let world = World::start(Twist { policy, ..Twist::default() }).await;
    let (alice, bob) = (world.login("alice").await, world.login("bob").await);
    psql(&bob, &format!("SELECT '{NEIGHBOUR}'")).await.ends(0);
    psql(&alice, "SELECT 'mine' || 'alone'").await.ends(0);
    psql(&bob, &format!("SELECT '{NEIGHBOUR}'")).await.ends(0);
    let list = alice.run(&["--output", "json", "session", "list"]).await.ends(0);
    let sessions: Vec<Value> =
        list.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let mine = sessions.iter().find(|session| session["principal"]["subject"] == "alice").expect("a session");
    let id = mine["id"].as_str().expect("an id").to_owned();
    let prove = ["audit", "prove", "--session", &id, "--recordings", "--out", "p.proof"];
    // its last entries are under a checkpoint a moment later
    let mut ran = alice.run(&prove).await;
    for _ in 0..40 {
        if ran.code == 0 && !ran.stdout.contains("it is not closed") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        ran = alice.run(&prove).await;
    }
    ran.ends(0);
    let file = alice.home().join("p.proof");
    let all = everything(&fs::read_to_string(&file).expect("text"));
    assert!(all.contains("'mine' || 'alone'") && all.contains("minealone"), "{all}");
    let others = sessions.iter().filter(|session| session["id"] != id.as_str());
    let others: Vec<&str> = others.map(|session| session["id"].as_str().expect("an id")).collect();
    assert_eq!(others.len(), 2, "{}", list.stdout);
    for other in [&[NEIGHBOUR, "bob"], others.as_slice()].concat() {
        assert!(!all.contains(other), "{other}: {all}");
    }
    let key = world.broker.data().join("ledger/key");
    let shown =
        third_party(&file, &["--key", key.to_str().expect("a path"), "--output", "json"]).await.ends(0);
    let shown: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    assert_eq!((&shown["session"], &shown["statements"]), (&id.as_str().into(), &1.into()), "{shown}");
    assert_eq!((&shown["reason"], &shown["connections"]), (&"client-ended".into(), &1.into()), "{shown}");
    assert_eq!((&shown["chunks"], &shown["chunks_shown"]), (&1.into(), &1.into()), "{shown}");
    // who may not read the ledger cannot make a proof of it
    let ran = bob.run(&prove).await;
    assert!(ran.code != 0 && !bob.home().join("p.proof").exists(), "{}", ran.text());
}
