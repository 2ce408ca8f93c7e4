//! What filters need in the database comes, is upgraded, and goes; claims go with their role.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hoopctl::broker::leases::objects;
use hoopctl::broker::secrets::Secrets;
use hoopctl::domain::name::GroupName;
use hoopctl::domain::target::PostgresTarget;
use hoopctl::gateway::authority::LeaseError;

use super::*;
use crate::leases::stage::fresh;

const CLAIMS: &str = "SELECT count(*) FROM hoopctl.claims";

/// Objects of a version that knew no filters, with sessions in it, and a target that gets filters.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_older_version_made_is_upgraded() {
    for major in [majors()[0], newest()] {
        let stage = stage(major).await;
        let older = PostgresTarget { filters: Vec::new(), ..filtered(&stage) };
        let before = session("alice", "alice", target("db", older));
        let old = stage.leases.issue(&before).await.unwrap();
        let direct = stage.login(&old).await.unwrap();
        assert_eq!(one(&direct, "SELECT count(owner) FROM notes").await, "4", "{major}");
        assert_eq!(one(&stage.root, "SELECT to_regclass('hoopctl.claims') IS NULL").await, "t");

        let broker = fresh(&stage.store, &stage.journal);
        let shared = target("db", filtered(&stage));
        let targets = BTreeMap::from([(shared.name.clone(), Arc::clone(&shared))]);
        assert_eq!(broker.reap(&targets).await.clean, 1, "{major}");
        let context = session("alice", "alice", Arc::clone(&shared));
        let lease = broker.issue(&context).await.unwrap();
        let alice = stage.login(&lease).await.unwrap();
        assert!(alice.batch_execute("SELECT owner FROM notes").await.is_err(), "{major}");
        broker.collect(&shared).await.unwrap();
        // one view for each of the tables that are filtered, and their partitions
        let views = "SELECT count(*) FROM pg_views WHERE schemaname = 'hoopctl'";
        assert_eq!(one(&stage.root, views).await, "8", "{major}");
        let client = gateway(&stage, &lease).connect().await;
        assert_eq!(one(&client, "SELECT id FROM notes ORDER BY id").await, "1 2", "{major}");

        // a table of claims that is not ours, or of another version, is not written to
        broker.revoke(&context.id).await.unwrap();
        stage.root.batch_execute("ALTER TABLE hoopctl.claims ADD COLUMN more int").await.unwrap();
        let error = fresh(&stage.store, &stage.journal).issue(&whose(&stage, "alice")).await.unwrap_err();
        assert!(error.to_string().contains("hoopctl.claims is not as this version makes it"), "{error}");
        objects::remove(&shared, Secrets::new(|_| None)).await.unwrap();
        let lease = fresh(&stage.store, &stage.journal).issue(&whose(&stage, "alice")).await.unwrap();
        assert_eq!(one(&gateway(&stage, &lease).connect().await, "SELECT count(*) FROM notes").await, "2");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_removes_what_filters_need() {
    for major in [majors()[0], newest()] {
        let stage = stage(major).await;
        let lease = leased(&stage, "alice").await;
        let shared = target("db", filtered(&stage));
        let list = objects::list(&shared, Secrets::new(|_| None)).await.unwrap().objects;
        let named = |name: &str| list.iter().any(|object| object.name == name);
        assert!(named("hoopctl") && named("hoopctl.claims") && named("hoop_objects"), "{list:#?}");
        assert_eq!(list.iter().filter(|object| object.kind == "view").count(), 8, "{list:#?}");
        objects::remove(&shared, Secrets::new(|_| None)).await.unwrap();
        let left = "SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = 'hoopctl')
            + (SELECT count(*) FROM pg_class c CROSS JOIN aclexplode(c.relacl) x JOIN pg_roles r ON r.oid = x.grantee
               WHERE r.rolname = 'hoop_objects')
            + (SELECT count(*) FROM pg_attribute a CROSS JOIN aclexplode(a.attacl) x JOIN pg_roles r ON r.oid = x.grantee
               WHERE r.rolname = 'hoop_objects')";
        assert_eq!(one(&stage.root, left).await, "0", "{major}");
        // whoever is still there sees nothing at all, and says why
        let error = ask(&gateway(&stage, &lease).connect().await, "SELECT * FROM notes").await.unwrap_err();
        assert!(error.contains("mask.objects"), "{major}: {error}");
        assert!(stage.login(&lease).await.unwrap().batch_execute("SELECT * FROM notes").await.is_err());
        assert_eq!(one(&stage.root, "SELECT count(*) FROM notes").await, "4");
    }
}

/// In every database, however the session or the broker ends.
#[tokio::test(flavor = "multi_thread")]
async fn claims_go_with_their_role() {
    for major in [majors()[0], newest()] {
        let stage = stage(major).await;
        stage.root.batch_execute("CREATE DATABASE second OWNER app_owner").await.unwrap();
        for grant in [
            "GRANT CONNECT ON DATABASE second TO hoop_admin WITH GRANT OPTION",
            "GRANT CREATE ON DATABASE second TO hoop_admin",
        ] {
            stage.root.batch_execute(grant).await.unwrap();
        }
        let second = stage.cluster.connect("postgres", &stage.cluster.password, "second").await.unwrap();
        let shared = target(
            "db",
            PostgresTarget { also_databases: BTreeSet::from(["second".into()]), ..filtered(&stage) },
        );
        let claims = async || (one(&stage.root, CLAIMS).await, one(&second, CLAIMS).await);
        let both = |count: &str| (count.to_owned(), count.to_owned());

        // closed
        let alice = session("alice", "alice", Arc::clone(&shared));
        let role = stage.leases.issue(&alice).await.unwrap().user;
        assert_eq!(claims().await, both("1"), "{major}");
        let row = "SELECT role, claim, vals FROM hoopctl.claims";
        assert_eq!(one(&second, row).await, format!("{role}|subject|{{alice}}"), "{major}");
        stage.leases.revoke(&alice.id).await.unwrap();
        assert_eq!(claims().await, both("0"), "{major}");

        // killed, and the next broker knows the target, or does not any more
        for targets in [BTreeMap::from([(shared.name.clone(), Arc::clone(&shared))]), BTreeMap::new()] {
            stage.leases.issue(&session("alice", "alice", Arc::clone(&shared))).await.unwrap();
            assert_eq!(claims().await, both("1"), "{major}");
            let report = fresh(&stage.store, &stage.journal).reap(&targets).await;
            assert_eq!((report.clean, report.stuck), (1, Vec::new()), "{major}");
            assert_eq!(claims().await, both("0"), "{major}");
        }

        // somebody else dropped the role
        let bob = session("bob", "bob", Arc::clone(&shared));
        let role = stage.leases.issue(&bob).await.unwrap().user;
        stage.root.batch_execute(&format!("DROP ROLE {role}")).await.unwrap();
        let carol = session("carol", "carol", Arc::clone(&shared));
        stage.leases.issue(&carol).await.unwrap();
        assert_eq!(claims().await, both("2"), "{major}");
        fresh(&stage.store, &stage.journal).collect(&shared).await.unwrap();
        assert_eq!(claims().await, both("1"), "{major}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_filter_needs_any_more_is_taken_back() {
    let stage = stage(newest()).await;
    let (eu, us) = (GroupName::new("corp/eu").unwrap(), GroupName::new("corp/us").unwrap());
    let slices: Vec<RowFilter> = [("owner = 'alice'", &eu), ("owner = 'bob'", &us)]
        .map(|(predicate, group)| RowFilter {
            only_for: BTreeSet::from([group.clone()]),
            ..filter("public.notes", predicate)
        })
        .into();
    let shared = target("db", PostgresTarget { filters: slices, ..filtered(&stage) });
    let mut seen = Vec::new();
    for groups in [vec![], vec![eu.clone()], vec![us.clone()], vec![eu, us]] {
        let mut context = session("alice", "alice", Arc::clone(&shared));
        context.principal.groups.extend(groups);
        let lease = stage.leases.issue(&context).await.unwrap();
        let views = "SELECT 'hoopctl.' || relname FROM pg_class c WHERE relnamespace = 'hoopctl'::regnamespace AND relkind = 'v'
                     AND has_table_privilege(oid, 'SELECT')";
        let alice = stage.login(&lease).await.unwrap();
        let view = one(&alice, views).await;
        seen.push(one(&alice, &format!("SELECT id FROM {view} ORDER BY 1")).await);
        stage.leases.revoke(&context.id).await.unwrap();
    }
    assert_eq!(seen, ["", "1 2", "3", "1 2 3"]);
    let groups = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'hoopg%'";
    assert_eq!(one(&stage.root, groups).await, "4");
    // all of them are within reach of the configuration
    assert_eq!(fresh(&stage.store, &stage.journal).collect(&shared).await.unwrap(), Vec::<String>::new());
    let none = target("db", PostgresTarget { filters: Vec::new(), masks: Vec::new(), ..filtered(&stage) });
    let dropped = fresh(&stage.store, &stage.journal).collect(&none).await.unwrap();
    assert_eq!(dropped.len(), 8, "{dropped:?}");
    let lent = "SELECT count(*) FROM pg_class c CROSS JOIN aclexplode(c.relacl) x JOIN pg_roles r ON r.oid = x.grantee
                WHERE r.rolname = 'hoop_objects' AND c.relowner <> r.oid";
    assert_eq!(one(&stage.root, lent).await, "0");
}

/// A role that could reach filtered rows by another way is never handed out, and taken back when the way opens later.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_could_reach_the_rows_is_never_made() {
    for major in [majors()[0], newest()] {
        let stage = stage(major).await;
        leased(&stage, "alice").await;
        let grants = [
            ("SELECT (body)", "notes"),
            ("SELECT", "notes"),
            ("DELETE", "notes"),
            ("TRUNCATE", "events_25"),
            ("REFERENCES", "tasks"),
            ("SELECT", "over_notes"),
            ("SELECT", "shown"),
            ("SELECT", "above"),
            ("SELECT", "hoopctl.claims"),
            ("INSERT", "hoopctl.claims"),
        ];
        for (privilege, table) in grants {
            stage.root.batch_execute(&format!("GRANT {privilege} ON {table} TO PUBLIC")).await.unwrap();
            let error = stage.leases.issue(&whose(&stage, "alice")).await.expect_err(table);
            assert!(matches!(error, LeaseError::OverPrivileged(_)), "{major}: {privilege} {table}: {error}");
            stage.root.batch_execute(&format!("REVOKE {privilege} ON {table} FROM PUBLIC")).await.unwrap();
        }
        stage.root.batch_execute("GRANT SELECT ON beside TO PUBLIC").await.unwrap();
        let lease = leased(&stage, "alice").await;
        stage.leases.watch().await;
        assert!(stage.login(&lease).await.is_ok(), "{major}");
        stage.root.batch_execute("GRANT SELECT ON tasks TO PUBLIC").await.unwrap();
        stage.leases.watch().await;
        assert!(stage.login(&lease).await.is_err(), "{major}: the watch saw nothing");
    }
}
