//! What the logins of sessions say, for the views that keep row filters.
//!
//! Job: one row for each claim of each session's role, which comes and goes with the role. Boundary: the views look
//! up the rows of whoever is logged in; nobody but their owner may read or change the table. Failure mode: who has no
//! row is shown no row of a table whose filter compares with that claim.
//!
//! A value is a parameter and then a value of a table: it never is text of a statement or of a view. So a view is the
//! same for all whom the same filters bind, and opening a session makes no object.

use std::collections::BTreeMap;

use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use crate::broker::leases::fault::Fault;
use crate::broker::leases::name::literal;
use crate::broker::leases::server::bounded;
use crate::domain::filter::Claim;
use crate::gateway::authority::LeaseError;

use super::{OWNER, as_owner, refused};

/// Makes the table, where it is not there. Inside of the transaction that makes the views.
pub(super) async fn ensure(client: &Client) -> Result<(), Fault> {
    let rows = bounded(client.query_typed(SHAPE, &[(&OWNER, Type::TEXT)])).await?;
    match rows.first().map(|row| (row.get::<_, bool>(0), row.get::<_, String>(1))) {
        None => bounded(client.batch_execute(&as_owner(CREATE))).await,
        Some((true, shape)) if shape == COLUMNS => Ok(()),
        // another version's: what other brokers read there must not be taken from them
        Some(_) => Err(refused(
            "hoopctl.claims is not as this version makes it; remove it with `hoopctl broker objects TARGET --remove`",
        )
        .into()),
    }
}

/// Writes down what a session's login says. Inside of a transaction.
pub(in crate::broker::leases) async fn write(
    client: &Client,
    role: &str,
    claims: &BTreeMap<String, Claim>,
) -> Result<(), LeaseError> {
    if claims.is_empty() {
        return Ok(());
    }
    bounded(client.batch_execute(&format!("SET LOCAL ROLE {OWNER}"))).await?;
    for (name, claim) in claims {
        let values: Vec<&str> = match claim {
            Claim::One(value) => vec![value],
            Claim::Many(values) => values.iter().map(String::as_str).collect(),
        };
        let row: [(&(dyn ToSql + Sync), Type); 3] =
            [(&role, Type::TEXT), (name, Type::TEXT), (&values, Type::TEXT_ARRAY)];
        bounded(client.query_typed(WRITE, &row)).await?;
    }
    Ok(bounded(client.batch_execute("RESET ROLE")).await?)
}

/// Forgets what a session's login said.
pub(in crate::broker::leases) async fn forget(client: &Client, role: &str) -> Result<(), LeaseError> {
    delete(client, &format!("DELETE FROM hoopctl.claims WHERE role = {}", literal(role))).await
}

/// Forgets what was said of roles that are no more, whoever dropped them.
pub(super) async fn sweep(client: &Client) -> Result<(), LeaseError> {
    delete(client, SWEEP).await
}

/// Deletes rows as the table's owner, where there is such a table of ours.
async fn delete(client: &Client, statement: &str) -> Result<(), LeaseError> {
    let rows = bounded(client.query_typed(SHAPE, &[(&OWNER, Type::TEXT)])).await?;
    if !rows.first().is_some_and(|row| row.get(0)) {
        return Ok(());
    }
    Ok(bounded(client.batch_execute(&format!("BEGIN; {}; COMMIT", as_owner(statement)))).await?)
}

// whether it is ours, and its columns
const SHAPE: &str = "
    SELECT pg_get_userbyid(c.relowner) = $1::text AND pg_get_userbyid(n.nspowner) = $1::text AND c.relkind = 'r',
           (SELECT string_agg(a.attname || ' ' || a.atttypid::regtype, ', ' ORDER BY a.attnum)
            FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'hoopctl' AND c.relname = 'claims'";

const COLUMNS: &str = "role name, claim text, vals text[]";

const CREATE: &str = "
    CREATE TABLE hoopctl.claims (role name, claim text, vals text[] NOT NULL, PRIMARY KEY (role, claim));
    COMMENT ON TABLE hoopctl.claims IS 'what the logins of sessions say, for the views that keep row filters'";

const WRITE: &str = "
    INSERT INTO hoopctl.claims (role, claim, vals) VALUES ($1::text, $2::text, $3::text[])
    ON CONFLICT (role, claim) DO UPDATE SET vals = excluded.vals";

// a role that is being made has its rows in the same transaction
const SWEEP: &str = "
    DELETE FROM hoopctl.claims c WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = c.role)";
