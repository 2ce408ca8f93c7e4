//! Which server a lease's role is on, and by whom it is dropped there.
//!
//! Job: find a way to the role also when its target has left the configuration, has moved, or has
//! another issuer or administrator now. Boundary: says where to go, goes nowhere. Failure mode: no
//! way, which the reaper reports.

use std::collections::{BTreeMap, BTreeSet};

use crate::broker::store::leases::{IssuerWord, LeaseRow, Place};
use crate::domain::target::{LeaseIssuer, PostgresTarget, RoleIssuer, Target};

/// The ways to a lease's role, the best first. Never empty: `None` is no way, or no need of one.
pub(super) fn ways(row: &LeaseRow, target: Option<&Target>) -> Vec<Option<PostgresTarget>> {
    let mut ways = Vec::new();
    if row.issuer == IssuerWord::PostgresRole {
        let today = target.and_then(|target| target.kind.postgres());
        // today's administrator first: the password may be somewhere else by now
        ways.extend(today.filter(|today| leads_there(today, row.place.as_ref())).cloned().map(Some));
        let then = row.place.clone().map(|then| match today {
            // who can pose as the server must not choose the way that verifies less
            Some(today) if is_at(today, &then) => Place { tls: today.tls.clone(), ..then },
            _ => then,
        });
        let then = then.filter(|then| today.and_then(Place::of).as_ref() != Some(then));
        ways.extend(then.as_ref().map(Place::way).map(Some));
    }
    if ways.is_empty() {
        ways.push(None);
    }
    ways
}

/// Whether the target, as it is configured now, is the server that the role is on.
fn leads_there(today: &PostgresTarget, then: Option<&Place>) -> bool {
    // a row from before places were kept has nothing else
    then.is_none_or(|then| is_at(today, then)) && matches!(today.issuer, LeaseIssuer::PostgresRole(_))
}

/// Whether the target is at the place's address.
fn is_at(today: &PostgresTarget, then: &Place) -> bool {
    (&then.host, then.port) == (&today.host, today.port)
}

impl Place {
    /// The place of the roles that are made for this target, if any are.
    pub(super) fn of(postgres: &PostgresTarget) -> Option<Self> {
        let LeaseIssuer::PostgresRole(issuer) = &postgres.issuer else { return None };
        Some(Self {
            host: postgres.host.clone(),
            port: postgres.port,
            database: postgres.database.clone(),
            also_databases: if postgres.objects && !postgres.filters.is_empty() {
                postgres.also_databases.clone()
            } else {
                BTreeSet::new()
            },
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
            also_databases: self.also_databases.clone(),
            tls: self.tls.clone(),
            issuer: LeaseIssuer::PostgresRole(Box::new(RoleIssuer {
                admin: self.admin.clone(),
                admin_password: self.admin_password.clone(),
                rotate_admin: None,
            })),
            grants: Vec::new(),
            fields: BTreeMap::new(),
            masks: Vec::new(),
            filters: Vec::new(),
            objects: !self.also_databases.is_empty(),
            replication: false,
            detectors: BTreeSet::new(),
            patterns: Vec::new(),
            trusted_functions: BTreeSet::new(),
            max_connections: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::panic, reason = "tests fail by panicking")]

    use super::*;
    use crate::broker::store::leases::LeaseState;
    use crate::broker::testing::target;
    use crate::domain::name::SessionId;
    use crate::domain::target::{SecretSource, TargetKind, UpstreamTls};

    #[test]
    fn a_server_that_must_prove_itself_today_is_never_tried_without() {
        let verified = UpstreamTls::VerifyFull { root_certificates: None };
        let mut today = target();
        let TargetKind::Postgres(postgres) = &mut today.kind else { panic!("a database") };
        postgres.tls = verified.clone();
        let then = Place {
            host: postgres.host.clone(),
            port: postgres.port,
            database: postgres.database.clone(),
            also_databases: BTreeSet::new(),
            tls: UpstreamTls::Disable,
            admin: "someone_else".into(),
            admin_password: SecretSource::Env("OLD".into()),
        };
        let row = |place| LeaseRow {
            target: today.name.clone(),
            login: "h_1".into(),
            session: SessionId::from_random([1; 16]),
            issuer: IssuerWord::PostgresRole,
            place: Some(place),
            state: LeaseState::Live,
            expires: String::new(),
            attempts: 0,
            note: String::new(),
        };
        let tried = |place| -> Vec<UpstreamTls> {
            ways(&row(place), Some(&today)).into_iter().flatten().map(|way| way.tls).collect()
        };
        let here = tried(then.clone());
        assert!(!here.is_empty() && here.iter().all(|tls| *tls == verified), "{here:?}");
        // at another address, nothing newer is known
        let moved = tried(Place { port: then.port ^ 1, ..then });
        assert_eq!(moved.last(), Some(&UpstreamTls::Disable));
    }
}
