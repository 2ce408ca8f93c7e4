//! What a client sees through the conversation machine is what PostgreSQL itself would have shown it.
//!
//! Each script is sent twice to a real server: bare, with a syntax error of its own where the other
//! has a refusal; and through the machine, which refuses. Both must read the same, to the byte.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use hoopctl::wire::postgres::backend::ServerMessage;
use hoopctl::wire::postgres::conversation::{Answer, Conversation, ConversationOptions, Expect, Observation};
use hoopctl::wire::postgres::error::{ErrorFields, Severity};
use hoopctl::wire::postgres::frame::{self, FrameLimits};
use hoopctl::wire::postgres::frontend::{Bind, ClientMessage, FunctionCall, Parse, Subject};
use hoopctl::wire::postgres::login::{self, Channel, LoggedIn, Login, LoginOptions, LoginStep, Trust};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use crate::support::postgres::{Cluster, majors};

/// What the machine refuses, and what PostgreSQL refuses by itself.
const DENIED: &str = "hoopctl: denied";

/// Pieces of a script: messages, and how many ReadyForQuery to await before the next piece.
type Script = Vec<(BytesMut, usize)>;

fn script(pieces: &[(&[ClientMessage<'_>], usize)]) -> Script {
    let encode = |messages: &[ClientMessage<'_>]| {
        let mut bytes = BytesMut::new();
        messages.iter().for_each(|message| message.encode(&mut bytes));
        bytes
    };
    pieces.iter().map(|(messages, ready)| (encode(messages), *ready)).collect()
}

fn query(text: &str) -> ClientMessage<'_> {
    ClientMessage::Query(text.as_bytes())
}

fn parse<'a>(statement: &'a str, text: &'a str) -> ClientMessage<'a> {
    ClientMessage::Parse(Parse { statement: statement.as_bytes(), text: text.as_bytes(), types: Vec::new() })
}

fn bind<'a>(portal: &'a str, statement: &'a str) -> ClientMessage<'a> {
    ClientMessage::Bind(Bind {
        portal: portal.as_bytes(),
        statement: statement.as_bytes(),
        formats: Vec::new(),
        values: Vec::new(),
        result_formats: Vec::new(),
    })
}

fn execute(portal: &str, max_rows: i32) -> ClientMessage<'_> {
    ClientMessage::Execute { portal: portal.as_bytes(), max_rows }
}

fn call(oid: u32, arguments: &[&'static [u8]]) -> ClientMessage<'static> {
    ClientMessage::FunctionCall(FunctionCall {
        oid,
        formats: Vec::new(),
        arguments: arguments.iter().map(|a| Some(*a)).collect(),
        result_format: 0,
    })
}

const SYNC: ClientMessage<'_> = ClientMessage::Sync;

fn scripts() -> Vec<(&'static str, Script)> {
    let data = ClientMessage::CopyData;
    let done = ClientMessage::CopyDone;
    vec![
        (
            "simple queries, refused in and out of transactions",
            script(&[
                (&[query("select 1; select 2")], 1),
                (&[query(DENIED)], 1),
                (
                    &[
                        query("begin"),
                        query(DENIED),
                        query("select 1"),
                        query(DENIED),
                        query("rollback"),
                        query(""),
                    ],
                    6,
                ),
            ]),
        ),
        (
            "a pipeline with a refusal in the middle rolls back",
            script(&[
                (&[query("create temp table t (n int)")], 1),
                (
                    &[
                        parse("", "insert into t values (1)"),
                        bind("", ""),
                        execute("", 0),
                        parse("", DENIED),
                        bind("", ""),
                        execute("", 0),
                        query("select 'skipped'"),
                        SYNC,
                        query("select count(*) from t"),
                    ],
                    2,
                ),
            ]),
        ),
        (
            "a refusal behind another error never surfaces",
            script(&[(&[parse("", "select nope"), parse("", DENIED), SYNC], 1)]),
        ),
        (
            "statements, portals, fetching in parts",
            script(&[
                (&[query("begin"), parse("s", "select generate_series(1, 5)")], 1),
                (
                    &[
                        ClientMessage::Describe(Subject::Statement(b"s")),
                        bind("p", "s"),
                        ClientMessage::Describe(Subject::Portal(b"p")),
                        execute("p", 2),
                        execute("p", 2),
                        SYNC,
                    ],
                    1,
                ),
                (&[execute("p", 0), ClientMessage::Close(Subject::Portal(b"p")), execute("p", 0), SYNC], 1),
                (&[query("rollback"), parse("s", "select 1"), SYNC, bind("", "s"), execute("", 0), SYNC], 3),
            ]),
        ),
        (
            "function calls",
            // int4pl, a refused one, and in a failed transaction
            script(&[(
                &[
                    call(177, &[b"1", b"2"]),
                    call(0, &[]),
                    query("begin"),
                    call(0, &[]),
                    call(177, &[b"1", b"2"]),
                ],
                5,
            )]),
        ),
        (
            "copy in",
            script(&[
                (&[query("create temp table c (n int)")], 1),
                (&[query("copy c from stdin"), data(b"1\n2\n"), done.clone()], 1),
                (&[query("copy c from stdin"), ClientMessage::CopyFail(b"changed my mind")], 1),
                (&[query("copy c from stdin; select count(*) from c; copy c from stdin")], 0),
                (&[data(b"3\n"), done.clone(), data(b"4\n"), done.clone()], 1),
                (
                    &[
                        query("copy c from stdin"),
                        data(b"x\n"),
                        data(b"5\n"),
                        done.clone(),
                        query("select sum(n) from c"),
                    ],
                    2,
                ),
            ]),
        ),
        (
            "copy in by extended query, with the Sync that libpq sends early",
            script(&[
                (&[query("create temp table c (n int)")], 1),
                (&[parse("", "copy c from stdin"), bind("", ""), execute("", 0), SYNC], 0),
                (&[data(b"1\n"), done.clone(), SYNC], 1),
                (&[parse("", "copy c from stdin"), bind("", ""), execute("", 0), SYNC], 0),
                (&[data(b"x\n"), data(b"2\n"), done.clone(), SYNC], 1),
                (&[parse("", "copy c from stdin"), bind("", ""), execute("", 0), SYNC], 0),
                (&[ClientMessage::CopyFail(b"no"), SYNC], 1),
                (&[query("select sum(n) from c")], 1),
            ]),
        ),
        (
            "copy out, notices, settings",
            script(&[
                (&[query("copy (select generate_series(1, 1000)) to stdout")], 1),
                (&[query("do $$ begin raise notice 'hi'; end $$"), query("set timezone = 'UTC'")], 2),
                (&[parse("", "copy (select 1) to stdout"), bind("", ""), execute("", 0), SYNC], 1),
            ]),
        ),
        ("a large row", script(&[(&[query("select repeat('x', 3000000)")], 1)])),
    ]
}

struct Server {
    stream: TcpStream,
    input: BytesMut,
}

impl Server {
    fn connect(cluster: &Cluster) -> (Self, LoggedIn) {
        let stream = TcpStream::connect(("127.0.0.1", cluster.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut server = Self { stream, input: BytesMut::new() };
        let mut output = BytesMut::new();
        let mut login = Login::begin(options(cluster, Channel::Plain), &mut output);
        loop {
            server.write(&mut output);
            server.read();
            match login.handle(&mut server.input, &mut output).unwrap() {
                LoginStep::More(more) => login = more,
                LoginStep::Done(done) => return (server, done),
            }
        }
    }

    fn read(&mut self) {
        let mut bytes = [0; 16 * 1024];
        let count = self.stream.read(&mut bytes).expect("the server answers in time");
        assert!(count > 0, "the server hung up");
        self.input.extend_from_slice(&bytes[..count]);
    }

    fn write(&mut self, bytes: &mut BytesMut) {
        self.stream.write_all(&bytes.split()).unwrap();
    }
}

fn options(cluster: &Cluster, channel: Channel) -> LoginOptions {
    LoginOptions {
        user: "postgres".to_owned(),
        password: SecretString::from(cluster.password.clone()),
        parameters: vec![("database".to_owned(), "postgres".to_owned())],
        channel,
        trust: Trust::Refuse,
        limits: FrameLimits::default(),
    }
}

/// What a client reads, and how many times it was told that all is ready.
#[derive(Default)]
struct Seen {
    bytes: BytesMut,
    lines: Vec<String>,
    ready: usize,
}

impl Seen {
    fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        while let Some(frame) = frame::take(&mut self.bytes, usize::MAX).unwrap() {
            let line = match ServerMessage::parse(frame.tag, frame.body()).unwrap().unwrap() {
                // the line in PostgreSQL's source differs by place
                ServerMessage::ErrorResponse(fields) => {
                    format!(
                        "error {} {} {}",
                        fields.severity().as_str(),
                        fields.sqlstate(),
                        fields.text(b'M').unwrap()
                    )
                }
                ServerMessage::ReadyForQuery(status) => {
                    self.ready += 1;
                    format!("ready {status:?}")
                }
                other => format!("{other:?}"),
            };
            self.lines.push(line);
        }
    }
}

fn direct(cluster: &Cluster, script: &Script) -> Vec<String> {
    let (mut server, _) = Server::connect(cluster);
    let mut seen = Seen::default();
    let mut ready = 0;
    for (bytes, more) in script {
        server.write(&mut bytes.clone());
        ready += more;
        while seen.ready < ready {
            server.read();
            seen.take(&server.input.split());
        }
    }
    seen.lines
}

fn through(
    cluster: &Cluster,
    script: &Script,
    inspect: bool,
    piece: usize,
) -> (Vec<String>, Vec<Observation>) {
    let (mut server, _) = Server::connect(cluster);
    let mut machine = Conversation::new(ConversationOptions { inspect, ..ConversationOptions::default() });
    let mut seen = Seen::default();
    let mut observed = Vec::new();
    let mut ready = 0;
    let mut input = BytesMut::new();
    for (bytes, more) in script {
        ready += more;
        for bytes in bytes.chunks(piece) {
            input.extend_from_slice(bytes);
            drive(&mut machine, &mut input);
            server.write(machine.upstream_output());
        }
        while seen.ready < ready {
            server.read();
            machine.handle_upstream(&mut server.input).unwrap();
            observed.extend(std::iter::from_fn(|| machine.poll_observation()));
            let output = machine.client_output();
            seen.take(&output.copy_to_bytes(output.remaining()));
            drive(&mut machine, &mut input);
            server.write(machine.upstream_output());
        }
    }
    assert!(input.is_empty());
    assert_eq!(machine.outstanding(), 0);
    (seen.lines, observed)
}

fn drive(machine: &mut Conversation, input: &mut BytesMut) {
    machine.handle_client(input).unwrap();
    while let Some(question) = machine.poll_question() {
        let ask = format!("{:?}", question.ask);
        let syntax = ErrorFields::new(Severity::Error, "42601", "syntax error at or near \"hoopctl\"");
        machine.handle_answer(if ask.contains(DENIED) {
            Answer::Refuse(Box::new(syntax))
        } else {
            let copies = ask.contains("copy") || ask.contains("Execute");
            Answer::Forward(if copies { Expect::ANYTHING } else { Expect::default() })
        });
        machine.handle_client(input).unwrap();
    }
}

#[test]
fn the_machine_shows_what_postgresql_shows() {
    let majors = majors();
    for major in [majors[0], majors[majors.len() - 1]] {
        let cluster = Cluster::start(major);
        for (name, script) in scripts() {
            let expected = direct(&cluster, &script);
            for (inspect, piece) in [(false, usize::MAX), (true, usize::MAX), (true, 7)] {
                let (seen, _) = through(&cluster, &script, inspect, piece);
                assert_eq!(
                    seen, expected,
                    "{name}, PostgreSQL {major}, inspect {inspect}, pieces of {piece}"
                );
            }
        }
    }
}

#[test]
fn refusing_a_bind_keeps_the_unnamed_statement() {
    let major = *majors().last().unwrap();
    let cluster = Cluster::start(major);
    let denied = ClientMessage::Bind(Bind {
        portal: b"",
        statement: b"",
        formats: Vec::new(),
        values: vec![Some(DENIED.as_bytes())],
        result_formats: Vec::new(),
    });
    // the value shows as bytes, so the rule looks for the portal's name
    let named = ClientMessage::Execute { portal: DENIED.as_bytes(), max_rows: 0 };
    let script = script(&[
        (&[parse("", "select 41 + 1"), SYNC], 1),
        (&[named, SYNC], 1),
        (&[denied, SYNC], 1),
        (&[bind("", ""), execute("", 0), SYNC], 1),
    ]);
    let (seen, observed) = through(&cluster, &script, false, usize::MAX);
    assert_eq!(
        seen[1..4],
        ["ready Idle", "error ERROR 42601 syntax error at or near \"hoopctl\"", "ready Idle"]
    );
    assert!(seen.contains(&format!("{:?}", ServerMessage::DataRow(vec![Some(b"42")]))), "{seen:?}");
    assert!(observed.iter().any(|o| matches!(o, Observation::Failed { refused: true, .. })));
}

#[test]
fn a_login_binds_to_the_channel_and_finds_out_a_false_one() {
    let cluster = Cluster::start(*majors().last().unwrap());
    let tls = Arc::new(cluster.tls());
    let attempt = |falsify: bool| {
        let mut socket = TcpStream::connect(("127.0.0.1", cluster.port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.write_all(&login::ssl_request()).unwrap();
        let mut answer = [0; 1];
        socket.read_exact(&mut answer).unwrap();
        assert!(login::judge_ssl_answer(&mut BytesMut::from(&answer[..])).unwrap());
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let mut session = rustls::ClientConnection::new(tls.clone(), name).unwrap();
        while session.is_handshaking() {
            session.complete_io(&mut socket).unwrap();
        }
        let mut hash = Sha256::digest(&session.peer_certificates().unwrap()[0]).to_vec();
        hash[0] ^= u8::from(falsify);
        let mut stream = rustls::StreamOwned::new(session, socket);
        let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
        let mut login = Login::begin(options(&cluster, Channel::Tls { endpoint: Some(hash) }), &mut output);
        loop {
            stream.write_all(&output.split()).unwrap();
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).unwrap();
            input.extend_from_slice(&bytes[..count]);
            match login.handle(&mut input, &mut output) {
                Ok(LoginStep::More(more)) => login = more,
                Ok(LoginStep::Done(done)) => break Ok(done),
                Err(fault) => break Err(fault),
            }
        }
    };
    let done = attempt(false).unwrap();
    assert!(done.key.is_some() && done.settings.iter().any(|(name, _)| name == "server_version"));
    assert!(attempt(true).unwrap_err().to_string().contains("refused the login"));
}
