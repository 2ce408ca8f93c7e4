//! What all calls of one connection have in common.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::api::Api;
use crate::domain::session::CloseReason;
use crate::gateway::authority::{Authority, Lease, LeaseError, SessionContext};
use crate::gateway::aws::Account;
use crate::gateway::deps::Deps;
use crate::gateway::journal::JournalError;
use crate::gateway::judge::{Case, Judged, Turnstile};
use crate::recording::item::Outcome;
use crate::wire::http::redact::Redactor;

/// What all calls of one connection have in common.
pub(in crate::gateway) struct Shared {
    pub(in crate::gateway) context: Arc<SessionContext>,
    pub(in crate::gateway) behind: Behind,
    pub(in crate::gateway) turnstile: Turnstile,
    authority: Arc<dyn Authority>,
    closing: watch::Receiver<Option<CloseReason>>,
    broken: watch::Sender<bool>,
    tasks: Mutex<JoinSet<()>>,
    /// Calls whose clients left before they were answered, and whose ends are not recorded yet.
    abandoned: Mutex<Vec<u64>>,
    /// Whether the connection has come to its end.
    is_over: AtomicBool,
    /// The secrets that were injected last, and what looks for them.
    known: Mutex<Known>,
}

/// What is behind the gateway.
pub(in crate::gateway) enum Behind {
    /// An account of AWS.
    Account(Box<Account>),
    /// An HTTP API.
    Api(Box<Api>),
}

#[derive(Default)]
struct Known {
    secrets: Vec<SecretString>,
    redactor: Option<Redactor>,
}

impl Shared {
    pub(in crate::gateway) fn new(
        deps: &Deps,
        context: Arc<SessionContext>,
        behind: Behind,
        turnstile: Turnstile,
        closing: watch::Receiver<Option<CloseReason>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            context,
            behind,
            turnstile,
            authority: Arc::clone(&deps.authority),
            closing,
            broken: watch::channel(false).0,
            tasks: Mutex::default(),
            abandoned: Mutex::default(),
            is_over: AtomicBool::new(false),
            known: Mutex::default(),
        })
    }

    /// Comes when the session closes, or the record cannot be kept.
    pub(in crate::gateway) async fn over(&self) {
        let (mut closing, mut broken) = (self.closing.clone(), self.broken.subscribe());
        tokio::select! {
            // whoever could close it is gone, which is as good as closed
            _ = closing.wait_for(Option::is_some) => {}
            _ = broken.wait_for(|broken| *broken) => {}
        }
    }

    /// Why the session is over.
    pub(in crate::gateway) fn why_over(&self) -> String {
        let reason = *self.closing.borrow();
        let reason = match reason {
            Some(reason) => reason,
            None if *self.broken.borrow() => CloseReason::LedgerUnwritable,
            None => CloseReason::BrokerRestarted,
        };
        format!("session {} has closed: {}", self.context.id, reason.sentence())
    }

    /// A call whose client left before it was answered.
    pub(in crate::gateway) fn left_behind(&self, number: u64) {
        self.abandoned.lock().unwrap_or_else(PoisonError::into_inner).push(number);
    }

    /// Says in the recording how those calls ended.
    pub(in crate::gateway) async fn settle(&self) -> Result<(), JournalError> {
        let abandoned = std::mem::take(&mut *self.abandoned.lock().unwrap_or_else(PoisonError::into_inner));
        for number in abandoned {
            let error = Some("the client had left before the API answered".to_owned());
            self.turnstile.reel().outcome(&Outcome { number, rows: 0, tag: None, error }).await?;
        }
        Ok(())
    }

    /// Ends what runs; nothing that it says afterwards is a fault of the record's.
    pub(in crate::gateway) async fn stop(&self, mut tasks: JoinSet<()>) {
        self.is_over.store(true, Ordering::Relaxed);
        tasks.shutdown().await;
        self.tasks().shutdown().await;
    }

    /// Closes the session because its record cannot be kept.
    pub(in crate::gateway) fn fail(&self, error: &JournalError) {
        if self.is_over.load(Ordering::Relaxed) {
            return;
        }
        tracing::error!(session = %self.context.id, %error, "a call could not be entered or recorded");
        self.authority.close(&self.context.id, CloseReason::LedgerUnwritable);
        self.broken.send_replace(true);
    }

    /// Runs something that belongs to this connection.
    pub(in crate::gateway) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// What runs.
    pub(in crate::gateway) fn tasks(&self) -> JoinSet<()> {
        std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Judges a call that may have to wait: when the caller goes away meanwhile, it is taken back, which is entered.
    pub(in crate::gateway) async fn judge(&self, case: Case) -> Result<Judged, JournalError> {
        self.turnstile.judge_while_asked(case, |task| self.spawn(task)).await
    }

    /// The session's lease.
    pub(in crate::gateway) async fn lease(&self) -> Result<Lease, LeaseError> {
        self.authority.lease(&self.context).await
    }

    /// What keeps a secret from coming back, in each of the forms that it takes.
    pub(in crate::gateway) fn redactor(
        &self,
        secret: &SecretString,
        forms: impl Fn(&SecretString) -> Vec<SecretString>,
    ) -> Result<Redactor, LeaseError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = known.secrets.iter().any(|known| known.expose_secret() == secret.expose_secret());
        if let Some(redactor) = known.redactor.as_ref().filter(|_| is_known) {
            return Ok(redactor.clone());
        }
        // what was injected before a renewal may still come back
        known.secrets.push(secret.clone());
        if known.secrets.len() > RENEWALS {
            known.secrets.remove(0);
        }
        let forms: Vec<_> = known.secrets.iter().flat_map(forms).collect();
        let redactor = Redactor::new(&forms).map_err(|error| LeaseError::Secret(error.to_string()))?;
        known.redactor = Some(redactor.clone());
        Ok(redactor)
    }
}

/// How many secrets of a session are looked for.
const RENEWALS: usize = 3;
