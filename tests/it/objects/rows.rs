//! Row filters with views of the broker's: either lock hides the rows of others, and rows are changed through the view.

mod life;
mod values;

use std::collections::BTreeSet;

use hoopctl::domain::filter::{RowFilter, TablePattern};
use hoopctl::domain::mask::Mask;
use hoopctl::domain::target::PostgresTarget;
use hoopctl::gateway::authority::{Lease, SessionContext};
use secrecy::ExposeSecret as _;
use tokio_postgres::Client;

use super::{ask, stage as plain_stage};
use crate::leases::stage::{Stage, group_role, mask, newest, session, target};
use crate::support::gateway::{Gateway, Setup};
use crate::support::postgres::majors;

/// A stage with rows of alice's and of others.
pub(super) async fn stage(major: u32) -> Stage {
    let stage = plain_stage(major).await;
    stage.root.batch_execute(include_str!("rows/setup.sql")).await.unwrap();
    stage
}

pub(super) fn filter(table: &str, predicate: &str) -> RowFilter {
    let named = predicate.split("principal.").skip(1);
    let claim = |rest: &str| -> String {
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    RowFilter {
        name: "own".parse().unwrap(),
        table: TablePattern::new(table).unwrap(),
        predicate: predicate.into(),
        claims: named.map(claim).collect(),
        only_for: BTreeSet::new(),
        lifted_for: BTreeSet::new(),
    }
}

fn filters() -> Vec<RowFilter> {
    let own = "owner = principal.subject";
    ["public.notes", "public.tasks", "public.shown", "public.events", "public.below", "public.limbs"]
        .map(|table| filter(table, own))
        .into()
}

pub(super) fn filtered(stage: &Stage) -> PostgresTarget {
    PostgresTarget {
        objects: true,
        filters: filters(),
        ..stage.target(vec![mask("public.notes.tax_id", Mask::Partial { keep_last: 1 })])
    }
}

pub(super) fn whose(stage: &Stage, who: &str) -> SessionContext {
    session(who, who, target("db", filtered(stage)))
}

/// A session of somebody's.
pub(super) async fn leased(stage: &Stage, who: &str) -> Lease {
    let issued = stage.leases.issue(&whose(stage, who)).await;
    issued.unwrap_or_else(|e| panic!("PostgreSQL {}: {e}", stage.cluster.major))
}

/// The gateway in front of alice's lease.
pub(super) fn gateway(stage: &Stage, lease: &Lease) -> Gateway {
    let postgres = filtered(stage);
    Gateway::start(
        &stage.cluster,
        Setup {
            masks: postgres.masks,
            filters: postgres.filters,
            objects: true,
            user: lease.user.clone(),
            password: lease.password().expose_secret().to_owned(),
            database: "app".into(),
            ..Setup::open(&stage.cluster)
        },
    )
}

/// The broker's view that stands for a table.
pub(super) async fn view_of(stage: &Stage, table: &str) -> String {
    let query = "SELECT 'hoopctl.' || relname FROM pg_class WHERE relnamespace = 'hoopctl'::regnamespace
                 AND relkind = 'v' AND relname LIKE 'v' || $1::text::regclass::oid || '\\_%'";
    stage.root.query_one(query, &[&table]).await.unwrap().get(0)
}

async fn one(client: &Client, sql: &str) -> String {
    ask(client, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}")).join(" ")
}

/// The second lock alone: direct connections as the minted roles, past the gateway and its rewriting.
#[tokio::test(flavor = "multi_thread")]
async fn the_role_alone_sees_and_changes_its_slice_only() {
    for major in majors() {
        let stage = stage(major).await;
        let lease = leased(&stage, "alice").await;
        let bobs = leased(&stage, "bob").await;
        let (alice, bob) = (stage.login(&lease).await.unwrap(), stage.login(&bobs).await.unwrap());
        for table in
            ["notes", "tasks", "shown", "over_notes", "events", "events_25", "below", "above", "beside"]
        {
            // what is beside a filtered child is open by itself
            if table == "beside" {
                assert_eq!(one(&alice, "SELECT id FROM beside").await, "4", "{major}");
                continue;
            }
            for sql in [
                format!("SELECT * FROM {table}"),
                format!("SELECT count(*) FROM {table}"),
                format!("SELECT EXISTS (SELECT FROM {table})"),
                format!("COPY {table} TO STDOUT"),
                format!("DELETE FROM {table}"),
                format!("TRUNCATE {table}"),
            ] {
                let error = alice.batch_execute(&sql).await.expect_err(&sql);
                let code = error.code().map(|code| code.code().to_owned()).unwrap_or_default();
                // a view cannot be copied or emptied at all, and one of a UNION not changed
                let is_view =
                    matches!(table, "shown" | "over_notes") && ["42809", "55000"].contains(&code.as_str());
                assert!(code == "42501" || is_view, "{major}: {sql}: {error:?}");
            }
        }
        for sql in [
            "INSERT INTO notes (id) VALUES (9)",
            "UPDATE notes SET body = 'x'",
            "SELECT * FROM ONLY above",
            "SELECT * FROM hoopctl.claims",
            "SELECT count(*) FROM hoopctl.claims",
            "INSERT INTO hoopctl.claims VALUES (session_user, 'subject', '{bob}')",
            "UPDATE hoopctl.claims SET vals = '{bob}'",
            "DELETE FROM hoopctl.claims",
            "TRUNCATE hoopctl.claims",
            "SET ROLE hoop_objects",
            &format!("SET ROLE {}", bobs.user),
        ] {
            let error = ask(&alice, sql).await.expect_err(sql);
            assert!(error.starts_with("42501"), "{major}: {sql}: {error}");
        }

        // what it may use shows its slice, whatever role it takes of those that it may take
        let notes = view_of(&stage, "notes").await;
        let ids = format!("SELECT id FROM {notes} ORDER BY id");
        assert_eq!((one(&alice, &ids).await, one(&bob, &ids).await), ("1 2".into(), "3".into()), "{major}");
        let group = group_role(&stage).await;
        alice.batch_execute(&format!("SET ROLE {group}")).await.unwrap();
        assert_eq!(one(&alice, &ids).await, "1 2", "{major}");
        alice.batch_execute("RESET ROLE").await.unwrap();
        for (table, seen) in [("events", "1 3"), ("events_25", "1"), ("below", "3"), ("shown", "")] {
            let view = view_of(&stage, table).await;
            let column = if table == "shown" { "n" } else { "id" };
            let rows = one(&alice, &format!("SELECT {column} FROM {view} ORDER BY 1")).await;
            assert_eq!(rows, if table == "shown" { "1" } else { seen }, "{major}: {table}");
        }
        // and a function of hers sees nothing else, however cheap it says it is
        let leak = "CREATE FUNCTION pg_temp.leak(int) RETURNS bool COST 0.0000001 LANGUAGE plpgsql AS \
                    $$BEGIN RETURN 1 / $1 >= 0; END$$";
        alice.batch_execute(leak).await.unwrap();
        assert_eq!(
            one(&alice, &format!("SELECT id FROM {notes} WHERE pg_temp.leak(amount) ORDER BY id")).await,
            "1 2"
        );

        // rows are changed inside of the slice, and none leaves or enters it
        let counts = [
            (format!("UPDATE {notes} SET body = 'new' WHERE id IN (2, 3)"), 1),
            (format!("UPDATE {notes} SET body = 'new' WHERE pg_temp.leak(amount)"), 2),
            (format!("DELETE FROM {notes} WHERE id = 3"), 0),
            (format!("INSERT INTO {notes} (id, body) VALUES (9, 'mine')"), 1),
            (format!("DELETE FROM {notes} WHERE body = 'mine'"), 1),
        ];
        for (sql, count) in counts {
            let changed = alice.execute(&sql, &[]).await.unwrap_or_else(|e| panic!("{major}: {sql}: {e:?}"));
            assert_eq!(changed, count, "{major}: {sql}");
        }
        for sql in [
            format!("UPDATE {notes} SET owner = 'bob' WHERE id = 1"),
            format!("INSERT INTO {notes} (id, owner) VALUES (9, 'bob')"),
        ] {
            let error = ask(&alice, &sql).await.expect_err(&sql);
            assert!(error.starts_with("44000"), "{major}: {sql}: {error}");
        }
        assert_eq!(
            one(&stage.root, "SELECT body FROM notes WHERE id > 2 ORDER BY id").await,
            "hidden-b3 hidden-c4"
        );
    }
}

/// The first lock alone: the role may do everything with the tables, and the views show every row.
#[tokio::test(flavor = "multi_thread")]
async fn rewriting_alone_keeps_the_slice() {
    for major in [majors()[0], newest()] {
        let stage = stage(major).await;
        let lease = leased(&stage, "alice").await;
        let notes = view_of(&stage, "notes").await;
        stage
            .root
            .batch_execute(&format!(
                "GRANT ALL ON ALL TABLES IN SCHEMA public TO {0};
                 CREATE OR REPLACE VIEW {notes} AS SELECT id, owner, body, amount, ('x' || tax_id)::text AS tax_id FROM notes;
                 ALTER VIEW {notes} RESET (check_option)",
                lease.user
            ))
            .await
            .unwrap();
        let alice = stage.login(&lease).await.unwrap();
        assert_eq!(one(&alice, "SELECT count(*) FROM notes").await, "4", "the second lock is open");
        assert_eq!(one(&alice, &format!("SELECT count(*) FROM {notes}")).await, "4", "and so is the view");
        let client = gateway(&stage, &lease).connect().await;
        for (sql, answer) in [
            ("SELECT id FROM notes ORDER BY id", "1 2"),
            ("SELECT count(*) FROM notes WHERE 1 / amount >= 0", "2"),
            ("SELECT EXISTS (SELECT FROM notes WHERE owner = 'bob')", "f"),
            ("SELECT string_agg(body, ',' ORDER BY id) FROM over_notes", "a1,a2"),
            (
                "WITH c AS (UPDATE notes SET body = 'new' WHERE id IN (2, 3) RETURNING id) SELECT id FROM c",
                "2",
            ),
            (
                "WITH c AS (UPDATE notes n SET body = 'new' FROM own_list o WHERE o.id = 1 OR n.amount = 0 RETURNING n.id) SELECT count(*) FROM c",
                "2",
            ),
            ("WITH c AS (DELETE FROM notes WHERE owner <> 'alice' RETURNING 1) SELECT count(*) FROM c", "0"),
            ("WITH c AS (DELETE FROM notes WHERE amount = 0 OR id = 2 RETURNING id) SELECT id FROM c", "2"),
        ] {
            assert_eq!(one(&client, sql).await, answer, "{major}: {sql}");
        }
        let left = "SELECT string_agg(id || body, ',' ORDER BY id) FROM notes";
        assert_eq!(one(&stage.root, left).await, "1new,3hidden-b3,4hidden-c4", "{major}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_reads_and_changes_its_slice() {
    for major in majors() {
        let stage = stage(major).await;
        let lease = leased(&stage, "alice").await;
        let gateway = gateway(&stage, &lease);
        let client = gateway.connect().await;
        for (sql, answer) in [
            ("SELECT id, owner, body, tax_id FROM notes ORDER BY id", "1|alice|a1|****1 2|alice|a2|****2"),
            ("SELECT count(*), max(body) FROM notes", "2|a2"),
            ("SELECT count(*) FROM notes n JOIN tasks t ON t.note = n.id", "1"),
            ("SELECT id FROM over_notes ORDER BY 1", "1 2"),
            ("SELECT n FROM shown", "1"),
            ("SELECT id FROM events ORDER BY 1", "1 3"),
            ("SELECT id FROM events_26", "3"),
            ("SELECT id, more FROM below", "3|m"),
            ("SELECT id FROM beside", "4"),
            ("SELECT row_to_json(t) ->> 'owner' FROM tasks t", "alice"),
            ("SELECT id FROM notes WHERE owner = 'bob' OR true ORDER BY id", "1 2"),
            // changes
            (
                "INSERT INTO notes (id, body) VALUES (10, 'ten') RETURNING id, owner, notes.body",
                "10|alice|ten",
            ),
            ("INSERT INTO notes (id, body) SELECT id + 10, body FROM notes WHERE id = 10 RETURNING id", "20"),
            ("UPDATE notes SET body = body || '!' WHERE notes.id > 2 RETURNING id, body", "10|ten! 20|ten!"),
            (
                "UPDATE public.notes SET amount = public.notes.amount + 1 WHERE public.notes.id = 10 RETURNING amount",
                "2",
            ),
            (
                "UPDATE notes n SET body = o.text FROM own_list o WHERE n.id = o.id + 9 RETURNING n.body",
                "one",
            ),
            ("UPDATE notes SET body = 'theirs' WHERE id = 3 RETURNING id", ""),
            (
                "UPDATE notes SET (body, amount) = (SELECT 'two', 7) WHERE id = 20 RETURNING body, amount",
                "two|7",
            ),
            ("DELETE FROM notes n USING own_list o WHERE n.id = 20 AND o.id = 1 RETURNING n.id", "20"),
            ("DELETE FROM notes WHERE owner = 'bob' RETURNING id", ""),
            ("WITH gone AS (DELETE FROM notes WHERE id = 10 RETURNING id) SELECT count(*) FROM gone", "1"),
            ("INSERT INTO tasks (owner, note) VALUES ('alice', 2) RETURNING note, tasks.*", ""),
            ("UPDATE events SET day = '2026-01-01' WHERE id = 1 RETURNING id", "1"),
            ("SELECT count(*) FROM events_26", "2"),
            ("INSERT INTO events_26 VALUES (5, 'alice', '2026-07-07') RETURNING id", "5"),
        ] {
            let found = one(&client, sql).await;
            if sql.contains("tasks.*") {
                assert!(found.starts_with("2|") && found.ends_with("|alice|2|f"), "{major}: {found}");
                continue;
            }
            assert_eq!(found, answer, "{major}: {sql}");
        }
        let prepared = client.query("SELECT id FROM notes WHERE id = $1", &[&3_i32]).await.unwrap();
        assert!(prepared.is_empty(), "{major}");
        let ids = vec![1_i32, 3];
        let changed = client.execute("UPDATE notes SET body = $1 WHERE id = ANY ($2)", &[&"p", &ids]).await;
        assert_eq!(changed.unwrap(), 1, "{major}");
        // a row of somebody else's makes the server refuse, and the error names nothing
        for sql in [
            "INSERT INTO notes (id, owner, body) VALUES (11, 'bob', 'x')",
            "UPDATE notes SET owner = 'bob' WHERE id = 1",
        ] {
            let error = ask(&client, sql).await.expect_err(sql);
            assert!(error.starts_with("44000") && !error.contains("bob"), "{major}: {sql}: {error}");
        }
        for (rule, sql) in [
            ("mask.filter", "INSERT INTO notes (id) VALUES (3) ON CONFLICT DO NOTHING"),
            (
                "mask.filter",
                "INSERT INTO notes (id) VALUES (3) ON CONFLICT (id) DO UPDATE SET owner = 'alice'",
            ),
            ("mask.filter", "COPY notes FROM STDIN"),
            ("mask.filter", "TRUNCATE notes"),
            ("mask.filter", "LOCK notes"),
            ("mask.filter", "UPDATE shown SET n = 2"),
            ("mask.filter", "SELECT * FROM above"),
            ("mask.filter", "SELECT * FROM ONLY above"),
            ("mask.filter", "DELETE FROM above"),
            ("mask.unsupported", "UPDATE ONLY events SET id = 1"),
            ("mask.unsupported", "SELECT * FROM ONLY events"),
            ("mask.write", "UPDATE notes SET tax_id = 'DE-9' WHERE id = 1"),
            ("mask.write", "INSERT INTO notes VALUES (12, 'alice', 'x', 1, 'DE-9')"),
            ("mask.write", "UPDATE notes SET body = 'x' RETURNING tax_id"),
            ("mask.write", "UPDATE notes SET body = notes::text"),
            ("mask.write", "DELETE FROM notes WHERE ctid = '(0,1)'"),
            ("mask.explain", "EXPLAIN DELETE FROM notes"),
            ("mask.locking", "SELECT * FROM notes FOR UPDATE"),
            ("mask.relation", "SELECT * FROM hoopctl.claims"),
        ] {
            let client = gateway.connect().await;
            let error = ask(&client, sql).await.expect_err(sql);
            assert!(error.starts_with("42501") && error.contains(rule), "{major}: {sql}: {error}");
        }
        // what would pass on to rows of others, or tell of them, by a foreign key
        let error = ask(&client, "DELETE FROM heads WHERE id = 1").await.expect_err("a cascade");
        assert!(error.contains("foreign key of public.limbs"), "{major}: {error}");
        if major >= 15 {
            let merge =
                "MERGE INTO notes n USING own_list o ON o.id = n.id WHEN MATCHED THEN UPDATE SET body = 'x'";
            let error = gateway.connect().await.simple_query(merge).await.expect_err(merge);
            let answer = error.as_db_error().expect("an answer");
            let hint = answer.hint().unwrap_or_default();
            assert!(
                answer.message().contains("mask.filter") && hint.contains("UPDATE and DELETE"),
                "{answer:?}"
            );
        }
        let others =
            "SELECT string_agg(id || owner || body, ',' ORDER BY id) FROM notes WHERE owner <> 'alice'";
        assert_eq!(one(&stage.root, others).await, "3bobhidden-b3,4carolhidden-c4", "{major}");
    }
}
