//! Views come, follow their tables, and go.

use std::sync::Arc;

use hoopctl::broker::leases::objects;
use hoopctl::broker::secrets::Secrets;
use hoopctl::domain::mask::{Mask, MaskRule};
use hoopctl::domain::name::GroupName;
use hoopctl::domain::target::PostgresTarget;
use hoopctl::gateway::authority::LeaseError;
use secrecy::ExposeSecret as _;

use super::{ask, gateway, leased, masked, masks, stage, token, views_of};
use crate::leases::stage::{mask, newest, session, target};
use crate::support::postgres::majors;

const READERS: &str = "SELECT c.relname FROM pg_class c CROSS JOIN aclexplode(c.relacl) x
    WHERE c.relkind = 'v' AND relnamespace = 'hoopctl'::regnamespace AND x.grantee <> c.relowner
    AND c.relname LIKE 'v' || 'public.customers'::regclass::oid || '\\_%' ORDER BY 1";

#[tokio::test(flavor = "multi_thread")]
async fn views_follow_their_tables() {
    let stage = stage(newest()).await;
    leased(&stage).await;
    let first = ask(&stage.root, READERS).await.unwrap();
    let again = leased(&stage).await;
    assert_eq!(ask(&stage.root, READERS).await.unwrap(), first, "{}", again.user);
    stage
        .root
        .batch_execute(
            "SET ROLE app_owner; ALTER TABLE customers ADD COLUMN extra text DEFAULT 'more';
             ALTER TABLE orders RENAME COLUMN total TO amount; RESET ROLE",
        )
        .await
        .unwrap();
    let lease = leased(&stage).await;
    let second = ask(&stage.root, READERS).await.unwrap();
    assert!(second.len() == 1 && second != first, "{first:?} {second:?}");
    let client = gateway(&stage, &lease.user, lease.password().expose_secret()).connect().await;
    assert_eq!(ask(&client, "SELECT extra FROM customers WHERE id = 1").await.unwrap(), ["more"]);
    assert_eq!(ask(&client, "SELECT amount FROM orders WHERE id = 10").await.unwrap(), ["5"]);

    // a column that becomes a protected one by its name is one for the next session, and for nobody before
    let open = stage.login(&lease).await.unwrap();
    stage
        .root
        .batch_execute(
            "ALTER TABLE customers DROP COLUMN tax_id CASCADE; ALTER TABLE customers ADD tax_id int",
        )
        .await
        .unwrap();
    let lease = leased(&stage).await;
    let client = gateway(&stage, &lease.user, lease.password().expose_secret()).connect().await;
    // numbers have no tokens
    assert_eq!(ask(&client, "SELECT tax_id FROM customers WHERE id = 1").await.unwrap(), ["0"]);
    assert!(open.batch_execute("SELECT tax_id FROM customers").await.is_err());
    assert_eq!(ask(&client, "SELECT mail FROM customers WHERE id = 1").await.unwrap(), ["****.com"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_somebody_changed_is_made_anew() {
    let stage = stage(newest()).await;
    leased(&stage).await;
    let view = views_of(&stage, "orders").await;
    for tampering in [
        format!(
            "CREATE OR REPLACE VIEW {view} WITH (security_barrier = true) AS SELECT id, tax_id, total FROM orders"
        ),
        format!("ALTER VIEW {view} RESET (security_barrier)"),
        format!("ALTER VIEW {view} OWNER TO postgres"),
    ] {
        stage.root.batch_execute(&tampering).await.unwrap();
        let lease = leased(&stage).await;
        let client = stage.login(&lease).await.unwrap();
        let shown = ask(&client, &format!("SELECT tax_id FROM {view} WHERE id = 10")).await.unwrap();
        assert_eq!(shown, [token(&stage, "DE-123456789").await], "{tampering}");
        let facts =
            format!("SELECT relowner::regrole, reloptions FROM pg_class WHERE oid = '{view}'::regclass");
        assert_eq!(
            ask(&stage.root, &facts).await.unwrap(),
            ["hoop_objects|{security_barrier=true}"],
            "{tampering}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_could_read_our_objects_is_never_made() {
    for major in [majors()[0], newest()] {
        let stage = stage(major).await;
        leased(&stage).await;
        let view = views_of(&stage, "orders").await;
        for (open, shut) in [
            (
                "GRANT SELECT (ipad) ON hoopctl.key TO PUBLIC".to_owned(),
                "REVOKE SELECT (ipad) ON hoopctl.key FROM PUBLIC".to_owned(),
            ),
            (
                "GRANT INSERT ON hoopctl.key TO PUBLIC".into(),
                "REVOKE INSERT ON hoopctl.key FROM PUBLIC".into(),
            ),
            (
                format!("GRANT UPDATE (id) ON {view} TO PUBLIC"),
                format!("REVOKE UPDATE (id) ON {view} FROM PUBLIC"),
            ),
            (
                "GRANT CREATE ON SCHEMA hoopctl TO PUBLIC".into(),
                "REVOKE CREATE ON SCHEMA hoopctl FROM PUBLIC".into(),
            ),
            (
                "GRANT SELECT (tax_id) ON orders TO PUBLIC".into(),
                "REVOKE SELECT (tax_id) ON orders FROM PUBLIC".into(),
            ),
            (
                "GRANT SELECT (mail) ON customers TO PUBLIC".into(),
                "REVOKE SELECT (mail) ON customers FROM PUBLIC".into(),
            ),
        ] {
            stage.root.batch_execute(&open).await.unwrap();
            let context = session("alice", "alice", target("db", masked(&stage)));
            let error = stage.leases.issue(&context).await.expect_err(&open);
            assert!(matches!(error, LeaseError::OverPrivileged(_)), "{major}: {open}: {error}");
            stage.root.batch_execute(&shut).await.unwrap();
        }
        // a set of views that other masks make, for everybody
        let weak = PostgresTarget {
            masks: vec![mask("public.orders.tax_id", Mask::Partial { keep_last: 8 })],
            ..masked(&stage)
        };
        stage.leases.issue(&session("dba", "dba", target("db", weak))).await.unwrap();
        let other = "SELECT 'hoopctl.' || relname FROM pg_class WHERE relnamespace = 'hoopctl'::regnamespace AND relkind = 'v'
                     AND pg_get_viewdef(oid) LIKE '%****%' AND relname LIKE 'v' || 'public.orders'::regclass::oid || '%'";
        let other = ask(&stage.root, other).await.unwrap().remove(0);
        let bob = leased(&stage).await;
        assert!(
            stage.login(&bob).await.unwrap().batch_execute(&format!("SELECT * FROM {other}")).await.is_err()
        );
        stage.root.batch_execute(&format!("GRANT SELECT ON {other} TO PUBLIC")).await.unwrap();
        let context = session("alice", "alice", target("db", masked(&stage)));
        let error = stage.leases.issue(&context).await.expect_err("everybody reads the other set");
        assert!(matches!(error, LeaseError::OverPrivileged(_)), "{major}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_masked_as_asked_opens_no_session() {
    let stage = stage(newest()).await;
    let issue = async |postgres: PostgresTarget| {
        let context = session("alice", "alice", target("db", postgres));
        stage.leases.issue(&context).await.map(drop).map_err(|error| error.to_string())
    };
    // a token does not fit
    stage.root.batch_execute("CREATE TABLE narrow (tax_id varchar(20))").await.unwrap();
    let error = issue(masked(&stage)).await.unwrap_err();
    assert!(
        error.contains("public.narrow.tax_id is character varying(20)") && error.contains("36"),
        "{error}"
    );
    stage.root.batch_execute("DROP TABLE narrow").await.unwrap();
    // somebody else's schema
    stage.root.batch_execute("CREATE SCHEMA hoopctl").await.unwrap();
    let error = issue(masked(&stage)).await.unwrap_err();
    assert!(error.contains("belongs to role postgres"), "{error}");
    stage
        .root
        .batch_execute("DROP SCHEMA hoopctl; REVOKE CREATE ON DATABASE app FROM hoop_admin")
        .await
        .unwrap();
    let error = issue(masked(&stage)).await.unwrap_err();
    assert!(error.contains("docs/postgres-admin.md"), "{error}");
    // an owner with power
    stage
        .root
        .batch_execute("GRANT CREATE ON DATABASE app TO hoop_admin; ALTER ROLE hoop_objects LOGIN")
        .await
        .unwrap();
    let error = issue(masked(&stage)).await.unwrap_err();
    assert!(error.contains("must not own anything"), "{error}");
    stage.root.batch_execute("ALTER ROLE hoop_objects NOLOGIN").await.unwrap();
    issue(masked(&stage)).await.unwrap();
}

/// A table whose columns the administrator may not hand on is refused by the gateway; the rest works.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_its_view_is_not_read() {
    let stage = stage(newest()).await;
    stage
        .root
        .batch_execute("REVOKE SELECT ON customers FROM hoop_admin; GRANT SELECT (id, name) ON customers TO hoop_admin WITH GRANT OPTION")
        .await
        .unwrap();
    let lease = leased(&stage).await;
    let client = gateway(&stage, &lease.user, lease.password().expose_secret()).connect().await;
    let error = ask(&client, "SELECT id FROM customers").await.unwrap_err();
    assert!(error.starts_with("42501") && error.contains("mask.objects"), "{error}");
    assert_eq!(ask(&client, "SELECT id FROM orders WHERE id = 10").await.unwrap(), ["10"]);
    assert!(stage.login(&lease).await.unwrap().batch_execute("SELECT mail FROM customers").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_needs_any_more_is_collected_on_every_kind_of_administrator() {
    for major in [majors()[0], newest()] {
        let stage = stage(major).await;
        let groups =
            || ask(&stage.root, "SELECT rolname FROM pg_roles WHERE rolname LIKE 'hoopg%' ORDER BY 1");
        let views = || {
            ask(
                &stage.root,
                "SELECT count(*) FROM pg_class WHERE relkind = 'v' AND relnamespace = 'hoopctl'::regnamespace",
            )
        };
        let dba = GroupName::new("corp/dba").unwrap();
        let mut rules = masks();
        rules[0].lifted_for.insert(dba.clone());
        let old = target("db", PostgresTarget { masks: rules, ..masked(&stage) });
        let alice = session("alice", "alice", Arc::clone(&old));
        stage.leases.issue(&alice).await.unwrap();
        let mut lifted = session("dba", "dba", Arc::clone(&old));
        lifted.principal.groups.insert(dba);
        stage.leases.issue(&lifted).await.unwrap();
        assert_eq!(
            (groups().await.unwrap().len(), views().await.unwrap().remove(0)),
            (2, "7".into()),
            "{major}"
        );
        // both are within reach of the configuration
        stage.leases.revoke(&lifted.id).await.unwrap();
        assert_eq!(stage.leases.collect(&old).await.unwrap(), Vec::<String>::new());
        assert_eq!(groups().await.unwrap().len(), 2);

        // the rule is gone: one role is needed by a session still
        let rule = MaskRule {
            lifted_for: std::collections::BTreeSet::new(),
            ..mask("public.orders.tax_id", Mask::Token)
        };
        let new = target("db", PostgresTarget { masks: vec![rule], ..masked(&stage) });
        let carol = session("carol", "carol", Arc::clone(&new));
        stage.leases.issue(&carol).await.unwrap();
        let dropped = stage.leases.collect(&new).await.unwrap();
        assert_eq!(
            dropped.iter().filter(|name| name.starts_with("hoopg_db_")).count(),
            1,
            "{major}: {dropped:?}"
        );
        assert_eq!(groups().await.unwrap().len(), 2);
        stage.leases.revoke(&alice.id).await.unwrap();
        let restarted = crate::leases::stage::fresh(&stage.store, &stage.journal);
        restarted.collect(&new).await.unwrap();
        assert_eq!(
            (groups().await.unwrap().len(), views().await.unwrap().remove(0)),
            (1, "1".into()),
            "{major}"
        );
        let lent = "SELECT DISTINCT table_name FROM information_schema.column_privileges WHERE grantee = 'hoop_objects' AND table_schema = 'public'";
        assert_eq!(ask(&stage.root, lent).await.unwrap(), ["orders"], "{major}");
        // and somebody else's roles are left alone
        stage
            .root
            .batch_execute("CREATE ROLE \"hoopg_other_0123456789ab\"; CREATE ROLE hoopg_db_mine")
            .await
            .unwrap();
        let restarted = crate::leases::stage::fresh(&stage.store, &stage.journal);
        assert_eq!(restarted.collect(&new).await.unwrap(), Vec::<String>::new());
        assert_eq!(groups().await.unwrap().len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_lists_and_removes_them() {
    for major in [majors()[0], newest()] {
        let stage = stage(major).await;
        let shared = target("db", masked(&stage));
        let context = session("alice", "alice", Arc::clone(&shared));
        stage.leases.issue(&context).await.unwrap();
        let list = objects::list(&shared, Secrets::new(|_| None)).await.unwrap().objects;
        let count = |kind: &str| list.iter().filter(|object| object.kind == kind).count();
        assert_eq!(
            (count("role"), count("schema"), count("table"), count("view")),
            (if major < 16 { 3 } else { 2 }, 1, 1, 6),
            "{list:#?}"
        );
        let first = token(&stage, "x").await;
        let left = objects::remove(&shared, Secrets::new(|_| None)).await.unwrap();
        assert_eq!(left.is_some(), major < 16, "{left:?}");
        let there = "SELECT count(*) FROM pg_namespace WHERE nspname = 'hoopctl'";
        assert_eq!(ask(&stage.root, there).await.unwrap(), ["0"]);
        let rows = "SELECT count(*), count(tax_id) FROM customers";
        assert_eq!(ask(&stage.root, rows).await.unwrap(), ["3|2"]);
        stage.leases.revoke(&context.id).await.unwrap();
        leased(&stage).await;
        assert_ne!(token(&stage, "x").await, first, "the key came back");
        // what somebody built on a view is not taken along
        let view = views_of(&stage, "orders").await;
        stage.root.batch_execute(&format!("CREATE VIEW mine AS SELECT * FROM {view}")).await.unwrap();
        assert!(objects::remove(&shared, Secrets::new(|_| None)).await.is_err());
    }
}

/// An operator's changes while sessions are open: what they show newly is out of reach, also for connections
/// that read the catalog before.
#[tokio::test(flavor = "multi_thread")]
async fn what_changes_while_a_session_is_open_does_not_leak() {
    for major in [majors()[0], newest()] {
        let stage = stage(major).await;
        let lease = leased(&stage).await;
        let client = gateway(&stage, &lease.user, lease.password().expose_secret()).connect().await;
        assert_eq!(ask(&client, "SELECT word FROM plain_view").await.unwrap(), Vec::<String>::new());
        stage
            .root
            .batch_execute("INSERT INTO plain VALUES (1, 'w'); CREATE OR REPLACE VIEW plain_view AS SELECT id, secret AS word FROM customers")
            .await
            .unwrap();
        // the gateway knows at once, and the role may not read it once the broker has looked
        assert_eq!(ask(&client, "SELECT word FROM plain_view").await.unwrap(), ["[masked]"; 3], "{major}");
        stage.leases.watch().await;
        let role = stage.login(&lease).await.unwrap();
        let error = ask(&role, "SELECT word FROM plain_view").await.unwrap_err();
        assert!(error.starts_with("42501"), "{major}: {error}");
        assert_eq!(ask(&client, "SELECT word FROM plain").await.unwrap(), ["w"]);
        // nothing changed: nothing is done
        let state = "SELECT sum(xmin::text::int8) FROM pg_class WHERE oid >= 16384";
        let before = ask(&stage.root, state).await.unwrap();
        stage.leases.watch().await;
        assert_eq!(ask(&stage.root, state).await.unwrap(), before);

        // a grant that makes the role too strong ends the session, whatever it is on
        let direct = stage.login(&lease).await.unwrap();
        stage.root.batch_execute("GRANT SELECT (secret) ON customers TO PUBLIC").await.unwrap();
        assert_eq!(ask(&direct, "SELECT count(secret) FROM customers").await.unwrap(), ["2"]);
        stage.leases.watch().await;
        assert!(direct.batch_execute("SELECT 1").await.is_err(), "{major}: the backend lives on");
        assert!(stage.login(&lease).await.is_err(), "{major}: it can still log in");
    }
}
