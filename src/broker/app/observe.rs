//! The journal as everybody gets it: counted.
//!
//! Job: pass entries on, count them for metrics and for their session, tell webhooks of those that
//! somebody should look at, and remember whether the last one could be written. Failure mode: the journal's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;

use crate::broker::metrics::Metrics;
use crate::broker::sessions::Sessions;
use crate::broker::webhooks::Webhooks;
use crate::domain::event::{Actor, Event, What};
use crate::domain::name::SessionId;
use crate::gateway::journal::{Journal, JournalError, Recorder, Ticket};

pub(super) struct Observed {
    journal: Arc<dyn Journal>,
    sessions: Arc<Sessions>,
    metrics: Arc<Metrics>,
    webhooks: Arc<Webhooks>,
    writable: AtomicBool,
}

impl Observed {
    pub(super) fn new(
        journal: Arc<dyn Journal>,
        sessions: Arc<Sessions>,
        metrics: Arc<Metrics>,
        webhooks: Arc<Webhooks>,
    ) -> Self {
        Self { journal, sessions, metrics, webhooks, writable: AtomicBool::new(true) }
    }

    /// Whether the last entry could be written.
    pub(super) fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Relaxed)
    }

    fn note<T>(&self, outcome: Result<T, JournalError>) -> Result<T, JournalError> {
        match &outcome {
            Ok(_) => self.writable.store(true, Ordering::Relaxed),
            Err(JournalError::Unwritable(_)) => {
                self.metrics.entry_failures.inc();
                self.writable.store(false, Ordering::Relaxed);
            }
            Err(JournalError::Full | JournalError::TooLarge | JournalError::Unsigned) => {}
        }
        outcome
    }
}

impl Journal for Observed {
    fn enter(&self, event: &Event) -> Result<Ticket, JournalError> {
        let ticket = self.note(self.journal.enter(event))?;
        self.metrics.entered(&event.what);
        match &event.what {
            What::StatementJudged { session, .. } | What::DeedJudged { session, .. } => {
                self.sessions.count_statement(session);
            }
            What::StatementCapped { session, .. } => {
                if let Some(context) = self.sessions.context(session) {
                    self.webhooks.alert(&context, &event.what);
                }
            }
            _ => {}
        }
        Ok(ticket)
    }

    fn synced(&self, ticket: Ticket) -> BoxFuture<'_, Result<(), JournalError>> {
        Box::pin(async move { self.note(self.journal.synced(ticket).await) })
    }

    fn recorder(
        &self,
        session: &SessionId,
        connection: u32,
        actor: &Actor,
    ) -> Result<Box<dyn Recorder>, JournalError> {
        self.note(self.journal.recorder(session, connection, actor))
    }
}
