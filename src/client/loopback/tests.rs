#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::net::UnixStream;

use super::place::MAX_SOCKET_PATH;
use super::*;
use crate::client::home::Home;
use crate::client::keychain::StoreChoice;
use crate::client::protocol::Protocol;
use crate::client::{ClientContext, Sights, Strangers};
use crate::gateway::clock::Clock;

const SOCKET_NAME: &str = Protocol::Postgres.socket();

/// Hands out far ends that send back what they get.
struct Echo(Mutex<u32>);

impl Opener for Echo {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Stream>, Refusal>> {
        *self.0.lock().unwrap() += 1;
        Box::pin(async {
            let (near, mut far) = duplex(1 << 16);
            tokio::spawn(async move {
                let (mut from, mut to) = tokio::io::split(&mut far);
                drop(tokio::io::copy(&mut from, &mut to).await);
                drop(to.shutdown().await);
            });
            Ok(Box::new(near) as Box<dyn Stream>)
        })
    }
}

/// Has no far end.
struct Broken;

impl Opener for Broken {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Stream>, Refusal>> {
        Box::pin(async { Err(Refusal { code: "08006", message: "the broker is gone".into() }) })
    }
}

struct Stage {
    place: Place,
    logs: PathBuf,
    stop: watch::Sender<bool>,
    service: tokio::task::JoinHandle<()>,
    _dir: tempfile::TempDir,
}

fn stage(admit: Admit, opener: impl Opener) -> Stage {
    let dir = tempfile::tempdir().unwrap();
    let context = context(&dir.path().join("home"));
    let place = Place::new(&context).unwrap();
    let listener = Listener::unix(&place, SOCKET_NAME).unwrap();
    let logs = context.home.logs().unwrap();
    let log = Arc::new(LocalLog::new(logs.clone(), context.clock));
    let (stop, stopped) = watch::channel(false);
    let service = Service {
        admit,
        opener: Arc::new(opener),
        log,
        session: "ses_test".into(),
        frame: Frame::Postgres,
        door: None,
    };
    Stage { place, logs, stop, service: tokio::spawn(service.run(listener, stopped)), _dir: dir }
}

fn context(home: &Path) -> ClientContext {
    ClientContext {
        home: Arc::new(Home::open(home).unwrap()),
        host_name: "test".into(),
        store: StoreChoice::File,
        temporary: std::env::temp_dir(),
        clock: Clock::from_fn(|| jiff::Timestamp::UNIX_EPOCH),
        strangers: Strangers::new(|_| {}),
        sights: Sights::new(|_| {}),
    }
}

impl Stage {
    async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.place.path().join(SOCKET_NAME)).await.unwrap()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.logs.join("loopback.jsonl")).unwrap()
    }
}

fn startup() -> Vec<u8> {
    let mut message = vec![0, 0, 0, 17, 0, 3, 0, 0];
    message.extend_from_slice(b"user\0me\0\0");
    message
}

async fn refused(mut socket: UnixStream) -> String {
    socket.write_all(&startup()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer.first(), Some(&b'E'));
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn the_same_user_may_pass_and_several_at_once() {
    let stage = stage(Admit::SameUser, Echo(Mutex::new(0)));
    let (mut one, mut two) = (stage.connect().await, stage.connect().await);
    let mut answer = [0_u8; 3];
    two.write_all(b"two").await.unwrap();
    two.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"two");
    one.write_all(b"one").await.unwrap();
    one.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"one");
    assert_eq!(stage.log().lines().filter(|l| l.contains("\"allow\"")).count(), 2);
}

#[tokio::test]
async fn half_a_close_still_lets_the_answer_through() {
    let stage = stage(Admit::SameUser, Echo(Mutex::new(0)));
    let mut socket = stage.connect().await;
    socket.write_all(b"last words").await.unwrap();
    socket.shutdown().await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "last words");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_stranger_of_the_same_user_is_refused_and_logged() {
    // the child is a process that never connects; this test is no descendant of it
    let mut child = tokio::process::Command::new("sleep").arg("60").kill_on_drop(true).spawn().unwrap();
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    let (_sender, known) = watch::channel(Process::observe(pid));
    let stage = stage(Admit::Descendants(known), Echo(Mutex::new(0)));
    let answer = refused(stage.connect().await).await;
    assert!(answer.contains("C28000"), "{answer}");
    assert!(answer.contains("only the program that hoopctl started"), "{answer}");
    assert!(stage.log().contains("\"decision\":\"refuse\""), "{}", stage.log());
    child.kill().await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_grandchild_may_pass() {
    let (sender, known) = watch::channel(None);
    let stage = stage(Admit::Descendants(known), Echo(Mutex::new(0)));
    let socket = stage.place.path().join(SOCKET_NAME);
    // the shell is the child; what it starts inside the pipe is a grandchild
    let script = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b'hi'); print(s.recv(2))";
    let child = tokio::process::Command::new("sh")
        .args(["-c", "python3 -c \"$1\" \"$2\" | cat", "sh", script])
        .arg(&socket)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    sender.send_replace(Process::observe(i32::try_from(child.id().unwrap()).unwrap()));
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "b'hi'\n", "{}", stage.log());
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_id_that_was_used_again_is_another_process() {
    let me = i32::try_from(std::process::id()).unwrap();
    let earlier = Process { pid: me, start: 1 };
    let peer = Peer { uid: Some(rustix::process::geteuid().as_raw()), pid: Some(me), exe: None };
    assert!(matches!(peer::decide(&peer, Some(&earlier)), Decision::Refuse(_)));
    assert_eq!(peer::decide(&peer, Some(&Process::observe(me).unwrap())), Decision::Allow);
}

#[test]
fn another_user_and_nobody_are_refused() {
    let other = Peer { uid: Some(rustix::process::geteuid().as_raw() + 1), ..Peer::default() };
    assert_eq!(peer::decide(&other, None), Decision::Refuse("this loopback belongs to another user"));
    assert!(matches!(peer::decide(&Peer::default(), None), Decision::Refuse(_)));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_tcp_peer_is_found_in_the_kernels_table() {
    let Listener::Tcp(listener, here) = Listener::tcp("127.0.0.1:0".parse().unwrap()).await.unwrap() else {
        panic!("not TCP")
    };
    let (_client, accepted) = tokio::join!(tokio::net::TcpStream::connect(here), listener.accept());
    let peer = peer::of_tcp(here, accepted.unwrap().1);
    assert_eq!(peer.uid, Some(rustix::process::geteuid().as_raw()));
}

#[tokio::test]
async fn only_loopback_is_listened_on() {
    let refused = Listener::tcp("0.0.0.0:0".parse().unwrap()).await;
    assert!(matches!(refused, Err(LoopbackError::NotLoopback(_))));
}

#[tokio::test]
async fn a_tunnel_that_fails_is_told_in_the_protocol() {
    let stage = stage(Admit::SameUser, Broken);
    let mut socket = stage.connect().await;
    // as psql with sslmode=prefer begins
    socket.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await.unwrap();
    assert_eq!(socket.read_u8().await.unwrap(), b'N');
    let answer = refused(socket).await;
    assert!(answer.contains("C08006") && answer.contains("the broker is gone"), "{answer}");
}

#[tokio::test]
async fn after_the_stop_nobody_can_connect_and_the_place_is_gone() {
    let stage = stage(Admit::SameUser, Echo(Mutex::new(0)));
    stage.stop.send_replace(true);
    stage.service.await.unwrap();
    let path = stage.place.path().to_owned();
    assert!(UnixStream::connect(path.join(SOCKET_NAME)).await.is_err());
    drop(stage.place);
    assert!(!path.exists());
}

#[test]
fn a_long_home_still_has_a_socket_that_fits() {
    let dir = tempfile::tempdir().unwrap();
    let context = context(&dir.path().join("x".repeat(90)));
    let place = Place::new(&context).unwrap();
    assert!(place.path().join(SOCKET_NAME).as_os_str().len() <= MAX_SOCKET_PATH);
}
