#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::{AuditTrail, Recordings, RecordingsError, Stamp};
use crate::broker::ledger::{DirectoryFiles, LedgerWriter};
use crate::domain::event::{Actor, Event, VerdictWord, What};
use crate::domain::facts::{Facts, StatementKind};
use crate::domain::name::{Digest, ProviderName, RuleName, SessionId, TargetName};
use crate::domain::principal::{PrincipalId, Subject};
use crate::domain::session::CloseReason;
use crate::gateway::journal::{ItemKind, Journal, JournalError, Recorder};
use crate::ledger::verify::{Audit, Broken, Reason, Verified, VerifyError};
use crate::recording::replay::{Cursor, Speed};

/// A journal in a private home.
struct Home {
    root: tempfile::TempDir,
    trail: Arc<AuditTrail>,
}

impl Home {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let ledger =
            LedgerWriter::open(&root.path().join("ledger"), "log", &root.path().join("key")).unwrap();
        let stamp = Stamp::new(policy, || Timestamp::UNIX_EPOCH);
        let recordings =
            Recordings::open(&root.path().join("recordings"), Arc::clone(&ledger), stamp).unwrap();
        Self { root, trail: AuditTrail::new(ledger, recordings) }
    }

    fn recorder(&self, connection: u32) -> Box<dyn Recorder> {
        self.trail.recorder(&session(), connection, &actor()).unwrap()
    }

    fn enter(&self, what: What) {
        let event = Event { at: Timestamp::UNIX_EPOCH, actor: Some(actor()), policy: policy(), what };
        self.trail.enter(&event).unwrap();
    }

    fn opened(&self) {
        let expires = Timestamp::UNIX_EPOCH;
        self.enter(What::SessionOpened {
            session: session(),
            target: TargetName::new("db").unwrap(),
            expires,
        });
    }

    fn statement(&self, statement: u64) {
        self.statement_of(statement, None, None);
    }

    fn statement_of(&self, statement: u64, facts: Option<Box<Facts>>, facts_of: Option<u64>) {
        self.enter(What::StatementJudged {
            session: session(),
            connection: 1,
            statement,
            verdict: VerdictWord::Allow,
            rule: RuleName::new("r").unwrap(),
            verb: "select".into(),
            text: "select 1".into(),
            digest: policy(),
            sent: None,
            facts,
            facts_of,
        });
    }

    fn closed(&self, statements: u64) {
        let reason = CloseReason::ClientEnded;
        self.enter(What::SessionClosed { session: session(), reason, statements, connections: 1 });
    }

    fn chunk(&self, name: &str) -> PathBuf {
        self.root.path().join("recordings").join(session().as_str()).join(name)
    }

    fn verify(&self) -> Result<Verified, VerifyError> {
        self.trail.close();
        let log = DirectoryFiles::new(&self.root.path().join("ledger"));
        let recordings = DirectoryFiles::new(&self.root.path().join("recordings"));
        let key = self.trail.ledger().key();
        Audit { log: &log, recordings: Some(&recordings), key, kept: None, reviews: &() }.run()
    }

    fn replay(&self, connection: u32) -> Vec<(ItemKind, Vec<u8>)> {
        let (mut cursor, mut items) = (Cursor::new(session(), connection, Speed::NORMAL), Vec::new());
        while let Some(chunk) = self.trail.recordings().chunk(&session(), connection, cursor.wants()).unwrap()
        {
            cursor.feed(&chunk).unwrap();
            items.extend(std::iter::from_fn(|| cursor.next_item()).map(|item| (item.kind, item.bytes)));
        }
        items
    }
}

fn session() -> SessionId {
    SessionId::from_random([3; 16])
}

fn policy() -> Digest {
    Digest::from_bytes(&[0; 32])
}

fn actor() -> Actor {
    let principal =
        PrincipalId { provider: ProviderName::new("corp").unwrap(), subject: Subject::new("alice").unwrap() };
    Actor { principal, device: None, address: "::1".into(), host: "laptop".into() }
}

async fn record(recorder: &mut Box<dyn Recorder>, kind: ItemKind, bytes: &[u8]) {
    while recorder.record(kind, bytes) == Err(JournalError::Full) {
        recorder.ready().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_recorded_is_indexed_entered_verified_and_replayed() {
    let home = Home::new();
    home.opened();
    let mut recorder = home.recorder(1);
    record(&mut recorder, ItemKind::Statement, b"{}").await;
    let answers: Vec<Vec<u8>> = (0..40_u8).map(|number| vec![number; 300_000]).collect();
    for answer in &answers {
        record(&mut recorder, ItemKind::Answer, answer).await;
    }
    let chunks = recorder.finish().await.unwrap();
    assert_eq!(chunks, 12);
    home.enter(What::ConnectionClosed { session: session(), connection: 1, statements: 0, rows: 0, chunks });
    home.closed(0);

    home.trail.recordings().covered(&session()).await.unwrap();
    let index = home.trail.recordings().index(&session(), false).unwrap();
    assert_eq!(index.iter().map(Vec::len).collect::<Vec<_>>(), [12]);
    let replayed = home.replay(1);
    assert_eq!(replayed[0], (ItemKind::Statement, b"{}".to_vec()));
    assert!(replayed[1..].iter().map(|(_, bytes)| bytes).eq(&answers));
    let verified = home.verify().unwrap();
    assert_eq!((verified.chunks, verified.sessions, verified.recordings), (12, 1, true));
}

#[tokio::test]
async fn a_recorder_that_is_dropped_loses_nothing() {
    let home = Home::new();
    home.opened();
    let mut recorder = home.recorder(2);
    record(&mut recorder, ItemKind::Answer, b"last words").await;
    drop(recorder);
    assert_eq!(home.verify().unwrap().chunks, 1);
    assert_eq!(home.replay(2), [(ItemKind::Answer, b"last words".to_vec())]);
    assert_eq!(home.trail.recordings().index(&session(), false).unwrap().len(), 2);
}

#[tokio::test]
async fn closing_closes_recordings_that_are_still_open_and_ends_them() {
    let home = Home::new();
    home.opened();
    let mut recorder = home.recorder(1);
    record(&mut recorder, ItemKind::Answer, b"before").await;
    assert_eq!(home.verify().unwrap().chunks, 1);
    assert_eq!(recorder.record(ItemKind::Answer, b"after"), Ok(()));
    assert!(matches!(recorder.finish().await, Err(JournalError::Unwritable(_))));
}

#[tokio::test]
async fn a_connection_is_recorded_once() {
    let home = Home::new();
    let mut recorder = home.recorder(1);
    record(&mut recorder, ItemKind::Answer, b"x").await;
    assert_eq!(recorder.finish().await, Ok(1));
    assert!(matches!(home.trail.recorder(&session(), 1, &actor()), Err(JournalError::Unwritable(_))));
}

#[tokio::test]
async fn a_recording_that_cannot_be_written_fails_its_recorder() {
    let home = Home::new();
    let mut recorder = home.recorder(1);
    fs::remove_dir_all(home.chunk("")).unwrap();
    record(&mut recorder, ItemKind::Answer, &vec![0; 2_400_000]).await;
    assert!(matches!(recorder.finish().await, Err(JournalError::Unwritable(_))));
}

#[tokio::test]
async fn a_recording_without_a_ledger_fails_its_recorder() {
    let home = Home::new();
    let mut recorder = home.recorder(1);
    home.trail.ledger().close();
    record(&mut recorder, ItemKind::Answer, b"x").await;
    assert!(matches!(recorder.finish().await, Err(JournalError::Unwritable(_))));
}

#[tokio::test]
async fn edited_missing_and_swapped_chunks_are_found() {
    let home = Home::new();
    home.opened();
    let mut recorder = home.recorder(1);
    record(&mut recorder, ItemKind::Answer, &vec![1; 2_400_000]).await;
    assert_eq!(recorder.finish().await, Ok(3));
    let verify = || match home.verify() {
        Err(VerifyError::Broken(broken)) => broken,
        other => Broken { index: None, reason: Reason::Tile(format!("{other:?}")) },
    };
    let (session, connection) = (session(), 1);
    let altered = |chunk| Reason::ChunkAltered { session: session.clone(), connection, chunk };

    let good = fs::read(home.chunk("1-1.zst")).unwrap();
    let mut edited = good.clone();
    edited[20] ^= 1;
    fs::write(home.chunk("1-1.zst"), &edited).unwrap();
    assert_eq!(verify(), Broken { index: Some(2), reason: altered(1) });

    fs::write(home.chunk("1-1.zst"), &good).unwrap();
    fs::rename(home.chunk("1-0.zst"), home.chunk("x")).unwrap();
    let missing = Reason::ChunkMissing { session: session.clone(), connection, chunk: 0 };
    assert_eq!(verify(), Broken { index: Some(1), reason: missing });
    // what the ledger holds is said also of what is gone
    assert_eq!(home.trail.recordings().index(&session, false).unwrap()[0].len(), 3);

    fs::rename(home.chunk("1-1.zst"), home.chunk("1-0.zst")).unwrap();
    fs::rename(home.chunk("x"), home.chunk("1-1.zst")).unwrap();
    assert_eq!(verify(), Broken { index: Some(1), reason: altered(0) });
}

/// What is on the disk is not what was entered, and notes are not what says so.
#[tokio::test]
async fn what_is_handed_out_about_chunks_is_what_the_ledger_holds() {
    let home = Home::new();
    home.opened();
    let mut recorder = home.recorder(1);
    record(&mut recorder, ItemKind::Answer, &vec![1; 2_400_000]).await;
    assert_eq!(recorder.finish().await, Ok(3));
    let recordings = home.trail.recordings();
    recordings.covered(&session()).await.unwrap();
    let entered = recordings.index(&session(), false).unwrap();
    let proofs =
        || -> Vec<_> { (0..3).map(|chunk| recordings.proof(&session(), 1, chunk, None).unwrap()).collect() };
    let proven = proofs();
    assert_eq!(proven.iter().flatten().map(|proof| proof.index).collect::<Vec<_>>(), [1, 2, 3]);

    // files that nobody entered
    fs::copy(home.chunk("1-0.zst"), home.chunk("1-3.zst")).unwrap();
    fs::copy(home.chunk("1-0.zst"), home.chunk("1-1.zst")).unwrap();
    fs::copy(home.chunk("1-0.zst"), home.chunk("2-0.zst")).unwrap();
    assert_eq!(recordings.index(&session(), false).unwrap(), entered);
    assert_eq!(recordings.proof(&session(), 1, 3, None).unwrap(), None);
    assert_eq!(recordings.proof(&session(), 9, 0, None).unwrap(), None);
    fs::remove_file(home.chunk("2-0.zst")).unwrap();

    // notes that are lost, torn, of zeros, too large, or of each other
    let notes = home.chunk("1.entries");
    let good = fs::read(&notes).unwrap();
    assert_eq!(good.len(), 24);
    let swapped = [&good[8..16], &good[..8], &good[16..]].concat();
    for wrong in [&[][..], &good[..9], &[0; 24], &[0xff; 24], &swapped] {
        fs::write(&notes, wrong).unwrap();
        assert_eq!(recordings.index(&session(), false).unwrap(), entered, "{wrong:?}");
        assert_eq!(proofs(), proven, "{wrong:?}");
        assert_eq!(fs::read(&notes).unwrap(), good, "they are found anew");
    }
    fs::remove_file(&notes).unwrap();
    assert_eq!(recordings.index(&session(), false).unwrap(), entered);
}

/// Whoever deletes a file also deletes the note of it; the ledger still counts.
#[tokio::test]
async fn what_was_deleted_is_still_named_and_so_are_the_ends() {
    let home = Home::new();
    home.opened();
    for connection in [1, 2] {
        let mut recorder = home.recorder(connection);
        record(&mut recorder, ItemKind::Answer, &vec![1; 2_400_000]).await;
        let chunks = recorder.finish().await.unwrap();
        home.enter(What::ConnectionClosed { session: session(), connection, statements: 0, rows: 0, chunks });
    }
    let reason = CloseReason::ClientEnded;
    home.enter(What::SessionClosed { session: session(), reason, statements: 0, connections: 2 });
    let recordings = home.trail.recordings();
    recordings.covered(&session()).await.unwrap();
    let size = home.trail.ledger().size();
    let entered = recordings.index(&session(), true).unwrap();
    assert_eq!(entered.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3]);
    let ends = |recordings: &Recordings| {
        [None, Some(1), Some(2), Some(3)].map(|connection| {
            let proof = recordings.end(&session(), connection, size).unwrap();
            proof.map(|proof| (proof.index, proof.checkpoint))
        })
    };
    let proven = [Some((9, String::new())), Some((4, String::new())), Some((8, String::new())), None];
    assert_eq!(ends(recordings), proven);
    // it is not under older heads, and there are no newer ones
    assert_eq!(recordings.end(&session(), None, 9).unwrap(), None);
    assert_eq!(recordings.end(&session(), None, size + 1).unwrap(), None);
    assert!(recordings.end(&session(), Some(1), 5).unwrap().is_some());

    let other = |damage: &dyn Fn()| {
        damage();
        // a broker that starts anew
        let stamp = Stamp::new(policy, || Timestamp::UNIX_EPOCH);
        let dir = home.root.path().join("recordings");
        let anew = Recordings::open(&dir, Arc::clone(home.trail.ledger()), stamp).unwrap();
        assert_eq!(anew.index(&session(), true).unwrap(), entered);
        assert_eq!(ends(&anew), proven);
    };
    other(&|| {
        fs::remove_file(home.chunk("1-2.zst")).unwrap();
        fs::OpenOptions::new().write(true).open(home.chunk("1.entries")).unwrap().set_len(16).unwrap();
    });
    other(&|| {
        fs::remove_file(home.chunk("ends")).unwrap();
        fs::remove_file(home.chunk("2.entries")).unwrap();
        (0..3).for_each(|chunk| fs::remove_file(home.chunk(&format!("2-{chunk}.zst"))).unwrap());
    });
    other(&|| fs::remove_dir_all(home.chunk("")).unwrap());
}

/// Whoever asks for what is not there makes nobody read the ledger again.
#[tokio::test]
async fn the_ledger_is_searched_once_for_a_session() {
    let home = Home::new();
    home.opened();
    let login = || home.enter(What::LoggedIn { refresh: true });
    (0..1000).for_each(|_| login());
    home.trail.ledger().checkpoint_now().await.unwrap();
    let recordings = home.trail.recordings();
    let read = || recordings.register.bundles.swap(0, std::sync::atomic::Ordering::SeqCst);
    fs::create_dir_all(home.chunk("")).unwrap();
    // what was brought to the disk and never entered
    fs::write(home.chunk("1-0.zst"), "x").unwrap();
    let ask = || {
        assert!(recordings.index(&session(), true).unwrap().is_empty());
        assert_eq!(recordings.proof(&session(), 1, 0, None).unwrap(), None);
        assert_eq!(recordings.end(&session(), None, 1001).unwrap(), None);
    };
    ask();
    assert_eq!(read(), 4);
    (0..10).for_each(|_| ask());
    assert_eq!(read(), 0);
    // what came since is looked at, and nothing else
    (0..50).for_each(|_| login());
    home.trail.ledger().checkpoint_now().await.unwrap();
    (0..10).for_each(|_| ask());
    assert_eq!(read(), 2);
    let other = SessionId::from_random([7; 16]);
    // one at a time, and nobody waits for that in a thread
    let searching = recordings.register.searching.lock().unwrap();
    assert!(matches!(recordings.proof(&other, 1, 0, None), Err(RecordingsError::Busy)));
    ask();
    assert_eq!(read(), 0);
    drop(searching);
    assert_eq!(recordings.proof(&other, 1, 0, None).unwrap(), None);
    assert_eq!(read(), 5);
}

/// What the entries say about each other, though each of them is signed.
#[test]
fn what_is_no_recording_is_not_handed_out() {
    let home = Home::new();
    fs::create_dir_all(home.chunk("")).unwrap();
    let key = home.root.path().join("key");
    assert!(key.exists());
    std::os::unix::fs::symlink(&key, home.chunk("1-0.zst")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", home.chunk("1-1.zst")).unwrap();
    for chunk in [0, 1] {
        let refused = home.trail.recordings().chunk(&session(), 1, chunk).unwrap_err().to_string();
        assert!(refused.starts_with("the recordings: ") && refused.contains("link"), "{refused}");
    }
    assert_eq!(home.trail.recordings().chunk(&session(), 1, 2).unwrap(), None);
}

#[test]
fn what_was_never_entered_is_found_by_the_counts() {
    let broken = |tell: &dyn Fn(&Home)| {
        let home = Home::new();
        tell(&home);
        match home.verify() {
            Err(VerifyError::Broken(broken)) => Some((broken.index, broken.reason)),
            _ => None,
        }
    };
    let honest = |home: &Home| {
        home.opened();
        home.statement(1);
        home.statement(2);
        home.closed(2);
    };
    assert_eq!(broken(&honest), None);
    let short = |home: &Home| {
        home.opened();
        home.statement(1);
        home.closed(2);
    };
    assert_eq!(broken(&short), Some((Some(2), Reason::Count { what: "statements", said: 2, found: 1 })));
    let gap = |home: &Home| {
        home.opened();
        home.statement(1);
        home.statement(3);
    };
    assert_eq!(broken(&gap), Some((Some(2), Reason::StatementNumber { expected: 2, found: 3 })));
    let late = |home: &Home| {
        honest(home);
        home.statement(3);
    };
    assert!(matches!(broken(&late), Some((Some(4), Reason::OutOfPlace(_)))));
    let facts = || Some(Box::new(Facts::new("select", StatementKind::Read)));
    let referring = |home: &Home| {
        home.opened();
        home.statement_of(1, facts(), None);
        home.statement(2);
        home.statement_of(3, None, Some(1));
        home.closed(3);
    };
    assert_eq!(broken(&referring), None);
    for elsewhere in [2, 3, 4] {
        let lost = |home: &Home| {
            home.opened();
            home.statement_of(1, facts(), None);
            home.statement(2);
            home.statement_of(3, None, Some(elsewhere));
        };
        assert!(matches!(broken(&lost), Some((Some(3), Reason::OutOfPlace(_)))), "{elsewhere}");
    }
}
