//! Whatever a recording holds, every form of it is well formed, steers no terminal, and stays small.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use proptest::prelude::*;
use serde_json::Value;

use super::asciicast::Cast;
use super::har::Har;
use super::results::Results;
use super::stage::{outcome, piece, scene, session, statement};
use super::transcript::Script;
use crate::client::playback::Shown;
use crate::recording::item::{Head, Resize};

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[A-Z]{1,5} /[ -~]{0,20}", "(\u{1b}|\u{9b}|[\\[\\];0-9a-z]){0,12}"]
}

fn shown() -> impl Strategy<Value = Shown> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..200);
    prop_oneof![
        (0..3_u64, texts()).prop_map(|(number, text)| statement(number, &text)),
        (0..3_u64, texts()).prop_map(|(number, tag)| outcome(number, &tag)),
        (0..3_u64, 0..4_u8, bytes()).prop_map(|(of, stream, bytes)| Shown::Screen(piece(of, stream, bytes))),
        (0..3_u64, 0..4_u8, bytes()).prop_map(|(of, stream, bytes)| Shown::Body(piece(of, stream, bytes))),
        (0..3_u64, any::<u32>(), any::<u32>()).prop_map(|(number, columns, rows)| Shown::Resize(Resize {
            number,
            columns,
            rows
        })),
        (0..3_u64, texts(), texts(), texts()).prop_map(|(number, line, name, value)| {
            Shown::Head(Head { number, line, headers: vec![(name, value)] })
        }),
        (1..10_usize).prop_map(|length| Shown::TooLong("statement", length)),
    ]
}

/// Nothing that a terminal obeys but line breaks and tabs.
fn is_harmless(text: &str) -> bool {
    !text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t'))
}

proptest! {
    #[test]
    fn every_form_is_well_formed(scenes in proptest::collection::vec(shown(), 0..20)) {
        let (mut cast, mut har, mut script) = (Cast::new(&session()), Har::new(&session()), Script::default());
        let (mut casted, mut hared, mut scripted) = (Vec::new(), Vec::new(), Vec::new());
        script.begin(&session(), &mut scripted);
        script.connection(1, &mut scripted);
        for what in scenes {
            let scene = scene(what);
            cast.take(&scene, &mut casted);
            script.take(&scene, &mut scripted).unwrap();
            har.take(scene, &mut hared).unwrap();
        }
        cast.pause(&mut casted);
        har.pause(&mut hared).unwrap();
        har.end(&mut hared).unwrap();
        let [casted, hared, scripted] = [casted, hared, scripted].map(|bytes| String::from_utf8(bytes).unwrap());
        prop_assert!(is_harmless(&casted) && is_harmless(&hared) && is_harmless(&scripted));
        prop_assert_eq!(casted.is_empty(), cast.is_empty());
        for line in casted.lines() {
            serde_json::from_str::<Value>(line).unwrap();
        }
        if !har.is_empty() {
            serde_json::from_str::<Value>(&hared).unwrap();
        }
    }

    #[test]
    fn answers_that_are_none_end_in_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (mut results, mut script, mut out) = (Results::default(), Script::default(), Vec::new());
        results.feed(&bytes);
        while let Ok(Some(_)) = results.poll() {}
        let _read = script.take(&scene(Shown::Answer(bytes)), &mut out);
        prop_assert!(is_harmless(&String::from_utf8(out).unwrap()));
    }
}
