//! Transactions that see the catalog as it was when they began, and a guard that knows no stamp in them.

use super::*;

const OLD: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ";

/// Nothing has used these relations on the connection before, so that nothing tells the gateway but a look from elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_behind_the_first_snapshot_of_a_connection_is_seen() {
    for (major, begin) in
        [(majors()[0], OLD), (newest(), OLD), (newest(), "BEGIN ISOLATION LEVEL SERIALIZABLE")]
    {
        let stage = stage(major).await;
        for (name, change, statement) in CHANGES {
            let of = format!("{major}: {begin}: {name}");
            for extended in [false, true] {
                stage.admin.batch_execute(SCHEMA).await.unwrap();
                let mut raw = Raw::connect(&stage.gateway).await;
                ask(&mut raw, &[query(begin)]).await;
                ask(&mut raw, &[query("SELECT 1")]).await;
                stage.admin.batch_execute(change).await.unwrap();
                let batch = [parse("", statement), bind(""), EXECUTE, SYNC];
                let messages: &[_] = if extended { &batch } else { &[query(statement)] };
                let answers = ask(&mut raw, messages).await;
                keeps(&answers, &of);
                assert!(told(&answers, b'E', "C40001") && told(&answers, b'Z', "E"), "{of}: {answers:?}");
                ask(&mut raw, &[query("ROLLBACK")]).await;
                // run again it goes, with the same snapshot for all of it
                ask(&mut raw, &[query(begin)]).await;
                let answers = ask(&mut raw, messages).await;
                keeps(&answers, &of);
                assert!(!told(&answers, b'E', ""), "{of}: {answers:?}");
                ask(&mut raw, &[query("COMMIT")]).await;
            }
        }
    }
}

/// Such a client notices nothing as long as nothing changes, whichever way it chooses its isolation.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_change_such_a_transaction_goes_on() {
    let stage = stage(newest()).await;
    let statement = "SELECT * FROM plain";
    let mut raw = Raw::connect(&stage.gateway).await;
    for _ in 0..3 {
        ask(&mut raw, &[query(OLD)]).await;
        for statement in [statement, "SELECT p.word FROM plain p, events", "UPDATE plain SET id = id"] {
            let batch = [parse("", statement), bind(""), EXECUTE, SYNC];
            let answers = ask(&mut raw, &batch).await;
            assert!(!told(&answers, b'E', "") && told(&answers, b'C', ""), "{answers:?}");
        }
        ask(&mut raw, &[query("COMMIT")]).await;
    }
    // as drivers do it: BEGIN goes in front of the first statement, in one pipeline
    let mut raw = Raw::connect(&stage.gateway).await;
    let default = "SET default_transaction_isolation = 'repeatable read'";
    ask(&mut raw, &[query(default)]).await;
    for _ in 0..3 {
        let answers = ask(&mut raw, &[query(statement)]).await;
        assert!(told(&answers, b'D', "harmless") && !told(&answers, b'E', ""), "{answers:?}");
    }
    let begin = [parse("", "BEGIN"), bind(""), EXECUTE];
    let work = [parse("", "SELECT word FROM events"), bind(""), EXECUTE, SYNC];
    let answers = ask(&mut raw, &[&begin[..], &work[..]].concat()).await;
    assert!(told(&answers, b'D', "harmless") && !told(&answers, b'E', ""), "{answers:?}");
}

/// A guard that waits for somebody's change began before it.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_the_guard_has_waited_for_is_seen() {
    for major in [majors()[0], newest()] {
        let stage = stage(major).await;
        let statement = "SELECT * FROM plain";
        for begin in ["SET default_transaction_isolation = 'repeatable read'", OLD] {
            stage.admin.batch_execute(SCHEMA).await.unwrap();
            let mut raw = Raw::connect(&stage.gateway).await;
            ask(&mut raw, &[query(begin)]).await;
            stage.admin.batch_execute(&format!("BEGIN; {ADDED}")).await.unwrap();
            raw.send(&[query(statement)]).await;
            let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'plain'::regclass";
            for _ in 0..200 {
                let count: i64 = stage.admin.query_one(waiting, &[]).await.unwrap().get(0);
                if count > 0 {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            stage.admin.batch_execute("COMMIT").await.unwrap();
            let answers = raw.until_ready().await;
            keeps(&answers, begin);
            let is_told = told(&answers, b'E', "C40001") || told(&answers, b'D', "[masked]");
            assert!(is_told, "{major}: {begin}: {answers:?}");
        }
    }
}

/// What has failed in front of a statement that waits for its guard takes it along, as PostgreSQL does.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_in_front_of_a_waiting_statement_takes_it_along() {
    let stage = stage(newest()).await;
    let mut raw = Raw::connect(&stage.gateway).await;
    ask(&mut raw, &[query(OLD)]).await;
    let fails = [parse("", "SELECT 1 / 0"), bind(""), EXECUTE];
    let work = [parse("", "SELECT * FROM plain"), bind(""), EXECUTE, SYNC];
    let answers = ask(&mut raw, &[&fails[..], &work[..]].concat()).await;
    assert!(told(&answers, b'E', "C22012") && told(&answers, b'Z', "E"), "{answers:?}");
    assert_eq!(answers.iter().filter(|(tag, _)| *tag == b'E').count(), 1, "{answers:?}");
    // and so does a transaction that has failed
    let answers = ask(&mut raw, &work).await;
    assert!(told(&answers, b'E', "C25P02") && told(&answers, b'Z', "E"), "{answers:?}");
    let answers = ask(&mut raw, &[query("SELECT * FROM plain")]).await;
    assert!(told(&answers, b'E', "C25P02") && told(&answers, b'Z', "E"), "{answers:?}");
    ask(&mut raw, &[query("ROLLBACK")]).await;
    ask(&mut raw, &[query("BEGIN")]).await;
    stage.admin.batch_execute("BEGIN; LOCK plain").await.unwrap();
    raw.send(&[query("SET LOCAL lock_timeout = '50ms'")]).await;
    raw.until_ready().await;
    let answers = ask(&mut raw, &[query("SELECT * FROM plain")]).await;
    assert!(told(&answers, b'E', "C55P03") && told(&answers, b'Z', "E"), "{answers:?}");
    stage.admin.batch_execute("COMMIT").await.unwrap();
    ask(&mut raw, &[query("ROLLBACK")]).await;
    assert!(told(&ask(&mut raw, &[query("SELECT * FROM plain")]).await, b'D', "harmless"));
}

/// INVARIANT: a statement goes with its own guard. That of another one, in front of it in the same pipeline, says
/// nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_does_not_go_with_the_guard_of_another() {
    let seen = "SELECT word FROM events";
    for major in [majors()[0], newest()] {
        let stage = stage(major).await;
        for _ in 0..5 {
            let mut raw = stage.warm(seen).await;
            ask(&mut raw, &[query(OLD)]).await;
            ask(&mut raw, &[query("SELECT 1")]).await;
            stage.admin.batch_execute(ADDED).await.unwrap();
            let first = [parse("", seen), bind(""), EXECUTE];
            let second = [parse("", "SELECT * FROM plain"), bind(""), EXECUTE, SYNC];
            let answers = ask(&mut raw, &[&first[..], &second[..]].concat()).await;
            keeps(&answers, "behind another guard");
            assert!(told(&answers, b'D', "harmless"), "{major}: {answers:?}");
            assert!(told(&answers, b'E', "C40001") && told(&answers, b'Z', "E"), "{major}: {answers:?}");
        }
    }
}

/// What fails in front of a Sync takes along nothing that stands behind it: a statement that waits there is sent before
/// what binds it, or that would find what had its name before.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_in_front_of_a_sync_leaves_what_waits_behind_it() {
    let stage = stage(newest()).await;
    for _ in 0..5 {
        let mut raw = stage.warm("SELECT * FROM plain").await;
        // from the first guard that fails on, those without a stamp are waited for
        stage.admin.batch_execute(ADDED).await.unwrap();
        assert!(told(&ask(&mut raw, &[query("SELECT * FROM plain")]).await, b'D', "[masked]"));
        ask(&mut raw, &[parse("", "DELETE FROM people"), SYNC]).await;
        let fails = [parse("x", "SELECT 'x'::int"), SYNC];
        let work = [parse("", "SELECT word FROM events"), bind(""), EXECUTE, SYNC];
        raw.send(&[&fails[..], &work[..]].concat()).await;
        let answers = raw.until_ready().await;
        assert!(told(&answers, b'E', "C22P02"), "{answers:?}");
        let answers = raw.until_ready().await;
        let count = stage.admin.query_one("SELECT count(*) FROM people", &[]).await.unwrap();
        assert_eq!(count.get::<_, i64>(0), 1, "another statement ran: {answers:?}");
        assert!(told(&answers, b'D', "harmless") && !told(&answers, b'E', ""), "{answers:?}");
    }
}

/// Where nobody can look, nothing is said to have changed: a driver would run such a transaction again for ever.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_compared_is_not_called_changed() {
    let cluster = Cluster::start(newest());
    let admin = cluster.admin().await;
    admin.batch_execute(SCHEMA).await.unwrap();
    let role = "CREATE ROLE single LOGIN PASSWORD 'single'; GRANT USAGE ON SCHEMA public TO single;
        GRANT ALL ON ALL TABLES IN SCHEMA public TO single";
    admin.batch_execute(role).await.unwrap();
    let (user, password) = ("single".into(), "single".into());
    let gateway = Gateway::start(&cluster, Setup { masks: masks(), user, password, ..Setup::open(&cluster) });
    let mut raw = Raw::connect(&gateway).await;
    let statement = "SELECT * FROM plain";
    admin.batch_execute("ALTER ROLE single CONNECTION LIMIT 1").await.unwrap();
    for _ in 0..2 {
        ask(&mut raw, &[query(OLD)]).await;
        let answers = ask(&mut raw, &[query(statement)]).await;
        assert!(told(&answers, b'E', "C53300") && told(&answers, b'E', "READ COMMITTED"), "{answers:?}");
        assert!(told(&answers, b'Z', "E") && !told(&answers, b'D', ""), "{answers:?}");
        ask(&mut raw, &[query("ROLLBACK")]).await;
    }
    // as it says, and nothing had to be read again
    for begin in ["BEGIN", OLD] {
        ask(&mut raw, &[query(begin)]).await;
        let answers = ask(&mut raw, &[query(statement)]).await;
        assert!(told(&answers, b'D', "harmless"), "{begin}: {answers:?}");
        ask(&mut raw, &[query("COMMIT")]).await;
    }
    // not 2: a connection that was turned away may not have left yet
    admin.batch_execute("ALTER ROLE single CONNECTION LIMIT -1").await.unwrap();
    ask(&mut raw, &[query(OLD)]).await;
    let answers = ask(&mut raw, &[query("SELECT word FROM events")]).await;
    assert!(told(&answers, b'D', "harmless"), "{answers:?}");
    drop(cluster);
}
