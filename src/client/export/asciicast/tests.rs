#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use serde_json::{Value, json};

use super::Cast;
use crate::client::export::stage::{outcome, piece, scene, session};
use crate::client::playback::Shown;
use crate::recording::item::Resize;

fn lines(cast: &mut Cast, scenes: Vec<Shown>) -> Vec<Value> {
    let mut out = Vec::new();
    scenes.into_iter().for_each(|what| cast.take(&scene(what), &mut out));
    cast.pause(&mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn resize(number: u64, columns: u32, rows: u32) -> Shown {
    Shown::Resize(Resize { number, columns, rows })
}

#[test]
fn a_terminal_is_written_with_its_size_and_times() {
    let mut cast = Cast::new(&session());
    assert!(cast.is_empty());
    let scenes = vec![
        resize(1, 100, 30),
        Shown::Screen(piece(1, 1, "$ \x1b[31mred\x1b[0m")),
        Shown::Screen(piece(1, 1, "\x1b]0;title\x07\u{9b}\x1b[6n")),
        Shown::Screen(piece(1, 1, "line\nnext")),
        resize(1, u32::MAX, 0),
        outcome(1, "exit 0"),
    ];
    let lines = lines(&mut cast, scenes);
    assert!(!cast.is_empty());
    let header = json!({
        "version": 2, "width": 100, "height": 30, "timestamp": 1_700_000_000,
        "title": "ses_aaaaaaaaaaaaaaaaaaaaaaaaaa on bastion", "env": { "TERM": "xterm-256color" },
    });
    assert_eq!(lines[0], header);
    assert_eq!(lines[1], json!([0.0, "o", "$ \u{1b}[31mred\u{1b}[0m"]));
    // what is hostile as a whole is not there at all
    assert_eq!(lines[2], json!([1.0, "o", "line\nnext"]));
    assert_eq!(lines[3], json!([1.5, "r", "2000x24"]));
    assert!(lines[4][2].as_str().unwrap().starts_with("\u{1b}[?1049l"));
    assert_eq!(lines.len(), 5);
}

#[test]
fn a_command_without_a_terminal_begins_each_line_at_its_start() {
    let mut cast = Cast::new(&session());
    let scenes = vec![
        Shown::Screen(piece(1, 1, "a\nb\r")),
        Shown::Screen(piece(1, 1, "\nc\n")),
        Shown::Screen(piece(1, 2, "Ã\n")),
        outcome(1, "exit 0"),
        // another one, whose character is cut in two
        Shown::Screen(piece(2, 1, [0xc3])),
        Shown::Screen(piece(2, 1, [0xbc])),
    ];
    let lines = lines(&mut cast, scenes);
    let shown: Vec<&str> = lines[1..].iter().map(|line| line[2].as_str().unwrap()).collect();
    assert_eq!(shown, ["a\r\nb\r", "\nc\r\n", "Ã\r\n", "ü"]);
}

#[test]
fn what_shows_nothing_is_empty() {
    let mut cast = Cast::new(&session());
    assert!(lines(&mut cast, vec![resize(1, 80, 24), outcome(1, "exit 0")]).is_empty());
    assert!(cast.is_empty());
}

/// A line without end goes through in pieces, and so do streams without number.
#[test]
fn what_does_not_end_costs_no_memory() {
    let mut cast = Cast::new(&session());
    let mut out = Vec::new();
    let long = Shown::Screen(piece(1, 1, vec![b'x'; 1 << 20]));
    let long = scene(long);
    for _ in 0..64 {
        out.clear();
        cast.take(&long, &mut out);
        assert!(out.len() < (1 << 20) + 500, "{}", out.len());
    }
    for number in 0..10_000 {
        cast.take(&scene(Shown::Screen(piece(number, 1, "x"))), &mut out);
        cast.take(&scene(resize(number, 80, 24)), &mut out);
    }
    assert!(cast.shown.len() <= super::MOST && cast.terminals.len() <= super::MOST);
}
