//! What one channel has asked and nobody has answered yet.
//!
//! Job: judge cases side by side, and take them all back when the client does not want to wait. Boundary: knows
//! neither files nor lines; whoever asks names the case. Failure mode: the record's error, with the case's name.

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc;

use crate::gateway::hold::{Interrupt, Notice};
use crate::gateway::journal::JournalError;
use crate::gateway::judge::{Case, Judged, Turnstile};

/// The cases of one channel, each by the name that it was given.
pub(super) struct Docket<Id> {
    turnstile: Turnstile,
    judging: FuturesUnordered<BoxFuture<'static, (Id, Result<Judged, JournalError>)>>,
    /// Of everything that was asked; what is answered does not hear it.
    interrupts: Vec<Interrupt>,
    tell: mpsc::UnboundedSender<Notice>,
}

impl<Id: Send + 'static> Docket<Id> {
    /// An empty one; what is to be said of holds comes out of the receiver.
    pub(super) fn new(turnstile: Turnstile) -> (Self, mpsc::UnboundedReceiver<Notice>) {
        let (tell, told) = mpsc::unbounded_channel();
        (Self { turnstile, judging: FuturesUnordered::new(), interrupts: Vec::new(), tell }, told)
    }

    /// Begins to judge a case.
    pub(super) fn put(&mut self, id: Id, case: Case) {
        let interrupt = Interrupt::default();
        let interrupted = interrupt.arm();
        // whoever waits for nothing any more need not be kept
        if self.judging.is_empty() {
            self.interrupts.clear();
        }
        self.interrupts.push(interrupt);
        let (turnstile, tell) = (self.turnstile.clone(), self.tell.clone());
        self.judging.push(Box::pin(async move {
            // nobody listens only when the channel is over
            let judged = turnstile.judge(&case, interrupted, |notice| drop(tell.send(notice))).await;
            (id, judged)
        }));
    }

    /// The next answer; `None` when nothing is being judged. May be dropped at any time.
    pub(super) async fn next(&mut self) -> Option<(Id, Result<Judged, JournalError>)> {
        self.judging.next().await
    }

    /// Whether everything is answered.
    pub(super) fn is_empty(&self) -> bool {
        self.judging.is_empty()
    }

    /// Takes back what waits.
    pub(super) fn give_up(&self) {
        for interrupt in &self.interrupts {
            interrupt.ring();
        }
    }
}
