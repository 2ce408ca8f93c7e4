//! Making a lease: one ephemeral role, or a standing one that was looked at.
//!
//! Job: CREATE ROLE and the proof that it cannot read what is protected, in one transaction, so that
//! a role which could is never committed. Failure mode: no lease, and the reason.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use postgres_protocol::password::scram_sha_256;
use secrecy::{ExposeSecret as _, SecretString};

use crate::domain::filter::{BoundFilter, Claim};
use crate::domain::mask::MaskRule;
use crate::domain::target::{PostgresTarget, RoleIssuer};
use crate::gateway::authority::LeaseError;

use super::catalog::{Bound, belongs_only_to, fingerprint, towers};
use super::group::{self, Fitting};
use super::name::{identifier, literal};
use super::objects::{Plan, claims};
use super::server::{Rights, Servers, Session, bounded, connect};

/// The catalogs that group roles were last fitted to, by server, database and role.
#[derive(Default)]
pub(super) struct Fits(Mutex<HashMap<String, String>>);

/// What is to be minted.
pub(super) struct Order<'a> {
    pub(super) postgres: &'a PostgresTarget,
    pub(super) issuer: &'a RoleIssuer,
    pub(super) binding: &'a [&'a MaskRule],
    pub(super) role: &'a str,
    pub(super) group: &'a str,
    /// What the broker's views show; `None` where it may have no objects, or needs none.
    pub(super) views: Option<&'a Plan>,
    pub(super) filters: &'a [BoundFilter],
    /// What the login says, for those views.
    pub(super) claims: &'a BTreeMap<String, Claim>,
    pub(super) password: &'a SecretString,
    pub(super) expires: Timestamp,
    /// Becomes true as soon as the role may exist.
    pub(super) made: &'a AtomicBool,
}

impl Order<'_> {
    fn fitting<'a>(&'a self, database: &'a str, bound: &'a Bound) -> Fitting<'a> {
        Fitting { postgres: self.postgres, database, group: self.group, bound, views: self.views }
    }
}

/// Makes the role.
pub(super) async fn role(servers: &Servers, fits: &Fits, order: &Order<'_>) -> Result<(), LeaseError> {
    let Order { postgres, issuer, .. } = order;
    let bound = Bound::new(order.binding, order.filters, postgres);
    // 4096 rounds of HMAC are a millisecond that belongs to nobody else's task
    let password = order.password.clone();
    let verifier = tokio::task::spawn_blocking(move || scram_sha_256(password.expose_secret().as_bytes()));
    let mut admin = servers.admin(postgres, issuer, &postgres.database).await?;
    let session = admin.session()?;
    fits.fit(servers, session, &order.fitting(&postgres.database, &bound), Refit::IfChanged).await?;
    let verifier =
        verifier.await.map_err(|_| LeaseError::Upstream("no verifier could be computed".into()))?;
    let mut leak = attempt(session, order, &bound, &verifier).await?;
    if leak.is_some() {
        // perhaps a column came into being after the group role was fitted
        fits.fit(servers, session, &order.fitting(&postgres.database, &bound), Refit::Always).await?;
        leak = attempt(session, order, &bound, &verifier).await?;
    }
    admin.done();
    if let Some(column) = leak {
        return Err(LeaseError::OverPrivileged(column));
    }
    for database in postgres.also_databases.iter().filter(|name| **name != postgres.database) {
        elsewhere(servers, fits, order, &bound, database).await?;
    }
    Ok(())
}

/// Creates the role and looks for a protected column that it could read; commits when there is none.
async fn attempt(
    session: &Session,
    order: &Order<'_>,
    bound: &Bound,
    verifier: &str,
) -> Result<Option<String>, LeaseError> {
    let client = &session.client;
    bounded(client.batch_execute(&format!("BEGIN;{}", statement(session.rights, order, verifier)))).await?;
    // INVARIANT: a role's claims come with it, and before anybody can be it
    claims::write(client, order.role, order.claims).await?;
    let (leak, alone) = futures_util::future::try_join(
        bound.leak(client, order.role),
        belongs_only_to(client, order.role, order.group),
    )
    .await?;
    if !alone {
        bounded(client.batch_execute("ROLLBACK")).await?;
        return Err(LeaseError::Upstream(format!(
            "role {} or {} is a member of a role that is not the broker's",
            order.role, order.group
        )));
    }
    if leak.is_none() {
        order.made.store(true, Ordering::Relaxed);
    }
    bounded(client.batch_execute(if leak.is_some() { "ROLLBACK" } else { "COMMIT" })).await?;
    Ok(leak)
}

fn statement(rights: Rights, order: &Order<'_>, verifier: &str) -> String {
    let until = until(order.expires);
    // each may have another beside it, on which the planner is asked; and a backend outlives its connection
    // for a moment, so the server's limit is a little above ours
    let limit = 2 * u32::from(order.postgres.max_connections) + SLACK;
    let verifier = literal(verifier);
    match rights {
        Rights::Doorway => format!(
            "SELECT hoopctl_admin.create_session_role({}, {verifier}, {until}, {limit}, {})",
            literal(order.role),
            literal(order.group)
        ),
        Rights::Superuser | Rights::CreateRole | Rights::None => format!(
            "CREATE ROLE {} LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
             CONNECTION LIMIT {limit} VALID UNTIL {until} PASSWORD {verifier} IN ROLE {}",
            identifier(order.role),
            identifier(order.group)
        ),
    }
}

/// Lets a role open connections until then.
pub(super) async fn extend(
    servers: &Servers,
    postgres: &PostgresTarget,
    issuer: &RoleIssuer,
    role: &str,
    expires: Timestamp,
) -> Result<(), LeaseError> {
    let mut admin = servers.admin(postgres, issuer, &postgres.database).await?;
    let session = admin.session()?;
    let until = until(expires);
    let statement = match session.rights {
        Rights::Doorway => format!("SELECT hoopctl_admin.extend_role({}, {until})", literal(role)),
        Rights::Superuser | Rights::CreateRole | Rights::None => {
            format!("ALTER ROLE {} VALID UNTIL {until}", identifier(role))
        }
    };
    bounded(session.client.batch_execute(&statement)).await?;
    admin.done();
    Ok(())
}

fn until(expires: Timestamp) -> String {
    literal(&expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

async fn elsewhere(
    servers: &Servers,
    fits: &Fits,
    order: &Order<'_>,
    bound: &Bound,
    database: &str,
) -> Result<(), LeaseError> {
    let mut admin = servers.admin(order.postgres, order.issuer, database).await?;
    let session = admin.session()?;
    fits.fit(servers, session, &order.fitting(database, bound), Refit::IfChanged).await?;
    bounded(session.client.batch_execute("BEGIN")).await?;
    claims::write(&session.client, order.role, order.claims).await?;
    bounded(session.client.batch_execute("COMMIT")).await?;
    let mut leak = bound.leak(&session.client, order.role).await?;
    if leak.is_some() {
        fits.fit(servers, session, &order.fitting(database, bound), Refit::Always).await?;
        leak = bound.leak(&session.client, order.role).await?;
    }
    admin.done();
    leak.map_or(Ok(()), |column| Err(LeaseError::OverPrivileged(format!("{column} of database {database}"))))
}

/// Looks at a standing role on a target with masks or row filters, by logging in as it: it must not be able to
/// read a protected column, or to get round privileges and rewriting altogether.
pub(super) async fn standing(
    postgres: &PostgresTarget,
    binding: &[&MaskRule],
    is_filtered: bool,
    user: &str,
    password: &SecretString,
) -> Result<(), LeaseError> {
    let bound = Bound::new(binding, &[], postgres);
    if bound.is_empty() && !is_filtered {
        return Ok(());
    }
    for database in std::iter::once(&postgres.database).chain(&postgres.also_databases) {
        let session = connect(postgres, database, user, password).await?;
        if let Some(column) = bound.leak(&session.client, user).await? {
            return Err(LeaseError::OverPrivileged(column));
        }
        if towers(&session.client, user).await? {
            return Err(LeaseError::OverPrivileged(format!(
                "of every table, since role {user} is or could become one with SUPERUSER, CREATEROLE or REPLICATION"
            )));
        }
    }
    Ok(())
}

/// When a group role is fitted to the catalog again.
#[derive(PartialEq, Eq)]
pub(super) enum Refit {
    Always,
    IfChanged,
}

impl Fits {
    /// Fits the group role, and its views, to the catalog; says whether there was anything to do.
    pub(super) async fn fit(
        &self,
        servers: &Servers,
        session: &Session,
        fitting: &Fitting<'_>,
        refit: Refit,
    ) -> Result<bool, LeaseError> {
        let Fitting { postgres, database, group, .. } = fitting;
        let key = format!("{}:{}/{database}/{group}", postgres.host, postgres.port);
        if refit == Refit::IfChanged && self.holds(session, &key, group).await? {
            return Ok(false);
        }
        let _turn = servers.turn(postgres, database).await?;
        // whoever had it before us may have done our work
        if refit == Refit::IfChanged && self.holds(session, &key, group).await? {
            return Ok(false);
        }
        let print = group::refresh(session, fitting).await?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, print);
        Ok(true)
    }

    /// Whether the catalog is still the one that the group role was fitted to.
    async fn holds(&self, session: &Session, key: &str, group: &str) -> Result<bool, LeaseError> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        let Some(known) = known else { return Ok(false) };
        Ok(known == fingerprint(&session.client, group).await?)
    }
}

/// How many connections more than the gateway the server lets in.
const SLACK: u32 = 2;
