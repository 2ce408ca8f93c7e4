//! Test suites of others, without us and through us: each of their tests ends the same way.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use crate::idle::say;
use crate::support::cached;
use crate::support::gateway::{Gateway, SECRET, Setup};
use crate::support::postgres::Cluster;

/// SQLAlchemy's dialect suite by psycopg and by asyncpg. Whatever ends otherwise through a gateway that allows
/// everything and masks nothing is in `suites/sqlalchemy.txt`, with its reason.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; `tests/run --full` runs it"]
async fn sqlalchemys_own_tests_end_the_same() {
    let mut problems = Vec::new();
    for driver in ["psycopg", "asyncpg"] {
        let direct = scratch().await;
        let user = format!("postgres:{}@127.0.0.1:{}", direct.password, direct.port);
        let without_us = play(&format!("postgresql+{driver}://{user}/{DATABASE}")).await;
        drop(direct);

        let behind = scratch().await;
        let gateway = Gateway::start(&behind, Setup { database: DATABASE.into(), ..Setup::open(&behind) });
        let mut url = url::Url::parse(&format!("postgresql+{driver}:///{DATABASE}")).expect("a URL");
        url.query_pairs_mut()
            .append_pair("user", "alice")
            .append_pair("password", SECRET)
            .append_pair("host", &gateway.folder().to_string_lossy())
            .append_pair("port", "5432");
        let with_us = play(url.as_str()).await;

        let passed = |ends: &Ends| ends.values().filter(|end| *end == "PASSED").count();
        say(&format!("{driver}: {} pass directly, {} through us", passed(&without_us), passed(&with_us)));
        assert!(passed(&without_us) > 1800, "few tests ran by {driver}: {without_us:?}");
        problems.extend(
            differences(&without_us, &with_us, &listed(driver)).map(|told| format!("{driver}: {told}")),
        );
    }
    assert!(problems.is_empty(), "{}\ntarget/suites has what was printed", problems.join("\n"));
}

/// What ended otherwise and is not listed, and what is listed and ended the same.
fn differences<'a>(
    without_us: &'a Ends,
    with_us: &'a Ends,
    known: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = String> + 'a {
    let names: BTreeSet<&String> =
        [without_us, with_us, known].into_iter().flat_map(BTreeMap::keys).collect();
    names.into_iter().filter_map(move |name| {
        let [alone, through] = [without_us, with_us].map(|ends| ends.get(name));
        match (alone == through, known.contains_key(name)) {
            (true, false) | (false, true) => None,
            (true, true) => Some(format!("{name} is listed, and ends the same")),
            (false, false) => Some(format!("{name}: {alone:?} directly, {through:?} through us")),
        }
    })
}

/// How each test ended, by its name.
type Ends = BTreeMap<String, String>;

#[test]
fn a_difference_is_told_unless_it_is_listed() {
    let pairs = |pairs: &[(&str, &str)]| -> Ends {
        pairs.iter().map(|(name, end)| ((*name).to_owned(), (*end).to_owned())).collect()
    };
    let alone = pairs(&[("same", "PASSED"), ("broken", "PASSED"), ("gone", "PASSED"), ("known", "PASSED")]);
    let through = pairs(&[("same", "PASSED"), ("broken", "FAILED"), ("known", "FAILED"), ("new", "PASSED")]);
    let known = pairs(&[("known", "a reason"), ("same", "a reason that is gone")]);
    let told: Vec<String> = differences(&alone, &through, &known).collect();
    let begins = ["broken: ", "gone: ", "new: ", "same is listed"];
    assert_eq!(told.len(), begins.len(), "{told:?}");
    assert!(told.iter().zip(begins).all(|(told, begin)| told.starts_with(begin)), "{told:?}");
}

const DATABASE: &str = "test";
const MAJOR: u32 = 18;

/// A cluster with the database that the suite asks for.
async fn scratch() -> Cluster {
    let cluster = Cluster::start(MAJOR);
    let admin = cluster.admin().await;
    admin.batch_execute(&format!("CREATE DATABASE {DATABASE}")).await.expect("a database");
    let admin = cluster.connect("postgres", &cluster.password, DATABASE).await.expect("the superuser");
    let wanted = "CREATE SCHEMA test_schema; CREATE EXTENSION hstore; CREATE EXTENSION citext";
    admin.batch_execute(wanted).await.expect("what the suite needs");
    cluster
}

/// How each test ended. What a test is called holds no version of the server.
async fn play(url: &str) -> Ends {
    let place = cached("sqlalchemy", "sqlalchemy");
    let output = Command::new(place.join("python/bin/python"))
        .args(["-m", "pytest", "-p", "no:cacheprovider", "--maxfail=100000", "--dburi", url])
        .arg("test/dialect/test_suite.py")
        .current_dir(place.join("tests"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(1200), output).await.expect("in time");
    let output = output.expect("pytest runs");
    let text = String::from_utf8_lossy(&output.stdout);
    keep(url, &text);
    let mut ends = Ends::new();
    for line in text.lines().filter(|line| line.starts_with("test/")) {
        let found = ENDS.iter().find_map(|end| Some((line.split_once(&format!(" {end}"))?.0, *end)));
        let Some((name, end)) = found else { continue };
        let parts = name.split("::").map(|part| part.split("_postgresql+").next().unwrap_or_default());
        let known = ends.entry(parts.collect::<Vec<_>>().join("::")).or_default();
        // a test that passes may still fail when it cleans up
        *known = if known.is_empty() { end.to_owned() } else { format!("{known} {end}") };
    }
    ends
}

const ENDS: [&str; 6] = ["PASSED", "FAILED", "ERROR", "SKIPPED", "XFAIL", "XPASS"];

/// The tests that are known to end otherwise by this driver, with why. A line is `driver name: reason`.
fn listed(driver: &str) -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/suites/sqlalchemy.txt");
    let text = fs::read_to_string(path).expect("the list");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let (which, rest) = line.split_once(' ').expect("a driver");
            let (name, why) = rest.rsplit_once(": ").expect("a reason");
            (which == driver).then(|| (name.to_owned(), why.to_owned()))
        })
        .collect()
}

/// Leaves what was printed for somebody to look at.
fn keep(url: &str, text: &str) {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/suites");
    fs::create_dir_all(&place).expect("a folder");
    let which = if url.contains("127.0.0.1") { "directly" } else { "through" };
    let driver = url.split([':', '+']).nth(1).unwrap_or_default();
    fs::write(place.join(format!("sqlalchemy-{driver}.{which}")), text).expect("what was printed");
}
