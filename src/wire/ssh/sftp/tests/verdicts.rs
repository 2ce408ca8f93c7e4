//! Nothing moves before its answer, and what is refused does not move.

use super::*;

#[test]
fn nothing_reaches_the_host_before_its_answer() {
    let mut bench = Bench::new();
    bench.send(4, &Request::Remove { path: b"/srv/a" });
    let question = bench.ask();
    assert!(bench.host_got().is_empty());
    bench.machine.handle_answer(QuestionId(99), &Answer::Forward);
    assert!(bench.host_got().is_empty(), "an answer to another question");
    bench.machine.handle_answer(question.id, &Answer::Refuse(no()));
    bench.machine.handle_answer(question.id, &Answer::Forward);
    assert!(bench.host_got().is_empty(), "a second answer");
    let (id, code, text) = bench.only_status();
    assert_eq!((id, code), (4, 3));
    assert_eq!(text, "hoopctl: denied by rule `files`: not yours (ask alice)");
}

#[test]
fn reading_can_be_allowed_and_writing_refused() {
    let mut bench = Bench::new();
    let attributes = Attributes::default();
    bench.send(1, &Request::Open { path: b"/srv/a", flags: READ | WRITE | CREATE, attributes });
    bench.allow(Op::Read, "/srv/a");
    assert!(bench.host_got().is_empty(), "half of what it does is not enough");
    bench.refuse(Op::Write);
    assert!(bench.host_got().is_empty());
    assert_eq!(bench.only_status().1, 3);
    bench.open("/srv/a", READ, b"h");
    bench.send(2, &Request::Write { handle: b"h", offset: 0, data: b"x" });
    assert_eq!(bench.only_status(), (2, 3, "the handle was not opened for that".into()));
    assert!(bench.host_got().is_empty());
}

#[test]
fn flags_that_change_a_file_without_write_are_asked_as_writing() {
    for flags in [CREATE, TRUNCATE, READ | TRUNCATE, 4] {
        let mut bench = Bench::new();
        bench.send(1, &Request::Open { path: b"/a", flags, attributes: Attributes::default() });
        bench.allow(Op::Read, "/a");
        bench.refuse(Op::Write);
        assert!(bench.host_got().is_empty(), "{flags}");
    }
}

#[test]
fn a_setuid_mode_and_a_cut_are_asked_about() {
    let mut bench = Bench::new();
    let attributes = Attributes { permissions: Some(0o4755), ..Attributes::default() };
    bench.send(1, &Request::Open { path: b"/a", flags: WRITE | CREATE, attributes });
    bench.allow(Op::Write, "/a");
    bench.refuse(Op::Attributes);
    let attributes = Attributes { size: Some(0), ..Attributes::default() };
    bench.send(1, &Request::Setstat { path: b"/a", attributes });
    bench.allow(Op::Write, "/a");
    bench.refuse(Op::Attributes);
    assert_eq!(bench.client_got().len(), 2);
    bench.open("/a", READ, b"h");
    bench.send(1, &Request::Fsetstat { handle: b"h", attributes });
    bench.refuse(Op::Write);
    assert!(bench.host_got().is_empty());
}

#[test]
fn what_nobody_knows_is_refused() {
    let mut bench = Bench::new();
    bench.client(Packet::build(kind::EXTENDED, 1, |out| put_string(out, b"exec@example.com")));
    assert_eq!(bench.only_status().1, 8);
    bench.client(Packet::build(99, 2, |_| ()));
    assert_eq!(bench.only_status().1, 8);
    // extended attributes, bytes behind the last field, half a request
    bench.client(Packet::build(kind::SETSTAT, 3, |out| {
        put_string(out, b"/a");
        out.put_u32(0x8000_0000);
        out.put_u32(0);
    }));
    assert_eq!(bench.only_status().1, 8);
    bench.client(Packet::build(kind::REMOVE, 4, |out| {
        put_string(out, b"/a");
        put_string(out, b"/b");
    }));
    assert_eq!(bench.only_status().1, 5);
    bench.send(5, &Request::ExpandPath { path: b"~bob/x" });
    assert_eq!(bench.only_status().1, 8);
    bench.send(6, &Request::Read { handle: b"?", offset: 0, length: 1 });
    assert_eq!(bench.only_status().1, 4);
    assert!(bench.host_got().is_empty());
    assert!(bench.machine.poll_question().is_none());
    let refused = std::iter::from_fn(|| bench.machine.poll_event());
    assert_eq!(refused.filter(|event| matches!(event, Event::Refused { .. })).count(), 6);
}

#[test]
fn what_touches_a_held_file_waits_and_nothing_else_does() {
    let mut bench = Bench::new();
    bench.open("/srv/d/a", READ | WRITE, b"a");
    bench.open("/srv/b", WRITE, b"b");
    bench.send(1, &Request::Rename { from: b"/srv/d", to: b"/srv/e" });
    let held = bench.ask();
    bench.send(2, &Request::Write { handle: b"a", offset: 0, data: b"x" });
    bench.send(3, &Request::Close { handle: b"a" });
    bench.send(4, &Request::Write { handle: b"b", offset: 0, data: b"x" });
    bench.send(5, &Request::Stat { path: b"/srv/f" });
    bench.allow(Op::Stat, "/srv/f");
    let kinds = |sent: Vec<Packet>| sent.iter().map(Packet::kind).collect::<Vec<_>>();
    assert_eq!(kinds(bench.host_got()), [kind::WRITE, kind::STAT]);
    bench.machine.handle_answer(held.id, &Answer::Forward);
    assert_eq!(kinds(bench.host_got()), [kind::RENAME, kind::WRITE, kind::CLOSE]);
}

#[test]
fn a_refusal_lets_go_what_waited_behind_it() {
    let mut bench = Bench::new();
    bench.send(1, &Request::Remove { path: b"/a" });
    bench.send(2, &Request::Open { path: b"/a", flags: READ, attributes: Attributes::default() });
    let held = bench.ask();
    bench.allow(Op::Read, "/a");
    assert!(bench.host_got().is_empty(), "in the order in which they came");
    bench.machine.handle_answer(held.id, &Answer::Refuse(no()));
    assert_eq!(bench.host_got()[0].kind(), kind::OPEN);
}
