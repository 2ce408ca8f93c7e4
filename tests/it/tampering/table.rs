//! Every way in which somebody who can write the files tried to change the record, and the sentence
//! that `audit verify` says of it.

use std::path::Path;

use hoopctl::broker::ledger::LedgerWriter;
use hoopctl::domain::event::What;
use hoopctl::ledger::checkpoint::Checkpoint;
use hoopctl::ledger::note::Signer;
use hoopctl::ledger::tree::Hash;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::forge;
use super::record::{Record, START, bundle, event, session};
use crate::support::env::Env;

/// One attack: what is done to the folder, and what is said then.
type Attack<'a> = (&'a str, Box<dyn Fn(&Path) + 'a>, String);

fn attack<'a>(name: &'a str, done: impl Fn(&Path) + 'a, sentence: impl Into<String>) -> Attack<'a> {
    (name, Box::new(done), sentence.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_tampering_is_found_and_the_first_bad_entry_is_named() {
    let record = Record::make().await;
    let flip = |path: &Path, at: usize| {
        let mut bytes = std::fs::read(path).expect("a file");
        bytes[at] ^= 1;
        std::fs::write(path, bytes).expect("written");
    };
    let broken = |sentence: &str| format!("the ledger is broken: {sentence}");
    let (first, second) = (session(1), session(2));
    let yesterday = |to: &Path| {
        std::fs::remove_dir_all(to).expect("removed");
        crate::support::copy_all(record.yesterday.path(), to);
    };
    let rolled = broken("entry 600: the log had 700 entries and now has 600: it has been rolled back or cut");
    let attacks: Vec<Attack<'_>> = vec![
        attack(
            "an entry is edited",
            |dir| bundle(dir, "001", |entries| entries[10][30] ^= 1),
            broken("entry 266: its bytes have been altered"),
        ),
        attack(
            "an entry is removed",
            |dir| bundle(dir, "001", |entries| drop(entries.remove(10))),
            broken("entry 266: it has been removed"),
        ),
        attack(
            "two entries are swapped",
            |dir| bundle(dir, "001", |entries| entries.swap(10, 20)),
            broken("entry 266: another entry stands in its place"),
        ),
        attack(
            "an entry is put in between",
            |dir| bundle(dir, "001", |entries| entries.insert(10, entries[3].clone())),
            broken("entry 266: another entry stands in its place"),
        ),
        attack(
            "a bundle is truncated",
            |dir| {
                let path = dir.join("ledger/tile/entries/001");
                let bytes = std::fs::read(&path).expect("a bundle");
                std::fs::write(&path, &bytes[..bytes.len() - 10]).expect("written");
            },
            broken("entry 511: it is missing"),
        ),
        attack(
            "a bundle has more in it",
            |dir| bundle(dir, "001", |entries| entries.push(b"{}".to_vec())),
            broken("entry 511: there are bytes after it that belong to no entry"),
        ),
        attack(
            "the newest bundle is deleted",
            |dir| std::fs::remove_dir_all(dir.join("ledger/tile/entries/002.p")).expect("removed"),
            broken("entry 512: it is missing"),
        ),
        attack(
            "the newest tile is deleted",
            |dir| std::fs::remove_dir_all(dir.join("ledger/tile/0/002.p")).expect("removed"),
            broken("entry 512: the entries are right, but `tile/0/002.p/188` has been altered or is missing"),
        ),
        attack(
            "a tile is altered",
            |dir| flip(&dir.join("ledger/tile/0/001"), 40),
            broken("entry 257: the entries are right, but `tile/0/001` has been altered or is missing"),
        ),
        attack(
            "a tile of the level above is altered",
            |dir| flip(&dir.join("ledger/tile/1/000.p/2"), 40),
            broken("entry 256: the entries are right, but `tile/1/000.p/2` has been altered or is missing"),
        ),
        attack(
            "an entry after the kept checkpoint is edited, and all tiles with it",
            |dir| record.rewrite(dir, 650),
            broken(
                "entry 600: it or one after it has been altered, and the tiles with it: they do not match the signed root",
            ),
        ),
        attack(
            "an entry before the kept checkpoint is edited, and all tiles with it",
            |dir| record.rewrite(dir, 266),
            broken(
                "the log is not the one of the kept checkpoint of size 600: the first entry that differs is one of the first 600",
            ),
        ),
        attack(
            "recordings are swapped between sessions",
            |dir| {
                let file = |session| dir.join(format!("recordings/{session}/1-0.zst"));
                let (one, other) = (file(&first), file(&second));
                std::fs::rename(&one, dir.join("x")).expect("moved");
                std::fs::rename(&other, &one).expect("moved");
                std::fs::rename(dir.join("x"), &other).expect("moved");
            },
            broken(&format!("entry 3: chunk 0 of connection 1 of {first} has been altered")),
        ),
        attack(
            "a chunk of a recording is replaced",
            |dir| {
                let path = dir.join(format!("recordings/{second}/1-0.zst"));
                let bytes = std::fs::read(&path).expect("a chunk");
                std::fs::write(&path, forge(&bytes, b"answer 2", b"answer 3")).expect("written");
            },
            broken(&format!("entry 8: chunk 0 of connection 1 of {second} has been altered")),
        ),
        attack(
            "a chunk of a recording is deleted",
            |dir| std::fs::remove_file(dir.join(format!("recordings/{second}/1-0.zst"))).expect("removed"),
            broken(&format!("entry 8: chunk 0 of connection 1 of {second} is missing")),
        ),
        attack(
            "the checkpoint is edited",
            |dir| flip(&dir.join("ledger/checkpoint"), 14),
            broken("the checkpoint cannot be believed: its signature is wrong"),
        ),
        attack(
            "the checkpoint is deleted",
            |dir| std::fs::remove_file(dir.join("ledger/checkpoint")).expect("removed"),
            broken("there is no checkpoint"),
        ),
        attack(
            "another key signs the same log",
            |dir| {
                let signer = Signer::new("example.org/log", &[9; 32]).expect("a key");
                let head = std::fs::read_to_string(dir.join("ledger/checkpoint")).expect("a checkpoint");
                let lines: Vec<&str> = head.lines().collect();
                let root = Hash::parse(lines[2]).expect("a root");
                let head = Checkpoint { size: lines[1].parse().expect("a size"), root };
                std::fs::write(dir.join("ledger/checkpoint"), head.sign(&signer)).expect("written");
                std::fs::write(dir.join("ledger/key"), signer.verifier().to_string()).expect("written");
            },
            broken("the checkpoint cannot be believed: it is not signed by the trusted key"),
        ),
        attack(
            "a bundle is a named pipe",
            |dir| {
                let path = dir.join("ledger/tile/entries/001");
                std::fs::remove_file(&path).expect("removed");
                mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("made");
            },
            "the ledger cannot be verified: `tile/entries/001` cannot be read: it is a named pipe and not a file",
        ),
        attack(
            "the tiles are elsewhere",
            |dir| {
                std::fs::rename(dir.join("ledger/tile"), dir.join("elsewhere")).expect("moved");
                std::os::unix::fs::symlink("../elsewhere", dir.join("ledger/tile")).expect("linked");
            },
            "the ledger cannot be verified: `tile` cannot be read: it is a symbolic link and not a folder",
        ),
    ];
    let mut wrong = Vec::new();
    // against a head of yesterday that somebody kept
    let env = Env::new("https://127.0.0.1:1");
    verify(&env, record.today.path(), &record, Some(&record.early)).await.ends(0);
    for (name, done, sentence) in attacks {
        let copy = record.copy();
        done(copy.path());
        wrong.extend(says(&verify(&env, copy.path(), &record, Some(&record.early)).await, name, &sentence));
    }
    // and against one of today
    let forged_at = START - 86_400;
    let attacks: Vec<Attack<'_>> = vec![
        attack(
            "an old checkpoint is put back",
            |dir| std::fs::write(dir.join("ledger/checkpoint"), &record.early).expect("written"),
            rolled.clone(),
        ),
        attack("the backup of yesterday is put back", |dir| yesterday(dir), rolled),
        attack(
            "the log is forked with the key, and longer",
            |dir| {
                yesterday(dir);
                goes_on(dir, (0..150).map(|number| START + 600 + number));
            },
            broken(
                "the log is not the one of the kept checkpoint of size 700: the first entry that differs is one of the first 700",
            ),
        ),
        attack(
            "an entry is back-dated with the key",
            |dir| goes_on(dir, [forged_at].into_iter()),
            broken(
                "entry 700: it is dated 2025-12-31T00:00:00Z, more than an hour before entry 699, which is dated 2026-01-01T00:11:39Z",
            ),
        ),
        attack(
            "an entry is edited behind one that a wrong clock has dated",
            |dir| {
                goes_on(dir, [forged_at, START + 700].into_iter());
                bundle(dir, "002.p/190", |entries| entries[189][30] ^= 1);
            },
            broken("entry 701: its bytes have been altered"),
        ),
    ];
    for (name, done, sentence) in attacks {
        let copy = record.copy();
        done(copy.path());
        wrong.extend(says(&verify(&env, copy.path(), &record, Some(&record.late)).await, name, &sentence));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // what a key of the ledger's own word is worth without anything that was kept
    let copy = record.copy();
    yesterday(copy.path());
    verify(&env, copy.path(), &record, None).await.ends(0);
}

/// Opens the ledger with its own key, as only whoever has it can, and enters more.
fn goes_on(dir: &Path, seconds: impl Iterator<Item = i64>) {
    let ledger = LedgerWriter::open(&dir.join("ledger"), "example.org/log", &dir.join("signing.key"));
    let ledger = ledger.expect("it opens");
    for second in seconds {
        ledger.enter(&event(second, What::LoggedIn { refresh: false })).expect("entered");
    }
    ledger.close();
}

async fn verify(env: &Env, dir: &Path, record: &Record, kept: Option<&str>) -> crate::support::env::Ran {
    let (key, file) = (env.home().join("ledger.pub"), env.home().join("kept"));
    std::fs::write(&key, &record.key).expect("written");
    let (ledger, recordings) = (dir.join("ledger"), dir.join("recordings"));
    let texts = [&ledger, &key, &recordings, &file].map(|path| path.to_string_lossy().into_owned());
    let mut arguments =
        vec!["audit", "verify", "--dir", &texts[0], "--key", &texts[1], "--recordings", &texts[2]];
    if let Some(kept) = kept {
        std::fs::write(&file, kept).expect("written");
        arguments.extend(["--checkpoint", &texts[3]]);
    }
    env.run(&arguments).await
}

/// What was said instead, if it was not this.
fn says(ran: &crate::support::env::Ran, name: &str, sentence: &str) -> Option<String> {
    let said = ran.stderr.lines().next().unwrap_or_default();
    let right = said == format!("error: {sentence}") && ran.code == 65 && ran.stdout.is_empty();
    (!right).then(|| format!("{name}: {} {}", ran.code, ran.text()))
}
