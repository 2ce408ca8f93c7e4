//! The demo keeps its promises, and whatever ends it leaves nothing behind.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use hoopctl::broker::embedded::{ApproveError, Decision, decide};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use crate::support::env::{Env, Ran};

#[tokio::test]
async fn the_tour_keeps_its_promises() {
    let env = Env::new("https://127.0.0.1:1");
    let data = env.home().join("demo");
    let ran = env.run(&["demo", "--tour", "--data-dir", data.to_str().unwrap()]).await.ends(0);
    for typed in ["connect db", "connect traces-api", "connect bastion", "exec bastion", "audit verify"] {
        assert!(ran.stdout.contains(&format!("$ hoopctl {typed}")), "{typed}: {}", ran.text());
    }
    assert!(!ran.stdout.contains(".example:"), "an address is shown: {}", ran.text());
    assert!(ran.stdout.contains("Nothing is left behind."), "{}", ran.text());
    assert_gone(&data);
}

/// Early, while the cluster is made, while the host and the broker start, and when all of it runs.
#[tokio::test]
async fn an_interrupted_demo_leaves_nothing_behind() {
    for (after, signal) in [
        ("", Signal::INT),
        ("PostgreSQL", Signal::TERM),
        ("HTTP API", Signal::INT),
        ("identity", Signal::HUP),
        ("Ctrl-C", Signal::INT),
    ] {
        let (code, said) = interrupted(&[], after, signal).await;
        assert_eq!(code, Some(0), "after `{after}`: {said}");
    }
}

/// While a login waits for its approval, while psql and scp run, while a statement is held, and while it verifies.
#[tokio::test]
async fn an_interrupted_tour_leaves_nothing_behind() {
    for (after, signal) in [
        ("$ hoopctl login", Signal::INT),
        ("$ hoopctl connect", Signal::INT),
        ("$ hoopctl exec bastion", Signal::INT),
        ("$ hoopctl request", Signal::TERM),
        ("$ hoopctl audit", Signal::HUP),
    ] {
        let (code, said) = interrupted(&["--tour"], after, signal).await;
        assert_ne!(code, Some(0), "after `{after}`: a tour that did not end keeps no promise");
        assert!(said.contains("interrupted"), "after `{after}`: {said}");
    }
}

/// Interrupts a demo after a line with this in it; how it ended, and what it said on standard error.
async fn interrupted(arguments: &[&str], after: &str, signal: Signal) -> (Option<i32>, String) {
    let env = Env::new("https://127.0.0.1:1");
    let data = env.home().join("demo");
    let arguments = [&["demo", "--data-dir", data.to_str().unwrap()], arguments].concat();
    let mut child = env
        .command(&arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the demo starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut ports = BTreeSet::new();
    let far_enough = async {
        // the signal handlers are the first thing that it sets up, the folder the second
        while after.is_empty() && !data.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        while !after.is_empty() {
            let line = lines.next_line().await.expect("its output").expect("more output");
            ports.extend(line.split("127.0.0.1:").skip(1).filter_map(port));
            if line.contains(after) {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(120), far_enough).await.expect("it gets that far");
    let pid = Pid::from_raw(i32::try_from(child.id().expect("it runs")).expect("a pid")).expect("a pid");
    kill_process(pid, signal).expect("it hears");
    // a full pipe would be ours to blame
    let rest = async { while let Ok(Some(_)) = lines.next_line().await {} };
    let (status, ()) =
        tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(child.wait(), rest) })
            .await
            .expect("it ends");
    let mut said = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut said).await.expect("its output");
    assert_gone(&data);
    assert!(after.len() < 9 || !ports.is_empty(), "no port was named");
    for port in ports {
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "after `{after}`: port {port} is open");
    }
    (status.expect("it ends").code(), said)
}

fn port(rest: &str) -> Option<u16> {
    rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

/// Other users of the machine reach the demo's ports, and must not work on its host for whoever started it. What
/// somebody leaves running there ends with the demo.
#[tokio::test]
async fn the_demos_host_is_for_whoever_knows_the_passcode_and_keeps_nothing_running() {
    let env = Env::new("https://127.0.0.1:1");
    let data = env.home().join("demo");
    let mut demo = env.command(&["demo", "--data-dir", data.to_str().unwrap()]);
    let mut demo = demo.stdout(Stdio::piped()).spawn().expect("the demo starts");
    let mut lines = BufReader::new(demo.stdout.take().expect("a pipe")).lines();
    let mut text = String::new();
    while !text.contains("Ctrl-C") {
        text.push_str(&lines.next_line().await.expect("its output").expect("more output"));
        text.push('\n');
    }
    let after = |what: &str| {
        let (_, rest) = text.split_once(what).unwrap_or_else(|| panic!("no {what}: {text}"));
        rest.split([' ', '\n']).next().unwrap_or_default().to_owned()
    };
    let (passcode, pin, broker) =
        (after("with the passcode "), after("--broker-pin "), after("HOOPCTL_BROKER="));
    let alice = Env::new(&broker);
    let passcode = passcode.trim_end_matches('.');
    let answer = async |page: String| {
        let page = page.parse().expect("a page");
        let refused = decide(&page, Decision::Approve("alice")).await;
        assert!(matches!(refused, Err(ApproveError::Refused(403))), "{refused:?}");
        decide(&page, Decision::Unlock { user: "alice", passcode }).await.expect("it is the passcode");
    };
    alice.login(&["--broker-pin", &pin], answer).await.ends(0);
    let leave = "nohup sleep 1000 >/dev/null 2>&1 & echo left";
    let ran = alice.run(&["connect", "bastion", "--", leave]).await.ends(0);
    assert!(ran.stdout.contains("left"), "{}", ran.text());
    let pid = Pid::from_raw(i32::try_from(demo.id().expect("it runs")).expect("a pid")).expect("a pid");
    kill_process(pid, Signal::INT).expect("it hears");
    let rest = async { while let Ok(Some(_)) = lines.next_line().await {} };
    let (status, ()) =
        tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(demo.wait(), rest) })
            .await
            .expect("it ends");
    assert_eq!(status.expect("it ends").code(), Some(0), "the demo says what is left");
    assert_gone(&data);
}

#[tokio::test]
async fn a_machine_without_opensshs_server_is_told_what_to_install() {
    let env = Env::new("https://127.0.0.1:1");
    let mut command = env.command(&["demo"]);
    let ran = Ran::from(command.env("HOOPCTL_DEMO_SSHD", "/nowhere/sshd").output().await.expect("it runs"));
    assert_eq!(ran.code, 78, "{}", ran.text());
    assert!(ran.stderr.contains("there is no OpenSSH server"), "{}", ran.text());
    assert!(ran.stderr.contains("apt-get install openssh-server"), "{}", ran.text());
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
    let name = data.to_str().expect("a name");
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let about = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
        let works_there = std::fs::read_link(entry.path().join("cwd")).is_ok_and(|at| at.starts_with(data));
        let names_it = [about("cmdline"), about("environ")]
            .iter()
            .any(|bytes| String::from_utf8_lossy(bytes).contains(name));
        assert!(!works_there && !names_it, "process {} is left behind", entry.file_name().display());
    }
}
