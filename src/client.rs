//! Floor 4: the user's machine.
//!
//! Job: signing in, keeping the credential, talking to the broker, the loopback that the child uses,
//! launching the child. Boundary: whatever it needs to know of this machine comes in as a
//! [`ClientContext`]; it never reads the environment, prints or asks. Nothing that must hold against
//! a hostile user is decided here: the client can be replaced. Failure mode: an error per module
//! that the floor above turns into a message and an exit code.

use std::path::PathBuf;
use std::sync::Arc;

use crate::gateway::clock::Clock;

pub mod api;
pub mod approvals;
pub mod home;
pub mod keychain;
pub mod launch;
pub mod link;
pub mod login;
pub mod loopback;
pub mod notify;
pub mod provider;
pub mod session;
pub mod trust;
pub mod tunnel;
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
}
