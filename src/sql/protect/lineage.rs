//! Which table's column a view's column is, where that is plain to see.
//!
//! Boundary: bare columns of relations in FROM, and nothing that needs thought. Failure mode: `None`, and the
//! column of the view is masked by itself.

use std::collections::BTreeMap;

use pg_query::protobuf::{RangeVar, SelectStmt, SetOperation};
use pg_query::{Node, NodeEnum};

use crate::domain::mask::Masked;
use crate::sql::catalog::{Catalog, Kind, Relation};
use crate::sql::parse::{ParseLimits, fits_small_stack};
use crate::sql::tree;

/// Whether a view's column shows, without this mask being applied once more, what this very mask gives out,
/// because it is a protected column of a table, through however many views.
pub(super) fn shows_mask(
    catalog: &Catalog,
    found: &BTreeMap<(u32, i16), Masked>,
    view: &Relation,
    number: i16,
    masked: &Masked,
) -> bool {
    let (mut view, mut number) = (view, number);
    for _ in 0..DEEPEST {
        let Some((relation, column)) = source(catalog, view, number) else { return false };
        let same = found.get(&(relation.oid, column));
        if same.is_none_or(|same| same.expression != masked.expression) {
            return false;
        }
        match relation.kind {
            Kind::Table => return true,
            Kind::View => (view, number) = (relation, column),
            _ => return false,
        }
    }
    false
}

/// The table whose rows a view's are, through views in between: where one relation alone stands in FROM, as the server wants
/// it of views that can be changed.
pub(crate) fn base(catalog: &Catalog, view: u32) -> Option<&Relation> {
    let mut relation = catalog.relation_by_oid(view)?;
    for _ in 0..DEEPEST {
        match relation.kind {
            Kind::Table => return Some(relation),
            Kind::View => {}
            _ => return None,
        }
        let select = query(relation)?;
        let [item] = select.from_clause.as_slice() else { return None };
        let NodeEnum::RangeVar(table) = item.node.as_ref()? else { return None };
        relation = catalog.relation(&table.schemaname, &table.relname)?;
    }
    None
}

/// The relation and column that a view's column is.
fn source<'a>(catalog: &'a Catalog, view: &Relation, number: i16) -> Option<(&'a Relation, i16)> {
    let select = query(view)?;
    let (relation, column) = reference(catalog, &select, place(&select, view, number)?)?;
    relation.column(column).map(|column| (relation, column.number))
}

/// The one SELECT that a view is.
fn query(view: &Relation) -> Option<SelectStmt> {
    let text = view.definition.as_deref().filter(|text| fits_small_stack(text, &ParseLimits::default()))?;
    let mut stmts = pg_query::parse(text, 0).ok()?.protobuf.stmts.into_iter();
    let (Some(raw), None) = (stmts.next(), stmts.next()) else { return None };
    let NodeEnum::SelectStmt(select) = raw.stmt?.node? else { return None };
    let is_plain = select.op() == SetOperation::SetopNone
        && select.with_clause.is_none()
        && select.values_lists.is_empty();
    is_plain.then_some(*select)
}

/// The expression of a view's column.
fn place<'a>(select: &'a SelectStmt, view: &Relation, number: i16) -> Option<&'a NodeEnum> {
    if select.target_list.len() != view.columns.len() {
        return None;
    }
    let place = view.columns.iter().position(|column| column.number == number)?;
    let NodeEnum::ResTarget(target) = select.target_list.get(place)?.node.as_ref()? else { return None };
    target.val.as_deref()?.node.as_ref()
}

fn reference<'a, 's>(
    catalog: &'a Catalog,
    select: &'s SelectStmt,
    value: &'s NodeEnum,
) -> Option<(&'a Relation, &'s str)> {
    let NodeEnum::ColumnRef(reference) = value else { return None };
    let mut tables = Vec::new();
    let plain = select.from_clause.iter().all(|item| relations(item, &mut tables));
    let (table, column) = match tree::strings(&reference.fields)?.as_slice() {
        [column] if plain => match tables.as_slice() {
            [single] => (*single, *column),
            _ => return None,
        },
        [table, column] => {
            let mut named = tables.iter().filter(|known| name_of(known) == *table);
            (*named.next().filter(|_| plain)?, *column)
        }
        _ => return None,
    };
    let renames = table.alias.as_ref().is_some_and(|alias| !alias.colnames.is_empty());
    let relation = catalog.relation(&table.schemaname, &table.relname).filter(|_| !renames)?;
    Some((relation, column))
}

/// Collects the relations of an item in FROM; false when there is something else, which could have any name.
fn relations<'s>(item: &'s Node, into: &mut Vec<&'s RangeVar>) -> bool {
    match item.node.as_ref() {
        Some(NodeEnum::RangeVar(table)) => {
            into.push(table);
            true
        }
        Some(NodeEnum::JoinExpr(join)) if join.alias.is_none() && join.join_using_alias.is_none() => {
            [&join.larg, &join.rarg].into_iter().flatten().all(|side| relations(side, into))
        }
        _ => false,
    }
}

fn name_of(table: &RangeVar) -> &str {
    table.alias.as_ref().map_or(&table.relname, |alias| &alias.aliasname)
}

/// How many views stand above one another.
const DEEPEST: usize = 16;
