//! Clients that do not want to wait any longer.

use std::process::Stdio;
use std::sync::atomic::Ordering;

use hoopctl::wire::postgres::frontend::ClientMessage;
use tokio::io::AsyncWriteExt as _;

use super::{gateway, until, verdicts};
use crate::bypass::{EXECUTE, Raw, SYNC, bind, parse, told};
use crate::support::postgres::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn control_c_takes_the_statement_back_and_the_session_goes_on() {
    let cluster = Cluster::start(18);
    let gateway = gateway(&cluster);
    let mut psql = gateway
        .psql()
        .args(["-v", "ON_ERROR_STOP=0", "-At"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = psql.stdin.take().unwrap();
    input
        .write_all(b"CREATE TEMP TABLE held_f (id int);\nDELETE FROM held_f;\nSELECT 'still here';\n")
        .await
        .unwrap();
    let request = gateway.desk.next().await;
    let pid = i32::try_from(psql.id().unwrap()).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::INT)
        .unwrap();
    drop(input);
    let output = psql.wait_with_output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("ERROR:  canceling statement due to user request"), "{told}");
    until("the request is withdrawn", || !request.waiting.load(Ordering::Relaxed)).await;
    assert_eq!(verdicts(&gateway)[1..3], ["Hold delete", "Deny delete"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_and_a_session_that_closes_withdraw_what_is_held() {
    let cluster = Cluster::start(18);
    let gateway = gateway(&cluster);
    let mut psql = gateway
        .psql()
        .args(["-c", "DELETE FROM pg_class"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let request = gateway.desk.next().await;
    psql.kill().await.unwrap();
    until("the request is withdrawn", || !request.waiting.load(Ordering::Relaxed)).await;

    let client = gateway.connect().await;
    let held = tokio::spawn(async move { client.batch_execute("DELETE FROM pg_class").await });
    let request = gateway.desk.next().await;
    gateway.closing.send_replace(Some(hoopctl::domain::session::CloseReason::Killed));
    assert!(held.await.unwrap().is_err());
    until("the request is withdrawn", || !request.waiting.load(Ordering::Relaxed)).await;
    assert!(!verdicts(&gateway).contains(&"Allow delete".to_owned()));
}

/// One Ctrl-C is enough, whatever of the connection runs and whatever is held.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_what_is_held_and_what_runs_before_it() {
    let cluster = Cluster::start(18);
    let gateway = gateway(&cluster);
    let admin = cluster.admin().await;
    let (sleep, delete) = ("SELECT pg_sleep(600)", "DELETE FROM pg_class WHERE false");
    let simple = vec![ClientMessage::Query(sleep.as_bytes()), ClientMessage::Query(delete.as_bytes())];
    let extended = vec![
        parse("", sleep),
        bind(""),
        EXECUTE,
        ClientMessage::Flush,
        parse("", delete),
        bind(""),
        EXECUTE,
        SYNC,
    ];
    for (messages, readies) in [(simple, 2), (extended, 1)] {
        let mut raw = Raw::connect(&gateway).await;
        raw.send(&messages).await;
        let request = gateway.desk.next().await;
        let running = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        while admin.query(running, &[]).await.unwrap().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        raw.cancel(&gateway).await;
        let mut answers = Vec::new();
        for _ in 0..readies {
            let more = raw.until_ready().await;
            assert!(told(&more, b'E', "57014"), "{more:?}");
            answers.extend(more);
        }
        assert!(!told(&answers, b'C', ""), "{answers:?}");
        until("the request is withdrawn", || !request.waiting.load(Ordering::Relaxed)).await;
        // the connection goes on, and nothing that came later was hit
        raw.send(&[ClientMessage::Query(b"SELECT 'still here'")]).await;
        assert!(told(&raw.until_ready().await, b'D', "still here"));
        // with nothing held, a cancel is for what runs
        raw.send(&[ClientMessage::Query(sleep.as_bytes())]).await;
        while admin.query(running, &[]).await.unwrap().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        raw.cancel(&gateway).await;
        assert!(told(&raw.until_ready().await, b'E', "57014"));
    }
}
