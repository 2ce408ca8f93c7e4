//! How connections begin, byte by byte: replication, and the keys that cancel.

use std::time::Duration;

use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::{newest, wait_for};
use crate::support::gateway::{Gateway, SECRET, Setup};

const PROTOCOL_3_0: u32 = 3 << 16;
const PROTOCOL_3_2: u32 = 3 << 16 | 2;

/// A client that speaks for itself.
struct Raw {
    stream: UnixStream,
    process: [u8; 4],
    key: Vec<u8>,
}

impl Raw {
    /// Logs in; an error's SQLSTATE and message where that fails.
    async fn open(gateway: &Gateway, version: u32, more: &[(&str, &str)]) -> Result<Self, String> {
        let mut body = version.to_be_bytes().to_vec();
        for (name, value) in [("user", "alice"), ("database", "postgres")].iter().chain(more) {
            body.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
        }
        body.push(0);
        let stream = UnixStream::connect(gateway.folder().join(".s.PGSQL.5432")).await.expect("a socket");
        let mut raw = Self { stream, process: [0; 4], key: Vec::new() };
        raw.packet(&body).await;
        let mut scram = ScramSha256::new(SECRET.as_bytes(), ChannelBinding::unsupported());
        loop {
            let (tag, body) = raw.receive().await;
            match (tag, body.get(..4)) {
                (b'R', Some([0, 0, 0, 10])) => {
                    let first = scram.message().to_vec();
                    let length = u32::try_from(first.len()).expect("short").to_be_bytes();
                    raw.send(b'p', &[SCRAM_SHA_256.as_bytes(), b"\0", &length, &first].concat()).await;
                }
                (b'R', Some([0, 0, 0, 11])) => {
                    scram.update(&body[4..]).expect("a challenge");
                    raw.send(b'p', scram.message()).await;
                }
                (b'R', Some([0, 0, 0, 12])) => {
                    scram.finish(&body[4..]).expect("the gateway knows the secret");
                }
                (b'K', Some(process)) => {
                    raw.process.copy_from_slice(process);
                    raw.key = body[4..].to_vec();
                }
                (b'E', _) => return Err(told(&body)),
                (b'Z', _) => return Ok(raw),
                _ => {}
            }
        }
    }

    async fn packet(&mut self, body: &[u8]) {
        let length = u32::try_from(body.len() + 4).expect("short").to_be_bytes();
        self.stream.write_all(&[&length, body].concat()).await.expect("sent");
    }

    async fn send(&mut self, tag: u8, body: &[u8]) {
        self.stream.write_all(&[tag]).await.expect("sent");
        self.packet(body).await;
    }

    async fn query(&mut self, text: &str) {
        self.send(b'Q', format!("{text}\0").as_bytes()).await;
    }

    async fn receive(&mut self) -> (u8, Vec<u8>) {
        let message = async {
            let tag = self.stream.read_u8().await.expect("a message");
            let length = self.stream.read_u32().await.expect("a message");
            let mut body = vec![0; length as usize - 4];
            self.stream.read_exact(&mut body).await.expect("a message");
            (tag, body)
        };
        tokio::time::timeout(Duration::from_secs(20), message).await.expect("an answer in time")
    }

    /// The tags of everything up to this one, and its body.
    async fn until(&mut self, wanted: u8) -> (String, Vec<u8>) {
        let mut tags = String::new();
        loop {
            let (tag, body) = self.receive().await;
            tags.push(char::from(tag));
            if tag == wanted {
                return (tags, body);
            }
        }
    }
}

/// SQLSTATE and message of an ErrorResponse.
fn told(body: &[u8]) -> String {
    let field = |code: u8| {
        let found = body.split(|byte| *byte == 0).find(|field| field.first() == Some(&code));
        String::from_utf8_lossy(found.map_or(&[][..], |field| &field[1..])).into_owned()
    };
    format!("{} {}", field(b'C'), field(b'M'))
}

/// Asks for a cancel, and waits until the gateway has heard it.
async fn cancel(gateway: &Gateway, process: [u8; 4], key: &[u8]) {
    let socket = gateway.folder().join(".s.PGSQL.5432");
    let stream = UnixStream::connect(socket).await.expect("a socket");
    let mut raw = Raw { stream, process, key: Vec::new() };
    raw.packet(&[&80_877_102_u32.to_be_bytes()[..], &process, key].concat()).await;
    let mut nothing = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(20), raw.stream.read_to_end(&mut nothing)).await;
    closed.expect("it is closed").expect("it is closed");
    assert!(nothing.is_empty(), "a cancel request has no answer");
}

/// Half a message was looked at again and again without a pause, by a thread that no timer could stop.
#[test]
fn half_a_message_of_a_login_holds_nobody_up() {
    let (done, waited) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let cluster = newest();
            let gateway = Gateway::start(&cluster, Setup::open(&cluster));
            let stream = UnixStream::connect(gateway.folder().join(".s.PGSQL.5432")).await.expect("a socket");
            let mut slow = Raw { stream, process: [0; 4], key: Vec::new() };
            slow.packet(&[&PROTOCOL_3_0.to_be_bytes()[..], b"user\0alice\0database\0postgres\0\0"].concat())
                .await;
            assert_eq!(slow.receive().await.0, b'R');
            slow.stream.write_all(b"p\0\0").await.expect("sent");
            let mut other = Raw::open(&gateway, PROTOCOL_3_0, &[]).await.expect("it is let in");
            other.query("SELECT 7").await;
            assert_eq!(other.until(b'Z').await.0, "TDCZ");
        });
        done.send(()).expect("somebody waits");
    });
    waited.recv_timeout(Duration::from_secs(60)).expect("the gateway goes on");
}

/// Protocol 3.2 has keys too long to be guessed; neither a piece of one nor one that is off by a bit is one.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_32_bytes_cancels_and_nothing_near_it_does() {
    let cluster = newest();
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let old = Raw::open(&gateway, PROTOCOL_3_0, &[]).await.expect("it is let in");
    assert_eq!(old.key.len(), 4);
    let mut client = Raw::open(&gateway, PROTOCOL_3_2, &[]).await.expect("it is let in");
    let (process, key) = (client.process, client.key.clone());
    assert_eq!(key.len(), 32);
    client.query("SELECT pg_sleep(600)").await;
    let admin = cluster.admin().await;
    let sleeping =
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(600)%'
        AND pid <> pg_backend_pid()";
    wait_for(&admin, sleeping, 1).await;
    let mut near = key.clone();
    near[31] ^= 1;
    for wrong in [&near, &key[..4].to_vec(), &key[..31].to_vec(), &[key.clone(), vec![0]].concat(), &old.key]
    {
        cancel(&gateway, process, wrong).await;
        let still: i64 = admin.query_one(sleeping, &[]).await.expect("activity").get(0);
        assert_eq!(still, 1, "{} bytes cancelled it", wrong.len());
    }
    cancel(&gateway, process, &key).await;
    let (_, error) = client.until(b'E').await;
    assert!(told(&error).starts_with("57014 "), "{}", told(&error));
    client.until(b'Z').await;
    client.query("SELECT 7").await;
    assert_eq!(client.until(b'Z').await.0, "TDCZ");
}

/// What the write-ahead log carries, no statement rule sees.
#[tokio::test(flavor = "multi_thread")]
async fn a_replication_connection_is_denied_unless_the_target_says_so() {
    let cluster = newest();
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    for value in ["true", "on", "yes", "1", "database", "TRUE", "t"] {
        let refused = Raw::open(&gateway, PROTOCOL_3_0, &[("replication", value)]).await.err();
        let refused = refused.unwrap_or_else(|| panic!("`{value}` was let in"));
        assert_eq!(refused, "42501 replication connections are denied on this target", "{value}");
    }
    for value in ["false", "off", "no", "0"] {
        let mut client =
            Raw::open(&gateway, PROTOCOL_3_0, &[("replication", value)]).await.expect("it is let in");
        client.query("IDENTIFY_SYSTEM").await;
        assert!(client.until(b'Z').await.0.starts_with('E'), "`{value}` is replication");
    }
    let (_, err, ok) = gateway.run(&["-c", "IDENTIFY_SYSTEM", "dbname=postgres replication=database"]).await;
    assert!(!ok && err.contains("replication = true"), "the hint says how: {err}");
    assert!(gateway.book.statements().iter().all(|(verb, ..)| verb != "replication"));

    let gateway = Gateway::start(&cluster, Setup { replication: true, ..Setup::open(&cluster) });
    let identify = ["-Atc", "IDENTIFY_SYSTEM", "dbname=postgres replication=database"];
    let (out, err, ok) = gateway.run(&identify).await;
    assert!(ok && out.trim().ends_with("|postgres"), "{out}{err}");
    // as pg_receivewal does
    let receiving = ["-Atc", "IDENTIFY_SYSTEM", "dbname=replication replication=true"];
    let (out, err, ok) = gateway.run(&receiving).await;
    assert!(ok && !out.is_empty(), "{out}{err}");
    // what PostgreSQL takes for a no leads to no other database
    let spelled = ["-Atc", "SELECT 1", "dbname=template1 replication=fals"];
    let (_, err, ok) = gateway.run(&spelled).await;
    assert!(!ok && err.contains("is one database"), "{err}");
    let mut client =
        Raw::open(&gateway, PROTOCOL_3_0, &[("replication", "true")]).await.expect("it is let in");
    client.query("IDENTIFY_SYSTEM").await;
    assert_eq!(client.until(b'Z').await.0, "TDCZ");
    let entered = gateway.book.statements();
    assert!(entered.iter().any(|(_, _, text)| text == "IDENTIFY_SYSTEM"), "{entered:?}");

    // masks and replication do not go together, whatever the configuration would say
    let masks = vec![super::masked("public.people.ssn", hoopctl::domain::mask::Mask::Full)];
    let gateway = Gateway::start(&cluster, Setup { replication: true, masks, ..Setup::open(&cluster) });
    let refused = Raw::open(&gateway, PROTOCOL_3_0, &[("replication", "true")]).await.err();
    assert_eq!(refused.as_deref(), Some("42501 replication would carry masked columns in the clear"));
}
