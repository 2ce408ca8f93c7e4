//! A record of two days, made by what makes it in a broker.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use hoopctl::broker::ledger::LedgerWriter;
use hoopctl::broker::recordings::{AuditTrail, Recordings, Stamp};
use hoopctl::domain::event::{Actor, Event, VerdictWord, What};
use hoopctl::domain::name::{Digest, ProviderName, RuleName, SessionId, TargetName};
use hoopctl::domain::principal::{PrincipalId, Subject};
use hoopctl::domain::session::CloseReason;
use hoopctl::gateway::journal::{ItemKind, Journal as _};
use hoopctl::ledger::builder::Builder;
use hoopctl::ledger::tile::{append_entry, split_entry};
use hoopctl::ledger::tree::Hash;
use jiff::Timestamp;
use tempfile::TempDir;

use crate::support::copy_all;

/// Folders with `ledger`, `recordings` and `signing.key`.
pub(super) struct Record {
    /// 700 entries: two sessions, each with one chunk of a recording, and logins.
    pub(super) today: TempDir,
    /// The first 600 of them, as a backup.
    pub(super) yesterday: TempDir,
    /// The checkpoint over 600 entries.
    pub(super) early: String,
    /// The checkpoint over 700 entries.
    pub(super) late: String,
    /// The verifier key.
    pub(super) key: String,
}

/// The first entry's date, 2026-01-01; the following are a second apart.
pub(super) const START: i64 = 1_767_225_600;

impl Record {
    pub(super) async fn make() -> Self {
        let today = tempfile::tempdir().expect("a folder");
        let root = today.path();
        let ledger = LedgerWriter::open(&root.join("ledger"), "example.org/log", &root.join("signing.key"));
        let (ledger, clock) = (ledger.expect("it opens"), Arc::new(AtomicI64::new(START)));
        let ticking = Arc::clone(&clock);
        let stamp = Stamp::new(policy, move || time(ticking.load(Ordering::SeqCst)));
        let recordings = Recordings::open(&root.join("recordings"), Arc::clone(&ledger), stamp);
        let trail = AuditTrail::new(ledger, recordings.expect("they open"));
        let enter = |what: What| {
            let second = clock.fetch_add(1, Ordering::SeqCst);
            trail.enter(&event(second, what)).expect("entered").0
        };
        enter(What::BrokerStarted { version: "1".into() });
        for number in [1, 2] {
            one_session(&trail, number, &enter).await;
            clock.fetch_add(1, Ordering::SeqCst);
        }
        // the chunks took a second each
        clock.store(START + 11, Ordering::SeqCst);
        while enter(What::LoggedIn { refresh: true }) < 599 {}
        trail.ledger().checkpoint_now().await.expect("signed");
        let checkpoint = || std::fs::read_to_string(root.join("ledger/checkpoint")).expect("a checkpoint");
        let early = checkpoint();
        let yesterday = tempfile::tempdir().expect("a folder");
        copy_all(root, yesterday.path());
        while enter(What::LoggedIn { refresh: true }) < 699 {}
        trail.close();
        let (late, key) = (checkpoint(), trail.ledger().key().to_string());
        Self { today, yesterday, early, late, key }
    }

    pub(super) fn copy(&self) -> TempDir {
        let copy = tempfile::tempdir().expect("a folder");
        copy_all(self.today.path(), copy.path());
        copy
    }

    /// Edits an entry and makes every tile anew, as far as that goes without the key.
    pub(super) fn rewrite(&self, dir: &Path, edited: u64) {
        let ledger = dir.join("ledger");
        let mut builder = Builder::default();
        for name in ["000", "001", "002.p/188"] {
            let bytes = std::fs::read(ledger.join("tile/entries").join(name)).expect("a bundle");
            let mut rest = bytes.as_slice();
            while let Some((entry, after)) = split_entry(rest) {
                let mut entry = entry.to_vec();
                if builder.size() == edited {
                    let text = String::from_utf8(entry).expect("text");
                    let changed = text.replace("\"refresh\":true", "\"refresh\":false");
                    assert_ne!(text, changed);
                    entry = changed.into_bytes();
                }
                let mut full = Vec::new();
                builder.push(&entry, Hash::leaf(&entry), &mut full).expect("it fits");
                for file in full {
                    std::fs::write(ledger.join(file.tile.to_string()), file.bytes).expect("written");
                }
                rest = after;
            }
        }
        for file in builder.partials() {
            std::fs::write(ledger.join(file.tile.to_string()), file.bytes).expect("written");
        }
    }
}

async fn one_session(trail: &Arc<AuditTrail>, number: u8, enter: &impl Fn(What) -> u64) {
    let id = session(number);
    let target = TargetName::new("db").expect("a name");
    enter(What::SessionOpened { session: id.clone(), target, expires: time(START + 3600) });
    enter(What::StatementJudged {
        session: id.clone(),
        connection: 1,
        statement: 1,
        verdict: VerdictWord::Allow,
        rule: RuleName::new("r").expect("a name"),
        verb: "select".into(),
        text: format!("select {number}"),
        digest: policy(),
        sent: None,
        facts: None,
        facts_of: None,
    });
    let mut recorder = trail.recorder(&id, 1, &actor()).expect("a recorder");
    let answer = format!("this is answer {number}");
    recorder.record(ItemKind::Answer, answer.as_bytes()).expect("recorded");
    let chunks = recorder.finish().await.expect("written");
    enter(What::ConnectionClosed { session: id.clone(), connection: 1, statements: 1, rows: 1, chunks });
    enter(What::SessionClosed {
        session: id,
        reason: CloseReason::ClientEnded,
        statements: 1,
        connections: 1,
    });
}

/// Changes the entries of one full bundle.
pub(super) fn bundle(dir: &Path, name: &str, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let path = dir.join("ledger/tile/entries").join(name);
    let bytes = std::fs::read(&path).expect("a bundle");
    let (mut entries, mut rest) = (Vec::new(), bytes.as_slice());
    while let Some((entry, after)) = split_entry(rest) {
        entries.push(entry.to_vec());
        rest = after;
    }
    change(&mut entries);
    let mut bytes = Vec::new();
    entries.iter().for_each(|entry| append_entry(&mut bytes, entry).expect("it fits"));
    std::fs::write(&path, bytes).expect("written");
}

pub(super) fn event(second: i64, what: What) -> Event {
    Event { at: time(second), actor: Some(actor()), policy: policy(), what }
}

pub(super) fn session(number: u8) -> SessionId {
    SessionId::from_random([number; 16])
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn policy() -> Digest {
    Digest::from_bytes(&[0; 32])
}

fn actor() -> Actor {
    let provider = ProviderName::new("corp").expect("a name");
    let principal = PrincipalId { provider, subject: Subject::new("alice").expect("a name") };
    Actor { principal, device: None, address: "::1".into(), host: "laptop".into() }
}
