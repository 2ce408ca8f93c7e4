//! The main job: log in, connect, see what may be seen.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use crate::interruptions::{listening, until_queries};
use crate::support::env::{Env, Ran};
use crate::support::postgres::{free_port, ordinary_user};
use crate::support::terminal::Terminal;
use crate::support::world::{MASKED, PLANTED, Twist, World, psql};

#[tokio::test(flavor = "multi_thread")]
async fn a_developer_logs_in_and_sees_masked_data() {
    let world = World::start(Twist { below: MASKED, ..Twist::default() }).await;
    let alice = world.login("alice").await;
    let list = alice.run(&["list"]).await.ends(0);
    assert!(list.stdout.contains("db"), "{}", list.stdout);
    let explain = alice.run(&["explain", "db"]).await.ends(0);
    assert!(explain.stdout.contains("two locks"), "{}", explain.stdout);

    let rows = psql(&alice, "SELECT id, api_key, customer_id FROM reasoning_traces ORDER BY id LIMIT 2")
        .await
        .ends(0);
    assert_eq!(rows.stdout, "1|[masked]|\n2|[masked]|\n");
    let tricks = psql(
        &alice,
        "SELECT count(*) FROM reasoning_traces WHERE api_key LIKE 'tk-%'; \
         SELECT max(to_json(t)::text) FROM reasoning_traces t WHERE id = 1",
    )
    .await
    .ends(0);
    assert!(tricks.stdout.starts_with("0\n"), "{}", tricks.stdout);
    assert!(!tricks.text().contains("planted-7f3a9c-"), "{}", tricks.text());
    world.until_no_roles().await;
}

/// What people type all day, on a target without masks and on one with.
#[tokio::test(flavor = "multi_thread")]
async fn psql_feels_at_home() {
    for below in ["", MASKED] {
        // of psql's own version: its `\l` fails on a newer server, whoever is between
        let world = World::start_on(15, Twist { below, ..Twist::default() }).await;
        let alice = world.login("alice").await;
        for (meta, shown) in [
            ("\\d", "reasoning_traces"),
            ("\\d reasoning_traces", "api_key"),
            ("\\d+ reasoning_traces", "Access method"),
            ("\\dt+", "reasoning_traces"),
            ("\\dn", "public"),
            ("\\df", "List of functions"),
            ("\\df lower", "anymultirange"),
            ("\\l", "template0"),
            ("\\du", "Bypass RLS"),
            ("\\dp plain", "plain"),
            ("\\di", "reasoning_traces_pkey"),
            ("\\conninfo", "via socket"),
        ] {
            let ran = alice.run(&["connect", "db", "--", "-X", "-c", meta]).await.ends(0);
            assert!(ran.stdout.contains(shown), "{meta} on `{below}`: {}", ran.text());
            assert!(!ran.stderr.contains("ERROR"), "{meta} on `{below}`: {}", ran.text());
        }
        let copied = alice.run(&["connect", "db", "--", "-X", "-c", "\\copy plain TO STDOUT"]).await.ends(0);
        assert_eq!(copied.stdout, "1\tone\n2\ttwo\n");
        let file = alice.home().join("more");
        // warpgate takes a first byte 3 for Ctrl-C
        std::fs::write(&file, "\u{3}three\t3\n").unwrap();
        let copy = format!("\\copy plain (b, a) FROM '{}'", file.display());
        let copied = alice.run(&["connect", "db", "--", "-X", "-c", &copy]).await.ends(0);
        assert_eq!(copied.stdout, "COPY 1\n");
        let copy = format!("\\copy plain TO '{}'", file.display());
        alice.run(&["connect", "db", "--", "-X", "-c", &copy]).await.ends(0);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "1\tone\n2\ttwo\n3\t\u{3}three\n");
    }
}

/// The real psql on a terminal: Tab asks the server for names, through the gateway.
#[tokio::test(flavor = "multi_thread")]
async fn tab_completes_the_names_of_tables_and_columns() {
    for (below, key) in [("", PLANTED), (MASKED, "[masked]")] {
        let world = World::start(Twist { below, ..Twist::default() }).await;
        let alice = world.login("alice").await;
        let mut terminal = Terminal::start(&alice, "connect db -- -X").await;
        terminal.until("=> ").await;
        terminal.types("select api_key from reas\t").await;
        terminal.until("reasoning_traces").await;
        terminal.types("where api_\t").await;
        terminal.until("api_key").await;
        terminal.types("is not null and id = 1;\r").await;
        let seen = terminal.until("(1 row)").await;
        assert!(seen.contains(key), "on `{below}`: {seen}");
        assert_eq!(seen.contains(PLANTED), below.is_empty(), "{seen}");
        terminal.types("\\q\r").await;
        assert_eq!(terminal.ends().await, 0);
    }
}

/// A cancel request comes over a connection of its own, when the session has none left.
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_reaches_a_session_whose_connections_are_all_in_use() {
    let world = World::start(Twist { target: "max_connections = 1", ..Twist::default() }).await;
    let mut alice = world.login("alice").await;
    // it becomes the program; another shell would stay in between and be hit itself
    alice.set("SHELL", "/bin/bash");
    let mut terminal = Terminal::start(&alice, "connect db -- -X").await;
    terminal.until("=> ").await;
    for turn in 1..=3 {
        terminal.types("select pg_sleep(600);\r").await;
        until_queries(&world, 1).await;
        terminal.types("\u{3}").await;
        terminal.until("ERROR:  canceling statement due to user request").await;
        until_queries(&world, 0).await;
        terminal.types(&format!("select {turn} + 40;\r")).await;
        terminal.until(&format!("{}\r\n(1 row)", turn + 40)).await;
    }
    // which leaves no room for a second connection
    terminal.types("\\! psql -X -c 'select 1'\r").await;
    terminal.until("the session already holds as many connections as its target allows").await;
    terminal.types("\\q\r").await;
    assert_eq!(terminal.ends().await, 0);
    world.until_no_roles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_policy_forbids_is_denied_by_name() {
    let presets = &["allow-statements", "destructive-sql", "bulk-export"];
    let world = World::start(Twist { presets, ..Twist::default() }).await;
    let alice = world.login("alice").await;
    let dropped = psql(&alice, "DROP TABLE plain").await;
    assert!(dropped.stderr.contains("destructive-sql"), "{}", dropped.text());
    let listed = psql(&alice, "SELECT * FROM plain").await;
    assert!(listed.stderr.contains("bulk-export.list-everything"), "{}", listed.text());
    let few = psql(&alice, "SELECT b FROM plain WHERE a = 2").await.ends(0);
    assert_eq!(few.stdout, "two\n");
}

/// Whether a target exists is nobody's business who may not use it.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_target_and_a_forbidden_one_read_the_same() {
    let world = World::start(Twist::default()).await;
    let bob = world.login("bob").await;
    let commands: [&[&str]; 5] = [
        &["connect", "TARGET"],
        &["connect", "TARGET", "--wait=1s", "--reason", "r"],
        &["exec", "TARGET", "--", "true"],
        &["explain", "TARGET"],
        &["request", "approval", "TARGET", "--reason", "r"],
    ];
    for command in commands {
        for output in ["text", "json"] {
            let of = async |target: &'static str| {
                let named = command.iter().map(|word| if *word == "TARGET" { target } else { word });
                let ran = bob
                    .run(&["--output", output].into_iter().chain(named).collect::<Vec<_>>())
                    .await
                    .ends(77);
                (ran.stdout.replace(target, "TARGET"), ran.stderr.replace(target, "TARGET"))
            };
            let (forbidden, unknown) = (of("db").await, of("xx").await);
            assert!(!forbidden.1.is_empty(), "{command:?}: {forbidden:?}");
            assert_eq!(forbidden, unknown, "{command:?}");
        }
    }
    let filed = bob.run(&["request", "list", "--mine"]).await.ends(0);
    assert_eq!(filed.stdout, "");
}

/// A target is one database and those that it lists, and its masks hold in each of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_listed_database_is_reached_under_its_masks_and_no_other_is() {
    let lines = "also_databases = [\"reports\"]";
    let world = World::start(Twist { target: lines, below: MASKED, ..Twist::default() }).await;
    let admin = world.cluster.admin().await;
    admin.batch_execute("CREATE DATABASE reports").await.expect("a database");
    admin.batch_execute("CREATE DATABASE unlisted").await.expect("a database");
    // the same name, and other columns in another order
    let tables = format!(
        "CREATE TABLE reasoning_traces (note text, api_key text, id int);
         INSERT INTO reasoning_traces VALUES ('a note', '{PLANTED}', 7)"
    );
    for database in ["reports", "unlisted"] {
        let there = world.cluster.connect("postgres", &world.cluster.password, database).await;
        there.expect("a connection").batch_execute(&tables).await.expect("the table");
    }
    let alice = world.login("alice").await;
    let connect = ["connect", "db", "--", "-XAtq"];
    let ask = [
        "-c",
        "SELECT id, api_key FROM reasoning_traces WHERE id = 7",
        "-c",
        "\\c reports",
        "-c",
        "SELECT * FROM reasoning_traces",
        "-c",
        "SELECT count(*) FROM reasoning_traces WHERE api_key LIKE 'tk-%'",
    ];
    let ran = alice.run(&[connect.as_slice(), &ask].concat()).await.ends(0);
    assert_eq!(ran.stdout, "7|[masked]\na note|[masked]|7\n0\n", "{}", ran.stderr);
    for database in ["unlisted", "template1"] {
        let elsewhere = format!("\\c {database}");
        let ask = ["-c", &elsewhere, "-c", "SELECT * FROM reasoning_traces"];
        let ran = alice.run(&[connect.as_slice(), &ask].concat()).await;
        let told = format!("target db is one database, and `{database}` is not it");
        assert!(ran.code != 0 && ran.stdout.is_empty() && ran.stderr.contains(&told), "{}", ran.text());
    }
}

/// Whoever else has an account on the machine, and even has the secret.
#[tokio::test(flavor = "multi_thread")]
async fn another_user_of_the_machine_is_refused_on_the_socket_and_on_the_port() {
    let Some((uid, gid)) = ordinary_user() else {
        return crate::idle::say("not as root: nobody can be another user here");
    };
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let stranger = async |at: &[&str], password: Option<&str>| {
        let mut psql = Command::new("psql");
        psql.args(["-XAtc", "select 7"]).args(at).uid(uid).gid(gid).env_clear();
        psql.env("PATH", "/usr/bin:/bin").env("PGPASSWORD", password.unwrap_or_default());
        Ran::from(psql.current_dir("/").kill_on_drop(true).output().await.expect("psql runs"))
    };
    let refused = "FATAL:  hoopctl: this loopback belongs to another user";

    let (child, url) = listening(&alice, free_port()).await;
    let own =
        Ran::from(Command::new("psql").args(["-XAtc", "select 7", &url]).output().await.expect("psql runs"));
    assert_eq!(own.ends(0).stdout, "7\n");
    let ran = stranger(&[&url], None).await.ends(2);
    assert!(ran.stdout.is_empty() && ran.stderr.contains(refused), "{}", ran.text());
    drop(child);

    let script = "echo \"$PGHOST\"; tail -n 1 \"$PGPASSFILE\"; echo; read -r _; psql -XAtc 'select 8'";
    let mut command = alice.command(&["exec", "db", "--", "sh", "-c", script]);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut line = async || lines.next_line().await.expect("its output").expect("a line");
    let (folder, entry) = (line().await, line().await);
    let (password, user) = {
        let mut fields = entry.rsplit(':').map(str::to_owned);
        (fields.next().expect("a password"), fields.next().expect("a user"))
    };
    let at = format!("host={folder} user={user} dbname=postgres");
    // the folder is the first wall
    let ran = stranger(&[&at], Some(&password)).await.ends(2);
    assert!(ran.stderr.contains("Permission denied"), "{}", ran.text());
    let socket = Path::new(&folder).join(".s.PGSQL.5432");
    for path in socket.ancestors().take_while(|path| path.starts_with(alice.home())) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).expect("ours");
    }
    let ran = stranger(&[&at], Some(&password)).await.ends(2);
    assert!(ran.stdout.is_empty() && ran.stderr.contains(refused), "{}", ran.text());
    child.stdin.take().expect("a pipe").write_all(b"go\n").await.expect("it reads");
    let said = async { (line().await, line().await) };
    let said = tokio::time::timeout(Duration::from_secs(30), said).await.expect("in time");
    assert_eq!(said, (String::new(), "8".to_owned()));

    let log = std::fs::read_to_string(alice.state().join("log/loopback.jsonl")).expect("the log");
    let lines = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<Value>>();
    let refused: Vec<&Value> = lines.iter().filter(|line| line["decision"] == "refuse").collect();
    assert_eq!(refused.len(), 2, "{log}");
    for line in refused {
        assert_eq!(line["uid"], uid, "{line}");
        assert_eq!(line["reason"], "this loopback belongs to another user");
    }
    assert_eq!(lines.iter().filter(|line| line["decision"] == "allow").count(), 2, "{log}");
}

/// Boundary 2400: a GUI's "test connection" must not eat the session.
#[tokio::test(flavor = "multi_thread")]
async fn one_session_carries_several_connections() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let script = "psql -XAtc 'select 1' && psql -XAtc 'select pg_sleep(0.2)' & psql -XAtc 'select 2'; wait";
    let ran = alice.run(&["exec", "db", "--", "sh", "-c", script]).await.ends(0);
    assert!(ran.stdout.contains('1') && ran.stdout.contains('2'), "{}", ran.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_is_the_childs() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    alice.run(&["exec", "db", "--", "sh", "-c", "exit 42"]).await.ends(42);
    alice.run(&["exec", "db", "--", "sh", "-c", "kill -9 $$"]).await.ends(137);
}

/// A socket of another user's in the place of ours is told apart by libpq itself.
#[tokio::test(flavor = "multi_thread")]
async fn libpq_is_told_whose_socket_it_may_talk_to() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let script = "test \"$PGREQUIREPEER\" = \"$(id -un)\" && psql -XAtc \"SELECT 'with ours'\"
                  PGREQUIREPEER=nobody psql -XAtc \"SELECT 'with another'\"";
    let ran = alice.run(&["exec", "db", "--", "sh", "-c", script]).await.ends(2);
    assert_eq!(ran.stdout, "with ours\n");
    assert!(ran.stderr.contains("requirepeer specifies \"nobody\""), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_reaches_output_arguments_or_logs() {
    let world = World::start(Twist { below: MASKED, ..Twist::default() }).await;
    let alice = world.login("alice").await;
    let script = "cat \"$PGPASSFILE\"; tr '\\0' ' ' </proc/$PPID/cmdline";
    let ran = alice.run(&["exec", "db", "--", "sh", "-c", script]).await.ends(0);
    let secret =
        ran.stdout.lines().next().and_then(|line| line.rsplit(':').next()).expect("a passfile").to_owned();
    assert!(secret.len() > 20, "{}", ran.stdout);
    assert_eq!(ran.stdout.matches(&secret).count(), 1, "in argv: {}", ran.stdout);
    let log = world.broker.log();
    for hidden in [secret.as_str(), PLANTED, world.cluster.password.as_str()] {
        assert!(!log.contains(hidden), "the broker's log holds a secret");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_login_the_exit_code_says_so() {
    let world = World::start(Twist::default()).await;
    let nobody = Env::new(&world.broker.url);
    nobody.run(&["connect", "db"]).await.ends(79);
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_ends_the_login_and_its_sessions() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    // a role alone is no sign of a connection: it is minted while psql starts
    let running = world.sleeping(&alice).await;
    alice.run(&["logout"]).await.ends(0);
    let output = tokio::time::timeout(Duration::from_secs(10), running.wait_with_output()).await;
    let output = output.expect("in time").expect("psql ends");
    assert!(String::from_utf8_lossy(&output.stderr).contains("the login behind it has ended"));
    alice.run(&["connect", "db"]).await.ends(79);
    world.until_no_roles().await;
}
