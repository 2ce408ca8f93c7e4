//! What happens in the database beside the broker: other people's views, grants and names.

use hoopctl::gateway::authority::{Lease, LeaseError};

use super::{ask, leased, masked, stage};
use crate::leases::stage::{Stage, newest, session, target};
use crate::support::postgres::majors;

async fn alive(stage: &Stage, lease: &Lease) -> bool {
    stage.login(lease).await.is_ok()
}

/// Whoever notices a change first, be it a minting or a fitting that fails, the other sessions are looked at.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_uses_up_the_sign_of_a_leak() {
    let stage = stage(newest()).await;
    let alice = leased(&stage).await;
    stage.leases.watch().await;
    stage.root.batch_execute(&format!("GRANT SELECT (secret) ON customers TO {}", alice.user)).await.unwrap();
    let bob = leased(&stage).await;
    stage.leases.watch().await;
    assert!(!alive(&stage, &alice).await, "the minting hid the leak");
    assert!(alive(&stage, &bob).await);

    stage
        .root
        .batch_execute(&format!(
            "ALTER ROLE hoop_objects LOGIN; GRANT SELECT (secret) ON customers TO {}",
            bob.user
        ))
        .await
        .unwrap();
    stage.leases.watch().await;
    assert!(!alive(&stage, &bob).await, "the fitting that fails hid the leak");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_judged_by_what_it_shows_whatever_its_names() {
    for major in [majors()[0], newest()] {
        let stage = stage(major).await;
        let open = async |sql: &str| {
            stage
                .root
                .batch_execute(&format!("SET ROLE app_owner; {sql}; GRANT SELECT ON v TO PUBLIC; RESET ROLE"))
                .await
                .unwrap();
            let context = session("alice", "alice", target("db", masked(&stage)));
            let answer = stage.leases.issue(&context).await;
            stage.leases.revoke(&context.id).await.unwrap();
            answer
        };
        for (made, kind) in [
            ("CREATE VIEW v AS SELECT secret AS k2 FROM customers", "VIEW"),
            ("CREATE VIEW v AS SELECT name FROM customers WHERE secret LIKE 's%'", "VIEW"),
            ("CREATE VIEW v AS SELECT id, row_to_json(c) AS whole FROM customers c", "VIEW"),
            ("CREATE VIEW v AS SELECT number FROM mailing", "VIEW"),
            ("CREATE MATERIALIZED VIEW v AS SELECT secret AS k2 FROM customers", "MATERIALIZED VIEW"),
        ] {
            let error = open(made).await.expect_err(made);
            assert!(
                matches!(&error, LeaseError::OverPrivileged(what) if what == "public.v"),
                "{major}: {made}: {error}"
            );
            stage.root.batch_execute(&format!("DROP {kind} v")).await.unwrap();
        }
        let mut fine = vec!["CREATE VIEW v AS SELECT id, name FROM customers"];
        if major >= 15 {
            fine.push("CREATE VIEW v WITH (security_invoker) AS SELECT secret AS k2 FROM customers");
        }
        for made in fine {
            open(made).await.unwrap_or_else(|error| panic!("{major}: {made}: {error}"));
            stage.root.batch_execute("DROP VIEW v").await.unwrap();
        }

        // a harmless one, replaced while a session is open; and one whose owner may not read what it names
        stage
            .root
            .batch_execute(
                "SET ROLE app_owner; CREATE VIEW v AS SELECT id, name AS word FROM customers;
                 GRANT SELECT ON v TO PUBLIC; RESET ROLE; CREATE ROLE nobody_much;
                 CREATE VIEW hollow AS SELECT secret AS k2 FROM customers;
                 ALTER VIEW hollow OWNER TO nobody_much; GRANT SELECT ON hollow TO PUBLIC",
            )
            .await
            .unwrap();
        let lease = leased(&stage).await;
        stage.leases.watch().await;
        let client = stage.login(&lease).await.unwrap();
        assert_eq!(ask(&client, "SELECT word FROM v WHERE id = 1").await.unwrap(), ["ada"]);
        assert!(ask(&client, "SELECT * FROM hollow").await.is_err());
        stage
            .root
            .batch_execute("CREATE OR REPLACE VIEW v AS SELECT id, secret AS word FROM customers")
            .await
            .unwrap();
        stage.leases.watch().await;
        assert!(
            client.batch_execute("SELECT word FROM v").await.is_err(),
            "{major}: it still reads the view"
        );
        assert!(!alive(&stage, &lease).await, "{major}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_gets_a_protected_name_is_taken_away_from_open_sessions() {
    let stage = stage(newest()).await;
    let lease = leased(&stage).await;
    let alice = stage.login(&lease).await.unwrap();
    stage.root.batch_execute("ALTER TABLE plain RENAME COLUMN word TO tax_id").await.unwrap();
    alice.batch_execute("SELECT tax_id FROM plain").await.unwrap();
    stage.leases.watch().await;
    // the column is gone, the session is not
    let error = ask(&alice, "SELECT tax_id FROM plain").await.unwrap_err();
    assert!(error.starts_with("42501"), "{error}");
    assert_eq!(ask(&alice, "SELECT count(id) FROM plain").await.unwrap(), ["0"]);

    // neither table nor column changes here
    stage.root.batch_execute(&format!("GRANT pg_read_all_data TO {}", lease.user)).await.unwrap();
    stage.leases.watch().await;
    assert!(!alive(&stage, &lease).await, "it is a member of pg_read_all_data");
}
