use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::domain::caps::{Cap, CapKind, Caps};
use crate::domain::name::RuleName;
use crate::wire::postgres::backend::CopyFormat;
use crate::wire::postgres::frontend::FunctionCall;

/// What is asked counts against these caps, each statement by itself.
fn capped(caps: &[Caps]) -> Pair {
    let meters = caps
        .iter()
        .enumerate()
        .map(|(n, caps)| vec![Arc::new(Meter::new(u64::try_from(n).unwrap() + 1, Arc::new(caps.clone())))]);
    let meters = Some(Meters::new(meters.collect()));
    Pair { meters, expect: Expect::ANYTHING, ..Pair::new(ConversationOptions::default()) }
}

fn cap(most: u64) -> Option<Cap> {
    Some(Cap { most, rule: RuleName::new("small").unwrap(), hint: None })
}

fn rows(most: u64) -> Caps {
    Caps { rows: cap(most), ..Caps::default() }
}

fn time(most: u64) -> Caps {
    Caps { time: cap(most), ..Caps::default() }
}

fn canceled() -> BytesMut {
    error(Severity::Error, "57014", "canceling statement due to user request")
}

/// What the capping did, without the rest.
fn caught(pair: &mut Pair) -> Vec<String> {
    let told = |observation| match observation {
        Observation::Capped { overrun, .. } => {
            let Overrun { statement, kind, cap, rows, bytes } = *overrun;
            Some(format!("{} {} of statement {statement}: {rows} in {bytes}", kind.as_str(), cap.most))
        }
        Observation::Failed { sqlstate, upstream, .. } => {
            Some(format!("failed {sqlstate} {}", upstream.sqlstate))
        }
        Observation::Kept { told, .. } => Some(format!("kept {}", told.sqlstate)),
        Observation::Completed { tag, .. } => Some(tag),
        _ => None,
    };
    pair.observed().into_iter().filter_map(told).collect()
}

const ROWS: &str =
    "E 54000 the answer is longer than 2 rows, which is all that one statement may give out (rule small)";
const IN_TRANSACTION: ServerMessage<'_> = ServerMessage::ReadyForQuery(TransactionStatus::InTransaction);
const HEAD: ServerMessage<'_> = ServerMessage::RowDescription(Vec::new());

fn format() -> CopyFormat {
    CopyFormat { overall: 0, columns: vec![0] }
}

#[test]
fn a_row_too_many_is_an_error_and_not_a_shorter_answer() {
    let mut pair = capped(&[rows(2)]);
    pair.client(&[query("select")]);
    assert_eq!(pair.upstream(&[HEAD, row(), row()]), ["T", "D", "D"]);
    assert!(!pair.machine.wants_cancel());
    assert_eq!(pair.upstream(&[row(), row(), row()]), Vec::<String>::new());
    assert!(pair.machine.wants_cancel());
    assert_eq!(caught(&mut pair), ["rows 2 of statement 1: 2 in 24"]);
    assert_eq!(pair.upstream_bytes(&canceled()), [ROWS]);
    assert!(!pair.machine.wants_cancel());
    assert_eq!(pair.upstream(&[IDLE]), ["Z Idle"]);
    assert_eq!(caught(&mut pair), ["failed 54000 54000"]);
}

#[test]
fn as_many_rows_as_the_cap_are_no_error() {
    let mut pair = capped(&[rows(2)]);
    pair.client(&[query("select")]);
    assert_eq!(pair.upstream(&[HEAD, row(), row(), DONE, IDLE]), ["T", "D", "D", "C SELECT 1", "Z Idle"]);
    assert_eq!(caught(&mut pair), ["SELECT 1"]);
}

#[test]
fn what_was_done_before_the_cancel_came_is_said_to_be_kept() {
    let mut pair = capped(&[rows(2)]);
    pair.client(&[query("update returning")]);
    pair.upstream(&[HEAD, row(), row(), row()]);
    assert_eq!(pair.upstream(&[DONE, IDLE]), [ROWS, "Z Idle"]);
    assert_eq!(caught(&mut pair), ["rows 2 of statement 1: 2 in 24", "SELECT 1", "kept 54000"]);
    assert_eq!(pair.client(&[query("next")]), ["Q next"]);
}

#[test]
fn nothing_is_shown_of_what_stands_behind_a_capped_statement_in_its_text() {
    let mut pair = capped(&[rows(2), Caps::default()]);
    pair.client(&[query("select; select")]);
    pair.upstream(&[HEAD, row(), row(), row()]);
    assert_eq!(pair.upstream(&[DONE, HEAD, row(), DONE, IDLE]), [ROWS, "Z Idle"]);
    assert_eq!(pair.client(&[query("next")]), ["Q next"]);
}

#[test]
fn an_open_transaction_fails_although_the_statement_was_done() {
    let mut pair = capped(&[rows(2)]);
    pair.client(&[query("select")]);
    pair.upstream(&[HEAD, row(), row(), row()]);
    assert_eq!(pair.upstream(&[DONE, IN_TRANSACTION]), Vec::<String>::new());
    assert_eq!(pair.sent(), ["Q hoopctl: denied"]);
    assert_eq!(pair.upstream_bytes(&error(Severity::Error, "42601", "syntax error")), [ROWS]);
    assert_eq!(pair.upstream(&[FAILED]), ["Z Failed"]);
}

#[test]
fn pieces_of_a_portal_count_together() {
    let mut pair = capped(&[rows(2)]);
    pair.client(&[parse("", "select"), bind("p", "", &[]), execute("p")]);
    let ready = [ServerMessage::ParseComplete, ServerMessage::BindComplete];
    pair.upstream(&ready);
    assert_eq!(pair.upstream(&[row(), row(), ServerMessage::PortalSuspended]), ["D", "D", "s"]);
    assert_eq!(pair.client(&[execute("p"), SYNC]), ["E", "H"]);
    pair.upstream(&[row()]);
    assert_eq!(pair.upstream_bytes(&canceled()), [ROWS]);
    assert_eq!((pair.sent(), pair.upstream(&[IDLE])), (vec!["S".to_owned()], vec!["Z Idle".to_owned()]));
}

/// INVARIANT: what stands behind a capped statement has not run when the client is told that it was skipped.
#[test]
fn a_pipeline_fails_with_its_capped_statement_also_when_that_was_done() {
    let mut pair = capped(&[rows(2)]);
    let sent = pair.client(&[
        parse("", "select"),
        bind("", "", &[]),
        execute(""),
        bind("", "", &[]),
        execute(""),
        SYNC,
    ]);
    assert_eq!(sent, ["P  select", "B", "E", "H"]);
    pair.upstream(&[ServerMessage::ParseComplete, ServerMessage::BindComplete, row(), row(), row()]);
    assert_eq!(pair.upstream(&[DONE]), Vec::<String>::new());
    assert_eq!(pair.sent(), ["P hoopctl_denied hoopctl: denied", "H"]);
    assert_eq!(pair.upstream_bytes(&error(Severity::Error, "42601", "syntax error")), [ROWS]);
    assert_eq!(pair.sent(), ["S"]);
    assert_eq!(pair.upstream(&[IDLE]), ["Z Idle"]);
}

#[test]
fn bytes_of_copy_are_capped_and_no_line_is_cut() {
    let mut pair = capped(&[Caps { bytes: cap(100_000), ..Caps::default() }]);
    pair.client(&[query("copy to stdout")]);
    pair.upstream(&[ServerMessage::CopyOutResponse(format()), ServerMessage::CopyData(b"a line")]);
    // longer than what passes in one piece
    assert_eq!(pair.upstream(&[ServerMessage::CopyData(&[b'x'; 200_000])]), Vec::<String>::new());
    assert_eq!(caught(&mut pair), ["bytes 100000 of statement 1: 1 in 11"]);
    assert_eq!(pair.upstream(&[ServerMessage::CopyData(b"more")]), Vec::<String>::new());
    let told = pair.upstream_bytes(&canceled());
    assert!(told[0].starts_with("E 54000 the answer is longer than 100000 B"), "{told:?}");
    assert_eq!(pair.upstream(&[IDLE]), ["Z Idle"]);
}

#[test]
fn each_statement_of_a_text_has_its_own_cap_and_one_takes_the_rest_along() {
    let mut pair = capped(&[rows(3), rows(2), rows(1)]);
    pair.client(&[query("a; b; copy from stdin")]);
    let first = [HEAD, row(), row(), row(), DONE];
    assert_eq!(pair.upstream(&first).len(), 5);
    assert_eq!(pair.upstream(&[HEAD, row(), row(), row()]), ["T", "D", "D"]);
    assert_eq!(pair.upstream(&[DONE, ServerMessage::CopyInResponse(format())]), Vec::<String>::new());
    // the database must not wait for data that the client does not know of
    assert_eq!(pair.sent(), ["f"]);
    assert_eq!(pair.upstream_bytes(&canceled()), [ROWS]);
    assert_eq!(pair.upstream(&[IDLE]), ["Z Idle"]);
}

#[test]
fn several_meters_count_and_the_first_that_is_full_stops() {
    let meter = |caps: Caps| Arc::new(Meter::new(1, Arc::new(caps)));
    let (cursor, fetch) = (meter(rows(2)), meter(rows(100)));
    let mut pair = capped(&[]);
    for _ in 0..2 {
        pair.meters = Some(Meters::new(vec![vec![Arc::clone(&fetch), Arc::clone(&cursor)]]));
        pair.client(&[query("fetch")]);
        assert_eq!(pair.upstream(&[row(), DONE, IDLE]), ["D", "C SELECT 1", "Z Idle"]);
    }
    pair.client(&[query("fetch")]);
    pair.upstream(&[row()]);
    assert_eq!(pair.upstream_bytes(&canceled()), [ROWS]);
}

#[test]
fn what_a_function_gives_back_counts() {
    let mut pair = capped(&[Caps { bytes: cap(3), ..Caps::default() }]);
    let call = FunctionCall { oid: 7, formats: Vec::new(), arguments: Vec::new(), result_format: 0 };
    pair.client(&[ClientMessage::FunctionCall(call)]);
    let shown = pair.upstream(&[ServerMessage::FunctionCallResponse(Some(b"1234")), IDLE]);
    assert!(shown[0].starts_with("E 54000"), "{shown:?}");
}

#[test]
fn a_statement_whose_time_is_over_is_cancelled_in_our_words() {
    let mut pair = capped(&[time(1500)]);
    pair.client(&[query("select pg_sleep")]);
    let running = pair.machine.clocked().unwrap();
    assert_eq!(running.left(), Duration::from_millis(1500));
    running.spend(Duration::from_millis(1500));
    assert_eq!(pair.machine.clocked().unwrap().left(), Duration::ZERO);
    pair.machine.handle_overdue();
    assert!(pair.machine.wants_cancel());
    // nothing is wrong with a row that comes before the end
    assert_eq!(pair.upstream(&[HEAD, row()]), ["T", "D"]);
    let told = "E 57014 the statement took longer than 1500 ms, which is all that one may take (rule small)";
    assert_eq!(pair.upstream_bytes(&canceled()), [told]);
    assert_eq!(pair.upstream(&[IDLE]), ["Z Idle"]);
    assert_eq!(caught(&mut pair), ["time 1500 of statement 1: 1 in 12", "failed 57014 57014"]);
    assert!(pair.machine.clocked().is_none());
}

/// INVARIANT: what stands before a statement in its pipeline does not hide that it runs.
#[test]
fn a_statement_in_a_pipeline_is_clocked_when_it_runs() {
    let mut pair = Pair { expect: Expect::default(), ..capped(&[time(1500)]) };
    let sent = pair.client(&[parse("", "select pg_sleep"), bind("", "", &[]), execute(""), SYNC]);
    // what follows waits until it is answered
    assert_eq!(sent, ["P  select pg_sleep", "H", "B", "H", "E", "H"]);
    pair.upstream(&[ServerMessage::ParseComplete]);
    pair.machine.handle_overdue();
    pair.upstream(&[ServerMessage::BindComplete]);
    assert!(pair.machine.wants_cancel());
    let told = pair.upstream_bytes(&canceled());
    assert!(told[0].starts_with("E 57014 the statement took longer than 1500 ms"), "{told:?}");
    assert_eq!(pair.upstream(&[IDLE]), ["Z Idle"]);
}

#[test]
fn a_statement_behind_others_in_a_text_is_clocked_as_well() {
    let mut pair = capped(&[rows(2), time(1500)]);
    pair.client(&[query("select 1; select pg_sleep")]);
    assert_eq!(pair.machine.clocked().unwrap().left(), Duration::from_millis(1500));
}

#[test]
fn what_ends_by_itself_as_its_time_is_over_ends_as_it_does() {
    let mut pair = capped(&[time(1500)]);
    pair.client(&[query("select")]);
    pair.machine.handle_overdue();
    assert_eq!(pair.upstream(&[HEAD, row(), DONE, IDLE]), ["T", "D", "C SELECT 1", "Z Idle"]);
    assert!(!pair.machine.wants_cancel());
    pair.client(&[query("select 1/0")]);
    pair.machine.handle_overdue();
    assert_eq!(pair.upstream_bytes(&error(Severity::Error, "22012", "division")), ["E 22012 division"]);
    assert_eq!(caught(&mut pair), ["SELECT 1", "failed 22012 22012"]);
}

#[test]
fn a_capped_answer_comes_the_same_in_whatever_pieces() {
    let all = [HEAD, row(), row(), row(), row()];
    let mut bytes = BytesMut::new();
    all.iter().for_each(|message| message.encode(&mut bytes));
    bytes.extend_from_slice(&canceled());
    IDLE.encode(&mut bytes);
    let mut pair = capped(&[rows(2)]);
    pair.client(&[query("select")]);
    let shown: Vec<String> = bytes.iter().flat_map(|byte| pair.upstream_bytes(&[*byte])).collect();
    assert_eq!(shown, ["T", "D", "D", ROWS, "Z Idle"]);
    assert_eq!(CapKind::Rows.as_str(), "rows");
}
