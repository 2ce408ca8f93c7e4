//! What is judged is what runs, whatever a name stands for by then.

use hoopctl::wire::postgres::frontend::{Bind, ClientMessage, Subject};

use crate::bypass::{EXECUTE, Raw, SYNC, bind, parse, told};
use crate::support::gateway::{Gateway, Setup};
use crate::support::postgres::Cluster;

const DELETES: &str = r#"
@id("delete-is-reviewed")
@review("corp/dba:1")
forbid (principal, action == Hoop::Action::"statement", resource)
when { ["delete", "truncate"].contains(context.verb) };
"#;
const HELD: &str = "DELETE FROM kept";

async fn stage() -> (Cluster, Gateway) {
    let cluster = Cluster::start(18);
    let tables = "CREATE TABLE kept AS SELECT generate_series(1, 9) AS id; CREATE SCHEMA staging;
        CREATE TABLE staging.kept (id int); CREATE SCHEMA prod; CREATE TABLE prod.kept AS TABLE kept";
    cluster.admin().await.batch_execute(tables).await.unwrap();
    let gateway = Gateway::start(&cluster, Setup { policy: DELETES, ..Setup::open(&cluster) });
    (cluster, gateway)
}

async fn count(cluster: &Cluster, table: &str) -> i64 {
    let text = format!("SELECT count(*) FROM {table}");
    cluster.admin().await.query_one(&text, &[]).await.unwrap().get(0)
}

fn query(text: &str) -> ClientMessage<'_> {
    ClientMessage::Query(text.as_bytes())
}

fn close(statement: &str) -> ClientMessage<'_> {
    ClientMessage::Close(Subject::Statement(statement.as_bytes()))
}

fn bind_as<'a>(portal: &'a str, statement: &'a str) -> ClientMessage<'a> {
    ClientMessage::Bind(Bind {
        portal: portal.as_bytes(),
        statement: statement.as_bytes(),
        formats: Vec::new(),
        values: Vec::new(),
        result_formats: Vec::new(),
    })
}

fn run(portal: &str) -> ClientMessage<'_> {
    ClientMessage::Execute { portal: portal.as_bytes(), max_rows: 0 }
}

/// Each ends with as many ReadyForQuery as it says; none may delete anything, and each is told why not.
#[tokio::test(flavor = "multi_thread")]
async fn execute_never_runs_what_a_name_has_come_to_stand_for() {
    let (cluster, gateway) = stage().await;
    let prepare = "PREPARE a AS SELECT 1";
    let one_string = "DEALLOCATE a; PREPARE a AS DELETE FROM kept; EXECUTE a";
    let stories: Vec<(&str, Vec<Vec<ClientMessage<'_>>>)> = vec![
        (
            "a verdict that was kept",
            vec![
                vec![parse("s", "EXECUTE a"), SYNC],
                vec![query("DEALLOCATE a")],
                vec![parse("a", HELD), SYNC],
                vec![bind("s"), EXECUTE, SYNC],
            ],
        ),
        (
            "in one batch",
            vec![vec![close("a"), parse("a", HELD), parse("s", "EXECUTE a"), bind("s"), EXECUTE, SYNC]],
        ),
        (
            "a portal",
            vec![
                vec![query("BEGIN")],
                vec![parse("s", "EXECUTE a"), bind_as("p", "s"), SYNC],
                vec![close("a"), parse("a", HELD), SYNC],
                vec![run("p"), SYNC],
                vec![query("COMMIT")],
            ],
        ),
        ("in one string", vec![vec![query(one_string)]]),
        (
            "a name not yet given",
            vec![vec![close("a"), parse("a", HELD), ClientMessage::Flush, query("EXECUTE a")]],
        ),
        (
            "within EXPLAIN",
            vec![vec![close("a"), parse("a", HELD), SYNC], vec![query("EXPLAIN ANALYZE EXECUTE a")]],
        ),
    ];
    for (name, story) in stories {
        let mut raw = Raw::connect(&gateway).await;
        raw.send(&[query(prepare)]).await;
        raw.until_ready().await;
        let mut answers = Vec::new();
        for batch in story {
            raw.send(&batch).await;
            answers.extend(raw.until_ready().await);
        }
        assert_eq!(count(&cluster, "kept").await, 9, "{name}: {answers:?}");
        assert!(told(&answers, b'E', "(rule unjudged)"), "{name}: {answers:?}");
    }
    // what was prepared by name is executed by name
    let mut raw = Raw::connect(&gateway).await;
    raw.send(&[query("PREPARE a AS SELECT 'as before'")]).await;
    raw.until_ready().await;
    raw.send(&[query("EXECUTE a")]).await;
    assert!(told(&raw.until_ready().await, b'D', "as before"));
    raw.send(&[bind("a"), EXECUTE, SYNC]).await;
    assert!(told(&raw.until_ready().await, b'D', "as before"));
    assert!(gateway.desk.is_empty().await);
}

/// Without rules, no way to say EXECUTE is refused.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_target_executes_as_postgresql_does() {
    let cluster = Cluster::start(18);
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let mut raw = Raw::connect(&gateway).await;
    raw.send(&[query("PREPARE a AS SELECT 'here'; EXECUTE a")]).await;
    assert!(told(&raw.until_ready().await, b'D', "here"));
    raw.send(&[parse("s", "EXECUTE a"), bind("s"), EXECUTE, SYNC]).await;
    assert!(told(&raw.until_ready().await, b'D', "here"));
    raw.send(&[query("EXPLAIN ANALYZE EXECUTE a")]).await;
    assert!(!told(&raw.until_ready().await, b'E', ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_that_was_approved_runs_at_once_or_not_at_all() {
    let (cluster, gateway) = stage().await;
    let mut raw = Raw::connect(&gateway).await;
    for (between, table, left) in
        [(Some("SET search_path = prod"), "prod.kept", 9), (None, "staging.kept", 0)]
    {
        raw.send(&[query("SET search_path = staging")]).await;
        raw.until_ready().await;
        raw.send(&[query("BEGIN")]).await;
        raw.until_ready().await;
        raw.send(&[parse("", "TRUNCATE kept"), bind_as("p", ""), SYNC]).await;
        let approve = async {
            let request = gateway.desk.next().await;
            gateway.desk.approve(request);
        };
        let (answers, ()) = tokio::join!(raw.until_ready(), approve);
        assert!(told(&answers, b'2', ""), "{answers:?}");
        if let Some(between) = between {
            raw.send(&[query(between)]).await;
            raw.until_ready().await;
        }
        raw.send(&[run("p"), SYNC]).await;
        let answers = raw.until_ready().await;
        assert_eq!(told(&answers, b'E', "bind it again"), between.is_some(), "{answers:?}");
        assert_eq!(told(&answers, b'C', "TRUNCATE"), between.is_none(), "{answers:?}");
        raw.send(&[query("COMMIT")]).await;
        raw.until_ready().await;
        assert_eq!(count(&cluster, table).await, left);
    }
}

/// A reviewer sees values or no request at all.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_new_policy_holds_is_not_shown_without_its_values() {
    let (cluster, gateway) = stage().await;
    gateway.desk.reload("");
    let mut raw = Raw::connect(&gateway).await;
    raw.send(&[query("BEGIN")]).await;
    raw.until_ready().await;
    let bound = ClientMessage::Bind(Bind {
        portal: b"p",
        statement: b"",
        formats: Vec::new(),
        values: vec![Some(b"3")],
        result_formats: Vec::new(),
    });
    raw.send(&[parse("", "DELETE FROM kept WHERE id > $1"), bound, SYNC]).await;
    assert!(told(&raw.until_ready().await, b'2', ""));
    gateway.desk.reload(DELETES);
    gateway.desk.closed.store(true, std::sync::atomic::Ordering::Relaxed);
    raw.send(&[run("p"), SYNC]).await;
    let answers = raw.until_ready().await;
    assert!(told(&answers, b'E', "bind it again"), "{answers:?}");
    assert_eq!(count(&cluster, "kept").await, 9);
}
