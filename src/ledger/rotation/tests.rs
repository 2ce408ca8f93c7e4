#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests fail by panicking"
)]

use std::collections::HashMap;

use jiff::Timestamp;
use proptest::prelude::*;

use super::{Cause, Chain, LONGEST_NOTE, Rotation, RotationError, SignedHead, open_with_any};
use crate::domain::event::{Event, What};
use crate::domain::name::Digest;
use crate::ledger::builder::Builder;
use crate::ledger::checkpoint::{Checkpoint, CheckpointError};
use crate::ledger::entry::encode;
use crate::ledger::note::{NoteError, Sign, SignError, Signer, VerifierKey};
use crate::ledger::tree::Hash;
use crate::ledger::verify::{Audit, Broken, Files, FilesError, Reason, VerifyError};

fn signer(number: u8) -> Signer {
    Signer::new("example.org/log", &[number; 32]).unwrap()
}

fn rotation(index: u64, old: u8, new: u8) -> Rotation {
    let (old, new) = (signer(old).verifier().clone(), signer(new).verifier().clone());
    Rotation { index, old, new, cause: Cause::Planned }
}

fn note(index: u64, old: u8, new: u8) -> String {
    rotation(index, old, new).sign(&signer(old), &signer(new)).unwrap()
}

fn chain(notes: impl IntoIterator<Item = String>) -> Chain {
    let mut chain = Chain::default();
    notes.into_iter().for_each(|note| chain.push(note).unwrap());
    chain
}

/// Answers what it is told to, whatever it is asked.
struct Liar(VerifierKey, Result<[u8; 64], SignError>);

impl Sign for Liar {
    fn verifier(&self) -> &VerifierKey {
        &self.0
    }

    fn signature(&self, _: &str) -> Result<[u8; 64], SignError> {
        self.1.clone()
    }
}

#[test]
fn a_note_needs_both_keys_and_no_other() {
    let good = note(7, 1, 2);
    assert_eq!(Rotation::open(&good), Ok(rotation(7, 1, 2)));
    let text = rotation(7, 1, 2).to_string();
    assert!(text.starts_with("hoopctl-key-rotation/1\nexample.org/log\n7\nexample.org/log+"), "{text}");
    let signed = |by: &[u8]| {
        by.iter().fold(format!("{text}\n"), |note, number| {
            let one = signer(*number).sign(&text);
            note + one.strip_prefix(&format!("{text}\n")).unwrap()
        })
    };
    assert_eq!(Rotation::open(&signed(&[2, 1])), Ok(rotation(7, 1, 2)));
    for (by, error) in [
        (&[1, 1][..], RotationError::Note(NoteError::Unsigned)),
        (&[2, 2], RotationError::Note(NoteError::Unsigned)),
        (&[3, 2], RotationError::Note(NoteError::Unsigned)),
        (&[1, 3], RotationError::Note(NoteError::Unsigned)),
        (&[1], RotationError::Malformed),
        (&[1, 2, 3], RotationError::Malformed),
        (&[1, 2, 1], RotationError::Malformed),
    ] {
        assert_eq!(Rotation::open(&signed(by)), Err(error), "{by:?}");
    }
    // one bit of either signature
    for line in good.lines().filter(|line| line.starts_with('\u{2014}')) {
        let (start, end) = line.split_at(line.len() - 10);
        let other = if end.starts_with('A') { "B" } else { "A" };
        let forged = good.replace(line, &format!("{start}{other}{}", &end[1..]));
        assert_eq!(Rotation::open(&forged), Err(RotationError::Note(NoteError::BadSignature)), "{forged}");
    }
}

#[test]
fn a_note_is_written_in_one_way_only() {
    let text = rotation(7, 1, 2).to_string();
    let [one, two] = [1, 2].map(|number| signer(number).verifier().to_string());
    let elsewhere = Signer::new("example.net/log", &[2; 32]).unwrap().verifier().to_string();
    for (from, to) in [
        ("/1\n", "/2\n"),
        ("\n7\n", "\n07\n"),
        ("\n7\n", "\n+7\n"),
        ("\n7\n", "\n18446744073709551616\n"),
        ("planned", "Planned"),
        ("planned\n", "planned\nmore\n"),
        (two.as_str(), one.as_str()),
        (two.as_str(), elsewhere.as_str()),
        ("/1\nexample.org/log\n", "/1\nexample.net/log\n"),
    ] {
        let other = text.replacen(from, to, 1);
        assert_ne!(other, text, "{from}");
        let first = signer(1).sign(&other);
        let second = signer(2).sign(&other).strip_prefix(&format!("{other}\n")).unwrap().to_owned();
        assert_eq!(Rotation::open(&(first + &second)), Err(RotationError::Malformed), "{from} {to}");
    }
}

#[test]
fn what_a_signer_answers_is_checked_before_it_is_used() {
    let (old, new) = (signer(1), signer(2));
    let wrong = old.signature("another text\n").unwrap();
    let other = new.signature(&rotation(7, 1, 2).to_string()).unwrap();
    for answer in [wrong, other, [0; 64]] {
        let liar = Liar(old.verifier().clone(), Ok(answer));
        let refused = rotation(7, 1, 2).sign(&liar, &new);
        assert_eq!(refused, Err(SignError::Wrong(old.verifier().to_string())));
    }
    let silent = Liar(old.verifier().clone(), Err(SignError::Unanswered("gone".into())));
    assert_eq!(rotation(7, 1, 2).sign(&silent, &new), Err(SignError::Unanswered("gone".into())));
}

#[test]
fn a_chain_has_no_gap_and_no_way_back() {
    let good = chain([note(3, 1, 2), note(9, 2, 3)]);
    assert_eq!(Chain::parse(&good.to_string()).as_ref(), Ok(&good));
    assert_eq!(Chain::parse(""), Ok(Chain::default()));
    for (next, error) in [
        (note(12, 1, 4), RotationError::Loose),
        (note(12, 2, 4), RotationError::Loose),
        (note(9, 3, 4), RotationError::Loose),
        (note(12, 3, 1), RotationError::Again),
        (note(12, 3, 2), RotationError::Again),
        ("nothing".into(), RotationError::Note(NoteError::Malformed)),
    ] {
        let mut longer = good.clone();
        assert_eq!(longer.push(next), Err(error));
        assert_eq!(longer, good);
    }
    let key = |number| signer(number).verifier().clone();
    assert_eq!(good.in_force(&key(1)), &key(3));
    assert_eq!(good.in_force(&key(3)), &key(3));
    assert_eq!(good.in_force(&key(9)), &key(9), "a stranger is led nowhere");
    let at: Vec<_> = [0, 3, 4, 9, 10].map(|size| good.at(size).cloned()).into_iter().flatten().collect();
    assert_eq!(at, [1, 1, 2, 2, 3].map(key));
    assert!(good.joins(&key(3), &key(1)) && good.joins(&key(9), &key(9)) && !good.joins(&key(9), &key(1)));

    let head = |by: u8| Checkpoint { size: 2, root: Hash::empty() }.sign(&signer(by));
    for number in 1..=3 {
        assert!(open_with_any(&head(number), &key(3), &good).is_ok(), "{number}");
    }
    let stranger = Err(CheckpointError::Note(NoteError::Unsigned));
    assert_eq!(open_with_any(&head(9), &key(3), &good), stranger);
    assert_eq!(open_with_any(&head(1), &key(9), &good), stranger, "a chain vouches for its own keys only");
}

/// A log in memory.
#[derive(Default)]
struct Log(HashMap<String, Vec<u8>>);

impl Files for Log {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, FilesError> {
        Ok(self.0.get(path).cloned())
    }
}

/// A log of these entries, signed by these keys, with this chain beside it.
fn log(whats: &[What], signers: &[u8], chain: &Chain) -> Log {
    let (mut builder, mut files) = (Builder::default(), Log::default());
    let policy = Digest::from_bytes(&[0; 32]);
    for what in whats {
        let event =
            Event { at: Timestamp::UNIX_EPOCH, actor: None, policy: policy.clone(), what: what.clone() };
        let (mut bytes, mut full) = (Vec::new(), Vec::new());
        encode(&event, &mut bytes).unwrap();
        builder.push(&bytes, Hash::leaf(&bytes), &mut full).unwrap();
        assert!(full.is_empty(), "the log is shorter than a tile");
    }
    for file in builder.partials() {
        files.0.insert(file.tile.to_string(), file.bytes);
    }
    let head = Checkpoint { size: builder.size(), root: builder.root() };
    let text = head.text("example.org/log");
    let lines = signers.iter().fold(String::new(), |lines, number| {
        lines + signer(*number).sign(&text).strip_prefix(&format!("{text}\n")).unwrap()
    });
    files.0.insert("checkpoint".into(), format!("{text}\n{lines}").into_bytes());
    files.0.insert("keys".into(), chain.to_string().into_bytes());
    files
}

fn entered(note: String) -> What {
    let rotation = Rotation::open(&note).unwrap();
    What::KeyRotated { old: rotation.old.to_string(), new: rotation.new.to_string(), proof: note }
}

#[test]
fn a_log_leads_from_any_of_its_keys_to_the_one_in_force() {
    let notes = [note(1, 1, 2), note(3, 2, 3)];
    let whats = [
        What::BrokerStopped,
        entered(notes[0].clone()),
        What::BrokerStopped,
        entered(notes[1].clone()),
        What::BrokerStopped,
    ];
    let good = chain(notes);
    let files = log(&whats, &[3], &good);
    let verify = |files: &Log, number: u8| {
        let (key, kept) = (signer(number).verifier().clone(), None);
        Audit { log: files, recordings: None, key: &key, kept, reviews: &() }.run()
    };
    for number in 1..=3 {
        let key = signer(number).verifier().clone();
        let head = SignedHead::read(&files, &key).unwrap();
        assert_eq!(&head.key, signer(3).verifier());
        head.chain.prove(&files, &head.checkpoint).unwrap();
        let verified = verify(&files, number).unwrap();
        assert_eq!(&verified.key, signer(3).verifier());
        let changed: Vec<u64> = verified.rotations.iter().map(|rotation| rotation.index).collect();
        assert_eq!(changed, [1, 3]);
    }
    let broken = |index, reason| Err(VerifyError::Broken(Broken { index, reason }));
    let unsigned = || Reason::Checkpoint(CheckpointError::Note(NoteError::Unsigned));
    assert_eq!(verify(&files, 9).map(drop), broken(None, unsigned()));
    // the key that went before may sign beside the new one, and never alone
    assert!(verify(&log(&whats, &[3, 2], &good), 1).is_ok());
    assert_eq!(verify(&log(&whats, &[2], &good), 1).map(drop), broken(None, unsigned()));
    // without the copy of the notes, the log itself still says who must have signed
    assert!(verify(&log(&whats, &[3, 2], &Chain::default()), 2).is_ok());
    assert_eq!(
        verify(&log(&whats, &[2], &Chain::default()), 2).map(drop),
        broken(Some(3), Reason::KeyForeign)
    );
    assert_eq!(
        verify(&log(&whats, &[9, 3], &Chain::default()), 9).map(drop),
        broken(Some(3), Reason::KeyForeign)
    );
}

#[test]
fn a_rotation_that_the_log_does_not_hold_leads_nowhere() {
    let (first, second) = (note(1, 1, 2), note(3, 2, 3));
    let prove = |files: &Log, key: u8| -> Result<(), VerifyError> {
        let head = SignedHead::read(files, signer(key).verifier())?;
        head.chain.prove(files, &head.checkpoint)
    };
    let verify = |files: &Log, key: u8| {
        let key = signer(key).verifier().clone();
        Audit { log: files, recordings: None, key: &key, kept: None, reviews: &() }.run().map(drop)
    };
    let whats = vec![What::BrokerStopped, entered(first.clone()), What::BrokerStopped, What::BrokerStopped];
    let unentered =
        |index| Err(VerifyError::Broken(Broken { index: Some(index), reason: Reason::KeyUnentered }));
    for (index, claimed) in [(3, second), (4, note(4, 2, 3))] {
        let files = log(&whats, &[3], &chain([first.clone(), claimed]));
        assert_eq!(prove(&files, 1), unentered(index));
        assert_eq!(verify(&files, 1), unentered(index));
    }
    // one that is entered, and not the one that is shown
    let other = rotation(1, 1, 2);
    let other = Rotation { cause: Cause::Compromised, ..other }.sign(&signer(1), &signer(2)).unwrap();
    let files = log(&whats, &[2], &chain([other]));
    assert_eq!(prove(&files, 1), unentered(1));
    assert_eq!(verify(&files, 1), unentered(1));
    // one that is entered with a note that does not fit it
    let moved = What::KeyRotated {
        old: signer(1).verifier().to_string(),
        new: signer(2).verifier().to_string(),
        proof: note(7, 1, 2),
    };
    let loose = |index| {
        let reason = Reason::KeyRotation(RotationError::Loose);
        Err(VerifyError::Broken(Broken { index: Some(index), reason }))
    };
    assert_eq!(verify(&log(&[What::BrokerStopped, moved], &[2], &Chain::default()), 2), loose(1));
    // two that do not follow each other
    let whats = [entered(note(0, 1, 2)), entered(note(1, 4, 3))];
    assert_eq!(verify(&log(&whats, &[3], &Chain::default()), 3), loose(1));
    // a file that is none
    let mut files = log(&[What::BrokerStopped], &[1], &Chain::default());
    files.0.insert("keys".into(), b"nothing".to_vec());
    let keys = Reason::Keys(RotationError::Malformed);
    assert_eq!(verify(&files, 1), Err(VerifyError::Broken(Broken { index: None, reason: keys })));
}

proptest! {
    #[test]
    fn notes_and_chains_survive_their_text_form(steps in prop::collection::vec((1_u64..1000, any::<bool>()), 0..12)) {
        let (mut made, mut index) = (Chain::default(), 0);
        for (number, (gap, hurt)) in (1_u8..).zip(&steps) {
            index += gap;
            let cause = if *hurt { Cause::Compromised } else { Cause::Planned };
            let step = Rotation { cause, ..rotation(index, number, number + 1) };
            let note = step.sign(&signer(number), &signer(number + 1)).unwrap();
            prop_assert!(note.len() <= LONGEST_NOTE);
            prop_assert_eq!(Rotation::open(&note), Ok(step));
            made.push(note).unwrap();
        }
        prop_assert_eq!(made.rotations().count(), steps.len());
        prop_assert_eq!(Chain::parse(&made.to_string()), Ok(made));
    }

    #[test]
    fn an_altered_note_is_no_note(at in 0_usize..600, to in any::<u8>()) {
        let mut bytes = note(7, 1, 2).into_bytes();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        if let Ok(text) = String::from_utf8(bytes) {
            // the padding bits of base64 are checked as well, so there is no second way to write a signature
            prop_assert!(Rotation::open(&text).is_err(), "{}", text);
        }
    }
}
