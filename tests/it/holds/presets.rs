//! The presets that hold.

use std::sync::atomic::Ordering;

use crate::support::gateway::{Gateway, Setup};
use crate::support::postgres::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn the_presets_hold_before_any_row_is_released() {
    let cluster = Cluster::start(18);
    let tables = "CREATE TABLE traces (id int PRIMARY KEY, prompt text, api_key text); INSERT INTO traces VALUES (1, 'p', 'k'), (2, 'p', 'k')";
    cluster.admin().await.batch_execute(tables).await.unwrap();
    let label = std::collections::BTreeSet::from(["high-risk".to_owned()]);
    let fields = std::collections::BTreeMap::from([("*.traces.api_key".to_owned(), label)]);
    let policy = concat!(
        include_str!("../../../policies/single-trace.cedar"),
        include_str!("../../../policies/high-risk-fields.cedar")
    );
    let gateway = Gateway::start(&cluster, Setup { policy, fields, ..Setup::open(&cluster) });
    gateway.desk.closed.store(true, Ordering::Relaxed);
    let client = gateway.connect().await;
    for (statement, rule) in [
        ("SELECT id, prompt FROM traces WHERE id = 1", None),
        ("SELECT count(*) FROM traces", None),
        ("SELECT id, prompt FROM traces", Some("single-trace.read")),
        ("SELECT id, prompt FROM traces LIMIT 1", Some("single-trace.read")),
        ("UPDATE traces SET prompt = prompt RETURNING id, prompt", Some("single-trace.read")),
        ("SELECT max(id) FROM traces", None),
        ("SELECT max(prompt) FROM traces", Some("single-trace.read")),
        ("SELECT max((SELECT string_agg(prompt, ',') FROM traces)::int)", Some("single-trace.read")),
        ("EXPLAIN SELECT id, prompt FROM traces", None),
        ("EXPLAIN ANALYZE UPDATE traces SET prompt = prompt", Some("single-trace.read")),
        ("COPY traces (id) TO STDOUT", Some("single-trace.copy")),
        ("SELECT api_key FROM traces WHERE id = 1", Some("high-risk-fields.read")),
        ("SELECT * FROM traces WHERE id = 1", Some("high-risk-fields.read")),
        ("SELECT traces FROM traces WHERE id = 1", Some("high-risk-fields.read")),
        ("SELECT api_key(traces) FROM traces WHERE id = 1", Some("high-risk-fields.read")),
    ] {
        let told = client.simple_query(statement).await;
        match (told, rule) {
            (Ok(_), None) => {}
            (Err(error), Some(rule)) => {
                let error = error.as_db_error().unwrap().message().to_owned();
                assert!(error.contains(&format!("(rule {rule})")), "{statement}: {error}");
            }
            (told, _) => panic!("{statement}: {told:?}"),
        }
    }
    // one who declares a key to be a float may mean several rows
    let types = [tokio_postgres::types::Type::FLOAT8];
    let statement = client.prepare_typed("SELECT prompt FROM traces WHERE id = $1", &types).await.unwrap();
    assert!(client.query(&statement, &[&1.0_f64]).await.is_err());
}
