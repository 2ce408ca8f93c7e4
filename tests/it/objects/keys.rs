//! The key of tokens is seen by nobody.

use std::collections::BTreeSet;

use super::{ask, leased, stage};
use crate::leases::stage::{fresh, session, target};
use crate::support::postgres::majors;

/// Servers that log every statement with its parameters, and every plan's text, do not log the key.
#[tokio::test(flavor = "multi_thread")]
async fn no_log_text_or_plan_holds_the_key() {
    for major in majors() {
        let stage = stage(major).await;
        for setting in [
            "log_statement = 'all'",
            "log_min_duration_statement = 0",
            "log_parameter_max_length = -1",
            "log_parameter_max_length_on_error = -1",
            "log_min_messages = 'debug1'",
            "debug_print_parse = on",
            "debug_print_plan = on",
        ] {
            stage.root.batch_execute(&format!("ALTER SYSTEM SET {setting}")).await.unwrap();
        }
        stage.root.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        loop {
            // a reload is a signal, which takes a moment
            let query = "SELECT 'reloaded ' || current_setting('log_statement')";
            if ask(&stage.root, query).await.unwrap() == ["reloaded all"] {
                break;
            }
        }
        let lease = leased(&stage).await;
        let alice = stage.login(&lease).await.unwrap();
        let mut shown = Vec::new();
        for sql in [
            "SELECT pg_get_viewdef(oid) FROM pg_class WHERE relkind = 'v' AND relnamespace = 'hoopctl'::regnamespace",
            "SELECT definition FROM pg_views WHERE schemaname = 'hoopctl'",
            "SELECT ev_action::text FROM pg_rewrite WHERE ev_class >= 16384",
            "SELECT description FROM pg_description WHERE objoid >= 16384",
        ] {
            shown.extend(ask(&alice, sql).await.unwrap());
        }
        let view = super::views_of(&stage, "orders").await;
        let plan = format!("EXPLAIN (VERBOSE, ANALYZE) SELECT * FROM {view}");
        shown.extend(ask(&alice, &plan).await.unwrap());
        let generic = format!("PREPARE p AS SELECT tax_id FROM {view}; EXPLAIN VERBOSE EXECUTE p");
        shown.extend(ask(&alice, &generic).await.unwrap());
        assert!(shown.iter().any(|line| line.contains("sha256")), "{major}: {shown:?}");
        let log =
            String::from_utf8_lossy(&std::fs::read(stage.cluster.folder.join("log")).unwrap()).into_owned();
        assert!(
            log.contains("hoopctl.key (target") && log.contains("CREATE VIEW hoopctl."),
            "{major}: the log is silent"
        );

        let blocks = stage.root.query_one("SELECT ipad, opad FROM hoopctl.key", &[]).await.unwrap();
        for block in [blocks.get::<_, Vec<u8>>(0), blocks.get::<_, Vec<u8>>(1)] {
            assert_eq!(block.len(), 64);
            let hex: String = block.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            assert!(!shown.concat().contains(&hex), "{major}: shown");
            assert!(!log.to_lowercase().contains(&hex), "{major}: logged");
            // as a tree is printed, in signed bytes
            let list: Vec<String> = block.iter().take(8).map(|byte| byte.cast_signed().to_string()).collect();
            assert!(!log.contains(&list.join(" ")), "{major}: logged in a tree");
        }
        let events = format!("{:?}", stage.journal.events.lock().unwrap());
        assert!(!events.contains("ipad"), "{events}");
    }
}

/// One key for a target, however many sessions open at once on a database that has nothing yet; another for
/// another target.
#[tokio::test(flavor = "multi_thread")]
async fn sixteen_sessions_at_once_make_one_set_of_objects() {
    for major in [majors()[0], majors()[majors().len() - 1]] {
        let stage = stage(major).await;
        let shared = target("db", super::masked(&stage));
        let sessions: Vec<_> =
            (0..16).map(|n| session("bob", &format!("bob{n}"), std::sync::Arc::clone(&shared))).collect();
        // two brokers, which do not know of each other
        let second = fresh(&stage.store, &stage.journal);
        let leases = futures_util::future::join_all(
            sessions
                .iter()
                .enumerate()
                .map(|(n, context)| if n % 2 == 0 { &stage.leases } else { &second }.issue(context)),
        )
        .await;
        let leases: Vec<_> = leases.into_iter().map(|lease| lease.unwrap()).collect();
        let sql = "SELECT count(*), count(DISTINCT relname) FROM pg_class
                   WHERE relkind = 'v' AND relnamespace = 'hoopctl'::regnamespace";
        assert_eq!(ask(&stage.root, sql).await.unwrap(), ["6|6"], "{major}");
        assert_eq!(ask(&stage.root, "SELECT target FROM hoopctl.key").await.unwrap(), ["db"]);
        let view = super::views_of(&stage, "orders").await;
        let mut tokens = BTreeSet::new();
        for lease in &leases {
            let client = stage.login(lease).await.unwrap();
            tokens.extend(ask(&client, &format!("SELECT tax_id FROM {view} WHERE id = 10")).await.unwrap());
        }
        assert_eq!(tokens.len(), 1);

        let other = session("bob", "bob", target("other", super::masked(&stage)));
        stage.leases.issue(&other).await.unwrap();
        let keys = "SELECT count(*), count(DISTINCT ipad), count(DISTINCT opad) FROM hoopctl.key";
        assert_eq!(ask(&stage.root, keys).await.unwrap(), ["2|2|2"]);
    }
}
