#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;
use crate::ledger::note::Signer;
use crate::ledger::tree::{Tree, consistency_proof};

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
    }
}

fn remembered(tree: &Tree) -> Remembered {
    let (signer, checkpoint) = (signer(1), Checkpoint { size: tree.size(), root: tree.root() });
    Remembered { key: signer.verifier().clone(), head: Some((checkpoint.sign(&signer), checkpoint)) }
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
