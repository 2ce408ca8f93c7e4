//! Ledger and recordings as the one journal that the gateway writes to.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::Recordings;
use crate::broker::ledger::LedgerWriter;
use crate::domain::event::{Actor, Event};
use crate::domain::name::SessionId;
use crate::gateway::journal::{Journal, JournalError, Recorder, Ticket};

/// The broker's journal.
pub struct AuditTrail {
    // dropped first: closing the recordings still enters chunks
    recordings: Arc<Recordings>,
    ledger: Arc<LedgerWriter>,
}

impl AuditTrail {
    /// Puts the two together.
    #[must_use]
    pub fn new(ledger: Arc<LedgerWriter>, recordings: Arc<Recordings>) -> Arc<Self> {
        Arc::new(Self { recordings, ledger })
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> &Arc<LedgerWriter> {
        &self.ledger
    }

    /// The recordings.
    #[must_use]
    pub fn recordings(&self) -> &Arc<Recordings> {
        &self.recordings
    }

    /// Closes both, in the right order. Blocks for as long as the disk takes.
    pub fn close(&self) {
        self.recordings.close();
        self.ledger.close();
    }
}

impl Journal for AuditTrail {
    fn enter(&self, event: &Event) -> Result<Ticket, JournalError> {
        let ticket = self.ledger.enter(event)?;
        self.recordings.note(&event.what, ticket.0);
        Ok(ticket)
    }

    fn synced(&self, ticket: Ticket) -> BoxFuture<'_, Result<(), JournalError>> {
        self.ledger.synced(ticket)
    }

    fn recorder(
        &self,
        session: &SessionId,
        connection: u32,
        actor: &Actor,
    ) -> Result<Box<dyn Recorder>, JournalError> {
        self.recordings.recorder(session, connection, actor)
    }
}
