#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use proptest::prelude::*;

use super::{Distrust, PolicyFault, TrustPolicy};
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::cosignature::Cosigner;
use crate::ledger::note::Signer;
use crate::ledger::tree::Hash;

fn log() -> Signer {
    Signer::new("example.org/log", &[1; 32]).unwrap()
}

fn cosigner(number: u8) -> Cosigner {
    Cosigner::new(&format!("w{number}.example"), &[100 + number; 32]).unwrap()
}

/// The keys of the lines that a test is not about.
fn filled(text: &str) -> String {
    let mut text = text.replace("<log>", &log().verifier().to_string());
    for number in 1..=6 {
        text = text.replace(&format!("<{number}>"), &cosigner(number).public().to_string());
    }
    text
}

/// The checkpoint of the log, cosigned by these witnesses, each at the time of its number.
fn note(by: &[u8]) -> String {
    let checkpoint = Checkpoint { size: 7, root: Hash::new([9; 32]) };
    let note = checkpoint.sign(&log());
    let (text, _) = note.rsplit_once("\n\n").unwrap();
    let text = format!("{text}\n");
    by.iter().fold(note, |note, number| note + &cosigner(*number).cosign(&text, u64::from(*number)))
}

/// The example of the specification.
const EXAMPLE: &str = "log <log>\n\n\
    witness X1 <1>\nwitness X2 <2> https://x2.example/\nwitness X3 <3>\n\t group  X-witnesses 2\tX1 X2 X3 \n\n\
    # the other organization\n\
    witness Y1 <4>\nwitness Y2 <5>\nwitness Y3 <6>\ngroup Y-witnesses any Y1 Y2 Y3\n\
    group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n";

#[test]
fn the_example_of_the_specification_wants_two_of_one_and_one_of_the_other() {
    let policy = TrustPolicy::parse(filled(EXAMPLE).as_bytes()).unwrap();
    assert_eq!(policy.logs(), [log().verifier().clone()]);
    for by in 0_u8..64 {
        let by: Vec<u8> = (1..=6).filter(|number| by & (1 << (number - 1)) != 0).collect();
        let of = |from: u8, to: u8| by.iter().filter(|number| (from..=to).contains(*number)).count();
        let judged = policy.judge(&note(&by), log().verifier());
        assert_eq!(judged.is_ok(), of(1, 3) >= 2 && of(4, 6) >= 1, "{by:?}");
        if let Ok(witnessed) = judged {
            assert_eq!(witnessed.by.len(), by.len());
            assert_eq!((witnessed.of, witnessed.checkpoint.size), (6, 7));
            // times are the numbers: the second latest of X, or the latest of Y if that is earlier
            let mut x: Vec<u8> = by.iter().copied().filter(|number| *number <= 3).collect();
            x.sort_unstable();
            assert_eq!(witnessed.since, Some(u64::from(x[x.len() - 2])), "{by:?}");
        }
    }
    let refused = policy.judge(&note(&[1, 4]), log().verifier()).unwrap_err();
    assert_eq!(refused.to_string(), "too few witnesses signed it: X1, Y1; not X2, X3, Y2, Y3");
    let refused = policy.judge(&note(&[]), log().verifier()).unwrap_err();
    assert!(refused.to_string().starts_with("too few witnesses signed it: none; not X1, "), "{refused}");
}

#[test]
fn a_wrong_cosignature_or_another_log_is_refused_whatever_else_there_is() {
    let policy = TrustPolicy::parse(filled(EXAMPLE).as_bytes()).unwrap();
    let wrong = note(&[1, 2, 3, 4]) + &cosigner(6).cosign("another text\n", 6);
    assert_eq!(policy.judge(&wrong, log().verifier()), Err(Distrust::BadCosignature("Y3".into())));
    // whom nobody trusts may write what they like
    let stranger = Cosigner::new("stranger", &[77; 32]).unwrap();
    let fine = note(&[1, 2, 4]) + &stranger.cosign("another text\n", 6);
    assert!(policy.judge(&fine, log().verifier()).is_ok());
    let other = Signer::new("example.org/log", &[2; 32]).unwrap();
    assert_eq!(policy.judge(&note(&[1, 2, 4]), other.verifier()), Err(Distrust::NoLog));
    let flat = TrustPolicy::of([("a".into(), cosigner(1).public().clone())], 1);
    assert!(matches!(flat.judge(&note(&[1]), other.verifier()), Err(Distrust::Checkpoint(_))));
    assert!(flat.judge(&note(&[1]), log().verifier()).is_ok());
    assert!(flat.judge(&note(&[2]), log().verifier()).is_err());
}

#[test]
fn quorums_of_nobody_of_one_and_of_some() {
    let judge = |text: &str, by: &[u8]| {
        TrustPolicy::parse(filled(text).as_bytes()).unwrap().judge(&note(by), log().verifier())
    };
    let none = judge("quorum none", &[]).unwrap();
    assert_eq!((none.since, none.of), (None, 0));
    assert!(judge("witness a <1>\nquorum a", &[1]).is_ok());
    assert!(judge("witness a <1>\nquorum a", &[2]).is_err());
    let names = || (1..=3).map(|number| (number.to_string(), cosigner(number).public().clone()));
    for threshold in 1..=3 {
        let policy = TrustPolicy::of(names(), threshold);
        for by in [&[][..], &[2], &[1, 3], &[3, 1, 2]] {
            assert_eq!(policy.judge(&note(by), log().verifier()).is_ok(), by.len() >= threshold);
        }
    }
    // the same cosignature twice is one
    let twice = note(&[1, 1]);
    assert!(TrustPolicy::of(names(), 2).judge(&twice, log().verifier()).is_err());
}

#[test]
fn what_is_not_understood_is_refused_with_its_line() {
    let refused = |text: &str| {
        let error = TrustPolicy::parse(filled(text).as_bytes()).unwrap_err();
        (error.line, error.fault)
    };
    let name = |name: &str| name.to_owned();
    use PolicyFault as F;
    assert_eq!(refused(""), (1, F::NoQuorum));
    assert_eq!(refused("witness a <1>\nquorum a\nquorum a"), (3, F::QuorumAgain));
    assert_eq!(refused("quorum a\nwitness a <1>"), (1, F::Unknown(name("a"))));
    assert_eq!(refused("witness a <1>\ngroup g any b\n"), (2, F::Unknown(name("b"))));
    assert_eq!(refused("witness a <1>\ngroup g any g\n"), (2, F::Unknown(name("g"))));
    assert_eq!(refused("witness a <1>\ngroup g any none\n"), (2, F::Unknown(name("none"))));
    assert_eq!(refused("witness none <1>\n"), (1, F::DuplicateName(name("none"))));
    assert_eq!(refused("witness a <1>\nwitness a <2>\n"), (2, F::DuplicateName(name("a"))));
    assert_eq!(refused("witness a <1>\ngroup a any a\n"), (2, F::DuplicateName(name("a"))));
    assert_eq!(refused("witness a <1>\ngroup g any a a\n"), (2, F::MemberAgain(name("a"))));
    assert_eq!(refused("witness a <1>\ngroup g any a\ngroup h any a\n"), (3, F::MemberAgain(name("a"))));
    assert_eq!(refused("witness a <1>\nwitness b <1>\n"), (2, F::DuplicateKey));
    // the same key under another name
    let renamed = Cosigner::new("other", &[101; 32]).unwrap();
    assert_eq!(refused(&format!("witness a <1>\nwitness b {}\n", renamed.public())), (2, F::DuplicateKey));
    assert_eq!(refused("log <log>\nlog <log>\n"), (2, F::DuplicateKey));
    assert!(matches!(refused("log <1>\n"), (1, F::LogKey(_))));
    assert!(matches!(refused("witness a <log>\n"), (1, F::WitnessKey(_))));
    assert!(matches!(refused("witness a x+y+z\n"), (1, F::WitnessKey(_))));
    for threshold in ["0", "2", "01", "+1", "-1", "one", "18446744073709551617", ""] {
        let text = format!("witness a <1>\ngroup g {threshold} a\n");
        let (line, fault) = refused(&text);
        assert!(line == 2 && matches!(fault, F::Threshold | F::Strange), "{threshold}: {fault:?}");
    }
    for strange in
        ["quorum", "quorum a b", "log", "log a b c", "witness a", "group g", "group g all", "Log x"]
    {
        assert_eq!(refused(strange), (1, F::Strange), "{strange}");
    }
    for control in ["quorum none\r", "# \u{0}", "quorum\u{b}none", "quorum none\u{7f}"] {
        assert_eq!(refused(control), (1, F::Control), "{control:?}");
    }
    let many: String = (0..129).map(|n| format!("group g{n} any a{n}\n")).collect();
    let witnesses: String = (0..129_u8)
        .map(|n| format!("witness a{n} {}\n", Cosigner::new("w", &[n; 32]).unwrap().public()))
        .collect();
    assert_eq!(refused(&format!("{witnesses}{many}")), (129, F::TooMany));
    assert_eq!(refused(&"#\n".repeat(40_000)), (1, F::TooMany));
}

/// Names are bytes, and not what they look like.
#[test]
fn names_are_told_apart_byte_by_byte() {
    let (one, two) = (cosigner(1), cosigner(2));
    let kelvin = format!("witness K {}\nwitness \u{212a} {}\nquorum \u{212a}\n", one.public(), two.public());
    let policy = TrustPolicy::parse(kelvin.as_bytes()).unwrap();
    assert!(policy.judge(&note(&[1]), log().verifier()).is_err());
    assert!(policy.judge(&note(&[2]), log().verifier()).is_ok());
    let mut odd = b"witness \xff ".to_vec();
    odd.extend_from_slice(format!("{}\nquorum ", one.public()).as_bytes());
    let quorum = |name: &[u8]| TrustPolicy::parse(&[odd.as_slice(), name].concat());
    assert!(quorum(b"\xff").is_ok());
    assert!(quorum(b"\xfe").is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        drop(TrustPolicy::parse(&bytes));
    }

    /// More cosignatures never make a checkpoint less believable.
    #[test]
    fn another_witness_never_takes_the_quorum_away(by in 0_u8..64, more in 0_u8..64) {
        let policy = TrustPolicy::parse(filled(EXAMPLE).as_bytes()).unwrap();
        let chosen = |by: u8| (1..=6).filter(|number| by & (1 << (number - 1)) != 0).collect::<Vec<u8>>();
        let judge = |by: u8| policy.judge(&note(&chosen(by)), log().verifier()).is_ok();
        prop_assert!(!judge(by) || judge(by | more));
    }
}
