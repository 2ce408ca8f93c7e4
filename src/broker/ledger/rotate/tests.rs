#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tempfile::TempDir;

use super::{Occasion, rotate};
use crate::broker::ledger::log::{frame, path};
use crate::broker::ledger::signers::{KeyPlace, LedgerKeys};
use crate::broker::ledger::{DirectoryFiles, LedgerError, LedgerWriter};
use crate::domain::event::{Event, What};
use crate::domain::name::Digest;
use crate::ledger::note::VerifierKey;
use crate::ledger::proof::{bundle, entries};
use crate::ledger::rotation::Cause;
use crate::ledger::tree::Hash;
use crate::ledger::verify::{Audit, Verified, VerifyError};

struct Home(TempDir);

impl Home {
    /// A ledger of so many entries, whose key is `old.key`.
    fn make(size: usize) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        let ledger = LedgerWriter::open(&home.dir(), "example.org/log", &home.at("old.key")).unwrap();
        for _ in 0..size {
            let what = What::BrokerStopped;
            let policy = Digest::from_bytes(&[0; 32]);
            ledger.enter(&Event { at: Timestamp::UNIX_EPOCH, actor: None, policy, what }).unwrap();
        }
        ledger.close();
        home
    }

    fn copy(&self) -> Self {
        let copy = Self(tempfile::tempdir().unwrap());
        copy_all(self.0.path(), copy.0.path());
        copy
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn dir(&self) -> PathBuf {
        self.at("ledger")
    }

    fn keys(&self, new: &str, old: &str) -> LedgerKeys {
        LedgerKeys { key: KeyPlace::File(self.at(new)), previous: Some(KeyPlace::File(self.at(old))) }
    }

    fn rotate(&self, new: &str, old: &str, cause: Cause) -> Result<super::Rotated, LedgerError> {
        let occasion = Occasion { at: Timestamp::UNIX_EPOCH, policy: Digest::from_bytes(&[0; 32]), cause };
        rotate(&self.dir(), &self.keys(new, old), &occasion)
    }

    fn open(&self, keys: &LedgerKeys) -> Result<(), LedgerError> {
        LedgerWriter::open_with(&self.dir(), "example.org/log", keys).map(|ledger| ledger.close())
    }

    fn key(&self) -> VerifierKey {
        VerifierKey::parse(&std::fs::read_to_string(self.dir().join("key")).unwrap()).unwrap()
    }

    fn verify(&self, key: &VerifierKey) -> Result<Verified, VerifyError> {
        let files = DirectoryFiles::new(&self.dir());
        Audit { log: &files, recordings: None, key, kept: None, reviews: &() }.run()
    }

    /// Takes files of another one over.
    fn take(&self, other: &Self, names: &[&str]) {
        for name in names {
            let (from, to) = (other.at(name), self.at(name));
            if from.is_dir() {
                copy_all(&from, &to);
            } else {
                std::fs::copy(from, to).unwrap();
            }
        }
    }
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Whatever was on the disk when the process died: the next one finishes what had begun, or finds that nothing had.
#[test]
fn a_rotation_that_died_between_any_two_steps_is_finished_or_has_not_begun() {
    let before = Home::make(3);
    let old = before.key();
    // the append log begins where the rotation will
    before.open(&before.at("old.key").into()).unwrap();
    let after = before.copy();
    let done = after.rotate("new.key", "old.key", Cause::Planned).unwrap();
    assert!(done.is_new && done.rotation.index == 3);
    let files = DirectoryFiles::new(&after.dir());
    let bundle = bundle(&files, 3, 4).unwrap().unwrap();
    let entry = entries(&bundle, 3).find(|(index, _)| *index == 3).unwrap().1.to_vec();
    let mut record = Vec::new();
    frame(&mut record, &entry, &Hash::leaf(&entry));

    let check = |home: &Home, is_begun: bool, what: &str| {
        let again = home.copy();
        // as whoever starts the broker sees it
        match home.open(&home.keys("new.key", "old.key")) {
            Ok(()) => assert!(is_begun, "{what}"),
            Err(error) => assert!(!is_begun && matches!(error, LedgerError::NotRotated), "{what}: {error}"),
        }
        // and whoever types the command again
        for home in [home, &again] {
            let done = home.rotate("new.key", "old.key", Cause::Planned).unwrap();
            assert_eq!((done.is_new, done.rotation.index), (!is_begun, 3), "{what}");
            home.open(&home.keys("new.key", "old.key")).unwrap();
            let verified = home.verify(&old).unwrap();
            assert_eq!((verified.checkpoint.size, verified.rotations.len()), (4, 1), "{what}");
            assert_eq!(verified.key, home.key(), "{what}");
            assert_ne!(verified.key, old, "{what}");
        }
    };
    check(&before.copy(), false, "nothing");
    let keyed = before.copy();
    keyed.take(&after, &["new.key"]);
    check(&keyed.copy(), false, "the new key");
    let segment = path(&keyed.dir(), 3);
    let header = std::fs::read(&segment).unwrap();
    for cut in 0..=record.len() {
        let torn = keyed.copy();
        let bytes = [header.as_slice(), record.get(..cut).unwrap()].concat();
        std::fs::write(path(&torn.dir(), 3), bytes).unwrap();
        if cut == record.len() || cut % 16 == 0 {
            check(&torn, cut == record.len(), &format!("{cut} bytes of the entry"));
        }
    }
    std::fs::write(&segment, [header, record].concat()).unwrap();
    let mut state = keyed;
    for step in
        [&["ledger/keys"][..], &["ledger/tile"], &["ledger/checkpoint"], &["ledger/key"], &["ledger/pending"]]
    {
        state = state.copy();
        state.take(&after, step);
        check(&state.copy(), true, step.first().unwrap());
    }
    // the old segment is still there beside the new one
    std::fs::remove_file(path(&state.dir(), 3)).unwrap();
    check(&state, true, "the end");
}

#[test]
fn two_rotations_lead_from_the_first_key_to_the_last() {
    let home = Home::make(2);
    let first = home.key();
    let planned = home.rotate("two.key", "old.key", Cause::Planned).unwrap().rotation;
    // a courtesy to those who do not know the new key yet
    let note = || std::fs::read_to_string(home.dir().join("checkpoint")).unwrap();
    let signed = |key: &VerifierKey| key.open(&note()).is_ok();
    assert!(signed(&planned.new) && signed(&planned.old));
    home.open(&home.keys("two.key", "old.key")).unwrap();
    assert!(signed(&planned.new) && signed(&planned.old));
    home.open(&home.at("two.key").into()).unwrap();
    assert!(signed(&planned.new) && !signed(&planned.old), "it is over with the configuration");
    let hurt = home.rotate("three.key", "two.key", Cause::Compromised).unwrap().rotation;
    home.open(&home.keys("three.key", "two.key")).unwrap();
    assert!(signed(&hurt.new) && !signed(&hurt.old), "one that others may know signs nothing");
    for key in [&first, &planned.new, &hurt.new] {
        let verified = home.verify(key).unwrap();
        assert_eq!(
            (verified.key, verified.rotations),
            (hurt.new.clone(), vec![planned.clone(), hurt.clone()])
        );
    }
    // there is no way back, and nobody else's key gets in
    assert!(matches!(home.rotate("old.key", "three.key", Cause::Planned), Err(LedgerError::Rotation(_))));
    assert!(matches!(
        home.rotate("four.key", "old.key", Cause::Planned),
        Err(LedgerError::ForeignKey { .. })
    ));
    assert!(matches!(home.open(&home.at("old.key").into()), Err(LedgerError::ForeignKey { .. })));
    std::fs::remove_file(home.dir().join("keys")).unwrap();
    assert!(matches!(home.open(&home.at("two.key").into()), Err(LedgerError::Checkpoint(_))));
    home.open(&home.at("three.key").into()).unwrap();
}

/// A backup from before the rotation, key and all, is an older ledger, and is never taken for the one that goes on.
#[test]
fn a_backup_of_the_old_key_is_no_way_around_the_rotation() {
    let home = Home::make(2);
    let backup = home.copy();
    let old = home.key();
    let rotation = home.rotate("new.key", "old.key", Cause::Planned).unwrap().rotation;
    let kept = std::fs::read_to_string(home.dir().join("checkpoint")).unwrap();
    // the old key on the new ledger
    assert!(matches!(home.open(&home.at("old.key").into()), Err(LedgerError::ForeignKey { .. })));
    // the old ledger whole: it opens, and whoever kept a checkpoint of either key sees that it went back
    backup.open(&backup.at("old.key").into()).unwrap();
    let verify = |home: &Home, key: &VerifierKey, kept: &str| {
        let files = DirectoryFiles::new(&home.dir());
        Audit { log: &files, recordings: None, key, kept: Some(kept), reviews: &() }.run()
    };
    let refused = verify(&backup, &old, &kept).unwrap_err().to_string();
    assert!(refused.contains("it has been rolled back or cut"), "{refused}");
    let refused = verify(&backup, &rotation.new, &kept).unwrap_err().to_string();
    assert!(refused.contains("the checkpoint cannot be believed"), "{refused}");
    // a checkpoint that the old key had signed is one that the new ledger extends
    let before = std::fs::read_to_string(backup.dir().join("checkpoint")).unwrap();
    for key in [&old, &rotation.new] {
        assert_eq!(verify(&home, key, &before).unwrap().kept, Some(2));
    }
}

#[test]
fn nothing_is_changed_where_nothing_is_to_be() {
    let home = Home::make(1);
    let occasion =
        Occasion { at: Timestamp::UNIX_EPOCH, policy: Digest::from_bytes(&[0; 32]), cause: Cause::Planned };
    let alone = home.at("old.key").into();
    assert!(matches!(rotate(&home.dir(), &alone, &occasion), Err(LedgerError::NoPreviousKey)));
    let none = Home(tempfile::tempdir().unwrap());
    assert!(matches!(none.rotate("new.key", "old.key", Cause::Planned), Err(LedgerError::CheckpointMissing)));
    assert!(!none.at("new.key").exists());
    // a broker has it open
    let ledger = LedgerWriter::open(&home.dir(), "example.org/log", &home.at("old.key")).unwrap();
    assert!(matches!(home.rotate("new.key", "old.key", Cause::Planned), Err(LedgerError::InUse)));
    assert!(!home.at("new.key").exists());
    ledger.close();
    drop(ledger);
    std::fs::copy(home.at("old.key"), home.at("same.key")).unwrap();
    assert!(matches!(home.rotate("same.key", "old.key", Cause::Planned), Err(LedgerError::SameKey)));
    let other = crate::ledger::note::Signer::new("example.net/log", &[5; 32]).unwrap();
    std::fs::copy(home.at("old.key"), home.at("other.key")).unwrap();
    std::fs::write(home.at("other.key"), other.to_secret_text()).unwrap();
    assert!(matches!(home.rotate("other.key", "old.key", Cause::Planned), Err(LedgerError::KeyName { .. })));
    assert_eq!(home.verify(&home.key()).unwrap().rotations, []);
}
