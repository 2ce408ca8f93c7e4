//! What is judged is the path that the host will have.

use super::*;

#[test]
fn dot_dot_escapes_are_judged_and_sent_as_what_they_mean() {
    let mut bench = Bench::new();
    for path in ["../../etc/shadow", "/srv/public/../../etc//./shadow", "/../etc/shadow/"] {
        bench.send(
            1,
            &Request::Open { path: path.as_bytes(), flags: READ, attributes: Attributes::default() },
        );
        bench.allow(Op::Read, "/etc/shadow");
        let sent = bench.host_got();
        assert_eq!(path_of(&sent[0]), "/etc/shadow", "{path}");
    }
    bench.send(1, &Request::Stat { path: b"" });
    bench.allow(Op::Stat, "/home/deploy");
    assert_eq!(path_of(&bench.host_got()[0]), "/home/deploy");
    bench.send(1, &Request::Remove { path: b"/srv/a\0/../../etc/shadow" });
    assert!(bench.machine.poll_question().is_none());
    assert_eq!(bench.only_status(), (1, 3, "the path holds a NUL".into()));
    assert!(bench.host_got().is_empty());
}

#[test]
fn bytes_that_are_not_text_are_shown_and_sent_exactly() {
    let mut bench = Bench::new();
    bench.send(1, &Request::Remove { path: b"/srv/\xff\\\n" });
    bench.allow(Op::Remove, "/srv/\\xff\\\\\\x0a");
    let sent = bench.host_got();
    assert_eq!(string(&mut Reader::new(sent[0].body())).unwrap(), b"/srv/\xff\\\n");
}

#[test]
fn a_links_two_paths_are_in_openssh_order() {
    let mut bench = Bench::new();
    bench.send(1, &Request::Symlink { first: b"x/../../../etc/shadow", second: b"srv/link" });
    let question = bench.ask();
    assert_eq!(question.facts.operation, Op::Symlink);
    assert_eq!(question.facts.path, "/home/deploy/srv/link");
    assert_eq!(question.facts.to.as_deref(), Some("/home/etc/shadow"));
    bench.machine.handle_answer(question.id, &Answer::Forward);
    let sent = bench.host_got().remove(0);
    let expected = Request::Symlink { first: b"../../etc/shadow", second: b"/home/deploy/srv/link" };
    assert_eq!(Request::parse(sent.kind(), sent.body()), Ok(expected));

    let mut bench = Bench::with(Options { symlink: SymlinkOrder::LinkFirst, ..Options::default() });
    bench.send(1, &Request::Symlink { first: b"/srv/link", second: b"/etc/shadow" });
    let question = bench.ask();
    assert_eq!(question.facts.path, "/srv/link");
    assert_eq!(question.facts.to.as_deref(), Some("/etc/shadow"));
}

#[test]
fn opening_through_a_link_is_judged_by_its_name() {
    // the lexical limit: what the host finds behind the link is not known here, see the module's header
    let mut bench = Bench::new();
    bench.send(1, &Request::Open { path: b"/srv/link/../a", flags: READ, attributes: Attributes::default() });
    bench.allow(Op::Read, "/srv/a");
    // and the host gets no `..` that it could resolve behind the link
    assert_eq!(path_of(&bench.host_got()[0]), "/srv/a");
}

#[test]
fn a_home_is_where_the_host_starts() {
    let mut bench = Bench::new();
    for (path, expected) in [("~", "/home/deploy"), ("~//../x", "/home/x"), ("a/~", "/home/deploy/a/~")] {
        bench.send(1, &Request::ExpandPath { path: path.as_bytes() });
        bench.allow(Op::Stat, expected);
        let sent = bench.host_got().remove(0);
        let expected = Request::Realpath { path: expected.as_bytes() };
        assert_eq!(Request::parse(sent.kind(), sent.body()), Ok(expected));
    }
}

#[test]
fn without_a_start_relative_paths_are_refused() {
    let mut machine = Inspector::new(Options::default());
    let feed = |packet: Packet| BytesMut::from(&packet.into_bytes()[..]);
    machine.handle_client(&mut feed(Packet::build(kind::INIT, 3, |_| ()))).unwrap();
    machine.handle_upstream(&mut feed(Packet::build(kind::VERSION, 3, |_| ()))).unwrap();
    let id = packets(machine.upstream_output())[1].id();
    let failure = Packet::build(kind::STATUS, id, |out| out.put_u32(4));
    machine.handle_upstream(&mut feed(failure)).unwrap();
    assert_eq!(machine.poll_event(), Some(Event::Started { directory: None }));
    machine.handle_client(&mut feed(Request::Stat { path: b"a" }.encode())).unwrap();
    assert!(machine.poll_question().is_none());
    machine.handle_client(&mut feed(Request::Stat { path: b"/a" }.encode())).unwrap();
    assert_eq!(machine.poll_question().unwrap().facts.path, "/a");
}
