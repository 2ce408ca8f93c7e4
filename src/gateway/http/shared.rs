//! What all calls of one connection have in common.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use sha2::Sha256;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::dial::Upstreams;
use super::reading::Ground;
use super::specification::Specification;
use crate::domain::name::GroupName;
use crate::domain::policy::Permit;
use crate::domain::session::CloseReason;
use crate::domain::target::{HttpTarget, Injection};
use crate::gateway::authority::{Authority, Credential, HttpCredential, LeaseError, SessionContext};
use crate::gateway::deps::Deps;
use crate::gateway::hold::Interrupt;
use crate::gateway::journal::JournalError;
use crate::gateway::judge::{Case, Judged, Turnstile};
use crate::mask::document::{
    Detector, Detectors, DocumentPath, DocumentPlan, DocumentRule, KeyCase, TokenKey,
};
use crate::recording::item::Outcome;
use crate::wire::http::redact::Redactor;

/// What all calls of one connection have in common.
pub(super) struct Shared {
    pub(super) context: Arc<SessionContext>,
    pub(super) target: HttpTarget,
    pub(super) turnstile: Turnstile,
    pub(super) specification: Specification,
    pub(super) upstreams: Upstreams,
    /// What is masked for this principal; `None` when nothing is.
    pub(super) masks: Option<Arc<DocumentPlan>>,
    /// What counts items where nothing is masked.
    pub(super) counting: Option<Arc<DocumentPlan>>,
    /// Why the masks cannot be kept, if so.
    pub(super) fault: Option<String>,
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

#[derive(Default)]
struct Known {
    secrets: Vec<SecretString>,
    redactor: Option<Redactor>,
}

impl Shared {
    pub(super) fn new(
        deps: &Deps,
        context: Arc<SessionContext>,
        target: &HttpTarget,
        turnstile: Turnstile,
        specification: Specification,
        permit: Permit,
        closing: watch::Receiver<Option<CloseReason>>,
    ) -> Arc<Self> {
        let (masks, mut fault) = match masks(&context.principal.groups, target, token_key(&context)) {
            Ok(masks) => (masks, None),
            Err(why) => (None, Some(why)),
        };
        let counting = counting(target).unwrap_or_else(|why| {
            fault = Some(why);
            None
        });
        if let Specification::Unreadable(why) = &specification {
            fault = Some(format!("the target's OpenAPI document cannot be read: {why}"));
        }
        Arc::new(Self {
            upstreams: Upstreams::new(context.target.name.clone(), turnstile.clone(), permit),
            context,
            target: target.clone(),
            turnstile,
            specification,
            masks,
            counting,
            fault,
            authority: Arc::clone(&deps.authority),
            closing,
            broken: watch::channel(false).0,
            tasks: Mutex::default(),
            abandoned: Mutex::default(),
            is_over: AtomicBool::new(false),
            known: Mutex::default(),
        })
    }

    /// What a call is read by.
    pub(super) fn ground(&self) -> Ground<'_> {
        Ground {
            name: &self.context.target.name,
            target: &self.target,
            specification: &self.specification,
            masks: self.masks.as_deref(),
        }
    }

    /// Comes when the session closes, or the record cannot be kept.
    pub(super) async fn over(&self) {
        let (mut closing, mut broken) = (self.closing.clone(), self.broken.subscribe());
        tokio::select! {
            // whoever could close it is gone, which is as good as closed
            _ = closing.wait_for(Option::is_some) => {}
            _ = broken.wait_for(|broken| *broken) => {}
        }
    }

    /// Why the session is over.
    pub(super) fn why_over(&self) -> String {
        let reason = *self.closing.borrow();
        let reason = match reason {
            Some(reason) => reason,
            None if *self.broken.borrow() => CloseReason::LedgerUnwritable,
            None => CloseReason::BrokerRestarted,
        };
        format!("session {} has closed: {}", self.context.id, reason.sentence())
    }

    /// A call whose client left before it was answered.
    pub(super) fn left_behind(&self, number: u64) {
        self.abandoned.lock().unwrap_or_else(PoisonError::into_inner).push(number);
    }

    /// Says in the recording how those calls ended.
    pub(super) async fn settle(&self) -> Result<(), JournalError> {
        let abandoned = std::mem::take(&mut *self.abandoned.lock().unwrap_or_else(PoisonError::into_inner));
        for number in abandoned {
            let error = Some("the client had left before the API answered".to_owned());
            self.turnstile.reel().outcome(&Outcome { number, rows: 0, tag: None, error }).await?;
        }
        Ok(())
    }

    /// Ends what runs; nothing that it says afterwards is a fault of the record's.
    pub(super) async fn stop(&self, mut tasks: JoinSet<()>) {
        self.is_over.store(true, Ordering::Relaxed);
        tasks.shutdown().await;
        self.tasks().shutdown().await;
    }

    /// Closes the session because its record cannot be kept.
    pub(super) fn fail(&self, error: &JournalError) {
        if self.is_over.load(Ordering::Relaxed) {
            return;
        }
        tracing::error!(session = %self.context.id, %error, "a call could not be entered or recorded");
        self.authority.close(&self.context.id, CloseReason::LedgerUnwritable);
        self.broken.send_replace(true);
    }

    /// Runs something that belongs to this connection.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// What runs.
    pub(super) fn tasks(&self) -> JoinSet<()> {
        std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Judges a call that may have to wait: when the caller goes away meanwhile, it is taken back, which is entered.
    pub(super) async fn judge(&self, case: Case) -> Result<Judged, JournalError> {
        let interrupt = Interrupt::default();
        let (interrupted, turnstile) = (interrupt.arm(), self.turnstile.clone());
        let (told, judged) = oneshot::channel();
        self.spawn(async move {
            // whoever asked may be gone
            let _gone = told.send(turnstile.judge(&case, interrupted, |_| {}).await);
        });
        let _ring = Ring(interrupt);
        judged.await.unwrap_or_else(|_| Err(JournalError::Unwritable("the verdict was not entered".into())))
    }

    /// The credential of this session, and what keeps it from coming back.
    pub(super) async fn credential(&self) -> Result<(HttpCredential, Option<Redactor>), LeaseError> {
        let lease = self.authority.lease(&self.context).await?;
        let Credential::Http(credential) = lease.credential else {
            return Err(LeaseError::Upstream("the lease is not one of HTTP".into()));
        };
        let redactor = match &credential.inject {
            Some((injection, secret)) => Some(self.redactor(injection, secret)?),
            None => None,
        };
        Ok((*credential, redactor))
    }

    fn redactor(&self, injection: &Injection, secret: &SecretString) -> Result<Redactor, LeaseError> {
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
        let mut forms = known.secrets.clone();
        if let Injection::Basic { user } = injection {
            forms.extend(known.secrets.iter().map(|secret| basic(user, secret)));
        }
        let redactor = Redactor::new(&forms).map_err(|error| LeaseError::Secret(error.to_string()))?;
        known.redactor = Some(redactor.clone());
        Ok(redactor)
    }
}

/// User and password of Basic credentials, not encoded.
pub(super) fn basic(user: &str, secret: &SecretString) -> SecretString {
    format!("{user}:{}", secret.expose_secret()).into()
}

/// Rings when it is dropped.
struct Ring(Interrupt);

impl Drop for Ring {
    fn drop(&mut self) {
        self.0.ring();
    }
}

/// What is masked for somebody in these groups.
pub(super) fn masks(
    groups: &BTreeSet<GroupName>,
    target: &HttpTarget,
    key: Option<TokenKey>,
) -> Result<Option<Arc<DocumentPlan>>, String> {
    let rules = target.masks.iter().filter(|mask| mask.binds(groups)).map(|mask| {
        let path = DocumentPath::new(&mask.path).map_err(|error| error.to_string())?;
        Ok(DocumentRule { name: mask.name.clone(), path, mask: mask.mask })
    });
    let rules = rules.collect::<Result<Vec<_>, String>>()?;
    if rules.is_empty() && target.detectors.is_empty() {
        return Ok(None);
    }
    let plan = DocumentPlan::new(&rules, KeyCase::Exact).map_err(|error| error.to_string())?;
    let mut plan = with_items(plan, target)?;
    if let Some(key) = key {
        plan = plan.with_tokens(key);
    }
    if !target.detectors.is_empty() {
        let named = target
            .detectors
            .iter()
            .map(|name| Detector::named(name).ok_or_else(|| format!("there is no detector `{name}`")));
        let named = named.collect::<Result<Vec<_>, String>>()?;
        let detectors = Detectors::new(&named, &[]).map_err(|error| error.to_string())?;
        plan = plan.with_detectors(Arc::new(detectors));
    }
    Ok(Some(Arc::new(plan)))
}

/// What counts the items of a target's answers.
fn counting(target: &HttpTarget) -> Result<Option<Arc<DocumentPlan>>, String> {
    if target.max_items.is_none() {
        return Ok(None);
    }
    let plan = DocumentPlan::new(&[], KeyCase::Exact).map_err(|error| error.to_string())?;
    with_items(plan, target).map(|plan| Some(Arc::new(plan)))
}

fn with_items(plan: DocumentPlan, target: &HttpTarget) -> Result<DocumentPlan, String> {
    let Some(path) = &target.items else { return Ok(plan) };
    let path = DocumentPath::new(path).map_err(|error| error.to_string())?;
    plan.with_items(&path).map_err(|error| error.to_string())
}

/// Tokens are the same in all sessions on the target, and in no other target.
fn token_key(context: &SessionContext) -> Option<TokenKey> {
    let mut mac = Hmac::<Sha256>::new_from_slice(context.digest_key.expose_secret().as_bytes()).ok()?;
    mac.update(b"tokens of documents");
    let key: Vec<u8> = mac.finalize().into_bytes().to_vec();
    TokenKey::new(&SecretSlice::from(key))
}

/// How many secrets of a session are looked for.
const RENEWALS: usize = 3;
