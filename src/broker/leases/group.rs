//! The group role: what everybody may do whom the same masks bind on the same target.
//!
//! Job: keep its privileges equal to the target's templates (the ceiling) minus the protected
//! columns, against the catalog as it is, so that opening a session is one CREATE ROLE. Boundary:
//! grants do not subtract; what PUBLIC may do is found after minting, not here. Failure mode: a
//! privilege that we may not hand on is left out and named in the log; after a conflict with somebody
//! else's change all of it is done anew.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use crate::domain::mask::ColumnPattern;
use crate::domain::target::{GrantTemplate, PostgresTarget, TablePrivilege};
use crate::gateway::authority::LeaseError;
use crate::sql::BROKER_SCHEMA;

use super::catalog::{Bound, Relation, fingerprint};
use super::fault::{Attempts, Fault};
use super::name::{identifier, literal};
use super::objects::{self, Plan};
use super::server::{Rights, Session, bounded};

/// Makes the role if there is none.
async fn ensure(session: &Session, group: &str) -> Result<(), Fault> {
    let rows = bounded(
        session
            .client
            .query_typed("SELECT FROM pg_catalog.pg_roles WHERE rolname = $1::text", &[(&group, Type::TEXT)]),
    )
    .await?;
    if !rows.is_empty() {
        return Ok(());
    }
    let statement = if session.rights == Rights::Doorway {
        format!("SELECT hoopctl_admin.create_group_role({})", literal(group))
    } else {
        format!(
            "CREATE ROLE {} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS",
            identifier(group)
        )
    };
    make(session, &statement).await
}

/// Runs a CREATE ROLE; that somebody else was faster is as good.
pub(super) async fn make(session: &Session, statement: &str) -> Result<(), Fault> {
    bounded(async {
        match session.client.batch_execute(statement).await {
            Err(error) if exists_already(&error) => Ok(()),
            made => made,
        }
    })
    .await
}

/// What a group role is fitted to.
pub(super) struct Fitting<'a> {
    pub(super) postgres: &'a PostgresTarget,
    pub(super) database: &'a str,
    pub(super) group: &'a str,
    pub(super) bound: &'a Bound,
    /// What the broker's views show; `None` where it may have no objects, or needs none.
    pub(super) views: Option<&'a Plan>,
}

/// Brings the group role's privileges in this database up to date, with the views that it reads, and
/// returns the fingerprint of the catalog that they fit.
pub(super) async fn refresh(session: &Session, fitting: &Fitting<'_>) -> Result<String, LeaseError> {
    let templates = Templates::new(&fitting.postgres.grants)?;
    let mut attempts = Attempts::default();
    loop {
        match attempt(session, fitting, &templates).await {
            Ok(print) => return Ok(print),
            Err(fault) => attempts.again(&session.client, fault).await?,
        }
    }
}

async fn attempt(
    session: &Session,
    fitting: &Fitting<'_>,
    templates: &Templates<'_>,
) -> Result<String, Fault> {
    let Fitting { database, group, bound, views, .. } = *fitting;
    let client = &session.client;
    ensure(session, group).await?;
    if views.is_some() {
        objects::prepare(session).await?;
    }
    // INVARIANT: all that is looked at is looked at before anything is written. Of a row that somebody else has
    // changed since our snapshot and that we change too, we see both versions.
    // A fingerprint of the same snapshot, so that a change in between is seen at the next session
    bounded(client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ")).await?;
    let mut statements = Vec::new();
    let connect = bounded(client.query_typed(
        "SELECT has_database_privilege($1::text::name, $2::text, 'CONNECT')",
        &[(&group, Type::TEXT), (&database, Type::TEXT)],
    ))
    .await?;
    if !connect.first().is_some_and(|row| row.get(0)) {
        statements.push(format!(
            "GRANT CONNECT ON DATABASE {} TO {}",
            identifier(database),
            identifier(group)
        ));
    }
    let mut missing = Vec::new();
    let mut opened = BTreeSet::new();
    let mut reachable = BTreeMap::new();
    for relation in bound.relations(client, group, &templates.names()).await? {
        let wanted = templates.wanted(&relation);
        if !relation.schema_open && !wanted.is_empty() && opened.insert(relation.schema.clone()) {
            let schema = identifier(&relation.schema);
            statements.push(format!("GRANT USAGE ON SCHEMA {schema} TO {}", identifier(group)));
        }
        // INVARIANT: rows are reached through our views alone, also to change them
        let directly = if relation.filtered { BTreeSet::new() } else { wanted.clone() };
        statements.extend(difference(&relation, &directly, group, &mut missing));
        if wanted.contains(&TablePrivilege::Insert) {
            statements.extend(
                relation
                    .sequences
                    .iter()
                    .map(|name| format!("GRANT USAGE ON SEQUENCE {name} TO {}", identifier(group))),
            );
        }
        reachable.insert((relation.schema, relation.name), wanted);
    }
    let sight = objects::look(session, group, views).await?;
    if !missing.is_empty() {
        let count = missing.len();
        let some = missing.into_iter().take(5).collect::<Vec<_>>().join(", ");
        tracing::warn!(
            database,
            count,
            some,
            "the administrator may not hand on privileges that the target's grants name"
        );
    }
    if !statements.is_empty() {
        bounded(client.batch_execute(&statements.join(";"))).await?;
    }
    objects::fit(session, group, views, sight, &reachable).await?;
    let print = fingerprint(client, group).await?;
    bounded(client.batch_execute("COMMIT")).await?;
    Ok(print)
}

/// The ceiling, with its patterns parsed.
struct Templates<'a>(Vec<(ColumnPattern, &'a GrantTemplate)>);

impl<'a> Templates<'a> {
    fn new(grants: &'a [GrantTemplate]) -> Result<Self, LeaseError> {
        let parse = |template: &'a GrantTemplate| {
            ColumnPattern::new(&format!("{}.*", template.on)).map(|pattern| (pattern, template)).map_err(
                |_| LeaseError::Upstream(format!("the grant on `{}` is not on SCHEMA.TABLE", template.on)),
            )
        };
        grants.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    fn names(&self) -> Vec<(String, String)> {
        let split =
            |text: &str| text.split_once('.').map(|(schema, table)| (schema.to_owned(), table.to_owned()));
        self.0.iter().filter_map(|(_, template)| split(&template.on)).collect()
    }

    fn wanted(&self, relation: &Relation) -> BTreeSet<TablePrivilege> {
        // INVARIANT: a view over a protected table shows its owner's view of it, so it is never granted
        // nor is anything in the broker's schema, where `objects` alone grants
        if relation.derived || relation.schema == BROKER_SCHEMA {
            return BTreeSet::new();
        }
        self.0
            .iter()
            .filter(|(pattern, _)| pattern.matches_table(&relation.schema, &relation.name))
            .flat_map(|(_, template)| template.privileges.iter().copied())
            .collect()
    }
}

/// The statements that lead from what the group role holds on a relation to what it should hold.
fn difference(
    relation: &Relation,
    wanted: &BTreeSet<TablePrivilege>,
    group: &str,
    missing: &mut Vec<String>,
) -> Vec<String> {
    let table = format!("{}.{}", identifier(&relation.schema), identifier(&relation.name));
    let group = identifier(group);
    let mut statements = Vec::new();
    for privilege in ALL {
        let word = privilege.keyword();
        let held = relation.held.contains(word);
        let wants = wanted.contains(&privilege);
        let by_column = privilege == TablePrivilege::Select && !relation.hidden.is_empty();
        // an administrator who cannot read the protected columns either is the better one
        let grantable =
            if by_column { !relation.visible.is_empty() } else { relation.grantable.contains(word) };
        if wants && !held && !grantable {
            missing.push(format!("{word} on {}.{}", relation.schema, relation.name));
            continue;
        }
        if by_column {
            let visible = if wants { relation.visible.clone() } else { BTreeSet::new() };
            if held || visible != relation.held_columns {
                // on a table, REVOKE takes the privilege from its columns too
                statements.push(format!("REVOKE SELECT ON {table} FROM {group}"));
                if !visible.is_empty() {
                    let list = visible.iter().map(|column| identifier(column)).collect::<Vec<_>>().join(", ");
                    statements.push(format!("GRANT SELECT ({list}) ON {table} TO {group}"));
                }
            }
        } else if wants && !held {
            statements.push(format!("GRANT {word} ON {table} TO {group}"));
        } else if !wants && (held || privilege == TablePrivilege::Select && !relation.held_columns.is_empty())
        {
            statements.push(format!("REVOKE {word} ON {table} FROM {group}"));
        }
    }
    statements
}

fn exists_already(error: &tokio_postgres::Error) -> bool {
    // the unique index speaks first when both were under way
    [Some(&SqlState::DUPLICATE_OBJECT), Some(&SqlState::UNIQUE_VIOLATION)].contains(&error.code())
}

/// All privileges that a template can name.
const ALL: [TablePrivilege; 4] =
    [TablePrivilege::Delete, TablePrivilege::Insert, TablePrivilege::Select, TablePrivilege::Update];
