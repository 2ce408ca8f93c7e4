//! How much may be on its way, and of what size.

use super::*;

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
