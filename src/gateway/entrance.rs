//! How a connection of a session begins and ends in the record, whatever its protocol.
//!
//! Job: the gate with its first entry, the recording, and the last entry. Boundary: who may come in was decided
//! before. Failure mode: what cannot be entered ends the connection, and the session.

use std::sync::Arc;

use super::authority::SessionContext;
use super::deps::Deps;
use super::gate::Gate;
use super::hold::Seat;
use super::journal::{JournalError, Recorder};
use super::judge::Turnstile;
use super::reel::Reel;
use crate::domain::event::What;
use crate::domain::session::CloseReason;
use crate::domain::target::RecordLevel;

/// A connection that has begun: its gate, and its recorder where the target wants one.
type Begun = (Gate, Option<Box<dyn Recorder>>);

/// Enters the connection and opens its recording.
///
/// # Errors
/// [`JournalError`]; nothing of the connection may go on.
pub(super) fn begin(
    deps: &Deps,
    context: &Arc<SessionContext>,
    connection: u32,
    seat: Seat,
) -> Result<Begun, JournalError> {
    let Seat { login, database } = seat.clone();
    let gate = Gate::new(
        Arc::clone(context),
        Arc::clone(&deps.authority),
        Arc::clone(&deps.journal),
        deps.clock.clone(),
        connection,
        seat,
    )?;
    gate.enter(What::ConnectionOpened { session: context.id.clone(), connection, login, database })?;
    let recorder = match context.target.record {
        RecordLevel::Metadata => None,
        RecordLevel::Statements | RecordLevel::Full => {
            Some(deps.journal.recorder(&context.id, connection, &context.actor)?)
        }
    };
    Ok((gate, recorder))
}

/// The same, for connections with tasks of their own.
///
/// # Errors
/// [`JournalError`].
pub(super) fn begin_with_tasks(
    deps: &Deps,
    context: &Arc<SessionContext>,
    connection: u32,
    seat: Seat,
) -> Result<Turnstile, JournalError> {
    let (gate, recorder) = begin(deps, context, connection, seat)?;
    Ok(Turnstile::new(gate, Reel::new(context.target.record, recorder)))
}

/// Closes the recording and makes the last entry, once no task is left.
pub(super) async fn end(deps: &Deps, context: &SessionContext, turnstile: &Turnstile, connection: u32) {
    let session = &context.id;
    let chunks = turnstile.reel().finish().await;
    let entered = chunks.and_then(|chunks| {
        let gate = turnstile.gate();
        gate.enter(What::ConnectionClosed {
            session: session.clone(),
            connection,
            statements: gate.statements(),
            rows: 0,
            chunks,
        })
    });
    if let Err(error) = entered {
        tracing::error!(%session, %error, "a connection's end could not be entered");
        deps.authority.close(session, CloseReason::LedgerUnwritable);
    }
}
