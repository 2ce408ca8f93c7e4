//! Tokens of sessions that have ended are denied (`revoke = "inline-deny"`).
//!
//! Job: keep one inline policy per role that names the ended sessions whose tokens have not expired yet, and take it
//! away when there are none. Boundary: tokens of other sessions, also of the same principal, go on. Failure mode: what
//! cannot be denied now is tried again every minute, counted and logged; rows survive a broker that is killed. A role
//! whose policy would be too long once all sessions have ended gives out no more tokens.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::base::{Bases, Ground};
use super::document::{Mark, denying};
use super::iam::{Iam, IamError};
use crate::broker::leases::Stamp;
use crate::broker::store::Store;
use crate::broker::store::denials::DenialRow;
use crate::domain::event::{Event, What};
use crate::domain::name::SessionId;
use crate::domain::target::{AwsBase, AwsIssuer, AwsTarget, SecretSource};
use crate::gateway::authority::{LeaseError, SessionContext};
use crate::gateway::journal::Journal;

/// Keeps the policies.
pub(super) struct Denials {
    store: Arc<Store>,
    journal: Arc<dyn Journal>,
    bases: Bases,
    stamp: Box<dyn Fn() -> Stamp + Send + Sync>,
    /// What the inline policy is called.
    policy: String,
    /// Sessions of this process that have not ended.
    alive: Mutex<BTreeSet<SessionId>>,
    /// Held while room in a policy is looked for and taken.
    room: Mutex<()>,
    /// The policy that each role has, as far as this process knows. Held while it is changed.
    applied: tokio::sync::Mutex<HashMap<String, Option<String>>>,
}

/// Where a role is and by whom it is changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Place {
    region: String,
    endpoint: Option<Url>,
    root_certificates: Option<PathBuf>,
    /// A standing key; without one, what the surroundings say.
    keys: Option<(String, SecretSource)>,
    /// Whose session it is; rows of older brokers do not say.
    #[serde(default)]
    principal: Option<String>,
}

impl Denials {
    pub(super) fn new(
        store: Arc<Store>,
        journal: Arc<dyn Journal>,
        bases: Bases,
        broker: &str,
        stamp: Box<dyn Fn() -> Stamp + Send + Sync>,
    ) -> Self {
        // two brokers must not overwrite each other's
        let digest: String =
            Sha256::digest(broker.as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let policy = format!("hoopctl-ended-{digest}");
        Self {
            store,
            journal,
            bases,
            stamp,
            policy,
            alive: Mutex::default(),
            room: Mutex::default(),
            applied: tokio::sync::Mutex::default(),
        }
    }

    /// What the inline policy is called.
    pub(super) fn policy(&self) -> &str {
        &self.policy
    }

    /// Notes that a session is about to get tokens which last until then; whether they are its first.
    pub(super) async fn begin(
        &self,
        context: &SessionContext,
        target: &AwsTarget,
        name: &str,
        until: Timestamp,
    ) -> Result<bool, LeaseError> {
        let AwsIssuer::AssumeRole { base, tags, .. } = &target.issuer else {
            return Err(LeaseError::Issuer("tokens of a web identity cannot be taken back".into()));
        };
        let place = Place {
            region: target.region.clone(),
            endpoint: target.endpoints.get("iam").cloned(),
            root_certificates: target.root_certificates.clone(),
            keys: match base {
                AwsBase::Environment => None,
                AwsBase::Keys { access_key_id, secret } => Some((access_key_id.clone(), secret.clone())),
            },
            principal: Some(context.principal.id.to_string()),
        };
        let mark = match tags {
            true => Mark::Tag(context.id.to_string()),
            false => Mark::Name(name.to_owned()),
        };
        let unwritable = |why: String| LeaseError::Journal(why);
        let row = DenialRow {
            session: context.id.clone(),
            target: context.target.name.clone(),
            role: target.role.clone(),
            mark: mark.write(),
            until,
            is_over: false,
            place: serde_json::to_string(&place).map_err(|error| unwritable(error.to_string()))?,
        };
        let _room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = self.store.denials().map_err(|error| unwritable(error.to_string()))?;
        let is_first = rows.iter().all(|known| known.session != row.session);
        fits(rows, &row, place.principal.as_deref(), (self.stamp)().at)?;
        self.alive().insert(context.id.clone());
        self.store.begin_denial(&row).map_err(|error| unwritable(error.to_string()))?;
        Ok(is_first)
    }

    /// Gives the room of a session back that got no tokens.
    pub(super) fn never_began(&self, session: &SessionId) {
        self.alive().remove(session);
        if let Err(error) = self.store.drop_denial(session) {
            tracing::error!(%session, %error, "a session that got no tokens keeps its place among those that did");
        }
    }

    /// Denies the tokens of a session that has ended.
    pub(super) async fn end(&self, session: &SessionId) -> Result<(), IamError> {
        if !self.alive().remove(session) {
            return Ok(());
        }
        let row = self.store.end_denial(session).map_err(|error| IamError(error.to_string()))?;
        match row {
            Some(row) => self.sync(&row.role).await,
            None => Ok(()),
        }
    }

    /// Denies what others left, and forgets what has expired; how many sessions' tokens are not denied.
    pub(super) async fn reap(&self) -> usize {
        let rows = match self.store.denials() {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(%error, "which tokens are to be denied cannot be read");
                return 0;
            }
        };
        let mut left = BTreeMap::<String, Vec<DenialRow>>::new();
        let mut roles = BTreeSet::new();
        for row in rows {
            if row.is_over {
                roles.insert(row.role);
            } else if !self.alive().contains(&row.session) {
                if let Err(error) = self.store.end_denial(&row.session) {
                    tracing::error!(session = %row.session, %error, "the end of a session cannot be stored");
                }
                roles.insert(row.role.clone());
                left.entry(row.role.clone()).or_default().push(row);
            }
        }
        let mut stuck = 0;
        for role in roles {
            let denied = self.sync(&role).await;
            if let Err(error) = &denied {
                tracing::error!(role, %error, "tokens could not be denied; it is tried again");
                stuck += 1;
            }
            for row in left.remove(&role).unwrap_or_default() {
                self.enter(&row, denied.as_ref().err());
            }
        }
        stuck
    }

    /// Makes the role's policy what it should be.
    async fn sync(&self, role: &str) -> Result<(), IamError> {
        let mut applied = self.applied.lock().await;
        let now = (self.stamp)().at;
        let rows = self.store.denials().map_err(|error| IamError(error.to_string()))?;
        let rows: Vec<DenialRow> = rows.into_iter().filter(|row| row.role == role && row.is_over).collect();
        let Some(place) = rows.iter().rev().find_map(|row| serde_json::from_str::<Place>(&row.place).ok())
        else {
            return Ok(());
        };
        let alive = rows.iter().filter(|row| row.until > now);
        // those that expire last are the last that may be left out
        let mut marks: Vec<Mark> = alive.rev().filter_map(|row| Mark::read(&row.mark)).collect();
        let wanted = marks.len();
        let mut document = denying(&marks);
        while document.as_ref().is_some_and(|document| document.len() > LONGEST) {
            marks.truncate(marks.len().saturating_sub(1 + marks.len() / 16));
            document = denying(&marks);
        }
        if applied.get(role) != Some(&document) {
            let iam = self.iam(role, &place).await?;
            // INVARIANT: what is not known to be in place is put again
            applied.remove(role);
            let short = role.rsplit('/').next().unwrap_or(role);
            match &document {
                Some(document) => iam.put(short, &self.policy, document, now).await?,
                None => iam.delete(short, &self.policy, now).await?,
            }
            tracing::info!(role, sessions = marks.len(), "the policy that denies ended sessions was written");
            applied.insert(role.to_owned(), document);
        }
        self.store.forget_denials(role, now).map_err(|error| IamError(error.to_string()))?;
        match wanted - marks.len() {
            0 => Ok(()),
            more => Err(IamError(format!(
                "{more} ended sessions do not fit into the role's policy; their tokens last until they expire"
            ))),
        }
    }

    async fn iam(&self, role: &str, place: &Place) -> Result<Iam, IamError> {
        let ground =
            Ground { region: place.region.clone(), root_certificates: place.root_certificates.clone() };
        let base = match &place.keys {
            None => self.bases.surroundings(&ground).await,
            Some((id, secret)) => self.bases.keys(&ground, id, secret).await,
        };
        let base = base.map_err(|error| IamError(error.to_string()))?;
        Iam::new(role, place.endpoint.as_ref(), &ground, base)
    }

    /// Enters the end of tokens that a former process made.
    fn enter(&self, row: &DenialRow, failed: Option<&IamError>) {
        let Stamp { at, policy } = (self.stamp)();
        let note = match failed {
            None => format!(
                "a former process left them; they are denied by the policy `{}` of the role",
                self.policy
            ),
            Some(error) => format!("a former process left them; they are not denied yet: {error}"),
        };
        let (session, login) = (row.session.clone(), row.role.clone());
        let what = What::LeaseRevoked { session, login, clean: failed.is_none(), note };
        if let Err(error) = self.journal.enter(&Event { at, actor: None, policy, what }) {
            tracing::error!(session = %row.session, %error, "the end of a lease could not be entered");
        }
    }

    fn alive(&self) -> std::sync::MutexGuard<'_, BTreeSet<SessionId>> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the role's policy has room for one more session, whichever of them end first.
///
/// INVARIANT: what the broker must take back has its place in the policy before it exists. Leaving the sessions out that end
/// first would let whoever opens enough others give a killed session its tokens back; a denial by the time of issue
/// would stop everybody who lives.
fn fits(
    rows: Vec<DenialRow>,
    new: &DenialRow,
    principal: Option<&str>,
    now: Timestamp,
) -> Result<(), LeaseError> {
    let others: Vec<DenialRow> =
        rows.into_iter().filter(|row| row.role == new.role && row.until > now).collect();
    if others.iter().any(|row| row.session == new.session) {
        return Ok(());
    }
    let is_own = |row: &&DenialRow| {
        let place = serde_json::from_str::<Place>(&row.place).ok();
        place.and_then(|place| place.principal).as_deref() == principal
    };
    let whose = if length(others.iter().filter(is_own).chain([new])) > LONGEST_OF_ONE {
        "of your own sessions with it"
    } else if length(others.iter().chain([new])) > LONGEST {
        "sessions with it"
    } else {
        return Ok(());
    };
    let first = others.iter().filter(|row| row.is_over).map(|row| row.until).min();
    let when =
        first.map_or_else(|| "when some have ended and expired".into(), |until| format!("from {until} on"));
    Err(LeaseError::Issuer(format!(
        "the role's policy, which takes tokens back, has no room for more: too many {whose} are open or have tokens that are \
         still good; try again {when}"
    )))
}

/// How long the policy is that denies all of these.
fn length<'a>(rows: impl Iterator<Item = &'a DenialRow>) -> usize {
    let marks: Vec<Mark> = rows.filter_map(|row| Mark::read(&row.mark)).collect();
    denying(&marks).map_or(0, |document| document.len())
}

/// What the sessions of one principal may take of it, so that nobody shuts the others out alone.
const LONGEST_OF_ONE: usize = LONGEST / 2;
/// All inline policies of a role together have 10,240 characters (IAM quotas); some are left to others.
const LONGEST: usize = 8192;
