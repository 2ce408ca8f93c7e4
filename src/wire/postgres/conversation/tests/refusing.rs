use super::*;

#[test]
fn a_refused_query_fails_at_the_database_and_reads_as_ours() {
    let mut pair = Pair::new(ConversationOptions::default());
    assert_eq!(pair.client(&[query("select secret; select 2")]), ["Q hoopctl: denied"]);
    assert_eq!(pair.upstream_bytes(&syntax_error()), ["E 42501 denied by rule `no-secrets`"]);
    assert_eq!(pair.upstream(&[FAILED]), ["Z Failed"]);
    assert!(matches!(
        &pair.observed()[0],
        Observation::Failed { question: Some(QuestionId(1)), refused: true, sqlstate, .. } if sqlstate == "42501"
    ));
    // the session goes on
    assert_eq!(pair.client(&[query("rollback")]), ["Q rollback"]);
    assert_eq!(pair.upstream(&[DONE, IDLE]), ["C SELECT 1", "Z Idle"]);
}

#[test]
fn a_refusal_in_a_pipeline_lets_what_is_before_it_answer_and_skips_what_is_behind() {
    let mut pair = Pair::new(ConversationOptions::default());
    let sent = pair.client(&[
        parse("", "select 1"),
        bind("", "", &[]),
        execute(""),
        parse("", "select secret"),
        bind("", "", &[]),
        execute(""),
        SYNC,
        query("select 3"),
    ]);
    assert_eq!(sent, ["P  select 1", "B", "E", "P  hoopctl: denied", "B", "E", "S", "Q select 3"]);
    let before = [ServerMessage::ParseComplete, ServerMessage::BindComplete, row(), DONE];
    assert_eq!(pair.upstream(&before), ["1", "2", "D", "C SELECT 1"]);
    assert_eq!(pair.upstream_bytes(&syntax_error()), ["E 42501 denied by rule `no-secrets`"]);
    // the database skips to Sync by itself, then goes on
    assert_eq!(pair.upstream(&[IDLE, DONE, IDLE]), ["Z Idle", "C SELECT 1", "Z Idle"]);
    let observed = pair.observed();
    assert!(observed.contains(&Observation::Gone(QuestionId(5))), "the Bind behind");
    assert!(observed.contains(&Observation::Skipped(QuestionId(6))), "the Execute behind");
}

#[test]
fn a_refusal_behind_another_failure_never_surfaces() {
    let mut pair = Pair::new(ConversationOptions::default());
    pair.client(&[parse("", "selct 1"), parse("", "select secret"), SYNC]);
    let first = error(Severity::Error, "42601", "syntax error at or near \"selct\"");
    assert_eq!(pair.upstream_bytes(&first), ["E 42601 syntax error at or near \"selct\""]);
    assert_eq!(pair.upstream(&[IDLE]), ["Z Idle"]);
    assert_eq!(pair.machine.outstanding(), 0);
}

#[test]
fn a_refused_bind_or_execute_leaves_the_unnamed_statement_alone() {
    let mut pair = Pair::new(ConversationOptions::default());
    let sent = pair.client(&[bind("", "s", &[Some(b"secret")])]);
    assert_eq!(sent, ["P hoopctl_denied hoopctl: denied"]);
    let mut pair = Pair::new(ConversationOptions::default());
    assert_eq!(pair.client(&[execute("secret")]), ["P hoopctl_denied hoopctl: denied"]);
}

#[test]
fn a_refused_function_call_calls_nothing() {
    let mut pair = Pair::new(ConversationOptions::default());
    let call = crate::wire::postgres::frontend::FunctionCall {
        oid: 2_200,
        formats: Vec::new(),
        arguments: Vec::new(),
        result_format: 0,
    };
    ClientMessage::FunctionCall(call).encode(&mut pair.client);
    pair.machine.handle_client(&mut pair.client).unwrap();
    assert!(matches!(pair.machine.poll_question().unwrap().ask, Ask::Call { oid: 2_200, .. }));
    pair.machine.handle_answer(Answer::Refuse(Box::new(ErrorFields::denied("no"))));
    assert_eq!(pair.sent(), ["F 0"]);
    let missing = error(Severity::Error, "42883", "function with OID 0 does not exist");
    assert_eq!(pair.upstream_bytes(&missing), ["E 42501 no"]);
    assert_eq!(pair.upstream(&[IDLE]), ["Z Idle"]);
}

#[test]
fn after_an_error_what_comes_before_sync_is_not_even_asked_about() {
    let mut pair = Pair::new(ConversationOptions::default());
    pair.client(&[parse("", "select secret"), ClientMessage::Flush]);
    pair.upstream_bytes(&syntax_error());
    assert!(pair.client(&[bind("", "", &[]), execute(""), query("select 9")]).is_empty());
    assert_eq!(pair.questions.len(), 1);
    assert_eq!(pair.client(&[SYNC, query("select 1")]), ["S", "Q select 1"]);
}

#[test]
fn an_error_while_a_question_is_open_drops_the_answer() {
    let mut pair = Pair::new(ConversationOptions::default());
    pair.client(&[parse("", "selct"), ClientMessage::Flush]);
    execute("").encode(&mut pair.client);
    pair.machine.handle_client(&mut pair.client).unwrap();
    let question = pair.machine.poll_question().unwrap();
    pair.machine.handle_upstream(&mut error(Severity::Error, "42601", "syntax error")).unwrap();
    pair.machine.handle_answer(Answer::Forward(Expect::default()));
    assert!(pair.machine.upstream_output().is_empty());
    assert!(pair.observed().contains(&Observation::Skipped(question.id)));
}

#[test]
fn a_refused_statement_that_does_not_fail_ends_the_session() {
    let mut pair = Pair::new(ConversationOptions::default());
    pair.client(&[query("select secret")]);
    assert!(matches!(pair.fault(&columns()), UpstreamFault::Unexpected { .. }));
    let mut pair = Pair::new(ConversationOptions::default());
    pair.client(&[query("select secret")]);
    assert!(matches!(pair.fault(&IDLE), UpstreamFault::Unexpected { .. }));
}

#[test]
fn a_fatal_error_in_place_of_our_refusal_stays_fatal() {
    let mut pair = Pair::new(ConversationOptions::default());
    pair.client(&[query("select secret")]);
    let fatal = error(Severity::Fatal, "57P01", "terminating connection");
    assert_eq!(pair.upstream_bytes(&fatal), ["E 57P01 terminating connection"]);
    let ours = ErrorFields::new(Severity::Fatal, "08006", "it closed the connection");
    assert!(!pair.machine.send_fatal(&ours), "the reason is told once");
}

#[test]
fn a_long_pipeline_flows_with_bounded_buffers() {
    let mut pair = Pair::new(ConversationOptions::default());
    let text = format!("select '{}'", "x".repeat(64 * 1024));
    for _ in 0..200 {
        query(&text).encode(&mut pair.client);
    }
    let mut served = 0;
    while served < 200 {
        pair.pump();
        let sent = pair.machine.upstream_output().len();
        assert!(sent <= 256 * 1024 + text.len() + 6, "{sent}");
        let queries = pair.sent().len();
        assert!(queries > 0, "it must not stall");
        for _ in 0..queries {
            pair.upstream(&[row(), DONE, IDLE]);
            served += 1;
        }
        while pair.machine.poll_observation().is_some() {}
    }
    assert!(pair.client.is_empty());
}
