//! Cursors, which go on after they were judged.

use bytes::Bytes;
use hoopctl::wire::postgres::frontend::{Bind, ClientMessage};

use crate::bypass::{Raw, SYNC, parse, told};
use crate::support::gateway::{Gateway, Setup};
use crate::support::postgres::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_held_where_it_is_declared() {
    let cluster = Cluster::start(18);
    let policy = r#"@id("cursors") @review("corp/dba:1") forbid (principal, action == Hoop::Action::"statement", resource)
                    when { context.verb == "declare cursor" };"#;
    let gateway = Gateway::start(&cluster, Setup { policy, ..Setup::open(&cluster) });
    let client = gateway.connect().await;
    client.batch_execute("BEGIN").await.unwrap();
    let declare = "DECLARE c CURSOR FOR SELECT n FROM generate_series(1, 3) n";
    let answer = async {
        let request = gateway.desk.next().await;
        assert_eq!(request.text(), declare);
        gateway.desk.approve(request);
    };
    let (held, ()) = tokio::join!(client.batch_execute(declare), answer);
    held.unwrap();
    // what was approved is fetched without asking again
    let fetched = client.query("FETCH ALL FROM c", &[]).await.unwrap();
    assert_eq!(fetched.len(), 3);
    assert!(gateway.desk.is_empty().await);
}

const DENIES: &str = r#"
@id("secret") @reason("that is secret now")
forbid (principal, action == Hoop::Action::"statement", resource)
when { context.relations_read.contains("?.secret") };
"#;

const HOLDS: &str = r#"
@id("secret") @review("corp/dba:1")
forbid (principal, action == Hoop::Action::"statement", resource)
when { context.relations_read.contains("?.secret") };
"#;

const TABLES: &str = "
CREATE TABLE secret AS SELECT 'secret' AS t FROM generate_series(1, 9);
CREATE TABLE plain AS SELECT 'plain' AS t FROM generate_series(1, 9);
CREATE FUNCTION opens(name refcursor) RETURNS refcursor LANGUAGE plpgsql AS
  'BEGIN OPEN name FOR SELECT * FROM secret; RETURN name; END';
CREATE FUNCTION swaps(name refcursor) RETURNS refcursor LANGUAGE plpgsql AS
  'BEGIN CLOSE name; OPEN name FOR SELECT * FROM secret; RETURN name; END';
";

fn query(text: &'static str) -> ClientMessage<'static> {
    ClientMessage::Query(text.as_bytes())
}

fn bind_as(portal: &'static str, statement: &'static str) -> ClientMessage<'static> {
    let (portal, statement) = (portal.as_bytes(), statement.as_bytes());
    let (formats, values, result_formats) = (Vec::new(), Vec::new(), Vec::new());
    ClientMessage::Bind(Bind { portal, statement, formats, values, result_formats })
}

fn run(portal: &'static str) -> ClientMessage<'static> {
    ClientMessage::Execute { portal: portal.as_bytes(), max_rows: 1 }
}

/// What one connection hears when it does this, policy changes, and it goes on with that.
async fn goes_on(
    gateway: &Gateway,
    before: &[Vec<ClientMessage<'_>>],
    rules: &str,
    then: &[ClientMessage<'_>],
) -> Vec<(u8, Bytes)> {
    gateway.desk.reload("");
    let mut raw = Raw::connect(gateway).await;
    for messages in before {
        raw.send(messages).await;
        let answers = raw.until_ready().await;
        assert!(!told(&answers, b'E', ""), "{messages:?}: {answers:?}");
    }
    gateway.desk.reload(rules);
    raw.send(then).await;
    raw.until_ready().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_on_after_policy_has_changed_is_judged_again() {
    for major in [13, 18] {
        let cluster = Cluster::start(major);
        cluster.admin().await.batch_execute(TABLES).await.unwrap();
        let gateway = Gateway::start(&cluster, Setup::open(&cluster));
        let begin = || vec![query("BEGIN")];
        let declare = || vec![query("DECLARE c CURSOR FOR SELECT * FROM secret")];
        let outlives = || vec![query("DECLARE c CURSOR WITH HOLD FOR SELECT * FROM secret")];
        let fetched = || vec![query("FETCH 1 FROM c")];
        let select = "SELECT * FROM secret";
        let stories = [
            ("FETCH", vec![begin(), declare(), fetched()], vec![query("FETCH 1 FROM c")]),
            ("MOVE", vec![begin(), declare()], vec![query("MOVE 1 FROM c")]),
            ("WITH HOLD", vec![outlives(), fetched()], vec![query("FETCH 1 FROM c")]),
            ("in a string", vec![begin(), declare()], vec![query("SELECT 1; FETCH 1 FROM c")]),
            ("by the protocol", vec![begin(), declare(), vec![run("c"), SYNC]], vec![run("c"), SYNC]),
            (
                "FETCH, prepared",
                vec![begin(), declare(), vec![parse("f", "FETCH 1 FROM c"), bind_as("", "f"), run(""), SYNC]],
                vec![bind_as("", "f"), run(""), SYNC],
            ),
            (
                "FETCH, bound",
                vec![begin(), declare(), vec![parse("f", "FETCH 1 FROM c"), bind_as("p", "f"), SYNC]],
                vec![run("p"), SYNC],
            ),
            (
                "DECLARE, bound",
                vec![
                    begin(),
                    vec![
                        parse("", "DECLARE c CURSOR FOR SELECT * FROM secret"),
                        bind_as("", ""),
                        run(""),
                        SYNC,
                    ],
                ],
                vec![query("FETCH 1 FROM c")],
            ),
            (
                "a portal",
                vec![begin(), vec![parse("", select), bind_as("p", ""), run("p"), SYNC]],
                vec![run("p"), SYNC],
            ),
            (
                "SQL's EXECUTE",
                vec![vec![query("PREPARE s AS SELECT * FROM secret")]],
                vec![query("EXECUTE s")],
            ),
            (
                "Bind of SQL's PREPARE",
                vec![vec![query("PREPARE s AS SELECT * FROM secret")]],
                vec![bind_as("", "s"), run(""), SYNC],
            ),
        ];
        for (name, before, then) in &stories {
            let answers = goes_on(&gateway, before, DENIES, then).await;
            assert!(!told(&answers, b'D', "secret"), "{major} {name}: {answers:?}");
            assert!(told(&answers, b'E', "that is secret now (rule secret)"), "{major} {name}: {answers:?}");
            // under rules about something else it goes on
            let other = DENIES.replace("?.secret", "?.other");
            let answers = goes_on(&gateway, before, &other, then).await;
            assert!(!told(&answers, b'E', ""), "{major} {name}: {answers:?}");
        }
        // a cursor is not reviewed in the middle
        for (name, before, then) in &stories[..4] {
            let answers = goes_on(&gateway, before, HOLDS, then).await;
            assert!(told(&answers, b'E', "holds what this cursor was declared for"), "{name}: {answers:?}");
            assert!(told(&answers, b'E', "declare it again"), "{name}: {answers:?}");
        }
        assert!(gateway.desk.is_empty().await);
        // what was declared since was judged then, and closing is no reading
        let before = [begin(), declare()];
        let then = [query("CLOSE c; DECLARE c CURSOR FOR SELECT * FROM plain; FETCH 1 FROM c")];
        assert!(told(&goes_on(&gateway, &before, DENIES, &then).await, b'D', "plain"));
    }
}

/// After a change a cursor's name is not enough: it must be known what it stands for.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_nobody_saw_being_opened_is_refused_after_a_change() {
    let cluster = Cluster::start(18);
    cluster.admin().await.batch_execute(TABLES).await.unwrap();
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let begin = || vec![query("BEGIN")];
    let plain = || vec![query("DECLARE c CURSOR FOR SELECT * FROM plain")];
    let mut wrong = Vec::new();
    let of_secret = || vec![parse("", "SELECT * FROM secret"), bind_as("c", ""), SYNC];
    for (name, before) in [
        ("by a function", vec![begin(), vec![query("SELECT opens('c')")], vec![query("FETCH 1 FROM c")]]),
        ("put in its place", vec![begin(), plain(), vec![query("SELECT swaps('c')")]]),
        (
            "put in its place by code",
            vec![begin(), plain(), vec![query("DO 'BEGIN PERFORM swaps(''c''); END'")]],
        ),
        ("a portal", vec![begin(), of_secret()]),
        ("a portal of the same name", vec![begin(), plain(), vec![query("CLOSE c")], of_secret()]),
        (
            "a portal in the next transaction",
            vec![begin(), plain(), vec![query("COMMIT")], begin(), of_secret()],
        ),
    ] {
        let answers = goes_on(&gateway, &before, DENIES, &[query("FETCH 1 FROM c")]).await;
        if told(&answers, b'D', "secret") || !told(&answers, b'E', "(rule unjudged)") {
            wrong.push(name);
        }
        // where nothing could be denied, PostgreSQL has the last word
        let answers = goes_on(&gateway, &before, "// nothing", &[query("FETCH 1 FROM c")]).await;
        assert!(told(&answers, b'D', "secret"), "{name}: {answers:?}");
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
