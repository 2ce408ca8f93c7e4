//! What all tasks of one SSH connection share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use russh::ChannelId;
use russh::server::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::dial::Upstreams;
use super::mail::{Load, Mail, Slot, mail};
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
    detectors: Option<Arc<Detectors>>,
    boxes: Mutex<HashMap<ChannelId, Boxed>>,
    handle: OnceLock<Handle>,
    tasks: Mutex<JoinSet<()>>,
    /// Why the connection cannot go on, once it cannot.
    broken: watch::Sender<Option<String>>,
}

/// A channel's mail, as the connection's loop has it.
struct Boxed {
    slot: Slot,
    /// Until its task has come for it.
    mail: Option<Mail>,
}

impl Shared {
    pub(super) fn new(
        context: Arc<SessionContext>,
        target: SshTarget,
        turnstile: Turnstile,
        upstreams: Upstreams,
        detectors: Option<Arc<Detectors>>,
    ) -> Self {
        Self {
            context,
            target,
            turnstile,
            upstreams,
            load: Arc::default(),
            detectors,
            boxes: Mutex::default(),
            handle: OnceLock::new(),
            tasks: Mutex::default(),
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

    /// A box for a channel that the client opens; `None` when it has as many as its target allows.
    pub(super) fn open(&self, channel: ChannelId) -> Option<Mail> {
        let mut boxes = self.boxes.lock().unwrap_or_else(PoisonError::into_inner);
        if boxes.len() >= usize::from(self.target.max_channels) {
            return None;
        }
        Some(self.fetch(&mut boxes, channel))
    }

    /// The box of a channel that the host opened. What the client has sent already is in it.
    pub(super) fn opened(&self, channel: ChannelId) -> Mail {
        self.fetch(&mut self.boxes.lock().unwrap_or_else(PoisonError::into_inner), channel)
    }

    fn fetch(&self, boxes: &mut HashMap<ChannelId, Boxed>, channel: ChannelId) -> Mail {
        let fresh = || {
            let (slot, mail) = mail(&self.load);
            Boxed { slot, mail: Some(mail) }
        };
        match boxes.entry(channel).or_insert_with(fresh).mail.take() {
            Some(mail) => mail,
            // the number of a channel that is over
            None => {
                let (slot, mail) = mail(&self.load);
                boxes.insert(channel, Boxed { slot, mail: None });
                mail
            }
        }
    }

    /// Where a channel's asks go.
    pub(super) fn slot(&self, channel: ChannelId) -> Slot {
        let mut boxes = self.boxes.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || {
            let (slot, mail) = mail(&self.load);
            Boxed { slot, mail: Some(mail) }
        };
        boxes.entry(channel).or_insert_with(fresh).slot.clone()
    }

    /// A channel is over.
    pub(super) fn close(&self, channel: ChannelId) {
        self.boxes.lock().unwrap_or_else(PoisonError::into_inner).remove(&channel);
    }

    /// No channel gets anything more.
    pub(super) fn hang_up(&self) {
        self.boxes.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Runs a channel's task; it ends with the connection.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// Whether policy lets something be forwarded, at once.
    pub(super) async fn may_forward(&self, facts: ForwardFacts) -> bool {
        let case = case(
            Deed::Forward(facts.clone()),
            format!("{} {}:{}", facts.kind.as_str(), facts.host, facts.port),
        );
        match self.turnstile.judge_at_once(&case).await {
            Ok(judged) => judged.is_ok(),
            Err(error) => {
                self.break_off(&error);
                false
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
