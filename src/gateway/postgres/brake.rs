//! What stops a statement that is beyond its caps.
//!
//! Job: measure how long the database works on what is limited in time, and send a cancel request when
//! that is over, or when an answer has reached its cap. Boundary: what the client is told is the
//! conversation's; nothing new is sent while a cancel is on its way, which it could meet. Failure mode:
//! [`Unstoppable`] when the database goes on for all that: then the connection must close.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, Sleep};

use crate::domain::target::Target;
use crate::gateway::dial::{self, DialError};
use crate::wire::postgres::cancel::CancelKey;
use crate::wire::postgres::conversation::{Clocked, Conversation};

/// The database goes on with a statement that was cancelled.
#[derive(Debug)]
pub(super) struct Unstoppable;

/// One connection's brake.
pub(super) struct Brake {
    target: Arc<Target>,
    /// Without one nothing can be cancelled: such statements are waited for, and then the connection ends.
    key: Option<CancelKey>,
    running: Option<Running>,
    cancel: Option<BoxFuture<'static, Result<(), DialError>>>,
    /// Since a cancel was wanted: when it must have come to something.
    patience: Option<Pin<Box<Sleep>>>,
}

/// What the database works on in limited time.
struct Running {
    what: Clocked,
    since: Instant,
    /// Until it is told that its time is over.
    over: Option<Pin<Box<Sleep>>>,
}

impl Brake {
    /// For a connection to this target, whose statements this key cancels.
    pub(super) fn new(target: Arc<Target>, key: Option<CancelKey>) -> Self {
        Self { target, key, running: None, cancel: None, patience: None }
    }

    /// Whether a cancel is wanted or on its way.
    pub(super) fn is_pulled(&self) -> bool {
        self.patience.is_some() || self.cancel.is_some()
    }

    /// Looks at what the database works on, and does what is to be done about it.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, talk: &mut Conversation) -> Result<(), Unstoppable> {
        self.measure(cx, talk);
        if let Some(cancel) = self.cancel.as_mut()
            && let Poll::Ready(outcome) = cancel.as_mut().poll(cx)
        {
            self.cancel = None;
            if let Err(error) = outcome {
                tracing::warn!(target = %self.target.name, %error, "a capped statement could not be cancelled");
            }
        }
        if !talk.wants_cancel() {
            self.patience = None;
            return Ok(());
        }
        if self.patience.is_none() {
            self.patience = Some(Box::pin(tokio::time::sleep(PATIENCE)));
            self.cancel = self.cancel();
            cx.waker().wake_by_ref();
        }
        match self.patience.as_mut().map(|patience| patience.as_mut().poll(cx)) {
            Some(Poll::Ready(())) => Err(Unstoppable),
            Some(Poll::Pending) | None => Ok(()),
        }
    }

    fn measure(&mut self, cx: &mut Context<'_>, talk: &mut Conversation) {
        let what = talk.clocked();
        let is_same = match (&self.running, &what) {
            (Some(running), Some(what)) => running.what.is(what),
            (running, what) => running.is_none() && what.is_none(),
        };
        if !is_same {
            if let Some(Running { what, since, .. }) = self.running.take() {
                what.spend(since.elapsed());
            }
            self.running = what.map(|what| {
                let over = Some(Box::pin(tokio::time::sleep(what.left())));
                Running { what, since: Instant::now(), over }
            });
        }
        if let Some(running) = self.running.as_mut()
            && running.over.as_mut().is_some_and(|over| over.as_mut().poll(cx).is_ready())
        {
            running.over = None;
            talk.handle_overdue();
        }
    }

    fn cancel(&self) -> Option<BoxFuture<'static, Result<(), DialError>>> {
        let (target, key) = (Arc::clone(&self.target), self.key.clone()?);
        Some(Box::pin(async move {
            match target.kind.postgres() {
                Some(database) => dial::cancel(database, &key, || true).await,
                None => Ok(()),
            }
        }))
    }
}

/// How long the database may take to stop what is cancelled.
const PATIENCE: Duration = Duration::from_secs(10);
