//! What somebody who can write the files did to the record, and who finds it.

mod record;
mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use hoopctl::ledger::entry::decode;
use hoopctl::ledger::tile::{append_entry, split_entry};
use hoopctl::recording::chunk::{Chunk, ChunkWriter};
use jiff::Timestamp;
use serde_json::Value;

use crate::support::env::Env;
use crate::support::world::{Twist, World, psql};

/// The broker's word about what was entered is worth nothing: it would compare a file with itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_shows_what_the_ledger_holds_and_not_what_lies_on_the_disk() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    psql(&alice, "SELECT 'innocent' || 'ly'").await.ends(0);
    let session = session(&alice).await;
    let shown = alice.run(&["session", "replay", &session, "--speed", "1000"]).await.ends(0);
    assert!(shown.stdout.contains("innocently"), "{}", shown.text());

    let folder = world.broker.data().join("recordings").join(&session);
    let (file, first) = (folder.join("1-0.zst"), std::fs::read(folder.join("1-0.zst")).expect("a chunk"));
    let forged = forge(&first, b"innocently", b"guiltily!!");
    std::fs::write(&file, &forged).expect("written");
    let shown = alice.run(&["session", "replay", &session, "--speed", "1000"]).await.ends(65);
    assert!(!shown.stdout.contains("guiltily"), "{}", shown.text());
    let found = "error: chunk 0 of connection 1 is not what entry ";
    assert!(shown.stderr.contains(found), "{}", shown.stderr);
    assert!(shown.stderr.contains(" of the ledger holds\n"), "{}", shown.stderr);

    std::fs::write(&file, &first).expect("written");
    let notes = folder.join("1.entries");
    std::fs::remove_file(&notes).expect("the notes are there");
    alice.run(&["session", "replay", &session, "--speed", "1000"]).await.ends(0);
    assert!(notes.exists(), "they are found anew");
}

/// What is printed has been proven, though nobody asked for the ledger to be verified.
#[tokio::test(flavor = "multi_thread")]
async fn a_tail_shows_only_what_is_under_the_signed_head() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    psql(&alice, "SELECT 1 AS innocently").await.ends(0);
    world.until_no_roles().await;
    let tail = async || alice.run(&["audit", "tail", "-n", "1000", "--output", "json"]).await;
    // a checkpoint is made about once a second, and then no more
    let mut shown = tail().await.ends(0).stdout;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let now = tail().await.ends(0).stdout;
        if now == shown && now.contains("lease-revoked") {
            break;
        }
        shown = now;
    }
    assert!(shown.contains("AS innocently"), "{shown}");

    let ledger = world.broker.data().join("ledger");
    let size = |ledger: &Path| -> String {
        let note = std::fs::read_to_string(ledger.join("checkpoint")).expect("a checkpoint");
        note.lines().nth(1).expect("a size").to_owned()
    };
    let file: PathBuf = ledger.join("tile/entries/000.p").join(size(&ledger));
    let good = std::fs::read(&file).expect("a bundle");
    let (mut forged, mut rest, mut at, mut changed) = (Vec::new(), good.as_slice(), 0, None);
    while let Some((entry, after)) = split_entry(rest) {
        let text = String::from_utf8_lossy(entry).replace("innocently", "guiltily!!");
        if text.as_bytes() != entry {
            decode(text.as_bytes()).expect("still an entry");
            changed.get_or_insert(at);
        }
        append_entry(&mut forged, text.as_bytes()).expect("it fits");
        (rest, at) = (after, at + 1);
    }
    std::fs::write(&file, &forged).expect("written");
    let ran = tail().await.ends(65);
    assert_eq!(file, ledger.join("tile/entries/000.p").join(size(&ledger)), "nothing was entered meanwhile");
    assert!(!ran.stdout.contains("guiltily"), "{}", ran.text());
    let index = changed.expect("it was there");
    let found = format!("the ledger is broken: entry {index}: it is not proven under the signed checkpoint");
    assert!(ran.stderr.contains(&found), "{}", ran.stderr);
}

pub(crate) async fn session(env: &Env) -> String {
    let list = env.run(&["--output", "json", "session", "list"]).await.ends(0);
    let session: Value = serde_json::from_str(list.stdout.lines().next().expect("a line")).expect("JSON");
    session["id"].as_str().expect("an id").to_owned()
}

/// The same chunk with other content, as its format wants it.
pub(crate) fn forge(chunk: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let chunk = Chunk::open(chunk).expect("a chunk");
    let (mut writer, mut changed) = (ChunkWriter::default(), false);
    for piece in chunk.pieces() {
        let mut bytes = piece.bytes.to_vec();
        while let Some(at) = bytes.windows(from.len()).position(|window| window == from) {
            bytes.splice(at..at + from.len(), to.iter().copied());
            changed = true;
        }
        let at = Timestamp::from_microsecond(piece.at).expect("a time");
        assert_eq!(writer.push(at, piece.kind, &bytes, usize::MAX), None);
    }
    assert!(changed, "it is in the recording");
    writer.seal(&chunk.place).expect("sealed")
}
