//! Cursors, which go on after they were judged.

use crate::support::gateway::{Gateway, Setup};
use crate::support::postgres::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_held_where_it_is_declared() {
    let cluster = Cluster::start(18);
    let policy = r#"@id("cursors") @review("corp/dba:1") forbid (principal, action == Hoop::Action::"statement", resource)
                    when { context.verb == "declare cursor" };"#;
    let gateway = Gateway::start(&cluster, Setup { policy, ..Setup::open(&cluster) });
    let client = gateway.connect().await;
    client.batch_execute("BEGIN").await.unwrap();
    let declare = "DECLARE c CURSOR FOR SELECT n FROM generate_series(1, 3) n";
    let answer = async {
        let request = gateway.desk.next().await;
        assert_eq!(request.text(), declare);
        gateway.desk.approve(request);
    };
    let (held, ()) = tokio::join!(client.batch_execute(declare), answer);
    held.unwrap();
    // what was approved is fetched without asking again
    let fetched = client.query("FETCH ALL FROM c", &[]).await.unwrap();
    assert_eq!(fetched.len(), 3);
    assert!(gateway.desk.is_empty().await);
}
