//! Webhooks: who should know what happens to requests is told.
//!
//! Job: a message is written in the transaction of what it tells, kept in the outbox, and delivered at
//! least once, signed as Standard Webhooks has it (headers `webhook-id`, `webhook-timestamp`,
//! `webhook-signature`). Whoever receives it drops ids that it has seen and timestamps that are old.
//! Boundary: no statement, no value and no reason is in a message, only who asks, what kind of thing,
//! and the command to look at it. Failure mode: retried with backoff for three days, then dropped and
//! logged; one webhook never waits for another, and nothing else waits for any.

mod letter;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use rusqlite::Connection;
use secrecy::ExposeSecret as _;
use sha2::Sha256;

use super::config::{WebhookConfig, WebhookEvent, WebhookFormat};
use super::secrets::Secrets;
use super::store::outbox::{self as table, Letter};
use super::store::requests::Stored;
use super::store::{Store, StoreError};
use crate::domain::approval::{Grant, Life, Purpose, RequestState};
use crate::domain::event::What;
use crate::domain::name::{RuleName, SessionId};
use crate::gateway::authority::SessionContext;
use crate::gateway::clock::Clock;

/// Tells webhooks.
pub(crate) struct Webhooks {
    store: Arc<Store>,
    clock: Clock,
    secrets: Secrets,
    client: reqwest::Client,
    hooks: RwLock<Arc<Vec<WebhookConfig>>>,
    /// The webhooks that are being delivered to.
    busy: Mutex<HashSet<String>>,
    /// When it was last told that a rule caps a session.
    alerts: Mutex<HashMap<(SessionId, RuleName), Timestamp>>,
}

impl Webhooks {
    pub(crate) fn new(store: Arc<Store>, clock: Clock, secrets: Secrets, hooks: Vec<WebhookConfig>) -> Self {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .user_agent(concat!("hoopctl/", env!("CARGO_PKG_VERSION")))
            .build()
            .unwrap_or_default();
        let hooks = RwLock::new(Arc::new(hooks));
        Self { store, clock, secrets, client, hooks, busy: Mutex::default(), alerts: Mutex::default() }
    }

    /// Puts other webhooks in the place of those configured.
    pub(crate) fn adopt(&self, hooks: Vec<WebhookConfig>) {
        *self.hooks.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(hooks);
    }

    /// Writes what a step of a request tells, in the transaction of the step.
    pub(crate) fn note(&self, on: &Connection, request: &Stored, after: &Life) -> rusqlite::Result<()> {
        let Some(event) = event(request, after) else { return Ok(()) };
        let now = self.clock.now();
        self.post(on, event, now, |format| letter::write(format, event, request, after, now))
    }

    /// Writes that a grant was taken back by somebody, in the transaction of that.
    pub(crate) fn note_revoked(
        &self,
        on: &Connection,
        grant: &Grant,
        request: Option<&Stored>,
        by: &str,
    ) -> rusqlite::Result<()> {
        let now = self.clock.now();
        let event = WebhookEvent::Revoked;
        self.post(on, event, now, |format| letter::write_revoked(format, grant, request, by, now))
    }

    /// Tells that a statement of a session reached a cap; of one rule in one session once in ten minutes, for
    /// a program may run into it all the time. The ledger has them all.
    pub(crate) fn alert(&self, context: &SessionContext, what: &What) {
        let What::StatementCapped { rule, .. } = what else { return };
        let event = WebhookEvent::Capped;
        let now = self.clock.now();
        if !self.hooks().iter().any(|hook| hook.events.contains(&event)) || !self.is_news(context, rule, now)
        {
            return;
        }
        let body = |format| letter::write_capped(format, context, what, now);
        if let Err(error) = self.store.write(|on| self.post(on, event, now, body)) {
            tracing::error!(session = %context.id, %error, "nobody could be told of a capped statement");
        }
    }

    fn is_news(&self, context: &SessionContext, rule: &RuleName, now: Timestamp) -> bool {
        let mut alerts = self.alerts.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |at: &Timestamp| now.duration_since(*at) < AGAIN;
        let key = (context.id.clone(), rule.clone());
        if alerts.get(&key).is_some_and(is_recent) {
            return false;
        }
        alerts.retain(|_, at| is_recent(at));
        alerts.insert(key, now);
        true
    }

    fn post(
        &self,
        on: &Connection,
        event: WebhookEvent,
        now: Timestamp,
        body: impl Fn(WebhookFormat) -> String,
    ) -> rusqlite::Result<()> {
        for hook in self.hooks().iter().filter(|hook| hook.events.contains(&event)) {
            let letter = Letter {
                id: format!("msg_{}", crate::broker::app::random_text()),
                hook: hook.name.clone(),
                body: body(hook.format),
                created: now,
                attempts: 0,
            };
            if !table::put(on, &letter, MOST_WAITING)? {
                tracing::error!(webhook = hook.name, "too many messages wait for a webhook; one is dropped");
            }
        }
        Ok(())
    }

    /// Begins to deliver what is due. Each webhook is served by a task of its own, one at a time.
    pub(crate) fn tick(self: &Arc<Self>) {
        let now = self.clock.now();
        for hook in self.hooks().iter() {
            match self.store.read(|on| table::due(on, &hook.name, now)) {
                Ok(letters) if letters.is_empty() => {}
                Ok(letters) => self.begin(hook, letters),
                Err(error) => tracing::error!(%error, "the outbox could not be read"),
            }
        }
    }

    /// Forgets what has waited too long.
    pub(crate) fn prune(&self) -> Result<(), StoreError> {
        let before = self.clock.now().checked_sub(MOST_AGE).unwrap_or(Timestamp::MIN);
        let dropped = self.store.write(|on| table::prune(on, before))?;
        if dropped > 0 {
            tracing::error!(dropped, "messages to webhooks were not taken for three days and are dropped");
        }
        Ok(())
    }

    fn begin(self: &Arc<Self>, hook: &WebhookConfig, letters: Vec<Letter>) {
        if !self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(hook.name.clone()) {
            return;
        }
        let (webhooks, hook) = (Arc::clone(self), hook.clone());
        tokio::spawn(async move {
            if let Err(error) = webhooks.deliver(&hook, &letters).await {
                tracing::error!(webhook = hook.name, %error, "the outbox could not be written");
            }
            webhooks.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&hook.name);
        });
    }

    async fn deliver(&self, hook: &WebhookConfig, letters: &[Letter]) -> Result<(), StoreError> {
        for letter in letters {
            match self.send(hook, letter).await {
                Ok(()) => self.store.write(|on| table::delivered(on, &letter.id))?,
                Err(unsent) => {
                    let problem = unsent.problem;
                    tracing::warn!(
                        webhook = hook.name,
                        problem,
                        "a webhook took no message; it is tried again"
                    );
                    let wait = backoff(letter.attempts, rand::random());
                    let until = self.clock.now().checked_add(wait).unwrap_or(Timestamp::MAX);
                    if !unsent.is_refused {
                        return self.store.write(|on| table::postpone(on, letter, until));
                    }
                    // the others do not wait for one that the webhook does not want
                    self.store.write(|on| table::postpone_one(on, letter, until))?;
                }
            }
        }
        Ok(())
    }

    /// Sends one message. What the other side answers beyond its status is not read.
    async fn send(&self, hook: &WebhookConfig, letter: &Letter) -> Result<(), Unsent> {
        let secret = self.secrets.fetch(&hook.secret).await.map_err(|error| error.to_string())?;
        let at = self.clock.now().as_second();
        let signature = sign(secret.expose_secret(), &letter.id, at, &letter.body)
            .ok_or_else(|| "its secret is not `whsec_` and base64 of 24 to 64 bytes".to_owned())?;
        let request = self
            .client
            .post(hook.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", &letter.id)
            .header("webhook-timestamp", at.to_string())
            .header("webhook-signature", signature)
            .body(letter.body.clone());
        // an address may hold a token, so it is not told
        let answer = request.send().await.map_err(|error| error.without_url().to_string())?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let passes = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        let is_refused = status.is_client_error() && !passes;
        Err(Unsent { problem: format!("it answered {}", status.as_u16()), is_refused })
    }

    fn hooks(&self) -> Arc<Vec<WebhookConfig>> {
        Arc::clone(&self.hooks.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Why a message was not taken.
struct Unsent {
    problem: String,
    /// The webhook does not want this very message; of others it has said nothing.
    is_refused: bool,
}

impl From<String> for Unsent {
    fn from(problem: String) -> Self {
        Self { problem, is_refused: false }
    }
}

/// What a step tells, if anybody should know.
fn event(request: &Stored, after: &Life) -> Option<WebhookEvent> {
    // what a rule or an earlier decision lets through needs nobody
    if request.session.is_some() && after.answer.is_some() {
        return None;
    }
    let is_new = request.life.state == after.state;
    match (&after.state, &after.purpose) {
        (RequestState::Pending, _) => is_new.then_some(WebhookEvent::Filed),
        (RequestState::Approved, Purpose::Deed) | (RequestState::Granted { .. }, _) => {
            Some(WebhookEvent::Approved)
        }
        (RequestState::Denied, _) => Some(WebhookEvent::Denied),
        (RequestState::Expired | RequestState::Void | RequestState::Withdrawn, _) => {
            Some(WebhookEvent::Ended)
        }
        (RequestState::Approved | RequestState::Released { .. }, _) => None,
    }
}

/// The header `webhook-signature` (Standard Webhooks, symmetric `v1`).
fn sign(secret: &str, id: &str, at: i64, body: &str) -> Option<String> {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).ok()?;
    if !(24..=64).contains(&key.len()) {
        return None;
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{at}.{body}").as_bytes());
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// Five seconds, doubled with each attempt up to an hour, and up to a quarter more by chance.
fn backoff(attempts: u32, chance: u16) -> SignedDuration {
    let seconds = 5_i64.saturating_mul(1_i64 << attempts.min(10)).min(3600);
    let more = seconds.saturating_mul(250).saturating_mul(i64::from(chance)) / i64::from(u16::MAX);
    SignedDuration::from_millis(seconds.saturating_mul(1000).saturating_add(more))
}

const PATIENCE: Duration = Duration::from_secs(10);
const MOST_AGE: SignedDuration = SignedDuration::from_hours(72);
const AGAIN: SignedDuration = SignedDuration::from_mins(10);
const MOST_WAITING: u32 = 10_000;

#[cfg(test)]
mod tests;
