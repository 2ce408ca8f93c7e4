#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;
use crate::domain::event::{Event, What};
use crate::domain::name::Digest;
use crate::ledger::entry::encode;
use crate::ledger::note::Signer;
use crate::ledger::tree::{Tree, consistency_proof, inclusion_proof};

/// A log whose entries are numbers, the ones from `differs` on other numbers.
fn log(size: u64, differs: u64) -> Tree {
    let mut tree = Tree::default();
    for number in 0..size {
        tree.push(Hash::leaf(&(number + if number >= differs { 1000 } else { 0 }).to_be_bytes()));
    }
    tree
}

fn signer(seed: u8) -> Signer {
    Signer::new("log", &[seed; 32]).unwrap()
}

fn shown(tree: &Tree, from: u64, signer: &Signer) -> LedgerHead {
    let checkpoint = Checkpoint { size: tree.size(), root: tree.root() };
    let proof = consistency_proof(tree, from, tree.size()).unwrap_or_default();
    LedgerHead {
        key: signer.verifier().to_string(),
        checkpoint: checkpoint.sign(signer),
        proof: proof.iter().map(ToString::to_string).collect(),
        rotations: Vec::new(),
    }
}

fn remembered(tree: &Tree) -> Remembered {
    let (signer, checkpoint) = (signer(1), Checkpoint { size: tree.size(), root: tree.root() });
    let head = Some((checkpoint.sign(&signer), checkpoint));
    Remembered { key: signer.verifier().clone(), older: Vec::new(), head }
}

const HONEST: u64 = u64::MAX;

#[test]
fn a_log_that_grows_is_believed() {
    let key = signer(1);
    for old in [0_u64, 1, 2, 7, 8, 100, 255, 256, 257] {
        for new in [old, old + 1, old + 300] {
            let head = shown(&log(new, HONEST), old, &key);
            let before = remembered(&log(old, HONEST));
            assert_eq!(extends(Some(&before), None, &head).unwrap().checkpoint.size, new, "{old} {new}");
        }
    }
    // the first visit, and one after which only the key was kept
    let head = shown(&log(9, HONEST), 0, &key);
    assert!(extends(None, None, &head).is_ok());
    let before = Remembered { head: None, ..remembered(&log(5, HONEST)) };
    assert!(extends(Some(&before), None, &head).is_ok());
}

#[test]
fn another_history_is_refused_with_whatever_proof_it_comes() {
    let (key, before) = (signer(1), remembered(&log(7, HONEST)));
    let refused = |shown: &LedgerHead| extends(Some(&before), None, shown).unwrap_err();
    let forked = Contradiction::Forked { kept: 7 };
    for differs in [0, 3, 6] {
        for new in [7, 8, 12] {
            assert_eq!(refused(&shown(&log(new, differs), 7, &key)), forked, "{differs} {new}");
        }
    }
    // it differs only behind what is remembered: that is how logs grow
    assert!(extends(Some(&before), None, &shown(&log(12, 7), 7, &key)).is_ok());
    let honest = shown(&log(12, HONEST), 7, &key);
    for proof in [
        Vec::new(),
        vec!["rubbish".into()],
        vec![Hash::empty().to_string(); 1000],
        honest.proof.iter().rev().cloned().collect(),
        honest.proof.iter().skip(1).cloned().collect(),
    ] {
        assert_eq!(refused(&LedgerHead { proof: proof.clone(), ..honest.clone() }), forked, "{proof:?}");
    }
    // the proof of the honest log for a forked one
    assert_eq!(refused(&LedgerHead { proof: honest.proof, ..shown(&log(12, 3), 7, &key) }), forked);
    // an empty log that was not empty
    let empty = Checkpoint { size: 0, root: Hash::leaf(b"x") };
    let kept = Remembered { head: Some((String::new(), empty)), ..before.clone() };
    assert!(matches!(
        extends(Some(&kept), None, &shown(&log(3, HONEST), 0, &key)),
        Err(Contradiction::Forked { .. })
    ));
    for size in [0, 1, 6] {
        let back = Contradiction::RolledBack { kept: 7, found: size };
        assert_eq!(refused(&shown(&log(size, HONEST), 7, &key)), back);
    }
}

#[test]
fn another_key_is_refused_and_so_is_what_nobody_signed() {
    let (ours, theirs, before) = (signer(1), signer(2), remembered(&log(7, HONEST)));
    let log = log(9, HONEST);
    let good = shown(&log, 7, &ours);
    let refused = |shown: &LedgerHead| extends(Some(&before), None, shown).unwrap_err();
    assert_eq!(refused(&shown(&log, 7, &theirs)), Contradiction::Key);
    // their key with our signature, and the other way round
    assert_eq!(
        refused(&LedgerHead { key: theirs.verifier().to_string(), ..good.clone() }),
        Contradiction::Key
    );
    let unsigned = LedgerHead { checkpoint: shown(&log, 7, &theirs).checkpoint, ..good.clone() };
    assert_eq!(refused(&unsigned), Contradiction::Unbelievable(CheckpointError::Note(NoteError::Unsigned)));
    let altered = LedgerHead { checkpoint: good.checkpoint.replace("\n9\n", "\n8\n"), ..good.clone() };
    assert_eq!(
        refused(&altered),
        Contradiction::Unbelievable(CheckpointError::Note(NoteError::BadSignature))
    );
    let rubbish = LedgerHead { key: "rubbish".into(), ..good.clone() };
    assert_eq!(refused(&rubbish), Contradiction::Unreadable(NoteError::Key));
    // nothing is remembered, but somebody has named the key
    assert!(extends(None, Some(ours.verifier()), &good).is_ok());
    assert_eq!(extends(None, Some(theirs.verifier()), &good), Err(Contradiction::Key));
}

/// A log whose entry 7 gives it the second key, and what shows that.
fn rotated(by: [u8; 2], note: Option<String>) -> (Tree, LedgerHead) {
    let [old, new] = by.map(|seed| signer(seed).verifier().clone());
    let rotation = Rotation { index: 7, old, new, cause: Cause::Planned };
    let proof = note.unwrap_or_else(|| rotation.sign(&signer(by[0]), &signer(by[1])).unwrap());
    let what = What::KeyRotated { old: rotation.old.to_string(), new: rotation.new.to_string(), proof };
    let policy = Digest::from_bytes(&[0; 32]);
    let mut entry = Vec::new();
    encode(&Event { at: Timestamp::UNIX_EPOCH, actor: None, policy, what }, &mut entry).unwrap();
    let mut tree = log(7, HONEST);
    tree.push(Hash::leaf(&entry));
    tree.push(Hash::leaf(b"more"));
    let mut head = shown(&tree, 5, &signer(by[1]));
    head.rotations = vec![ShownRotation {
        index: 7,
        entry: String::from_utf8(entry).unwrap(),
        proof: inclusion_proof(&tree, 7, 9).unwrap().iter().map(Hash::to_string).collect(),
    }];
    (tree, head)
}

#[test]
fn a_key_is_followed_only_by_what_the_log_proves() {
    let before = remembered(&log(5, HONEST));
    let (tree, good) = rotated([1, 2], None);
    let head = extends(Some(&before), None, &good).unwrap();
    assert_eq!(
        (&head.key, head.older.as_slice()),
        (signer(2).verifier(), &[signer(1).verifier().clone()][..])
    );
    // somebody who has named the old key and remembers nothing
    assert_eq!(extends(None, Some(signer(1).verifier()), &good).unwrap().key, *signer(2).verifier());

    let refused =
        |shown: &LedgerHead| assert_eq!(extends(Some(&before), None, shown), Err(Contradiction::Key));
    let with = |rotations: Vec<ShownRotation>| LedgerHead { rotations, ..good.clone() };
    let step = good.rotations.first().unwrap().clone();
    refused(&with(Vec::new()));
    refused(&with(vec![step.clone(), step.clone()]));
    refused(&with(vec![step.clone(); 300]));
    refused(&with(vec![ShownRotation { proof: Vec::new(), ..step.clone() }]));
    refused(&with(vec![ShownRotation { index: 6, ..step.clone() }]));
    refused(&with(vec![ShownRotation { entry: step.entry.replace("planned", "compromised"), ..step }]));
    // the log holds it, and another key is meant; or nobody but the new key has signed it
    refused(&rotated([3, 2], None).1);
    let text = Rotation {
        index: 7,
        old: signer(1).verifier().clone(),
        new: signer(2).verifier().clone(),
        cause: Cause::Planned,
    };
    let alone = signer(2).sign(&text.to_string());
    let twice = format!("{alone}{}", alone.lines().last().unwrap()) + "\n";
    refused(&rotated([1, 2], Some(alone)).1);
    refused(&rotated([1, 2], Some(twice)).1);
    // the head itself is signed by the old key only, or by a third
    for seed in [1, 3] {
        refused(&LedgerHead { checkpoint: shown(&tree, 5, &signer(seed)).checkpoint, ..good.clone() });
    }
    // it does not go on from what is remembered, with the best of rotations
    let other = remembered(&log(5, 3));
    assert_eq!(extends(Some(&other), None, &good), Err(Contradiction::Forked { kept: 5 }));
    // whoever follows does not go back
    let now = Remembered { key: signer(2).verifier().clone(), older: head.older, head: None };
    assert_eq!(extends(Some(&now), None, &shown(&tree, 9, &signer(1))), Err(Contradiction::Key));
}
