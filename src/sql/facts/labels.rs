//! The labels of what a statement reads.
//!
//! Job: which labelled columns of the relations that are involved a statement could read. A column
//! counts when its name stands anywhere in the statement or in the views that it reads, in whatever
//! role (also as a function, which is PostgreSQL's other way to write a column), and every column counts
//! where something stands for a whole row. Boundary: names are resolved by the caller. Failure mode: what
//! cannot be told has all labels.

use std::collections::{BTreeMap, BTreeSet};

use pg_query::NodeEnum;

use super::columns::definition;
use crate::domain::facts::Facts;
use crate::sql::catalog::{Catalog, Kind, Relation};
use crate::sql::tree::{Visitor, visit};

/// Labels by pattern: `schema.table.column`, each a name or a pattern with `*`.
pub(crate) type Fields = BTreeMap<String, BTreeSet<String>>;

/// The labels of what the statement reads, whose relations and functions are in `facts`.
pub(crate) fn labels(node: &NodeEnum, facts: &Facts, catalog: &Catalog, fields: &Fields) -> BTreeSet<String> {
    let all = || fields.values().flatten().cloned().collect();
    if fields.is_empty() {
        return BTreeSet::new();
    }
    let own = |name: &&String| !name.starts_with("pg_catalog.") && !name.starts_with("information_schema.");
    // what functions of users read is not known
    if facts.functions.iter().any(|name| own(&name)) {
        return all();
    }
    let mut words = Words::default();
    visit(node, &mut words);
    let mut relations: BTreeMap<u32, &Relation> = BTreeMap::new();
    for full in facts.relations_read.iter().chain(&facts.relations_written).filter(own) {
        let Some(relation) = full.split_once('.').and_then(|(schema, name)| catalog.relation(schema, name))
        else {
            // what is only made by the statement holds nothing yet; a temporary table that is changed may hold anything
            let is_changed = full.starts_with("pg_temp.") && !facts.changes.is_empty();
            if is_changed || facts.relations_read.contains(full) {
                return all();
            }
            continue;
        };
        relations.insert(relation.oid, relation);
    }
    // reading a parent reads its children, and theirs
    let mut grows = true;
    while grows {
        let children = catalog.parents().iter().filter(|(parent, _)| relations.contains_key(parent));
        let children: Vec<_> = children.filter_map(|(_, child)| catalog.relation_by_oid(*child)).collect();
        grows = children.into_iter().any(|child| relations.insert(child.oid, child).is_none());
    }
    for relation in relations.values() {
        if !matches!(relation.kind, Kind::View | Kind::MaterializedView) {
            continue;
        }
        match relation.definition.as_deref().and_then(definition) {
            Some(definition) => visit(&definition, &mut words),
            None => return all(),
        }
    }
    let whole = words.whole || words.last.iter().any(|name| words.sources.contains(name));
    let mut found = BTreeSet::new();
    for relation in relations.values() {
        for column in &relation.columns {
            let computed = |read: i16| {
                let from = relation.generated.iter().filter(move |(_, source)| *source == read);
                from.filter_map(|(number, _)| relation.columns.iter().find(|other| other.number == *number))
            };
            let is_read = whole
                || words.all.contains(&column.name)
                || computed(column.number).any(|other| words.all.contains(&other.name));
            if !is_read {
                continue;
            }
            let name = [relation.schema.as_str(), &relation.name, &column.name];
            for (_, labels) in fields.iter().filter(|(pattern, _)| matches_all(pattern, name)) {
                found.extend(labels.iter().cloned());
            }
        }
    }
    found
}

/// Whether `schema.table.column` with `*` in any part fits.
fn matches_all(pattern: &str, name: [&str; 3]) -> bool {
    let mut parts = pattern.splitn(3, '.');
    name.iter().all(|name| parts.next().is_some_and(|part| fits(part, name)))
}

fn fits(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        let Some((_, behind)) = rest.split_once(piece) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

/// Every word of a tree that is no literal.
#[derive(Default)]
struct Words {
    all: BTreeSet<String>,
    /// The last word of each column reference: a whole row where it is a relation's name.
    last: BTreeSet<String>,
    /// The names of what stands in FROM.
    sources: BTreeSet<String>,
    /// Something stands for all columns, or columns get other names.
    whole: bool,
    reference: String,
}

impl Visitor for Words {
    fn enter(&mut self, name: &'static str, _: &[(&'static str, &'static str)]) {
        match name {
            "AStar" => self.whole = true,
            "ColumnRef" => self.reference.clear(),
            _ => {}
        }
    }

    fn text(&mut self, text: &str, above: &[(&'static str, &'static str)]) {
        if text.is_empty() || above.iter().any(|(name, _)| *name == "AConst") {
            return;
        }
        if above.contains(&("Alias", "colnames")) {
            self.whole = true;
        }
        let names_a_source =
            [("RangeVar", "relname"), ("Alias", "aliasname"), ("CommonTableExpr", "ctename")];
        if above.last().is_some_and(|place| names_a_source.contains(place)) {
            self.sources.insert(text.to_owned());
        }
        if above.contains(&("ColumnRef", "fields")) {
            text.clone_into(&mut self.reference);
        }
        self.all.insert(text.to_owned());
    }

    fn leave(&mut self, name: &'static str, above: &[(&'static str, &'static str)]) {
        match name {
            "ColumnRef" => {
                self.last.insert(std::mem::take(&mut self.reference));
            }
            // a COPY without a list of columns is of all of them
            "CopyStmt" if !above.iter().any(|(name, _)| *name == "CopyStmt") => self.whole = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_part_by_part() {
        let name = ["public", "reasoning_traces", "api_key"];
        for (pattern, is_fit) in [
            ("public.reasoning_traces.api_key", true),
            ("*.*.*", true),
            ("*.reasoning_*.api_*", true),
            ("*.*.*key", true),
            ("*.*.a*i*y", true),
            ("public.reasoning_traces.api", false),
            ("public.traces.api_key", false),
            ("*.api_key", false),
            ("*.*.key*", false),
        ] {
            assert_eq!(matches_all(pattern, name), is_fit, "{pattern}");
        }
    }
}
