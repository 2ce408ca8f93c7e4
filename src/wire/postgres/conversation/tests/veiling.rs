use std::ops::Range;
use std::sync::Arc;

use super::*;
use crate::wire::postgres::backend::{Column, CopyFormat};
use crate::wire::postgres::veil::{Finder, Found, Hint};

/// Finds `secret`.
#[derive(Debug)]
struct Secrets;

impl Finder for Secrets {
    fn find(&self, text: &[u8], _: Hint) -> Vec<Range<usize>> {
        let places = text.windows(6).enumerate().filter(|(_, window)| *window == b"secret");
        places.map(|(at, _)| at..at + 6).collect()
    }

    fn hint(&self, _: &str) -> Hint {
        Hint::default()
    }

    fn is_whole(&self, _: &[u8]) -> bool {
        false
    }

    fn json(&self, _: &[u8]) -> Found {
        Found::Instead(b"{}".to_vec())
    }

    fn hides_addresses(&self) -> bool {
        false
    }
}

fn veiled() -> Pair {
    let mut pair = Pair::new(ConversationOptions::default());
    pair.machine = Conversation::new(ConversationOptions::default()).with_veil(Veil::new(Arc::new(Secrets)));
    Pair { expect: Expect { shifts: false, ..Expect::ANYTHING }, ..pair }
}

fn column(type_oid: u32, format: i16) -> Column {
    Column { name: "c".into(), table: 0, attribute: 0, type_oid, type_size: -1, type_modifier: -1, format }
}

fn row<'a>(values: &[&'a [u8]]) -> ServerMessage<'a> {
    ServerMessage::DataRow(values.iter().copied().map(Some).collect())
}

/// The rows on their way to the client, as bytes.
fn rows(pair: &mut Pair) -> Vec<Vec<Option<Vec<u8>>>> {
    let output = pair.machine.client_output();
    let mut bytes = BytesMut::from(&output.copy_to_bytes(output.remaining())[..]);
    let mut rows = Vec::new();
    while let Some(frame) = frame::take(&mut bytes, usize::MAX).unwrap() {
        if let Some(ServerMessage::DataRow(values)) = ServerMessage::parse(frame.tag, frame.body()).unwrap() {
            rows.push(values.into_iter().map(|value| value.map(<[u8]>::to_vec)).collect());
        }
    }
    rows
}

fn feed(pair: &mut Pair, messages: &[ServerMessage<'_>]) -> Vec<Vec<Option<Vec<u8>>>> {
    messages.iter().for_each(|message| message.encode(&mut pair.upstream));
    pair.machine.handle_upstream(&mut pair.upstream).unwrap();
    rows(pair)
}

fn some(text: &[u8]) -> Option<Vec<u8>> {
    Some(text.to_vec())
}

#[test]
fn rows_of_a_query_are_looked_into_by_their_types() {
    let mut pair = veiled();
    pair.client(&[query("select 1")]);
    let columns = ServerMessage::RowDescription(vec![column(25, 0), column(23, 0), column(114, 0)]);
    let shown = feed(&mut pair, &[columns, row(&[b"a secret b", b"secret", b"[1]"]), row(&[b"", b"1", b""])]);
    assert_eq!(shown[0], [some(b"a [masked] b"), some(b"secret"), some(b"{}")]);
    assert_eq!(shown.len(), 2);
}

/// The database says which columns a statement has before rows come, whatever the client asks for.
#[test]
fn rows_of_a_pipeline_are_looked_into_by_what_was_described() {
    let mut pair = Pair { expect: Expect::default(), ..veiled() };
    let binary = ClientMessage::Bind(Bind {
        portal: b"",
        statement: b"s",
        formats: Vec::new(),
        values: Vec::new(),
        result_formats: vec![1, 1],
    });
    let sent = pair.client(&[parse("s", "select 1"), binary, execute(""), SYNC]);
    assert_eq!(sent, ["P s select 1", "DS s", "B", "E", "S"]);
    let described = [
        ServerMessage::ParseComplete,
        ServerMessage::ParameterDescription(Vec::new()),
        ServerMessage::RowDescription(vec![column(25, 0), column(3802, 0)]),
        ServerMessage::BindComplete,
    ];
    assert!(feed(&mut pair, &described).is_empty());
    let shown = feed(&mut pair, &[row(&[b"secret", b"\x01[]"])]);
    assert_eq!(shown, [[some(b"[masked]"), some(b"\x01{}")]]);
}

/// By the time it runs, its cursor may be another one.
#[test]
fn what_a_fetch_was_described_as_is_not_what_it_gives() {
    let mut pair = Pair { expect: Expect { shifts: true, ..Expect::default() }, ..veiled() };
    pair.client(&[parse("s", "fetch all from c"), bind("", "s", &[]), execute(""), SYNC]);
    let described = [
        ServerMessage::ParseComplete,
        ServerMessage::ParameterDescription(Vec::new()),
        ServerMessage::RowDescription(vec![column(23, 0)]),
        ServerMessage::BindComplete,
    ];
    feed(&mut pair, &described);
    assert_eq!(feed(&mut pair, &[row(&[b"secret"])]), [[some(b"[masked]")]]);
}

/// A statement that SQL's PREPARE made was never described: its values are looked at as anything.
#[test]
fn rows_of_unknown_columns_are_looked_into() {
    let mut pair = veiled();
    pair.client(&[bind("", "made by SQL", &[]), execute(""), SYNC]);
    let shown = feed(&mut pair, &[ServerMessage::BindComplete, row(&[b"a secret", b"1"])]);
    assert_eq!(shown, [[some(b"a [masked]"), some(b"1")]]);
    let mut pair = veiled();
    pair.client(&[execute("a cursor of SQL"), SYNC]);
    let shown = feed(&mut pair, &[row(&[b"\0\0\0\x06secret\xff", b"secret"])]);
    assert_eq!(shown, [[None, some(b"[masked]")]]);
}

#[test]
fn a_value_that_is_split_over_messages_of_copy_is_found() {
    let mut pair = veiled();
    pair.client(&[query("copy t to stdout")]);
    let begin = ServerMessage::CopyOutResponse(CopyFormat { overall: 0, columns: vec![0] });
    let data = [b"1\tse".as_slice(), b"cret\n2", b"\tx\n", b"a secret"].map(ServerMessage::CopyData);
    assert_eq!(pair.upstream(&[begin]), ["H"]);
    let shown = pair.upstream(&data);
    assert_eq!(shown, ["d 1\t[masked]\n2\tx\n"]);
    let end = [ServerMessage::CopyDone, ServerMessage::CommandComplete(b"COPY 1"), IDLE];
    assert_eq!(pair.upstream(&end), ["d a [masked]", "c", "C COPY 1", "Z Idle"]);
}

#[test]
fn a_copy_in_binary_ends_the_connection() {
    let mut pair = veiled();
    pair.client(&[query("copy t to stdout (format binary)")]);
    let begin = ServerMessage::CopyOutResponse(CopyFormat { overall: 1, columns: vec![1] });
    assert_eq!(pair.fault(&begin), UpstreamFault::BinaryCopy);
}

#[test]
fn what_the_database_says_is_looked_into_and_nothing_else_is_kept_of_it() {
    let mut pair = veiled();
    pair.client(&[query("select 1")]);
    let said = ServerMessage::NotificationResponse { process: 1, channel: b"c", payload: b"a secret" };
    said.encode(&mut pair.upstream);
    pair.upstream.extend_from_slice(&error(Severity::Error, "22P02", "invalid input: secret"));
    pair.machine.handle_upstream(&mut pair.upstream).unwrap();
    let output = pair.machine.client_output();
    let shown = output.copy_to_bytes(output.remaining());
    let shown = String::from_utf8_lossy(&shown).into_owned();
    assert!(shown.contains("a [masked]") && shown.contains("input: [masked]"), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
    let observed = format!("{:?}", pair.observed());
    assert!(observed.contains("[masked]") && !observed.contains("secret"), "{observed}");
}
