//! Ways around the gateway that somebody tried: each one is closed, and stays so.

mod tricks;

use bytes::{Bytes, BytesMut};
use hoopctl::domain::event::What;
use hoopctl::gateway::journal::ItemKind;
use hoopctl::wire::postgres::cancel::CancelKey;
use hoopctl::wire::postgres::frame::{self, FrameLimits};
use hoopctl::wire::postgres::frontend::{Bind, ClientMessage, Parse};
use hoopctl::wire::postgres::login::{Channel, Login, LoginOptions, LoginStep, Trust};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::support::gateway::{Gateway, SECRET, Setup};
use crate::support::masks::hidden;
use crate::support::postgres::{Cluster, majors};

const READS_ONLY: &str = r#"@id("reads-only") forbid(principal, action == Hoop::Action::"statement", resource)
    when { ["write", "definition", "unknown"].contains(context.kind) };"#;

fn newest() -> Cluster {
    Cluster::start(*majors().last().expect("a major"))
}

/// Reads as one SELECT where a backslash is a character, and as a SELECT and a DELETE where it escapes.
const ESCAPING: &str = r"SELECT 'a\''; DELETE FROM precious; --'";
/// The same in one statement.
const ESCAPING_WITH: &str = r"WITH x AS (SELECT 'a\''), y AS (DELETE FROM precious RETURNING 1) SELECT 1 --'
      ) SELECT 1";

async fn precious(cluster: &Cluster) -> i64 {
    cluster.admin().await.query_one("SELECT count(*) FROM precious", &[]).await.expect("counts").get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_judged_with_the_servers_own_idea_of_backslashes() {
    for major in majors() {
        let cluster = Cluster::start(major);
        let table = "CREATE TABLE precious AS SELECT 1 AS n";
        cluster.admin().await.batch_execute(table).await.expect("the table");
        let gateway = Gateway::start(&cluster, Setup { policy: READS_ONLY, ..Setup::open(&cluster) });

        let client = gateway.connect().await;
        client.batch_execute(ESCAPING).await.expect("it is one SELECT");
        client.batch_execute("SET standard_conforming_strings = off").await.expect("allowed");
        client.batch_execute(ESCAPING).await.expect_err("it deletes");
        client.batch_execute("BEGIN; SET standard_conforming_strings = on").await.expect("allowed");
        client.batch_execute(ESCAPING).await.expect("it is one SELECT");
        client.batch_execute("ROLLBACK").await.expect("allowed");
        client.batch_execute(ESCAPING).await.expect_err("it deletes again");

        // the reading changes while the next text is already on its way
        let client = gateway.connect().await;
        let turn = "SELECT set_config('standard_' || 'conforming_strings', 'off', false)";
        let (_, evil) = tokio::join!(client.batch_execute(turn), client.batch_execute(ESCAPING));
        evil.expect_err("it deletes");

        // and before the server has even said so
        let mut raw = Raw::connect(&gateway).await;
        raw.send(&[parse("", turn), bind(""), EXECUTE, parse("", ESCAPING_WITH), bind(""), EXECUTE, SYNC])
            .await;
        let answers = raw.until_ready().await;
        assert!(told(&answers, b'E', "reads-only"), "{major}: {answers:?}");

        // from the first moment
        let mut psql = gateway.psql();
        psql.env("PGOPTIONS", "-c standard_conforming_strings=off").args(["-c", ESCAPING]);
        assert!(!psql.output().await.expect("psql runs").status.success());
        assert_eq!(precious(&cluster).await, 1, "{major}");
    }
}

/// In GBK the last byte of the character and the backslash are one character, so the quote ends the string.
#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_judged_with_the_connections_own_encoding() {
    let cluster = newest();
    cluster.admin().await.batch_execute("CREATE TABLE precious AS SELECT 1 AS n").await.expect("the table");
    let gateway = Gateway::start(&cluster, Setup { policy: READS_ONLY, ..Setup::open(&cluster) });
    let evil = r"SELECT E'你\'; DELETE FROM precious; --'";
    for turn in ["SET client_encoding = 'GBK'", "SET NAMES 'SJIS'"] {
        let mut raw = Raw::connect(&gateway).await;
        raw.send(&[ClientMessage::Query(evil.as_bytes())]).await;
        assert!(!told(&raw.until_ready().await, b'E', ""), "it is one SELECT");
        raw.send(&[ClientMessage::Query(turn.as_bytes()), ClientMessage::Query(evil.as_bytes())]).await;
        assert!(!told(&raw.until_ready().await, b'E', ""));
        assert!(told(&raw.until_ready().await, b'E', "reads-only"));
    }
    assert_eq!(precious(&cluster).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_never_on_record() {
    let cluster = newest();
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let client = gateway.connect().await;
    let texts = [
        "CREATE ROLE bob PASSWORD 'hunter-2a'",
        "ALTER ROLE bob PASSWORD 'hunter-2b'",
        "ALTER ROLE bob PASSWORD 'hunter-2c' hoopctl", // cannot be parsed
    ];
    for text in texts {
        let _may_fail = client.batch_execute(text).await;
    }
    client.execute("ALTER ROLE bob PASSWORD 'hunter-2d'", &[]).await.expect("prepared");
    drop(client);
    let events = format!("{:?}", gateway.book.events.lock().expect("not poisoned"));
    assert!(!events.contains("hunter"), "{events}");
    let items = gateway.book.items.lock().expect("not poisoned");
    let statements = items.iter().filter(|(kind, _)| *kind != ItemKind::Answer);
    for (_, bytes) in statements {
        assert!(!String::from_utf8_lossy(bytes).contains("hunter"), "{}", String::from_utf8_lossy(bytes));
    }
}

/// What is entered for a Bind is what the name stands for when the database gets there.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_changes_hands_in_a_pipeline_is_not_taken_for_the_old_statement() {
    let cluster = newest();
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let mut raw = Raw::connect(&gateway).await;
    raw.send(&[parse("p", "SELECT 'old'"), SYNC]).await;
    raw.until_ready().await;
    let swap = "DEALLOCATE p; PREPARE p AS SELECT 'new'";
    raw.send(&[ClientMessage::Query(swap.as_bytes()), bind("p"), EXECUTE, SYNC]).await;
    raw.until_ready().await;
    let answers = raw.until_ready().await;
    assert!(told(&answers, b'D', "new"), "{answers:?}");
    let last = gateway.book.statements().pop().expect("a statement");
    assert!(last.2.contains("new"), "entered as {last:?}");
}

const NESTINGS: &[(&str, &str)] = &[
    ("- ", ""),
    ("NOT ", ""),
    ("1+", ""),
    ("", "+1"),
    ("", " AT LOCAL"),
    ("", "::text"),
    ("", " IS NULL"),
    ("", " COLLATE \"C\""),
    ("", " AT TIME ZONE 'UTC'"),
    ("", "[1]"),
    ("", " UNION SELECT 1"),
    ("", " FROM a JOIN b ON true"),
    ("(SELECT ", ")"),
    ("ARRAY[", "]"),
    ("abs(", ")"),
    ("CASE WHEN ", " THEN 1 END"),
];

/// A broker serves many: no text may exhaust the stack that it is read on.
#[tokio::test(flavor = "multi_thread")]
async fn a_short_text_that_nests_deeply_is_survived() {
    let cluster = newest();
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let masks = vec![hidden("public.t.a")];
    let masked = Gateway::start(&cluster, Setup { masks, ..Setup::open(&cluster) });
    for client in [gateway.connect().await, masked.connect().await] {
        for (before, after) in NESTINGS {
            for times in [100, 450, 900, 2000, 100_000] {
                let text = format!("SELECT {}now(){}", before.repeat(times), after.repeat(times));
                let _answer = client.simple_query(&text).await;
                client
                    .simple_query("SELECT 1")
                    .await
                    .unwrap_or_else(|error| panic!("{before:?} {after:?} {times}: {error:?}"));
            }
        }
        // masked targets refuse this, and then nothing reads otherwise
        let _set = client.batch_execute("SET standard_conforming_strings = off").await;
        for (before, after) in NESTINGS {
            let times = 4000 / (before.len() + after.len());
            let text = format!("SELECT '\\\\', {}now(){}", before.repeat(times), after.repeat(times));
            let _answer = client.simple_query(&text).await;
            client.simple_query("SELECT 1").await.expect("the session goes on");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_are_entered_with_a_statements_first_verdict() {
    let cluster = newest();
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let client = gateway.connect().await;
    for _ in 0..2 {
        client.batch_execute("SELECT 1 FROM pg_class").await.expect("allowed");
    }
    let facts = gateway.book.facts();
    assert_eq!(facts.iter().map(|facts| facts.verb.as_str()).collect::<Vec<_>>(), ["select"]);
    let events = gateway.book.events.lock().expect("not poisoned");
    let referred = events.iter().filter_map(|event| match &event.what {
        What::StatementJudged { facts_of, .. } => Some(*facts_of),
        _ => None,
    });
    assert_eq!(referred.collect::<Vec<_>>(), [None, Some(1)], "the second entry says where they are");
}

/// Without masks or rules, nothing that PostgreSQL accepts is refused.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_target_is_as_open_as_postgresql() {
    for major in majors() {
        let cluster = Cluster::start(major);
        let gateway = Gateway::start(&cluster, Setup::open(&cluster));
        let file = gateway.folder().join("object");
        std::fs::write(&file, vec![b'x'; 300_000]).expect("a file");
        let (import, export) = (
            format!("\\lo_import '{}'", file.display()),
            format!("\\lo_export :LASTOID '{}.out'", file.display()),
        );
        let arguments = [
            "-At",
            "-c",
            "DO $$ BEGIN RAISE NOTICE 'hello'; END $$",
            "-c",
            "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT $1'; SELECT f(1)",
            "-c",
            "CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 1'",
            "-c",
            "CALL p()",
            "-c",
            "PREPARE one(int) AS SELECT $1; EXECUTE one(1); EXECUTE one(2); DEALLOCATE one",
            "-c",
            "BEGIN; DECLARE c CURSOR FOR SELECT 7; FETCH c; CLOSE c; COMMIT",
            "-c",
            r"SET standard_conforming_strings = off; SELECT 'a\\b'",
            "-c",
            "RESET ALL",
            "-c",
            "SELECT U&'\\0061', E'\\x61', 'ä€'",
            "-c",
            "SET client_encoding = 'LATIN1'; SET client_encoding = 'UTF8'; SELECT 'ä'",
            "-c",
            "LISTEN x; NOTIFY x, 'y'; UNLISTEN *",
            "-c",
            "DISCARD ALL",
            "-c",
            "VACUUM pg_class",
            "-c",
            "CREATE TABLE numbers(n int)",
            "-c",
            import.as_str(),
            "-c",
            export.as_str(),
        ];
        let (_, err, ok) = gateway.run(&arguments).await;
        assert!(ok, "{major}: {err}");

        let mut raw = Raw::connect(&gateway).await;
        let query =
            b"SELECT 1; COPY numbers FROM STDIN; COPY numbers TO STDOUT; SELECT count(*) FROM numbers";
        let (data, done) = (ClientMessage::CopyData(b"1\n2\n"), ClientMessage::CopyDone);
        raw.send(&[ClientMessage::Query(query), data, done, ClientMessage::Query(b"SELECT 'after'")]).await;
        let answers = raw.until_ready().await;
        assert!(told(&answers, b'd', "2") && told(&answers, b'D', "2"), "{major}: {answers:?}");
        assert!(told(&raw.until_ready().await, b'D', "after"));
        let copy =
            [parse("", "COPY numbers FROM STDIN"), bind(""), EXECUTE, SYNC, ClientMessage::CopyDone, SYNC];
        raw.send(&copy).await;
        assert!(told(&raw.until_ready().await, b'C', "COPY 0"));
    }
}

/// NULL and an empty value, and a text and a binary one, are different things to have sent.
#[tokio::test(flavor = "multi_thread")]
async fn the_digest_tells_null_from_nothing() {
    let cluster = newest();
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let client = gateway.connect().await;
    let statement = client.prepare("SELECT $1::text").await.expect("prepared");
    client.query(&statement, &[&None::<&str>]).await.expect("runs");
    client.query(&statement, &[&Some("")]).await.expect("runs");
    let events = gateway.book.events.lock().expect("not poisoned").clone();
    let digests: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.what {
            What::StatementJudged { digest, .. } => Some(digest.clone()),
            _ => None,
        })
        .collect();
    let [.., one, other] = digests.as_slice() else { panic!("{digests:?}") };
    assert_ne!(one, other);
}

/// A client whose messages are written by hand.
pub(crate) struct Raw {
    stream: UnixStream,
    input: BytesMut,
    key: Option<CancelKey>,
}

impl Raw {
    pub(crate) async fn connect(gateway: &Gateway) -> Self {
        let mut stream = UnixStream::connect(gateway.folder().join(".s.PGSQL.5432")).await.expect("a socket");
        let options = LoginOptions {
            user: "alice".into(),
            password: SecretString::from(SECRET),
            parameters: vec![("database".into(), "postgres".into())],
            channel: Channel::Plain,
            trust: Trust::Refuse,
            limits: FrameLimits::default(),
        };
        let (mut output, mut input) = (BytesMut::new(), BytesMut::new());
        let mut login = Login::begin(options, &mut output);
        loop {
            stream.write_all(&output).await.expect("writes");
            output.clear();
            stream.read_buf(&mut input).await.expect("reads");
            match login.handle(&mut input, &mut output).expect("lets us in") {
                LoginStep::Done(done) => return Self { stream, input, key: done.key },
                LoginStep::More(more) => login = more,
            }
        }
    }

    pub(crate) async fn send(&mut self, messages: &[ClientMessage<'_>]) {
        let mut bytes = BytesMut::new();
        messages.iter().for_each(|message| message.encode(&mut bytes));
        // whether the other side is still there is found out when reading
        let _gone = self.stream.write_all(&bytes).await;
    }

    /// Asks for a cancel, as Ctrl-C does: on a connection of its own.
    pub(crate) async fn cancel(&self, gateway: &Gateway) {
        let mut stream = UnixStream::connect(gateway.folder().join(".s.PGSQL.5432")).await.expect("a socket");
        let mut request = BytesMut::new();
        self.key.as_ref().expect("a key").encode_request(&mut request);
        stream.write_all(&request).await.expect("writes");
        // it is closed once the request was dealt with
        assert_eq!(stream.read_buf(&mut request).await.unwrap_or(0), 0);
    }

    /// The answers up to ReadyForQuery, or the end.
    pub(crate) async fn until_ready(&mut self) -> Vec<(u8, Bytes)> {
        let mut answers = Vec::new();
        let reading = async {
            loop {
                while let Some(frame) = frame::take(&mut self.input, 1 << 30).expect("frames") {
                    let ready = frame.tag == b'Z';
                    answers.push((frame.tag, frame.bytes.clone()));
                    if ready {
                        return;
                    }
                }
                if self.stream.read_buf(&mut self.input).await.unwrap_or(0) == 0 {
                    return;
                }
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), reading).await.expect("an answer in time");
        answers
    }
}

pub(crate) fn told(answers: &[(u8, Bytes)], tag: u8, text: &str) -> bool {
    answers.iter().any(|(t, body)| *t == tag && String::from_utf8_lossy(body).contains(text))
}

pub(crate) fn parse<'a>(statement: &'a str, text: &'a str) -> ClientMessage<'a> {
    ClientMessage::Parse(Parse { statement: statement.as_bytes(), text: text.as_bytes(), types: Vec::new() })
}

pub(crate) fn bind(statement: &str) -> ClientMessage<'_> {
    ClientMessage::Bind(Bind {
        portal: b"",
        statement: statement.as_bytes(),
        formats: Vec::new(),
        values: Vec::new(),
        result_formats: Vec::new(),
    })
}

pub(crate) const EXECUTE: ClientMessage<'_> = ClientMessage::Execute { portal: b"", max_rows: 0 };
pub(crate) const SYNC: ClientMessage<'_> = ClientMessage::Sync;
