use proptest::prelude::*;

use super::*;
use crate::wire::postgres::fuzz;

/// The same conversation in pieces of this size; what both sides got.
fn run(piece: usize) -> (Vec<String>, Vec<String>) {
    let mut pair = Pair::inspecting();
    let (mut from_client, mut from_upstream) = (BytesMut::new(), BytesMut::new());
    for message in [
        parse("s", "select $1"),
        bind("", "s", &[Some(b"1")]),
        execute(""),
        SYNC,
        query("select secret"),
        parse("", "select secret"),
        bind("", "", &[]),
        SYNC,
    ] {
        message.encode(&mut from_client);
    }
    for message in [
        ServerMessage::ParseComplete,
        ServerMessage::ParameterDescription(vec![25]),
        columns(),
        ServerMessage::BindComplete,
        row(),
        row(),
        DONE,
        IDLE,
    ] {
        message.encode(&mut from_upstream);
    }
    from_upstream.extend_from_slice(&syntax_error());
    IDLE.encode(&mut from_upstream);
    from_upstream.extend_from_slice(&syntax_error());
    IDLE.encode(&mut from_upstream);

    for bytes in from_client.chunks(piece) {
        pair.client.extend_from_slice(bytes);
        pair.pump();
    }
    let sent = pair.sent();
    for bytes in from_upstream.chunks(piece) {
        pair.upstream.extend_from_slice(bytes);
        pair.machine.handle_upstream(&mut pair.upstream).unwrap();
    }
    (sent, pair.shown())
}

#[test]
fn byte_at_a_time_equals_whole() {
    let whole = run(usize::MAX);
    assert_eq!(
        whole.1,
        [
            "1",
            "2",
            "D",
            "D",
            "C SELECT 1",
            "Z Idle",
            "E 42501 denied by rule `no-secrets`",
            "Z Idle",
            "E 42501 denied by rule `no-secrets`",
            "Z Idle",
        ]
    );
    for piece in [1, 2, 3, 7, 64] {
        assert_eq!(run(piece), whole, "in pieces of {piece}");
    }
}

#[test]
fn runs_of_rows_are_not_copied() {
    let mut pair = Pair::new(ConversationOptions::default());
    pair.client(&[query("select")]);
    let mut bytes = BytesMut::new();
    for _ in 0..1_000 {
        row().encode(&mut bytes);
    }
    let at = bytes.as_ptr();
    let length = bytes.len();
    pair.machine.handle_upstream(&mut bytes).unwrap();
    let run = pair.machine.client_output().pop().unwrap();
    assert_eq!((run.as_ptr(), run.len()), (at, length));
}

#[test]
fn a_slow_client_stops_the_reading() {
    let mut pair = Pair::new(ConversationOptions::default());
    pair.client(&[query("select")]);
    let mut bytes = BytesMut::new();
    for _ in 0..100_000 {
        row().encode(&mut bytes);
    }
    pair.machine.handle_upstream(&mut bytes).unwrap();
    assert!(!pair.machine.wants_upstream_input());
    assert!(!bytes.is_empty());
    let mut rows = 0;
    while !pair.machine.client_output().is_empty() {
        rows += pair.shown().len();
        pair.machine.handle_upstream(&mut bytes).unwrap();
    }
    assert_eq!(rows, 100_000);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(data in proptest::collection::vec(any::<u8>(), 0..400)) {
        fuzz::all(&data);
    }

    #[test]
    fn no_messages_make_it_panic(tags in proptest::collection::vec((any::<bool>(), 0..32usize, 0..3u8), 0..40)) {
        let mut data = Vec::new();
        for (client, which, answer) in tags {
            let mut message = BytesMut::new();
            if client {
                let messages = fuzz::client_samples();
                messages[which % messages.len()].encode(&mut message);
            } else {
                let messages = fuzz::server_samples();
                messages[which % messages.len()].encode(&mut message);
            }
            data.extend([u8::from(client) << 7 | answer, u8::try_from(message.len()).unwrap()]);
            data.extend_from_slice(&message);
        }
        fuzz::conversation(&data);
    }

    #[test]
    fn what_is_written_is_read(
        name in "[a-z]{0,8}", text in "[ -~]{0,40}", oid: u32, number: i32,
        values in proptest::collection::vec(proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9)), 0..5),
        formats in proptest::collection::vec(any::<i16>(), 0..3),
    ) {
        let values: Vec<Option<&[u8]>> = values.iter().map(Option::as_deref).collect();
        let (name, text) = (name.as_bytes(), text.as_bytes());
        let mut client = fuzz::client_samples();
        client.extend([
            ClientMessage::Bind(Bind { portal: name, statement: text, formats: formats.clone(), values: values.clone(), result_formats: formats.clone() }),
            ClientMessage::Execute { portal: name, max_rows: number },
            ClientMessage::Parse(Parse { statement: name, text, types: vec![oid, 0] }),
            ClientMessage::CopyFail(text),
            ClientMessage::FunctionCall(crate::wire::postgres::frontend::FunctionCall { oid, formats, arguments: values.clone(), result_format: 1 }),
        ]);
        for message in client {
            let mut bytes = BytesMut::new();
            message.encode(&mut bytes);
            let frame = frame::take(&mut bytes, usize::MAX).unwrap().unwrap();
            prop_assert!(bytes.is_empty());
            let read = ClientMessage::parse(frame.tag, frame.body()).unwrap().unwrap();
            prop_assert_eq!(read, message);
        }
        let mut server = fuzz::server_samples();
        server.extend([
            ServerMessage::DataRow(values),
            ServerMessage::ParameterStatus { name, value: text },
            ServerMessage::NotificationResponse { process: oid, channel: name, payload: text },
            ServerMessage::ParameterDescription(vec![oid]),
            ServerMessage::NegotiateProtocolVersion { version: oid, options: vec![name, text] },
        ]);
        for message in server {
            let mut bytes = BytesMut::new();
            message.encode(&mut bytes);
            let frame = frame::take(&mut bytes, usize::MAX).unwrap().unwrap();
            prop_assert!(bytes.is_empty());
            let read = ServerMessage::parse(frame.tag, frame.body()).unwrap().unwrap();
            prop_assert_eq!(read, message);
        }
    }
}
