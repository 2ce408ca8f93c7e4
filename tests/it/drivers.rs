//! Other people's drivers and tools, through the gateway: each script in `drivers/` does what programs
//! do, and repeats all that it receives.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use tokio::net::{TcpListener, UnixStream};
use tokio::process::Command;

use crate::support::gateway::{Gateway, SECRET, Setup};
use crate::support::masks::hidden;
use crate::support::postgres::{Cluster, free_port, majors};
use crate::support::world::{Twist, World};

#[tokio::test(flavor = "multi_thread")]
async fn drivers_work_on_13() {
    drive(13).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drivers_work_on_15() {
    drive(15).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drivers_work_on_16() {
    drive(16).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drivers_work_on_17() {
    drive(17).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drivers_work_on_18() {
    drive(18).await;
}

/// Runs each script on a target without masks, and on one where `people.ssn` is masked.
async fn drive(major: u32) {
    let cluster = Cluster::start(major);
    let admin = cluster.admin().await;
    let mut problems = String::new();
    for script in SCRIPTS {
        for kind in ["plain", "masked"] {
            admin
                .batch_execute(&format!("DROP SCHEMA public CASCADE; CREATE SCHEMA public; {TABLES}"))
                .await
                .expect("the tables");
            let masks = if kind == "masked" { vec![hidden("public.people.ssn")] } else { Vec::new() };
            let gateway = Gateway::start(&cluster, Setup { masks, ..Setup::open(&cluster) });
            let mut command = command(script, kind);
            if script == JAVA {
                command.env("TCP_PORT", on_tcp(&gateway).await.to_string());
            }
            let output = bounded(&mut command, &gateway).await;
            let text = both(&output);
            if !output.status.success() {
                let told =
                    text.lines().filter(|line| !line.starts_with("received") && !line.starts_with("ok "));
                let told: Vec<_> = told.collect();
                problems += &format!("{script} {kind} on PostgreSQL {major}\n{}\n", told.join("\n"));
            }
            if kind == "masked" {
                assert!(!text.contains("top-secret"), "{script} was told the secret: {text}");
                let shown = gateway.book.shown();
                let leaked = shown.windows(10).any(|window| window == b"top-secret");
                assert!(!leaked, "{script}: it was on the wire");
            }
        }
    }
    assert!(problems.is_empty(), "{problems}");
}

const SCRIPTS: [&str; 6] =
    ["with_psycopg.py", "with_asyncpg.py", "with_pg.mjs", "with_postgres_js.mjs", "with_pgx.go", JAVA];
const JAVA: &str = "WithJdbc.java";

/// asyncpg's own tests, without us and through us: what fails only through us is known, and why.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; `tests/run --full` runs it"]
async fn asyncpgs_own_tests_pass() {
    let cluster = Cluster::start(*majors().last().expect("a major"));
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    let mut command = asyncpgs_own_tests();
    let direct = command
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", cluster.port.to_string())
        .env("PGUSER", "postgres")
        .env("PGPASSWORD", &cluster.password)
        .env("PGDATABASE", "postgres")
        .output()
        .await
        .expect("it runs");
    let through = bounded(&mut asyncpgs_own_tests(), &gateway).await;
    let (direct, through) = (both(&direct), both(&through));
    let passed = |text: &str| text.lines().filter(|line| line.ends_with("... ok")).count();
    let failed = |text: &str| -> BTreeSet<String> {
        let named = |line: &str| {
            let rest = line.strip_prefix("FAIL: ").or_else(|| line.strip_prefix("ERROR: "))?;
            Some(rest.split(' ').next().unwrap_or_default().to_owned())
        };
        text.lines().filter_map(named).collect()
    };
    let (without_us, with_us) = (failed(&direct), failed(&through));
    let ours: BTreeSet<&str> = with_us.difference(&without_us).map(String::as_str).collect();
    assert!(passed(&direct) > 150, "{direct}");
    let known: BTreeSet<&str> = ASYNCPG_FAILS.iter().map(|(name, _)| *name).collect();
    assert_eq!(ours, known, "without us fail {without_us:?}; through us:\n{through}");
    assert!(passed(&through) + ours.len() + 10 > passed(&direct), "{through}");
}

/// Tests of asyncpg that fail through us, and why they must.
const ASYNCPG_FAILS: [(&str, &str); 3] = [
    ("test_introspection_loads_basetypes_of_domains", ONE_DATABASE),
    ("test_introspection_on_large_db", ONE_DATABASE),
    ("test_type_cache_invalidation_in_pool", ONE_DATABASE),
];
const ONE_DATABASE: &str = "it makes a database and connects to it; a target is one database";

fn asyncpgs_own_tests() -> Command {
    let place = drivers();
    let mut command = Command::new(place.join("python/bin/python"));
    command.args(["-m", "unittest", "discover", "--verbose", "--start-directory", "tests"]);
    command.current_dir(place.join("asyncpg-tests")).env("PYTHONDONTWRITEBYTECODE", "1").kill_on_drop(true);
    command
}

fn command(script: &str, kind: &str) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/drivers").join(script);
    let mut command = match script.extension().and_then(|extension| extension.to_str()) {
        Some("py") => Command::new(drivers().join("python/bin/python")),
        Some("mjs") => Command::new("node"),
        Some("go") => go(),
        Some("java") => java(),
        _ => panic!("nothing runs {}", script.display()),
    };
    command.arg(script).arg(kind).env("NODE_FOLDER", drivers()).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Go compiles a file where it runs it, with Debian's packages and no modules.
fn go() -> Command {
    let mut command = Command::new("go");
    command
        .arg("run")
        .env("GO111MODULE", "off")
        .env("GOPATH", "/usr/share/gocode")
        .env("GOFLAGS", "-trimpath")
        .env("GOCACHE", crate::support::cached("go-build", "compiled-drivers"));
    command
}

/// Java does the same.
fn java() -> Command {
    let jars = ["postgresql", "HikariCP", "slf4j-api", "slf4j-nop"];
    let jars = jars.map(|jar| format!("/usr/share/java/{jar}.jar"));
    for jar in &jars {
        assert!(Path::new(jar).exists(), "{jar} is missing; run: tests/setup/compiled-drivers.sh");
    }
    let mut command = Command::new("java");
    command.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &jars.join(":")]);
    command
}

/// A port that leads to a gateway, for who cannot speak to a socket in a folder.
async fn on_tcp(gateway: &Gateway) -> u16 {
    let socket = gateway.folder().join(".s.PGSQL.5432");
    let listener = TcpListener::bind(("127.0.0.1", free_port())).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let socket = socket.clone();
            tokio::spawn(async move {
                let mut gateway = UnixStream::connect(socket).await?;
                tokio::io::copy_bidirectional(&mut client, &mut gateway).await
            });
        }
    });
    port
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
    tokio::time::timeout(Duration::from_secs(600), output).await.expect("in time").expect("it runs")
}

fn both(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Where `tests/setup/drivers.sh` put the drivers.
pub(crate) fn drivers() -> PathBuf {
    crate::support::cached("drivers", "drivers")
}

const TABLES: &str = "
    CREATE TABLE people (id int PRIMARY KEY, name text, ssn text);
    INSERT INTO people VALUES (1, 'ada', 'top-secret'), (2, 'bob', 'top-secret-2');
    CREATE TABLE things (id uuid NOT NULL, number int, doc jsonb, tags text[], at timestamptz, amount numeric, raw bytea);
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);";

/// Debian's client programs, and its server of the same version.
const DEBIAN: u32 = 15;

pub(crate) fn program(name: &str) -> Command {
    let path = Path::new("/usr/lib/postgresql").join(DEBIAN.to_string()).join("bin").join(name);
    assert!(path.exists(), "{} is missing; run: tests/setup/postgres.sh {DEBIAN}", path.display());
    Command::new(path)
}

/// Debian's pgbench has its built-in scripts do the same, without us and through us, on each server.
#[tokio::test(flavor = "multi_thread")]
async fn pgbench_works_in_every_protocol_on_every_major() {
    for major in majors() {
        let cluster = Cluster::start(major);
        let gateway = Gateway::start(&cluster, Setup::open(&cluster));
        let direct = cluster.url("postgres", &cluster.password, "postgres");
        let without_us = played(async |arguments| {
            program("pgbench").args(arguments).arg(&direct).output().await.expect("pgbench runs")
        });
        let without_us = without_us.await;
        let with_us =
            played(async |arguments| bounded(program("pgbench").args(arguments), &gateway).await).await;
        assert_eq!(with_us, without_us, "PostgreSQL {major}");
        assert_eq!(with_us.len(), 9, "{with_us:?}");
        for (name, told) in &with_us {
            assert!(told.contains("transactions actually processed: 80/80"), "{major} {name}: {told}");
            assert!(told.contains("failed transactions: 0"), "{major} {name}: {told}");
        }
        let admin = cluster.admin().await;
        let row = admin.query_one("SELECT count(*) FROM pgbench_history", &[]).await.expect("counts");
        // two of the three write history, and preparing begins it anew
        assert_eq!(row.get::<_, i64>(0), 3 * 2 * 80, "PostgreSQL {major}");
    }
}

/// What pgbench says of each script in each protocol, without how long it took.
async fn played(pgbench: impl AsyncFn(Vec<String>) -> Output) -> BTreeMap<String, String> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let prepared = pgbench(words("-i -s 1 -q")).await;
    assert!(prepared.status.success(), "{}", both(&prepared));
    let mut told = BTreeMap::new();
    for protocol in ["simple", "extended", "prepared"] {
        for script in ["tpcb-like", "simple-update", "select-only"] {
            let output = pgbench(words(&format!("-n -b {script} -M {protocol} -c 4 -j 2 -t 20"))).await;
            let timed = ["latency", "tps", "initial connection time"];
            let text = both(&output);
            let kept = text.lines().filter(|line| !timed.iter().any(|begin| line.starts_with(begin)));
            told.insert(format!("{script} {protocol}"), kept.collect::<Vec<_>>().join("\n"));
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_dump_reads_the_same_as_without_us() {
    let cluster = Cluster::start(DEBIAN);
    let admin = cluster.admin().await;
    admin.batch_execute(TABLES).await.expect("the tables");
    admin.batch_execute(SCHEMA).await.expect("more to dump");
    let gateway = Gateway::start(&cluster, Setup::open(&cluster));
    for arguments in [&["--format=plain"][..], &["--format=plain", "--inserts", "--serializable-deferrable"]]
    {
        let through = bounded(program("pg_dump").args(arguments), &gateway).await;
        assert!(through.status.success(), "{}", both(&through));
        let url = cluster.url("postgres", &cluster.password, "postgres");
        let direct = program("pg_dump").args(arguments).arg(url).output().await.expect("pg_dump runs");
        assert!(direct.status.success(), "{}", both(&direct));
        // newer releases fence a dump with a random word
        let lines = |output: &Output| -> Vec<String> {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.lines().filter(|line| !line.contains("restrict ")).map(str::to_owned).collect()
        };
        assert!(lines(&direct).len() > 100);
        assert_eq!(lines(&through), lines(&direct));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_copies_and_watches() {
    for masks in [Vec::new(), vec![hidden("public.people.ssn")]] {
        let ssn = if masks.is_empty() { "top-secret" } else { "[masked]" };
        let cluster = Cluster::start(*majors().last().expect("a major"));
        cluster.admin().await.batch_execute(TABLES).await.expect("the tables");
        let gateway = Gateway::start(&cluster, Setup { masks, ..Setup::open(&cluster) });
        let file = gateway.folder().join("people.csv");
        let copy =
            format!("\\copy (SELECT id, ssn FROM people ORDER BY id LIMIT 1) TO '{}' CSV", file.display());
        let (_, err, ok) = gateway.run(&["-c", &copy]).await;
        assert!(ok, "{err}");
        assert_eq!(std::fs::read_to_string(&file).expect("the copy"), format!("1,{ssn}\n"));
        std::fs::write(&file, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,7\n").expect("a file");
        let copy = format!("\\copy things (id, number) FROM '{}' CSV", file.display());
        let (out, err, ok) = gateway.run(&["-At", "-c", &copy, "-c", "SELECT number FROM things"]).await;
        assert!(ok, "{err}");
        assert_eq!(out, "COPY 1\n7\n");
        // this psql cannot count how often it watches, so the third look fails
        let watch = "SELECT ssn, 1 / (3 - nextval('looks')) FROM people WHERE id = 1 \\watch 0.1\n";
        let script = gateway.folder().join("watch.sql");
        std::fs::write(&script, watch).expect("a script");
        cluster.admin().await.batch_execute("CREATE SEQUENCE looks").await.expect("a sequence");
        let (out, err, ok) = gateway.run(&["-At", "-f", &script.display().to_string()]).await;
        assert!(!ok && (err.contains("22012") || err.contains("division by zero")), "{err}");
        assert_eq!(out.matches(ssn).count(), 2, "{out}");
    }
}

/// The whole way: `exec`, the loopback, a tunnel, and a lease that may do no more than its target's grants.
#[tokio::test(flavor = "multi_thread")]
async fn drivers_and_tools_work_through_the_tunnel_as_a_lease() {
    const SSN: &str = "[[target.mask]]\ncolumn = \"public.people.ssn\"\nmask = \"full\"\n";
    for (kind, below) in [("plain", ""), ("masked", SSN)] {
        let world = World::start_on(DEBIAN, Twist { below, ..Twist::default() }).await;
        let admin = world.cluster.admin().await;
        admin.batch_execute(TABLES).await.expect("the tables");
        admin
            .batch_execute("CREATE TABLE looks (n int); INSERT INTO looks VALUES (0)")
            .await
            .expect("a table");
        let mut alice = world.login("alice").await;
        alice.set("NODE_FOLDER", &drivers().to_string_lossy());
        alice.set("PYTHONDONTWRITEBYTECODE", "1");
        let mut problems = String::new();
        for script in ["with_psycopg.py", "with_asyncpg.py", "with_pg.mjs"] {
            let command = command(script, kind);
            let words = std::iter::once(command.as_std().get_program()).chain(command.as_std().get_args());
            let words: Vec<_> = words.map(|word| word.to_str().expect("a word")).collect();
            let ran = alice.run(&[&["exec", "db", "--"], words.as_slice()].concat()).await;
            let text = ran.text();
            assert!(
                text.lines().filter(|line| line.starts_with("ok ")).count() > 10,
                "{script} {kind}: {text}"
            );
            if ran.code != 0 {
                let told: Vec<_> = text
                    .lines()
                    .filter(|line| !line.starts_with("received") && !line.starts_with("ok "))
                    .collect();
                problems += &format!("{script} {kind} ends with {}\n{}\n", ran.code, told.join("\n"));
            }
            assert_eq!(text.contains("top-secret"), kind == "plain", "{script} {kind}: {text}");
        }
        assert!(problems.is_empty(), "{problems}");

        let dump = program("pg_dump").as_std().get_program().to_str().expect("a path").to_owned();
        let through = alice.run(&["exec", "db", "--", &dump, "--no-privileges"]).await;
        if kind == "plain" {
            let url = world.cluster.url("postgres", &world.cluster.password, "postgres");
            let direct =
                program("pg_dump").args(["--no-privileges", &url]).output().await.expect("pg_dump runs");
            let lines = |text: &str| -> Vec<String> {
                text.lines().filter(|line| !line.contains("restrict ")).map(str::to_owned).collect()
            };
            assert!(direct.status.success(), "{}", both(&direct));
            assert_eq!(lines(&through.ends(0).stdout), lines(&String::from_utf8_lossy(&direct.stdout)));
        } else {
            // pg_dump begins by turning row security off, which nobody may do beside masks
            let through = through.ends(1);
            assert!(through.stderr.contains("(rule mask.setting)") && !through.text().contains("top-secret"));
        }
        // this psql cannot count how often it watches, so the third look fails
        let watch = "UPDATE looks SET n = n + 1 RETURNING (SELECT ssn FROM people WHERE id = 1), 1 / (3 - n) \\watch 0.1\n";
        std::fs::write(alice.home().join("watch.sql"), watch).expect("a script");
        let ran = alice.run(&["connect", "db", "--", "-XAtf", "watch.sql"]).await.ends(0);
        assert!(ran.stderr.contains("division by zero"), "{}", ran.text());
        let ssn = if kind == "plain" { "top-secret" } else { "[masked]" };
        assert_eq!(ran.stdout.matches(ssn).count(), 2, "{}", ran.text());
    }
}

const SCHEMA: &str = "
    CREATE SCHEMA other; COMMENT ON SCHEMA other IS 'a schema';
    CREATE TABLE other.parts (id bigserial PRIMARY KEY, at date NOT NULL, note text DEFAULT 'x' || 'y') ;
    CREATE TABLE other.log (id int, at date) PARTITION BY RANGE (at);
    CREATE TABLE other.log_1 PARTITION OF other.log FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
    INSERT INTO other.log SELECT n, '2024-05-01' FROM generate_series(1, 5000) n;
    INSERT INTO other.parts (at) SELECT '2024-05-01' FROM generate_series(1, 10);
    CREATE INDEX ON other.parts (lower(note)) WHERE id > 3;
    CREATE VIEW other.seen AS SELECT id, ssn FROM people;
    CREATE FUNCTION other.twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
    CREATE FUNCTION other.told() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
    CREATE TRIGGER told BEFORE INSERT ON other.parts FOR EACH ROW EXECUTE FUNCTION other.told();
    ALTER TABLE people ENABLE ROW LEVEL SECURITY;
    CREATE POLICY mine ON people USING (name = current_user);
    SELECT lo_from_bytea(0, '\\x00ff');";
