//! What a server refused, and whether to try again.
//!
//! Job: tell a conflict with somebody else's change from everything else, and begin a change anew after one.
//! Boundary: no lock of the server's stands between two brokers, because whatever lock an administrator may
//! ask for by name, a session may ask for too, and keep. The catalog lets one of two changes of the same
//! thing through; the other one fails whole and looks again. Failure mode: a conflict that does not end is
//! reported as any other refusal.

use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::gateway::authority::LeaseError;

use super::server::{bounded, sentence};

/// Why a piece of work at the server failed.
pub(super) enum Fault {
    /// Somebody changed the same things meanwhile; begun anew, it may work.
    Conflict(String),
    /// Whatever else; trying again changes nothing.
    Final(LeaseError),
}

/// The attempts at one change, each a transaction of its own.
#[derive(Default)]
pub(super) struct Attempts(u32);

impl Attempts {
    /// Makes the connection ready for another attempt after this fault.
    ///
    /// # Errors
    /// The fault, if it was no conflict or there were too many.
    pub(super) async fn again(&mut self, client: &Client, fault: Fault) -> Result<(), LeaseError> {
        self.0 += 1;
        match fault {
            Fault::Conflict(text) if self.0 < MOST => {
                tracing::debug!(
                    attempt = self.0,
                    text,
                    "somebody else changed the same things; trying again"
                );
                // the transaction's role ends with it
                bounded(client.batch_execute("ROLLBACK")).await?;
                // the other one has ended by now, or its statement would still be waited for
                tokio::time::sleep(PAUSE * self.0).await;
                Ok(())
            }
            fault => Err(fault.into()),
        }
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        let text = sentence(&error);
        match error.code() {
            Some(code) if CONFLICTS.contains(code) => Self::Conflict(text),
            Some(_) | None => Self::Final(LeaseError::Upstream(text)),
        }
    }
}

impl From<LeaseError> for Fault {
    fn from(error: LeaseError) -> Self {
        Self::Final(error)
    }
}

impl From<Fault> for LeaseError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Conflict(text) => Self::Upstream(text),
            Fault::Final(error) => error,
        }
    }
}

/// What PostgreSQL says to the later one of two changes: it was made already, it changed under our hands
/// (`tuple concurrently updated` is an internal error), or what it rests on has just gone.
const CONFLICTS: [SqlState; 10] = [
    SqlState::DUPLICATE_OBJECT,
    SqlState::DUPLICATE_SCHEMA,
    SqlState::DUPLICATE_TABLE,
    SqlState::INTERNAL_ERROR,
    SqlState::INVALID_SCHEMA_NAME,
    SqlState::T_R_DEADLOCK_DETECTED,
    SqlState::T_R_SERIALIZATION_FAILURE,
    SqlState::UNDEFINED_OBJECT,
    SqlState::UNDEFINED_TABLE,
    SqlState::UNIQUE_VIOLATION,
];
/// How often a change is begun.
const MOST: u32 = 12;
/// The wait before the second attempt; each further one is longer by as much.
const PAUSE: Duration = Duration::from_millis(10);
