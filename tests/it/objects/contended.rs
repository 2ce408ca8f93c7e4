//! Several brokers, and hostile sessions, at the broker's objects at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hoopctl::domain::mask::{Mask, MaskRule};
use hoopctl::domain::name::GroupName;
use hoopctl::domain::target::{GrantTemplate, PostgresTarget, TablePrivilege, Target};
use hoopctl::gateway::authority::Lease;

use super::{ask, leased, masked, masks, stage, views_of};
use crate::leases::stage::{Stage, fresh, group_role, mask, newest, session, target};
use crate::support::postgres::majors;

const LENT: &str = "SELECT table_name || '.' || column_name FROM information_schema.column_privileges
    WHERE grantee = 'hoop_objects' AND table_schema <> 'hoopctl' ORDER BY 1";

/// What the session sees of the first customer and order through the broker's views.
async fn sees(stage: &Stage, lease: &Lease, major: u32) {
    let client = stage.login(lease).await.unwrap_or_else(|e| panic!("PostgreSQL {major}: {e}"));
    for table in ["customers", "orders"] {
        // what other masks made, or an older table, is not for this session
        let mine = format!(
            "SELECT 'hoopctl.' || relname FROM pg_class WHERE relnamespace = 'hoopctl'::regnamespace AND relkind = 'v'
             AND relname LIKE 'v' || '{table}'::regclass::oid || '\\_%' AND has_table_privilege(oid, 'SELECT')"
        );
        let mine = ask(&client, &mine).await.unwrap();
        let [view] = &mine[..] else { panic!("PostgreSQL {major}: {table}: {mine:?}") };
        let rows =
            ask(&client, &format!("SELECT tax_id LIKE 'tok\\_%' FROM {view} WHERE id IN (1, 10)")).await;
        assert_eq!(rows, Ok(vec!["t".to_owned()]), "PostgreSQL {major}: {table}");
    }
    assert!(ask(&client, "SELECT mail FROM customers").await.is_err(), "PostgreSQL {major}");
}

/// Whoever has a session may take any advisory lock and keep it. Nothing of ours waits for one.
#[tokio::test(flavor = "multi_thread")]
async fn no_lock_that_a_session_can_take_holds_up_a_minting() {
    for major in [majors()[0], newest()] {
        let stage = stage(major).await;
        let mallory = leased(&stage).await;
        let group = group_role(&stage).await;
        let hostile = stage.login(&mallory).await.unwrap();
        for name in ["hoopctl objects", &group, "hoop_objects", "hoopctl", "db"] {
            let locks = format!(
                "SELECT pg_advisory_lock(hashtextextended('{name}', 0)), pg_advisory_lock(hashtext('{name}'))"
            );
            hostile.batch_execute(&locks).await.unwrap();
        }
        // everything is to be made anew, by a broker that knows of nothing
        stage.root.batch_execute(&format!("DROP VIEW {}", views_of(&stage, "orders").await)).await.unwrap();
        let broker = fresh(&stage.store, &stage.journal);
        let shared = target("db", masked(&stage));
        let contexts: Vec<_> =
            (0..16).map(|n| session("bob", &format!("bob{n}"), Arc::clone(&shared))).collect();
        let minted = join_all(contexts.iter().map(|context| broker.issue(context))).await;
        for lease in minted {
            let lease = lease.unwrap_or_else(|e| panic!("PostgreSQL {major}: {e}"));
            sees(&stage, &lease, major).await;
        }
        assert_eq!(broker.collect(&shared).await.unwrap(), [""; 0], "PostgreSQL {major}");
        hostile.batch_execute("SELECT 1").await.expect("it holds its locks to the end");
    }
}

/// Each has turns of its own, so what stands between them is the catalog.
#[tokio::test(flavor = "multi_thread")]
async fn sixteen_brokers_make_one_set_of_objects() {
    for major in [majors()[0], newest()] {
        let stage = stage(major).await;
        let shared = target("db", masked(&stage));
        for round in 0..2 {
            let brokers: Vec<_> = (0..16).map(|_| fresh(&stage.store, &stage.journal)).collect();
            let contexts: Vec<_> =
                (0..16).map(|n| session("bob", &format!("bob{n}"), Arc::clone(&shared))).collect();
            let minted =
                join_all(brokers.iter().zip(&contexts).map(|(broker, context)| broker.issue(context)));
            for lease in minted.await {
                let lease = lease.unwrap_or_else(|e| panic!("PostgreSQL {major}, round {round}: {e}"));
                sees(&stage, &lease, major).await;
            }
            for collected in join_all(brokers.iter().map(|broker| broker.collect(&shared))).await {
                collected.unwrap_or_else(|e| panic!("PostgreSQL {major}, round {round}: {e}"));
            }
            let made = "SELECT (SELECT count(*) FROM pg_roles WHERE rolname LIKE 'hoopg%') || ' '
                || (SELECT count(*) FROM pg_views WHERE schemaname = 'hoopctl') || ' '
                || (SELECT count(*) FROM hoopctl.key)";
            assert_eq!(ask(&stage.root, made).await.unwrap(), ["1 6 1"], "PostgreSQL {major}, round {round}");
            // the second time the tables have changed under all of them
            stage
                .root
                .batch_execute(&format!("ALTER TABLE orders ADD COLUMN more{round} int"))
                .await
                .unwrap();
            for (broker, context) in brokers.iter().zip(&contexts) {
                broker.revoke(&context.id).await.unwrap();
            }
        }
    }
}

/// A view is on its way while somebody looks for what no view needs.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_view_on_its_way_needs_is_not_taken_back() {
    for same_broker in [true, false] {
        let stage = stage(newest()).await;
        let shared = target("db", masked(&stage));
        leased(&stage).await;
        // the owner may read the columns still
        let view = views_of(&stage, "orders").await;
        stage.root.batch_execute(&format!("DROP VIEW {view}")).await.unwrap();
        let broker = fresh(&stage.store, &stage.journal);
        // somebody makes a view of that name, and hesitates
        let hesitant = stage.cluster.connect("postgres", &stage.cluster.password, "app").await.unwrap();
        hesitant.batch_execute(&format!("BEGIN; CREATE VIEW {view} AS SELECT 1")).await.unwrap();
        let context = session("bob", "bob", Arc::clone(&shared));
        let minting = broker.issue(&context);
        let meanwhile = async {
            let waiting = "SELECT count(*) FROM pg_stat_activity
                WHERE usename = 'hoop_admin' AND wait_event_type = 'Lock' AND query LIKE '%CREATE VIEW%'";
            until(&stage, waiting).await;
            let another = fresh(&stage.store, &stage.journal);
            let collector = if same_broker { &broker } else { &another };
            let collecting = collector.collect(&shared);
            let end = async {
                // long enough for whoever waits for nobody
                tokio::time::sleep(Duration::from_millis(300)).await;
                hesitant.batch_execute("ROLLBACK").await.unwrap();
            };
            let (collected, ()) = tokio::join!(collecting, end);
            collected.unwrap();
        };
        let (lease, ()) = tokio::join!(minting, meanwhile);
        sees(&stage, &lease.unwrap(), newest()).await;
    }
}

async fn until(stage: &Stage, count: &str) {
    for _ in 0..500 {
        if stage.root.query_one(count, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to that: {count}");
}

/// A view that another broker has just given to somebody is not dropped as one that nobody reads.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_is_being_handed_out_is_not_dropped() {
    let stage = stage(newest()).await;
    let shared = target("db", masked(&stage));
    leased(&stage).await;
    let view = views_of(&stage, "orders").await;
    let group = group_role(&stage).await;
    stage.root.batch_execute(&format!("REVOKE SELECT ON {view} FROM {group}")).await.unwrap();
    let other = stage.cluster.connect("postgres", &stage.cluster.password, "app").await.unwrap();
    other.batch_execute(&format!("BEGIN; GRANT SELECT ON {view} TO {group}")).await.unwrap();
    let broker = fresh(&stage.store, &stage.journal);
    assert_eq!(broker.collect(&shared).await.unwrap(), [""; 0]);
    other.batch_execute("COMMIT").await.unwrap();
    assert_eq!(views_of(&stage, "orders").await, view);
}

fn all_of(on: &str) -> GrantTemplate {
    GrantTemplate { privileges: BTreeSet::from([TablePrivilege::Select]), on: on.into() }
}

/// The owner of the views may read what they show, column by column, and nothing that they showed once.
#[tokio::test(flavor = "multi_thread")]
async fn the_views_owner_keeps_no_column_that_no_view_needs() {
    for major in [majors()[0], newest()] {
        let stage = stage(major).await;
        stage
            .root
            .batch_execute(
                "SET ROLE app_owner; CREATE TABLE elsewhere.people (id int, tax_id text); RESET ROLE;
                 GRANT USAGE ON SCHEMA elsewhere TO hoop_admin WITH GRANT OPTION;
                 GRANT SELECT ON elsewhere.people TO hoop_admin WITH GRANT OPTION",
            )
            .await
            .unwrap();
        let open = |rules: Vec<MaskRule>| -> Arc<Target> {
            let grants = vec![all_of("public.*"), all_of("elsewhere.*")];
            target("db", PostgresTarget { masks: rules, grants, ..masked(&stage) })
        };
        let mut rules = masks();
        rules.push(mask("elsewhere.people.tax_id", Mask::Partial { keep_last: 2 }));
        let before = open(rules);
        let alice = session("alice", "alice", Arc::clone(&before));
        stage.leases.issue(&alice).await.unwrap();
        let schemas = "SELECT n.nspname FROM pg_namespace n CROSS JOIN aclexplode(n.nspacl) x
            JOIN pg_roles r ON r.oid = x.grantee WHERE r.rolname = 'hoop_objects' AND n.nspowner <> r.oid";
        assert_eq!(ask(&stage.root, schemas).await.unwrap(), ["elsewhere"], "PostgreSQL {major}");
        let first = ask(&stage.root, LENT).await.unwrap();
        for column in ["customers.mail", "customers.tax_id", "people.tax_id", "people.id"] {
            assert!(first.contains(&column.to_owned()), "PostgreSQL {major}: {column}: {first:?}");
        }

        // nobody sees anything of mail any more, nor anything elsewhere through a view
        let mut rules = masks();
        rules[1].mask = Mask::Full;
        rules.push(mask("elsewhere.people.tax_id", Mask::Full));
        let after = open(rules);
        let bob = session("bob", "bob", Arc::clone(&after));
        let lease = stage.leases.issue(&bob).await.unwrap();
        // as long as alice's session needs it, it stays
        stage.leases.collect(&after).await.unwrap();
        assert_eq!(ask(&stage.root, LENT).await.unwrap(), first, "PostgreSQL {major}");
        stage.leases.revoke(&alice.id).await.unwrap();
        let broker = fresh(&stage.store, &stage.journal);
        broker.collect(&after).await.unwrap();
        let left = ask(&stage.root, LENT).await.unwrap();
        let gone: Vec<_> = first.iter().filter(|column| !left.contains(column)).collect();
        assert_eq!(gone, ["customers.mail", "people.id", "people.tax_id"], "PostgreSQL {major}: {left:?}");
        assert_eq!(ask(&stage.root, schemas).await.unwrap(), [""; 0], "PostgreSQL {major}");
        sees(&stage, &lease, major).await;
        // and nothing of this makes the next session's minting, or another round, change anything
        let state = "SELECT sum(xmin::text::int8) FROM pg_attribute WHERE attacl IS NOT NULL";
        let settled = ask(&stage.root, state).await.unwrap();
        let lease = broker.issue(&session("cyd", "cyd", Arc::clone(&after))).await.unwrap();
        sees(&stage, &lease, major).await;
        assert_eq!(fresh(&stage.store, &stage.journal).collect(&after).await.unwrap(), [""; 0]);
        assert_eq!(ask(&stage.root, state).await.unwrap(), settled, "PostgreSQL {major}");
        // a mask that is lifted for some brings it back for as long as it is needed
        let dba = GroupName::new("corp/dba").unwrap();
        let mut lifted = masks();
        lifted[0].lifted_for.insert(dba);
        broker.issue(&session("dan", "dan", open(lifted))).await.unwrap();
        assert!(ask(&stage.root, LENT).await.unwrap().contains(&"customers.mail".to_owned()));
    }
}
