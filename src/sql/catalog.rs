//! A snapshot of what names mean in one database.
//!
//! Job: rows of catalog queries → look-ups. Boundary: it runs no query; the caller runs
//! [`Builtins::QUERIES`] once per server version and [`Catalog::QUERIES`] per connection, as the
//! session's role and in order, and hands the rows in. Failure mode: rows that do not have the
//! expected shape are a [`CatalogError`], and the connection must not open.

mod load;
mod queries;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use thiserror::Error;

/// The rows of one query: text form, NULL as `None`.
pub type Rows = Vec<Vec<Option<String>>>;

/// What comes with the server (OIDs below 16384); the same for every database of a version.
#[derive(Debug, Clone, Default)]
pub struct Builtins {
    functions: HashMap<String, Vec<Function>>,
    operators: HashSet<String>,
    types: HashSet<(String, String)>,
    collations: HashSet<String>,
    relations: BTreeMap<(String, String), Relation>,
}

/// What names mean in one database, for one role.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    builtins: Arc<Builtins>,
    schemas: HashMap<String, Schema>,
    relations: BTreeMap<(String, String), Relation>,
    by_oid: HashMap<u32, (String, String)>,
    functions: HashMap<String, Vec<Function>>,
    operators: HashMap<String, Vec<Operator>>,
    types: HashMap<(String, String), Type>,
    casts: Vec<Cast>,
    collations: HashSet<(String, String)>,
    parents: Vec<(u32, u32)>,
    children: HashMap<u32, Vec<u32>>,
    sizes: Vec<(u32, u32)>,
    event_triggers: bool,
}

/// Rows that do not have the expected shape.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the database's catalog could not be understood: query {query}: {message}")]
pub struct CatalogError {
    /// Which query, counted from 0.
    pub query: usize,
    /// What is wrong with it.
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schema {
    /// Whether the role has USAGE: PostgreSQL skips the others on the search path.
    pub(crate) usable: bool,
    /// Whether it is this connection's schema for temporary objects.
    pub(crate) temporary: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Relation {
    pub(crate) oid: u32,
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) columns: Vec<Column>,
    /// Whether it may have other columns than these.
    pub(crate) is_open: bool,
    pub(crate) security_barrier: bool,
    pub(crate) row_security: bool,
    /// The definition of a view or materialized view, made with nothing but `pg_catalog` on the path.
    pub(crate) definition: Option<String>,
    /// User-defined functions that the server calls on its own for this relation.
    pub(crate) calls: Vec<ImplicitCall>,
    /// What its row-level security policies read: relations and columns, 0 for what may be all of them.
    pub(crate) policy_reads: Vec<(u32, i16)>,
    /// Columns that its partition key reads.
    pub(crate) partition_columns: Vec<i16>,
    /// Columns that CHECK constraints read, 0 for the whole row.
    pub(crate) checked_columns: Vec<i16>,
    /// Generated columns, each with a column that it is computed from.
    pub(crate) generated: Vec<(i16, i16)>,
    /// The columns of each of its keys: no two rows agree in all columns of one.
    pub(crate) keys: Vec<Vec<i16>>,
    /// Its indexes that are unique, exclude or compute, or have documents for keys, by OID.
    pub(crate) indexes: BTreeMap<u32, Index>,
    /// The columns of its primary key, where that is one of them.
    pub(crate) primary: Vec<i16>,
    /// Whether it has rewrite rules other than a view's own.
    pub(crate) rules: bool,
    /// The foreign keys that refer to it and do more than refuse, by OID.
    pub(crate) referrals: BTreeMap<u32, Referral>,
}

/// An index that may refuse a row, or fail on one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    /// The columns that it reads, 0 for the whole row.
    pub(crate) columns: BTreeSet<i16>,
    /// Whether no two rows may agree in it, as UNIQUE or EXCLUDE have it.
    pub(crate) refuses: bool,
    /// Whether that is for EXCLUDE, of which it is not known what it compares by.
    pub(crate) excludes: bool,
    /// Whether it has expressions or a condition.
    pub(crate) computes: bool,
}

/// A foreign key that passes changes on: CASCADE, SET NULL, SET DEFAULT.
#[derive(Debug, Clone, Default)]
pub(crate) struct Referral {
    /// Whose rows are changed with those that they refer to.
    pub(crate) by: u32,
    /// The columns that are referred to, and in the same order those that refer.
    pub(crate) own: Vec<i16>,
    pub(crate) other: Vec<i16>,
    /// Whether it acts when rows go, whether others go with them then, and whether it acts when they change.
    pub(crate) on_delete: bool,
    pub(crate) takes: bool,
    pub(crate) on_update: bool,
}

impl Relation {
    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    pub(crate) fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// The columns whose values decide what these have: themselves, what they are computed from, or all of them where 0
    /// is among them.
    pub(crate) fn sources<'a>(&self, columns: impl IntoIterator<Item = &'a i16>) -> BTreeSet<i16> {
        let mut found = BTreeSet::new();
        for column in columns {
            if *column == 0 {
                let stored = self.columns.iter().filter(|column| !column.generated);
                found.extend(stored.map(|column| column.number));
                continue;
            }
            let mut read = self.generated.iter().filter(|(made, _)| made == column).peekable();
            if read.peek().is_none() {
                found.insert(*column);
            }
            found.extend(read.map(|(_, read)| *read));
        }
        found
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Kind {
    Composite,
    Foreign,
    MaterializedView,
    #[default]
    Other,
    Sequence,
    Table,
    View,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) number: i16,
    pub(crate) name: String,
    /// Its type, as `pg_type` calls it.
    pub(crate) type_name: (String, String),
    /// A domain's base type; the type itself otherwise.
    pub(crate) base: (String, String),
    /// The (base) type with its modifier, as `format_type` writes it with only `pg_catalog` on the path.
    pub(crate) formatted: String,
    /// Its collation where that is not its type's own.
    pub(crate) collation: Option<(String, String)>,
    pub(crate) generated: bool,
}

/// Why the server calls a function on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CalledBy {
    Policy,
    Truncate,
    Write,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImplicitCall {
    pub(crate) by: CalledBy,
    /// `schema.function`.
    pub(crate) function: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) schema: String,
    pub(crate) volatile: bool,
    /// Whether one argument is enough to call it.
    pub(crate) unary: bool,
    pub(crate) builtin: bool,
    pub(crate) procedure: bool,
    /// Whether it gives several rows.
    pub(crate) set: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operator {
    pub(crate) schema: String,
    /// `schema.function`.
    pub(crate) function: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Type {
    /// An array's element, or a domain's base.
    pub(crate) under: Option<(String, String)>,
    pub(crate) domain: bool,
    /// User-defined functions behind it: input, output, CHECKs of a domain, `schema.function`.
    pub(crate) functions: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cast {
    pub(crate) source: (String, String),
    pub(crate) target: (String, String),
    /// `schema.function`.
    pub(crate) function: String,
}

impl Builtins {
    /// The queries whose rows [`Builtins::from_rows`] takes. Cacheable per `server_version`.
    pub const QUERIES: &'static [&'static str] = queries::BUILTINS;

    /// Reads the rows of [`Builtins::QUERIES`], one element per query.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn from_rows(rows: &[Rows]) -> Result<Self, CatalogError> {
        load::builtins(rows)
    }
}

impl Catalog {
    /// The statements whose rows [`Catalog::from_rows`] takes; some give no rows (they open and close a
    /// read-only transaction). Run them in order with the simple protocol, outside a transaction, and
    /// `ROLLBACK` when one fails.
    pub const QUERIES: &'static [&'static str] = queries::CATALOG;

    /// How many of these begin their transaction and set its path, before any of them reads.
    pub const BEGINNING: usize = 2;

    /// Reads the rows of [`Catalog::QUERIES`], one element per statement.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn from_rows(builtins: Arc<Builtins>, rows: &[Rows]) -> Result<Self, CatalogError> {
        load::catalog(builtins, rows)
    }

    pub(crate) fn schema(&self, name: &str) -> Option<Schema> {
        match name {
            "pg_catalog" | "information_schema" => Some(Schema { usable: true, temporary: false }),
            _ => self.schemas.get(name).copied(),
        }
    }

    /// The schema of this connection's temporary objects, if it has one.
    pub(crate) fn temporary_schema(&self) -> Option<&str> {
        self.schemas.iter().find(|(_, schema)| schema.temporary).map(|(name, _)| name.as_str())
    }

    pub(crate) fn relation(&self, schema: &str, name: &str) -> Option<&Relation> {
        let key = (schema.to_owned(), name.to_owned());
        self.relations.get(&key).or_else(|| self.builtins.relations.get(&key))
    }

    pub(crate) fn relation_by_oid(&self, oid: u32) -> Option<&Relation> {
        self.by_oid.get(&oid).and_then(|key| self.relations.get(key))
    }

    /// The relations of users.
    pub(crate) fn relations(&self) -> impl Iterator<Item = &Relation> {
        self.relations.values()
    }

    pub(crate) fn functions(&self, name: &str) -> impl Iterator<Item = &Function> {
        let builtin = self.builtins.functions.get(name).into_iter().flatten();
        builtin.chain(self.functions.get(name).into_iter().flatten())
    }

    pub(crate) fn builtin_operator(&self, name: &str) -> bool {
        self.builtins.operators.contains(name)
    }

    /// The operators of users by this name, in any schema.
    pub(crate) fn operators(&self, name: &str) -> &[Operator] {
        self.operators.get(name).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn has_type(&self, schema: &str, name: &str) -> bool {
        let key = (schema.to_owned(), name.to_owned());
        self.builtins.types.contains(&key) || self.types.contains_key(&key)
    }

    /// A type of users; built-in ones have nothing to tell.
    pub(crate) fn user_type(&self, schema: &str, name: &str) -> Option<&Type> {
        self.types.get(&(schema.to_owned(), name.to_owned()))
    }

    pub(crate) fn casts(&self) -> &[Cast] {
        &self.casts
    }

    pub(crate) fn has_collation(&self, schema: &str, name: &str) -> bool {
        (schema == "pg_catalog" && self.builtins.collations.contains(name))
            || self.collations.contains(&(schema.to_owned(), name.to_owned()))
    }

    /// Parent and child OIDs of partitioning and inheritance.
    pub(crate) fn parents(&self) -> &[(u32, u32)] {
        &self.parents
    }

    /// The OIDs of its partitions, and of the relations that inherit from it.
    pub(crate) fn children(&self, oid: u32) -> &[u32] {
        self.children.get(&oid).map_or(&[], Vec::as_slice)
    }

    /// Whether it has partitions, or relations that inherit from it.
    pub(crate) fn has_children(&self, oid: u32) -> bool {
        !self.children(oid).is_empty()
    }

    /// What is partition of a relation or inherits from it, and what is below those.
    pub(crate) fn below(&self, oid: u32) -> Vec<&Relation> {
        let mut seen = BTreeSet::from([oid]);
        let (mut awaiting, mut found) = (vec![oid], Vec::new());
        while let Some(above) = awaiting.pop() {
            for child in self.children(above) {
                if seen.insert(*child) {
                    awaiting.push(*child);
                    found.extend(self.relation_by_oid(*child));
                }
            }
        }
        found
    }

    /// Whether the server calls functions of users when something is defined.
    pub(crate) fn has_event_triggers(&self) -> bool {
        self.event_triggers
    }

    /// A relation's OID and the OID of an index or TOAST table of it.
    pub(crate) fn satellites(&self) -> &[(u32, u32)] {
        &self.sizes
    }
}
