//! A lease from its minting to its end, against real servers and the administrators of the docs.

mod administrator;
mod left_behind;
pub(crate) mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join_all;
use hoopctl::broker::leases::ReapReport;
use hoopctl::broker::store::leases::{IssuerWord, LeaseRow, LeaseState};
use hoopctl::domain::event::What;
use hoopctl::domain::mask::{Mask, MaskRule};
use hoopctl::domain::name::GroupName;
use hoopctl::domain::target::{LeaseIssuer, RoleIssuer, SecretSource, UpstreamTls};
use hoopctl::gateway::authority::LeaseError;
use secrecy::ExposeSecret as _;
use tokio_postgres::error::SqlState;

use crate::support::postgres::majors;
use stage::{
    Stage, documented, fresh, group_role, mask, newest, random_session, session, target, write_secret,
};

/// PostgreSQL goes by its own clock, so the first end is in the past.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_made_longer_opens_connections_after_its_first_end_on_every_major() {
    for major in majors() {
        let stage = Stage::new(major).await;
        let mut context = session("Alice", "alice", target("db", stage.target(Vec::new())));
        let until = context.expires;
        context.expires = until - jiff::SignedDuration::from_hours(2);
        let lease = stage.leases.issue(&context).await.unwrap_or_else(|e| panic!("PostgreSQL {major}: {e}"));
        assert!(stage.login(&lease).await.is_err(), "PostgreSQL {major}: it is over");
        stage.leases.extend(&context.id, until).await.unwrap_or_else(|e| panic!("PostgreSQL {major}: {e}"));
        stage.login(&lease).await.unwrap_or_else(|e| panic!("PostgreSQL {major}: {e}"));
        // the reaper goes by the new end, as does everybody who asks
        assert_eq!(stage.leases.reap(&BTreeMap::new()).await, ReapReport::default());
        stage.login(&lease).await.unwrap_or_else(|e| panic!("PostgreSQL {major}: {e}"));
        assert_eq!(stage.leases.issue(&context).await.unwrap().expires, until);
        assert_eq!(stage.store.leases().unwrap()[0].expires, until.to_string());
        // never shorter, and never back to life
        stage.leases.extend(&context.id, context.expires).await.unwrap();
        stage.login(&lease).await.unwrap_or_else(|e| panic!("PostgreSQL {major}: {e}"));
        stage.leases.revoke(&context.id).await.unwrap();
        stage.leases.extend(&context.id, until).await.unwrap();
        assert_eq!(stage.remains().await, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_lives_and_dies_with_its_session_on_every_major() {
    for major in majors() {
        let stage = Stage::new(major).await;
        let context = session("Alice O'Hara", "alice", target("db", stage.masked()));
        let lease = stage.leases.issue(&context).await.unwrap_or_else(|e| panic!("PostgreSQL {major}: {e}"));
        assert!(lease.user.starts_with("hoop_alice_o_hara_"), "{}", lease.user);

        let facts = stage
            .root
            .query_one(
                "SELECT rolconnlimit, extract(epoch FROM rolvaliduntil)::int8, rolcanlogin AND rolinherit AND NOT
                 (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)
                 FROM pg_roles WHERE rolname = $1",
                &[&lease.user],
            )
            .await
            .unwrap();
        assert_eq!(facts.get::<_, i32>(0), 10);
        assert_eq!(facts.get::<_, i64>(1), context.expires.as_second());
        assert!(facts.get::<_, bool>(2));

        let alice = stage.login(&lease).await.unwrap();
        for fine in [
            "SELECT id, project, steps FROM reasoning_traces",
            "SELECT count(*) FROM reasoning_traces",
            "INSERT INTO reasoning_traces (project, api_key) VALUES ('p', 'k')",
            "UPDATE reasoning_traces SET api_key = 'k2' WHERE id = 1",
            "SELECT * FROM plain",
            "SELECT * FROM plain_view",
            "SELECT id FROM parted",
            "SELECT card, shown_path, doubled_name FROM cards",
        ] {
            alice.batch_execute(fine).await.unwrap_or_else(|e| panic!("PostgreSQL {major}: {fine}: {e}"));
        }
        for protected in [
            "SELECT api_key FROM reasoning_traces",
            "SELECT * FROM reasoning_traces",
            "SELECT t FROM reasoning_traces t",
            "UPDATE reasoning_traces SET project = api_key",
            "DELETE FROM reasoning_traces WHERE api_key LIKE 'sk%'",
            "SELECT customer_id FROM parted",
            "SELECT customer_id FROM part_one",
            "SELECT * FROM over_traces",
            "SELECT * FROM over_over_traces",
            "SELECT card_number FROM cards",
            "SELECT shown FROM cards",
            "SELECT doubled FROM cards",
            "SELECT token FROM cards",
            "CREATE TABLE elsewhere.t ()",
        ] {
            let error = alice.batch_execute(protected).await.expect_err(protected);
            assert_eq!(
                error.code(),
                Some(&SqlState::INSUFFICIENT_PRIVILEGE),
                "{major}: {protected}: {error:?}"
            );
        }

        stage.leases.revoke(&context.id).await.unwrap();
        assert_eq!(stage.remains().await, Vec::<String>::new(), "PostgreSQL {major}");
        assert!(alice.batch_execute("SELECT 1").await.is_err(), "the backend lives on");
        assert!(stage.login(&lease).await.is_err());
        assert_eq!(stage.store.leases().unwrap(), []);
        let events = stage.journal.events.lock().unwrap().clone();
        assert!(
            matches!(&events[..], [What::LeaseIssued { login, .. }, What::LeaseRevoked { clean: true, .. }] if *login == lease.user),
            "{events:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_made_outlives_it_without_power_on_every_major() {
    for major in majors() {
        let stage = Stage::new(major).await;
        stage.root.batch_execute("GRANT CREATE ON SCHEMA public TO PUBLIC").await.unwrap();
        let context = session("alice", "alice", target("db", stage.masked()));
        let lease = stage.leases.issue(&context).await.unwrap();
        let alice = stage.login(&lease).await.unwrap();
        alice
            .batch_execute(
                "CREATE TABLE her_notes (note text);
                 INSERT INTO her_notes VALUES ('keep me');
                 CREATE TYPE her_mood AS ENUM ('good', 'bad');
                 CREATE FUNCTION hers() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
                 CREATE FUNCTION hers_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
                 CREATE TRIGGER t BEFORE INSERT ON her_notes FOR EACH ROW EXECUTE FUNCTION hers_trigger();
                 CREATE VIEW her_view AS SELECT hers();
                 GRANT ALL ON her_notes TO PUBLIC;
                 CREATE TEMP TABLE scratch (id int)",
            )
            .await
            .unwrap();
        let prepares = stage.login(&lease).await.unwrap();
        prepares
            .batch_execute(r"BEGIN; INSERT INTO plain VALUES (99, 'x'); PREPARE TRANSACTION 'it''s \ hers'")
            .await
            .unwrap_or_else(|e| panic!("PostgreSQL {major}: {e:?}"));

        stage.leases.revoke(&context.id).await.unwrap_or_else(|e| panic!("PostgreSQL {major}: {e}"));
        let left: Vec<_> = stage.store.leases().unwrap().into_iter().map(|row| row.note).collect();
        assert_eq!(left, Vec::<String>::new(), "PostgreSQL {major}");
        assert_eq!(stage.remains().await, Vec::<String>::new(), "PostgreSQL {major}");
        let owner = "SELECT c.relowner::regrole::text FROM pg_class c WHERE relname = 'her_notes'";
        let owner: String = stage.root.query_one(owner, &[]).await.unwrap().get(0);
        assert_eq!(owner, "hoop_keeper");
        let note: String = stage.root.query_one("SELECT note FROM her_notes", &[]).await.unwrap().get(0);
        assert_eq!(note, "keep me");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_routine_that_others_use_keeps_its_role_but_locks_it() {
    let stage = Stage::new(newest()).await;
    stage.root.batch_execute("GRANT CREATE ON SCHEMA public TO PUBLIC").await.unwrap();
    let context = session("alice", "alice", target("db", stage.masked()));
    let lease = stage.leases.issue(&context).await.unwrap();
    let alice = stage.login(&lease).await.unwrap();
    alice.batch_execute("CREATE FUNCTION hers() RETURNS int LANGUAGE sql AS 'SELECT 1'").await.unwrap();
    stage.root.batch_execute("CREATE VIEW mine AS SELECT public.hers()").await.unwrap();
    stage.leases.revoke(&context.id).await.unwrap();

    let row = stage.store.leases().unwrap().remove(0);
    assert!(row.state == LeaseState::Stuck && row.note.contains("others use its routine"), "{row:?}");
    assert!(stage.login(&lease).await.is_err(), "it can still log in");
    let last = stage.journal.events.lock().unwrap().last().cloned();
    assert!(matches!(last, Some(What::LeaseRevoked { clean: false, .. })), "{last:?}");

    let targets = BTreeMap::from([(context.target.name.clone(), Arc::clone(&context.target))]);
    assert_eq!(stage.leases.reap(&targets).await.stuck.len(), 1);
    stage.root.batch_execute("DROP VIEW mine").await.unwrap();
    assert_eq!(stage.leases.reap(&targets).await.clean, 1);
    assert_eq!(stage.remains().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_could_read_a_protected_column_is_never_made() {
    let stage = Stage::new(newest()).await;
    let context = session("alice", "alice", target("db", stage.masked()));
    for (open, shut) in [
        ("GRANT SELECT ON reasoning_traces TO PUBLIC", "REVOKE SELECT ON reasoning_traces FROM PUBLIC"),
        (
            "GRANT SELECT (api_key) ON reasoning_traces TO PUBLIC",
            "REVOKE SELECT (api_key) ON reasoning_traces FROM PUBLIC",
        ),
        ("GRANT SELECT ON part_one TO PUBLIC", "REVOKE SELECT ON part_one FROM PUBLIC"),
    ] {
        stage.root.batch_execute(open).await.unwrap();
        let error = stage.leases.issue(&context).await.expect_err(open);
        assert!(
            matches!(&error, LeaseError::OverPrivileged(column) if column.starts_with("public.")),
            "{error}"
        );
        assert_eq!(stage.remains().await, Vec::<String>::new());
        assert_eq!(stage.store.leases().unwrap(), []);
        stage.root.batch_execute(shut).await.unwrap();
    }
    let lease = stage.leases.issue(&context).await.unwrap();

    // the group role itself was given more behind our back
    stage.leases.revoke(&context.id).await.unwrap();
    let group = group_role(&stage).await;
    stage.root.batch_execute(&format!("GRANT pg_read_all_data TO \"{group}\"")).await.unwrap();
    let other = session("bob", "bob", Arc::clone(&context.target));
    assert!(stage.leases.issue(&other).await.is_err());
    assert_eq!(stage.remains().await, Vec::<String>::new(), "after {}", lease.user);
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_follow_the_catalog() {
    let stage = Stage::new(newest()).await;
    let shared = target("db", stage.masked());
    let first = session("alice", "alice", Arc::clone(&shared));
    stage.leases.issue(&first).await.unwrap();
    // a new table, a new protected column in an old one, a column that becomes protected by its name
    stage
        .root
        .batch_execute(
            "SET ROLE app_owner;
             CREATE TABLE later (id int, customer_id text);
             ALTER TABLE plain ADD COLUMN customer_id text;
             ALTER TABLE renamed RENAME COLUMN id TO customer_id;
             RESET ROLE",
        )
        .await
        .unwrap();
    let second = session("bob", "bob", shared);
    let lease = stage.leases.issue(&second).await.unwrap();
    let bob = stage.login(&lease).await.unwrap();
    for fine in ["SELECT id FROM later", "SELECT id, word FROM plain", "SELECT other FROM renamed"] {
        bob.batch_execute(fine).await.unwrap_or_else(|e| panic!("{fine}: {e:?}"));
    }
    for protected in ["later", "plain", "renamed"] {
        assert!(
            bob.batch_execute(&format!("SELECT customer_id FROM {protected}")).await.is_err(),
            "{protected}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_who_cannot_read_the_secrets_is_enough() {
    let stage = Stage::new(newest()).await;
    stage.root.batch_execute(&documented("blind")).await.unwrap();
    stage
        .root
        .batch_execute("REVOKE SELECT ON parted, part_one, over_traces, over_over_traces FROM hoop_admin")
        .await
        .unwrap();
    let context = session("alice", "alice", target("db", stage.masked()));
    let lease = stage.leases.issue(&context).await.unwrap();
    let alice = stage.login(&lease).await.unwrap();
    alice.batch_execute("SELECT id, project, steps FROM reasoning_traces").await.unwrap();
    let admin = stage.cluster.connect("hoop_admin", "admin-secret", "app").await.unwrap();
    assert!(admin.batch_execute("SELECT api_key FROM reasoning_traces").await.is_err());
    assert!(
        admin
            .batch_execute(&format!("SET ROLE {}; SELECT api_key FROM reasoning_traces", lease.user))
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doorway_makes_nothing_but_our_own_roles() {
    let stage = Stage::new(majors().remove(0)).await;
    if stage.cluster.major >= 16 {
        stage.root.batch_execute("DROP OWNED BY hoop_admin; DROP ROLE hoop_admin").await.unwrap();
        stage.root.batch_execute(&documented("admin-13")).await.unwrap();
        stage.root.batch_execute("ALTER ROLE hoop_admin PASSWORD 'admin-secret'").await.unwrap();
    }
    let admin = stage.cluster.connect("hoop_admin", "admin-secret", "app").await.unwrap();
    for attempt in [
        "CREATE ROLE mine",
        "GRANT pg_read_server_files TO hoop_admin",
        "GRANT hoop_doorkeeper TO hoop_admin",
        "SELECT hoopctl_admin.create_group_role('postgres')",
        "SELECT hoopctl_admin.create_session_role('hoop_x_abcdefgh', 'SCRAM-SHA-256$x', 'infinity', 1, 'pg_read_all_data')",
        "SELECT hoopctl_admin.create_session_role('hoop_x_abcdefgh', 'clear', 'infinity', 1, 'hoopg_db_0123456789ab')",
        "SELECT hoopctl_admin.close_role('postgres')",
        "SELECT hoopctl_admin.drop_role('app_owner')",
        "SELECT hoopctl_admin.drop_role('hoop_keeper')",
        "CREATE FUNCTION hoopctl_admin.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ] {
        assert!(admin.batch_execute(attempt).await.is_err(), "{attempt}");
    }
    let lease = stage.leases.issue(&session("alice", "alice", target("db", stage.masked()))).await.unwrap();
    let alice = stage.login(&lease).await.unwrap();
    assert!(
        alice.batch_execute("SELECT hoopctl_admin.create_group_role('hoopg_x_0123456789ab')").await.is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn other_administrators_and_further_databases_work_too() {
    let majors = majors();
    let stage = Stage::new(majors[0]).await;
    stage.root.batch_execute("CREATE ROLE creator LOGIN CREATEROLE PASSWORD 'admin-secret'").await.unwrap();
    stage.root.batch_execute("GRANT app_owner TO creator").await.unwrap();
    stage.root.batch_execute("CREATE DATABASE second OWNER app_owner").await.unwrap();
    let second = stage.cluster.connect("postgres", &stage.cluster.password, "second").await.unwrap();
    second
        .batch_execute(
            "GRANT ALL ON SCHEMA public TO app_owner; GRANT CREATE ON SCHEMA public TO PUBLIC; SET ROLE app_owner;
             CREATE TABLE reasoning_traces (id int, api_key text)",
        )
        .await
        .unwrap();
    write_secret(&stage.folder.path().join("root"), &stage.cluster.password, 0o600);
    for (admin, file, tls) in [
        ("creator", "admin", None),
        ("postgres", "root", None),
        // as superuser, without TLS
        ("postgres", "root", Some(UpstreamTls::Disable)),
    ] {
        let mut postgres = stage.masked();
        postgres.tls = tls.unwrap_or(postgres.tls);
        postgres.also_databases = BTreeSet::from(["second".to_owned()]);
        postgres.issuer = LeaseIssuer::PostgresRole(Box::new(RoleIssuer {
            admin: admin.into(),
            admin_password: SecretSource::File(stage.folder.path().join(file)),
            rotate_admin: None,
        }));
        let context = session("alice", "alice", target(&format!("db-{admin}"), postgres));
        let lease = stage.leases.issue(&context).await.unwrap_or_else(|e| panic!("{admin}: {e}"));
        let alice =
            stage.cluster.connect(&lease.user, lease.password().expose_secret(), "second").await.unwrap();
        alice.batch_execute("SELECT id FROM reasoning_traces; CREATE TABLE hers (id int)").await.unwrap();
        assert!(alice.batch_execute("SELECT api_key FROM reasoning_traces").await.is_err());
        stage.leases.revoke(&context.id).await.unwrap();
        let notes: Vec<_> = stage.store.leases().unwrap().into_iter().map(|row| row.note).collect();
        assert_eq!(notes, Vec::<String>::new(), "{admin}");
        assert_eq!(stage.remains().await, Vec::<String>::new(), "{admin}");
        second.batch_execute("DROP TABLE hers").await.unwrap_err();
        second.batch_execute("RESET ROLE; DROP TABLE hers; SET ROLE app_owner").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_at_once_share_one_role() {
    let stage = Stage::new(newest()).await;
    let context = session("alice", "alice", target("db", stage.masked()));
    let leases = join_all((0..16).map(|_| stage.leases.issue(&context))).await;
    let names: BTreeSet<String> = leases.into_iter().map(|lease| lease.unwrap().user).collect();
    assert_eq!(names.len(), 1);
    assert_eq!(stage.remains().await.len(), 1);

    // and sixteen sessions at once get sixteen, though they all need the same group role
    let shared = target("other", stage.masked());
    let contexts: Vec<_> = (0..16).map(|n| session("bob", &format!("bob{n}"), Arc::clone(&shared))).collect();
    let leases = join_all(contexts.iter().map(|context| stage.leases.issue(context))).await;
    let names: BTreeSet<String> = leases.into_iter().map(|lease| lease.unwrap().user).collect();
    assert_eq!(names.len(), 16);
    for done in join_all(contexts.iter().map(|context| stage.leases.revoke(&context.id))).await {
        done.unwrap();
    }
    stage.leases.revoke(&context.id).await.unwrap();
    assert_eq!(stage.remains().await, Vec::<String>::new());
    assert!(stage.leases.issue(&context).await.is_err(), "a closed session got a lease");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_goes_away_leaves_nothing_behind() {
    let stage = Stage::new(newest()).await;
    let context = session("alice", "alice", target("db", stage.masked()));
    let hasty = tokio::time::timeout(std::time::Duration::from_millis(2), stage.leases.issue(&context)).await;
    drop(hasty);
    stage.leases.revoke(&context.id).await.unwrap();
    assert_eq!(stage.remains().await, Vec::<String>::new());
    assert_eq!(stage.store.leases().unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_broker_left_is_found_at_the_next_start() {
    let stage = Stage::new(newest()).await;
    let shared = target("db", stage.masked());
    let targets = BTreeMap::from([(shared.name.clone(), Arc::clone(&shared))]);
    let lost = session("alice", "alice", Arc::clone(&shared));
    let lease = stage.leases.issue(&lost).await.unwrap();
    let _alice = stage.login(&lease).await.unwrap();
    // killed before the role was made, and after it
    for (login, exists) in [("hoop_x_aaaaaaaa", false), ("hoop_y_bbbbbbbb", true)] {
        let row = LeaseRow {
            target: shared.name.clone(),
            login: login.into(),
            session: random_session(),
            issuer: IssuerWord::PostgresRole,
            place: None,
            state: LeaseState::Minting,
            expires: lost.expires.to_string(),
            attempts: 0,
            note: String::new(),
        };
        stage.store.begin_lease(&row).unwrap();
        if exists {
            let admin = stage.cluster.connect("hoop_admin", "admin-secret", "app").await.unwrap();
            admin.batch_execute(&format!("CREATE ROLE {login} LOGIN")).await.unwrap();
        }
    }
    // alive in this process: not touched
    let survivor = session("bob", "bob", Arc::clone(&shared));
    let restarted = fresh(&stage.store, &stage.journal);
    let kept = restarted.issue(&survivor).await.unwrap();
    let report = restarted.reap(&targets).await;
    assert_eq!((report.clean, report.stuck.len()), (3, 0), "{report:?}");
    assert_eq!(stage.remains().await, std::slice::from_ref(&kept.user));
    restarted.revoke(&survivor.id).await.unwrap();
    assert_eq!(stage.remains().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_database_keeps_the_row() {
    let mut stage = Stage::new(newest()).await;
    let context = session("alice", "alice", target("db", stage.masked()));
    stage.leases.issue(&context).await.unwrap();
    stage.cluster.crash();
    let error = stage.leases.revoke(&context.id).await.unwrap_err();
    assert!(matches!(error, LeaseError::Upstream(_)), "{error}");
    let rows = stage.store.leases().unwrap();
    assert_eq!((rows.len(), rows[0].state), (1, LeaseState::Stuck));
    assert_eq!(stage.leases.reap(&BTreeMap::new()).await.stuck.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_entry_in_the_ledger_no_lease() {
    let stage = Stage::new(newest()).await;
    *stage.journal.full.lock().unwrap() = true;
    let error =
        stage.leases.issue(&session("alice", "alice", target("db", stage.masked()))).await.unwrap_err();
    assert!(matches!(error, LeaseError::Journal(_)), "{error}");
    assert_eq!(stage.remains().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_are_only_names() {
    let stage = Stage::new(newest()).await;
    stage
        .root
        .batch_execute(r#"CREATE TABLE "we""ird; DROP TABLE plain" ("a'""b" int, customer_id int)"#)
        .await
        .unwrap();
    stage.root.batch_execute(r#"ALTER TABLE "we""ird; DROP TABLE plain" OWNER TO app_owner"#).await.unwrap();
    stage.root.batch_execute(&documented("grants")).await.unwrap();
    let shared = target("db", stage.masked());
    let long = "ü\"';--".repeat(42);
    for name in [r#"x"; DROP ROLE postgres; --"#, "李雷 🦀", "'", long.as_str(), "postgres"] {
        let context = session(name, name, Arc::clone(&shared));
        let lease = stage.leases.issue(&context).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(lease.user.len() <= 63);
        let client = stage.login(&lease).await.unwrap();
        client.batch_execute(r#"SELECT "a'""b" FROM "we""ird; DROP TABLE plain""#).await.unwrap();
        stage.leases.revoke(&context.id).await.unwrap();
    }
    assert_eq!(stage.remains().await, Vec::<String>::new());
    stage.root.batch_execute("SELECT * FROM plain").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_masks_are_lifted_gets_another_role() {
    let stage = Stage::new(newest()).await;
    let dba = GroupName::new("corp/dba").unwrap();
    let lifted = MaskRule {
        lifted_for: BTreeSet::from([dba.clone()]),
        ..mask("public.reasoning_traces.api_key", Mask::Full)
    };
    let shared = target("db", stage.target(vec![lifted]));
    let mut context = session("dba", "dba", Arc::clone(&shared));
    context.principal.groups.insert(dba);
    let lease = stage.leases.issue(&context).await.unwrap();
    stage.login(&lease).await.unwrap().batch_execute("SELECT api_key FROM reasoning_traces").await.unwrap();
    let lease = stage.leases.issue(&session("alice", "alice", shared)).await.unwrap();
    assert!(
        stage
            .login(&lease)
            .await
            .unwrap()
            .batch_execute("SELECT api_key FROM reasoning_traces")
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standing_role_is_looked_at_before_it_is_used() {
    let stage = Stage::new(newest()).await;
    stage
        .root
        .batch_execute("CREATE ROLE reader LOGIN PASSWORD 'reader-secret'; GRANT SELECT (id) ON reasoning_traces TO reader")
        .await
        .unwrap();
    let standing = |masked: bool| {
        let mut postgres = if masked { stage.masked() } else { stage.target(Vec::new()) };
        let password = SecretSource::Command(["/bin/echo", "reader-secret"].map(String::from).to_vec());
        postgres.issuer = LeaseIssuer::Static { user: "reader".into(), password };
        target("db", postgres)
    };
    let context = session("alice", "alice", standing(true));
    let lease = stage.leases.issue(&context).await.unwrap();
    stage.login(&lease).await.unwrap().batch_execute("SELECT id FROM reasoning_traces").await.unwrap();
    stage.leases.revoke(&context.id).await.unwrap();
    let last = stage.journal.events.lock().unwrap().last().cloned();
    assert!(
        matches!(&last, Some(What::LeaseRevoked { clean: true, note, .. }) if note.contains("standing")),
        "{last:?}"
    );
    stage.login(&lease).await.unwrap();

    // by SET ROLE, by an attribute, by a plain grant
    for (open, shut) in [
        ("ALTER ROLE reader NOINHERIT; GRANT app_owner TO reader", "REVOKE app_owner FROM reader"),
        ("ALTER ROLE reader REPLICATION", "ALTER ROLE reader NOREPLICATION"),
        ("GRANT SELECT ON reasoning_traces TO reader", "SELECT 1"),
    ] {
        stage.root.batch_execute(open).await.unwrap();
        let error = stage.leases.issue(&session("bob", "bob", standing(true))).await.expect_err(open);
        assert!(matches!(error, LeaseError::OverPrivileged(_)), "{open}: {error}");
        stage.root.batch_execute(shut).await.unwrap();
    }
    // where nothing is masked it may read what it may read
    stage.leases.issue(&session("bob", "bob", standing(false))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_a_session_is_one_create_role_on_a_connection_that_is_there() {
    let stage = Stage::new(newest()).await;
    let shared = target("db", stage.masked());
    stage.leases.issue(&session("first", "first", Arc::clone(&shared))).await.unwrap();
    let state =
        "SELECT array_agg(a.pid)::text || (SELECT sum(xmin::text::int8) FROM pg_class WHERE oid >= 16384)
                 FROM pg_stat_activity a WHERE usename = 'hoop_admin'";
    let before: String = stage.root.query_one(state, &[]).await.unwrap().get(0);
    for n in 0..8 {
        stage.leases.issue(&session("alice", &format!("a{n}"), Arc::clone(&shared))).await.unwrap();
    }
    let after: String = stage.root.query_one(state, &[]).await.unwrap().get(0);
    assert_eq!(before, after, "another connection was made, or grants were made again");
}
