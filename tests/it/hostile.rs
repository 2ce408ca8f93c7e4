//! Texts that are meant to break a reader: each gets a clear refusal or exactly what PostgreSQL says, and nobody else
//! notices.

mod encodings;
mod memory;
mod soup;
mod texts;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hoopctl::domain::mask::MaskRule;
use tokio::io::AsyncWriteExt as _;

use crate::leases::stage::newest;
use crate::support::gateway::{Gateway, Setup};
use crate::support::masks::hidden;
use crate::support::postgres::{Cluster, majors};
use crate::support::raw::{PROTOCOL_3_0, Raw, told};
use texts::{Hostile, texts};

/// What a client is told: everything but the texts of errors.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// The connection has ended, with this SQLSTATE.
    Ended(String),
    /// SQLSTATE, and whether it is the gateway's own refusal.
    Error(String, Option<String>),
    /// Names of columns, rows and command tags.
    Rows(Vec<Vec<u8>>),
}

/// A table with a secret, and one that must keep its row.
const TABLES: &str = "CREATE TABLE people (id int PRIMARY KEY, name text, ssn text);
    INSERT INTO people VALUES (1, 'ann', 'top-secret'), (2, 'bob', 'other-secret');
    CREATE TABLE precious AS SELECT 1 AS n;";

/// The same for somebody who may see no secret.
const BLANK: &str = "UPDATE people SET ssn = '[masked]'";

const SECRETS: &[&str] = &["top-secret", "other-secret"];

fn mask() -> Vec<MaskRule> {
    vec![hidden("public.people.ssn")]
}

/// Two databases that differ in protected cells: `postgres`, and `blank`, where they read as the mask does.
async fn furnish(cluster: &Cluster) {
    let admin = cluster.admin().await;
    admin.batch_execute(TABLES).await.expect("the tables");
    admin.batch_execute("CREATE DATABASE blank").await.expect("a database");
    let blank = cluster.connect("postgres", &cluster.password, "blank").await.expect("its owner");
    blank.batch_execute(&format!("{TABLES} {BLANK}")).await.expect("the tables");
}

/// Sends a text with the simple protocol and tells what came of it.
async fn simple(raw: &mut Raw, text: &[u8]) -> Answer {
    let length = u32::try_from(text.len() + 5).expect("short").to_be_bytes();
    let _gone = raw.stream.write_all(&[b"Q", length.as_slice(), text, b"\0"].concat()).await;
    answer(raw).await
}

/// The same with the extended protocol.
async fn extended(raw: &mut Raw, text: &[u8]) -> Answer {
    let mut messages = Vec::new();
    let mut message = |tag: u8, body: &[u8]| {
        messages.push(tag);
        messages.extend_from_slice(&u32::try_from(body.len() + 4).expect("short").to_be_bytes());
        messages.extend_from_slice(body);
    };
    message(b'P', &[b"\0", text, b"\0\0\0"].concat());
    message(b'B', b"\0\0\0\0\0\0\0\0");
    message(b'D', b"P\0");
    message(b'E', b"\0\0\0\0\0");
    message(b'S', b"");
    let _gone = raw.stream.write_all(&messages).await;
    answer(raw).await
}

async fn answer(raw: &mut Raw) -> Answer {
    let (mut rows, mut error) = (Vec::new(), None);
    while let Some((tag, body)) = raw.next().await {
        match tag {
            b'E' => error = error.or_else(|| Some(told(&body))),
            // OIDs of tables differ between databases, and where a mask stands there is none
            b'T' => rows.push(names(&body)),
            b'D' | b'C' => rows.push([&[tag], body.as_slice()].concat()),
            b'Z' => {
                let Some(error) = error else { return Answer::Rows(rows) };
                let (state, message) = error.split_once(' ').expect("two parts");
                let rule = message.split_once("(rule ").and_then(|(_, rest)| rest.split_once(')'));
                return Answer::Error(state.into(), rule.map(|(rule, _)| rule.into()));
            }
            b'G' => raw.send(b'f', b"not now\0").await,
            _ => {}
        }
    }
    Answer::Ended(error.map(|error| error.chars().take(5).collect()).unwrap_or_default())
}

/// The names of the columns of a RowDescription.
fn names(body: &[u8]) -> Vec<u8> {
    let mut names = vec![b'T'];
    let mut rest = body.get(2..).unwrap_or_default();
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        names.extend_from_slice(&rest[..=end]);
        rest = rest.get(end + 19..).unwrap_or_default();
    }
    names
}

/// A connection that is opened again when it has ended.
async fn alive(raw: &mut Raw, again: impl AsyncFn() -> Raw) {
    // whether the other side is still there is found out when reading
    let _gone = raw.stream.write_all(b"Q\0\0\0\x0dROLLBACK\0").await;
    if matches!(answer(raw).await, Answer::Ended(_)) {
        *raw = again().await;
    }
    raw.send(b'Q', b"SELECT 'alive'\0").await;
    let Answer::Rows(rows) = answer(raw).await else { panic!("the connection does not go on") };
    assert!(rows.iter().any(|row| row.ends_with(b"alive")), "{rows:?}");
}

/// Somebody else, who asks for something small all the time and must be answered each time.
struct Bystander {
    over: Arc<AtomicBool>,
    asking: tokio::task::JoinHandle<(u32, std::time::Duration)>,
}

impl Bystander {
    async fn start(gateway: &Gateway) -> Self {
        let (client, over) = (gateway.connect().await, Arc::new(AtomicBool::new(false)));
        let stop = Arc::clone(&over);
        let asking = tokio::spawn(async move {
            let (mut asked, mut longest) = (0, std::time::Duration::ZERO);
            while !stop.load(Ordering::SeqCst) {
                let began = std::time::Instant::now();
                client.simple_query("SELECT count(*) FROM people").await.expect("an answer");
                longest = longest.max(began.elapsed());
                asked += 1;
            }
            (asked, longest)
        });
        Self { over, asking }
    }

    async fn end(self) -> (u32, std::time::Duration) {
        self.over.store(true, Ordering::SeqCst);
        self.asking.await.expect("every question was answered")
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes in a debug build: tests/run --full"]
async fn every_hostile_text_is_refused_or_answered_as_postgresql_does_by_the_oldest() {
    refused_or_answered(majors()[0], "simple").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes in a debug build: tests/run --full"]
async fn every_hostile_text_is_refused_or_answered_as_postgresql_does_by_the_oldest_prepared() {
    refused_or_answered(majors()[0], "extended").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes in a debug build: tests/run --full"]
async fn every_hostile_text_is_refused_or_answered_as_postgresql_does_by_the_newest() {
    refused_or_answered(newest(), "simple").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes in a debug build: tests/run --full"]
async fn every_hostile_text_is_refused_or_answered_as_postgresql_does_by_the_newest_prepared() {
    refused_or_answered(newest(), "extended").await;
}

async fn refused_or_answered(major: u32, how: &str) {
    let cluster = Cluster::start(major);
    furnish(&cluster).await;
    let open = Gateway::start(&cluster, Setup::open(&cluster));
    let masked = Gateway::start(&cluster, Setup { masks: mask(), ..Setup::open(&cluster) });
    let blank = async || Raw::direct(&cluster, "blank", &[]).await;
    let through = async |gateway| Raw::open(gateway, PROTOCOL_3_0, &[]).await.expect("it lets us in");
    let bystander = Bystander::start(&masked).await;
    let (mut faults, mut slow, mut refused, mut count) = (Vec::new(), Vec::new(), 0, 0);
    let (mut direct, mut one, mut other) = (blank().await, through(&open).await, through(&masked).await);
    for Hostile { name, text } in texts() {
        let began = std::time::Instant::now();
        let (truth, plain, judged) = tokio::join!(
            say(&mut direct, how, &text),
            say(&mut one, how, &text),
            say(&mut other, how, &text)
        );
        tokio::join!(
            alive(&mut direct, blank),
            alive(&mut one, async || through(&open).await),
            alive(&mut other, async || through(&masked).await)
        );
        let took = began.elapsed();
        if took > SLOW {
            crate::idle::say(&format!("{major} {how}: {name:.60} took {took:.0?}"));
        }
        slow.push((took, name.clone()));
        count += 1;
        if !alike(&plain, &truth, SECRETS) {
            faults.push(format!("{major} {how} {name}, open:\n  {}\n  {}", brief(&truth), brief(&plain)));
        }
        match &judged {
            // a refusal of ours names its rule; where PostgreSQL itself would have none of it, any error does
            Answer::Error(_, Some(_)) => refused += 1,
            Answer::Error(..) if matches!(truth, Answer::Error(..)) => {}
            _ if judged == truth => {}
            _ => faults.push(format!(
                "{major} {how} {name}, masked:\n  {}\n  {}",
                brief(&truth),
                brief(&judged)
            )),
        }
        for said in [&plain, &judged] {
            assert!(*said != Answer::Ended(String::new()), "{name}: the connection ends without a word");
        }
        let shown = format!("{judged:?}");
        assert!(!SECRETS.iter().any(|secret| shown.contains(secret)), "{name}: {shown}");
    }
    let (asked, longest) = bystander.end().await;
    slow.sort();
    let slowest: Vec<_> =
        slow.iter().rev().take(12).map(|(time, name)| format!("{name:.40} {time:.1?}")).collect();
    crate::idle::say(&format!(
        "{major} {how}: {count} sent, {refused} refused under masks, bystander {asked} times, at most {longest:?}; {slowest:?}"
    ));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(asked > count, "the bystander was answered {asked} times while {count} texts were read");
}

/// What is said at once of a text that takes longer.
const SLOW: std::time::Duration = std::time::Duration::from_secs(10);

async fn say(raw: &mut Raw, how: &str, text: &[u8]) -> Answer {
    if how == "simple" { simple(raw, text).await } else { extended(raw, text).await }
}

/// Whether the open target said what PostgreSQL says, where it is not about what the databases differ in.
fn alike(open: &Answer, truth: &Answer, secrets: &[&str]) -> bool {
    let shown = format!("{open:?}");
    open == truth || secrets.iter().any(|secret| shown.contains(secret))
}

fn brief(answer: &Answer) -> String {
    let shown: String = match answer {
        Answer::Rows(rows) => rows.iter().map(|row| format!("{} ", String::from_utf8_lossy(row))).collect(),
        other => format!("{other:?}"),
    };
    shown.chars().take(200).collect()
}
