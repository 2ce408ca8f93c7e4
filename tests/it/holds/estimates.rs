//! What the planner expects, in rules and for reviewers.

use std::sync::atomic::Ordering;

use hoopctl::domain::approval::What;
use hoopctl::gateway::authority::Outcome;

use crate::support::gateway::{Gateway, Setup};
use crate::support::postgres::Cluster;

/// A table of a hundred thousand, of which the planner knows.
async fn with_big_table(cluster: &Cluster) {
    let tables = "CREATE TABLE big AS SELECT n AS id, 'x' AS body FROM generate_series(1, 100000) n;
                  CREATE INDEX ON big (id); ANALYZE big; CREATE SEQUENCE asked;
                  CREATE FUNCTION bump() RETURNS bigint LANGUAGE sql VOLATILE AS $$ SELECT nextval('asked') $$";
    cluster.admin().await.batch_execute(tables).await.unwrap();
}

const BIG_READS: &str = r#"
@id("big-read") @review("corp/dba:1")
forbid (principal, action == Hoop::Action::"statement", resource)
when { context.verb == "select" && context has estimate && context.estimate > 1000 };
@id("told") @reason("it is not known how much that is")
forbid (principal, action == Hoop::Action::"statement", resource)
when { context.verb == "update" && !(context has estimate) };
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_the_planner_expects_decides_what_is_held() {
    let cluster = Cluster::start(18);
    with_big_table(&cluster).await;
    let label = std::collections::BTreeSet::from(["text".to_owned()]);
    let fields = std::collections::BTreeMap::from([("public.big.body".to_owned(), label)]);
    // with names resolved, and without
    for fields in [fields, std::collections::BTreeMap::new()] {
        let gateway = Gateway::start(&cluster, Setup { policy: BIG_READS, fields, ..Setup::open(&cluster) });
        gateway.desk.closed.store(true, Ordering::Relaxed);
        let client = gateway.connect().await;
        // texts that differ in a literal are alike, but for how much they read
        for most in [5, 6, 7, 8, 90_000, 9, 80_000, 10] {
            let read = client.simple_query(&format!("SELECT id FROM big WHERE id < {most}")).await;
            assert_eq!(read.is_ok(), most < 1000, "{most}: {read:?}");
        }
        let statement = client.prepare("SELECT id FROM big WHERE id < $1").await.unwrap();
        for most in [5_i32, 90_000, 6] {
            assert_eq!(client.query(&statement, &[&most]).await.is_ok(), most < 1000, "{most}");
        }
        // settings of the client's own
        client.batch_execute("SET TimeZone = 'Asia/Tokyo'").await.unwrap();
        assert!(client.simple_query("SELECT id FROM big").await.is_err());
        assert!(client.simple_query("UPDATE big SET body = body WHERE id = 1").await.is_ok());
        // of several statements in one text there is no estimate
        let told = client.simple_query("UPDATE big SET body = body WHERE id = 1; SELECT 1").await;
        let refused = told.is_err_and(|error| error.code().is_some_and(|code| code.code() == "42501"));
        assert!(refused);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reviewer_is_told_what_the_planner_expects_and_nothing_runs_for_that() {
    let cluster = Cluster::start(18);
    with_big_table(&cluster).await;
    let policy = r#"@id("all") @review("corp/dba:1") forbid (principal, action == Hoop::Action::"statement", resource)
                    when { ["select", "delete"].contains(context.verb) };"#;
    let gateway = Gateway::start(&cluster, Setup { policy, ..Setup::open(&cluster) });
    let client = gateway.connect().await;
    for (statement, least, most) in [
        ("DELETE FROM big WHERE id <= 50000", 40_000, 60_000),
        ("DELETE FROM big WHERE id = 7", 1, 1),
        ("SELECT bump() FROM big LIMIT 3", 3, 3),
    ] {
        let answer = async {
            let request = gateway.desk.next().await;
            let What::Deed(deed) = &request.subject.subject().what else { panic!("a session") };
            let estimate = deed.estimate;
            gateway.desk.answer(request, Outcome::Expired);
            estimate
        };
        let (held, estimate) = tokio::join!(client.batch_execute(statement), answer);
        assert!(held.is_err());
        assert!(estimate.is_some_and(|rows| (least..=most).contains(&rows)), "{statement}: {estimate:?}");
    }
    let admin = cluster.admin().await;
    let asked = admin.query_one("SELECT is_called FROM asked", &[]).await.unwrap();
    assert!(!asked.get::<_, bool>(0), "EXPLAIN ran a volatile function");
    let left = admin.query_one("SELECT count(*) FROM big", &[]).await.unwrap();
    assert_eq!(left.get::<_, i64>(0), 100_000);
}

/// What is only prepared has no values, and so no estimate that would be true of them: rules on it wait for
/// the Bind, which has both.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_prepared_is_judged_by_the_estimate_of_the_values_that_are_bound() {
    let policy = r#"
@id("much") @reason("that is too much")
forbid (principal, action == Hoop::Action::"statement", resource)
when { ["select", "update"].contains(context.verb) && context has estimate && context.estimate > 1000 };
@id("told") @reason("it is not known how much that is")
forbid (principal, action == Hoop::Action::"statement", resource)
when { ["select", "update"].contains(context.verb) && !(context has estimate) };
"#;
    for major in [13, 18] {
        let cluster = Cluster::start(major);
        with_big_table(&cluster).await;
        let gateway = Gateway::start(&cluster, Setup { policy, ..Setup::open(&cluster) });
        let client = gateway.connect().await;
        let read = client.prepare("SELECT id FROM big WHERE id < $1").await.unwrap();
        let write = client.prepare("UPDATE big SET body = body WHERE id < $1").await.unwrap();
        for statement in [&read, &write] {
            for most in [5_i32, 90_000, 6] {
                let told = client.execute(statement, &[&most]).await;
                let rule =
                    told.as_ref().err().and_then(|error| Some(error.as_db_error()?.message().to_owned()));
                let expected = (most > 1000).then(|| "that is too much (rule much)".to_owned());
                assert_eq!(rule, expected, "{major}: {most}");
            }
        }
        // of what only this session can see there is none, and what must know it is refused where it would run
        client.batch_execute("CREATE TEMPORARY TABLE mine (id int)").await.unwrap();
        let statement = client.prepare("SELECT id FROM mine WHERE id < $1").await.unwrap();
        let told = client.query(&statement, &[&5_i32]).await.unwrap_err();
        let told = told.as_db_error().unwrap().message();
        assert_eq!(told, "it is not known how much that is (rule told)", "{major}");
    }
}

/// A permit that speaks of the estimate lets a statement be prepared, and decides once it has values.
#[tokio::test(flavor = "multi_thread")]
async fn a_permit_on_the_estimate_counts_when_values_are_bound() {
    let cluster = Cluster::start(18);
    with_big_table(&cluster).await;
    let policy = r#"
@id("all-else-is-little") @reason("that may be too much")
forbid (principal, action == Hoop::Action::"statement", resource)
when { context.verb == "select" } unless { context has estimate && context.estimate < 1000 };
"#;
    let gateway = Gateway::start(&cluster, Setup { policy, ..Setup::open(&cluster) });
    let client = gateway.connect().await;
    let statement = client.prepare("SELECT id FROM big WHERE id < $1").await.unwrap();
    for most in [5_i32, 90_000] {
        assert_eq!(client.query(&statement, &[&most]).await.is_ok(), most < 1000, "{most}");
    }
    // of SQL's EXECUTE there is no estimate
    client.batch_execute("PREPARE p AS SELECT id FROM big WHERE id < 3").await.unwrap();
    let told = client.batch_execute("EXECUTE p").await.unwrap_err();
    assert!(told.as_db_error().unwrap().message().contains("(rule all-else-is-little)"), "{told}");
}
