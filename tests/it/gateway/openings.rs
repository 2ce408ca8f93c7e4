//! How connections begin, byte by byte: replication, and the keys that cancel.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::{newest, wait_for};
use crate::support::gateway::{Gateway, Setup};
use crate::support::masks::hidden;
use crate::support::raw::{PROTOCOL_3_0, Raw, told};

const PROTOCOL_3_2: u32 = 3 << 16 | 2;

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

/// As from the database itself: whoever has seen the request's connection close may send the next statement. Drivers do
/// (asyncpg's timeouts, psql's Ctrl-C), and a request that was passed on later met that statement.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_meets_nothing_that_is_sent_behind_it() {
    let cluster = newest();
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let mut client = Raw::open(&gateway, PROTOCOL_3_2, &[]).await.expect("it is let in");
    let (process, key) = (client.process, client.key.clone());
    for _ in 0..20 {
        cancel(&gateway, process, &key).await;
        client.query("SELECT pg_sleep(0.05)").await;
        assert_eq!(client.until(b'Z').await.0, "TDCZ");
    }
}

/// A change waits for its entry's disk; a request that was passed on at once met nothing there, and the change ran on.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_meets_what_is_still_being_judged() {
    let cluster = newest();
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let mut client = Raw::open(&gateway, PROTOCOL_3_2, &[]).await.expect("it is let in");
    let (process, key) = (client.process, client.key.clone());
    gateway.book.stuck.send_replace(true);
    client.query("CREATE TEMP TABLE slept AS SELECT FROM pg_sleep(600)").await;
    while gateway.book.statements().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let asked = cancel(&gateway, process, &key);
    tokio::join!(asked, goes_on(&gateway));
    let (_, error) = client.until(b'E').await;
    assert!(told(&error).starts_with("57014 "), "{}", told(&error));
    client.until(b'Z').await;

    // what a driver sends with values: its Parse is owed an answer while its Bind waits
    let before = gateway.book.statements().len();
    gateway.book.stuck.send_replace(true);
    client.send(b'P', b"\0CREATE TEMP TABLE slept AS SELECT FROM pg_sleep(600)\0\0\0").await;
    client.send(b'B', b"\0\0\0\0\0\0\0\0").await;
    client.send(b'E', b"\0\0\0\0\0").await;
    client.send(b'S', b"").await;
    while gateway.book.statements().len() <= before {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let asked = cancel(&gateway, process, &key);
    tokio::join!(asked, goes_on(&gateway));
    let (_, error) = client.until(b'E').await;
    assert!(told(&error).starts_with("57014 "), "{}", told(&error));
}

/// A disk that was stuck is not any more.
async fn goes_on(gateway: &Gateway) {
    tokio::time::sleep(Duration::from_millis(300)).await;
    gateway.book.stuck.send_replace(false);
}

/// JDBC's `currentSchema`, PGOPTIONS and drivers' settings work beside masks, and are left out nowhere in silence.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_begins_with_what_it_could_set() {
    let cluster = newest();
    let schema = "CREATE SCHEMA kept; CREATE TABLE kept.people (id int, ssn text); INSERT INTO kept.people VALUES (7, 'top-secret')";
    cluster.admin().await.batch_execute(schema).await.expect("a schema");
    let masks = vec![hidden("kept.people.ssn")];
    let gateway = Gateway::start(&cluster, Setup { masks, ..Setup::open(&cluster) });
    let asked = "SELECT id, ssn, current_setting('statement_timeout'), current_setting('jit') FROM people";
    for brought in [
        &[("options", "-c search_path=kept -c statement_timeout=61s --jit=off")][..],
        &[("search_path", "Kept,\tpublic"), ("statement_timeout", "61s"), ("JIT", "off")],
        &[
            ("search_path", "kept"),
            (
                "options",
                "-c search_path=public -cjit=off -c statement-timeout=61000 -c application_name=two\\ words",
            ),
        ],
    ] {
        let mut client =
            Raw::open(&gateway, PROTOCOL_3_0, brought).await.unwrap_or_else(|error| panic!("{error}"));
        client.query(asked).await;
        let (tags, row) = client.until(b'D').await;
        let row = String::from_utf8_lossy(&row).into_owned();
        for shown in ["7", "[masked]", "61s", "off"] {
            assert!(row.contains(shown), "{brought:?}: {tags} {row}");
        }
    }
    for (brought, why) in [
        (("row_security", "off"), "42501 the setting row_security among the start-up options is denied"),
        (("options", "-c role=postgres"), "42501 taking another role among the start-up options is denied"),
        (("options", "-c quote_all_identifiers=on"), "42501 the setting quote_all_identifiers among"),
        (("options", "-c client_min_messages=debug5"), "42501 this value of client_min_messages among"),
        (
            ("options", "--standard-conforming-strings=off"),
            "42501 this value of standard_conforming_strings among",
        ),
        (("options", "-c client_encoding=latin1"), "22023 client encoding `latin1` is denied"),
        (("options", "-S 64"), "42501 these start-up options are denied"),
    ] {
        let refused = Raw::open(&gateway, PROTOCOL_3_0, &[brought]).await.err();
        let refused = refused.unwrap_or_else(|| panic!("{brought:?} was let in"));
        assert!(refused.starts_with(why), "{brought:?}: {refused}");
    }

    // where nothing is masked for somebody, and names are looked up for labels
    let fields = BTreeMap::from([("kept.people.ssn".to_owned(), BTreeSet::from(["pii".to_owned()]))]);
    let gateway = Gateway::start(&cluster, Setup { fields, ..Setup::open(&cluster) });
    let refused =
        Raw::open(&gateway, PROTOCOL_3_0, &[("role", "postgres")]).await.err().expect("another role");
    assert!(refused.ends_with("is denied on a target with labelled columns"), "{refused}");
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
    let masks = vec![hidden("public.people.ssn")];
    let gateway = Gateway::start(&cluster, Setup { replication: true, masks, ..Setup::open(&cluster) });
    let refused = Raw::open(&gateway, PROTOCOL_3_0, &[("replication", "true")]).await.err();
    assert_eq!(refused.as_deref(), Some("42501 replication would carry masked columns in the clear"));
}

/// `\c` opens a second connection of the same session.
#[tokio::test(flavor = "multi_thread")]
async fn another_database_than_the_targets_is_denied() {
    let cluster = newest();
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let (out, err, ok) =
        gateway.run(&["-At", "-c", "select 1", "-c", "\\c template1", "-c", "select 2"]).await;
    assert!(!ok && out.starts_with("1\n") && err.contains("is one database"), "{out}{err}");
    assert!(!out.contains('2'), "{out}");
}
