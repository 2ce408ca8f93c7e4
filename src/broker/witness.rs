//! A witness that serves.
//!
//! Job: the requests of `ledger::witness` over HTTP, and its memory on the disk. Boundary: needs no broker, and runs in a
//! process of its own. Failure mode: what cannot be kept is not cosigned; a witness that does not find what it once kept
//! does not start, for it would cosign another history.

mod memory;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path as Named, State as With};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http_body_util::{BodyExt as _, Limited};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use self::memory::Memory;
use crate::gateway::clock::Clock;
use crate::ledger::cosignature::{Cosigner, WitnessKey};
use crate::ledger::note::{NoteError, VerifierKey};
use crate::ledger::witness::{MAX_REQUEST, StateError, TEXT, Witness};

/// What a witness is made of.
#[derive(Debug)]
pub struct WitnessParts {
    /// Its name.
    pub name: String,
    /// The file with its key.
    pub key: PathBuf,
    /// The logs that it knows.
    pub logs: Vec<VerifierKey>,
    /// The folder of its memory.
    pub state: PathBuf,
    /// Whether what is not there is made: the key, and the memory of logs that it has none of.
    pub new: Fresh,
}

/// Whether a witness may begin with nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fresh {
    /// It goes on from what it kept.
    Never,
    /// What is not there is made.
    WhereMissing,
}

/// Why a witness does not start.
#[derive(Debug, Error)]
pub enum WitnessError {
    /// What it kept of a log is not there.
    #[error("nothing is kept of the log `{origin}`: `{path}` is missing")]
    Forgotten {
        /// The log.
        origin: String,
        /// Where it was.
        path: String,
    },
    /// Another witness uses the folder.
    #[error("another witness uses `{0}`")]
    InUse(String),
    /// A file could not be read or written.
    #[error("`{path}`: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The key is none.
    #[error("the witness's key `{path}`: {source}")]
    Key {
        /// The file.
        path: String,
        /// Why.
        source: NoteError,
    },
    /// There is none.
    #[error("the witness's key `{0}` is missing")]
    KeyMissing(String),
    /// Others may read the key.
    #[error("the witness's key `{0}` is readable by others; make its mode 0600")]
    KeyReadable(String),
    /// The address cannot be used.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The key is of another name.
    #[error("the witness's key is that of `{found}`")]
    Name {
        /// Whose it is.
        found: String,
    },
    /// What was kept cannot be believed.
    #[error("`{path}`: {source}")]
    State {
        /// The file.
        path: String,
        /// Why.
        source: StateError,
    },
}

impl WitnessError {
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { path, source }
    }
}

/// A witness that is ready to serve.
pub struct WitnessServer {
    desk: Arc<Desk>,
    listener: TcpListener,
}

/// Where requests are answered, one after the other.
struct Desk {
    witness: Witness,
    /// Held for the whole of a request, so that what is compared is what is replaced.
    memory: Mutex<Memory>,
    clock: Clock,
}

impl WitnessServer {
    /// Reads what was kept, and opens the port.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub async fn open(parts: WitnessParts, address: SocketAddr, clock: Clock) -> Result<Self, WitnessError> {
        let cosigner = key(&parts)?;
        let witness = Witness::new(cosigner, parts.logs);
        let memory = Memory::open(&parts.state, &witness, parts.new)?;
        let listen = |source| WitnessError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        Ok(Self { desk: Arc::new(Desk { witness, memory: Mutex::new(memory), clock }), listener })
    }

    /// The key that others need to believe it.
    #[must_use]
    pub fn key(&self) -> &WitnessKey {
        self.desk.witness.cosigner().public()
    }

    /// Where it listens; `None` when the system does not say.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Serves until told to stop.
    pub async fn serve(self, mut stop: watch::Receiver<bool>) {
        let router = Router::new()
            .route("/add-checkpoint", post(add))
            .route("/{log}/checkpoint", get(show))
            .with_state(self.desk);
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = stop.changed() => break,
            };
            while connections.try_join_next().is_some() {}
            let Ok((socket, peer)) = accepted else {
                // out of descriptors, most likely: let some come free
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let (service, mut stop) = (TowerToHyperService::new(router.clone()), stop.clone());
            connections.spawn(async move {
                let _place = place;
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(PATIENCE)
                    .max_buf_size(MAX_HEAD)
                    .serve_connection(TokioIo::new(socket), service);
                tokio::pin!(connection);
                let outcome = tokio::select! {
                    outcome = connection.as_mut() => outcome,
                    _ = stop.changed() => {
                        connection.as_mut().graceful_shutdown();
                        connection.await
                    }
                };
                if let Err(error) = outcome {
                    tracing::debug!(%peer, %error, "connection ended");
                }
            });
        }
        // what is being answered is answered
        let finish = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(PATIENCE, finish).await;
    }
}

async fn add(With(desk): With<Arc<Desk>>, body: Body) -> Response {
    let collected = tokio::time::timeout(PATIENCE, Limited::new(body, MAX_REQUEST).collect()).await;
    let Ok(Ok(collected)) = collected else {
        let said = "the request is too long, or does not come\n";
        return (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, TEXT)], said).into_response();
    };
    let body = collected.to_bytes();
    let answer = tokio::task::spawn_blocking(move || desk.answer(&body)).await;
    let failed = || (StatusCode::INTERNAL_SERVER_ERROR, TEXT, FAILED.to_owned());
    let (status, kind, body) = answer.ok().flatten().unwrap_or_else(failed);
    (status, [(header::CONTENT_TYPE, kind)], body).into_response()
}

/// What was last cosigned of a log: by the SHA-256 of its origin, in hexadecimal.
async fn show(With(desk): With<Arc<Desk>>, Named(log): Named<String>) -> Response {
    let note = desk.memory.lock().unwrap_or_else(PoisonError::into_inner).note(&log);
    match note {
        Some(note) => ([(header::CONTENT_TYPE, TEXT)], note).into_response(),
        None => (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, TEXT)], "nothing is cosigned of it\n")
            .into_response(),
    }
}

impl Desk {
    /// INVARIANT: no cosignature leaves before what it says is on the disk.
    fn answer(&self, body: &[u8]) -> Option<(StatusCode, &'static str, String)> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let now = u64::try_from(self.clock.now().as_second()).ok().filter(|now| *now > 0)?;
        let answer = self.witness.handle(body, memory.state(), now);
        if let Some(keep) = answer.keep
            && let Err(error) = memory.keep(&keep)
        {
            tracing::error!(origin = keep.origin, %error, "a checkpoint could not be kept, and is not cosigned");
            return None;
        }
        if answer.dispute {
            tracing::error!("a log has signed what does not follow from what was cosigned; see `evidence`");
            memory.dispute(body);
        }
        Some((StatusCode::from_u16(answer.status).ok()?, answer.kind, answer.body))
    }
}

/// The key, from its file.
fn key(parts: &WitnessParts) -> Result<Cosigner, WitnessError> {
    let path = parts.key.display().to_string();
    let wrong = |source| WitnessError::Key { path: path.clone(), source };
    let cosigner = match memory::read_key(&parts.key)? {
        Some(text) => Cosigner::parse(&text).map_err(wrong)?,
        None if parts.new == Fresh::WhereMissing => {
            let cosigner = Cosigner::new(&parts.name, &rand::random()).map_err(wrong)?;
            memory::write_key(&parts.key, &cosigner.to_secret_text())?;
            cosigner
        }
        None => return Err(WitnessError::KeyMissing(path)),
    };
    let found = cosigner.public().name().to_owned();
    if found == parts.name { Ok(cosigner) } else { Err(WitnessError::Name { found }) }
}

/// How long a request's head or body may take.
const PATIENCE: Duration = Duration::from_secs(10);
const MAX_CONNECTIONS: usize = 512;
const MAX_HEAD: usize = 16 * 1024;
const FAILED: &str = "the witness cannot keep it\n";

#[cfg(test)]
mod tests;
