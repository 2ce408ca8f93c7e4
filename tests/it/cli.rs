//! What the command line says, whole, and with which exit code.

use std::os::unix::fs::PermissionsExt as _;

use insta::assert_snapshot;

use crate::support::env::{Env, Ran};

/// Nothing listens on port 1.
const NOBODY: &str = "https://127.0.0.1:1";

fn whole(ran: &Ran, env: &Env) -> String {
    let home = env.home().to_string_lossy().into_owned();
    let version = env!("CARGO_PKG_VERSION");
    format!("exit {}\n-- stdout\n{}-- stderr\n{}", ran.code, ran.stdout, ran.stderr)
        .replace(&home, "HOME")
        .replace(version, "VERSION")
}

async fn said(arguments: &[&str]) -> String {
    let env = Env::new(NOBODY);
    whole(&env.run(arguments).await, &env)
}

#[tokio::test]
async fn help_is_short_and_names_every_command() {
    assert_snapshot!(said(&["-h"]).await);
}

#[tokio::test]
async fn connect_explains_itself_with_examples() {
    assert_snapshot!(said(&["connect", "--help"]).await);
}

#[tokio::test]
async fn a_wrong_command_line_is_64() {
    assert_snapshot!(said(&["conect", "db"]).await);
}

#[tokio::test]
async fn commands_that_do_not_exist_yet_do_not_appear() {
    let help = said(&["--help"]).await;
    for missing in ["doctor", "generate"] {
        assert!(!help.contains(&format!("\n  {missing} ")), "{missing}:\n{help}");
    }
}

/// One id in 64 begins with a hyphen, and some with a letter that is a flag.
#[tokio::test]
async fn an_id_that_begins_with_a_hyphen_is_an_id() {
    let env = Env::new(NOBODY);
    for id in [
        "-3q27wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "-hq27wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "--q27wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        env.run(&["device", "revoke", id]).await.ends(79);
        env.run(&["device", "revoke", "--only", id]).await.ends(79);
        env.run(&["device", "confirm", "AAAA-BBBB", "--key", id]).await.ends(79);
    }
}

#[tokio::test]
async fn without_a_login_it_is_79() {
    assert_snapshot!(said(&["list"]).await);
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_69() {
    assert_snapshot!(said(&["login"]).await);
}

#[tokio::test]
async fn a_url_that_is_none_is_64() {
    assert_snapshot!(said(&["--broker", "http://broker.example", "list"]).await);
}

#[tokio::test]
async fn a_pin_that_is_none_is_64() {
    assert_snapshot!(said(&["login", "--broker-pin", "sha256:beef"]).await);
}

#[tokio::test]
async fn a_workload_source_that_is_none_is_64() {
    assert_snapshot!(said(&["--workload", "magic", "whoami"]).await);
}

#[tokio::test]
async fn an_id_that_is_none_is_64() {
    assert_snapshot!(said(&["session", "show", "42"]).await);
}

#[tokio::test]
async fn an_exposed_home_is_78() {
    let env = Env::new(NOBODY);
    std::fs::create_dir(env.state()).expect("a folder");
    std::fs::set_permissions(env.state(), std::fs::Permissions::from_mode(0o777)).expect("open to all");
    assert_snapshot!(whole(&env.run(&["whoami"]).await, &env));
}

#[tokio::test]
async fn a_broker_is_set_up_and_checked() {
    let env = Env::new(NOBODY);
    let written = env.run(&["broker", "init"]).await;
    assert_snapshot!("init", whole(&written, &env));
    assert_snapshot!("init_again", whole(&env.run(&["broker", "init"]).await, &env));
    let mode = std::fs::metadata(env.home().join("broker.toml")).expect("written").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::write(env.home().join("broken.toml"), "[broker]\nlisten = 7\n").expect("written");
    assert_snapshot!(
        "check_broken",
        whole(&env.run(&["broker", "check", "--config", "broken.toml"]).await, &env)
    );
    assert_snapshot!(
        "check_missing",
        whole(&env.run(&["broker", "check", "--config", "none.toml"]).await, &env)
    );
}

/// TLS carries no name when the client was told an address, and balancers go by that name.
#[tokio::test]
async fn an_address_behind_proxies_is_warned_of() {
    let env = Env::new(NOBODY);
    env.run(&["broker", "init", "--config", "broker.toml"]).await.ends(0);
    let path = env.home().join("broker.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let check = async || env.run(&["broker", "check", "--config", "broker.toml"]).await.ends(0);
    assert_eq!(check().await.stderr, "");
    let proxied = text.replace("# trusted_proxies", "trusted_proxies");
    std::fs::write(&path, &proxied).unwrap();
    let warned = check().await.stderr;
    assert!(warned.starts_with("warning: broker.public_url is an address"), "{warned}");
    std::fs::write(&path, proxied.replace("https://127.0.0.1", "https://broker.example")).unwrap();
    assert_eq!(check().await.stderr, "");
}

#[tokio::test]
async fn policy_is_checked_with_lines() {
    let env = Env::new(NOBODY);
    std::fs::write(env.home().join("bad.cedar"), "@id(\"x\")\npermit (principal, action\n").expect("written");
    let ran = env.run(&["policy", "check", "bad.cedar"]).await.ends(78);
    assert!(ran.stderr.contains("bad.cedar:"), "{}", ran.stderr);
    assert!(ran.stdout.is_empty(), "{}", ran.stdout);
}

#[tokio::test]
async fn policy_cases_are_judged_and_a_failing_one_is_65() {
    let env = Env::new(NOBODY);
    env.run(&["broker", "init"]).await.ends(0);
    let cases = r#"
        [[case]]
        name = "drop"
        as = "corp:alice"
        target = "db"
        sql = "DROP TABLE t"
        expect = "deny"
        rule = "destructive-sql.drop"

        [[case]]
        as = "corp:alice"
        target = "db"
        sql = "SELECT * FROM t"
        facts = { limit = 5 }
        expect = "allow"
    "#;
    std::fs::write(env.home().join("cases.toml"), cases).expect("written");
    assert_snapshot!("policy_test", whole(&env.run(&["policy", "test", "cases.toml"]).await, &env));
    let wrong = cases.replace(r#"expect = "allow""#, r#"expect = "hold""#);
    std::fs::write(env.home().join("cases.toml"), wrong).expect("written");
    let ran = env.run(&["policy", "test", "cases.toml", "--output", "json"]).await.ends(65);
    assert_eq!(ran.stdout.lines().count(), 2, "{}", ran.stdout);
    for (broken, told) in [
        ("", "has no [[case]]"),
        ("[[case]]\nas = 'corp:a'\ntarget = 'db'\nexpect = 'maybe'", "`maybe` is not allow, deny or hold"),
        (
            "[[case]]\nas = 'corp:a'\ntarget = 'db'\nsql = 'SELECT 1'\nfacts = { labls = [] }\nexpect = 'allow'",
            "there is no fact `labls`",
        ),
    ] {
        std::fs::write(env.home().join("cases.toml"), broken).expect("written");
        let ran = env.run(&["policy", "test", "cases.toml"]).await.ends(78);
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
    }
}

#[tokio::test]
async fn policy_says_why_and_its_exit_code_tells_the_verdict() {
    let env = Env::new(NOBODY);
    env.run(&["broker", "init"]).await.ends(0);
    let explain = async |sql: &str, code| {
        let asked = ["policy", "explain", "db", "--as", "corp:alice", "--sql", sql];
        env.run(&asked).await.ends(code).stdout
    };
    let denied = explain("DROP TABLE t", 77).await;
    assert!(denied.starts_with("deny statement on db for corp:alice, by destructive-sql.drop"), "{denied}");
    let allowed = explain("SELECT a FROM t WHERE id = 1", 0).await;
    assert!(allowed.starts_with("allow statement on db for corp:alice"), "{allowed}");
    let json = ["policy", "explain", "db", "--as", "corp:alice", "--output", "json"];
    let told: serde_json::Value =
        serde_json::from_str(&env.run(&json).await.stdout).expect("one object of JSON");
    assert_eq!((&told["action"], &told["principal"]), (&"connect".into(), &"corp:alice".into()));
}

#[tokio::test]
async fn verifying_a_folder_that_is_no_ledger_fails() {
    let env = Env::new(NOBODY);
    assert_snapshot!(whole(&env.run(&["audit", "verify", "--dir", "."]).await, &env));
}

#[tokio::test]
async fn nothing_but_completions_goes_to_stdout() {
    let env = Env::new(NOBODY);
    let ran = env.run(&["completions", "bash"]).await.ends(0);
    assert!(ran.stdout.contains("_hoopctl()"));
    assert_eq!(ran.stderr, "");
}

#[tokio::test]
async fn recordings_may_be_asked_for_without_a_folder() {
    let env = Env::new(NOBODY);
    let ran = env.run(&["audit", "verify", "--recordings", "--output", "json"]).await.ends(79);
    assert!(ran.stderr.contains("not logged in"), "{}", ran.stderr);
}
