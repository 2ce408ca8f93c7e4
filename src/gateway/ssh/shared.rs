//! What all tasks of one SSH connection share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use russh::server::Handle;
use russh::{ChannelId, Sig};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::boxes::Boxes;
use super::dial::Upstreams;
use super::mail::Load;
use super::veil::Veil;
use crate::domain::action::Deed;
use crate::domain::facts::ForwardFacts;
use crate::domain::session::CloseReason;
use crate::domain::target::SshTarget;
use crate::gateway::authority::SessionContext;
use crate::gateway::journal::JournalError;
use crate::gateway::judge::{Case, Turnstile};
use crate::mask::document::Detectors;

/// What all tasks of one connection share.
pub(super) struct Shared {
    pub(super) context: Arc<SessionContext>,
    pub(super) target: SshTarget,
    pub(super) turnstile: Turnstile,
    pub(super) upstreams: Upstreams,
    pub(super) load: Arc<Load>,
    pub(super) boxes: Boxes,
    detectors: Option<Arc<Detectors>>,
    handle: OnceLock<Handle>,
    tasks: Mutex<JoinSet<()>>,
    /// Whether no task may begin any more.
    is_over: AtomicBool,
    /// Why the connection cannot go on, once it cannot.
    broken: watch::Sender<Option<String>>,
}

impl Shared {
    pub(super) fn new(
        context: Arc<SessionContext>,
        target: SshTarget,
        turnstile: Turnstile,
        upstreams: Upstreams,
        detectors: Option<Arc<Detectors>>,
    ) -> Self {
        let load = Arc::<Load>::default();
        let boxes = Boxes::new(usize::from(target.max_channels), Arc::clone(&load));
        Self {
            context,
            target,
            turnstile,
            upstreams,
            load,
            boxes,
            detectors,
            handle: OnceLock::new(),
            tasks: Mutex::default(),
            is_over: AtomicBool::new(false),
            broken: watch::Sender::new(None),
        }
    }

    /// The masks of a channel, where the target has detectors.
    pub(super) fn veil(&self, is_terminal: bool) -> Option<Veil> {
        self.detectors.as_ref().map(|detectors| Veil::new(Arc::clone(detectors), is_terminal))
    }

    /// A text as it may be entered: without what the target's detectors find in it.
    pub(super) fn redacted(&self, text: String) -> String {
        let Some(detectors) = &self.detectors else { return text };
        let (mut redacted, mut at) = (String::with_capacity(text.len()), 0);
        for found in detectors.find(&text) {
            redacted.push_str(text.get(at..found.start).unwrap_or_default());
            redacted.push_str(REDACTED);
            at = found.end;
        }
        redacted.push_str(text.get(at..).unwrap_or_default());
        redacted
    }

    /// The client has proven itself.
    pub(super) fn logged_in(&self, handle: Handle) {
        drop(self.handle.set(handle));
    }

    /// The way to the client, once it has proven itself.
    pub(super) fn handle(&self) -> Option<&Handle> {
        self.handle.get()
    }

    /// Tells the client that a signal ended what ran: which, whether it dumped its core, and the host's words
    /// and their language (RFC 4254 §6.10).
    pub(super) async fn tell_signal(&self, channel: ChannelId, how: (Sig, bool, String, String)) {
        if let Some(handle) = self.handle() {
            let (name, core_dumped, message, language) = how;
            let _sent = handle.exit_signal_request(channel, name, core_dumped, message, language).await;
        }
    }

    /// Runs a channel's task; it ends with the connection, and one that comes after that never begins.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_over.load(Ordering::Relaxed) {
            return;
        }
        while tasks.try_join_next().is_some() {}
        let alarm = Alarm(self.broken.clone());
        tasks.spawn(async move {
            let _alarm = alarm;
            task.await;
        });
    }

    /// The tasks, to wait for.
    pub(super) fn tasks(&self) -> JoinSet<()> {
        std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends all tasks where they are.
    pub(super) async fn stop(&self) {
        let mut tasks = {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            self.is_over.store(true, Ordering::Relaxed);
            std::mem::take(&mut *tasks)
        };
        tasks.shutdown().await;
    }

    /// The number of a forwarding, if policy lets it be, at once.
    pub(super) async fn may_forward(&self, facts: ForwardFacts) -> Option<u64> {
        let text = format!("{} {}:{}", facts.kind.as_str(), facts.host, facts.port);
        match self.turnstile.judge_at_once(&case(Deed::Forward(facts), text)).await {
            Ok(judged) => judged.ok(),
            Err(error) => {
                self.break_off(&error);
                None
            }
        }
    }

    /// The ledger or the recording cannot be written: the session ends.
    pub(super) fn break_off(&self, error: &JournalError) {
        self.turnstile.gate().close(CloseReason::LedgerUnwritable);
        self.broken.send_replace(Some(error.to_string()));
    }

    /// Comes when the connection cannot go on.
    pub(super) async fn broken(&self) -> String {
        let mut broken = self.broken.subscribe();
        match broken.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => String::new(),
        }
    }
}

/// Ends the connection when a channel's task panics: its client would wait for ever.
struct Alarm(watch::Sender<Option<String>>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.send_replace(Some("of a fault in the gateway".into()));
        }
    }
}

/// A case of this protocol; its text is shown as it is.
pub(super) fn case(deed: Deed, text: String) -> Case {
    let exact = text.clone().into_bytes();
    Case { protocol: "ssh", deed, text, sent: None, exact, settings: std::collections::BTreeMap::new() }
}

const REDACTED: &str = "***";
