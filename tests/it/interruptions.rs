//! Lines that break, machines that sleep, clients that die.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio_postgres::{AsyncMessage, Client, NoTls};

use crate::support::env::Env;
use crate::support::postgres::free_port;
use crate::support::world::{Twist, World, last_words};

/// A line to the broker that can be cut: what a change of network does to every connection. And each of its
/// connections can go dead by itself: nothing arrives any more, and nobody says so.
struct Line {
    cut: watch::Sender<u32>,
    open: Arc<Mutex<Vec<watch::Sender<bool>>>>,
    swallows: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Line {
    async fn start(port: u16, broker: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a port");
        let (cut, cuts) = watch::channel(0);
        let open = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&open);
        let swallows = Arc::new(AtomicBool::new(false));
        let next = Arc::clone(&swallows);
        let task = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut cuts = cuts.clone();
                cuts.mark_unchanged();
                let (kill, mut dead) = watch::channel(false);
                kill.send_replace(next.swap(false, Ordering::SeqCst));
                all.lock().expect("not poisoned").push(kill);
                tokio::spawn(async move {
                    let mut broker = TcpStream::connect(("127.0.0.1", broker)).await.expect("the broker");
                    tokio::select! {
                        biased;
                        _ = dead.wait_for(|dead| *dead) => {}
                        _ = copy_bidirectional(&mut client, &mut broker) => return,
                        _ = cuts.changed() => return,
                    }
                    // both ends stay open, and unheard
                    let _cut = cuts.changed().await;
                });
            }
        });
        Self { cut, open, swallows, task }
    }

    fn cut(&self) {
        self.cut.send_modify(|count| *count += 1);
    }

    /// The next connection is dead from its beginning.
    fn swallow_next(&self) {
        self.swallows.store(true, Ordering::SeqCst);
    }

    /// The connection that was made last goes dead.
    fn deaden_last(&self) {
        let open = self.open.lock().expect("not poisoned");
        open.last().expect("a connection").send_replace(true);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Teleport 14180, cloud-sql-proxy 1788: a tunnel that dies says so, and the next connection of the
/// same session has a new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_cut_is_named_and_the_next_connection_has_a_new_one() {
    let port = free_port();
    let url = format!("https://127.0.0.1:{port}");
    let world = World::start(Twist { public_url: Some(&url), ..Twist::default() }).await;
    let line = Line::start(port, world.broker.port).await;
    let alice = world.login("alice").await;
    let script = "psql -XAtc 'select pg_sleep(120)'; echo \"psql ended with $?\"; psql -XAtc 'select 42'";
    let mut command = alice.command(&["exec", "db", "--", "sh", "-c", script]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    until_queries(&world, 1).await;
    line.cut();
    let output = tokio::time::timeout(Duration::from_secs(20), child.wait_with_output()).await;
    let output = output.expect("in time").expect("it ends");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(out, "psql ended with 2\n42\n", "{err}");
    assert!(err.contains("connection"), "{err}");
    until_queries(&world, 0).await;
}

/// The broker closes a session some seconds after its client's line was cut, unless the client is back by then.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_way_back_that_leads_nowhere_costs_no_session() {
    let port = free_port();
    let url = format!("https://127.0.0.1:{port}");
    let world = World::start(Twist { public_url: Some(&url), ..Twist::default() }).await;
    let line = Line::start(port, world.broker.port).await;
    let alice = world.login("alice").await;
    let mut command = alice.command(&["exec", "db", "--", "sh", "-c", "read -r _; psql -XAtc 'select 42'"]);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    // long enough that the session is tied to it
    tokio::time::sleep(Duration::from_secs(4)).await;
    line.swallow_next();
    line.cut();
    // longer than the broker waits
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert!(!line.swallows.load(Ordering::SeqCst), "nobody came");
    child.stdin.take().expect("a pipe").write_all(b"go\n").await.expect("it reads");
    let output = tokio::time::timeout(Duration::from_secs(30), child.wait_with_output()).await;
    let output = output.expect("in time").expect("it ends");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(out, "42\n", "{err}\n{}", world.broker.log());
}

/// Warpgate carries a session's connections in one tunnel: when that is dead, so is the session.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_tunnel_freezes_no_other_connection_of_its_session() {
    let port = free_port();
    let url = format!("https://127.0.0.1:{port}");
    let world = World::start(Twist { public_url: Some(&url), ..Twist::default() }).await;
    let line = Line::start(port, world.broker.port).await;
    let alice = world.login("alice").await;
    let script = "psql -XAtc 'select pg_sleep(1)' & sleeper=$!; read -r _
                  psql -XAtc 'select 42'; psql -XAtc 'select 43'
                  kill -0 $sleeper && echo 'it waits'; kill $sleeper; wait $sleeper; echo \"ended with $?\"";
    let mut command = alice.command(&["exec", "db", "--", "sh", "-c", script]);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    until_queries(&world, 1).await;
    line.deaden_last();
    // the answer is on its way, and does not arrive
    until_queries(&world, 0).await;
    child.stdin.take().expect("a pipe").write_all(b"go\n").await.expect("it reads");
    let output = tokio::time::timeout(Duration::from_secs(30), child.wait_with_output()).await;
    let output = output.expect("the others wait for it").expect("it ends");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(out, "42\n43\nit waits\nended with 143\n", "{err}");
    world.until_no_roles().await;
}

/// What another session says arrives while this one asks for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn notifications_pass_both_ways_through_the_tunnel() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let (_child, url) = listening(&alice, free_port()).await;
    let (hearer, mut heard) = hearing(&url).await;
    let (speaker, mut echo) = hearing(&url).await;
    hearer.batch_execute("LISTEN news; LISTEN other").await.expect("allowed");
    speaker.batch_execute("LISTEN news").await.expect("allowed");
    speaker.batch_execute("NOTIFY news, 'first'").await.expect("allowed");
    assert_eq!(next(&mut heard).await, ("news".into(), "first".into()));
    assert_eq!(next(&mut echo).await, ("news".into(), "first".into()));
    // from a session that has nothing to do with the broker, to one that is idle
    world
        .cluster
        .admin()
        .await
        .batch_execute("SELECT pg_notify('other', repeat('x', 7000))")
        .await
        .expect("ours");
    assert_eq!(next(&mut heard).await, ("other".into(), "x".repeat(7000)));
    // only what is committed is said
    speaker.batch_execute("BEGIN; NOTIFY news, 'never'; ROLLBACK").await.expect("allowed");
    speaker.batch_execute("BEGIN; NOTIFY news, 'second'; COMMIT").await.expect("allowed");
    assert_eq!(next(&mut heard).await, ("news".into(), "second".into()));
    hearer.batch_execute("UNLISTEN news").await.expect("allowed");
    speaker.batch_execute("NOTIFY news, 'third'; NOTIFY other, 'fourth'").await.expect("allowed");
    assert_eq!(next(&mut heard).await, ("other".into(), "fourth".into()));
}

type Words = mpsc::UnboundedReceiver<(String, String)>;

/// A connection, and what it is told without asking: channel and payload.
async fn hearing(url: &str) -> (Client, Words) {
    let (client, mut connection) = tokio_postgres::connect(url, NoTls).await.expect("it connects");
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(word) = message {
                // the test may be over
                let _unheard = tell.send((word.channel().to_owned(), word.payload().to_owned()));
            }
        }
    });
    (client, told)
}

async fn next(words: &mut Words) -> (String, String) {
    let word = tokio::time::timeout(Duration::from_secs(20), words.recv()).await;
    word.expect("it is told in time").expect("it is connected")
}

/// A machine that sleeps is stopped, and so is all it runs; its connections are there when it wakes.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_was_asleep_goes_on_where_it_was() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let script = "psql -XAtc \"select 'a' from pg_sleep(3)\"; psql -XAtc \"select 'b'\"";
    let mut command = alice.command(&["exec", "db", "--", "sh", "-c", script]);
    let child = command.stdout(Stdio::piped()).spawn().expect("it runs");
    until_queries(&world, 1).await;
    signal(&child, Signal::STOP);
    // the answer comes while nobody is awake
    until_queries(&world, 0).await;
    signal(&child, Signal::CONT);
    let output = tokio::time::timeout(Duration::from_secs(20), child.wait_with_output()).await;
    assert_eq!(String::from_utf8_lossy(&output.expect("in time").expect("it ends").stdout), "a\nb\n");
}

/// A balancer that hangs up on a machine which sleeps takes the session with it, since nobody can tell it from a client that was
/// killed: what was asked ends, the role goes, and who wakes is told so by the next connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_hung_up_on_while_it_sleeps_loses_its_session_and_is_told() {
    let port = free_port();
    let address = format!("https://127.0.0.1:{port}");
    let world = World::start(Twist { public_url: Some(&address), ..Twist::default() }).await;
    let line = Line::start(port, world.broker.port).await;
    let alice = world.login("alice").await;
    let (child, url) = listening(&alice, free_port()).await;
    let (said, ok) = psql(&url).await;
    assert!(ok, "{said}");
    // by then it is tied to its client
    tokio::time::sleep(Duration::from_secs(3)).await;
    signal(&child, Signal::STOP);
    line.cut();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!world.broker.log().contains("its client is gone"), "too soon:\n{}", world.broker.log());
    world.until_no_roles().await;
    let log = world.broker.log();
    assert!(log.contains("its client is gone"), "{log}");
    signal(&child, Signal::CONT);
    let (said, ok) = psql(&url).await;
    assert!(!ok && said.contains("FATAL:  hoopctl: the session has closed: the client ended it\n"), "{said}");
    // and with another session it goes on
    signal(&child, Signal::INT);
    last_words(child, Duration::from_secs(10)).await;
    let (_child, url) = listening(&alice, free_port()).await;
    let (said, ok) = psql(&url).await;
    assert!(ok, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_of_the_client_ends_its_query() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let mut child = world.sleeping(&alice).await;
    child.kill().await.expect("killed");
    until_queries(&world, 0).await;
}

/// Teleport 24619: a GUI keeps its settings, so the port can be chosen; Boundary 2400: a "test
/// connection" before the real ones eats nothing. The string is good until its session ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_gui_client_finds_the_port_it_was_told() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let port = free_port();
    let mut old = String::new();
    for _ in 0..2 {
        let (child, url) = listening(&alice, port).await;
        assert!(url.contains(&format!("@127.0.0.1:{port}/")), "{url}");
        for _ in 0..3 {
            let (said, ok) = psql(&url).await;
            assert!(ok && said.starts_with("7\n"), "{said}");
        }
        let wrong = url::Url::parse(&url).expect("a URL");
        let mut wrong = wrong.clone();
        wrong.set_password(Some("guessed")).expect("a password");
        let (said, ok) = psql(wrong.as_str()).await;
        assert!(!ok && said.contains("password authentication failed"), "{said}");
        if !old.is_empty() {
            let (said, ok) = psql(&old).await;
            assert!(!ok && said.contains("password authentication failed"), "the old secret: {said}");
        }
        old = url;
        signal(&child, Signal::INT);
        let ran = last_words(child, Duration::from_secs(10)).await;
        assert!(ran.stderr.contains("until you press Ctrl-C"), "{}", ran.text());
        world.until_no_roles().await;
        assert!(!psql(&old).await.1, "somebody still listens");
    }
}

pub(crate) async fn listening(env: &Env, port: u16) -> (Child, String) {
    let mut command = env.command(&["connect", "db", "--listen", &format!("127.0.0.1:{port}")]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let url = tokio::time::timeout(Duration::from_secs(30), lines.next_line()).await.expect("in time");
    let url = url.expect("its output").expect("a connection string");
    (child, url)
}

/// What a stranger's psql says, without any environment of ours.
async fn psql(url: &str) -> (String, bool) {
    let mut command = Command::new("psql");
    command.args(["-XAtc", "select 7", url]).env_clear().env("PATH", "/usr/bin:/bin").kill_on_drop(true);
    let output = command.output().await.expect("psql runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout) + &text(&output.stderr), output.status.success())
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id().expect("it runs")).expect("a pid");
    kill_process(Pid::from_raw(pid).expect("a pid"), signal).expect("it hears");
}

/// Waits until so many queries of sessions run in the database.
pub(crate) async fn until_queries(world: &World, wanted: i64) {
    let admin = world.cluster.admin().await;
    let query = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND usename LIKE 'hoop\\_%'";
    for _ in 0..400 {
        if admin.query_one(query, &[]).await.expect("activity").get::<_, i64>(0) == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never {wanted} queries:\n{}", world.broker.log());
}
