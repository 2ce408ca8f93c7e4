//! The ledger's writer against plain SQLite with the same durability, and how fast a ledger is verified:
//! `cargo bench --bench ledger`.
//!
//! Each writer enters an entry, waits until it is on the disk, and enters the next. SQLite has a table in WAL mode with
//! `synchronous = FULL`, one INSERT of the same bytes to a transaction, and one connection that the writers take in turns: each
//! with one of its own is slower, for they wait for its lock by sleeping. Both are on the same file system, that of `TMPDIR` (a
//! tmpfs has no disk to wait for), in interleaved rounds. A bare append with fdatasync is what the disk gives to one who waits.
//!
//! Verification is that of `hoopctl audit verify`: bytes, tree, signature, and what entries say about each other. Its time is CPU
//! time of one thread.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking, and says what it measured"
)]

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hoopctl::broker::ledger::LedgerWriter;
use hoopctl::domain::event::{Event, VerdictWord, What};
use hoopctl::domain::name::{Digest, RuleName, SessionId, TargetName};
use hoopctl::domain::session::CloseReason;
use hoopctl::ledger::entry::encode;
use hoopctl::ledger::verify::Audit;
use jiff::Timestamp;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for writers in [1, 64] {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let folder = tempfile::tempdir().expect("a folder");
            rounds.push([
                bare(&folder.path().join("bare")),
                sqlite(&folder.path().join("sqlite"), writers),
                ledger(folder.path(), writers, runtime.handle()),
            ]);
        }
        let [bare, sqlite, ledger] = [0, 1, 2].map(|column| spread(&rounds, column));
        println!(
            "{writers} writers, durable entries per second, median of {ROUNDS} rounds (lowest to highest)"
        );
        println!("  append and fdatasync, one after the other  {bare}");
        println!("  SQLite                                     {sqlite}");
        println!("  ledger                                     {ledger}");
    }
    verification();
}

/// What one gets who appends an entry and waits for the disk.
fn bare(path: &Path) -> f64 {
    let mut file = File::create(path).expect("a file");
    let entry = encoded();
    let (begun, mut count) = (Instant::now(), 0_u32);
    while begun.elapsed() < SPAN {
        file.write_all(&entry).expect("room");
        file.sync_data().expect("a disk");
        count += 1;
    }
    f64::from(count) / begun.elapsed().as_secs_f64()
}

fn sqlite(path: &Path, writers: usize) -> f64 {
    let database = rusqlite::Connection::open(path).expect("a database");
    database.pragma_update(None, "journal_mode", "WAL").expect("WAL");
    database.pragma_update(None, "synchronous", "FULL").expect("FULL");
    database
        .execute_batch("CREATE TABLE entries (id INTEGER PRIMARY KEY, entry BLOB NOT NULL)")
        .expect("a table");
    let database = Mutex::new(database);
    let entry = encoded();
    together(writers, || {
        let database = database.lock().expect("whole");
        let mut insert =
            database.prepare_cached("INSERT INTO entries (entry) VALUES (?)").expect("a statement");
        insert.execute([&entry]).expect("room");
    })
}

fn ledger(folder: &Path, writers: usize, runtime: &tokio::runtime::Handle) -> f64 {
    let ledger = LedgerWriter::open(&folder.join("ledger"), "bench", &folder.join("key")).expect("a ledger");
    let judged = judged(1);
    let rate = together(writers, || {
        let ticket = ledger.enter(&judged).expect("room");
        runtime.block_on(ledger.synced(ticket)).expect("a disk");
    });
    ledger.close();
    rate
}

/// How often so many threads do it in a second, together.
fn together(threads: usize, act: impl Fn() + Sync) -> f64 {
    let (over, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    act();
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(SPAN);
        over.store(true, Ordering::Relaxed);
    });
    count.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64()
}

fn verification() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = LedgerWriter::open(&folder.path().join("ledger"), "bench", &folder.path().join("key"))
        .expect("a ledger");
    let enter = |what| ledger.enter(&event(what)).expect("room");
    let target = TargetName::new("db").expect("a name");
    enter(What::SessionOpened { session: session(), target, expires: Timestamp::MAX });
    enter(What::ConnectionOpened {
        session: session(),
        connection: 1,
        login: "app".into(),
        database: "app".into(),
    });
    for number in 1..=VERIFIED {
        ledger.enter(&judged(number)).expect("room");
    }
    enter(What::ConnectionClosed {
        session: session(),
        connection: 1,
        statements: VERIFIED,
        rows: VERIFIED,
        chunks: 0,
    });
    enter(What::SessionClosed {
        session: session(),
        reason: CloseReason::ClientEnded,
        statements: VERIFIED,
        connections: 1,
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(ledger.checkpoint_now()).expect("a checkpoint");
    let (files, key) = (Arc::new(ledger.files()), ledger.key().clone());
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let before = cpu_seconds();
        let audit = Audit { log: files.as_ref(), recordings: None, key: &key, kept: None, reviews: &() };
        let verified = audit.run().expect("a ledger in good order");
        best = best.min(cpu_seconds() - before);
        assert_eq!(verified.statements, VERIFIED);
    }
    let bytes = encoded().len();
    println!(
        "verification of {VERIFIED} entries of {bytes} bytes: {:.0} per second and core",
        VERIFIED as f64 / best
    );
}

/// As most entries are: a statement whose facts an earlier one has.
fn judged(number: u64) -> Event {
    event(What::StatementJudged {
        session: session(),
        connection: 1,
        statement: number,
        verdict: VerdictWord::Allow,
        rule: RuleName::new("allow-reads").expect("a name"),
        verb: "select".into(),
        text: "SELECT id, name, city FROM customers WHERE region = $1 AND active ORDER BY name LIMIT 50"
            .into(),
        digest: Digest::from_bytes(&[7; 32]),
        sent: None,
        facts: None,
        facts_of: None,
    })
}

fn event(what: What) -> Event {
    Event { at: Timestamp::UNIX_EPOCH, actor: None, policy: Digest::from_bytes(&[3; 32]), what }
}

fn session() -> SessionId {
    SessionId::from_random([5; 16])
}

fn encoded() -> Vec<u8> {
    let mut entry = Vec::new();
    encode(&judged(1), &mut entry).expect("an entry");
    entry
}

fn spread(rounds: &[[f64; 3]], column: usize) -> String {
    let mut figures: Vec<f64> = rounds.iter().filter_map(|round| round.get(column).copied()).collect();
    figures.sort_by(f64::total_cmp);
    let at = |place: usize| figures.get(place).copied().unwrap_or_default();
    format!("{:.0} ({:.0}–{:.0})", at(figures.len() / 2), at(0), at(figures.len() - 1))
}

fn cpu_seconds() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

const ROUNDS: usize = 7;
const SPAN: Duration = Duration::from_secs(1);
const VERIFIED: u64 = 500_000;
