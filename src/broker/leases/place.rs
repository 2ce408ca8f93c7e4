//! Which server a lease's role is on, and by whom it is dropped there.
//!
//! Job: find a way to the role also when its target has left the configuration, has moved, or has
//! another issuer or administrator now. Boundary: says where to go, goes nowhere. Failure mode: no
//! way, which the reaper reports.

use std::collections::BTreeSet;

use crate::broker::store::leases::{IssuerWord, LeaseRow, Place};
use crate::domain::target::{LeaseIssuer, PostgresTarget, RoleIssuer, Target, TargetKind};

/// The ways to a lease's role, the best first. Never empty: `None` is no way, or no need of one.
pub(super) fn ways(row: &LeaseRow, target: Option<&Target>) -> Vec<Option<PostgresTarget>> {
    let mut ways = Vec::new();
    if row.issuer == IssuerWord::PostgresRole {
        let today = target.map(|target| {
            let TargetKind::Postgres(postgres) = &target.kind;
            postgres
        });
        // today's administrator first: the password may be somewhere else by now
        ways.extend(today.filter(|today| leads_there(today, row.place.as_ref())).cloned().map(Some));
        let then = row.place.as_ref().filter(|then| today.and_then(Place::of).as_ref() != Some(*then));
        ways.extend(then.map(Place::way).map(Some));
    }
    if ways.is_empty() {
        ways.push(None);
    }
    ways
}

/// Whether the target, as it is configured now, is the server that the role is on.
fn leads_there(today: &PostgresTarget, then: Option<&Place>) -> bool {
    let same = |then: &Place| (&then.host, then.port) == (&today.host, today.port);
    // a row from before places were kept has nothing else
    then.is_none_or(same) && matches!(today.issuer, LeaseIssuer::PostgresRole(_))
}

impl Place {
    /// The place of the roles that are made for this target, if any are.
    pub(super) fn of(postgres: &PostgresTarget) -> Option<Self> {
        let LeaseIssuer::PostgresRole(issuer) = &postgres.issuer else { return None };
        Some(Self {
            host: postgres.host.clone(),
            port: postgres.port,
            database: postgres.database.clone(),
            tls: postgres.tls.clone(),
            admin: issuer.admin.clone(),
            admin_password: issuer.admin_password.clone(),
        })
    }

    /// As much of a target as taking a role back needs.
    fn way(&self) -> PostgresTarget {
        PostgresTarget {
            host: self.host.clone(),
            port: self.port,
            database: self.database.clone(),
            also_databases: BTreeSet::new(),
            tls: self.tls.clone(),
            issuer: LeaseIssuer::PostgresRole(Box::new(RoleIssuer {
                admin: self.admin.clone(),
                admin_password: self.admin_password.clone(),
                rotate_admin: None,
            })),
            grants: Vec::new(),
            masks: Vec::new(),
            objects: false,
            replication: false,
            trusted_functions: BTreeSet::new(),
            max_connections: 0,
        }
    }
}
