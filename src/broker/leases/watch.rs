//! What changes in a database while sessions are open.
//!
//! Job: look every few seconds whether relations, views or privileges changed, fit the group roles to that, and
//! look again at each role whether it could read what is protected. So a view that an operator replaces by one
//! that shows a masked column is out of reach for sessions that are open, too. Boundary: one cheap question while
//! nothing changes. Failure mode: a role that could read something is taken back, which ends its session.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use crate::domain::mask::MaskRule;
use crate::domain::name::TargetName;
use crate::domain::target::{LeaseIssuer, TargetKind};
use crate::gateway::authority::LeaseError;

use super::catalog::Bound;
use super::group::Fitting;
use super::mint::Refit;
use super::{Entry, Leases, Owned, name, objects};

impl Leases {
    /// Fits the roles of open sessions to what their databases are now, and takes back those that could read what
    /// is protected. To be called every few seconds; does nothing while no session with masks is open.
    pub async fn watch(&self) {
        let mut groups: BTreeMap<(TargetName, String), Vec<Arc<Owned>>> = BTreeMap::new();
        for order in self.open() {
            let TargetKind::Postgres(postgres) = &order.target.kind;
            let binding = order.binding();
            if binding.is_empty() || !matches!(postgres.issuer, LeaseIssuer::PostgresRole(_)) {
                continue;
            }
            let group = name::group_role(&order.target.name, postgres, &binding);
            groups.entry((order.target.name.clone(), group)).or_default().push(order);
        }
        for ((target, group), orders) in groups {
            match self.look(&group, &orders).await {
                Ok(leaks) => {
                    for (order, column) in leaks {
                        tracing::error!(
                            name = %target, session = %order.session, column,
                            "a change in the database lets a session's role read a protected column; it is taken back"
                        );
                        if let Err(error) = self.revoke(&order.session).await {
                            tracing::error!(session = %order.session, %error, "it was not taken back; the reaper goes on");
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(name = %target, %error, "changes of its database could not be looked at");
                }
            }
        }
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
    async fn look(
        &self,
        group: &str,
        orders: &[Arc<Owned>],
    ) -> Result<Vec<(Arc<Owned>, String)>, LeaseError> {
        let Some(first) = orders.first() else { return Ok(Vec::new()) };
        let TargetKind::Postgres(postgres) = &first.target.kind;
        let LeaseIssuer::PostgresRole(issuer) = &postgres.issuer else { return Ok(Vec::new()) };
        let binding = first.binding();
        let bound = Bound::new(&binding, postgres);
        let views = objects::plan(&first.target.name, postgres, &binding);
        let mut leaks = Vec::new();
        for database in objects::databases(postgres) {
            let mut admin = self.0.servers.admin(postgres, issuer, database).await?;
            let session = admin.session()?;
            let fitting = Fitting { postgres, database, group, bound: &bound, views: views.as_ref() };
            if self.0.fits.fit(session, &fitting, Refit::IfChanged).await? {
                for order in orders {
                    if let Some(column) = bound.leak(&session.client, &order.login).await? {
                        leaks.push((Arc::clone(order), column));
                    }
                }
            }
            admin.done();
        }
        Ok(leaks)
    }
}

impl Owned {
    /// The masks that bind the session.
    pub(super) fn binding(&self) -> Vec<&MaskRule> {
        let TargetKind::Postgres(postgres) = &self.target.kind;
        postgres.masks.iter().filter(|rule| rule.binds(&self.principal.groups)).collect()
    }
}
