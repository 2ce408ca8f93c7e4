//! Each signal reaches the command, and once.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::stage::{Stage, counted, counter, ended, places, until_file, without_terminal};
use crate::support::env::Env;
use crate::support::terminal::Terminal;

async fn until_counted(env: &Env, signal: &str, times: usize) {
    for _ in 0..200 {
        if counted(env, signal) >= times {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // a second one would come with the first
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(counted(env, signal), times, "{signal}");
}

/// CI runners tell hoopctl alone, or everything that it started; Terraform takes a second interrupt as an order to
/// drop what it does.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminal_the_command_gets_each_signal_once_whoever_is_told() {
    let stage = Stage::of_databases("").await;
    let alice = stage.login("alice").await;
    let script = counter(&alice);
    let child = without_terminal(&alice, &["exec", "db", "--", "sh", &script]).spawn().expect("it runs");
    let pid = Pid::from_raw(i32::try_from(child.id().expect("it runs")).expect("a pid")).expect("a pid");
    until_file(&alice, "ready").await;
    let signals =
        [("INT", Signal::INT), ("QUIT", Signal::QUIT), ("HUP", Signal::HUP), ("USR1", Signal::USR1)];
    for (name, signal) in signals {
        kill_process(pid, signal).expect("it hears");
        until_counted(&alice, name, 1).await;
        kill_process_group(pid, signal).expect("it hears");
        until_counted(&alice, name, 2).await;
    }
    kill_process_group(pid, Signal::TERM).expect("it hears");
    ended(child).await.ends(3);
    assert_eq!(counted(&alice, "TERM"), 1);
    stage.until_closed(&alice, Duration::from_secs(5)).await;
    assert_eq!(places(&alice), [""; 0], "something is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_at_a_terminal_reaches_the_command_once() {
    let stage = Stage::of_databases("").await;
    let mut alice = stage.login("alice").await;
    // it becomes the program; another shell would stay in between and be hit itself
    alice.set("SHELL", "/bin/bash");
    let script = counter(&alice);
    let mut terminal = Terminal::start(&alice, &format!("exec db -- sh {script}")).await;
    let pid = until_file(&alice, "ready").await;
    for (key, name) in [("\u{3}", "INT"), ("\u{1c}", "QUIT")] {
        for times in 1..=2 {
            terminal.types(key).await;
            until_counted(&alice, name, times).await;
        }
    }
    let pid = Pid::from_raw(pid.trim().parse().expect("a pid")).expect("a pid");
    kill_process(pid, Signal::TERM).expect("it hears");
    assert_eq!(terminal.ends().await, 3);
}

/// Whoever started this made it deaf (`nohup`), and so is the command.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_ignored_before_stays_ignored() {
    let stage = Stage::of_databases("").await;
    let alice = stage.login("alice").await;
    let like = alice.command(&[]);
    let mut shell = tokio::process::Command::new("setsid");
    let program = crate::support::env::program();
    let line = format!(
        "trap '' HUP; exec {program} exec db -- sh -c 'echo $$ > $HOME/ready; kill -HUP $PPID $$; sleep 0.3; echo on'"
    );
    shell
        .args(["sh", "-c", &line])
        .env_clear()
        .envs(like.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = shell.output().await.expect("it runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "on\n", "{output:?}");
}
