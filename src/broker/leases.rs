//! Leases: credentials of a database that live exactly as long as a session.
//!
//! Job: mint one per session, take it back, and find what a crash left behind. Boundary: the
//! statements live in the submodules, the rows in `store::leases`; which sessions are alive is known
//! here only by their leases. Failure mode: no lease without a row that the reaper would find, an
//! entry in the ledger and the proof that it cannot read what is protected; what cannot be taken
//! back is made unusable, kept as `stuck`, counted and tried again.

mod catalog;
mod fault;
mod group;
mod guard;
mod mint;
mod name;
pub mod objects;
mod place;
mod powerless;
mod report;
mod retire;
mod rotate;
mod server;
mod watch;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, join_all};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::broker::secrets::Secrets;
use crate::broker::store::leases::{IssuerWord, LeaseRow, LeaseState, Place};
use crate::broker::store::{Store, StoreError};
use crate::domain::event::{Actor, Event, What};
use crate::domain::name::{SessionId, TargetName};
use crate::domain::principal::Principal;
use crate::domain::target::{LeaseIssuer, PostgresTarget, SecretSource, Target};
use crate::gateway::authority::{Credential, Lease, LeaseError, SessionContext};
use crate::gateway::journal::Journal;

use mint::{Fits, Order};
pub use report::{ReapReport, Stamp, StuckLease};
use server::Servers;

/// Mints leases and takes them back. Clones share everything.
#[derive(Clone)]
pub struct Leases(Arc<Inner>);

struct Inner {
    store: Arc<Store>,
    journal: Arc<dyn Journal>,
    stamp: Box<dyn Fn() -> Stamp + Send + Sync>,
    servers: Servers,
    fits: Fits,
    // the group roles that were wanted when unused ones were last looked for, by target
    collected: Mutex<HashMap<TargetName, Collected>>,
    // never held while anything is awaited
    sessions: Mutex<HashMap<SessionId, Entry>>,
}

/// What is known of a session here.
enum Entry {
    /// Its lease is being minted or has been; all callers wait for the same answer. `valid` is until when
    /// the server takes it, `expires` until when the session needs it, which may be later for a moment.
    Leased { answer: Answer, order: Arc<Owned>, valid: Timestamp, expires: Timestamp },
    /// It has closed; a connection that comes too late gets nothing.
    Ended(Instant),
}

type Collected = (Option<BTreeSet<String>>, Instant);
type Answer = Shared<BoxFuture<'static, Result<Lease, Arc<LeaseError>>>>;

/// What a minting needs, detached from its caller, who may go away.
struct Owned {
    session: SessionId,
    actor: Actor,
    principal: Principal,
    target: Arc<Target>,
    /// The target's own part.
    postgres: PostgresTarget,
    expires: Timestamp,
    login: String,
}

impl Leases {
    /// Leases whose rows go to `store` and whose entries go to `journal`.
    pub fn new(
        store: Arc<Store>,
        journal: Arc<dyn Journal>,
        secrets: Secrets,
        stamp: impl Fn() -> Stamp + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            journal,
            stamp: Box::new(stamp),
            servers: Servers::new(secrets),
            fits: Fits::default(),
            collected: Mutex::default(),
            sessions: Mutex::new(HashMap::new()),
        }))
    }

    /// The session's lease; minted at the first call, however many come at once.
    ///
    /// # Errors
    /// [`LeaseError`]; a later call tries again.
    pub async fn issue(&self, context: &SessionContext) -> Result<Lease, LeaseError> {
        let Some(postgres) = context.target.kind.postgres() else {
            return Err(LeaseError::Upstream(format!("target {} is no database", context.target.name)));
        };
        let answer = {
            let mut sessions = self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            match sessions.get(&context.id) {
                Some(Entry::Leased { answer, .. }) => answer.clone(),
                Some(Entry::Ended(_)) => return Err(LeaseError::Upstream("the session has closed".into())),
                None => {
                    let order = Arc::new(Owned::new(context, postgres));
                    let answer = self.0.start(&order);
                    let (valid, expires) = (order.expires, order.expires);
                    let entry = Entry::Leased { answer: answer.clone(), order, valid, expires };
                    sessions.insert(context.id.clone(), entry);
                    answer
                }
            }
        };
        match answer.clone().await {
            Ok(lease) => Ok(Lease { expires: self.0.valid(&context.id).unwrap_or(lease.expires), ..lease }),
            Err(error) => {
                self.0.forget(&context.id, &answer);
                Err(again(&error))
            }
        }
    }

    /// Lets the session's lease open connections until then, if it has one and not for longer anyway.
    ///
    /// # Errors
    /// When the database cannot be reached or refuses; the lease stays as it is, and a later call tries again.
    pub async fn extend(&self, session: &SessionId, until: Timestamp) -> Result<(), LeaseError> {
        let found = {
            let mut sessions = self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            match sessions.get_mut(session) {
                Some(Entry::Leased { answer, order, valid, expires }) => {
                    // first, so that the reaper leaves it alone
                    *expires = until.max(*expires);
                    (*valid < until).then(|| (answer.clone(), Arc::clone(order)))
                }
                Some(Entry::Ended(_)) | None => None,
            }
        };
        let Some((answer, order)) = found else { return Ok(()) };
        if answer.await.is_err() {
            return Ok(());
        }
        let LeaseIssuer::PostgresRole(issuer) = &order.postgres.issuer else { return Ok(()) };
        mint::extend(&self.0.servers, &order.postgres, issuer, &order.login, until).await?;
        let (id, login) = (session.clone(), order.login.clone());
        self.0.stored(move |store| store.lease_lasts(&id, &login, until)).await?;
        let mut sessions = self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Entry::Leased { valid, .. }) = sessions.get_mut(session) {
            *valid = until.max(*valid);
        }
        Ok(())
    }

    /// Takes the session's lease back. No lease is minted for the session after this.
    ///
    /// # Errors
    /// When the database cannot be reached; the reaper tries again.
    pub async fn revoke(&self, session: &SessionId) -> Result<(), LeaseError> {
        let entry = {
            let mut sessions = self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            sessions.insert(session.clone(), Entry::Ended(Instant::now()))
        };
        let Some(Entry::Leased { answer, order, .. }) = entry else { return Ok(()) };
        if answer.await.is_err() {
            // a minting that failed has cleaned up after itself, or left its row to the reaper
            return Ok(());
        }
        let inner = Arc::clone(&self.0);
        let work = async move {
            inner.take_back(Some(&order.postgres), &order.row(), Some(order.actor.clone())).await.map(drop)
        };
        // on its own, so that a caller who goes away does not leave it half done
        tokio::spawn(work).await.unwrap_or_else(|e| Err(LeaseError::Upstream(e.to_string())))
    }

    /// Takes back the leases of sessions that are not alive: all that a former process left, and
    /// those that could not be taken back before. To be called at the start and every minute.
    pub async fn reap(&self, targets: &BTreeMap<TargetName, Arc<Target>>) -> ReapReport {
        let mut report = ReapReport::default();
        let rows = match self.0.store.leases() {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(%error, "leases cannot be read");
                return report;
            }
        };
        let mut by_target: BTreeMap<TargetName, Vec<LeaseRow>> = BTreeMap::new();
        for row in rows.into_iter().filter(|row| !self.0.alive(row)) {
            by_target.entry(row.target.clone()).or_default().push(row);
        }
        // one lease after the other at each target, targets side by side
        let rounds = by_target.into_iter().map(|(name, rows)| self.0.reap_target(targets.get(&name), rows));
        for part in join_all(rounds).await {
            report.clean += part.clean;
            report.stuck.extend(part.stuck);
        }
        for StuckLease { target, login, note } in &report.stuck {
            tracing::error!(%target, login, note, "a lease could not be taken back; it is tried again");
        }
        self.0.sweep();
        report
    }

    /// [`Self::reap`], then [`Self::collect`] and [`Self::rotate_admin`] for each target; what fails is logged.
    pub async fn tend(&self, targets: &BTreeMap<TargetName, Arc<Target>>) -> ReapReport {
        let report = self.reap(targets).await;
        for target in targets.values() {
            if let Err(error) = self.collect(target).await {
                tracing::warn!(name = %target.name, %error, "unused group roles and views were not looked for");
            }
        }
        for target in targets.values() {
            match self.rotate_admin(target).await {
                Ok(true) => {
                    tracing::info!(name = %target.name, "the administrator's password was replaced");
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(name = %target.name, %error, "the administrator's password was not replaced");
                }
            }
        }
        report
    }

    /// Drops the group roles and views of a target that its configuration has no use for and no session needs;
    /// at the first call, when the configuration changed, and every hour. Returns what was dropped.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn collect(&self, target: &Target) -> Result<Vec<String>, LeaseError> {
        let Some(postgres) = target.kind.postgres() else { return Ok(Vec::new()) };
        let LeaseIssuer::PostgresRole(issuer) = &postgres.issuer else { return Ok(Vec::new()) };
        let wanted = objects::wanted(&target.name, postgres);
        let known =
            self.0.collected.lock().unwrap_or_else(PoisonError::into_inner).get(&target.name).cloned();
        if known.is_some_and(|(names, at)| names == wanted && at.elapsed() < MEMORY) {
            return Ok(Vec::new());
        }
        let dropped = objects::collect(&self.0.servers, &target.name, postgres, issuer).await?;
        if !dropped.is_empty() {
            tracing::info!(name = %target.name, dropped = dropped.join(", "), "dropped what no mask needs any more");
        }
        let mut collected = self.0.collected.lock().unwrap_or_else(PoisonError::into_inner);
        collected.insert(target.name.clone(), (wanted, Instant::now()));
        Ok(dropped)
    }

    /// Replaces the administrator's password of a target if its configuration asks for that and it
    /// is old enough; says whether it did.
    ///
    /// # Errors
    /// When the password source is not a file, or a step fails; either the old or the new password
    /// works then, and the broker finds out which.
    pub async fn rotate_admin(&self, target: &Target) -> Result<bool, LeaseError> {
        let Some(postgres) = target.kind.postgres() else { return Ok(false) };
        let LeaseIssuer::PostgresRole(issuer) = &postgres.issuer else { return Ok(false) };
        let Some(every) = issuer.rotate_admin else { return Ok(false) };
        let SecretSource::File(path) = &issuer.admin_password else {
            return Err(LeaseError::Secret("only a password that comes from a file can be replaced".into()));
        };
        let written = std::fs::metadata(path)
            .and_then(|facts| facts.modified())
            .map_err(|e| LeaseError::Secret(format!("file {}: {e}", path.display())))?;
        let written = Timestamp::try_from(written).map_err(|e| LeaseError::Secret(e.to_string()))?;
        let age = (self.0.stamp)().at.duration_since(written);
        if age.as_secs() < i64::try_from(every).unwrap_or(i64::MAX) {
            return Ok(false);
        }
        rotate::admin(&self.0.servers, postgres, issuer, path).await?;
        Ok(true)
    }
}

impl std::fmt::Debug for Leases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Leases")
    }
}

impl Inner {
    fn start(self: &Arc<Self>, order: &Arc<Owned>) -> Answer {
        let (inner, order) = (Arc::clone(self), Arc::clone(order));
        let minting = tokio::spawn(async move { inner.mint(&order).await.map_err(Arc::new) });
        let answer = async move {
            minting.await.unwrap_or_else(|e| Err(Arc::new(LeaseError::Upstream(e.to_string()))))
        };
        answer.boxed().shared()
    }

    async fn mint(&self, order: &Owned) -> Result<Lease, LeaseError> {
        let postgres = &order.postgres;
        let binding = order.binding();
        let row = order.row();
        // INVARIANT: the row is there before the role is (design §3.6)
        self.stored(move |store| store.begin_lease(&row)).await?;
        let made = AtomicBool::new(false);
        let minted = match &postgres.issuer {
            LeaseIssuer::PostgresRole(issuer) => {
                let password = name::password();
                let filters = order.filters();
                let group = name::group_role(&order.target.name, postgres, &binding, &filters);
                let claims = order.claims().map_err(|unbound| LeaseError::Upstream(unbound.to_string()));
                let views = objects::plan(&order.target.name, postgres, &binding, filters.clone());
                let order = Order {
                    views: views.as_ref(),
                    filters: &filters,
                    claims: &claims?,
                    postgres,
                    issuer,
                    binding: &binding,
                    role: &order.login,
                    group: &group,
                    password: &password,
                    expires: order.expires,
                    made: &made,
                };
                mint::role(&self.servers, &self.fits, &order).await.map(|()| password)
            }
            LeaseIssuer::Static { user, password } => match self.servers.secrets().fetch(password).await {
                Ok(secret) => mint::standing(postgres, &binding, order.is_filtered(), user, &secret)
                    .await
                    .map(|()| secret),
                Err(error) => Err(LeaseError::Secret(error.to_string())),
            },
        };
        let password = match minted {
            Ok(password) => password,
            Err(error) => {
                self.abandon(order, made.into_inner()).await;
                return Err(error);
            }
        };
        // INVARIANT: entered before it can be used
        let issued = What::LeaseIssued {
            session: order.session.clone(),
            login: order.login.clone(),
            expires: order.expires,
        };
        let (session, login) = (order.session.clone(), order.login.clone());
        let live = match self.enter(Some(order.actor.clone()), issued) {
            Ok(()) => self.stored(move |store| store.lease_is_live(&session, &login)).await,
            Err(error) => Err(error),
        };
        if let Err(error) = live {
            self.abandon(order, true).await;
            return Err(error);
        }
        Ok(Lease {
            user: order.login.clone(),
            credential: Credential::Password(password),
            expires: order.expires,
        })
    }

    /// Removes what a failed minting made, if it came that far.
    async fn abandon(&self, order: &Owned, made: bool) {
        let taken = if made { self.remove(Some(&order.postgres), &order.row()).await } else { Ok(None) };
        let (session, login) = (order.session.clone(), order.login.clone());
        let stored = match taken {
            Ok(None) => self.stored(move |store| store.lease_is_gone(&session, &login)).await,
            // the row stays for the reaper
            Ok(Some(_)) | Err(_) => Ok(()),
        };
        if let Err(error) = stored {
            tracing::error!(%error, role = order.login, "a lease that failed is still noted");
        }
    }

    /// Takes one lease back, enters that, and forgets or keeps its row. Says what is left.
    async fn take_back(
        &self,
        way: Option<&PostgresTarget>,
        row: &LeaseRow,
        actor: Option<Actor>,
    ) -> Result<Option<String>, LeaseError> {
        let taken = self.remove(way, row).await;
        let note = match (&taken, row.issuer) {
            (Ok(Some(left)), _) => left.clone(),
            (Err(error), _) => error.to_string(),
            (Ok(None), IssuerWord::Static) => "a standing role: nothing was taken back".to_owned(),
            (Ok(None), IssuerWord::PostgresRole) => String::new(),
        };
        let clean = matches!(taken, Ok(None));
        // a lease that stays stuck is entered once, not every minute
        let entered = if clean || row.state != LeaseState::Stuck {
            let (session, login) = (row.session.clone(), row.login.clone());
            self.enter(actor, What::LeaseRevoked { session, login, clean, note: note.clone() })
        } else {
            Ok(())
        };
        let (session, login) = (row.session.clone(), row.login.clone());
        let gone = clean && entered.is_ok();
        self.stored(move |store| {
            if gone {
                store.lease_is_gone(&session, &login)
            } else {
                store.lease_is_stuck(&session, &login, &note)
            }
        })
        .await?;
        entered?;
        taken
    }

    /// Removes what the issuer of the lease made; says what is left.
    async fn remove(
        &self,
        way: Option<&PostgresTarget>,
        row: &LeaseRow,
    ) -> Result<Option<String>, LeaseError> {
        match (row.issuer, way.map(|postgres| (postgres, &postgres.issuer))) {
            (IssuerWord::Static, _) => Ok(None),
            (IssuerWord::PostgresRole, Some((postgres, LeaseIssuer::PostgresRole(issuer)))) => {
                retire::role(&self.servers, postgres, issuer, &row.login).await
            }
            (IssuerWord::PostgresRole, _) => {
                Ok(Some(format!("target {} has no administrator any more who could drop it", row.target)))
            }
        }
    }

    async fn reap_target(&self, target: Option<&Arc<Target>>, rows: Vec<LeaseRow>) -> ReapReport {
        let mut report = ReapReport::default();
        // who could not be reached is not tried again for the next lease
        let mut unreachable: Vec<(PostgresTarget, String)> = Vec::new();
        for mut row in rows {
            let mut note = None;
            for way in place::ways(&row, target.map(AsRef::as_ref)) {
                let known = unreachable.iter().find(|(tried, _)| way.as_ref() == Some(tried));
                note = match known {
                    Some((_, reason)) => Some(reason.clone()),
                    None => match self.take_back(way.as_ref(), &row, None).await {
                        Ok(left) => left,
                        Err(error) => {
                            unreachable.extend(way.map(|way| (way, error.to_string())));
                            Some(error.to_string())
                        }
                    },
                };
                if note.is_none() {
                    break;
                }
                // as the first way has noted; the second need not say it again
                row.state = LeaseState::Stuck;
            }
            match note {
                None => report.clean += 1,
                Some(note) => {
                    report.stuck.push(StuckLease { target: row.target, login: row.login, note });
                }
            }
        }
        report
    }

    /// Whether the row's session holds this very lease in this process.
    fn alive(&self, row: &LeaseRow) -> bool {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        match sessions.get(&row.session) {
            Some(Entry::Leased { order, expires, .. }) => {
                order.login == row.login && *expires + GRACE > (self.stamp)().at
            }
            // being taken back, unless that has failed before
            Some(Entry::Ended(since)) => row.state != LeaseState::Stuck && since.elapsed() < GRACE,
            None => false,
        }
    }

    /// Until when the server takes the session's lease.
    fn valid(&self, session: &SessionId) -> Option<Timestamp> {
        match self.sessions.lock().unwrap_or_else(PoisonError::into_inner).get(session) {
            Some(Entry::Leased { valid, .. }) => Some(*valid),
            Some(Entry::Ended(_)) | None => None,
        }
    }

    /// Lets a later call try again after a minting that failed.
    fn forget(&self, session: &SessionId, failed: &Answer) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Entry::Leased { answer, .. }) = sessions.get(session)
            && answer.ptr_eq(failed)
        {
            sessions.remove(session);
        }
    }

    /// Forgets sessions that have been over for so long that nobody comes for them any more.
    fn sweep(&self) {
        let now = (self.stamp)().at;
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, entry| match entry {
            Entry::Leased { expires, .. } => *expires + GRACE > now,
            Entry::Ended(since) => since.elapsed() < MEMORY,
        });
    }

    fn enter(&self, actor: Option<Actor>, what: What) -> Result<(), LeaseError> {
        let Stamp { at, policy } = (self.stamp)();
        let event = Event { at, actor, policy, what };
        self.journal.enter(&event).map(drop).map_err(|e| LeaseError::Journal(e.to_string()))
    }

    async fn stored(
        &self,
        work: impl FnOnce(&Store) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), LeaseError> {
        let store = Arc::clone(&self.store);
        match tokio::task::spawn_blocking(move || work(&store)).await {
            Ok(result) => result.map_err(|e| LeaseError::Journal(e.to_string())),
            Err(error) => Err(LeaseError::Journal(error.to_string())),
        }
    }
}

impl Owned {
    fn new(context: &SessionContext, postgres: &PostgresTarget) -> Self {
        let login = match &postgres.issuer {
            LeaseIssuer::PostgresRole(_) => name::session_role(&context.principal),
            LeaseIssuer::Static { user, .. } => user.clone(),
        };
        Self {
            session: context.id.clone(),
            actor: context.actor.clone(),
            principal: context.principal.clone(),
            target: Arc::clone(&context.target),
            postgres: postgres.clone(),
            expires: context.expires,
            login,
        }
    }

    fn row(&self) -> LeaseRow {
        LeaseRow {
            target: self.target.name.clone(),
            login: self.login.clone(),
            session: self.session.clone(),
            issuer: self.issuer(),
            place: Place::of(&self.postgres),
            state: LeaseState::Minting,
            expires: self.expires.to_string(),
            attempts: 0,
            note: String::new(),
        }
    }

    fn issuer(&self) -> IssuerWord {
        match self.postgres.issuer {
            LeaseIssuer::PostgresRole(_) => IssuerWord::PostgresRole,
            LeaseIssuer::Static { .. } => IssuerWord::Static,
        }
    }
}

/// The same error for each of those who wait for it.
fn again(error: &LeaseError) -> LeaseError {
    match error {
        LeaseError::Issuer(text) => LeaseError::Issuer(text.clone()),
        LeaseError::Upstream(text) => LeaseError::Upstream(text.clone()),
        LeaseError::Secret(text) => LeaseError::Secret(text.clone()),
        LeaseError::OverPrivileged(text) => LeaseError::OverPrivileged(text.clone()),
        LeaseError::Journal(text) => LeaseError::Journal(text.clone()),
        LeaseError::Unreachable(text) => LeaseError::Unreachable(text.clone()),
    }
}

/// How long after a session's end its own revocation may take before the reaper steps in.
const GRACE: Duration = Duration::from_secs(60);
/// How long a closed session is remembered, so that a late connection mints nothing.
const MEMORY: Duration = Duration::from_secs(3600);
