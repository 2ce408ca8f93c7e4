//! What holds for every input.

#![expect(clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::evasions::removals;
use super::{has, judged};
use crate::domain::facts::Effect;
use crate::shell::{Line, judge, judge_line};

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let judged = judge(&bytes, false);
        prop_assert!(!judged.facts.read_only || judged.facts.effects.is_empty());
        drop(judge_line(&bytes));
    }

    #[test]
    fn any_text_of_the_shells_alphabet_is_judged(text in alphabet()) {
        let judged = judge(text.as_bytes(), true);
        prop_assert!(!judged.facts.read_only || judged.facts.effects.is_empty());
        if let Line::Complete(line) = judge_line(text.as_bytes()) {
            prop_assert!(line.facts.terminal);
        }
    }

    #[test]
    fn what_follows_a_whole_command_is_seen(text in alphabet()) {
        let before = judge(text.as_bytes(), false);
        let after = judged(&format!("{text}\nrm -rf /"));
        prop_assert!(has(&before, Effect::Unjudged) || has(&after, Effect::Unjudged) || has(&after, Effect::DeleteTree));
        let effects = |judged: &crate::shell::Judged| judged.facts.effects.clone();
        if !has(&before, Effect::Unjudged) && !has(&after, Effect::Unjudged) {
            prop_assert!(effects(&before).is_subset(&effects(&after)));
        }
    }

    #[test]
    fn quotes_change_nothing(spelling in prop::collection::vec(0u8..6, 3..=3), pick in 0usize..COMMANDS.len()) {
        let words = COMMANDS[pick];
        let plain = judged(&words.join(" ")).facts;
        let spelled: Vec<String> = words.iter().zip(spelling.iter().cycle()).map(|(word, how)| spell(word, *how)).collect();
        prop_assert_eq!(judged(&spelled.join(" ")).facts, plain);
    }

    #[test]
    fn what_surrounds_a_removal_hides_nothing(pick in 0usize..1000, how in 0usize..AROUND.len()) {
        let all = removals();
        let (name, command) = all[pick % all.len()];
        let (before, after) = AROUND[how];
        let judged = judged(&format!("{before}{command}{after}"));
        prop_assert!(has(&judged, Effect::DeleteTree) || has(&judged, Effect::Unjudged), "{}: {:?}", name, judged.facts);
        prop_assert!(!judged.facts.read_only);
    }

    #[test]
    fn two_commands_do_what_each_does(one in 0usize..COMMANDS.len(), two in 0usize..COMMANDS.len(), between in 0usize..4) {
        let join = [";", "&&", "\n", "||"][between];
        let (one, two) = (COMMANDS[one].join(" "), COMMANDS[two].join(" "));
        let both = judged(&format!("{one} {join} {two}")).facts;
        let (one, two) = (judged(&one).facts, judged(&two).facts);
        let union = |one: &BTreeSet<_>, two: &BTreeSet<_>| one.union(two).copied().collect::<BTreeSet<Effect>>();
        prop_assert_eq!(&both.effects, &union(&one.effects, &two.effects));
        prop_assert_eq!(both.read_only, one.read_only && two.read_only);
    }
}

fn alphabet() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "rm",
        "-rf",
        "/",
        " ",
        " ",
        " ",
        "\n",
        ";",
        "&",
        "&&",
        "||",
        "|",
        "(",
        ")",
        "{",
        "}",
        "$",
        "$(",
        "${",
        "`",
        "'",
        "\"",
        "\\",
        "$'",
        "<",
        ">",
        "<<",
        "<<E",
        "\nE\n",
        "<<<",
        "&>",
        "#",
        "*",
        "?",
        "[",
        "]",
        "[[",
        "]]",
        "~",
        "=",
        "x=",
        "!",
        "if",
        "then",
        "fi",
        "for",
        "in",
        "do",
        "done",
        "while",
        "case",
        "esac",
        ";;",
        "sh",
        "-c",
        "eval",
        "ls",
        "echo",
        "x",
        "1",
        "99999999999",
        "é",
        "\t",
        "((",
        "))",
        "function",
        "coproc",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// One word in one of six spellings.
fn spell(word: &str, how: u8) -> String {
    match how {
        0 => word.to_owned(),
        1 => format!("'{word}'"),
        2 => format!("\"{word}\""),
        // letters that are escapes in fish are left as they are
        3 => word
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("\\{c}") })
            .collect(),
        4 => word.chars().map(|c| format!("\"{c}\"")).collect(),
        _ => word.chars().map(|c| format!("{c}''")).collect(),
    }
}

const COMMANDS: &[&[&str]] = &[
    &["rm", "-rf", "/"],
    &["ls", "-l", "/var/log"],
    &["sudo", "-u", "root", "rm", "-r", "x"],
    &["cp", "a", "/dev/sda"],
    &["sh", "-c", "reboot"],
    &["deploy-app", "--now", "v2"],
    &["find", "/", "-delete"],
    &["git", "status"],
    &["python3", "-c", "pass"],
    &["curl", "-o", "x", "http://example.com"],
    &["dd", "of=/dev/sda"],
    &["cat", "x"],
];

const AROUND: &[(&str, &str)] = &[
    ("", " ;true"),
    ("true; ", ""),
    ("  ", "  "),
    ("\n\n", "\n\n"),
    ("", "\n# comment"),
    ("# comment\n", ""),
    ("", " # comment"),
    ("true && ", ""),
    ("", " &"),
    ("ls | ", ""),
    ("{ ", "\n}"),
    ("if true; then ", "\nfi"),
    ("for i in 1 2; do ", "\ndone"),
    ("while true; do\n", "\ndone"),
    ("cd /tmp\n", "\necho done"),
];
