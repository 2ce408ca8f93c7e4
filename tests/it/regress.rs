//! PostgreSQL's own regression tests, without us and through us: what its psql prints is the same.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use tokio::process::Command;

use crate::idle::say;
use crate::support::cached;
use crate::support::gateway::{Gateway, SECRET, Setup};
use crate::support::postgres::{Cluster, ordinary_user};

/// The texts are of this version, and so is the program that runs them.
const MAJOR: u32 = 15;

/// Two clusters, since the tests make roles and databases: one is spoken to directly, one through a gateway that
/// allows everything and masks nothing.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; `tests/run --full` runs it"]
async fn postgresqls_own_tests_print_the_same() {
    let direct = scratch().await;
    let port = direct.port.to_string();
    let without_us = Results::of(play(&direct, "127.0.0.1", &port, "postgres", &direct.password).await);
    drop(direct);

    let behind = scratch().await;
    let setup = Setup { database: DATABASE.into(), ..Setup::open(&behind) };
    let gateway = Gateway::start(&behind, setup);
    let with_us = Results::of(play(&behind, gateway.folder(), "5432", "alice", SECRET).await);

    assert!(without_us.printed.len() > 200, "few tests ran:\n{}", without_us.told);
    let differ: Vec<&str> = without_us
        .printed
        .iter()
        .filter(|(name, printed)| with_us.printed.get(*name) != Some(printed))
        .map(|(name, _)| name.as_str())
        .collect();
    say(&format!(
        "{} tests; as their files say: {} directly, {} through the gateway; printed otherwise: {differ:?}",
        without_us.printed.len(),
        without_us.passed,
        with_us.passed
    ));
    for name in &differ {
        keep(name, &without_us, &with_us);
    }
    assert!(differ.is_empty(), "target/regress has what they printed");
}

const DATABASE: &str = "regression";

/// A cluster with the database that the tests are made for.
async fn scratch() -> Cluster {
    let cluster = Cluster::start_with(MAJOR, &["autovacuum=off"]);
    let admin = cluster.admin().await;
    admin
        .batch_execute("CREATE DATABASE regression TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
        .await
        .expect("a database");
    for setting in [
        "lc_messages TO 'C'",
        "lc_monetary TO 'C'",
        "lc_numeric TO 'C'",
        "lc_time TO 'C'",
        "bytea_output TO 'hex'",
        "timezone_abbreviations TO 'Default'",
    ] {
        admin.batch_execute(&format!("ALTER DATABASE regression SET {setting}")).await.expect("a setting");
    }
    cluster
}

/// What `pg_regress` wrote, and the folder where what psql printed is.
async fn play(
    cluster: &Cluster,
    host: impl AsRef<Path>,
    port: &str,
    user: &str,
    password: &str,
) -> (String, tempfile::TempDir) {
    let texts = cached("regress", "regress");
    let programs = Path::new("/usr/lib/postgresql").join(MAJOR.to_string());
    let place =
        tempfile::Builder::new().prefix("hoopctl-regress-").tempdir_in(&cluster.folder).expect("a folder");
    // COPY writes some results, and that is done by the server's user
    fs::create_dir(place.path().join("results")).expect("results");
    if let Some((uid, gid)) = ordinary_user() {
        for folder in [place.path().to_owned(), place.path().join("results")] {
            chown(folder, Some(uid), Some(gid)).expect("chown");
        }
    }
    let output = Command::new(programs.join("lib/pgxs/src/test/regress/pg_regress"))
        .arg(format!("--bindir={}", programs.join("bin").display()))
        .arg(format!("--dlpath={}", texts.display()))
        .arg(format!("--inputdir={}", texts.display()))
        .arg(format!("--outputdir={}", place.path().display()))
        .arg(format!("--schedule={}", texts.join("parallel_schedule").display()))
        .arg(format!("--host={}", host.as_ref().display()))
        .args([&format!("--port={port}"), &format!("--user={user}"), &format!("--dbname={DATABASE}")])
        .args(["--use-existing", "--max-connections=5"])
        .env("PGPASSWORD", password)
        .current_dir(place.path())
        .kill_on_drop(true)
        .output()
        .await
        .expect("pg_regress runs");
    (String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr), place)
}

/// How the tests went.
struct Results {
    told: String,
    /// As many printed what PostgreSQL's files say.
    passed: usize,
    /// What psql printed, by test.
    printed: BTreeMap<String, String>,
}

impl Results {
    fn of((told, place): (String, tempfile::TempDir)) -> Self {
        let here = place.path().display().to_string();
        let mut printed = BTreeMap::new();
        for entry in fs::read_dir(place.path().join("results")).expect("results") {
            let path = entry.expect("an entry").path();
            let Some(name) = path.file_stem().filter(|_| path.extension().is_some_and(|end| end == "out"))
            else {
                continue;
            };
            let text =
                String::from_utf8_lossy(&fs::read(&path).expect("what was printed")).replace(&here, "HERE");
            printed.insert(name.to_string_lossy().into_owned(), text);
        }
        let passed = told.lines().filter(|line| line.contains(" ... ok")).count();
        Self { told, passed, printed }
    }
}

/// Leaves what was printed for somebody to compare.
fn keep(name: &str, without_us: &Results, with_us: &Results) {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/regress");
    fs::create_dir_all(&place).expect("a folder");
    for (which, results) in [("directly", without_us), ("through", with_us)] {
        let text = results.printed.get(name).map_or("", String::as_str);
        fs::write(place.join(format!("{name}.{which}")), text).expect("what was printed");
    }
}
