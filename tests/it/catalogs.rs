//! What tools ask the catalog, on a target with masks: it is answered as the database itself does, with the same
//! columns and types, and with the same values where nothing protected is in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::rewrite::extremes;
use crate::support::cached;
use crate::support::gateway::{Gateway, SECRET, Setup};
use crate::support::masks::hidden;
use crate::support::postgres::{Cluster, majors};

/// `catalogs/metabase.sql` and `catalogs/dbeaver.sql`, statement by statement.
#[tokio::test(flavor = "multi_thread")]
async fn questions_of_dashboards_and_clients_are_answered_alike() {
    let mut problems = Vec::new();
    for major in majors() {
        let (cluster, gateway) = shop(major).await;
        let (direct, through) = (cluster.admin().await, gateway.connect().await);
        for question in questions() {
            let [alone, masked] =
                [answer(&direct, &question.text).await, answer(&through, &question.text).await];
            let alone =
                alone.unwrap_or_else(|error| panic!("{}: the database itself: {error}", question.place));
            let fault = match (masked, question.compared) {
                (Err(error), Compared::Refused) if error.contains("rule mask.catalog") => None,
                (Ok(_), Compared::Refused) => Some("it is answered".into()),
                (Err(error), _) => Some(error),
                (Ok(masked), compared) => fault(compared, &alone, &masked),
            };
            problems.extend(fault.map(|fault| format!("{major} {}: {fault}", question.place)));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// SQLAlchemy's inspector, and what pgcli asks to complete names, by their own code.
#[tokio::test(flavor = "multi_thread")]
async fn sqlalchemy_and_pgcli_learn_the_same() {
    for major in extremes() {
        let (cluster, gateway) = shop(major).await;
        for (tool, script) in [("sqlalchemy", "inspect_sqlalchemy.py"), ("pgcli", "ask_pgcli.py")] {
            let run = async |of: Option<&Gateway>| {
                let mut command = Command::new(cached(tool, tool).join("python/bin/python"));
                command.arg(folder().join(script));
                told(command, &cluster, of.map(Gateway::folder)).await
            };
            let (alone, masked) = (run(None).await, run(Some(&gateway)).await);
            assert!(alone.ends_with("done\n"), "{major}: {script}: {alone}");
            assert!(masked.len() > 5000, "{major}: {script} was told little: {masked}");
            same(&format!("{major}: {script}"), &alone, &masked);
        }
    }
}

/// The program itself, as somebody would use it in a script.
#[tokio::test(flavor = "multi_thread")]
async fn pgcli_shows_the_same() {
    for major in extremes() {
        let (cluster, gateway) = shop(major).await;
        let home = tempfile::tempdir().expect("a home");
        let run = async |of: Option<&Gateway>, asked: &[&str]| {
            let mut command = Command::new(cached("pgcli", "pgcli").join("python/bin/pgcli"));
            command.args(["--less-chatty", "--yes"]).env("HOME", home.path());
            command.args(asked.iter().flat_map(|text| ["-c", *text]));
            let text = told(command, &cluster, of.map(Gateway::folder)).await;
            let lines = text.lines().filter(|line| !line.starts_with("Time: "));
            lines.collect::<Vec<_>>().join("\n")
        };
        let asked = [
            "\\d shop.*",
            "\\d+ shop.customers",
            "\\dt shop.*",
            "\\dv shop.*",
            "\\dm shop.*",
            "\\di shop.*",
            "\\ds shop.*",
            "\\df shop.*",
            "\\dT shop.*",
            "\\dD shop.*",
            "\\dn",
            "\\du",
            "\\l",
            "\\dx",
            "\\dp shop.*",
            "\\sf shop.twice",
            "SELECT id, name, joined FROM shop.customers ORDER BY id",
        ];
        let (alone, masked) = (run(None, &asked).await, run(Some(&gateway), &asked).await);
        assert!(alone.contains("orders_by_customer") && alone.contains("ada"), "{alone}");
        same(&format!("{major}: pgcli"), &alone, &masked);
        let shown = run(Some(&gateway), &["SELECT * FROM shop.customers ORDER BY id"]).await;
        assert!(shown.contains("[masked]") && !shown.contains(SECRETS), "{shown}");
    }
}

/// A cluster with a shop, and a gateway that masks its contacts and cards.
async fn shop(major: u32) -> (Cluster, Gateway) {
    let cluster = Cluster::start(major);
    let schema = fs::read_to_string(folder().join("schema.sql")).expect("the schema");
    cluster.admin().await.batch_execute(&schema).await.expect("the shop");
    let masks = ["shop.customers.contact", "shop.orders.card"].map(hidden);
    let gateway = Gateway::start(&cluster, Setup { masks: masks.into(), ..Setup::open(&cluster) });
    (cluster, gateway)
}

/// What every protected value begins with.
const SECRETS: &str = "top-secret";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/catalogs")
}

struct Question {
    place: String,
    text: String,
    compared: Compared,
}

#[derive(Clone, Copy)]
enum Compared {
    /// Columns, where they come from, and rows.
    All,
    /// Columns, and the number of rows: what is masked is another value.
    Otherwise,
    /// Nothing: it shows statistics or other sessions, and is refused.
    Refused,
    /// Columns: the rows change by themselves, or hold what is kept back.
    Shape,
}

fn questions() -> Vec<Question> {
    let mut found = Vec::new();
    for name in ["metabase", "dbeaver"] {
        let text = fs::read_to_string(folder().join(format!("{name}.sql"))).expect("questions");
        for (number, text) in text.split("\n\n").enumerate().skip(1) {
            let compared = match text {
                text if text.starts_with("-- otherwise: ") => Compared::Otherwise,
                text if text.starts_with("-- refused: ") => Compared::Refused,
                text if text.starts_with("-- shape only: ") => Compared::Shape,
                _ => Compared::All,
            };
            let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("-- ")).collect();
            let begin: String = lines[0].chars().take(60).collect();
            let place = format!("{name} {number} ({begin}…)");
            found.push(Question { place, text: lines.join("\n"), compared });
        }
    }
    assert!(found.len() > 40, "{} questions", found.len());
    found
}

/// What a statement gives: columns as they are described, and rows.
#[derive(PartialEq)]
struct Answer {
    names_and_types: Vec<(String, u32)>,
    origins: Vec<(Option<u32>, Option<i16>)>,
    rows: Vec<Vec<Option<String>>>,
}

async fn answer(client: &Client, text: &str) -> Result<Answer, String> {
    let failed = |error: tokio_postgres::Error| {
        error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string)
    };
    let statement = client.prepare(text).await.map_err(failed)?;
    let columns = statement.columns();
    let names_and_types =
        columns.iter().map(|column| (column.name().to_owned(), column.type_().oid())).collect();
    let origins = columns.iter().map(|column| (column.table_oid(), column.column_id())).collect();
    let mut rows = Vec::new();
    for message in client.simple_query(text).await.map_err(failed)? {
        if let SimpleQueryMessage::Row(row) = message {
            rows.push((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect());
        }
    }
    Ok(Answer { names_and_types, origins, rows })
}

fn fault(compared: Compared, alone: &Answer, masked: &Answer) -> Option<String> {
    if format!("{:?}", masked.rows).contains(SECRETS) {
        return Some("it tells a secret".into());
    }
    if alone.names_and_types != masked.names_and_types {
        return Some(format!("columns {:?} became {:?}", alone.names_and_types, masked.names_and_types));
    }
    match compared {
        Compared::Shape | Compared::Refused => None,
        Compared::Otherwise => (alone.rows.len() != masked.rows.len() || alone.rows == masked.rows)
            .then(|| format!("{} rows, {} masked", alone.rows.len(), masked.rows.len())),
        Compared::All if alone.origins != masked.origins => {
            Some(format!("origins {:?} became {:?}", alone.origins, masked.origins))
        }
        Compared::All => {
            let differ = alone.rows.iter().zip(&masked.rows).find(|(alone, masked)| alone != masked);
            (alone.rows != masked.rows)
                .then(|| format!("{} and {} rows; {differ:?}", alone.rows.len(), masked.rows.len()))
        }
    }
}

/// Runs a program against the database itself, or against a gateway at this socket.
async fn told(mut command: Command, cluster: &Cluster, socket: Option<&Path>) -> String {
    command.env("PGDATABASE", "postgres").env("PYTHONDONTWRITEBYTECODE", "1").env("COLUMNS", "200");
    match socket {
        None => command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", cluster.port.to_string())
            .env("PGUSER", "postgres")
            .env("PGPASSWORD", &cluster.password),
        Some(folder) => command
            .env("PGHOST", folder)
            .env("PGPORT", "5432")
            .env("PGUSER", "alice")
            .env("PGPASSWORD", SECRET),
    };
    let output = command.stdin(std::process::Stdio::null()).kill_on_drop(true).output();
    let output =
        tokio::time::timeout(Duration::from_secs(240), output).await.expect("in time").expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn same(what: &str, alone: &str, masked: &str) {
    assert!(!masked.contains(SECRETS), "{what}: it tells a secret");
    let differ = alone.lines().zip(masked.lines()).find(|(alone, masked)| alone != masked);
    let (left, right) = (alone.lines().count(), masked.lines().count());
    assert!(alone == masked, "{what}: {left} and {right} lines; {differ:?}");
}
