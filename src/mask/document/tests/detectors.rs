//! What detectors recognise, and that it does not matter how a text is cut.

use super::*;
use crate::domain::target::{OwnPattern, PatternCheck};

fn finder(detectors: &[Detector]) -> Arc<DocumentPlan> {
    let detectors = Detectors::new(detectors, &[]).unwrap();
    Arc::new(DocumentPlan::new(&[], KeyCase::Exact).unwrap().with_detectors(Arc::new(detectors)))
}

#[test]
fn social_security_numbers_need_a_word_beside_them() {
    let plan = finder(&[Detector::Ssn]);
    for (text, shown) in [
        ("SSN: 536-22-1870.", "SSN: [masked]."),
        ("his social security number is 536 22 1870", "his social security number is [masked]"),
        ("customer_ssn=536221870;", "customer_ssn=[masked];"),
        ("536-22-1870 (SSN)", "[masked] (SSN)"),
        ("part 536-22-1870 of the order", "part 536-22-1870 of the order"),
        // areas, groups and serial numbers that are never given out
        ("ssn 000-22-1870, 666-22-1870, 936-22-1870", "ssn 000-22-1870, 666-22-1870, 936-22-1870"),
        ("ssn 536-00-1870, 536-22-0000, 536-221870", "ssn 536-00-1870, 536-22-0000, 536-221870"),
    ] {
        assert_eq!(masked("text/plain", &plan, text), shown);
    }
    // the word stands too far away
    let far = format!("ssn {} 536-22-1870", "lorem ".repeat(12));
    assert_eq!(masked("text/plain", &plan, &far), far);
    // a value that is nothing else, and a member whose name is the word
    let json = r#"{"a":"536-22-1870","ssn":"536221870","b":"536221870","c":"x 536-22-1870"}"#;
    let shown = r#"{"a":"[masked]","ssn":"[masked]","b":"536221870","c":"x 536-22-1870"}"#;
    assert_eq!(masked("application/json", &plan, json), shown);
}

#[test]
fn phone_numbers_have_a_country_or_separators() {
    let plan = finder(&[Detector::Phone]);
    for (text, shown) in [
        ("call +49 30 1234567 now", "call [masked] now"),
        ("(+14155552671)", "([masked])"),
        ("0049 30 1234567", "[masked]"),
        ("(415) 555-2671 or 415-555-2671 or 1-415-555-2671", "[masked] or [masked] or [masked]"),
        ("01 23 45 67 89", "[masked]"),
        ("020 7946 0958, 0171/1234567", "[masked], [masked]"),
        ("order 4155552671 of 2024-01-01 10:00:00+01", "order 4155552671 of 2024-01-01 10:00:00+01"),
        ("5+12345678 = 12345683, 1.234.567", "5+12345678 = 12345683, 1.234.567"),
        ("id 0012345678901, 7f3a-415-5552", "id 0012345678901, 7f3a-415-5552"),
    ] {
        assert_eq!(masked("text/plain", &plan, text), shown);
    }
}

#[test]
fn addresses_are_whole() {
    let plan = finder(&[Detector::Ip]);
    for (text, shown) in [
        ("from 10.0.0.7:5432 to 192.168.1.254/24.", "from [masked]:5432 to [masked]/24."),
        ("at 2001:db8::1: refused", "at [masked]: refused"),
        ("fe80::1 ::ffff:10.0.0.1 2001:db8:0:0:0:0:0:1", "[masked] [masked] [masked]"),
        ("256.1.1.1 1.2.3.4.5 1.2.3", "256.1.1.1 1.2.3.4.5 1.2.3"),
        (
            "10:20:30 de:ad:be:ef:00:01 a::b std::vector x::date",
            "10:20:30 de:ad:be:ef:00:01 a::b std::vector x::date",
        ),
    ] {
        assert_eq!(masked("text/plain", &plan, text), shown);
    }
}

/// Each of its digits may begin a card, and each of its letters an address, and none does. It ends, and soon.
#[test]
fn a_text_of_nothing_but_beginnings_is_passed_over_once() {
    let detectors = Detectors::new(&Detector::ALL, &[]).unwrap();
    for beginning in [
        "1-",
        "a.",
        "@a",
        "1@ ",
        "+1.",
        "eyJhbGciOi-",
        "sk-aaa-aaa-aaa-aaa-",
        "glpat-aaaaa-",
        "xoxb-aaa-",
        "DE8-",
        "0 ",
        "1:",
        "::",
        "(0",
        "aws",
        "-----BEGIN A PRIVATE ",
        "ssn 1 ",
    ] {
        let text = beginning.repeat(50_000);
        assert_eq!(detectors.find(&text), Vec::<std::ops::Range<usize>>::new(), "{beginning}");
    }
}

/// Whatever else stands at the same place: a detector whose check fails hides none of the others.
#[test]
fn what_one_check_rejects_another_may_take() {
    let plan = finder(&Detector::ALL);
    let text = "1.2.3.4@example.org 4111 1111 1111 1111 1732280400004 0171 4111111111111111";
    let shown = "[masked] [masked] 1732280400004 0171 [masked]";
    assert_eq!(masked("text/plain", &plan, text), shown);
}

#[test]
fn own_patterns_have_checks() {
    let own = |pattern: &str, check| OwnPattern { name: "own".into(), pattern: pattern.into(), check };
    let luhn = own(r"\bC-[0-9]{6}\b", PatternCheck::Luhn);
    let detectors = Detectors::named(&["own".to_owned(), "email".to_owned()], &[luhn]).unwrap();
    let plan = DocumentPlan::new(&[], KeyCase::Exact).unwrap().with_detectors(Arc::new(detectors));
    assert_eq!(
        masked("text/plain", &Arc::new(plan), "C-123455 C-123456 a@example.org"),
        "[masked] C-123456 [masked]"
    );
    assert_eq!(Detectors::named(&["smell".to_owned()], &[]).err(), Some(DetectorError::Unknown));
}

proptest! {
    /// Text in pieces is text: what is found does not depend on the cut, and is what is found in the whole.
    #[test]
    fn the_cut_of_a_text_changes_nothing(words in proptest::collection::vec(words(), 1..12), cuts in proptest::collection::vec(1..40_usize, 1..20)) {
        let text = words.concat();
        let plan = finder(&Detector::ALL);
        let whole = mask("text/plain", &plan, &[text.as_bytes()]).unwrap();
        let mut pieces = Vec::new();
        let mut rest = text.as_bytes();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        let cut = mask("text/plain", &plan, &pieces).unwrap();
        prop_assert_eq!(String::from_utf8_lossy(&cut), String::from_utf8_lossy(&whole));
        let found = plan.detectors().unwrap().find(&text);
        let count = String::from_utf8_lossy(&whole).matches("[masked]").count();
        prop_assert_eq!(count, found.len());
    }
}

fn words() -> impl Strategy<Value = String> {
    let known = [
        "alice@example.org",
        "4111 1111 1111 1111",
        "DE89370400440532013000",
        "536-22-1870",
        "ssn ",
        "SSN: ",
        "+49 30 1234567",
        "(415) 555-2671",
        "10.0.0.7",
        "2001:db8::1",
        "eyJhbGciOiJIUzI1NiJ9.eyJz.x",
        "AKIAIOSFODNN7EXAMPLE",
        "social security ",
        "lorem ipsum dolor sit amet ",
        "01 23 45 67 89",
    ];
    prop_oneof![
        4 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned),
        2 => proptest::sample::select(vec![" ", ", ", ":", "-", "\n", "/", "."]).prop_map(str::to_owned),
        2 => "[0-9 .:+()a-f@-]{1,12}",
    ]
}
