//! Statements that wait for a second person.

use std::io::Write as _;
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hoopctl::domain::approval::{Decision, What};
use hoopctl::domain::event;
use hoopctl::gateway::authority::Outcome;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::support::gateway::{Gateway, Setup};
use crate::support::postgres::Cluster;
use crate::support::reviewer::{Request, bob, signed_by, standing};

const DELETES: &str = r#"
@id("delete-is-reviewed")
@reason("deleting rows is looked at by a second person")
@review("corp/dba:1")
@standing("1h")
forbid (principal, action == Hoop::Action::"statement", resource)
when { context.verb == "delete" };
"#;

fn gateway(cluster: &Cluster) -> Gateway {
    Gateway::start(cluster, Setup { policy: DELETES, ..Setup::open(cluster) })
}

/// The verdicts in the ledger, in order.
fn verdicts(gateway: &Gateway) -> Vec<String> {
    let entries = gateway.book.statements();
    entries.into_iter().map(|(verb, verdict, _)| format!("{verdict} {verb}")).collect()
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..600 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never came to this: {what}");
}

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
async fn an_approval_that_its_reviewers_have_not_signed_releases_nothing() {
    let cluster = Cluster::start(18);
    let gateway = gateway(&cluster);
    let client = gateway.connect().await;
    client.batch_execute("CREATE TABLE held_c (id int); INSERT INTO held_c VALUES (1)").await.unwrap();
    type Spoil = Box<dyn Fn(&Request) -> Vec<hoopctl::domain::approval::Review> + Send>;
    let spoilt: Vec<(&str, Spoil)> = vec![
        ("too few", Box::new(|_| Vec::new())),
        (
            "another request",
            Box::new(|r| {
                vec![bob(&r.subject, |c| {
                    c.request = hoopctl::domain::name::RequestId::from_random([1; 16]);
                })]
            }),
        ),
        (
            "another subject",
            Box::new(|r| {
                vec![bob(&r.subject, |c| c.subject = hoopctl::domain::name::Digest::from_bytes(&[0; 32]))]
            }),
        ),
        ("does not approve", Box::new(|r| vec![bob(&r.subject, |c| c.decision = Decision::Deny)])),
        (
            "somebody else",
            Box::new(|r| vec![bob(&r.subject, |c| c.reviewer = r.subject.subject().requester.clone())]),
        ),
        ("requester's own", Box::new(|r| vec![signed_by(7, "alice", &r.subject, |_| {})])),
        (
            "another device",
            Box::new(|r| {
                let mut review = bob(&r.subject, |_| {});
                review.proof = signed_by(8, "bob", &r.subject, |_| {}).proof;
                vec![review]
            }),
        ),
        ("there twice", Box::new(|r| vec![bob(&r.subject, |_| {}), bob(&r.subject, |_| {})])),
        (
            "standing decision",
            Box::new(|r| {
                let mut review = bob(&r.subject, |_| {});
                review.standing = Some(standing(&[0], 60));
                vec![review]
            }),
        ),
        (
            "too few",
            Box::new(|r| {
                let mut review = bob(&r.subject, |_| {});
                review.groups.clear();
                vec![review]
            }),
        ),
        (
            "the review by test:bob",
            Box::new(|r| {
                let mut review = bob(&r.subject, |_| {});
                review.proof.pop();
                vec![review]
            }),
        ),
    ];
    for (fault, spoil) in spoilt {
        let answer = async {
            let request = gateway.desk.next().await;
            let reviews = spoil(&request);
            gateway.desk.answer(request, Outcome::Approved(reviews));
        };
        let (held, ()) = tokio::join!(client.batch_execute("DELETE FROM held_c"), answer);
        let error = held.expect_err(fault);
        assert!(error.as_db_error().unwrap().message().contains("does not hold"), "{fault}: {error}");
        let rejected = gateway.book.events.lock().unwrap().iter().rev().find_map(|event| match &event.what {
            event::What::ReviewRejected { fault, .. } => Some(fault.clone()),
            _ => None,
        });
        assert!(rejected.as_ref().is_some_and(|told| told.contains(fault)), "{fault}: {rejected:?}");
    }
    assert_eq!(client.query("SELECT id FROM held_c", &[]).await.unwrap().len(), 1);
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
async fn control_c_takes_the_statement_back_and_the_session_goes_on() {
    let cluster = Cluster::start(18);
    let gateway = gateway(&cluster);
    let mut psql = gateway
        .psql()
        .args(["-v", "ON_ERROR_STOP=0", "-At"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = psql.stdin.take().unwrap();
    input
        .write_all(b"CREATE TEMP TABLE held_f (id int);\nDELETE FROM held_f;\nSELECT 'still here';\n")
        .await
        .unwrap();
    let request = gateway.desk.next().await;
    let pid = i32::try_from(psql.id().unwrap()).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::INT)
        .unwrap();
    drop(input);
    let output = psql.wait_with_output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("ERROR:  canceling statement due to user request"), "{told}");
    until("the request is withdrawn", || !request.waiting.load(Ordering::Relaxed)).await;
    assert_eq!(verdicts(&gateway)[1..3], ["Hold delete", "Deny delete"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_and_a_session_that_closes_withdraw_what_is_held() {
    let cluster = Cluster::start(18);
    let gateway = gateway(&cluster);
    let mut psql = gateway
        .psql()
        .args(["-c", "DELETE FROM pg_class"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let request = gateway.desk.next().await;
    psql.kill().await.unwrap();
    until("the request is withdrawn", || !request.waiting.load(Ordering::Relaxed)).await;

    let client = gateway.connect().await;
    let held = tokio::spawn(async move { client.batch_execute("DELETE FROM pg_class").await });
    let request = gateway.desk.next().await;
    gateway.closing.send_replace(Some(hoopctl::domain::session::CloseReason::Killed));
    assert!(held.await.unwrap().is_err());
    until("the request is withdrawn", || !request.waiting.load(Ordering::Relaxed)).await;
    assert!(!verdicts(&gateway).contains(&"Allow delete".to_owned()));
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
    // of a held string nothing ran
    let allowed = verdicts(&gateway).iter().filter(|verdict| verdict.starts_with("Allow")).count();
    assert_eq!(allowed, 2, "{:?}", verdicts(&gateway));
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
async fn a_standing_decision_covers_its_shape_for_a_while_and_nothing_else() {
    let cluster = Cluster::start(18);
    let tables = "CREATE TABLE notes (id int PRIMARY KEY, body text); INSERT INTO notes SELECT n, 'x' FROM generate_series(1, 9) n";
    cluster.admin().await.batch_execute(tables).await.unwrap();
    // labels make names be resolved, and only what is resolved has a shape
    let label = std::collections::BTreeSet::from(["text".to_owned()]);
    let fields = std::collections::BTreeMap::from([("public.notes.body".to_owned(), label)]);
    let setup = Setup { policy: DELETES, fields, ..Setup::open(&cluster) };
    let gateway = Gateway::start(&cluster, setup);
    let client = gateway.connect().await;

    let answer = async {
        let request = gateway.desk.next().await;
        let subject = request.subject.clone();
        gateway.desk.approve(request);
        subject
    };
    let (held, earlier) =
        tokio::join!(client.batch_execute("DELETE FROM notes WHERE id = 1 AND body = 'x'"), answer);
    held.unwrap();
    let What::Deed(deed) = &earlier.subject().what else { panic!("a session") };
    let shown: Vec<&str> =
        deed.shape.as_ref().unwrap().literals.iter().map(|literal| literal.shown.as_str()).collect();
    assert_eq!(shown, ["1", "x"]);

    let hour_ago = hoopctl::gateway::clock::Clock::system().now().as_second() - 4000;
    for (statement, seconds, iat, goes) in [
        ("DELETE FROM notes WHERE id = 2 AND body = 'x'", 3600, None, true),
        ("DELETE FROM notes WHERE id = 3 AND body = 'y'", 3600, None, false),
        ("DELETE FROM notes WHERE id = 3 OR body = 'x'", 3600, None, false),
        // over, by what the rule allows
        ("DELETE FROM notes WHERE id = 4 AND body = 'x'", 7200, Some(hour_ago), false),
        // over, by what the reviewer has signed
        ("DELETE FROM notes WHERE id = 5 AND body = 'x'", 3600, Some(hour_ago), false),
    ] {
        let subject = Box::new(earlier.clone());
        let review = bob(&earlier, |claims| {
            claims.standing = Some(standing(&[0], seconds));
            claims.iat = iat.unwrap_or(claims.iat);
        });
        let answer = async {
            let request = gateway.desk.next().await;
            gateway.desk.answer(request, Outcome::Standing { subject, reviews: vec![review] });
            if !goes {
                // people are asked instead, of whom nobody can make a standing decision of it
                let request = gateway.desk.next().await;
                let What::Deed(deed) = &request.subject.subject().what else { panic!("a session") };
                assert!(deed.shape.is_none());
                gateway.desk.answer(request, Outcome::Expired);
            }
        };
        let (held, ()) = tokio::join!(client.batch_execute(statement), answer);
        assert_eq!(held.is_ok(), goes, "{statement}: {held:?}");
    }
    let left = client.query("SELECT id FROM notes", &[]).await.unwrap();
    assert_eq!(left.len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_presets_hold_before_any_row_is_released() {
    let cluster = Cluster::start(18);
    let tables = "CREATE TABLE traces (id int PRIMARY KEY, prompt text, api_key text); INSERT INTO traces VALUES (1, 'p', 'k'), (2, 'p', 'k')";
    cluster.admin().await.batch_execute(tables).await.unwrap();
    let label = std::collections::BTreeSet::from(["high-risk".to_owned()]);
    let fields = std::collections::BTreeMap::from([("*.traces.api_key".to_owned(), label)]);
    let policy = concat!(
        include_str!("../../policies/single-trace.cedar"),
        include_str!("../../policies/high-risk-fields.cedar")
    );
    let gateway = Gateway::start(&cluster, Setup { policy, fields, ..Setup::open(&cluster) });
    gateway.desk.closed.store(true, Ordering::Relaxed);
    let client = gateway.connect().await;
    for (statement, rule) in [
        ("SELECT id, prompt FROM traces WHERE id = 1", None),
        ("SELECT count(*) FROM traces", None),
        ("SELECT id, prompt FROM traces", Some("single-trace.read")),
        ("SELECT id, prompt FROM traces LIMIT 1", Some("single-trace.read")),
        ("UPDATE traces SET prompt = prompt RETURNING id, prompt", Some("single-trace.read")),
        ("SELECT max(id) FROM traces", None),
        ("SELECT max(prompt) FROM traces", Some("single-trace.read")),
        ("SELECT max((SELECT string_agg(prompt, ',') FROM traces)::int)", Some("single-trace.read")),
        ("EXPLAIN SELECT id, prompt FROM traces", None),
        ("EXPLAIN ANALYZE UPDATE traces SET prompt = prompt", Some("single-trace.read")),
        ("COPY traces (id) TO STDOUT", Some("single-trace.copy")),
        ("SELECT api_key FROM traces WHERE id = 1", Some("high-risk-fields.read")),
        ("SELECT * FROM traces WHERE id = 1", Some("high-risk-fields.read")),
        ("SELECT traces FROM traces WHERE id = 1", Some("high-risk-fields.read")),
        ("SELECT api_key(traces) FROM traces WHERE id = 1", Some("high-risk-fields.read")),
    ] {
        let told = client.simple_query(statement).await;
        match (told, rule) {
            (Ok(_), None) => {}
            (Err(error), Some(rule)) => {
                let error = error.as_db_error().unwrap().message().to_owned();
                assert!(error.contains(&format!("(rule {rule})")), "{statement}: {error}");
            }
            (told, _) => panic!("{statement}: {told:?}"),
        }
    }
    // one who declares a key to be a float may mean several rows
    let types = [tokio_postgres::types::Type::FLOAT8];
    let statement = client.prepare_typed("SELECT prompt FROM traces WHERE id = $1", &types).await.unwrap();
    assert!(client.query(&statement, &[&1.0_f64]).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_in_two_groups_is_one_person() {
    let cluster = Cluster::start(18);
    let gateway = gateway(&cluster);
    gateway.desk.reload(
        r#"@id("both") @review("corp/dba:1, corp/ops:1") forbid (principal, action == Hoop::Action::"statement", resource)
           when { context.verb == "delete" };"#,
    );
    let groups = |names: &[&str]| {
        names.iter().map(|name| hoopctl::domain::name::GroupName::new(*name).unwrap()).collect()
    };
    let client = gateway.connect().await;
    for (of_carol, goes) in [(vec![], false), (vec!["corp/dba"], true)] {
        let answer = async {
            let request = gateway.desk.next().await;
            let mut reviews =
                vec![bob(&request.subject, |_| {}), signed_by(9, "carol", &request.subject, |_| {})];
            reviews[0].groups = groups(&["corp/dba", "corp/ops"]);
            reviews[1].groups = groups(&of_carol);
            gateway.desk.answer(request, Outcome::Approved(reviews));
        };
        let (held, ()) = tokio::join!(client.batch_execute("DELETE FROM pg_class WHERE false"), answer);
        assert_eq!(held.is_ok(), goes, "{held:?}");
    }
}

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

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_may_answer_but_not_where_people_must() {
    let cluster = Cluster::start(18);
    let gateway = gateway(&cluster);
    let client = gateway.connect().await;
    client.batch_execute("CREATE TABLE ruled AS SELECT 1 AS id").await.unwrap();
    let people = DELETES.replace("@standing(\"1h\")", "@review_by(\"people\")");
    for (rules, goes) in [(people.as_str(), false), (DELETES, true)] {
        gateway.desk.reload(rules);
        let answer = async {
            let request = gateway.desk.next().await;
            let rule = hoopctl::domain::name::RuleName::new("small-deletes").unwrap();
            gateway.desk.answer(request, Outcome::Rule(rule));
        };
        let (held, ()) = tokio::join!(client.batch_execute("DELETE FROM ruled"), answer);
        assert_eq!(held.is_ok(), goes, "{held:?}");
    }
    assert!(client.query("SELECT id FROM ruled", &[]).await.unwrap().is_empty());
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

/// `benches/holds.sh` runs this and prints; it asserts no time.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: benches/holds.sh"]
async fn what_a_hold_costs() {
    const HELD: usize = 40;
    const ROUNDS: usize = 100;
    let cluster = Cluster::start(18);
    let gateway = gateway(&cluster);
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let client = gateway.connect().await;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let answer = async {
            let request = gateway.desk.next().await;
            let approved = std::time::Instant::now();
            gateway.desk.approve(request);
            approved
        };
        let held = async {
            client.batch_execute("DELETE FROM pg_class WHERE false").await.unwrap();
            std::time::Instant::now()
        };
        let (done, approved) = tokio::join!(held, answer);
        times.push(done - approved);
    }
    times.sort_unstable();
    let (median, worst) = (times[ROUNDS / 2], times[ROUNDS * 99 / 100]);
    writeln!(std::io::stdout(), "approved to answered: p50 {median:?}, p99 {worst:?}").unwrap();

    let mut clients = Vec::new();
    for _ in 0..HELD {
        clients.push(gateway.connect().await);
    }
    let (before, mut tasks, mut requests) = (resident(), Vec::new(), Vec::new());
    for client in clients {
        let held = async move { client.batch_execute("DELETE FROM pg_class WHERE false").await };
        tasks.push(tokio::spawn(held));
    }
    for _ in 0..HELD {
        requests.push(gateway.desk.next().await);
    }
    let more = resident().saturating_sub(before);
    let each = more / HELD as u64;
    writeln!(std::io::stdout(), "{HELD} held at once: {more} KiB more, {each} KiB each").unwrap();
    requests.into_iter().for_each(|request| gateway.desk.approve(request));
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}
