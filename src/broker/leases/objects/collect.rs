//! Group roles and views that the configuration in force has no use for.
//!
//! Job: find them, and drop those that no session needs. Boundary: only what is ours by name and by place; a
//! role with privileges elsewhere is somebody else's. Failure mode: what cannot be dropped stays, has no members
//! or no readers, and is tried again.

use std::collections::BTreeSet;

use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use crate::broker::leases::name::{group_role, identifier, is_group_role, literal};
use crate::broker::leases::server::{Rights, Servers, Session, bounded, reason};
use crate::domain::mask::MaskRule;
use crate::domain::name::{GroupName, TargetName};
use crate::domain::target::{PostgresTarget, RoleIssuer};
use crate::gateway::authority::LeaseError;

use super::manage::databases;
use super::{LOCK, OWNER, as_owner, full};

/// The names of the group roles that people may get under this configuration: one for each combination of
/// lifted masks. `None` when there are too many to tell.
pub(in crate::broker::leases) fn wanted(
    target: &TargetName,
    postgres: &PostgresTarget,
) -> Option<BTreeSet<String>> {
    let lifts: BTreeSet<&BTreeSet<GroupName>> =
        postgres.masks.iter().map(|rule| &rule.lifted_for).filter(|lift| !lift.is_empty()).collect();
    if lifts.len() > MOST_LIFTS {
        return None;
    }
    let names = (0_u32..1 << lifts.len()).map(|chosen| {
        let lifted: BTreeSet<_> = lifts
            .iter()
            .enumerate()
            .filter(|(bit, _)| chosen >> bit & 1 == 1)
            .map(|(_, lift)| *lift)
            .collect();
        let binding: Vec<&MaskRule> =
            postgres.masks.iter().filter(|rule| !lifted.contains(&rule.lifted_for)).collect();
        group_role(target, postgres, &binding)
    });
    Some(names.collect())
}

/// Drops the group roles of this target that nobody gets any more and no session is in, then the views that no
/// group role reads. Returns what was dropped.
pub(in crate::broker::leases) async fn collect(
    servers: &Servers,
    target: &TargetName,
    postgres: &PostgresTarget,
    issuer: &RoleIssuer,
) -> Result<Vec<String>, LeaseError> {
    let Some(wanted) = wanted(target, postgres) else { return Ok(Vec::new()) };
    let names: Vec<&str> = databases(postgres).map(String::as_str).collect();
    let mut admin = servers.admin(postgres, issuer, &postgres.database).await?;
    let session = admin.session()?;
    let rows = bounded(session.client.query_typed(IDLE, &[(&names, Type::TEXT_ARRAY)])).await?;
    let idle = rows.iter().map(|row| row.get(0));
    let idle: Vec<String> =
        idle.filter(|name: &String| is_group_role(name, target) && !wanted.contains(name)).collect();
    let mut dropped = Vec::new();
    for database in &names {
        let mut other = None;
        let session = if *database == postgres.database {
            &mut *session
        } else {
            other.insert(servers.admin(postgres, issuer, database).await?).session()?
        };
        for group in &idle {
            strip(&session.client, group).await?;
        }
        dropped.extend(drop_views(session).await?);
        if let Some(other) = other {
            other.done();
        }
    }
    for group in idle {
        match drop_group(session, &group).await {
            Ok(true) => dropped.push(group),
            Ok(false) => {}
            Err(error) => tracing::warn!(group, error = reason(error), "an unused group role stays"),
        }
    }
    admin.done();
    Ok(dropped)
}

/// Takes back everything that we gave it in this database.
async fn strip(client: &Client, group: &str) -> Result<(), LeaseError> {
    let rows = bounded(client.query_typed(GIVEN, &[(&group, Type::TEXT)])).await?;
    for row in &rows {
        let text: String = row.get(0);
        bounded(client.batch_execute(&text)).await?;
    }
    Ok(())
}

async fn drop_group(session: &Session, group: &str) -> Result<bool, LeaseError> {
    let text = match session.rights {
        Rights::Superuser | Rights::CreateRole => format!("DROP ROLE {}", identifier(group)),
        Rights::Doorway if has_door(&session.client).await? => {
            format!("SELECT hoopctl_admin.drop_group_role({})", literal(group))
        }
        Rights::Doorway | Rights::None => return Ok(false),
    };
    bounded(session.client.batch_execute(&text)).await.map(|()| true)
}

/// Doorways that were set up for an older version have no such function.
async fn has_door(client: &Client) -> Result<bool, LeaseError> {
    let query = "SELECT to_regprocedure('hoopctl_admin.drop_group_role(text)') IS NOT NULL";
    Ok(bounded(client.query_typed(query, &[])).await?.first().is_some_and(|row| row.get(0)))
}

/// Drops the views that no role but their owner may read, and what the owner needed for them.
async fn drop_views(session: &Session) -> Result<Vec<String>, LeaseError> {
    let client = &session.client;
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&OWNER, Type::TEXT)];
    let mut dropped = Vec::new();
    for row in bounded(client.query_typed(UNREAD, &parameters)).await? {
        let view = full(row.get(0));
        // whoever is still reading from it is not disturbed, and nobody has to wait behind us
        let text = format!(
            "BEGIN; SELECT pg_catalog.pg_advisory_xact_lock({LOCK}); SET LOCAL lock_timeout = '200ms'; {}; COMMIT",
            as_owner(&format!("DROP VIEW {view}"))
        );
        match bounded(client.batch_execute(&text)).await {
            Ok(()) => dropped.push(view),
            Err(error) => {
                bounded(client.batch_execute("ROLLBACK")).await?;
                tracing::info!(view, error = reason(error), "a view that nobody needs stays for now");
            }
        }
    }
    for row in bounded(client.query_typed(SURPLUS, &parameters)).await? {
        let text: String = row.get(0);
        bounded(client.batch_execute(&text)).await?;
    }
    Ok(dropped)
}

/// More combinations of lifted masks than two to the power of this are not counted out.
const MOST_LIFTS: usize = 10;

// without a session in it, and without privileges in databases that are none of ours
const IDLE: &str = "
    SELECT g.rolname::text FROM pg_catalog.pg_roles g
    WHERE g.rolname LIKE 'hoopg\\_%' AND NOT g.rolcanlogin
      AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles r ON r.oid = m.member
        WHERE m.roleid = g.oid AND r.rolname ~ '^hoop_.*_[a-z2-7]{8}$')
      AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_shdepend s JOIN pg_catalog.pg_database d
          ON d.oid = CASE WHEN s.classid = 'pg_catalog.pg_database'::regclass THEN s.objid ELSE s.dbid END
        WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass AND s.refobjid = g.oid
          AND d.datname::text <> ALL ($1::text[]))";

// privilege by privilege: REVOKE ALL needs a privilege on every column of every relation
const GIVEN: &str = "
    WITH role AS (SELECT oid, rolname FROM pg_catalog.pg_roles WHERE rolname = $1::text)
    SELECT format('REVOKE %s (%s) ON TABLE %s FROM %I',
                  x.privilege_type, string_agg(quote_ident(a.attname), ', '), a.attrelid::regclass, role.rolname)
    FROM role, pg_catalog.pg_attribute a CROSS JOIN LATERAL aclexplode(a.attacl) x
    WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND x.grantee = role.oid
    GROUP BY x.privilege_type, a.attrelid, role.rolname
    UNION ALL
    SELECT format('REVOKE %s ON %s %s FROM %I', string_agg(DISTINCT x.privilege_type, ', '),
                  CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass, role.rolname)
    FROM role, pg_catalog.pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) x WHERE x.grantee = role.oid
    GROUP BY c.relkind, c.oid, role.rolname
    UNION ALL
    SELECT DISTINCT format('REVOKE ALL ON SCHEMA %I FROM %I', n.nspname, role.rolname)
    FROM role, pg_catalog.pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) x WHERE x.grantee = role.oid
    UNION ALL
    SELECT DISTINCT format('REVOKE ALL ON DATABASE %I FROM %I', d.datname, role.rolname)
    FROM role, pg_catalog.pg_database d CROSS JOIN LATERAL aclexplode(d.datacl) x
    WHERE x.grantee = role.oid AND d.datname = current_database()";

const UNREAD: &str = "
    SELECT c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'hoopctl' AND pg_get_userbyid(n.nspowner) = $1::text AND c.relkind = 'v'
      AND NOT EXISTS (SELECT FROM aclexplode(c.relacl) x WHERE x.grantee <> c.relowner)";

// what the owner may read of tables that no view of its stands for any more
const SURPLUS: &str = "
    SELECT format('REVOKE SELECT (%s) ON TABLE %s FROM %I',
                  string_agg(quote_ident(a.attname), ', '), a.attrelid::regclass, r.rolname)
    FROM pg_catalog.pg_roles r, pg_catalog.pg_attribute a CROSS JOIN LATERAL aclexplode(a.attacl) x
    WHERE r.rolname = $1::text AND a.attacl IS NOT NULL AND NOT a.attisdropped
      AND x.grantee = r.oid AND x.privilege_type = 'SELECT'
      AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid
        JOIN pg_catalog.pg_class v ON v.oid = w.ev_class
        WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
          AND d.refobjid = a.attrelid AND v.relowner = r.oid)
    GROUP BY a.attrelid, r.rolname";
