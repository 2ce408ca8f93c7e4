//! Sockets and ports that stay the same, and what is set up with them once.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use super::stage::{Stage, places};
use crate::support::env::{Env, Ran};
use crate::support::postgres::free_port;

/// `hoopctl connect db --sticky --listen …`, once it listens; its URL.
async fn listening(env: &Env, address: &str) -> (Child, String) {
    let mut command = env.command(&["connect", "db", "--sticky", "--listen", address]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs");
    let url = BufReader::new(child.stdout.take().expect("a pipe")).lines().next_line().await;
    (child, url.expect("its output").expect("a URL"))
}

async fn plain(env: &Env, program: &str, arguments: &[&str]) -> Ran {
    let like = env.command(&[]);
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(like.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
    Ran::from(command.output().await.expect("it runs"))
}

async fn ends(mut child: Child) {
    let pid = rustix::process::Pid::from_raw(child.id().expect("it runs").try_into().expect("a pid"));
    rustix::process::kill_process(pid.expect("a pid"), rustix::process::Signal::INT).expect("it hears");
    assert!(child.wait().await.expect("it ends").success());
}

fn port_of(url: &str) -> &str {
    url.split_once("127.0.0.1:").expect("an address").1.split('/').next().expect("a port")
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_finds_the_service_while_something_sticky_runs() {
    let stage = Stage::of_databases("").await;
    let alice = stage.login("alice").await;
    let written = alice.run(&["pg-service"]).await.ends(0);
    assert_eq!(written.stdout, "psql service=db\npsql service=orders-db\n", "{}", written.text());
    let select = ["service=db", "-XAtc", "select current_database()"];
    assert_eq!(plain(&alice, "psql", &select).await.code, 2, "nothing listens");

    let (child, url) = listening(&alice, "127.0.0.1:0").await;
    let ran = plain(&alice, "psql", &select).await.ends(0);
    assert_eq!(ran.stdout, "postgres\n", "{}", ran.text());
    plain(&alice, "psql", &[&url, "-XAtc", "select 1"]).await.ends(0);
    let place = sticky(&alice);
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&place), mode(&place.join("pgpass"))), (0o700, 0o600));
    let second = alice.run(&["exec", "--sticky", "db", "--", "true"]).await.ends(78);
    assert!(second.stderr.contains("the sticky place of `db` is in use"), "{}", second.text());
    // the others do not mind
    alice.run(&["exec", "db", "--", "true"]).await.ends(0);
    ends(child).await;
    assert!(!place.exists() && places(&alice).is_empty(), "a password stays");

    let command = ["exec", "--sticky", "db", "orders-db", "--", "psql", "service=orders-db", "-XAtc"];
    let ran = alice.run(&[command.as_slice(), &["select current_database()"]].concat()).await.ends(0);
    assert_eq!(ran.stdout, "orders\n");
    let (child, again) = listening(&alice, "127.0.0.1:0").await;
    assert_eq!(port_of(&again), port_of(&url), "another port");
    ends(child).await;
}

fn sticky(env: &Env) -> PathBuf {
    let broker = std::fs::read_dir(env.state().join("sticky")).expect("a folder").next();
    broker.expect("one").expect("an entry").path().join("db")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_somebody_else_has_is_named_and_another_can_be_chosen() {
    let stage = Stage::of_databases("").await;
    let alice = stage.login("alice").await;
    let (child, url) = listening(&alice, "127.0.0.1:0").await;
    ends(child).await;
    let squatter = std::net::TcpListener::bind(format!("127.0.0.1:{}", port_of(&url))).expect("it is free");
    let taken = alice.run(&["connect", "db", "--sticky", "--listen", "127.0.0.1:0"]).await.ends(78);
    let said =
        format!("port {} is in use by another program, and it is the sticky port of `db`", port_of(&url));
    assert!(
        taken.stderr.contains(&said) && taken.stderr.contains("--listen 127.0.0.1:PORT"),
        "{}",
        taken.text()
    );
    let chosen = free_port();
    let (child, url) = listening(&alice, &format!("127.0.0.1:{chosen}")).await;
    assert_eq!(port_of(&url), chosen.to_string());
    ends(child).await;
    drop(squatter);
    let (child, url) = listening(&alice, "127.0.0.1:0").await;
    assert_eq!(port_of(&url), chosen.to_string(), "it is not remembered");
    ends(child).await;
    let env = ["exec", "--sticky", "db", "--", "sh", "-c", "echo $PGREQUIREAUTH $PGREQUIREPEER"];
    let ran = alice.run(&env).await.ends(0);
    assert!(ran.stdout.starts_with("scram-sha-256 ") && ran.stdout.len() > 15, "{}", ran.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_written_once_and_nothing_of_the_users_is_lost() {
    let stage = Stage::of_databases("").await;
    let alice = stage.login("alice").await;
    let file = alice.home().join("services");
    let name = file.to_string_lossy().into_owned();
    let own = "[mine]\r\nhost=elsewhere\r\n\r\n# no line end";
    std::fs::write(&file, own).expect("written");
    let shown = alice.run(&["pg-service", "--dry-run", "db", "--file", &name]).await.ends(0);
    assert!(shown.stdout.starts_with("[db]\nhost=/"), "{}", shown.text());
    assert_eq!(std::fs::read_to_string(&file).expect("there"), own, "a dry run wrote");
    for _ in 0..2 {
        alice.run(&["pg-service", "db", "--file", &name]).await.ends(0);
    }
    let text = std::fs::read_to_string(&file).expect("there");
    assert!(text.ends_with(own) && text.matches("[db]").count() == 1, "{text}");
    alice.run(&["pg-service", "--remove", "--file", &name]).await.ends(0);
    assert_eq!(std::fs::read_to_string(&file).expect("there"), own);

    std::fs::write(&file, "[db]\nhost=elsewhere\n").expect("written");
    let clash = alice.run(&["pg-service", "--file", &name]).await.ends(78);
    assert!(clash.stderr.contains("has a section `db` of your own"), "{}", clash.text());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o400)).expect("ours");
    let refused = alice.run(&["pg-service", "orders-db", "--file", &name]).await.ends(78);
    assert!(refused.stderr.contains("read-only"), "{}", refused.text());
    assert_eq!(std::fs::read_to_string(&file).expect("there"), "[db]\nhost=elsewhere\n");
    alice.run(&["pg-service", "nowhere"]).await.ends(77);
}
