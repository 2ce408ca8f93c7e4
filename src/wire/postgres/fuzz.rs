//! Bodies for fuzzing: each takes any bytes and must return.
//!
//! Job: reach every parser and machine here from one function each, for property tests now and a
//! fuzzer later. Boundary: not part of the library's interface. Failure mode: a panic is a bug.

use bytes::BytesMut;
use secrecy::SecretString;

use super::backend::{Authentication, Column, CopyFormat, ServerMessage, TransactionStatus};
use super::cancel::CancelKey;
use super::conversation::{Answer, Conversation, ConversationOptions, Expect};
use super::error::{ErrorFields, Fields};
use super::frame::FrameLimits;
use super::frontend::{Bind, ClientMessage, FunctionCall, Parse, SaslInitial, Subject};
use super::login::{Channel, Login, LoginOptions, LoginStep, Trust};
use super::scram::{self, Verifier};
use super::scrub::{self, Scrub};
use super::startup::{ExpectStartup, StartupStep};
use super::transcript::Transcript;

/// Everything below with the same bytes.
pub fn all(data: &[u8]) {
    codec(data);
    startup(data);
    login(data);
    conversation(data);
    transcript(data);
}

/// Every codec; the first byte is the message type.
pub fn codec(data: &[u8]) {
    if let Some((tag, body)) = data.split_first() {
        let mut out = BytesMut::new();
        if let Ok(Some(message)) = ClientMessage::parse(*tag, body) {
            message.encode(&mut out);
        }
        if let Ok(Some(message)) = ServerMessage::parse(*tag, body) {
            message.encode(&mut out);
        }
    }
    if let Ok(fields) = Fields::parse(data) {
        drop(scrub::scrub(&fields));
    }
    let _ = SaslInitial::parse(data);
    drop(CancelKey::parse(data));
    if let Ok(text) = std::str::from_utf8(data) {
        drop(Verifier::parse(text));
    }
}

/// Start-up from the client's side, and both SCRAM messages.
pub fn startup(data: &[u8]) {
    let mut output = BytesMut::new();
    let step = ExpectStartup::new(FrameLimits::default()).handle(&mut BytesMut::from(data), &mut output);
    let Ok(verifier) = Verifier::parse(VERIFIER) else {
        return;
    };
    if let Ok(StartupStep::Started(started)) = step {
        let expect = started.challenge("user", &verifier, [0; 18], &mut output);
        drop(expect.handle(&mut BytesMut::from(data), &mut output));
    }
    let (first, last) = data.split_at(data.len() / 2);
    if let Ok((_, proof)) = scram::begin(verifier.clone(), [0; 18], first) {
        drop(proof.finish(last));
    }
    if let Ok((_, proof)) = scram::begin(verifier, [0; 18], b"n,,n=,r=x") {
        drop(proof.finish(data));
    }
}

/// A login that the bytes answer.
pub fn login(data: &[u8]) {
    let mut output = BytesMut::new();
    let options = LoginOptions {
        user: "user".to_owned(),
        password: SecretString::from("password"),
        parameters: Vec::new(),
        channel: Channel::Plain,
        trust: Trust::Accept,
        limits: FrameLimits::default(),
    };
    let mut input = BytesMut::from(data);
    if let Ok(LoginStep::More(login)) = Login::begin(options, &mut output).handle(&mut input, &mut output) {
        drop(login.handle(&mut input, &mut output));
    }
}

/// A conversation: the bytes are pieces, each with a byte that says from which side it comes and how
/// to answer the next question, and a byte that says how long it is.
pub fn conversation(data: &[u8]) {
    for scrub in [Scrub::None, Scrub::Generic] {
        let inspect = scrub == Scrub::Generic;
        let options =
            ConversationOptions { inspect, scrub, output_cap: 512, ..ConversationOptions::default() };
        let mut machine = Conversation::new(options);
        let (mut client, mut upstream) = (BytesMut::new(), BytesMut::new());
        let mut rest = data;
        while let [how, length, tail @ ..] = rest {
            let (piece, tail) = tail.split_at(tail.len().min(usize::from(*length)));
            rest = tail;
            let from_client = how & 0x80 != 0;
            if from_client { &mut client } else { &mut upstream }.extend_from_slice(piece);
            if machine.handle_client(&mut client).is_err() || machine.handle_upstream(&mut upstream).is_err()
            {
                break;
            }
            if machine.poll_question().is_some() {
                machine.handle_answer(match how & 3 {
                    0 => Answer::Forward(Expect::ANYTHING),
                    1 => Answer::Refuse(Box::new(ErrorFields::denied("no"))),
                    2 => Answer::Replace { text: "select 1".to_owned(), expect: Expect::default() },
                    _ => continue,
                });
            }
            while machine.poll_observation().is_some() {}
            machine.upstream_output().clear();
            while machine.client_output().pop().is_some() {}
        }
    }
}

/// A recorded stream.
pub fn transcript(data: &[u8]) {
    let mut transcript = Transcript::default();
    transcript.feed(data);
    while let Ok(Some(_)) = transcript.poll_line() {}
}

/// One client message of each type.
#[must_use]
pub fn client_samples() -> Vec<ClientMessage<'static>> {
    vec![
        ClientMessage::Bind(Bind {
            portal: b"",
            statement: b"",
            formats: vec![0],
            values: vec![Some(b"1"), None],
            result_formats: vec![1],
        }),
        ClientMessage::Close(Subject::Portal(b"")),
        ClientMessage::Close(Subject::Statement(b"s")),
        ClientMessage::CopyData(b"1\n"),
        ClientMessage::CopyDone,
        ClientMessage::CopyFail(b"why"),
        ClientMessage::Describe(Subject::Portal(b"")),
        ClientMessage::Describe(Subject::Statement(b"s")),
        ClientMessage::Execute { portal: b"", max_rows: 0 },
        ClientMessage::Flush,
        ClientMessage::FunctionCall(FunctionCall {
            oid: 1,
            formats: Vec::new(),
            arguments: vec![None],
            result_format: 0,
        }),
        ClientMessage::Parse(Parse { statement: b"", text: b"select 1", types: vec![0] }),
        ClientMessage::Parse(Parse { statement: b"s", text: b"select 1", types: Vec::new() }),
        ClientMessage::Query(b"select 1"),
        ClientMessage::Sync,
    ]
}

/// One server message of each type.
#[must_use]
pub fn server_samples() -> Vec<ServerMessage<'static>> {
    let copy = CopyFormat { overall: 0, columns: vec![0] };
    let column = Column {
        name: "c".to_owned(),
        table: 1,
        attribute: 1,
        type_oid: 23,
        type_size: 4,
        type_modifier: -1,
        format: 0,
    };
    let mut samples = vec![
        ServerMessage::Authentication(Authentication::Ok),
        ServerMessage::Authentication(Authentication::Md5([1; 4])),
        ServerMessage::Authentication(Authentication::Sasl(vec![b"SCRAM-SHA-256"])),
        ServerMessage::BackendKeyData { process: 1, key: &[1; 32] },
        ServerMessage::BindComplete,
        ServerMessage::CloseComplete,
        ServerMessage::CommandComplete(b"SELECT 1"),
        ServerMessage::CopyBothResponse(copy.clone()),
        ServerMessage::CopyData(b"1\n"),
        ServerMessage::CopyDone,
        ServerMessage::CopyInResponse(copy.clone()),
        ServerMessage::CopyOutResponse(copy),
        ServerMessage::DataRow(vec![Some(b"1"), None]),
        ServerMessage::EmptyQueryResponse,
        ServerMessage::FunctionCallResponse(None),
        ServerMessage::NoData,
        ServerMessage::ParameterDescription(vec![23]),
        ServerMessage::ParseComplete,
        ServerMessage::PortalSuspended,
        ServerMessage::ReadyForQuery(TransactionStatus::Idle),
        ServerMessage::ReadyForQuery(TransactionStatus::InTransaction),
        ServerMessage::RowDescription(vec![column]),
    ];
    for body in [&b"SERROR\0C42601\0Mno\0P1\0\0"[..], b"SFATAL\0C57P01\0Mbye\0\0"] {
        if let Ok(fields) = Fields::parse(body) {
            samples.push(ServerMessage::ErrorResponse(fields));
        }
    }
    samples
}

const VERIFIER: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
