#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use bytes::{Buf as _, BufMut as _, Bytes};
use proptest::prelude::*;

use super::packet::{kind, put_string, string, u64};
use super::*;
use crate::domain::facts::FileOperation as Op;
use crate::wire::buffer::Reader;

/// A machine between a client and a host that the test plays.
struct Bench {
    machine: Inspector,
}

impl Bench {
    /// Greeted, started in `/home/deploy`.
    fn new() -> Self {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Self {
        let mut bench = Self { machine: Inspector::new(options) };
        bench.client(Packet::build(kind::INIT, 3, |_| ()));
        assert_eq!(bench.host_got().len(), 1);
        bench.host(Packet::build(kind::VERSION, 3, |_| ()));
        assert_eq!(bench.client_got()[0].kind(), kind::VERSION);
        let start = bench.host_got().remove(0);
        assert_eq!(Request::parse(start.kind(), start.body()), Ok(Request::Realpath { path: b"." }));
        bench.host(name(start.id(), b"/home/deploy"));
        assert_eq!(
            bench.machine.poll_event(),
            Some(Event::Started { directory: Some("/home/deploy".into()) })
        );
        bench
    }

    fn client(&mut self, packet: Packet) {
        let mut input = BytesMut::from(&packet.into_bytes()[..]);
        self.machine.handle_client(&mut input).unwrap();
        assert!(input.is_empty(), "the machine did not take it");
    }

    fn host(&mut self, packet: Packet) {
        self.machine.handle_upstream(&mut BytesMut::from(&packet.into_bytes()[..])).unwrap();
    }

    fn host_got(&mut self) -> Vec<Packet> {
        packets(self.machine.upstream_output())
    }

    fn client_got(&mut self) -> Vec<Packet> {
        packets(self.machine.client_output())
    }

    fn send(&mut self, id: u32, request: &Request<'_>) {
        let mut packet = request.encode();
        packet.set_id(id);
        self.client(packet);
    }

    fn ask(&mut self) -> Question {
        self.machine.poll_question().expect("a question")
    }

    fn allow(&mut self, operation: Op, path: &str) -> QuestionId {
        let question = self.ask();
        assert_eq!((question.facts.operation, question.facts.path.as_str()), (operation, path));
        self.machine.handle_answer(question.id, &Answer::Forward);
        question.id
    }

    fn refuse(&mut self, operation: Op) {
        let question = self.ask();
        assert_eq!(question.facts.operation, operation);
        self.machine.handle_answer(question.id, &Answer::Refuse(no()));
    }

    /// Opens a file and returns nothing: the host calls it `handle`.
    fn open(&mut self, path: &str, flags: u32, handle: &[u8]) {
        let attributes = Attributes::default();
        self.send(7, &Request::Open { path: path.as_bytes(), flags, attributes });
        while let Some(question) = self.machine.poll_question() {
            self.machine.handle_answer(question.id, &Answer::Forward);
        }
        let sent = self.host_got().remove(0);
        self.host(handle_of(sent.id(), handle));
        assert_eq!(self.client_got()[0].kind(), kind::HANDLE);
        while self.machine.poll_event().is_some() {}
    }

    fn only_status(&mut self) -> (u32, u32, String) {
        let answers = self.client_got();
        assert_eq!(answers.len(), 1);
        status_of(&answers[0])
    }
}

fn packets(output: &mut Output) -> Vec<Packet> {
    let mut bytes = BytesMut::from(&output.copy_to_bytes(output.remaining())[..]);
    let mut packets = Vec::new();
    while let Some(packet) = Packet::take(&mut bytes).unwrap() {
        packets.push(packet);
    }
    assert!(bytes.is_empty());
    packets
}

fn no() -> Refusal {
    Refusal { rule: "files".into(), reason: "not yours".into(), hint: Some("ask alice".into()) }
}

fn status_of(packet: &Packet) -> (u32, u32, String) {
    assert_eq!(packet.kind(), kind::STATUS);
    let mut reader = Reader::new(packet.body());
    let code = reader.u32().unwrap();
    let text = String::from_utf8(string(&mut reader).unwrap().to_vec()).unwrap();
    (packet.id(), code, text)
}

fn ok(id: u32) -> Packet {
    Packet::build(kind::STATUS, id, |out| out.put_u32(0))
}

fn name(id: u32, path: &[u8]) -> Packet {
    Packet::build(kind::NAME, id, |out| {
        out.put_u32(1);
        put_string(out, path);
        put_string(out, path);
        out.put_u32(0);
    })
}

fn handle_of(id: u32, handle: &[u8]) -> Packet {
    Packet::build(kind::HANDLE, id, |out| put_string(out, handle))
}

fn data(id: u32, data: &[u8]) -> Packet {
    Packet::build(kind::DATA, id, |out| put_string(out, data))
}

fn path_of(packet: &Packet) -> String {
    String::from_utf8(string(&mut Reader::new(packet.body())).unwrap().to_vec()).unwrap()
}

const READ: u32 = 1;
const WRITE: u32 = 2;
const CREATE: u32 = 8;
const TRUNCATE: u32 = 16;

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
fn two_hundred_reads_are_outstanding_and_answered_in_any_order() {
    let mut bench = Bench::new();
    bench.open("/srv/big", READ, b"h");
    for number in 0..200 {
        let offset = u64::from(number) * 65_536;
        bench.send(1000 + number, &Request::Read { handle: b"h", offset, length: 65_536 });
    }
    assert!(bench.machine.poll_question().is_none(), "the OPEN was judged, not each READ");
    let mut sent = bench.host_got();
    assert_eq!(sent.len(), 200);
    sent.reverse();
    for packet in &sent {
        let Request::Read { offset, .. } = Request::parse(packet.kind(), packet.body()).unwrap() else {
            panic!("a READ");
        };
        bench.host(data(packet.id(), &vec![u8::try_from(offset / 65_536).unwrap(); 65_536]));
        for answer in bench.client_got() {
            let content = string(&mut Reader::new(answer.body())).unwrap();
            assert_eq!(content.len(), 65_536);
            assert_eq!(u32::from(content[0]), answer.id() - 1000);
        }
    }
    bench.send(1, &Request::Close { handle: b"h" });
    let close = bench.host_got().remove(0);
    bench.host(ok(close.id()));
    let Some(Event::Closed { path, read, written, asked }) = bench.machine.poll_event() else {
        panic!("a closed file");
    };
    assert_eq!((path.as_str(), read, written, asked.len()), ("/srv/big", 200 * 65_536, 0, 1));
}

#[test]
fn data_is_forwarded_without_a_copy() {
    let mut bench = Bench::new();
    bench.open("/srv/a", READ | WRITE, b"h");
    let mut input = BytesMut::from(
        &Request::Write { handle: b"h", offset: 0, data: &[1; 65_536] }.encode().into_bytes()[..],
    );
    let place = input.as_ptr();
    bench.machine.handle_client(&mut input).unwrap();
    assert_eq!(bench.machine.upstream_output().chunk().as_ptr(), place);
    drop(bench.host_got());
    bench.send(1, &Request::Read { handle: b"h", offset: 0, length: 65_536 });
    let id = bench.host_got()[0].id();
    let mut input = BytesMut::from(&data(id, &[1; 65_536]).into_bytes()[..]);
    let place = input.as_ptr();
    bench.machine.handle_upstream(&mut input).unwrap();
    assert_eq!(bench.machine.client_output().chunk().as_ptr(), place);
}

#[test]
fn a_host_gives_no_more_than_was_asked_for() {
    let mut bench = Bench::new();
    bench.open("/srv/a", READ, b"h");
    bench.send(1, &Request::Read { handle: b"h", offset: 0, length: u32::MAX });
    let sent = bench.host_got().remove(0);
    let Request::Read { length, .. } = Request::parse(sent.kind(), sent.body()).unwrap() else {
        panic!("a READ");
    };
    assert_eq!(usize::try_from(length).unwrap(), MAX_DATA);
    bench.send(1, &Request::Read { handle: b"h", offset: 0, length: 2 });
    let id = bench.host_got()[0].id();
    let mut input = BytesMut::from(&data(id, b"abc").into_bytes()[..]);
    assert_eq!(bench.machine.handle_upstream(&mut input), Err(UpstreamFault::Oversized));
}

#[test]
fn a_length_that_cannot_be_is_found_before_anything_is_buffered() {
    for (length, expected) in [
        (u32::MAX, PacketError::TooLong { length: 0xffff_ffff }),
        (256 * 1024 + 1, PacketError::TooLong { length: 256 * 1024 + 1 }),
        (4, PacketError::TooShort { length: 4 }),
        (0, PacketError::TooShort { length: 0 }),
    ] {
        let mut input = BytesMut::from(&length.to_be_bytes()[..]);
        let mut machine = Inspector::new(Options::default());
        assert_eq!(machine.handle_client(&mut input), Err(ClientFault::Packet(expected)));
        let mut bench = Bench::new();
        let mut input = BytesMut::from(&length.to_be_bytes()[..]);
        assert_eq!(bench.machine.handle_upstream(&mut input), Err(UpstreamFault::Packet(expected)));
    }
    // a length inside a packet is bounded by the packet
    let mut bench = Bench::new();
    bench.client(Packet::build(kind::REMOVE, 9, |out| out.put_u32(u32::MAX)));
    assert_eq!(bench.only_status().1, 5);
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
fn only_known_extensions_are_offered_and_the_version_is_3() {
    let mut machine = Inspector::new(Options::default());
    let mut init = BytesMut::from(&Packet::build(kind::INIT, 6, |_| ()).into_bytes()[..]);
    machine.handle_client(&mut init).unwrap();
    assert_eq!(packets(machine.upstream_output())[0].id(), 3);
    let version = Packet::build(kind::VERSION, 3, |out| {
        for text in ["posix-rename@openssh.com", "1", "statvfs@openssh.com", "3", "vendor-id", "x"] {
            put_string(out, text.as_bytes());
        }
    });
    machine.handle_upstream(&mut BytesMut::from(&version.into_bytes()[..])).unwrap();
    let told = packets(machine.client_output()).remove(0);
    let mut expected = BytesMut::new();
    put_string(&mut expected, b"posix-rename@openssh.com");
    put_string(&mut expected, b"1");
    assert_eq!((told.id(), told.body()), (3, &expected[..]));
    assert!(!machine.wants_client_input(), "where paths start is not known yet");

    let mut machine = Inspector::new(Options::default());
    let mut early = BytesMut::from(&Request::Stat { path: b"/" }.encode().into_bytes()[..]);
    assert_eq!(machine.handle_client(&mut early), Err(ClientFault::Unexpected(kind::STAT)));
    let mut old = BytesMut::from(&Packet::build(kind::INIT, 2, |_| ()).into_bytes()[..]);
    assert_eq!(machine.handle_client(&mut old), Err(ClientFault::Version(2)));
}

#[test]
fn limits_are_never_above_ours() {
    let mut bench = Bench::new();
    bench.send(3, &Request::Limits);
    let id = bench.host_got()[0].id();
    bench.host(Packet::build(kind::EXTENDED_REPLY, id, |out| {
        for limit in [1 << 30, 0, 32_768, 50] {
            out.put_u64(limit);
        }
    }));
    let told = bench.client_got().remove(0);
    let mut reader = Reader::new(told.body());
    let limits: Vec<_> = (0..4).map(|_| u64(&mut reader).unwrap()).collect();
    assert_eq!((told.id(), limits), (3, vec![262_144, 261_120, 32_768, 50]));
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

#[test]
fn too_much_on_its_way_makes_the_client_wait() {
    let mut bench = Bench::with(Options { outstanding: 3, waiting: 2, handles: 2, ..Options::default() });
    let mut input = BytesMut::new();
    for _ in 0..5 {
        input.extend_from_slice(&Request::Remove { path: b"/a" }.encode().into_bytes());
    }
    bench.machine.handle_client(&mut input).unwrap();
    assert!(!bench.machine.wants_client_input());
    let one = Request::Remove { path: b"/a" }.encode().size();
    assert_eq!(input.len(), 3 * one, "two wait for an answer");
    for _ in 0..3 {
        while let Some(question) = bench.machine.poll_question() {
            bench.machine.handle_answer(question.id, &Answer::Forward);
        }
        bench.machine.handle_client(&mut input).unwrap();
    }
    assert_eq!(bench.host_got().len(), 3, "three are on their way");
    assert_eq!(input.len(), 2 * one);
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

/// A client's whole channel, and what the host answers.
fn conversation() -> (Bytes, Vec<Bytes>) {
    let mut client = BytesMut::from(&Packet::build(kind::INIT, 3, |_| ()).into_bytes()[..]);
    for (id, request) in [
        Request::Open { path: b"x/../a", flags: READ, attributes: Attributes::default() },
        Request::Remove { path: b"b" },
        Request::CopyData { from: b"a", from_offset: 0, length: 0, to: b"b", to_offset: 0 },
    ]
    .iter()
    .enumerate()
    {
        let mut packet = request.encode();
        packet.set_id(u32::try_from(id).unwrap());
        client.extend_from_slice(&packet.into_bytes());
    }
    let host = [Packet::build(kind::VERSION, 3, |_| ()), name(1, b"/home"), handle_of(2, b"h"), ok(3)];
    (client.freeze(), host.map(Packet::into_bytes).to_vec())
}

/// Runs the conversation in pieces of this size; returns what both sides were sent, and the events.
fn run(size: usize) -> (Bytes, Bytes, Vec<Event>) {
    let (client, host) = conversation();
    let mut machine = Inspector::new(Options::default());
    let (mut from_client, mut from_host) = (BytesMut::new(), BytesMut::new());
    let (mut to_host, mut to_client, mut events) = (BytesMut::new(), BytesMut::new(), Vec::new());
    let mut host_packets = host.iter();
    let mut answered = 0;
    let mut turn = |client_piece: &[u8], host_piece: &[u8]| {
        from_client.extend_from_slice(client_piece);
        machine.handle_client(&mut from_client).unwrap();
        from_host.extend_from_slice(host_piece);
        machine.handle_upstream(&mut from_host).unwrap();
        machine.handle_client(&mut from_client).unwrap();
        while let Some(question) = machine.poll_question() {
            machine.handle_answer(question.id, &Answer::Forward);
        }
        events.extend(std::iter::from_fn(|| machine.poll_event()));
        let output = machine.upstream_output();
        to_host.put(output.copy_to_bytes(output.remaining()));
        let output = machine.client_output();
        to_client.put(output.copy_to_bytes(output.remaining()));
        let mut sent = to_host.clone();
        std::iter::from_fn(|| Packet::take(&mut sent).unwrap()).count()
    };
    for piece in client.chunks(size) {
        turn(piece, b"");
    }
    // the host answers what it was sent
    while turn(b"", b"") > answered {
        answered += 1;
        for piece in host_packets.next().unwrap().chunks(size) {
            turn(b"", piece);
        }
    }
    (to_host.freeze(), to_client.freeze(), events)
}

#[test]
fn a_conversation_in_single_bytes_is_the_same() {
    let whole = run(usize::MAX);
    assert_eq!(whole.2.len(), 4);
    for size in [1, 2, 3, 7, 64] {
        assert_eq!(run(size), whole, "{size}");
    }
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..20)
}

fn attributes() -> impl Strategy<Value = Attributes> {
    (any::<Option<u64>>(), any::<Option<(u32, u32)>>(), any::<Option<u32>>(), any::<Option<(u32, u32)>>())
        .prop_map(|(size, owner, permissions, times)| Attributes { size, owner, permissions, times })
}

proptest! {
    #[test]
    fn a_request_is_written_as_it_was_read(
        one in bytes(), two in bytes(), a in any::<u64>(), b in any::<u32>(), attributes in attributes(),
    ) {
        let (one, two) = (&one[..], &two[..]);
        for request in [
            Request::Close { handle: one },
            Request::CopyData { from: one, from_offset: a, length: a, to: two, to_offset: a },
            Request::ExpandPath { path: one },
            Request::Fsetstat { handle: one, attributes },
            Request::Fstat { handle: one },
            Request::Fstatvfs { handle: one },
            Request::Fsync { handle: one },
            Request::Hardlink { from: one, to: two },
            Request::HomeDirectory { user: one },
            Request::Limits,
            Request::Lsetstat { path: one, attributes },
            Request::Lstat { path: one },
            Request::Mkdir { path: one, attributes },
            Request::Open { path: one, flags: b, attributes },
            Request::Opendir { path: one },
            Request::PosixRename { from: one, to: two },
            Request::Read { handle: one, offset: a, length: b },
            Request::Readdir { handle: one },
            Request::Readlink { path: one },
            Request::Realpath { path: one },
            Request::Remove { path: one },
            Request::Rename { from: one, to: two },
            Request::Rmdir { path: one },
            Request::Setstat { path: one, attributes },
            Request::Stat { path: one },
            Request::Statvfs { path: one },
            Request::Symlink { first: one, second: two },
            Request::UsersGroups { users: one, groups: two },
            Request::Write { handle: one, offset: a, data: two },
        ] {
            let packet = request.encode();
            prop_assert_eq!(Request::parse(packet.kind(), packet.body()), Ok(request));
        }
    }

    #[test]
    fn whatever_is_refused_never_reaches_the_host(path in "[a./]{0,10}", kinds in proptest::collection::vec(0..8_u8, 1..20)) {
        let mut bench = Bench::new();
        let path = path.as_bytes();
        let attributes = Attributes::default();
        for kind in kinds {
            bench.send(u32::from(kind), &match kind {
                0 => Request::Remove { path },
                1 => Request::Open { path, flags: WRITE, attributes },
                2 => Request::Rename { from: path, to: path },
                3 => Request::Setstat { path, attributes },
                4 => Request::Hardlink { from: path, to: path },
                5 => Request::Write { handle: path, offset: 0, data: path },
                6 => Request::Statvfs { path },
                _ => Request::ExpandPath { path },
            });
            while let Some(question) = bench.machine.poll_question() {
                bench.machine.handle_answer(question.id, &Answer::Refuse(no()));
            }
        }
        prop_assert!(bench.host_got().is_empty());
        prop_assert!(bench.client_got().iter().all(|answer| answer.kind() == kind::STATUS));
    }
}
