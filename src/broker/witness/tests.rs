#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Mutex;

use axum::http::StatusCode;
use jiff::Timestamp;

use super::memory::Memory;
use super::{Desk, Fresh, WitnessError, WitnessParts, key};
use crate::gateway::clock::Clock;
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::cosignature::Cosigner;
use crate::ledger::note::Signer;
use crate::ledger::tree::{Hash, Tree, consistency_proof};
use crate::ledger::witness::{Request, Witness};

const ORIGIN: &str = "example.org/log";

fn log() -> Signer {
    Signer::new(ORIGIN, &[1; 32]).unwrap()
}

fn desk(folder: &Path, fresh: Fresh) -> Result<Desk, WitnessError> {
    let witness = Witness::new(Cosigner::new("w", &[2; 32]).unwrap(), [log().verifier().clone()]);
    let memory = Mutex::new(Memory::open(folder, &witness, fresh)?);
    let clock = Clock::from_fn(|| Timestamp::from_second(1_700_000_000).unwrap());
    Ok(Desk { witness, memory, clock })
}

/// Asks for a log of so many leaves to be cosigned.
fn ask(desk: &Desk, old: u64, new: u64) -> Option<StatusCode> {
    let mut tree = Tree::default();
    (0..new).for_each(|leaf| tree.push(Hash::leaf(&leaf.to_be_bytes())));
    let proof = if old == new { None } else { consistency_proof(&tree, old, new) };
    let note = Checkpoint { size: new, root: tree.root() }.sign(&log());
    let body = Request { old, proof: proof.unwrap_or_default(), note: &note }.to_string();
    desk.answer(body.as_bytes()).map(|(status, ..)| status)
}

#[test]
fn it_goes_on_from_what_it_kept_and_from_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("state");
    assert!(matches!(desk(&folder, Fresh::Never), Err(WitnessError::Io { .. })));
    let first = desk(&folder, Fresh::WhereMissing).unwrap();
    assert_eq!(ask(&first, 0, 5), Some(StatusCode::OK));
    assert!(matches!(desk(&folder, Fresh::Never), Err(WitnessError::InUse(_))));
    drop(first);

    // also `new` begins nothing anew that is there
    for fresh in [Fresh::Never, Fresh::WhereMissing] {
        let again = desk(&folder, fresh).unwrap();
        assert_eq!(ask(&again, 0, 9), Some(StatusCode::CONFLICT));
        assert_eq!(ask(&again, 5, 5), Some(StatusCode::OK));
    }
    let files = || fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let file = files().find(|path| path.file_name().unwrap() != "lock").unwrap();
    let kept = fs::read_to_string(&file).unwrap();
    assert_eq!(files().count(), 2);

    fs::write(&file, kept.replace("\n5\n", "\n4\n")).unwrap();
    assert!(matches!(desk(&folder, Fresh::WhereMissing), Err(WitnessError::State { .. })));
    fs::write(&file, kept.split_once("\u{2014} w ").unwrap().0).unwrap();
    assert!(matches!(desk(&folder, Fresh::WhereMissing), Err(WitnessError::State { .. })));
    fs::remove_file(&file).unwrap();
    assert!(matches!(desk(&folder, Fresh::Never), Err(WitnessError::Forgotten { .. })));
    fs::write(&file, &kept).unwrap();
    assert_eq!(ask(&desk(&folder, Fresh::Never).unwrap(), 5, 9), Some(StatusCode::OK));
}

/// The folder is not there to write in: nothing that is cosigned may leave.
#[test]
fn what_cannot_be_kept_is_not_cosigned() {
    let root = tempfile::tempdir().unwrap();
    let (folder, away) = (root.path().join("state"), root.path().join("away"));
    let desk = desk(&folder, Fresh::WhereMissing).unwrap();
    assert_eq!(ask(&desk, 0, 5), Some(StatusCode::OK));
    fs::rename(&folder, &away).unwrap();
    assert_eq!(ask(&desk, 5, 9), None);
    fs::rename(&away, &folder).unwrap();
    // and it has not moved on in memory either
    assert_eq!(ask(&desk, 9, 9), Some(StatusCode::CONFLICT));
    assert_eq!(ask(&desk, 5, 9), Some(StatusCode::OK));
}

/// Evidence is kept, and does not fill the disk.
#[test]
fn what_a_log_should_not_have_signed_is_kept_some_times() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("state");
    let desk = desk(&folder, Fresh::WhereMissing).unwrap();
    assert_eq!(ask(&desk, 0, 5), Some(StatusCode::OK));
    for size in 0..100 {
        let note = Checkpoint { size: 6 + size, root: Hash::empty() }.sign(&log());
        let body = Request { old: 5, proof: Vec::new(), note: &note }.to_string();
        let answer = desk.answer(body.as_bytes()).map(|(status, ..)| status);
        assert_eq!(answer, Some(StatusCode::UNPROCESSABLE_ENTITY));
    }
    let evidence: Vec<_> = fs::read_dir(folder.join("evidence")).unwrap().collect();
    assert_eq!(evidence.len(), 32);
}

#[test]
fn a_key_is_made_once_and_read_only_where_nobody_else_can() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("witness.key");
    let parts = |name: &str, new| WitnessParts {
        name: name.into(),
        key: path.clone(),
        logs: Vec::new(),
        state: root.path().join("state"),
        new,
    };
    assert!(matches!(key(&parts("w", Fresh::Never)), Err(WitnessError::KeyMissing(_))));
    let made = key(&parts("w", Fresh::WhereMissing)).unwrap();
    let read = key(&parts("w", Fresh::WhereMissing)).unwrap();
    assert_eq!(made.public(), read.public());
    assert!(matches!(key(&parts("other", Fresh::Never)), Err(WitnessError::Name { .. })));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(key(&parts("w", Fresh::Never)), Err(WitnessError::KeyReadable(_))));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, log().to_secret_text()).unwrap();
    assert!(matches!(key(&parts("w", Fresh::Never)), Err(WitnessError::Key { .. })));
}
