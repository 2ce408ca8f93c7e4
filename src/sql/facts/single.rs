//! Whether a statement reads at most one row of user relations.
//!
//! Job: a proof from the catalog: every relation stands in the outermost FROM, and each is held to one
//! row by equality of a whole unique key with constants or parameters. Boundary: names are resolved.
//! Failure mode: not proven. LIMIT 1 is no proof: what it lets through may be made of every row.

use std::collections::BTreeSet;

use pg_query::protobuf::{AExprKind, BoolExprType, JoinExpr, JoinType, RangeVar, SelectStmt, a_const};
use pg_query::{Node, NodeEnum};

use crate::sql::catalog::{Catalog, Kind, Relation};
use crate::sql::names::Names;
use crate::sql::protect::Protection;
use crate::sql::tree::{self, Visitor, visit};

/// Whether the statement is proven to read at most one row of user relations.
pub(crate) fn reads_one_row(
    node: &NodeEnum,
    catalog: &Catalog,
    names: &Names<'_>,
    protection: &Protection,
) -> bool {
    // an operator of users could be anything
    let Some(query) = Query::of(node).filter(|_| catalog.operators("=").is_empty()) else { return false };
    let mut counted = Count(0);
    visit(node, &mut counted);
    // whatever else reads a relation stands in a place that was not looked at
    let into = usize::from(matches!(node, NodeEnum::InsertStmt(_)));
    counted.0 == query.sources.len() + into
        && query.sources.iter().all(|source| query.pins(source, catalog, names, protection))
}

/// What is read, and the conditions that every row read meets.
struct Query<'a> {
    sources: Vec<&'a RangeVar>,
    conditions: Vec<&'a Node>,
}

impl<'a> Query<'a> {
    fn of(node: &'a NodeEnum) -> Option<Self> {
        match node {
            NodeEnum::SelectStmt(select) => Self::of_select(select),
            NodeEnum::UpdateStmt(update) if update.from_clause.is_empty() && update.with_clause.is_none() => {
                let condition = update.where_clause.as_deref().into_iter().collect();
                Some(Self { sources: vec![update.relation.as_ref()?], conditions: condition })
            }
            NodeEnum::DeleteStmt(delete)
                if delete.using_clause.is_empty() && delete.with_clause.is_none() =>
            {
                let condition = delete.where_clause.as_deref().into_iter().collect();
                Some(Self { sources: vec![delete.relation.as_ref()?], conditions: condition })
            }
            // gives back what it was given, and no row that was there before
            NodeEnum::InsertStmt(insert)
                if insert.on_conflict_clause.is_none() && insert.with_clause.is_none() =>
            {
                Some(Self { sources: Vec::new(), conditions: Vec::new() })
            }
            NodeEnum::DeclareCursorStmt(cursor) => Self::of(cursor.query.as_ref()?.node.as_ref()?),
            // a parameter of a declared type may be compared in that type
            NodeEnum::PrepareStmt(prepare) if prepare.argtypes.is_empty() => {
                Self::of(prepare.query.as_ref()?.node.as_ref()?)
            }
            _ => None,
        }
    }

    fn of_select(select: &'a SelectStmt) -> Option<Self> {
        if select.larg.is_some() || select.rarg.is_some() || select.with_clause.is_some() {
            return None;
        }
        let mut query = Self { sources: Vec::new(), conditions: Vec::new() };
        select.from_clause.iter().try_for_each(|item| query.source(item))?;
        query.conditions.extend(select.where_clause.as_deref());
        Some(query)
    }

    fn source(&mut self, item: &'a Node) -> Option<()> {
        match item.node.as_ref()? {
            NodeEnum::RangeVar(relation) => self.sources.push(relation),
            NodeEnum::JoinExpr(join) => {
                let JoinExpr { larg, rarg, quals, .. } = &**join;
                self.source(larg.as_deref()?)?;
                self.source(rarg.as_deref()?)?;
                // only of an inner join every row meets its condition
                if join.jointype() == JoinType::JoinInner {
                    self.conditions.extend(quals.as_deref());
                }
            }
            // rows that no relation gives
            NodeEnum::RangeFunction(_) => {}
            _ => return None,
        }
        Some(())
    }

    fn pins(&self, source: &RangeVar, catalog: &Catalog, names: &Names<'_>, protection: &Protection) -> bool {
        let Some(relation) = names.relation(&source.schemaname, &source.relname) else { return false };
        if matches!(relation.schema.as_str(), "pg_catalog" | "information_schema") {
            return true;
        }
        let has_children = catalog.has_children(relation.oid);
        let is_renamed = source.alias.as_ref().is_some_and(|alias| !alias.colnames.is_empty());
        if relation.kind != Kind::Table || relation.rules || has_children || is_renamed {
            return false;
        }
        let name = source.alias.as_ref().map_or(source.relname.as_str(), |alias| &alias.aliasname);
        let alone = self.sources.len() == 1;
        let mut fixed = BTreeSet::new();
        self.conditions.iter().for_each(|condition| fix(condition, relation, name, alone, &mut fixed));
        // of a protected column it is the mask that is compared, which is the same in every row
        let is_fixed =
            |column: &i16| fixed.contains(column) && !protection.is_protected(relation.oid, *column);
        relation.keys.iter().any(|key| !key.is_empty() && key.iter().all(is_fixed))
    }
}

/// Collects the columns that this condition holds to one value.
fn fix(condition: &Node, relation: &Relation, name: &str, alone: bool, fixed: &mut BTreeSet<i16>) {
    match condition.node.as_ref() {
        Some(NodeEnum::BoolExpr(all)) if all.boolop() == BoolExprType::AndExpr => {
            all.args.iter().for_each(|inner| fix(inner, relation, name, alone, fixed));
        }
        Some(NodeEnum::AExpr(comparison)) if comparison.kind() == AExprKind::AexprOp => {
            let operator = tree::strings(&comparison.name);
            if !matches!(operator.as_deref(), Some(["="] | ["pg_catalog", "="])) {
                return;
            }
            let (Some(left), Some(right)) = (comparison.lexpr.as_deref(), comparison.rexpr.as_deref()) else {
                return;
            };
            for (column, value) in [(left, right), (right, left)] {
                if let Some(column) = column_of(column, relation, name, alone)
                    && is_exact(value, &column.base)
                {
                    fixed.insert(column.number);
                }
            }
        }
        _ => {}
    }
}

fn column_of<'r>(
    node: &Node,
    relation: &'r Relation,
    name: &str,
    alone: bool,
) -> Option<&'r crate::sql::catalog::Column> {
    let Some(NodeEnum::ColumnRef(reference)) = node.node.as_ref() else { return None };
    let column = match tree::strings(&reference.fields)?.as_slice() {
        [column] if alone => *column,
        [table, column] if *table == name => *column,
        [schema, table, column] if *schema == relation.schema && *table == name => *column,
        _ => return None,
    };
    relation.column(column)
}

/// Whether equality with this value holds for one value of the column's type: nothing that is compared in
/// a type into which several values of the column fall together.
fn is_exact(value: &Node, base: &(String, String)) -> bool {
    let known = base.0 == "pg_catalog";
    match value.node.as_ref() {
        Some(NodeEnum::AConst(constant)) => match constant.val.as_ref() {
            // takes the column's type
            Some(a_const::Val::Sval(_)) => true,
            Some(a_const::Val::Ival(_) | a_const::Val::Fval(_)) => {
                known && matches!(base.1.as_str(), "int2" | "int4" | "int8" | "numeric")
            }
            _ => false,
        },
        // its type is whatever the client declares; see `Facts::at_most_one_row` in the gateway
        Some(NodeEnum::ParamRef(_)) => known && EXACT.contains(&base.1.as_str()),
        _ => false,
    }
}

const EXACT: &[&str] = &["bool", "bytea", "int2", "int4", "int8", "oid", "text", "uuid", "varchar"];

/// Counts the relations that are named anywhere.
struct Count(usize);

impl Visitor for Count {
    fn enter(&mut self, name: &'static str, _: &[(&'static str, &'static str)]) {
        self.0 += usize::from(name == "RangeVar");
    }

    fn text(&mut self, _: &str, _: &[(&'static str, &'static str)]) {}

    fn leave(&mut self, _: &'static str, _: &[(&'static str, &'static str)]) {}
}
