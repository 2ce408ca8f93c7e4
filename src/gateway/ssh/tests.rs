#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use russh::client::{self, Handle};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::server::Auth;
use tokio::io::{DuplexStream, copy_bidirectional, duplex};
use tokio::sync::oneshot;

use super::*;

struct Anybody;

impl server::Handler for Anybody {
    type Error = russh::Error;

    async fn auth_none(&mut self, _: &str) -> Result<Auth, russh::Error> {
        Ok(Auth::Accept)
    }
}

impl client::Handler for Anybody {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

/// Two ends, and what carries their bytes until it is stopped; then both hear nothing, and no end either.
fn line() -> (DuplexStream, DuplexStream, oneshot::Sender<()>) {
    let ((near, mut near_far), (mut far_near, far)) = (duplex(1 << 16), duplex(1 << 16));
    let (stop, mut stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        tokio::select! {
            _ = copy_bidirectional(&mut near_far, &mut far_near) => {}
            _ = &mut stopped => {}
        }
        // both are kept open
        std::future::pending::<()>().await;
        drop((near_far, far_near));
    });
    (near, far, stop)
}

/// As often, in a time that a test can wait.
fn hurried(interval: Option<Duration>) -> Option<Duration> {
    interval.map(|interval| interval / 600)
}

const PATIENCE: Duration = Duration::from_secs(20);

fn host_key() -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]))
}

async fn log_in(config: client::Config, io: DuplexStream) -> Handle<Anybody> {
    let mut handle = client::connect_stream(Arc::new(config), io, Anybody).await.unwrap();
    assert!(handle.authenticate_none("alice").await.unwrap().success());
    handle
}

/// With the methods of a test, in a hurry, and else as it is.
fn gateway() -> server::Config {
    let config = config(&host_key());
    let methods = MethodSet::from([MethodKind::None].as_slice());
    server::Config { methods, keepalive_interval: hurried(config.keepalive_interval), ..config }
}

/// A laptop that is closed sends no goodbye.
#[tokio::test]
async fn a_client_that_is_silent_is_let_go() {
    let (near, far, stop) = line();
    let running = tokio::spawn(server::run_stream(Arc::new(gateway()), far, Anybody));
    let client = log_in(client::Config::default(), near).await;
    // whoever answers stays
    for _ in 0..20 {
        tokio::time::timeout(PATIENCE, client.send_ping()).await.unwrap().unwrap();
        tokio::time::sleep(hurried(Some(Duration::from_secs(30))).unwrap()).await;
    }
    drop(stop);
    let running = running.await.unwrap().unwrap();
    drop(tokio::time::timeout(PATIENCE, running).await.expect("it ends"));
}

#[tokio::test]
async fn a_host_that_is_silent_is_let_go() {
    let (near, far, stop) = line();
    let server = server::Config { keepalive_interval: None, ..gateway() };
    tokio::spawn(async move { server::run_stream(Arc::new(server), far, Anybody).await.unwrap().await });
    let config = dial::patient();
    let config = client::Config { keepalive_interval: hurried(config.keepalive_interval), ..config };
    let mut host = log_in(config, near).await;
    drop(stop);
    drop(tokio::time::timeout(PATIENCE, &mut host).await.expect("it ends"));
}
