#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::rounds::Book;
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::cosignature::Cosignature;
use crate::ledger::note::Signer;
use crate::ledger::tree::Hash;

fn head(size: u8) -> (String, Checkpoint) {
    let checkpoint = Checkpoint { size: u64::from(size), root: Hash::new([size; 32]) };
    (checkpoint.sign(&Signer::new("log", &[1; 32]).unwrap()), checkpoint)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_700_000_000 + seconds)
}

fn line(text: &str) -> Cosignature {
    Cosignature { time: 1, line: format!("{text}\n") }
}

#[test]
fn the_first_entry_that_waits_says_for_how_long() {
    let mut book = Book::new(None);
    let waits = |book: &Book, seconds| book.unwitnessed(at(seconds));
    assert_eq!(waits(&book, 0), (0, Duration::ZERO, 0));
    let (note, first) = head(5);
    book.open(note, first, at(0)).unwrap();
    let (note, second) = head(9);
    book.open(note, second, at(10)).unwrap();
    assert_eq!(waits(&book, 30), (9, Duration::from_secs(30), 0));
    // what came after it waits since it came
    book.witnessed(first);
    assert_eq!(waits(&book, 30), (4, Duration::from_secs(20), 0));
    book.witnessed(second);
    assert_eq!(waits(&book, 30), (0, Duration::ZERO, 0));
    book.dispute(1);
    book.dispute(1);
    assert_eq!(waits(&book, 30).2, 1);
    book.settle(1);
    assert_eq!(waits(&book, 30).2, 0);
    // rounds that are forgotten still count
    for size in 10..200 {
        let (note, checkpoint) = head(size);
        book.open(note, checkpoint, at(i64::from(size) * 10)).unwrap();
    }
    assert_eq!(waits(&book, 2000), (190, Duration::from_secs(1900), 0));
}

#[test]
fn a_resting_ledger_is_shown_again_before_its_cosignatures_grow_old() {
    let (note, checkpoint) = head(5);
    let mut book = Book::new(Some(checkpoint));
    let first = book.open(note.clone(), checkpoint, at(0)).unwrap();
    assert_eq!(first.text(), note.split_once("\n\n").unwrap().0.to_owned() + "\n");
    assert_eq!(book.unwitnessed(at(100)), (0, Duration::ZERO, 0));
    assert_eq!(book.take(0, &first, line("old")), Some(format!("{note}old\n")));
    assert!(book.open(note.clone(), checkpoint, at(299)).is_none());
    let again = book.open(note.clone(), checkpoint, at(300)).unwrap();
    // what others said before still stands
    assert_eq!(book.take(1, &again, line("b")), Some(format!("{note}old\nb\n")));
    assert_eq!(book.take(0, &again, line("a")), Some(format!("{note}a\nb\n")));
}

#[test]
fn late_answers_count_for_their_own_round_until_a_later_one_is_witnessed() {
    let mut book = Book::new(None);
    let ((old, smaller), (new, larger)) = (head(5), head(9));
    let first = book.open(old.clone(), smaller, at(0)).unwrap();
    let second = book.open(new.clone(), larger, at(10)).unwrap();
    assert_eq!(book.take(0, &second, line("a")), Some(format!("{new}a\n")));
    assert_eq!(book.take(1, &first, line("b")), Some(format!("{old}b\n")));
    book.witnessed(larger);
    assert_eq!(book.take(0, &first, line("a")), None);
    assert_eq!(book.take(1, &second, line("b")), Some(format!("{new}a\nb\n")));
}
