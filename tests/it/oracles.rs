//! Logs of ours before implementations of others: Go's `x/mod/sumdb`, and the crates `tlog_tiles`, `signed_note`
//! and `ct-merkle`, none of which is made of code of ours.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hoopctl::broker::ledger::LedgerWriter;
use hoopctl::domain::event::{Event, What};
use hoopctl::domain::name::Digest;
use hoopctl::ledger::checkpoint::Checkpoint;
use hoopctl::ledger::entry::encode;
use hoopctl::ledger::note::VerifierKey;
use hoopctl::ledger::proof::Prover;
use hoopctl::ledger::tree::{Frontier, Hash, consistency_proof, verify_consistency, verify_inclusion};
use hoopctl::ledger::verify::Audit;
use jiff::Timestamp;
use tempfile::TempDir;

use crate::support::copy_all;

#[tokio::test(flavor = "multi_thread")]
async fn others_accept_our_checkpoints_and_proofs() {
    for size in [1, 255, 256, 257, 65_537] {
        let log = Log::make(size).await;
        let proofs = log.proofs();
        for program in PROGRAMS {
            let judged = judge(program, log.dir.path(), &proofs);
            let refused: Vec<&String> = judged.iter().filter(|line| !line.ends_with(": accepted")).collect();
            assert!(refused.is_empty(), "{size}: {refused:?}");
            // two crates judge each proof, and checkpoint and tiles have a line of their own
            let each = if program == "tlog" { 2 } else { 1 };
            assert_eq!(judged.len(), 2 + each * proofs.len(), "{size}: {judged:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn others_refuse_what_we_refuse() {
    let log = Log::make(257).await;
    let proofs = log.proofs();
    let copy = || {
        let copy = tempfile::tempdir().expect("a folder");
        copy_all(log.dir.path(), copy.path());
        copy
    };
    // one bit of a file
    let files = [
        ("checkpoint", 20, "checkpoint"),
        ("checkpoint", 120, "checkpoint"),
        ("key", 40, "checkpoint"),
        ("tile/0/000", 100, "tiles"),
        ("tile/0/001.p/1", 5, "tiles"),
        ("tile/1/000.p/1", 5, "tiles"),
        ("tile/entries/000", 60, "tiles"),
        ("tile/entries/001.p/1", 60, "tiles"),
    ];
    for (name, at, what) in files {
        let copy = copy();
        let path = copy.path().join(name);
        let mut bytes = std::fs::read(&path).expect("a file");
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).expect("written");
        assert!(!log.accept(copy.path()), "we take {name}");
        for program in PROGRAMS {
            refuses(&judge(program, copy.path(), &proofs), what, name);
        }
    }
    // one bit, or one place, of a proof
    let flipped = |hash: &Hash| {
        let mut bytes = *hash.as_bytes();
        bytes[7] ^= 1;
        Hash::new(bytes)
    };
    for proof in &proofs {
        let mut altered = Vec::new();
        for place in 0..proof.hashes.len() {
            let mut other = proof.clone();
            other.hashes[place] = flipped(&other.hashes[place]);
            altered.push(other);
        }
        let longer = [proof.hashes.as_slice(), &[Hash::empty()]].concat();
        altered.push(Proof { hashes: longer, ..proof.clone() });
        if let Some((_, shorter)) = proof.hashes.split_last() {
            altered.push(Proof { hashes: shorter.to_vec(), ..proof.clone() });
        }
        let mut bytes = proof.bytes.clone();
        bytes[3] ^= 1;
        altered.push(Proof { bytes, ..proof.clone() });
        altered.push(Proof { at: proof.at ^ 1, ..proof.clone() });
        // nothing is the head of an empty log, and none is inside of itself
        altered.retain(|proof| proof.kind == "inclusion" || (1..log.head.size).contains(&proof.at));
        for proof in altered {
            assert!(!proof.holds(&log.head), "we take {proof:?}");
            for program in PROGRAMS {
                refuses(&judge(program, log.dir.path(), std::slice::from_ref(&proof)), proof.kind, "a proof");
            }
        }
    }
}

/// Everybody who judged this refused it.
#[track_caller]
fn refuses(judged: &[String], what: &str, name: &str) {
    let about: Vec<&String> = judged.iter().filter(|line| line.contains(&format!(": {what}"))).collect();
    assert!(!about.is_empty(), "{name}: {judged:?}");
    assert!(about.iter().all(|line| line.contains(": refused: ")), "{name}: {about:?}");
}

/// A log that a broker's writer has made.
struct Log {
    dir: TempDir,
    head: Checkpoint,
    key: VerifierKey,
    entries: Vec<Vec<u8>>,
    /// Roots of the log when it was so long.
    roots: Vec<Hash>,
}

/// A proof, as a line for the programs.
#[derive(Debug, Clone)]
struct Proof {
    kind: &'static str,
    at: u64,
    /// The entry, or the root of the older log.
    bytes: Vec<u8>,
    hashes: Vec<Hash>,
}

impl Log {
    async fn make(size: u64) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let dir = tempfile::tempdir().expect("a folder");
        let ledger = LedgerWriter::open(dir.path(), "example.org/log", &root.path().join("signing.key"));
        let ledger = ledger.expect("it opens");
        let (mut entries, mut frontier, mut roots) = (Vec::new(), Frontier::default(), vec![Hash::empty()]);
        for number in 0..size {
            let what = What::BrokerStarted { version: number.to_string() };
            let policy = Digest::from_bytes(&[0; 32]);
            let event = Event { at: Timestamp::UNIX_EPOCH, actor: None, policy, what };
            ledger.enter(&event).expect("entered");
            let mut bytes = Vec::new();
            encode(&event, &mut bytes).expect("an entry");
            frontier.push(Hash::leaf(&bytes));
            roots.push(frontier.root());
            entries.push(bytes);
        }
        ledger.checkpoint_now().await.expect("signed");
        let key = ledger.key().clone();
        ledger.close();
        let note = std::fs::read_to_string(dir.path().join("checkpoint")).expect("a checkpoint");
        let head = Checkpoint::open(&note, &key).expect("it is signed");
        assert_eq!(head, Checkpoint { size, root: frontier.root() });
        Self { dir, head, key, entries, roots }
    }

    fn proofs(&self) -> Vec<Proof> {
        let size = self.head.size;
        let files = hoopctl::broker::ledger::DirectoryFiles::new(self.dir.path());
        let prover = Prover::new(&files, size);
        let mut places: Vec<u64> = vec![0, 1, 2, size / 2, 254, 255, 256, 257, 65_535, 65_536, size - 1];
        places.sort_unstable();
        places.dedup();
        let place = |at: u64| usize::try_from(at).expect("it fits");
        let inclusion = places.iter().filter(|at| **at < size).map(|at| Proof {
            kind: "inclusion",
            at: *at,
            bytes: self.entries[place(*at)].clone(),
            hashes: prover.inclusion(*at).expect("readable").expect("a proof"),
        });
        let consistency = places.iter().filter(|old| (1..size).contains(*old)).map(|old| Proof {
            kind: "consistency",
            at: *old,
            bytes: self.roots[place(*old)].as_bytes().to_vec(),
            hashes: consistency_proof(&prover, *old, size).expect("a proof"),
        });
        let proofs: Vec<Proof> = inclusion.chain(consistency).collect();
        assert!(proofs.iter().all(|proof| proof.holds(&self.head)));
        proofs
    }

    /// Whether we take this folder for the log, by the key that is in it.
    fn accept(&self, dir: &Path) -> bool {
        let files = hoopctl::broker::ledger::DirectoryFiles::new(dir);
        let key = std::fs::read_to_string(dir.join("key")).unwrap_or_default();
        let Ok(key) = VerifierKey::parse(key.trim()) else { return false };
        let audit = Audit { log: &files, recordings: None, key: &key, kept: None, reviews: &() };
        audit.run().is_ok() && key == self.key
    }
}

impl Proof {
    fn holds(&self, head: &Checkpoint) -> bool {
        if self.kind == "inclusion" {
            return verify_inclusion(&Hash::leaf(&self.bytes), self.at, head.size, &self.hashes, &head.root);
        }
        let old = Hash::new(self.bytes.as_slice().try_into().expect("a root"));
        verify_consistency((self.at, &old), (head.size, &head.root), &self.hashes)
    }

    fn line(&self) -> String {
        let hashes: Vec<String> = self.hashes.iter().map(ToString::to_string).collect();
        let hashes = if hashes.is_empty() { "-".to_owned() } else { hashes.join(",") };
        format!("{} {} {} {hashes}\n", self.kind, self.at, STANDARD.encode(&self.bytes))
    }
}

/// What a program says of a log and of proofs, line by line.
fn judge(program: &str, log: &Path, proofs: &[Proof]) -> Vec<String> {
    let mut lines = String::new();
    proofs.iter().for_each(|proof| write!(lines, "{}", proof.line()).expect("written"));
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), lines).expect("written");
    let path = crate::support::cached("audit", "audit").join("bin").join(program);
    let output = Command::new(&path).arg(log).arg(file.path()).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

/// Those of crates, and Go's.
const PROGRAMS: [&str; 2] = ["tlog", "x-mod"];
