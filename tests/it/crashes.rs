//! The ledger's writer, killed at any moment.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hoopctl::broker::ledger::{DirectoryFiles, LedgerWriter};
use hoopctl::domain::event::{Event, What};
use hoopctl::domain::name::Digest;
use hoopctl::ledger::entry::decode;
use hoopctl::ledger::proof::{bundle, entries};
use hoopctl::ledger::verify::{Audit, Verified};
use jiff::Timestamp;

/// What was acknowledged is there afterwards, in its place, and the ledger opens without anybody's help.
#[test]
fn killed_at_random_under_load_nothing_acknowledged_is_lost() {
    let root = tempfile::tempdir().expect("a folder");
    let mut writing = 0;
    // moments that repeat from run to run, spread over opening and writing
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..KILLS {
        let mut child = writer(root.path(), round);
        // by turns while it opens, and while it writes
        let (begun, longest) = if round % 3 == 0 { ("begun", 60_000) } else { ("acks", 30_000) };
        wait_for(&root.path().join(format!("{begun}-{round}-0")), &mut child.0);
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        std::thread::sleep(Duration::from_micros(random % longest));
        drop(child);
        let acks = acknowledged(root.path(), round);
        writing += usize::from(!acks.is_empty());
        if round % 100 == 99 {
            check(root.path(), round);
        }
    }
    assert!(writing > KILLS / 2, "only {writing} of {KILLS} were killed while they wrote");
    let kept = check(root.path(), KILLS - 1);
    crate::idle::say(&format!("{KILLS} kills, {writing} under load, {} entries", kept.checkpoint.size));
}

/// Opens what is left, as the next broker would, and looks for everything that was acknowledged.
fn check(root: &Path, last: usize) -> Verified {
    let (dir, key) = (root.join("ledger"), root.join("signing.key"));
    let ledger = LedgerWriter::open(&dir, "example.org/log", &key).expect("it opens by itself");
    ledger.close();
    let files = DirectoryFiles::new(&dir);
    let audit = Audit { log: &files, recordings: None, key: ledger.key(), kept: None, reviews: &() };
    let verified = audit.run().expect("it is in good order");
    let size = verified.checkpoint.size;
    let mut entered: HashMap<u64, String> = HashMap::new();
    for start in (0..size).step_by(256) {
        let bundle = bundle(&files, start, size).expect("readable").expect("a bundle");
        for (index, entry) in entries(&bundle, start).take_while(|(index, _)| *index < size) {
            if let What::BrokerStarted { version } = decode(entry).expect("an entry").what {
                entered.insert(index, version);
            }
        }
    }
    let mut count = 0;
    for round in 0..=last {
        for (index, version) in acknowledged(root, round) {
            assert_eq!(entered.get(&index), Some(&version), "round {round}: entry {index} is lost");
            count += 1;
        }
    }
    assert!(count > 0, "nothing was acknowledged");
    verified
}

/// What the writer of this round had acknowledged; a line that was cut when it was killed counts for nothing.
fn acknowledged(root: &Path, round: usize) -> Vec<(u64, String)> {
    let mut acks = Vec::new();
    for thread in 0..THREADS {
        let text = std::fs::read_to_string(root.join(format!("acks-{round}-{thread}"))).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        acks.extend(whole.lines().map(|line| {
            let (index, version) = line.split_once(' ').expect("an index and a version");
            (index.parse().expect("a number"), version.to_owned())
        }));
    }
    acks
}

/// A writer, which ends with the story, also where that fails.
struct Writer(Child);

impl Drop for Writer {
    fn drop(&mut self) {
        // it may have been killed before
        let _killed = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// This program again, as a broker that does nothing but write.
fn writer(root: &Path, round: usize) -> Writer {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--ignored", "--exact", "crashes::writes_until_it_is_killed"]);
    command.env(ROOT, root).env(ROUND, round.to_string()).stdout(Stdio::null());
    Writer(command.spawn().expect("it starts"))
}

fn wait_for(file: &Path, child: &mut Child) {
    let since = Instant::now();
    while !file.exists() {
        if let Some(ended) = child.try_wait().expect("its state") {
            panic!("the writer ended by itself: {ended}");
        }
        assert!(since.elapsed() < Duration::from_secs(60), "the writer does not begin");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[ignore = "what the story above runs below itself"]
#[test]
fn writes_until_it_is_killed() {
    let root = std::path::PathBuf::from(std::env::var_os(ROOT).expect("a folder"));
    let round = std::env::var(ROUND).expect("a number");
    std::fs::write(root.join(format!("begun-{round}-0")), "").expect("written");
    let ledger = LedgerWriter::open(&root.join("ledger"), "example.org/log", &root.join("signing.key"));
    let ledger = ledger.expect("it opens by itself");
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (ledger, root, round) = (&ledger, &root, &round);
            scope.spawn(move || {
                let path = root.join(format!("acks-{round}-{thread}"));
                let mut acks = OpenOptions::new().create(true).append(true).open(path).expect("a file");
                for number in 0_u64.. {
                    // of all lengths
                    let long = usize::try_from(number * 37 % 900).expect("it fits");
                    let version = format!("{round}-{thread}-{number}-{}", "x".repeat(long));
                    let ticket = ledger.enter(&event(&version)).expect("entered");
                    acks.write_all(format!("{} {version}\n", ticket.0).as_bytes()).expect("written");
                }
            });
        }
    });
}

fn event(version: &str) -> Event {
    let what = What::BrokerStarted { version: version.to_owned() };
    Event { at: Timestamp::UNIX_EPOCH, actor: None, policy: Digest::from_bytes(&[0; 32]), what }
}

const KILLS: usize = 300;
const THREADS: usize = 4;
const ROOT: &str = "HOOPCTL_TEST_CRASH_ROOT";
const ROUND: &str = "HOOPCTL_TEST_CRASH_ROUND";
