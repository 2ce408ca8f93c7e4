//! What shells offer when somebody presses Tab: real bash, zsh and fish.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::env::{Env, Ran, program};
use crate::support::house::House;

async fn stage() -> (House, Env) {
    let house = House::of_names("").await;
    let env = at_shell(house.machine().await);
    (house, env)
}

/// Finds hoopctl the way that a user's shell does.
fn at_shell(mut env: Env) -> Env {
    let folder = Path::new(program()).parent().expect("a folder").display().to_string();
    let path = std::env::var("PATH").expect("a path");
    env.set("PATH", &format!("{folder}:{path}"));
    env
}

fn script(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("completions").join(name).display().to_string()
}

/// What bash offers for these words, the last one at the cursor.
async fn bash(env: &Env, words: &[&str]) -> Ran {
    let code = r#". "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _hoopctl; printf '%s\n' "${COMPREPLY[@]}""#;
    let file = script("hoopctl.bash");
    env.run_other("bash", &[&["--norc", "-c", code, "bash", &file, "hoopctl"], words].concat()).await
}

/// What fish offers, with what it says of each.
async fn fish(env: &Env, line: &str) -> Ran {
    let code = format!("source {}; complete -C '{line}'", script("hoopctl.fish"));
    env.run_other("fish", &["--no-config", "-c", &code]).await
}

/// Types keys into an interactive zsh, in which hoopctl is a function that shows its arguments.
async fn zsh(env: &Env, keys: &str) -> Ran {
    let code = format!(
        r#"zmodload zsh/zpty
        zpty z 'PS1=READY zsh -f -i'
        zpty -w z 'fpath=({folder} $fpath); autoload -U compinit; compinit -u -D; LISTMAX=0; hoopctl() {{ print "RA""N[${{(j:|:)@}}]" }}; print SE""T'
        zpty -r -m z line '*SET*READY*'
        zpty -w z $'{keys}'
        zpty -r -m z line '*RAN*\]*' && print -r -- "$line"
        zpty -d z"#,
        folder = Path::new(&script("_hoopctl")).parent().expect("a folder").display(),
    );
    env.run_other("zsh", &["-f", "-c", &code]).await
}

#[tokio::test]
async fn shells_offer_targets_with_what_they_are() {
    let (_house, env) = stage().await;
    assert_eq!(bash(&env, &["connect", ""]).await.stdout, "bastion\ntraces-api\n");
    assert_eq!(bash(&env, &["exec", "tr"]).await.stdout, "traces-api\n");
    let offered = fish(&env, "hoopctl explain ").await.ends(0).stdout;
    assert_eq!(offered, "bastion\tssh\ntraces-api\thttp: the API of the traces\n");
    let typed = zsh(&env, "hoopctl connect tra\\t").await;
    assert!(typed.stdout.contains("RAN[connect|traces-api]"), "{}", typed.text());
}

#[tokio::test]
async fn shells_offer_commands_options_and_values() {
    let env = at_shell(Env::new("https://127.0.0.1:1"));
    assert_eq!(bash(&env, &["conn"]).await.stdout, "connect\n");
    assert_eq!(bash(&env, &["list", "--output", "="]).await.stdout, "=json\n=text\n");
    assert_eq!(bash(&env, &["connect", "db", "--wa"]).await.stdout, "--wait=\n");
    assert_eq!(fish(&env, "hoopctl list --al").await.stdout.split('\t').next(), Some("--all"));
    let typed = zsh(&env, "hoopctl grant li\\t--out\\tjs\\t").await;
    assert!(typed.stdout.contains("RAN[grant|list|--output|json]"), "{}", typed.text());
}

#[tokio::test]
async fn ids_come_with_their_state() {
    let hold = r#"@id("hold") @review("corp/dba:1")
        forbid (principal, action == Hoop::Action::"connect", resource == Hoop::Target::"bastion");"#;
    let house = House::of_names(hold).await;
    let env = at_shell(house.machine().await);
    let filed = env.run(&["request", "approval", "bastion", "--reason", "look"]).await.ends(0);
    let id = filed.stdout.trim();
    assert_eq!(bash(&env, &["request", "withdraw", ""]).await.stdout, format!("{id}\n"));
    let offered = fish(&env, "hoopctl request show ").await.stdout;
    assert_eq!(offered, format!("{id}\tbastion: alice asks, pending\n"));
    assert_eq!(bash(&env, &["session", "kill", ""]).await.stdout, "\n", "none is open");
    assert_eq!(fish(&env, "hoopctl session kill ").await.stdout, "", "nor an empty word");
}

/// What the broker's people write is data for every shell.
#[tokio::test]
async fn no_name_is_evaluated_and_no_description_steers() {
    let (_house, env) = stage().await;
    let hostile =
        |word: &str| serde_json::json!({ "word": word, "about": "\u{1b}[2Jevil\nhoopctl\tx\u{202e}" });
    let words = ["$(touch pwned)", "`touch pwned`", "x;touch pwned", "x\ntouch", "=ls", "good"];
    let items: Vec<_> = words.into_iter().map(hostile).collect();
    let now = hoopctl::gateway::clock::Clock::system().now();
    plant(&env, &serde_json::json!({ "at": now, "items": items }));
    assert_eq!(bash(&env, &["connect", ""]).await.stdout, "good\n");
    let offered = fish(&env, "hoopctl connect ").await.stdout;
    assert!(offered.starts_with("good\t") && offered.lines().count() == 1, "{offered:?}");
    assert!(!offered.contains(['\u{1b}', '\u{202e}']), "{offered:?}");
    let typed = zsh(&env, "hoopctl connect \\t").await;
    assert!(typed.stdout.contains("RAN[connect|good]"), "{}", typed.text());
    assert!(!env.home().join("pwned").exists());
}

#[tokio::test]
async fn a_dead_broker_costs_half_a_second_once() {
    let (house, env) = stage().await;
    house.broker.signal(Signal::STOP);
    let began = Instant::now();
    let told = env.run(&["tab", "fish", "--", "connect", ""]).await.ends(0);
    assert_eq!((told.stdout.as_str(), told.stderr.as_str()), ("words\n", ""));
    // a debug build on a busy machine starts slowly; without the limit it would be the 30 seconds of a call
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let again = env.run(&["tab", "fish", "--", "connect", ""]).await.ends(0);
    assert_eq!(again.stdout, "words\n");
    house.broker.signal(Signal::CONT);
}

/// Whoever presses Tab may be cut off at any moment, and a refresh token is good once.
#[tokio::test]
async fn pressing_tab_never_renews_a_login() {
    let (_house, env) = stage().await;
    env.run(&["list"]).await.ends(0);
    env.forget_access();
    let told = env.run(&["tab", "bash", "--", "request", "show", ""]).await.ends(0);
    assert_eq!(told.stdout, "words\n");
    assert!(!place(&env).join("access.json").exists(), "the login was renewed");
    // what `list` was told is still known
    let told = env.run(&["tab", "bash", "--", "connect", ""]).await.ends(0);
    assert_eq!(told.stdout, "words\nbastion\ntraces-api\n");
    env.run(&["logout"]).await.ends(0);
    assert!(!place(&env).join("complete-targets.json").exists());
}

fn plant(env: &Env, kept: &serde_json::Value) {
    use std::os::unix::fs::PermissionsExt as _;
    let file = place(env).join("complete-targets.json");
    std::fs::write(&file, kept.to_string()).expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("private");
}

fn place(env: &Env) -> PathBuf {
    let mut brokers = std::fs::read_dir(env.state().join("brokers")).expect("a folder");
    brokers.next().expect("a broker").expect("an entry").path()
}
