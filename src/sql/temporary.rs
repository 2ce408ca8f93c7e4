//! The temporary tables that a connection has made through the gateway.
//!
//! Job: what names mean beyond the [`Catalog`](super::Catalog), which others read and which does not know them.
//! Boundary: whoever relays the statements says what has become true, and follows the transactions. Failure mode: a table
//! that is not known is refused as any unknown name is.
//!
//! Soundness does not rest on what is known here. Such a table holds what its client was shown or has sent itself, nobody
//! else can change it, and its name goes out as `pg_temp.name`, which can mean no other relation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::catalog::{Column, Kind, Relation};

/// The schema of temporary tables, as every connection calls its own.
pub(crate) const TEMPORARY_SCHEMA: &str = "pg_temp";

/// A connection's temporary tables. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Temporary {
    tables: Arc<BTreeMap<String, Arc<Known>>>,
    /// How many were made: each has a number of its own in the place of an OID.
    made: u32,
}

/// What a statement does to them, if it succeeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemporaryChange {
    /// This one is there from now on.
    Made(TemporaryTable),
    /// The columns of this one are others from now on.
    Altered(String),
    /// These are gone.
    Dropped(Vec<String>),
    /// All are gone.
    Cleared,
}

/// A temporary table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemporaryTable {
    /// Its name, without a schema.
    pub name: String,
    /// Its columns in their order, where they are all known.
    pub columns: Option<Vec<String>>,
    /// `IF NOT EXISTS`: one that is there stays as it is.
    pub keeps: bool,
    /// `ON COMMIT DROP`.
    pub goes_with_transaction: bool,
}

#[derive(Debug)]
struct Known {
    relation: Relation,
    goes_with_transaction: bool,
}

impl Temporary {
    /// A statement has done this.
    pub fn change(&mut self, change: &TemporaryChange) {
        match change {
            TemporaryChange::Made(table) => {
                if !(table.keeps && self.tables.contains_key(&table.name)) {
                    self.insert(&table.name, table.columns.as_deref(), table.goes_with_transaction);
                }
            }
            TemporaryChange::Altered(name) => {
                if let Some(known) = self.tables.get(name) {
                    self.insert(name, None, known.goes_with_transaction);
                }
            }
            TemporaryChange::Dropped(names) => {
                if names.iter().any(|name| self.has(name)) {
                    Arc::make_mut(&mut self.tables).retain(|name, _| !names.contains(name));
                }
            }
            TemporaryChange::Cleared => self.tables = Arc::default(),
        }
    }

    /// The names that mean one table here and another, or none, there.
    #[must_use]
    pub fn differences<'a>(&'a self, other: &'a Self) -> Vec<&'a str> {
        let differs = |name: &&String| match (self.tables.get(*name), other.tables.get(*name)) {
            (Some(one), Some(other)) => !Arc::ptr_eq(one, other),
            _ => true,
        };
        let all: BTreeSet<&String> = self.tables.keys().chain(other.tables.keys()).collect();
        all.into_iter().filter(differs).map(String::as_str).collect()
    }

    /// The transaction was committed.
    pub fn commit(&mut self) {
        if self.tables.values().any(|known| known.goes_with_transaction) {
            Arc::make_mut(&mut self.tables).retain(|_, known| !known.goes_with_transaction);
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Whether a table of this name is among them.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.tables.contains_key(name)
    }

    /// Whether both know the very same tables.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.tables, &other.tables) || (self.is_empty() && other.is_empty())
    }

    /// Whether there may be no more.
    pub(crate) fn is_full(&self) -> bool {
        self.tables.len() >= MOST
    }

    pub(crate) fn relation(&self, name: &str) -> Option<&Relation> {
        self.tables.get(name).map(|known| &known.relation)
    }

    fn insert(&mut self, name: &str, columns: Option<&[String]>, goes_with_transaction: bool) {
        self.made = self.made.wrapping_add(1) % NUMBERS;
        let held: usize = self.tables.values().map(|known| known.relation.columns.len()).sum();
        let columns = columns.filter(|columns| held + columns.len() <= COLUMNS);
        let relation = Relation {
            // facts tell relations apart by it, and no OID of a user's is that high
            oid: u32::MAX - self.made,
            schema: TEMPORARY_SCHEMA.into(),
            name: name.into(),
            kind: Kind::Table,
            columns: (1..)
                .zip(columns.unwrap_or_default())
                .map(|(number, name)| column(number, name))
                .collect(),
            is_open: columns.is_none(),
            ..Relation::default()
        };
        let known = Arc::new(Known { relation, goes_with_transaction });
        Arc::make_mut(&mut self.tables).insert(name.into(), known);
    }
}

/// Of its type it is known only that it was judged where the table was made.
fn column(number: i16, name: &str) -> Column {
    let type_name = ("pg_catalog".to_owned(), "unknown".to_owned());
    Column {
        number,
        name: name.into(),
        base: type_name.clone(),
        type_name,
        formatted: String::new(),
        collation: None,
        generated: false,
    }
}

/// More than anybody makes.
const MOST: usize = 256;

/// The columns of so many are remembered, all together.
const COLUMNS: usize = 20_000;

/// OIDs above the last so many stay the server's.
const NUMBERS: u32 = 1 << 24;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    fn table(name: &str, columns: &[&str]) -> TemporaryTable {
        TemporaryTable {
            name: name.into(),
            columns: Some(columns.iter().map(ToString::to_string).collect()),
            keeps: false,
            goes_with_transaction: false,
        }
    }

    fn made(name: &str, columns: &[&str]) -> TemporaryChange {
        TemporaryChange::Made(table(name, columns))
    }

    #[test]
    fn tables_come_change_and_go() {
        let mut known = Temporary::default();
        known.change(&made("a", &["x", "y"]));
        known.change(&made("b", &[]));
        let a = known.relation("a").unwrap();
        assert_eq!(a.full_name(), "pg_temp.a");
        assert_eq!(a.column("y").unwrap().number, 2);
        assert_ne!(a.oid, known.relation("b").unwrap().oid);

        known.change(&TemporaryChange::Altered("a".into()));
        assert!(known.relation("a").unwrap().is_open);
        known.change(&TemporaryChange::Dropped(vec!["a".into()]));
        assert!(known.relation("a").is_none() && known.relation("b").is_some());
        known.change(&TemporaryChange::Cleared);
        assert!(known.is_empty());
    }

    #[test]
    fn if_not_exists_keeps_what_is_there_and_on_commit_drop_ends_it() {
        let mut known = Temporary::default();
        known.change(&made("a", &["x"]));
        known.change(&TemporaryChange::Made(TemporaryTable { keeps: true, ..table("a", &["other"]) }));
        assert!(known.relation("a").unwrap().column("x").is_some());

        let short = TemporaryTable { goes_with_transaction: true, ..table("b", &["x"]) };
        known.change(&TemporaryChange::Made(short));
        known.commit();
        assert!(known.relation("a").is_some() && known.relation("b").is_none());
    }
}
