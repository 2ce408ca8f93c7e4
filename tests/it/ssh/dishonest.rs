//! Hosts that do what no honest host does on demand.

use std::sync::{Arc, Mutex};

use hoopctl::domain::session::CloseReason;
use hoopctl::domain::target::SshTarget;
use russh::ChannelId;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{Certificate, PrivateKey};
use russh::server::{self, Auth, ChannelOpenHandle, Handle, Msg, Session, VerifiedPublicKey};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::stage::{OPEN, Stage, Wants};
use crate::support::sshd::Sshd;

/// A host that lets everybody in, and opens towards the client whatever it has a name for.
struct Liar {
    port: u16,
    host_key: String,
    /// A permit for each connection that it may answer.
    gate: Arc<Semaphore>,
    /// What it was told to run.
    told: Arc<Mutex<Vec<String>>>,
}

impl Liar {
    async fn start(permits: usize) -> Self {
        let key = PrivateKey::from(Ed25519Keypair::from_seed(&[9; 32]));
        let host_key = key.public_key().to_openssh().expect("a line");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (gate, told) = (Arc::new(Semaphore::new(permits)), Arc::<Mutex<Vec<String>>>::default());
        let config = Arc::new(server::Config { keys: vec![key], ..server::Config::default() });
        let (opens, heard) = (Arc::clone(&gate), Arc::clone(&told));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (config, opens, told) = (Arc::clone(&config), Arc::clone(&opens), Arc::clone(&heard));
                tokio::spawn(async move {
                    opens.acquire().await.expect("it is not closed").forget();
                    let running = server::run_stream(config, stream, Host { told }).await.expect("SSH");
                    drop(running.await);
                });
            }
        });
        Self { port, host_key, gate, told }
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().expect("not poisoned").clone()
    }

    async fn before(&self, policy: &str) -> Stage {
        let target = |_: &Sshd, target: &mut SshTarget| {
            target.port = self.port;
            target.host_keys = [self.host_key.clone()].into();
        };
        Stage::with(Wants { policy, target: &target, ..Wants::default() }).await
    }
}

struct Host {
    told: Arc<Mutex<Vec<String>>>,
}

impl server::Handler for Host {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _: &str, _: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        Ok(Auth::Accept)
    }

    async fn auth_openssh_certificate(&mut self, _: &str, _: &Certificate) -> Result<Auth, russh::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _: russh::Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.told.lock().expect("not poisoned").push(String::from_utf8_lossy(command).into_owned());
        session.channel_success(channel)?;
        tokio::spawn(reach_back(session.handle(), channel));
        Ok(())
    }
}

/// Tells on the channel what it could open.
async fn reach_back(handle: Handle, channel: ChannelId) {
    let mut opened = Vec::new();
    if handle.channel_open_agent().await.is_ok() {
        opened.push("agent");
    }
    if handle.channel_open_forwarded_tcpip("localhost", 22, "127.0.0.1", 1).await.is_ok() {
        opened.push("port");
    }
    if handle.channel_open_x11("127.0.0.1", 1).await.is_ok() {
        opened.push("display");
    }
    let said = format!("opened {opened:?}\n");
    let _sent = handle.data(channel, said.into_bytes()).await;
    let _sent = handle.exit_status_request(channel, 0).await;
    let _sent = handle.eof(channel).await;
    let _sent = handle.close(channel).await;
}

/// Whoever offers an agent to a host lets it be asked by whoever opens such a channel.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_opens_what_nobody_asked_for_is_refused() {
    let liar = Liar::start(9).await;
    // policy would let it: nobody asked
    let open =
        format!("{OPEN} @id(\"forward\") permit(principal, action == Hoop::Action::\"forward\", resource);");
    let stage = liar.before(&open).await;
    let said = stage.run("true").await;
    assert_eq!((said.text().as_str(), said.code), ("opened []\n", 0), "{said:?}");
    let verbs: Vec<_> = stage.hall.book.statements().into_iter().map(|(verb, ..)| verb).collect();
    assert!(!verbs.iter().any(|verb| verb.starts_with("forward")), "{verbs:?}");
}

/// The command was allowed while the host did not answer; it must not run behind the session's end.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_slow_host_does_not_run_once_the_session_is_over() {
    let liar = Liar::start(0).await;
    let stage = liar.before(OPEN).await;
    let (said, ()) = tokio::join!(stage.run("touch late"), async {
        stage.until("it was allowed", |stage| !stage.hall.book.statements().is_empty()).await;
        stage.hall.closing.send_replace(Some(CloseReason::ClientEnded));
    });
    assert_eq!(said.code, 255, "{said:?}");
    liar.gate.add_permits(9);
    stage.until("its connection has been closed", |stage| stage.hall.book.closed()).await;
    assert_eq!(liar.told(), Vec::<String>::new());
}
