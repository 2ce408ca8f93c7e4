//! Input that is made to break the parser, to exhaust it, or to hide from it; and lines of interactive shells.

#![expect(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use super::{has, judged};
use crate::domain::facts::Effect;
use crate::shell::{Line, judge, judge_line};

#[test]
fn bytes_that_are_no_text_are_unjudged() {
    for bytes in [
        &b""[..],
        b"  ",
        b"# nothing",
        b"ls \0",
        b"ls \xff",
        b"\xed\xa0\x80",
        b"ls \x07",
        b"ls \x7f",
        b"ls \r",
    ] {
        let judged = judge(bytes, false);
        assert!(has(&judged, Effect::Unjudged), "{bytes:?}");
        assert!(!judged.facts.read_only);
    }
    let long = vec![b'a'; 64 * 1024 + 1];
    assert!(has(&judge(&long, false), Effect::Unjudged));
    assert!(!has(&judge("a".repeat(1000).as_bytes(), false), Effect::Unjudged));
}

/// On the stack that a worker of the runtime has at worst.
#[test]
fn deep_nests_are_refused_before_anything_recurses() {
    let nests: &[(&str, &str)] = &[
        ("(", ")"),
        ("( ", " )"),
        ("{ ", "; }"),
        ("$(", ")"),
        ("\"$(", ")\""),
        ("`", "`"),
        ("${x:-", "}"),
        ("$((", "))"),
        ("$[", "]"),
        ("((", "))"),
        ("<(", ")"),
        ("cat <(", ")"),
        ("cat < <(", ")"),
        ("if ", "; then :; fi"),
        ("while ", "; do :; done"),
        ("for i in a; do ", "; done"),
        ("case a in a) ", " esac"),
        ("case a in a) ", ";; esac"),
        ("! ", ""),
        ("[[ ! ", " ]]"),
        ("[[ ( ", " ) ]]"),
        ("coproc ", ""),
        ("f() { ", "; }"),
        ("function f { ", "; }"),
        ("a[", "]=1"),
        ("a=(", ")"),
        ("sh -c '", "'"),
        ("eval ", ""),
        ("sudo ", ""),
        ("xargs ", ""),
        ("find . -exec ", " \\;"),
        ("@(", ")"),
        ("cat <<E\n", "\nE"),
        ("{a,", "}"),
        ("time ", ""),
        ("'", "'"),
        ("\"", "\""),
        ("a | ", ""),
        ("a && ", ""),
        (">", ""),
        ("<<", ""),
        ("\\", ""),
        ("$'", "'"),
    ];
    let run = move || {
        for (open, close) in nests {
            for count in [3, 12, 40, 400] {
                for closed in [true, false] {
                    let tail = if closed { close.repeat(count) } else { String::new() };
                    drop(judge(format!("{}rm -rf /{tail}", open.repeat(count)).as_bytes(), false));
                    drop(judge_line(format!("{}x{tail}", open.repeat(count)).as_bytes()));
                }
            }
        }
        // of all kinds
        for count in [4, 8, 16] {
            let open: String = nests.iter().map(|(open, _)| *open).take(30).collect();
            drop(judge(open.repeat(count).as_bytes(), false));
        }
    };
    std::thread::Builder::new()
        .stack_size(2 * 1024 * 1024)
        .spawn(run)
        .expect("a thread")
        .join()
        .expect("no overflow");
}

/// Each wrapper reads all that follow it: 48 of them over a line of 64 KiB took a quarter of a second.
#[test]
fn many_words_are_not_read_again_and_again() {
    let words = " a".repeat(10_000);
    assert!(!has(&judged(&format!("sudo nice ls{words}")), Effect::Unjudged));
    let again = judged(&format!("nohup nohup nohup nohup rm -rf /{words}"));
    assert!(has(&again, Effect::Unjudged) && !again.facts.read_only);
}

#[test]
fn what_nests_little_is_judged() {
    for command in [
        "sh -c 'sh -c \"sh -c ls\"'",
        "echo $(echo $(echo $(date)))",
        "( (ls) )",
        "if true; then if true; then while true; do { ls; }; done; fi; fi",
    ] {
        // two parentheses in a row are the one thing that is not
        assert_eq!(has(&judged(command), Effect::Unjudged), command.starts_with("( ("), "{command}");
    }
}

#[test]
fn nothing_of_a_command_reaches_a_log() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    struct Count(AtomicUsize);
    impl tracing::Subscriber for &'static Count {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, _: &tracing::Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }
    static COUNT: Count = Count(AtomicUsize::new(0));
    tracing::subscriber::with_default(&COUNT, || {
        tracing::debug!("seen");
        drop(judged("echo secret"));
        drop(judged("echo 'secret"));
    });
    assert_eq!(COUNT.0.load(Ordering::Relaxed), 1);
}

#[test]
fn lines_wait_for_what_is_open() {
    for line in [
        "echo 'a",
        "echo \"a",
        "ls |",
        "ls &&",
        "ls \\",
        "if true",
        "for i in a; do",
        "(ls",
        "{ ls",
        "echo $(ls",
        "echo `ls",
        "cat <<E",
        "cat <<E\nx",
        "case a in",
        "f() {",
        "while :;",
    ] {
        assert_eq!(judge_line(line.as_bytes()), Line::Incomplete, "{line}");
        // as a whole command it is an error, and what a shell makes of that is its own
        assert!(has(&judged(line), Effect::Unjudged), "{line}");
    }
}

#[test]
fn lines_do_not_bring_back_others() {
    for line in [
        "!!",
        "sudo !!",
        "!rm",
        "ls !$",
        "^ls^rm",
        "ls # x",
        "ls\t",
        "echo '!x'",
        "ls; rm -rf / #",
        "echo a\u{8}b",
        "!-1",
        "echo \"!x\"",
    ] {
        let Line::Complete(judged) = judge_line(line.as_bytes()) else { panic!("{line}") };
        assert!(has(&judged, Effect::Unjudged), "{line}: {:?}", judged.facts);
    }
    for line in ["", "ls -l", "[ ! -f x ] && echo no", "[ a != b ]", "echo a#b", "echo '#'", "  ls"] {
        let Line::Complete(judged) = judge_line(line.as_bytes()) else { panic!("{line}") };
        assert!(judged.facts.read_only, "{line}: {:?}", judged.facts);
        assert!(judged.facts.terminal);
    }
}

#[test]
fn a_terminal_has_pagers() {
    for command in ["git log", "journalctl", "systemctl status x", "man ls", "less x"] {
        let on = judge(command.as_bytes(), true);
        assert!(has(&on, Effect::Interactive) && !on.facts.read_only, "{command}");
        assert!(!has(&judge(command.as_bytes(), false), Effect::Interactive), "{command}");
        let piped = judge(format!("{command} | cat").as_bytes(), true);
        assert!(!has(&piped, Effect::Interactive), "{command}");
    }
}

#[test]
fn programs_elsewhere_are_not_the_systems() {
    for command in ["./ls", "/tmp/ls -l", "bin/cat x", "~/cat x", "/usr/bin/../../tmp/ls", "LS"] {
        let judged = judged(command);
        assert!(!judged.facts.read_only, "{command}");
        assert!(!has(&judged, Effect::Unjudged), "{command}");
    }
    assert!(judged("/usr/bin/ls -l").facts.read_only);
}

#[test]
fn a_parser_that_panics_is_a_refusal() {
    // `io_number` unwraps; the check before it is the first guard, the caught panic the second
    assert!(has(&judged("ls 99999999999>x"), Effect::Unjudged));
    assert!(has(&judged("ls 99999999999<x"), Effect::Unjudged));
}
