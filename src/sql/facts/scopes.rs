//! What is in sight where: the queries of a statement, what stands in their FROM, and what they refer to.
//!
//! Job: a flat list of scopes, each with its relations, its references to columns and the scope around it.
//! Boundary: names as they are written; no catalog. Failure mode: what is not told apart is taken for more
//! than it is.

use std::collections::{BTreeMap, BTreeSet};

use pg_query::NodeEnum;
use pg_query::protobuf::CmdType;

use crate::sql::tree::{Visitor, visit};

/// The scopes of a statement; the first is the statement itself.
#[derive(Debug)]
pub(crate) struct Scopes {
    pub(super) all: Vec<Scope>,
    /// Whether each column of the outermost SELECT stands for itself: no DISTINCT, GROUP BY, set operation, …
    pub(super) is_plain: bool,
}

/// One SELECT, INSERT, UPDATE, DELETE or MERGE.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// The name of its node; empty for the statement around all.
    pub(super) node: &'static str,
    parent: Option<usize>,
    /// Whether what stands in the parent's FROM is out of sight.
    is_apart: bool,
    /// The WITH query of the parent that it is.
    with_query: Option<usize>,
    pub(super) sources: Vec<Source>,
    /// How many subqueries, functions and other things stand in FROM.
    pub(super) others: usize,
    /// The aliases that some of them have.
    pub(super) other_names: Vec<String>,
    /// The aliases of subqueries that do not see what stands beside them.
    apart: Vec<String>,
    /// Aliases of joins.
    pub(super) joins: Vec<String>,
    /// Whether columns of a join get other names.
    pub(super) is_renamed: bool,
    /// How many joins compare columns of the same name.
    pub(super) natural: usize,
    pub(super) references: Vec<Reference>,
    /// Names for the row before and after a change.
    pub(super) row_names: Vec<String>,
    with: Vec<String>,
    is_recursive: bool,
    has_where: bool,
    has_list: bool,
    /// The columns that get values.
    pub(super) assigned: BTreeSet<String>,
    pub(super) assigns_all: bool,
    /// What a MERGE does, or an INSERT that finds a row.
    branches: BTreeSet<&'static str>,
}

/// A relation that stands in FROM, or is changed.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) schema: String,
    pub(super) name: String,
    /// The name by which expressions refer to it.
    pub(super) visible: String,
    /// Whether it is what the statement changes.
    pub(super) is_changed: bool,
    /// Whether its columns get other names.
    pub(super) is_renamed: bool,
    /// Whether the name is a WITH query's.
    pub(super) is_query: bool,
}

/// A reference to a column, a row, or all columns of a row.
#[derive(Debug, Default)]
pub(super) struct Reference {
    pub(super) fields: Vec<String>,
    pub(super) star: bool,
    /// The column of the outermost SELECT in which it stands, counted from 0.
    pub(super) item: Option<usize>,
    /// The condition of its scope in which it stands.
    condition: Option<usize>,
}

impl Scopes {
    pub(crate) fn of(node: &NodeEnum) -> Self {
        let mut reader = Reader {
            scopes: Self { all: vec![Scope::default()], is_plain: true },
            inside: vec![0],
            ..Reader::default()
        };
        visit(node, &mut reader);
        let mut scopes = reader.scopes;
        let queries: Vec<Vec<bool>> = (0..scopes.all.len())
            .map(|at| {
                let sources = scopes.all.get(at).map(|scope| scope.sources.as_slice()).unwrap_or_default();
                sources.iter().map(|source| !source.is_changed && scopes.is_query(at, source)).collect()
            })
            .collect();
        for (scope, queries) in scopes.all.iter_mut().zip(queries) {
            for (source, is_query) in scope.sources.iter_mut().zip(queries) {
                source.is_query = is_query;
            }
        }
        scopes
    }

    /// The scopes whose FROM is in sight of this one, from the inside out.
    pub(super) fn in_sight(&self, of: usize) -> impl Iterator<Item = &Scope> {
        let mut next = Some((of, true));
        std::iter::from_fn(move || {
            let (at, shown) = next?;
            let scope = self.all.get(at)?;
            next = scope.parent.map(|parent| (parent, !scope.is_apart));
            Some((scope, shown))
        })
        .filter_map(|(scope, shown)| shown.then_some(scope))
    }

    /// Whether an unqualified name means a WITH query there.
    fn is_query(&self, from: usize, source: &Source) -> bool {
        if !source.schema.is_empty() {
            return false;
        }
        let (mut at, mut within) = (from, None);
        while let Some(scope) = self.all.get(at) {
            let known = match within {
                // a WITH query sees those before it, and all of them where they are recursive
                Some(place) if !scope.is_recursive => scope.with.get(..place).unwrap_or_default(),
                _ => scope.with.as_slice(),
            };
            if known.contains(&source.name) {
                return true;
            }
            within = scope.with_query;
            match scope.parent {
                Some(parent) => at = parent,
                None => return false,
            }
        }
        false
    }

    /// Whether an unqualified name means a table or view somewhere.
    pub(crate) fn names_a_relation(&self, name: &str) -> bool {
        let mut sources = self.all.iter().flat_map(|scope| &scope.sources);
        sources.any(|source| source.schema.is_empty() && source.name == name && !source.is_query)
    }

    /// The commands that change rows, wherever they stand.
    pub(super) fn changes(&self) -> BTreeSet<String> {
        let verbs = self.all.iter().filter_map(|scope| scope.verb());
        let branches = self.all.iter().flat_map(|scope| scope.branches.iter().copied());
        verbs.chain(branches).map(str::to_owned).collect()
    }

    /// UPDATE and DELETE that stand somewhere without WHERE.
    pub(super) fn without_where(&self) -> BTreeSet<String> {
        let bare = self.all.iter().filter(|scope| !scope.has_where).filter_map(Scope::verb);
        bare.filter(|verb| matches!(*verb, "delete" | "update")).map(str::to_owned).collect()
    }

    /// How many joins there are.
    pub(super) fn joins(&self) -> u32 {
        let joins = self.all.iter().map(|scope| (scope.sources.len() + scope.others).saturating_sub(1));
        joins.sum::<usize>().try_into().unwrap_or(u32::MAX)
    }

    /// Whether some FROM combines relations without conditions that tie all of them together.
    pub(super) fn has_cross_join(&self) -> bool {
        self.all.iter().any(Scope::is_loose)
    }
}

impl Scope {
    fn verb(&self) -> Option<&'static str> {
        match self.node {
            "DeleteStmt" => Some("delete"),
            "InsertStmt" => Some("insert"),
            "MergeStmt" => Some("merge"),
            "UpdateStmt" => Some("update"),
            _ => None,
        }
    }

    /// Whether its relations fall apart: each condition that speaks of several ties them, and one with
    /// a column that does not say whose it is ties any two.
    fn is_loose(&self) -> bool {
        let mut heaps: Vec<BTreeSet<&str>> =
            self.sources.iter().map(|source| BTreeSet::from([source.visible.as_str()])).collect();
        heaps.extend(self.apart.iter().map(|name| BTreeSet::from([name.as_str()])));
        let mut conditions: BTreeMap<usize, Vec<&Reference>> = BTreeMap::new();
        for reference in &self.references {
            if let Some(condition) = reference.condition {
                conditions.entry(condition).or_default().push(reference);
            }
        }
        let mut any_two = self.natural;
        for references in conditions.values().filter(|references| references.len() > 1) {
            let named: BTreeSet<&str> = references
                .iter()
                .filter_map(|reference| reference.fields.iter().rev().nth(1))
                .map(String::as_str)
                .collect();
            if references.iter().any(|reference| reference.fields.len() < 2) {
                any_two += 1;
            }
            let (tied, free): (Vec<_>, Vec<_>) =
                heaps.into_iter().partition(|heap| !heap.is_disjoint(&named));
            heaps = free;
            if !tied.is_empty() {
                heaps.push(tied.into_iter().flatten().collect());
            }
        }
        heaps.len() > 1 + any_two
    }
}

type Above<'a> = &'a [(&'static str, &'static str)];

#[derive(Debug, Default)]
struct Reader {
    scopes: Scopes,
    /// The scopes that are open, innermost last.
    inside: Vec<usize>,
    /// The conditions that are open: their scope, their depth in the tree, their number.
    conditions: Vec<(usize, usize, usize)>,
    source: Source,
    reference: Reference,
    alias: (String, bool),
    /// Flags of the subqueries in FROM that are open.
    lateral: Vec<bool>,
    item: Option<usize>,
    items: usize,
    count: usize,
    merge: (i64, bool),
}

impl Default for Scopes {
    fn default() -> Self {
        Self { all: Vec::new(), is_plain: true }
    }
}

impl Reader {
    fn here(&mut self) -> Option<&mut Scope> {
        let at = *self.inside.last()?;
        self.scopes.all.get_mut(at)
    }

    fn open(&mut self, node: &'static str, above: Above<'_>) {
        let parent = self.inside.last().copied();
        let is_with = above.last() == Some(&("CommonTableExpr", "ctequery"));
        let with_query = self.here().map(|scope| scope.with.len().saturating_sub(1)).filter(|_| is_with);
        let is_apart = match above.last() {
            Some(("RangeSubselect", _)) => self.lateral.last() != Some(&true),
            place => is_with || place == Some(&("InsertStmt", "select_stmt")),
        };
        self.inside.push(self.scopes.all.len());
        self.scopes.all.push(Scope { node, parent, is_apart, with_query, ..Scope::default() });
    }

    fn refer(&mut self, fields: Vec<String>, star: bool) {
        let condition = self.conditions.last().filter(|(scope, ..)| Some(scope) == self.inside.last());
        let reference =
            Reference { fields, star, item: self.item, condition: condition.map(|found| found.2) };
        if let Some(scope) = self.here() {
            scope.references.push(reference);
        }
    }

    /// A column that both sides of a join have, or a key: whose it is is not said.
    fn refer_to_any(&mut self, name: &str) {
        self.refer(vec![name.to_owned()], false);
    }
}

impl Visitor for Reader {
    fn enter(&mut self, name: &'static str, above: Above<'_>) {
        if name != "BoolExpr" && is_condition(above) {
            self.count += 1;
            let scope = self.inside.last().copied().unwrap_or_default();
            self.conditions.push((scope, above.len(), self.count));
        }
        if let [.., (_, "where_clause")] = above
            && let Some(scope) = self.here()
        {
            scope.has_where = true;
        }
        if let [("SelectStmt", clause)] = above {
            match *clause {
                "target_list" => {
                    self.item = Some(self.items);
                    self.items += 1;
                }
                "from_clause" | "where_clause" => self.item = None,
                _ => {
                    self.item = None;
                    self.scopes.is_plain = false;
                }
            }
        }
        match name {
            "SelectStmt" | "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" => {
                self.open(name, above);
            }
            "RangeVar" => self.source = Source::default(),
            "ColumnRef" => self.reference = Reference::default(),
            "AStar" if above.last() == Some(&("ColumnRef", "fields")) => self.reference.star = true,
            "Alias" => self.alias = Default::default(),
            "MergeWhenClause" => self.merge = Default::default(),
            "RangeSubselect" | "RangeFunction" | "RangeTableFunc" | "JsonTable" => {
                if name == "RangeSubselect" {
                    self.lateral.push(false);
                }
                if let Some(scope) = self.here() {
                    scope.others += 1;
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str, above: Above<'_>) {
        if text.is_empty() {
            return;
        }
        let named = || text.to_owned();
        match above {
            [.., ("ColumnRef", "fields"), ("String", _)] => self.reference.fields.push(named()),
            [.., ("RangeVar", "schemaname")] => self.source.schema = named(),
            [.., ("RangeVar", "relname")] => self.source.name = named(),
            [.., ("Alias", "aliasname")] => self.alias.0 = named(),
            [.., ("Alias", "colnames"), ("String", _)] => self.alias.1 = true,
            [.., ("CommonTableExpr", "ctename")] => {
                if let Some(scope) = self.here() {
                    scope.with.push(named());
                }
            }
            [.., ("JoinExpr", "using_clause"), ("String", _)] => {
                // ties the two sides, as a condition with two columns would
                self.count += 1;
                let condition = (self.inside.last().copied().unwrap_or_default(), usize::MAX, self.count);
                self.conditions.push(condition);
                self.refer_to_any(text);
                self.refer_to_any(text);
                self.conditions.pop();
            }
            [.., ("IndexElem", "name")] => self.refer_to_any(text),
            [.., ("ReturningOption", "value")] => {
                if let Some(scope) = self.here() {
                    scope.row_names.push(named());
                }
            }
            [.., (place, field), ("ResTarget", "name")] if is_assignment(place, field) => {
                self.merge.1 |= *place == "MergeWhenClause";
                if let Some(scope) = self.here() {
                    scope.assigned.insert(named());
                    scope.has_list |= *field == "cols";
                    if *place == "OnConflictClause" {
                        scope.branches.insert("update");
                    }
                }
            }
            _ => {}
        }
    }

    fn number(&mut self, number: i64, above: Above<'_>) {
        match above {
            [.., ("RangeSubselect", "lateral")] if number != 0 => {
                if let Some(open) = self.lateral.last_mut() {
                    *open = true;
                }
            }
            [.., ("JoinExpr", "is_natural")] if number != 0 => {
                if let Some(scope) = self.here() {
                    scope.natural += 1;
                }
            }
            [.., ("WithClause", "recursive")] if number != 0 => {
                if let Some(scope) = self.here() {
                    scope.is_recursive = true;
                }
            }
            [.., ("MergeWhenClause", "command_type")] => self.merge.0 = number,
            _ => {}
        }
    }

    fn leave(&mut self, name: &'static str, above: Above<'_>) {
        match name {
            "SelectStmt" | "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" => {
                if let Some(scope) = self.here()
                    && name == "InsertStmt"
                    && !scope.has_list
                {
                    scope.assigns_all = true;
                }
                self.inside.pop();
            }
            "RangeVar" => {
                let source = std::mem::take(&mut self.source);
                let Some(is_changed) = part(above) else { return };
                let visible = if source.visible.is_empty() { source.name.clone() } else { source.visible };
                if let Some(scope) = self.here() {
                    scope.sources.push(Source { visible, is_changed, ..source });
                }
            }
            "ColumnRef" => {
                let Reference { fields, star, .. } = std::mem::take(&mut self.reference);
                self.refer(fields, star);
            }
            "Alias" => self.name_alias(above),
            "RangeSubselect" => {
                self.lateral.pop();
            }
            "MergeWhenClause" => self.end_branch(),
            _ => {}
        }
        if self.conditions.last().is_some_and(|(_, depth, _)| *depth == above.len()) {
            self.conditions.pop();
        }
    }
}

impl Reader {
    /// Gives an alias to what it belongs to.
    fn name_alias(&mut self, above: Above<'_>) {
        let (name, is_renamed) = std::mem::take(&mut self.alias);
        match above.last() {
            Some(("RangeVar", _)) => {
                self.source.visible = name;
                self.source.is_renamed = is_renamed;
            }
            Some(("JoinExpr", _)) => {
                if let Some(scope) = self.here() {
                    scope.joins.push(name);
                    scope.is_renamed |= is_renamed;
                }
            }
            Some(("RangeSubselect" | "RangeFunction" | "RangeTableFunc" | "JsonTable", _)) => {
                let is_apart = matches!(above.last(), Some(("RangeSubselect", _)))
                    && self.lateral.last() == Some(&false);
                if let Some(scope) = self.here() {
                    scope.apart.extend(is_apart.then(|| name.clone()));
                    scope.other_names.push(name);
                }
            }
            _ => {}
        }
    }

    fn end_branch(&mut self) {
        let (command, has_names) = std::mem::take(&mut self.merge);
        let verb = match i32::try_from(command).ok().and_then(|command| CmdType::try_from(command).ok()) {
            Some(CmdType::CmdDelete) => "delete",
            Some(CmdType::CmdInsert) => "insert",
            Some(CmdType::CmdUpdate) => "update",
            _ => return,
        };
        if let Some(scope) = self.here() {
            scope.branches.insert(verb);
            scope.assigns_all |= verb == "insert" && !has_names;
        }
    }
}

/// Whether a relation that stands there can be referred to, and if so, whether it is changed.
fn part(above: Above<'_>) -> Option<bool> {
    match above.last()? {
        ("InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt", "relation") => Some(true),
        ("SelectStmt" | "JoinExpr" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" | "RangeTableSample", _) => {
            Some(false)
        }
        _ => None,
    }
}

fn is_assignment(node: &str, field: &str) -> bool {
    matches!(
        (node, field),
        ("InsertStmt", "cols") | ("UpdateStmt" | "OnConflictClause" | "MergeWhenClause", "target_list")
    )
}

/// Whether a condition of a query begins there, or a part of one.
fn is_condition(above: Above<'_>) -> bool {
    let mut outwards = above.iter().rev().skip_while(|place| **place == ("BoolExpr", "args"));
    matches!(
        outwards.next(),
        Some(
            ("SelectStmt" | "UpdateStmt" | "DeleteStmt", "where_clause")
                | ("JoinExpr", "quals")
                | ("MergeStmt", "join_condition")
        )
    )
}
