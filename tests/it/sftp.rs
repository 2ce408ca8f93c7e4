//! The SFTP machine before OpenSSH's own server, which speaks on its standard input and output.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use bytes::{Buf as _, BytesMut};
use hoopctl::domain::facts::{FileFacts, FileOperation as Op};
use hoopctl::wire::ssh::refusal::Refusal;
use hoopctl::wire::ssh::sftp::{Answer, Attributes, Event, Inspector, Options, Packet, Request};

const SERVER: &str = "/usr/lib/openssh/sftp-server";

#[test]
fn files_are_written_read_and_listed_at_a_real_server() {
    let mut peer = Peer::new();
    let content: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    let handle = peer.open("x/../big", 2 | 8 | 16);
    // everything at once, as clients do
    let mut offset = 0;
    let mut sent = 0;
    for piece in content.chunks(65_536) {
        peer.send(&Request::Write { handle: &handle, offset, data: piece });
        offset += piece.len() as u64;
        sent += 1;
    }
    for _ in 0..sent {
        assert_eq!(peer.status(), 0);
    }
    peer.send(&Request::Close { handle: &handle });
    assert_eq!(peer.status(), 0);
    assert_eq!(std::fs::read(peer.folder.path().join("big")).unwrap(), content);

    let handle = peer.open("big", 1);
    let first = peer.next_id;
    // two hundred on their way
    for number in 0..200_u64 {
        peer.send(&Request::Read { handle: &handle, offset: number * 15_000, length: 15_000 });
    }
    let mut pieces = BTreeMap::new();
    for _ in 0..200 {
        let answer = peer.receive();
        assert_eq!(answer.kind(), 103, "DATA");
        pieces.insert(answer.id() - first, answer.body()[4..].to_vec());
    }
    let read: Vec<u8> = pieces.into_values().flatten().collect();
    assert!(read == content, "{} bytes came back", read.len());
    peer.send(&Request::Close { handle: &handle });
    assert_eq!(peer.status(), 0);

    peer.send(&Request::Opendir { path: b"." });
    let handle = peer.handle();
    peer.send(&Request::Readdir { handle: &handle });
    let names = peer.receive();
    assert!(names.body().windows(3).any(|window| window == b"big"));

    let closed: Vec<_> = peer
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Closed { read, written, .. } => Some((*read, *written)),
            _ => None,
        })
        .collect();
    assert_eq!(closed, [(0, 3_000_000), (3_000_000, 0)]);
    let asked: Vec<_> = peer.asked.iter().map(|facts| facts.operation).collect();
    assert_eq!(asked, [Op::Write, Op::Read, Op::List]);
    let big = peer.folder.path().canonicalize().unwrap().join("big");
    assert_eq!(Path::new(&peer.asked[0].path), big);
}

#[test]
fn what_is_refused_does_not_happen_at_a_real_server() {
    let mut peer = Peer::new();
    std::fs::write(peer.folder.path().join("kept"), "kept").unwrap();
    peer.allowed = |facts| facts.operation.is_read_only();
    for request in [
        Request::Remove { path: b"kept" },
        Request::Rename { from: b"kept", to: b"gone" },
        Request::PosixRename { from: b"kept", to: b"gone" },
        Request::Hardlink { from: b"kept", to: b"gone" },
        Request::Symlink { first: b"kept", second: b"gone" },
        Request::Mkdir { path: b"gone", attributes: Attributes::default() },
        Request::Setstat { path: b"kept", attributes: Attributes { size: Some(0), ..Attributes::default() } },
        Request::Lsetstat {
            path: b"kept",
            attributes: Attributes { permissions: Some(0), ..Attributes::default() },
        },
        Request::Open { path: b"gone", flags: 2 | 8, attributes: Attributes::default() },
        Request::Open { path: b"kept", flags: 1 | 16, attributes: Attributes::default() },
    ] {
        peer.send(&request);
        assert_eq!(peer.status(), 3, "{request:?}");
    }
    let names: Vec<_> =
        std::fs::read_dir(peer.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["kept"]);
    assert_eq!(std::fs::read(peer.folder.path().join("kept")).unwrap(), b"kept");
    let handle = peer.open("kept", 1);
    peer.send(&Request::Read { handle: &handle, offset: 0, length: 100 });
    assert_eq!(peer.receive().body(), b"\0\0\0\x04kept");
}

#[test]
fn links_and_extensions_work_at_a_real_server() {
    let mut peer = Peer::new();
    std::fs::write(peer.folder.path().join("a"), "four").unwrap();
    peer.send(&Request::Symlink { first: b"x/../a", second: b"link" });
    assert_eq!(peer.status(), 0);
    assert_eq!(std::fs::read_link(peer.folder.path().join("link")).unwrap(), Path::new("a"));
    let facts = peer.asked.last().unwrap();
    assert!(facts.path.ends_with("/link") && facts.to.as_ref().unwrap().ends_with("/a"), "{facts:?}");

    peer.send(&Request::Hardlink { from: b"a", to: b"b" });
    assert_eq!(peer.status(), 0);
    peer.send(&Request::PosixRename { from: b"b", to: b"c" });
    assert_eq!(peer.status(), 0);
    let (from, to) = (peer.open("c", 1), peer.open("d", 2 | 8));
    peer.send(&Request::CopyData { from: &from, from_offset: 0, length: 0, to: &to, to_offset: 0 });
    assert_eq!(peer.status(), 0);
    peer.send(&Request::Fsync { handle: &to });
    assert_eq!(peer.status(), 0);
    assert_eq!(std::fs::read(peer.folder.path().join("d")).unwrap(), b"four");
    // backwards it was not opened for
    peer.send(&Request::CopyData { from: &to, from_offset: 0, length: 0, to: &from, to_offset: 0 });
    assert_eq!(peer.status(), 3);
    for (request, kind) in [
        (Request::Limits, 201),
        (Request::Statvfs { path: b"." }, 201),
        (Request::Fstatvfs { handle: &from }, 201),
        (Request::Fstat { handle: &from }, 105),
        (Request::Lstat { path: b"link" }, 105),
        (Request::Readlink { path: b"link" }, 104),
        (Request::Realpath { path: b"link" }, 104),
        (Request::ExpandPath { path: b"~/a" }, 104),
        (Request::HomeDirectory { user: b"root" }, 104),
        (Request::UsersGroups { users: &[0; 4], groups: &[0; 4] }, 201),
    ] {
        peer.send(&request);
        assert_eq!(peer.receive().kind(), kind, "{request:?}");
    }
    peer.send(&Request::Mkdir { path: b"e", attributes: Attributes::default() });
    assert_eq!(peer.status(), 0);
    peer.send(&Request::Rmdir { path: b"e" });
    assert_eq!(peer.status(), 0);
}

/// A client's end: the machine, and the server behind it in a folder of its own.
struct Peer {
    machine: Inspector,
    folder: tempfile::TempDir,
    server: Child,
    input: ChildStdin,
    output: ChildStdout,
    from_client: BytesMut,
    from_host: BytesMut,
    received: BytesMut,
    next_id: u32,
    allowed: fn(&FileFacts) -> bool,
    asked: Vec<FileFacts>,
    events: Vec<Event>,
}

impl Peer {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Command::new(SERVER)
            .args(["-d", folder.path().to_str().unwrap()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{SERVER} (package openssh-sftp-server): {error}"));
        let (input, output) = (server.stdin.take().unwrap(), server.stdout.take().unwrap());
        let mut peer = Self {
            machine: Inspector::new(Options::default()),
            folder,
            server,
            input,
            output,
            from_client: BytesMut::new(),
            from_host: BytesMut::new(),
            received: BytesMut::new(),
            next_id: 100,
            allowed: |_| true,
            asked: Vec::new(),
            events: Vec::new(),
        };
        peer.from_client.extend_from_slice(b"\0\0\0\x05\x01\0\0\0\x03");
        let version = peer.receive();
        assert_eq!((version.kind(), version.id()), (2, 3));
        assert!(version.body().windows(9).any(|window| window == b"copy-data"));
        peer
    }

    fn send(&mut self, request: &Request<'_>) {
        let mut packet = request.encode();
        packet.set_id(self.next_id);
        self.next_id += 1;
        self.from_client.extend_from_slice(&packet.into_bytes());
        self.turn();
    }

    fn receive(&mut self) -> Packet {
        loop {
            self.turn();
            if let Some(packet) = Packet::take(&mut self.received).unwrap() {
                return packet;
            }
            let mut chunk = [0; 65_536];
            let count = self.output.read(&mut chunk).unwrap();
            assert!(count > 0, "the server has ended");
            self.from_host.extend_from_slice(&chunk[..count]);
        }
    }

    fn turn(&mut self) {
        self.machine.handle_upstream(&mut self.from_host).unwrap();
        self.machine.handle_client(&mut self.from_client).unwrap();
        while let Some(question) = self.machine.poll_question() {
            let answer = if (self.allowed)(&question.facts) { Answer::Forward } else { Answer::Refuse(no()) };
            self.machine.handle_answer(question.id, &answer);
            self.asked.push(question.facts);
        }
        self.events.extend(std::iter::from_fn(|| self.machine.poll_event()));
        while let Some(run) = self.machine.upstream_output().pop() {
            self.input.write_all(&run).unwrap();
        }
        let output = self.machine.client_output();
        self.received.extend_from_slice(&output.copy_to_bytes(output.remaining()));
    }

    fn open(&mut self, path: &str, flags: u32) -> Vec<u8> {
        self.send(&Request::Open { path: path.as_bytes(), flags, attributes: Attributes::default() });
        self.handle()
    }

    fn handle(&mut self) -> Vec<u8> {
        let answer = self.receive();
        assert_eq!(answer.kind(), 102, "HANDLE");
        answer.body()[4..].to_vec()
    }

    fn status(&mut self) -> u32 {
        let answer = self.receive();
        assert_eq!(answer.kind(), 101, "STATUS");
        u32::from_be_bytes(*answer.body().first_chunk().unwrap())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

fn no() -> Refusal {
    Refusal { rule: "test".to_owned(), reason: "no".to_owned(), hint: None }
}
