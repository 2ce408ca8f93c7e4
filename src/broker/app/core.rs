//! What the broker does, whoever asks for it.
//!
//! Job: sessions opened, closed and cleaned up after; logins ended; policy
//! replaced. Boundary: callers are already recognised; the API turns results into answers.
//! Failure mode: what cannot be stored or entered does not begin; what ends, ends regardless.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio::sync::mpsc;

use super::observe::Observed;
use super::ports::{Archive, LeaseKeeper};
use crate::broker::approvals::{ApprovalError, Approvals, needs};
use crate::broker::authn::{Authn, Caller, Exchanged};
use crate::broker::config::Config;
use crate::broker::devices::Devices;
use crate::broker::explain::opened;
use crate::broker::logins::Logins;
use crate::broker::metrics::Metrics;
use crate::broker::pki::Identity;
use crate::broker::scribe::Scribe;
use crate::broker::sessions::Sessions;
use crate::broker::store::StoreError;
use crate::broker::webhooks::Webhooks;
use crate::domain::action::Action;
use crate::domain::approval::Grant;
use crate::domain::event::{Durability, What};
use crate::domain::filter::{self, UnboundClaim};
use crate::domain::name::{DeviceId, Digest, GrantId, RequestId, RuleName, SessionId, TargetName};
use crate::domain::policy::{Hold, Verdict};
use crate::domain::principal::Principal;
use crate::domain::session::{CloseReason, Session, SessionState};
use crate::domain::target::{AwsAccessMode, Target, TargetKind};
use crate::domain::text;
use crate::gateway::authority::{Attempts, SessionContext};
use crate::gateway::clock::Clock;
use crate::gateway::journal::JournalError;
use crate::wire::control::{OpenSession, OpenedSession};

/// The broker's state and parts.
pub(crate) struct Core {
    pub(crate) clock: Clock,
    pub(super) config: RwLock<Arc<Config>>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) scribe: Arc<Scribe>,
    pub(super) observed: Arc<Observed>,
    pub(crate) devices: Arc<Devices>,
    pub(crate) logins: Arc<Logins>,
    pub(crate) authn: Authn,
    pub(crate) approvals: Arc<Approvals>,
    pub(crate) webhooks: Arc<Webhooks>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) archive: Arc<dyn Archive>,
    /// Set once, before anything is served.
    pub(super) leases: OnceLock<Arc<dyn LeaseKeeper>>,
    pub(super) draining: AtomicBool,
    /// Statement digests of all targets are keyed from this.
    pub(super) digest_root: SecretBox<[u8; 32]>,
}

/// Why no session was opened.
#[derive(Debug, Error)]
pub(crate) enum OpenError {
    #[error("the broker is shutting down")]
    Draining,
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// There is no such target, or it is not for them: the two read the same.
    #[error("no such target")]
    NoTarget,
    /// Policy wants a review first: of whom, in words.
    #[error("a session on `{target}` needs approval by {needs}")]
    ReviewNeeded { target: TargetName, needs: String },
    /// A row filter compares with something that their login does not carry.
    #[error(transparent)]
    Unbound(#[from] UnboundClaim),
    #[error("this device already holds {MAX_PER_DEVICE} sessions")]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Core {
    /// The configuration in force.
    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether policy lets somebody do this to a target.
    pub(crate) fn may(&self, who: &Principal, target: &Target, action: &Action<'_>) -> bool {
        matches!(self.config().policy.judge(who, target, action), Verdict::Allow(_))
    }

    /// Whether somebody may see a session that is not theirs.
    pub(crate) fn may_audit(&self, who: &Principal, target: &TargetName) -> bool {
        self.config().targets.get(target).is_some_and(|target| self.may(who, target, &Action::Audit))
    }

    /// Whether policy lets somebody connect, perhaps after a review.
    pub(crate) fn may_reach(&self, who: &Principal, target: &Target) -> bool {
        !matches!(self.config().policy.judge(who, target, &Action::Connect), Verdict::Deny(_))
    }

    /// Whether policy lets somebody connect who holds a grant.
    fn may_with_grant(&self, who: &Principal, target: &Target) -> bool {
        matches!(self.config().policy.judge_reviewed(who, target, &Action::Connect), Verdict::Allow(_))
    }

    /// The target that somebody spelled, if there is one and they may connect to it, perhaps after a
    /// review: then what that takes.
    pub(crate) fn reachable(
        &self,
        who: &Principal,
        spelled: &str,
    ) -> Result<(Arc<Target>, Option<Hold>), RuleName> {
        let config = self.config();
        let target = TargetName::new(spelled).ok().and_then(|name| config.targets.get(&name));
        let target = target.ok_or_else(RuleName::default_deny)?;
        match config.policy.judge(who, target, &Action::Connect) {
            Verdict::Allow(_) => Ok((Arc::new(target.clone()), None)),
            Verdict::Deny(denial) => Err(denial.rule),
            Verdict::Hold(hold) => Ok((Arc::new(target.clone()), Some(hold))),
        }
    }

    /// What a session on a target takes first, in words; `None` when it takes nothing, or the caller
    /// holds a grant.
    pub(crate) fn takes(&self, who: &Principal, target: &Target) -> Option<String> {
        let Verdict::Hold(hold) = self.config().policy.judge(who, target, &Action::Connect) else {
            return None;
        };
        if matches!(self.approvals.live_grant(&who.id, target, &hold), Ok(Some(_))) {
            return None;
        }
        let threshold = hold.threshold.resolve(target.owner.as_ref()).unwrap_or(hold.threshold);
        Some(needs(&threshold))
    }

    /// Brings the keeper of leases, once.
    pub(crate) fn lend(&self, leases: Arc<dyn LeaseKeeper>) {
        drop(self.leases.set(leases));
    }

    /// Why no new session should be sent here, if anything speaks against it.
    pub(crate) fn unready(&self) -> Option<&'static str> {
        if self.draining.load(Ordering::SeqCst) {
            return Some("the broker is shutting down");
        }
        if !(self.observed.is_writable() && self.archive.healthy()) {
            return Some("the audit ledger cannot be written");
        }
        // any short read shows whether the database answers
        self.sessions.left_behind().is_err().then_some("the broker's database does not answer")
    }

    /// Opens a session.
    pub(crate) async fn open(&self, caller: &Caller, ask: &OpenSession) -> Result<OpenedSession, OpenError> {
        if self.draining.load(Ordering::SeqCst) {
            return Err(OpenError::Draining);
        }
        let (target, hold) = match self.reachable(caller.principal(), &ask.target) {
            Ok(reachable) => reachable,
            Err(rule) => {
                self.refused(caller, ask, rule).await?;
                return Err(OpenError::NoTarget);
            }
        };
        // before a grant is used up for nothing
        if let Some(unbound) = unbound(caller.principal(), &target) {
            self.refused(caller, ask, unbound.filter.clone()).await?;
            return Err(unbound.into());
        }
        if self.sessions.census(Some(&caller.device.id)).of_device >= MAX_PER_DEVICE {
            return Err(OpenError::TooMany);
        }
        let secret = super::random_text();
        let verifier = verifier(&secret).await?;
        let now = self.clock.now();
        let mut session = self.pending(caller, ask, &target, now);
        let limit = session.expires;
        let mut reason = None;
        if let Some(hold) = hold {
            // INVARIANT: whoever uses up a grant for one session is the only one
            let Some(grant) = self.approvals.use_grant(&caller.principal().id, &target, &hold)? else {
                if let Some(rule) = hold.rules.into_iter().next() {
                    self.refused(caller, ask, rule).await?;
                }
                let threshold = hold.threshold.resolve(target.owner.as_ref()).unwrap_or(hold.threshold);
                return Err(OpenError::ReviewNeeded {
                    target: target.name.clone(),
                    needs: needs(&threshold),
                });
            };
            session.expires = limit.min(grant.ends);
            session.grant = Some(grant.id);
            reason = Some(grant.reason);
        }
        let context = Arc::new(SessionContext {
            id: session.id.clone(),
            principal: caller.principal().clone(),
            actor: caller.actor(),
            target: Arc::clone(&target),
            expires: session.expires,
            loopback_user: user(&caller.principal().display),
            verifier,
            secret: Digest::from_bytes(&Sha256::digest(secret.as_bytes()).into()),
            ssh_key: ask.ssh_key.clone(),
            digest_key: self.digest_key(&target.name),
            reason,
            attempts: Attempts::default(),
        });
        let (expires, id) = (session.expires, session.id.clone());
        // stored first, so that a crash between the two leaves a row to clean up, not a ghost
        self.sessions.reserve(&session)?;
        let what = What::SessionOpened { session: id.clone(), target: target.name.clone(), expires };
        let used = session.grant.clone().map(|grant| What::GrantUsed { grant, session: id.clone() });
        for what in used.into_iter().chain([what]) {
            if let Err(error) = self.scribe.enter(Some(caller.actor()), what, Durability::Written).await {
                self.sessions.cancel(&id)?;
                return Err(error.into());
            }
        }
        let grant = session.grant.clone();
        self.sessions.open(session, Arc::clone(&context), limit, target.kind.max_connections());
        // a revocation that came while this was under way must win
        if let Some(grant) = grant.filter(|grant| !self.approvals.carries(grant)) {
            self.sessions.revoke(&grant);
        }
        // and so must one of the device: what cannot be read counts as revoked
        if !matches!(self.devices.is_revoked(&caller.device.id), Ok(false)) {
            self.close_device(&caller.device.id, CloseReason::DeviceRevoked);
        }
        // credentials that are handed out exist only once policy has said that they may
        let hands_out =
            matches!(&target.kind, TargetKind::Aws(aws) if aws.access == AwsAccessMode::Credentials);
        if self.sessions.is_open(&id) && !hands_out {
            self.mint_ahead(context);
        }
        Ok(OpenedSession {
            session: id,
            protocol: target.kind.protocol().into(),
            expires,
            secret,
            user: user(&caller.principal().display),
            database: target.kind.postgres().map(|postgres| postgres.database.clone()).unwrap_or_default(),
            gateway_key: self.identity.gateway_key.clone(),
            ssh_host_key: self.ssh_host_key(&target),
            base: match &target.kind {
                TargetKind::Http(http) => Some(http.base.clone()),
                _ => None,
            },
            aws: match &target.kind {
                TargetKind::Aws(aws) => Some(opened(aws, Some(self.config().login_idle))),
                _ => None,
            },
        })
    }

    /// What the client of a session on this target must find inside its tunnel.
    fn ssh_host_key(&self, target: &Target) -> Option<String> {
        let TargetKind::Ssh(_) = &target.kind else { return None };
        // a public key of ours has a text
        self.identity.ssh_host_key.public_key().to_openssh().ok()
    }

    async fn refused(&self, caller: &Caller, ask: &OpenSession, rule: RuleName) -> Result<(), JournalError> {
        let spelled = text::name(&ask.target, 80);
        let what = What::Refused { action: "connect".into(), target: spelled, rule };
        self.scribe.enter(Some(caller.actor()), what, Durability::Written).await
    }

    /// Takes a review; what it brings about reaches sessions that run.
    pub(crate) async fn review(
        &self,
        caller: &Caller,
        id: &RequestId,
        proof: &str,
    ) -> Result<(), ApprovalError> {
        self.approvals.review(&self.config(), &self.devices, caller, id, proof).await?;
        if let Some(grant) = self.approvals.extended_by(id)? {
            self.extend(&grant);
        }
        Ok(())
    }

    /// Lets sessions go on that stand on a grant which was made longer, and what they hold with them.
    pub(crate) fn extend(&self, grant: &Grant) {
        for (session, until) in self.sessions.extend(&grant.id, grant.ends) {
            let Some(leases) = self.leases.get().map(Arc::clone) else { return };
            // what fails is tried again when the session wants its next connection
            tokio::spawn(async move {
                if let Err(error) = leases.extend(&session, until).await {
                    tracing::warn!(%session, %error, "a lease still ends before its session");
                }
            });
        }
    }

    /// Takes a grant back and closes its sessions.
    pub(crate) async fn revoke_grant(&self, caller: &Caller, id: &GrantId) -> Result<(), ApprovalError> {
        let revoked = self.approvals.revoke_grant(&self.config(), caller, id)?;
        self.sessions.revoke(id);
        self.approvals.grant_revoked(revoked).await
    }

    /// Begins to mint a session's lease, so that it is there when the first connection asks for it: the
    /// user's own program takes about as long to start. A failure is left to that connection to find.
    fn mint_ahead(&self, context: Arc<SessionContext>) {
        let Some(leases) = self.leases.get().map(Arc::clone) else { return };
        tokio::spawn(async move {
            if let Err(error) = leases.issue(&context).await {
                tracing::debug!(session = %context.id, %error, "no lease yet");
            }
        });
    }

    /// Ends a login: its tokens and its sessions.
    pub(crate) async fn log_out(&self, caller: &Caller) -> Result<(), OpenError> {
        let device = &caller.device.id;
        self.close_device(device, CloseReason::LoginEnded);
        self.logins.end(device)?;
        self.scribe.enter(Some(caller.actor()), What::LoggedOut, Durability::Written).await?;
        Ok(())
    }

    /// Closes what a refreshed login no longer carries.
    pub(crate) fn refreshed(&self, exchanged: &Exchanged) {
        let now = &exchanged.login.principal;
        self.sessions.close_where(|live, session| {
            if session.device != exchanged.device {
                return None;
            }
            if session.principal != now.id {
                return Some(CloseReason::LoginEnded);
            }
            // masks and rules were chosen by groups, rows by claims: who lost one starts afresh
            let was = &live.context.principal;
            let changed =
                !was.groups.is_subset(&now.groups) || sees_other_rows(was, now, &live.context.target);
            changed.then_some(CloseReason::PolicyChanged)
        });
    }

    /// Puts a new configuration in force and closes the sessions that it no longer allows.
    pub(crate) async fn adopt(&self, config: Config) -> Result<(), JournalError> {
        let config = Arc::new(config);
        let digest = config.policy.digest().clone();
        let changed = {
            let old = self.config();
            *old.policy.digest() != digest || old.targets != config.targets
        };
        // INVARIANT: no verdict of a policy whose digest is not in the ledger
        self.scribe.announce(digest.clone()).await?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&config);
        self.scribe.adopt(digest);
        self.webhooks.adopt(config.webhooks.clone());
        let is_trusted = |who: &Principal| {
            let name = &who.id.provider;
            config.providers.iter().any(|provider| provider.name == *name)
                || config.workloads.iter().any(|workload| workload.name == *name)
        };
        for device in self.logins.through(|who| !is_trusted(who)) {
            self.close_device(&device, CloseReason::LoginEnded);
            if let Err(error) = self.logins.end(&device) {
                tracing::error!(%device, %error, "a login could not be forgotten");
            }
        }
        self.sessions.close_where(|live, session| {
            let target = config.targets.get(&session.target);
            // a session keeps the masks it began with, so a target that changed ends it
            let stays = target.is_some_and(|target| {
                let who = &live.context.principal;
                let may = match &session.grant {
                    Some(_) => self.may_with_grant(who, target),
                    None => self.may(who, target, &Action::Connect),
                };
                *target == *live.context.target && may
            });
            (!stays).then_some(CloseReason::PolicyChanged)
        });
        if changed {
            self.approvals.reconsider(&config).await;
        }
        Ok(())
    }

    /// What is due by now: expired sessions, ended logins.
    pub(crate) fn tick(&self, now: Timestamp) {
        self.sessions.expire(now);
        self.sessions.close_where(|_, session| {
            let login = self.logins.of(&session.device, now);
            let lasts = login.is_some_and(|login| login.principal.id == session.principal);
            (!lasts).then_some(CloseReason::LoginEnded)
        });
        for device in self.logins.lapsed(now) {
            if let Err(error) = self.logins.end(&device) {
                tracing::error!(%device, %error, "a login could not be forgotten");
            }
        }
        let census = self.sessions.census(None);
        self.metrics.sessions.set(i64::try_from(census.sessions).unwrap_or(i64::MAX));
        self.metrics.connections.set(i64::try_from(census.connections).unwrap_or(i64::MAX));
    }

    /// Sees each session that starts to close to its end.
    pub(crate) async fn bury(self: Arc<Self>, mut closing: mpsc::UnboundedReceiver<SessionId>) {
        while let Some(id) = closing.recv().await {
            let core = Arc::clone(&self);
            tokio::spawn(async move { core.finish(&id).await });
        }
    }

    /// Enters the end of sessions that a former process left behind, and removes their leases.
    pub(crate) async fn recover(&self) -> Result<(), OpenError> {
        for session in self.sessions.left_behind()? {
            let reason = match session.state {
                SessionState::Closing { reason } => reason,
                _ => CloseReason::BrokerRestarted,
            };
            // the counters of the former process are in its own entries
            let what = What::SessionClosed {
                session: session.id.clone(),
                reason,
                statements: session.statements,
                connections: 0,
            };
            self.scribe.enter(None, what, Durability::Written).await?;
            let state = SessionState::Closed { reason, at: self.clock.now() };
            self.sessions.bury(&Session { state, ..session })?;
        }
        self.shut_out(None, None, Timestamp::MAX).await?;
        self.approvals.recover().await.map_err(|error| match error {
            ApprovalError::Journal(error) => OpenError::Journal(error),
            ApprovalError::Store(error) => OpenError::Store(error),
            _ => OpenError::Draining,
        })?;
        Ok(())
    }

    /// Removes what leases left behind.
    pub(crate) async fn reap(&self) {
        if let Some(leases) = self.leases.get() {
            let stuck = leases.reap(&self.config().targets).await;
            self.metrics.leases_stuck.set(i64::try_from(stuck).unwrap_or(i64::MAX));
        }
    }

    /// Looks at what changed in the databases of open sessions.
    pub(crate) async fn watch(&self) {
        if let Some(leases) = self.leases.get() {
            leases.watch().await;
        }
    }

    pub(super) fn close_device(&self, device: &DeviceId, reason: CloseReason) {
        self.sessions.close_where(|_, session| (session.device == *device).then_some(reason));
    }

    async fn finish(&self, id: &SessionId) {
        self.approvals.void_session(id).await;
        self.sessions.drained(id, GRACE).await;
        if let Some(leases) = self.leases.get() {
            leases.revoke(id).await;
        }
        let Some(over) = self.sessions.finish(id, self.clock.now()) else { return };
        let SessionState::Closed { reason, .. } = over.session.state else { return };
        let what = What::SessionClosed {
            session: id.clone(),
            reason,
            statements: over.session.statements,
            connections: over.connections,
        };
        tracing::info!(session = %id, ?reason, "session closed");
        if let Err(error) = self.scribe.enter(Some(over.actor), what, Durability::Written).await {
            tracing::error!(session = %id, %error, "the end of a session could not be entered");
        }
    }

    fn pending(&self, caller: &Caller, ask: &OpenSession, target: &Target, now: Timestamp) -> Session {
        let limit = SignedDuration::try_from(self.config().session_max).unwrap_or(SignedDuration::MAX);
        let limit = caller.login.session_cap.map_or(limit, |cap| cap.min(limit));
        Session {
            id: SessionId::from_random(rand::random()),
            principal: caller.principal().id.clone(),
            display: caller.principal().display.clone(),
            target: target.name.clone(),
            device: caller.device.id.clone(),
            client_address: caller.address.to_string(),
            client_host: text::name(&ask.host, 255),
            opened: now,
            expires: now.checked_add(limit).unwrap_or(Timestamp::MAX),
            state: SessionState::Pending,
            statements: 0,
            grant: None,
        }
    }

    fn digest_key(&self, target: &TargetName) -> SecretString {
        // a key of 32 bytes is never refused
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.digest_root.expose_secret()) else {
            return SecretString::from(super::random_text());
        };
        mac.update(b"statement digest\0");
        mac.update(target.as_str().as_bytes());
        SecretString::from(String::from(Digest::from_bytes(&mac.finalize().into_bytes().into())))
    }
}

/// The claim that lets nobody in who does not carry it, if there is one.
fn unbound(who: &Principal, target: &Target) -> Option<UnboundClaim> {
    filter::bound(&target.kind.postgres()?.filters, who).err()
}

/// Whether row filters mean something else for a principal since.
fn sees_other_rows(was: &Principal, now: &Principal, target: &Target) -> bool {
    target.kind.postgres().is_some_and(|postgres| {
        filter::bound(&postgres.filters, was) != filter::bound(&postgres.filters, now)
    })
}

/// Makes the SCRAM verifier off the async threads: it is 4096 rounds of HMAC.
async fn verifier(secret: &str) -> Result<String, OpenError> {
    let secret = secret.to_owned();
    let work = move || postgres_protocol::password::scram_sha_256(secret.as_bytes());
    // it fails only when the runtime is being shut down
    tokio::task::spawn_blocking(work).await.map_err(|_| OpenError::Draining)
}

/// The user name at the loopback: only shown, because the secret alone decides.
fn user(display: &str) -> String {
    let name: String = display
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' })
        .take(63)
        .collect();
    if name.is_empty() { "hoopctl".into() } else { name }
}

/// How long a closing session waits for its connections before its lease goes anyway.
const GRACE: Duration = Duration::from_secs(2);
const MAX_PER_DEVICE: usize = 128;
