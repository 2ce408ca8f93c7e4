//! `kill -9` of hoopctl, at several moments.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::stage::{Stage, lives, places, until_file, without_terminal};
use crate::support::env::Env;

/// The broker gives a client whose line was cut some seconds to come back, and one that has just come some more.
const SECONDS: Duration = Duration::from_secs(30);

/// What it says would otherwise kill the command: nobody listens any more.
fn unheard(env: &Env, arguments: &[&str]) -> Command {
    let mut command = without_terminal(env, arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

async fn killed(mut child: Child) {
    let pid = Pid::from_raw(i32::try_from(child.id().expect("it runs")).expect("a pid")).expect("a pid");
    kill_process(pid, Signal::KILL).expect("it dies");
    let status = child.wait().await.expect("it is gone");
    assert!(!status.success());
}

async fn until_nothing_is_left(env: &Env) {
    for _ in 0..100 {
        if places(env).is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{:?} are left", places(env));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_is_told_to_end_and_sessions_and_files_go() {
    let stage = Stage::of_databases("").await;
    let alice = stage.login("alice").await;
    // it ignores what it is told, and its own child does not
    let script = "trap 'echo told > $HOME/told' TERM; cat \"$PGPASSFILE\" > $HOME/kept; echo $$ > $HOME/ready
                  psql -XAtc 'select pg_sleep(300)'; echo \"psql ended with $?\" > $HOME/ended
                  while :; do sleep 0.1; done";
    let command = ["exec", "db", "orders-db", "--", "sh", "-c", script];
    let child = unheard(&alice, &command).spawn().expect("it runs");
    let pid = until_file(&alice, "ready").await;
    assert_eq!(places(&alice).len(), 2);
    // long enough that both sessions are tied to it
    tokio::time::sleep(Duration::from_secs(3)).await;
    let began = std::time::Instant::now();
    killed(child).await;
    until_nothing_is_left(&alice).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    until_file(&alice, "told").await;
    until_file(&alice, "ended").await;
    stage.until_closed(&alice, Duration::from_secs(20)).await;
    for _ in 0..300 {
        if !lives(&pid) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the command goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_command_starts_and_while_sessions_open_nothing_stays_either() {
    let stage = Stage::of_databases("").await;
    let alice = stage.login("alice").await;
    // from before the first call to the broker until the command runs
    for delay in [5, 20, 40, 80, 160, 320] {
        let command = ["exec", "db", "orders-db", "--", "sleep", "300"];
        let child = unheard(&alice, &command).spawn().expect("it runs");
        tokio::time::sleep(Duration::from_millis(delay)).await;
        killed(child).await;
    }
    // what was killed before it had a guard is swept by the next one
    alice.run(&["exec", "db", "--", "true"]).await.ends(0);
    until_nothing_is_left(&alice).await;
    stage.until_closed(&alice, SECONDS).await;
}

/// The whole container is killed, and with it whoever was to clean up.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_killed_together_with_its_guard_is_swept_by_the_next() {
    let stage = Stage::of_databases("").await;
    let alice = stage.login("alice").await;
    let child = unheard(&alice, &["exec", "db", "--", "sh", "-c", "echo > $HOME/ready; exec sleep 300"])
        .spawn()
        .expect("it runs");
    until_file(&alice, "ready").await;
    let pid = child.id().expect("it runs");
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("its children");
    let is_guard = |process: &&str| {
        std::fs::read_to_string(format!("/proc/{process}/cmdline"))
            .expect("it runs")
            .contains("hoopctl-guard")
    };
    let (guard, command): (Vec<&str>, Vec<&str>) = children.split_whitespace().partition(is_guard);
    assert_eq!((guard.len(), command.len()), (1, 1), "{children}");
    let kill = |process: &str| {
        let process = Pid::from_raw(process.parse().expect("a pid")).expect("a pid");
        kill_process(process, Signal::KILL).expect("it dies");
    };
    // before hoopctl itself: a stopped guard would be woken by its death, for the kernel continues what is stopped in a
    // group that it orphans
    kill(guard[0]);
    killed(child).await;
    kill(command[0]);
    assert_eq!(places(&alice).len(), 1, "this is what the next one finds");
    alice.run(&["exec", "db", "--", "true"]).await.ends(0);
    assert_eq!(places(&alice), [""; 0]);
}
