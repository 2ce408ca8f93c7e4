//! What a handle stands for, also when a host or a client lies about it.

use super::*;

#[test]
fn a_handle_stands_for_the_file_that_was_opened_last() {
    let mut bench = Bench::new();
    bench.open("/srv/a", WRITE, b"h");
    bench.send(1, &Request::Close { handle: b"h" });
    // the host has not answered, and will use the name again: no write may slip in between
    bench.send(2, &Request::Write { handle: b"h", offset: 0, data: b"evil" });
    assert_eq!(bench.only_status().1, 4);
    let close = bench.host_got().remove(0);
    bench.host(ok(close.id()));
    assert_eq!(bench.client_got()[0].id(), 1);
    bench.open("/etc/passwd", READ, b"h");
    bench.send(3, &Request::Write { handle: b"h", offset: 0, data: b"evil" });
    assert_eq!(bench.only_status().1, 3);
    bench.send(4, &Request::Fsetstat { handle: b"h", attributes: Attributes::default() });
    bench.refuse(Op::Attributes);
    assert!(bench.host_got().is_empty());
}

#[test]
fn a_host_that_gives_one_handle_twice_is_not_believed() {
    let mut bench = Bench::new();
    bench.open("/srv/a", WRITE, b"h");
    bench.send(1, &Request::Open { path: b"/srv/b", flags: READ, attributes: Attributes::default() });
    bench.allow(Op::Read, "/srv/b");
    let id = bench.host_got()[0].id();
    let mut input = BytesMut::from(&handle_of(id, b"h").into_bytes()[..]);
    assert_eq!(bench.machine.handle_upstream(&mut input), Err(UpstreamFault::Reused));
}

#[test]
fn requests_with_one_id_are_two_requests() {
    let mut bench = Bench::new();
    bench.send(5, &Request::Stat { path: b"/a" });
    bench.send(5, &Request::Stat { path: b"/b" });
    let (one, two) = (bench.ask(), bench.ask());
    bench.machine.handle_answer(two.id, &Answer::Forward);
    bench.machine.handle_answer(one.id, &Answer::Refuse(no()));
    let sent = bench.host_got();
    assert_eq!(sent.len(), 1);
    assert_eq!(path_of(&sent[0]), "/b");
    assert_eq!(bench.only_status().0, 5);
    bench.host(Packet::build(kind::ATTRS, sent[0].id(), |out| out.put_u32(0)));
    assert_eq!((bench.client_got()[0].id(), bench.machine.poll_event().is_some()), (5, true));
    // the client's 1 was never ours
    let mut input = BytesMut::from(&ok(5).into_bytes()[..]);
    assert_eq!(bench.machine.handle_upstream(&mut input), Err(UpstreamFault::Unasked));
}

#[test]
fn open_files_are_counted_also_before_they_are_open() {
    let mut bench = Bench::with(Options { handles: 2, ..Options::default() });
    bench.open("/a", READ, b"a");
    bench.send(2, &Request::Opendir { path: b"/d" });
    bench.send(3, &Request::Open { path: b"/c", flags: READ, attributes: Attributes::default() });
    assert_eq!(bench.only_status(), (3, 4, "hoopctl allows 2 open files at once".into()));
    bench.allow(Op::List, "/d");
    bench.send(4, &Request::Opendir { path: b"/e" });
    assert_eq!(bench.only_status().1, 4);
}

#[test]
fn the_end_of_a_channel_reports_what_was_open() {
    let mut bench = Bench::new();
    bench.open("/a", WRITE, b"a");
    bench.send(1, &Request::Write { handle: b"a", offset: 0, data: b"four" });
    let id = bench.host_got()[0].id();
    bench.host(ok(id));
    bench.send(2, &Request::Remove { path: b"/b" });
    bench.allow(Op::Remove, "/b");
    bench.machine.finish();
    let Some(Event::Unanswered { asked }) = bench.machine.poll_event() else { panic!("a request") };
    assert_eq!(asked[0].facts.path, "/b");
    let Some(Event::Closed { path, written, .. }) = bench.machine.poll_event() else { panic!("a file") };
    assert_eq!((path.as_str(), written), ("/a", 4));
}
