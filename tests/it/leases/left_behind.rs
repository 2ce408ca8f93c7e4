//! What a dead broker and its clients left in a database is found and removed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hoopctl::domain::event::What;
use hoopctl::domain::target::{LeaseIssuer, PostgresTarget, RoleIssuer, SecretSource};
use secrecy::ExposeSecret as _;

use super::stage::{Stage, fresh, newest, session, target};
use crate::support::postgres::{free_port, majors};

/// The broker and the client are gone, and a transaction that was prepared outlives both. One of them
/// holds the row of its own role, so that the role cannot even be locked before it is rolled back.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_session_prepared_is_rolled_back() {
    // by way of the doorway, and with CREATEROLE
    for major in [majors().remove(0), newest()] {
        let stage = Stage::new(major).await;
        stage.root.batch_execute("CREATE DATABASE second OWNER app_owner").await.unwrap();
        stage.root.batch_execute("GRANT CONNECT ON DATABASE second TO hoop_admin").await.unwrap();
        let mut postgres = stage.masked();
        postgres.also_databases = BTreeSet::from(["second".to_owned()]);
        let shared = target("db", postgres);
        let context = session("alice", "alice", Arc::clone(&shared));
        let lease = stage.leases.issue(&context).await.unwrap();
        for (database, work) in [
            ("app", "INSERT INTO plain VALUES (99, 'x'); PREPARE TRANSACTION 'hers'"),
            ("app", "ALTER ROLE CURRENT_USER SET work_mem = '1MB'; PREPARE TRANSACTION 'settings'"),
            ("second", "ALTER ROLE CURRENT_USER PASSWORD 'mine'; PREPARE TRANSACTION 'password'"),
        ] {
            let password = lease.password().expose_secret();
            let alice = stage.cluster.connect(&lease.user, password, database).await.unwrap();
            let prepared = alice.batch_execute(&format!("BEGIN; {work}")).await;
            prepared.unwrap_or_else(|e| panic!("PostgreSQL {major}: {work}: {e:?}"));
        }
        let prepared = stage.root.query_one("SELECT count(*) FROM pg_prepared_xacts", &[]).await.unwrap();
        assert_eq!(prepared.get::<_, i64>(0), 3, "PostgreSQL {major}");

        let targets = BTreeMap::from([(shared.name.clone(), Arc::clone(&shared))]);
        let report = fresh(&stage.store, &stage.journal).reap(&targets).await;
        assert_eq!((report.clean, report.stuck), (1, Vec::new()), "PostgreSQL {major}");
        assert_eq!(stage.remains().await, Vec::<String>::new(), "PostgreSQL {major}");
        let kept = stage.root.query_one("SELECT count(*) FROM plain WHERE id = 99", &[]).await.unwrap();
        assert_eq!(kept.get::<_, i64>(0), 0, "PostgreSQL {major}: it was committed");
    }
}

/// A lease's row says where its role is, so that it does not matter what became of the target.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_taken_back_wherever_its_target_went() {
    let stage = Stage::new(newest()).await;
    let targets = |postgres: PostgresTarget| {
        let target = target("db", postgres);
        BTreeMap::from([(target.name.clone(), target)])
    };
    let moved = PostgresTarget { port: free_port(), ..stage.masked() };
    let user = "app_owner".to_owned();
    let standing = LeaseIssuer::Static { user, password: SecretSource::Env("NONE".into()) };
    let standing = PostgresTarget { issuer: standing, ..stage.masked() };
    let admin_password = SecretSource::File("/nonexistent".into());
    let other = RoleIssuer { admin: "another".into(), admin_password, rotate_admin: None };
    let other = PostgresTarget { issuer: LeaseIssuer::PostgresRole(Box::new(other)), ..stage.masked() };
    for (now, targets) in [
        ("gone", BTreeMap::new()),
        ("at another port", targets(moved)),
        ("with a standing role", targets(standing)),
        ("with another administrator", targets(other)),
    ] {
        let context = session("alice", "alice", target("db", stage.masked()));
        stage.leases.issue(&context).await.unwrap();
        let report = fresh(&stage.store, &stage.journal).reap(&targets).await;
        assert_eq!((report.clean, report.stuck), (1, Vec::new()), "{now}");
        assert_eq!(stage.remains().await, Vec::<String>::new(), "{now}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_whose_administrator_is_gone_stays_stuck_and_is_named() {
    let stage = Stage::new(newest()).await;
    let context = session("alice", "alice", target("db", stage.masked()));
    let lease = stage.leases.issue(&context).await.unwrap();
    let row = stage.store.leases().unwrap().remove(0);
    assert!(!format!("{row:?}").contains("admin-secret"));
    std::fs::rename(stage.secret(), stage.folder.path().join("away")).unwrap();
    let restarted = fresh(&stage.store, &stage.journal);
    for _ in 0..2 {
        let report = restarted.reap(&BTreeMap::new()).await;
        assert_eq!(report.stuck[0].login, lease.user);
        assert!(report.stuck[0].note.contains("admin"), "{report:?}");
    }
    let revoked = |what: &&What| matches!(what, What::LeaseRevoked { clean: false, .. });
    assert_eq!(stage.journal.events.lock().unwrap().iter().filter(revoked).count(), 1, "entered once");
    std::fs::rename(stage.folder.path().join("away"), stage.secret()).unwrap();
    assert_eq!(restarted.reap(&BTreeMap::new()).await.clean, 1);
    assert_eq!(stage.remains().await, Vec::<String>::new());
}
