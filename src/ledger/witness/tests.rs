#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use proptest::prelude::*;

use super::{Answer, Request, SIZE, State, StateError, TEXT, Witness};
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::cosignature::Cosigner;
use crate::ledger::note::Signer;
use crate::ledger::tree::{Hash, Tree, consistency_proof};

const ORIGIN: &str = "example.org/log";
const NOW: u64 = 1_700_000_000;

/// A log, and a witness that knows it.
struct Pair {
    signer: Signer,
    /// The log's history, one tree for each size.
    trees: Vec<Tree>,
    witness: Witness,
    state: State,
}

impl Pair {
    fn new(size: u64) -> Self {
        let signer = Signer::new(ORIGIN, &[1; 32]).unwrap();
        let cosigner = Cosigner::new("w.example", &[2; 32]).unwrap();
        let witness = Witness::new(cosigner, [signer.verifier().clone()]);
        let mut trees = vec![Tree::default()];
        for number in 0..size {
            let mut tree = trees.last().unwrap().clone();
            tree.push(Hash::leaf(&number.to_be_bytes()));
            trees.push(tree);
        }
        Self { signer, trees, witness, state: State::from([(ORIGIN.to_owned(), None)]) }
    }

    fn head(&self, size: usize) -> Checkpoint {
        Checkpoint { size: u64::try_from(size).unwrap(), root: self.trees[size].root() }
    }

    fn request(&self, old: usize, new: usize) -> String {
        let note = self.head(new).sign(&self.signer);
        let (old, new) = (u64::try_from(old).unwrap(), u64::try_from(new).unwrap());
        let proof = match old == new {
            true => Vec::new(),
            false => consistency_proof(self.trees.last().unwrap(), old, new).unwrap_or_default(),
        };
        Request { old, proof, note: &note }.to_string()
    }

    /// What is answered; what is to be kept is kept.
    fn ask(&mut self, body: &str) -> Answer {
        let answer = self.witness.handle(body.as_bytes(), &self.state, NOW);
        if let Some(keep) = answer.keep.clone() {
            assert_eq!(self.witness.read_kept(&keep.note), Ok((keep.origin.clone(), keep.checkpoint)));
            self.state.insert(keep.origin, Some(keep.checkpoint));
        }
        assert_eq!(answer.keep.is_some(), answer.status == 200);
        answer
    }

    fn status(&mut self, body: &str) -> u16 {
        self.ask(body).status
    }
}

#[test]
fn a_log_that_grows_is_cosigned_step_by_step() {
    let mut pair = Pair::new(300);
    let mut old = 0;
    for new in [0, 0, 1, 2, 2, 7, 8, 9, 255, 256, 257, 300, 300] {
        let answer = pair.ask(&pair.request(old, new));
        assert_eq!((answer.status, answer.kind, answer.dispute), (200, TEXT, false), "{old} to {new}");
        let note = pair.head(new).sign(&pair.signer);
        let (text, _) = note.rsplit_once("\n\n").unwrap();
        let found = pair.witness.cosigner().public().find(&format!("{text}\n"), &answer.body).unwrap();
        assert_eq!((found.time, found.line.as_str()), (NOW, answer.body.as_str()));
        assert_eq!(pair.state[ORIGIN], Some(pair.head(new)));
        old = new;
    }
}

#[test]
fn each_refusal_has_its_status() {
    let mut pair = Pair::new(20);
    assert_eq!(pair.status(&pair.request(0, 10)), 200);
    let kept = pair.state.clone();

    // another size than the last one: it is told, in the type that says so
    for (old, new) in [(0, 12), (9, 12), (11, 12), (0, 10)] {
        let answer = pair.ask(&pair.request(old, new));
        assert_eq!((answer.status, answer.kind, answer.body.as_str()), (409, SIZE, "10\n"), "{old} {new}");
        assert!(!answer.dispute);
    }
    assert_eq!(pair.status(&pair.request(12, 11)), 400);

    let stranger = Signer::new("elsewhere.example", &[1; 32]).unwrap();
    let note = pair.head(12).sign(&stranger);
    assert_eq!(pair.status(&Request { old: 10, proof: Vec::new(), note: &note }.to_string()), 404);
    let thief = Signer::new(ORIGIN, &[3; 32]).unwrap();
    let note = pair.head(12).sign(&thief);
    assert_eq!(pair.status(&Request { old: 10, proof: Vec::new(), note: &note }.to_string()), 403);
    // the right key's name and id, and a wrong signature
    let good = pair.request(10, 12);
    let forged = good.replace("\n12\n", "\n13\n");
    assert_ne!(good, forged);
    assert_eq!(pair.status(&forged), 403);
    // a known key's wrong signature beside its good one
    let note = pair.head(12).sign(&pair.signer);
    let other = pair.head(13).sign(&pair.signer);
    let (_, line) = other.rsplit_once("\n\n").unwrap();
    let proof = Request::parse(good.as_bytes()).unwrap().proof;
    let both = Request { old: 10, proof: proof.clone(), note: &format!("{note}{line}") }.to_string();
    assert_eq!(pair.status(&both), 403);

    let mut flipped = proof.clone();
    flipped[0] = Hash::empty();
    let longer = [proof.as_slice(), &[Hash::empty()]].concat();
    for proof in [Vec::new(), flipped, longer] {
        let answer = pair.ask(&Request { old: 10, proof, note: &note }.to_string());
        assert_eq!((answer.status, answer.dispute), (422, true));
    }
    // the same size with another root, and the same root with a proof of it
    let other = Checkpoint { size: 10, root: Hash::empty() }.sign(&pair.signer);
    let answer = pair.ask(&Request { old: 10, proof: Vec::new(), note: &other }.to_string());
    assert_eq!((answer.status, answer.kind, answer.dispute), (409, TEXT, true));
    let same = pair.head(10).sign(&pair.signer);
    assert_eq!(pair.status(&Request { old: 10, proof: vec![Hash::empty()], note: &same }.to_string()), 422);

    assert_eq!(pair.state, kept);
    assert_eq!(pair.status(&good), 200);
}

/// What is no request, or could cost too much.
#[test]
fn what_is_malformed_is_400_and_no_worse() {
    let mut pair = Pair::new(3);
    let good = pair.request(0, 3);
    let note = pair.head(3).sign(&pair.signer);
    let hash = Hash::empty().to_string();
    let proof = |count: usize| format!("old 3\n{}\n{note}", format!("{hash}\n").repeat(count));
    let lines = "\u{2014} other AAAAAAA=\n".repeat(65);
    for body in [
        String::new(),
        "old 0\n".into(),
        "old 0\n\n".into(),
        good.replace("old 0", "old 00"),
        good.replace("old 0", "old -0"),
        good.replace("old 0", "old +0"),
        good.replace("old 0", "OLD 0"),
        good.replace("old 0", "old 18446744073709551616"),
        good.replace("old 0\n", "old 0\r\n"),
        good.replace("old 0\n", "old 0\nAAAA\n"),
        good.replace("old 0\n", &format!("old 0\n{}\n", hash.replace('=', ""))),
        good.trim_end().to_owned(),
        good.replace("\n3\n", "\n03\n"),
        good.replace("\u{2014} ", "- "),
        format!("{good}{lines}"),
        format!("{good}{}", "x".repeat(1 << 16)),
        proof(64),
    ] {
        assert_eq!(pair.status(&body), 400, "{body}");
    }
    assert_eq!(pair.witness.handle(b"old 0\n\n\xff\n", &pair.state, NOW).status, 400);
    // as many hashes as there may be are looked at
    assert_eq!(pair.status(&proof(63)), 409);
    // an empty log has one root
    let odd = Checkpoint { size: 0, root: Hash::leaf(b"x") }.sign(&pair.signer);
    assert_eq!(pair.status(&format!("old 0\n\n{odd}")), 409);
    assert_eq!(pair.status(&good), 200);
}

/// Whoever keeps it may not be believed blindly.
#[test]
fn what_was_kept_is_believed_only_with_both_signatures() {
    let mut pair = Pair::new(4);
    let kept = pair.ask(&pair.request(0, 4)).keep.unwrap().note;
    let (text, lines) = kept.rsplit_once("\n\n").unwrap();
    let (by_log, by_witness) = lines.split_once('\n').unwrap();
    let read = |note: &str| pair.witness.read_kept(note);
    assert!(read(&kept).is_ok());
    assert_eq!(read(&format!("{text}\n\n{by_log}\n")), Err(StateError::Foreign));
    assert!(matches!(read(&format!("{text}\n\n{by_witness}")), Err(StateError::Checkpoint(_))));
    assert!(matches!(read(&kept.replace("\n4\n", "\n5\n")), Err(StateError::Checkpoint(_))));
    let other = kept.replace(ORIGIN, "elsewhere");
    assert_eq!(read(&other), Err(StateError::Unknown("elsewhere".into())));
    let stranger = Cosigner::new("w.example", &[9; 32]).unwrap();
    let foreign = format!("{text}\n\n{by_log}\n{}", stranger.cosign(&format!("{text}\n"), NOW));
    assert_eq!(read(&foreign), Err(StateError::Foreign));
}

/// Lines of others are not cosigned along, nor kept.
#[test]
fn only_the_logs_own_signatures_are_kept() {
    let mut pair = Pair::new(4);
    let body = pair.request(0, 4) + "\u{2014} graffiti AAAAAAAAAAAA\n";
    let answer = pair.ask(&body);
    assert_eq!(answer.status, 200);
    assert!(!answer.keep.unwrap().note.contains("graffiti"));
}

/// A log whose key was changed has two for a while.
#[test]
fn either_key_of_a_log_will_do() {
    let (one, two) = (Signer::new(ORIGIN, &[1; 32]).unwrap(), Signer::new(ORIGIN, &[5; 32]).unwrap());
    let keys = [one.verifier().clone(), two.verifier().clone()];
    let witness = Witness::new(Cosigner::new("w", &[2; 32]).unwrap(), keys);
    let head = Checkpoint { size: 0, root: Hash::empty() };
    let state = State::from([(ORIGIN.to_owned(), None)]);
    for signer in [&one, &two] {
        let body = format!("old 0\n\n{}", head.sign(signer));
        assert_eq!(witness.handle(body.as_bytes(), &state, NOW).status, 200);
    }
}

proptest! {
    #[test]
    fn requests_survive_their_text(old: u64, hashes in proptest::collection::vec(any::<[u8; 32]>(), 0..=63)) {
        let note = Checkpoint { size: 1, root: Hash::empty() }.sign(&Signer::new("l", &[1; 32]).unwrap());
        let request = Request { old, proof: hashes.into_iter().map(Hash::new).collect(), note: &note };
        let text = request.to_string();
        prop_assert_eq!(Request::parse(text.as_bytes()), Some(request));
    }

    /// However it is asked, what it cosigned is one history.
    #[test]
    fn whatever_is_asked_only_one_history_is_cosigned(
        asked in proptest::collection::vec((0_usize..2, 0_usize..12, 0_usize..12), 1..40),
    ) {
        let mut pairs = [Pair::new(12), Pair::new(12)];
        // the other history, of the same key, parts after five entries
        for size in 6..=12 {
            let mut tree = pairs[1].trees[size - 1].clone();
            tree.push(Hash::leaf(b"another"));
            pairs[1].trees[size] = tree;
        }
        let mut cosigned = Vec::new();
        let mut state = pairs[0].state.clone();
        for (history, old, new) in asked {
            let body = pairs[history].request(old.min(new), new);
            let answer = pairs[0].witness.handle(body.as_bytes(), &state, NOW);
            if let Some(keep) = answer.keep {
                cosigned.push(keep.checkpoint);
                state.insert(keep.origin, Some(keep.checkpoint));
            }
        }
        let one = |pair: &Pair| cosigned.iter().all(|head| {
            pair.trees[usize::try_from(head.size).unwrap()].root() == head.root
        });
        prop_assert!(pairs.iter().any(one), "{cosigned:?}");
        prop_assert!(cosigned.is_sorted_by_key(|head| head.size));
    }
}

/// While two keys sign, a witness that knows the old one goes on; then it needs the new one, and remembers under either.
#[test]
fn a_log_that_changes_its_key_is_cosigned_by_whoever_knows_a_key_that_signs() {
    let mut pair = Pair::new(12);
    assert_eq!(pair.ask(&pair.request(0, 5)).status, 200);
    let next = Signer::new(ORIGIN, &[9; 32]).unwrap();
    let with = |pair: &Pair, old: usize, new: usize, old_signs: bool| {
        let text = pair.head(new).text(ORIGIN);
        let line =
            |signer: &Signer| signer.sign(&text).strip_prefix(&format!("{text}\n")).unwrap().to_owned();
        let mut note = format!("{text}\n{}", line(&next));
        if old_signs {
            note += &line(&pair.signer);
        }
        let (old, new) = (u64::try_from(old).unwrap(), u64::try_from(new).unwrap());
        let proof = consistency_proof(pair.trees.last().unwrap(), old, new).unwrap_or_default();
        Request { old, proof, note: &note }.to_string()
    };
    let both = with(&pair, 5, 7, true);
    assert_eq!(pair.ask(&both).status, 200);
    let alone = with(&pair, 7, 9, false);
    assert_eq!(pair.ask(&alone).status, 403);
    let cosigner = Cosigner::new("w.example", &[2; 32]).unwrap();
    pair.witness = Witness::new(cosigner, [pair.signer.verifier().clone(), next.verifier().clone()]);
    assert_eq!(pair.ask(&alone).status, 200);
}
