//! Group roles and views that the configuration in force has no use for.
//!
//! Job: find them, and drop those that no session needs. Boundary: only what is ours by name and by place; a
//! role with privileges elsewhere is somebody else's. Failure mode: what cannot be dropped stays, has no members
//! or no readers, and is tried again.
//!
//! Another broker may be making what nothing needs here yet: what is dropped or taken back is claimed first, by
//! changing its row in the catalog, and looked at once more. So one of the two fails, and begins anew.

use std::collections::BTreeSet;

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::broker::leases::fault::{Attempts, Fault};
use crate::broker::leases::name::{group_role, identifier, is_group_role, literal};
use crate::broker::leases::server::{Rights, Servers, Session, bounded, reason};
use crate::domain::filter::{self, RowFilter};
use crate::domain::mask::MaskRule;
use crate::domain::name::{GroupName, TargetName};
use crate::domain::target::{PostgresTarget, RoleIssuer};
use crate::gateway::authority::LeaseError;

use super::manage::databases;
use super::{OWNER, claims, full};

/// The names of the group roles that people may get under this configuration: one for each combination of
/// lifted masks and filters, and slices. `None` when there are too many to tell.
pub(in crate::broker::leases) fn wanted(
    target: &TargetName,
    postgres: &PostgresTarget,
) -> Option<BTreeSet<String>> {
    let of_masks = postgres.masks.iter().map(|rule| &rule.lifted_for);
    let filters: &[RowFilter] = if postgres.objects { &postgres.filters } else { &[] };
    let of_filters = filters.iter().flat_map(|filter| [&filter.lifted_for, &filter.only_for]);
    let lifts: BTreeSet<&BTreeSet<GroupName>> =
        of_masks.chain(of_filters).filter(|lift| !lift.is_empty()).collect();
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
        let shapes = filter::shapes(filters, |groups| lifted.contains(groups));
        group_role(target, postgres, &binding, &shapes)
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
        let turn = servers.turn(postgres, database).await?;
        for group in &idle {
            let mut attempts = Attempts::default();
            while let Err(fault) = strip(&session.client, group).await {
                attempts.again(&session.client, fault).await?;
            }
        }
        claims::sweep(&session.client).await?;
        dropped.extend(drop_views(&session.client).await?);
        let mut attempts = Attempts::default();
        while let Err(fault) = take_back(&session.client).await {
            attempts.again(&session.client, fault).await?;
        }
        drop(turn);
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
async fn strip(client: &Client, group: &str) -> Result<(), Fault> {
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
    bounded(session.client.batch_execute(&text)).await?;
    Ok(true)
}

/// Doorways that were set up for an older version have no such function.
async fn has_door(client: &Client) -> Result<bool, LeaseError> {
    let query = "SELECT to_regprocedure('hoopctl_admin.drop_group_role(text)') IS NOT NULL";
    Ok(bounded(client.query_typed(query, &[])).await?.first().is_some_and(|row| row.get(0)))
}

/// Drops the views that no role but their owner may read.
async fn drop_views(client: &Client) -> Result<Vec<String>, LeaseError> {
    let mut dropped = Vec::new();
    for name in unread(client).await? {
        let view = full(&name);
        match drop_view(client, &name).await {
            Ok(true) => dropped.push(view),
            Ok(false) => {}
            Err(fault) => {
                bounded(client.batch_execute("ROLLBACK")).await?;
                tracing::info!(view, error = reason(fault), "a view that nobody needs stays for now");
            }
        }
    }
    Ok(dropped)
}

async fn drop_view(client: &Client, name: &str) -> Result<bool, Fault> {
    let view = full(name);
    // whoever is still reading from it is not disturbed, and nobody has to wait behind us; the option is what it was
    let claim = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '200ms'; SET LOCAL ROLE {OWNER}; ALTER VIEW {view} SET (security_barrier = true)"
    );
    bounded(client.batch_execute(&claim)).await?;
    let unread = unread(client).await?.iter().any(|other| other == name);
    let end = if unread { format!("DROP VIEW {view}; COMMIT") } else { "ROLLBACK".to_owned() };
    bounded(client.batch_execute(&end)).await?;
    Ok(unread)
}

async fn unread(client: &Client) -> Result<Vec<String>, Fault> {
    let rows = bounded(client.query_typed(UNREAD, &[(&OWNER, Type::TEXT)])).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Takes back from the owner what none of its views needs.
async fn take_back(client: &Client) -> Result<(), Fault> {
    bounded(client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED")).await?;
    let lacking = async || bounded(client.query_typed(LACKING, &[(&OWNER, Type::TEXT)])).await;
    let before = lacking().await?.len();
    let rows = bounded(client.query_typed(SURPLUS, &[(&OWNER, Type::TEXT)])).await?;
    for row in &rows {
        let text: String = row.get(0);
        bounded(client.batch_execute(&text)).await?;
    }
    // a view may have been committed just before our first REVOKE
    let end = if lacking().await?.len() > before { "ROLLBACK" } else { "COMMIT" };
    bounded(client.batch_execute(end)).await
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

// the columns, or whole tables as column 0, that the owner's views read
macro_rules! over_needs {
    ($rest:literal) => {
        concat!(
            "WITH me AS (
                SELECT oid, rolname FROM pg_catalog.pg_roles WHERE rolname = $1::text
            ), need AS (
                SELECT DISTINCT d.refobjid AS relation, d.refobjsubid AS attnum
                FROM me JOIN pg_catalog.pg_class v ON v.relowner = me.oid
                JOIN pg_catalog.pg_rewrite w ON w.ev_class = v.oid
                JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
                WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> v.oid
            )",
            $rest
        )
    };
}

// what the owner was given and no view of its needs
const SURPLUS: &str = over_needs!(
    " SELECT format('REVOKE SELECT (%s) ON TABLE %s FROM %I',
                  string_agg(quote_ident(a.attname), ', '), a.attrelid::regclass, me.rolname)
    FROM me, pg_catalog.pg_attribute a CROSS JOIN LATERAL aclexplode(a.attacl) x
    WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND x.grantee = me.oid AND x.privilege_type = 'SELECT'
      AND NOT EXISTS (SELECT FROM need WHERE need.relation = a.attrelid AND need.attnum IN (0, a.attnum))
    GROUP BY a.attrelid, me.rolname
    UNION ALL
    SELECT format('REVOKE %s ON TABLE %s FROM %I', string_agg(DISTINCT x.privilege_type, ', '), c.oid::regclass, me.rolname)
    FROM me, pg_catalog.pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) x
    WHERE x.grantee = me.oid AND c.relowner <> me.oid AND x.privilege_type IN ('INSERT', 'UPDATE', 'DELETE')
      AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_class v JOIN pg_catalog.pg_rewrite w ON w.ev_class = v.oid
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
        WHERE v.relowner = me.oid AND v.reloptions @> ARRAY['check_option=local']
          AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = c.oid)
    GROUP BY c.oid, me.rolname
    UNION ALL
    SELECT DISTINCT format('REVOKE USAGE ON SCHEMA %I FROM %I', n.nspname, me.rolname)
    FROM me, pg_catalog.pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) x
    WHERE x.grantee = me.oid AND x.privilege_type = 'USAGE' AND n.nspowner <> me.oid
      AND NOT EXISTS (SELECT FROM need JOIN pg_catalog.pg_class c ON c.oid = need.relation WHERE c.relnamespace = n.oid)"
);

// what a view of the owner's reads and the owner may not
const LACKING: &str = over_needs!(
    " SELECT FROM me, need JOIN pg_catalog.pg_class c ON c.oid = need.relation
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND need.attnum > 0
      AND NOT has_column_privilege(me.oid, need.relation, need.attnum::int2, 'SELECT')"
);
