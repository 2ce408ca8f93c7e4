//! A whole broker: state, ledger, recordings, leases and gateway behind one API.
//!
//! Job: connect [`App`] with the parts that it leaves open, start them in order and stop them in
//! order. Boundary: decides nothing. Failure mode: a broker that cannot start says which part could
//! not; nothing keeps running then.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use thiserror::Error;
use tokio::task::JoinSet;
use url::Url;

use super::app::{App, Archive, LeaseKeeper, Parts, Running, StartError, TunnelHandler, TunnelIo, Wiring};
use super::authn::{FetchError, HttpFetch};
use super::aws::Accounts;
use super::certificates::Certificates;
use super::config::Config;
use super::leases::{self, Leases};
use super::ledger::{
    DirectoryFiles, LedgerError, LedgerWriter, Unsigned, Unwitnessed, Witnesses, shown_head,
};
use super::recordings::{self, AuditTrail, Recordings, RecordingsError};
use super::secrets::Secrets;
use super::store::{Store, StoreError};
use super::tokens::{Minter, Tokens};
use crate::domain::device::Device;
use crate::domain::name::{Digest, SessionId, TargetName};
use crate::domain::target::{Target, TargetKind};
use crate::gateway::authority::{Authority, Lease, LeaseError, SessionContext};
use crate::gateway::clock::Clock;
use crate::gateway::journal::{Journal, JournalError};
use crate::gateway::tunnel::{Inner, Tunnels};
use crate::ledger::tile::Resource;
use crate::ledger::verify::Files as _;
use crate::wire::control::{EntryProof, LedgerHead};

/// A broker that serves until it is stopped.
pub struct Broker {
    running: Running,
    trail: Arc<AuditTrail>,
    // they end with it
    _witnesses: Option<JoinSet<()>>,
    // dropped last: whoever comes next finds everything closed
    _lock: std::fs::File,
}

/// Why a broker could not be assembled.
#[derive(Debug, Error)]
pub enum AssemblyError {
    /// The API or what it serves could not start.
    #[error(transparent)]
    App(#[from] StartError),
    /// Nothing can be fetched from identity providers.
    #[error("identity providers cannot be asked: {0}")]
    Fetch(#[from] FetchError),
    /// A folder cannot be made.
    #[error("`{path}` cannot be used: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The gateway could not start.
    #[error("the gateway could not start: {0}")]
    Gateway(io::Error),
    /// The ledger cannot be opened.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Another broker uses the data directory.
    #[error("another broker uses `{0}`")]
    Locked(PathBuf),
    /// The recordings cannot be opened.
    #[error(transparent)]
    Recordings(#[from] RecordingsError),
    /// The database cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Broker {
    /// Starts everything.
    ///
    /// # Errors
    /// [`AssemblyError`].
    pub async fn start(config: Config, clock: Clock, secrets: Secrets) -> Result<Self, AssemblyError> {
        let data = config.data_dir.clone();
        make_private(&data)?;
        make_private(&data.join("pki"))?;
        let lock = lock(&data)?;
        let store = Arc::new(Store::open(&data.join("broker.sqlite"))?);
        let policy = PolicyInForce { authority: Arc::default(), initial: config.policy.digest().clone() };
        let ledger_dir = data.join("ledger");
        let origin = origin(&config);
        let ledger = LedgerWriter::open_with(&ledger_dir, &origin, &config.ledger_keys)?;
        let (of_recordings, for_time) = (policy.clone(), clock.clone());
        let stamp = recordings::Stamp::new(move || of_recordings.digest(), move || for_time.now());
        let recordings = Recordings::open(&data.join("recordings"), Arc::clone(&ledger), stamp)?;
        let trail = AuditTrail::new(ledger, recordings);

        let key = trail.ledger().key().clone();
        let witnesses = Witnesses::new(config.witnesses.clone(), &ledger_dir, key, clock.clone());
        let gateway_fault = Arc::new(OnceLock::new());
        let parts = Parts {
            clock: clock.clone(),
            store,
            journal: Arc::clone(&trail) as Arc<dyn Journal>,
            archive: Arc::new(Shelf {
                trail: Arc::clone(&trail),
                ledger: DirectoryFiles::new(&ledger_dir),
                witnesses: witnesses.clone(),
            }),
            fetch: Arc::new(HttpFetch::new()?),
            secrets: secrets.clone(),
            leases: lease_maker(secrets, policy, config.public_url.clone()),
            tunnels: tunnel_maker(Arc::clone(&gateway_fault)),
            config,
        };
        let running = App::start(parts).await?;
        if let Some(error) = gateway_fault.get() {
            return Err(AssemblyError::Gateway(io::Error::other(error.clone())));
        }
        let witnesses = witnesses.map(|witnesses| witnesses.start());
        Ok(Self { running, trail, _witnesses: witnesses, _lock: lock })
    }

    /// What serves.
    #[must_use]
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Returns once the ledger can no longer be written, with the reason. Nothing is forwarded from then on, until a broker that
    /// starts anew has opened it again.
    pub async fn unwritable(&self) -> JournalError {
        self.trail.ledger().failed().await
    }

    /// Puts a new configuration in force without dropping a session.
    ///
    /// # Errors
    /// When the new policy could not be entered; the old configuration stays then.
    pub async fn reload(&self, config: Config) -> Result<(), JournalError> {
        self.running.reload(config).await
    }

    /// Refuses new sessions, lets the others end for so long, then stops everything.
    ///
    /// # Errors
    /// When the end could not be entered; everything has stopped all the same.
    pub async fn drain(self, patience: Duration) -> Result<(), JournalError> {
        let ended = self.running.drain(patience).await;
        let trail = self.trail;
        let closed = tokio::task::spawn_blocking(move || trail.close()).await;
        // the trail is closed whatever became of the end, which is told first
        ended.and_then(|()| closed.map_err(|error| JournalError::Unwritable(error.to_string())))
    }
}

/// The origin line of checkpoints (C2SP tlog-checkpoint): the host that clients know, without a
/// scheme.
fn origin(config: &Config) -> String {
    let url = &config.public_url;
    let host = url.host_str().unwrap_or("broker");
    let port = url.port_or_known_default().unwrap_or(443);
    format!("{host}:{port}/hoopctl")
}

fn make_private(folder: &Path) -> Result<(), AssemblyError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| AssemblyError::Folder { path: folder.to_owned(), source })
}

/// One broker per data directory: two writers would fork the ledger.
fn lock(folder: &Path) -> Result<std::fs::File, AssemblyError> {
    let path = folder.join("lock");
    let failed = |source| AssemblyError::Folder { path: path.clone(), source };
    let file = std::fs::File::create(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(AssemblyError::Locked(folder.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// The digest of the policy in force, also for parts that are there before it is asked for.
#[derive(Clone)]
struct PolicyInForce {
    authority: Arc<OnceLock<Arc<dyn Authority>>>,
    initial: Digest,
}

impl PolicyInForce {
    fn digest(&self) -> Digest {
        self.authority.get().map_or_else(|| self.initial.clone(), |authority| authority.policy())
    }
}

fn lease_maker(secrets: Secrets, policy: PolicyInForce, issuer: Url) -> super::app::LeaseMaker {
    Box::new(move |wiring: &Wiring| {
        drop(policy.authority.set(Arc::clone(&wiring.authority)));
        let clock = wiring.clock.clone();
        let stamp = move || leases::Stamp { at: clock.now(), policy: policy.digest() };
        let (store, journal) = (Arc::clone(&wiring.store), Arc::clone(&wiring.journal));
        let certificates = Certificates::new(
            wiring.identity.ssh_authority.clone(),
            Arc::clone(&wiring.authority),
            Arc::clone(&journal),
            secrets.clone(),
            stamp.clone(),
        );
        let tokens = Tokens::new(
            Minter { issuer: issuer.clone(), signer: Arc::clone(&wiring.identity.tokens) },
            Arc::clone(&journal),
            secrets.clone(),
            stamp.clone(),
        );
        let accounts = Accounts::new(
            Minter { issuer: issuer.clone(), signer: Arc::clone(&wiring.identity.tokens) },
            Arc::clone(&store),
            Arc::clone(&journal),
            secrets.clone(),
            stamp.clone(),
        );
        Arc::new(Keeper {
            accounts,
            certificates,
            tokens,
            roles: Leases::new(store, journal, secrets, stamp),
        })
    })
}

/// Leases as the application knows them: each protocol has its own kind.
struct Keeper {
    accounts: Accounts,
    certificates: Certificates,
    tokens: Tokens,
    roles: Leases,
}

impl LeaseKeeper for Keeper {
    fn issue<'a>(&'a self, context: &'a SessionContext) -> BoxFuture<'a, Result<Lease, LeaseError>> {
        match &context.target.kind {
            TargetKind::Aws(aws) => Box::pin(self.accounts.issue(context, aws)),
            TargetKind::Http(http) => Box::pin(self.tokens.issue(context, http)),
            TargetKind::Postgres(_) => Box::pin(self.roles.issue(context)),
            TargetKind::Ssh(ssh) => Box::pin(self.certificates.issue(context, ssh)),
        }
    }

    fn extend<'a>(
        &'a self,
        session: &'a SessionId,
        until: Timestamp,
    ) -> BoxFuture<'a, Result<(), LeaseError>> {
        // certificates and tokens are made anew before they end
        Box::pin(self.roles.extend(session, until))
    }

    fn revoke<'a>(&'a self, session: &'a SessionId) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.certificates.revoke(session);
            self.tokens.revoke(session);
            self.accounts.revoke(session).await;
            if let Err(error) = self.roles.revoke(session).await {
                tracing::error!(%session, %error, "a lease could not be taken back; the reaper tries again");
            }
        })
    }

    fn reap<'a>(&'a self, targets: &'a BTreeMap<TargetName, Target>) -> BoxFuture<'a, usize> {
        Box::pin(async move {
            let shared = targets.iter().map(|(name, target)| (name.clone(), Arc::new(target.clone())));
            let denied = self.accounts.reap().await;
            self.roles.tend(&shared.collect()).await.stuck.len() + denied
        })
    }

    fn watch(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.roles.watch())
    }
}

fn tunnel_maker(fault: Arc<OnceLock<String>>) -> super::app::TunnelMaker {
    Box::new(move |wiring: &Wiring| {
        let (authority, journal) = (Arc::clone(&wiring.authority), Arc::clone(&wiring.journal));
        let inner = Arc::clone(&wiring.identity.inner);
        let host_key = wiring.identity.ssh_host_key.clone();
        let tunnels = Tunnels::new(authority, journal, wiring.clock.clone(), inner, host_key);
        Arc::new(Mouth(tunnels.map_err(|error| fault.set(error.to_string())).ok()))
    })
}

/// Where tunnels enter the gateway.
struct Mouth(Option<Tunnels>);

impl TunnelHandler for Mouth {
    fn serve(
        &self,
        io: Box<dyn TunnelIo>,
        session: SessionId,
        device: Device,
        inner: bool,
    ) -> BoxFuture<'static, ()> {
        let tunnels = self.0.clone();
        let inner = if inner { Inner::Tls } else { Inner::Bare };
        Box::pin(async move {
            if let Some(tunnels) = tunnels {
                tunnels.serve(io, &session, &device, inner).await;
            }
        })
    }
}

/// Where the ledger and the recordings are read.
struct Shelf {
    trail: Arc<AuditTrail>,
    ledger: DirectoryFiles,
    witnesses: Option<Arc<Witnesses>>,
}

impl Archive for Shelf {
    fn healthy(&self) -> bool {
        self.trail.ledger().healthy()
    }

    fn ledger_file<'a>(&'a self, path: &'a str) -> BoxFuture<'a, io::Result<Option<Vec<u8>>>> {
        let (ledger, resource) = (self.ledger.clone(), Resource::parse(path));
        blocking(move || match resource {
            Some(resource) => ledger.read(&resource.to_string()).map_err(io::Error::other),
            None => Ok(None),
        })
    }

    fn ledger_head<'a>(&'a self, from: u64, since: Option<&'a str>) -> BoxFuture<'a, io::Result<LedgerHead>> {
        let (ledger, key) = (self.ledger.clone(), self.trail.ledger().key().clone());
        let since = since.map(str::to_owned);
        blocking(move || shown_head(&ledger, &key, from, since.as_deref()).map_err(io::Error::other))
    }

    fn recording<'a>(
        &'a self,
        session: &'a SessionId,
        has_closed: bool,
    ) -> BoxFuture<'a, io::Result<Vec<Vec<Digest>>>> {
        let (trail, session) = (Arc::clone(&self.trail), session.clone());
        Box::pin(async move {
            trail.recordings().covered(&session).await.map_err(unread)?;
            blocking(move || trail.recordings().index(&session, has_closed).map_err(unread)).await
        })
    }

    fn chunk_proof<'a>(
        &'a self,
        session: &'a SessionId,
        connection: u32,
        chunk: u32,
        size: Option<u64>,
    ) -> BoxFuture<'a, io::Result<Option<EntryProof>>> {
        let (trail, session) = (Arc::clone(&self.trail), session.clone());
        Box::pin(async move {
            if size.is_none() {
                trail.recordings().covered(&session).await.map_err(unread)?;
            }
            blocking(move || trail.recordings().proof(&session, connection, chunk, size).map_err(unread))
                .await
        })
    }

    fn end_proof<'a>(
        &'a self,
        session: &'a SessionId,
        connection: Option<u32>,
        size: u64,
    ) -> BoxFuture<'a, io::Result<Option<EntryProof>>> {
        let (trail, session) = (Arc::clone(&self.trail), session.clone());
        blocking(move || trail.recordings().end(&session, connection, size).map_err(unread))
    }

    fn chunk<'a>(
        &'a self,
        session: &'a SessionId,
        connection: u32,
        chunk: u32,
    ) -> BoxFuture<'a, io::Result<Option<Vec<u8>>>> {
        let (trail, session) = (Arc::clone(&self.trail), session.clone());
        blocking(move || trail.recordings().chunk(&session, connection, chunk).map_err(unread))
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<(), JournalError>> {
        self.trail.ledger().checkpoint_now()
    }

    fn unsigned(&self) -> Option<Unsigned> {
        self.trail.ledger().unsigned()
    }

    fn unwitnessed(&self) -> Option<Unwitnessed> {
        self.witnesses.as_ref().map(|witnesses| witnesses.unwitnessed())
    }
}

/// A search that somebody else waits for is over soon.
fn unread(error: RecordingsError) -> io::Error {
    let kind = match error {
        RecordingsError::Busy => io::ErrorKind::ResourceBusy,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

/// Reads files where waiting for the disk holds nobody up.
fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> BoxFuture<'static, io::Result<T>> {
    Box::pin(async move { tokio::task::spawn_blocking(work).await.map_err(io::Error::other)? })
}
