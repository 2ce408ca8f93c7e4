//! The end of a session on this machine.
//!
//! Job: listens on a Unix socket in a private directory, or on loopback TCP when asked; asks the
//! kernel who calls; opens one tunnel per connection and copies both ways, or leaves that to the door of a
//! protocol that has one; logs every use. Boundary: knows of the protocols only how to say no. Failure
//! mode: a stranger and a tunnel that fails are answered with an error of the protocol; nothing is ever
//! silently dropped.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional_with_sizes};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::http::Door;
use super::tunnel::Stream;
use locallog::{Line, LocalLog};
use peer::{Decision, Peer, Process};
use refusal::{Frame, Refusal};

pub mod locallog;
pub mod peer;
pub mod place;
pub mod refusal;

pub use place::{Place, PlaceError};

/// Opens the far end for one connection.
pub trait Opener: Send + Sync + 'static {
    /// Opens it, or says in the client's protocol why not.
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Stream>, Refusal>>;
}

/// Who may use the loopback.
#[derive(Debug, Clone)]
pub enum Admit {
    /// The child and what it starts, once it is known.
    Descendants(watch::Receiver<Option<Process>>),
    /// Every process of the user: there is no child.
    SameUser,
}

/// Why there is no loopback.
#[derive(Debug, Error)]
pub enum LoopbackError {
    /// The private directory failed.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The port that goes with a path that stays is not free.
    #[error("port {port} is in use by another program, and it is the sticky port of `{target}`")]
    PortTaken {
        /// The port.
        port: u16,
        /// The target.
        target: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on `{address}`: {cause}")]
    Listen {
        /// The address or path.
        address: String,
        /// What the system said.
        cause: io::Error,
    },
    /// An address that others could reach.
    #[error("`{0}` is not a loopback address")]
    NotLoopback(SocketAddr),
}

/// A loopback that listens and does not yet serve.
#[derive(Debug)]
pub enum Listener {
    /// On loopback TCP.
    Tcp(TcpListener, SocketAddr),
    /// On a Unix socket.
    Unix(UnixListener),
}

impl Listener {
    /// Listens on a socket of this name, of at most 13 letters, in a private directory.
    ///
    /// # Errors
    /// When the system says no.
    pub fn unix(place: &Place, name: &str) -> Result<Self, LoopbackError> {
        let path = place.path().join(name);
        let failed = |cause| LoopbackError::Listen { address: path.display().to_string(), cause };
        let listener = UnixListener::bind(&path).map_err(failed)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self::Unix(listener))
    }

    /// Listens on a loopback address; port 0 lets the system choose.
    ///
    /// # Errors
    /// When the address is not loopback or is taken.
    pub async fn tcp(address: SocketAddr) -> Result<Self, LoopbackError> {
        if !address.ip().is_loopback() {
            return Err(LoopbackError::NotLoopback(address));
        }
        let failed = |cause| LoopbackError::Listen { address: address.to_string(), cause };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        Ok(Self::Tcp(listener, bound))
    }
}

/// Everything that serving needs.
pub struct Service {
    /// Who may come.
    pub admit: Admit,
    /// Opens the far ends.
    pub opener: Arc<dyn Opener>,
    /// Where every use is written.
    pub log: Arc<LocalLog>,
    /// The session, for the log.
    pub session: String,
    /// In what form to say no.
    pub frame: Frame,
    /// What speaks with who was let in; without it, bytes are passed on as they are.
    pub door: Option<Arc<Door>>,
}

impl Service {
    /// Serves until `stop` holds a reason; connections still open then are cut after a few seconds
    /// in which the gateway can say goodbye.
    pub async fn run(self, listener: Listener, mut stop: watch::Receiver<bool>) {
        let service = Arc::new(self);
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((peer, socket)) => {
                    connections.spawn(Arc::clone(&service).connection(peer, socket));
                }
                // out of file descriptors, most likely: others must close first
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        drop(listener);
        let goodbye = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }

    async fn connection(self: Arc<Self>, caller: Caller, mut socket: Box<dyn Stream>) {
        let peer = caller.identify().await;
        let decision = self.decide(&peer).await;
        // INVARIANT: every use is in the local log before a byte of it moves
        self.log.write(&Line::new(self.log.now(), &self.session, &peer, &decision));
        if let Decision::Refuse(why) = decision {
            let refusal = Refusal { code: "28000", message: format!("hoopctl: {why}") };
            refusal.send(self.frame, &mut socket).await;
            return;
        }
        if let Some(door) = &self.door {
            return Arc::clone(door).serve(socket, Arc::clone(&self.opener)).await;
        }
        match self.opener.open().await {
            Ok(mut tunnel) => copy(&mut socket, &mut tunnel).await,
            Err(refusal) => refusal.send(self.frame, &mut socket).await,
        }
    }

    async fn decide(&self, peer: &Peer) -> Decision {
        match &self.admit {
            Admit::SameUser => peer::decide(peer, None),
            Admit::Descendants(child) => {
                let mut child = child.clone();
                // the child may connect before its parent has learned its process id
                let known = tokio::time::timeout(CHILD_KNOWN, child.wait_for(Option::is_some)).await;
                match known.ok().and_then(Result::ok).and_then(|child| child.clone()) {
                    Some(child) => {
                        let peer = peer.clone();
                        tokio::task::spawn_blocking(move || peer::decide(&peer, Some(&child)))
                            .await
                            .unwrap_or(Decision::Refuse("the calling process could not be looked at"))
                    }
                    None => Decision::Refuse("the child process is not running yet"),
                }
            }
        }
    }
}

/// A connection whose other end is not yet known.
enum Caller {
    Tcp { here: SocketAddr, there: SocketAddr },
    Unix(Peer),
}

impl Caller {
    async fn identify(self) -> Peer {
        match self {
            Self::Unix(peer) => peer,
            Self::Tcp { here, there } => {
                tokio::task::spawn_blocking(move || peer::of_tcp(here, there)).await.unwrap_or_default()
            }
        }
    }
}

impl Listener {
    async fn accept(&self) -> io::Result<(Caller, Box<dyn Stream>)> {
        match self {
            Self::Unix(listener) => {
                let (socket, _) = listener.accept().await?;
                let peer = peer::of_unix(&socket);
                Ok((Caller::Unix(peer), Box::new(socket)))
            }
            Self::Tcp(listener, here) => {
                let (socket, there) = listener.accept().await?;
                socket.set_nodelay(true)?;
                Ok((Caller::Tcp { here: *here, there }, Box::new(socket)))
            }
        }
    }
}

/// Copies both ways, each by itself, until both have ended; how they end is the ends' business.
pub async fn copy<A, B>(near: &mut A, far: &mut B)
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    drop(copy_bidirectional_with_sizes(near, far, BUFFER, BUFFER).await);
}

const BUFFER: usize = 256 << 10;
const CHILD_KNOWN: Duration = Duration::from_secs(5);
const GOODBYE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests;
