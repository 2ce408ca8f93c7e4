//! Whole channels, cut anywhere, and requests of any kind.

use super::*;

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
