//! What waits, what is said of it, and what comes of it.

use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hoopctl::domain::approval::What;
use hoopctl::gateway::authority::Outcome;
use hoopctl::wire::postgres::frontend::ClientMessage;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::{DELETES, gateway, until, verdicts};
use crate::bypass::{EXECUTE, Raw, SYNC, bind, told};
use crate::support::gateway::{Gateway, Setup};
use crate::support::postgres::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn a_held_statement_waits_says_why_and_runs_once_it_is_approved() {
    let cluster = Cluster::start(18);
    let gateway = gateway(&cluster);
    let (_, _, made) =
        gateway.run(&["-c", "CREATE TABLE held_a AS SELECT generate_series(1, 9) AS id"]).await;
    assert!(made);
    let mut psql = gateway
        .psql()
        .args(["-c", "DELETE FROM held_a WHERE id <= 4"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let request = gateway.desk.next().await;
    let mut told = BufReader::new(psql.stderr.take().unwrap()).lines();
    let id = request.subject.subject().request.clone();
    let mut lines = Vec::new();
    while lines.len() < 3 {
        lines.push(told.next_line().await.unwrap().unwrap());
    }
    assert_eq!(
        lines,
        [
            "NOTICE:  held for review: deleting rows is looked at by a second person (rule delete-is-reviewed)".to_owned(),
            format!("DETAIL:  Request {id} needs 1 of corp/dba, until 2030-01-02 03:04:05 UTC."),
            format!("HINT:  a reviewer runs: hoopctl request show {id}"),
        ]
    );
    let What::Deed(deed) = &request.subject.subject().what else { panic!("a session") };
    assert_eq!(deed.text, "DELETE FROM held_a WHERE id <= 4");
    assert_eq!((deed.login.as_str(), deed.database.as_str()), ("postgres", "postgres"));
    assert!(deed.settings.contains_key("TimeZone"), "{:?}", deed.settings);
    // nothing has moved, and other connections go their way
    assert_eq!(gateway.run(&["-Atc", "SELECT count(*) FROM held_a"]).await.0, "9\n");
    gateway.desk.approve(request);
    let output = psql.wait_with_output().await.unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "DELETE 4\n");
    assert_eq!(verdicts(&gateway), ["Allow create table as", "Hold delete", "Allow select", "Allow delete"]);
    assert!(gateway.desk.is_empty().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_an_expiry_and_a_withdrawal_leave_the_transaction_as_an_error_does() {
    let cluster = Cluster::start(18);
    let gateway = gateway(&cluster);
    let client = gateway.connect().await;
    client.batch_execute("CREATE TABLE held_b (id int); INSERT INTO held_b VALUES (1)").await.unwrap();
    for (outcome, told) in [
        (
            Outcome::Denied { by: "bob".into(), reason: Some("not on a Friday".into()) },
            "bob denied request {id}: not on a Friday (rule delete-is-reviewed)",
        ),
        (Outcome::Expired, "request {id} was not approved in time (rule delete-is-reviewed)"),
        (Outcome::Withdrawn, "request {id} was withdrawn (rule delete-is-reviewed)"),
        (Outcome::Void, "request {id} no longer applies (rule delete-is-reviewed)"),
    ] {
        client.batch_execute("BEGIN; INSERT INTO held_b VALUES (2)").await.unwrap();
        let held = client.batch_execute("DELETE FROM held_b");
        let answer = async {
            let request = gateway.desk.next().await;
            let id = request.subject.subject().request.to_string();
            gateway.desk.answer(request, outcome);
            id
        };
        let (held, id) = tokio::join!(held, answer);
        let error = held.unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!((error.code().code(), error.message()), ("42501", told.replace("{id}", &id).as_str()));
        // the transaction is aborted, as by any error
        let after = client.batch_execute("SELECT 1").await.unwrap_err();
        assert_eq!(after.code().unwrap().code(), "25P02");
        client.batch_execute("ROLLBACK").await.unwrap();
        let rows = client.query("SELECT id FROM held_b", &[]).await.unwrap();
        assert_eq!(rows.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_good_for_one_release_and_for_one_set_of_values() {
    let cluster = Cluster::start(18);
    let gateway = gateway(&cluster);
    let client = gateway.connect().await;
    client.batch_execute("CREATE TABLE held_d AS SELECT generate_series(1, 9) AS id").await.unwrap();
    // preparing executes nothing, so it is let through; each Bind is held with its values
    let statement = client.prepare("DELETE FROM held_d WHERE id = $1").await.unwrap();
    for (id, deleted) in [(3_i32, 1), (4, 1), (3, 0)] {
        let answer = async {
            let request = gateway.desk.next().await;
            let What::Deed(deed) = &request.subject.subject().what else { panic!("a session") };
            let values = deed.values.clone();
            gateway.desk.approve(request);
            values
        };
        let bound: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&id];
        let (held, values) = tokio::join!(client.execute(&statement, &bound), answer);
        assert_eq!((held.unwrap(), values), (deleted, vec![format!("\\x0000000{id}")]));
    }
    // an approval that was used is used
    let verdicts = verdicts(&gateway);
    let binds = ["Hold delete", "Allow delete"].repeat(3);
    assert_eq!(verdicts[1..], [vec!["Hold delete"], binds].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_approved_and_what_policy_says_are_looked_at_again_before_it_runs() {
    let cluster = Cluster::start(18);
    let gateway = gateway(&cluster);
    let client = gateway.connect().await;
    client.batch_execute("CREATE TABLE held_e AS SELECT 1 AS id").await.unwrap();
    for (rules, told) in [
        (
            r#"@id("never") @reason("not any more") forbid (principal, action == Hoop::Action::"statement", resource)
               when { context.verb == "delete" };"#,
            "not any more (rule never)".to_owned(),
        ),
        (
            r#"@id("twice") @review("corp/dba:2") forbid (principal, action == Hoop::Action::"statement", resource)
               when { context.verb == "delete" };"#,
            "policy has changed while request {id} was reviewed (rule twice)".to_owned(),
        ),
    ] {
        gateway.desk.reload(DELETES);
        let answer = async {
            let request = gateway.desk.next().await;
            let id = request.subject.subject().request.to_string();
            gateway.desk.reload(rules);
            gateway.desk.approve(request);
            id
        };
        let (held, id) = tokio::join!(client.batch_execute("DELETE FROM held_e"), answer);
        let error = held.unwrap_err();
        assert_eq!(error.as_db_error().unwrap().message(), told.replace("{id}", &id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_run_it_is_held() {
    let cluster = Cluster::start(18);
    let gateway = gateway(&cluster);
    let client = gateway.connect().await;
    client.batch_execute("CREATE TABLE held_g AS SELECT generate_series(1, 9) AS id").await.unwrap();
    for (text, shown) in [
        (
            "SELECT 1; DELETE FROM held_g WHERE id = 1; SELECT 2",
            "SELECT 1; DELETE FROM held_g WHERE id = 1; SELECT 2",
        ),
        ("delete from held_g where id = 2", "delete from held_g where id = 2"),
    ] {
        let answer = async {
            let request = gateway.desk.next().await;
            let text = request.text().to_owned();
            gateway.desk.answer(request, Outcome::Expired);
            text
        };
        let (held, text) = tokio::join!(client.batch_execute(text), answer);
        assert!(held.is_err());
        assert_eq!(text, shown);
    }
    // SQL's own way to prepare: what is reviewed is what was prepared
    client.batch_execute("PREPARE p AS DELETE FROM held_g WHERE id = 3").await.unwrap();
    let answer = async {
        let request = gateway.desk.next().await;
        let What::Deed(deed) = &request.subject.subject().what else { panic!("a session") };
        let sent = deed.sent.clone();
        gateway.desk.answer(request, Outcome::Expired);
        sent
    };
    let (held, sent) = tokio::join!(client.batch_execute("EXECUTE p"), answer);
    assert!(held.is_err());
    assert_eq!(sent.as_deref(), Some("PREPARE p AS DELETE FROM held_g WHERE id = 3"));
    // and by its name in the protocol
    let mut raw = Raw::connect(&gateway).await;
    raw.send(&[ClientMessage::Query(b"PREPARE q AS DELETE FROM held_g WHERE id = 4")]).await;
    raw.until_ready().await;
    raw.send(&[bind("q"), EXECUTE, SYNC]).await;
    let answer = async {
        let request = gateway.desk.next().await;
        assert_eq!(request.text(), "PREPARE q AS DELETE FROM held_g WHERE id = 4");
        gateway.desk.answer(request, Outcome::Expired);
    };
    let (answers, ()) = tokio::join!(raw.until_ready(), answer);
    assert!(told(&answers, b'E', "(rule delete-is-reviewed)"), "{answers:?}");
    // of a held string nothing ran
    let moved = |verdict: &&String| verdict.starts_with("Allow") && *verdict != "Allow fetch";
    // (an Execute behind a refused Bind is skipped by the database)
    let allowed = verdicts(&gateway).iter().filter(moved).count();
    assert_eq!(allowed, 3, "{:?}", verdicts(&gateway));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_can_review_it_is_denied() {
    let cluster = Cluster::start(18);
    let gateway = gateway(&cluster);
    gateway.desk.closed.store(true, Ordering::Relaxed);
    let (_, told, done) = gateway.run(&["-c", "DELETE FROM pg_class"]).await;
    assert!(!done);
    assert!(
        told.contains(
            "it is held for review, and cannot be reviewed: nobody reviews here (rule delete-is-reviewed)"
        ),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn held_statements_of_many_connections_each_get_their_own_answer() {
    let cluster = Cluster::start(18);
    let gateway = gateway(&cluster);
    let clients = 16;
    let mut tasks = Vec::new();
    for number in 0..clients {
        let client = gateway.connect().await;
        tasks.push(tokio::spawn(async move {
            client.execute(&format!("DELETE FROM pg_class WHERE oid = {number}"), &[]).await
        }));
    }
    for _ in 0..clients {
        let request = gateway.desk.next().await;
        // odd ones go, even ones do not
        let odd = request.text().chars().last().is_some_and(|last| last.to_digit(10).unwrap() % 2 == 1);
        if odd {
            gateway.desk.approve(request);
        } else {
            gateway.desk.answer(request, Outcome::Expired);
        }
    }
    for (number, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap().is_ok(), number % 2 == 1, "{number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn drivers_wait_are_told_and_may_give_up() {
    let cluster = Cluster::start(18);
    let tables = "CREATE TABLE people (id int PRIMARY KEY); INSERT INTO people VALUES (1), (2), (3)";
    cluster.admin().await.batch_execute(tables).await.unwrap();
    let gateway = gateway(&cluster);
    let script = |name: &str| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/drivers");
        let mut command = tokio::process::Command::new(crate::drivers::drivers().join("python/bin/python"));
        command
            .arg(folder.join(name))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PGHOST", gateway.folder())
            .env("PGPORT", "5432")
            .env("PGUSER", "alice")
            .env("PGPASSWORD", crate::support::gateway::SECRET)
            .env("PGDATABASE", "postgres")
            .kill_on_drop(true);
        command.output()
    };
    let approve = async {
        let request = gateway.desk.next().await;
        gateway.desk.approve(request);
    };
    let (output, ()) = tokio::join!(script("hold_psycopg.py"), approve);
    let told = String::from_utf8(output.unwrap().stdout).unwrap();
    assert_eq!(
        told,
        "1 [('01HC1', 'held for review: deleting rows is looked at by a second person (rule delete-is-reviewed)')]\n"
    );

    let (output, request) = tokio::join!(script("hold_asyncpg.py"), gateway.desk.next());
    let output = output.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "timed out\n2\n", "{output:?}");
    until("the request is withdrawn", || !request.waiting.load(Ordering::Relaxed)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fast_path_call_is_held_and_runs_once_it_is_approved() {
    let cluster = Cluster::start(18);
    cluster.admin().await.batch_execute("SELECT lo_create(4711)").await.unwrap();
    let policy = r#"@id("calls") @review("corp/dba:1") forbid (principal, action == Hoop::Action::"statement", resource)
                    when { context.verb == "function call" };"#;
    let gateway = Gateway::start(&cluster, Setup { policy, ..Setup::open(&cluster) });
    // psql's \lo_unlink is a FunctionCall message
    for (goes, told) in [(false, "was not approved in time"), (true, "lo_unlink 4711")] {
        let answer = async {
            let request = gateway.desk.next().await;
            let What::Deed(deed) = &request.subject.subject().what else { panic!("a session") };
            let shown = (deed.text.clone(), deed.values.clone());
            match goes {
                true => gateway.desk.approve(request),
                false => gateway.desk.answer(request, Outcome::Expired),
            }
            shown
        };
        let unlink = ["-c", "\\lo_unlink 4711"];
        let ((out, err, done), (text, values)) = tokio::join!(gateway.run(&unlink), answer);
        assert!((out + &err).contains(told), "{err}");
        assert_eq!(done, goes);
        assert!(text.starts_with("FunctionCall ") && values.len() == 1, "{text} {values:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_timeout_that_runs_out_while_it_is_held_has_a_clear_outcome() {
    let cluster = Cluster::start(18);
    let gateway = gateway(&cluster);
    let client = gateway.connect().await;
    client
        .batch_execute("CREATE TABLE timed AS SELECT 1 AS id; SET statement_timeout = '300ms'")
        .await
        .unwrap();
    // Parse, Bind and Execute in one go: the database has the Parse while the Bind is held
    let answer = async {
        let request = gateway.desk.next().await;
        tokio::time::sleep(Duration::from_millis(900)).await;
        gateway.desk.approve(request);
    };
    let types = [(&1_i32 as &(dyn tokio_postgres::types::ToSql + Sync), tokio_postgres::types::Type::INT4)];
    let (held, ()) = tokio::join!(client.query_typed("DELETE FROM timed WHERE id = $1", &types), answer);
    let error = held.expect_err("its time is over");
    assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("57014"), "{error:?}");
    // it did not run, and the connection goes on
    for _ in 0..3 {
        assert_eq!(client.query("SELECT id FROM timed", &[]).await.unwrap().len(), 1);
    }
}
