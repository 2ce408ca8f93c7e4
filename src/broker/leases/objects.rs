//! The broker's own objects in a target's database: one schema, `hoopctl`.
//!
//! Job: keep in it, for every table with a mask that reads its column or with a row filter, the view that the gateway
//! sends statements to, the key of token masks, and what sessions' logins say for filters to compare with, all owned by
//! a role that nobody can log in as. So a session needs no privilege on the column or table itself. Boundary: what a view says is `sql::protect`'s, which the
//! gateway asks too; both meet at the view's name. Who changes it takes its turn (`Servers::turn`),
//! and tries again when another broker was faster. Failure mode: no view, and the gateway refuses the table.

pub(super) mod claims;
mod collect;
mod key;
mod manage;

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::types::Type;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::domain::filter::BoundFilter;
use crate::domain::mask::MaskRule;
use crate::domain::name::TargetName;
use crate::domain::target::{PostgresTarget, TablePrivilege};
use crate::gateway::authority::LeaseError;
use crate::mask::MaskPlan;
use crate::sql::{BROKER_SCHEMA, Builtins, Catalog, MaskView, Protection, Rows};

use super::fault::Fault;
use super::name::{OWNER, identifier, literal};
use super::powerless;
use super::server::{Session, bounded, reason};

pub(super) use collect::{collect, wanted};
pub(super) use manage::databases;
pub use manage::{DatabaseObject, ObjectList, list, remove};

/// What the broker's views show some people.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    masks: MaskPlan,
    /// Without what anybody's login says.
    filters: Vec<BoundFilter>,
}

/// What the broker's views show those whom these rules bind; `None` where none are needed or allowed.
pub(super) fn plan(
    target: &TargetName,
    postgres: &PostgresTarget,
    binding: &[&MaskRule],
    filters: Vec<BoundFilter>,
) -> Option<Plan> {
    let rules: Vec<MaskRule> = binding.iter().map(|rule| (*rule).clone()).collect();
    let masks = MaskPlan::new(&rules, &BTreeSet::new()).with_objects(target);
    let needed = masks.reads_values() || !filters.is_empty();
    (postgres.objects && needed).then_some(Plan { masks, filters })
}

/// Makes sure of the owner. Before a transaction.
pub(super) async fn prepare(session: &Session) -> Result<(), Fault> {
    match powerless::ensure(session, OWNER).await? {
        None => Ok(()),
        Some(fault) => Err(refused(&fault).into()),
    }
}

/// What there is of our objects, and what there should be.
pub(super) struct Sight {
    there: Vec<Known>,
    views: Vec<MaskView>,
}

/// Looks. Inside of the transaction that [`fit`] goes on with, and before anything is written in it.
pub(super) async fn look(session: &Session, group: &str, plan: Option<&Plan>) -> Result<Sight, Fault> {
    let client = &session.client;
    let mut views = Vec::new();
    if let Some(plan) = plan {
        let catalog = snapshot(client).await?;
        views = Protection::views_alone(&catalog, &plan.masks, &plan.filters)
            .map_err(|error| LeaseError::Upstream(error.to_string()))?;
    }
    Ok(Sight { there: existing(client, group).await?, views })
}

/// Brings our objects, and the group role's privileges on them, up to date with the catalog, so that a session
/// finds all of it or nothing.
///
/// `reachable` are the privileges that the group role should have on each relation, through a view where there is one.
pub(super) async fn fit(
    session: &Session,
    group: &str,
    plan: Option<&Plan>,
    sight: Sight,
    reachable: &BTreeMap<(String, String), BTreeSet<TablePrivilege>>,
) -> Result<(), Fault> {
    let client = &session.client;
    let Sight { there, views: mut wanted } = sight;
    let privileges = |view: &MaskView| {
        let all = reachable.get(&(view.schema.clone(), view.table.clone())).cloned().unwrap_or_default();
        let through = |privilege: &TablePrivilege| view.filters || *privilege == TablePrivilege::Select;
        all.into_iter().filter(through).collect::<BTreeSet<_>>()
    };
    wanted.retain(|view| privileges(view).contains(&TablePrivilege::Select));
    if let Some(plan) = plan {
        // also where no table is within reach: what logins say is written for each session
        if !wanted.is_empty() || !plan.filters.is_empty() {
            ensure_schema(client).await?;
        }
        ensure_key(client, &plan.masks, &wanted).await?;
        if !plan.filters.is_empty() {
            claims::ensure(client).await?;
        }
    }
    let mut granted = BTreeSet::new();
    for view in &wanted {
        let known = there.iter().find(|known| known.name == view.name);
        if !lend(client, view, known).await? {
            continue;
        }
        let privileges = privileges(view);
        lend_changes(client, view, &privileges, known).await?;
        let is_sound = known.is_some_and(|known| known.sound && known.checks == view.filters);
        if !is_sound {
            make(client, view, known.is_some()).await?;
        }
        let wants: BTreeSet<&str> = privileges.into_iter().map(TablePrivilege::keyword).collect();
        let held = known.filter(|_| is_sound).map(|known| known.granted.clone()).unwrap_or_default();
        grant(client, group, &view.name, &wants, &held).await?;
        granted.insert(view.name.as_str());
    }
    // another view than the masks in force make could show more
    for known in
        there.iter().filter(|known| !known.granted.is_empty() && !granted.contains(known.name.as_str()))
    {
        let text = format!("REVOKE ALL ON {} FROM {}", full(&known.name), identifier(group));
        bounded(client.batch_execute(&as_owner(&text))).await?;
    }
    Ok(())
}

/// The database's names, as the gateway reads them. The transaction is ours, so those statements that would
/// open and close one are left out.
async fn snapshot(client: &Client) -> Result<Catalog, Fault> {
    let mut all: Vec<Rows> = Vec::with_capacity(Catalog::QUERIES.len());
    for query in Catalog::QUERIES {
        let mut rows = Rows::new();
        if !query.starts_with("BEGIN") && !query.starts_with("COMMIT") {
            for message in bounded(client.simple_query(query)).await? {
                if let SimpleQueryMessage::Row(row) = message {
                    rows.push((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect());
                }
            }
        }
        all.push(rows);
    }
    // what comes with the server is never masked
    Catalog::from_rows(std::sync::Arc::new(Builtins::default()), &all)
        .map_err(|error| LeaseError::Upstream(error.to_string()).into())
}

/// A view of ours that is there.
struct Known {
    name: String,
    /// Whether it is as we made it.
    sound: bool,
    /// Whether it refuses rows that it would not show.
    checks: bool,
    /// What the group role may do with it.
    granted: BTreeSet<String>,
}

async fn existing(client: &Client, group: &str) -> Result<Vec<Known>, Fault> {
    let rows = bounded(client.query_typed(VIEWS, &[(&group, Type::TEXT), (&OWNER, Type::TEXT)])).await?;
    let known = |row: &tokio_postgres::Row| Known {
        name: row.get(0),
        sound: row.get(1),
        checks: row.get(2),
        granted: row.get::<_, Vec<String>>(3).into_iter().collect(),
    };
    Ok(rows.iter().map(known).collect())
}

async fn ensure_schema(client: &Client) -> Result<(), Fault> {
    let rows = bounded(client.query_typed(SCHEMA, &[(&BROKER_SCHEMA, Type::TEXT)])).await?;
    let owner: Option<String> = rows.first().map(|row| row.get(0));
    match owner.as_deref() {
        Some(OWNER) => Ok(()),
        Some(other) => {
            Err(refused(&format!("schema {BROKER_SCHEMA} belongs to role {other}, and not to {OWNER}"))
                .into())
        }
        None => {
            let text = format!(
                "CREATE SCHEMA {BROKER_SCHEMA} AUTHORIZATION {OWNER};
                 COMMENT ON SCHEMA {BROKER_SCHEMA} IS 'made by hoopctl; remove it with: hoopctl broker objects TARGET --remove'"
            );
            bounded(client.batch_execute(&text)).await.map_err(|fault| match fault {
                Fault::Final(error) => refused(&reason(error)).into(),
                conflict @ Fault::Conflict(_) => conflict,
            })
        }
    }
}

async fn ensure_key(client: &Client, plan: &MaskPlan, wanted: &[MaskView]) -> Result<(), Fault> {
    let needs = wanted.iter().any(|view| view.definition.contains("hoopctl.key"));
    match plan.tokens_of().filter(|_| needs) {
        Some(target) => key::ensure(client, target).await,
        None => Ok(()),
    }
}

/// Gives the views' owner what this one reads. False, with a line in the log, when we may not.
async fn lend(client: &Client, view: &MaskView, known: Option<&Known>) -> Result<bool, Fault> {
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&view.relation, Type::OID), (&view.reads, Type::TEXT_ARRAY), (&OWNER, Type::TEXT)];
    let rows = bounded(client.query_typed(NEEDS, &parameters)).await?;
    let Some(row) = rows.first() else { return Ok(false) };
    let (open, may_open): (bool, bool) = (row.get(0), row.get(1));
    let (missing, withheld, ours): (Vec<String>, Vec<String>, Vec<String>) =
        (row.get(2), row.get(3), row.get(4));
    if !withheld.is_empty() || !(open || may_open) {
        let withheld = if withheld.is_empty() { view.schema.clone() } else { withheld.join(", ") };
        tracing::warn!(
            table = format!("{}.{}", view.schema, view.table),
            withheld,
            "the administrator may not hand on what the masks of this table read, so it cannot be read through the gateway"
        );
        return Ok(false);
    }
    let mut statements = Vec::new();
    if !open {
        statements.push(format!("GRANT USAGE ON SCHEMA {} TO {OWNER}", identifier(&view.schema)));
    }
    // for a view that is not there yet also what the owner has: so whoever is about to take that back, since no
    // view that can be seen needs it, and we cannot both succeed
    let needs = if known.is_some() { &missing } else { &ours };
    if !needs.is_empty() {
        let columns = needs.iter().map(|column| identifier(column)).collect::<Vec<_>>().join(", ");
        let table = format!("{}.{}", identifier(&view.schema), identifier(&view.table));
        statements.push(format!("GRANT SELECT ({columns}) ON {table} TO {OWNER}"));
    }
    if !statements.is_empty() {
        bounded(client.batch_execute(&statements.join(";"))).await?;
    }
    Ok(true)
}

/// Gives the views' owner what this one needs to change rows, as far as we may. What it lacks, the server refuses.
async fn lend_changes(
    client: &Client,
    view: &MaskView,
    privileges: &BTreeSet<TablePrivilege>,
    known: Option<&Known>,
) -> Result<(), Fault> {
    let changes = privileges.iter().filter(|privilege| **privilege != TablePrivilege::Select);
    let words: Vec<&str> = changes.map(|privilege| privilege.keyword()).collect();
    if words.is_empty() {
        return Ok(());
    }
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 4] = [
        (&view.relation, Type::OID),
        (&words, Type::TEXT_ARRAY),
        (&OWNER, Type::TEXT),
        (&known.is_none(), Type::BOOL),
    ];
    let rows = bounded(client.query_typed(CHANGES, &parameters)).await?;
    let lent: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    if lent.is_empty() {
        return Ok(());
    }
    let table = format!("{}.{}", identifier(&view.schema), identifier(&view.table));
    bounded(client.batch_execute(&format!("GRANT {} ON {table} TO {OWNER}", lent.join(", ")))).await
}

/// Makes the view, and writes down what the server made of it, so that a change behind our back is seen.
async fn make(client: &Client, view: &MaskView, replaced: bool) -> Result<(), Fault> {
    let name = full(&view.name);
    let drop = if replaced { format!("DROP VIEW {name};") } else { String::new() };
    let options = if view.filters {
        "security_barrier = true, check_option = local"
    } else {
        "security_barrier = true"
    };
    let text = format!("{drop}CREATE VIEW {name} WITH ({options}) AS {}", view.definition);
    bounded(client.batch_execute(&as_owner(&text))).await?;
    let digest = "SELECT pg_catalog.md5(pg_catalog.pg_get_viewdef($1::text::regclass))";
    let row = bounded(client.query_typed(digest, &[(&name, Type::TEXT)])).await?;
    let digest: String = row.first().map(|row| row.get(0)).unwrap_or_default();
    let comment = literal(&format!("{}.{} as hoopctl masks it {digest}", view.schema, view.table));
    bounded(client.batch_execute(&as_owner(&format!("COMMENT ON VIEW {name} IS {comment}")))).await
}

/// Leads from the privileges on a view that the group role holds to those that it should hold.
async fn grant(
    client: &Client,
    group: &str,
    view: &str,
    wants: &BTreeSet<&str>,
    held: &BTreeSet<String>,
) -> Result<(), Fault> {
    let (group, view) = (identifier(group), full(view));
    let missing: Vec<&str> = wants.iter().copied().filter(|word| !held.contains(*word)).collect();
    let surplus: Vec<&str> = held.iter().map(String::as_str).filter(|word| !wants.contains(word)).collect();
    let mut statements = Vec::new();
    if !missing.is_empty() {
        statements.push(format!("GRANT USAGE ON SCHEMA {BROKER_SCHEMA} TO {group}"));
        statements.push(format!("GRANT {} ON {view} TO {group}", missing.join(", ")));
    }
    if !surplus.is_empty() {
        statements.push(format!("REVOKE {} ON {view} FROM {group}", surplus.join(", ")));
    }
    if statements.is_empty() {
        return Ok(());
    }
    bounded(client.batch_execute(&as_owner(&statements.join("; ")))).await
}

/// Statements, run as the owner of our objects.
fn as_owner(statements: &str) -> String {
    format!("SET LOCAL ROLE {OWNER}; {statements}; RESET ROLE")
}

fn full(view: &str) -> String {
    format!("{BROKER_SCHEMA}.{}", identifier(view))
}

fn refused(why: &str) -> LeaseError {
    LeaseError::Upstream(format!(
        "the broker's objects cannot be made: {why}; see docs/postgres-admin.md on `objects`"
    ))
}

const SCHEMA: &str = "
    SELECT pg_get_userbyid(nspowner)::text FROM pg_catalog.pg_namespace WHERE nspname = $1::text";

// as we made it: owner, options, and the text that the server printed then
const VIEWS: &str = "
    SELECT c.relname::text,
           coalesce(pg_get_userbyid(c.relowner) = $2::text
           AND c.reloptions @> ARRAY['security_barrier=true']
           AND c.reloptions <@ ARRAY['security_barrier=true', 'check_option=local']
           AND right(obj_description(c.oid, 'pg_class'), 32) IS NOT DISTINCT FROM md5(pg_get_viewdef(c.oid)), false),
           coalesce(c.reloptions @> ARRAY['check_option=local'], false),
           ARRAY(SELECT x.privilege_type FROM aclexplode(c.relacl) x JOIN pg_catalog.pg_roles g ON g.oid = x.grantee
                 WHERE g.rolname = $1::text)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'hoopctl' AND pg_get_userbyid(n.nspowner) = $2::text AND c.relkind = 'v'";

const NEEDS: &str = "
    SELECT has_schema_privilege($3::text::name, c.relnamespace, 'USAGE'),
           has_schema_privilege(current_user, c.relnamespace, 'USAGE WITH GRANT OPTION'),
           ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
                 WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.attname::text = ANY ($2::text[])
                   AND NOT has_column_privilege($3::text::name, c.oid, a.attnum, 'SELECT')),
           ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
                 WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.attname::text = ANY ($2::text[])
                   AND NOT has_column_privilege($3::text::name, c.oid, a.attnum, 'SELECT')
                   AND NOT has_column_privilege(current_user, c.oid, a.attnum, 'SELECT WITH GRANT OPTION')),
           ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
                 WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.attname::text = ANY ($2::text[])
                   AND has_column_privilege(current_user, c.oid, a.attnum, 'SELECT WITH GRANT OPTION'))
    FROM pg_catalog.pg_class c WHERE c.oid = $1";

// for a view that is not there yet also what the owner has, as `lend` does
const CHANGES: &str = "
    SELECT p FROM unnest($2::text[]) p
    WHERE ($4::bool OR NOT has_table_privilege($3::text::name, $1::oid, p))
      AND has_table_privilege(current_user, $1::oid, p || ' WITH GRANT OPTION')";
