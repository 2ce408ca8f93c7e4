#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod capping;
mod copying;
mod guarding;
mod refusing;
mod splitting;
mod veiling;

use bytes::{Buf, Bytes, BytesMut};

use super::*;
use crate::wire::postgres::backend::ServerMessage;
use crate::wire::postgres::error::Severity;
use crate::wire::postgres::frame;
use crate::wire::postgres::frontend::{Bind, ClientMessage, Parse, Subject};

/// A conversation whose questions are answered by rule: what mentions `secret` is refused.
struct Pair {
    machine: Conversation,
    client: BytesMut,
    upstream: BytesMut,
    questions: Vec<Question>,
    expect: Expect,
    /// Of what is let through.
    meters: Option<Meters>,
    /// What goes in front of the next questions, one after the other.
    guards: VecDeque<Option<Guard>>,
}

impl Pair {
    fn new(options: ConversationOptions) -> Self {
        Self {
            machine: Conversation::new(options),
            client: BytesMut::new(),
            upstream: BytesMut::new(),
            questions: Vec::new(),
            expect: Expect::default(),
            meters: None,
            guards: VecDeque::new(),
        }
    }

    fn inspecting() -> Self {
        Self::new(ConversationOptions {
            inspect: true,
            scrub: Scrub::Generic,
            ..ConversationOptions::default()
        })
    }

    /// The client sends; returns what goes to the database.
    fn client(&mut self, messages: &[ClientMessage<'_>]) -> Vec<String> {
        for message in messages {
            message.encode(&mut self.client);
        }
        self.pump();
        self.sent()
    }

    fn pump(&mut self) {
        loop {
            self.machine.handle_client(&mut self.client).unwrap();
            let Some(question) = self.machine.poll_question() else {
                break;
            };
            let denied = format!("{:?}", question.ask).contains("secret");
            self.questions.push(question);
            self.machine.handle_meters(self.meters.clone().unwrap_or_default());
            let answer = if denied {
                Answer::Refuse(Box::new(
                    ErrorFields::denied("denied by rule `no-secrets`").with_hint("ask ada"),
                ))
            } else {
                Answer::Forward(self.expect)
            };
            match self.guards.pop_front().flatten() {
                Some(guard) => drop(self.machine.handle_guarded_answer(&guard, answer)),
                None => self.machine.handle_answer(answer),
            }
        }
    }

    /// What is on its way to the database.
    fn sent(&mut self) -> Vec<String> {
        let mut bytes = self.machine.upstream_output().split();
        let mut sent = Vec::new();
        while let Some(frame) = frame::take(&mut bytes, usize::MAX).unwrap() {
            sent.push(match ClientMessage::parse(frame.tag, frame.body()).unwrap().unwrap() {
                ClientMessage::Parse(parse) => format!("P {} {}", lossy(parse.statement), lossy(parse.text)),
                ClientMessage::Query(text) => format!("Q {}", lossy(text)),
                ClientMessage::CopyData(data) => format!("d {}", lossy(data)),
                ClientMessage::Describe(Subject::Statement(name)) => format!("DS {}", lossy(name)),
                ClientMessage::FunctionCall(call) => format!("F {}", call.oid),
                other => char::from(other.tag()).to_string(),
            });
        }
        assert!(bytes.is_empty());
        sent
    }

    /// The database sends; returns what goes to the client.
    fn upstream(&mut self, messages: &[ServerMessage<'_>]) -> Vec<String> {
        for message in messages {
            message.encode(&mut self.upstream);
        }
        self.machine.handle_upstream(&mut self.upstream).unwrap();
        let shown = self.shown();
        self.pump();
        shown
    }

    fn fault(&mut self, message: &ServerMessage<'_>) -> UpstreamFault {
        message.encode(&mut self.upstream);
        self.machine.handle_upstream(&mut self.upstream).unwrap_err()
    }

    /// What is on its way to the client.
    fn shown(&mut self) -> Vec<String> {
        let output = self.machine.client_output();
        let mut bytes = BytesMut::from(&output.copy_to_bytes(output.remaining())[..]);
        let mut shown = Vec::new();
        while let Some(frame) = frame::take(&mut bytes, usize::MAX).unwrap() {
            shown.push(match ServerMessage::parse(frame.tag, frame.body()).unwrap().unwrap() {
                ServerMessage::ErrorResponse(fields) => {
                    format!("E {} {}", fields.sqlstate(), fields.text(b'M').unwrap())
                }
                ServerMessage::NoticeResponse(fields) => format!("N {}", fields.text(b'M').unwrap()),
                ServerMessage::CommandComplete(tag) => format!("C {}", lossy(tag)),
                ServerMessage::ReadyForQuery(status) => format!("Z {status:?}"),
                ServerMessage::CopyData(data) => format!("d {}", lossy(data)),
                other => char::from(other.tag()).to_string(),
            });
        }
        assert!(bytes.is_empty());
        shown
    }

    fn observed(&mut self) -> Vec<Observation> {
        std::iter::from_fn(|| self.machine.poll_observation()).collect()
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn parse<'a>(statement: &'a str, text: &'a str) -> ClientMessage<'a> {
    ClientMessage::Parse(Parse { statement: statement.as_bytes(), text: text.as_bytes(), types: Vec::new() })
}

fn bind<'a>(portal: &'a str, statement: &'a str, values: &[Option<&'a [u8]>]) -> ClientMessage<'a> {
    ClientMessage::Bind(Bind {
        portal: portal.as_bytes(),
        statement: statement.as_bytes(),
        formats: Vec::new(),
        values: values.to_vec(),
        result_formats: Vec::new(),
    })
}

fn execute(portal: &str) -> ClientMessage<'_> {
    ClientMessage::Execute { portal: portal.as_bytes(), max_rows: 0 }
}

fn query(text: &str) -> ClientMessage<'_> {
    ClientMessage::Query(text.as_bytes())
}

const SYNC: ClientMessage<'_> = ClientMessage::Sync;
const DONE: ServerMessage<'_> = ServerMessage::CommandComplete(b"SELECT 1");
const IDLE: ServerMessage<'_> = ServerMessage::ReadyForQuery(TransactionStatus::Idle);
const FAILED: ServerMessage<'_> = ServerMessage::ReadyForQuery(TransactionStatus::Failed);

fn row() -> ServerMessage<'static> {
    ServerMessage::DataRow(vec![Some(b"1")])
}

fn columns() -> ServerMessage<'static> {
    ServerMessage::RowDescription(vec![Column {
        name: "id".to_owned(),
        table: 16_384,
        attribute: 1,
        type_oid: 23,
        type_size: 4,
        type_modifier: -1,
        format: 0,
    }])
}

/// The database's error for a text like ours.
fn syntax_error() -> BytesMut {
    error(Severity::Error, "42601", "syntax error at or near \"hoopctl\"")
}

fn error(severity: Severity, sqlstate: &str, message: &str) -> BytesMut {
    let mut out = BytesMut::new();
    let fields = ErrorFields { position: Some(1), ..ErrorFields::new(severity, sqlstate, message) };
    fields.encode_error(&mut out);
    out
}

impl Pair {
    fn upstream_bytes(&mut self, bytes: &[u8]) -> Vec<String> {
        self.upstream.extend_from_slice(bytes);
        self.upstream(&[])
    }
}

#[test]
fn a_simple_query_is_asked_about_and_answered() {
    let mut pair = Pair::new(ConversationOptions::default());
    assert_eq!(pair.client(&[query("select 1")]), ["Q select 1"]);
    assert_eq!(
        pair.upstream(&[columns(), row(), row(), DONE, IDLE]),
        ["T", "D", "D", "C SELECT 1", "Z Idle"]
    );
    let id = QuestionId(1);
    let observed = pair.observed();
    assert!(
        matches!(&observed[0], Observation::Described { question: Some(QuestionId(1)), columns, .. } if columns[0].table == 16_384)
    );
    assert_eq!(
        observed[1..],
        [
            Observation::Rows { question: id, count: 2 },
            Observation::Completed { question: id, tag: "SELECT 1".to_owned(), rows: Some(1) },
            Observation::Ready(TransactionStatus::Idle),
        ]
    );
}

#[test]
fn nothing_moves_and_nothing_is_read_while_a_question_is_open() {
    let mut pair = Pair::new(ConversationOptions::default());
    query("select 1").encode(&mut pair.client);
    query("select 2").encode(&mut pair.client);
    let before = pair.client.len();
    pair.machine.handle_client(&mut pair.client).unwrap();
    assert!(pair.machine.upstream_output().is_empty());
    assert!(!pair.machine.wants_client_input());
    let after_one = pair.client.len();
    pair.machine.handle_client(&mut pair.client).unwrap();
    assert_eq!((pair.client.len(), before), (after_one, after_one * 2));
    assert_eq!(pair.machine.poll_question().unwrap().id, QuestionId(1));
    assert_eq!(pair.machine.poll_question(), None, "once is enough");
}

#[test]
fn an_extended_query_knows_its_statement_and_portal() {
    let mut pair = Pair::new(ConversationOptions::default());
    pair.client(&[parse("s", "select $1"), bind("p", "s", &[Some(b"7"), None]), execute("p"), SYNC]);
    let Ask::Bind { parsed, values, .. } = &pair.questions[1].ask else { panic!("a Bind was due") };
    assert_eq!(*parsed, Some(QuestionId(1)));
    assert_eq!(*values, [Some(Bytes::from_static(b"7")), None]);
    let Ask::Execute { bound, .. } = &pair.questions[2].ask else { panic!("an Execute was due") };
    assert_eq!(*bound, Some(QuestionId(2)));
    let shown =
        pair.upstream(&[ServerMessage::ParseComplete, ServerMessage::BindComplete, row(), DONE, IDLE]);
    assert_eq!(shown, ["1", "2", "D", "C SELECT 1", "Z Idle"]);
    // no transaction is open, so the portal is gone; the statement is not
    assert!(pair.observed().contains(&Observation::Gone(QuestionId(2))));
    pair.client(&[bind("", "s", &[]), execute("p")]);
    assert!(matches!(pair.questions[3].ask, Ask::Bind { parsed: Some(QuestionId(1)), .. }));
    assert!(matches!(pair.questions[4].ask, Ask::Execute { bound: None, .. }));
}

#[test]
fn a_name_belongs_to_the_parse_that_succeeded() {
    let mut pair = Pair::new(ConversationOptions::default());
    pair.client(&[parse("s", "select 1"), SYNC]);
    pair.upstream(&[ServerMessage::ParseComplete, IDLE]);
    // the name is taken: the database keeps the first statement
    pair.client(&[parse("s", "select 2"), SYNC]);
    pair.upstream_bytes(&error(Severity::Error, "42P05", "prepared statement \"s\" already exists"));
    pair.upstream(&[IDLE]);
    pair.client(&[bind("", "s", &[])]);
    assert!(matches!(pair.questions[2].ask, Ask::Bind { parsed: Some(QuestionId(1)), .. }));
    assert!(pair.observed().contains(&Observation::Gone(QuestionId(2))));
}

#[test]
fn names_that_postgresql_takes_for_one_are_one() {
    let mut pair = Pair::new(ConversationOptions::default());
    let (a, b) = (format!("{}a", "x".repeat(63)), format!("{}b", "x".repeat(63)));
    pair.client(&[parse(&a, "select 1"), bind("", &b, &[])]);
    assert!(matches!(pair.questions[1].ask, Ask::Bind { parsed: Some(QuestionId(1)), .. }));
}

#[test]
fn a_name_that_sql_may_have_reused_is_unknown() {
    let mut pair = Pair::new(ConversationOptions::default());
    pair.client(&[parse("s", "select 1"), SYNC]);
    pair.upstream(&[ServerMessage::ParseComplete, IDLE]);
    for (sql, tag) in [("deallocate s", b"DEALLOCATE".as_slice()), ("prepare s as select 2", b"PREPARE")] {
        pair.client(&[query(sql)]);
        pair.upstream(&[ServerMessage::CommandComplete(tag), IDLE]);
    }
    pair.client(&[bind("", "s", &[])]);
    assert!(matches!(pair.questions[3].ask, Ask::Bind { parsed: None, .. }));
}

#[test]
fn a_portal_is_fetched_from_in_parts() {
    let mut pair = Pair::new(ConversationOptions::default());
    let some = ClientMessage::Execute { portal: b"p", max_rows: 1 };
    pair.client(&[parse("", "select"), bind("p", "", &[]), some.clone(), ClientMessage::Flush]);
    let shown = pair.upstream(&[
        ServerMessage::ParseComplete,
        ServerMessage::BindComplete,
        row(),
        ServerMessage::PortalSuspended,
    ]);
    assert_eq!(shown, ["1", "2", "D", "s"]);
    pair.client(&[some, SYNC]);
    assert_eq!(pair.upstream(&[row(), DONE, IDLE]), ["D", "C SELECT 1", "Z Idle"]);
    let observed = pair.observed();
    assert!(observed.contains(&Observation::Suspended { question: QuestionId(3) }));
    assert!(observed.contains(&Observation::Rows { question: QuestionId(4), count: 1 }));
}

#[test]
fn every_statement_is_described_unseen() {
    let mut pair = Pair::inspecting();
    assert_eq!(pair.client(&[parse("s", "select 1"), SYNC]), ["P s select 1", "DS s", "S"]);
    let parameters = ServerMessage::ParameterDescription(vec![23]);
    let shown = pair.upstream(&[ServerMessage::ParseComplete, parameters.clone(), columns(), IDLE]);
    assert_eq!(shown, ["1", "Z Idle"]);
    assert!(matches!(
        &pair.observed()[1],
        Observation::Described { question: Some(QuestionId(1)), parameters, columns }
            if *parameters == [23] && columns.len() == 1
    ));
    // the client's own Describe is answered
    pair.client(&[ClientMessage::Describe(Subject::Statement(b"s")), SYNC]);
    assert_eq!(pair.upstream(&[parameters, ServerMessage::NoData, IDLE]), ["t", "n", "Z Idle"]);
    assert!(matches!(pair.observed()[0], Observation::Described { question: Some(QuestionId(1)), .. }));
}

#[test]
fn rewritten_sql_takes_the_place_of_the_clients() {
    let mut pair = Pair::new(ConversationOptions::default());
    let answer = |text: &str| Answer::Replace { text: text.to_owned(), expect: Expect::default() };
    for (message, text, sent) in [
        (query("select key"), "select '***'", "Q select '***'"),
        (parse("s", "select key"), "select '***'", "P s select '***'"),
        // these cannot be rewritten
        (query("select key"), "select 1\0; drop table t", "Q hoopctl: denied"),
        (execute("p"), "select 1", "P hoopctl_denied hoopctl: denied"),
    ] {
        message.encode(&mut pair.client);
        pair.machine.handle_client(&mut pair.client).unwrap();
        pair.machine.handle_answer(answer(text));
        assert_eq!(pair.sent(), [sent]);
    }
    // where in the text it fails says nothing about the client's text
    pair.machine.handle_upstream(&mut error(Severity::Error, "42703", "no such column")).unwrap();
    let output = pair.machine.client_output().pop().unwrap();
    let fields = crate::wire::postgres::error::Fields::parse(&output[5..]).unwrap();
    assert_eq!(fields.field(b'P'), None);
    assert_eq!(fields.text(b'M').unwrap(), "no such column");
}

#[test]
fn on_a_masked_target_errors_notices_and_notifications_say_nothing() {
    let mut pair = Pair::inspecting();
    pair.client(&[query("select key::int")]);
    let shown = pair.upstream_bytes(&error(Severity::Error, "22P02", "invalid input syntax: \"sk-live\""));
    assert_eq!(shown.len(), 1);
    assert!(shown[0].starts_with("E 22P02") && !shown[0].contains("sk-live"));
    let notification = ServerMessage::NotificationResponse { process: 1, channel: b"c", payload: b"sk-live" };
    notification.encode(&mut pair.upstream);
    pair.machine.handle_upstream(&mut pair.upstream).unwrap();
    let run = pair.machine.client_output().pop().unwrap();
    assert!(!lossy(&run).contains("sk-live"));
    // the record may know
    assert!(
        matches!(&pair.observed()[0], Observation::Failed { upstream, .. } if upstream.message.contains("sk-live"))
    );
}

#[test]
fn what_comes_at_any_time_passes_at_any_time() {
    let mut pair = Pair::new(ConversationOptions::default());
    let status = ServerMessage::ParameterStatus { name: b"TimeZone", value: b"UTC" };
    assert_eq!(pair.upstream(&[status]), ["S"]);
    assert_eq!(
        pair.observed(),
        [Observation::Parameter { name: "TimeZone".to_owned(), value: "UTC".to_owned() }]
    );
    let fatal = error(Severity::Fatal, "57P01", "terminating connection due to administrator command");
    assert_eq!(pair.upstream_bytes(&fatal), ["E 57P01 terminating connection due to administrator command"]);
    assert!(matches!(pair.observed()[0], Observation::Failed { question: None, .. }));
}

#[test]
fn an_answer_to_no_question_is_the_databases_fault() {
    for message in [
        row(),
        DONE,
        IDLE,
        ServerMessage::ParseComplete,
        ServerMessage::BackendKeyData { process: 1, key: b"1234" },
    ] {
        let mut pair = Pair::new(ConversationOptions::default());
        assert!(matches!(pair.fault(&message), UpstreamFault::Unexpected { .. }), "{message:?}");
    }
}

#[test]
fn an_unknown_message_type_is_the_clients_fault_before_it_is_buffered() {
    let mut machine = Conversation::new(ConversationOptions::default());
    let fault = machine.handle_client(&mut BytesMut::from(&b"z\x7f\xff\xff\xff"[..])).unwrap_err();
    assert!(matches!(fault, ClientFault::Unexpected { tag: b'z', .. }));
    let mut machine = Conversation::new(ConversationOptions::default());
    let fault = machine.handle_client(&mut BytesMut::from(&b"Q\x7f\xff\xff\xff"[..])).unwrap_err();
    assert!(matches!(fault, ClientFault::Frame(_)));
}

#[test]
fn terminate_is_passed_on_and_ends_the_reading() {
    let mut pair = Pair::new(ConversationOptions::default());
    assert_eq!(pair.client(&[ClientMessage::Terminate, query("select 1")]), ["X"]);
    assert!(pair.machine.is_terminated() && !pair.machine.wants_client_input());
    assert!(pair.questions.is_empty());
}

#[test]
fn a_notice_of_ours_waits_for_the_end_of_a_message() {
    let mut pair = Pair::new(ConversationOptions::default());
    pair.client(&[query("select")]);
    let mut bytes = BytesMut::new();
    let big = vec![b'x'; 100_000];
    ServerMessage::DataRow(vec![Some(&big)]).encode(&mut bytes);
    let mut rest = bytes.split_off(50_000);
    pair.machine.handle_upstream(&mut bytes).unwrap();
    assert!(bytes.is_empty(), "a large row passes in pieces");
    pair.machine.send_notice(&ErrorFields::new(Severity::Notice, "00000", "held"));
    assert!(!pair.machine.send_fatal(&ErrorFields::denied("too late")));
    pair.machine.handle_upstream(&mut rest).unwrap();
    assert_eq!(pair.shown(), ["D", "N held"]);
}
