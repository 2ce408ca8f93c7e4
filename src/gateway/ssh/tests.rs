#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, Handle};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::server::Auth;
use tokio::io::{DuplexStream, copy_bidirectional, duplex};
use tokio::task::JoinHandle;
use tokio::time::Instant;

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
fn line() -> (DuplexStream, DuplexStream, JoinHandle<()>) {
    let ((near, mut near_far), (mut far_near, far)) = (duplex(1 << 16), duplex(1 << 16));
    let carries = tokio::spawn(async move {
        let (stopped, mut stop) = tokio::sync::mpsc::channel::<()>(1);
        let copied = copy_bidirectional(&mut near_far, &mut far_near);
        drop(tokio::time::timeout(CARRIED, copied).await);
        // both are kept open
        stop.recv().await;
        drop((stopped, near_far, far_near));
    });
    (near, far, carries)
}

const CARRIED: Duration = Duration::from_secs(300);

fn host_key() -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]))
}

async fn log_in(config: client::Config, io: DuplexStream) -> Handle<Anybody> {
    let mut handle = client::connect_stream(Arc::new(config), io, Anybody).await.unwrap();
    assert!(handle.authenticate_none("alice").await.unwrap().success());
    handle
}

/// With the methods of a test, and else as it is.
fn gateway() -> server::Config {
    server::Config { methods: MethodSet::from([MethodKind::None].as_slice()), ..config(&host_key()) }
}

/// A laptop that is closed sends no goodbye.
#[tokio::test(start_paused = true)]
async fn a_client_that_is_silent_is_asked_and_then_let_go() {
    let (near, far, _line) = line();
    let (began, running) =
        (Instant::now(), tokio::spawn(server::run_stream(Arc::new(gateway()), far, Anybody)));
    let _client = log_in(client::Config::default(), near).await;
    let ended = running.await.unwrap().unwrap().await;
    let lived = began.elapsed();
    assert!(ended.is_err() || ended.is_ok());
    // as long as its answers came, and four questions more
    assert!(lived > CARRIED && lived < CARRIED + Duration::from_secs(160), "{lived:?}");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_silent_is_asked_and_then_let_go() {
    let (near, far, _line) = line();
    let began = Instant::now();
    let server = server::Config { keepalive_interval: None, ..gateway() };
    tokio::spawn(async move { server::run_stream(Arc::new(server), far, Anybody).await.unwrap().await });
    let host = log_in(dial::patient(), near).await;
    while !host.is_closed() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let lived = began.elapsed();
    assert!(lived > CARRIED && lived < CARRIED + Duration::from_secs(160), "{lived:?}");
}
