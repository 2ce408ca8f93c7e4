//! The administrator's own login: where its secret comes from, and how it is replaced.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use hoopctl::domain::target::LeaseIssuer;
use hoopctl::gateway::authority::LeaseError;

use super::stage::{Stage, fresh, newest, session, target, write_secret};

#[tokio::test(flavor = "multi_thread")]
async fn the_administrators_secret_must_be_had_and_must_be_right() {
    let stage = Stage::new(newest()).await;
    let shared = target("db", stage.masked());
    write_secret(&stage.secret(), "admin-secret", 0o644);
    let error = stage.leases.issue(&session("a", "a", Arc::clone(&shared))).await.unwrap_err();
    assert!(matches!(&error, LeaseError::Secret(text) if text.contains("chmod 600")), "{error}");
    write_secret(&stage.secret(), "hunter2", 0o600);
    let error = stage.leases.issue(&session("a", "a", Arc::clone(&shared))).await.unwrap_err();
    assert!(matches!(&error, LeaseError::Upstream(text) if text.contains("28P01")), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"));
    // nothing was made, so nothing is noted
    assert_eq!(stage.store.leases().unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_administrators_password_is_replaced_and_survives_each_interruption() {
    let stage = Stage::new(newest()).await;
    let mut postgres = stage.masked();
    if let LeaseIssuer::PostgresRole(issuer) = &mut postgres.issuer {
        issuer.rotate_admin = Some(0);
    }
    let shared = target("db", postgres);
    assert!(stage.leases.rotate_admin(&shared).await.unwrap());
    let second = std::fs::read_to_string(stage.secret()).unwrap();
    assert_ne!(second.trim(), "admin-secret");
    assert_eq!(std::fs::metadata(stage.secret()).unwrap().permissions().mode() & 0o777, 0o600);
    let beside = stage.folder.path().join("admin.next");
    assert!(!beside.exists());
    assert!(stage.cluster.connect("hoop_admin", "admin-secret", "app").await.is_err());

    // killed before the server was told: the file is right, the one beside it is not
    write_secret(&beside, "never-told", 0o600);
    let started = fresh(&stage.store, &stage.journal);
    started.issue(&session("a", "a", Arc::clone(&shared))).await.unwrap();
    // killed after the server was told: the other way round
    write_secret(&beside, "told", 0o600);
    stage.root.batch_execute("ALTER ROLE hoop_admin PASSWORD 'told'").await.unwrap();
    let started = fresh(&stage.store, &stage.journal);
    started.issue(&session("b", "b", Arc::clone(&shared))).await.unwrap();
    assert_eq!(std::fs::read_to_string(stage.secret()).unwrap(), "told");
    assert!(!beside.exists());

    let mut young = stage.masked();
    if let LeaseIssuer::PostgresRole(issuer) = &mut young.issuer {
        issuer.rotate_admin = Some(86_400);
    }
    assert!(!stage.leases.rotate_admin(&target("db", young)).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_wants_the_password_otherwise_gets_nothing() {
    let stage = Stage::new(newest()).await;
    for method in ["password", "md5", "trust"] {
        if method == "md5" {
            let hash = "SET password_encryption = 'md5'; ALTER ROLE hoop_admin PASSWORD 'admin-secret'";
            stage.root.batch_execute(hash).await.unwrap();
        }
        let hba = stage.cluster.folder.join("data/pg_hba.conf");
        let rest = std::fs::read_to_string(&hba).unwrap();
        std::fs::write(&hba, format!("host all hoop_admin all {method}\n{rest}")).unwrap();
        stage.root.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        let mut refused = String::new();
        // the reload is a signal, which takes a moment
        for _ in 0..200 {
            let started = fresh(&stage.store, &stage.journal);
            match started.issue(&session("a", "a", target("db", stage.masked()))).await {
                Err(error) if error.to_string().contains("set scram-sha-256") => {
                    refused = error.to_string();
                    break;
                }
                _ => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            }
        }
        assert!(!refused.is_empty(), "{method} was not refused");
        std::fs::write(&hba, rest).unwrap();
    }
}
