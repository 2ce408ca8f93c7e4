//! Rows → look-ups.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{
    Builtins, CalledBy, Cast, Catalog, CatalogError, Column, Function, ImplicitCall, Kind, Operator,
    Referral, Relation, Rows, Schema, Type,
};

pub(super) fn builtins(rows: &[Rows]) -> Result<Builtins, CatalogError> {
    let mut found = Builtins { functions: functions(rows, 0, true)?, ..Builtins::default() };
    for row in Query::all(rows, 1)? {
        found.operators.insert(row.text(0)?);
    }
    for row in Query::all(rows, 2)? {
        found.types.insert((row.text(0)?, row.text(1)?));
    }
    for row in Query::all(rows, 3)? {
        found.collations.insert(row.text(0)?);
    }
    for row in Query::all(rows, 4)? {
        let key = (row.text(1)?, row.text(2)?);
        let relation = found.relations.entry(key.clone()).or_insert_with(|| Relation {
            schema: key.0,
            name: key.1,
            ..Relation::default()
        });
        relation.oid = row.number(0)?;
        relation.kind = kind(&row.text(3)?);
        if let Some(name) = row.optional(5)? {
            let type_name = ("pg_catalog".to_owned(), row.text(6)?);
            relation.columns.push(Column {
                number: row.number(4)?,
                name,
                base: type_name.clone(),
                formatted: String::new(),
                type_name,
                collation: None,
                generated: false,
            });
        }
    }
    Ok(found)
}

pub(super) fn catalog(builtins: Arc<Builtins>, rows: &[Rows]) -> Result<Catalog, CatalogError> {
    let mut found = Catalog { builtins, functions: functions(rows, 5, false)?, ..Catalog::default() };
    for row in Query::all(rows, 2)? {
        found.schemas.insert(row.text(0)?, Schema { usable: row.truth(1)?, temporary: row.truth(2)? });
    }
    let mut by_oid = relations(rows)?;
    details(rows, &mut by_oid)?;
    for row in Query::all(rows, 6)? {
        let (schema, name) = (row.optional(2)?, row.optional(3)?);
        let function = format!("{}.{}", schema.unwrap_or_default(), name.unwrap_or_default());
        found.operators.entry(row.text(1)?).or_default().push(Operator { schema: row.text(0)?, function });
    }
    for row in Query::all(rows, 7)? {
        let under = row.optional(3)?.zip(row.optional(4)?);
        let domain = row.text(2)? == "d";
        let key = (row.text(0)?, row.text(1)?);
        let kind = found.types.entry(key).or_insert_with(|| Type { under, domain, functions: Vec::new() });
        kind.functions
            .extend(row.optional(5)?.zip(row.optional(6)?).map(|(schema, name)| format!("{schema}.{name}")));
    }
    for row in Query::all(rows, 8)? {
        found.casts.push(Cast {
            source: (row.text(0)?, row.text(1)?),
            target: (row.text(2)?, row.text(3)?),
            function: format!("{}.{}", row.text(4)?, row.text(5)?),
        });
    }
    for row in Query::all(rows, 9)? {
        found.collations.insert((row.text(0)?, row.text(1)?));
    }
    for row in Query::all(rows, 10)? {
        let (parent, child) = (row.number(0)?, row.number(1)?);
        found.parents.push((parent, child));
        found.children.entry(parent).or_default().push(child);
    }
    for row in Query::all(rows, 14)? {
        found.sizes.push((row.number(0)?, row.number(1)?));
    }
    for row in Query::all(rows, 18)? {
        found.event_triggers |= row.truth(0)?;
    }
    for (oid, relation) in by_oid {
        let key = (relation.schema.clone(), relation.name.clone());
        found.by_oid.insert(oid, key.clone());
        found.relations.insert(key, relation);
    }
    Ok(found)
}

fn relations(rows: &[Rows]) -> Result<BTreeMap<u32, Relation>, CatalogError> {
    let mut found = BTreeMap::new();
    for row in Query::all(rows, 3)? {
        let oid = row.number(0)?;
        let relation = Relation {
            oid,
            schema: row.text(1)?,
            name: row.text(2)?,
            kind: kind(&row.text(3)?),
            row_security: row.truth(4)?,
            security_barrier: row.truth(5)?,
            definition: row.optional(6)?,
            ..Relation::default()
        };
        found.insert(oid, relation);
    }
    for row in Query::all(rows, 4)? {
        let Some(relation) = found.get_mut(&row.number(0)?) else { continue };
        relation.columns.push(Column {
            number: row.number(1)?,
            name: row.text(2)?,
            type_name: (row.text(3)?, row.text(4)?),
            base: (row.text(5)?, row.text(6)?),
            formatted: row.text(7)?,
            collation: row.optional(8)?.zip(row.optional(9)?),
            generated: row.truth(10)?,
        });
    }
    Ok(found)
}

/// What the server does on its own with each relation.
fn details(rows: &[Rows], found: &mut BTreeMap<u32, Relation>) -> Result<(), CatalogError> {
    for row in Query::all(rows, 11)? {
        let Some(relation) = found.get_mut(&row.number(0)?) else { continue };
        let by = match row.text(1)?.as_str() {
            "p" => CalledBy::Policy,
            "t" => CalledBy::Truncate,
            _ => CalledBy::Write,
        };
        relation.calls.push(ImplicitCall { by, function: format!("{}.{}", row.text(2)?, row.text(3)?) });
    }
    for row in Query::all(rows, 12)? {
        let Some(relation) = found.get_mut(&row.number(0)?) else { continue };
        let read = row.number(2)?;
        match row.text(1)?.as_str() {
            "p" => relation.policy_reads.push((row.number(3)?, read)),
            "k" => relation.partition_columns.push(read),
            "c" => relation.checked_columns.push(read),
            _ => relation.generated.push((row.number(1)?, read)),
        }
    }
    let mut keys: BTreeMap<(u32, u32), Option<Vec<i16>>> = BTreeMap::new();
    let mut primary = BTreeSet::new();
    for row in Query::all(rows, 15)? {
        let key = keys.entry((row.number(0)?, row.number(1)?)).or_insert_with(|| Some(Vec::new()));
        if row.truth(4)? {
            primary.insert(row.number::<u32>(1)?);
        }
        // what is unique in one collation need not be in another
        match (row.truth(3)?, key.as_mut()) {
            (true, Some(columns)) => columns.push(row.number(2)?),
            _ => *key = None,
        }
    }
    for ((relation, index), key) in keys {
        if let Some(relation) = found.get_mut(&relation) {
            if primary.contains(&index) {
                relation.primary = key.clone().unwrap_or_default();
            }
            relation.keys.extend(key);
        }
    }
    for row in Query::all(rows, 16)? {
        let Some(relation) = found.get_mut(&row.number(0)?) else { continue };
        let key = relation.referrals.entry(row.number(1)?).or_insert(Referral {
            by: row.number(2)?,
            on_delete: row.truth(5)?,
            takes: row.truth(6)?,
            on_update: row.truth(7)?,
            ..Referral::default()
        });
        key.own.push(row.number(3)?);
        key.other.push(row.number(4)?);
    }
    for row in Query::all(rows, 17)? {
        let Some(relation) = found.get_mut(&row.number(0)?) else { continue };
        let index = relation.indexes.entry(row.number(1)?).or_default();
        index.columns.insert(row.number(2)?);
        index.excludes = row.truth(4)?;
        index.refuses = row.truth(3)? || index.excludes;
        index.computes = row.truth(5)?;
    }
    for row in Query::all(rows, 13)? {
        if let Some(relation) = found.get_mut(&row.number(0)?) {
            relation.rules = true;
        }
    }
    Ok(())
}

fn functions(
    rows: &[Rows],
    query: usize,
    builtin: bool,
) -> Result<HashMap<String, Vec<Function>>, CatalogError> {
    let mut found: HashMap<String, Vec<Function>> = HashMap::new();
    for row in Query::all(rows, query)? {
        let (arguments, defaults): (i32, i32) = (row.number(3)?, row.number(4)?);
        let variadic = row.truth(5)?;
        let enough = if variadic { arguments >= 1 } else { arguments - defaults <= 1 && arguments >= 1 };
        found.entry(row.text(1)?).or_default().push(Function {
            schema: row.text(0)?,
            volatile: row.text(2)? == "v",
            unary: enough,
            builtin,
            procedure: row.text(6)? == "p",
            set: row.truth(7)?,
        });
    }
    Ok(found)
}

fn kind(relkind: &str) -> Kind {
    match relkind {
        "r" | "p" => Kind::Table,
        "v" => Kind::View,
        "m" => Kind::MaterializedView,
        "f" => Kind::Foreign,
        "S" => Kind::Sequence,
        "c" => Kind::Composite,
        _ => Kind::Other,
    }
}

/// A row, and which query it belongs to.
struct Query<'a> {
    number: usize,
    row: &'a [Option<String>],
}

impl<'a> Query<'a> {
    fn all(rows: &'a [Rows], number: usize) -> Result<impl Iterator<Item = Self>, CatalogError> {
        let rows = rows
            .get(number)
            .ok_or_else(|| CatalogError { query: number, message: "there is no answer to it".into() })?;
        Ok(rows.iter().map(move |row| Query { number, row }))
    }

    fn fault(&self, message: impl Into<String>) -> CatalogError {
        CatalogError { query: self.number, message: message.into() }
    }

    fn optional(&self, column: usize) -> Result<Option<String>, CatalogError> {
        self.row.get(column).cloned().ok_or_else(|| self.fault(format!("a row without column {column}")))
    }

    fn text(&self, column: usize) -> Result<String, CatalogError> {
        self.optional(column)?.ok_or_else(|| self.fault(format!("NULL in column {column}")))
    }

    fn truth(&self, column: usize) -> Result<bool, CatalogError> {
        match self.optional(column)?.as_deref() {
            Some("t" | "true") => Ok(true),
            Some("f" | "false") | None => Ok(false),
            Some(_) => Err(self.fault(format!("neither true nor false in column {column}"))),
        }
    }

    fn number<T: std::str::FromStr>(&self, column: usize) -> Result<T, CatalogError> {
        self.text(column)?.parse().map_err(|_| self.fault(format!("not a number in column {column}")))
    }
}
