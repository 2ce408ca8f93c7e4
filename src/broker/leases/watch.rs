//! What changes in a database while sessions are open.
//!
//! Job: look every few seconds at each role whether it could read what is protected, and fit the group roles to
//! what changed of relations, views or privileges. So a view that an operator replaces by one that shows a masked
//! column is out of reach for sessions that are open, too. Boundary: two questions for each group role while
//! nothing changes. Failure mode: a role that could read something is taken back, which ends its session.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use futures_util::future::join_all;

use crate::domain::filter::{self, BoundFilter, Claim, UnboundClaim};
use crate::domain::mask::MaskRule;
use crate::domain::name::TargetName;
use crate::domain::target::LeaseIssuer;
use crate::gateway::authority::LeaseError;

use super::catalog::Bound;
use super::group::Fitting;
use super::mint::Refit;
use super::server::Session;
use super::{Entry, Leases, Owned, name, objects};

impl Leases {
    /// Fits the roles of open sessions to what their databases are now, and takes back those that could read what
    /// is protected. To be called every few seconds; does nothing while no session with masks or filters is open.
    pub async fn watch(&self) {
        let mut groups: BTreeMap<(TargetName, String), Vec<Arc<Owned>>> = BTreeMap::new();
        for order in self.open() {
            let postgres = &order.postgres;
            let binding = order.binding();
            let is_free = binding.is_empty() && !(postgres.objects && order.is_filtered());
            if is_free || !matches!(postgres.issuer, LeaseIssuer::PostgresRole(_)) {
                continue;
            }
            let group = name::group_role(&order.target.name, postgres, &binding, &order.filters());
            groups.entry((order.target.name.clone(), group)).or_default().push(order);
        }
        // side by side, so that a server that does not answer delays nobody else
        let rounds = groups.iter().map(async |((target, group), orders)| {
            for (order, column) in self.look(group, orders).await {
                tracing::error!(
                    name = %target, session = %order.session, column,
                    "a change in the database lets a session's role read what is protected; it is taken back"
                );
                if let Err(error) = self.revoke(&order.session).await {
                    tracing::error!(session = %order.session, %error, "it was not taken back; the reaper goes on");
                }
            }
        });
        join_all(rounds).await;
    }

    /// The sessions whose leases were minted.
    fn open(&self) -> Vec<Arc<Owned>> {
        let sessions = self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let minted = sessions.values().filter_map(|entry| match entry {
            Entry::Leased { answer, order, .. } if matches!(answer.peek(), Some(Ok(_))) => {
                Some(Arc::clone(order))
            }
            Entry::Leased { .. } | Entry::Ended(_) => None,
        });
        minted.collect()
    }

    /// Those of the sessions of one group role that could read a protected column, with the column.
    async fn look(&self, group: &str, orders: &[Arc<Owned>]) -> Vec<(Arc<Owned>, String)> {
        let Some(first) = orders.first() else { return Vec::new() };
        let mut leaks = Vec::new();
        for database in objects::databases(&first.postgres) {
            match self.look_into(group, orders, database).await {
                Ok(found) => leaks.extend(found),
                // the other databases are looked at all the same
                Err(error) => {
                    tracing::warn!(name = %first.target.name, database, %error, "changes of its database could not be looked at");
                }
            }
        }
        leaks
    }

    /// The same, in one database.
    async fn look_into(
        &self,
        group: &str,
        orders: &[Arc<Owned>],
        database: &str,
    ) -> Result<Vec<(Arc<Owned>, String)>, LeaseError> {
        let Some(first) = orders.first() else { return Ok(Vec::new()) };
        let postgres = &first.postgres;
        let LeaseIssuer::PostgresRole(issuer) = &postgres.issuer else { return Ok(Vec::new()) };
        let binding = first.binding();
        let filters = first.filters();
        let bound = Bound::new(&binding, &filters, postgres);
        let views = objects::plan(&first.target.name, postgres, &binding, filters);
        let fitting = Fitting { postgres, database, group, bound: &bound, views: views.as_ref() };
        let mut admin = self.0.servers.admin(postgres, issuer, database).await?;
        // INVARIANT: in every round, whoever fitted the group role to a change, and before a fitting that may fail
        let before = leaking(&bound, admin.session()?, orders).await?;
        let fitted = self.0.fits.fit(&self.0.servers, admin.session()?, &fitting, Refit::IfChanged).await;
        if fitted.is_ok() && before.is_empty() {
            admin.done();
            return Ok(before);
        }
        if let Err(error) = fitted {
            tracing::warn!(name = %first.target.name, database, %error, "the group role could not be fitted to a change");
            // that connection may be in the middle of anything
            return Ok(before);
        }
        // the fitting may have closed the gap
        match leaking(&bound, admin.session()?, orders).await {
            Ok(after) => {
                admin.done();
                Ok(after)
            }
            Err(error) => {
                tracing::warn!(name = %first.target.name, database, %error, "the second look failed");
                Ok(before)
            }
        }
    }
}

/// Those whose roles could read something protected, with its name.
async fn leaking(
    bound: &Bound,
    session: &Session,
    orders: &[Arc<Owned>],
) -> Result<Vec<(Arc<Owned>, String)>, LeaseError> {
    let logins: Vec<&str> = orders.iter().map(|order| order.login.as_str()).collect();
    let mut leaks = Vec::new();
    for (login, what) in bound.leaks(&session.client, &logins).await? {
        // a role that is gone reads nothing
        let Some(what) = what else { continue };
        let its = orders.iter().filter(|order| order.login == login);
        leaks.extend(its.map(|order| (Arc::clone(order), what.clone())));
    }
    Ok(leaks)
}

impl Owned {
    /// Whether the session is shown some of the rows only.
    pub(super) fn is_filtered(&self) -> bool {
        self.postgres.filters.iter().any(|rule| rule.binds(&self.principal.groups))
    }

    /// The filters that bind the session, without what its login says.
    pub(super) fn filters(&self) -> Vec<BoundFilter> {
        let groups = &self.principal.groups;
        filter::shapes(&self.postgres.filters, |others| !others.is_disjoint(groups))
    }

    /// What its login says, as far as filters ask, for views of ours to look up.
    pub(super) fn claims(&self) -> Result<BTreeMap<String, Claim>, UnboundClaim> {
        if !self.postgres.objects {
            return Ok(BTreeMap::new());
        }
        let bound = filter::bound(&self.postgres.filters, &self.principal)?;
        Ok(bound.into_iter().flat_map(|filter| filter.claims).collect())
    }

    /// The masks that bind the session.
    pub(super) fn binding(&self) -> Vec<&MaskRule> {
        self.postgres.masks.iter().filter(|rule| rule.binds(&self.principal.groups)).collect()
    }
}
