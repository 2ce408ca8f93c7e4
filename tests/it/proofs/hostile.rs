//! Files that somebody cut, edited or made up.

use std::io::{BufReader, Read};

use hoopctl::client::approvals::SignedReviews;
use hoopctl::client::evidence::{EvidenceError, ProofFile};
use hoopctl::domain::event::{Event, VerdictWord, What};
use hoopctl::wire::review::sign;
use proptest::prelude::*;

use super::story::{
    chunk_closed, closed, connection_closed, judged, lines, long, opened, place, proof, sealed, signer,
    small, verify, whole,
};
use crate::reviews::{by, claims, deed, id, key, session};

/// The line that is said to be wrong, and what is said of it.
#[track_caller]
fn refused(file: &[u8]) -> (u64, String) {
    let EvidenceError { line, fault } = verify(file).expect_err("it is believed");
    (line, fault.to_string())
}

/// The number of the line that this byte is in.
fn line_at(file: &[u8], at: usize) -> u64 {
    1 + u64::try_from(file[..at].iter().filter(|byte| **byte == b'\n').count()).expect("small")
}

#[test]
fn a_proof_cut_or_edited_is_refused() {
    let file = proof(&small(), &session(7));
    let shown = verify(&file).expect("it is good");
    assert_eq!((shown.entries, shown.chunks, shown.story.statements()), (5, 1, 1));
    assert!(shown.story.is_counted());
    let last = line_at(&file, file.len() - 1);
    assert_eq!(last, 8);
    for at in 0..file.len() {
        let (line, fault) = refused(&file[..at]);
        assert_eq!(line, line_at(&file, at), "cut at {at}: {fault}");
        let torn = at > 0 && file[at - 1] != b'\n';
        assert!(fault.contains(if torn { "it ends in the middle" } else { "it is missing" }), "{fault}");

        for change in [1_u8, 0x20, 0x80] {
            let mut edited = file.clone();
            edited[at] ^= change;
            found(&file, at, &edited, last);
        }
        let mut removed = file.clone();
        removed.remove(at);
        found(&file, at, &removed, last);
        for byte in [b' ', b'\n', file[at]] {
            let mut added = file.clone();
            added.insert(at, byte);
            found(&file, at, &added, last);
        }
    }
    for more in ["\n", " ", "{}", "{}\n"] {
        let (line, fault) = refused(&[file.as_slice(), more.as_bytes()].concat());
        assert_eq!((line, fault.is_empty()), (9, false), "{fault}");
    }
}

/// That an edit of one byte is found in its line; in a header also by what stands under it, and in no case behind the end.
#[track_caller]
fn found(file: &[u8], at: usize, edited: &[u8], last: u64) {
    let (line, fault) = refused(edited);
    let there = line_at(file, at);
    assert!(line >= there && line <= last + 1, "byte {at} in line {there}, found in {line}: {fault}");
    assert!(there == 1 || line <= there + 1, "byte {at} in line {there}, found in {line}: {fault}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_long_proof_cut_or_edited_is_refused(
        places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..4),
        which in any::<bool>(),
    ) {
        let file = if which { proof(&long(), &session(7)) } else { proof(&whole(), &session(1)) };
        let mut edited = file.clone();
        for (place, byte, how) in places {
            let at = place.index(edited.len());
            match how {
                0 => edited.truncate(at.max(1)),
                1 => edited[at] = byte,
                2 => edited.insert(at, byte),
                _ => drop(edited.remove(at)),
            }
        }
        prop_assert_eq!(verify(&edited).is_ok(), edited == file);
    }

    /// Whoever can write an end that fits may not change a byte of an entry, a proof or a chunk.
    #[test]
    fn a_proof_that_was_edited_and_given_an_end_that_fits_is_refused(
        place in any::<prop::sample::Index>(), byte in any::<u8>(), which in any::<bool>(),
    ) {
        let good = lines(&if which { proof(&small(), &session(7)) } else { proof(&whole(), &session(1)) });
        let (mut edited, at) = (good.concat().into_bytes(), good[0].len());
        let at = at + place.index(edited.len() - at);
        edited[at] = byte;
        let (mut rest, mut cut) = (edited.as_slice(), Vec::new());
        for line in &good {
            let (one, others) = rest.split_at(line.len());
            (rest, cut) = (others, [cut, vec![String::from_utf8_lossy(one).into_owned()]].concat());
        }
        prop_assert_eq!(verify(&sealed(&cut)).is_ok(), cut == good);
    }

    /// Whoever can write an end that fits may leave out lines and move them: no more is shown then.
    #[test]
    fn lines_of_a_proof_that_are_left_out_show_no_more(
        keep in proptest::collection::vec(proptest::bool::weighted(0.95), 40),
        swap in (0..40_usize, 0..40_usize),
        swaps in any::<bool>(),
    ) {
        let whole_file = proof(&whole(), &session(1));
        let all = verify(&whole_file).expect("it is good");
        let mut kept: Vec<String> = lines(&whole_file)
            .into_iter().zip(keep).filter(|(_, keep)| *keep).map(|(line, _)| line).collect();
        if swaps && swap.0.max(swap.1) < kept.len() {
            kept.swap(swap.0, swap.1);
        }
        if let Ok(shown) = verify(&sealed(&kept)) {
            // a session that is counted is shown with all of its statements
            prop_assert!(!shown.story.is_counted() || shown.story.statements() == all.story.statements());
            prop_assert!(shown.story.statements() <= all.story.statements());
            prop_assert!(shown.chunks <= all.chunks && shown.story.reviews <= all.story.reviews);
        }
    }
}

#[test]
fn a_long_story_is_shown_whole() {
    let shown = verify(&proof(&long(), &session(7))).expect("it is good");
    assert_eq!((shown.story.statements(), shown.story.connections, shown.chunks), (80, 20, 20));
    let shown = verify(&proof(&whole(), &session(1))).expect("it is good");
    assert_eq!((shown.story.reviews, shown.story.held, shown.story.denied), (3, 1, 1));
}

/// What is refused when these events are what was entered.
#[track_caller]
fn of(change: impl FnOnce(&mut Vec<Event>)) -> String {
    let mut events = whole();
    change(&mut events);
    refused(&proof(&events, &session(1))).1
}

/// By a broker that writes what it likes and signs it.
#[test]
fn a_review_that_was_forged_is_refused() {
    let review = |events: &[Event]| {
        let is_last = |event: &Event| matches!(event.what, What::ReviewGiven { .. });
        events.iter().rposition(is_last).expect("a review")
    };
    let said = of(|events| {
        let at = review(events);
        let What::ReviewGiven { proof, .. } = &mut events[at].what else { panic!("a review") };
        let forged = sign(&key("mallory"), &claims("carol", 1, &deed(1, 7))).expect("signed");
        let (signed, _) = proof.rsplit_once('.').expect("a JWS");
        *proof = format!("{signed}.{}", forged.rsplit_once('.').expect("a JWS").1);
    });
    assert!(said.starts_with("entry 17: the review: ") && said.contains("signature is wrong"), "{said}");
    let said = of(|events| {
        let at = review(events);
        let What::ReviewGiven { proof, .. } = &mut events[at].what else { panic!("a review") };
        *proof = sign(&key("mallory"), &claims("carol", 1, &deed(1, 7))).expect("signed");
    });
    assert!(said.contains("entry 17: the review was signed by a device that was not enrolled"), "{said}");
    // one of two is not enough
    let said = of(|events| drop(events.remove(17)));
    assert!(said.contains("was let through without the reviews that it takes"), "{said}");

    // by whoever hands the file on
    let mut left = lines(&proof(&whole(), &session(1)));
    let at = place(&left, "device-enrolled");
    left.remove(at);
    assert!(refused(&sealed(&left)).1.contains("not enrolled"));
    let mut left = lines(&proof(&whole(), &session(1)));
    let at = place(&left, "grant-issued");
    left.remove(at);
    assert!(refused(&sealed(&left)).1.contains("was never issued"));
}

/// A device that was revoked in between, and what came of it, are part of the story.
#[test]
fn what_became_of_a_reviewers_device_is_in_the_proof() {
    let mut events = whole();
    let revoked = What::DeviceRevoked { device: key("bob").thumbprint() };
    events.insert(27, by("bob", 11, revoked.clone()));
    let file = lines(&proof(&events, &session(1)));
    verify(&sealed(&file)).expect("it was good when it was used");
    place(&file, "device-revoked");
    let said = of(|events| events.insert(6, by("bob", 1, revoked)));
    assert!(said.contains("was let through without the reviews that it takes"), "{said}");
}

#[test]
fn what_is_left_out_moved_or_mixed_is_refused() {
    let whole_file = lines(&proof(&whole(), &session(1)));
    let changed = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = whole_file.clone();
        change(&mut lines);
        refused(&sealed(&lines)).1
    };
    let without = |kind: &str| changed(&|lines| drop(lines.remove(place(lines, kind))));
    assert_eq!(
        without("session-opened"),
        "entry 12: it does not belong where it stands: there is no such session open"
    );
    assert_eq!(without("statement-judged"), "entry 19: statement 2 was entered where statement 1 belongs");
    assert_eq!(without("request-filed"), format!("entry 7: {} was never filed", id(2)));
    // a chunk stands behind its entry
    let said = without("chunk-closed");
    assert!(said.contains("a chunk stands behind the entry with its digest"), "{said}");
    let swapped = changed(&|lines| {
        let at = place(lines, "chunk-closed");
        lines.swap(at + 1, at + 3);
    });
    assert_eq!(swapped, "the chunk is not what entry 21 holds");
    let twice = changed(&|lines| {
        let at = place(lines, "chunk-closed");
        lines.insert(at + 1, lines[at + 1].clone());
    });
    assert!(twice.contains("a chunk stands behind"), "{twice}");
    // an entry as the broker might have written it
    let other = changed(&|lines| {
        let at = lines.iter().position(|line| line.contains("DROP TABLE t")).expect("a statement");
        lines[at] = lines[at].replace("DROP TABLE t", "SELECT 7");
    });
    assert_eq!(other, "entry 20: it is not proven under the signed checkpoint");
    let unopened = changed(&|lines| {
        let kept = lines.swap_remove(place(lines, "lease-revoked"));
        lines.truncate(1);
        lines.push(kept);
    });
    assert_eq!(unopened, "nothing before it shows how the session was opened");
    let moved = changed(&|lines| lines.swap(2, 3));
    assert!(moved.contains("does not come after entry"), "{moved}");
    let again = changed(&|lines| lines.insert(3, lines[2].clone()));
    assert!(again.contains("does not come after entry"), "{again}");
    let second = changed(&|lines| lines.insert(3, lines[0].clone()));
    assert!(second.contains("there is a header already"), "{second}");
    let later = changed(&|lines| lines[0] = lines[0].replace("hoopctl-proof/1", "hoopctl-proof/2"));
    assert_eq!(later, "the file has the form `hoopctl-proof/2`, which this version does not know");
    let cells = changed(&|lines| lines.insert(3, "{\"cells\":{}}".into()));
    assert!(cells.contains("unknown variant `cells`"), "{cells}");
    let member = changed(&|lines| lines[1] = lines[1].replacen("{\"index\"", "{\"more\":1,\"index\"", 1));
    assert!(member.contains("unknown field `more`"), "{member}");
    let spaced = changed(&|lines| lines[1] = lines[1].replacen("{\"index\":", "{\"index\": ", 1));
    assert_eq!(spaced, "it is not written as hoopctl writes it");
    let escaped = changed(&|lines| lines[1] = lines[1].replacen("bytes", "b\\u0079tes", 1));
    assert_eq!(escaped, "it is not written as hoopctl writes it");

    // another one's entries, though they are in the ledger
    let neighbour = proof(&whole(), &session(9));
    let other = lines(&neighbour).into_iter().find(|line| line.contains("neighbourly")).expect("a statement");
    let mixed = changed(&|lines| {
        let at = place(lines, "review-given") + 6;
        lines.insert(at, other.clone());
    });
    assert_eq!(
        mixed,
        "entry 15: it does not belong where it stands: it is not about the session that is shown"
    );
    let mut header = whole_file.clone();
    header[0] = header[0].replace(session(1).as_str(), session(9).as_str());
    assert!(refused(&sealed(&header)).1.contains("it is not about the session that is shown"));
}

/// What a broker counts is held against what is there, also where it wrote both.
#[test]
fn counts_that_do_not_fit_are_refused() {
    let mine = session(7);
    let said = |change: &dyn Fn(&mut Vec<Event>)| {
        let mut events = small();
        change(&mut events);
        refused(&proof(&events, &mine)).1
    };
    let more = said(&|events| events[4] = by("alice", 5, closed(&mine, 2, 1)));
    assert_eq!(more, "entry 4: it counts 2 statements, but 1 are entered");
    let chunks = said(&|events| events[3] = by("alice", 4, connection_closed(&mine, 1, 1, 2)));
    assert_eq!(chunks, "entry 3: it counts 2 chunks, but 1 are entered");
    let connections = said(&|events| events[4] = by("alice", 5, closed(&mine, 1, 0)));
    assert_eq!(connections, "entry 4: it counts 0 connections, but 1 are entered");
    let twice = said(&|events| events.push(by("alice", 6, opened(&mine))));
    assert_eq!(twice, "entry 5: it does not belong where it stands: the session was opened before");
    let late = said(&|events| events.push(by("alice", 6, judged(&mine, 1, 2, VerdictWord::Allow, "x"))));
    assert_eq!(late, "entry 5: it does not belong where it stands: there is no such session open");
    // the chunk that an entry holds the digest of is another one's
    let What::ChunkClosed { digest, bytes, .. } = chunk_closed(&mine, 1, 1) else { panic!("a chunk") };
    let mut events = small();
    events[2] =
        by("alice", 3, What::ChunkClosed { session: mine.clone(), connection: 1, chunk: 0, digest, bytes });
    let mut file = lines(&proof(&events, &mine));
    let other = lines(&proof(&[small(), vec![by("alice", 9, chunk_closed(&mine, 1, 1))]].concat(), &mine));
    let at = place(&file, "chunk-closed") + 1;
    file[at] = other.last().expect("a chunk").clone();
    assert_eq!(
        refused(&sealed(&file)).1,
        "entry 2: it does not belong where it stands: the chunk that it holds is that of another place"
    );
}

/// A line without an end is not read to its end.
#[test]
fn a_line_of_any_length_costs_no_more_than_one_may_have() {
    struct Counted(u64);
    impl Read for Counted {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            buffer.fill(b'x');
            self.0 += u64::try_from(buffer.len()).expect("small");
            assert!(self.0 < 5 << 20, "it reads on");
            Ok(buffer.len())
        }
    }
    let good = proof(&small(), &session(7));
    let header = lines(&good)[0].clone() + "\n";
    for begin in [&b""[..], header.as_bytes()] {
        let input = BufReader::new(begin.chain(Counted(0)));
        let verified =
            ProofFile::open(input).and_then(|file| file.verify(signer().verifier(), &SignedReviews));
        let error = verified.expect_err("it has no end").to_string();
        let line = if begin.is_empty() { 1 } else { 2 };
        assert_eq!(error, format!("line {line}: it is longer than 4194304 bytes"));
    }
}
