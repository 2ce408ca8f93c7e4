#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod bounds;
mod conversation;
mod handles;
mod paths;
mod verdicts;

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
