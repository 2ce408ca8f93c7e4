use super::*;
use crate::wire::postgres::backend::CopyFormat;

fn format() -> CopyFormat {
    CopyFormat { overall: 0, columns: vec![0, 0] }
}

fn copying() -> Pair {
    Pair { expect: Expect::ANYTHING, ..Pair::new(ConversationOptions::default()) }
}

const COPIED: ServerMessage<'_> = ServerMessage::CommandComplete(b"COPY 1");

#[test]
fn copy_in_holds_the_client_until_it_has_begun_and_until_it_is_over() {
    let mut pair = copying();
    let data = ClientMessage::CopyData(b"1\n");
    let all = [query("copy t from stdin"), data, ClientMessage::CopyDone, query("select 1")];
    assert_eq!(pair.client(&all), ["Q copy t from stdin"]);
    assert!(!pair.machine.wants_client_input());
    assert_eq!(pair.upstream(&[ServerMessage::CopyInResponse(format())]), ["G"]);
    assert_eq!(pair.sent(), ["d 1\n", "c", "H"]);
    assert_eq!(pair.upstream(&[COPIED, IDLE]), ["C COPY 1", "Z Idle"]);
    assert_eq!(pair.sent(), ["Q select 1"]);
    assert!(pair.observed().contains(&Observation::Copy { question: QuestionId(1), direction: CopyWay::In }));
}

#[test]
fn copy_data_outside_copy_is_thrown_away_as_postgresql_does() {
    let mut pair = copying();
    let all = [ClientMessage::CopyData(b"1\n"), ClientMessage::CopyDone, ClientMessage::CopyFail(b"x"), SYNC];
    assert_eq!(pair.client(&all), ["S"]);
}

#[test]
fn a_failed_copy_in_throws_the_rest_away() {
    let mut pair = copying();
    pair.client(&[query("copy t from stdin")]);
    pair.upstream(&[ServerMessage::CopyInResponse(format())]);
    assert_eq!(pair.client(&[ClientMessage::CopyData(b"bad")]), ["d bad"]);
    pair.upstream_bytes(&error(Severity::Error, "22P02", "bad"));
    let rest = [ClientMessage::CopyData(b"2\n"), ClientMessage::CopyDone, query("select 1")];
    assert_eq!(pair.client(&rest), ["Q select 1"]);
    assert_eq!(pair.upstream(&[IDLE, DONE, IDLE]), ["Z Idle", "C SELECT 1", "Z Idle"]);
}

#[test]
fn an_extended_copy_in_is_flushed_and_its_early_sync_is_thrown_away() {
    let mut pair = copying();
    let sent = pair.client(&[parse("", "copy t from stdin"), bind("", "", &[]), execute(""), SYNC]);
    // the Sync waits for the answer to Execute, so the answer is asked for
    assert_eq!(sent, ["P  copy t from stdin", "B", "E", "H"]);
    pair.upstream(&[
        ServerMessage::ParseComplete,
        ServerMessage::BindComplete,
        ServerMessage::CopyInResponse(format()),
    ]);
    let sent = pair.client(&[ClientMessage::CopyData(b"1\n"), ClientMessage::CopyDone, SYNC]);
    assert_eq!(sent, ["d 1\n", "c", "H"]);
    assert_eq!(pair.upstream(&[COPIED]), ["C COPY 1"]);
    assert_eq!(pair.sent(), ["S"]);
    assert_eq!(pair.upstream(&[IDLE]), ["Z Idle"]);
    assert_eq!(pair.machine.outstanding(), 0);
}

#[test]
fn an_extended_copy_in_that_fails_before_its_data_answers_the_early_sync() {
    let mut pair = copying();
    pair.client(&[execute(""), SYNC]);
    pair.upstream(&[ServerMessage::CopyInResponse(format())]);
    pair.upstream_bytes(&error(Severity::Error, "P0001", "a trigger says no"));
    assert_eq!(pair.sent(), ["S"]);
    assert_eq!(pair.upstream(&[IDLE]), ["Z Idle"]);
    assert_eq!(pair.machine.outstanding(), 0);
}

#[test]
fn a_statement_that_turns_out_not_to_copy_releases_the_client() {
    let mut pair = copying();
    pair.client(&[execute(""), SYNC]);
    pair.upstream(&[DONE]);
    assert_eq!(pair.sent(), ["S"]);
    let mut pair = copying();
    pair.client(&[execute(""), SYNC]);
    pair.upstream_bytes(&error(Severity::Error, "34000", "no such portal"));
    assert_eq!(pair.sent(), ["S"]);
}

#[test]
fn anything_but_data_during_copy_in_is_the_clients_fault() {
    let mut pair = copying();
    pair.client(&[query("copy t from stdin")]);
    pair.upstream(&[ServerMessage::CopyInResponse(format())]);
    query("select 1").encode(&mut pair.client);
    let fault = pair.machine.handle_client(&mut pair.client).unwrap_err();
    assert!(matches!(fault, ClientFault::Unexpected { tag: b'Q', .. }));
}

#[test]
fn copy_data_passes_in_pieces() {
    let mut pair = copying();
    pair.client(&[query("copy t from stdin")]);
    pair.upstream(&[ServerMessage::CopyInResponse(format())]);
    let data = vec![b'x'; 1_000_000];
    let mut bytes = BytesMut::new();
    ClientMessage::CopyData(&data).encode(&mut bytes);
    let mut passed = 0;
    while !bytes.is_empty() {
        let mut piece = bytes.split_to(bytes.len().min(10_000));
        pair.machine.handle_client(&mut piece).unwrap();
        assert!(piece.is_empty());
        passed += pair.machine.upstream_output().split().len();
    }
    assert_eq!(passed, data.len() + 5);
}

#[test]
fn copy_out_passes_to_the_client() {
    let mut pair = copying();
    pair.client(&[query("copy t to stdout")]);
    let shown = pair.upstream(&[
        ServerMessage::CopyOutResponse(format()),
        ServerMessage::CopyData(b"1\n"),
        ServerMessage::CopyDone,
        COPIED,
        IDLE,
    ]);
    assert_eq!(shown, ["H", "d 1\n", "c", "C COPY 1", "Z Idle"]);
}

#[test]
fn a_copy_that_was_not_judged_ends_the_session() {
    for (message, direction) in [
        (ServerMessage::CopyInResponse(format()), "in"),
        (ServerMessage::CopyOutResponse(format()), "out"),
        (ServerMessage::CopyBothResponse(format()), "both"),
    ] {
        let mut pair = Pair::new(ConversationOptions::default());
        pair.client(&[query("select 1")]);
        assert_eq!(pair.fault(&message), UpstreamFault::Copy { direction });
    }
    // neither does a judged COPY out allow a COPY in
    let mut pair = Pair::new(ConversationOptions::default());
    pair.expect = Expect { copy_out: true, ..Expect::default() };
    pair.client(&[query("copy t to stdout")]);
    assert_eq!(pair.fault(&ServerMessage::CopyInResponse(format())), UpstreamFault::Copy { direction: "in" });
}

#[test]
fn replication_copies_both_ways() {
    let mut pair = copying();
    pair.machine.options.replication = true;
    pair.client(&[query("START_REPLICATION 0/0")]);
    pair.upstream(&[ServerMessage::CopyBothResponse(format()), ServerMessage::CopyData(b"w")]);
    assert_eq!(pair.client(&[ClientMessage::CopyData(b"r"), ClientMessage::CopyDone]), ["d r", "c"]);
    assert_eq!(pair.upstream(&[ServerMessage::CopyDone, DONE, IDLE]), ["c", "C SELECT 1", "Z Idle"]);
}
