//! The quick way through a text, against the slow one that tries every pattern everywhere.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;

/// What patterns and checks take, tried one by one at every place.
fn slowly(wanted: &[Detector], text: &str) -> Vec<Range<usize>> {
    let detectors = Detectors::new(wanted, &[]).unwrap();
    let (bytes, mut all, mut at) = (text.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        let longest = detectors
            .automata
            .iter()
            .filter_map(|(detector, automaton)| {
                // accounts are read without a pattern, which would say that they begin a word
                let before = at.checked_sub(1).and_then(|at| bytes.get(at)).copied().unwrap_or_default();
                if *detector == Detector::Iban && (before == b'_' || before.is_ascii_alphanumeric()) {
                    return None;
                }
                let (end, _) = detectors.taken(bytes, at, *detector, automaton, &mut Barren::default())?;
                Some((end, *detector == Detector::PrivateKey))
            })
            .chain(email_at(wanted, bytes, at).map(|end| (end, false)))
            .max_by_key(|(end, _)| *end);
        match longest {
            Some((end, is_key)) => {
                let end = if is_key { detectors.end_of_key(bytes, end).unwrap_or(bytes.len()) } else { end };
                all.push(at..end);
                at = end;
            }
            None => at += 1,
        }
    }
    all
}

/// Where an address ends that begins here: whatever is to its left was tried before, and is taken or none of it.
fn email_at(wanted: &[Detector], text: &[u8], at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let is_local = |byte: &&u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(byte);
    let local = rest.iter().take_while(is_local).count();
    let domain = Input::new(text).range(at + local..).anchored(Anchored::Yes);
    if local == 0 || !wanted.contains(&Detector::Email) {
        return None;
    }
    static DOMAIN: OnceLock<Regex> = OnceLock::new();
    let found = DOMAIN.get_or_init(|| compile(&[Detector::Email.pattern()]).unwrap()).find(domain)?;
    Some(found.end())
}

#[test]
fn nothing_is_passed_over() {
    for (wanted, text) in [
        (
            Detector::ALL.as_slice(),
            "a\n4111111111111111. 4111111111111111: 4111111111111111_ (4111-1111-1111-1111)",
        ),
        (&[Detector::Ip], "1:2:3:4:5:6:7:8 a:b::1 x::1 ::1:2 1.2.3.4. 1.2.3.4:5 2001:db8::10.0.0.1 12:30:45"),
        (
            &[Detector::Phone],
            "+4930123456 (415) 555-2671 a+4930123456 (030) 1234567 98765 43210 phone 4155552671",
        ),
        (
            &[Detector::Iban],
            "DE89370400440532013000 de89 3704 0044 0532 0130 00x DE89 3704 0044 0532 0130 00 x",
        ),
        (
            &[Detector::AwsKey],
            "xaws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY AKIAIOSFODNN7EXAMPLE",
        ),
    ] {
        let found = Detectors::new(wanted, &[]).unwrap().find(text);
        assert_eq!(found, slowly(wanted, text), "{text}");
        assert!(!found.is_empty(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Also across the ends of blocks, wherever they fall.
    #[test]
    fn the_quick_way_finds_what_the_slow_one_finds(
        before in "[a-z ]{0,70}",
        words in proptest::collection::vec(words(), 1..24),
        all in proptest::bool::ANY,
        one in proptest::sample::select(Detector::ALL.to_vec()),
    ) {
        let text = before + &words.concat();
        let wanted = if all { Detector::ALL.to_vec() } else { vec![one] };
        let found = Detectors::new(&wanted, &[]).unwrap().find(&text);
        prop_assert_eq!(found, slowly(&wanted, &text), "{}", text);
    }

    /// A search that begins anew at any place, as in windows of a stream, finds what lies behind it.
    #[test]
    fn a_search_may_begin_anywhere(words in proptest::collection::vec(words(), 1..24), step in 1_usize..90) {
        let text = words.concat();
        let detectors = Detectors::new(&Detector::ALL, &[]).unwrap();
        let (mut scan, mut from) = (Scan::default(), 0);
        let mut seen = BTreeSet::new();
        while from < text.len() {
            let kept = detectors.candidate(text.as_bytes(), from, &mut scan);
            let fresh = detectors.candidate(text.as_bytes(), from, &mut Scan::default());
            prop_assert_eq!(kept, fresh, "from {} in {}", from, text);
            seen.extend(fresh.map(|found| found.start));
            from += step;
        }
    }
}

fn words() -> impl Strategy<Value = String> {
    let known = [
        "alice@example.org",
        "4111 1111 1111 1111",
        "DE89370400440532013000",
        "GB29 NWBK 6016 1331 9268 19",
        "536-22-1870",
        "ssn ",
        "+49 30 1234567",
        "(415) 555-2671",
        "10.0.0.7",
        "2001:db8::1",
        "fe80:1:2:3:4:5:6:7",
        "eyJhbGciOiJIUzI1NiJ9.eyJz.x",
        "eyJhbGciOiJIUzI1NiJ9",
        "AKIAIOSFODNN7EXAMPLE",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "sk-live-abcdefgh1234567890ab",
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----END RSA PRIVATE KEY-----",
        "2026-11-21 14:22:20",
        "12:30:45",
        "1.2.3.4.5",
        "phone ",
        "4155552671",
        "02079460958",
        "536221870",
        "de:ad:be:ef:00:01",
        "0049 30 1234567",
        "98765 43210",
        "react@18.2.0",
    ];
    prop_oneof![
        4 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned),
        3 => proptest::sample::select(vec![" ", ", ", ":", "-", "\n", "/", ".", "::", "@", "_", "(", "+"]).prop_map(str::to_owned),
        2 => "[0-9 .:+()a-fA-F@_é-]{1,12}",
        1 => "[0-9a-f:.]{1,40}",
    ]
}
