//! How a connection ends.
//!
//! Job: tell the client why, once and precisely; stop what the database still runs; close the
//! recording; make the last entry. Boundary: runs after the relay, within deadlines. Failure mode:
//! an entry that cannot be made closes the session.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::relay::{End, Parts, Relay};
use super::{Deps, fatal};
use crate::domain::event::What;
use crate::domain::session::CloseReason;
use crate::domain::target::PostgresTarget;
use crate::gateway::authority::SessionContext;
use crate::gateway::dial;
use crate::wire::postgres::cancel::CancelKey;
use crate::wire::postgres::error::ErrorFields;
use crate::wire::postgres::frontend::ClientMessage;

/// How long a client that was told to go may take to read that.
const TELLING: Duration = Duration::from_millis(500);
/// How long a client may take to read what it was sent before the end.
const DRAINING: Duration = Duration::from_secs(5);
/// How long a client that broke the protocol may go on sending before it is hung up on, and how much: as much as
/// PostgreSQL itself would take.
const FORGETTING: (Duration, usize) = (Duration::from_secs(10), 1 << 30);
/// When it has sent nothing for so long, it waits for an answer.
const QUIET: Duration = Duration::from_millis(300);

/// Ends one connection.
pub(super) struct Farewell {
    deps: Deps,
    context: Arc<SessionContext>,
    connection: u32,
}

impl Farewell {
    /// For a connection that is about to begin.
    pub(super) fn new(deps: &Deps, context: Arc<SessionContext>, connection: u32) -> Self {
        Self { deps: deps.clone(), context, connection }
    }

    /// Ends the connection for this reason.
    pub(super) async fn say<C, U>(
        self,
        relay: Relay<C, U>,
        end: End,
        target: &PostgresTarget,
        key: Option<&CancelKey>,
    ) where
        C: AsyncRead + AsyncWrite + Unpin + Send,
        U: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let session = &self.context.id;
        tracing::debug!(%session, connection = self.connection, ?end, "connection ends");
        let Parts { mut client, mut upstream, mut talk, examiner, observer, tape } = relay.into_parts();
        let (reason, patience) = self.reason(&end);

        // what the client has sent and policy has allowed still goes out: COMMIT and goodbye
        let busy = talk.outstanding() > 0;
        let mut last = talk.upstream_output().split();
        if !talk.is_terminated() {
            ClientMessage::Terminate.encode(&mut last);
        }
        let abandoned =
            busy && matches!(end, End::ClientLeft | End::Closed(_) | End::Journal(_) | End::Unstoppable);
        if abandoned && let Some(key) = key {
            // the server's backend does not notice by itself that nobody reads any more
            if let Err(error) = dial::cancel(target, key, || true).await {
                tracing::debug!(%session, %error, "an abandoned statement could not be cancelled");
            }
        }
        if !matches!(end, End::UpstreamLost(_) | End::Journal(_)) {
            upstream.push(last.freeze());
        }
        let _in_time = tokio::time::timeout(TELLING, upstream.close()).await;

        if let Some(error) = reason
            && talk.send_fatal(&error)
        {
            while let Some(run) = talk.client_output().pop() {
                client.push(run);
            }
        }
        // what is too large is refused by its first bytes, and the client listens once it has sent the last
        if matches!(end, End::Client(_)) {
            let (longest, most) = FORGETTING;
            let _in_time = tokio::time::timeout(longest, client.outlast(QUIET, most)).await;
        }
        let _in_time = tokio::time::timeout(patience, client.close()).await;

        let chunks = tape.finish().await;
        let entered = chunks.and_then(|chunks| {
            examiner.gate().enter(What::ConnectionClosed {
                session: session.clone(),
                connection: self.connection,
                statements: examiner.gate().statements(),
                rows: observer.rows(),
                chunks,
            })
        });
        if let Err(error) = entered {
            tracing::error!(%session, %error, "a connection's end could not be entered");
            self.deps.authority.close(session, CloseReason::LedgerUnwritable);
        }
    }

    /// What to tell the client, and how long it may take to read it.
    fn reason(&self, end: &End) -> (Option<ErrorFields>, Duration) {
        let session = &self.context.id;
        match end {
            End::Client(fault) => (Some(fault.fields()), TELLING),
            End::ClientLeft => (None, TELLING),
            End::Closed(reason) => (Some(closed(&self.context, *reason)), TELLING),
            End::Journal(error) => {
                self.deps.authority.close(session, CloseReason::LedgerUnwritable);
                (Some(fatal("58030", error.to_string())), TELLING)
            }
            End::Origin(column) => {
                tracing::error!(%session, column, "a result column had a protected origin");
                let message = "the result would show a protected column; this is a fault of the gateway";
                (Some(fatal("42501", message)), TELLING)
            }
            End::Unstoppable => {
                let message = "a statement beyond its caps could not be stopped, so the connection is closed";
                (Some(fatal("57014", message)), TELLING)
            }
            End::Upstream(fault) => (Some(fault.fields()), DRAINING),
            End::UpstreamLost(error) => {
                let name = &self.context.target.name;
                (Some(fatal("08006", format!("target {name}: the database went away: {error}"))), DRAINING)
            }
        }
    }
}

/// The session has closed, and why.
pub(super) fn closed(context: &SessionContext, reason: CloseReason) -> ErrorFields {
    fatal("57P01", format!("session {} has closed: {}", context.id, reason.sentence()))
}
