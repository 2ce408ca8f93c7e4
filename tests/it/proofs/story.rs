//! Ledgers with somebody's session in them, and proofs of it.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hoopctl::broker::ledger::LedgerWriter;
use hoopctl::client::approvals::SignedReviews;
use hoopctl::client::evidence::{Choice, EvidenceError, ProofFile, ProofWriter, Shown};
use hoopctl::domain::event::{Event, VerdictWord, What};
use hoopctl::domain::name::{Digest, RuleName, SessionId};
use hoopctl::domain::session::CloseReason;
use hoopctl::ledger::checkpoint::Checkpoint;
use hoopctl::ledger::entry::encode;
use hoopctl::ledger::note::Signer;
use hoopctl::ledger::tree::{Hash, Tree, inclusion_proof};
use hoopctl::recording::chunk::{ChunkWriter, Place};
use hoopctl::recording::item::ItemKind;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::reviews::{
    approved, by, deed, enrolled, filed, issued, released, session, sessions, target, time, used,
};

/// What nobody but its owner may see of session 9.
pub(super) const NEIGHBOUR: &str = "neighbourly";

/// The key that signs the ledgers in memory, and the mutations of the fuzzer.
pub(crate) fn signer() -> Signer {
    Signer::new("ledger.example", &[7; 32]).expect("a name")
}

/// One session with one statement and a chunk, and nothing else: alice's, whose number is 7.
pub(crate) fn small() -> Vec<Event> {
    let mine = session(7);
    vec![
        by("alice", 1, opened(&mine)),
        by("alice", 2, judged(&mine, 1, 1, VerdictWord::Allow, "SELECT 1")),
        by("alice", 3, chunk_closed(&mine, 1, 0)),
        by("alice", 4, connection_closed(&mine, 1, 1, 1)),
        by("alice", 5, closed(&mine, 1, 1)),
    ]
}

/// Alice's session 1, opened with a grant, with a statement that two people approved; and zoe's session 9 between it.
pub(super) fn whole() -> Vec<Event> {
    let (mine, other) = (session(1), session(9));
    let (wish, held) = (sessions(2), deed(1, 7));
    vec![
        by("alice", 0, What::BrokerStarted { version: "1".into() }),
        enrolled("alice"),
        enrolled("bob"),
        enrolled("carol"),
        enrolled("zoe"),
        filed(1, 2, &wish, "corp/dba:1"),
        by("zoe", 1, opened(&other)),
        approved(2, "bob", &["corp/dba"], 2, &wish),
        issued(2, 2),
        by("alice", 3, opened(&mine)),
        used(3, 1),
        by("zoe", 3, What::LoggedIn { refresh: true }),
        by("alice", 4, connection_opened(&mine, 1)),
        by("alice", 5, judged(&mine, 1, 1, VerdictWord::Hold, "DELETE FROM t WHERE id = $1")),
        filed(5, 1, &held, "corp/dba:1, corp/oncall:1"),
        by("zoe", 5, judged(&other, 1, 1, VerdictWord::Allow, &format!("SELECT '{NEIGHBOUR}'"))),
        approved(6, "bob", &["corp/dba", "corp/oncall"], 1, &held),
        approved(7, "carol", &["corp/dba"], 1, &held),
        released(7, 1),
        by("alice", 8, judged(&mine, 1, 2, VerdictWord::Allow, "SELECT 2")),
        by("alice", 9, judged(&mine, 1, 3, VerdictWord::Deny, "DROP TABLE t")),
        by("alice", 9, chunk_closed(&mine, 1, 0)),
        by("zoe", 9, chunk_closed(&other, 1, 0)),
        by("alice", 9, chunk_closed(&mine, 1, 1)),
        by("alice", 10, connection_closed(&mine, 1, 3, 2)),
        by("zoe", 10, connection_closed(&other, 1, 1, 1)),
        by("alice", 11, closed(&mine, 3, 1)),
        by("zoe", 12, closed(&other, 1, 1)),
        by("alice", 12, lease_revoked(&mine)),
        by("zoe", 13, What::LoggedOut),
    ]
}

/// Session 7 with many connections, and as many of others between them.
pub(super) fn long() -> Vec<Event> {
    let (mine, other) = (session(7), session(9));
    let mut events = vec![by("alice", 1, opened(&mine)), by("zoe", 1, opened(&other))];
    for connection in 1..=20 {
        for (number, text) in (1..=4).zip(["BEGIN", "SELECT 'ä' || \"x\"", "\\x\t", "COMMIT"]) {
            events.push(by("alice", 2, judged(&mine, connection, number, VerdictWord::Allow, text)));
            events.push(by("zoe", 2, judged(&other, connection, number, VerdictWord::Allow, NEIGHBOUR)));
        }
        events.push(by("alice", 3, chunk_closed(&mine, connection, 0)));
        events.push(by("alice", 3, connection_closed(&mine, connection, 4, 1)));
    }
    events.push(by("alice", 4, closed(&mine, 80, 20)));
    events
}

pub(super) fn opened(session: &SessionId) -> What {
    What::SessionOpened { session: session.clone(), target: target(), expires: time(4000) }
}

pub(super) fn connection_opened(session: &SessionId, connection: u32) -> What {
    let (login, database) = ("hoop_a".into(), "app".into());
    What::ConnectionOpened { session: session.clone(), connection, login, database }
}

pub(super) fn judged(
    session: &SessionId,
    connection: u32,
    statement: u64,
    verdict: VerdictWord,
    text: &str,
) -> What {
    What::StatementJudged {
        session: session.clone(),
        connection,
        statement,
        verdict,
        rule: RuleName::new("r").expect("a name"),
        verb: "select".into(),
        text: text.into(),
        digest: Digest::from_bytes(&[0; 32]),
        sent: None,
        facts: None,
        facts_of: None,
    }
}

pub(super) fn chunk_closed(session: &SessionId, connection: u32, chunk: u32) -> What {
    let content = content(session, connection, chunk);
    let digest = Digest::from_bytes(&Sha256::digest(&content).into());
    let bytes = u64::try_from(content.len()).expect("small");
    What::ChunkClosed { session: session.clone(), connection, chunk, digest, bytes }
}

pub(super) fn connection_closed(session: &SessionId, connection: u32, statements: u64, chunks: u32) -> What {
    What::ConnectionClosed { session: session.clone(), connection, statements, rows: 1, chunks }
}

pub(super) fn closed(session: &SessionId, statements: u64, connections: u32) -> What {
    let reason = CloseReason::ClientEnded;
    What::SessionClosed { session: session.clone(), reason, statements, connections }
}

fn lease_revoked(session: &SessionId) -> What {
    What::LeaseRevoked { session: session.clone(), login: "hoop_a".into(), clean: true, note: String::new() }
}

/// A chunk's bytes.
pub(super) fn content(session: &SessionId, connection: u32, chunk: u32) -> Vec<u8> {
    let mut writer = ChunkWriter::default();
    let answer = format!("{session} was answered on {connection} in {chunk}");
    assert_eq!(writer.push(time(9), ItemKind::Answer, answer.as_bytes(), usize::MAX), None);
    writer.seal(&Place { session: session.clone(), connection, chunk }).expect("memory")
}

/// A ledger in memory, and what is chosen of it.
pub(crate) fn proof(events: &[Event], of: &SessionId) -> Vec<u8> {
    let (mut tree, mut choice, mut entries) = (Tree::default(), Choice::new(of.clone()), Vec::new());
    for (index, event) in (0..).zip(events) {
        let mut entry = Vec::new();
        encode(event, &mut entry).expect("an entry");
        tree.push(Hash::leaf(&entry));
        choice.follow(index, event, &SignedReviews);
        entries.push(entry);
    }
    let (signer, mut file) = (signer(), Vec::new());
    let note = Checkpoint { size: tree.size(), root: tree.root() }.sign(&signer);
    let mut writer = ProofWriter::new(&mut file, of, signer.verifier(), &note).expect("memory");
    for index in choice.finish() {
        let place = usize::try_from(index).expect("small");
        let proof = inclusion_proof(&tree, index, tree.size()).expect("it is there");
        writer.entry(index, &entries[place], &proof).expect("memory");
        if let What::ChunkClosed { session, connection, chunk, .. } = &events[place].what {
            writer.chunk(&content(session, *connection, *chunk)).expect("memory");
        }
    }
    writer.end().expect("memory");
    file
}

pub(super) fn verify(file: &[u8]) -> Result<Shown, EvidenceError> {
    ProofFile::open(file)?.verify(signer().verifier(), &SignedReviews)
}

/// The same lines with an end that fits them, as anybody can write it.
pub(super) fn sealed(lines: &[String]) -> Vec<u8> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let digest = Digest::from_bytes(&Sha256::digest(&text).into());
    let end = format!("{{\"end\":{{\"lines\":{},\"sha256\":\"{digest}\"}}}}\n", lines.len());
    [text, end].concat().into_bytes()
}

/// All lines but the end.
pub(super) fn lines(file: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(file).expect("text");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.pop().expect("an end");
    lines
}

/// What a line's entry says; nothing when it is none.
pub(super) fn entry(line: &str) -> Option<Value> {
    let line: Value = serde_json::from_str(line).expect("JSON");
    Some(serde_json::from_str(line.pointer("/entry/bytes")?.as_str()?).expect("JSON"))
}

/// The line with the entry of this kind, the first of them.
pub(super) fn place(lines: &[String], kind: &str) -> usize {
    let has = |line: &String| entry(line).is_some_and(|entry| entry["type"] == kind);
    lines.iter().position(has).unwrap_or_else(|| panic!("no {kind}"))
}

/// Everything of a proof in one text: what it says and what its chunks hold.
pub(super) fn everything(file: &str) -> String {
    let mut all = file.to_owned();
    for line in file.lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        if let Some(bytes) = line.pointer("/chunk/bytes").and_then(Value::as_str) {
            let chunk = STANDARD.decode(bytes).expect("base64");
            let chunk = hoopctl::recording::chunk::Chunk::open(&chunk).expect("a chunk");
            chunk.pieces().for_each(|piece| all.push_str(&String::from_utf8_lossy(piece.bytes)));
        }
    }
    all
}

/// A folder with `ledger` and `recordings`, as a broker's writer makes them.
pub(super) async fn folder(events: &[Event]) -> TempDir {
    let root = tempfile::tempdir().expect("a folder");
    let ledger =
        LedgerWriter::open(&root.path().join("ledger"), "example.org/log", &root.path().join("signing.key"));
    let ledger = ledger.expect("it opens");
    for event in events {
        ledger.enter(event).expect("entered");
        if let What::ChunkClosed { session, connection, chunk, .. } = &event.what {
            let folder = root.path().join("recordings").join(session.as_str());
            fs::create_dir_all(&folder).expect("a folder");
            let file = folder.join(format!("{connection}-{chunk}.zst"));
            fs::write(file, content(session, *connection, *chunk)).expect("written");
        }
    }
    ledger.checkpoint_now().await.expect("signed");
    ledger.close();
    root
}

/// The path of a ledger's folder, as an argument.
pub(super) fn ledger(root: &Path) -> String {
    root.join("ledger").to_string_lossy().into_owned()
}
