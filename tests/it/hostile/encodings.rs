//! What is let through is what was judged: in every encoding of clients and servers, with both settings of
//! `standard_conforming_strings`.

use std::collections::BTreeMap;

use hoopctl::domain::mask::ColumnPattern;

use super::soup::Soup;
use super::{Answer, BLANK, SECRETS, TABLES, alive, brief, extended, mask, simple};
use crate::idle::say;
use crate::rewrite::extremes;
use crate::support::gateway::{Gateway, Setup};
use crate::support::postgres::Cluster;
use crate::support::raw::{PROTOCOL_3_0, Raw};

const READS_ONLY: &str = r#"@id("reads-only") forbid(principal, action == Hoop::Action::"statement", resource)
    when { ["write", "definition", "unknown"].contains(context.kind) };"#;

/// Encodings of servers: one like ours, one with a byte for each letter, one with more, and none.
const SERVERS: &[&str] = &["UTF8", "LATIN1", "EUC_JP", "SQL_ASCII"];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_let_through_is_what_was_judged_in_every_encoding() {
    let mut seed = 0;
    for major in extremes() {
        let cluster = Cluster::start(major);
        let mut counts = Counts::default();
        for server in SERVERS {
            furnish(&cluster, server).await;
            let setup = || Setup { database: format!("{server}_judged"), ..Setup::open(&cluster) };
            let open = Gateway::start(&cluster, Setup { policy: READS_ONLY, ..setup() });
            for (client, letters) in encodings(&cluster, server).await {
                for escaping in [false, true] {
                    seed += 1;
                    let talk = Talk { cluster: &cluster, server, client: &client, escaping };
                    talk.with(&open, "truth", Soup::new(seed, letters.clone()), &mut counts).await;
                }
            }
            let masked = Gateway::start(&cluster, Setup { masks: mask(), ..setup() });
            let letters = encodings(&cluster, server).await.remove("UTF8").expect("every server has it");
            let talk = Talk { cluster: &cluster, server, client: "UTF8", escaping: false };
            talk.with(&masked, "blank", Soup::new(seed + 1000, letters), &mut counts).await;
        }
        say(&format!("{major}: {counts:?}"));
        // it says nothing where hardly anything is let through, or hardly anything would have done harm
        assert!(counts.same > 100, "{major}: {counts:?}");
        assert!(counts.harmful > 50 && counts.masked > 20, "{major}: {counts:?}");
    }
}

#[derive(Debug, Default)]
struct Counts {
    sent: usize,
    /// Answered as PostgreSQL itself does.
    same: usize,
    /// Of those, with rows, through masks.
    masked: usize,
    refused: usize,
    /// Would have deleted something.
    harmful: usize,
}

/// One connection's texts and settings.
struct Talk<'a> {
    cluster: &'a Cluster,
    server: &'a str,
    client: &'a str,
    escaping: bool,
}

impl Talk<'_> {
    async fn with(&self, gateway: &Gateway, truth: &str, mut soup: Soup, counts: &mut Counts) {
        let (server, twin) = (self.server, format!("{}_{truth}", self.server));
        let direct = async || self.set(Raw::direct(self.cluster, &twin, &[]).await).await;
        let through = async || {
            let raw = Raw::open(gateway, PROTOCOL_3_0, &[]).await.expect("it lets us in");
            if truth == "blank" { raw } else { self.set(raw).await }
        };
        let guarded = self.cluster.connect("postgres", &self.cluster.password, gateway.database()).await;
        let guarded = guarded.expect("its owner");
        let (mut there, mut here) = (direct().await, through().await);
        if truth == "blank" {
            // pinned under masks, so that it is what a client without a word of its own gets
            there = Raw::direct(self.cluster, &twin, &[("client_encoding", "UTF8")]).await;
        }
        for number in 0..if truth == "blank" { 200 } else { 12 } {
            let text = soup.text();
            let (said, heard) = if number % 2 == 0 {
                (simple(&mut here, &text).await, simple(&mut there, &text).await)
            } else {
                (extended(&mut here, &text).await, extended(&mut there, &text).await)
            };
            let shown = || {
                let settings = format!("{server} {} escaping: {}", self.client, self.escaping);
                let text = String::from_utf8_lossy(&text);
                format!("{settings}\n  {text:?}\n  {}\n  {}", brief(&heard), brief(&said))
            };
            counts.sent += 1;
            match &said {
                Answer::Error(_, Some(_)) => counts.refused += 1,
                _ if said == heard => {
                    counts.same += 1;
                    counts.masked += usize::from(truth == "blank" && matches!(said, Answer::Rows(_)));
                }
                // under masks what cannot be read is refused before PostgreSQL can find another fault with it
                Answer::Error(..) if truth == "blank" && matches!(heard, Answer::Error(..)) => {}
                // a letter that the database has not; comments are not sent there
                _ if truth == "blank" && matches!(&heard, Answer::Error(state, _) if state == "22P05") => {}
                _ => panic!("{}", shown()),
            }
            let bytes = format!("{said:?}");
            if truth == "blank" {
                assert!(!SECRETS.iter().any(|secret| bytes.contains(secret)), "{}", shown());
            }
            for raw in [&mut here, &mut there] {
                assert!(!matches!(simple(raw, b"ROLLBACK").await, Answer::Ended(_)), "{}", shown());
            }
            if truth != "blank" {
                let count = guarded.query_one("SELECT count(*) FROM precious", &[]).await.expect("it counts");
                assert_eq!(count.get::<_, i64>(0), 1, "it was deleted: {}", shown());
            }
            if truth == "blank" {
                // without rules what it says is done
                let again = "DELETE FROM precious; INSERT INTO precious VALUES (1)";
                guarded.batch_execute(again).await.expect("as it was");
            }
            let count = simple(&mut there, b"SELECT 1 FROM precious").await;
            // names, one row, and how many
            if !matches!(&count, Answer::Rows(rows) if rows.len() == 3) {
                counts.harmful += 1;
                assert!(matches!(
                    simple(&mut there, b"INSERT INTO precious VALUES (1)").await,
                    Answer::Rows(_)
                ));
            }
        }
        alive(&mut here, through).await;
    }

    /// Puts a connection into these settings.
    async fn set(&self, mut raw: Raw) -> Raw {
        let scs = if self.escaping { "off" } else { "on" };
        let encoding = format!("SET client_encoding = '{}'", self.client);
        for set in [
            encoding,
            format!("SET standard_conforming_strings = {scs}"),
            "SET escape_string_warning = off".into(),
        ] {
            let said = simple(&mut raw, set.as_bytes()).await;
            assert!(matches!(said, Answer::Rows(_)), "{set}: {said:?}");
        }
        raw
    }
}

/// Three databases in this encoding: what is judged, the same for comparison, and one without secrets.
async fn furnish(cluster: &Cluster, server: &str) {
    let admin = cluster.admin().await;
    for (twin, more) in [("judged", ""), ("truth", ""), ("blank", BLANK)] {
        let name = format!("{server}_{twin}");
        let create = format!("CREATE DATABASE \"{name}\" ENCODING '{server}' TEMPLATE template0");
        admin.batch_execute(&create).await.expect("a database");
        let owner = cluster.connect("postgres", &cluster.password, &name).await.expect("its owner");
        owner.batch_execute(&format!("{TABLES} {more}")).await.expect("the tables");
    }
}

/// The encodings that a client of this database may ask for, each with letters in it.
async fn encodings(cluster: &Cluster, server: &str) -> BTreeMap<String, Vec<Vec<u8>>> {
    let database = format!("{server}_truth");
    let client = cluster.connect("postgres", &cluster.password, &database).await.expect("the owner");
    let all = "SELECT DISTINCT pg_encoding_to_char(n) FROM generate_series(0, 60) n WHERE pg_encoding_to_char(n) <> ''";
    let mut found = BTreeMap::new();
    let utf8 = cluster.admin().await;
    for row in client.query(all, &[]).await.expect("encodings") {
        let name: String = row.get(0);
        let probe = cluster.connect("postgres", &cluster.password, &database).await.expect("the owner");
        if probe.batch_execute(&format!("SET client_encoding = '{name}'")).await.is_err() {
            continue;
        }
        let mut letters = vec![b"x".to_vec()];
        for letter in LETTERS.chars() {
            let ask = format!("SELECT convert_to('{letter}', '{name}')");
            if let Ok(row) = utf8.query_one(&ask, &[]).await {
                letters.push(row.get(0));
            }
        }
        found.insert(name, letters);
    }
    assert!(found.len() > 2 || server == "SQL_ASCII", "{server}: {found:?}");
    found
}

/// Some of them end with a backslash or a quote's neighbour in SJIS, BIG5, GBK, JOHAB, UHC and GB18030.
const LETTERS: &str = "äéÄßÿЖжΩğ€£表ソ功許你誠鵝あ한똰뾘珵乗瓡";

/// Reads as one table by the gateway's letters and as another by the server's.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_judged_as_the_server_reads_its_bytes() {
    let cluster = Cluster::start(*extremes().last().expect("a major"));
    let admin = cluster.admin().await;
    admin
        .batch_execute("CREATE DATABASE narrow ENCODING 'LATIN1' TEMPLATE template0")
        .await
        .expect("a database");
    let long = "ä".repeat(40);
    // of 40 bytes there, and of 80 here, where names are cut at 63
    let cases = [("postgres", "LATIN1", "Ã¤".to_owned()), ("narrow", "UTF8", long)];
    for (database, encoding, table) in cases {
        let owner = cluster.connect("postgres", &cluster.password, database).await.expect("the owner");
        owner
            .batch_execute(&format!("CREATE TABLE \"{table}\" AS SELECT 'top-secret' AS x"))
            .await
            .expect("a table");
        let policy = format!(
            r#"@id("no-table") forbid(principal, action == Hoop::Action::"statement", resource)
               when {{ context.relations_read.contains("{table}") }};"#
        );
        let policy: &'static str = Box::leak(policy.into_boxed_str());
        let gateway =
            Gateway::start(&cluster, Setup { policy, database: database.into(), ..Setup::open(&cluster) });
        let mut raw = Raw::open(&gateway, PROTOCOL_3_0, &[]).await.expect("it lets us in");
        simple(&mut raw, format!("SET client_encoding = '{encoding}'").as_bytes()).await;
        let name = if encoding == "UTF8" { table.as_bytes().to_vec() } else { b"\xc3\xa4".to_vec() };
        let text = [b"SELECT x FROM \"", name.as_slice(), b"\""].concat();
        for said in [simple(&mut raw, &text).await, extended(&mut raw, &text).await] {
            assert!(matches!(said, Answer::Error(_, Some(_))), "{database}: {}", brief(&said));
        }
    }
}

/// A column whose name takes 60 bytes there and 45 here, and names that are longer here and cut there, to be its.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_the_server_cuts_is_not_judged_as_another() {
    for major in extremes() {
        let cluster = Cluster::start(major);
        let admin = cluster.admin().await;
        let create = "CREATE DATABASE broad ENCODING 'EUC_TW' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'";
        admin.batch_execute(create).await.expect("a database");
        let owner = cluster.connect("postgres", &cluster.password, "broad").await.expect("its owner");
        let column = "\u{4e42}".repeat(15);
        owner
            .batch_execute(&format!(
                "CREATE TABLE people (id int, name text, \"{column}\" text);
                 INSERT INTO people VALUES (1, 'ann', 'top-secret')"
            ))
            .await
            .expect("a table");
        let bytes = "SELECT octet_length(attname::text) FROM pg_attribute WHERE attname = $1";
        let bytes = owner.query_one(bytes, &[&column]).await.expect("it is there");
        assert_eq!(bytes.get::<_, i32>(0), 60, "{major}");
        let mut masks = mask();
        masks[0].column = ColumnPattern::new(&format!("public.people.{column}")).expect("a pattern");
        let setup = Setup { masks, database: "broad".into(), ..Setup::open(&cluster) };
        let gateway = Gateway::start(&cluster, setup);
        let mut raw = Raw::open(&gateway, PROTOCOL_3_0, &[]).await.expect("it lets us in");
        let (longer, escaped) = ("\u{4e42}".repeat(21), "!4E42".repeat(21));
        for text in [
            format!("UPDATE people SET name = \"{longer}\" RETURNING name"),
            format!("UPDATE people SET name = {longer} RETURNING name"),
            format!("UPDATE people SET name = U&\"{}\" RETURNING name", escaped.replace('!', "\\")),
            format!("UPDATE people SET name = U&\"{escaped}\" UESCAPE '!' RETURNING name"),
            format!("UPDATE people \"{column}\" SET name = \"{longer}\".\"{column}\" RETURNING name"),
        ] {
            for said in [simple(&mut raw, text.as_bytes()).await, extended(&mut raw, text.as_bytes()).await] {
                let shown = format!("{said:?}");
                assert!(matches!(said, Answer::Error(_, Some(_))), "{major}: {text}: {}", brief(&said));
                assert!(!shown.contains("secret"), "{major}: {text}: {shown}");
            }
        }
        for text in [
            format!("SELECT \"{column}\" FROM people"),
            format!("SELECT \"{column}\" AS \"{column}\" FROM people WHERE name <> '{}'", longer.repeat(3)),
            "SELECT U&\"n!0061me\" UESCAPE '!' FROM people".into(),
        ] {
            let said = simple(&mut raw, text.as_bytes()).await;
            assert!(matches!(said, Answer::Rows(_)), "{major}: {text}: {}", brief(&said));
        }
    }
}
