//! GROUP BY a primary key.
//!
//! PostgreSQL lets a query that groups by a table's primary key name the table's other columns as they are. Where a
//! subquery stands in the table's place it no longer knows of the key. So the columns are named in GROUP BY beside it: a
//! group has one row of the table, and they divide none. The key must not be protected, since what its mask gives
//! out is no key.

use std::collections::BTreeSet;

use pg_query::protobuf::{SelectStmt, a_const};
use pg_query::{Node, NodeEnum};

use super::Walk;
use crate::sql::catalog::{Column, Relation};
use crate::sql::tree::{self, Visitor};

/// A relation that a subquery stands for, in one FROM clause.
#[derive(Debug, Clone)]
pub(super) struct Stand<'a> {
    pub(super) relation: &'a Relation,
    /// The name that expressions know it by.
    pub(super) name: String,
}

impl Walk<'_> {
    /// Names the columns that are used of relations whose primary key is grouped by.
    pub(super) fn group_by_keys(&self, select: &mut SelectStmt, stands: &[Stand<'_>]) {
        let alone =
            select.from_clause.len() == 1 && stands.len() == 1 && is_stand(select.from_clause.first());
        if stands.len() > MOST_STANDS {
            return;
        }
        let mut more = Vec::new();
        let used = Used::of(select);
        let is_starless = select.target_list.iter().all(is_plain);
        for stand in stands {
            let Some(grouped) = grouped(select, stand, alone, is_starless) else { return };
            let is_grouped = |column: &&Column| grouped.contains(column.name.as_str());
            let is_key = |number: &i16| stand.relation.primary.contains(number);
            let protected = |number: &i16| self.scope.protection.is_protected(stand.relation.oid, *number);
            let covered: BTreeSet<i16> =
                stand.relation.columns.iter().filter(is_grouped).map(|column| column.number).collect();
            let key = &stand.relation.primary;
            if key.is_empty()
                || key.iter().any(protected)
                || !key.iter().all(|number| covered.contains(number))
            {
                continue;
            }
            let wanted = stand.relation.columns.iter().filter(|column| {
                !is_key(&column.number)
                    && !is_grouped(column)
                    && used.has(&column.name)
                    && can_be_grouped(column)
            });
            more.extend(wanted.map(|column| tree::node(tree::column(&[&stand.name, &column.name]))));
        }
        select.group_clause.append(&mut more);
    }
}

/// The list of what is grouped by is read for each of them.
const MOST_STANDS: usize = 32;

/// The columns of this relation by which a query groups; `None` where it groups in several ways. A star among the
/// targets moves the places behind it.
fn grouped<'s>(
    select: &'s SelectStmt,
    stand: &Stand<'_>,
    alone: bool,
    is_starless: bool,
) -> Option<BTreeSet<&'s str>> {
    let mut grouped = BTreeSet::new();
    for item in &select.group_clause {
        let mut item = item.node.as_ref()?;
        if matches!(item, NodeEnum::GroupingSet(_)) {
            return None;
        }
        if let NodeEnum::AConst(constant) = item
            && let Some(a_const::Val::Ival(place)) = &constant.val
        {
            let Some(target) = place_of(&select.target_list, place.ival).filter(|_| is_starless) else {
                continue;
            };
            item = target;
        }
        let NodeEnum::ColumnRef(reference) = item else { continue };
        match tree::strings(&reference.fields).as_deref() {
            Some([name]) if alone => grouped.insert(*name),
            Some([qualifier, name]) if *qualifier == stand.name => grouped.insert(*name),
            _ => continue,
        };
    }
    Some(grouped)
}

/// Whether this is one target, and no star.
fn is_plain(target: &Node) -> bool {
    match target.node.as_ref() {
        Some(NodeEnum::ResTarget(target)) => !is_star(target.val.as_deref()),
        _ => false,
    }
}

/// What stands at this place of the targets, from 1.
fn place_of(targets: &[Node], place: i32) -> Option<&NodeEnum> {
    match targets.get(usize::try_from(place).ok()?.checked_sub(1)?)?.node.as_ref()? {
        NodeEnum::ResTarget(target) => target.val.as_deref()?.node.as_ref(),
        _ => None,
    }
}

fn is_star(value: Option<&Node>) -> bool {
    match value.and_then(|value| value.node.as_ref()) {
        Some(NodeEnum::ColumnRef(reference)) => {
            reference.fields.iter().any(|field| matches!(field.node, Some(NodeEnum::AStar(_))))
        }
        _ => false,
    }
}

fn is_stand(item: Option<&Node>) -> bool {
    matches!(item.and_then(|item| item.node.as_ref()), Some(NodeEnum::RangeSubselect(_)))
}

/// Whether values of this column can be told apart for certain, so that naming it in GROUP BY is no error.
fn can_be_grouped(column: &Column) -> bool {
    let (schema, name) = &column.base;
    schema == "pg_catalog" && GROUPABLE.contains(&name.strip_prefix('_').unwrap_or(name))
}

const GROUPABLE: &[&str] = &[
    "bit",
    "bool",
    "bpchar",
    "bytea",
    "char",
    "cidr",
    "date",
    "float4",
    "float8",
    "inet",
    "int2",
    "int4",
    "int8",
    "interval",
    "jsonb",
    "macaddr",
    "money",
    "name",
    "numeric",
    "oid",
    "text",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "uuid",
    "varbit",
    "varchar",
];

/// The names in references to columns, of whatever relation, outside of FROM and WHERE.
#[derive(Debug, Default)]
struct Used {
    names: BTreeSet<String>,
    whole: bool,
}

impl Used {
    fn of(select: &SelectStmt) -> Self {
        let mut used = Self::default();
        let parts =
            [&select.target_list, &select.sort_clause, &select.distinct_clause, &select.window_clause];
        parts.into_iter().for_each(|part| tree::visit(part, &mut used));
        tree::visit(&select.having_clause, &mut used);
        used
    }

    fn has(&self, name: &str) -> bool {
        self.whole || self.names.contains(name)
    }
}

impl Visitor for Used {
    fn enter(&mut self, name: &'static str, above: &[(&'static str, &'static str)]) {
        self.whole |= name == "AStar" && above.iter().any(|(name, _)| *name == "ColumnRef");
    }

    fn text(&mut self, text: &str, above: &[(&'static str, &'static str)]) {
        if let [.., ("ColumnRef", _), ("String", _)] = above {
            self.names.insert(text.to_owned());
        }
    }

    fn leave(&mut self, _: &'static str, _: &[(&'static str, &'static str)]) {}
}
