//! An identity provider for the demo and for tests, never for more.
//!
//! Job: OpenID Connect with the device authorization grant (RFC 8628), refresh with rotation
//! (RFC 9700 §4.14.2) and revocation (RFC 7009), for a handful of users without passwords of their own.
//! Boundary: loopback only; whoever can reach it can be any of its users, unless it is locked by a passcode.
//! Failure mode: an OAuth error; state lives in memory and is bounded.

mod approve;
mod codes;
mod page;
mod routes;
mod tokens;

pub use approve::{ApproveError, Decision, decide};

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use url::Url;

use crate::gateway::clock::Clock;
use codes::Codes;
use tokens::Signer;

/// The only client it knows: public, device grant and refresh.
pub const CLIENT_ID: &str = "hoopctl";

/// Starts providers.
#[derive(Debug)]
pub struct EmbeddedProvider;

/// Somebody who can sign in by being picked from a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoUser {
    /// Subject and display name.
    pub name: String,
    /// The `groups` claim.
    pub groups: BTreeSet<String>,
}

/// A provider that serves until it is stopped or dropped.
pub struct Running {
    /// The issuer, exactly as the discovery document says it.
    pub issuer: Url,
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<std::io::Result<()>>,
}

/// Why a provider did not start.
#[derive(Debug, Error)]
pub enum EmbeddedError {
    /// The port is taken or not ours to take.
    #[error("the embedded identity provider cannot listen on {address}: {source}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// No signing key could be made.
    #[error("the embedded identity provider has no signing key: {0}")]
    Key(String),
    /// It would be reachable from other machines.
    #[error("the embedded identity provider is for demos and tests: it listens on loopback only, not on {0}")]
    NotLoopback(SocketAddr),
}

impl DemoUser {
    /// A user in these groups.
    #[must_use]
    pub fn new(name: &str, groups: &[&str]) -> Self {
        Self { name: name.into(), groups: groups.iter().map(|group| (*group).into()).collect() }
    }

    /// The cast of the demo: alice may much, bob little, mallory nothing.
    #[must_use]
    pub fn cast() -> Vec<Self> {
        vec![Self::new("alice", &["dba", "oncall"]), Self::new("bob", &["dev"]), Self::new("mallory", &[])]
    }
}

impl EmbeddedProvider {
    /// Listens on a loopback address; port 0 takes any.
    ///
    /// # Errors
    /// When the address is not loopback, the port is not free, or no key can be made.
    pub async fn start(address: SocketAddr, users: Vec<DemoUser>) -> Result<Running, EmbeddedError> {
        Self::start_by(Clock::system(), address, users).await
    }

    /// The same, for those only who know the passcode: other users of this machine can reach the port as well.
    ///
    /// # Errors
    /// As for [`Self::start`].
    pub async fn start_locked(
        address: SocketAddr,
        users: Vec<DemoUser>,
        passcode: SecretString,
    ) -> Result<Running, EmbeddedError> {
        Self::serve(Clock::system(), address, users, Some(passcode)).await
    }

    /// The same, going by another clock: the time of a sign-in is what it says.
    ///
    /// # Errors
    /// As for [`Self::start`].
    pub async fn start_by(
        clock: Clock,
        address: SocketAddr,
        users: Vec<DemoUser>,
    ) -> Result<Running, EmbeddedError> {
        Self::serve(clock, address, users, None).await
    }

    async fn serve(
        clock: Clock,
        address: SocketAddr,
        users: Vec<DemoUser>,
        passcode: Option<SecretString>,
    ) -> Result<Running, EmbeddedError> {
        // INVARIANT: users have no passwords, so nobody else may reach this port
        if !address.ip().is_loopback() {
            return Err(EmbeddedError::NotLoopback(address));
        }
        let signer = Signer::generate().map_err(EmbeddedError::Key)?;
        let bind = |source| EmbeddedError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let issuer = Url::parse(&format!("http://{address}/"))
            .map_err(|error| EmbeddedError::Key(error.to_string()))?;
        let (users, codes) = (Mutex::new(users), Mutex::default());
        let state = Arc::new(State { address, clock, signer, users, passcode, codes });
        let (stop, stopped) = oneshot::channel::<()>();
        let server =
            axum::serve(listener, routes::router(Arc::clone(&state))).with_graceful_shutdown(async move {
                // an error means that the handle was dropped, which stops the server too
                let _told = stopped.await;
            });
        let task = tokio::spawn(server.into_future());
        Ok(Running { issuer, address, state, stop: Some(stop), task })
    }
}

impl Running {
    /// Replaces the groups of a user, or removes the user; seen at the next refresh.
    pub fn set_groups(&self, user: &str, groups: Option<&[&str]>) {
        let mut users = self.state.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.retain(|known| known.name != user);
        if let Some(groups) = groups {
            users.push(DemoUser::new(user, groups));
        }
    }

    /// Stops serving; open connections get a second to end.
    pub async fn stop(mut self) {
        self.stop = None;
        if tokio::time::timeout(Duration::from_secs(1), &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop = None;
    }
}

struct State {
    address: SocketAddr,
    clock: Clock,
    signer: Signer,
    users: Mutex<Vec<DemoUser>>,
    /// What must be known to approve; `None` where nobody else can reach the port.
    passcode: Option<SecretString>,
    codes: Mutex<Codes>,
}

impl State {
    /// OpenID Connect Core §2: the issuer has no trailing slash here, as most providers' have none.
    fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    fn user(&self, name: &str) -> Option<DemoUser> {
        let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.iter().find(|user| user.name == name).cloned()
    }

    fn codes(&self) -> std::sync::MutexGuard<'_, Codes> {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
