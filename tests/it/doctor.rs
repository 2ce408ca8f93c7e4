//! `hoopctl doctor` beside real faults: each is found, named, and mended by what it says.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;

use serde_json::Value;

use crate::support::env::{Env, Ran, program};
use crate::support::house::House;

async fn stage() -> (House, Env) {
    let house = House::of_names("").await;
    let env = house.machine().await;
    (house, env)
}

/// What it says of one thing, and how it ends.
#[track_caller]
fn found(ran: &Ran, check: &str) -> (String, String, i32) {
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.text()));
    let findings = report["findings"].as_array().expect("a list");
    let finding = findings.iter().find(|finding| finding["check"] == check);
    let finding = finding.unwrap_or_else(|| panic!("no {check}: {}", ran.stdout));
    let says = format!("{} {}", finding["says"], finding["fixes"]);
    (finding["state"].as_str().expect("a word").to_owned(), says, ran.code)
}

async fn doctor(env: &Env, more: &[&str]) -> Ran {
    env.run(&[&["doctor", "--output", "json"], more].concat()).await
}

#[track_caller]
fn is_fault(ran: &Ran, check: &str, code: i32, word: &str) {
    let (state, says, ended) = found(ran, check);
    assert_eq!((state.as_str(), ended), ("fault", code), "{}", ran.stdout);
    assert!(says.contains(word), "{says}");
}

#[tokio::test]
async fn where_all_is_well_it_says_so_and_changes_nothing() {
    let (_house, env) = stage().await;
    let ran = env.run(&["doctor"]).await.ends(0);
    assert_eq!(ran.stderr, "");
    for check in ["home", "credential-store", "broker", "clock", "version", "login", "clients", "leftovers"] {
        assert!(ran.stdout.contains(&format!("✓ {check}: ")), "{check}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains(['✗', '\u{1b}']), "{}", ran.stdout);
}

#[tokio::test]
async fn a_home_that_others_may_write_to_is_found() {
    let env = Env::new("https://127.0.0.1:1");
    std::fs::create_dir(env.state()).expect("a folder");
    std::fs::set_permissions(env.state(), std::fs::Permissions::from_mode(0o777)).expect("open to all");
    is_fault(&doctor(&env, &[]).await, "home", 78, "chmod go-rwx");
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_found_also_behind_a_proxy() {
    let mut env = Env::new("https://127.0.0.1:1");
    is_fault(&doctor(&env, &[]).await, "broker", 69, "is the broker running");
    env.set("HTTPS_PROXY", "http://proxy.example:3128");
    is_fault(&doctor(&env, &[]).await, "broker", 69, "goes past proxies");
}

#[tokio::test]
async fn another_certificate_than_the_pinned_one_is_found() {
    let (_house, env) = stage().await;
    let other = format!("sha256:{}", "ab".repeat(32));
    is_fault(&doctor(&env, &["--broker-pin", &other]).await, "broker", 65, "somebody may be in between");
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_found_before_the_login_fails_of_it() {
    let (_house, env) = stage().await;
    for (off, way) in [("+5m", "ahead of"), ("-5m", "behind")] {
        let ran = env.run_other("faketime", &["-f", off, program(), "doctor", "--output", "json"]).await;
        is_fault(&ran, "clock", 78, way);
    }
}

#[tokio::test]
async fn a_login_that_is_gone_is_found() {
    let (house, env) = stage().await;
    env.run(&["logout"]).await.ends(0);
    let pin = house.broker.pin();
    is_fault(&doctor(&env, &["--broker-pin", &pin]).await, "login", 79, "hoopctl login");
}

/// Signed in at the desktop, and now over SSH, where no session bus is.
#[tokio::test]
async fn a_keyring_that_does_not_open_is_found() {
    let (_house, mut env) = stage().await;
    let brokers = std::fs::read_dir(env.state().join("brokers")).expect("a folder");
    for broker in brokers {
        let marker = broker.expect("an entry").path().join("credential-store");
        std::fs::write(marker, "\"keyring\"").expect("written");
    }
    env.set("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
    is_fault(&doctor(&env, &[]).await, "credential-store", 78, "HOOPCTL_CREDENTIAL_STORE=file");
}

#[tokio::test]
async fn a_client_that_is_not_installed_is_found() {
    let (_house, mut env) = stage().await;
    let empty = env.home().join("empty");
    std::fs::create_dir(&empty).expect("a folder");
    env.set("PATH", &empty.display().to_string());
    is_fault(&doctor(&env, &[]).await, "clients", 78, "apt-get install curl");
}

#[tokio::test]
async fn a_configuration_of_ssh_that_leads_elsewhere_is_found() {
    let (_house, env) = stage().await;
    env.run(&["ssh-config"]).await.ends(0);
    assert_eq!(found(&doctor(&env, &[]).await, "ssh-config").0, "ok");
    let file = env.home().join(".ssh/config");
    let text = std::fs::read_to_string(&file).expect("written");
    std::fs::write(&file, format!("Host *\n  ProxyCommand /bin/false\n{text}")).expect("written");
    is_fault(&doctor(&env, &[]).await, "ssh-config", 78, "hoopctl ssh-config");
    std::fs::write(&file, "").expect("written");
    is_fault(&doctor(&env, &[]).await, "ssh-config", 78, "does not include");
}

#[tokio::test]
async fn what_a_killed_session_left_behind_is_found() {
    let (_house, env) = stage().await;
    let folder = env.state().join("run/s-left");
    std::fs::create_dir_all(&folder).expect("a folder");
    // a process that is killed takes its listener with it, and leaves the name
    drop(UnixListener::bind(folder.join(".s.PGSQL.5432")).expect("a socket"));
    is_fault(&doctor(&env, &[]).await, "leftovers", 78, "rm -r");
    std::fs::remove_file(folder.join(".s.PGSQL.5432")).expect("removed");
    let _listens = UnixListener::bind(folder.join(".s.PGSQL.5432")).expect("a socket");
    doctor(&env, &[]).await.ends(0);
}

#[tokio::test]
async fn a_job_without_the_right_to_a_token_is_found() {
    let mut env = Env::new("https://127.0.0.1:1");
    env.set("GITHUB_ACTIONS", "true");
    env.set("ACTIONS_ID_TOKEN_REQUEST_URL", "https://token.example");
    is_fault(&doctor(&env, &[]).await, "workload", 78, "id-token: write");
    let mut env = Env::new("https://127.0.0.1:1");
    env.set("HOOPCTL_WORKLOAD", "token-file:/nowhere/token");
    is_fault(&doctor(&env, &[]).await, "workload", 79, "/nowhere/token");
}

#[tokio::test]
async fn a_brokers_machine_is_looked_at_too() {
    let env = Env::new("https://127.0.0.1:1");
    let broker = async || doctor(&env, &["--config", "broker.toml"]).await;
    std::fs::write(env.home().join("broker.toml"), "[broker]\nlisten = 7\n").expect("written");
    is_fault(&broker().await, "config", 78, "broker check");
    std::fs::remove_file(env.home().join("broker.toml")).expect("removed");
    env.run(&["broker", "init"]).await.ends(0);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let text = std::fs::read_to_string(env.home().join("broker.toml")).expect("written");
    let text = text.replace("7443", &port.to_string());
    std::fs::write(env.home().join("broker.toml"), &text).expect("written");
    let data = env.home().join(data_dir(&text));
    std::fs::create_dir_all(&data).expect("a folder");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).expect("open to all");
    // something else listens there, until it was asked twice
    let listener = std::thread::spawn(move || taken.incoming().take(3).for_each(drop));
    is_fault(&broker().await, "data-dir", 78, "chmod 700");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).expect("private");
    is_fault(&broker().await, "port", 78, "ss -ltnp");
    assert_eq!(found(&broker().await, "disk").0, "ok");
    listener.join().expect("it ends");
    assert_eq!(found(&broker().await, "port").0, "ok");
    // a file system that has no room for anybody
    let full = text.replace(&format!("data_dir = \"{}\"", data_dir(&text).display()), "data_dir = \"/proc\"");
    std::fs::write(env.home().join("broker.toml"), full).expect("written");
    is_fault(&broker().await, "disk", 78, "df /proc");
}

fn data_dir(config: &str) -> &Path {
    let line = config.lines().find(|line| line.starts_with("data_dir")).expect("it is there");
    Path::new(line.split('"').nth(1).expect("a path"))
}

#[tokio::test]
async fn a_broker_that_runs_has_its_port_rightly() {
    let house = House::start().await;
    let env = house.machine().await;
    let config = house.broker.config.display().to_string();
    let ran = doctor(&env, &["--config", &config]).await;
    assert_eq!(found(&ran, "port").0, "ok", "{}", ran.stdout);
}
