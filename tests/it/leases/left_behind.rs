//! What a dead broker and its clients left in a database is found and removed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use secrecy::ExposeSecret as _;

use super::stage::{Stage, fresh, newest, session, target};
use crate::support::postgres::majors;

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
            let password = lease.password.expose_secret();
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
