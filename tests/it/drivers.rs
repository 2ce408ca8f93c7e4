//! Other people's drivers and tools, through the gateway: each script in `drivers/` does what programs
//! do, and repeats all that it receives.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use hoopctl::domain::mask::{ColumnPattern, Mask, MaskRule};
use hoopctl::domain::name::RuleName;
use tokio::process::Command;

use crate::support::gateway::{Gateway, SECRET, Setup};
use crate::support::postgres::{Cluster, majors};

#[tokio::test(flavor = "multi_thread")]
async fn psycopg_works() {
    run("with_psycopg.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncpg_works() {
    run("with_asyncpg.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_postgres_works() {
    run("with_pg.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_js_works() {
    run("with_postgres_js.mjs").await;
}

/// Runs a script on a target without masks, and on one where `people.ssn` is masked.
async fn run(script: &str) {
    let cluster = Cluster::start(*majors().last().expect("a major"));
    cluster.admin().await.batch_execute(TABLES).await.expect("the tables");
    let mut problems = String::new();
    for kind in ["plain", "masked"] {
        let masks = if kind == "masked" { vec![mask()] } else { Vec::new() };
        let gateway = Gateway::start(&cluster, Setup { masks, ..Setup::open(&cluster) });
        let output = bounded(&mut command(script, kind), &gateway).await;
        let text = both(&output);
        if !output.status.success() {
            let told = text.lines().filter(|line| !line.starts_with("received") && !line.starts_with("ok "));
            problems += &format!("{script} {kind}\n{}\n", told.collect::<Vec<_>>().join("\n"));
        }
        if kind == "masked" {
            assert!(!text.contains("top-secret"), "{script} was told the secret: {text}");
            let shown = gateway.book.shown();
            assert!(!shown.windows(10).any(|window| window == b"top-secret"), "{script}: it was on the wire");
        }
    }
    assert!(problems.is_empty(), "{problems}");
}

fn command(script: &str, kind: &str) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/drivers").join(script);
    let place = drivers();
    let python = script.extension().is_some_and(|extension| extension == "py");
    let program = if python { place.join("python/bin/python") } else { PathBuf::from("node") };
    let mut command = Command::new(program);
    command.arg(script).arg(kind).env("NODE_FOLDER", place).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Runs a program against a gateway; it fails when it takes too long.
async fn bounded(command: &mut Command, gateway: &Gateway) -> Output {
    let output = command
        .env("PGHOST", gateway.folder())
        .env("PGPORT", "5432")
        .env("PGUSER", "alice")
        .env("PGPASSWORD", SECRET)
        .env("PGDATABASE", "postgres")
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(Duration::from_secs(240), output).await.expect("in time").expect("it runs")
}

fn both(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn mask() -> MaskRule {
    MaskRule {
        name: RuleName::new("mask.test").expect("a name"),
        column: ColumnPattern::new("public.people.ssn").expect("a pattern"),
        path: None,
        mask: Mask::Full,
        lifted_for: std::collections::BTreeSet::new(),
    }
}

/// Where `tests/setup/drivers.sh` put the drivers.
fn drivers() -> PathBuf {
    let caches = [
        std::env::var_os("HOOPCTL_TEST_CACHE").map(PathBuf::from),
        Some(PathBuf::from("/var/cache/hoopctl-tests")),
        std::env::var_os("XDG_CACHE_HOME").map(|cache| Path::new(&cache).join("hoopctl-tests")),
        std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/hoopctl-tests")),
    ];
    let found = caches.into_iter().flatten().map(|cache| cache.join("drivers")).find(|at| at.exists());
    found.expect("no drivers here; run: tests/setup/drivers.sh")
}

const TABLES: &str = "
    CREATE TABLE people (id int PRIMARY KEY, name text, ssn text);
    INSERT INTO people VALUES (1, 'ada', 'top-secret'), (2, 'bob', 'top-secret-2');
    CREATE TABLE things (id uuid NOT NULL, number int, doc jsonb, tags text[], at timestamptz, amount numeric, raw bytea);
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);";
