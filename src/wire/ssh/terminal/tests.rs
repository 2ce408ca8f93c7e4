#![expect(clippy::expect_used, clippy::string_slice, reason = "tests fail by panicking")]

use std::ops::Range;

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;
use crate::wire::ssh::refusal::Refusal;

fn secrets(text: &str) -> Vec<Range<usize>> {
    let plain = text.match_indices("SECRET").map(|(at, found)| at..at + found.len());
    plain.chain(text.match_indices("Ünï漢").map(|(at, found)| at..at + found.len())).collect()
}

fn masked(pieces: &[&[u8]]) -> String {
    let mut mask = Mask::new(64);
    let mut out = BytesMut::new();
    for piece in pieces {
        mask.handle(piece, &secrets, &mut out);
    }
    mask.flush(&secrets, &mut out);
    assert_eq!(mask.held(), 0);
    String::from_utf8(out.to_vec()).expect("text")
}

#[test]
fn a_secret_is_masked_across_packets_and_escapes() {
    assert_eq!(masked(&[b"a SEC", b"R", b"ET b"]), "a ****** b");
    assert_eq!(masked(&[b"SE\x1b[1;31mCR\x1b[0", b"mET."]), "**\x1b[1;31m**\x1b[0m**.");
    assert_eq!(masked(&[b"SEC\x1b]0;title\x07RET\x1b(B"]), "***\x1b]0;title\x07***\x1b(B");
    assert_eq!(masked(&["SEC\u{9b}0mRET".as_bytes()]), "***\u{9b}0m***");
    assert_eq!(masked(&["x Ünï漢 y".as_bytes()]), "x ***** y");
    assert_eq!(masked(&[b"S\x08SE\x08EC\x08CR\x08RE\x08ET\x08T"]), "*\x08**\x08**\x08**\x08**\x08**\x08*");
    assert_eq!(masked(&[b"SEx\x08CRET"]), "***\x08****");
}

#[test]
fn a_title_is_searched_as_well() {
    assert_eq!(masked(&[b"\x1b]0;my SEC", b"RET\x1b\\ok"]), "\x1b]0;my ******\x1b\\ok");
}

#[test]
fn what_a_flush_cut_is_still_masked_behind_it() {
    let mut mask = Mask::new(64);
    let mut out = BytesMut::new();
    mask.handle(b"SEC", &secrets, &mut out);
    mask.flush(&secrets, &mut out);
    mask.handle(b"RET", &secrets, &mut out);
    mask.flush(&secrets, &mut out);
    assert_eq!(&out[..], b"SEC***");
}

#[test]
fn little_is_held_back_whatever_comes() {
    let mut mask = Mask::new(64);
    let mut out = BytesMut::new();
    let mut fed = 0;
    for piece in [&b"x"[..], &[b'y'; 100_000], &b"\x1b[0m".repeat(10_000), b"\x1b]0;", &[b't'; 100_000]] {
        mask.handle(piece, &secrets, &mut out);
        fed += piece.len();
        assert!(mask.held() <= 64 + 1024, "{}", mask.held());
        assert_eq!(out.len() + mask.held(), fed);
    }
    struct Knows;
    impl Detector for Knows {
        fn find(&self, text: &str) -> Vec<Range<usize>> {
            secrets(text)
        }
        fn undecided(&self, text: &str) -> usize {
            (1..6).rev().find(|length| text.ends_with(&"SECRET"[..*length])).unwrap_or(0)
        }
    }
    let mut mask = Mask::new(64);
    let mut out = BytesMut::new();
    mask.handle(b"prompt$ SE", &Knows, &mut out);
    assert_eq!(&out[..], b"prompt$ ");
    mask.handle(b"T ", &Knows, &mut out);
    assert_eq!(&out[..], b"prompt$ SET ");
}

proptest! {
    #[test]
    fn where_the_pieces_end_does_not_matter(
        text in "(a|SECRET|SEC|RET|\u{1b}\\[1m|\u{1b}\\]0;x\u{7}|é|漢|\r\n){0,30}",
        cuts in proptest::collection::vec(1..9_usize, 1..9),
    ) {
        let whole = masked(&[text.as_bytes()]);
        let (mut rest, mut pieces) = (text.as_bytes(), Vec::new());
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, others) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = others;
        }
        prop_assert!(!whole.contains("SECRET"));
        prop_assert_eq!(masked(&pieces), whole);
    }

    #[test]
    fn without_a_finding_every_byte_is_kept(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut mask = Mask::new(16);
        let mut out = BytesMut::new();
        let nothing = |_: &str| Vec::new();
        for piece in bytes.chunks(7) {
            mask.handle(piece, &nothing, &mut out);
        }
        mask.flush(&nothing, &mut out);
        prop_assert_eq!(&out[..], &bytes[..]);
    }

    #[test]
    fn nothing_typed_reaches_the_host_unanswered(typed in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut supervisor = Supervisor::new();
        let mut input = BytesMut::from(&typed[..]);
        supervisor.handle_client(&mut input);
        let signals = [0x03, 0x04, 0x1a, 0x1c];
        prop_assert!(supervisor.upstream_output().iter().all(|byte| signals.contains(byte)));
    }
}

fn typed(supervisor: &mut Supervisor, bytes: &[u8]) {
    supervisor.handle_client(&mut BytesMut::from(bytes));
}

fn lines(supervisor: &mut Supervisor) -> Vec<String> {
    std::iter::from_fn(|| supervisor.poll_question()).map(|line| line.text).collect()
}

fn no() -> Answer {
    Answer::Refuse(Refusal { rule: "r".into(), reason: "no".into(), hint: None })
}

#[test]
fn a_line_is_edited_echoed_and_asked_about() {
    let mut shell = Supervisor::new();
    typed(&mut shell, b"lx\x7fs -l fo\x17\xc3");
    typed(&mut shell, b"\xa9\x1b[A\x1bOP\t\r\n");
    let line = shell.poll_question().expect("a line");
    assert_eq!(line.text, "ls -l é");
    assert!(shell.upstream_output().is_empty());
    let echo = shell.client_output().split();
    assert_eq!(&echo[..], "lx\u{8} \u{8}s -l fo\u{8} \u{8}\u{8} \u{8}é\u{7}".as_bytes());
    shell.handle_answer(line.id, &Answer::Forward);
    assert_eq!(&shell.upstream_output()[..], "ls -l é\r".as_bytes());
    assert_eq!(&shell.client_output()[..], "\u{8} \u{8}".repeat(7).as_bytes());
    assert!(shell.poll_question().is_none(), "CR LF is one end");
}

#[test]
fn a_paste_is_as_many_questions_as_lines_and_keeps_their_order() {
    let mut shell = Supervisor::new();
    typed(&mut shell, b"\x1b[200~one\rtwo\nthree\r\x1b[201~four");
    assert_eq!(lines(&mut shell), ["one", "two", "three"]);
    shell.handle_answer(LineId(3), &Answer::Forward);
    shell.handle_answer(LineId(2), &no());
    shell.handle_answer(LineId(2), &Answer::Forward);
    assert!(shell.upstream_output().is_empty(), "the first is not answered");
    shell.handle_answer(LineId(1), &Answer::Forward);
    assert_eq!(&shell.upstream_output()[..], b"one\rthree\r");
    let told = String::from_utf8_lossy(shell.client_output()).into_owned();
    assert!(told.contains("\r\nhoopctl: denied by rule `r`: no\r\n"), "{told:?}");
}

#[test]
fn an_interrupt_goes_at_once_and_takes_what_waits_with_it() {
    let mut shell = Supervisor::new();
    typed(&mut shell, b"rm x\rhalf\x03");
    assert_eq!(&shell.upstream_output().split()[..], b"\x03");
    assert_eq!(shell.poll_question(), None);
    shell.handle_answer(LineId(1), &Answer::Forward);
    assert!(shell.upstream_output().is_empty());
    typed(&mut shell, b"x\x04\x15\x04");
    assert_eq!(&shell.upstream_output()[..], b"\x04", "only where nothing is typed");
}

#[test]
fn long_lines_and_many_lines_are_bounded() {
    let mut shell = Supervisor::new();
    typed(&mut shell, &[b'a'; 5000]);
    shell.client_output().clear();
    typed(&mut shell, b"\r");
    assert_eq!(shell.poll_question().expect("a line").text.len(), 4095);
    let mut input = BytesMut::from(&[b'\r'; 100][..]);
    shell.handle_client(&mut input);
    assert_eq!((input.len(), shell.wants_input()), (37, false));
}

#[test]
fn what_is_concealed_is_not_echoed_and_is_marked() {
    let mut shell = Supervisor::new();
    shell.conceal(true);
    typed(&mut shell, b"hunter2\r");
    let line = shell.poll_question().expect("a line");
    assert!(line.concealed);
    shell.handle_answer(line.id, &Answer::Forward);
    assert!(shell.client_output().is_empty());
}
