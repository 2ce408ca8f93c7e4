//! The columns that a statement reads and writes.
//!
//! Job: every reference of every scope → columns of relations, through `*`, whole rows, joins by name,
//! views, partitions and generated columns. Boundary: what functions, triggers, constraints and policies
//! read is not seen here. Failure mode: more columns than are read, never fewer; `is_whole` is false where
//! that cannot be promised.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use pg_query::NodeEnum;
use pg_query::protobuf::CopyStmt;

use super::scopes::{Reference, Scope, Scopes, Source};
use crate::sql::catalog::{Catalog, Kind, Relation};
use crate::sql::names::Names;
use crate::sql::parse::{ParseLimits, fits_small_stack};
use crate::sql::tree;

/// What is read and written.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    /// `schema.table.column`; `*` as the column for all of them.
    pub(crate) read: BTreeSet<String>,
    /// The same, of what gets values.
    pub(crate) written: BTreeSet<String>,
    /// Whether nothing is missing.
    pub(crate) is_whole: bool,
}

/// The columns by their full names.
pub(crate) fn resolved(node: &NodeEnum, scopes: &Scopes, catalog: &Catalog, names: &Names<'_>) -> Columns {
    let (mut read, mut written) = (Reader::new(catalog), Reader::new(catalog));
    read.statement(scopes, names, Wanted::All);
    for scope in &scopes.all {
        let Some(target) = scope.sources.iter().find(|source| source.is_changed) else { continue };
        match names.relation(&target.schema, &target.name) {
            Some(relation) if relation.is_open => written.is_whole = false,
            Some(relation) if scope.assigns_all => written.whole(relation),
            Some(relation) => {
                let columns = scope.assigned.iter().filter_map(|name| relation.column(name));
                columns.for_each(|column| written.reach(relation, column.number));
            }
            None => written.is_whole = false,
        }
    }
    if let NodeEnum::CopyStmt(copy) = node
        && let Some(name) = &copy.relation
    {
        let reader = if copy.is_from { &mut written } else { &mut read };
        match names.relation(&name.schemaname, &name.relname) {
            Some(relation) if relation.is_open => reader.is_whole = false,
            Some(relation) if copy.attlist.is_empty() => reader.whole(relation),
            Some(relation) => {
                let listed = listed(copy).filter_map(|name| relation.column(name));
                listed.for_each(|column| reader.reach(relation, column.number));
            }
            None => reader.is_whole = false,
        }
    }
    Columns { is_whole: read.is_whole && written.is_whole, read: read.found, written: written.found }
}

/// The columns as far as the text tells: whatever way a column is written, the same name is found.
pub(crate) fn unresolved(node: &NodeEnum, scopes: &Scopes) -> Columns {
    let mut columns = Columns::default();
    for (at, scope) in scopes.all.iter().enumerate() {
        let mut read: BTreeSet<&str> = BTreeSet::new();
        let relations = |scope: &Scope| scope.sources.iter().any(|source| !source.is_query);
        if relations(scope)
            && (scope.natural > 0 || scope.is_renamed || scope.sources.iter().any(|source| source.is_renamed))
        {
            read.insert("*");
        }
        for reference in &scope.references {
            let known = |name: &str| {
                let mut sources = scopes.in_sight(at).flat_map(|scope| &scope.sources);
                sources.find(|source| source.visible == name).map(|source| !source.is_query)
            };
            let is_other = |name: &str| {
                scopes.in_sight(at).any(|scope| scope.other_names.iter().any(|other| other == name))
            };
            match (reference.fields.as_slice(), reference.star) {
                ([], true) if relations(scope) => _ = read.insert("*"),
                ([.., name], true)
                    if known(name) == Some(false) || known(name).is_none() && is_other(name) => {}
                ([], true) => {}
                (_, true) => _ = read.insert("*"),
                ([name], false) => {
                    read.insert(name);
                    if known(name) == Some(true) {
                        read.insert("*");
                    }
                }
                ([row, _], false) if row == "excluded" && known(row).is_none() => {}
                ([.., name], false) => _ = read.insert(name),
                ([], false) => {}
            }
        }
        columns.read.extend(read.into_iter().map(spelled));
        columns.written.extend(scope.assigned.iter().map(String::as_str).map(spelled));
        columns.written.extend(scope.assigns_all.then(|| spelled("*")));
    }
    if let NodeEnum::CopyStmt(copy) = node
        && copy.relation.is_some()
    {
        let into = if copy.is_from { &mut columns.written } else { &mut columns.read };
        into.extend(listed(copy).map(spelled));
        into.extend(copy.attlist.is_empty().then(|| spelled("*")));
    }
    columns
}

/// Adds what each of the relations is a partition or child of: its rows are theirs.
pub(crate) fn add_parents(relations: &mut BTreeSet<String>, catalog: &Catalog) {
    let known = relations.iter().filter_map(|name| name.split_once('.'));
    let known = known.filter_map(|(schema, name)| catalog.relation(schema, name));
    let parents: Vec<String> =
        known.flat_map(|relation| parents(catalog, relation.oid)).map(Relation::full_name).collect();
    relations.extend(parents);
}

fn spelled(column: &str) -> String {
    format!("?.?.{column}")
}

fn listed(copy: &CopyStmt) -> impl Iterator<Item = &str> {
    copy.attlist.iter().filter_map(tree::as_string)
}

/// What a relation is a partition or child of, near and far.
fn parents(catalog: &Catalog, of: u32) -> Vec<&Relation> {
    let mut found: Vec<&Relation> = Vec::new();
    let mut next = vec![of];
    while let Some(child) = next.pop() {
        let above = catalog.parents().iter().filter(|(_, known)| *known == child).map(|(parent, _)| *parent);
        for parent in above.filter_map(|parent| catalog.relation_by_oid(parent)) {
            if parent.oid != of && found.iter().all(|known| known.oid != parent.oid) {
                next.push(parent.oid);
                found.push(parent);
            }
        }
    }
    found
}

/// Which references of a query count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    All,
    /// Those in one column of its result.
    Item(usize),
    /// Those that decide about its rows.
    Rest,
}

#[derive(Debug)]
struct Reader<'a> {
    catalog: &'a Catalog,
    found: BTreeSet<String>,
    is_whole: bool,
    /// Relations and columns that were reached before; column 0 is the relation itself.
    seen: BTreeSet<(u32, i16)>,
    parents: BTreeMap<u32, Vec<&'a Relation>>,
    views: BTreeMap<u32, Option<Rc<Scopes>>>,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn new(catalog: &'a Catalog) -> Self {
        Self {
            catalog,
            found: BTreeSet::new(),
            is_whole: true,
            seen: BTreeSet::new(),
            parents: BTreeMap::new(),
            views: BTreeMap::new(),
            depth: 0,
        }
    }

    fn statement(&mut self, scopes: &Scopes, names: &Names<'a>, wanted: Wanted) {
        for (at, scope) in scopes.all.iter().enumerate() {
            if !matches!(wanted, Wanted::Item(_)) {
                self.joins(scope, names);
            }
            for reference in &scope.references {
                let counts = match wanted {
                    Wanted::All => true,
                    Wanted::Item(number) => reference.item == Some(number),
                    Wanted::Rest => reference.item.is_none(),
                };
                if counts {
                    self.reference(scopes, at, reference, names);
                }
            }
        }
    }

    /// What stands in FROM is reached even where none of its columns is named.
    fn joins(&mut self, scope: &Scope, names: &Names<'a>) {
        let read: Vec<(&Source, &'a Relation)> =
            scope.sources.iter().filter_map(|source| Some((source, self.relation(source, names)?))).collect();
        for (source, relation) in &read {
            self.touch(relation);
            if source.is_renamed || scope.is_renamed {
                self.whole(relation);
            }
        }
        if scope.natural == 0 {
            return;
        }
        for (place, (_, relation)) in read.iter().enumerate() {
            for column in &relation.columns {
                let mut others = read.iter().enumerate().filter(|(other, _)| *other != place);
                // what a subquery has is not known here
                let is_unknown = scope.others > 0 || scope.sources.iter().any(|source| source.is_query);
                if is_unknown || others.any(|(_, (_, other))| other.column(&column.name).is_some()) {
                    self.reach(relation, column.number);
                }
            }
        }
    }

    fn relation(&mut self, source: &Source, names: &Names<'a>) -> Option<&'a Relation> {
        if source.is_query {
            return None;
        }
        let found = names.relation(&source.schema, &source.name);
        self.is_whole &= found.is_some_and(|relation| !relation.is_open);
        found
    }

    fn reference(&mut self, scopes: &Scopes, at: usize, reference: &Reference, names: &Names<'a>) {
        let fields: Vec<&str> = reference.fields.iter().map(String::as_str).collect();
        match (fields.as_slice(), reference.star) {
            ([], true) => {
                let Some(scope) = scopes.all.get(at) else { return };
                for relation in scope.sources.iter().filter_map(|source| names.of(source)) {
                    self.whole(relation);
                }
            }
            ([.., row], true) => self.row(scopes, at, row, None, names),
            ([column], false) => self.bare(scopes, at, column, names),
            ([.., row, column], false) => self.row(scopes, at, row, Some(column), names),
            ([], false) => {}
        }
    }

    /// A column without its table: the innermost that has one of that name, or a whole row.
    fn bare(&mut self, scopes: &Scopes, at: usize, name: &str, names: &Names<'a>) {
        for scope in scopes.in_sight(at) {
            let mut is_found = false;
            for relation in scope.sources.iter().filter_map(|source| names.of(source)) {
                if let Some(column) = relation.column(name) {
                    self.reach(relation, column.number);
                    is_found = true;
                }
            }
            if is_found {
                return;
            }
            for source in scope.sources.iter().filter(|source| source.visible == name) {
                if let Some(relation) = names.of(source) {
                    self.whole(relation);
                }
            }
            if scope.joins.iter().any(|join| join == name) || scope.row_names.iter().any(|row| row == name) {
                self.everything(scope, names);
            }
        }
    }

    /// A column of a named row, or all of it: also where the name is a function's, which gets the whole row.
    fn row(&mut self, scopes: &Scopes, at: usize, row: &str, column: Option<&str>, names: &Names<'a>) {
        for scope in scopes.in_sight(at) {
            let mut is_found = false;
            for source in scope.sources.iter().filter(|source| source.visible == row || source.name == row) {
                is_found |= source.visible == row;
                let Some(relation) = names.of(source) else { continue };
                match column.map(|name| (name, relation.column(name))) {
                    Some((_, Some(column))) => self.reach(relation, column.number),
                    Some((name, None)) if is_system(name) => {}
                    _ => self.whole(relation),
                }
            }
            let is_row = |names: &[String]| names.iter().any(|name| name == row);
            if is_row(&scope.joins) {
                for relation in scope.sources.iter().filter_map(|source| names.of(source)) {
                    match column.and_then(|name| relation.column(name)) {
                        Some(column) => self.reach(relation, column.number),
                        None => self.whole(relation),
                    }
                }
                is_found = true;
            }
            if is_row(&scope.row_names) || matches!(row, "old" | "new") && !is_found {
                let changed = scope.sources.iter().filter(|source| source.is_changed);
                for relation in changed.filter_map(|source| names.of(source)) {
                    match column.and_then(|name| relation.column(name)) {
                        Some(column) => self.reach(relation, column.number),
                        None => self.whole(relation),
                    }
                    is_found = true;
                }
            }
            if is_found || is_row(&scope.other_names) {
                return;
            }
        }
        // the row that an INSERT brings along is nobody's yet
        self.is_whole &= row == "excluded";
    }

    fn everything(&mut self, scope: &Scope, names: &Names<'a>) {
        for relation in scope.sources.iter().filter_map(|source| names.of(source)) {
            self.whole(relation);
        }
    }

    fn whole(&mut self, relation: &'a Relation) {
        for column in &relation.columns {
            self.reach(relation, column.number);
        }
        self.found.insert(format!("{}.*", relation.full_name()));
    }

    fn touch(&mut self, relation: &'a Relation) {
        if self.seen.insert((relation.oid, 0)) && is_view(relation) {
            self.follow(relation, Wanted::Rest);
        }
    }

    /// A column, and what it is made of.
    fn reach(&mut self, relation: &'a Relation, number: i16) {
        if !self.seen.insert((relation.oid, number)) {
            return;
        }
        let Some(column) = relation.columns.iter().find(|column| column.number == number) else { return };
        self.found.insert(format!("{}.{}.{}", relation.schema, relation.name, column.name));
        for (_, source) in relation.generated.iter().filter(|(computed, _)| *computed == number) {
            self.reach(relation, *source);
        }
        if is_view(relation) {
            self.touch(relation);
            self.follow(relation, usize::try_from(number - 1).map_or(Wanted::All, Wanted::Item));
        }
        let above = self.parents.entry(relation.oid).or_insert_with(|| parents(self.catalog, relation.oid));
        for parent in above.clone() {
            if let Some(column) = parent.column(&column.name) {
                self.reach(parent, column.number);
            }
        }
    }

    fn follow(&mut self, view: &'a Relation, wanted: Wanted) {
        let read = || view.definition.as_deref().and_then(definition).map(|node| Rc::new(Scopes::of(&node)));
        let Some(scopes) = self.views.entry(view.oid).or_insert_with(read).clone() else {
            self.is_whole = false;
            return;
        };
        if self.depth >= DEEPEST_VIEWS {
            self.is_whole = false;
            return;
        }
        self.depth += 1;
        let wanted = if scopes.is_plain { wanted } else { Wanted::All };
        self.statement(&scopes, &Names::catalog_only(self.catalog), wanted);
        self.depth -= 1;
    }
}

impl<'a> Names<'a> {
    /// The relation that a name in FROM means, where it is none of a WITH query.
    fn of(&self, source: &Source) -> Option<&'a Relation> {
        if source.is_query { None } else { self.relation(&source.schema, &source.name) }
    }
}

/// The definition of a view as a tree.
pub(super) fn definition(text: &str) -> Option<NodeEnum> {
    // whoever wrote the view did not ask how big this stack is
    if !fits_small_stack(text, &ParseLimits::default()) {
        return None;
    }
    pg_query::parse(text, 0).ok()?.protobuf.stmts.into_iter().next()?.stmt?.node
}

fn is_view(relation: &Relation) -> bool {
    matches!(relation.kind, Kind::View | Kind::MaterializedView) && relation.oid >= FIRST_OF_USERS
}

fn is_system(name: &str) -> bool {
    matches!(name, "cmax" | "cmin" | "ctid" | "tableoid" | "xmax" | "xmin")
}

/// OIDs below come with the server.
const FIRST_OF_USERS: u32 = 16384;

const DEEPEST_VIEWS: usize = 16;
