#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;

use super::log::{Disk, RealDisk, Sink};
use super::{DirectoryFiles, LedgerError, LedgerWriter};
use crate::domain::event::{Event, What};
use crate::domain::name::Digest;
use crate::gateway::journal::{JournalError, Ticket};
use crate::ledger::entry::decode;
use crate::ledger::tile::split_entry;
use crate::ledger::verify::{Audit, Broken, Reason, Verified, VerifyError};

/// A private home for one ledger.
struct Home {
    root: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("ledger")
    }

    fn open(&self) -> Result<Arc<LedgerWriter>, LedgerError> {
        self.open_on(Arc::new(RealDisk))
    }

    fn open_on(&self, disk: Arc<dyn Disk>) -> Result<Arc<LedgerWriter>, LedgerError> {
        LedgerWriter::open_on(
            &self.dir(),
            "example.org/log",
            &self.root.path().join("signing.key").into(),
            disk,
        )
    }

    /// A copy of everything, as `kill -9` at this moment would leave it.
    fn killed(&self) -> Self {
        let copy = Self::new();
        copy_all(self.root.path(), copy.root.path());
        copy
    }

    fn verify(&self, kept: Option<&str>) -> Result<Verified, VerifyError> {
        let files = DirectoryFiles::new(&self.dir());
        let key = fs::read_to_string(self.dir().join("key")).unwrap();
        let key = crate::ledger::note::VerifierKey::parse(&key).unwrap();
        Audit { log: &files, recordings: None, key: &key, kept, reviews: &() }.run()
    }

    fn checkpoint(&self) -> String {
        fs::read_to_string(self.dir().join("checkpoint")).unwrap()
    }

    fn log(&self) -> PathBuf {
        let mut logs: Vec<_> = fs::read_dir(self.dir().join("pending"))
            .unwrap()
            .map(|found| found.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
            .collect();
        logs.sort();
        logs.pop().unwrap()
    }
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for found in fs::read_dir(from).unwrap() {
        let found = found.unwrap();
        let target = to.join(found.file_name());
        if found.file_type().unwrap().is_dir() {
            copy_all(&found.path(), &target);
        } else {
            fs::copy(found.path(), target).unwrap();
        }
    }
}

fn event(number: u64) -> Event {
    let what = What::BrokerStarted { version: number.to_string() };
    Event { at: Timestamp::UNIX_EPOCH, actor: None, policy: Digest::from_bytes(&[0; 32]), what }
}

fn enter(ledger: &LedgerWriter, numbers: std::ops::Range<u64>) {
    for number in numbers {
        assert_eq!(ledger.enter(&event(number)), Ok(Ticket(number)));
    }
}

/// The versions in the published bundles, in order.
fn published(home: &Home, size: u64) -> Vec<String> {
    let mut versions = Vec::new();
    let files = DirectoryFiles::new(&home.dir());
    for last in (0..size).step_by(256).map(|start| size.min(start + 256) - 1) {
        let tile = crate::ledger::tile::Tile::ending_at(crate::ledger::tile::Content::Entries, last);
        let bytes = crate::ledger::verify::Files::read(&files, &tile.to_string()).unwrap().unwrap();
        let mut rest = bytes.as_slice();
        while let Some((entry, after)) = split_entry(rest) {
            if let What::BrokerStarted { version } = decode(entry).unwrap().what {
                versions.push(version);
            }
            rest = after;
        }
    }
    versions
}

#[tokio::test]
async fn what_was_entered_is_published_verified_and_carried_on() {
    let home = Home::new();
    for round in 0..4_u64 {
        let ledger = home.open().unwrap();
        assert_eq!(ledger.size(), round * 200);
        enter(&ledger, round * 200..(round + 1) * 200);
        ledger.checkpoint_now().await.unwrap();
        assert_eq!(home.verify(None).unwrap().checkpoint.size, (round + 1) * 200);
    }
    let numbers: Vec<_> = (0..800).map(|number: u64| number.to_string()).collect();
    assert_eq!(published(&home, 800), numbers);
    assert!(!home.dir().join("tile/entries/000.p").exists());
}

#[tokio::test]
async fn closing_publishes_everything_and_refuses_what_comes_later() {
    let home = Home::new();
    let ledger = home.open().unwrap();
    enter(&ledger, 0..10);
    ledger.close();
    assert_eq!(home.verify(None).unwrap().checkpoint.size, 10);
    assert!(matches!(ledger.enter(&event(10)), Err(JournalError::Unwritable(_))));
    assert_eq!(ledger.synced(Ticket(9)).await, Ok(()));
}

#[tokio::test]
async fn eight_threads_share_writes_and_keep_one_order() {
    let home = Home::new();
    let ledger = home.open().unwrap();
    let mut tickets: Vec<(u64, u64)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8_u64)
            .map(|thread| {
                let ledger = &ledger;
                scope.spawn(move || {
                    let numbers = thread * 10_000..(thread + 1) * 10_000;
                    numbers
                        .map(|number| (ledger.enter(&event(number)).unwrap().0, number))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    ledger.checkpoint_now().await.unwrap();
    tickets.sort_unstable();
    assert!(tickets.iter().map(|(ticket, _)| *ticket).eq(0..80_000));
    let entered: Vec<_> = tickets.iter().map(|(_, number)| number.to_string()).collect();
    assert_eq!(published(&home, 80_000), entered);
    assert_eq!(home.verify(None).unwrap().checkpoint.size, 80_000);
}

#[tokio::test]
async fn a_log_cut_anywhere_in_its_last_record_loses_only_that_record() {
    let home = Home::new();
    let ledger = home.open().unwrap();
    enter(&ledger, 0..3);
    ledger.checkpoint_now().await.unwrap();
    enter(&ledger, 3..5);
    let whole = home.killed();
    ledger.enter(&event(5)).unwrap();
    let killed = home.killed();
    let (start, end) = (fs::metadata(whole.log()).unwrap().len(), fs::metadata(killed.log()).unwrap().len());
    assert!(start + 12 < end);
    for length in start..=end {
        let torn = killed.killed();
        OpenOptions::new().write(true).open(torn.log()).unwrap().set_len(length).unwrap();
        let expected = if length == end { 6 } else { 5 };
        let ledger = torn.open().unwrap();
        assert_eq!(ledger.size(), expected, "cut at {length}");
        enter(&ledger, expected..8);
        ledger.close();
        assert_eq!(torn.verify(Some(&home.checkpoint())).unwrap().checkpoint.size, 8);
    }
}

#[tokio::test]
async fn zeros_after_a_power_cut_are_cut_but_an_altered_record_is_refused() {
    let home = Home::new();
    let ledger = home.open().unwrap();
    enter(&ledger, 0..5);
    let killed = home.killed();
    let log = killed.log();
    let good = fs::read(&log).unwrap();

    let mut zeroed = good.clone();
    let end = zeroed.len();
    zeroed[end - 100..].fill(0);
    zeroed.extend_from_slice(&[0; 5000]);
    fs::write(&log, &zeroed).unwrap();
    assert_eq!(killed.killed().open().unwrap().size(), 4);

    for at in [20, 40, end - 150, end - 1] {
        let mut altered = good.clone();
        altered[at] ^= 1;
        fs::write(&log, &altered).unwrap();
        assert!(matches!(killed.killed().open(), Err(LedgerError::Altered { .. })), "byte {at}");
    }
}

#[tokio::test]
async fn a_ledger_that_was_tampered_with_is_not_opened() {
    let home = Home::new();
    let ledger = home.open().unwrap();
    enter(&ledger, 0..300);
    ledger.checkpoint_now().await.unwrap();
    let early = home.checkpoint();
    enter(&ledger, 300..310);
    ledger.close();
    drop(ledger);
    // a restart leaves only what is after the checkpoint in the log
    drop(home.open().unwrap());

    let refused = |tamper: &dyn Fn(&Path)| {
        let copy = home.killed();
        tamper(&copy.dir());
        copy.open().err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(refused(&|_| ()), "");
    let flip = |path: PathBuf| {
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] ^= 1;
        fs::write(&path, bytes).unwrap();
    };
    assert!(refused(&|dir| flip(dir.join("tile/entries/001.p/54"))).contains("has been altered"));
    assert!(refused(&|dir| flip(dir.join("tile/0/001.p/54"))).contains("has been altered"));
    assert!(refused(&|dir| flip(dir.join("tile/1/000.p/1"))).len() > 1);
    assert!(refused(&|dir| fs::remove_file(dir.join("tile/0/001.p/54")).unwrap()).contains("is missing"));
    assert!(
        refused(&|dir| fs::remove_file(dir.join("checkpoint")).unwrap()).contains("checkpoint is missing")
    );
    assert!(
        refused(&|dir| fs::write(dir.join("checkpoint"), &early).unwrap()).contains("entry 300 is missing")
    );
    assert!(
        refused(&|dir| fs::remove_dir_all(dir.join("pending")).unwrap()).contains("entry 310 is missing")
    );
    assert!(refused(&|dir| flip(dir.join("checkpoint"))).contains("cannot be believed"));
    assert!(
        refused(&|dir| fs::remove_file(dir.parent().unwrap().join("signing.key")).unwrap())
            .contains("key is missing")
    );
}

#[tokio::test]
async fn verification_finds_what_was_done_to_the_files() {
    let home = Home::new();
    let ledger = home.open().unwrap();
    enter(&ledger, 0..600);
    ledger.checkpoint_now().await.unwrap();
    let early = (home.checkpoint(), home.killed());
    enter(&ledger, 600..700);
    ledger.close();
    let kept = home.checkpoint();

    let found = |tamper: &dyn Fn(&Path)| {
        let copy = home.killed();
        tamper(&copy.dir());
        match copy.verify(Some(&kept)) {
            Err(VerifyError::Broken(Broken { index, reason })) => Some((index, reason)),
            _ => None,
        }
    };
    let bundle = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        found(&|dir| {
            let path = dir.join("tile/entries/001");
            let bytes = fs::read(&path).unwrap();
            let (mut entries, mut rest) = (Vec::new(), bytes.as_slice());
            while let Some((entry, after)) = split_entry(rest) {
                entries.push(entry.to_vec());
                rest = after;
            }
            change(&mut entries);
            let mut bytes = Vec::new();
            for entry in entries {
                crate::ledger::tile::append_entry(&mut bytes, &entry).unwrap();
            }
            fs::write(&path, bytes).unwrap();
        })
    };
    assert_eq!(found(&|_| ()), None);
    assert_eq!(bundle(&|entries| entries[10][30] ^= 1), Some((Some(266), Reason::Altered)));
    assert_eq!(bundle(&|entries| drop(entries.remove(10))), Some((Some(266), Reason::Removed)));
    assert_eq!(bundle(&|entries| entries.swap(10, 20)), Some((Some(266), Reason::Moved)));
    assert_eq!(bundle(&|entries| drop(entries.pop())), Some((Some(511), Reason::Missing)));
    let flip = |path: PathBuf, at: usize| {
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
    };
    let tile = |first: u64, path: &str| Some((Some(first), Reason::Tile(path.to_owned())));
    assert_eq!(found(&|dir| flip(dir.join("tile/0/001"), 40)), tile(257, "tile/0/001"));
    assert_eq!(found(&|dir| flip(dir.join("tile/1/000.p/2"), 40)), tile(256, "tile/1/000.p/2"));
    assert_eq!(found(&|dir| fs::remove_file(dir.join("tile/0/001")).unwrap()), tile(256, "tile/0/001"));
    assert_eq!(
        found(&|dir| fs::remove_dir_all(dir.join("tile/entries/002.p")).unwrap()),
        Some((Some(512), Reason::Missing))
    );
    assert!(matches!(found(&|dir| flip(dir.join("checkpoint"), 20)), Some((None, Reason::Checkpoint(_)))));
    assert_eq!(
        found(&|dir| fs::write(dir.join("checkpoint"), &early.0).unwrap()),
        Some((Some(600), Reason::RolledBack { kept: 700, found: 600 }))
    );
    // whoever holds the signing key can cut the log and go on, but not hide it from a kept checkpoint
    let forged = early.1.open().unwrap();
    assert!((0..150).all(|number| forged.enter(&event(9000 + number)).is_ok()));
    forged.close();
    assert_eq!(early.1.verify(None).unwrap().checkpoint.size, 750);
    assert_eq!(
        early.1.verify(Some(&kept)),
        Err(VerifyError::Broken(Broken { index: None, reason: Reason::Forked { kept: 700 } }))
    );
}

/// Dates may be a little out of order, as those who enter read the clock each by themselves.
#[test]
fn an_entry_that_is_dated_before_others_is_found() {
    let verify = |seconds: &[i64]| {
        let home = Home::new();
        let ledger = home.open().unwrap();
        for second in seconds {
            let at = Timestamp::from_second(*second).unwrap();
            ledger.enter(&Event { at, ..event(0) }).unwrap();
        }
        ledger.close();
        home.verify(None).map(|verified| verified.checkpoint.size)
    };
    assert_eq!(verify(&[0, 7200, 3600, 7200]), Ok(4));
    assert_eq!(
        verify(&[0, 7200, 7100, 3599]).unwrap_err().to_string(),
        concat!(
            "entry 3: it is dated 1970-01-01T00:59:59Z, more than an hour before entry 1, ",
            "which is dated 1970-01-01T02:00:00Z",
        )
    );
    // small steps add up
    let steps: Vec<i64> = (0..10).map(|step| 100_000 - step * 1000).collect();
    let found = verify(&steps);
    let Err(VerifyError::Broken(Broken { index, reason: Reason::BackDated { after, .. } })) = &found else {
        return assert_eq!(found, Ok(0));
    };
    assert_eq!((*index, *after), (Some(4), 0));
}

#[test]
fn a_log_of_a_later_version_is_told_from_a_damaged_one() {
    let home = Home::new();
    let ledger = home.open().unwrap();
    enter(&ledger, 0..5);
    let killed = home.killed();
    let log = killed.log();
    let good = fs::read(&log).unwrap();
    for (version, said) in
        [(b'2', "was written by a later version of hoopctl"), (b'0', "is damaged at byte 0")]
    {
        let mut other = good.clone();
        other[7] = version;
        fs::write(&log, &other).unwrap();
        let refused = killed.killed().open().unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
        assert!(refused.contains("00000000.log`"), "{refused}");
    }
}

#[test]
fn one_broker_at_a_time() {
    let home = Home::new();
    let first = home.open().unwrap();
    assert!(matches!(home.open(), Err(LedgerError::InUse)));
    drop(first);
    assert!(home.open().is_ok());
}

#[test]
fn the_signing_key_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    drop(home.open().unwrap());
    let key = home.root.path().join("signing.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(home.open(), Err(LedgerError::KeyReadable)));
}

/// A disk that writes half of a batch and fails from the moment it is told to.
struct Failing(Arc<AtomicBool>);

struct FailingFile(File, Arc<AtomicBool>);

impl Disk for Failing {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>> {
        Ok(Box::new(FailingFile(File::create(path)?, Arc::clone(&self.0))))
    }
}

impl Sink for FailingFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        if self.1.load(Ordering::SeqCst) {
            self.0.append(&bytes[..bytes.len() / 2])?;
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.0.append(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
}

#[tokio::test]
async fn a_failed_write_poisons_the_ledger_and_loses_nothing_acknowledged() {
    let home = Home::new();
    let full = Arc::new(AtomicBool::new(false));
    let ledger = home.open_on(Arc::new(Failing(Arc::clone(&full)))).unwrap();
    enter(&ledger, 0..7);
    full.store(true, Ordering::SeqCst);
    assert!(matches!(ledger.enter(&event(7)), Err(JournalError::Unwritable(_))));
    full.store(false, Ordering::SeqCst);
    assert!(matches!(ledger.enter(&event(7)), Err(JournalError::Unwritable(_))));
    assert!(matches!(ledger.checkpoint_now().await, Err(JournalError::Unwritable(_))));
    assert!(!ledger.healthy());
    drop(ledger);
    assert_eq!(home.open().unwrap().size(), 7);
}

/// The device that is always full, for everything but the header.
struct Full;

impl Disk for Full {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>> {
        struct FullFile(File, File, AtomicBool);
        impl Sink for FullFile {
            fn append(&self, bytes: &[u8]) -> io::Result<()> {
                if self.2.swap(true, Ordering::SeqCst) { self.1.append(bytes) } else { self.0.append(bytes) }
            }
            fn sync(&self) -> io::Result<()> {
                self.0.sync()
            }
        }
        let full = OpenOptions::new().write(true).open("/dev/full")?;
        Ok(Box::new(FullFile(File::create(path)?, full, AtomicBool::new(false))))
    }
}

#[test]
fn a_full_disk_refuses_the_entry_in_the_systems_words() {
    let home = Home::new();
    let ledger = home.open_on(Arc::new(Full)).unwrap();
    let refused = ledger.enter(&event(0));
    assert!(matches!(refused, Err(JournalError::Unwritable(why)) if why.contains("No space left")));
}

#[test]
fn an_entry_too_large_is_refused_and_the_ledger_goes_on() {
    let home = Home::new();
    let ledger = home.open().unwrap();
    let what = What::BrokerStarted { version: "x".repeat(70_000) };
    assert_eq!(ledger.enter(&Event { what, ..event(0) }), Err(JournalError::TooLarge));
    enter(&ledger, 0..1);
}
