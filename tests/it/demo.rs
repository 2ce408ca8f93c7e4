//! The demo keeps its promises, and whatever ends it leaves nothing behind.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use crate::support::env::Env;

#[tokio::test]
async fn the_tour_keeps_its_promises() {
    let env = Env::new("https://127.0.0.1:1");
    let data = env.home().join("demo");
    let ran = env.run(&["demo", "--tour", "--data-dir", data.to_str().unwrap()]).await.ends(0);
    assert!(ran.stdout.contains("$ hoopctl audit verify"), "{}", ran.text());
    assert!(ran.stdout.contains("Nothing is left behind."), "{}", ran.text());
    assert_gone(&data);
}

/// Early, while the cluster is made, while the broker starts, and when all of it runs.
#[tokio::test]
async fn an_interrupted_demo_leaves_nothing_behind() {
    for (after, signal) in
        [("", Signal::INT), ("PostgreSQL", Signal::TERM), ("identity", Signal::HUP), ("Ctrl-C", Signal::INT)]
    {
        let env = Env::new("https://127.0.0.1:1");
        let data = env.home().join("demo");
        let mut child = env
            .command(&["demo", "--data-dir", data.to_str().unwrap()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the demo starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let far_enough = async {
            // the signal handlers are the first thing that it sets up, the folder the second
            while after.is_empty() && !data.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            while !after.is_empty() {
                let line = lines.next_line().await.expect("its output").expect("more output");
                if line.contains(after) {
                    break;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), far_enough).await.expect("it gets that far");
        let pid = Pid::from_raw(i32::try_from(child.id().expect("it runs")).expect("a pid")).expect("a pid");
        kill_process(pid, signal).expect("it hears");
        let status = tokio::time::timeout(Duration::from_secs(60), child.wait())
            .await
            .expect("it ends")
            .expect("it ends");
        let mut said = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut said).await.expect("its output");
        assert!(status.success(), "after `{after}`: {status}: {said}");
        assert_gone(&data);
    }
}

#[tokio::test]
async fn a_folder_that_is_in_use_is_left_alone() {
    let env = Env::new("https://127.0.0.1:1");
    let data = env.home().join("demo");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("precious"), "").unwrap();
    let ran = env.run(&["demo", "--data-dir", data.to_str().unwrap()]).await;
    assert_ne!(ran.code, 0, "{}", ran.text());
    assert!(data.join("precious").exists());
}

fn assert_gone(data: &Path) {
    assert!(!data.exists(), "{} is left behind", data.display());
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let works_there = std::fs::read_link(entry.path().join("cwd")).is_ok_and(|at| at.starts_with(data));
        assert!(!works_there, "process {} is left behind", entry.file_name().display());
    }
}
