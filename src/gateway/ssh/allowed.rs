//! What the host may open towards the client.
//!
//! Job: remember what the client asked for and policy let it have. Boundary: each channel that the host opens is
//! judged again by itself; this only knows that it was asked for. Failure mode: what nobody asked for is refused
//! before it exists.
//!
//! Why: a client that offers its agent to one host says so in its configuration, and lets the agent be used by
//! whoever opens such a channel. A host that was refused the agent may open one all the same.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::dial::ReverseKind;

/// One connection's.
#[derive(Debug, Default)]
pub(super) struct Allowed {
    agent: AtomicBool,
    display: AtomicBool,
    /// On which the host listens for the client.
    ports: Mutex<BTreeSet<u32>>,
}

impl Allowed {
    /// The client's agent may be asked.
    pub(super) fn agent(&self) {
        self.agent.store(true, Ordering::Relaxed);
    }

    /// The client's display may be used.
    pub(super) fn display(&self) {
        self.display.store(true, Ordering::Relaxed);
    }

    /// The host listens on this port.
    pub(super) fn listens(&self, port: u32) {
        self.ports().insert(port);
    }

    /// The host does not listen on it any more.
    pub(super) fn listens_no_more(&self, port: u32) {
        self.ports().remove(&port);
    }

    /// Whether what the host opens was asked for.
    pub(super) fn lets(&self, kind: &ReverseKind) -> bool {
        match kind {
            ReverseKind::Agent => self.agent.load(Ordering::Relaxed),
            // hosts name the address in other words than they were asked with
            ReverseKind::Forwarded { listened: (_, port), .. } => self.ports().contains(port),
            ReverseKind::X11 { .. } => self.display.load(Ordering::Relaxed),
        }
    }

    fn ports(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
