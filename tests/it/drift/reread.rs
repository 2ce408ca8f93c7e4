//! What was judged before the catalog was read again, and is used behind that.

use hoopctl::gateway::authority::Outcome;

use super::*;

/// float8 takes large integers for one another, so that `id = $1` finds several rows of a bigint key.
const FLOAT8: u32 = 701;
const MANY_ROWS: &str = r#"
@id("many-rows") @review("corp/dba:1")
forbid (principal, action == Hoop::Action::"statement", resource)
when { context.reads_user_rows && !context.at_most_one_row };
"#;

async fn held_stage() -> Stage {
    let cluster = Cluster::start(newest());
    let admin = cluster.admin().await;
    admin.batch_execute(SCHEMA).await.unwrap();
    let gateway =
        Gateway::start(&cluster, Setup { masks: masks(), policy: MANY_ROWS, ..Setup::open(&cluster) });
    Stage { cluster, gateway, admin }
}

/// What a parameter's type says of a statement is said again of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_inexact_parameter_stays_one() {
    let stage = held_stage().await;
    stage.admin.batch_execute("CREATE TABLE keyed (id int8 PRIMARY KEY, word text)").await.unwrap();
    let mut raw = Raw::connect(&stage.gateway).await;
    let text = b"SELECT word FROM keyed WHERE id = $1";
    let kept = Parse { statement: b"kept", text, types: vec![FLOAT8] };
    assert!(!told(&ask(&mut raw, &[ClientMessage::Parse(kept), SYNC]).await, b'E', ""));
    for change in ["SELECT 1", "CREATE TABLE later ()", "CREATE TABLE latest ()"] {
        stage.admin.batch_execute(change).await.unwrap();
        // a name that is not known has the catalog read again, if it was not a second ago
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        ask(&mut raw, &[query("SELECT FROM nobody LIMIT 1")]).await;
        let bound = Bind {
            portal: b"",
            statement: b"kept",
            formats: vec![],
            values: vec![Some(b"1")],
            result_formats: vec![],
        };
        raw.send(&[ClientMessage::Bind(bound), EXECUTE, SYNC]).await;
        let held = tokio::time::timeout(std::time::Duration::from_secs(20), stage.gateway.desk.next());
        let held = held.await.unwrap_or_else(|_| panic!("{change}: it is held no more"));
        stage.gateway.desk.answer(held, Outcome::Denied { by: "bob".into(), reason: None });
        assert!(told(&raw.until_ready().await, b'E', "bob denied"), "{change}");
    }
}

/// A review is of what a statement would do. While it waits the schema changes: what was approved is what does not
/// exist any more, so it does not run, and what would run now is shown to a reviewer again.
#[tokio::test(flavor = "multi_thread")]
async fn what_waited_while_the_schema_changed_is_reviewed_as_it_is_now() {
    let stage = held_stage().await;
    let mut raw = Raw::connect(&stage.gateway).await;
    let statement = "SELECT * FROM plain";
    raw.send(&[query(statement)]).await;
    let first = stage.gateway.desk.next().await;
    stage.admin.batch_execute(ADDED).await.unwrap();
    stage.gateway.desk.approve(first);
    let second = tokio::time::timeout(std::time::Duration::from_secs(20), stage.gateway.desk.next());
    let second = second.await.expect("it is reviewed again");
    let hoopctl::domain::approval::What::Deed(deed) = &second.subject.subject().what else { panic!() };
    let shown = deed.sent.clone().unwrap_or_default();
    assert!(shown.contains("AS api_key") && !shown.contains("hoopctl_source.api_key"), "{shown}");
    stage.gateway.desk.approve(second);
    let answers = raw.until_ready().await;
    keeps(&answers, statement);
    assert!(told(&answers, b'D', "[masked]") && !told(&answers, b'E', ""), "{answers:?}");
    assert!(stage.gateway.desk.is_empty().await);
    // prepared before, it is not what was prepared any more
    ask(&mut raw, &[parse("kept", statement), SYNC]).await;
    raw.send(&[bind("kept"), EXECUTE, SYNC]).await;
    let held = stage.gateway.desk.next().await;
    let more = "ALTER TABLE plain ADD COLUMN ssn text DEFAULT 'top-secret'";
    stage.admin.batch_execute(more).await.unwrap();
    stage.gateway.desk.approve(held);
    let answers = raw.until_ready().await;
    keeps(&answers, "prepared");
    assert!(told(&answers, b'E', "C0A000"), "{answers:?}");
    assert!(stage.gateway.desk.is_empty().await);
}

/// In a transaction it is not asked for again: the client is told to run it again, and nothing has run.
#[tokio::test(flavor = "multi_thread")]
async fn what_waited_in_a_transaction_while_the_schema_changed_does_not_run() {
    let stage = held_stage().await;
    let mut raw = Raw::connect(&stage.gateway).await;
    ask(&mut raw, &[query("BEGIN")]).await;
    raw.send(&[query("SELECT * FROM plain")]).await;
    let held = stage.gateway.desk.next().await;
    stage.admin.batch_execute(ADDED).await.unwrap();
    stage.gateway.desk.approve(held);
    let answers = raw.until_ready().await;
    keeps(&answers, "a transaction");
    assert!(told(&answers, b'E', "C40001") && told(&answers, b'Z', "E"), "{answers:?}");
    assert!(stage.gateway.desk.is_empty().await);
}

/// Reading the catalog again is no change of policy: what a function opens behind it can be fetched.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_a_function_is_no_stranger_after_a_mistyped_name() {
    let cluster = Cluster::start(newest());
    let admin = cluster.admin().await;
    admin.batch_execute(SCHEMA).await.unwrap();
    let setup = Setup { masks: masks(), trusted: &["public.opens"], ..Setup::open(&cluster) };
    let gateway = Gateway::start(&cluster, setup);
    let stage = Stage { cluster, gateway, admin };
    let opens = "CREATE FUNCTION public.opens() RETURNS refcursor LANGUAGE plpgsql AS
        $$ DECLARE c refcursor := 'c'; BEGIN OPEN c FOR SELECT word FROM public.plain; RETURN c; END $$";
    stage.admin.batch_execute(opens).await.unwrap();
    let mut raw = Raw::connect(&stage.gateway).await;
    assert!(told(&ask(&mut raw, &[query("SELECT * FROM nobody")]).await, b'E', "nobody"));
    ask(&mut raw, &[query("BEGIN")]).await;
    let answers = ask(&mut raw, &[query("SELECT public.opens()")]).await;
    assert!(!told(&answers, b'E', ""), "{answers:?}");
    let answers = ask(&mut raw, &[query("FETCH ALL FROM c")]).await;
    assert!(told(&answers, b'D', "harmless"), "{answers:?}");
    ask(&mut raw, &[query("COMMIT")]).await;
}

/// Behind a guard PostgreSQL would find a transaction open.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_without_a_transaction_is_refused_as_postgresql_does() {
    for major in [majors()[0], newest()] {
        let stage = stage(major).await;
        let declare = "DECLARE c CURSOR FOR SELECT * FROM plain";
        let batch = [parse("", declare), bind(""), EXECUTE, SYNC];
        let mut raw = Raw::connect(&stage.gateway).await;
        for messages in [&[query(declare)][..], &batch[..]] {
            let answers = ask(&mut raw, messages).await;
            assert!(told(&answers, b'E', "C25P01") && told(&answers, b'Z', "I"), "{major}: {answers:?}");
        }
        // where a transaction is open, or may be by then, it is guarded as anything is
        let begin = [parse("", "BEGIN"), bind(""), EXECUTE];
        for pipelined in [false, true] {
            stage.admin.batch_execute(SCHEMA).await.unwrap();
            let mut raw = Raw::connect(&stage.gateway).await;
            let fetch = [query("SELECT * FROM plain"), query("FETCH ALL FROM c"), query("ROLLBACK")];
            ask(&mut raw, &fetch[..1]).await;
            stage.admin.batch_execute(ADDED).await.unwrap();
            if pipelined {
                let answers = ask(&mut raw, &[&begin[..], &batch[..]].concat()).await;
                keeps(&answers, "pipelined");
            } else {
                raw.send(&[query("BEGIN"), query(declare)]).await;
                raw.until_ready().await;
                keeps(&raw.until_ready().await, "one behind the other");
            }
            let answers = ask(&mut raw, &fetch[1..2]).await;
            keeps(&answers, "fetched");
            ask(&mut raw, &fetch[2..]).await;
        }
    }
}

/// What is bound while no transaction is open can be executed in one.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_is_bound_in_front_of_begin_is_guarded_when_it_is_opened() {
    fn bound<'a>(portal: &'a [u8], statement: &'a [u8]) -> ClientMessage<'a> {
        let (formats, values, result_formats) = (vec![], vec![], vec![]);
        ClientMessage::Bind(Bind { portal, statement, formats, values, result_formats })
    }
    let execute = |portal| ClientMessage::Execute { portal, max_rows: 0 };
    let declare = [parse("d", "DECLARE c CURSOR FOR SELECT * FROM plain"), bound(b"p", b"d")];
    let begin = [parse("b", "BEGIN"), bound(b"q", b"b"), execute(b"q")];
    let at_once = [&declare[..], &begin[..], &[execute(b"p"), SYNC]].concat();
    // a name that is not known has the catalog read again
    let reread =
        [&declare[..], &[parse("f", "SELECT FROM fresh")], &begin[..], &[execute(b"p"), SYNC]].concat();
    let changed = format!("{ADDED}; CREATE TABLE fresh ()");
    for major in [majors()[0], newest()] {
        let stage = stage(major).await;
        for (change, batch, error) in [
            ("SELECT 1", &at_once, None),
            (changed.as_str(), &at_once, Some("C40001")),
            (changed.as_str(), &reread, Some("C0A000")),
        ] {
            let of = format!("{major}: {error:?}");
            let mut raw = stage.warm("SELECT * FROM plain").await;
            stage.admin.batch_execute(change).await.unwrap();
            let answers = ask(&mut raw, batch).await;
            keeps(&answers, &of);
            assert_eq!(told(&answers, b'E', ""), error.is_some(), "{of}: {answers:?}");
            assert!(error.is_none_or(|error| told(&answers, b'E', error)), "{of}: {answers:?}");
            let answers = ask(&mut raw, &[query("FETCH ALL FROM c")]).await;
            keeps(&answers, &of);
            assert_eq!(told(&answers, b'D', "harmless"), error.is_none(), "{of}: {answers:?}");
        }
    }
}
