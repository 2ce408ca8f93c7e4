//! Floor 4: the user's machine.
//!
//! Job: signing in, keeping the credential, talking to the broker, the loopback that the child uses,
//! launching the child. Boundary: whatever it needs to know of this machine comes in as a
//! [`ClientContext`]; it never reads the environment, prints or asks. Nothing that must hold against
//! a hostile user is decided here: the client can be replaced. Failure mode: an error per module
//! that the floor above turns into a message and an exit code.

use std::path::PathBuf;
use std::sync::Arc;

use crate::domain::device::Device;
use crate::gateway::clock::Clock;

pub mod api;
pub mod approvals;
pub mod aws;
pub mod environment;
pub mod evidence;
pub mod export;
pub mod guard;
pub mod home;
pub mod http;
mod job;
pub mod keychain;
mod known;
pub mod launch;
pub mod ledger;
pub mod link;
pub mod login;
pub mod loopback;
pub mod notify;
pub mod playback;
pub mod postgres;
pub mod protocol;
pub mod provider;
pub mod screen;
pub mod session;
pub mod signals;
pub mod ssh;
pub mod trust;
pub mod tunnel;
pub mod userfile;
pub mod workload;

/// What the client must know of the machine and the process it runs in.
#[derive(Debug, Clone)]
pub struct ClientContext {
    /// Where state is kept.
    pub home: Arc<home::Home>,
    /// What this machine calls itself; shown at the broker, never trusted.
    pub host_name: String,
    /// Which credential store to use.
    pub store: keychain::StoreChoice,
    /// Where short-lived sockets may go when the path of the home is too long for one.
    pub temporary: PathBuf,
    /// The time of day.
    pub clock: Clock,
    /// Tells the person of devices of theirs that this one does not know.
    pub strangers: Strangers,
    /// Tells the person what was seen of a ledger.
    pub sights: Sights,
}

/// Tells the person of devices that were enrolled for them since this one looked the last time.
#[derive(Clone)]
pub struct Strangers(Arc<Tell>);

type Tell = dyn Fn(&[Device]) + Send + Sync;

impl Strangers {
    /// Tells by this.
    pub fn new(tell: impl Fn(&[Device]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    fn tell(&self, devices: &[Device]) {
        (self.0)(devices);
    }
}

/// What a person should know of a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// It was seen for the first time, and is remembered from now on.
    First {
        /// Its key.
        key: String,
        /// How many entries it has.
        size: u64,
        /// Whether somebody has named the key; else it is the broker's word.
        is_named: bool,
    },
    /// The broker, an older one, shows no head.
    Nothing,
    /// Its key was changed, as the log itself proves.
    Rotated {
        /// The key from now on.
        key: String,
        /// The entry by which it was changed.
        index: u64,
        /// Whether others may know the key before.
        is_compromised: bool,
    },
}

/// Tells the person what was seen of a ledger.
#[derive(Clone)]
pub struct Sights(Arc<TellSight>);

type TellSight = dyn Fn(&Sight) + Send + Sync;

impl Sights {
    /// Tells by this.
    pub fn new(tell: impl Fn(&Sight) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    fn tell(&self, sight: &Sight) {
        (self.0)(sight);
    }
}

impl std::fmt::Debug for Sights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sights")
    }
}

impl std::fmt::Debug for Strangers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Strangers")
    }
}
