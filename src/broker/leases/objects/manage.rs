//! What the broker has in a target's databases: seeing it, and removing it.
//!
//! Boundary: for the operator, on the broker's host; sessions come nowhere near. Failure mode: what other
//! things hang on is left, and the error says so.

use serde::Serialize;
use tokio_postgres::types::Type;

use crate::broker::leases::fault::Attempts;
use crate::broker::leases::name::group_slug;
use crate::broker::leases::server::{Rights, Servers, Session, bounded, reason};
use crate::broker::secrets::Secrets;
use crate::domain::target::{LeaseIssuer, PostgresTarget, RoleIssuer, Target};
use crate::gateway::authority::LeaseError;

use super::OWNER;

/// What the broker has at a target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ObjectList {
    /// One for each thing, those that hold others first.
    pub objects: Vec<DatabaseObject>,
}

/// One thing of the broker's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatabaseObject {
    /// The database; roles belong to all databases of a server.
    pub database: Option<String>,
    /// `role`, `schema`, `table` or `view`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub about: String,
}

/// Everything that the broker has at this target, roles of sessions apart.
///
/// # Errors
/// When the target's issuer makes no roles, or its database cannot be asked.
pub async fn list(target: &Target, secrets: Secrets) -> Result<ObjectList, LeaseError> {
    let (postgres, issuer) = parts(target)?;
    let servers = Servers::new(secrets);
    let mut list = ObjectList::default();
    let mut add = |database: Option<&str>, row: &tokio_postgres::Row| {
        let database = database.map(str::to_owned);
        list.objects.push(DatabaseObject { database, kind: row.get(0), name: row.get(1), about: row.get(2) });
    };
    for (place, database) in databases(postgres).enumerate() {
        let mut admin = servers.admin(postgres, issuer, database).await?;
        let session = admin.session()?;
        if place == 0 {
            let pattern = format!("^hoopg_{}_[0-9a-f]{{12}}$", group_slug(&target.name));
            let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
                [(&OWNER, Type::TEXT), (&pattern, Type::TEXT)];
            for row in bounded(session.client.query_typed(ROLES, &parameters)).await? {
                add(None, &row);
            }
        }
        for row in bounded(session.client.query_typed(OBJECTS, &[(&OWNER, Type::TEXT)])).await? {
            add(Some(database), &row);
        }
        admin.done();
    }
    Ok(list)
}

/// Removes the broker's schema, with its views and keys, from all databases of this target, and its owner where
/// no other database needs it. Says what stays.
///
/// # Errors
/// When something else hangs on it or uses it, or the database cannot be reached.
pub async fn remove(target: &Target, secrets: Secrets) -> Result<Option<String>, LeaseError> {
    let (postgres, issuer) = parts(target)?;
    let servers = Servers::new(secrets);
    for database in databases(postgres) {
        let mut admin = servers.admin(postgres, issuer, database).await?;
        let session = admin.session()?;
        if there(session).await? {
            // no CASCADE: what somebody built on our views is theirs; a broker that is at work is waited for
            let mut attempts = Attempts::default();
            while let Err(fault) =
                bounded(session.client.batch_execute(&format!("DROP OWNED BY {OWNER}"))).await
            {
                attempts.again(&session.client, fault).await?;
            }
        }
        admin.done();
    }
    let mut admin = servers.admin(postgres, issuer, &postgres.database).await?;
    let session = admin.session()?;
    let left = match (there(session).await?, session.rights) {
        (false, _) => None,
        (true, Rights::Doorway | Rights::None) => {
            Some(format!("role {OWNER} stays, since the administrator may not drop it"))
        }
        (true, Rights::Superuser | Rights::CreateRole) => {
            let dropped = bounded(session.client.batch_execute(&format!("DROP ROLE {OWNER}"))).await;
            dropped.err().map(|error| format!("role {OWNER} stays: {}", reason(error)))
        }
    };
    admin.done();
    Ok(left)
}

async fn there(session: &Session) -> Result<bool, LeaseError> {
    let query = "SELECT FROM pg_catalog.pg_roles WHERE rolname = $1::text";
    Ok(!bounded(session.client.query_typed(query, &[(&OWNER, Type::TEXT)])).await?.is_empty())
}

fn parts(target: &Target) -> Result<(&PostgresTarget, &RoleIssuer), LeaseError> {
    let Some(postgres) = target.kind.postgres() else {
        return Err(LeaseError::Upstream(format!("target {} is no database", target.name)));
    };
    match &postgres.issuer {
        LeaseIssuer::PostgresRole(issuer) => Ok((postgres, issuer)),
        LeaseIssuer::Static { .. } => Err(LeaseError::Upstream(format!(
            "target {} has the issuer `static`, so the broker has nothing in its database",
            target.name
        ))),
    }
}

/// The target's databases, the first of them first.
pub(in crate::broker::leases) fn databases(postgres: &PostgresTarget) -> impl Iterator<Item = &String> {
    let others = postgres.also_databases.iter().filter(|name| **name != postgres.database);
    std::iter::once(&postgres.database).chain(others)
}

const ROLES: &str = "
    SELECT 'role', r.rolname::text, CASE r.rolname::text
        WHEN $1::text THEN 'owns the schema hoopctl; may read what its views need; cannot log in'
        WHEN 'hoop_keeper' THEN 'owns what sessions made; cannot log in and has no privileges'
        ELSE 'the privileges of those whom the same masks bind; of '
             || (SELECT count(*) FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles s ON s.oid = m.member
                 WHERE m.roleid = r.oid AND s.rolname ~ '^hoop_.*_[a-z2-7]{8}$') || ' sessions now' END
    FROM pg_catalog.pg_roles r
    WHERE r.rolname IN ($1::text, 'hoop_keeper') OR r.rolname ~ $2::text ORDER BY r.rolname !~ '^hoop_', r.rolname";

const OBJECTS: &str = "
    SELECT x.kind, x.name, x.about FROM (
        SELECT 0 AS place, 'schema' AS kind, n.nspname::text AS name,
               coalesce(obj_description(n.oid, 'pg_namespace'), '') AS about
        FROM pg_catalog.pg_namespace n WHERE pg_get_userbyid(n.nspowner) = $1::text
        UNION ALL
        SELECT CASE c.relkind WHEN 'v' THEN 2 ELSE 1 END, CASE c.relkind WHEN 'v' THEN 'view' ELSE 'table' END,
               n.nspname || '.' || c.relname,
               CASE c.relkind WHEN 'v' THEN regexp_replace(coalesce(obj_description(c.oid, 'pg_class'), ''), ' [0-9a-f]{32}$', '')
                   || coalesce(', for ' || (SELECT string_agg(DISTINCT g.rolname::text, ', ') FROM aclexplode(c.relacl) x
                       JOIN pg_catalog.pg_roles g ON g.oid = x.grantee WHERE x.grantee <> c.relowner), ', for nobody now')
               ELSE coalesce(obj_description(c.oid, 'pg_class'), '') END
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE pg_get_userbyid(c.relowner) = $1::text AND c.relkind IN ('r', 'v')
    ) x ORDER BY x.place, x.name";
