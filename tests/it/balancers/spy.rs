//! A balancer that is up to no good: it reads everything that it passes on, and plays tricks.

use std::sync::{Arc, Mutex};

use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::certificate::Certificate;
use super::fleet::SOURCE;
use crate::support::world::World;

/// What it does, with tunnels for the most part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trick {
    /// Reads along.
    Listen,
    /// Ends the tunnel itself, with its own key.
    Impersonate,
    /// Changes one byte of what the client says.
    FlipToGateway,
    /// Changes one byte of what the gateway says.
    FlipToClient,
    /// Tells the broker that there is no TLS inside.
    Downgrade,
    /// Behaves like a broker of a version that shows no head of its ledger.
    Older,
}

/// The balancer.
pub(super) struct Spy {
    seen: Arc<Mutex<Vec<u8>>>,
    trick: Arc<Mutex<Trick>>,
    task: tokio::task::JoinHandle<()>,
}

impl Spy {
    pub(super) async fn start(port: u16, world: &World, certificate: &Certificate, trick: Trick) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a port");
        let (seen, trick) = (Arc::default(), Arc::new(Mutex::new(trick)));
        let hop = Hop {
            own: TlsAcceptor::from(certificate.server()),
            broker: TlsConnector::from(towards(world)),
            port: world.broker.port,
            seen: Arc::clone(&seen),
            trick: Arc::clone(&trick),
        };
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let hop = hop.clone();
                tokio::spawn(async move { hop.pass(socket).await });
            }
        });
        Self { seen, trick, task }
    }

    /// Everything that passed, both ways, as it was inside the balancer's own TLS.
    pub(super) fn seen(&self) -> Vec<u8> {
        self.seen.lock().expect("not poisoned").clone()
    }

    /// What to do with the tunnels to come.
    pub(super) fn play(&mut self, trick: Trick) {
        *self.trick.lock().expect("not poisoned") = trick;
    }
}

impl Drop for Spy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Hop {
    own: TlsAcceptor,
    broker: TlsConnector,
    port: u16,
    seen: Arc<Mutex<Vec<u8>>>,
    trick: Arc<Mutex<Trick>>,
}

impl Hop {
    async fn pass(&self, socket: tokio::net::TcpStream) -> Option<()> {
        let client = self.own.accept(socket).await.ok()?;
        let from = TcpSocket::new_v4().expect("a socket");
        from.bind(format!("{SOURCE}:0").parse().expect("an address")).expect("an address of this machine");
        let broker =
            from.connect(format!("127.0.0.1:{}", self.port).parse().expect("an address")).await.ok()?;
        let name = ServerName::try_from("localhost").expect("a name");
        let broker = self.broker.connect(name, broker).await.ok()?;
        let (mut from_client, mut to_client) = tokio::io::split(client);
        let (mut from_broker, mut to_broker) = tokio::io::split(broker);

        let head = self.head(&mut from_client).await?;
        let trick = *self.trick.lock().expect("not poisoned");
        let tunnel = head.contains("/tunnel ");
        if trick == Trick::Older && head.contains(" /v1/ledger/head") {
            to_client.write_all(NO_SUCH_FILE.as_bytes()).await.ok()?;
            return to_client.shutdown().await.ok();
        }
        if !tunnel {
            // one request for each connection, so that none goes by unseen
            let head = match trick {
                Trick::Older => head.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"),
                _ => head,
            };
            to_broker.write_all(head.as_bytes()).await.ok()?;
            tokio::join!(
                self.copy(&mut from_client, &mut to_broker, false),
                self.copy(&mut from_broker, &mut to_client, false)
            );
            return Some(());
        }
        let sent = if trick == Trick::Downgrade {
            head.replace("hoopctl-inner: tls", "hoopctl-inner: none")
        } else {
            head.clone()
        };
        to_broker.write_all(sent.as_bytes()).await.ok()?;
        to_broker.flush().await.ok()?;
        let answer = self.head(&mut from_broker).await?;
        to_client.write_all(answer.as_bytes()).await.ok()?;
        to_client.flush().await.ok()?;
        if trick == Trick::Impersonate {
            let stream = tokio::io::join(from_client, to_client);
            let mut inside = self.own.accept(stream).await.ok()?;
            // it got this far: the client talks to it
            let mut said = Vec::new();
            inside.read_to_end(&mut said).await.ok()?;
            return Some(());
        }
        tokio::join!(
            self.copy(&mut from_client, &mut to_broker, trick == Trick::FlipToGateway),
            self.copy(&mut from_broker, &mut to_client, trick == Trick::FlipToClient),
        );
        Some(())
    }

    /// Reads the head of a request or an answer.
    async fn head(&self, from: &mut (impl AsyncRead + Unpin)) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(from.read_u8().await.ok()?);
        }
        self.seen.lock().expect("not poisoned").extend_from_slice(&head);
        String::from_utf8(head).ok()
    }

    /// Copies until the end; changes a bit of what comes after the handshake when told to.
    async fn copy(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        flip: bool,
    ) {
        let (mut buffer, mut reads) = (vec![0; 16 * 1024], 0);
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let bytes = &mut buffer[..count];
            self.seen.lock().expect("not poisoned").extend_from_slice(bytes);
            reads += 1;
            if flip && reads == 3 {
                bytes[count - 1] ^= 1;
            }
            if to.write_all(bytes).await.is_err() || to.flush().await.is_err() {
                break;
            }
        }
        let _closed = to.shutdown().await;
    }
}

/// What a broker says of any file of the ledger that it does not know.
const NO_SUCH_FILE: &str = "HTTP/1.1 404 Not Found\r\ncontent-type: application/problem+json\r\n\
    content-length: 114\r\nconnection: close\r\n\r\n\
    {\"type\":\"urn:hoopctl:problem:unknown\",\"status\":404,\"title\":\"there is no such file of the ledger\",\"code\":\"unknown\"}";

fn towards(world: &World) -> Arc<rustls::ClientConfig> {
    let ca = rustls::pki_types::CertificateDer::from_pem_file(world.broker.data().join("pki/ca.pem"));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.expect("the broker's CA")).expect("a usable root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}
