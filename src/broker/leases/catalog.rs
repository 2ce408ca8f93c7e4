//! What the database really holds, as far as leases care: relations, protected columns, privileges.
//!
//! Patterns are matched by the server, so that a question costs one round trip whatever the size of
//! the catalog. A column that is protected in one table of an inheritance tree is protected in all
//! of the tree: reading a parent reads its children with the parent's privileges. So is a column
//! that is computed from it. Which columns stay readable follows what `mask::plan` reads: text under a
//! partial mask, JSON under paths, and nothing else.

use std::collections::BTreeSet;

use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use crate::domain::filter::BoundFilter;
use crate::domain::mask::MaskRule;
use crate::domain::target::PostgresTarget;
use crate::gateway::authority::LeaseError;

use super::fault::Fault;
use super::name::{like, reads};
use super::server::bounded;

/// The patterns of the masks and filters that bind somebody, as arrays that the server matches.
#[derive(Debug, Clone, Default)]
pub(super) struct Bound {
    schemas: Vec<String>,
    tables: Vec<String>,
    columns: Vec<String>,
    reads: Vec<&'static str>,
    filtered_schemas: Vec<String>,
    filtered_tables: Vec<String>,
}

/// A relation that some template covers, or on which the group role holds something.
#[derive(Debug, Clone, Default)]
pub(super) struct Relation {
    pub(super) schema: String,
    pub(super) name: String,
    /// A view whose definition reads a protected table, directly or through other views.
    pub(super) derived: bool,
    /// It, or a table whose rows it holds or that holds its rows, is filtered by views of ours: nothing of it is granted.
    pub(super) filtered: bool,
    /// The columns that the role must not read.
    pub(super) hidden: Vec<String>,
    /// All others on which we may hand SELECT on; empty when none is hidden.
    pub(super) visible: BTreeSet<String>,
    /// Privileges on the whole table that the group role holds.
    pub(super) held: BTreeSet<String>,
    /// Columns that the group role may SELECT by name.
    pub(super) held_columns: BTreeSet<String>,
    /// Privileges that we may hand on.
    pub(super) grantable: BTreeSet<String>,
    /// Whether the group role may look into the schema.
    pub(super) schema_open: bool,
    /// Quoted names of the sequences behind its columns that the group role may not use yet.
    pub(super) sequences: Vec<String>,
}

impl Bound {
    /// The patterns of these masks, and of these filters where views of ours keep them.
    pub(super) fn new(binding: &[&MaskRule], filters: &[BoundFilter], postgres: &PostgresTarget) -> Self {
        let mut bound = Self::default();
        for rule in binding {
            let text = rule.column.to_string();
            let mut parts = text.split('.');
            bound.schemas.push(like(parts.next().unwrap_or_default()));
            bound.tables.push(like(parts.next().unwrap_or_default()));
            bound.columns.push(like(parts.next().unwrap_or_default()));
            bound.reads.push(reads(rule, postgres.objects));
        }
        for filter in filters.iter().filter(|_| postgres.objects) {
            let text = filter.table.to_string();
            let (schema, table) = text.split_once('.').unwrap_or_default();
            bound.filtered_schemas.push(like(schema));
            bound.filtered_tables.push(like(table));
        }
        bound
    }

    /// Whether nothing is protected from these people.
    pub(super) fn is_empty(&self) -> bool {
        self.reads.is_empty() && self.filtered_tables.is_empty()
    }

    /// The first protected column or row filter's table that the role could read, by whatever way: its own privileges,
    /// PUBLIC's, those of any role that it is or could become, ownership, a view with its owner's rights.
    pub(super) async fn leak(&self, client: &Client, role: &str) -> Result<Option<String>, LeaseError> {
        let leaks = self.leaks(client, &[role]).await?;
        match leaks.into_iter().next() {
            None => Ok(None),
            Some((_, Some(column))) => Ok(Some(column)),
            Some((_, None)) => Err(LeaseError::Upstream(format!("there is no role {role}"))),
        }
    }

    /// Those of the roles that could read something protected, each with the first such thing; a role that is not
    /// there is named without one.
    pub(super) async fn leaks(
        &self,
        client: &Client,
        roles: &[&str],
    ) -> Result<Vec<(String, Option<String>)>, LeaseError> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let rows = bounded(client.query_typed(LEAK, &self.parameters(&[(&roles, Type::TEXT_ARRAY)]))).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// The relations that `templates` cover, and those on which `group` holds something.
    pub(super) async fn relations(
        &self,
        client: &Client,
        group: &str,
        templates: &[(String, String)],
    ) -> Result<Vec<Relation>, Fault> {
        let (schemas, tables): (Vec<_>, Vec<_>) =
            templates.iter().map(|(schema, table)| (like(schema), like(table))).unzip();
        let more: [(&(dyn ToSql + Sync), Type); 3] =
            [(&group, Type::TEXT), (&schemas, Type::TEXT_ARRAY), (&tables, Type::TEXT_ARRAY)];
        let rows = bounded(client.query_typed(RELATIONS, &self.parameters(&more))).await?;
        let set = |values: Vec<String>| values.into_iter().collect();
        Ok(rows
            .iter()
            .map(|row| Relation {
                schema: row.get("schema"),
                name: row.get("name"),
                derived: row.get("derived"),
                filtered: row.get("filtered"),
                hidden: row.get("hidden"),
                visible: set(row.get("visible")),
                held: set(row.get("held")),
                held_columns: set(row.get("held_columns")),
                grantable: set(row.get("grantable")),
                schema_open: row.get("schema_open"),
                sequences: row.get("sequences"),
            })
            .collect())
    }

    fn parameters<'a>(
        &'a self,
        more: &[(&'a (dyn ToSql + Sync), Type)],
    ) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
        let mut all: Vec<(&(dyn ToSql + Sync), Type)> = vec![
            (&self.schemas, Type::TEXT_ARRAY),
            (&self.tables, Type::TEXT_ARRAY),
            (&self.columns, Type::TEXT_ARRAY),
            (&self.reads, Type::TEXT_ARRAY),
            (&self.filtered_schemas, Type::TEXT_ARRAY),
            (&self.filtered_tables, Type::TEXT_ARRAY),
        ];
        all.extend(more.iter().cloned());
        all
    }
}

/// A text that changes whenever a relation, column, rule, inheritance or schema does; privileges count too.
pub(super) async fn fingerprint(client: &Client, group: &str) -> Result<String, Fault> {
    let rows = bounded(client.query_typed(FINGERPRINT, &[(&group, Type::TEXT)])).await?;
    Ok(rows.first().map(|row| row.get(0)).unwrap_or_default())
}

/// Whether `role` belongs to `group`, and neither of them to anything else.
pub(super) async fn belongs_only_to(client: &Client, role: &str, group: &str) -> Result<bool, LeaseError> {
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&role, Type::TEXT), (&group, Type::TEXT)];
    let rows = bounded(client.query_typed(MEMBERSHIPS, &parameters)).await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// Whether the role holds an attribute that reaches round privileges: of a standing role on a target
/// with protected columns.
pub(super) async fn towers(client: &Client, role: &str) -> Result<bool, LeaseError> {
    let rows = bounded(client.query_typed(TOWERS, &[(&role, Type::TEXT)])).await?;
    Ok(rows.first().is_none_or(|row| row.get(0)))
}

macro_rules! over_bound_columns {
    ($rest:literal) => {
        concat!(
            "WITH RECURSIVE rule AS (
                SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS r(s, t, k, reads)
            ), relation AS (
                SELECT c.oid, n.oid AS nspoid, n.nspname::text AS schema, c.relname::text AS name,
                       c.relkind, c.relacl, c.relowner, c.reloptions
                FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
                  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
                  -- our own objects have rules of their own
                  AND (n.nspname <> 'hoopctl' OR pg_get_userbyid(n.nspowner) <> 'hoop_objects')
            ), direct AS (
                SELECT r.oid, a.attname,
                       bool_or(rule.reads = 'nothing')
                       OR bool_or(rule.reads = 'text') AND t.base NOT IN ('text', 'varchar', 'bpchar')
                       OR NOT bool_or(rule.reads = 'text') AND t.base NOT IN ('json', 'jsonb') AS hidden
                FROM rule JOIN relation r ON r.schema LIKE rule.s AND r.name LIKE rule.t
                JOIN pg_catalog.pg_attribute a
                  ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname::text LIKE rule.k
                CROSS JOIN LATERAL (
                    SELECT coalesce(
                        (SELECT b.typname FROM pg_catalog.pg_type y
                         JOIN pg_catalog.pg_type b ON b.oid = coalesce(nullif(y.typbasetype, 0), y.oid)
                         WHERE y.oid = a.atttypid AND b.typnamespace = 'pg_catalog'::regnamespace), '') AS base) t
                GROUP BY r.oid, a.attname, t.base
            ), spread(source, destination, read, computed, upward) AS (
                SELECT inhparent, inhrelid, NULL::name, NULL::name, false FROM pg_catalog.pg_inherits
                UNION ALL
                SELECT inhrelid, inhparent, NULL, NULL, true FROM pg_catalog.pg_inherits
                UNION ALL
                SELECT g.attrelid, g.attrelid, a.attname, g.attname, false
                FROM pg_catalog.pg_attribute g
                JOIN pg_catalog.pg_attrdef f ON f.adrelid = g.attrelid AND f.adnum = g.attnum
                JOIN pg_catalog.pg_depend d
                  ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = f.oid
                  OR d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = g.attrelid AND d.objsubid = g.attnum
                JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                WHERE g.attgenerated <> '' AND d.refclassid = 'pg_catalog.pg_class'::regclass
                  AND d.refobjid = g.attrelid AND d.refobjsubid > 0 AND d.refobjsubid <> g.attnum
            ), bound(relid, attname, hidden) AS (
                SELECT oid, attname, hidden FROM direct
                UNION
                SELECT s.destination, coalesce(s.computed, b.attname), b.hidden OR s.computed IS NOT NULL
                FROM bound b JOIN spread s
                  ON s.source = b.relid AND (s.read IS NULL OR s.read = b.attname)
            ), filtered(relid, above) AS (
                -- whoever reads a parent reads its children; what is only above a filtered table has none below
                SELECT r.oid, false
                FROM unnest($5::text[], $6::text[]) f(s, t) JOIN relation r ON r.schema LIKE f.s AND r.name LIKE f.t
                UNION
                SELECT s.destination, f.above OR s.upward
                FROM filtered f JOIN spread s ON s.source = f.relid AND s.read IS NULL AND (s.upward OR NOT f.above)
            )",
            $rest
        )
    };
}

// A view reads with its owner's rights what it names; one with `security_invoker`, with those of whoever asks,
// who is then judged by the tables. Which columns a view reads is what its rule depends on; a whole row leaves no
// trace there, but in the rule's text. A materialized view keeps what its owner may no longer read.
const LEAK: &str = over_bound_columns!(
    ", view AS MATERIALIZED (
        SELECT r.oid, r.relkind, r.relowner, EXISTS (
            SELECT FROM pg_options_to_table(r.reloptions) o
            WHERE CASE WHEN o.option_name = 'security_invoker' THEN o.option_value::boolean ELSE false END) AS invoker
        FROM relation r WHERE r.relkind IN ('v', 'm')
    ), uses AS MATERIALIZED (
        SELECT v.oid AS viewid, v.relowner, v.invoker OR v.relkind = 'm' AS regardless,
               d.refobjid AS relid, d.refobjsubid AS attnum,
               w.ev_action::text LIKE '%:varattno 0 %' AS whole
        FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid
        JOIN view v ON v.oid = w.ev_class
        WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
          AND d.refobjid <> w.ev_class
    ), exposed(viewid) AS (
        SELECT u.viewid
        FROM bound b
        JOIN pg_catalog.pg_attribute a
          ON a.attrelid = b.relid AND a.attname = b.attname AND a.attnum > 0 AND NOT a.attisdropped
        JOIN uses u ON u.relid = b.relid AND (u.whole OR u.attnum IN (0, a.attnum))
        WHERE b.hidden AND (u.regardless OR has_column_privilege(u.relowner, b.relid, a.attnum, 'SELECT'))
        UNION
        SELECT u.viewid FROM filtered f JOIN uses u ON u.relid = f.relid
        WHERE u.regardless OR has_any_column_privilege(u.relowner, f.relid, 'SELECT')
        UNION
        SELECT u.viewid
        FROM exposed e JOIN view s ON s.oid = e.viewid JOIN uses u ON u.relid = e.viewid
        WHERE u.regardless OR s.invoker OR has_any_column_privilege(u.relowner, s.oid, 'SELECT')
    ), reach AS MATERIALIZED (
        SELECT me.rolname::text AS login, g.oid
        FROM pg_catalog.pg_roles me JOIN pg_catalog.pg_roles g ON pg_has_role(me.oid, g.oid, 'MEMBER')
        WHERE me.rolname::text = ANY ($7::text[])
    ), leak(login, what) AS (
        SELECT reach.login, r.schema || '.' || r.name || '.' || a.attname
        FROM bound b JOIN relation r ON r.oid = b.relid
        JOIN pg_catalog.pg_attribute a
          ON a.attrelid = b.relid AND a.attname = b.attname AND a.attnum > 0 AND NOT a.attisdropped
        CROSS JOIN reach
        WHERE b.hidden
          AND (r.relowner = reach.oid OR has_column_privilege(reach.oid, r.oid, a.attnum, 'SELECT'))
        UNION ALL
        SELECT reach.login, r.schema || '.' || r.name
        FROM filtered f JOIN relation r ON r.oid = f.relid CROSS JOIN reach
        WHERE r.relowner = reach.oid
           OR has_table_privilege(reach.oid, r.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
           OR has_any_column_privilege(reach.oid, r.oid, 'SELECT, INSERT, UPDATE, REFERENCES')
        UNION ALL
        SELECT reach.login, r.schema || '.' || r.name
        FROM exposed e JOIN view v ON v.oid = e.viewid JOIN relation r ON r.oid = v.oid CROSS JOIN reach
        WHERE NOT v.invoker AND (r.relowner = reach.oid OR has_any_column_privilege(reach.oid, r.oid, 'SELECT'))
        UNION ALL
        SELECT reach.login, 'hoopctl.' || c.relname
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace CROSS JOIN reach
        WHERE n.nspname = 'hoopctl' AND pg_get_userbyid(n.nspowner) = 'hoop_objects'
          AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND (
            pg_has_role(reach.oid, n.nspowner, 'MEMBER') OR pg_has_role(reach.oid, c.relowner, 'MEMBER')
            OR has_schema_privilege(reach.oid, n.oid, 'CREATE')
            OR has_table_privilege(reach.oid, c.oid, 'TRUNCATE, REFERENCES, TRIGGER')
            OR has_any_column_privilege(reach.oid, c.oid, 'REFERENCES')
            OR (has_table_privilege(reach.oid, c.oid, 'INSERT, UPDATE, DELETE')
                OR has_any_column_privilege(reach.oid, c.oid, 'INSERT, UPDATE')) AND NOT EXISTS (
                -- through a view that checks them, rows of the own slice may be changed
                SELECT FROM aclexplode(c.relacl) x JOIN reach g ON g.oid = x.grantee AND g.login = reach.login
                WHERE c.relkind = 'v' AND c.reloptions @> ARRAY['check_option=local']
                  AND x.privilege_type IN ('INSERT', 'UPDATE', 'DELETE'))
            OR has_any_column_privilege(reach.oid, c.oid, 'SELECT') AND (c.relkind <> 'v' OR NOT EXISTS (
                -- the group's own view, and not one that everybody may read
                SELECT FROM aclexplode(c.relacl) x JOIN reach g ON g.oid = x.grantee AND g.login = reach.login)))
        UNION ALL
        SELECT l.login, NULL FROM unnest($7::text[]) l(login)
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname::text = l.login)
    )
    SELECT DISTINCT ON (login) login, what FROM leak ORDER BY login"
);

const RELATIONS: &str = over_bound_columns!(
    ", uses(viewid, relid) AS (
        SELECT w.ev_class, d.refobjid
        FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid
        JOIN relation v ON v.oid = w.ev_class AND v.relkind IN ('v', 'm')
        WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
          AND d.refobjid <> w.ev_class
    ), derived(relid) AS (
        SELECT u.viewid FROM bound b JOIN uses u ON u.relid = b.relid
        UNION
        SELECT u.viewid FROM filtered f JOIN uses u ON u.relid = f.relid
        UNION
        SELECT u.viewid FROM derived d JOIN uses u ON u.relid = d.relid
    ), owner AS (
        SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $7::text
    )
    SELECT r.schema, r.name,
        r.oid IN (SELECT relid FROM derived) AS derived,
        r.oid IN (SELECT relid FROM filtered) AS filtered,
        CASE WHEN h.names = '{}' THEN '{}' ELSE ARRAY(
            SELECT a.attname::text FROM pg_catalog.pg_attribute a
            WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname::text <> ALL (h.names)
              AND has_column_privilege(current_user, r.oid, a.attnum, 'SELECT WITH GRANT OPTION')) END AS visible,
        h.names AS hidden,
        ARRAY(SELECT x.privilege_type FROM aclexplode(r.relacl) x WHERE x.grantee = owner.oid) AS held,
        ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a CROSS JOIN LATERAL aclexplode(a.attacl) x
              WHERE a.attrelid = r.oid AND a.attacl IS NOT NULL AND NOT a.attisdropped
                AND x.grantee = owner.oid AND x.privilege_type = 'SELECT') AS held_columns,
        ARRAY(SELECT p FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p
              WHERE has_table_privilege(current_user, r.oid, p || ' WITH GRANT OPTION')) AS grantable,
        has_schema_privilege(owner.oid, r.nspoid, 'USAGE') AS schema_open,
        ARRAY(SELECT s.oid::regclass::text
              FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class s ON s.oid = d.objid
              WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
                AND d.refobjid = r.oid AND d.deptype = 'a'
                -- the planner may ask in any order, and the functions take sequences only
                AND CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege(owner.oid, s.oid, 'USAGE')
                    AND has_sequence_privilege(current_user, s.oid, 'USAGE WITH GRANT OPTION') ELSE false END) AS sequences
    FROM relation r CROSS JOIN owner
    CROSS JOIN LATERAL (SELECT ARRAY(
        SELECT DISTINCT b.attname::text FROM bound b WHERE b.relid = r.oid AND b.hidden) AS names) h
    WHERE EXISTS (SELECT FROM unnest($8::text[], $9::text[]) t(s, t) WHERE r.schema LIKE t.s AND r.name LIKE t.t)
       OR EXISTS (SELECT FROM aclexplode(r.relacl) x WHERE x.grantee = owner.oid)
    ORDER BY r.schema, r.name"
);

// xmin is the transaction that last wrote the row: it changes with every ALTER and GRANT, and with
// neither VACUUM nor ANALYZE
const FINGERPRINT: &str = "
    SELECT concat_ws('/',
        (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1::text),
        (SELECT count(*) || ':' || coalesce(sum(hashtextextended(oid || ' ' || xmin, 0)), 0)
         FROM pg_catalog.pg_class
         WHERE oid >= 16384 AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND relpersistence <> 't'),
        (SELECT count(*) || ':' || coalesce(sum(hashtextextended(oid || ' ' || xmin, 0)), 0)
         FROM pg_catalog.pg_rewrite WHERE oid >= 16384),
        (SELECT sum(hashtextextended(attrelid || ' ' || attnum || ' ' || xmin, 0))
         FROM pg_catalog.pg_attribute WHERE attacl IS NOT NULL AND attrelid >= 16384),
        (SELECT count(*) || ':' || coalesce(
             sum(hashtextextended(concat_ws(' ', a.attrelid, a.attnum, a.atttypid, a.attname), 0)), 0)
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
         WHERE a.attnum > 0 AND NOT a.attisdropped AND c.oid >= 16384
           AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'),
        (SELECT count(*) || ':' || coalesce(sum(hashtextextended(inhrelid || ' ' || inhparent, 0)), 0)
         FROM pg_catalog.pg_inherits),
        (SELECT sum(hashtextextended(oid || ' ' || xmin, 0)) FROM pg_catalog.pg_namespace
         WHERE nspname !~ '^pg_'))";

const MEMBERSHIPS: &str = "
    SELECT count(*) = 1 AND bool_and(r.rolname = $1::text AND g.rolname = $2::text)
    FROM (SELECT DISTINCT roleid, member FROM pg_catalog.pg_auth_members) m
    JOIN pg_catalog.pg_roles r ON r.oid = m.member JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
    WHERE r.rolname IN ($1::text, $2::text)";

// replication reads the write-ahead log, that is, every column; before 16 CREATEROLE can grant
// itself anything but superuser
const TOWERS: &str = "
    SELECT coalesce(bool_or(m.rolsuper OR m.rolreplication OR m.rolcreaterole), true)
    FROM pg_catalog.pg_roles m WHERE pg_has_role($1::text::name, m.oid, 'MEMBER')";
