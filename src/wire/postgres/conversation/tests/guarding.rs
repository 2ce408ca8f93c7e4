//! Messages that wait for their guard.

use std::sync::Arc;

use super::*;
use crate::domain::caps::{Cap, Caps};
use crate::domain::name::RuleName;

const STAMP: Stamp = Stamp([7; 8]);
const SAME: &[Option<&[u8]>] = &[None, Some(&[0])];
/// Of a check that has compared: in a transaction that sees an old catalog, and in one that does not.
const PROVES_NOTHING: &[Option<&[u8]>] = &[Some(&[7; 8]), Some(&[0])];
const PROVES: &[Option<&[u8]>] = &[Some(&[7; 8]), Some(&[1])];

/// A guard that was used before, and goes with its message.
fn known(number: u64) -> Option<Guard> {
    Some(Guard { number, stamp: Some(STAMP), ..Guard::default() })
}

/// A guard whose message waits.
fn alone(number: u64) -> Option<Guard> {
    Some(Guard { number, alone: true, ..Guard::default() })
}

/// What the database answers to a guard that passes.
fn passes(row: &[Option<&'static [u8]>]) -> [ServerMessage<'static>; 4] {
    [ServerMessage::BindComplete, ServerMessage::DataRow(row.to_vec()), DONE, ServerMessage::CloseComplete]
}

fn guarded(guards: &[Option<Guard>]) -> Pair {
    Pair { guards: guards.iter().cloned().collect(), ..Pair::new(ConversationOptions::default()) }
}

/// What was sent, once what waits because of this question may go.
fn let_go(pair: &mut Pair, question: u64) -> Vec<String> {
    pair.machine.handle_proof(QuestionId(question), None);
    pair.pump();
    pair.sent()
}

const NOTHING: &[&str] = &[];

/// INVARIANT: a message goes with its own guard, and with no other that is under way in front of it.
#[test]
fn a_message_waits_for_its_own_guard() {
    for first_row in [SAME, PROVES] {
        let mut pair = guarded(&[known(1), None, None, alone(2)]);
        let first = [parse("", "select seen"), bind("", "", &[]), execute("")];
        let second = [parse("", "select plain"), bind("", "", &[]), execute(""), SYNC];
        let sent = pair.client(&[&first[..], &second[..]].concat());
        assert_eq!(sent, ["B", "E", "C", "P  select seen", "B", "E", "B", "E", "C", "H"]);
        assert_eq!(pair.machine.waits_for_proof(), Some(QuestionId(4)));
        assert_eq!(pair.upstream(&passes(first_row)), NOTHING);
        assert_eq!(pair.sent(), NOTHING, "the guard of another message has passed");
        assert_eq!(pair.machine.is_proven(), None);
        assert_eq!(let_go(&mut pair, 4), NOTHING, "its guard is under way");
        let answers = [ServerMessage::ParseComplete, ServerMessage::BindComplete, row(), DONE];
        assert_eq!(pair.upstream(&answers), ["1", "2", "D", "C SELECT 1"]);
        pair.observed();
        assert_eq!(pair.upstream(&passes(PROVES_NOTHING)), NOTHING);
        let unproven = Observation::Unproven { question: QuestionId(4), number: 2, stamp: STAMP };
        assert_eq!(pair.observed(), [unproven]);
        assert_eq!((pair.machine.is_proven(), pair.sent().as_slice()), (None, [].as_slice()));
        assert_eq!(let_go(&mut pair, 1), NOTHING, "that was looked at for another message");
        assert_eq!(let_go(&mut pair, 4), ["P  select plain", "B", "E", "S"]);
    }
}

#[test]
fn what_proves_itself_goes_when_it_is_let() {
    let mut pair = guarded(&[alone(1)]);
    assert_eq!(pair.client(&[query("select")]), ["B", "E", "C", "H"]);
    assert_eq!(pair.upstream(&passes(PROVES)), NOTHING);
    assert_eq!(pair.observed(), [Observation::Guarded { number: 1, stamp: Some(STAMP) }]);
    assert_eq!(pair.sent(), NOTHING);
    assert_eq!(pair.machine.is_proven(), Some(QuestionId(1)));
    assert_eq!(let_go(&mut pair, 1), ["Q UNLISTEN hoopctl_guard; select"]);
    assert_eq!(let_go(&mut pair, 1), NOTHING, "once");
    assert_eq!(pair.upstream(&[DONE, DONE, IDLE]), ["C SELECT 1", "Z Idle"]);
}

/// Refused, it never ran, and what follows in its pipeline neither.
#[test]
fn what_was_looked_at_and_has_changed_is_refused() {
    let mut pair = guarded(&[alone(1)]);
    pair.client(&[parse("", "select"), bind("", "", &[]), execute(""), SYNC]);
    pair.upstream(&passes(PROVES_NOTHING));
    pair.machine.handle_proof(QuestionId(1), Some(Box::new(drifted())));
    pair.pump();
    assert_eq!(pair.sent(), ["P  hoopctl: denied", "B", "E", "S"]);
    let shown = pair.upstream_bytes(&syntax_error());
    assert!(shown[0].starts_with("E 40001"), "{shown:?}");
    assert_eq!(pair.upstream(&[FAILED]), ["Z Failed"]);
}

/// Without a Sync in between the database skips the guard, and so its message goes with what failed.
#[test]
fn a_failure_takes_along_what_waits_behind_it() {
    let mut pair = guarded(&[None, alone(1)]);
    let messages = [parse("a", "broken"), parse("b", "select"), bind("", "b", &[]), SYNC];
    assert_eq!(pair.client(&messages), ["P a broken", "B", "E", "C", "H"]);
    let shown = pair.upstream_bytes(&error(Severity::Error, "22P02", "broken"));
    assert_eq!(shown, ["E 22P02 broken"]);
    assert_eq!(pair.machine.waits_for_proof(), None);
    assert_eq!(pair.sent(), ["S"], "what is skipped is not sent");
    assert_eq!(let_go(&mut pair, 2), NOTHING);
    assert_eq!(pair.upstream(&[IDLE]), ["Z Idle"]);
    let gone = pair.observed();
    assert!(gone.contains(&Observation::Gone(QuestionId(2))), "{gone:?}");
}

/// INVARIANT: behind a Sync, or a Query that fails, the database goes on. What waits there is not taken for sent:
/// what follows would find the statement that had its name before.
#[test]
fn a_failure_in_front_of_a_sync_takes_nothing_along_behind_it() {
    let failing = [vec![parse("a", "broken"), SYNC], vec![query("broken")], vec![execute("a"), SYNC]];
    for failing in failing {
        let mut pair = guarded(&[None, alone(1)]);
        let work = [parse("", "select plain"), bind("", "", &[]), execute(""), SYNC];
        let sent = pair.client(&[failing, work.to_vec()].concat());
        assert_eq!(sent[sent.len() - 4..], ["B", "E", "C", "H"]);
        let shown = pair.upstream_bytes(&error(Severity::Error, "22P02", "broken"));
        assert_eq!(shown, ["E 22P02 broken"]);
        assert_eq!(pair.sent(), NOTHING);
        assert_eq!(pair.upstream(&[IDLE]), ["Z Idle"]);
        assert_eq!(pair.upstream(&passes(PROVES)), NOTHING);
        assert_eq!(let_go(&mut pair, 2), ["P  select plain", "B", "E", "S"]);
        let answers = [ServerMessage::ParseComplete, ServerMessage::BindComplete, row(), DONE, IDLE];
        assert_eq!(pair.upstream(&answers), ["1", "2", "D", "C SELECT 1", "Z Idle"]);
    }
}

/// An error out of the blue is of no message, and what waits was not sent.
#[test]
fn an_error_while_only_a_proof_is_awaited_is_the_databases_fault() {
    let mut pair = guarded(&[alone(1)]);
    pair.client(&[parse("", "select")]);
    pair.upstream(&passes(PROVES_NOTHING));
    let mut bytes = error(Severity::Error, "57014", "canceling statement due to user request");
    let fault = pair.machine.handle_upstream(&mut bytes).unwrap_err();
    assert!(matches!(fault, UpstreamFault::Unexpected { tag: b'E', .. }), "{fault:?}");
}

/// What waited for a lock took the time of the statement, which does not begin anew behind it.
#[test]
fn time_that_ran_out_during_a_guard_is_over_for_its_message() {
    let cap = Cap { most: 1500, rule: RuleName::new("small").unwrap(), hint: None };
    let caps = Caps { time: Some(cap), ..Caps::default() };
    let meters = Some(Meters::new(vec![vec![Arc::new(Meter::new(1, Arc::new(caps)))]]));
    let mut pair = Pair { meters, ..guarded(&[alone(1)]) };
    pair.client(&[query("select")]);
    let [bound, row, done, closed] = passes(PROVES);
    pair.upstream(&[bound]);
    pair.machine.handle_overdue();
    assert!(pair.machine.wants_cancel());
    pair.upstream(&[row, done, closed]);
    assert!(!pair.machine.wants_cancel(), "it would meet nothing");
    assert_eq!(pair.sent(), NOTHING, "the cancel could still meet it");
    assert_eq!(let_go(&mut pair, 1), ["Q UNLISTEN hoopctl_guard; select"]);
    assert!(pair.machine.wants_cancel());
    pair.observed();
    let told =
        pair.upstream_bytes(&error(Severity::Error, "57014", "canceling statement due to user request"));
    assert!(told[0].starts_with("E 57014 the statement took longer than 1500 ms"), "{told:?}");
    let observed = pair.observed();
    assert!(observed.iter().any(|one| matches!(one, Observation::Capped { .. })), "{observed:?}");
}
