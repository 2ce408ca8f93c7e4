//! The broker, put together.
//!
//! Job: start every part in the right order, keep the clockwork going, reload, drain. Boundary: the
//! only place that knows all parts; the journal, the leases and the gateway are handed in. Failure
//! mode: a broker that cannot start says why; one that is told to stop closes what it opened.

mod authority;
pub(crate) mod core;
pub(crate) mod devices;
mod observe;
pub(crate) mod ports;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretBox;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

pub use ports::{Archive, LeaseKeeper, TunnelHandler, TunnelIo};

use self::core::{Core, OpenError};
use self::observe::Observed;
use crate::broker::api;
use crate::broker::approvals::Approvals;
use crate::broker::authn::{Authn, Fetch};
use crate::broker::config::Config;
use crate::broker::devices::Devices;
use crate::broker::logins::Logins;
use crate::broker::metrics::Metrics;
use crate::broker::pki::{Identity, PkiError, files};
use crate::broker::scribe::Scribe;
use crate::broker::secrets::Secrets;
use crate::broker::sessions::Sessions;
use crate::broker::store::{Store, StoreError};
use crate::broker::webhooks::Webhooks;
use crate::domain::event::{Durability, What};
use crate::domain::name::{Digest, SessionId};
use crate::domain::session::CloseReason;
use crate::gateway::authority::Authority;
use crate::gateway::clock::Clock;
use crate::gateway::journal::{Journal, JournalError};

/// What a broker is made of.
pub struct Parts {
    /// Its configuration.
    pub config: Config,
    /// The clock.
    pub clock: Clock,
    /// Its database.
    pub store: Arc<Store>,
    /// The ledger's writer.
    pub journal: Arc<dyn Journal>,
    /// The ledger's reader.
    pub archive: Arc<dyn Archive>,
    /// How documents of identity providers are fetched.
    pub fetch: Arc<dyn Fetch>,
    /// How the secrets of webhooks are fetched.
    pub secrets: Secrets,
    /// Makes the keeper of leases.
    pub leases: LeaseMaker,
    /// Makes the gateway.
    pub tunnels: TunnelMaker,
}

/// Makes the keeper of leases once there is something to connect it to.
pub type LeaseMaker = Box<dyn FnOnce(&Wiring) -> Arc<dyn LeaseKeeper> + Send>;
/// Makes the gateway once there is something to connect it to.
pub type TunnelMaker = Box<dyn FnOnce(&Wiring) -> Arc<dyn TunnelHandler> + Send>;

/// What leases and gateway are connected to.
pub struct Wiring {
    /// Decides.
    pub authority: Arc<dyn Authority>,
    /// Takes entries, and counts them: the one to use.
    pub journal: Arc<dyn Journal>,
    /// The database.
    pub store: Arc<Store>,
    /// The clock.
    pub clock: Clock,
    /// The keys.
    pub identity: Arc<Identity>,
}

/// Starts brokers.
pub struct App;

/// Why a broker did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A file of the data directory cannot be used.
    #[error("{path} cannot be used: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The ledger cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A port cannot be opened.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Metrics cannot be set up.
    #[error("metrics cannot be set up: {0}")]
    Metrics(#[from] prometheus::Error),
    /// Keys or certificates cannot be used.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// What a former process left behind could not be recorded.
    #[error("the sessions of the former process could not be closed: {0}")]
    Recovery(String),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl App {
    /// Starts a broker.
    ///
    /// # Errors
    /// [`StartError`]; nothing keeps running then.
    pub async fn start(parts: Parts) -> Result<Running, StartError> {
        let (wanted, metrics_wanted) = (parts.config.listen, parts.config.metrics_listen);
        // the keys are there before the port is: whoever finds it open can find its pin, too
        let Assembled { core, wiring, closing, leases, tunnels } = assemble(parts)?;
        let listener = listen(wanted).await?;
        let metrics_listener = match metrics_wanted {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let address = listener.local_addr().unwrap_or(wanted);
        let metrics_address = metrics_listener.as_ref().and_then(|listener| listener.local_addr().ok());
        core.lend(leases(&wiring));
        let tunnels = tunnels(&wiring);

        let version = env!("CARGO_PKG_VERSION").to_owned();
        core.scribe.enter(None, What::BrokerStarted { version }, Durability::Synced).await?;
        core.scribe.announce(core.scribe.policy()).await?;
        core.recover().await.map_err(|error: OpenError| StartError::Recovery(error.to_string()))?;

        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&core).bury(closing));
        tasks.spawn(clockwork(Arc::clone(&core)));
        let tls = Some(Arc::clone(&core.identity.outer));
        let router = api::router(Arc::clone(&core), tunnels);
        tasks.spawn(api::serve(listener, tls, router, Arc::clone(&core), stopped.clone()));
        if let Some(listener) = metrics_listener {
            let router = api::metrics_router(Arc::clone(&core));
            tasks.spawn(api::serve(listener, None, router, Arc::clone(&core), stopped));
        }
        tracing::info!(%address, "the broker serves");
        Ok(Running { core, address, metrics_address, stop, tasks })
    }
}

/// A broker that serves until it is drained or dropped.
pub struct Running {
    core: Arc<Core>,
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where metrics are read.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// The certificate of its own CA, and the digest of that CA's key, when it has one in use.
    #[must_use]
    pub fn ca(&self) -> Option<(String, Digest)> {
        let identity = &self.core.identity;
        identity.ca_pem.clone().zip(identity.ca_key.clone())
    }

    /// The digest of the key that tunnels are pinned to.
    #[must_use]
    pub fn gateway_key(&self) -> Digest {
        self.core.identity.gateway_key.clone()
    }

    /// Puts targets, policy and providers of a new configuration in force. Addresses, the data
    /// directory and the public URL stay as they were at the start.
    ///
    /// # Errors
    /// When the new policy could not be entered; the old configuration stays then.
    pub async fn reload(&self, config: Config) -> Result<(), JournalError> {
        if let Some(files) = &config.tls
            && let Err(error) = self.core.identity.reread(files)
        {
            tracing::error!(%error, "the port keeps its old certificate");
        }
        self.core.adopt(config).await
    }

    /// Refuses new sessions, waits until the others are over or the time is up, closes the rest,
    /// and stops.
    ///
    /// # Errors
    /// When the end could not be entered; the broker has stopped all the same.
    pub async fn drain(mut self, timeout: Duration) -> Result<(), JournalError> {
        self.core.draining.store(true, Ordering::SeqCst);
        tracing::info!("draining");
        self.wait_empty(timeout).await;
        self.core.sessions.close_where(|_, _| Some(CloseReason::BrokerRestarted));
        self.wait_empty(LAST_CALL).await;
        let _ = self.stop.send(true);
        let entered = self.core.scribe.enter(None, What::BrokerStopped, Durability::Synced).await;
        let signed = self.core.archive.checkpoint().await;
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
        entered.and(signed)
    }

    async fn wait_empty(&self, timeout: Duration) {
        let empty = async {
            while self.core.sessions.census(None).sessions > 0 {
                tokio::time::sleep(TICK).await;
            }
        };
        // running out of time is an outcome like any other
        let _ = tokio::time::timeout(timeout, empty).await;
    }
}

/// What [`App::start`] puts together before anything runs.
pub(crate) struct Assembled {
    pub(crate) core: Arc<Core>,
    pub(crate) wiring: Wiring,
    pub(crate) closing: mpsc::UnboundedReceiver<SessionId>,
    leases: LeaseMaker,
    tunnels: TunnelMaker,
}

pub(crate) fn assemble(parts: Parts) -> Result<Assembled, StartError> {
    let Parts { config, clock, store, journal, archive, fetch, secrets, leases, tunnels } = parts;
    let identity = Arc::new(Identity::load(&config, clock.now())?);
    let (sessions, closing) = Sessions::new(Arc::clone(&store));
    let sessions = Arc::new(sessions);
    let metrics = Arc::new(Metrics::new()?);
    let hooks = config.webhooks.clone();
    let webhooks = Arc::new(Webhooks::new(Arc::clone(&store), clock.clone(), secrets, hooks));
    let (told, alarmed) = (Arc::clone(&webhooks), Arc::clone(&webhooks));
    let observed = Arc::new(Observed::new(journal, Arc::clone(&sessions), Arc::clone(&metrics), alarmed));
    let journal: Arc<dyn Journal> = Arc::clone(&observed) as Arc<dyn Journal>;
    let scribe = Arc::new(Scribe::new(Arc::clone(&journal), clock.clone(), config.policy.digest().clone()));
    let devices = Arc::new(Devices::new(Arc::clone(&store)));
    let logins = Arc::new(Logins::load(Arc::clone(&store))?);
    let authn = Authn::new(
        Arc::clone(&store),
        Arc::clone(&devices),
        Arc::clone(&logins),
        Arc::clone(&scribe),
        fetch,
    )?;
    let approvals = Arc::new(Approvals::new(Arc::clone(&store), Arc::clone(&scribe), clock.clone(), told));
    let root = config.data_dir.join("pki").join("digest.key");
    let digest_root = root_key(&root).map_err(|source| StartError::File { path: root, source })?;
    let core = Arc::new(Core {
        clock: clock.clone(),
        config: RwLock::new(Arc::new(config)),
        identity: Arc::clone(&identity),
        scribe,
        observed,
        devices,
        logins,
        authn,
        approvals,
        webhooks,
        sessions,
        metrics,
        archive,
        leases: OnceLock::new(),
        draining: AtomicBool::new(false),
        digest_root,
    });
    let authority: Arc<dyn Authority> = Arc::clone(&core) as Arc<dyn Authority>;
    let wiring = Wiring { authority, journal, store, clock, identity };
    Ok(Assembled { core, wiring, closing, leases, tunnels })
}

/// What has to happen as time passes. Sessions have no timers of their own: one look at all of them
/// each quarter of a second closes what is due.
async fn clockwork(core: Arc<Core>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut next_sweep = core.clock.now();
    let mut next_renewal = core.clock.now().checked_add(RENEWAL).unwrap_or(Timestamp::MAX);
    let mut next_watch = core.clock.now();
    let mut watching: Option<tokio::task::JoinHandle<()>> = None;
    let mut settling: Option<tokio::task::JoinHandle<()>> = None;
    loop {
        ticks.tick().await;
        let now = core.clock.now();
        core.tick(now);
        // apart, and one at a time: it waits for the disk, and the end of a session must not
        if settling.as_ref().is_none_or(tokio::task::JoinHandle::is_finished) {
            let core = Arc::clone(&core);
            settling = Some(tokio::spawn(async move { settle(&core).await }));
        }
        core.webhooks.tick();
        if now >= next_sweep {
            next_sweep = now.checked_add(SWEEP).unwrap_or(now);
            sweep(&core);
            let core = Arc::clone(&core);
            tokio::spawn(async move { core.reap().await });
        }
        // one at a time, however slow a database is
        if now >= next_watch && watching.as_ref().is_none_or(tokio::task::JoinHandle::is_finished) {
            next_watch = now.checked_add(WATCH).unwrap_or(now);
            let core = Arc::clone(&core);
            watching = Some(tokio::spawn(async move { core.watch().await }));
        }
        if now >= next_renewal {
            next_renewal = now.checked_add(RENEWAL).unwrap_or(now);
            if let Err(error) = core.identity.renew(now) {
                tracing::error!(%error, "the gateway's certificate could not be renewed");
            }
        }
    }
}

/// What is due of approvals, and what revocations left to be done.
async fn settle(core: &Core) {
    for grant in core.approvals.tick().await {
        core.extend(&grant);
    }
    core.shut_out_again().await;
}

fn sweep(core: &Core) {
    if let Err(error) = core.authn.prune(core.clock.now()) {
        tracing::error!(%error, "expired tokens could not be forgotten");
    }
    if let Err(error) = core.webhooks.prune() {
        tracing::error!(%error, "old messages could not be forgotten");
    }
    if let Err(error) = core.approvals.prune() {
        tracing::error!(%error, "old requests could not be forgotten");
    }
    if let Err(error) = core.devices.forget_idle_machines() {
        tracing::error!(%error, "devices of machines could not be forgotten");
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })
}

fn root_key(path: &Path) -> std::io::Result<SecretBox<[u8; 32]>> {
    let bytes = match files::read_private(path)? {
        Some(bytes) => bytes,
        None => {
            let bytes: [u8; 32] = rand::random();
            files::write_private(path, &bytes)?;
            bytes.to_vec()
        }
    };
    let key = <[u8; 32]>::try_from(bytes).map_err(|_| std::io::Error::other("it does not hold 32 bytes"))?;
    Ok(SecretBox::new(Box::new(key)))
}

/// 256 random bits as text.
pub(crate) fn random_text() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// A quarter of what "within a second" leaves, so that a late tick is still in time.
const TICK: Duration = Duration::from_millis(250);
const WATCH: SignedDuration = SignedDuration::from_secs(5);
const SWEEP: SignedDuration = SignedDuration::from_secs(60);
const RENEWAL: SignedDuration = SignedDuration::from_hours(24);
/// How long closing takes at the most once it was ordered.
const LAST_CALL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
